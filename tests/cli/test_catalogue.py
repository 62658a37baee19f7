"""The catalogue's commands as a person types them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kerege.cli import main

PEOPLE = "code,name,area\n" + "".join(f"{i},School {i},{'ABC'[i % 3]}\n" for i in range(30))
AREAS = "id,title\n1,Aaaland\n2,Bbbland\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "schools.csv").write_text(PEOPLE)
    (tmp_path / "areas.csv").write_text("code,label\nA,Aaaland\nB,Bbbland\nC,Cccland\n")
    (tmp_path / "list.csv").write_text(AREAS)
    return tmp_path


def run(arguments: Sequence[object], expect: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == expect, result.output
    return result


@pytest.mark.django_db
def test_harvest_plans_then_applies_and_a_second_plan_is_empty(folder: Path) -> None:
    planned = run(["harvest", folder / "schools.csv", "--plan"]).output
    assert "+ schools.area" in planned
    assert "looks like a code list of 3" in planned
    plan_id = re.search(r"kerege apply (plan-\w+)", planned)
    assert plan_id is not None
    assert plan_id[1] in run(["harvest", "--list"]).output
    assert "Applied" in run(["apply", plan_id[1]]).output
    assert "No difference" in run(["harvest", folder / "schools.csv"]).output


@pytest.mark.django_db
def test_a_plan_made_stale_ends_with_a_code_and_a_next_step(folder: Path) -> None:
    planned = run(["harvest", folder / "schools.csv"]).output
    plan_id = re.search(r"plan-\w+", planned)
    assert plan_id is not None
    (folder / "schools.csv").write_text(PEOPLE + "31,New,A\n")
    said = run(["harvest", folder / "schools.csv", "--apply", plan_id[0]], expect=2).output
    assert "catalogue.plan_stale" in said
    assert "kerege harvest" in said


def test_profile_shows_masks_and_no_names(folder: Path) -> None:
    shown = run(["profile", folder / "schools.csv", "--json"]).output
    assert '"Aa 99"' in shown
    assert "School 1" not in shown


def test_suggest_ranks_columns(folder: Path) -> None:
    said = run(["suggest", folder / "areas.csv", folder / "list.csv", "--top", 1]).output
    assert re.search(r"areas\.label\n\s+0\.\d+  list\.title", said)


def test_a_crosswalk_is_suggested_settled_and_run(folder: Path) -> None:
    walk, out = folder / "areas.sssom.tsv", folder / "out.csv"
    said = run(
        ["crosswalk", "suggest", folder / "areas.csv", folder / "list.csv", "--code", "code", "--label", "label", "--to-code", "id",
         "--to-label", "title", "--out", walk]
    ).output  # fmt: skip
    assert "2 accepted" in said
    assert "1 open." in run(["crosswalk", "open", walk]).output
    first = run(["harmonise", folder / "schools.csv", "--column", f"area=area_id:{walk}", "--out", out]).output
    assert "30 rows read, 20 written (0 flagged), 10 put aside" in first
    run(["crosswalk", "refuse", walk, "C", "2", "--by", "unit"])
    run(["crosswalk", "accept", walk, "C", "1", "--by", "unit"])
    again = run(
        ["harmonise", folder / "schools.csv", "--column", f"area=area_id:{walk}", "--out", folder / "all.csv", "--json"]
    ).output
    assert '"quarantined": 0' in again


def test_a_policy_nobody_knows_is_a_usage_error(folder: Path) -> None:
    run(["harmonise", folder / "schools.csv", "--column", "area", "--out", folder / "o.csv"], expect=2)
    said = run(
        ["crosswalk", "suggest", folder / "areas.csv", folder / "list.csv", "--code", "code", "--to-code", "id", "--out",
         folder / "w.tsv", "--policy", "shrug"], expect=2,
    ).output  # fmt: skip
    assert "unknown policy" in said
