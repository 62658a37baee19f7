"""The code lists the country pack ships: clean, in three languages, and true to where they come from."""

from __future__ import annotations

import json

import pytest

from kerege.ground.text import LANGUAGES
from kerege.semantics.codelists.files import parse_codelist, write_codelist
from kerege.semantics.codelists.integrity import check_list

from .support import SHARED, country_pack, full_pack

SHIPPED = ["kg:iso3166-2", "kg:iso639", "kg:isced2011", "kg:sex", "kg:soate"]


@pytest.mark.parametrize("list_id", SHIPPED)
def test_a_shipped_list_has_a_label_in_each_language_and_no_fault(list_id: str) -> None:
    found = country_pack().codelist(list_id)
    assert set(found.title) == set(LANGUAGES)
    assert [c.notation for c in found if set(c.labels) < set(LANGUAGES)] == []
    assert [f for f in check_list(found) if f.code != "replaced_in_force"] == []
    assert [f for f in found.check() if f.severity == "error"] == []


def test_iso_3166_2_has_the_codes_and_knows_the_local_names_of_its_source() -> None:
    source = SHARED / "data" / "kg" / "iso3166_2_kg.json"
    if not source.is_file():
        pytest.skip("not there: ../shared/data/kg")
    theirs = json.loads(source.read_text("utf-8"))
    ours = country_pack().codelist("kg:iso3166-2")
    assert {c.notation for c in ours} == set(theirs)
    for code, entry in theirs.items():
        assert code in {c.notation for c in ours.find(entry["name"])}, (code, entry["name"])


def test_each_region_of_iso_3166_2_is_one_place_of_soate_by_name_as_by_crosswalk() -> None:
    pack = country_pack()
    walk, places = pack.crosswalk("kg:iso3166-2--soate"), pack.codelist("kg:soate")
    assert len(set(walk.table.values())) == 9
    assert walk.check() == ()
    for concept in pack.codelist("kg:iso3166-2"):
        place = places.get(str(walk.translate(concept.notation)[0]))
        assert place is not None
        assert place.labels["ky"] == concept.labels["ky"]


def test_a_language_is_found_by_its_two_letters_as_by_its_three() -> None:
    languages = country_pack().codelist("kg:iso639")
    assert [languages.find(code)[0].notation for code in ("ky", "RU", "ug")] == ["kir", "rus", "uig"]
    official = {c.notation for c in languages if c.notes}
    assert official == {"kir", "rus"}


def test_the_levels_of_education_are_nine_with_two_below_the_first() -> None:
    levels = country_pack().codelist("kg:isced2011")
    assert [c.notation for c in levels.narrower(None)] == list("0123456789")
    assert [c.notation for c in levels.narrower("0")] == ["01", "02"]


def test_the_full_soate_passes_the_checks_and_travels_through_a_spreadsheet() -> None:
    pack = full_pack()
    if pack is None:
        pytest.skip("not there: ../shared/data/kg/soate.csv")
    soate = pack.codelist("kg:soate")
    assert len(soate) > 2400
    assert [f for f in check_list(soate, ()) if f.severity == "error"] == []
    again = parse_codelist(write_codelist(soate, "xlsx"), "soate.xlsx", "kg:soate")
    assert [(c.notation, c.labels, c.broader) for c in again] == [(c.notation, c.labels, c.broader) for c in soate]
