"""`kerege board` and `kerege concept` as a person types them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli import main

DATASET = "schools.csv#schools"
WHO = ["--by", "asanova", "--reason", "Decision 7"]

pytestmark = pytest.mark.django_db


def run(arguments: Sequence[object], expect: int = 0) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == expect, result.output
    return result.output


@pytest.fixture(autouse=True)
def harvested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path / "home"))
    (tmp_path / "schools.csv").write_text("code,name\n" + "".join(f"{i},School {i}\n" for i in range(30)))
    plan = re.search(r"plan-\w+", run(["harvest", tmp_path / "schools.csv"]))
    assert plan is not None
    run(["apply", plan[0]])


def test_a_board_is_begun_marked_worked_on_kept_and_printed(tmp_path: Path) -> None:
    assert "kerege board start" in run(["board"], expect=2)
    run(["board", "start", *WHO])
    run(["board", "mark", DATASET, *WHO])
    before = json.loads(run(["board", "--json"]))
    assert (before["day"], before["totals"]["owned"]["done"]) == (1, 0)
    command = before["datasets"][0]["next"][0]["command"]
    assert command == f"kerege owner name {DATASET} --organisation ORG --unit UNIT --legal-basis ACT --by WHO"
    typed = (
        command.replace("ORG", "70000001")
        .replace("UNIT", "Registry")
        .replace("ACT", "Law5")
        .replace("WHO", "asanova")
        .split()[1:]
    )
    run(typed)
    second = json.loads(run(["board", "--json"]))["datasets"][0]["next"][0]["command"]
    run(second.replace("CONCEPT", "school.code").replace("WHO", "asanova").split()[1:])
    assert "owned 2/2" in run(["board", "snapshot"])
    assert "mapped 1/2" in run(["board", "snapshot"])
    page, text = tmp_path / "board.html", tmp_path / "board.txt"
    assert "day 1 of 90" in run(["board", "--print", page, "--language", "ky"])
    run(["board", "--print", text, "--language", "ru"])
    assert '<html lang="ky">' in page.read_text("utf-8")
    assert "Критический, потому что: Decision 7 (asanova)" in text.read_text("utf-8")
    assert "FILE.html or FILE.txt" in run(["board", "--print", tmp_path / "board.pdf"], expect=2)
    run(["board", "unmark", DATASET, *WHO])
    assert "No dataset is marked critical yet." in run(["board"])


def test_concepts_are_found_by_words_in_any_of_the_three_languages() -> None:
    assert "person.sex" in run(["concept", "show", "Пол"])
    assert {c["concept"] for c in json.loads(run(["concept", "show", "school", "code", "--json"]))} == {"school.code"}
    refused = run(["concept", "link", DATASET, "--column", "code", "--concept", "ghost", "--by", "a"], expect=2)
    assert "catalogue.concept_unknown" in refused


def test_a_reason_that_names_a_person_by_number_is_refused_before_anything_is_kept() -> None:
    said = ["--by", "asanova", "--reason", "asked for by 11509201900017"]
    out = run(["board", "start", *said], expect=2)
    assert "catalogue.reason_names_person" in out
    assert "11509201900017" not in out
    assert "catalogue.board_invalid" in run(["board"], expect=2)
