"""SQLite registers: read-only, and told plainly when they are broken, locked or down."""

from __future__ import annotations

import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading, open_source
from kerege.catalogue.sources.base import pick


def test_tables_columns_keys_and_counts_are_found(sqlite_register: Path) -> None:
    found = harvest_source(str(sqlite_register))
    schools = next(t for t in found.tables if t.name == "schools")
    assert [t.name for t in found.tables] == ["empty one", "schools"]
    assert (schools.rows, schools.key, schools.sampled) == (100, ("id",), False)
    assert {c for c, _ in schools.fields[2].codes} == {"KGA-00", "KGA-01", "KGA-02", "KGA-03"}


def test_a_larger_table_is_sampled_and_says_so(sqlite_register: Path) -> None:
    options = Options(Reading(Limits(rows=30), tables=("schools",)))
    table = harvest_source(str(sqlite_register), options).tables[0]
    assert table.sampled
    assert table.rows <= 30
    assert table.total_rows == 100
    assert harvest_source(str(sqlite_register), options).tables[0] == table


def test_the_register_cannot_be_written_through_the_source(sqlite_register: Path) -> None:
    before = sqlite_register.read_bytes()
    harvest_source(str(sqlite_register))
    assert sqlite_register.read_bytes() == before
    source = open_source(str(sqlite_register))
    with source._engine.connect() as connection, pytest.raises(Exception, match=r"readonly|read-only"):  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM schools")


def test_a_damaged_database_file_is_half_a_file(sqlite_register: Path) -> None:
    raw = bytearray(sqlite_register.read_bytes())
    raw[100:] = b"\x00" * (len(raw) - 100)
    sqlite_register.write_bytes(raw)
    with pytest.raises(errors.FileTruncated) as error:
        harvest_source(str(sqlite_register))
    assert sqlite_register.name in error.value.text


def test_a_cell_too_large_names_table_row_and_column(sqlite_register: Path) -> None:
    with sqlite3.connect(sqlite_register) as db:
        db.execute("UPDATE schools SET name = ? WHERE id = 40", ("x" * 5000,))
    with pytest.raises(errors.CellTooLarge) as error:
        harvest_source(str(sqlite_register), Options(Reading(Limits(cell=1000))))
    assert (error.value.params["row"], error.value.params["column"]) == (40, "name")


def test_a_locked_register_is_slow_and_not_waited_for_forever(sqlite_register: Path) -> None:
    with sqlite3.connect(sqlite_register, isolation_level=None) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(errors.SourceSlow) as error:
            harvest_source(str(sqlite_register), Options(Reading(Limits(seconds=1))))
        db.execute("ROLLBACK")
    assert error.value.params["seconds"] == 1


def test_a_register_that_is_down_is_told_without_its_password() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(errors.SourceDown) as error:
        harvest_source(f"postgresql://reader:hidden@127.0.0.1:{port}/civil")
    assert "refused" in error.value.text
    assert "hidden" not in str(error.value)
    assert "reader" not in str(error.value)


def test_a_register_that_accepts_and_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(silent.accept()[0]), daemon=True)
        thread.start()
        url = f"postgresql://reader@127.0.0.1:{silent.getsockname()[1]}/civil"
        with pytest.raises(errors.SourceDown) as error:
            harvest_source(url, Options(Reading(Limits(seconds=2))))
        for connection in held:
            connection.close()
    assert "timed out" in error.value.text


def test_a_table_that_is_not_there_is_told_with_those_that_are(sqlite_register: Path) -> None:
    with pytest.raises(errors.SourceMissing) as error:
        pick(open_source(str(sqlite_register)), "pupils")
    assert "schools" in error.value.next_step
