import pytest

from kerege.demo.country.harmonise import AREA_CROSSWALK, match_areas, write_overlay
from kerege.demo.country.run import PACK
from kerege.demo.world import generate, load_dirt
from kerege.semantics.normalise.gazetteer import load_gazetteer
from kerege.semantics.pack import load_pack


@pytest.fixture(scope="module")
def world():
    return generate(3, load_dirt(), soate_csv=None, persons=2000, applications=40)


@pytest.fixture(scope="module")
def areas(world):
    return [{"code": a.code, "name": a.name, "parent_code": a.parent} for a in world.education_areas]


def test_accepted_areas_are_all_right_and_nearly_all_are_accepted(world, areas):
    gazetteer = load_gazetteer(PACK / "kg" / "soate-top.csv")
    match = match_areas(areas, gazetteer)
    truth = {a.code: a.soate for a in world.education_areas}
    accepted = [s for s in match.suggestions if s.decision == "accept"]
    assert [
        s.source_code for s in accepted if gazetteer.canonical(s.best) != gazetteer.canonical(truth[s.source_code])
    ] == []
    assert len(accepted) >= 0.9 * len(areas)


def test_the_overlay_holds_what_was_accepted_and_a_left_open_code_is_unmapped(areas, tmp_path):
    match = match_areas(areas, load_gazetteer(PACK / "kg" / "soate-top.csv"))
    write_overlay(match, areas, tmp_path)
    crosswalk = load_pack(PACK / "kg", overlay=tmp_path).crosswalk(AREA_CROSSWALK)
    for suggestion in match.suggestions:
        target, known = crosswalk.translate(suggestion.source_code)
        assert known == (suggestion.decision == "accept")
        assert target == (suggestion.best if known else None)
