"""Contracts and tables for the tests of the contract engine: one contract with every kind of rule, and values that keep and break it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.sql import SqlChecks, sql_checks
from kerege.semantics.engines.duck_words import quoted

LISTS = {"kg:sex": frozenset({"0", "1", "2", "9"}), "kg:grade": frozenset({"1", "2", "3"})}


def lists(name: str) -> frozenset[str]:
    return LISTS[name]


def contract(properties: Sequence[Mapping[str, Any]], **more: Any) -> Contract:
    """A contract of one object `t` with these properties; `quality` and so on of the object in `more`."""
    top = {key: more.pop(key) for key in ("customProperties", "slaProperties", "version", "status") if key in more}
    return odcs.parse(
        {
            "kind": "DataContract", "apiVersion": "v3.1.0", "id": "test", "version": "1.0.0", "status": "active", **top,
            "schema": [{"name": "t", "properties": list(properties), **more}],
        }
    )  # fmt: skip


def custom(**values: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def quality(metric: str, operator: str = "mustBe", limit: Any = 0, **more: Any) -> dict[str, Any]:
    return {"type": "library", "metric": metric, operator: limit, **more}


EVERYTHING = contract(
    [
        {"name": "id", "logicalType": "string", "primaryKey": True, "logicalTypeOptions": {"pattern": "^[A-Z]{2}[0-9]{1,3}$"}},
        {"name": "sex", "logicalType": "string", "required": True, "customProperties": custom(codeList="kg:sex")},
        {"name": "name", "logicalType": "string", "logicalTypeOptions": {"minLength": 2, "maxLength": 5}},
        {"name": "born", "logicalType": "date", "required": True, "logicalTypeOptions": {"minimum": "1900-01-01", "exclusiveMaximum": "2026-01-01"}},
        {"name": "died", "logicalType": "date"},
        {"name": "age", "logicalType": "integer", "logicalTypeOptions": {"minimum": 0, "maximum": 130, "multipleOf": 2}},
        {"name": "share", "logicalType": "number", "logicalTypeOptions": {"minimum": 0.1, "exclusiveMaximum": 100}},
        {"name": "alive", "logicalType": "boolean", "quality": [quality("invalidValues", arguments={"validValues": [True]})]},
        {"name": "seen", "logicalType": "timestamp",
         "logicalTypeOptions": {"minimum": "2020-01-01T00:00:00Z", "maximum": "2020-12-31 23:59:59+06:00"}},
        {"name": "left", "logicalType": "timestamp"},
        {"name": "at", "logicalType": "time", "logicalTypeOptions": {"maximum": "18:00:00"}},
        {"name": "phone", "logicalType": "string", "unique": True,
         "quality": [quality("missingValues", arguments={"missingValues": ["", "n/a", None]})]},
        {"name": "note", "quality": [quality("invalidValues", arguments={"validValues": ["a", "b", None], "pattern": "a|b"})]},
        {"name": "grade", "logicalType": "integer", "customProperties": custom(codeList="kg:grade"),
         "quality": [quality("nullValues", "mustBeLessThan", 30, unit="percent"), quality("duplicateValues", "mustBeLessThan", 5)]},
    ],
    quality=[
        {"type": "custom", "engine": "kerege", "implementation": {"rule": "compare", "left": "born", "operator": "lessOrEqual", "right": "died"}},
        {"type": "custom", "engine": "kerege", "implementation": {"rule": "compare", "left": "seen", "operator": "less", "right": "left"}},
        {"type": "custom", "engine": "kerege", "severity": "warning", "implementation": {"rule": "requires", "left": "died", "right": "alive"}},
        {"type": "custom", "engine": "kerege", "implementation": {"rule": "compare", "left": "age", "operator": "notEqual", "right": "share"}},
        quality("rowCount", "mustBeBetween", [1, 1000]),
    ],
)  # fmt: skip

# good and bad texts of each field; null comes besides
VALUES: dict[str, list[Any]] = {
    "id": ["AB1", "AB2", "AB3", "ab1", "AB1234", "", "ZZ9\n"],
    "sex": ["1", "2", "9", "7", " 1", "М"],
    "name": ["Ая", "Бакыт", "Я", "Ызатбек", "", "ө́й", "😀😀"],
    "born": ["1980-02-29", "1981-02-29", "1899-12-31", "2025-12-31", "2026-01-01", "0000-01-01", "1900-02-29", "2000-02-29", "20000-01-01", "x"],
    "died": ["1980-02-28", "2001-01-01", "1979-13-01", "1980-02-29"],
    "age": ["0", "7", "8", "132", "-2", "08", "1.0", "999999999999999999", "1000000000000000000", "-0", "+4"],
    "share": ["0.1", "0.10000000000000001", "0.09", "100", "99.999", "1e2", "-1", "8", "07", "nan", "0.30000000000000004"],
    "alive": ["true", "false", "TRUE", "1"],
    "seen": ["2020-01-01T00:00:00Z", "2019-12-31 23:59:59.999999", "2020-12-31T18:00:00", "2020-12-31 17:59:59Z", "2020-01-01 05:00:00+06",
             "2020-01-01T05:30:00.5-05:30", "2020-02-30T00:00:00Z", "2020-06-01", "2020-06-01T24:00:00"],
    "left": ["2020-01-01 00:00:00.1", "then", "2021-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14"],
    "at": ["17:59:59", "18:00:00", "18:00:00.1", "25:00:00"],
    "phone": ["", "n/a", "1", "2", "3", "4", "5"],
    "note": ["a", "b", "ab", "c", ""],
    "grade": ["1", "2", "3", "4", "x", "01"],
}  # fmt: skip


def duck_table(db: duckdb.DuckDBPyConnection, types: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"CREATE OR REPLACE TABLE t ({columns})")
    if rows:
        places = ", ".join("?" * len(types))
        db.executemany(f"INSERT INTO t VALUES ({places})", [[row.get(name) for name in types] for row in rows])


def counted(checks: SqlChecks, fetch: Any) -> Counter[tuple[str, str]]:
    """The counts of a table, by the same keys as `Checked.counts`; `fetch` runs a query and gives its one row."""
    row = fetch(checks.sql)
    out = Counter({(r.field, r.name): int(n) for r, n in zip(checks.rules, row[1:], strict=True)})
    for one in checks.counted:
        out[one.rule.field, one.rule.name] = int(fetch(one.sql)[0])
    return +out


def duck_counts(db: duckdb.DuckDBPyConnection, made: Contract, types: Mapping[str, str]) -> Counter[tuple[str, str]]:
    checks = sql_checks(made, "duckdb", "t", types, lists)
    return counted(checks, lambda sql: db.execute(sql).fetchone())
