"""Whether a public service's traffic is open: the second lock, after access rights.

A client subsystem bound to a public service may call nothing until the service's stage gate has passed and an open, unexpired
traffic permit stands in the signed configuration. A client bound to none needs no permit. Checked at the consumer's node before
anything is sent, and again at the provider's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kerege.exchange.ids import ClientId
from kerege.exchange.rules import Permit, Rules
from kerege.ground.clock import require_utc


@dataclass(frozen=True, slots=True)
class PermitDecision:
    """Whether traffic may flow. `reason` is stable: not_bound, open, no_permit, closed, expired."""

    allowed: bool
    reason: str
    public_service: str = ""
    permit: Permit | None = None


def decide_permit(client: ClientId, rules: Rules, now: datetime) -> PermitDecision:
    """Say whether traffic of `client` may flow at `now`, and why.

    Every public service the client is bound to needs its own open permit; of several permits for one the last published counts.
    A permit ends at its last second, inclusive.
    """
    require_utc(now)
    decision = PermitDecision(True, "not_bound")
    for binding in rules.bindings:
        if binding.client.client != client:
            continue
        permit = next(
            (
                p
                for p in reversed(rules.permits)
                if p.client == binding.client and p.public_service == binding.public_service
            ),
            None,
        )
        if permit is None:
            return PermitDecision(False, "no_permit", binding.public_service)
        if permit.state != "open":
            return PermitDecision(False, "closed", binding.public_service, permit)
        if now.replace(microsecond=0) > permit.valid_until:
            return PermitDecision(False, "expired", binding.public_service, permit)
        decision = PermitDecision(True, "open", binding.public_service, permit)
    return decision


def explain(decision: PermitDecision) -> str:
    """The reason of a refusal as a clause."""
    if decision.reason == "no_permit":
        return "no traffic permit was ever given"
    assert decision.permit is not None
    if decision.reason == "expired":
        return f"permit {decision.permit.id} ended {decision.permit.valid_until:%Y-%m-%d %H:%M:%SZ}"
    given = f": {decision.permit.reason}" if decision.permit.reason else ""
    return f"permit {decision.permit.id} is closed{given}"
