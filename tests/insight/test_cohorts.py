"""Windows as people in Bishkek write them, and who is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kerege.insight.cohorts import Cohort, month_of
from kerege.insight.errors import CohortInvalid

AS_OF = datetime(2027, 1, 15, tzinfo=UTC)


def test_the_last_evening_of_a_month_in_utc_belongs_to_the_next_month_in_bishkek() -> None:
    assert month_of(datetime(2026, 11, 30, 17, 59, tzinfo=UTC)) == "2026-11"
    assert month_of(datetime(2026, 11, 30, 18, 0, tzinfo=UTC)) == "2026-12"


def test_a_month_is_half_open_and_starts_at_midnight_in_bishkek() -> None:
    november, december = Cohort.month(2026, 11, AS_OF), Cohort.month(2026, 12, AS_OF)
    assert november.start == datetime(2026, 10, 31, 18, tzinfo=UTC)
    assert november.end == december.start
    assert december.end == datetime(2026, 12, 31, 18, tzinfo=UTC)


def test_an_empty_window_and_a_negative_maturity_are_refused() -> None:
    with pytest.raises(CohortInvalid, match="window is empty"):
        Cohort(AS_OF, AS_OF, AS_OF)
    with pytest.raises(CohortInvalid, match="negative"):
        Cohort(AS_OF, AS_OF + timedelta(1), AS_OF, timedelta(-1))
