"""Two registers' tables compared as wholes, in DuckDB, through their mappings: the same verdicts as `compare`, a million rows at a time.

    compare_tables(connection, left, right, "links", compared.pair("civil", "health"), compared, into="compared")

Both tables are mapped by `semantics.compile_duckdb`; `links` says which records are of one person (`linkage.bulk`, or a join by PIN). The
result has a row per link: `left_id`, `right_id`, and for each field `c_<field>` (the class), `w_<field>` (what a careful script sees in the
raw values), `s_<field>` (how a stale copy was known) and `u_<field>` (whose value nobody could read). A property
test holds every cell equal to `compare.compare_views`.
Only a father's name in a surname's place needs Python; it runs once per distinct value.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `semantics.engines.duck_words`; classes are constants

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kerege.ground.text import counted
from kerege.reconcile import compare
from kerege.reconcile.compare import (
    ABSENT,
    BOTH,
    BY_DATE,
    BY_HISTORY,
    CODE_GAP,
    CODES_UNKNOWN,
    CONFLICT,
    DIFFERENT,
    EQUAL,
    FORMATTING,
    HARMONISED,
    LEFT,
    MISSING,
    NOT_COMPARABLE,
    PUNCTUATION,
    RIGHT,
    SAME,
    STALE,
)  # fmt: skip
from kerege.reconcile.errors import BulkTableInvalid
from kerege.reconcile.fields import ComparedFields, FieldSpec, Pair
from kerege.semantics import Mapping, Pack, compile_duckdb
from kerege.semantics.engines import duck_words as sql
from kerege.semantics.mappings import ir, problems

if TYPE_CHECKING:
    import duckdb

_RUNS: itertools.count[int] = itertools.count(1)
_REQUIRED: Final = sql.literal(problems.REQUIRED)  # what must be there and is not is missing, not unreadable
_NAMES_ONLY: Final = frozenset({"BinderException", "CatalogException"})  # kinds of error that quote no value
_UNKNOWN: Final = ", ".join(sql.literal(code) for code in sorted(CODES_UNKNOWN))


@dataclass(frozen=True)
class TableSide:
    """One register's table.

    id       the column that numbers the records
    cells    compared field -> the column in which the register writes it; a field that is not there is compared by its meaning only
    earlier  a relation of earlier values (`id`, `field`, `value` canonical by the field's key; a null value tells an empty history)
    """

    register: str
    relation: str
    mapping: Mapping
    pack: Pack
    id: str
    cells: MappingType[str, str]
    earlier: str | None = None


@dataclass(frozen=True)
class BulkResult:
    """What a comparison left behind. `tallies`: (field, class) -> how many; `unlinked`: links whose record is in no table.

    A link that is given twice is one link.
    """

    table: str
    fields: tuple[str, ...]
    records: int
    unlinked: int
    tallies: Counter[tuple[str, str]] = field(default_factory=Counter)


def compare_tables(
    connection: duckdb.DuckDBPyConnection, left: TableSide, right: TableSide, links: str, pair: Pair,
    compared: ComparedFields, *, into: str,
) -> BulkResult:  # fmt: skip
    """Compare every linked pair of records in every field of the pair, into the table `into` (replaced whole at the end).

    links  a relation with `left_id` and `right_id`
    Raises BulkTableInvalid when a table lacks a column or numbers a record twice, TableInvalid of `semantics` when it lacks a mapped cell.
    """
    import duckdb as engine

    if {left.register, right.register} != {pair.left, pair.right}:
        raise ValueError(f"the pair is {pair.left} and {pair.right}, the tables {left.register} and {right.register}")
    run = _Run(connection, compared, pair)
    try:
        views = [run.side(side, n) for n, side in enumerate((left, right))]
        chosen = ", ".join(run.columns(spec, left, right) for spec in pair.fields)
        joined = (
            f"{_links(links)} AS k JOIN {views[0]} AS l ON l.id = k.left_id JOIN {views[1]} AS r ON r.id = k.right_id"
        )
        query = f"SELECT l.id AS left_id, r.id AS right_id, {chosen} FROM {joined}"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(into)} AS {query}")
    except engine.Error as error:
        # no cause is kept: an engine's message may quote the value or the statement it failed on
        raise BulkTableInvalid(left=left.relation, right=right.relation, reason=what_failed(error)) from None
    finally:
        run.close()
    names = tuple(spec.name for spec in pair.fields)
    return BulkResult(into, names, *_counted(connection, into, links), _tallies(connection, into, names))


def what_failed(error: Exception) -> str:
    """An engine's error without any value: the first line where it can only name columns and tables, else its kind."""
    kind = type(error).__name__
    return str(error).splitlines()[0][:200] if kind in _NAMES_ONLY else kind


def cells_of(mapping: Mapping, fields: tuple[FieldSpec, ...], register: str = "") -> dict[str, str]:
    """The column in which `register` writes each compared field: the first cell its canonical key is made from, by the mapping itself."""
    made = {f.name: f.expr for f in mapping.fields}
    found = {}
    for spec in fields:
        key = spec.key_of(register)
        cell = _first_cell(made[key], made) if key in made else None
        if cell is not None:
            found[spec.name] = cell
    return found


def shared_cells(cells: MappingType[str, str]) -> tuple[str, ...]:
    """Fields that a register writes in one cell with others (a whole name, an address line): as written, the whole cell is compared."""
    return tuple(sorted(name for name, cell in cells.items() if list(cells.values()).count(cell) > 1))


def _first_cell(expr: ir.Expr, made: MappingType[str, ir.Expr]) -> str | None:
    if isinstance(expr, ir.Field):
        return expr.cell
    if isinstance(expr, ir.Target):
        return _first_cell(made[expr.field], made)
    return next((cell for part in expr.inputs() if (cell := _first_cell(part, made)) is not None), None)


class _Run:
    """One comparison: maps, prepares a flat table per side, writes the class as SQL."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, compared: ComparedFields, pair: Pair) -> None:
        self.con, self.compared, self.pair = connection, compared, pair
        self.prefix = f"kerege_compare_{next(_RUNS)}"
        self.made: list[str] = []

    def close(self) -> None:
        for name in self.made:
            self.con.execute(f"DROP TABLE IF EXISTS {sql.identifier(name)}")

    def _keep(self, name: str, query: str) -> str:
        table = f"{self.prefix}_{name}"
        self.con.execute(f"CREATE TEMP TABLE {sql.identifier(table)} AS {query}")
        self.made.append(table)
        return table

    def side(self, side: TableSide, number: int) -> str:
        """The flat table of a side: id, and for each field n (normal), b (letters), m (meant), u (unreadable), g (gap), h (earlier values),
        and the dates."""
        place = "lr"[number]
        # a fresh copy: its rowid is the place by which the mapping numbers rows, whatever order threads read in
        source = self._keep(f"src{place}", f"SELECT * FROM {sql.identifier(side.relation)}")
        mapped = compile_duckdb(side.mapping, side.pack).run(self.con, source, f"{self.prefix}_map{place}").table
        self.made.append(mapped)
        raw = ", ".join(
            f"CAST({sql.quoted(side.cells[s.name])} AS VARCHAR) AS raw_{i}"
            for i, s in enumerate(self.pair.fields) if s.name in side.cells
        )  # fmt: skip
        number_of = f"CAST({sql.quoted(side.id)} AS VARCHAR) AS id"
        cells = ", ".join(filter(None, (number_of, raw)))
        numbered = f"SELECT rowid AS _row, {cells} FROM {sql.identifier(source)}"
        columns, joins = ["s.id"], [f"JOIN {sql.identifier(mapped)} AS m ON m._row = s._row"]
        known = {f.name for f in side.mapping.fields}
        for i, spec in enumerate(self.pair.fields):
            columns += self._field(side, spec, i, place, known, joins, mapped)
        as_of = self.compared.as_of_field(side.register)
        columns.append(f"{_column(as_of, known)} AS as_of")
        for i, spec in enumerate(self.pair.fields):
            columns.append(f"{_column(self.compared.since_field(side.register, spec.name), known)} AS since_{i}")
        flat = self._keep(f"flat{place}", f"SELECT {', '.join(columns)} FROM ({numbered}) AS s {' '.join(joins)}")
        twice = self.con.execute(f"SELECT count(*) - count(DISTINCT id) FROM {sql.identifier(flat)}").fetchone()
        if twice and twice[0]:
            reason = f"{side.relation} numbers {counted(twice[0], 'record')} twice, or not at all, in {side.id}"
            raise BulkTableInvalid(left=side.relation, right="", reason=reason)
        return sql.identifier(flat)

    def _field(
        self, side: TableSide, spec: FieldSpec, i: int, place: str, known: set[str], joins: list[str], mapped: str
    ) -> list[str]:
        raw = f"coalesce(s.raw_{i}, '')" if spec.name in side.cells else "''"
        key = spec.key_of(side.register)
        meant = _column(key, known)
        if spec.father is not None:
            joins.append(self._fathers(spec, key, i, place, known, mapped))
            meant = f"coalesce({meant}, f_{place}{i}.v)"
        said = f"list_filter(m._problems, lambda x: x.field = {sql.literal(key)}"
        columns = [
            f"{sql.lower(sql.trim(raw))} AS n_{i}",
            f"{sql.translated(sql.fold(raw), PUNCTUATION)} AS b_{i}",
            f"{meant} AS m_{i}",
            f"(len({said} AND x.code <> {_REQUIRED})) > 0 AND {_column(key, known)} IS NULL) AS u_{i}",
            f"(len({said} AND x.code IN ({_UNKNOWN}))) > 0) AS g_{i}",
        ]
        if side.earlier is not None:
            alias = f"h_{place}{i}"
            joins.append(
                f"LEFT JOIN (SELECT CAST(id AS VARCHAR) AS id, coalesce(list(value) FILTER (value IS NOT NULL), []) AS v "
                f"FROM {sql.identifier(side.earlier)} WHERE field = {sql.literal(spec.name)} GROUP BY 1) AS {alias} ON {alias}.id = s.id"
            )
            columns.append(f"{alias}.v AS h_{i}")
        else:
            columns.append(f"CAST(NULL AS VARCHAR[]) AS h_{i}")
        return columns

    def _fathers(self, spec: FieldSpec, key: str, i: int, place: str, known: set[str], mapped: str) -> str:
        """A side table of what a father's name in the surname's place is compared by, and the join to it."""
        told = f"coalesce({_column(spec.name, known)}, {_column(spec.father, known)})"
        query = f"SELECT DISTINCT {told} FROM {sql.identifier(mapped)} AS m WHERE {_column(key, known)} IS NULL AND {told} IS NOT NULL"
        texts = [str(row[0]) for row in self.con.execute(query).fetchall()]
        pairs = [(text, father) for text in texts if (father := compare.father_key(text)) is not None]
        table = self._keep(
            f"father_{place}{i}", "SELECT CAST(NULL AS VARCHAR) AS k, CAST(NULL AS VARCHAR) AS v LIMIT 0"
        )
        if pairs:  # names are handed over as values, never written into a statement
            self.con.execute(
                f"INSERT INTO {sql.identifier(table)} SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])",
                [[text for text, _ in pairs], [father for _, father in pairs]],
            )
        return f"LEFT JOIN {sql.identifier(table)} AS f_{place}{i} ON f_{place}{i}.k = {told}"

    def columns(self, spec: FieldSpec, left: TableSide, right: TableSide) -> str:
        """The class of one field, what a script sees, how a stale copy was known and whose value is unread: `compare` in SQL, in its order."""
        i = next(n for n, s in enumerate(self.pair.fields) if s is spec)
        there = [f"({p}.n_{i} <> '' OR {p}.m_{i} IS NOT NULL OR {p}.u_{i})" for p in "lr"]
        stale = "CAST('' AS VARCHAR)"
        if spec.owner in (left.register, right.register):
            a, b = ("l", "r") if spec.owner == left.register else ("r", "l")
            told_by_both = f"least(length({a}.since_{i}), length({b}.as_of))"
            dated = f"CASE WHEN left({b}.as_of, {told_by_both}) < left({a}.since_{i}, {told_by_both}) THEN '{BY_DATE}' ELSE '' END"
            held = f"CASE WHEN list_contains({a}.h_{i}, {b}.m_{i}) THEN '{BY_HISTORY}' ELSE '' END"
            stale = f"CASE WHEN {a}.h_{i} IS NOT NULL THEN {held} ELSE {dated} END"
        cls = (
            f"CASE WHEN NOT ({there[0]} AND {there[1]}) THEN '{MISSING}' WHEN l.g_{i} OR r.g_{i} THEN '{CODE_GAP}' "
            f"WHEN l.m_{i} IS NULL OR r.m_{i} IS NULL THEN '{NOT_COMPARABLE}' "
            f"WHEN l.m_{i} <> r.m_{i} THEN CASE WHEN {stale} <> '' THEN '{STALE}' ELSE '{CONFLICT}' END "
            f"WHEN l.n_{i} = '' AND r.n_{i} = '' THEN '{MISSING}' WHEN l.n_{i} = r.n_{i} THEN '{EQUAL}' "
            f"WHEN l.b_{i} = r.b_{i} AND l.b_{i} <> '' THEN '{FORMATTING}' ELSE '{HARMONISED}' END"
        )
        written = f"CASE WHEN l.n_{i} = '' OR r.n_{i} = '' THEN '{ABSENT}' WHEN l.n_{i} = r.n_{i} THEN '{SAME}' ELSE '{DIFFERENT}' END"
        told = f"CASE WHEN ({cls}) = '{STALE}' THEN {stale} ELSE '' END"
        sides = [f"CASE WHEN ({cls}) = '{CODE_GAP}' THEN {p}.g_{i} ELSE {p}.m_{i} IS NULL END" for p in "lr"]
        unread = (
            f"CASE WHEN ({cls}) NOT IN ('{CODE_GAP}', '{NOT_COMPARABLE}') THEN '' WHEN {sides[0]} AND {sides[1]} THEN '{BOTH}' "
            f"WHEN {sides[0]} THEN '{LEFT}' ELSE '{RIGHT}' END"
        )
        return ", ".join(
            f"{text} AS {sql.quoted(f'{letter}_{spec.name}')}"
            for letter, text in (("c", cls), ("w", written), ("s", told), ("u", unread))
        )


def _column(name: str | None, known: set[str]) -> str:
    """A canonical column of the mapped table; a blank text says no more than a null (as `compare` has it)."""
    if name is None or name not in known:
        return "CAST(NULL AS VARCHAR)"
    column = f"m.{sql.quoted(name)}"
    return f"(CASE WHEN {sql.blank(column)} THEN NULL ELSE {column} END)"


def _links(links: str) -> str:
    """The links, each once."""
    pair = "CAST(left_id AS VARCHAR) AS left_id, CAST(right_id AS VARCHAR) AS right_id"
    return f"(SELECT DISTINCT {pair} FROM {sql.identifier(links)})"


def _counted(connection: duckdb.DuckDBPyConnection, table: str, links: str) -> tuple[int, int]:
    found = connection.execute(
        f"SELECT (SELECT count(*) FROM {sql.identifier(table)}), (SELECT count(*) FROM {_links(links)} AS k)"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1]) - int(found[0])


def _tallies(connection: duckdb.DuckDBPyConnection, table: str, names: tuple[str, ...]) -> Counter[tuple[str, str]]:
    tallies: Counter[tuple[str, str]] = Counter()
    for name in names:
        column = sql.quoted(f"c_{name}")
        for cls, number in connection.execute(
            f"SELECT {column}, count(*) FROM {sql.identifier(table)} GROUP BY 1"
        ).fetchall():
            tallies[name, str(cls)] += int(number)
    return tallies
