"""What is in force of code lists and crosswalks: the published version, the pack's where there never was one, and nothing after a retirement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import SearchEntry
from kerege.catalogue.packs import codelist_in_force, crosswalk_in_force, current_pack, pack_folder, pack_in_force
from kerege.catalogue.search import index as search_index
from kerege.catalogue.search.reconciliation import service
from kerege.cli import main
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.crosswalks.sssom import NOT, Condition, Crosswalk, Row
from kerege.semantics.pack import SOATE
from kerege.web.desks.catalogue import codelists as pages
from kerege.web.desks.catalogue import crosswalks as crosswalk_pages

from ..semantics.support import country_pack

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
API = "/api/v1/"
LABELS = {"ky": "жаңы", "ru": "новый", "en": "new"}


def act(kind: str, thing: str, version: str, *actions: str, at: datetime = NOW) -> None:
    for action in actions:
        by = "b.reviewer" if action == "approve" else "a.steward"
        lifecycle.act(Subject(kind, thing, version), action, by, "reason", at, accepting="tried here")


def sex(version: str = "2030") -> CodeList:
    found = current_pack().codelist("kg:sex")
    return replace(found, version=version, concepts=(*found.concepts, Concept("7", LABELS)))


def published(made: CodeList, at: datetime = NOW) -> None:
    codelists.import_codelist(made, "c.importer", at)
    act("codelist", made.id, made.version, "submit", "approve", "publish", at=at)


def seen(client: Any) -> set[str]:
    """Who says that kg:sex has the code 7."""
    told = set()
    if "7" in {c["code"] for c in client.get(f"{API}codelists/kg:sex/codes").json().get("items", ())}:
        told.add("api")
    page = pages.find("kg:sex")
    if page is not None and "7" in page:
        told.add("page")
    if SearchEntry.objects.filter(kind="code", key="kg:sex#7").exists():
        told.add("search")
    if "kg:sex#7" in service("codelists").entities:
        told.add("reconciliation")
    return told


def test_api_page_search_and_reconciliation_show_the_same_version(client: Any) -> None:
    search_index.rebuild()
    codelists.import_codelist(sex(), "c.importer", NOW)
    act("codelist", "kg:sex", "2030", "submit", "approve")
    assert seen(client) == set(), "what is not published is nowhere"
    act("codelist", "kg:sex", "2030", "publish")
    assert seen(client) == {"api", "page", "search", "reconciliation"}
    assert client.get(f"{API}codelists/kg:sex").json()["version"] == "2030"
    assert "7" not in current_pack().codelist("kg:sex"), "the nodes' pack is as it was"


def test_a_retired_list_does_not_fall_back_to_the_packs(client: Any) -> None:
    search_index.rebuild()
    published(sex())
    act("codelist", "kg:sex", "2030", "deprecate")
    assert codelist_in_force("kg:sex") is not None, "a deprecated version is in force until it is retired"
    act("codelist", "kg:sex", "2030", "retire")
    assert codelist_in_force("kg:sex") is None
    assert client.get(f"{API}codelists/kg:sex").status_code == 404
    assert client.get(f"{API}codelists/kg:sex/codes").status_code == 404
    assert "kg:sex" not in {one["id"] for one in client.get(f"{API}codelists").json()["items"]}
    assert not SearchEntry.objects.filter(key__startswith="kg:sex").exists()
    page = pages.find("kg:sex")
    assert page is not None
    assert page.version == "2030", "its page stays, with the version that was retired"


def test_the_newest_published_version_is_in_force_as_the_life_cycle_says() -> None:
    published(sex("2030"))
    published(replace(sex("2031"), concepts=sex().concepts[:1]), NOW + timedelta(hours=1))
    assert (found := codelist_in_force("kg:sex")) is not None
    assert found.version == lifecycle.in_force("codelist", "kg:sex") == "2031"
    act("codelist", "kg:sex", "2031", "deprecate", at=NOW + timedelta(hours=2))
    assert (found := codelist_in_force("kg:sex")) is not None
    assert found.version == lifecycle.in_force("codelist", "kg:sex") == "2030"


def test_the_command_line_shows_and_exports_what_is_in_force(tmp_path: Path) -> None:
    published(sex())
    codelists.import_codelist(sex("2031"), "c.importer", NOW)
    out = tmp_path / "sex.ttl"
    for arguments in (["codelist", "export", "kg:sex@in-force", "--out", str(out)], ["export", "skos", "kg:sex"]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        told = out.read_text("utf-8") if "--out" in arguments else done.output
        assert '"2030"' in told
    gone = CliRunner().invoke(main, ["codelist", "show", "t:none@in-force"])
    assert (gone.exit_code, "semantics.codelist_unknown" in gone.output) == (2, True)


def test_the_top_levels_of_places_that_the_pack_ships_have_a_name_in_each_language_and_can_be_published() -> None:
    places = country_pack().codelist("kg:soate")
    assert {len(c.notation) for c in places} == {14}
    assert len([c for c in places if c.broader is None]) == 9, "seven regions and two cities"
    codelists.import_codelist(places, "c.importer", NOW)
    act("codelist", places.id, "1", "submit", "approve", "publish")
    found = codelist_in_force("kg:soate")
    assert found is not None
    assert found.get("41704000000000").labels == {"ky": "Нарын облусу", "ru": "Нарынская область", "en": "Naryn region"}  # type: ignore[union-attr]


def test_what_is_in_force_is_asked_in_three_queries_and_read_once() -> None:
    published(sex())
    first = pack_in_force()
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert pack_in_force() is first
    assert len(asked) <= 3
    assert first.mapper("kg:population.person") is not current_pack().mapper("kg:population.person")


def test_a_crosswalk_is_told_with_its_days_and_conditions_and_what_it_denies_apart(client: Any) -> None:
    day = NOW.date()
    rows = (
        Row("1", "2", valid_from=day, conditions=(Condition("kind", ("a", "b")),)), Row("9", None), Row("", "0"),
        Row("1", "3", predicate_modifier=NOT),
    )  # fmt: skip
    codelists.import_crosswalk(Crosswalk("t:w", rows, "t:s", "t:t", version="1"), "c.importer", NOW)
    act("crosswalk", "t:w", "1", "submit", "approve", "publish")
    told = client.get(f"{API}crosswalks/t:w").json()
    assert [(r["code"], r["target"], r["translates"]) for r in told["mappings"]] == [
        ("1", "2", True), ("9", None, False), (None, "0", False),
    ]  # fmt: skip
    first = told["mappings"][0]
    assert (first["valid_from"], first["valid_to"]) == (day.isoformat(), None)
    assert first["conditions"] == [{"cell": "kind", "values": ["a", "b"]}]
    assert [(r["code"], r["target"]) for r in told["denied"]] == [("1", "3")]
    assert (page := crosswalk_pages.find("t:w")) is not None
    assert page == crosswalk_in_force("t:w")


def test_a_crosswalk_into_the_places_is_held_to_the_whole_list_where_the_installation_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Crosswalk("t:w", (Row("x", "41799999999999"),), object_source=SOATE, version="1")
    codelists.import_crosswalk(walk, "unit", NOW)
    subject = Subject("crosswalk", "t:w", "1")
    assert codelists.crosswalk_reasons(subject, NOW) == [], "of the top levels alone nothing follows"
    (tmp_path / "soate.csv").write_bytes((pack_folder() / "soate-top.csv").read_bytes())
    monkeypatch.setenv("KEREGE_COUNTRY_DATA", str(tmp_path))
    told = codelists.crosswalk_reasons(subject, NOW)
    assert told[0].startswith("it leads to 41799999999999, which kg:soate")
