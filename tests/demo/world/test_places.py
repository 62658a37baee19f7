import pytest

from kerege.demo.world import places
from kerege.demo.world.errors import AreaFileBroken

HEAD = "id,name_ru,soate,level,parent_id\n"


def write(tmp_path, text):
    path = tmp_path / "soate.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_blanks_and_doubled_words_of_the_classifier_are_cleaned(tmp_path):
    rows = (
        "1,Иссык-Кульская область,41702000000000,RegionAndCity,\n"
        "2,Тонский районрайон,41702220000000,District,1\n"
        "3,Чорголу   ,41702220800010,Village,2\n"
    )
    areas = places.load_country(write(tmp_path, HEAD + rows)).areas
    assert [a.name_ru for a in areas] == ["Иссык-Кульская область", "Тонский район", "Чорголу"]
    assert areas[2].parent == "41702220000000"


def test_a_unit_without_its_parent_is_left_out(tmp_path):
    rows = "1,Область,41702000000000,RegionAndCity,\n7,Сирота,41702220800010,Village,99\n"
    assert len(places.load_country(write(tmp_path, HEAD + rows)).areas) == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (HEAD + "1,Область,4170200000000,RegionAndCity,\n", "row 2, column soate"),
        ("id,name,parent_id\n1,a,\n", "row 1, column soate"),
        (HEAD, "row 1"),
    ],
)
def test_an_area_file_that_cannot_be_read_whole_is_refused_with_its_place(tmp_path, text, where):
    with pytest.raises(AreaFileBroken, match=where):
        places.load_country(write(tmp_path, text))


def test_without_any_file_there_are_still_a_few_places(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PACK_TOP", tmp_path / "none.csv")
    country = places.load_country(tmp_path / "neither.csv")
    assert country.source == "a few places of the demo's own"
    assert {a.level for a in country.areas} == {1, 2}


def test_the_country_packs_districts_serve_when_the_full_tree_is_absent():
    country = places.load_country(None)
    assert {a.level for a in country.areas} == {1, 2}
    assert all(a.parent is None or a.parent in country.by_soate() for a in country.areas)
