"""The catalogue's commands as a person types them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.semantics.crosswalks.sssom import Crosswalk, Row, read_sssom, write_sssom

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


@pytest.mark.django_db
def test_a_crosswalk_is_suggested_settled_and_run(folder: Path) -> None:
    walk, out = folder / "areas.sssom.tsv", folder / "out.csv"
    said = run(
        ["crosswalk", "suggest", folder / "areas.csv", folder / "list.csv", "--code", "code", "--label", "label", "--to-code", "id",
         "--to-label", "title", "--out", walk]
    ).output  # fmt: skip
    assert "2 accepted" in said
    assert "1 open\n" in said
    assert "1 open." in run(["crosswalk", "open", walk]).output
    first = run(["harmonise", folder / "schools.csv", "--column", f"area=area_id:{walk}", "--out", out]).output
    assert "30 rows read, 20 written (0 flagged), 10 put aside" in first
    run(["crosswalk", "refuse", walk, "C", "2", "--by", "unit"])
    run(["crosswalk", "accept", walk, "C", "1", "--by", "unit"])
    again = run(
        ["harmonise", folder / "schools.csv", "--column", f"area=area_id:{walk}", "--out", folder / "all.csv", "--json"]
    ).output
    assert '"quarantined": 0' in again


@pytest.mark.django_db
def test_suggest_and_open_count_alike_when_nothing_is_alike(folder: Path) -> None:
    (folder / "far.csv").write_text("code,label\nA,Aaaland\nX,Qwertz\n")
    walk = folder / "far.sssom.tsv"
    said = run(
        ["crosswalk", "suggest", folder / "far.csv", folder / "list.csv", "--code", "code", "--label", "label", "--to-code", "id",
         "--to-label", "title", "--out", walk]
    ).output  # fmt: skip
    assert "1 accepted" in said
    assert "1 open (1 with nothing alike)" in said
    assert "1 open." in run(["crosswalk", "open", walk]).output


@pytest.mark.django_db
def test_a_target_the_file_names_nowhere_is_refused_unless_it_is_meant(folder: Path) -> None:
    walk = folder / "w.sssom.tsv"
    walk.write_text(run_suggest(folder))
    before = walk.read_bytes()
    said = run(["crosswalk", "accept", walk, "C", "11", "--by", "unit"], expect=2).output
    assert "catalogue.target_unknown" in said
    assert "--new-target" in said
    assert walk.read_bytes() == before
    assert "C -> 11" in run(["crosswalk", "accept", walk, "C", "11", "--by", "unit", "--new-target"]).output


@pytest.mark.django_db
def test_a_slip_is_corrected_to_a_candidate_the_file_no_longer_names(folder: Path) -> None:
    walk = folder / "w.sssom.tsv"
    walk.write_text(run_suggest(folder))
    run(["crosswalk", "accept", walk, "A", "2", "--by", "unit", "--reason", "a slip to come"])
    run(["crosswalk", "refuse", walk, "C", "--by", "unit"])
    assert [(r.subject, r.object) for r in read_sssom(walk).rows] == [("B", "2"), ("A", "2"), ("C", None)]
    assert (
        "catalogue.target_unknown"
        in run(["crosswalk", "accept", walk, "A", "1", "--by", "unit", "--no-keep"], expect=2).output
    )
    assert "A -> 1" in run(["crosswalk", "accept", walk, "A", "1", "--by", "unit", "--reason", "a slip"]).output


@pytest.mark.django_db
def test_a_source_code_nobody_knows_is_refused_unless_it_is_meant(folder: Path) -> None:
    walk = folder / "w.sssom.tsv"
    walk.write_text(run_suggest(folder))
    before = walk.read_bytes()
    for words in (["accept", walk, "A99", "1"], ["refuse", walk, "A99"], ["refuse", walk, "A99", "1"]):
        said = run(["crosswalk", *words, "--by", "unit"], expect=2).output
        assert ("catalogue.source_code_unknown" in said, "--new-code" in said) == (True, True)
    assert walk.read_bytes() == before
    assert "A99 has no counterpart" in run(["crosswalk", "refuse", walk, "A99", "--by", "unit", "--new-code"]).output
    listed = folder / "sex.sssom.tsv"
    listed.write_bytes(write_sssom(Crosswalk("s", (Row("M", "1"),), object_source="kg:sex")))
    assert (
        "M -> 2" in run(["crosswalk", "accept", listed, "M", "2", "--by", "unit", "--reason", "by its name"]).output
    ), "a code of the list it leads to"


@pytest.mark.django_db
def test_a_rejected_code_is_told_with_the_file_as_given_and_a_command_that_settles_it(folder: Path) -> None:
    walk = folder / "my walk.tsv"
    walk.write_text(run_suggest(folder))
    command = ["harmonise", folder / "schools.csv", "--column", f"area=id:{walk}", "--policy", "reject", "--out", folder / "o.csv"]  # fmt: skip
    said = run(command, expect=2).output
    assert f"the code 'C' is still open in {walk}." in said
    assert f"kerege crosswalk accept '{walk}' C TARGET --by NAME" in said
    run(["crosswalk", "refuse", walk, "C", "--by", "unit"])
    said = run(command, expect=2).output
    assert "catalogue.code_without_counterpart" in said
    assert "recorded as having no counterpart" in said
    run(["crosswalk", "accept", walk, "C", "1", "--by", "unit", "--reason", "as the register says"])
    assert "30 rows read, 30 written" in run(command).output


def test_what_profile_withholds_is_explained(folder: Path) -> None:
    (folder / "few.csv").write_text("area\n" + "A\n" * 20 + "B\n" * 4)
    assert "[n withheld]: n more values that fewer than 5 records share" in run(["profile", folder / "few.csv"]).output
    assert "[n withheld]" not in run(["profile", folder / "few.csv", "--k", "4"]).output


def test_a_policy_nobody_knows_is_a_usage_error(folder: Path) -> None:
    run(["harmonise", folder / "schools.csv", "--column", "area", "--out", folder / "o.csv"], expect=2)
    said = run(
        ["crosswalk", "suggest", folder / "areas.csv", folder / "list.csv", "--code", "code", "--to-code", "id", "--out",
         folder / "w.tsv", "--policy", "shrug"], expect=2,
    ).output  # fmt: skip
    assert "unknown policy" in said


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--encoding", "klingon", "no text encoding is called"),
        ("--encoding", "hex", "no text encoding is called"),
        ("--encoding", "utf-32", "save it as utf-8"),
        ("--encoding", "idna", "save it as utf-8"),
        ("--delimiter", ",,", "one character"),
        ("--delimiter", '"', "not a quote"),
        ("--delimiter", "\n", "not a line end"),
        ("--rows", 0, "1<=x"),
        ("--max-cell", 10**20, "1<=x"),
        ("--seconds", -1, "1<=x"),
        ("--header-row", -1, "x>=0"),
        ("--k", 0, "x>=1"),
    ],
)
def test_an_option_that_cannot_be_meant_is_a_usage_error(folder: Path, option: str, value: object, told: str) -> None:
    result = run(["profile", folder / "schools.csv", option, value], expect=2)
    assert isinstance(result.exception, SystemExit)
    assert option in result.output
    assert told in " ".join(result.output.split())


def test_encodings_and_delimiters_may_be_written_as_people_do(folder: Path) -> None:
    (folder / "old.csv").write_bytes("код\tимя\n1\tОш\n".encode("cp1251"))
    assert "1 row" in run(["profile", folder / "old.csv", "--encoding", "Windows-1251", "--delimiter", r"\t"]).output
    (folder / "wide.csv").write_bytes("код;имя\n1;Ош\n".encode("utf-16-le"))
    assert "1 row" in run(["profile", folder / "wide.csv", "--encoding", "UTF_16_LE", "--delimiter", ";"]).output


def test_a_url_that_is_none_is_told_without_its_password() -> None:
    result = run(["profile", "postgresql://user:hidden@host:port/db"], expect=2)
    assert "error    catalogue.source_missing" in result.output
    assert "hidden" not in result.output


def test_a_column_that_is_not_there_is_refused_whichever_option_names_it(folder: Path) -> None:
    areas, target = folder / "areas.csv", folder / "list.csv"
    for option in ("--key", "--share"):
        said = run(["profile", areas, option, "nope"], expect=2).output
        assert "areas.csv: there is no column nope. Columns now: code, label." in said
    made = {"--code": "code", "--label": "label", "--to-code": "id", "--to-label": "title"}
    for option in (*made, "--parent", "--kind", "--to-also", "--to-parent", "--to-kind"):
        named = [x for pair in {**made, option: "nope"}.items() for x in pair]
        said = run(["crosswalk", "suggest", areas, target, *named, "--out", folder / "w.tsv"], expect=2).output
        assert "there is no column nope" in said
    assert not (folder / "w.tsv").exists()


@pytest.mark.django_db
def test_a_last_row_without_line_end_is_told_by_profile_plan_and_harmonise(folder: Path) -> None:
    (folder / "schools.csv").write_text(PEOPLE.removesuffix("\n"))
    note = "schools.csv, table schools: the last row has no line end (row 31); the file may be cut."
    for command in (["profile"], ["profile", "--json"], ["harvest"]):
        said = run([*command, folder / "schools.csv"]).stderr
        assert note in said
        assert "--counted" in said
    assert "~ schools" in (planned := run(["harvest", folder / "schools.csv"]).stdout)
    assert "remark: the last row has no line end" in planned
    (folder / "w.sssom.tsv").write_text(run_suggest(folder))
    out = run(
        [
            "harmonise",
            folder / "schools.csv",
            "--column",
            f"area=id:{folder / 'w.sssom.tsv'}",
            "--out",
            folder / "o.csv",
        ]
    )
    assert note in out.stderr


def run_suggest(folder: Path) -> str:
    made = folder / "made.sssom.tsv"
    run(["crosswalk", "suggest", folder / "areas.csv", folder / "list.csv", "--code", "code", "--label", "label", "--to-code", "id",
         "--to-label", "title", "--out", made])  # fmt: skip
    return made.read_text()
