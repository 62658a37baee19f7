"""The population register: persons and registered addresses, REST and JSON, on PostgreSQL where it can run, else SQLite.

`GET /api/persons/{pin}` answers one object or 404, `GET /api/persons?dob=YYYY-MM-DD` a list in `items`. The rows come from the load file
`jaran.tsv` that `write_agencies` made; the database is built from it at every start (COPY on PostgreSQL), so both databases hold the
same. Schema: persons (`jaran`) and addresses (`darek`) apart, words of the register's own.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg

from kerege.demo.agencies import postgresql
from kerege.demo.agencies.errors import AgencyDataMissing, PostgresqlUnavailable
from kerege.demo.agencies.process import Arguments, Opened, serve
from kerege.demo.agencies.server import Request, Response, json_response, problem

LOAD: Final = "jaran.tsv"
DATABASE: Final = "kalk.sqlite3"
FIELDS: Final = ("pin", "lastName", "firstName", "middleName", "dob", "gender", "soate", "text", "registeredSince")
_PREFIX: Final = "/api/persons"
_TABLES: Final = (
    "CREATE TABLE {s}jaran (pin {pin} PRIMARY KEY, familiyasy TEXT NOT NULL, aty TEXT NOT NULL, atasynyn_aty TEXT NOT NULL,"
    " tuulgan_kunu {day} NOT NULL, jynysy {pin1} NOT NULL);"
    "CREATE TABLE {s}darek (pin {pin} PRIMARY KEY, soate {pin} NOT NULL, tekst TEXT NOT NULL, kattalgan {day} NOT NULL);"
)
_SELECT: Final = (
    "SELECT j.pin, j.familiyasy, j.aty, j.atasynyn_aty, {day_j}, j.jynysy, d.soate, d.tekst, {day_d}"
    " FROM {s}jaran j JOIN {s}darek d ON d.pin = j.pin WHERE "
)

Ask = Callable[[str, str], list[tuple[Any, ...]]]
"""Rows for a criterion ("pin" or "dob") and its value."""


class PopulationRegister:
    """Answers from either database through one function."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __call__(self, request: Request) -> Response:
        if request.path != _PREFIX and not request.path.startswith(_PREFIX + "/"):
            return problem(404, f"The register is at {_PREFIX}.")
        if request.method != "GET":
            return problem(405, "The register is read with GET.")
        if request.path != _PREFIX:
            pin = request.path.removeprefix(_PREFIX + "/")
            if request.query or not re.fullmatch(r"[0-9]{14}", pin):
                return problem(400, "A PIN has 14 digits.")
            rows = self._ask("pin", pin)
            return json_response(_person(rows[0])) if rows else problem(404, "There is no such person.")
        if set(request.query) != {"dob"}:
            return problem(400, "The list needs dob=YYYY-MM-DD and nothing else.")
        day = request.query["dob"]
        if not _is_day(day):
            return problem(400, "dob must be a day written YYYY-MM-DD.")
        return json_response({"items": [_person(row) for row in self._ask("dob", day)]})


def _person(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "pin": row[0], "lastName": row[1], "firstName": row[2], "middleName": row[3], "dob": row[4], "gender": row[5],
        "address": {"soate": row[6], "text": row[7]}, "registeredSince": row[8],
    }  # fmt: skip


def _is_day(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_load(path: Path) -> Iterator[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, escapechar="\\")
        next(reader)
        for row in reader:
            yield tuple(row)


def open_postgresql(given: Arguments) -> Opened:
    server = postgresql.start(given.folder)
    try:
        connection = server.connect(autocommit=True, prepare_threshold=1)
        tables = _TABLES.format(s="kalk.", pin="char(14)", pin1="char(1)", day="date")
        connection.execute("CREATE SCHEMA kalk")
        with connection.transaction():
            for statement in tables.split(";"):
                if statement.strip():
                    connection.execute(statement.encode())
            _copy(connection, given.folder / LOAD)
            connection.execute("CREATE INDEX jaran_kun ON kalk.jaran (tuulgan_kunu)")
        connection.execute("ANALYZE kalk.jaran")
        connection.execute("ANALYZE kalk.darek")
    except BaseException:
        server.stop()
        raise
    select = _SELECT.format(s="kalk.", day_j="j.tuulgan_kunu::text", day_d="d.kattalgan::text")
    queries = {
        "pin": (select + "j.pin = %s").encode(),
        "dob": (select + "j.tuulgan_kunu = %s::date ORDER BY j.pin").encode(),
    }

    def ask(criterion: str, value: str) -> list[tuple[Any, ...]]:
        return connection.execute(queries[criterion], (value,)).fetchall()

    def close() -> None:
        connection.close()
        server.stop()

    version = connection.info.server_version
    return Opened(PopulationRegister(ask), f"PostgreSQL {version // 10000}.{version % 10000}", close)


def _copy(connection: psycopg.Connection[tuple[Any, ...]], path: Path) -> None:
    rows = list(read_load(path))
    with connection.cursor() as cursor:
        with cursor.copy(
            "COPY kalk.jaran (pin, familiyasy, aty, atasynyn_aty, tuulgan_kunu, jynysy) FROM STDIN"
        ) as copy:
            for row in rows:
                copy.write_row(row[:6])
        with cursor.copy("COPY kalk.darek (pin, soate, tekst, kattalgan) FROM STDIN") as copy:
            for row in rows:
                copy.write_row((row[0], *row[6:]))


def open_sqlite(given: Arguments, note: str = "") -> Opened:
    path = given.folder / DATABASE
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, cached_statements=16)
    connection.executescript(_TABLES.format(s="", pin="TEXT", pin1="TEXT", day="TEXT"))
    with connection:
        rows = list(read_load(given.folder / LOAD))
        connection.executemany("INSERT INTO jaran VALUES (?, ?, ?, ?, ?, ?)", (row[:6] for row in rows))
        connection.executemany("INSERT INTO darek VALUES (?, ?, ?, ?)", ((row[0], *row[6:]) for row in rows))
        connection.execute("CREATE INDEX jaran_kun ON jaran (tuulgan_kunu)")
    select = _SELECT.format(s="", day_j="j.tuulgan_kunu", day_d="d.kattalgan")
    queries = {"pin": select + "j.pin = ?", "dob": select + "j.tuulgan_kunu = ? ORDER BY j.pin"}

    def ask(criterion: str, value: str) -> list[tuple[Any, ...]]:
        return connection.execute(queries[criterion], (value,)).fetchall()

    return Opened(PopulationRegister(ask), f"SQLite {sqlite3.sqlite_version}", connection.close, note)


def open_agency(given: Arguments) -> Opened:
    """PostgreSQL or SQLite as asked; `auto` takes SQLite, and says why, where PostgreSQL cannot run."""
    load = given.folder / LOAD
    if not load.exists():
        raise AgencyDataMissing(agency="population", file=load)
    if given.database == "sqlite":
        return open_sqlite(given)
    try:
        return open_postgresql(given)
    except PostgresqlUnavailable as error:
        if given.database == "postgresql":
            raise
        return open_sqlite(given, note=error.text)


if __name__ == "__main__":
    serve("population", open_agency)
