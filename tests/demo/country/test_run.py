"""What the demo's own processes are told."""

from pathlib import Path

from kerege.demo.country.options import Options
from kerege.demo.country.run import hub_environment
from kerege.demo.country.steps import named


def test_the_hub_is_told_where_the_full_lists_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = hub_environment(Options(tmp_path / "box", data=Path("lists")))
    assert told == {"KEREGE_HOME": str(tmp_path / "box/home"), "KEREGE_COUNTRY_DATA": str(tmp_path / "lists")}


def test_without_full_lists_the_hub_is_told_its_home_only(tmp_path):
    assert hub_environment(Options(tmp_path)) == {"KEREGE_HOME": str(tmp_path / "home")}


def test_a_school_without_a_code_or_a_name_is_left_out():
    schools = [
        {"school_code": "KGS-2", "name": "No 2 orto mektebi"},
        {"school_code": "KGS-1", "name": "No 1 orto mektebi"},
        {"school_code": "KGS-3", "name": None},
        {"school_code": None, "name": "No 4"},
    ]
    assert list(named(schools).items()) == [("KGS-1", "No 1 orto mektebi"), ("KGS-2", "No 2 orto mektebi")]
