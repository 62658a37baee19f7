"""Agencies asked for many calls at once, over kept connections with plain HTTP; a call that needs more goes the Python way.

One `AgencyPort` per node. Where no connection is idle one is made for the call that waits. What an agency answers that is not a small
answer of known length is read on by the Python client (`http.connection`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from kerege.exchange.errors import MessageTooLarge, ProviderFailed
from kerege.exchange.lane import passes
from kerege.exchange.lane.call import Call
from kerege.node.config_types import Service
from kerege.node.http.connection import Connection, HttpFailed
from kerege.node.lane.agencyport import AgencyPort
from kerege.node.link.bodies import INLINE
from kerege.node.provider import Accepted
from kerege.node.rest_provider import SAFE, Agency, Place, reply

if TYPE_CHECKING:
    from kerege.node.core import Core
    from kerege.node.provider import Provider

_SWEEP_SECONDS: Final = 0.25
_HEAD: Final = 16 * 1024


class Agencies:
    """One per node; `open` in its loop."""

    def __init__(self, core: Core, provider: Provider, agency: Agency) -> None:
        self._core, self._provider, self._agency = core, provider, agency
        self._loop = asyncio.get_running_loop()
        self._port = AgencyPort(self._answered, self._failed, self._odd, INLINE + _HEAD)
        self._tasks: set[asyncio.Task[None]] = set()
        self.calls = self.batches = 0  # answered by the native path, and in how many goes
        self._loop.add_reader(self._port.fileno(), self._port.drain)
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        self._sweeper.cancel()
        self._loop.remove_reader(self._port.fileno())
        self._port.close()

    def forget(self) -> None:
        """Addresses are read anew: connections that are idle are closed."""
        self._port.forget_idle()

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)  # whatever happens now
        self._port.sweep(time.monotonic())

    def place(self, service: Service) -> Place | None:
        """Where the native path asks for it; None where it does not."""
        place = self._agency.place(service)
        return None if place.secure or not (place.path.isascii() and place.netloc.isascii()) else place

    def ask(self, calls: list[Call]) -> None:
        """Calls whose requests are logged; each call's end is told of its answer, or of what failed."""
        now = time.monotonic()
        for some in passes.by(calls, lambda way: way.decided.service):  # each has its own time, also at one address
            try:
                self._ask(some, now)
            except Exception as problem:  # noqa: BLE001 - their records are written: they are told, and the others are asked
                for call in some:
                    call.end.refused(call, problem)

    def _ask(self, calls: list[Call], now: float) -> None:
        service: Service = calls[0].way.decided.service
        place = self._agency.place(service)
        where = place.host, place.port
        for call in self._port.ask(where, calls, now + service.timeout_seconds, service.timeout_seconds):
            self._do(self._connect(place, call))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, place: Place, call: Call) -> None:
        """A connection for a call that found none idle."""
        service: Service = call.way.decided.service
        seconds = self._core.config.limits.connect_seconds
        call.request_out = self._core.milliseconds()  # as far as is known where none can be made
        try:
            async with asyncio.timeout(seconds):
                connected = await _connected(self._loop, place.host, place.port)
        except TimeoutError:
            call.end.refused(call, self._unreached(service, f"no connection within {seconds:g} s"))
            return
        except OSError as problem:
            call.end.refused(call, self._unreached(service, problem.strerror or "the connection failed"))
            return
        except Exception as problem:  # noqa: BLE001 - whoever waits is told
            call.end.refused(call, problem)
            return
        where, wait = (place.host, place.port), service.timeout_seconds
        try:
            self._port.adopt(where, connected.fileno())
        except OSError as problem:
            connected.close()
            call.end.refused(call, self._unreached(service, problem.strerror or "the connection failed"))
            return
        connected.detach()
        for left in self._port.ask(where, [call], time.monotonic() + wait, wait):
            self._again(left)  # somebody else took it

    def _unreached(self, service: Service, reason: str) -> ProviderFailed:
        return self._agency.failed(service, f"could not be reached ({reason})")

    # --- what the port says ---

    def _answered(self, calls: list[Call]) -> None:
        most = self._core.config.limits.body
        if most < INLINE:
            calls = [call for call in calls if self._within(call, most)]
        for some in passes.ends(calls):
            try:
                some[0].end.answered(some)
            except Exception as problem:  # noqa: BLE001 - one end's trouble is not the others', and its own are told
                for call in some:
                    call.end.refused(call, problem)

    @staticmethod
    def _within(call: Call, most: int) -> bool:
        body = call.answer.body
        if body is None or len(body) <= most:
            return True
        call.end.refused(call, MessageTooLarge(what="agency's answer", limit=most))
        return False

    def _failed(self, call: Call, reason: str, unanswered: bool) -> None:
        if unanswered and call.verb in SAFE:
            self._again(call)  # the agency closed a kept connection meanwhile; asking again harms nothing
            return
        call.end.refused(call, self._agency.problem(call.way.decided.service, HttpFailed(reason)))

    def _again(self, call: Call) -> None:
        self._do(self._python(call))

    async def _python(self, call: Call) -> None:
        try:
            accepted = call.end.accepted(call)
            answer = await self._provider.call(accepted)
        except Exception as problem:  # noqa: BLE001 - whoever waits is told
            call.end.refused(call, problem)
        else:
            call.end.answered_python(call, accepted, answer)

    def _odd(self, call: Call, descriptor: int, data: bytes) -> None:
        """Another kind of answer: the Python client reads on."""
        self._do(self._read_on(call, descriptor, data))

    async def _read_on(self, call: Call, descriptor: int, data: bytes) -> None:
        config, service = self._core.config, call.way.decided.service
        limits, connected = config.limits, socket.socket(fileno=descriptor)
        connected.setblocking(False)
        connection = Connection(limits.body, limits.memory, limits.spool)
        waiter = connection.read_on(data, service.timeout_seconds)
        try:
            await self._loop.create_connection(lambda: connection, sock=connected)
            answer = await waiter
            accepted: Accepted = call.end.accepted(call)
            asked, exchange = accepted.asked, accepted.exchange
            made = reply(asked, accepted.message, answer.status, answer.reason, answer.headers, answer.body, exchange)
        except HttpFailed as problem:
            call.end.refused(call, self._agency.problem(service, problem))
        except Exception as problem:  # noqa: BLE001 - whoever waits is told
            call.end.refused(call, problem)
        else:
            exchange.response_in, exchange.response_size = self._core.milliseconds(), made.size
            call.end.answered_python(call, accepted, made)
        finally:
            connection.answered()  # nothing holds on to its answer
            connection.close()


async def _connected(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Raises OSError with the last address's reason."""
    problem = OSError("its name has no address")
    for family, kind, protocol, _, place in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(made, place)
        except OSError as refused:
            made.close()
            code = refused.errno or 0
            problem = OSError(code, os.strerror(code)) if code > 0 else refused  # the loop's own words name the address
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem
