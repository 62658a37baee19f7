"""May this person do this here? Pure: rows in, a verdict with its reason out.

Deny by default and least privilege: a grant names one role, one scope and an end; no role contains everything and no scope
means everywhere. Source: ARCHITECTURE.md section 2 (`identity`); X-Road's rule that all access is denied until granted,
kept for people as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kerege.ground.clock import require_utc


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """One grant as far as the decision needs it."""

    grant_id: str
    person: str
    role: str
    actions: frozenset[str]
    scope: str
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """`reason` is one of granted, no_grant, other_scope, not_yet, ended, revoked; `grant` names the one that allowed."""

    allowed: bool
    reason: str
    grant: str | None = None


# The nearest miss explains best: someone whose grant ended yesterday should read that, not "no grant".
_NEARNESS = ("no_grant", "other_scope", "revoked", "ended", "not_yet")


def may(person: str, action: str, scope: str, grants: Iterable[GrantFacts], now: datetime) -> Access:
    """Say whether `person` may do `action` on `scope` at `now`; a grant ends at its last moment, inclusive."""
    require_utc(now)
    nearest = "no_grant"
    for grant in grants:
        if grant.person != person or action not in grant.actions:
            continue
        if grant.scope != scope:
            miss = "other_scope"
        elif grant.revoked_at is not None and grant.revoked_at <= now:
            miss = "revoked"
        elif now > grant.valid_until:
            miss = "ended"
        elif now < grant.valid_from:
            miss = "not_yet"
        else:
            return Access(True, "granted", grant.grant_id)
        nearest = max(nearest, miss, key=_NEARNESS.index)
    return Access(False, nearest)
