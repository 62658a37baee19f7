"""The desk's queue: counted, sent to owners, settled once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from kerege.reconcile import desk_queries, doings, queries
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.errors import ActRefused, DiscrepancySettled, DiscrepancyUnknown, FindingUnknown
from kerege.reconcile.fields import of_country
from kerege.reconcile.models import Discrepancy, Finding

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
COMPARED = of_country("kg")
COMPARISONS = {
    "case-1": [
        FieldComparison("surname", "civil", "population", "equal_after_harmonising"),
        FieldComparison("pin", "civil", "population", "conflict"),
    ],
    "case-2": [
        FieldComparison("pin", "application", "civil", "conflict"),
        FieldComparison("region", "civil", "health", "not_comparable"),
    ],
}


def record() -> int:
    return doings.record_comparisons(COMPARISONS, COMPARED, run="r1", now=NOW)


def test_every_class_is_counted_and_only_registers_disagreements_are_queued() -> None:
    assert record() == 2
    rows = {row.field: row for row in queries.discrepancies_by_field("r1")}
    assert list(rows) == list(COMPARED.fields)
    assert rows["pin"].counts["conflict"] == 2
    assert rows["pin"].open == 1
    assert rows["surname"].counts["equal_after_harmonising"] == 1
    assert rows["surname"].total == 1
    assert rows["region"].pairs == (("civil", "health", "not_comparable", 1),)
    assert queries.discrepancies_by_field("other")[0].total == 0


def test_a_discrepancy_goes_to_the_owner_of_the_value_and_is_settled_once() -> None:
    record()
    (row,) = queries.queue(field="pin")
    assert (row.owner, row.case_id, row.cls) == ("population", "case-1", "conflict")
    doings.send_finding(row.discrepancy_id, register="civil", note_code="pin_differs", sent_by="officer-1", now=NOW)
    assert Finding.objects.get().register == "civil"
    assert [r.field for r in queries.queue(status="with_owner", owner="population")] == ["pin"]
    doings.settle(
        row.discrepancy_id, how="accepted", by="officer-1", reason="both spellings stand in the passport", now=NOW
    )
    with pytest.raises(DiscrepancySettled):
        doings.settle(row.discrepancy_id, how="accepted", by="officer-1", reason="again", now=NOW)
    assert {r.field: r.open for r in queries.discrepancies_by_field("r1")}["pin"] == 0


def test_a_discrepancy_nobody_knows_is_said_so() -> None:
    with pytest.raises(DiscrepancyUnknown):
        doings.settle("disc-none", how="accepted", by="officer-1", reason="x", now=NOW)


@pytest.mark.parametrize(("how", "reason"), [("corrected", "the owner says so"), ("accepted", " "), ("forgotten", "x")])
def test_nobody_can_say_that_a_discrepancy_is_corrected_and_accepting_one_needs_a_reason(how: str, reason: str) -> None:
    record()
    with pytest.raises(ValueError, match="only a comparison can show"):
        doings.settle(queries.queue()[0].discrepancy_id, how=how, by="officer-1", reason=reason, now=NOW)


# --- findings ---------------------------------------------------------------------------------------------------------------------

LATER = NOW + timedelta(days=3)


def again(cls: str, run: str = "r2") -> int:
    return doings.record_comparisons(
        {"case-1": [FieldComparison("pin", "civil", "population", cls)]}, COMPARED, run=run, now=LATER
    )


def sent() -> str:
    record()
    [row] = queries.queue(field="pin")
    return doings.send_finding(
        row.discrepancy_id, register="civil", note_code="pin_differs", sent_by="officer-1", now=NOW
    )


def the_finding(now: datetime = LATER) -> desk_queries.FindingRow:
    [row] = desk_queries.findings(now)
    return row


def test_a_finding_is_closed_by_the_next_comparison_that_shows_the_two_equal() -> None:
    number = sent()
    doings.answer_finding(number, act="acknowledged", by="civil-clerk", now=NOW)
    doings.answer_finding(number, act="corrected", by="civil-clerk", now=NOW)
    assert the_finding().status == "corrected"
    assert [row.status for row in Discrepancy.objects.filter(field="pin")] == ["with_owner"]
    assert again("equal_after_harmonising") == 0
    assert the_finding().status == "closed"
    assert [act.run for act in the_finding().acts] == ["", "", "r2"]
    settled = Discrepancy.objects.get(field="pin")
    assert (settled.status, settled.settled_by_run) == ("corrected", "r2")


def test_a_finding_said_to_be_corrected_falls_back_when_the_next_comparison_still_differs() -> None:
    number = sent()
    doings.answer_finding(number, act="corrected", by="civil-clerk", now=NOW)
    assert again("conflict") == 0
    assert the_finding().status == "in_work"
    assert Discrepancy.objects.filter(field="pin").count() == 1


def test_another_persons_comparison_closes_nothing() -> None:
    sent()
    equal = [FieldComparison("pin", "civil", "population", "equal")]
    doings.record_comparisons({"case-7": equal}, COMPARED, run="r2", now=LATER)
    doings.record_comparisons(
        {"case-1": [FieldComparison("pin", "civil", "health", "equal")]}, COMPARED, run="r3", now=LATER
    )
    assert the_finding().status == "sent"


def test_a_value_that_went_missing_is_no_evidence() -> None:
    sent()
    again("missing")
    assert the_finding().status == "sent"


def test_a_finding_has_a_term_and_is_overdue_after_it() -> None:
    sent()
    row = the_finding()
    assert row.due_at is not None
    assert not row.overdue
    assert the_finding(row.due_at + timedelta(seconds=1)).overdue
    assert desk_queries.findings(LATER, status="overdue") == []


def test_only_its_sender_withdraws_a_finding_and_the_discrepancy_is_open_again() -> None:
    number = sent()
    with pytest.raises(ActRefused, match="only its sender"):
        doings.withdraw_finding(number, by="officer-2", reason="mine now", now=LATER)
    doings.withdraw_finding(number, by="officer-1", reason="the form was wrong", now=LATER)
    assert the_finding().status == "withdrawn"
    assert [row.field for row in queries.queue(field="pin")] == ["pin"]
    with pytest.raises(ActRefused, match="does not follow"):
        doings.answer_finding(number, act="corrected", by="civil-clerk", now=LATER)


def accept(reason: str = "both spellings stand in the passport") -> None:
    row = Discrepancy.objects.get(field="pin", status__in=("open", "with_owner"))
    doings.settle(row.discrepancy_id, how="accepted", by="officer-1", reason=reason, now=NOW)


def test_what_was_accepted_is_not_queued_again_while_it_stays_as_it_was() -> None:
    record()
    accept()
    assert again("conflict", "r2") == 0
    assert again("missing", "r3") == 0
    assert queries.queue(field="pin") == []
    assert again("equal", "r4") == 0
    assert again("conflict", "r5") == 1
    accept("as before")
    assert again("stale_copy", "r6") == 1
    assert Discrepancy.objects.filter(field="pin").count() == 3


def test_accepting_a_discrepancy_withdraws_what_still_waits_so_that_nobody_is_late_with_it() -> None:
    sent()
    accept("the passport has both")
    row = the_finding(LATER + timedelta(days=90))
    assert (row.status, row.overdue, row.reason, row.acts[-1].by) == (
        "withdrawn",
        False,
        "the passport has both",
        "officer-1",
    )
    assert Discrepancy.objects.get(field="pin").settled_by == "officer-1"


def test_one_register_has_one_finding_about_a_discrepancy_and_another_may_have_one_too() -> None:
    number = sent()
    [row] = queries.queue(status="with_owner", field="pin")
    with pytest.raises(ActRefused, match="already"):
        doings.send_finding(row.discrepancy_id, register="civil", note_code="pin", sent_by="officer-2", now=LATER)
    other = doings.send_finding(
        row.discrepancy_id, register="population", note_code="pin", sent_by="officer-2", now=LATER
    )
    doings.withdraw_finding(number, by="officer-1", reason="it is the other's", now=LATER)
    assert queries.queue(status="open", field="pin") == [], "the other register still has it"
    doings.answer_finding(other, act="refused", by="population-clerk", reason="the act says so", now=LATER)
    assert [r.field for r in queries.queue(status="open", field="pin")] == ["pin"], "refused by the last: open again"
    doings.send_finding(row.discrepancy_id, register="civil", note_code="pin", sent_by="officer-1", now=LATER)


def test_a_comparison_made_before_a_discrepancy_was_found_is_no_evidence_about_it() -> None:
    sent()
    items = [FieldComparison("pin", "civil", "population", "equal")]
    doings.record_comparisons({"case-1": items}, COMPARED, run="r0", now=NOW - timedelta(days=1))
    assert the_finding().status == "sent"
    assert Discrepancy.objects.get(field="pin").status == "with_owner"


def test_an_open_discrepancy_stands_once_even_where_somebody_writes_past_the_doings() -> None:
    record()
    row = Discrepancy.objects.get(field="pin")
    row.pk, row.discrepancy_id = None, "disc-again"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_an_owner_cannot_close_a_finding_and_a_refusal_needs_a_reason() -> None:
    number = sent()
    with pytest.raises(ActRefused):
        doings.answer_finding(number, act="closed", by="civil-clerk", now=LATER)
    with pytest.raises(ActRefused, match="a reason is needed"):
        doings.answer_finding(number, act="refused", by="civil-clerk", now=LATER)
    with pytest.raises(FindingUnknown):
        doings.answer_finding("find-none", act="acknowledged", by="civil-clerk", now=LATER)


def test_the_workload_of_a_run_is_kept_by_service_and_pair_and_an_unknown_truth_stays_empty() -> None:
    items = [
        FieldComparison("sex", "civil", "population", "equal_after_harmonising", "", "different"),
        FieldComparison("pin", "civil", "population", "conflict", "", "different"),
    ]
    doings.record_comparisons({"c1": items, "c2": items[:1]}, COMPARED, run="r1", now=NOW, service="grade1-admission")
    [whole] = desk_queries.workload(run="r1", service="grade1-admission", whole_only=True)
    assert whole.measured.before.as_dict() == {"flagged": 2, "true": None, "missed": None, "not_comparable": 0}
    assert whole.measured.after.as_dict() == {"flagged": 1, "true": None, "missed": None, "not_comparable": 0}
    assert len(desk_queries.workload(service="grade1-admission")) == 3
