"""Opening the gate, closing it, and what the nodes then say to the service's traffic."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kerege.delivery import doings
from kerege.delivery.criteria import Layer
from kerege.delivery.errors import (
    PermitRefused,
    SignatureRefused,
)
from kerege.delivery.evaluate import Verdict
from kerege.delivery.facts import (
    CodeListCounts,
    CodeListFacts,
    DenialProbe,
    collect_access_denials,
    collect_code_lists,
)
from kerege.ledger.log import Ledger
from kerege.membership import queries as network
from kerege.membership.states import PermitState

from .support import (
    GATE,
    HOUR,
    HUMAN,
    NOW,
    PERSONS,
    SERVICE,
    by_hand,
    collect_everything,
    issue,
    measured,
    open_gate,
    sign_everything,
    subject,
    traffic,
)

pytestmark = pytest.mark.django_db


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
