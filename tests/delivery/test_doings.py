"""From registration to a signed assessment, in the tables and in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from kerege.delivery import doings, queries, records
from kerege.delivery.criteria import Gate, Layer
from kerege.delivery.errors import (
    CriterionChanged,
    EvidenceRefused,
    LooserUnsigned,
    NotThere,
    OwnersInvalid,
    PermitRefused,
    SignatureRefused,
    WaiverRefused,
)
from kerege.delivery.evaluate import Verdict
from kerege.delivery.facts import (
    Subject,
)
from kerege.delivery.gates import Waiver
from kerege.delivery.models import EvidenceRecord, PublicServiceEntry
from kerege.identity import doings as identity
from kerege.identity.errors import AccessRefused, NotKnown
from kerege.ledger.log import Ledger

from .support import (
    GATE,
    HOUR,
    NAME,
    NOW,
    OWNERS,
    SCOPE,
    SERVICE,
    by_hand,
    collect_everything,
    issue,
    measured,
    open_gate,
    sign_everything,
)

pytestmark = pytest.mark.django_db


def test_a_new_release_needs_evidence_of_its_own(service: str, log: Ledger) -> None:
    collect_everything(log)
    doings.make_release(SERVICE, {"mappings": ["kg:population.person/2"]}, NOW)
    row = doings.assess(SERVICE, log, NOW)
    assert row.verdict == "NO-EVIDENCE"
    assert {e.reasons for e in records.assessment_of(row).evaluations} == {("other-release",)}


def test_unchanged_content_is_no_new_release(service: str) -> None:
    first = records.current_release(SERVICE)
    assert doings.make_release(SERVICE, dict(first.content), NOW).pk == first.pk


def test_nobody_signs_evidence_they_collected(service: str, log: Ledger) -> None:
    identity.grant_role("farida", "secretary", SCOPE, NOW + timedelta(9), granted_by="aida", ledger=log, now=NOW)
    collect_everything(log)
    doings.record_evidence(by_hand("G2-07", NOW + HOUR, "farida"), log, NOW + HOUR)
    row = doings.assess(SERVICE, log, NOW + HOUR)
    with pytest.raises(SignatureRefused, match="collected part of the evidence"):
        doings.sign(row.assessment_id, "farida", Layer.DPO, log, NOW + HOUR)


def test_a_layer_is_signed_by_whoever_holds_its_right_and_nobody_else(service: str, log: Ledger) -> None:
    row = doings.assess(SERVICE, log, NOW)
    with pytest.raises(SignatureRefused, match="no right to sign for DPO"):
        doings.sign(row.assessment_id, "gulnara", Layer.DPO, log, NOW)
    with pytest.raises(SignatureRefused, match="only the policy owner"):
        doings.sign(row.assessment_id, "bermet", Layer.POL, log, NOW)
    doings.sign(row.assessment_id, "aida", Layer.POL, log, NOW)
    with pytest.raises(SignatureRefused, match="signed already"):
        doings.sign(row.assessment_id, "aida", Layer.POL, log, NOW)


def test_a_changed_assessment_cannot_be_signed_and_its_signatures_fall(service: str, log: Ledger) -> None:
    collect_everything(log)
    row = doings.assess(SERVICE, log, NOW)
    sign_everything(log, row)
    body = dict(row.body) | {"verdict": "PASS", "eased": ["nothing to see"]}
    import json

    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_assessmentrecord SET body = %s WHERE id = %s", [json.dumps(body), row.pk])
    with pytest.raises(PermitRefused, match="POL has not signed"):
        issue(log, row)


def test_evidence_changed_in_the_table_says_nothing_any_more(service: str, log: Ledger) -> None:
    collect_everything(log)
    doings.record_evidence(replace(measured()[3], facts={"leaked": 2, "undecided": 0}), log, NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE delivery_evidencerecord SET facts = '{"leaked": 0, "undecided": 0}' WHERE criterion = 'G2-04'"""
        )
    evaluation = next(e for e in records.look(SERVICE, NOW).evaluations if e.criterion == "G2-04")
    assert evaluation.verdict is Verdict.NO_EVIDENCE


def test_evidence_taken_out_of_the_table_shows_against_the_ledger(service: str, log: Ledger) -> None:
    collect_everything(log)
    assert queries.evidence_gaps(SERVICE, log.entries()) == ()
    mark = EvidenceRecord.objects.get(criterion="G2-04").digest
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_evidencerecord WHERE criterion = 'G2-04'")
    assert queries.evidence_gaps(SERVICE, log.entries()) == (mark,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"criterion": "G9-99"}, "no such criterion"),
        ({"collector": "nobody"}, "who or what collected it"),
        ({"collected_at": NOW + HOUR}, "future"),
        ({"sample": -1}, "negative"),
        ({"collector": "person:eldar"}, "nobody declares it"),
        ({"subject": Subject(SERVICE, "cd" * 32, NOW, NOW)}, "release"),
    ],
)
def test_malformed_evidence_is_refused_and_leaves_no_trace(
    service: str, log: Ledger, change: dict[str, Any], reason: str
) -> None:
    before = log.size
    with pytest.raises(EvidenceRefused, match=reason):
        doings.record_evidence(replace(measured()[0], **change), log, NOW)
    assert (log.size, EvidenceRecord.objects.count()) == (before, 0)


def test_only_those_with_the_right_to_collect_provide_evidence_by_hand(service: str, log: Ledger) -> None:
    with pytest.raises(AccessRefused, match="farida"):
        doings.record_evidence(by_hand("G2-07", person="farida"), log, NOW)


def test_the_same_piece_of_evidence_is_kept_once(service: str, log: Ledger) -> None:
    first = doings.record_evidence(measured()[0], log, NOW)
    size = log.size
    assert doings.record_evidence(measured()[0], log, NOW).pk == first.pk
    assert log.size == size


def test_owners_are_four_people_and_the_database_knows_it_too(service: str) -> None:
    with pytest.raises(OwnersInvalid, match="one person"):
        doings.register_service(SERVICE, NAME, replace(OWNERS, technical_owner="aida"), NOW)
    with pytest.raises(NotKnown, match="zarina"):
        doings.register_service(SERVICE, NAME, replace(OWNERS, policy_owner="zarina"), NOW)
    entry = PublicServiceEntry.objects.get()
    entry.technical_owner = entry.policy_owner
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save()
    assert records.owners_of(records.entry_of(SERVICE)) == OWNERS


def _with(gate: Gate, **change: Any) -> Gate:
    """The gate with its fourth criterion (G2-01) changed."""
    return replace(gate, criteria=(*gate.criteria[:3], replace(gate.criteria[3], **change), *gate.criteria[4:]))


def test_a_criterion_that_says_something_new_is_a_new_version(service: str, log: Ledger) -> None:
    with pytest.raises(CriterionChanged, match="G2-01 version 1"):
        doings.adopt_gate(_with(GATE, minimum_sample=20), log, NOW)
    edition = doings.adopt_gate(_with(GATE, minimum_sample=20, version=2), log, NOW)
    assert (edition.edition, edition.eased) == (2, [])


def test_an_easing_needs_both_owners_and_shows_in_the_next_verdict(service: str, log: Ledger) -> None:
    easier = _with(GATE, minimum_sample=2, version=2)
    with pytest.raises(LooserUnsigned, match="chyngyz"):
        doings.adopt_gate(easier, log, NOW, signed_by=["aida"])
    doings.adopt_gate(easier, log, NOW, signed_by=["aida", "chyngyz"])
    assert records.look(SERVICE, NOW).eased == ("G2-01 smaller sample",)


def test_adopting_the_gate_in_force_changes_nothing(service: str, log: Ledger) -> None:
    size = log.size
    assert doings.adopt_gate(GATE, log, NOW).edition == 1
    assert log.size == size


def waiver(**change: Any) -> Waiver:
    whole = Waiver(
        "G2-10",
        records.current_release(SERVICE).digest,
        "one oblast joins in spring",
        "weekly call with both districts",
        (("aida", Layer.POL), ("farida", Layer.DPO)),
        NOW,
        NOW + timedelta(30),
    )
    return replace(whole, **change)


def test_a_waived_criterion_lets_the_gate_pass_and_is_named(service: str, log: Ledger) -> None:
    collect_everything(log)
    doings.record_evidence(replace(by_hand("G2-10"), facts={"cities": 1}, collected_at=NOW + HOUR), log, NOW + HOUR)
    assert records.look(SERVICE, NOW + HOUR).verdict is Verdict.NO_EVIDENCE
    doings.waive(SERVICE, waiver(), log, NOW)
    assessment = records.look(SERVICE, NOW + HOUR)
    assert (assessment.verdict, assessment.waived) == (Verdict.PASS, ("G2-10",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"criterion": "G2-04"}, "cannot be waived"),
        ({"criterion": "G9-99"}, "no such criterion"),
        ({"signers": (("aida", Layer.POL), ("gulnara", Layer.DPO))}, "no right to sign for DPO"),
        ({"signers": (("bermet", Layer.POL), ("farida", Layer.DPO))}, "only the owner speaks for POL"),
        ({"renewals": 1}, "0 times before"),
        ({"valid_from": NOW - timedelta(1), "valid_until": NOW + timedelta(1)}, "in the past"),
    ],
)
def test_a_waiver_that_breaks_a_rule_is_refused(service: str, log: Ledger, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(WaiverRefused, match=reason):
        doings.waive(SERVICE, waiver(**change), log, NOW)


def test_a_waiver_is_renewed_at_most_once(service: str, log: Ledger) -> None:
    doings.waive(SERVICE, waiver(), log, NOW)
    doings.waive(SERVICE, waiver(renewals=1), log, NOW)
    with pytest.raises(WaiverRefused, match="renewed once"):
        doings.waive(SERVICE, waiver(renewals=2), log, NOW)


def test_the_view_shows_the_live_look_the_signed_one_and_the_permit(service: str, log: Ledger) -> None:
    fresh = queries.gate_view(SERVICE, NOW)
    assert (fresh.now.verdict, fresh.assessment, fresh.permit) == (Verdict.NO_EVIDENCE, None, None)
    assert len(fresh.criteria) == 10
    open_gate(log)
    view = queries.gate_view(SERVICE, NOW)
    assert view.now.verdict is Verdict.PASS
    assert {s.layer: s.person_name for s in view.signatures} == {
        Layer.TECH: "Chyngyz",
        Layer.POL: "Aida",
        Layer.LEGAL: "Gulnara",
        Layer.DPO: "Farida",
    }
    assert view.permit is not None
    assert view.owner_names["aida"] == "Aida"
    assert queries.public_services() == (SERVICE,)
    with pytest.raises(NotThere, match="school-transfer"):
        queries.gate_view("school-transfer", NOW)
