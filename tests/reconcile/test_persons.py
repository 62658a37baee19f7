"""Person keys: what arrives never moves what is known; sure matches do not depend on order; a merge taken back restores."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.reconcile import persons
from kerege.reconcile.errors import KeyUnknown, MergeRefused, SplitRefused
from kerege.reconcile.link import Entry, same_person
from kerege.reconcile.persons import KeyBook, place

GIVEN = ["bakit", "aigul", "azamat"]


def entry(person: int, spelling: int = 0, pin: bool = True) -> Entry:
    """A record of an invented person; `spelling` writes it another way, as registers do."""
    surname, given = f"asan{'bcdefgh'[person % 7]}ov", GIVEN[person % 3]
    day = f"19{60 + person % 40}-0{1 + person % 9}-1{person % 9}"
    number = f"{1 + person % 2}{day[8:]}{day[5:7]}{day[:4]}{(person * 7919) % 100000:05d}"
    return Entry(
        {
            "pin": number if pin else None, "surname": surname.title(), "given_name": given.title(), "surname_key": surname,
            "given_name_key": given, "patronymic_key": None if spelling % 2 else "sadir", "birth_date": None if spelling == 3 else day,
            "sex": None if spelling == 2 else str(2 - person % 2),
        }
    )  # fmt: skip


class Desk:
    """Records placed one by one, as the room's doings would."""

    def __init__(self) -> None:
        self.book = KeyBook.empty()
        self.entries: dict[str, list[Entry]] = {}
        self.numbers = itertools.count()

    def add(self, ref: tuple[str, str], one: Entry) -> persons.Placement:
        placed = place(one, self.entries, make_key=lambda: f"person-{next(self.numbers)}")
        self.book = self.book.with_record(ref, placed.key)
        self.entries.setdefault(placed.key, []).append(one)
        return placed

    def groups(self) -> set[frozenset[tuple[str, str]]]:
        return {self.book.records(key) for key in self.book.keys}


RECORDS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=10)


@settings(max_examples=30)
@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_the_outcome_for_sure_matches(
    records: list[tuple[int, int]], rng: random.Random
) -> None:
    numbered = [((f"r{n}", str(n)), entry(person, spelling)) for n, (person, spelling) in enumerate(records)]
    first, second = Desk(), Desk()
    for ref, one in numbered:
        assert first.add(ref, one).kind in (persons.EXISTING, persons.NEW)
    for ref, one in rng.sample(numbered, len(numbered)):
        second.add(ref, one)
    assert first.groups() == second.groups()
    assert len(first.groups()) == len({person for person, _ in records})


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), min_size=2, max_size=10))
def test_adding_records_never_changes_keys_of_old_ones(records: list[tuple[int, int, bool]]) -> None:
    desk = Desk()
    before: dict[tuple[str, str], str | None] = {}
    for n, (person, spelling, pin) in enumerate(records):
        desk.add((f"r{n}", str(n)), entry(person, spelling, pin))
        assert {ref: desk.book.of(ref) for ref in before} == before
        before[f"r{n}", str(n)] = desk.book.of((f"r{n}", str(n)))


def test_names_and_a_date_alone_place_a_record_only_when_everybody_is_known() -> None:
    known = {"person-1": [entry(1)], "person-2": [entry(2)]}
    bare = entry(1, pin=False)
    unsure = place(bare, known)
    assert (unsure.kind, unsure.candidates) == (persons.UNSURE, ("person-1",))
    assert place(bare, known, everybody=True).key == "person-1"
    namesake = {**known, "person-3": [entry(1, pin=False)]}
    assert place(bare, namesake, everybody=True).kind == persons.UNSURE


def test_a_record_that_is_surely_of_two_keys_is_a_question_and_joins_neither() -> None:
    placed = place(entry(1), {"person-a": [entry(1)], "person-b": [entry(1, 3)]}, make_key=lambda: "person-new")
    assert (placed.kind, placed.key, placed.candidates) == (persons.UNSURE, "person-new", ("person-a", "person-b"))


def written(surname: str, given: str | None, pin: str | None = "10103199000012") -> Entry:
    return Entry(
        {"pin": pin, "surname_key": surname, "given_name_key": given, "patronymic_key": None, "birth_date": "1990-03-01", "sex": "1"}
    )  # fmt: skip


NAMES = st.tuples(st.sampled_from(["asanov", "asanof", "bekov"]), st.sampled_from(["bakit", "bakitbek", "azat", None]))


@settings(max_examples=60)
@given(st.lists(NAMES, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_two_names_under_one_pin_are_never_joined_without_a_clerk_whatever_arrives_between_them(
    names: list[tuple[str, str | None]], rng: random.Random
) -> None:
    records = {(f"r{n}", str(n)): written(*name) for n, name in enumerate(names)}
    for _ in range(2):
        desk = Desk()
        for ref in rng.sample(sorted(records), len(records)):
            desk.add(ref, records[ref])
        for group in desk.groups():
            for a, b in itertools.combinations(sorted(group), 2):
                assert "name_different" not in same_person(records[a], records[b]).reasons


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_record_without_a_given_name_never_makes_twins_under_one_pin_one_person(order: tuple[int, ...]) -> None:
    records = [written("asanov", "bakit"), written("asanov", None), written("asanov", "azat")]
    desk = Desk()
    placed = [desk.add((f"r{n}", str(n)), records[n]) for n in order]
    assert desk.book.of(("r0", "0")) != desk.book.of(("r2", "2"))
    assert persons.UNSURE in {one.kind for one in placed}


def test_what_a_clerk_joined_though_it_contradicts_is_not_asked_about_again_with_every_new_record() -> None:
    before, after = written("asanov", "bakit"), written("bekov", "azat")  # a name that was changed
    assert "name_different" in same_person(before, after).reasons
    joined = {"person-a": [before, after]}
    assert place(written("bekov", "azat"), joined).kind == persons.EXISTING


def test_a_correction_of_a_known_record_leaves_its_key() -> None:
    book = KeyBook.empty().with_record(("civil", "1"), "person-a")
    assert book.with_record(("civil", "1"), "person-b").of(("civil", "1")) == "person-a"


def test_a_key_is_random_and_says_nothing_of_the_pin() -> None:
    made = {persons.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(len(key) == len("person-") + 32 for key in made)


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6)


def book_of(steps: list[tuple[int, int]]) -> KeyBook:
    book = KeyBook.empty()
    for n in range(12):
        book = book.with_record(("civil", str(n)), f"person-{n % 6}")
    for a, b in steps:
        if book.present(f"person-{a}") != book.present(f"person-{b}"):
            book = book.merge(f"person-{a}", f"person-{b}")
    return book


@given(STEPS, st.integers(0, 5), st.integers(0, 5))
def test_a_merge_taken_back_restores_everything(steps: list[tuple[int, int]], a: int, b: int) -> None:
    book = book_of(steps)
    kept, joined = f"person-{a}", f"person-{b}"
    if book.present(kept) == book.present(joined):
        with pytest.raises(MergeRefused):
            book.merge(kept, joined)
        return
    merged = book.merge(kept, joined)
    assert merged.present(joined) == book.present(kept)
    assert merged.records(kept) == book.records(kept) | book.records(joined)
    assert joined in merged.aliases(kept) | {kept}
    assert merged.keys == book.keys
    assert merged.unmerge(book.present(joined)) == book


def test_a_split_moves_the_named_records_and_both_keys_stay_known() -> None:
    book = book_of([])
    parted = book.split("person-1", [("civil", "7")], "person-x")
    assert parted.of(("civil", "7")) == "person-x"
    assert parted.of(("civil", "1")) == "person-1"
    assert parted.merge("person-1", "person-x").records("person-1") == book.records("person-1")


@pytest.mark.parametrize("records", [[], [("civil", "1"), ("civil", "7")], [("civil", "2")]])
def test_a_split_of_nothing_of_all_or_of_anothers_records_is_refused(records: list[tuple[str, str]]) -> None:
    with pytest.raises(SplitRefused):
        book_of([]).split("person-1", records, "person-x")


def test_a_key_that_was_never_made_is_told() -> None:
    with pytest.raises(KeyUnknown):
        book_of([]).present("person-99")
    with pytest.raises(SplitRefused):
        book_of([]).unmerge("person-1")


def test_keys_that_stand_for_one_another_in_a_circle_are_no_book() -> None:
    with pytest.raises(ValueError, match="circle"):
        KeyBook({}, {"a": "b", "b": "a"}, frozenset("ab"))
