"""Eight classes of a compared field, and which view decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.ground.text import Text
from kerege.reconcile.compare import (
    BY_DATE,
    BY_HISTORY,
    CLASSES,
    CODE_GAP,
    CONFLICT,
    EQUAL,
    FORMATTING,
    HARMONISED,
    MISSING,
    NOT_COMPARABLE,
    STALE,
    RecordView,
    compare_field,
    compare_records,
    count_by_field,
    normal,
)
from kerege.reconcile.fields import ComparedFields, FieldSpec, Pair, RegisterSpec, of_country

VALUES = st.one_of(st.none(), st.sampled_from(["", " ", "М", "м ", "1", "2", "Асанов"]))


def test_values_written_alike_are_equal() -> None:
    assert compare_field(" Асанов", "АСАНОВ ", "asanov", "asanov") == EQUAL


def test_two_codings_of_one_meaning_are_equal_only_after_harmonising() -> None:
    assert compare_field("М", "1", "1", "1") == HARMONISED
    assert compare_field("03.05.2019", "2019-05-03", "2019-05-03", "2019-05-03") == HARMONISED


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Өмүрова", "Омурова"),
        ("Асанова-Төлөгөн", "АСАНОВА ТӨЛӨГӨН"),
        ("1 0105 2019 00012", "10105201900012"),
        ("03.05.2019", "03/05/2019"),
        ("Семён", "семен"),
    ],
)
def test_values_that_differ_in_their_writing_only_are_formatting(left: str, right: str) -> None:
    assert compare_field(left, right, "key", "key") == FORMATTING


def test_formatting_never_hides_two_meanings() -> None:
    assert compare_field("1-5", "15", "1-5", "15") == CONFLICT


def test_letters_of_another_script_are_no_formatting() -> None:
    assert compare_field("Асанов", "Asanov", "asanov", "asanov") == HARMONISED


def test_values_without_any_letter_or_digit_are_never_formatting() -> None:
    assert compare_field("-", ".", "none", "none") == HARMONISED


def test_a_code_without_a_counterpart_is_a_gap_whatever_it_was_passed_through_as() -> None:
    assert compare_field("ФРУНЗЕ", "Бишкек", "ФРУНЗЕ", "41711000000000", gap=True) == CODE_GAP
    assert compare_field("9", "9", "9", "9", gap=True) == CODE_GAP
    assert compare_field("ФРУНЗЕ", None, None, None, gap=True, left_unreadable=True) == MISSING


# A list of the test's own: the country's may say otherwise tomorrow.
STREET = FieldSpec("street", "street_key", "population", Text("көчө", "улица", "street"))
STREETS = ComparedFields(
    "1", {"street": STREET}, (Pair("population", "emis", (STREET,)),),
    {"population": RegisterSpec(since={"street": "registered_since"}), "emis": RegisterSpec(as_of="entered")},
)  # fmt: skip


def addresses(
    copy: str, *, since: str | None = None, earlier: dict[str, frozenset[str]] | None = None, dated: str | None = None
) -> list[tuple[str, str]]:
    """(class, how known) of the street between the population register (manas) and a copy."""
    views = {
        "population": RecordView(
            "population",
            "1",
            {"street": "Манас"},
            {"street_key": "manas", "registered_since": since},
            earlier=earlier or {},
        ),
        "emis": RecordView("emis", "2", {"street": copy}, {"street_key": copy, "entered": dated}),
    }
    return [(c.cls, c.stale_by) for c in compare_records(views, STREETS)]


def test_a_copy_that_equals_an_earlier_value_of_the_source_of_truth_is_stale() -> None:
    assert addresses("chui", earlier={"street": frozenset({"chui"})}) == [(STALE, BY_HISTORY)]


def test_a_copy_dated_before_the_sources_value_began_is_stale_where_no_history_is_told() -> None:
    assert addresses("chui", since="2024-03-01", dated="2023-09-01") == [(STALE, BY_DATE)]
    assert addresses("chui", since="2024-03-01", dated="2024-03-01") == [(CONFLICT, "")]
    assert addresses("chui", since="2024-03-01") == [(CONFLICT, "")]
    assert addresses("chui", since="2024-03-01", dated="") == [(CONFLICT, "")]


def test_times_told_to_the_day_and_to_the_second_are_compared_by_what_both_tell() -> None:
    assert addresses("chui", since="2024-03-01T09:00:00Z", dated="2024-03-01") == [(CONFLICT, "")]
    assert addresses("chui", since="2024-03-01", dated="2024-02-29T23:59:59Z") == [(STALE, BY_DATE)]
    assert addresses("chui", since="2024-03-01", dated="2024") == [(CONFLICT, "")]


def test_a_history_that_does_not_hold_the_copys_value_outvotes_the_dates() -> None:
    told = {"street": frozenset({"ala-too"})}
    assert addresses("chui", since="2024-03-01", dated="2023-09-01", earlier=told) == [(CONFLICT, "")]


def test_an_equal_value_is_never_stale() -> None:
    assert addresses("manas", earlier={"street": frozenset({"manas"})}) == [(HARMONISED, "")]


def test_only_the_source_of_truth_can_make_a_copy_stale() -> None:
    views = {
        "civil": RecordView("civil", "1", {"sex": "М"}, {"sex": "1"}),
        "health": RecordView("health", "2", {"sex": "Ж"}, {"sex": "2"}, earlier={"sex": frozenset({"1"})}),
    }
    assert [c.cls for c in compare_records(views, of_country("kg")) if c.field == "sex"] == [CONFLICT]


def test_two_meanings_are_a_conflict_even_when_the_letters_agree() -> None:
    assert compare_field("3", "3", "41703000000000", "41708000000000") == CONFLICT


def test_a_blank_value_is_missing_and_never_a_conflict() -> None:
    assert compare_field("  ", "Бакытович", None, "bakit") == MISSING
    assert compare_field(None, "1", None, "1") == MISSING


def test_a_code_nobody_knows_is_not_comparable_and_not_missing() -> None:
    assert compare_field("ФРУНЗЕ", "Бишкек ш.", None, "41711000000000", left_unreadable=True) == NOT_COMPARABLE


def test_values_nobody_could_read_are_not_comparable_even_when_the_letters_agree() -> None:
    assert compare_field("??", "??", None, None, left_unreadable=True, right_unreadable=True) == NOT_COMPARABLE


def test_a_value_that_neither_register_wrote_is_missing_though_both_imply_it() -> None:
    assert compare_field("", None, "bakit", "bakit") == MISSING
    assert compare_field("", "Бакытович", "bakit", "bakit") == HARMONISED


@given(st.text(min_size=1).filter(lambda text: bool(normal(text))), st.sampled_from(["1", "2"]))
def test_two_identical_strings_of_one_meaning_are_never_equal_only_after_harmonising(written: str, meant: str) -> None:
    assert compare_field(written, written, meant, meant) == EQUAL


def test_agreement_is_not_classed_where_a_raw_record_was_not_looked_at_but_a_conflict_is() -> None:
    looked = RecordView("civil", "1", {"sex": "М"}, {"sex": "1", "birth_date": "2019-05-03"})
    unseen = RecordView("population", "2", None, {"sex": "1", "birth_date": "2019-05-04"})
    found = {c.field: c.cls for c in compare_records({"civil": looked, "population": unseen}, of_country("kg"))}
    assert "sex" not in found
    assert found["birth_date"] == CONFLICT


@pytest.mark.parametrize(
    ("left", "right", "cls"),
    [
        ("БАКЫТ УУЛУ", "Бакыт уулу", EQUAL),
        ("БАКЫТ УУЛУ", "Bakyt uulu", HARMONISED),
        ("БАКЫТ УУЛУ", "Асан уулу", CONFLICT),
    ],
)
def test_a_surname_that_is_a_fathers_name_is_compared_by_the_father(left: str, right: str, cls: str) -> None:
    views = {
        register: RecordView(register, "1", {"surname": text}, {"surname": text, "surname_key": None})
        for register, text in (("civil", left), ("population", right))
    }
    assert {c.field: c.cls for c in compare_records(views, of_country("kg"))}["surname"] == cls


def test_a_fathers_name_read_as_patronymic_is_compared_with_the_same_one_read_as_surname() -> None:
    views = {
        "civil": RecordView("civil", "1", {"surname": "БАКЫТ УУЛУ"}, {"surname": "Бакыт уулу", "surname_key": None}),
        "health": RecordView(
            "health", "2", {"surname": "Бакыт уулу"}, {"surname": None, "surname_key": None, "patronymic": "Бакыт уулу"}
        ),
    }
    assert {c.field: c.cls for c in compare_records(views, of_country("kg"))}["surname"] == EQUAL


def test_a_surname_that_is_a_fathers_name_is_not_the_surname_made_of_the_same_name() -> None:
    views = {
        "civil": RecordView("civil", "1", {"surname": "БАКЫТ УУЛУ"}, {"surname": "Бакыт уулу", "surname_key": None}),
        "population": RecordView("population", "2", {"surname": "Бакыт"}, {"surname": "Бакыт", "surname_key": "bakit"}),
    }
    assert {c.field: c.cls for c in compare_records(views, of_country("kg"))}["surname"] == CONFLICT


@given(VALUES, VALUES, VALUES, VALUES)
def test_the_class_does_not_depend_on_which_register_stands_left(
    left_raw: str | None, right_raw: str | None, left: str | None, right: str | None
) -> None:
    assert compare_field(left_raw, right_raw, left, right) == compare_field(right_raw, left_raw, right, left)


def test_only_pairs_whose_two_records_are_there_are_compared_and_every_field_is_counted() -> None:
    compared = of_country("kg")
    views = {
        "civil": RecordView("civil", "1", {"surname": "АСАНОВ"}, {"surname_key": "asanov", "birth_date": "2019-05-03"}),
        "population": RecordView(
            "population", "2", {"surname": "Асанов"}, {"surname_key": "asanov", "birth_date": "2019-05-04"}
        ),
    }
    comparisons = compare_records(views, compared)
    assert {(c.left_register, c.right_register) for c in comparisons} == {("civil", "population")}
    counts = count_by_field(comparisons, compared)
    assert set(counts) == set(compared.fields)
    assert all(set(row) == set(CLASSES) for row in counts.values())
    assert counts["surname"][EQUAL] == 1
    assert counts["birth_date"][CONFLICT] == 1
    assert counts["sex"][MISSING] == 1


@pytest.mark.parametrize("blank", ["", " ", "\xa0", "\u200b"])
def test_a_blank_canonical_value_is_none_and_never_a_conflict(blank: str) -> None:
    assert compare_field("Ош", "Ош", blank, "41721", left_unreadable=True) == NOT_COMPARABLE
    assert compare_field("", "Ош", blank, "41721") == MISSING
    assert compare_field("Ош", "Ош", blank, blank) == NOT_COMPARABLE


def test_a_value_nobody_could_read_is_told_with_the_register_that_wrote_it() -> None:
    def told(left: RecordView, right: RecordView) -> tuple[str, tuple[str, ...]]:
        [one] = [c for c in compare_records({"civil": left, "health": right}, of_country("kg")) if c.field == "region"]
        return one.cls, one.unread_in

    good = {"region": "Ош"}, {"region_soate": "41721"}
    bad = {"region": "??"}, {"region_soate": None}
    unread = frozenset({"region_soate"})
    assert told(RecordView("civil", "1", *good), RecordView("health", "2", *bad, unread)) == (
        NOT_COMPARABLE,
        ("health",),
    )
    assert told(RecordView("civil", "1", *bad, unread), RecordView("health", "2", *bad, unread)) == (
        NOT_COMPARABLE,
        ("civil", "health"),
    )
    assert told(RecordView("civil", "1", *bad, unread, unread), RecordView("health", "2", *good)) == (
        CODE_GAP,
        ("civil",),
    )
    assert told(RecordView("civil", "1", *good), RecordView("health", "2", *good)) == (EQUAL, ())


def test_a_register_whose_mapping_names_the_meaning_otherwise_is_compared_by_its_own_key() -> None:
    views = {
        "population": RecordView("population", "1", {"locality": "41711"}, {"soate": "41711000000000"}),
        "emis": RecordView("emis", "2", {"locality": "A-7"}, {"area_soate": "41711000000000"}),
    }
    assert {c.field: c.cls for c in compare_records(views, of_country("kg"))}["locality"] == HARMONISED
    views["emis"] = RecordView(
        "emis", "2", {"locality": "A-9"}, {}, frozenset({"area_soate"}), frozenset({"area_soate"})
    )
    assert {c.field: c.cls for c in compare_records(views, of_country("kg"))}["locality"] == CODE_GAP
