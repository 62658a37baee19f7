"""`kerege owner`, `truth`, `lifecycle` and `register` as a person types them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli import main
from kerege.ground import clock
from kerege.ledger import audit
from kerege.ledger.installation import ledger_folder

DATASET = "schools.csv#schools"
WHO = ["--organisation", "70000001", "--unit", "Registry", "--legal-basis", "Law 5, art. 7", "--by", "steward-1"]

pytestmark = pytest.mark.django_db


def run(arguments: Sequence[object], expect: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path / "home"))
    (tmp_path / "schools.csv").write_text("code,name\n" + "".join(f"{i},School {i}\n" for i in range(30)))
    plan = re.search(r"plan-\w+", run(["harvest", tmp_path / "schools.csv"]))
    assert plan is not None
    run(["apply", plan[0]])
    return tmp_path / "home"


def test_an_owner_is_named_shown_handed_over_and_ended_and_the_ledger_holds_it_all(home: Path) -> None:
    assert "0 of    2 owned" in run(["owner", "show"])
    assert "NOBODY" in run(["owner", "show", DATASET])
    assert "holds no dataset ghost#t" in run(["owner", "show", "ghost#t"], expect=2)
    assert "write SOURCE#TABLE" in run(["owner", "show", "schools"], expect=2)
    assert "owns 2 more attributes" in run(["owner", "name", DATASET, *WHO])
    assert "2 of 2 owned; may be published" in run(["owner", "show", DATASET])
    taken = run(["owner", "name", DATASET, "--column", "code", *WHO], expect=2)
    assert "catalogue.owner_taken" in taken
    assert "70000001 Registry" in taken
    new = ["--organisation", "70000002", "--unit", "Office", "--legal-basis", "Law 9"]
    assert "Only 70000001" in run(
        ["owner", "hand-over", DATASET, *new, "--column", "code", "--by", "70000002"], expect=2
    )
    assert "handed 2 attributes" in run(["owner", "hand-over", DATASET, *new, "--by", "70000001"])
    assert "70000002 owns 2 attributes" in run(["owner", "show", "--organisation", "70000002"])
    run(["owner", "end", DATASET, "--column", "code", "--legal-basis", "Law 9", "--reason", "gone", "--by", "70000002"])
    told = json.loads(run(["owner", "show", DATASET, "--json"]))
    assert (told["may_publish"], told["owned"]) == (False, 1)
    history = run(["owner", "show", DATASET, "--column", "code"]).splitlines()
    assert len(history) == 2
    assert "ended by 70000002: gone (Law 9)" in history[1]
    found = audit(ledger_folder(home))
    assert found.findings == ()
    assert found.size == found.head == 5


def test_an_interim_owner_has_a_last_day_and_a_namer(home: Path) -> None:
    far = ["--until", "2199-01-01", "--names-lasting", "70000009"]
    assert "catalogue.interim_invalid" in run(["owner", "interim", DATASET, *WHO, *far], expect=2)
    assert "expected a day such as" in run(
        ["owner", "interim", DATASET, *WHO, "--until", "soon", "--names-lasting", "x"], expect=2
    )
    soon = clock.local_date(clock.now() + timedelta(days=30)).isoformat()
    named = run(["owner", "interim", DATASET, *WHO, "--until", soon, "--names-lasting", "70000009"])
    assert f"up to and including {soon}; 70000009 names the lasting owner" in named


def test_the_roles_say_what_nobody_confirmed() -> None:
    assert "Владелец цифрового ресурса" in run(["owner", "roles", "--language", "ru"])
    assert "to be confirmed" in run(["owner", "roles"])
    assert {r["confirmed"] for r in json.loads(run(["owner", "roles", "--json"]))} == {False}


def test_a_concept_is_asked_for_and_status_one_says_that_nothing_decides() -> None:
    assert "nothing decides" in run(["truth", "show", "school.code"], expect=1)
    run(["truth", "declare", "school.code", DATASET, "--column", "code", "--legal-basis", "Law 5", "--by", "steward-1"])
    assert f"{DATASET}.code, Law 5" in run(["truth", "show", "school.code"])
    assert json.loads(run(["truth", "show", "school.code", "--json"]))[0]["truth"]["column"] == "code"
    assert "nothing decides" in run(["truth", "show", "school.code", "--as-of", "2020-01-01"], expect=1)
    run(["truth", "end", "school.code", "--legal-basis", "Law 9", "--reason", "moved", "--by", "70000001"])
    run(["truth", "show", "school.code"], expect=1)


def test_what_is_published_is_approved_by_another_and_owned() -> None:
    thing = ["dataset", DATASET, "1"]
    run(["lifecycle", "act", "submit", *thing, "--by", "asanova", "--reason", "ready"])
    own = run(["lifecycle", "act", "approve", *thing, "--by", "asanova", "--reason", "mine"], expect=2)
    assert "catalogue.four_eyes" in own
    run(["lifecycle", "act", "approve", *thing, "--by", "bekov", "--reason", "fine"])
    blocked = run(["lifecycle", "act", "publish", *thing, "--by", "bekov", "--reason", "now"], expect=2)
    assert "code has no owner; name has no owner" in blocked
    run(["owner", "name", DATASET, *WHO])
    assert "is published" in run(["lifecycle", "act", "publish", *thing, "--by", "bekov", "--reason", "now"])
    assert "published  dataset schools.csv#schools version 1" in run(["lifecycle", "show"])
    assert len(json.loads(run(["lifecycle", "show", *thing, "--json"]))["history"]) == 3
    assert "states are draft" in run(["lifecycle", "show", "--state", "lost"], expect=2)
    assert "a kind is a word" in run(
        ["lifecycle", "act", "submit", "X Y", "z", "1", "--by", "a", "--reason", "b"], expect=2
    )


def test_a_register_is_asked_for_reviewed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "schools.yaml").write_text(
        "name: {ky: Мектептер реестри, ru: Реестр школ, en: Register of schools}\n"
        "purpose: {ky: Эсеп, ru: Учёт, en: Account}\nlegislations: [{name: Law 5}]\nsources: [schools.csv]\n",
        encoding="utf-8",
    )
    told = run(
        ["register", "request", "schools", "establish", "--description", tmp_path / "schools.yaml",
         "--organisation", "70000001", "--by", "asanova", "--reason", "Law 5"]
    )  # fmt: skip
    request = re.match(r"request-\w+", told)
    assert request is not None
    for role in ("coordinating-body", "data-protection-authority", "statistics-office"):
        said = run(["register", "review", request[0], role, "--decision", "positive", "--by", role, "--reason", "read"])
    assert said.endswith("is approved. schools is established.\n")
    assert "schools: established; takes take-into-use, modify, close" in run(["register", "show"])
    assert "Орган государственной статистики, statistics-office: positive" in run(
        ["register", "show", "schools", "--language", "ru"]
    )
    assert json.loads(run(["register", "show", "schools", "--riha"]))["short_name"] == "schools"
    assert json.loads(run(["register", "show", "--json"]))[0]["facts"]["attributes"] == 2
    refused = run(["register", "withdraw", request[0], "--by", "asanova", "--reason", "late"], expect=2)
    assert "approved already" in refused


def test_a_description_that_is_no_description_is_refused(tmp_path: Path) -> None:
    rest = ["--organisation", "1", "--by", "a", "--reason", "b"]
    for text in ("- a list", "a: [", ""):
        (tmp_path / "d.yaml").write_text(text)
        run(["register", "request", "x", "establish", "--description", tmp_path / "d.yaml", *rest], expect=2)
