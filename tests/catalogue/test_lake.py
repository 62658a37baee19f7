"""DuckDB files and Parquet as sources: read-only, shut off from outside, sampled the same way each time."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading


@pytest.fixture
def register(tmp_path: Path) -> Path:
    path = tmp_path / "register.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE persons (id INT PRIMARY KEY, name VARCHAR, born DATE, sex VARCHAR, photo BLOB)")
        db.execute(
            "INSERT INTO persons SELECT i, 'Ош ' || i, DATE '1980-01-01' + i::INT, CASE i % 2 WHEN 0 THEN 'M' ELSE 'F' END, "
            "'secret'::BLOB FROM range(3000) t(i)"
        )
        db.execute("COMMENT ON TABLE persons IS 'Residents'")
        db.execute("COMMENT ON COLUMN persons.sex IS 'As in the passport'")
        db.execute("CREATE SCHEMA archive")
        db.execute("CREATE VIEW archive.old AS SELECT id FROM persons WHERE id < 10")
    return path


def options(rows: int = 200_000, *tables: str) -> Options:
    return Options(Reading(Limits(rows=rows), tables=tables))


def test_tables_views_comments_and_keys_of_a_duckdb_file_are_read(register: Path) -> None:
    found = harvest_source(str(register), options())
    persons = next(t for t in found.tables if t.name == "persons")
    fields = {f.name: f for f in persons.fields}
    assert (found.kind, [t.name for t in found.tables]) == ("duckdb", ["archive.old", "persons"])
    assert (persons.description, persons.key, persons.rows) == ("Residents", ("id",), 3000)
    assert (fields["born"].type, fields["sex"].description) == ("date", "As in the passport")
    assert fields["sex"].codes == (("F", 1500), ("M", 1500))
    assert (fields["photo"].type, fields["photo"].masks, fields["photo"].codes) == ("binary", (), ())
    assert (found.cost.connections, found.cost.rows) == (0, 3010)


def test_a_large_table_is_sampled_the_same_way_each_time(register: Path) -> None:
    once, again = (harvest_source(str(register), options(500, "persons")) for _ in range(2))
    assert once.digest == again.digest
    assert (once.tables[0].sampled, once.tables[0].rows, once.tables[0].total_rows) == (True, 500, 3000)


def test_a_view_that_reads_another_file_is_refused(tmp_path: Path) -> None:
    secret, path = tmp_path / "secret.csv", tmp_path / "evil.duckdb"
    secret.write_text("a,b\n1,2\n")
    with duckdb.connect(str(path)) as db:
        db.execute(f"CREATE VIEW spy AS SELECT * FROM read_csv('{secret}')")
        db.execute("CREATE TABLE good (a INT)")
    with pytest.raises(errors.ReferenceRefused, match="table spy"):
        harvest_source(str(path))
    assert [t.name for t in harvest_source(str(path), options(100, "good")).tables] == ["good"]


def test_a_damaged_duckdb_file_is_told_and_not_written_to(register: Path) -> None:
    whole = register.read_bytes()
    register.write_bytes(whole[:9000] + bytes(4000) + whole[13000:])
    before = register.read_bytes()
    with pytest.raises(errors.FileTruncated):
        harvest_source(str(register))
    assert register.read_bytes() == before


def test_one_parquet_file_and_a_folder_of_files_that_agree_are_one_table(tmp_path: Path) -> None:
    for region in ("Chui", "Osh"):
        folder = tmp_path / "schools" / f"region={region}"
        folder.mkdir(parents=True)
        duckdb.sql("SELECT i AS id, 'S' || i AS name FROM range(100) t(i)").write_parquet(
            str(folder / "part-0.parquet")
        )
    (tmp_path / "schools/_SUCCESS.parquet").write_text("no data")
    found = harvest_source(str(tmp_path / "schools"))
    (table,) = found.tables
    assert (found.kind, found.source, table.name, table.rows) == ("parquet", "schools", "schools", 200)
    assert {f.name: f.codes for f in table.fields}["region"] == (("Chui", 100), ("Osh", 100))
    one = harvest_source(str(tmp_path / "schools/region=Osh/part-0.parquet"))
    assert (one.tables[0].name, one.tables[0].rows) == ("part-0", 100)


def test_files_that_differ_in_columns_are_a_table_each_and_any_change_shows_in_the_fingerprint(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    duckdb.sql("SELECT 1 AS a").write_parquet(str(folder / "persons.parquet"))
    duckdb.sql("SELECT 1 AS b").write_parquet(str(folder / "schools.parquet"))
    before = harvest_source(str(folder))
    assert [t.name for t in before.tables] == ["persons", "schools"]
    duckdb.sql("SELECT 2 AS b").write_parquet(str(folder / "schools.parquet"))
    assert harvest_source(str(folder)).fingerprint != before.fingerprint


def test_what_is_no_parquet_is_told_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    duckdb.sql("SELECT 1 AS a").write_parquet(str(folder / "good.parquet"))
    (folder / "bad.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-10])
    with pytest.raises(errors.FileTruncated, match=r"export/bad\.parquet"):
        harvest_source(str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.SourceMissing, match="no Parquet"):
        harvest_source(str(tmp_path / "empty"))
