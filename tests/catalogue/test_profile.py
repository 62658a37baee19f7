"""A profile tells what is in a register; it never tells whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kerege.catalogue.errors import ColumnVanished, KeyDuplicate
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.profile import ColumnHead, FieldProfile, TableProfile, profile_table, sketch


def fields(path: Path, **options: object) -> dict[str, FieldProfile]:
    return {f.name: f for f in harvest_source(str(path), Options(**options)).tables[0].fields}  # type: ignore[arg-type]


def test_no_personal_value_stands_in_a_profile(people: Path) -> None:
    text = json.dumps([t.as_dict() for t in harvest_source(str(people)).tables], ensure_ascii=False)
    assert "Асанов" not in text
    assert "555" not in text
    assert "1990" not in text


def test_likely_types_identifiers_and_personal_data_are_found(people: Path) -> None:
    found = fields(people)
    assert found["pin"].identifier == "pin"
    assert found["telefon"].identifier == "phone"
    assert found["birth"].date_format == "%d.%m.%Y"
    assert {n for n, f in found.items() if f.personal} == {"pin", "fio", "birth", "telefon"}


def test_a_column_of_person_names_is_likely_personal_whatever_it_is_called() -> None:
    told = {
        "director": ["Осмонова Айгүл", "Токтогул уулу Бакыт", "Жээнбеков А.Б.", "Asanov Nurlan"] * 10,
        "place": ["Ак-Суу", "Кара Балта", "Ысык Көл", "Жаны Жол"] * 10,
        "school": ["Школа № 5", "Гимназия Нарын", "Лицей Достук", "Школа Асановой"] * 10,
    }
    rows = enumerate(zip(*told.values(), strict=True))
    found = {f.name: f for f in profile_table("t", [ColumnHead(n) for n in told], rows).fields}
    assert {n for n, f in found.items() if f.personal} == {"director"}
    assert found["director"].codes == ()
    assert found["place"].codes != ()


def test_a_code_list_is_told_and_a_code_few_records_share_is_withheld(people: Path) -> None:
    region = fields(people)["region"]
    assert {c for c, _ in region.codes} == {"41702", "41703", "41708"}
    assert region.codes_withheld == 1


def test_values_of_a_shared_column_are_told_in_full(people: Path) -> None:
    assert fields(people, share=("region",))["region"].codes[-1] == ("41799", 1)


def test_two_readings_of_the_same_file_have_one_digest(people: Path) -> None:
    assert harvest_source(str(people)).digest == harvest_source(str(people)).digest


def test_a_profile_survives_storage(people: Path) -> None:
    table = harvest_source(str(people)).tables[0]
    assert TableProfile.from_dict(json.loads(json.dumps(table.as_dict()))) == table


def test_counts_hold_across_batches() -> None:
    rows = ((i, (str(i % 7), None if i % 10 == 0 else "x")) for i in range(45_000))
    table = profile_table("t", [ColumnHead("a"), ColumnHead("b")], rows)
    assert (table.rows, table.fields[0].distinct, table.fields[1].nulls) == (45_000, 7, 4_500)


def test_a_repeated_key_names_both_rows() -> None:
    rows = [(2, ("1", "a")), (3, ("2", "b")), (5, ("1", "c"))]
    with pytest.raises(KeyDuplicate) as error:
        profile_table("t", [ColumnHead("id"), ColumnHead("b")], rows, key=["id"], source="t.csv")
    assert (error.value.params["row"], error.value.params["first"]) == (5, 2)


def test_a_sketch_is_useless_without_its_key_and_equal_with_it() -> None:
    values = ["a", "b", None, " A "]
    assert sketch(values, b"one") == sketch(["b", "a"], b"one")
    assert not sketch(values, b"one") & sketch(values, b"two")


@pytest.mark.parametrize("how", [{"key": ("pn",)}, {"share": ("regoin",)}, {"share": ("pupils.region",)}])
def test_a_column_named_that_no_table_has_is_refused_with_those_that_are(
    people: Path, how: dict[str, tuple[str]]
) -> None:
    with pytest.raises(ColumnVanished, match=r"people\.csv: there is no column .*: pin, fio, birth, pol, region"):
        harvest_source(str(people), Options(**how))  # type: ignore[arg-type]
    assert fields(people, share=("people.region",))["region"].codes[-1] == ("41799", 1)


def test_a_key_of_one_table_of_several_leaves_the_others_their_own(sqlite_register: Path) -> None:
    found = harvest_source(str(sqlite_register), Options(key=("code",)))
    assert {t.name: t.key for t in found.tables} == {"empty one": ("code",), "schools": ("id",)}


def test_a_file_longer_than_the_limit_is_cut_and_says_so(people: Path) -> None:
    from kerege.catalogue.sources import Limits, Reading

    cut = harvest_source(str(people), Options(Reading(Limits(rows=20)))).tables[0]
    whole = harvest_source(str(people), Options(Reading(Limits(rows=60)))).tables[0]
    assert (cut.rows, cut.sampled) == (20, True)
    assert (whole.rows, whole.sampled) == (60, False)
