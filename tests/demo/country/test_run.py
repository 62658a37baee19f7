"""What the demo's own processes are told."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerege.demo.country import network
from kerege.demo.country.options import Options
from kerege.demo.country.run import Country, first_birth_date, hub_environment
from kerege.demo.country.steps import named
from kerege.ground import clock
from kerege.ledger import open_signing
from kerege.membership import doings
from kerege.membership.renewal import standing
from kerege.node.network import lay_out
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


@pytest.fixture
def laid(tmp_path, db):
    """The demo's network, laid out and signed, that holds for six seconds; nothing of it runs."""
    options = Options(tmp_path / "box")
    urls = dict.fromkeys(("civil", "population", "education", "health"), "http://127.0.0.1:1/")
    plan = network.plan(network.Ports(1, (2, 3, 4), (5, 6, 7)), urls, tmp_path, None, options.overlay)
    plan = replace(plan, valid_for=timedelta(seconds=6))
    lay_out(options.network, plan, clock.now())
    options.home.mkdir(parents=True)
    said = []
    with open_signing(options.home) as ledger:
        country = Country(
            options, SimpleNamespace(say=said.append), None, None, {}, plan, None, ledger, "", clock.now(), None
        )
        network.register(plan, clock.now(), ledger)
        country.sign()
        yield country, said


def test_while_the_pages_are_up_the_configuration_is_signed_before_it_expires_with_what_was_decided(laid, monkeypatch):
    country, said = laid
    begun, seen = clock.now(), []

    def wait(seconds):
        stands = standing(country.options.home / "globalconf")
        now = begun + timedelta(seconds=seconds * (len(seen) + 1))
        seen.append((stands.expires > now, stands.version))
        monkeypatch.setattr("kerege.demo.country.run.now", lambda: now)
        if len(seen) == 4:
            doings.register_member(network.EMIS.provider.member, network.MEMBERS["70000004"][0], now)
        return len(seen) == 6

    country.stay_up(wait)
    assert [valid for valid, _ in seen] == [True] * 6
    assert [version for _, version in seen] == [1, 1, 1, 1, 2, 2]
    assert said == []


def test_a_disk_that_is_full_for_a_while_does_not_end_the_demo(laid, monkeypatch):
    country, said = laid
    full = iter((OSError("No space left on device"), None))

    def sign(self):
        problem = next(full)
        if problem:
            raise problem

    monkeypatch.setattr(Country, "sign", sign)
    waits = iter((False, False, True))
    country.stay_up(lambda seconds: next(waits))
    assert said == ["the configuration was not signed anew, which is tried again: No space left on device"]
    assert list(full) == []
