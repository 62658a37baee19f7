"""Who may call what at this node: rights of the signed configuration and of the node's own file, with its local groups.

Denied by default; a permit is the second lock (`exchange.permits`). Decisions are `exchange.access`'s, on the decoded, normalised path.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from kerege.exchange.access import REASONS, Decision, decide
from kerege.exchange.errors import AccessDenied, ClientDisabled, PeerUntrusted, PermitClosed
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import ClientId, SubsystemId
from kerege.exchange.permits import decide_permit, explain
from kerege.exchange.rules import Right, Rules
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import NodeConfig
from kerege.node.message import Asked

_SECOND: Final = timedelta(seconds=1)


class Rights:
    """The access decisions of one node."""

    def __init__(self, config: NodeConfig) -> None:
        self._local = tuple(
            Right(f"local-{service.id}-{number}", _holder(right.to), service.id.unversioned, right.method, right.path)
            for service in config.services.values()
            for number, right in enumerate(service.rights, 1)
        )
        self._groups = _memberships(config)
        self._server = config.server
        self._merged: tuple[Rules, Rules] | None = None

    def rules(self, picture: Picture) -> Rules:
        """The configuration's rules with the node's own rights beside."""
        if not self._local:
            return picture.rules
        merged = self._merged
        if merged is None or merged[0] is not picture.rules:
            r = picture.rules
            whole = Rules(r.instance, r.version, r.rights + self._local, r.bindings, r.permits, r.contracts)
            merged = self._merged = (r, whole)
        return merged[1]

    def groups_of(self, client: ClientId, picture: Picture) -> frozenset[str]:
        """The codes of all groups the client is in, as `rules` names them."""
        return picture.shared.groups_of(client) | self._groups.get(client, frozenset())

    def decide(self, asked: Asked, picture: Picture, now: datetime, *, method: str = "", path: str = "") -> Decision:
        """Whether the call may pass; `method` and `path` in place of the call's own, for lists of what a client may do."""
        groups = picture.shared.groups_of(asked.client) | self._groups.get(asked.client, frozenset())
        service = asked.service
        if service.version is not None:  # a right is for a service code, whatever its version
            service = service.unversioned
        return decide(
            asked.client, service, method or asked.method, path or asked.path, self.rules(picture), groups, now
        )

    def check(self, asked: Asked, picture: Picture, now: datetime) -> Right | None:
        """The right that covers the call. Raises AccessDenied when none does."""
        decision = self.decide(asked, picture, now)
        if not decision.allowed:
            reason, do = REASONS[decision.reason], self._grant(asked, decision.reason)
            raise AccessDenied(client=asked.client, service=asked.service, reason=reason, server=self._server, do=do)
        return decision.right

    def _grant(self, asked: Asked, reason: str) -> str:
        """How the right that is missing is granted, as it is typed; the path that was asked for is not told, it may name a person."""
        client, service = asked.client, asked.service.unversioned
        own = f"under services.{asked.service}.rights in the file of the node {self._server}"
        if client.subsystem is None:
            return (
                "A right is for a subsystem or a group, not for a member: call in the name of one of its subsystems, or the data"
                f" service's owner grants a right to a group that {client} is in, {own}."
            )
        more = {"method": f" --method {asked.method}", "path": " --path PATH"}.get(reason, "")
        what = {"method": f" for the method {asked.method}", "path": " for the path that was called"}.get(reason, "")
        return (
            f"The data service's owner grants a right{what}: {own}, or in the signed configuration with"
            f" kerege network grant {client} {service}{more} --until DAY --by NAME."
        )


def check_permit(client: ClientId, picture: Picture, now: datetime) -> None:
    """Raises PermitClosed when the client's traffic may not flow."""
    if not picture.rules.bindings:
        return
    verdict = decide_permit(client, picture.rules, now)
    if not verdict.allowed:
        raise PermitClosed(client=client, public_service=verdict.public_service, reason=explain(verdict))


def permits_end(client: ClientId, picture: Picture, now: datetime) -> list[datetime]:
    """When permits of the client that hold now do no more: after the second they name."""
    ends = [p.valid_until + _SECOND for p in picture.rules.permits if p.client.client == client]
    return [end for end in ends if end > now]


def not_at(client: ClientId, server: SecurityServer, picture: Picture) -> PeerUntrusted:
    """What refuses a client that `server` has not. One that is disabled is only left out there: no certificate is wrong."""
    reason = f"{client} is not registered at it"
    if client.subsystem is not None and picture.shared.is_registered(client):
        reason = (
            f"{client} takes no part at it: it is disabled at the central services, or not registered at that server"
        )
    return PeerUntrusted(peer=server.id, reason=reason, do=ClientDisabled.hint.format(client=client, server=server.id))


def _holder(to: str) -> SubsystemId | str:
    """As `exchange.rules` writes holders; a local group cannot be taken for a global one of the same code."""
    kind, colon, code = to.partition(":")
    if not colon:
        return SubsystemId.parse(to)
    return f"group:{code}" if kind == "group" else f"group:local:{code}"


def _memberships(config: NodeConfig) -> Mapping[ClientId, frozenset[str]]:
    out: dict[ClientId, set[str]] = {}
    for group in config.local_groups.values():
        for member in group.members:
            out.setdefault(member, set()).add(f"local:{group.code}")
    return {member: frozenset(codes) for member, codes in out.items()}
