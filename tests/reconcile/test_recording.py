"""A batch of a run: settled by the country's rules, told once, in a number of queries that does not grow with the records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kerege.identity.pseudonyms import PseudonymKey
from kerege.reconcile import desk_doings, desk_queries, doings
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.fields import of_country
from kerege.reconcile.linkage import definition as definitions
from kerege.reconcile.linked import case_of
from kerege.reconcile.models import Discrepancy, Finding
from kerege.reconcile.recording import DOUBT, SENDER, Course, Recorded, record_batch
from kerege.reconcile.settle import of_country as rules_of_country

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
COMPARED = of_country("kg")
COURSE = Course(rules_of_country("kg"), {"sex": "Act 1, article 2"}, definitions.of_country("persons", "kg"))


def one(
    field: str, cls: str = "conflict", left: str = "civil", right: str = "health", unread: str = ""
) -> FieldComparison:
    return FieldComparison(field, left, right, cls, unread=unread)


def record(cases: dict[str, list[FieldComparison]], run: str = "r1", days: int = 0) -> Recorded:
    refs = {case: (("civil", case * 8), ("health", case * 9)) for case in cases}
    return record_batch(cases, COMPARED, run=run, now=NOW + timedelta(days=days), course=COURSE, refs=refs)


def told() -> dict[str, tuple[str, str, str]]:
    """Field -> who was told, by which rule, by whom."""
    found = Finding.objects.select_related("discrepancy")
    return {f.discrepancy.field: (f.register, f.note_code, f.sent_by) for f in found}


def test_each_discrepancy_keeps_its_rule_and_goes_to_the_register_that_has_to_answer() -> None:
    done = record(
        {
            "case-1": [
                one("sex"),
                one("region"),
                one("birth_date", "not_comparable", unread="right"),
                one("surname", "equal"),
            ]
        }
    )
    assert (done.new, done.told, done.asked) == (3, 3, 0)
    assert told() == {
        "sex": ("health", "kg:source-of-truth", SENDER),
        "region": ("population", "none", SENDER),  # no rule fits: who answers for the field
        "birth_date": ("health", "kg:unreadable", SENDER),
    }
    rows = {row.field: row for row in desk_queries.settled()}
    assert (rows["sex"].value_of, rows["sex"].legal_basis, rows["sex"].status) == (
        "civil",
        "Act 1, article 2",
        "with_owner",
    )
    assert desk_queries.settled_totals(outcome="clerk") == {"none": 1}
    assert all(f.due_at is not None for f in Finding.objects.all())


def test_a_pair_that_may_not_be_one_person_goes_to_the_clerks_and_to_no_owner_and_is_asked_once() -> None:
    doubt = {"case-1": [one("given_name"), one("birth_date")]}
    assert (record(doubt).asked, record(doubt, "r2", 1).asked) == (1, 0)
    [task] = desk_queries.desk_queue()
    assert (task.why, task.left_register, task.right_register) == (DOUBT, "civil", "health")
    assert told() == {}
    asked = desk_doings.ask(
        COURSE.definition.id, "1", ("health", "case-1" * 9), ("civil", "case-1" * 8), why="x", now=NOW
    )  # type: ignore[union-attr]
    assert asked == task.task_id


def test_what_an_owner_refused_or_somebody_accepted_is_not_told_again() -> None:
    record({"case-1": [one("sex")], "case-2": [one("sex")]})
    first, second = Finding.objects.order_by("pk")
    doings.answer_finding(first.finding_id, act="refused", by="clinic-1", reason="as in the passport", now=NOW)
    doings.settle(second.discrepancy.discrepancy_id, how="accepted", by="officer-1", reason="known", now=NOW)
    again = record({"case-1": [one("sex")], "case-2": [one("sex")]}, "r2", 1)
    assert (again.new, again.still, again.told) == (0, 1, 0)


def test_what_was_queued_without_rules_is_settled_and_told_by_the_next_run_that_has_them() -> None:
    doings.record_comparisons({"case-1": [one("sex")]}, COMPARED, run="r0", now=NOW)
    done = record({"case-1": [one("sex")]}, "r1", 1)
    assert (done.new, done.still, done.told, done.rules) == (0, 1, 1, {"kg:source-of-truth": 1})
    assert Discrepancy.objects.get().rule == "kg:source-of-truth"


def test_a_batch_asks_the_database_per_statement_and_never_per_record() -> None:
    def queries(name: str, number: int) -> list[int]:
        found = []
        for run, cls in (("a", "conflict"), ("b", "conflict"), ("c", "equal")):
            cases = {f"{name}-{n}": [one("sex", cls), one("pin", cls)] for n in range(number)}
            with CaptureQueriesContext(connection) as seen:
                record(cases, f"{name}-{run}", 1)
            found.append(len(seen))
        return found

    few, many = queries("few", 3), queries("many", 120)
    assert max(few) < 15
    # forty times the records: SQLite takes some fifty rows in one INSERT, nothing else is asked more often
    assert all(more - less <= 8 for less, more in zip(few, many, strict=True)), (few, many)


def test_a_link_has_one_name_whichever_record_stands_left_and_another_key_another_name() -> None:
    key, left, right = PseudonymKey(b"k" * 32), ("civil", "a" * 64), ("health", "b" * 64)
    name = case_of(key, left, right)
    assert name == case_of(key, right, left)
    assert len(name) == 64
    assert name != case_of(PseudonymKey(b"x" * 32), left, right)
    assert name != case_of(key, ("civil", "b" * 64), ("health", "a" * 64))
