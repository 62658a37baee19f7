"""`kerege harvest`, `apply`, `findings` and `usage` as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli import main

pytestmark = pytest.mark.django_db
WriteCsv = Callable[..., Path]


def typed(*words: str) -> str:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_harvest_says_what_it_cost_the_source_and_changes_nothing(sqlite_register: Path) -> None:
    said = typed("harvest", f"{sqlite_register}#schools")
    assert "cost to the source: no server asked, 100 rows" in said
    assert "Nothing changed. Apply with: kerege apply plan-" in said
    assert typed("findings") == "Nothing is open.\n"


def test_a_plan_as_json_has_the_cost_and_every_change(sqlite_register: Path) -> None:
    told = json.loads(typed("harvest", str(sqlite_register), "--json"))
    assert told["cost"] == {
        "connections": 0,
        "queries": 0,
        "seconds": told["cost"]["seconds"],
        "cpu_seconds": None,
        "rows": 100,
        "bytes": told["cost"]["bytes"],
    }
    assert {c["kind"] for c in told["changes"]} == {"table-new", "column-new"}


def test_what_somebody_should_look_at_is_listed_with_who_answers_for_it(write_csv: WriteCsv) -> None:
    for letters in ("AB", "AC"):
        path = write_csv("r.csv", ["id", "kind"], [[i, letters[i % 2]] for i in range(40)])
        plan = json.loads(typed("harvest", str(path), "--json"))["plan"]
        typed("apply", plan)
    said = typed("findings")
    assert "codes-new  r.csv#r.kind  (nobody yet)" in said
    told = json.loads(typed("findings", "--json"))
    assert [(f["kind"], f["owner_by"]) for f in told] == [("codes-gone", "nobody"), ("codes-new", "nobody")]
    assert typed("findings", "--settled") == "Nothing is closed yet.\n"
    assert typed("findings", "--owner", "70000002") == "Nothing is open.\n"


def test_who_uses_what_says_what_to_do_when_nothing_is_known() -> None:
    assert "kerege harvest node://" in typed("usage")
    assert json.loads(typed("usage", "--json")) == []


def test_a_header_longer_than_the_catalogue_takes_is_shortened_and_stays_its_own(write_csv: WriteCsv) -> None:
    long = "Сколько детей дошкольного возраста " * 9
    path = write_csv("survey.csv", [long + "1", long + "2"], [[1, 2]] * 6)
    plan = json.loads(typed("harvest", str(path), "--json"))
    names = [c["column"] for c in plan["changes"] if c["kind"] == "column-new"]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 200
    typed("apply", plan["plan"])


def test_names_and_shapes_of_a_stranger_neither_move_the_terminal_nor_style_it(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as database:
        database.execute('CREATE TABLE "t\x1b[2J" ("c\x1b[31m[/bold]" TEXT)')
        database.executemany('INSERT INTO "t\x1b[2J" VALUES (?)', [("[/9]\x1b[2J",)] * 20)
    database.close()
    for said in (typed("harvest", str(path)), typed("profile", str(path))):
        assert "\x1b" not in said
        assert "t�[2J" in said
