"""The decision on facts: fixed order, three-valued, never ahead of what is known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.services import definitions
from kerege.services.rules import Facts, decide, may_be_admitted

DEFINITION = definitions.of("grade1-admission", "kg")
GOOD = Facts(date(2019, 5, 3), True, True, False, True, stage=1)
BOOLS = st.sampled_from([True, False, None])
DATES = st.sampled_from([None, date(2019, 5, 3), date(2021, 1, 1), date(2017, 1, 1)])
ANY_FACTS = st.builds(
    Facts, DATES, BOOLS, BOOLS, BOOLS, BOOLS, st.sampled_from([1, 2]), st.frozensets(DATES.filter(bool), max_size=1)
)


def test_a_child_with_everything_in_order_is_admitted_if_there_is_a_place() -> None:
    assert decide(GOOD, DEFINITION).kind == "admit"


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"guardian": False}, "refuse", "not_guardian"),
        ({"birth_date": date(2021, 1, 1)}, "refuse", "under_age"),
        ({"birth_date": date(2017, 1, 1)}, "commission", "over_age"),
        ({"enrolled_elsewhere": True}, "refuse", "enrolled_elsewhere"),
        ({"in_catchment": False}, "refuse", "outside_catchment"),
        ({"vaccinated": False}, "refuse", "not_vaccinated"),
    ],
)
def test_each_rule_alone_gives_its_own_reason(change: dict[str, object], kind: str, reason: str) -> None:
    outcome = decide(replace(GOOD, **change), DEFINITION)  # type: ignore[arg-type]
    assert (outcome.kind, outcome.primary) == (kind, reason)


def test_stage_two_does_not_ask_for_the_catchment() -> None:
    assert decide(replace(GOOD, in_catchment=None, stage=2), DEFINITION).kind == "admit"
    assert decide(replace(GOOD, in_catchment=False, stage=2), DEFINITION).kind == "admit"


def test_too_young_is_decided_even_when_the_vaccination_is_not_known() -> None:
    outcome = decide(replace(GOOD, birth_date=date(2021, 1, 1), vaccinated=None), DEFINITION)
    assert (outcome.kind, outcome.reasons) == ("refuse", ("under_age",))


def test_too_young_is_not_decided_while_parenthood_is_open_because_the_reason_would_change() -> None:
    outcome = decide(replace(GOOD, birth_date=date(2021, 1, 1), guardian=None), DEFINITION)
    assert outcome.kind == "undecided"
    assert outcome.open_facts == ("guardian",)


def test_two_registers_with_two_dates_decide_when_both_dates_give_one_age_class() -> None:
    same = replace(GOOD, other_birth_dates=frozenset({date(2019, 3, 5)}))
    other = replace(GOOD, other_birth_dates=frozenset({date(2021, 3, 5)}))
    assert decide(same, DEFINITION).kind == "admit"
    assert decide(other, DEFINITION).open_facts == ("birth_date",)


def test_only_facts_that_can_still_change_the_outcome_are_named_open() -> None:
    outcome = decide(Facts(date(2019, 5, 3), False, None, None, True, stage=1), DEFINITION)
    assert outcome.open_facts == ("enrolled_elsewhere",)


def _completions(facts: Facts) -> list[Facts]:
    dates = (
        [date(2019, 5, 3), date(2021, 1, 1), date(2017, 1, 1)]
        if facts.birth_date is None
        else sorted({facts.birth_date, *facts.other_birth_dates})
    )

    def both(value: bool | None) -> list[bool]:
        return [True, False] if value is None else [value]

    return [
        Facts(day, catchment, vaccinated, enrolled, guardian, facts.stage)
        for day, catchment, vaccinated, enrolled, guardian in itertools.product(
            dates,
            both(facts.in_catchment),
            both(facts.vaccinated),
            both(facts.enrolled_elsewhere),
            both(facts.guardian),
        )
    ]


@given(ANY_FACTS)
def test_a_decision_on_part_of_the_facts_is_the_decision_on_all_of_them(facts: Facts) -> None:
    outcome = decide(facts, DEFINITION)
    full = [decide(completion, DEFINITION) for completion in _completions(facts)]
    if outcome.kind == "undecided":
        assert len({(o.kind, o.primary) for o in full}) > 1
        assert outcome.open_facts
    else:
        assert {(o.kind, o.primary) for o in full} == {(outcome.kind, outcome.primary)}
        assert all(set(outcome.reasons) <= set(o.reasons) for o in full)
    assert may_be_admitted(facts, DEFINITION) == any(o.kind == "admit" for o in full)
