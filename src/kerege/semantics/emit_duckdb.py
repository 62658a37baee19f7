"""Compile a mapping to DuckDB for whole tables: the same values and the same problems, in the same order, as `emit_python` gives.

Plain operators are SQL (`sql`). Code lists and crosswalks are joins. Grammars (names, addresses, telephone numbers, places) cannot be plain
SQL without giving another answer somewhere, so each runs in Python once per *distinct* input value, and the results are joined back: a million
rows with forty thousand different addresses parse forty thousand addresses. One node of the mapping's tree is one column; operators shared
by several fields are computed once.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import duckdb
import orjson

from kerege.semantics import ir, problems, sql
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mapping import RESERVED, Mapping
from kerege.semantics.operators import Lists, function_of, lookup_table
from kerege.semantics.problems import Severity, Verdict

_RUNS: itertools.count[int] = itertools.count(1)
_ISSUE_TYPE: Final = "STRUCT(field VARCHAR, code VARCHAR, source_code VARCHAR, severity VARCHAR)"
ROW, ISSUES, VERDICT = RESERVED
# What an operator's failure is called.
_CODES: Final[dict[type[ir.Expr], str]] = {
    ir.ParseDate: problems.DATE,
    ir.Number: problems.NUMBER,
    ir.Code: problems.CODE,
    ir.Lookup: problems.NOT_IN_LIST,
    ir.Member: problems.NOT_IN_LIST,
    ir.Phone: problems.PHONE,
    ir.Extract: problems.PATTERN,
    ir.NamePart: problems.NAME,
    ir.AddressPart: problems.PLACE,
    ir.PlaceCode: problems.PLACE,
}


@dataclass(frozen=True)
class TableResult:
    """What a run left behind: a temporary table with `_row` (place in the source, from 0), the canonical fields, `_problems` and `_verdict`."""

    table: str
    rows: int
    verdicts: Counter[Verdict]
    problems: Counter[tuple[str, str]]  # (field, problem code)
    parsed: dict[str, int] = field(default_factory=dict)  # grammar -> distinct values it ran on


@dataclass(frozen=True)
class DuckTable:
    """A mapping compiled for tables. `run` may be called many times; it keeps nothing between runs but crosswalk counters."""

    mapping: Mapping
    pack: Lists

    def run(self, connection: duckdb.DuckDBPyConnection, relation: str, into: str | None = None) -> TableResult:
        """Map the table or view `relation`; the result is the temporary table `into`. An existing `into` is replaced at the end only."""
        return _Run(self, connection, relation, into or f"mapped_{next(_RUNS)}").run()


def compile_duckdb(mapping: Mapping, pack: Lists) -> DuckTable:
    """The mapping for tables; ids it names are looked up now, so that a missing list is told before any table is read."""
    for crosswalk_id in mapping.crosswalks:
        pack.crosswalk(crosswalk_id)
    for list_id in mapping.codelists:
        pack.codelist(list_id)
    return DuckTable(mapping, pack)


@dataclass(frozen=True, slots=True)
class _Issue:
    """One problem a field may have: when (an SQL condition, never null) and what."""

    when: str
    field: str
    code: str
    severity: Severity
    source: str = "NULL"

    def sql(self) -> str:
        texts = (sql.literal(self.field), sql.literal(self.code))
        return (
            f"CASE WHEN {self.when} THEN CAST(struct_pack(field := {texts[0]}, code := {texts[1]}, "
            f"source_code := {self.source}, severity := '{self.severity}') AS {_ISSUE_TYPE}) END"
        )


class _Run:
    """One run: gives every node a column, in stages that end where a grammar needs the values so far."""

    def __init__(self, compiled: DuckTable, connection: duckdb.DuckDBPyConnection, relation: str, into: str) -> None:
        self.mapping, self.pack = compiled.mapping, compiled.pack
        self.con, self.relation, self.into = connection, relation, into
        self.prefix = f"kerege_{next(_RUNS)}"
        self.targets = {f.name: f.expr for f in self.mapping.fields}
        self.columns: dict[ir.Expr, str] = {}
        self.made: list[str] = []
        self.stage = ""
        self.parsed: Counter[str] = Counter()
        self.unmapped: list[tuple[str, str, str]] = []  # crosswalk, the column of codes, when they count

    def run(self) -> TableResult:
        try:
            self._source()
            self._nodes()
            return self._result()
        finally:
            for table in self.made:
                self.con.execute(f"DROP TABLE IF EXISTS {sql.identifier(table)}")

    # --- columns ------------------------------------------------------------------------------------------------------------------

    def _source(self) -> None:
        """The cells as columns: blank is null, too long is null and marked."""
        try:
            described = self.con.execute(f"SELECT * FROM {sql.identifier(self.relation)} LIMIT 0").description or []
        except duckdb.Error as error:
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason="there is no such table") from error
        present = {column[0] for column in described}
        missing = [cell for cell in self.mapping.cells if cell not in present]
        if missing:
            reason = f"columns missing: {', '.join(missing)}"
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason=reason)
        chosen = [f"row_number() OVER () - 1 AS {ROW}"]
        for number, cell in enumerate(self.mapping.cells):
            raw, name = f"CAST({sql.quoted(cell)} AS VARCHAR)", f"s{number}"
            too_long = f"coalesce(length({raw}) > {self.mapping.cell_limit}, false)"
            chosen.append(f"CASE WHEN {too_long} OR {sql.blank(raw)} THEN NULL ELSE {raw} END AS {name}")
            chosen.append(f"{too_long} AS {name}_long")
            self.columns[ir.Field(cell)] = name
        self.stage = self._keep("source", f"SELECT {', '.join(chosen)} FROM {sql.identifier(self.relation)}")

    def _keep(self, name: str, query: str, arguments: list[str] | None = None) -> str:
        table = f"{self.prefix}_{name}"
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(table)} AS {query}", arguments or [])
        self.made.append(table)
        return table

    def column(self, expr: ir.Expr) -> str:
        """The column of a node that has one already."""
        if isinstance(expr, ir.Target):
            return self.column(self.targets[expr.field])
        return self.columns[expr]

    def _ready(self, expr: ir.Expr) -> bool:
        if isinstance(expr, ir.Target):
            expr = self.targets[expr.field]
        return expr in self.columns

    def _nodes(self) -> None:
        """Every node in turn, plain ones as far as they go, then one round of grammars, and so on."""
        waiting = list(
            dict.fromkeys(e for f in self.mapping.fields for e in _bottom_up(f.expr) if not isinstance(e, ir.Target))
        )
        waiting = [e for e in waiting if e not in self.columns]
        rounds = 0
        while waiting:
            ready = [e for e in waiting if all(map(self._ready, e.inputs()))]
            plain = [e for e in ready if e.laws.sql]
            chosen = plain or ready
            assert chosen, "a tree has no cycles"
            rounds += 1
            self._add(chosen, f"stage{rounds}")
            waiting = [e for e in waiting if e not in self.columns]

    def _add(self, nodes: list[ir.Expr], stage: str) -> None:
        """One more table: the stage so far with a column for each of `nodes`."""
        chosen, joins = ["t.*"], []
        names: dict[ir.Expr, str] = {}
        for node in nodes:
            name = names[node] = f"c{len(self.columns) + len(names)}"
            if isinstance(node, ir.Recode | ir.Lookup | ir.Member) or not node.laws.sql:
                side, key = self._side(node, name)
                joins.append(f"LEFT JOIN {sql.identifier(side)} AS j_{name} ON j_{name}.k = {key}")
                chosen += self._joined(node, name)
            else:
                chosen.append(f"{self._expression(node)} AS {name}")
        previous = self.stage
        query = f"SELECT {', '.join(chosen)} FROM {sql.identifier(previous)} AS t {' '.join(joins)}"
        self.stage = self._keep(stage, query)
        self.con.execute(f"DROP TABLE {sql.identifier(previous)}")
        self.columns |= names

    def _joined(self, node: ir.Expr, name: str) -> list[str]:
        """What a join gives: the value, and what is needed to tell problems."""
        if not isinstance(node, ir.Recode):
            return [f"j_{name}.v AS {name}", f"j_{name}.p AS {name}_issue"]
        given, policy = self.column(node.of), self.pack.crosswalk(node.crosswalk).policy
        otherwise = (
            given if policy.kind == "pass-and-flag" else sql.literal(policy.default) if policy.default else "NULL"
        )
        missed = f"({given} IS NOT NULL AND j_{name}.k IS NULL)"
        return [f"CASE WHEN {missed} THEN {otherwise} ELSE j_{name}.v END AS {name}", f"{missed} AS {name}_missed"]

    def _expression(self, node: ir.Expr) -> str:
        if isinstance(node, ir.Const):
            return sql.literal(node.text) if node.text else "CAST(NULL AS VARCHAR)"
        if isinstance(node, ir.Concat):
            return f"nullif(concat_ws({sql.literal(node.separator)}, {', '.join(map(self.column, node.parts))}), '')"
        if isinstance(node, ir.Coalesce):
            return f"coalesce({', '.join(map(self.column, node.parts))}, NULL)"
        if isinstance(node, ir.When):
            other = self.column(node.otherwise) if node.otherwise is not None else "NULL"
            return f"CASE WHEN {self._condition(node)} THEN {self.column(node.then)} ELSE {other} END"
        (of, *_) = node.inputs()
        written = sql.one_input(node, self.column(of))
        assert written is not None, f"{node.name} has no SQL"
        return written

    def _condition(self, node: ir.When) -> str:
        test = self.column(node.test)
        if not node.values:
            return f"{test} IS NOT NULL"
        return f"coalesce({test} IN ({', '.join(map(sql.literal, node.values))}), false)"

    # --- side tables --------------------------------------------------------------------------------------------------------------

    def _side(self, node: ir.Expr, name: str) -> tuple[str, str]:
        """A table of key, value and problem code for `node`, and the SQL of the key to join by."""
        (of, *_) = node.inputs()
        column = self.column(of)
        if isinstance(node, ir.Recode):
            crosswalk = self.pack.crosswalk(node.crosswalk)
            return self._fill(name, dict(crosswalk.table)), sql.fold(column) if crosswalk.match == "folded" else column
        if isinstance(node, ir.Lookup):
            return self._fill(name, lookup_table(node, self.pack)), sql.fold(column) if node.by == "wording" else column
        if isinstance(node, ir.Member):
            return self._fill(name, {c.notation: c.notation for c in self.pack.codelist(node.codelist)}), column
        return self._parse(node, name, column), column

    def _fill(self, name: str, table: dict[str, str]) -> str:
        return self._insert(name, list(table), list(table.values()), [None] * len(table))

    def _parse(self, node: ir.Expr, name: str, column: str) -> str:
        """Run a grammar over the distinct values of its input."""
        query = f"SELECT DISTINCT {column} FROM {sql.identifier(self.stage)} WHERE {column} IS NOT NULL"
        found = [row[0] for row in self.con.execute(query).fetchall()]
        function = function_of(node, self.pack)
        outcomes = [function(text) for text in found]
        self.parsed[node.name] += len(found)
        issues = [issue[0] if issue is not None else None for _, issue in outcomes]
        return self._insert(name, found, [value for value, _ in outcomes], issues)

    def _insert(self, name: str, keys: list[str], values: list[str | None], issues: list[str | None]) -> str:
        """The side table, handed over as one JSON text: binding Python lists costs DuckDB a hundred times as much."""
        # a row of nulls keeps the types when there is nothing; it joins with nothing
        document = orjson.dumps([[*keys, None], [*values, None], [*issues, None]]).decode()
        query = "SELECT unnest(d[1]) AS k, unnest(d[2]) AS v, unnest(d[3]) AS p FROM (SELECT from_json($1, '[[\"VARCHAR\"]]') AS d)"
        return self._keep(f"side_{name}", query, [document])

    # --- problems -----------------------------------------------------------------------------------------------------------------

    def _issues(self) -> Iterator[_Issue]:
        """Every problem that may be raised, in the order in which the Python function would raise it."""
        for target in self.mapping.fields:
            yield from self._issues_of(target.expr, target.name, "true")
            if target.required is not None:
                yield _Issue(f"{self.column(target.expr)} IS NULL", target.name, problems.REQUIRED, target.required)

    def _issues_of(self, node: ir.Expr, name: str, guard: str) -> Iterator[_Issue]:
        if isinstance(node, ir.Field):
            yield _Issue(f"{guard} AND {self.column(node)}_long", name, problems.TOO_LONG, "flag")
        elif isinstance(node, ir.Coalesce):
            for part in node.parts:
                yield from self._issues_of(part, name, guard)
                guard = f"{guard} AND {self.column(part)} IS NULL"
        elif isinstance(node, ir.When):
            yield from self._issues_of(node.test, name, guard)
            condition = self._condition(node)
            yield from self._issues_of(node.then, name, f"{guard} AND {condition}")
            if node.otherwise is not None:
                yield from self._issues_of(node.otherwise, name, f"{guard} AND NOT ({condition})")
        elif not isinstance(node, ir.Target | ir.Const):
            for part in node.inputs():
                yield from self._issues_of(part, name, guard)
            yield from self._own_issues(node, name, guard)

    def _own_issues(self, node: ir.Expr, name: str, guard: str) -> Iterator[_Issue]:
        if node.laws.total:
            return
        (of, *_) = node.inputs()
        given, out = self.column(of), self.column(node)
        failed = f"{guard} AND {given} IS NOT NULL AND {out} IS NULL"
        if isinstance(node, ir.Recode):
            policy = self.pack.crosswalk(node.crosswalk).policy
            source = f"substring({given}, 1, {problems.SOURCE_CODE_LENGTH})"
            missed = f"{guard} AND {out}_missed"
            self.unmapped.append((node.crosswalk, given, missed))
            yield _Issue(missed, name, problems.UNMAPPED, policy.severity, source)
        elif isinstance(node, ir.Pin):
            yield _Issue(failed, name, problems.PIN_MALFORMED, "flag")
            birth = self.column(node.birth_date) if node.birth_date is not None else None
            sex = self.column(node.sex) if node.sex is not None else None
            contradicts = f"{guard} AND {out} IS NOT NULL AND {sql.pin_contradicts(out, birth, sex)}"
            yield _Issue(contradicts, name, problems.PIN_CONTRADICTS, "flag")
        elif not node.laws.sql:
            told = f"coalesce({out}_issue = {sql.literal(_CODES[type(node)])}, false)"
            yield _Issue(f"{guard} AND {told}", name, _CODES[type(node)], "flag")
        else:
            yield _Issue(failed, name, _CODES[type(node)], "flag")

    # --- the result ---------------------------------------------------------------------------------------------------------------

    def _result(self) -> TableResult:
        issues = list(self._issues())
        listed = f"list_filter([{', '.join(i.sql() for i in issues)}], lambda x: x IS NOT NULL)" if issues else "[]"
        values = ", ".join(f"{self.column(f.expr)} AS {sql.quoted(f.name)}" for f in self.mapping.fields)
        inner = (
            f"SELECT {ROW}, {values}, CAST({listed} AS {_ISSUE_TYPE}[]) AS {ISSUES} FROM {sql.identifier(self.stage)}"
        )
        heaviest = (
            f"CASE WHEN len({ISSUES}) = 0 THEN 'ok' "
            f"WHEN list_contains(list_transform({ISSUES}, lambda x: x.severity), 'reject') THEN 'rejected' "
            f"WHEN list_contains(list_transform({ISSUES}, lambda x: x.severity), 'quarantine') THEN 'quarantined' ELSE 'flagged' END"
        )
        into = sql.identifier(self.into)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {into} AS SELECT *, {heaviest} AS {VERDICT} FROM ({inner}) ORDER BY {ROW}"
        )
        self._count_unmapped()
        verdicts: Counter[Verdict] = Counter(
            dict(self.con.execute(f"SELECT {VERDICT}, count(*) FROM {into} GROUP BY 1").fetchall())
        )
        query = f"SELECT i.field, i.code, count(*) FROM (SELECT unnest({ISSUES}) AS i FROM {into}) GROUP BY 1, 2"
        counted = Counter({(name, code): times for name, code, times in self.con.execute(query).fetchall()})
        return TableResult(self.into, sum(verdicts.values()), verdicts, counted, dict(self.parsed))

    def _count_unmapped(self) -> None:
        """The crosswalks' counters, as often as the Python function would have counted."""
        for crosswalk_id, column, when in self.unmapped:
            query = f"SELECT {column}, count(*) FROM {sql.identifier(self.stage)} WHERE {when} GROUP BY 1"
            for code, times in self.con.execute(query).fetchall():
                self.pack.crosswalk(crosswalk_id).count(code, times)


def _bottom_up(expr: ir.Expr) -> Iterator[ir.Expr]:
    for child in expr.inputs():
        yield from _bottom_up(child)
    yield expr
