"""Places: in order, and never given or refused on the strength of something still open."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.services.places import NO_PLACE, NOT_ASKED, OPEN, PLACE, Claim, allocate

START = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)


def claim(number: int, eligible: bool | None, school: str = "s1", stage: int = 1) -> Claim:
    return Claim(f"a{number}", school, stage, START + timedelta(minutes=number), eligible)


def test_places_go_in_order_of_arrival_until_none_is_left() -> None:
    result = allocate([claim(3, True), claim(1, True), claim(2, True)], {"s1": 2})
    assert result == {"a1": PLACE, "a2": PLACE, "a3": NO_PLACE}


def test_stage_one_comes_before_stage_two_whatever_the_hour() -> None:
    result = allocate([claim(1, True, stage=2), claim(2, True, stage=1)], {"s1": 1})
    assert result == {"a2": PLACE, "a1": NO_PLACE}


def test_an_undecided_application_holds_a_place_at_its_school_only() -> None:
    result = allocate([claim(1, None), claim(2, True), claim(3, True, "s2")], {"s1": 1, "s2": 1})
    assert result == {"a1": NOT_ASKED, "a2": OPEN, "a3": PLACE}


def test_the_third_of_two_places_is_refused_even_though_the_first_is_open() -> None:
    # whichever of a1 and a2 gets the single place, a3 cannot
    result = allocate([claim(1, None), claim(2, True), claim(3, True)], {"s1": 1})
    assert result["a3"] == NO_PLACE


def test_nothing_is_sure_at_a_school_whose_places_are_not_known() -> None:
    assert allocate([claim(1, True)], {"s1": None}) == {"a1": OPEN}
    assert allocate([claim(1, True)], {}) == {"a1": OPEN}


def test_a_refused_application_neither_holds_nor_gets_a_place() -> None:
    assert allocate([claim(1, False), claim(2, True)], {"s1": 1}) == {"a1": NOT_ASKED, "a2": PLACE}


CLAIMS = st.lists(
    st.tuples(st.sampled_from([True, True, False, None]), st.sampled_from(["s1", "s2"]), st.sampled_from([1, 2])),
    max_size=9,
).map(lambda rows: [claim(n, e, s, g) for n, (e, s, g) in enumerate(rows)])
FREE = st.fixed_dictionaries({"s1": st.integers(0, 4), "s2": st.integers(0, 4)})


@settings(max_examples=150)
@given(CLAIMS, FREE)
def test_no_automatic_place_changes_however_the_undecided_ones_end(claims: list[Claim], free: dict[str, int]) -> None:
    result = allocate(claims, free)
    unknown = [c for c in claims if c.eligible is None]
    truths = []
    for ending in itertools.product([True, False], repeat=len(unknown)):
        settled = dict(zip((c.application_id for c in unknown), ending, strict=True))
        full = [replace(c, eligible=settled.get(c.application_id, c.eligible)) for c in claims]
        truths.append(allocate(full, free))
    for application_id, verdict in result.items():
        seen = {truth[application_id] for truth in truths}
        if verdict in {PLACE, NO_PLACE}:
            assert seen == {verdict}
        if verdict == OPEN:
            assert seen == {PLACE, NO_PLACE}, "a sure answer was left open"


@given(CLAIMS, FREE)
def test_a_school_never_gives_more_places_than_it_has(claims: list[Claim], free: dict[str, int]) -> None:
    result = allocate(claims, free)
    for school, places in free.items():
        given_out = sum(result[c.application_id] == PLACE for c in claims if c.school_code == school)
        assert given_out <= places
