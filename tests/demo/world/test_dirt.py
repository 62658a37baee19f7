import re

import pytest
import yaml

from kerege.demo.world.dirt import CASES, KINDS, SHIPPED, Dirt, load_dirt
from kerege.demo.world.errors import DirtFileBroken, DirtKeyUnknown, DirtRateWrong


def file(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_file_gives_a_rate_to_every_kind_agency_and_case():
    raw = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    assert {kind: set(rates) for kind, rates in raw["dirt"].items()} == {k: set(a) for k, a in KINDS.items()}
    assert set(raw["cases"]) == set(CASES)


def test_a_file_of_ones_own_changes_only_what_it_names(tmp_path):
    own = load_dirt(file(tmp_path, "version: 1\ndirt:\n  pin_missing: {education: 0.5}\ncases: {twins: 0}\n"))
    shipped = load_dirt()
    assert own.rate("pin_missing", "education") == 0.5
    assert own.rate("pin_missing", "health") == shipped.rate("pin_missing", "health")
    assert own.cases["twins"] == 0
    assert own.cases["too_young"] == shipped.cases["too_young"]


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\ndrit: {}\n",
        "version: 1\ndirt: {pin_lost: {education: 0.5}}\n",
        "version: 1\ndirt: {pin_missing: {population: 0.5}}\n",
        "version: 1\ncases: {triplets: 0.5}\n",
    ],
)
def test_an_unknown_key_is_refused_and_named(tmp_path, text):
    with pytest.raises(DirtKeyUnknown, match=r"unknown key '\w+'"):
        load_dirt(file(tmp_path, text))


@pytest.mark.parametrize("rate", ["1.01", "-0.1", "'0.5'", "yes", "null", ".nan", ".inf"])
def test_a_rate_outside_nought_to_one_is_refused(tmp_path, rate):
    with pytest.raises(DirtRateWrong, match=r"dirt\.capitals\.health"):
        load_dirt(file(tmp_path, f"version: 1\ndirt: {{capitals: {{health: {rate}}}}}\n"))


@pytest.mark.parametrize("text", ["", "- a\n", "version: 2\n", "dirt: {}\n", "version: 1\ndirt: 0.5\n", "a: [\n"])
def test_a_file_of_another_shape_is_refused(tmp_path, text):
    with pytest.raises(DirtFileBroken, match=r"own\.yaml"):
        load_dirt(file(tmp_path, text))


def test_a_missing_or_undecodable_file_is_an_error_and_not_a_clean_world(tmp_path):
    with pytest.raises(DirtFileBroken):
        load_dirt(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00version")
    with pytest.raises(DirtFileBroken):
        load_dirt(tmp_path / "bad.yaml")


def test_what_is_declared_can_be_written_back_in_the_files_own_shape(tmp_path):
    dirt = Dirt.uniform(0.25, cases=0.5)
    again = load_dirt(file(tmp_path, yaml.safe_dump(dirt.as_dict())))
    assert (dict(again.rates), dict(again.cases)) == (dict(dirt.rates), dict(dirt.cases))


def test_the_reference_page_names_every_kind_and_case():
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs/reference/demo-dirt.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page))
    assert set(KINDS) | set(CASES) <= named
