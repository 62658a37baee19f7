"""`kerege reconcile` as a person types it: two files compared, persons linked, queue, findings, workload."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.demo.pairs.persons import people
from kerege.reconcile import desk_doings, desk_queries, doings, queries
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.fields import of_country
from kerege.reconcile.models import Discrepancy
from kerege.reconcile.persons import EXISTING, NEW, Placement

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CIVIL = "ActNo,ActDate,Fam,Imya,Otch,DataRozhd,Pol,Pin,MatPin,MatFio,OtPin,OtFio,Oblast"
EMIS = (
    "student_id,first_name,middle_name,last_name,gender_id,date_of_birth,identity_number,institution_code,education_grade,"
    "student_status,area_administrative_code,address"
)
PAIR = ["--pair", "civil~emis", "--mappings", "kg:civil.birth-record~kg:education.pupil", "--ids", "ActNo~student_id"]


def typed(*words: str) -> Result:
    return CliRunner().invoke(main, ["reconcile", *words])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    civil, emis = tmp_path / "civil.csv", tmp_path / "emis.csv"
    civil.write_text(
        f"{CIVIL}\nA1,01.06.2019,АСАНОВ,БАКЫТ,,03.05.2019,М,10305201900012,,,,,\nA2,01.06.2019,ӨМҮРОВ,АЙБЕК,,04.05.2019,М,10405201900013,,,,,\n",
        "utf-8",
    )
    emis.write_text(
        f"{EMIS}\nP1,Bakyt,,Asanov,1,2019-05-03,10305201900012,S1,1,current,,\nP2,Aibek,,Omurov,1,2019-05-05,10405201900013,S1,1,current,,\n",
        "utf-8",
    )
    return civil, emis


def test_two_files_are_compared_and_the_work_before_and_after_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    truth, out = tmp_path / "truth.csv", tmp_path / "classes.csv"
    truth.write_text("left_id,field\nA2,birth_date\n", "utf-8")
    result = typed(
        "run",
        *map(str, files),
        *PAIR,
        "--by",
        "Pin~identity_number",
        "--truth",
        str(truth),
        "--out",
        str(out),
        "--json",
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["records"], told["unlinked"]) == (2, 0)
    assert told["classes"]["birth_date"] == {"conflict": 1, "equal_after_harmonising": 1}
    whole = told["workload"][0]
    assert whole["before"] == {"flagged": 2, "true": 1, "missed": 0, "not_comparable": 0}
    assert whole["after"] == {"flagged": 1, "true": 1, "missed": 0, "not_comparable": 0}
    rows = {row["left_id"]: row for row in csv.DictReader(out.open(encoding="utf-8"))}
    assert rows["A2"]["c_surname"] == "equal_after_harmonising"


def test_no_value_of_a_person_is_printed_or_written(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "classes.csv"
    result = typed("run", *map(str, files), *PAIR, "--by", "Pin~identity_number", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "not known" in result.output
    for text in (result.output, out.read_text("utf-8")):
        assert not any(word in text for word in ("АСАНОВ", "Asanov", "2019", "10305201900012"))


def test_a_pair_that_is_not_on_the_list_and_a_file_without_columns_are_told(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    result = typed("run", *map(str, files), "--pair", "civil~tax", "--mappings", "a~b", "--ids", "a~b", "--by", "a~b")
    assert result.exit_code == 2
    assert "civil~population" in result.output
    bad = tmp_path / "bad.csv"
    bad.write_text("ActNo,Pin\n1,2\n", "utf-8")
    result = typed("run", str(bad), str(files[1]), *PAIR, "--by", "Pin~identity_number")
    assert result.exit_code == 2
    assert "columns missing" in result.output


def test_a_file_that_is_no_table_is_refused_without_showing_its_line(files: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_text("АСАНОВ БАКЫТ", "utf-8")
    result = typed("run", str(bad), str(files[1]), *PAIR, "--by", "Pin~identity_number")
    assert result.exit_code == 2
    assert "reconcile.table_unreadable" in result.output
    assert "АСАНОВ" not in result.output


def test_persons_are_linked_from_two_files_and_a_kept_model_gives_the_same_pairs(tmp_path: Path) -> None:
    connection = duckdb.connect()
    people(connection, 600, 400)
    for table in ("register_a", "register_b"):
        connection.execute(
            f"COPY (SELECT * EXCLUDE person FROM {table}) TO '{tmp_path / table}.parquet' (FORMAT parquet)"
        )
    both = [str(tmp_path / f"{table}.parquet") for table in ("register_a", "register_b")]
    model = str(tmp_path / "model.json")
    first = typed(
        "link", *both, "--ids", "id~id", "--train", "--model", model, "--out", str(tmp_path / "1.csv"), "--json"
    )
    assert first.exit_code == 0, first.output
    assert json.loads(first.output)["accepted"] > 250
    second = typed("link", *both, "--ids", "id~id", "--model", model, "--out", str(tmp_path / "2.csv"))
    assert second.exit_code == 0, second.output
    assert (tmp_path / "1.csv").read_text() == (tmp_path / "2.csv").read_text()


@pytest.mark.django_db
def test_a_clerk_sees_the_queue_and_decides_with_a_reason() -> None:
    task = desk_doings.ask("kg:persons", "1", ("civil", "a" * 64), ("health", "b" * 64), why="rival", now=NOW)
    assert task in typed("queue").output
    assert json.loads(typed("queue", "--json").output)[0]["standing"] == "open"
    result = typed("decide", task, "--verdict", "different", "--reason", "twins", "--person", "clerk-1")
    assert result.output.split() == [task, "different"]
    again = typed("decide", task, "--verdict", "same", "--reason", "x", "--person", "clerk-2")
    assert (again.exit_code, "reconcile.task_settled" in again.output) == (2, True)
    parted = ("part", task, "--reason", "twins", "--person", "clerk-2")
    assert "no key in common" in typed(*parted).output
    for kind, ref in ((NEW, ("civil", "a" * 64)), (EXISTING, ("health", "b" * 64))):
        desk_doings.place_record(ref, Placement(kind, "person-a", (), ()), NOW)
    assert typed(*parted).output.split()[:2] == [task, "parted"]
    assert desk_doings.key_book().of(("health", "b" * 64)) != "person-a"


@pytest.mark.django_db
def test_an_owner_answers_a_finding_and_the_workload_is_told() -> None:
    items = [FieldComparison("pin", "civil", "population", "conflict", "", "different")]
    doings.record_comparisons({"case-1": items}, of_country("kg"), run="r1", now=NOW, service="grade1-admission")
    [row] = queries.queue()
    number = doings.send_finding(row.discrepancy_id, register="civil", note_code="pin", sent_by="officer-1", now=NOW)
    assert number in typed("findings").output
    assert typed("findings", "--finding", number, "--act", "refused", "--person", "c").exit_code == 2
    assert typed("findings", "--finding", number, "--act", "in_work", "--person", "c").output.split() == [
        number,
        "in_work",
    ]
    assert [f.status for f in desk_queries.findings(NOW)] == ["in_work"]
    told = json.loads(typed("workload", "--service", "grade1-admission", "--json").output)
    assert told[0]["after"]["flagged"] == 1
    assert told[0]["after"]["true"] is None
    assert "not known" in typed("workload", "--fields").output


@pytest.mark.django_db
def test_two_registers_are_placed_and_the_clerks_asked_and_no_value_is_printed(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path))
    (tmp_path / "reconcile").mkdir()
    listed = tmp_path / "reconcile" / "registers.yaml"
    listed.write_text(
        "registers:\n  civil: {source: civil.csv, mapping: 'kg:civil.birth-record', id: ActNo}\n"
        "  emis: {source: emis.csv, mapping: 'kg:education.pupil', id: student_id}\n",
        "utf-8",
    )
    listed.chmod(0o600)
    assert "needs --member" in typed("link", "civil", "emis", "--desk").output
    desk = ("--desk", "--member", "KG/GOV/70000003/admission")
    result = typed("link", "civil", "emis", *desk, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["read"], told["known"]) == (4, 0)
    # the pupils' status is no code of the list, so the mapping puts them aside: counted, not placed
    assert (told["new"], told["aside"]) == (2, 2)
    again = typed("link", "civil", "emis", *desk)
    assert "2 placed before" in again.output
    assert "2 put aside by their mapping" in again.output
    assert not any(word in again.output for word in ("АСАНОВ", "Asanov", "10305201900012"))
    assert "is not in" in typed("link", "civil", "health", *desk).output
    assert "--desk" in typed("link", *map(str, files)).output


def test_pairs_that_no_clerk_has_decided_are_compared_only_when_that_is_asked_for(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    links = tmp_path / "links.csv"
    links.write_text("left_id,right_id,region\nA1,P1,accept\nA2,P2,clerical\n", "utf-8")
    told = json.loads(typed("run", *map(str, files), *PAIR, "--links", str(links), "--json").output)
    assert (told["records"], told["left_to_clerks"]) == (1, 1)
    both = typed("run", *map(str, files), *PAIR, "--links", str(links), "--with-clerical").output
    assert "2 linked pairs compared" in both
    told = typed("run", *map(str, files), *PAIR, "--links", str(links)).output
    assert "1 linked pair compared, 0 links without their records\n1 pair left out" in told


def test_a_register_is_read_as_a_harvest_reads_it(files: tuple[Path, Path], tmp_path: Path) -> None:
    """With the sender's own count at its end, semicolons and windows-1251; a wrong encoding is told with its row."""
    civil = tmp_path / "counted.csv"
    civil.write_bytes(
        (files[0].read_text("utf-8").replace(",", ";").replace("Ө", "О").replace("Ү", "У") + "#ROWS;2\n").encode(
            "cp1251"
        )
    )
    wanted = [*PAIR, "--by", "Pin~identity_number", "--json"]
    result = typed("run", str(civil), str(files[1]), *wanted)
    assert (result.exit_code, "catalogue.encoding_wrong" in result.output, "row 2, column 3" in result.output) == (
        2,
        True,
        True,
    )
    # the other file is plain ASCII, which is the same in windows-1251
    told = json.loads(typed("run", str(civil), str(files[1]), *wanted, "--encoding", "cp1251").output)
    assert told["records"] == 2


def test_a_wrong_column_an_empty_file_and_links_without_their_columns_are_told_with_file_and_columns(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    links, empty = tmp_path / "links.csv", tmp_path / "empty.csv"
    links.write_text("a,b\n1,2\n", "utf-8")
    empty.write_bytes(b"")
    common = ["--pair", "civil~emis", "--mappings", "kg:civil.birth-record~kg:education.pupil"]
    by = ["--by", "Pin~identity_number"]
    for left, options, code, place in (
        (files[0], ["--ids", "ActNr~student_id", *by], "reconcile.column_missing", "civil.csv has no column ActNr; it has: ActNo, ActDate"),
        (files[0], ["--ids", "ActNo~student_id", "--by", "Pin~pin"], "reconcile.column_missing", "emis.csv has no column pin"),
        (files[0], ["--ids", "ActNo~student_id", "--links", str(links)], "reconcile.column_missing", "links.csv has no column left_id; it has: a, b"),
        (empty, ["--ids", "ActNo~student_id", *by], "catalogue.table_empty", "empty.csv"),
    ):  # fmt: skip
        result = typed("run", str(left), str(files[1]), *common, *options)
        assert (result.exit_code, code in result.output, place in result.output) == (2, True, True), result.output


@pytest.mark.django_db
def test_what_differs_is_settled_by_a_rule_told_to_the_copys_owner_and_closed_when_the_registers_agree(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    civil, emis = files
    cases, printed = tmp_path / "cases.csv", []

    def stored(*more: str) -> dict[str, object]:
        result = typed(
            "run", str(civil), str(emis), *PAIR, "--by", "Pin~identity_number", "--store", "grade1-admission", "--json", *more
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        printed.append(result.output)
        told: dict[str, object] = json.loads(result.output)["recorded"]
        return told

    def listed(command: str, *more: str) -> Any:
        result = typed(command, *more, "--json")
        printed.extend((result.output, typed(command, *more).output))
        return json.loads(result.output)

    assert stored("--cases", str(cases)) == {
        "new": 1, "closed": 0, "still": 0, "told": 1, "asked": 0, "rules": {"kg:source-of-truth": 1}, "not_compared": 0,
    }  # fmt: skip
    [row] = listed("settlements", "--pair", "emis~civil")["settlements"]
    assert (row["field"], row["class"], row["rule"], row["value_of"]) == (
        "birth_date",
        "conflict",
        "kg:source-of-truth",
        "civil",
    )
    [finding] = listed("findings")
    assert (finding["register"], finding["rule"], finding["status"]) == ("emis", "kg:source-of-truth", "sent")
    assert finding["due"]
    assert typed("settlements").output.splitlines()[-1].startswith("1 of 1 settlement: ")
    assert typed("findings").output.splitlines()[-1] == "1 finding"
    assert list(csv.DictReader(cases.open(encoding="utf-8"))) == [
        {"case": finding["case"], "left_id": "A2", "right_id": "P2"}
    ]
    assert cases.stat().st_mode & 0o777 == 0o600

    typed("findings", "--finding", finding["finding"], "--act", "corrected", "--person", "school-1")
    assert stored()["still"] == 1
    assert [(f["finding"], f["status"]) for f in listed("findings")] == [(finding["finding"], "in_work")], "told once"

    emis.write_text(emis.read_text("utf-8").replace("2019-05-05", "2019-05-04"), "utf-8")
    assert stored()["closed"] == 1
    [closed] = desk_queries.findings(datetime.now(UTC))
    assert (closed.status, closed.acts[-1].run[:5]) == ("closed", "bulk-")
    assert listed("settlements")["settlements"] == []
    assert [one["status"] for one in listed("settlements", "--all")["settlements"]] == ["corrected"]
    for text in (*printed, str(list(Discrepancy.objects.values()))):
        assert not any(word in text for word in ("ӨМҮРОВ", "Omurov", "2019-05", "10405201900013", "A2", "P2"))
    assert desk_queries.workload(service="grade1-admission", whole_only=True)
