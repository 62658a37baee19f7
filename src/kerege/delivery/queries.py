"""What others may ask this room, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from kerege.delivery import records
from kerege.delivery.criteria import Criterion, Gate, Layer
from kerege.delivery.evaluate import Evaluation
from kerege.delivery.facts import Owners
from kerege.delivery.gates import Assessment, SignOff
from kerege.delivery.models import AssessmentRecord, EvidenceRecord, PublicServiceEntry, SignOffRecord
from kerege.ground.text import Text
from kerege.membership.picture import PermitRow
from kerege.membership.queries import current_permit, permit_history


@dataclass(frozen=True, slots=True)
class CriterionView:
    """A criterion with how it looks now."""

    criterion: Criterion
    evaluation: Evaluation
    waived: bool


@dataclass(frozen=True, slots=True)
class SignatureView:
    """Who must sign for a layer, and whether they did."""

    layer: Layer
    signature: SignOff | None
    person_name: str | None


@dataclass(frozen=True, slots=True)
class GateView:
    """Everything the gate's page shows. `now` is the live look; `assessment` the last one written down and up for signing."""

    public_service: str
    name: Text
    owners: Owners
    owner_names: dict[str, str]
    release: str
    gate: Gate
    edition: int
    eased: tuple[str, ...]
    now: Assessment
    criteria: tuple[CriterionView, ...]
    assessment_id: str | None
    assessment: Assessment | None
    assessment_ledger_index: int | None
    signatures: tuple[SignatureView, ...]
    permit: PermitRow | None
    permit_history: tuple[PermitRow, ...]


def gate_view(public_service: str, now: datetime) -> GateView:
    """The gate of a public service as it looks now. Raises NotThere."""
    entry = records.entry_of(public_service)
    edition = records.edition_of(public_service)
    gate = records.gate_of(edition)
    current = records.look(public_service, now)
    last = AssessmentRecord.objects.filter(gate=gate.id).order_by("-pk").first()
    names = _names(entry)
    given: dict[Layer, SignOff] = {}
    if last is not None:
        given = {s.layer: s for s in records.signatures_of(last)}
        for row in SignOffRecord.objects.filter(assessment=last).select_related("person"):
            names.setdefault(row.person.person_id, row.person.display_name)
    return GateView(
        public_service=public_service,
        name=Text(ky=entry.name_ky, ru=entry.name_ru, en=entry.name_en),
        owners=records.owners_of(entry),
        owner_names=names,
        release=current.release,
        gate=gate,
        edition=edition.edition,
        eased=tuple(edition.eased),
        now=current,
        criteria=tuple(
            CriterionView(criterion, evaluation, criterion.id in current.waived)
            for criterion, evaluation in zip(gate.criteria, current.evaluations, strict=True)
        ),
        assessment_id=last.assessment_id if last else None,
        assessment=records.assessment_of(last) if last else None,
        assessment_ledger_index=last.ledger_index if last else None,
        signatures=tuple(
            SignatureView(layer, given.get(layer), names.get(given[layer].person) if layer in given else None)
            for layer in gate.layers
        ),
        permit=current_permit(public_service),
        permit_history=permit_history(public_service),
    )


def public_services() -> tuple[str, ...]:
    """Every public service in the register."""
    return tuple(PublicServiceEntry.objects.order_by("public_service").values_list("public_service", flat=True))


class LedgerRecord(Protocol):
    """What the gap check needs of a ledger's entry."""

    @property
    def kind(self) -> str: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


def evidence_gaps(public_service: str, entries: Iterable[LedgerRecord]) -> tuple[str, ...]:
    """Digests of evidence the ledger knows and the table no longer holds: someone took evidence out."""
    listed = [
        str(e.body["digest"]) for e in entries if e.kind == "evidence" and e.body["public_service"] == public_service
    ]
    held = set(EvidenceRecord.objects.filter(public_service=public_service).values_list("digest", flat=True))
    return tuple(mark for mark in listed if mark not in held)


def _names(entry: PublicServiceEntry) -> dict[str, str]:
    people = (entry.policy_owner, entry.policy_deputy, entry.technical_owner, entry.technical_deputy)
    return {person.person_id: person.display_name for person in people}
