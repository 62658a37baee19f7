"""Every value is translated or accounted for; what was there before is untouched."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.catalogue import errors
from kerege.catalogue.mappings.harmonise import Given, Report, Step, harmonise, quarantine_path, with_policy
from kerege.catalogue.sources import open_source
from kerege.catalogue.sources.base import pick
from kerege.cli import main
from kerege.semantics.crosswalks.sssom import Condition, Crosswalk, Row, write_sssom

WriteCsv = Callable[..., Path]
WALK = Crosswalk("sex", (Row("М", "1"), Row("Ж", "2")))


def run(path: Path, out: Path, policy: str = "quarantine", to: str = "sex", **how: object) -> Report:
    source = open_source(str(path))
    return harmonise(source, pick(source), [Step("pol", with_policy(WALK, policy), to)], out, **how)  # type: ignore[arg-type]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def register(write_csv: WriteCsv) -> Path:
    return write_csv("r.csv", ["id", "pol"], [[1, "М"], [2, "Ж"], [3, "Х"], [4, ""], [5, "Х"]])


def test_rows_with_an_unknown_code_are_put_aside_with_their_row_number(register: Path, tmp_path: Path) -> None:
    report = run(register, tmp_path / "out.csv")
    assert (report.read, report.written, report.quarantined) == (5, 3, 2)
    assert dict(report.steps[0].unmapped) == {"Х": 2}
    assert report.steps[0].empty == 1
    assert [r["sex"] for r in rows_of(tmp_path / "out.csv")] == ["1", "2", ""]
    assert [(r["row"], r["problems"]) for r in rows_of(quarantine_path(tmp_path / "out.csv"))] == [
        ("4", "pol: unknown code"),
        ("6", "pol: unknown code"),
    ]


@pytest.mark.parametrize(("policy", "value"), [("pass-and-flag", "Х"), ("null-and-flag", ""), ("default 9", "9")])
def test_flagging_policies_write_the_row_and_name_the_column(
    register: Path, tmp_path: Path, policy: str, value: str
) -> None:
    report = run(register, tmp_path / "out.csv", policy)
    assert (report.written, report.flagged) == (5, 2)
    assert rows_of(tmp_path / "out.csv")[2] == {"id": "3", "pol": "Х", "sex": value, "problems": "pol: unknown code"}


DATED = Crosswalk(
    "school",
    (
        Row("5", "primary", valid_to=date(2019, 12, 31)),
        Row("5", "basic", valid_from=date(2020, 1, 1)),
        Row("7", "village"),
        Row("7", "city", conditions=(Condition("urban", ("yes",)),)),
    ),
)
SCHOOLS = [
    ["5", "2019-12-31", "no"], ["5", "01.01.2020", "no"], ["5", "2020-01-01T10:00:00", ""], ["5", "soon", "no"], ["5", "", "no"],
    ["7", "", "yes"], ["7", "", "no"], ["7", "", ""],
]  # fmt: skip


def test_a_code_means_what_it_meant_on_the_records_day_and_under_its_other_cells(
    write_csv: WriteCsv, tmp_path: Path
) -> None:
    source = open_source(str(write_csv("s.csv", ["kind", "opened", "town"], SCHOOLS)))
    step = Step("kind", with_policy(DATED, "null-and-flag"), "to")
    report = harmonise(source, pick(source), [step], tmp_path / "out.csv", given=Given("opened", {"urban": "town"}))
    found = rows_of(tmp_path / "out.csv")
    assert [r["to"] for r in found] == ["primary", "basic", "basic", "", "", "city", "village", "village"]
    assert [r["problems"] for r in found[3:5]] == ["opened: not a date; kind: no day", "kind: no day"]
    assert (report.steps[0].unmapped, report.steps[0].undecided) == ({}, {"no day": 2}), "the code is known"
    harmonise(source, pick(source), [step], tmp_path / "then.csv", given=Given("2019-06-01", {"urban": "town"}))
    assert [r["to"] for r in rows_of(tmp_path / "then.csv")][:5] == ["primary"] * 5


def test_a_known_code_of_which_no_row_holds_is_told_and_counted_apart_from_codes_nobody_knows(
    write_csv: WriteCsv, tmp_path: Path
) -> None:
    walk = Crosswalk("school", (*DATED.rows[1:2], Row("7", "city", conditions=(Condition("urban", ("yes",)),))))
    path, file = write_csv("s.csv", ["kind", "opened", "town"], [*SCHOOLS, ["8", "", ""]]), tmp_path / "w.sssom.tsv"
    file.write_bytes(write_sssom(walk))
    asked = [
        "harmonise",
        str(path),
        "--column",
        f"kind=to:{file}",
        "--as-of",
        "opened",
        "--given",
        "urban=town",
        "--out",
        str(tmp_path / "o.csv"),
    ]
    said = CliRunner().invoke(main, asked).output
    assert "kind: 3 mapped, 0 empty, 1 unmapped" in said
    assert [" ".join(line.split()) for line in said.splitlines()[2:5]] == [
        "3 known code, no condition holds",
        "2 known code, no day",
        "1 8",
    ]
    aside = [r["problems"] for r in rows_of(quarantine_path(tmp_path / "o.csv"))]
    assert aside[0] == "kind: no condition holds"
    assert aside[-1] == "kind: unknown code"


def test_a_crosswalk_that_depends_on_more_than_the_code_does_not_run_without_it(
    write_csv: WriteCsv, tmp_path: Path
) -> None:
    source = open_source(str(write_csv("s.csv", ["kind", "opened", "town"], SCHOOLS)))
    for walk, told, wrong in (
        (Crosswalk("d", DATED.rows[:2]), Given(), errors.CrosswalkNeedsDay),
        (Crosswalk("d", DATED.rows[:2]), Given("opend"), errors.ColumnVanished),
        (Crosswalk("c", DATED.rows[2:]), Given("opened"), errors.CrosswalkNeedsCells),
        (Crosswalk("c", DATED.rows[2:]), Given(cells={"urban": "city"}), errors.ColumnVanished),
    ):
        with pytest.raises(wrong):
            harmonise(source, pick(source), [Step("kind", walk, "to")], tmp_path / "out.csv", given=told)
    step = Step("kind", with_policy(Crosswalk("d", DATED.rows[1:2]), "reject"), "to")
    with pytest.raises(errors.CodeUnknown, match="no target for the day and the other cells of this record"):
        harmonise(source, pick(source), [step], tmp_path / "out.csv", given=Given("opened"))
    assert not (tmp_path / "out.csv").exists()


def test_the_command_takes_the_day_and_the_cells(write_csv: WriteCsv, tmp_path: Path) -> None:
    path = write_csv("s.csv", ["kind", "opened", "town"], SCHOOLS)
    (tmp_path / "w.sssom.tsv").write_bytes(write_sssom(DATED))
    asked = ["harmonise", str(path), "--column", f"kind=to:{tmp_path / 'w.sssom.tsv'}", "--policy", "null-and-flag"]
    runner = CliRunner()
    refused = runner.invoke(main, [*asked, "--out", str(tmp_path / "a.csv")])
    assert "depends on the record's day" in " ".join(refused.output.split())
    where = ["--as-of", "opened", "--given", "urban=town"]
    assert runner.invoke(main, [*asked, *where, "--out", str(tmp_path / "a.csv")]).exit_code == 0
    assert [r["to"] for r in rows_of(tmp_path / "a.csv")][:2] == ["primary", "basic"]
    assert runner.invoke(main, [*asked, "--given", "urban", "--out", str(tmp_path / "b.csv")]).exit_code == 2


def test_reject_names_file_row_column_and_code_and_writes_nothing(register: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.CodeUnknown) as error:
        run(register, tmp_path / "out.csv", "reject")
    assert "r.csv#r, row 4, column pol" in error.value.text
    assert "kerege crosswalk accept" in error.value.next_step
    assert {p.name for p in tmp_path.iterdir()} == {"r.csv"}


def test_a_code_with_two_targets_or_none_on_record_is_told_as_that(write_csv: WriteCsv, tmp_path: Path) -> None:
    walk = Crosswalk("sex", (Row("М", "1"), Row("М", "2"), Row("Х", None)))
    for code, kind, told in (
        ("М", errors.CodeUnknown, "has more than one target in sex.tsv"),
        ("Х", errors.CodeWithoutCounterpart, "recorded as having no counterpart in sex.tsv"),
        ("Ы", errors.CodeUnknown, "is not in the crosswalk sex.tsv"),
    ):
        source = open_source(str(write_csv("r.csv", ["pol"], [[code]])))
        step = Step("pol", with_policy(walk, "reject"), "sex", "sex.tsv")
        with pytest.raises(errors.CodeUnknown, match=told) as error:
            harmonise(source, pick(source), [step], tmp_path / "out.csv")
        assert type(error.value) is kind
        assert f"kerege crosswalk accept sex.tsv {code!r} TARGET --by NAME" in error.value.next_step


def test_a_value_too_long_to_be_a_code_is_not_repeated_in_the_message(write_csv: WriteCsv, tmp_path: Path) -> None:
    path = write_csv("r.csv", ["pol"], [["Асанов " * 20]])
    with pytest.raises(errors.CodeUnknown) as error:
        run(path, tmp_path / "out.csv", "reject")
    assert "Асанов" not in error.value.text


def test_a_column_can_be_replaced_in_place(register: Path, tmp_path: Path) -> None:
    run(register, tmp_path / "out.csv", "null-and-flag", to="pol")
    assert [r["pol"] for r in rows_of(tmp_path / "out.csv")] == ["1", "2", "", "", ""]


def test_a_file_that_breaks_half_way_leaves_no_output(register: Path, tmp_path: Path) -> None:
    register.write_text(register.read_text() + "6")
    with pytest.raises(errors.FileTruncated):
        run(register, tmp_path / "out.csv")
    assert {p.name for p in tmp_path.iterdir()} == {"r.csv"}


def test_an_output_that_is_there_is_left_as_it_was(register: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(errors.OutputExists):
        run(register, out)
    assert out.read_text() == "precious"


def test_a_vanished_column_an_empty_table_and_a_repeated_key_stop_the_run(write_csv: WriteCsv, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(errors.ColumnVanished, match="Columns now: id, gender"):
        run(write_csv("a.csv", ["id", "gender"], [[1, "М"]]), out)
    with pytest.raises(errors.TableEmpty):
        run(write_csv("b.csv", ["id", "pol"], []), out)
    with pytest.raises(errors.KeyDuplicate) as error:
        run(write_csv("c.csv", ["id", "pol"], [[1, "М"], [2, "Ж"], [1, "Ж"]]), out, key=["id"])
    assert (error.value.params["row"], error.value.params["first"]) == (4, 2)
    assert not out.exists()


def test_a_new_column_never_takes_the_place_of_one_that_is_there(register: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.OutputColumnTaken, match=r"r\.csv#r: the new column id \(from pol\)") as error:
        run(register, tmp_path / "out.csv", to="id")
    assert "--column pol=NEW" in error.value.next_step
    assert {p.name for p in tmp_path.iterdir()} == {"r.csv"}


def test_two_steps_with_one_target_are_refused(write_csv: WriteCsv, tmp_path: Path) -> None:
    source = open_source(str(write_csv("r.csv", ["pol", "sex"], [["М", "Ж"]])))
    for steps in (
        [Step("pol", WALK, "x"), Step("sex", WALK, "x")],
        [Step("pol", WALK, "pol"), Step("pol", WALK, "pol")],
    ):
        with pytest.raises(errors.OutputColumnTaken, match="made from pol"):
            harmonise(source, pick(source), steps, tmp_path / "out.csv")
    report = harmonise(source, pick(source), [Step("pol", WALK, "pol"), Step("pol", WALK, "x")], tmp_path / "out.csv")
    assert rows_of(tmp_path / "out.csv") == [{"pol": "1", "sex": "Ж", "x": "1", "problems": ""}]
    assert report.problems_column == "problems"


def test_harmonising_an_own_output_again_keeps_both_rounds_of_problems(register: Path, tmp_path: Path) -> None:
    run(register, tmp_path / "one.csv", "pass-and-flag")
    again = run(tmp_path / "one.csv", tmp_path / "two.csv", to="sex2")
    first = (tmp_path / "two.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first == "id,pol,sex,problems,sex2,problems_2"
    assert again.problems_column == "problems_2"
    run(quarantine_path(tmp_path / "two.csv"), tmp_path / "three.csv", to="sex2")
    aside = quarantine_path(tmp_path / "three.csv").read_text(encoding="utf-8").splitlines()
    assert aside[0] == "row_2,row,id,pol,sex,problems,problems_2,problems_3"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["М", "Ж", "Х", "", "0"]), min_size=1, max_size=30))
def test_every_row_read_is_written_or_put_aside_and_every_cell_counted(
    tmp_path_factory: pytest.TempPathFactory, codes: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    path = folder / "r.csv"
    path.write_text("id,pol\n" + "".join(f"{i},{c}\n" for i, c in enumerate(codes)), encoding="utf-8")
    report = run(path, folder / "out.csv")
    step = report.steps[0]
    assert report.read == report.written + report.quarantined == len(codes)
    assert step.mapped + step.empty + step.unmapped.total() == len(codes)
