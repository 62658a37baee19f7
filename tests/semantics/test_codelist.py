"""Code lists: reading, writing, and what is wrong with them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.codelists.skos import read_turtle, write_turtle
from kerege.semantics.codelists.tables import read_csv
from kerege.semantics.errors import CodeListInvalid

from .support import country_pack

TEXT = {"ky": "эркек", "ru": "мужской", "en": "male"}
FULL = CodeList(
    "t:sex",
    (
        Concept("1", TEXT, (("", "муж"), ("ru", "мальчик")), None, date(2020, 1, 1), date(2030, 12, 31)),
        Concept("1/1 %", {"ky": "бала", "ru": "ребёнок", "en": "child"}, broader="1"),
    ),
    {"ky": "Жыныс", "ru": "Пол", "en": "Sex"},
    "3",
)


def test_a_list_written_as_turtle_is_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "list.ttl"
    path.write_bytes(write_turtle(FULL))
    again = read_turtle(path)
    assert again == FULL
    assert write_turtle(again) == path.read_bytes()


def test_foreign_skos_is_read_by_its_standard_properties(tmp_path: Path) -> None:
    path = tmp_path / "foreign.ttl"
    path.write_text(
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
        "<http://e.org/s> a skos:ConceptScheme .\n"
        '<http://e.org/s/A> a skos:Concept ; skos:inScheme <http://e.org/s> ; skos:prefLabel "Alpha"@en .\n'
        '<http://e.org/s/B> a skos:Concept ; skos:inScheme <http://e.org/s> ; skos:notation "B-1" ; skos:broader <http://e.org/s/A> .\n',
        "utf-8",
    )
    found = read_turtle(path)
    assert [(c.notation, c.broader) for c in found] == [("A", None), ("B-1", "A")]


def test_a_csv_list_keeps_labels_alternatives_and_validity(tmp_path: Path) -> None:
    path = tmp_path / "t-list.csv"
    path.write_text("notation,ky,ru,en,alt,valid_to\n1,бир,один,one,I|первый,2024-12-31\n", "utf-8-sig")
    (concept,) = read_csv(path, "t:list").concepts
    assert list(concept.wordings()) == ["бир", "один", "one", "I", "первый"]
    assert concept.holds_on(date(2024, 12, 31))
    assert not concept.holds_on(date(2025, 1, 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"code,en\n1,one\n", "no column notation"),
        (b"notation,en\n1\n", "line 2 has not as many cells"),
        ("notation,en\n1,я\n".encode("cp1251"), "not UTF-8"),
        (b"notation,en,valid_to\n1,one,31.12.2020\n", "yyyy-mm-dd"),
    ],
)
def test_a_broken_csv_list_is_refused_with_its_place(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "t-list.csv"
    path.write_bytes(content)
    with pytest.raises(CodeListInvalid, match=reason):
        read_csv(path, "t:list")


@pytest.mark.parametrize("content", ["this is no turtle", "", "@prefix a: <b> . a:x a:y"])
def test_broken_turtle_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.ttl"
    path.write_text(content)
    with pytest.raises(CodeListInvalid, match=r"list\.ttl"):
        read_turtle(path)


def test_the_check_names_everything_that_is_wrong() -> None:
    broken = CodeList(
        "t:broken",
        (
            Concept("1", TEXT, broader="2"),
            Concept("2", {"ru": "два"}, broader="1"),
            Concept("2", TEXT),
            Concept("3", TEXT, broader="9", valid_from=date(2020, 1, 2), valid_to=date(2020, 1, 1)),
            Concept(" ", TEXT),
        ),
    )
    found = broken.check()
    assert {f.code for f in found} == {
        "notation_twice",
        "notation_missing",
        "label_missing",
        "label_twice",
        "broader_unknown",
        "cycle",
        "validity_backwards",
    }
    assert {f.notation for f in found if f.code == "cycle"} == {"1", "2"}
    assert [f.severity for f in found] == sorted((f.severity for f in found), key="warning".__eq__)
    assert CodeList("t:empty", ()).check()[0].code == "empty_list"


def test_a_cycle_does_not_hang_the_walk_upwards() -> None:
    looped = CodeList("t:loop", (Concept("1", broader="2"), Concept("2", broader="3"), Concept("3", broader="2")))
    assert looped.ancestors("1") == ("2", "3")


def test_codes_are_found_by_any_wording_folded() -> None:
    assert [c.notation for c in FULL.find(" МУЖСКОЙ ")] == ["1"]
    assert FULL.find("nothing") == ()


def test_the_packs_own_lists_have_no_errors_and_three_languages() -> None:
    for found in country_pack().codelists.values():
        findings = [f for f in found.check() if f.severity == "error" or f.code == "label_missing"]
        assert findings == [], found.id


def test_labels_that_differ_in_a_number_are_not_one_label() -> None:
    grades = CodeList(
        "t:g", (Concept("1", {"en": "grade 1"}), Concept("11", {"en": "grade 11"}), Concept("x", {"en": "Grade 1"}))
    )
    assert [(f.code, f.notation) for f in grades.check(("en",))] == [("label_twice", "x")]
