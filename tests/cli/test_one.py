"""One of a thing is told as one, command by command, on tables of one record."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli import main
from kerege.semantics.crosswalks.sssom import Crosswalk, Row, write_sssom

pytestmark = pytest.mark.django_db
TABLE = "one.csv#one"
WHO = ("--organisation", "70000001", "--unit", "Registry", "--legal-basis", "Law 5")
LIST = "notation,en\n1,one\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("one.csv").write_text("area\nA\n", encoding="utf-8")

    def call(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return call


@pytest.fixture
def applied(run):
    planned = run("harvest", "one.csv")
    plan = re.search(r"plan-\w+", planned)
    assert plan is not None
    return planned, run("harvest", "--list"), run("apply", plan[0])


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    file = tmp_path / "one.sssom.tsv"
    file.write_bytes(write_sssom(Crosswalk("t:one", (Row("A", "1"),))))
    return file


def test_a_harvest_of_one_column_plans_and_applies_one_change_and_more(run, applied) -> None:
    planned, listed, done = applied
    assert "1 table, 1 column read" in planned
    assert "1 column, 1 row" in planned
    assert re.search(r"one\.csv  (1 change|[2-9] changes)\n", listed)
    assert re.search(r": (1 change|[2-9] changes)\.\n", done)
    assert "one: 1 row" in run("profile", "one.csv")


def test_one_attribute_is_owned_shown_and_handed_over(run, applied) -> None:
    assert "owns 1 more attribute of" in run("owner", "name", TABLE, *WHO, "--by", "steward-1")
    assert "70000001 owns 1 attribute.\n" in run("owner", "show", "--organisation", "70000001")
    other = ("--organisation", "70000002", *WHO[2:])
    assert "handed 1 attribute of" in run("owner", "hand-over", TABLE, *other, "--by", "70000001")


def test_one_attribute_has_an_owner_for_the_time_being(run, applied) -> None:
    told = run(
        "owner", "interim", TABLE, *WHO, "--until", "2026-12-31", "--names-lasting", "Cabinet", "--by", "steward-1"
    )
    assert "owns 1 attribute of" in told


def test_one_code_is_checked_kept_listed_and_written(run) -> None:
    Path("list.csv").write_text(LIST, encoding="utf-8")
    assert re.search(r"list\.csv: 1 code, \d+ finding", run("codelist", "check", "list.csv"))
    kept = run("codelist", "import", "list.csv", "--id", "t:one", "--version", "1", "--title", "en=One", "--by", "unit")
    assert "t:one 1: 1 code, kept." in kept
    assert "1 version.\n" in run("codelist", "list", "--versions")


def test_one_change_between_two_code_lists_is_told_as_one(run) -> None:
    Path("old.csv").write_text(LIST, encoding="utf-8")
    Path("new.csv").write_text(LIST + "2,two\n", encoding="utf-8")
    assert "1 change, 0 of them breaking." in run("codelist", "diff", "old.csv", "new.csv")


def test_one_row_of_a_crosswalk_is_checked_and_kept(run, walk: Path) -> None:
    assert "t:one: 1 row (plain), " in run("crosswalk", "check", walk)
    assert "t:one: 1 row, kept." in run("crosswalk", "import", walk, "--by", "unit")


def test_one_decision_is_told_as_one(run) -> None:
    Path("here.csv").write_text("code,label\nA,Alpha\n", encoding="utf-8")
    Path("there.csv").write_text("id,title\n1,Alpha\n", encoding="utf-8")
    columns = ("--code", "code", "--label", "label", "--to-code", "id", "--to-label", "title")
    run("crosswalk", "suggest", "here.csv", "there.csv", *columns, "--out", "w.sssom.tsv")
    run("crosswalk", "accept", "w.sssom.tsv", "A", "1", "--by", "unit")
    assert "1 decision.\n" in run("crosswalk", "decisions")
    assert "1 code decided, 1 of them with a target" in run("crosswalk", "decisions", "--measure")


def test_one_row_is_harmonised(run, walk: Path) -> None:
    assert "1 row read, 1 written" in run("harmonise", "one.csv", "--column", f"area=id:{walk}", "--out", "out.csv")


def test_a_board_of_one_dataset_says_so(run, applied) -> None:
    why = ("--by", "asanova", "--reason", "Decision 7")
    run("board", "start", *why)
    run("board", "mark", TABLE, *why)
    assert "0 of 1 dataset complete." in run("board", "--print", "board.html")


def test_no_task_no_finding_and_no_settlement_are_told_in_the_plural(run) -> None:
    assert "0 tasks" in run("reconcile", "queue")
    assert "0 findings" in run("reconcile", "findings")
    assert "0 of 0 settlements" in run("reconcile", "settlements")
