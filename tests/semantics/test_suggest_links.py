"""Linked records speak for codes: enough of them, agreeing enough, and never against what labels say for sure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.suggest.codes import Candidate, Suggestion
from kerege.semantics.suggest.links import Induced, combine, induce_from_links


def induced(*pairs: tuple[str, str]) -> dict[str, Induced]:
    return {i.source_code: i for i in induce_from_links(pairs)}


def label(code: str, best: str | None, decision: str = "accept") -> Suggestion:
    candidates = (Candidate(best, 0.95),) if best else ()
    return Suggestion(code, candidates, decision, "same-name")  # type: ignore[arg-type]


def test_three_agreeing_records_are_enough_and_two_are_not() -> None:
    found = induced(*[("a", "1")] * 3, *[("b", "2")] * 2)
    assert (found["a"].decision, found["a"].target) == ("accept", "1")
    assert (found["b"].decision, found["b"].reason) == ("unsure", "too-few-records")


def test_eight_of_ten_is_agreement_and_seven_of_ten_is_a_split_to_look_at() -> None:
    assert induced(*[("a", "1")] * 8, *[("a", "2")] * 2)["a"].decision == "accept"
    split = induced(*[("a", "1")] * 7, *[("a", "2")] * 3)["a"]
    assert (split.decision, split.reason, split.split) == ("unsure", "records-disagree", (("1", 7), ("2", 3)))


def test_an_empty_code_says_nothing() -> None:
    assert induced(("", "1"), ("a", "")) == {}


def test_labels_and_links_confirm_each_other() -> None:
    found = combine([label("a", "1")], induce_from_links([("a", "1")] * 3))
    assert (found[0].decision, found[0].reason) == ("accept", "labels-and-links")


def test_labels_and_links_that_contradict_are_never_accepted() -> None:
    found = combine([label("a", "1")], induce_from_links([("a", "2")] * 5))[0]
    assert (found.decision, found.reason) == ("unsure", "labels-and-links-disagree")
    assert {c.code for c in found.candidates} == {"1", "2"}


def test_two_records_are_too_few_to_accept_but_enough_to_doubt() -> None:
    assert combine([label("a", "1")], induce_from_links([("a", "2")] * 2))[0].decision == "unsure"


def test_a_label_that_one_per_cent_of_linked_records_share_is_not_accepted() -> None:
    split = induced(*[("1", "A")] * 70, *[("1", "C")] * 29, ("1", "B"))["1"]
    (both,) = combine([label("1", "B")], [split])
    assert (both.decision, both.reason) == ("unsure", "labels-and-links-disagree")


def test_links_alone_settle_what_labels_leave_open() -> None:
    found = combine([label("a", "9", "unsure"), label("b", "1")], induce_from_links([("a", "2")] * 4))
    assert [(s.source_code, s.best, s.decision) for s in found] == [("a", "2", "accept"), ("b", "1", "accept")]


def test_a_code_only_the_records_know_is_added() -> None:
    found = combine([], induce_from_links([("z", "2")] * 4))
    assert (found[0].source_code, found[0].best, found[0].decision) == ("z", "2", "accept")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=40))
def test_whatever_is_accepted_has_three_records_and_four_fifths_of_them(pairs: list[tuple[str, str]]) -> None:
    for i in induce_from_links(pairs):
        agreeing = pairs.count((i.source_code, i.target))
        all_of = sum(a == i.source_code for a, _ in pairs)
        assert (i.decision == "accept") == (all_of >= 3 and agreeing >= 0.8 * all_of)
