"""A listening address: accepts connections, counts them before any handshake, and keeps room for whoever comes next.

Per address a cap, over all a cap; when one is reached the connection that was quiet longest is closed for the new one, then the
oldest handshake under way. Only when every connection has a request under way is the new one turned away. The HTTP spoken on a
connection is `http.server`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kerege.node.config import Address
from kerege.node.http.bodies import SinkFactory
from kerege.node.http.entrance import Entrance, Factory
from kerege.node.http.messages import BodyBudget, Handler, HttpResponse, ServerLimits
from kerege.node.http.server import HttpProtocol
from kerege.node.http.whole import Whole

if TYPE_CHECKING:
    from kerege.node.http.reading import Work
    from kerege.node.lane.clients import Clients
    from kerege.node.lane.ports import ClientConnection

_LOG: Final = logging.getLogger("kerege.node.listener")
_BACKLOG: Final = 1024
_AGAIN_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Caller:
    address: str
    socket: socket.socket | None  # None: its connection is the native path's
    since: float
    task: asyncio.Task[None] | None = None


class Listener:
    """`open`, then `close`; `connections` are those alive, whatever their state."""

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits,
        tls: ssl.SSLContext | None = None,
        sinks: SinkFactory | None = None,
        link: Factory | None = None,
        lane: Clients | None = None,
        whole: Whole | None = None,
    ) -> None:
        """lane   takes the connections in first, and hands over those that are not for the native path

        whole   as `http.whole` has it
        """
        self._whole = whole
        self._handler, self._limits, self._tls, self._sinks, self._link = handler, limits, tls, sinks, link
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._callers: dict[HttpProtocol | Entrance | ClientConnection, _Caller] = {}
        self._count: dict[str, int] = {}
        self._certificates_refused, self._quiet_until = 0, 0.0
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self.budget = BodyBudget(limits.bodies)

    @property
    def connections(self) -> list[HttpProtocol | Entrance | ClientConnection]:
        return list(self._callers)

    @property
    def ports(self) -> list[int]:
        return [one.getsockname()[1] for one in self._sockets]

    async def open(self, address: Address) -> None:
        """Raises OSError when the address cannot be had."""
        found = await self._loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, place in dict.fromkeys(found):
                one = socket.create_server(place, family=family, backlog=_BACKLOG)
                one.setblocking(False)
                self._sockets.append(one)
        except OSError:
            self.close()
            raise
        self._accepting = [self._loop.create_task(self._accept(one)) for one in self._sockets]

    def use(self, limits: ServerLimits, tls: ssl.SSLContext | None, link: Factory | None) -> None:
        """Other limits, another TLS context, for connections that come from now on."""
        self._limits, self._tls, self._link = limits, tls, link
        self.budget.limit = limits.bodies

    def leave(self) -> None:
        """Let in who knocked already, then take no more connections."""
        for task in self._accepting:
            task.cancel()
        for one in self._sockets:
            if self._accepting:
                self._loop.remove_reader(one)
            with contextlib.suppress(OSError):
                while True:
                    accepted, place = one.accept()
                    accepted.setblocking(False)
                    self._enter(accepted, str(place[0]))
        self.close()

    def close(self) -> None:
        """Take no more connections; those there are stay."""
        for task in self._accepting:
            task.cancel()
        for one in self._sockets:
            if self._accepting:
                self._loop.remove_reader(one)
            one.close()
        self._sockets = []

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, place = await self._loop.sock_accept(listening)
            except ConnectionError:
                continue  # it went away between knocking and entering
            except OSError as problem:  # no descriptors left: make room, and do not spin
                _LOG.error("a connection could not be accepted: %s", problem.strerror)
                self._make_room(None)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            self._enter(accepted, str(place[0]))

    def _enter(self, accepted: socket.socket, address: str) -> None:
        of_one = self._count.get(address, 0) >= self._limits.per_address
        if (of_one or len(self._callers) >= self._limits.connections) and not self._make_room(
            address if of_one else None
        ):
            accepted.close()
            return
        with contextlib.suppress(OSError):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._lane is not None:
            try:
                connection = self._lane.adopt(accepted.fileno(), address, self)
            except OSError:
                accepted.close()
                return
            accepted.detach()
            self._callers[connection] = _Caller(address, None, self._loop.time())
            self._count[address] = self._count.get(address, 0) + 1
            return
        protocol: HttpProtocol | Entrance
        if self._link is None:
            protocol = self._http(self._forget)
        else:
            protocol = Entrance(self._http, self._link, self._forget)
        self._callers[protocol] = _Caller(address, accepted, self._loop.time())
        self._count[address] = self._count.get(address, 0) + 1
        self._begin(protocol, accepted)

    def _begin(self, protocol: HttpProtocol | Entrance, accepted: socket.socket) -> None:
        task = self._loop.create_task(self._connect(protocol, accepted))
        self._callers[protocol].task = task
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        # one that is cancelled before it began closes nothing itself
        task.add_done_callback(lambda _: None if protocol.connected else accepted.close())

    async def _connect(self, protocol: HttpProtocol | Entrance, accepted: socket.socket) -> None:
        timeout = self._limits.handshake_seconds if self._tls is not None else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, TimeoutError) as problem:  # no handshake, or one that failed: ssl.SSLError is an OSError
            if isinstance(problem, ssl.SSLCertVerificationError):
                self._refused_certificate(protocol, problem)
            accepted.close()
            self._forget(protocol)
        except BaseException:
            self._forget(protocol)
            raise

    def _refused_certificate(self, protocol: HttpProtocol | Entrance, problem: ssl.SSLCertVerificationError) -> None:
        """A line in the log, at most one in ten seconds: whoever can reach the port must not be able to fill it."""
        now, caller = self._loop.time(), self._callers.get(protocol)
        self._certificates_refused += 1
        if now < self._quiet_until:
            return
        _LOG.warning(
            "a TLS certificate shown by %s is not accepted: %s (%d since the start); it is none of those listed or approved for this port",
            *(caller.address if caller else "?", problem.verify_message, self._certificates_refused),
        )
        self._quiet_until = now + _QUIET_SECONDS

    def _http(self, lost: Callable[[HttpProtocol], None]) -> HttpProtocol:
        return HttpProtocol(self._handler, self._limits, self.budget, lost, self._sinks, self._whole)

    def _forget(self, protocol: HttpProtocol | Entrance | ClientConnection) -> None:
        caller = self._callers.pop(protocol, None)
        if caller is None:
            return
        left = self._count[caller.address] - 1
        if left:
            self._count[caller.address] = left
        else:
            del self._count[caller.address]

    def _make_room(self, address: str | None) -> bool:
        """Close the connection (of `address`) that was quiet longest, or the oldest handshake; False when all are at work."""
        among = [
            (protocol, caller)
            for protocol, caller in self._callers.items()
            if address is None or caller.address == address
        ]
        quiet = [protocol for protocol, _ in among if protocol.idle]
        if quiet:
            victim = min(quiet, key=lambda protocol: protocol.quiet_since)
            self._forget(victim)
            victim.drop()
            return True
        opening = [(protocol, caller) for protocol, caller in among if not protocol.connected]
        if not opening:
            return False
        protocol, caller = min(opening, key=lambda pair: pair[1].since)
        self._forget(protocol)
        if caller.socket is not None:
            with contextlib.suppress(OSError):
                caller.socket.shutdown(socket.SHUT_RDWR)
        if caller.task is not None:
            caller.task.cancel()
        return True

    # --- connections of the native path ---

    def forget_connection(self, connection: ClientConnection) -> None:
        """It is closed."""
        self._forget(connection)

    def hand_over(self, connection: ClientConnection, descriptor: int, data: bytes) -> None:
        """It is the HTTP server's from now on; `data` is what was read and not carried out."""
        protocol = self._http(self._forget)
        self._go_on(connection, protocol, descriptor, lambda: protocol.data_received(data))

    def carry_on(
        self, connection: ClientConnection, descriptor: int, work: Work, response: HttpResponse, ahead: bytes
    ) -> None:
        """The same, with an answer that is yet to be sent; `ahead` was read after its request."""
        protocol = self._http(self._forget)

        def then() -> None:
            protocol.answer(work, response)
            if ahead:
                protocol.data_received(ahead)

        self._go_on(connection, protocol, descriptor, then)

    def _go_on(
        self, connection: ClientConnection, protocol: HttpProtocol, descriptor: int, then: Callable[[], None]
    ) -> None:
        taken = socket.socket(fileno=descriptor)
        caller = self._callers.pop(connection)
        self._callers[protocol] = _Caller(caller.address, taken, caller.since)
        protocol.connected_then = then
        self._begin(protocol, taken)
        if connection.stopping:
            protocol.stop()
