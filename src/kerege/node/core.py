"""What the consumer's and the provider's side of a node share: configuration, keys, log, connections, clock, and their errors."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kerege.exchange.faults import Fault, fault_of, internal_fault
from kerege.exchange.opmon import Exchange
from kerege.ground.errors import KeregeError
from kerege.node.conf.keeper import Keeper, Picture
from kerege.node.config import NodeConfig
from kerege.node.connections import Connections
from kerege.node.contracts.contracting import Contracting
from kerege.node.contracts.translate import WireTranslation
from kerege.node.http.client import Pool
from kerege.node.keys.pairs import NodeKeys
from kerege.node.link.bodies import Room
from kerege.node.log.commit import CommitLog
from kerege.node.log.records import Recorder
from kerege.node.ocsp.revocation import Revocation
from kerege.node.peers import Peers
from kerege.node.plans import Plans
from kerege.node.rights import Rights
from kerege.node.routes import Routes
from kerege.node.sealing import Sealing
from kerege.node.telling.monitoring import Monitor

if TYPE_CHECKING:
    from kerege.node.lane.whole import Lane
    from kerege.node.link.client import Link

_LOG: Final = logging.getLogger("kerege.node")


def utc_now() -> datetime:
    return datetime.now(UTC)


_READY: list[str] = []
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_uuid() -> str:
    """A random UUID (version 4) as text; many are made from one question to the system."""
    if not _READY:
        whole = os.urandom(16 * 256).hex()
        for at in range(0, len(whole), 32):
            h = whole[at : at + 32]
            _READY.append(f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}")
    return _READY.pop()


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Core:
    """The running node's parts."""

    config: NodeConfig
    keys: NodeKeys
    keeper: Keeper
    revocation: Revocation
    log: CommitLog
    recorder: Recorder
    sealing: Sealing
    monitor: Monitor
    rights: Rights
    routes: Routes
    peers: Peers
    agencies: Pool
    connections: Connections
    translation: WireTranslation
    contracting: Contracting
    clock: Callable[[], datetime] = utc_now
    background: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # what must run as long as the node does

    milliseconds = staticmethod(milliseconds)
    plans: Plans[Link] = field(default_factory=Plans)
    lane: Lane | None = None  # the native path, where it was built and is wanted
    requests_room: Room = field(default_factory=Room)  # of links others made
    answers_room: Room = field(default_factory=Room)  # of links this node made
    _registered: tuple[Picture | None, str] = (None, "")

    @property
    def registered_address(self) -> str:
        """Where the global configuration says this server is: so both servers' monitoring records of an exchange name it.

        Collectors pair the records by it. Where it listens, while nothing else is known.
        """
        picture = self.keeper.picture
        if picture is None or picture is not self._registered[0]:
            servers = () if picture is None else picture.shared.servers
            found = next((one.address for one in servers if one.id == self.config.server), None)
            self._registered = (picture, found or self.config.servers_address.host)
        return self._registered[1]

    def fault(self, error: Exception, where: str, exchange: Exchange | None = None) -> Fault:
        """The fault for anything raised while handling a message; a bug leaves its trace in the node's own log.

        exchange   whose client and data service the line in the log names, as far as they were read
        """
        client = service = None
        if exchange is not None:
            client, service = exchange.client, exchange.service
        if isinstance(error, KeregeError):
            fault = fault_of(error, where, self.config.fault_spelling)
            if fault.reference:
                _LOG.info(
                    "fault %s: %s (%s); client %s, data service %s",
                    *(fault.reference, fault.code, error.code, client or "not read", service or "not read"),
                )
            return fault
        reference = str(uuid.uuid4())
        _LOG.error(
            "internal error %s; client %s, data service %s",
            *(reference, client or "not read", service or "not read"),
            exc_info=error,
        )
        return internal_fault(where, reference, self.config.fault_spelling)
