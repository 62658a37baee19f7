"""What each measure counts, on small cohorts counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kerege.insight.cases import CaseHistory
from kerege.insight.cohorts import Cohort
from kerege.insight.errors import MeasureUnknown
from kerege.insight.measures import DEFINITIONS, MEASURES, measure

T0 = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
COHORT = Cohort(T0, T0 + timedelta(days=10), T0 + timedelta(days=60))
GRANTED = CaseHistory(
    case_ref="ab" * 32,
    public_service="grade1-admission",
    started_at=T0,
    submitted_at=T0 + timedelta(hours=1),
    decided_at=T0 + timedelta(hours=5),
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
REFUSED = replace(
    GRANTED, outcome="refused", decision_reason="no-place", manual_steps=2, reconciled_by_hand=("name", "name")
)
OPEN = replace(GRANTED, decided_at=None, outcome="", asked_despite_register=("population",))
WITHDRAWN = replace(GRANTED, outcome="withdrawn")
UNSENT = replace(OPEN, submitted_at=None, asked_despite_register=())
YOUNG = replace(GRANTED, started_at=T0 + timedelta(days=9, hours=23))
SAMPLE = [GRANTED, GRANTED, REFUSED, OPEN, WITHDRAWN, UNSENT]


@pytest.mark.parametrize(
    ("name", "numerator", "denominator"),
    [
        ("M01", 3, 6),  # a refusal completes, a withdrawal does not
        ("M01b", 2, 3),
        ("M05", 1, 3),
        ("M11", 2, 3),  # decided, and none waits at a desk
        ("M12", 1, 5),  # of the submitted, the withdrawn with them
        ("M13", 1, 5),
    ],
)
def test_shares_counted_by_hand(name: str, numerator: int, denominator: int) -> None:
    result = measure(name, SAMPLE, COHORT)
    assert (result.values["numerator"], result.values["denominator"]) == (numerator, denominator)
    assert result.n == denominator


def test_every_measure_names_its_definition_its_cohort_and_its_n() -> None:
    for name in MEASURES:
        body = measure(name, SAMPLE, COHORT).as_dict()
        assert body["id"] == name
        assert body["version"] >= 1
        assert body["cohort"]["maturity_seconds"] == 30 * 86400
        assert isinstance(body["n"], int)


def test_cases_too_young_to_have_ended_are_left_out_and_counted() -> None:
    cohort = replace(COHORT, as_of=T0 + timedelta(days=31))
    result = measure("M01", [*SAMPLE, YOUNG], cohort)
    assert (result.n, result.excluded) == (6, {"immature": 1})


def test_synthetic_cases_never_count() -> None:
    result = measure("M11", [GRANTED, replace(GRANTED, synthetic=True)], COHORT)
    assert (result.n, result.excluded) == (1, {"synthetic": 1})


def test_a_case_that_waits_at_a_desk_counts_against_straight_through_before_it_is_decided() -> None:
    waiting = replace(OPEN, manual_steps=1)
    result = measure("M11", [GRANTED, waiting, OPEN], COHORT)
    assert (result.values["numerator"], result.n, result.excluded) == (1, 2, {"undecided": 1})


def test_an_empty_cohort_gives_no_percentage_rather_than_zero() -> None:
    result = measure("M11", [], COHORT)
    assert (result.n, result.percent) == (0, None)


def test_the_unfinished_lengthen_the_turnaround_and_the_withdrawn_are_counted_apart() -> None:
    result = measure("M02", [GRANTED, OPEN, WITHDRAWN], COHORT)
    assert result.values == {"median_seconds": 4 * 3600, "p90_seconds": None, "still_open": 1}
    assert result.excluded == {"withdrawn": 1}
    assert measure("M02", [GRANTED, OPEN, OPEN], COHORT).values["median_seconds"] is None


def test_the_ninetieth_percentile_needs_a_hundred_cases() -> None:
    assert measure("M02", [GRANTED] * 99, COHORT).values["p90_seconds"] is None
    assert measure("M02", [GRANTED] * 99, COHORT).warnings == ("too-few-for-p90",)
    assert measure("M02", [GRANTED] * 100, COHORT).values["p90_seconds"] == 4 * 3600


def test_the_agencys_clock_stops_while_the_applicant_is_asked() -> None:
    waited = replace(GRANTED, waiting=timedelta(hours=3))
    assert measure("M02", [waited], COHORT).values["median_seconds"] == 4 * 3600
    assert measure("M03", [waited], COHORT).values["median_seconds"] == 3600


def test_causes_are_counted_once_per_case_and_too_much_other_is_flagged() -> None:
    returned = replace(GRANTED, returned_at=T0 + timedelta(hours=2), return_reason="photo")
    both = replace(REFUSED, returned_at=T0 + timedelta(hours=2), return_reason="photo")
    result = measure("M05", [GRANTED, returned, both, replace(REFUSED, decision_reason="other")], COHORT)
    assert result.breakdown == {"photo": 1, "no-place": 1, "other": 1}
    assert result.values == {"numerator": 3, "denominator": 4}
    assert result.warnings == ("other-above-10-percent",)


def test_manual_reconciliation_counts_a_case_once_per_pair_of_fields() -> None:
    result = measure("M12", [REFUSED, GRANTED], COHORT)
    assert (result.values["numerator"], result.breakdown) == (1, {"name": 1})


@pytest.mark.parametrize(("top", "bottom", "text"), [(1, 3, "33.3"), (2, 3, "66.7"), (1, 8, "12.5"), (0, 5, "0.0")])
def test_a_percentage_is_rounded_half_up_for_reading_only(top: int, bottom: int, text: str) -> None:
    cases = [GRANTED] * top + [replace(GRANTED, manual_steps=1)] * (bottom - top)
    assert measure("M11", cases, COHORT).percent == text


def test_an_unknown_measure_is_named_with_the_known_ones() -> None:
    with pytest.raises(MeasureUnknown, match="M99"):
        measure("M99", [], COHORT)


def test_every_definition_has_its_function() -> None:
    assert set(DEFINITIONS) == set(MEASURES)
