"""A measure month by month, months as people in Bishkek write them. Pure.

Each month is a cohort of its own, looked at from one moment; a month too young to judge stands there with n 0 and its cases under
`immature`, rather than being left out, so that a gap in the line is seen to be a gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from kerege.insight.cases import CaseHistory
from kerege.insight.cohorts import MATURITY, Cohort, month_of
from kerege.insight.measures import Measurement, measure


def by_month(
    name: str, cases: Iterable[CaseHistory], as_of: datetime, maturity: timedelta = MATURITY
) -> tuple[tuple[str, Measurement], ...]:
    """(month, result) from the month of the first case to the month of `as_of`; nothing when there is no case."""
    known = list(cases)
    if not known:
        return ()
    year, month = map(int, month_of(min(case.started_at for case in known)).split("-"))
    last = month_of(as_of)
    found = []
    while (label := f"{year:04}-{month:02}") <= last:
        found.append((label, measure(name, known, Cohort.month(year, month, as_of, maturity))))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return tuple(found)
