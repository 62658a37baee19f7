"""Opening, closing and reconsidering a public service's permit: the doings that reach the nodes.

Opening takes everyone, closing takes one. The permit is set in `membership`; publishing it is a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from kerege.delivery import gates, records
from kerege.delivery.errors import PermitRefused
from kerege.delivery.gates import Assessment
from kerege.delivery.models import SignOffRecord
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.ground.clock import iso
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter
from kerege.membership import doings as membership
from kerege.membership import queries as network
from kerege.membership.picture import PermitRow
from kerege.membership.states import PermitState


@transaction.atomic
def issue_permit(
    assessment_id: str,
    client: SubsystemId,
    data_services: Sequence[DataServiceId],
    until: datetime,
    ledger: LedgerWriter,
    now: datetime,
) -> PermitRow:
    """Open the gate: set the permit in membership and write it to the ledger. Publishing it is a step of its own.

    Only a signed PASS that is still a PASS on today's evidence opens. Raises PermitRefused with every reason.
    """
    row = records.assessment_row(assessment_id)
    service = row.public_service
    gate = records.gate_of(records.edition_of(service))
    owners = records.owners_of(records.entry_of(service))
    signatures = records.signatures_of(row)
    opening = gates.verdict(gate, records.assessment_of(row), records.look(service, now), owners, signatures)
    reasons = list(opening.reasons)
    if not now < until <= now + gate.permit_for:
        reasons.append(f"it must end within {gate.permit_for.days} days")
    if str(client) not in network.clients_of(service):
        reasons.append(f"{client} is not registered as its client")
    if not data_services:
        reasons.append("it names no data service")
    if reasons:
        raise PermitRefused(public_service=service, reason="; ".join(reasons))
    body = {
        "public_service": service,
        "client": str(client),
        "state": gate.opens.value,
        "data_services": sorted(map(str, data_services)),
        "until": iso(until),
        "assessment": row.ledger_index,
        "digest": row.digest,
        "signatures": sorted(SignOffRecord.objects.filter(assessment=row).values_list("ledger_index", flat=True)),
    }
    receipt = receipts.write(ledger, "permit", body, now)
    membership.set_permit(service, client, gate.opens, data_services, until, receipt, now)
    return _permit(service)


@transaction.atomic
def withdraw_permit(public_service: str, by: str, reason: str, ledger: LedgerWriter, now: datetime) -> PermitRow:
    """Close at once on the word of one owner or deputy: opening takes everyone, closing takes one."""
    owners = records.owners_of(records.entry_of(public_service))
    if by not in (owners.policy_owner, owners.policy_deputy, owners.technical_owner, owners.technical_deputy):
        raise PermitRefused(public_service=public_service, reason=f"{by} is neither owner nor deputy")
    if not reason.strip():
        raise PermitRefused(public_service=public_service, reason="closing needs a reason")
    return _set_state(public_service, PermitState.CLOSED, {"by": by, "reason": reason.strip()}, ledger, now)


@dataclass(frozen=True, slots=True)
class Reconsideration:
    """What a fresh look at the gate did: `permit` is None when nothing had to change."""

    assessment: Assessment
    permit: PermitRow | None


@transaction.atomic
def reconsider(public_service: str, ledger: LedgerWriter, now: datetime) -> Reconsideration:
    """Look at the gate of a running permit again, and tighten the permit when it no longer holds. Never loosens."""
    current = records.look(public_service, now)
    permit = network.current_permit(public_service)
    gate = records.gate_of(records.edition_of(public_service))
    proposed = gates.consequence(gate, current)
    if permit is None or proposed is None or not gates.tighter(permit.state, proposed):
        return Reconsideration(current, None)
    kept = records.keep(current, ledger, now)
    ground = {"assessment": kept.ledger_index, "digest": kept.digest}
    return Reconsideration(current, _set_state(public_service, proposed, ground, ledger, now))


def _set_state(
    public_service: str, state: PermitState, ground: Mapping[str, Any], ledger: LedgerWriter, now: datetime
) -> PermitRow:
    permit = network.current_permit(public_service)
    if permit is None:
        raise PermitRefused(public_service=public_service, reason="it never had one")
    if permit.until <= now:
        state = PermitState.CLOSED  # it has ended anyway
    body = {"public_service": public_service, "client": permit.client, "state": state.value, **ground}
    receipt = receipts.write(ledger, "permit", body, now)
    services = [DataServiceId.parse(code) for code in permit.data_services]
    membership.set_permit(public_service, SubsystemId.parse(permit.client), state, services, permit.until, receipt, now)
    return _permit(public_service)


def _permit(public_service: str) -> PermitRow:
    permit = network.current_permit(public_service)
    assert permit is not None
    return permit
