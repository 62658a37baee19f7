"""Periods, holders and the publication decision: no instant with two owners, whatever was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue.ownership.rules import (
    INTERIM,
    Period,
    Tenure,
    clash,
    holder,
    judge,
    judge_attribute,
    may_hand_over,
    same_member,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return T0 + timedelta(days=day)


def owned(since: int, until: int | None = None, organisation: str = "70000001", kind: str = "lasting") -> Tenure:
    period = Period(at(since), at(until) if until is not None else None)
    return Tenure(organisation, "Registry", "Law 5, art. 7", period, kind, "70000009" if kind == INTERIM else "")


days = st.integers(0, 40)
periods = st.builds(
    lambda since, length: Period(at(since), None if length is None else at(since + length)),
    days,
    st.one_of(st.none(), st.integers(0, 20)),
)


@given(periods, periods)
def test_two_periods_overlap_exactly_when_some_instant_lies_in_both(one: Period, other: Period) -> None:
    instants = [at(d) for d in range(62)]
    shared = any(one.covers(i) and other.covers(i) for i in instants)
    assert one.overlaps(other) == other.overlaps(one) == shared


@given(periods, days)
def test_an_ended_period_ends_there_at_the_latest_and_never_grows(period: Period, day: int) -> None:
    ended = period.ended(at(day))
    assert not ended.covers(max(at(day), period.since))
    for d in range(62):
        assert not ended.covers(at(d)) or period.covers(at(d))
        if d < day:
            assert ended.covers(at(d)) == period.covers(at(d))


@given(st.lists(st.tuples(st.sampled_from(["name", "hand-over", "end"]), days, periods), max_size=25))
def test_no_instant_ever_has_two_owners_whatever_is_named_handed_over_or_ended(
    tries: list[tuple[str, int, Period]],
) -> None:
    tenures: list[Tenure] = []
    for number, (act, day, period) in enumerate(tries):
        present = holder(tenures, at(day))
        if act != "name" and present is not None:
            ended = Tenure(present.organisation, present.unit, present.legal_basis, present.period.ended(at(day)))
            tenures = [ended if t is present else t for t in tenures]
        if act == "end" or (act == "hand-over" and present is None):
            continue
        wanted = Period(at(day)) if act == "hand-over" else period
        if clash(tenures, wanted) is None:
            tenures.append(Tenure(f"org{number}", "u", "l", wanted))
        for d in range(62):
            assert sum(t.period.covers(at(d)) for t in tenures) <= 1


def test_a_hand_over_leaves_no_instant_without_an_owner() -> None:
    first, second = owned(0, 10), owned(10, organisation="70000002")
    assert holder([first, second], at(10) - timedelta(microseconds=1)) is first
    assert holder([first, second], at(10)) is second


def test_two_owners_in_the_store_are_an_error_and_not_a_choice() -> None:
    with pytest.raises(ValueError, match="two owners"):
        holder([owned(0), owned(5, organisation="70000002")], at(6))


def test_a_naive_time_or_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Period(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="ends before"):
        Period(at(2), at(1))


@pytest.mark.parametrize(
    ("tenures", "reason"),
    [
        ([], "unowned"),
        ([owned(0)], "owned"),
        ([owned(0, 90, kind=INTERIM)], "owned-in-the-interim"),
        ([owned(0, 20, kind=INTERIM)], "interim-ran-out"),
        ([owned(0, 20)], "owner-ended"),
        ([owned(40)], "owner-begins-later"),
        ([owned(30, 30)], "unowned"),
        ([owned(0, 20, kind=INTERIM), owned(20)], "owned"),
        ([owned(0, 20), owned(25, 28, kind=INTERIM), owned(50)], "interim-ran-out"),
    ],
)
def test_an_attributes_verdict_names_its_reason(tenures: list[Tenure], reason: str) -> None:
    verdict = judge_attribute("pin", tenures, at(30))
    assert verdict.reason == reason
    assert verdict.allowed == reason.startswith("owned")
    assert "pin" in verdict.text


def test_an_interim_term_that_ran_out_says_who_must_name_the_lasting_owner() -> None:
    told = judge_attribute("pin", [owned(0, 20, kind=INTERIM)], at(30)).text
    assert told == (
        "pin has no owner: the interim term of 70000001 Registry ran out 2026-01-21T00:00:00Z, "
        "70000009 must name the lasting owner"
    )


def test_one_unowned_attribute_keeps_the_dataset_from_being_published() -> None:
    verdict = judge("r.csv#r", [("pin", [owned(0)]), ("sex", []), ("area", [owned(0, 5)])], at(30))
    assert not verdict
    assert [a.allowed for a in verdict.attributes] == [True, False, False]
    assert verdict.reasons == ("sex has no owner", "area has no owner since 2026-01-06T00:00:00Z")
    assert verdict.as_dict()["attributes"][1] == {
        "column": "sex", "allowed": False, "reason": "unowned", "owner": None,
    }  # fmt: skip


def test_a_dataset_with_nothing_in_it_or_no_longer_there_is_not_published() -> None:
    assert judge("r", [], at(1)).against == ("no-attributes",)
    assert judge("r", [("pin", [owned(0)])], at(1), vanished=True).reasons == ("it vanished from its source",)


def test_all_owned_is_published() -> None:
    assert judge("r", [("pin", [owned(0)]), ("sex", [owned(0, 90, kind=INTERIM)])], at(30)).allowed


def test_only_the_present_owner_hands_over_and_for_an_interim_one_who_names_the_lasting() -> None:
    assert may_hand_over(owned(0), "70000001")
    assert not may_hand_over(owned(0), "70000002")
    interim = owned(0, 20, kind=INTERIM)
    assert may_hand_over(interim, "70000009")
    assert not may_hand_over(interim, "70000001")


def test_a_member_is_named_by_its_code_or_whole_and_two_whole_names_must_be_equal() -> None:
    assert may_hand_over(owned(0), "KG/GOV/70000001")
    assert not may_hand_over(owned(0), "KG/GOV/70000002")
    assert same_member("KG/GOV/70000001", "70000001")
    assert not same_member("KG/GOV/70000001", "KG/COM/70000001")
    assert not same_member("", "KG/GOV/70000001")
    assert not same_member("1", "KG/GOV/70000001")
