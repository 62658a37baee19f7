"""The addresses a node listens on: opened all together, moved and given other limits while it runs, with no message dropped.

A new address is open before an old one is left, and who knocked at the old one is still let in. Connections of an address that
was left go on for a moment, so that callers learn of the new one before their next call meets a closed door.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kerege.node import wire
from kerege.node.assembly import ROOM, Parts
from kerege.node.config_types import Address, LimitSettings, NodeConfig
from kerege.node.connections import Connections
from kerege.node.errors import AddressInUse
from kerege.node.http.bodies import SinkFactory
from kerege.node.http.entrance import Entrance, Factory
from kerege.node.http.listener import Listener
from kerege.node.http.messages import Handler, ServerLimits
from kerege.node.http.server import HttpProtocol
from kerege.node.keys.acme_client import Challenges
from kerege.node.keys.acme_orders import read_settings
from kerege.node.link.server import LinkServer

if TYPE_CHECKING:
    from kerege.node.lane.clientport import ClientConnection

_GRACE_SECONDS: Final = 3.0
_SMALL: Final = ServerLimits(65536, 64, 64, 1024 * 1024)


@dataclass(frozen=True, slots=True)
class _How:
    handler: Handler
    limits: ServerLimits
    tls: ssl.SSLContext | None = None
    link: Factory | None = None


class Listening:
    """Every open listener of one node. Tokens of the certificate authority are served from the same `challenges` for life."""

    def __init__(self, parts: Parts, challenges: Challenges) -> None:
        self._parts, self._challenges = parts, challenges
        self._open: dict[str, Listener] = {}
        self._leaving: list[Listener] = []

    @property
    def ports(self) -> dict[str, list[int]]:
        return {purpose: listener.ports for purpose, listener in self._open.items()}

    async def prepare(
        self, wanted: NodeConfig, connections: Connections, before: Mapping[str, Address] | None = None
    ) -> dict[str, Listener]:
        """Open what `wanted` listens on and `before` does not. Raises AddressInUse; nothing of it is open then.

        connections   those of `wanted`: what the HTTPS listener shows, and whose certificates it takes
        """
        opened: dict[str, Listener] = {}
        try:
            for purpose, address in addresses(wanted).items():
                if before is None or before.get(purpose) != address:
                    opened[purpose] = await self._listen(purpose, address, wanted, connections)
        except BaseException:
            for listener in opened.values():
                listener.close()
            raise
        return opened

    def take(self, opened: Mapping[str, Listener], config: NodeConfig) -> None:
        """From now on these, in place of what listened for the same; addresses `config` does not name are left."""
        for purpose in set(self._open) - addresses(config).keys() | (self._open.keys() & opened.keys()):
            leaving = self._open.pop(purpose)
            leaving.leave()
            self._leaving.append(leaving)
            asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._ended, leaving)
        self._open.update(opened)
        for purpose, listener in self._open.items():
            how = self._how(purpose, config, self._parts.core.connections)
            listener.use(how.limits, how.tls, how.link)

    def _ended(self, leaving: Listener) -> None:
        for connection in leaving.connections:
            connection.stop()
        if leaving in self._leaving and not leaving.connections:
            self._leaving.remove(leaving)

    async def _listen(self, purpose: str, address: Address, config: NodeConfig, connections: Connections) -> Listener:
        core, how = self._parts.core, self._how(purpose, config, connections)
        sinks: SinkFactory | None = None
        if purpose == "servers":
            sinks = lambda headers: wire.sink_of(headers, wire.decoder_limits(core.config.limits))  # noqa: E731
        lane = core.lane.clients if purpose == "clients" and core.lane is not None else None
        whole = core.lane.wired.take if purpose == "servers" and core.lane is not None else None
        listener = Listener(how.handler, how.limits, how.tls, sinks, how.link, lane, whole)
        try:
            await listener.open(address)
        except OSError as problem:
            raise AddressInUse(address=address, purpose=purpose, reason=problem.strerror or "refused") from None
        return listener

    def _how(self, purpose: str, config: NodeConfig, connections: Connections) -> _How:
        parts = self._parts
        clients, servers = _limits(config.limits)
        clients = replace(clients, refusal=parts.consumer.refusal)
        if purpose == "clients":
            return _How(parts.consumer.handle, clients)
        if purpose == "clients_tls":
            return _How(parts.consumer.handle, clients, connections.clients_context())
        if purpose == "servers":
            link = self._link if config.link and config.peer_tls else None
            return _How(parts.provider.handle, servers, parts.contexts.listener if config.peer_tls else None, link)
        handlers = {"ocsp": parts.ocsp.handle, "admin": parts.admin.handle, "acme": self._challenges.handle}
        return _How(handlers[purpose], _SMALL)

    def _link(self, lost: Callable[[LinkServer], None]) -> LinkServer:
        return LinkServer(self._parts.core, self._parts.provider, lost)

    # --- the end ---

    def close(self) -> None:
        """Take no more connections."""
        for listener in self._open.values():
            listener.close()

    def stop(self) -> None:
        """Connections end when what is under way on them is answered."""
        for connection in self._connections():
            connection.stop()

    @property
    def busy(self) -> bool:
        return any(connection.busy for connection in self._connections())

    def _connections(self) -> list[HttpProtocol | Entrance | ClientConnection]:
        return [one for listener in (*self._open.values(), *self._leaving) for one in listener.connections]


def _limits(limits: LimitSettings) -> tuple[ServerLimits, ServerLimits]:
    """Of the client listeners, and of the server listener: a message has other parts beside its body."""
    many, each, bodies = limits.connections, limits.connections_per_address, max(limits.bodies, limits.memory)
    of_clients = ServerLimits(limits.body, many, each, bodies, memory=limits.memory, spool=limits.spool)
    return of_clients, replace(of_clients, body=limits.body + ROOM)


def addresses(config: NodeConfig) -> dict[str, Address]:
    """Where a node listens, by purpose."""
    found = {
        "clients": config.clients_address,
        "clients_tls": config.clients_tls_address,
        "servers": config.servers_address,
        "ocsp": config.ocsp_address,
        "admin": config.admin_address,
    }
    settings = read_settings(config)
    if settings is not None:
        found["acme"] = settings.challenge
    return {purpose: address for purpose, address in found.items() if address is not None}
