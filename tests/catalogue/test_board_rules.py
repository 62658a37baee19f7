"""The board's counts, pace and steps: computed from facts, and never more done than there is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue.board.rules import (
    AttributeFacts,
    Count,
    DatasetFacts,
    DayPoint,
    Measure,
    MeasureRule,
    Step,
    count,
    day_number,
    pace,
    shown,
    steps,
)
from kerege.catalogue.board.words import step_text
from kerege.ground.text import Text

T = Text("x", "x", "x")
RULES = {m: MeasureRule(m, T, T, 80 if m in (Measure.MAPPED, Measure.DOCUMENTED) else 100) for m in Measure}
DAY1 = date(2026, 11, 1)


def attribute(column: str = "pin", **how: object) -> AttributeFacts:
    told = {"mapped": True, "owned": True, "interim": False, "documented": True, **how}
    return AttributeFacts(column, **told)  # type: ignore[arg-type]


def facts(*attributes: AttributeFacts, **how: object) -> DatasetFacts:
    told = {"described": True, "contract": False, "state": "published", **how}
    return DatasetFacts(1, "r.csv#r", "70000001", "why", "asanova", attributes, **told)  # type: ignore[arg-type]


def test_a_dataset_with_everything_is_complete_in_all_five() -> None:
    counts = count(facts(attribute(), attribute("sex", codelist="kg:sex")), RULES)
    assert all(c.complete and c.percent == 100 for c in counts.values())
    assert steps(facts(attribute()), counts) == ()


def test_a_dataset_of_which_nothing_is_known_is_complete_in_nothing() -> None:
    empty = facts(state="draft", described=False, source="r.csv")
    counts = count(empty, RULES)
    assert not any(c.complete for c in counts.values())
    assert [s.command for s in steps(empty, counts)] == ["kerege harvest r.csv --plan"]


def test_while_meanings_are_unknown_nothing_counts_as_harmonised() -> None:
    counts = count(facts(attribute(mapped=False), attribute("b", mapped=False)), RULES)
    harmonised = counts[Measure.HARMONISED]
    assert (harmonised.done, harmonised.total, harmonised.complete, harmonised.percent) == (0, 0, False, 0)


@pytest.mark.parametrize("open_codes", [("41799",), None])
def test_an_open_code_or_codes_nobody_was_told_keep_an_attribute_unharmonised(
    open_codes: tuple[str, ...] | None,
) -> None:
    held = facts(attribute(), attribute("region", codelist="kg:soate", open_codes=open_codes), source="r.csv")
    counts = count(held, RULES)
    assert counts[Measure.HARMONISED] == Count(Measure.HARMONISED, 0, 1, False, ("region",))
    assert [s.kind for s in steps(held, counts)] == ["tell-codes" if open_codes is None else "harmonise"]


def test_a_share_below_the_packs_is_not_complete_and_one_at_it_is() -> None:
    four = [attribute(str(n)) for n in range(4)]
    assert count(facts(*four, attribute("x", mapped=False)), RULES)[Measure.MAPPED].complete
    assert not count(facts(*four[:3], attribute("x", mapped=False)), RULES)[Measure.MAPPED].complete


def test_owned_means_every_single_attribute() -> None:
    many = [attribute(str(n)) for n in range(999)]
    owned = count(facts(*many, attribute("last", owned=False)), RULES)[Measure.OWNED]
    assert (owned.percent, owned.complete, owned.missing) == (99, False, ("last",))


def test_a_dataset_without_words_of_its_own_needs_a_description_or_a_contract() -> None:
    assert not count(facts(attribute(), described=False), RULES)[Measure.DOCUMENTED].complete
    assert count(facts(attribute(), described=False, contract=True), RULES)[Measure.DOCUMENTED].complete


def test_owners_come_first_and_the_entry_is_not_offered_for_publishing_before() -> None:
    held = facts(attribute(owned=False, mapped=False), state="approved", source="r.csv")
    kinds = [s.kind for s in steps(held, count(held, RULES))]
    assert kinds == ["own", "map"]
    ready = facts(attribute(), state="approved", version="2")
    (only,) = steps(ready, count(ready, RULES))
    assert only.command == "kerege lifecycle act publish dataset r.csv#r 2 --by WHO --reason WHY"


def test_a_name_with_blanks_or_quotes_is_typed_safely() -> None:
    assert shown("r.csv#r") == "r.csv#r"
    assert shown("the file.csv#r") == "'the file.csv#r'"
    assert shown("a'; rm -rf /") == "'a'\\''; rm -rf /'"
    assert shown("$(id)") == "'$(id)'"


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["", "kg:sex"]), st.booleans()), max_size=12),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_nothing_is_ever_more_done_than_there_is_and_what_is_missing_is_named(
    raw: list[tuple[bool, bool, bool, str, bool]], described: bool, contract: bool
) -> None:
    attributes = [
        attribute(f"c{n}", mapped=m, owned=o, documented=d, codelist=c, open_codes=() if h else ("x",))
        for n, (m, o, d, c, h) in enumerate(raw)
    ]
    counts = count(facts(*attributes, described=described, contract=contract), RULES)
    for measure, c in counts.items():
        assert 0 <= c.done <= c.total
        assert 0 <= c.percent <= 100
        about = measure is Measure.DOCUMENTED and not (described or contract)
        assert c.total - c.done == len(c.missing) + about
        assert not (c.complete and c.done * 100 < RULES[measure].complete_at * c.total)


def point(day: int, done: int) -> DayPoint:
    return DayPoint(DAY1 + timedelta(days=day - 1), {Measure.OWNED: (done, 100, 0)})


def on(day: int) -> date:
    return DAY1 + timedelta(days=day - 1)


def test_the_first_day_is_day_one_and_the_ninetieth_still_counts() -> None:
    assert day_number(DAY1, DAY1) == 1
    assert pace(10, DAY1, 90, on(90), 0, ()).needed == 100
    assert pace(10, DAY1, 90, on(91), 0, ()).needed is None
    assert pace(0, DAY1, 90, on(200), 100, ()).needed == 0


def test_the_pace_seen_is_that_of_the_last_two_weeks() -> None:
    history = [point(1, 0), point(20, 40), point(29, 55)]
    seen = pace(40, DAY1, 90, on(30), 60, history)
    assert (seen.needed, seen.seen, seen.enough) == (7, 20, True)


def test_without_an_earlier_day_the_pace_is_not_known_and_nothing_is_guessed() -> None:
    found = pace(40, DAY1, 90, on(30), 60, [point(30, 60)])
    assert (found.seen, found.enough) == (None, None)


def test_a_board_that_fell_back_has_a_pace_below_nothing() -> None:
    found = pace(40, DAY1, 90, on(30), 50, [point(20, 60)])
    assert (found.seen, found.enough) == (-10, False)
    assert found.as_dict() == {"needed": 0.7, "seen": -1.0, "enough": False}


def test_an_interim_owner_leaves_the_lasting_one_to_be_named_by_who_must() -> None:
    held = facts(attribute(interim=True, names_lasting="the Cabinet"), attribute("b"))
    (only,) = steps(held, count(held, RULES))
    assert (only.kind, only.columns) == ("name-lasting", ("pin",))
    assert only.command.endswith("--by 'the Cabinet'")


def test_a_step_says_how_many_codes_are_open_and_cuts_a_long_list_of_columns() -> None:
    assert (
        step_text(Step("harmonise", ("pol",), open=2), "en")
        == "Place its codes in the common list: pol (open codes: 2)"
    )
    many = step_text(Step("own", tuple(f"c{n}" for n in range(11))), "en")
    assert many.endswith("c7 … (+3)")
    assert step_text(Step("document", ()), "ru") == "Описать"
