"""Same person, another, or unsure: by hand-made records, twins and namesakes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kerege.reconcile.link import (
    DIFFERENT,
    SAME,
    UNSURE,
    Entry,
    Linked,
    NoneThere,
    Unsure,
    clearly_other,
    date_relation,
    pick,
    pick_one,
    pin_relation,
    same_person,
)
from kerege.semantics.normalise import names

PIN = "20305201912345"


def person(
    surname: str | None = "Асанов",
    given: str | None = "Үсөн",
    patronymic: str | None = "Бакытович",
    *,
    born: str | None = "2019-05-03",
    sex: str | None = "1",
    pin: str | None = PIN,
    flagged: frozenset[tuple[str, str]] = frozenset(),
) -> Entry:
    values: dict[str, str | None] = {"birth_date": born, "sex": sex, "pin": pin}
    return Entry(values | names.keys(surname, given, patronymic), flagged)


CHILD = person()


def test_an_equal_pin_with_agreeing_names_is_proof_in_any_spelling() -> None:
    link = same_person(CHILD, person("Asanov", "Uson", "Bakyt uulu"))
    assert (link.verdict, link.strong) == (SAME, True)


def test_an_equal_pin_under_another_name_is_unsure() -> None:
    assert same_person(CHILD, person("Жумаева", "Каухар", "Мирбековна", sex="2")).verdict == UNSURE


def test_name_and_date_without_a_pin_are_the_same_but_not_strong() -> None:
    link = same_person(CHILD, person(pin=None))
    assert (link.verdict, link.strong) == (SAME, False)


def test_a_pin_one_slip_away_is_no_evidence_of_another_person() -> None:
    for slip in ("20305201912346", "20305201921345", "2030520191234", "203052019123455"):
        assert pin_relation(CHILD, person(pin=slip)) == "near"
        assert same_person(CHILD, person(pin=slip)).verdict == SAME


def test_two_far_pins_under_one_name_and_date_are_unsure_a_namesake_or_a_wrong_pin() -> None:
    assert same_person(CHILD, person(pin="20305201967891")).verdict == UNSURE


def test_a_pin_that_contradicts_its_own_record_is_not_looked_at() -> None:
    wrong = person(pin="21212201999999", flagged=frozenset({("pin", "semantics.pin_contradicts")}))
    assert pin_relation(CHILD, wrong) == "unknown"
    assert same_person(CHILD, wrong).verdict == SAME


def test_a_twin_is_another_person_but_only_the_given_name_says_so() -> None:
    link = same_person(CHILD, person(given="Бермет", sex="1", pin=None))
    assert (link.verdict, link.strong) == (DIFFERENT, False)


def test_another_day_of_birth_is_another_person_unless_the_pin_is_the_same() -> None:
    assert same_person(CHILD, person("Жумаева", "Каухар", None, born="2016-11-20", pin=None)).verdict == DIFFERENT
    assert same_person(CHILD, person(born="2016-11-20")).verdict == SAME


def test_a_date_with_a_slip_under_one_name_is_unsure() -> None:
    assert date_relation("2019-05-03", "2019-03-05") == "near"
    assert date_relation("2019-05-03", "2019-05-08") == "near"
    assert date_relation("2019-05-03", None) == "unknown"
    assert same_person(CHILD, person(born="2019-03-05", pin=None)).verdict == UNSURE


def test_a_record_without_any_name_is_unsure_unless_it_was_born_on_another_day() -> None:
    nameless = person(None, None, None, pin=None)
    assert same_person(CHILD, nameless).verdict == UNSURE
    assert same_person(CHILD, person(None, None, None, pin=None, born="2011-01-01")).verdict == DIFFERENT


ANY_PERSON = st.builds(
    person,
    st.sampled_from(["Асанов", "Асанова", "Asanov", "Жумаева", None]),
    st.sampled_from(["Үсөн", "Асан", "Usen", "Бермет", None]),
    st.sampled_from(["Бакытович", "Бакыт уулу", None]),
    born=st.sampled_from(["2019-05-03", "2019-03-05", "2016-11-20", None]),
    sex=st.sampled_from(["1", "2", "0", None]),
    pin=st.sampled_from([PIN, "20305201912346", "20305201967891", None]),
)


@given(ANY_PERSON, ANY_PERSON)
def test_the_verdict_is_the_same_from_both_sides(left: Entry, right: Entry) -> None:
    assert same_person(left, right) == same_person(right, left)


# -- pick: many records per person ---------------------------------------------------------------------------------------


def test_without_knowing_the_rivals_a_name_alone_settles_nothing() -> None:
    picked = pick((CHILD,), (person(pin=None),))
    assert isinstance(picked, Unsure)
    assert picked.rivals_needed


def test_with_no_rival_born_that_day_name_and_date_are_enough() -> None:
    assert isinstance(pick((CHILD,), (person(pin=None),), ()), Linked)


def test_a_record_that_fits_a_namesake_as_well_is_unsure() -> None:
    namesake = person(pin="20305201967891")
    assert isinstance(pick((CHILD,), (person(pin=None),), (namesake,)), Unsure)


def test_a_record_with_the_namesakes_pin_is_the_namesakes() -> None:
    namesake = person(pin="20305201967891")
    assert isinstance(pick((CHILD,), (person(pin="20305201967891"),), (namesake,)), NoneThere)


def test_a_record_that_fits_the_twin_outright_and_the_child_roughly_is_the_twins() -> None:
    child, twin = person(given="Хасан"), person(given="Хусан", pin="20305201967891")
    assert isinstance(pick((child,), (person(given="Хусан", pin=None),), (twin,)), NoneThere)


def test_a_record_of_that_day_that_fits_nobody_is_never_waved_away() -> None:
    leftover = person("Жумаева", "Каухар", None, pin=None)
    assert isinstance(pick((CHILD,), (leftover,), (person(given="Бермет", pin=None),)), Unsure)


def test_one_view_that_fits_is_enough_and_all_must_agree_that_it_is_another() -> None:
    other_spelling = person(given="Uson", pin=None)
    assert isinstance(pick((person(given="Усон-Али"), CHILD), (other_spelling,), ()), Linked)


def test_no_candidate_is_nobodys_record() -> None:
    assert isinstance(pick((CHILD,), (), None), NoneThere)


@given(st.lists(ANY_PERSON, max_size=4), st.lists(ANY_PERSON, max_size=3))
def test_knowing_more_people_never_makes_a_strangers_record_mine(candidates: list[Entry], rivals: list[Entry]) -> None:
    alone, among = pick((CHILD,), candidates, ()), pick((CHILD,), candidates, rivals)
    mine_alone = alone.records if isinstance(alone, Linked) else getattr(alone, "sure", ())
    mine_among = among.records if isinstance(among, Linked) else getattr(among, "sure", ())
    assert all(any(record is kept for kept in mine_alone) for record in mine_among)


CONTRADICTS = frozenset({("pin", "semantics.pin_contradicts")})


def test_a_record_with_the_childs_pin_is_never_waved_away_for_the_date_it_contradicts() -> None:
    miswritten = person("Asanov", "Uson", None, born="2016-11-20", flagged=CONTRADICTS)
    assert same_person(CHILD, miswritten).verdict == UNSURE
    assert isinstance(pick((CHILD,), (miswritten,), ()), Unsure)
    assert isinstance(pick_one((CHILD,), (miswritten,)), Unsure)


def test_a_record_with_the_childs_pin_and_the_twins_name_is_not_said_to_be_the_twins() -> None:
    child, twin = person(given="Хасан"), person(given="Хусан", pin="20305201967891")
    mixed = person(given="Бермет", patronymic="Нурович")
    for record in (mixed, person(given="Хусан", sex="2", flagged=CONTRADICTS)):
        assert isinstance(
            pick((child,), (record,), (twin, person(given="Бермет", patronymic="Нурович", pin=None))), Unsure
        )


FLAGGED_OR_NOT = st.sampled_from([frozenset(), CONTRADICTS])


@given(
    ANY_PERSON,
    FLAGGED_OR_NOT,
    FLAGGED_OR_NOT,
    st.lists(ANY_PERSON, max_size=3),
    st.lists(ANY_PERSON, max_size=3) | st.none(),
)
def test_no_record_in_which_the_childs_pin_is_written_is_ever_dropped(
    record: Entry,
    record_flag: frozenset[tuple[str, str]],
    view_flag: frozenset[tuple[str, str]],
    others: list[Entry],
    rivals: list[Entry] | None,
) -> None:
    written = Entry({**record.values, "pin": PIN}, record_flag)
    me = Entry(CHILD.values, view_flag)
    assert same_person(me, written).verdict != DIFFERENT
    picked = pick((me,), [*others, written], rivals)
    kept = (
        picked.records
        if isinstance(picked, Linked)
        else ()
        if isinstance(picked, NoneThere)
        else picked.sure + picked.maybe
    )
    assert any(entry is written for entry in kept)
    assert not isinstance(pick_one((me,), [*others, written]), NoneThere)


# -- pick_one: one record per person -------------------------------------------------------------------------------------


def test_of_two_namesakes_without_pins_neither_is_picked() -> None:
    claim = person(pin=None)
    assert isinstance(pick_one((claim,), (person(), person(pin="20305201967891"))), Unsure)


def test_the_pin_separates_namesakes() -> None:
    picked = pick_one((CHILD,), (person(pin="20305201967891"), person()))
    assert isinstance(picked, Linked)
    assert picked.records[0].get("pin") == PIN


def test_a_similar_twin_blocks_the_same_name_unless_both_are_of_one_family() -> None:
    claim = person(given="Хасан", pin=None)
    twins = (person(given="Хасан", pin=None), person(given="Хусан", pin=None))
    assert isinstance(pick_one((claim,), twins), Unsure)
    assert isinstance(pick_one((claim,), twins, same_wins=True), Linked)


def test_clearly_other_needs_two_parts_unlike_so_one_miswritten_value_is_not_enough() -> None:
    assert not clearly_other(CHILD, person(given="Каухар"))
    assert clearly_other(CHILD, person("Жумабеков", "Каухар", "Бакытович"))


def test_a_far_pin_seen_by_one_view_outweighs_the_names_of_the_others() -> None:
    without = person(pin=None)
    stranger = person(pin="20305201967891")
    assert isinstance(pick((without,), (stranger,), ()), Linked)
    assert isinstance(pick((without, CHILD), (stranger,), ()), Unsure)
