"""Which cases a measure counts: a window, a maturity, and the moment it is looked at from. Pure.

A snapshot of finished cases flatters: the slow ones are not in it yet. So the cohort is what *started* in the window and has
had time to end, and unfinished cases stay in. Windows are half-open; a month begins at its first midnight in Bishkek.
Source: delivery discipline, section 4 (cohorts, time).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kerege.ground.clock import BISHKEK, iso, require_utc
from kerege.insight.cases import CaseHistory
from kerege.insight.errors import CohortInvalid

MATURITY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Cases started in [start, end) that are at least `maturity` old at `as_of`."""

    start: datetime
    end: datetime
    as_of: datetime
    maturity: timedelta = MATURITY

    def __post_init__(self) -> None:
        for name in ("start", "end", "as_of"):
            require_utc(getattr(self, name), name)
        if self.start >= self.end:
            raise CohortInvalid(reason="its window is empty")
        if self.maturity < timedelta():
            raise CohortInvalid(reason="its maturity is negative")

    @classmethod
    def month(cls, year: int, month: int, as_of: datetime, maturity: timedelta = MATURITY) -> Cohort:
        """A calendar month in Bishkek."""
        start = datetime(year, month, 1, tzinfo=BISHKEK)
        end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=BISHKEK)
        return cls(start.astimezone(UTC), end.astimezone(UTC), as_of, maturity)

    @classmethod
    def everything(cls, as_of: datetime, maturity: timedelta = MATURITY) -> Cohort:
        """All that ever started up to `as_of`."""
        return cls(datetime(2000, 1, 1, tzinfo=UTC), as_of + timedelta(microseconds=1), as_of, maturity)

    def select(self, cases: Iterable[CaseHistory]) -> tuple[list[CaseHistory], dict[str, int]]:
        """The cases that count, and how many of the window were left out for which reason."""
        chosen: list[CaseHistory] = []
        excluded: dict[str, int] = {}
        for case in cases:
            if not self.start <= case.started_at < self.end:
                continue
            reason = self._reason(case)
            if reason:
                excluded[reason] = excluded.get(reason, 0) + 1
            else:
                chosen.append(case)
        return chosen, excluded

    def _reason(self, case: CaseHistory) -> str:
        if case.synthetic:
            return "synthetic"
        if self.as_of - case.started_at < self.maturity:
            return "immature"
        return ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "start": iso(self.start),
            "end": iso(self.end),
            "as_of": iso(self.as_of),
            "maturity_seconds": int(self.maturity.total_seconds()),
        }


def month_of(moment: datetime) -> str:
    """The month people in Kyrgyzstan file `moment` under: `2026-11`. UTC would put the last hours of a month's days elsewhere."""
    return require_utc(moment, "moment").astimezone(BISHKEK).strftime("%Y-%m")
