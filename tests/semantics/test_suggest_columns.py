"""Columns are ranked by several weak witnesses; the steward sees which of them spoke."""

from __future__ import annotations

from kerege.semantics.suggest.columns import ColumnProfile, name_words, suggest_columns


def first(source: ColumnProfile, *target: ColumnProfile) -> str:
    return suggest_columns([source], target)[0].candidates[0].column


def test_camel_case_snake_case_and_spaces_are_the_same_words() -> None:
    assert name_words("birthDate") == name_words("BIRTH_DATE") == name_words("Birth date")


def test_a_name_alone_finds_its_column() -> None:
    targets = (ColumnProfile("surname"), ColumnProfile("date_of_birth"), ColumnProfile("sex"))
    assert first(ColumnProfile("birthDate"), *targets) == "date_of_birth"


def test_shared_values_find_a_column_whose_name_is_in_another_language() -> None:
    codes = frozenset(str(n) for n in range(660, 682))
    targets = (
        ColumnProfile("LA Code", values=codes),
        ColumnProfile("School Number", values=frozenset(map(str, range(100)))),
    )
    found = suggest_columns([ColumnProfile("Cod ALl", values=codes)], targets)[0].candidates[0]
    assert found.column == "LA Code"
    assert found.witnesses[0][0] == "values"


def test_two_codings_of_one_thing_are_found_by_how_often_each_value_comes() -> None:
    def coded(name: str, *shares: float) -> ColumnProfile:
        return ColumnProfile(name, frequency=shares, rows=1000, distinct=len(shares))

    targets = (coded("Status", 0.97, 0.02, 0.01), coded("Gender", 0.52, 0.48), coded("Language", 0.6, 0.3, 0.1))
    assert first(coded("POL", 0.515, 0.485), *targets) == "Gender"


def test_a_shared_concept_outweighs_names() -> None:
    targets = (ColumnProfile("code", concepts=("person.sex",)), ColumnProfile("pol_id"))
    assert first(ColumnProfile("pol", concepts=("person.sex",)), *targets) == "code"


def test_two_different_identifiers_are_held_against_a_pair() -> None:
    targets = (ColumnProfile("number", identifier="phone"), ColumnProfile("id", identifier="pin"))
    assert first(ColumnProfile("number", identifier="pin"), *targets) == "id"


def test_the_order_of_columns_has_no_say() -> None:
    source = [ColumnProfile(n) for n in ("sex", "birth_date", "surname")]
    target = [ColumnProfile(n) for n in ("surname", "birth_date", "sex")]
    forwards = {s.column: s.candidates[0].column for s in suggest_columns(source, target)}
    backwards = {s.column: s.candidates[0].column for s in suggest_columns(source[::-1], target[::-1])}
    assert forwards == backwards == {"sex": "sex", "birth_date": "birth_date", "surname": "surname"}


def test_an_empty_target_gives_no_candidates() -> None:
    assert suggest_columns([ColumnProfile("a")], [])[0].candidates == ()


def test_what_one_faint_witness_says_is_no_suggestion() -> None:
    targets = [ColumnProfile("founded"), ColumnProfile("director_name")]
    [found] = suggest_columns([ColumnProfile("director")], targets)
    assert [c.column for c in found.candidates] == ["director_name"]
    assert suggest_columns([ColumnProfile("zzz")], targets)[0].candidates == ()
