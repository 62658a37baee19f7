"""The measures on a real municipal log: one month is 13 % or 100 % complete, depending on when one looks.

1,434 permit cases of a Dutch municipality (../shared/data/municipal_permits, see its SOURCES). A case begins at its start date and
counts as decided at its last action.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kerege.ground.clock import local_date
from kerege.insight.cases import fold
from kerege.insight.cohorts import Cohort, month_of
from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.insight.measures import measure
from kerege.insight.quantiles import Span, quantile

LOG = Path(__file__).parents[3] / "shared" / "data" / "municipal_permits" / "receipt.csv.gz"
LOCAL = ZoneInfo("Europe/Amsterdam")
JUNE = (datetime(2011, 6, 1, tzinfo=LOCAL), datetime(2011, 7, 1, tzinfo=LOCAL))
END_OF_JUNE = datetime(2011, 6, 30, tzinfo=LOCAL)
DAY = 86400


@pytest.fixture(scope="module")
def events() -> list[EventFacts]:
    if not LOG.exists():
        pytest.skip(f"not there: {LOG}")
    begun: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["case:concept:name"]
            begun[name] = datetime.fromisoformat(row["case:startdate"])
            last[name] = max(last.get(name, begun[name]), datetime.fromisoformat(row["time:timestamp"]))
    found = []
    for name, start in begun.items():
        ref = hashlib.sha256(name.encode()).hexdigest()
        for kind, moment, qualifier in (
            (EventType.STARTED, start, ""),
            (EventType.SUBMITTED, start, ""),
            (EventType.DECIDED, last[name], "granted"),
        ):
            facts = EventFacts(
                f"{name}-{kind.value}", ref, "permit", kind, moment.astimezone(UTC), ActorKind.OFFICIAL, qualifier
            )
            assert not facts.faults()
            found.append(facts)
    return found


def test_june_looks_hardly_begun_at_its_end_and_complete_a_year_later(events: list[EventFacts]) -> None:
    at_once = Cohort(*JUNE, END_OF_JUNE, timedelta())
    young = measure("M01", fold(events, at_once.as_of), at_once)
    ripe = Cohort(*JUNE, END_OF_JUNE + timedelta(days=365))
    full = measure("M01", fold(events, ripe.as_of), ripe)
    # 14 are done on the morning of 30 June: of the 99 begun by then, or 13 % of the month's 106
    assert (young.values["numerator"], young.n) == (14, 99)
    assert (full.n, full.percent) == (106, "100.0")
    assert round(100 * 14 / full.n) == 13


def test_the_default_maturity_refuses_to_judge_june_at_its_end(events: list[EventFacts]) -> None:
    cohort = Cohort(*JUNE, END_OF_JUNE)
    result = measure("M01", fold(events, cohort.as_of), cohort)
    assert (result.n, result.percent, result.excluded) == (0, None, {"immature": 99})


def test_the_finished_alone_flatter_and_the_unfinished_put_it_right(events: list[EventFacts]) -> None:
    at_once = Cohort(*JUNE, END_OF_JUNE, timedelta())
    finished = [
        Span(int((case.decided_at - case.started_at).total_seconds()))
        for case in at_once.select(fold(events, at_once.as_of))[0]
        if case.decided_at is not None
    ]
    flattering = quantile(finished, 0.5)
    honest = measure("M02", fold(events, at_once.as_of), at_once).values["median_seconds"]
    ripe = Cohort(*JUNE, END_OF_JUNE + timedelta(days=365))
    final = measure("M02", fold(events, ripe.as_of), ripe)
    assert flattering is not None
    assert flattering / DAY == pytest.approx(7.6, abs=0.05)
    median, p90 = final.values["median_seconds"], final.values["p90_seconds"]
    assert median is not None
    assert p90 is not None
    assert median / DAY == pytest.approx(27.4, abs=0.05)
    assert p90 / DAY == pytest.approx(54.97, abs=0.05)
    assert honest is None or honest > 3 * flattering


def test_days_and_months_in_bishkek_are_not_those_of_utc(events: list[EventFacts]) -> None:
    starts = [event.occurred_at for event in events if event.type is EventType.STARTED]
    assert len(starts) == 1434
    assert sum(local_date(start) != start.date() for start in starts) == 983
    assert sum(month_of(start) != start.strftime("%Y-%m") for start in starts) == 45
