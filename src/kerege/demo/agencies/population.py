"""The population register: persons and registered addresses, REST and JSON, on PostgreSQL where it can run, else SQLite.

`POST /api/persons/search` with `{"pin": "14 digits"}` or `{"dob": "YYYY-MM-DD"}` answers `{"items": [...]}`; there is no other question.
Whom one asks for stands in the body, because request lines end up in logs and monitoring. The rows come from the load file `jaran.tsv`
that `write_agencies` made; the database is built from it at every start (COPY on PostgreSQL), so both databases hold the same.
Schema: persons (`jaran`) and addresses (`darek`) apart, words of the register's own.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg

from kerege.demo.agencies import postgresql
from kerege.demo.agencies.errors import AgencyDataMissing, PostgresqlUnavailable
from kerege.demo.agencies.process import Arguments, Opened, serve
from kerege.demo.agencies.server import Request, Response, is_json, json_response, problem

LOAD: Final = "jaran.tsv"
DATABASE: Final = "kalk.sqlite3"
READER: Final = "steward"  # an account that may read the register's tables and nothing else
FIELDS: Final = ("pin", "lastName", "firstName", "middleName", "dob", "gender", "soate", "text", "registeredSince")
_PREFIX: Final = "/api/persons"
_SEARCH: Final = _PREFIX + "/search"
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
        if request.method != "POST":
            return problem(405, "The register is asked with POST.")
        if request.path != _SEARCH:
            return problem(404, f"The register is asked at {_SEARCH}.")
        if request.query:
            return problem(400, "The question stands in the body, nothing in the address.")
        if not is_json(request.content_type):
            return problem(415, "The question must be application/json.")
        asked = read_question(request.body)
        if isinstance(asked, str):
            return problem(400, asked)
        return json_response({"items": [_person(row) for row in self._ask(*asked)]})


def read_question(body: bytes) -> tuple[str, str] | str:
    """The criterion and its value; or, as one string that repeats nothing, what is wrong with the body."""
    try:
        question = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "The body is not JSON."
    if not isinstance(question, dict) or len(question) != 1 or not set(question) <= {"pin", "dob"}:
        return "The body must be an object with exactly one of pin and dob."
    ((criterion, value),) = question.items()
    if criterion == "pin" and not (isinstance(value, str) and re.fullmatch(r"[0-9]{14}", value)):
        return "pin must be a text of 14 digits."
    if criterion == "dob" and not (isinstance(value, str) and _is_day(value)):
        return "dob must be a day written YYYY-MM-DD."
    return criterion, value


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
            connection.execute(f"CREATE ROLE {READER} LOGIN".encode())
            connection.execute(f"GRANT USAGE ON SCHEMA kalk TO {READER}".encode())
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA kalk TO {READER}".encode())
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
    told = f"PostgreSQL {version // 10000}.{version % 10000}"
    return Opened(PopulationRegister(ask), told, close, harvest=server.address(READER))


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
