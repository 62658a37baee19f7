"""A contract held against data at rest: files and tables, counted by the rules that messages are held against, nothing changed there.

Parquet is read by DuckDB as it is; PostgreSQL runs the checks itself, in one read-only transaction with a time limit; every other source (CSV,
sheets, SQLite, DuckDB, MySQL) is read by the catalogue's own careful readers into a temporary DuckDB table of texts, with its row numbers. In
files an empty cell is null. `quarantine` writes the breaching rows aside and the others to a new file; the source stays as it is. A report
holds counts and places, never values.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from kerege.catalogue.errors import OutputExists, SourceDown, SourceMissing, SourceRefused, SourceSlow, TableEmpty
from kerege.catalogue.files import SafeWriter, written_whole
from kerege.catalogue.sources import Limits, Reading, Source, Table, open_source
from kerege.catalogue.sources.base import pick
from kerege.catalogue.sources.lake import CLOSED, plain_name
from kerege.ground.clock import iso
from kerege.ground.text import counted
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.message import Lists
from kerege.semantics.contracts.rules import Rule, RuleSet, Unrun
from kerege.semantics.contracts.sql import Engine, SqlChecks, compile_sql
from kerege.semantics.engines.duck_words import identifier, literal, quoted

ROW: Final = "kerege_row_number"
BREACHES: Final = "_breaches"
_BATCH: Final = 20_000
_SECONDS: Final = 3_600
_WHOLE: Final = Reading(Limits(rows=1 << 62, sample=1 << 62))  # a contract is held against all of it, never a sample
_PLAIN: Final = ("csv", "tsv", "sheet", "xlsx", "ods", "delimited")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule over the whole. `count` of rows that break it; `first_row` where the source numbers its rows."""

    rule: Rule
    count: int
    holds: bool
    first_row: int | None = None

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "field": self.rule.field, "rule": self.rule.name, "severity": self.rule.severity, "count": self.count, "holds": self.holds,
        }  # fmt: skip
        if self.rule.tolerance is not None:
            out["tolerance"] = str(self.rule.tolerance)
        if self.first_row is not None:
            out["first_row"] = self.first_row
        return out


@dataclass(slots=True)
class Report:
    """A contract held against one table."""

    contract: str
    version: str
    source: str
    mode: str
    rows: int = 0
    broken_rows: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    unrun: tuple[Unrun, ...] = ()
    missing_columns: tuple[str, ...] = ()
    disagreements: list[str] = field(default_factory=list)
    aside: str = ""

    @property
    def kept(self) -> bool:
        """Whether every rule of severity error is kept."""
        return all(o.holds for o in self.outcomes if o.rule.severity == "error")

    @property
    def refused(self) -> bool:
        """Whether the mode refuses the data as a whole."""
        return self.mode == "reject" and not self.kept

    def counts(self) -> dict[tuple[str, str], int]:
        """By field and rule, those that are not zero: as `Checker.check_all` counts."""
        kinds = ("rowCount", "freshness")
        return {(o.rule.field, o.rule.name): o.count for o in self.outcomes if o.count and o.rule.kind not in kinds}

    def as_dict(self) -> dict[str, Any]:
        return {
            "contract": self.contract, "version": self.version, "source": self.source, "mode": self.mode, "rows": self.rows,
            "broken_rows": self.broken_rows, "kept": self.kept, "outcomes": [o.as_dict() for o in self.outcomes],
            "not_run": [{"field": u.field, "what": u.what, "reason": u.reason, "where": u.where} for u in self.unrun if u.where != "messages"],
            "missing_columns": list(self.missing_columns), "disagreements": self.disagreements, "aside": self.aside,
        }  # fmt: skip


@dataclass(frozen=True)
class _At:
    """A relation ready to be asked: `fetch` gives all rows of a query."""

    engine: Engine
    relation: str
    columns: Mapping[str, str]
    nullable: Mapping[str, bool]
    fetch: Callable[[str], Sequence[Sequence[Any]]]
    stream: Callable[[str], Iterator[Sequence[Any]]]
    name: str
    row: str = ""


def check(
    contract: Contract, source: str, lists: Lists, now: datetime, *, reading: Reading | None = None, table: str = "",
    object_name: str = "", mode: str = "", out: Path | None = None,
) -> Report:  # fmt: skip
    """Hold a contract against `source` (a file or database URL) and its `table`.

    mode  instead of the contract's own. quarantine with `out` writes the rows that break it aside (`<out>.quarantine.csv`), the others to `out`

    Raises ContractUnrunnable, a SourceError, OutputExists; then nothing is written.
    """
    rules = rules_of(contract, object_name)
    report = Report(contract.id, contract.version, "", mode or contract.mode)
    with _opened(source, reading or _WHOLE, table) as at:
        report.source = at.name
        checks = compile_sql(rules, at.engine, at.relation, at.columns, lists, at.row)
        _ask(at, checks, rules, report, now)
        _disagree(at, contract, object_name, report)
        if report.mode == "quarantine" and out is not None:
            _write_apart(at, checks, report, out)
    return report


def _ask(at: _At, checks: SqlChecks, rules: RuleSet, report: Report, now: datetime) -> None:
    row = at.fetch(checks.sql)[0]
    report.rows = int(row[0])
    counts = [int(n) for n in row[1:]]
    first: Sequence[Any] = [None] * len(counts)
    if checks.first_rows and any(counts):
        first = at.fetch(checks.first_rows)[0]
    for rule, count, place in zip(checks.rules, counts, first, strict=True):
        report.outcomes.append(_outcome(rule, count, report.rows, None if place is None else int(place)))
    for one in checks.counted:
        report.outcomes.append(_outcome(one.rule, int(at.fetch(one.sql)[0][0]), report.rows))
    for one in checks.freshness:
        newest = at.fetch(one.sql)[0][0]
        late = newest is None or now.timestamp() * 1_000_000 - int(newest) > int(one.rule.value) * 1_000_000
        report.outcomes.append(Outcome(one.rule, int(late), not late))
    for rule in rules.rules:
        if rule.kind == "rowCount":
            report.outcomes.append(_outcome(rule, report.rows, report.rows))
    order = {rule: n for n, rule in enumerate(map(_key, rules.rules))}
    report.outcomes.sort(key=lambda o: order[_key(o.rule)])
    report.unrun, report.missing_columns = checks.unrun, checks.missing_columns
    report.broken_rows = int(at.fetch(f"SELECT count(*) FROM ({checks.broken_rows}) AS broken")[0][0])  # noqa: S608 - our own text


def _key(rule: Rule) -> tuple[str, str]:
    return rule.field, rule.name


def _outcome(rule: Rule, count: int, rows: int, first: int | None = None) -> Outcome:
    holds = rule.tolerance.holds(count, rows) if rule.tolerance is not None else count == 0
    return Outcome(rule, count, holds, first)


def _disagree(at: _At, contract: Contract, object_name: str, report: Report) -> None:
    """Where contract and data say different things about null, in a sentence with source, column and row."""
    by_name = {name.casefold(): name for name in at.columns}
    nulls = {o.rule.field: o for o in report.outcomes if o.rule.kind == "required" and o.rule.tolerance is None}
    for one in contract.object_named(object_name).properties:
        column = by_name.get(one.column.casefold())
        found = nulls.get(one.name)
        if found is not None and found.count:
            where = f", the first in row {found.first_row}" if found.first_row is not None else ""
            what = (
                "there is no such column"
                if column is None
                else f"{found.count} of {counted(report.rows, 'row')} {'has' if found.count == 1 else 'have'} none{where}"
            )
            report.disagreements.append(f"{at.name}, column {one.column}: the contract requires a value; {what}")
        elif found is None and column is not None and at.nullable.get(column) is False:
            told = "says required: false" if one.document.get("required") is False else "does not require a value"
            report.disagreements.append(
                f"{at.name}, column {one.column}: the table allows no null, the contract {told}"
            )


def _write_apart(at: _At, checks: SqlChecks, report: Report, out: Path) -> None:
    aside = out.with_name(out.name.removesuffix(".csv") + ".quarantine.csv")
    for path in (out, aside):
        if path.exists():
            raise OutputExists(path=str(path))
    names = [name for name in at.columns if name != at.row]
    kept = ", ".join(map(quoted, names))
    head = [*([ROW] if at.row else []), *names, BREACHES]
    if report.broken_rows:
        numbered = f"{quoted(at.row)}, " if at.row else ""
        with written_whole(aside) as file:
            writer = SafeWriter(file)
            writer.writerow(head)
            sql = f"SELECT {numbered}{kept}, {BREACHES} FROM ({checks.broken_rows}) AS broken"  # noqa: S608 - quoted
            writer.writerows(at.stream(sql))
        report.aside = str(aside)
    with written_whole(out) as file:
        writer = SafeWriter(file)
        writer.writerow(names)
        writer.writerows(at.stream(f"SELECT {kept} FROM ({checks.kept_rows}) AS kept"))  # noqa: S608 - quoted


# --- sources ---


@contextmanager
def _opened(source: str, reading: Reading, table: str) -> Iterator[_At]:
    if source.split("+")[0].split(":")[0] in ("postgresql", "postgres"):
        with _postgresql(source, table, reading.limits.seconds) as at:
            yield at
        return
    path = Path(source)
    if path.is_file() and path.suffix.casefold() == ".parquet":
        with _duck() as db:
            db.execute(f"CREATE VIEW data AS SELECT * FROM read_parquet({literal(plain_name(path))})")  # noqa: S608 - escaped
            yield _of_duck(db, path.name)
        return
    reader = open_source(source, reading)
    try:
        found = pick(reader, table or None)
        with _duck() as db:
            _load(db, reader, found)
            shown = reader.name if len(reader.tables()) == 1 else f"{reader.name}#{found.name}"
            yield _of_duck(db, shown, ROW)
    finally:
        reader.close()


@contextmanager
def _duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of its own in a private temporary folder, which spills there and is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="kerege-contract-") as folder,
        duckdb.connect(str(Path(folder) / "c"), config=CLOSED) as db,
    ):
        db.execute("SET TimeZone = 'UTC'")
        yield db


def _of_duck(db: duckdb.DuckDBPyConnection, name: str, row: str = "") -> _At:
    described = db.execute("DESCRIBE data").fetchall()
    columns = {str(one[0]): str(one[1]) for one in described}

    def stream(sql: str) -> Iterator[Sequence[Any]]:
        cursor = db.cursor().execute(sql)
        while batch := cursor.fetchmany(_BATCH):
            yield from batch

    return _At("duckdb", "data", columns, {}, lambda sql: db.execute(sql).fetchall(), stream, name, row)


def _load(db: duckdb.DuckDBPyConnection, reader: Source, table: Table) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]

    names = [ROW, *table.columns]
    types = ["BIGINT", *["VARCHAR"] * len(table.columns)]
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(names, types, strict=True))
    db.execute(f"CREATE TABLE data ({columns})")
    empty_is_null = reader.kind in _PLAIN
    schema = pa.schema([(f"c{n}", pa.int64() if n == 0 else pa.string()) for n in range(len(names))])
    total = 0

    def store(rows: list[tuple[int, Sequence[Any]]]) -> None:
        cells: list[list[Any]] = [[number for number, _ in rows]]
        for n in range(len(table.columns)):
            column = [row[n] for _, row in rows]
            cells.append([None if c is None or (empty_is_null and c == "") else str(c) for c in column])
        batch = pa.table(cells, schema=schema)
        db.register("batch", batch)
        db.execute("INSERT INTO data SELECT * FROM batch")
        db.unregister("batch")

    rows: list[tuple[int, Sequence[Any]]] = []
    for one in table.numbered():
        rows.append(one)
        total += 1
        if len(rows) >= _BATCH:
            store(rows)
            rows = []
    if rows:
        store(rows)
    if not total:
        raise TableEmpty(source=reader.name, table=table.name, before="")


@contextmanager
def _postgresql(url: str, table: str, seconds: int) -> Iterator[_At]:
    """One read-only transaction, so that every count is of the same moment."""
    import psycopg

    from kerege.catalogue.sources.databases import Database

    name = Database.at_url(url, Reading()).name
    plain = "postgresql://" + url.partition("://")[2]
    if not table:
        raise SourceMissing(source=name, known="Name the table: postgresql://...#TABLE.")
    try:
        with psycopg.connect(plain, connect_timeout=min(max(seconds, 2), 60)) as db:
            db.execute("SET TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ")
            for setting in (f"statement_timeout = '{int(seconds)}s'", "TimeZone = 'UTC'", "DateStyle = 'ISO, YMD'"):
                db.execute(f"SET LOCAL {setting}".encode())
            described = db.execute(
                "SELECT a.attname, CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)"
                " ELSE format_type(a.atttypid, a.atttypmod) END, NOT a.attnotnull"
                " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
                " WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                [identifier(table)],
            ).fetchall()
            if not described:
                raise SourceMissing(source=f"{name}#{table}", known="Name the table: postgresql://...#TABLE.")

            def stream(sql: str) -> Iterator[Sequence[Any]]:
                with db.cursor("kerege_rows") as cursor:
                    cursor.itersize = _BATCH
                    cursor.execute(sql.encode())
                    yield from cursor

            yield _At(
                "postgresql", table, {str(n): str(k) for n, k, _ in described}, {str(n): bool(free) for n, _, free in described},
                lambda sql: db.execute(sql.encode()).fetchall(), stream, f"{name}#{table}",
            )  # fmt: skip
    except psycopg.errors.QueryCanceled:
        raise SourceSlow(source=name, table=table, seconds=seconds) from None
    except psycopg.errors.InsufficientPrivilege:
        raise SourceRefused(source=name, reason="no right to read") from None
    except psycopg.Error as problem:  # its own words may hold a value, or the address with its password
        raise SourceDown(source=name, reason=type(problem).__name__) from None


def summary(report: Report, now: datetime) -> dict[str, Any]:
    """For keeping with the contract: the report with its moment, without what is kept already."""
    return {**report.as_dict(), "at": iso(now)}
