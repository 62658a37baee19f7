"""Education: a register in the manner of OpenEMIS, REST and JSON, Latin names, sex 1/2, two area trees of its own.

`GET /api/v5/{resource}` answers `{"data": [...], "total": n}`. Filters stand per resource; others are refused, because a filter
silently ignored answers another question. Without a filter the whole resource comes, unless `_page` and `_limit` are given.
Filters that name a person are refused in a query, which ends up in logs and monitoring: they stand in the JSON object of
`POST /api/v5/{resource}/search`, for resources that have such filters. `GET /api/openapi.json` describes all of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from kerege.demo.agencies.errors import AgencyDataMissing
from kerege.demo.agencies.process import Arguments, Opened, serve
from kerege.demo.agencies.server import Request, Response, is_json, problem

DATABASE: Final = "emis.sqlite3"
PREFIX: Final = "/api/v5/"
DESCRIPTION: Final = "/api/openapi.json"
SEARCH: Final = "/search"


@dataclass(frozen=True, slots=True)
class Resource:
    columns: tuple[str, ...]
    filters: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()  # filters of a search only


RESOURCES: Final = {
    "institutions": Resource(("code", "name", "area_code", "area_administrative_code", "language"), ("code",)),
    "institution_students": Resource(
        ("student_id", "first_name", "middle_name", "last_name", "gender_id", "date_of_birth", "identity_number",
         "institution_code", "education_grade", "student_status", "area_administrative_code", "address"),
        ("institution_code",),
        ("date_of_birth", "identity_number", "student_id"),
    ),
    "institution_places": Resource(("institution_code", "grade", "capacity", "taken"), ("institution_code", "grade")),
    "institution_catchments": Resource(
        ("institution_code", "area_administrative_code", "street", "house_from", "house_to", "parity"),
        ("institution_code", "area_administrative_code"),
    ),
    "area_administratives": Resource(("code", "name", "parent_code", "level"), ("code", "parent_code")),
    "areas": Resource(("code", "name", "parent_code", "level"), ("code", "parent_code")),
}  # fmt: skip
SCHEMA: Final = (
    "CREATE TABLE area_administratives (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " parent_code TEXT REFERENCES area_administratives (code), level INTEGER NOT NULL);"
    "CREATE TABLE areas (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " parent_code TEXT REFERENCES areas (code), level INTEGER NOT NULL);"
    "CREATE TABLE institutions (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " area_code TEXT NOT NULL REFERENCES areas (code),"
    " area_administrative_code TEXT NOT NULL REFERENCES area_administratives (code), language TEXT NOT NULL);"
    "CREATE TABLE institution_students (id INTEGER PRIMARY KEY, student_id TEXT NOT NULL UNIQUE, first_name TEXT NOT NULL,"
    " middle_name TEXT NOT NULL, last_name TEXT NOT NULL, gender_id INTEGER NOT NULL, date_of_birth TEXT NOT NULL,"
    " identity_number TEXT, institution_code TEXT NOT NULL REFERENCES institutions (code), education_grade TEXT NOT NULL,"
    " student_status TEXT NOT NULL, area_administrative_code TEXT NOT NULL, address TEXT NOT NULL);"
    "CREATE INDEX student_born ON institution_students (date_of_birth);"
    "CREATE INDEX student_number ON institution_students (identity_number);"
    "CREATE TABLE institution_places (id INTEGER PRIMARY KEY, institution_code TEXT NOT NULL REFERENCES institutions (code),"
    " grade TEXT NOT NULL, capacity INTEGER NOT NULL, taken INTEGER NOT NULL, UNIQUE (institution_code, grade));"
    "CREATE TABLE institution_catchments (id INTEGER PRIMARY KEY,"
    " institution_code TEXT NOT NULL REFERENCES institutions (code), area_administrative_code TEXT NOT NULL, street TEXT,"
    " house_from INTEGER, house_to INTEGER, parity TEXT NOT NULL);"
    "CREATE INDEX catchment_school ON institution_catchments (institution_code);"
)


class EducationRegister:
    """Answers over one read-only SQLite connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __call__(self, request: Request) -> Response:
        if request.path == DESCRIPTION and request.method == "GET":
            return Response(200, OPENAPI)
        tail = request.path.removeprefix(PREFIX) if request.path.startswith(PREFIX) else ""
        name, search = tail.removesuffix(SEARCH), tail.endswith(SEARCH)
        resource = RESOURCES.get(name)
        if resource is None or (search and not resource.personal):
            return problem(404, f"No such resource; known under {PREFIX}: {', '.join(RESOURCES)}.")
        if request.method != ("POST" if search else "GET"):
            return problem(405, "A search is asked with POST." if search else "A list is read with GET.")
        query = dict(request.query)
        page, limit = query.pop("_page", "1"), query.pop("_limit", "")
        if not _small(page) or not (limit == "" or _small(limit)):
            return problem(400, "_page and _limit must be positive whole numbers of at most six digits.")
        if any(key in resource.personal for key in query):
            return problem(400, f"What names a person is asked with POST at {PREFIX}{name}{SEARCH}.")
        if search:
            if query:
                return problem(400, "The filters of a search stand in its body.")
            if not is_json(request.content_type):
                return problem(415, "The filters must be application/json.")
            filters = read_filters(request.body)
            if isinstance(filters, str):
                return problem(400, filters)
            query, known = filters, (*resource.filters, *resource.personal)
        else:
            known = resource.filters
        if any(key not in known for key in query):
            return problem(400, f"This resource is filtered by: {', '.join(known)}.")
        return Response(200, self._answer(name, resource, query, int(page), int(limit) if limit else None))

    def _answer(self, name: str, resource: Resource, query: Mapping[str, str], page: int, limit: int | None) -> bytes:
        # Names of the table and columns come from RESOURCES, never from the request.
        where = " AND ".join(f"{key} = ?" for key in query)
        tail = f" FROM {name}" + (f" WHERE {where}" if where else "")
        values: list[str | int] = list(query.values())
        sql = f"SELECT {', '.join(resource.columns)}{tail} ORDER BY id"
        if limit is None:
            rows = self._connection.execute(sql, values).fetchall()
            total = len(rows)
        else:
            rows = self._connection.execute(sql + " LIMIT ? OFFSET ?", [*values, limit, (page - 1) * limit]).fetchall()
            total = self._connection.execute(f"SELECT count(*){tail}", values).fetchone()[0]
        data = [dict(zip(resource.columns, row, strict=True)) for row in rows]
        return orjson.dumps({"data": data, "total": total})


def read_filters(body: bytes) -> dict[str, str] | str:
    """The filters of a search; or, as one string that repeats nothing, what is wrong with the body."""
    try:
        filters = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "The body is not JSON."
    if not isinstance(filters, dict) or not filters or not all(isinstance(value, str) for value in filters.values()):
        return "The body must be an object of filters, each a text, and not empty."
    return filters


def _openapi() -> bytes:
    """The register's own description: every resource with its columns, as its makers word them."""
    whole = {"gender_id", "level", "capacity", "taken", "house_from", "house_to"}
    schemas = {
        name: {
            "type": "object",
            "properties": {c: {"type": "integer" if c in whole else "string"} for c in resource.columns},
        }
        for name, resource in RESOURCES.items()
    }
    paths = {}
    for name, resource in RESOURCES.items():
        rows = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
        answer = {"type": "object", "properties": {"data": rows, "total": {"type": "integer"}}}
        told = {"200": {"description": name, "content": {"application/json": {"schema": answer}}}}
        asked = [{"name": f, "in": "query", "schema": {"type": "string"}} for f in resource.filters]
        paths[PREFIX + name] = {
            "get": {"operationId": name, "summary": f"List of {name}", "parameters": asked, "responses": told}
        }
    head = {"title": "Education register", "version": "5"}
    return orjson.dumps({"openapi": "3.0.3", "info": head, "paths": paths, "components": {"schemas": schemas}})


OPENAPI: Final = _openapi()


def _small(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 6 and int(number) > 0


def open_agency(given: Arguments) -> Opened:
    path = given.folder / DATABASE
    if not path.exists():
        raise AgencyDataMissing(agency="education", file=path)
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, cached_statements=64)
    return Opened(EducationRegister(connection), f"SQLite {sqlite3.sqlite_version}", connection.close)


if __name__ == "__main__":
    serve("education", open_agency)
