"""What changes on the way to a permit, one transaction and (where it binds) one ledger entry each.

Opening, closing and reconsidering the permit itself are in `delivery.permits`, and offered here as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from kerege.delivery import gates, records
from kerege.delivery.criteria import OWNER_LAYERS, Gate, Layer, loosened
from kerege.delivery.errors import (
    CriterionChanged,
    EvidenceRefused,
    LooserUnsigned,
    OwnersInvalid,
    SignatureRefused,
    WaiverRefused,
)
from kerege.delivery.facts import Evidence, Owners, Subject, collect_owners
from kerege.delivery.gates import Waiver
from kerege.delivery.models import (
    AssessmentRecord,
    CriterionVersion,
    EvidenceRecord,
    GateEdition,
    PublicServiceEntry,
    Release,
    SignOffRecord,
    WaiverRecord,
)
from kerege.delivery.permits import issue_permit, reconsider, withdraw_permit
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.ground.text import Text
from kerege.identity import queries as identity
from kerege.identity import receipts
from kerege.identity.errors import NotKnown
from kerege.identity.models import Person
from kerege.identity.receipts import LedgerWriter

__all__ = [
    "adopt_gate",
    "assess",
    "issue_permit",
    "make_release",
    "measure_owners",
    "reconsider",
    "record_evidence",
    "register_service",
    "sign",
    "waive",
    "withdraw_permit",
]

COLLECT = "delivery.collect"


def scope_of(public_service: str) -> str:
    """The scope in which grants for this public service are given."""
    return f"public-service:{public_service}"


def sign_action(layer: Layer) -> str:
    """The action a role needs to sign for a layer other than an owner's."""
    return f"delivery.sign.{layer.value.lower()}"


@transaction.atomic
def register_service(public_service: str, name: Text, owners: Owners, now: datetime) -> PublicServiceEntry:
    """Enter a public service with its four people, or give it new ones. Raises OwnersInvalid."""
    faults = owners.faults()
    if faults:
        raise OwnersInvalid(public_service=public_service, reason="; ".join(faults))
    entry = PublicServiceEntry.objects.filter(public_service=public_service).first() or PublicServiceEntry(
        public_service=public_service, registered_at=require_utc(now)
    )
    entry.name_ky, entry.name_ru, entry.name_en = name.ky, name.ru, name.en
    entry.policy_owner = _person(owners.policy_owner)
    entry.policy_deputy = _person(owners.policy_deputy)
    entry.technical_owner = _person(owners.technical_owner)
    entry.technical_deputy = _person(owners.technical_deputy)
    entry.save()
    return entry


@transaction.atomic
def make_release(public_service: str, content: Mapping[str, Any], now: datetime) -> Release:
    """The release with this content; unchanged content is the release there is. New content needs new evidence."""
    entry = records.entry_of(public_service)
    last = Release.objects.filter(entry=entry).order_by("-pk").first()
    mark = digest(dict(content))
    if last is not None and last.digest == mark:
        return last
    return Release.objects.create(entry=entry, digest=mark, content=dict(content), made_at=require_utc(now))


@transaction.atomic
def adopt_gate(gate: Gate, ledger: LedgerWriter, now: datetime, signed_by: Sequence[str] = ()) -> GateEdition:
    """Put an edition of a gate in force; the edition in force already is left as it is.

    Raises CriterionChanged when a known version says something new, LooserUnsigned when an easing lacks an owner's signature.
    """
    entry = records.entry_of(gate.public_service)
    last = records.edition_row(gate.id)
    if last is not None and last.digest == gate.digest():
        return last
    eased: tuple[str, ...] = ()
    if last is not None:
        eased = loosened(records.gate_of(last), gate)
        owners = records.owners_of(entry)
        missing = sorted({owners.policy_owner, owners.technical_owner} - set(signed_by))
        if eased and missing:
            raise LooserUnsigned(gate=gate.id, what="; ".join(eased), missing=", ".join(missing))
    for criterion in gate.criteria:
        key = {"gate": gate.id, "criterion": criterion.id, "version": criterion.version}
        known = CriterionVersion.objects.filter(**key).first()
        if known is None:
            CriterionVersion.objects.create(
                **key, digest=criterion.digest(), body=criterion.as_dict(), adopted_at=require_utc(now)
            )
        elif known.digest != criterion.digest():
            raise CriterionChanged(criterion=criterion.id, version=criterion.version)
    edition = last.edition + 1 if last else 1
    body = {
        "gate": gate.id,
        "edition": edition,
        "digest": gate.digest(),
        "eased": list(eased),
        "signed_by": sorted(signed_by),
    }
    receipt = receipts.write(ledger, "gate-edition", body, now)
    return GateEdition.objects.create(
        gate=gate.id,
        public_service=gate.public_service,
        edition=edition,
        body=gate.as_dict(),
        digest=gate.digest(),
        eased=list(eased),
        signed_by=sorted(signed_by),
        adopted_at=now,
        ledger_index=receipt.index,
    )


@transaction.atomic
def record_evidence(evidence: Evidence, ledger: LedgerWriter, now: datetime) -> EvidenceRecord:
    """Keep a piece of evidence; recording the same piece again changes nothing.

    A person needs the right to collect; evidence from the future, or over a window that has not ended, is refused.
    """
    service = evidence.subject.public_service
    gate = records.gate_of(records.edition_of(service))
    criterion = gate.criterion(evidence.criterion)
    if criterion is None:
        raise EvidenceRefused(criterion=evidence.criterion, reason=f"the gate {gate.id} has no such criterion")
    if not Release.objects.filter(entry__public_service=service, digest=evidence.subject.release).exists():
        raise EvidenceRefused(criterion=criterion.id, reason="the release it names is not known")
    if evidence.collected_at > require_utc(now) or evidence.subject.window_end > evidence.collected_at:
        raise EvidenceRefused(criterion=criterion.id, reason="its window has not ended, or it comes from the future")
    if evidence.sample < 0:
        raise EvidenceRefused(criterion=criterion.id, reason="its sample is negative")
    if evidence.person is not None:
        if criterion.measured:
            raise EvidenceRefused(
                criterion=criterion.id, reason="the platform measures this itself, nobody declares it"
            )
        identity.require(evidence.person, COLLECT, scope_of(service), now)
    elif not evidence.by_platform:
        raise EvidenceRefused(criterion=criterion.id, reason="it does not say who or what collected it")
    known = EvidenceRecord.objects.filter(digest=evidence.digest()).first()
    if known is not None:
        return known
    receipt = receipts.write(ledger, "evidence", {"digest": evidence.digest(), **evidence.as_dict()}, now)
    return EvidenceRecord.objects.create(
        criterion=evidence.criterion,
        public_service=service,
        release=evidence.subject.release,
        facts=dict(evidence.facts),
        sample=evidence.sample,
        window_start=evidence.subject.window_start,
        window_end=evidence.subject.window_end,
        collector=evidence.collector,
        collected_at=evidence.collected_at,
        digest=evidence.digest(),
        ledger_index=receipt.index,
    )


def measure_owners(public_service: str, ledger: LedgerWriter, now: datetime) -> EvidenceRecord:
    """Collect G1-01 from the register itself."""
    entry = records.entry_of(public_service)
    subject = Subject(public_service, records.current_release(public_service).digest, now, now)
    return record_evidence(
        collect_owners(records.owners_of(entry), records.in_office(entry), subject, now), ledger, now
    )


@transaction.atomic
def waive(public_service: str, waiver: Waiver, ledger: LedgerWriter, now: datetime) -> WaiverRecord:
    """Grant a signed exception for a criterion of the current release. Raises WaiverRefused with every reason."""
    gate = records.gate_of(records.edition_of(public_service))
    criterion = gate.criterion(waiver.criterion)
    if criterion is None:
        raise WaiverRefused(criterion=waiver.criterion, reason=f"the gate {gate.id} has no such criterion")
    earlier = WaiverRecord.objects.filter(
        public_service=public_service, criterion=waiver.criterion, release=waiver.release
    ).count()
    faults = [*gates.waiver_faults(waiver, criterion)]
    if earlier > gates.WAIVER_RENEWALS or waiver.renewals != earlier:
        faults.append(f"it was waived {earlier} times before, and may be renewed once")
    if waiver.valid_from < require_utc(now) - timedelta(minutes=5):
        faults.append("it would begin in the past")
    faults += [f"{person}: {why}" for person, layer in waiver.signers for why in _may_sign(gate, person, layer, now)]
    if faults:
        raise WaiverRefused(criterion=criterion.id, reason="; ".join(faults))
    receipt = receipts.write(ledger, "waiver", {"public_service": public_service, **waiver.as_dict()}, now)
    return WaiverRecord.objects.create(
        public_service=public_service,
        criterion=waiver.criterion,
        release=waiver.release,
        reason=waiver.reason,
        control=waiver.control,
        signers=[[person, layer.value] for person, layer in waiver.signers],
        valid_from=waiver.valid_from,
        valid_until=waiver.valid_until,
        renewals=waiver.renewals,
        ledger_index=receipt.index,
    )


@transaction.atomic
def assess(public_service: str, ledger: LedgerWriter, now: datetime) -> AssessmentRecord:
    """Look at the gate and write down what was seen, so that it can be signed."""
    return records.keep(records.look(public_service, now), ledger, now)


@transaction.atomic
def sign(assessment_id: str, person: str, layer: Layer, ledger: LedgerWriter, now: datetime) -> SignOffRecord:
    """Sign an assessment for a layer. Raises SignatureRefused with every reason."""
    row = records.assessment_row(assessment_id)
    gate = records.gate_of(records.edition_of(row.public_service))
    rested_on = {e["evidence"] for e in row.body["evaluations"]}
    evidence = [piece for piece in records.evidence_for(row.public_service) if piece.digest() in rested_on]
    owners = records.owners_of(records.entry_of(row.public_service))
    given = records.signatures_of(row)
    faults = [*gates.signature_faults(person, layer, gate, owners, evidence, given)]
    if layer not in OWNER_LAYERS:
        faults += _may_sign(gate, person, layer, now)
    if digest(row.body) != row.digest:
        faults.append("the assessment is not what was written down")
    newest = AssessmentRecord.objects.filter(gate=row.gate).order_by("-pk").values_list("pk", flat=True).first()
    if newest != row.pk:
        faults.append("there is a newer assessment")
    if faults:
        raise SignatureRefused(person=person, assessment=assessment_id, layer=layer, reason="; ".join(faults))
    body = {
        "assessment": row.ledger_index,
        "digest": row.digest,
        "person": person,
        "layer": layer.value,
        "verdict": row.verdict,
    }
    receipt = receipts.write(ledger, "sign-off", body, now)
    return SignOffRecord.objects.create(
        assessment=row, person=_person(person), layer=layer.value, digest=row.digest, at=now, ledger_index=receipt.index
    )


def _may_sign(gate: Gate, person: str, layer: Layer, now: datetime) -> list[str]:
    """Why `person` may not speak for `layer`: owners are appointed, the others hold a grant."""
    owners = records.owners_of(records.entry_of(gate.public_service))
    if layer in OWNER_LAYERS:
        owner = owners.policy_owner if layer is Layer.POL else owners.technical_owner
        return [] if person == owner else [f"only the owner speaks for {layer}"]
    answer = identity.access(person, sign_action(layer), scope_of(gate.public_service), now)
    return [] if answer.allowed else [f"no right to sign for {layer} ({answer.reason})"]


def _person(person_id: str) -> Person:
    row = Person.objects.filter(person_id=person_id, left_at=None).first()
    if row is None:
        raise NotKnown(kind="person in office", name=person_id)
    return row
