"""What the demo's own processes are told."""

from datetime import timedelta
from pathlib import Path

from kerege.demo.country.options import Options
from kerege.demo.country.run import first_birth_date, hub_environment
from kerege.demo.country.steps import named
from kerege.services import definitions


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


def test_contract_tests_ask_for_birth_dates_the_definition_admits_and_know_no_truth():
    definition = definitions.of("grade1-admission")
    first = first_birth_date(definition)
    assert definition.rules.age_class(first) == "ok"
    assert definition.rules.age_class(first - timedelta(days=1)) == "over"
