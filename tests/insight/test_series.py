"""A measure month by month."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kerege.insight.cases import CaseHistory
from kerege.insight.series import by_month

CASE = CaseHistory(
    case_ref="ab" * 32,
    public_service="grade1-admission",
    started_at=datetime(2026, 11, 30, 17, 59, tzinfo=UTC),
    submitted_at=datetime(2026, 11, 30, 17, 59, tzinfo=UTC),
    decided_at=datetime(2026, 12, 1, tzinfo=UTC),
    outcome="granted",
    decision_reason="",
    returned_at=None,
    return_reason="",
    waiting=timedelta(),
    manual_steps=0,
    reconciled_by_hand=(),
    asked_despite_register=(),
    synthetic=False,
)
AS_OF = datetime(2027, 2, 10, tzinfo=UTC)


def test_a_case_is_counted_in_its_month_in_bishkek_and_a_young_month_stands_there_empty() -> None:
    a_minute_later = replace(CASE, started_at=CASE.started_at + timedelta(minutes=1))
    young = replace(CASE, started_at=datetime(2027, 2, 1, tzinfo=UTC))
    series = by_month("M01", [CASE, a_minute_later, young], AS_OF)
    assert [(month, result.n) for month, result in series] == [
        ("2026-11", 1),
        ("2026-12", 1),
        ("2027-01", 0),
        ("2027-02", 0),
    ]
    assert series[3][1].excluded == {"immature": 1}


def test_without_cases_there_is_no_series() -> None:
    assert by_month("M01", [], AS_OF) == ()


@given(st.lists(st.datetimes(datetime(2025, 1, 1), datetime(2027, 2, 9)), min_size=1, max_size=20))
def test_every_case_is_in_exactly_one_month(starts: list[datetime]) -> None:
    cases = [replace(CASE, started_at=start.replace(tzinfo=UTC)) for start in starts]
    series = by_month("M01", cases, AS_OF)
    assert sum(result.n + result.excluded.get("immature", 0) for _, result in series) == len(cases)
