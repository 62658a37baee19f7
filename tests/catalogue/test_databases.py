"""SQLite registers: read-only, and told plainly when they are broken, locked or down."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
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


def test_binary_cells_are_profiled_by_size_and_their_content_goes_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "photos.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (id BLOB PRIMARY KEY, photo BLOB, note TEXT)")
        rows = [(bytes([255, i]), b"secret" * 40, b"secret" if i == 3 else f"n{i}") for i in range(1, 21)]
        db.executemany("INSERT INTO photos VALUES (?, ?, ?)", rows)
        db.execute("UPDATE photos SET photo = zeroblob(3000000) WHERE id = x'FF01'")
    table = harvest_source(str(path)).tables[0]
    number, photo, note = table.fields
    assert (table.key, number.type, number.distinct, number.max_length) == (("id",), "binary", 20, 2)
    assert (photo.type, photo.distinct, photo.min_length, photo.max_length) == ("binary", 2, 240, 3_000_000)
    assert (photo.masks, photo.codes, note.type, note.nulls) == ((), (), "text", 0)
    cells = [str(c) for row in pick(open_source(str(path))).rows() for c in row]
    assert "[binary, 240 bytes]" in cells
    assert "secret" not in json.dumps([table.as_dict(), cells])
    assert b"secret".hex() not in json.dumps([table.as_dict(), cells])


def test_a_text_that_is_no_utf_8_is_told_with_table_row_and_column(sqlite_register: Path) -> None:
    with sqlite3.connect(sqlite_register) as db:
        db.execute("UPDATE schools SET name = CAST(? AS TEXT) WHERE id = 40", ("Ошская школа".encode("cp1251"),))
    with pytest.raises(errors.EncodingWrong, match=r"register\.sqlite#schools, row 40, column name") as error:
        harvest_source(str(sqlite_register))
    assert error.value.params["guess"] == "cp1251"
    assert "correct the cell at the source" in error.value.next_step


def test_a_column_whose_name_is_no_utf_8_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (zzzz TEXT)")
    path.write_bytes(path.read_bytes().replace(b"zzzz", "школ".encode("cp1251")))
    with pytest.raises(errors.EncodingWrong, match=r"old\.sqlite"):
        harvest_source(str(path))


def test_numbers_moments_and_nothing_come_through_as_before(tmp_path: Path) -> None:
    path = tmp_path / "kinds.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE kinds (a INTEGER, b REAL, c DATE, d BOOLEAN, e TEXT, f)")
        db.execute("INSERT INTO kinds VALUES (7, 0.5, '2019-03-14', 1, '', NULL)")
    assert list(pick(open_source(str(path))).rows()) == [["7", "0.5", "2019-03-14", "1", None, None]]
