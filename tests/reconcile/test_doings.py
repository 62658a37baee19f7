"""The desk's queue: counted, sent to owners, settled once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kerege.reconcile import doings, queries
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.errors import DiscrepancySettled, DiscrepancyUnknown
from kerege.reconcile.fields import of_country
from kerege.reconcile.models import Finding

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
    doings.settle(row.discrepancy_id, how="corrected", now=NOW)
    with pytest.raises(DiscrepancySettled):
        doings.settle(row.discrepancy_id, how="accepted", now=NOW)
    assert {r.field: r.open for r in queries.discrepancies_by_field("r1")}["pin"] == 0


def test_a_discrepancy_nobody_knows_is_said_so() -> None:
    with pytest.raises(DiscrepancyUnknown):
        doings.settle("disc-none", how="accepted", now=NOW)


def test_a_discrepancy_cannot_be_settled_in_a_way_that_does_not_exist() -> None:
    record()
    with pytest.raises(ValueError, match="corrected or accepted"):
        doings.settle(queries.queue()[0].discrepancy_id, how="forgotten", now=NOW)
