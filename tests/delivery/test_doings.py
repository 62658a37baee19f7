"""From registration to a permit and back, in the tables, in the ledger and in the nodes' rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

import kerege
from kerege.delivery import doings, queries, records
from kerege.delivery.criteria import Gate, Layer, load_gate
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
    CodeListCounts,
    CodeListFacts,
    ContractRun,
    ContractTestFacts,
    DenialProbe,
    Evidence,
    MessageLogFacts,
    NodeMessages,
    Owners,
    Subject,
    collect_access_denials,
    collect_code_lists,
    collect_contract_tests,
    collect_message_log,
)
from kerege.delivery.gates import Waiver
from kerege.delivery.models import AssessmentRecord, EvidenceRecord, PublicServiceEntry
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.exchange.permits import decide_permit
from kerege.ground.text import Text
from kerege.identity import doings as identity
from kerege.identity.errors import AccessRefused, NotKnown
from kerege.ledger.log import Ledger
from kerege.membership import doings as membership
from kerege.membership import queries as network
from kerege.membership.states import PermitState

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERVICE = "grade1-admission"
SCOPE = doings.scope_of(SERVICE)
NAME = Text(ky="Кабыл алуу", ru="Приём", en="Admission")
ADMISSION = SubsystemId("KG", "GOV", "70000003", "admission")
PERSONS = DataServiceId("KG", "GOV", "70000002", "population", "persons")
OWNERS = Owners("aida", "bermet", "chyngyz", "daniyar")
GATE = load_gate(Path(kerege.__file__).parent / "country" / "kg" / "gates" / "grade1-admission.yaml")
HUMAN = {
    "G1-03": ({"elements": 24, "elements_without_basis": 0, "act_in_force": True}, 24),
    "G2-07": ({"closed": True, "risks_without_owner": 0}, 1),
    "G2-09": ({"pairs": 4, "pairs_without_agreement": 0}, 4),
    "G2-10": ({"cities": 1, "district_centres": 1, "rural_units": 2, "oblasts": 2}, 4),
    "G2-16": ({"restored": True, "minutes_to_manual_path": 90}, 1),
}


@pytest.fixture
def log(tmp_path: Path) -> Ledger:
    """The real ledger, not a list: what is written here must be canonical and provable."""
    return Ledger.open(tmp_path / "ledger")


@pytest.fixture
def service(log: Ledger) -> str:
    """Registered, with its people, its network, its gate and a release; no evidence yet."""
    identity.register_organisation("KG/GOV/70000003", NAME)
    for person in ("aida", "bermet", "chyngyz", "daniyar", "eldar", "farida", "gulnara"):
        identity.register_person(person.title(), "KG/GOV/70000003", person)
    identity.define_role("secretary", NAME, [doings.COLLECT])
    identity.define_role("dpo", NAME, [doings.sign_action(Layer.DPO)])
    identity.define_role("lawyer", NAME, [doings.sign_action(Layer.LEGAL)])
    for person, role in (("eldar", "secretary"), ("farida", "dpo"), ("gulnara", "lawyer")):
        identity.grant_role(person, role, SCOPE, NOW + timedelta(365), granted_by="aida", ledger=log, now=NOW - HOUR)
    for subsystem in (PERSONS.provider, ADMISSION):
        membership.register_member(subsystem.member, NAME, NOW)
        membership.register_subsystem(subsystem, NOW)
    membership.register_public_service(SERVICE, ADMISSION)
    membership.grant_right(ADMISSION, PERSONS, NOW + timedelta(365), ledger=log, now=NOW - HOUR)
    doings.register_service(SERVICE, NAME, OWNERS, NOW - HOUR)
    doings.make_release(SERVICE, {"mappings": ["kg:population.person/1"], "rules": "2026.1"}, NOW - HOUR)
    doings.adopt_gate(GATE, log, NOW - HOUR)
    return SERVICE


def subject(now: datetime = NOW) -> Subject:
    return Subject(SERVICE, records.current_release(SERVICE).digest, now - timedelta(minutes=30), now)


def measured(now: datetime = NOW) -> list[Evidence]:
    about = subject(now)
    return [
        collect_contract_tests(ContractTestFacts((ContractRun("p", "m", 9, 0),), frozenset({"p"})), about, now),
        collect_message_log(MessageLogFacts((NodeMessages("n", 30, 30, 30),), frozenset({"n"})), about, now),
        collect_code_lists(CodeListFacts((CodeListCounts("c", 300, 0, 0),), frozenset({"c"})), about, now),
        collect_access_denials([DenialProbe("a", "b", "denied")] * 4, about, now),
    ]


def by_hand(criterion: str, now: datetime = NOW, person: str = "eldar") -> Evidence:
    facts, sample = HUMAN[criterion]
    return Evidence(criterion, subject(now), facts, sample, f"person:{person}", now)


def collect_everything(log: Ledger, now: datetime = NOW) -> None:
    doings.measure_owners(SERVICE, log, now)
    for evidence in [*measured(now), *(by_hand(name, now) for name in HUMAN)]:
        doings.record_evidence(evidence, log, now)


def sign_everything(log: Ledger, row: AssessmentRecord, now: datetime = NOW) -> None:
    signers = ((Layer.POL, "aida"), (Layer.TECH, "chyngyz"), (Layer.DPO, "farida"), (Layer.LEGAL, "gulnara"))
    for layer, person in signers:
        doings.sign(row.assessment_id, person, layer, log, now)


def issue(log: Ledger, row: AssessmentRecord, now: datetime = NOW, days: int = 30) -> Any:
    return doings.issue_permit(row.assessment_id, ADMISSION, [PERSONS], now + timedelta(days), log, now)


def open_gate(log: Ledger, now: datetime = NOW) -> AssessmentRecord:
    collect_everything(log, now)
    row = doings.assess(SERVICE, log, now)
    sign_everything(log, row, now)
    issue(log, row, now)
    return row


def traffic(now: datetime = NOW) -> str:
    """What a node would say to the service's traffic."""
    return decide_permit(ADMISSION.client, network.network_view(now).picture.rules(), now).reason


def test_before_the_gate_opens_the_nodes_refuse_the_services_traffic(service: str) -> None:
    assert traffic() == "no_permit"


def test_evidence_signatures_and_permit_open_the_traffic_and_stand_in_the_ledger(service: str, log: Ledger) -> None:
    row = open_gate(log)
    assert row.verdict == "PASS"
    assert traffic() == "open"
    permit = network.current_permit(SERVICE)
    assert permit is not None
    entry = log.entry(permit.verdict_index)
    assert (entry.kind, entry.leaf_hash.hex()) == ("permit", permit.verdict_leaf)
    evaluation = log.entry(entry.body["assessment"])
    assert (evaluation.kind, evaluation.body["digest"], evaluation.body["verdict"]) == (
        "evaluation",
        row.digest,
        "PASS",
    )
    signatures = [log.entry(index).body for index in entry.body["signatures"]]
    assert {s["layer"]: s["person"] for s in signatures} == {
        "POL": "aida",
        "TECH": "chyngyz",
        "DPO": "farida",
        "LEGAL": "gulnara",
    }
    assert {s["digest"] for s in signatures} == {row.digest}
    assert len([e for e in log.entries() if e.kind == "evidence"]) == 10


@pytest.mark.parametrize("absent", [c.id for c in GATE.criteria])
def test_without_evidence_for_one_criterion_nothing_opens(service: str, log: Ledger, absent: str) -> None:
    if absent != "G1-01":
        doings.measure_owners(SERVICE, log, NOW)
    for evidence in [*measured(), *(by_hand(name) for name in HUMAN)]:
        if evidence.criterion != absent:
            doings.record_evidence(evidence, log, NOW)
    row = doings.assess(SERVICE, log, NOW)
    assert row.verdict == "NO-EVIDENCE"
    sign_everything(log, row)
    with pytest.raises(PermitRefused, match="NO-EVIDENCE"):
        issue(log, row)
    assert traffic() == "no_permit"


def test_the_gate_stays_shut_when_only_one_owner_signed(service: str, log: Ledger) -> None:
    collect_everything(log)
    row = doings.assess(SERVICE, log, NOW)
    for layer, person in ((Layer.POL, "aida"), (Layer.DPO, "farida"), (Layer.LEGAL, "gulnara")):
        doings.sign(row.assessment_id, person, layer, log, NOW)
    with pytest.raises(PermitRefused, match="TECH has not signed"):
        issue(log, row)
    assert traffic() == "no_permit"


def test_a_broken_criterion_that_cannot_be_waived_closes_the_traffic(service: str, log: Ledger) -> None:
    open_gate(log)
    later = NOW + HOUR
    assert doings.reconsider(SERVICE, log, later).permit is None
    leak = collect_access_denials(
        [DenialProbe("a", "b", "answered"), *[DenialProbe("a", "b", "denied")] * 4], subject(later), later
    )
    doings.record_evidence(leak, log, later)
    outcome = doings.reconsider(SERVICE, log, later)
    assert outcome.assessment.verdict is Verdict.FAIL
    assert outcome.permit is not None
    assert outcome.permit.state is PermitState.CLOSED
    assert traffic(later) == "closed"
    assert doings.reconsider(SERVICE, log, later).permit is None  # closed already, nothing more to write


def test_a_mended_criterion_opens_only_through_a_new_assessment_and_new_signatures(service: str, log: Ledger) -> None:
    old = open_gate(log)
    later = NOW + HOUR
    leak = collect_access_denials([DenialProbe("a", "b", "answered")] * 4, subject(later), later)
    doings.record_evidence(leak, log, later)
    doings.reconsider(SERVICE, log, later)
    mended = NOW + 2 * HOUR
    for evidence in measured(mended):
        doings.record_evidence(evidence, log, mended)
    assert doings.reconsider(SERVICE, log, mended).permit is None
    assert traffic(mended) == "closed"
    again = doings.assess(SERVICE, log, mended)
    with pytest.raises(SignatureRefused, match="newer assessment"):
        doings.sign(old.assessment_id, "bermet", Layer.ADM, log, mended)
    sign_everything(log, again, mended)
    issue(log, again, mended)
    assert traffic(mended) == "open"


def test_a_broken_waivable_criterion_holds_without_cutting_anyone_off(service: str, log: Ledger) -> None:
    open_gate(log)
    later = NOW + HOUR
    unmapped = collect_code_lists(
        CodeListFacts((CodeListCounts("c", 300, 2, 1),), frozenset({"c"})), subject(later), later
    )
    doings.record_evidence(unmapped, log, later)
    outcome = doings.reconsider(SERVICE, log, later)
    assert outcome.permit is not None
    assert (outcome.permit.state, traffic(later)) == (PermitState.HELD, "open")


def test_evidence_that_grew_old_restricts(service: str, log: Ledger) -> None:
    open_gate(log)
    outcome = doings.reconsider(SERVICE, log, NOW + timedelta(8))
    assert outcome.permit is not None
    assert outcome.permit.state is PermitState.RESTRICTED


def test_closing_takes_one_owner_or_deputy_and_a_reason(service: str, log: Ledger) -> None:
    open_gate(log)
    with pytest.raises(PermitRefused, match="neither owner nor deputy"):
        doings.withdraw_permit(SERVICE, "farida", "because", log, NOW)
    with pytest.raises(PermitRefused, match="needs a reason"):
        doings.withdraw_permit(SERVICE, "bermet", " ", log, NOW)
    assert traffic() == "open"
    doings.withdraw_permit(SERVICE, "bermet", "order 12", log, NOW)
    assert traffic() == "closed"


def test_a_permit_lasts_no_longer_than_the_gate_allows_and_only_for_its_client(service: str, log: Ledger) -> None:
    collect_everything(log)
    row = doings.assess(SERVICE, log, NOW)
    sign_everything(log, row)
    with pytest.raises(PermitRefused, match="within 90 days"):
        issue(log, row, days=91)
    with pytest.raises(PermitRefused, match="not registered as its client"):
        doings.issue_permit(row.assessment_id, PERSONS.provider, [PERSONS], NOW + HOUR, log, NOW)
    issue(log, row, days=90)
    assert traffic(NOW + timedelta(90)) == "open"
    assert traffic(NOW + timedelta(90, 1)) == "expired"


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
