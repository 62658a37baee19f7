"""Between rows and values: the decisions of this room take values, the tables keep rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from kerege.delivery.criteria import Gate, Layer, parse_gate
from kerege.delivery.errors import NotThere
from kerege.delivery.evaluate import Evaluation, Verdict
from kerege.delivery.facts import Evidence, Owners, Subject
from kerege.delivery.gates import Assessment, SignOff, Waiver, assess
from kerege.delivery.models import (
    AssessmentRecord,
    EvidenceRecord,
    GateEdition,
    PublicServiceEntry,
    Release,
    SignOffRecord,
    WaiverRecord,
)
from kerege.ground.ids import new_id
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter


def entry_of(public_service: str) -> PublicServiceEntry:
    people = ("policy_owner", "policy_deputy", "technical_owner", "technical_deputy")
    row = PublicServiceEntry.objects.filter(public_service=public_service).select_related(*people).first()
    if row is None:
        raise NotThere(kind="public service", name=public_service)
    return row


def owners_of(entry: PublicServiceEntry) -> Owners:
    return Owners(
        policy_owner=entry.policy_owner.person_id,
        policy_deputy=entry.policy_deputy.person_id,
        technical_owner=entry.technical_owner.person_id,
        technical_deputy=entry.technical_deputy.person_id,
    )


def in_office(entry: PublicServiceEntry) -> tuple[str, ...]:
    """Those of the four who have not left."""
    people = (entry.policy_owner, entry.policy_deputy, entry.technical_owner, entry.technical_deputy)
    return tuple(person.person_id for person in people if person.left_at is None)


def current_release(public_service: str) -> Release:
    row = Release.objects.filter(entry__public_service=public_service).order_by("-pk").first()
    if row is None:
        raise NotThere(kind="release of", name=public_service)
    return row


def edition_row(gate_id: str) -> GateEdition | None:
    """The newest edition, whose gate is in force."""
    return GateEdition.objects.filter(gate=gate_id).order_by("-edition").first()


def edition_of(public_service: str) -> GateEdition:
    row = GateEdition.objects.filter(public_service=public_service).order_by("-pk").first()
    if row is None:
        raise NotThere(kind="gate of", name=public_service)
    return row


def gate_of(row: GateEdition) -> Gate:
    return parse_gate(row.body, f"{row.gate} edition {row.edition}")


def evidence_for(public_service: str, until: datetime | None = None) -> list[Evidence]:
    """Every piece of evidence. One that no longer matches its digest keeps its place in time and loses its facts.

    Leaving it out would let an older piece speak in its stead, which is what whoever changed it may have wanted.
    """
    rows = EvidenceRecord.objects.filter(public_service=public_service).order_by("pk")
    if until is not None:
        rows = rows.filter(collected_at__lte=until)
    pieces = []
    for row in rows:
        piece = Evidence(
            criterion=row.criterion,
            subject=Subject(row.public_service, row.release, row.window_start, row.window_end),
            facts=row.facts,
            sample=row.sample,
            collector=row.collector,
            collected_at=row.collected_at,
        )
        pieces.append(piece if piece.digest() == row.digest else replace(piece, facts={}, sample=0))
    return pieces


def look(public_service: str, now: datetime) -> Assessment:
    """The gate as it looks now, without writing anything down."""
    edition = edition_of(public_service)
    return assess(
        gate_of(edition),
        evidence_for(public_service, now),
        waivers_for(public_service),
        now,
        release=current_release(public_service).digest,
        eased=edition.eased,
    )


def keep(assessment: Assessment, ledger: LedgerWriter, now: datetime) -> AssessmentRecord:
    """Write an assessment down, facts and all, in the ledger and in the table. Call it inside a transaction."""
    body = assessment.as_dict()
    receipt = receipts.write(ledger, "evaluation", {"digest": assessment.digest(), **body}, now)
    return AssessmentRecord.objects.create(
        assessment_id=new_id("assessment"),
        gate=assessment.gate,
        public_service=assessment.public_service,
        release=assessment.release,
        verdict=assessment.verdict.value,
        body=body,
        digest=assessment.digest(),
        at=assessment.at,
        ledger_index=receipt.index,
    )


def waivers_for(public_service: str) -> list[Waiver]:
    return [
        Waiver(
            criterion=row.criterion,
            release=row.release,
            reason=row.reason,
            control=row.control,
            signers=tuple((person, Layer(layer)) for person, layer in row.signers),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            renewals=row.renewals,
        )
        for row in WaiverRecord.objects.filter(public_service=public_service).order_by("pk")
    ]


def assessment_row(assessment_id: str) -> AssessmentRecord:
    row = AssessmentRecord.objects.filter(assessment_id=assessment_id).first()
    if row is None:
        raise NotThere(kind="assessment", name=assessment_id)
    return row


def assessment_of(row: AssessmentRecord) -> Assessment:
    body = row.body
    return Assessment(
        gate=body["gate"],
        gate_digest=body["gate_digest"],
        public_service=body["public_service"],
        release=body["release"],
        at=datetime.fromisoformat(body["at"]),
        verdict=Verdict(body["verdict"]),
        evaluations=tuple(_evaluation(e) for e in body["evaluations"]),
        waived=tuple(body["waived"]),
        waivers=tuple(body["waivers"]),
        eased=tuple(body["eased"]),
    )


def signatures_of(row: AssessmentRecord) -> list[SignOff]:
    rows = SignOffRecord.objects.filter(assessment=row).select_related("person").order_by("pk")
    return [SignOff(s.person.person_id, Layer(s.layer), s.digest, s.at) for s in rows]


def _evaluation(raw: dict[str, Any]) -> Evaluation:
    return Evaluation(
        criterion=raw["criterion"],
        version=raw["version"],
        verdict=Verdict(raw["verdict"]),
        reasons=tuple(raw["reasons"]),
        facts=raw["facts"],
        sample=raw["sample"],
        evidence=raw["evidence"],
    )
