"""Places: the tree, its dirt, and finding a place by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerege.semantics.errors import GazetteerInvalid
from kerege.semantics.normalise.gazetteer import Gazetteer, Place, bare_name, load_gazetteer, place_keys, read_places

from .support import COUNTRY, full_pack, top_gazetteer


@pytest.mark.parametrize(
    ("wording", "name"),
    [
        ("ЧУЙСКАЯ ОБЛ.", "Чуйская область"),
        ("Чуй облусу", "Чуйская область"),
        ("Chuy oblast", "Чуйская область"),
        ("Г.БИШКЕК", "г. Бишкек"),
        ("Бишкек ш.", "г. Бишкек"),
        ("Ош облусу", "Ошская область"),
        ("Г.ОШ", "г. Ош"),
        ("Issyk-Kul region", "Иссык-Кульская область"),
        ("Ысык-Көл облусу", "Иссык-Кульская область"),
        ("Жалал-Абад облусу", "Джалал-Абадская область"),
    ],
)
def test_regions_are_found_in_every_language(wording: str, name: str) -> None:
    found = top_gazetteer().resolve(wording, level="region").place
    assert found is not None
    assert found.name_ru == name


def test_a_bare_name_of_a_city_and_its_region_is_not_guessed() -> None:
    resolution = top_gazetteer().resolve("Ош", level="region")
    assert (resolution.place, resolution.reason, len(resolution.candidates)) == (None, "several", 2)


def test_every_place_of_the_top_is_found_by_each_of_its_names() -> None:
    gazetteer = top_gazetteer()
    for place in gazetteer:
        if gazetteer.canonical(place.soate) != place.soate:
            continue
        for name in place.names():
            assert place in gazetteer.find(name, place.parent, place.level), name


def test_the_second_code_of_osh_is_the_city_itself() -> None:
    gazetteer = top_gazetteer()
    assert gazetteer.canonical("41700000000021") == "41721000000000"
    assert [p.soate for p in gazetteer.path("41700000000021")] == ["41721000000000"]
    assert gazetteer.children("41721000000000") == ()


def test_the_tree_can_be_walked_both_ways() -> None:
    gazetteer = top_gazetteer()
    assert [p.name_ru for p in gazetteer.path("41708203000000")] == ["Чуйская область", "Аламудунский район"]
    assert gazetteer.is_within("41708203000000", "41708000000000")
    assert not gazetteer.is_within("41708203000000", "41706000000000")
    assert len(gazetteer.children(None)) == 9
    assert gazetteer.path("00000000000000") == ()


def test_doubled_words_and_stray_blanks_are_met_when_reading() -> None:
    assert bare_name("Тонский районрайон") == "Тонский"
    assert bare_name("Чон-Алайский  район ") == "Чон-Алайский"
    assert bare_name("Айылный аймак  им.  Кайназаровой") == "Кайназаровой"
    assert place_keys("Тонский районрайон") == place_keys("Тоң району")


def test_the_full_list_is_read_whole_with_its_dirt() -> None:
    pack = full_pack()
    if pack is None:
        pytest.skip("not there: ../shared/data/kg/soate.csv")
    gazetteer = pack.gazetteer
    assert len(gazetteer) == 2438
    lost = [
        p.name_ru for p in gazetteer if p not in gazetteer.find(p.name_ru) and gazetteer.canonical(p.soate) == p.soate
    ]
    assert lost == []
    assert all(p.name_ru == " ".join(p.name_ru.split()) for p in gazetteer)
    assert len(gazetteer.find("Ак-Булак", level="village")) == 6
    debe = {p.name_ru for p in gazetteer.find("Кара-Дөбө", level="village")}
    assert debe >= {"Кара-Дебе", "Кара-Добо"}


HEAD = "soate,level,parent,name_ru\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soate,name\n", "columns missing"),
        (HEAD + "4171,region,,г. Бишкек\n", "row 2.*14 digits"),
        (HEAD + "41711000000000,planet,,г. Бишкек\n", "level is unknown"),
        (HEAD + "41711000000000,region,,\n", "name is empty"),
        (HEAD + "41711201000000,district,41711000000000,Ленинский\n", "parent does not stand above"),
    ],
)
def test_a_broken_list_of_places_is_refused_with_its_row(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "places.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(GazetteerInvalid, match=reason):
        read_places(path)


def test_a_code_given_twice_is_refused() -> None:
    place = Place("41711000000000", "region", "г. Бишкек", None)
    with pytest.raises(GazetteerInvalid, match="stands twice"):
        Gazetteer([place, place])


def test_without_the_full_list_the_top_levels_serve() -> None:
    assert len(load_gazetteer(COUNTRY / "soate-top.csv", Path("/nowhere/soate.csv"))) == len(top_gazetteer())
