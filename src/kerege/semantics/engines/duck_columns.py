"""Laying out one DuckDB query for a mapping: columns by level, each a projection over the levels below, and values that codes point into.

DuckDB computes a projection for a chunk of rows at a time and keeps no column it does not need, so levels cost nothing by themselves, and a column
that two others read is computed once. Used by `engines.emit_duckdb`; knows nothing of operators.
"""

# ruff: noqa: S608  names are made here, texts are quoted by `sql`

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from kerege.semantics.engines import duck_words as sql

if TYPE_CHECKING:
    import duckdb

ROW: Final = "_row"
_MOST_CONSTANTS: Final = 5_000  # values, and characters of them, that a query carries itself; more are joined
_MOST_CHARACTERS: Final = 300_000
_LOOK: Final = 10_000  # rows


@dataclass(frozen=True, slots=True)
class Coded:
    """A column whose every value is one of few: `code` is the column of the place (from 1; null for null), then what stands there."""

    code: str
    values: tuple[str | None, ...]
    issues: tuple[str | None, ...]


class Columns:
    """The query in the making. Names it gives are plain (`c0`, `c1`, ...) and need no quoting."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, prefix: str) -> None:
        self.con, self.prefix = connection, prefix
        self.relation = ""
        self.base: list[str] = []
        self.levels: list[list[str]] = [[]]
        self.joins: list[list[str]] = [[]]
        self.level: dict[str, int] = {}
        self.joined = False
        self._tables: list[str] = []
        self._known: dict[str, str] = {}

    def cell(self, text: str) -> str:
        """A column of the source itself."""
        name = f"r{len(self.base)}"
        self.base.append(f"{text} AS {name}")
        self.level[name] = -1
        return name

    def define(self, text: str, *reads: str) -> str:
        """A column computed from the columns `reads`; equal texts are one column."""
        if text in self._known:
            return self._known[text]
        level = max((self.level[name] for name in reads), default=-1) + 1
        name = self._known[text] = f"c{len(self.level)}"
        self._put(level, name, f"{text} AS {name}")
        return name

    def _put(self, level: int, name: str, text: str) -> None:
        while len(self.levels) <= level:
            self.levels.append([])
            self.joins.append([])
        self.levels[level].append(text)
        self.level[name] = level

    def let(self, *reads: str) -> tuple[Callable[[str], str], list[str]]:
        """`sql.Let` for an operator over `reads`, and the list of columns it has made."""
        made = list(reads)

        def let(text: str) -> str:
            name = self.define(text, *made)
            made.append(name)
            return name

        return let, made

    def query(self, *, numbered: bool = False, last: Sequence[str] = ("*",)) -> str:
        """The query with all columns so far; `last` is what it selects."""
        row = [f"{self._place()} AS {ROW}"] if numbered else []
        text = f"SELECT {', '.join([*row, *self.base]) or '1 AS r'} FROM {sql.identifier(self.relation)}"
        for chosen, joins in zip(self.levels, self.joins, strict=True):
            if chosen:
                text = f"SELECT t.*, {', '.join(chosen)} FROM ({text}) AS t {' '.join(joins)}"
        return f"SELECT {', '.join(last)} FROM ({text}) AS t"

    def _place(self) -> str:
        """The row's place from 0. Counting rows runs on one core; a table from which nothing was deleted knows it by itself."""
        import duckdb

        try:
            count, last = self.con.execute(
                f"SELECT count(*), max(rowid) FROM {sql.identifier(self.relation)}"
            ).fetchall()[0]
        except duckdb.Error:
            return "row_number() OVER () - 1"
        return "rowid" if last is None or count == last + 1 else "row_number() OVER () - 1"

    def distinct(self, columns: Sequence[str]) -> list[list[str]]:
        """The different values of each column, nulls left out; one look at the table for all."""
        if not columns:
            return []
        wanted = tuple(f"coalesce(list(DISTINCT {name}) FILTER ({name} IS NOT NULL), [])" for name in columns)
        return list(self.con.execute(self.query(last=wanted)).fetchall()[0])

    def look(self, columns: Sequence[str]) -> list[int]:
        """How many different values the columns have in the first rows; zeros for a table that is not worth the look."""
        if not columns:
            return []
        inner = self.query(last=tuple(columns)) + f" LIMIT {_LOOK}"
        counted = ", ".join(f"count(DISTINCT {column})" for column in columns)
        rows, *counts = self.con.execute(f"SELECT count(*), {counted} FROM ({inner})").fetchall()[0]
        return counts if rows == _LOOK else [0] * len(columns)

    # --- values by code -----------------------------------------------------------------------------------------------------------

    def fits(self, *lists: Sequence[str | None]) -> bool:
        """Whether these can stand in the query as constants."""
        size = sum(len(text) for values in lists for text in values if text is not None)
        odd = any("\0" in text for values in lists for text in values if text is not None)
        return bool(lists[0]) and len(lists[0]) <= _MOST_CONSTANTS and size <= _MOST_CHARACTERS and not odd

    def code(self, column: str, keys: Sequence[str]) -> str:
        """The place of a column's value among `keys` (all different), from 1; null when it is none of them."""
        listed = ", ".join(map(sql.literal, keys))
        return self.define(f"enum_code(TRY_CAST({column} AS ENUM({listed}))) + 1", column)

    def at(self, code: str, values: Sequence[str | None]) -> str:
        """What stands in `values` at the place `code`."""
        listed = ", ".join("NULL" if v is None else sql.literal(v) for v in values)
        return self.define(f"list_extract(CAST([{listed}] AS VARCHAR[]), {code})", code)

    def complete(self, column: str, code: str) -> str:
        """`code`, or an error when `column` has a value that was not there when its values were collected: the source changed meanwhile."""
        told = "error('the source changed while it was read')"
        return self.define(
            f"CASE WHEN {code} IS NULL AND {column} IS NOT NULL THEN {told} ELSE {code} END", column, code
        )

    def side(
        self, key: str, reads: str, keys: Sequence[str], values: Sequence[str | None], issues: Sequence[str | None]
    ) -> tuple[str, str, str]:
        """Join a table of `keys`; the columns of the value, of the issue, and of whether the key was found.

        The table is handed over as one JSON text: binding Python lists costs DuckDB a hundred times as much.
        """
        # a row of nulls keeps the types when there is nothing; it joins with nothing
        document = orjson.dumps([[*keys, None], [*values, None], [*issues, None]]).decode()
        table = f"{self.prefix}_side{len(self._tables)}"
        query = "SELECT unnest(d[1]) AS k, unnest(d[2]) AS v, unnest(d[3]) AS p FROM (SELECT from_json($1, '[[\"VARCHAR\"]]') AS d)"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(table)} AS {query}", [document])
        self._tables.append(table)
        level = self.level[reads] + 1
        alias = f"j{len(self._tables)}"
        names = [f"{alias}_{part}" for part in ("v", "p", "k")]
        for name, part in zip(names, ("v", "p", "k"), strict=True):
            self._put(level, name, f"{alias}.{part} AS {name}")
        self.joins[level].append(f"LEFT JOIN {sql.identifier(table)} AS {alias} ON {alias}.k = {key}")
        self.joined = True
        return names[0], names[1], names[2]

    def drop(self) -> None:
        """The tables that were needed on the way."""
        for table in self._tables:
            self.con.execute(f"DROP TABLE IF EXISTS {sql.identifier(table)}")
