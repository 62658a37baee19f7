"""What the consumer's and the provider's side of a node share: configuration, keys, log, connections, clock, and their errors."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kerege.exchange import rest
from kerege.exchange.access import REASONS, decide
from kerege.exchange.errors import AccessDenied, PermitClosed
from kerege.exchange.faults import Fault, fault_of, internal_fault
from kerege.exchange.ids import ClientId
from kerege.exchange.permits import decide_permit, explain
from kerege.exchange.rest import RestRequest
from kerege.ground.errors import KeregeError
from kerege.node.commit import CommitLog
from kerege.node.config import NodeConfig
from kerege.node.httpclient import Pool
from kerege.node.keeper import Keeper, Picture
from kerege.node.keys import NodeKeys
from kerege.node.monitoring import Monitor
from kerege.node.revocation import Revocation
from kerege.node.translate import WireTranslation

_LOG: Final = logging.getLogger("kerege.node")


def utc_now() -> datetime:
    return datetime.now(UTC)


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
    monitor: Monitor
    peers: Pool
    agencies: Pool
    translation: WireTranslation
    clock: Callable[[], datetime] = utc_now
    background: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # what must run as long as the node does

    def fault(self, error: Exception, where: str) -> Fault:
        """The fault for anything raised while handling a message; a bug leaves its trace in the node's own log."""
        if isinstance(error, KeregeError):
            return fault_of(error, where, self.config.fault_spelling)
        reference = str(uuid.uuid4())
        _LOG.error("internal error %s", reference, exc_info=error)
        return internal_fault(where, reference, self.config.fault_spelling)


def check_permit(client: ClientId, picture: Picture, now: datetime) -> None:
    """Raises PermitClosed when the client's traffic may not flow."""
    verdict = decide_permit(client, picture.rules, now)
    if not verdict.allowed:
        raise PermitClosed(client=client, public_service=verdict.public_service, reason=explain(verdict))


def check_access(request: RestRequest, picture: Picture, now: datetime) -> None:
    """Raises AccessDenied (or PathRefused) when no right covers the call."""
    path = rest.decision_path(request.path)
    groups = picture.shared.groups_of(request.client)
    decision = decide(request.client, request.service, request.verb, path, picture.rules, groups, now)
    if not decision.allowed:
        raise AccessDenied(client=request.client, service=request.service, reason=REASONS[decision.reason])
