"""Five classes of a compared field, and which view decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kerege.reconcile.compare import (
    CLASSES,
    CONFLICT,
    EQUAL,
    HARMONISED,
    MISSING,
    NOT_COMPARABLE,
    RecordView,
    compare_field,
    compare_records,
    count_by_field,
)
from kerege.reconcile.fields import of_country

VALUES = st.one_of(st.none(), st.sampled_from(["", " ", "М", "м ", "1", "2", "Асанов"]))


def test_values_written_alike_are_equal() -> None:
    assert compare_field(" Асанов", "АСАНОВ ", "asanov", "asanov") == EQUAL


def test_two_codings_of_one_meaning_are_equal_only_after_harmonising() -> None:
    assert compare_field("М", "1", "1", "1") == HARMONISED
    assert compare_field("03.05.2019", "2019-05-03", "2019-05-03", "2019-05-03") == HARMONISED


def test_two_meanings_are_a_conflict_even_when_the_letters_agree() -> None:
    assert compare_field("3", "3", "41703000000000", "41708000000000") == CONFLICT


def test_a_blank_value_is_missing_and_never_a_conflict() -> None:
    assert compare_field("  ", "Бакытович", None, "bakit") == MISSING
    assert compare_field(None, "1", None, "1") == MISSING


def test_a_code_nobody_knows_is_not_comparable_and_not_missing() -> None:
    assert compare_field("ФРУНЗЕ", "Бишкек ш.", None, "41711000000000", left_unreadable=True) == NOT_COMPARABLE


def test_values_nobody_could_read_are_not_comparable_even_when_the_letters_agree() -> None:
    assert compare_field("??", "??", None, None, left_unreadable=True, right_unreadable=True) == NOT_COMPARABLE


def test_values_not_looked_at_raw_can_only_be_equal_after_harmonising() -> None:
    assert compare_field(None, None, "x", "x") == HARMONISED


@given(VALUES, VALUES, VALUES, VALUES)
def test_the_class_does_not_depend_on_which_register_stands_left(
    left_raw: str | None, right_raw: str | None, left: str | None, right: str | None
) -> None:
    assert compare_field(left_raw, right_raw, left, right) == compare_field(right_raw, left_raw, right, left)


def test_a_raw_view_joins_a_canonical_one_only_of_the_very_same_record() -> None:
    canonical = RecordView("civil", "2019-00001", canonical={"surname_key": "asanov"})
    same = RecordView("civil", "2019-00001", raw={"surname": "АСАНОВ"})
    other = RecordView("civil", "2019-00002", raw={"surname": "АСАНОВ"})
    assert canonical.joined(same).raw == {"surname": "АСАНОВ"}
    assert canonical.joined(other).raw is None
    assert canonical.joined(None) is canonical


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
