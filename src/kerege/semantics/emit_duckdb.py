"""Compile a mapping to DuckDB for whole tables: the same values and the same problems, in the same order, as `emit_python` gives.

One query, one pass: each node of the mapping's tree is a column of a projection over those it reads (`duck_columns` lays them out), and nothing is
kept in between. Plain operators and patterns are SQL (`sql`, `duck_patterns`). Grammars (names, addresses, telephone numbers, places) cannot be SQL
without giving another answer somewhere: they run in Python once per *distinct* input, before the pass. What they gave, and small crosswalks and code
lists, stand in the query as constants that a value's code points into; large ones are joined. Operators over such coded values run on
the constants instead of on the rows. Problems are conditions; lists of problems are only made for rows that have one.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb

from kerege.semantics import ir, problems, sql
from kerege.semantics.dated import require_plain
from kerege.semantics.duck_columns import Coded, Columns
from kerege.semantics.duck_patterns import PatternColumns
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mapping import RESERVED, Mapping
from kerege.semantics.operators import Lists, check_lists, function_of, lookup_table
from kerege.semantics.problems import Severity, Verdict

_RUNS: itertools.count[int] = itertools.count(1)
_ISSUE_TYPE: Final = "STRUCT(field VARCHAR, code VARCHAR, source_code VARCHAR, severity VARCHAR)"
ROW, ISSUES, VERDICT = RESERVED
_FEW: Final = 500  # different values of a cell that is worked out by value and not by row
_HEAVY: Final = (("reject", "rejected"), ("quarantine", "quarantined"))
# What an operator's failure is called.
_CODES: Final[dict[type[ir.Expr], str]] = {
    ir.ParseDate: problems.DATE,
    ir.Number: problems.NUMBER,
    ir.Code: problems.CODE,
    ir.Lookup: problems.NOT_IN_LIST,
    ir.Member: problems.NOT_IN_LIST,
    ir.LookupAsOf: problems.NOT_IN_LIST,
    ir.Phone: problems.PHONE,
    ir.Extract: problems.PATTERN,
    ir.NamePart: problems.NAME,
    ir.AddressPart: problems.PLACE,
    ir.PlaceCode: problems.PLACE,
}


@dataclass(frozen=True)
class TableResult:
    """What a run left behind: a temporary table with `_row` (place in the source, from 0), the canonical fields, `_problems` and `_verdict`.

    Of `write`, `table` is the file, which has no `_row`: its rows stand in the source's order.
    """

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
        return _Run(self, connection, relation).table(into or f"mapped_{next(_RUNS)}")

    def write(
        self, connection: duckdb.DuckDBPyConnection, relation: str, path: Path, row_group: int = 100_000
    ) -> TableResult:
        """Map the table or view `relation` into the Parquet file `path`, whole or not at all; rows in the source's order."""
        return _Run(self, connection, relation).file(path, row_group)


def compile_duckdb(mapping: Mapping, pack: Lists) -> DuckTable:
    """The mapping for tables; ids it names are looked up now, so that a missing list is told before any table is read."""
    check_lists(mapping, pack)
    return DuckTable(mapping, pack)


@dataclass(frozen=True, slots=True)
class _Issue:
    """One problem a field may have: when (an SQL condition; null is no) and what."""

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
    """One run over one table: lays out the columns, runs grammars on the way, writes the query."""

    def __init__(self, compiled: DuckTable, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        self.mapping, self.pack = compiled.mapping, compiled.pack
        self.con, self.relation = connection, relation
        self.columns = Columns(connection, f"kerege_{next(_RUNS)}")
        self.patterns = PatternColumns(self.columns)
        self.targets = {f.name: f.expr for f in self.mapping.fields}
        self.names: dict[ir.Expr, str] = {}
        self.coded: dict[ir.Expr, Coded] = {}
        self.long: dict[str, str] = {}  # cell -> the column that says it is too long
        self.told: dict[
            ir.Expr, str
        ] = {}  # node -> the condition of its problem, where that is not "input there, no value"
        self.parsed: Counter[str] = Counter()
        self.unmapped: list[tuple[str, str, str, str]] = []  # field, crosswalk, the column of codes, when they count

    # --- the two ways to run ------------------------------------------------------------------------------------------------------

    def table(self, into: str) -> TableResult:
        """Into a temporary table."""
        try:
            order = self._lay_out()
            query = self.columns.query(numbered=True, last=(ROW, *order)) + self._sorted()
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(into)} AS {query}")
            return self._told(sql.identifier(into), into)
        finally:
            self.columns.drop()

    def file(self, path: Path, row_group: int) -> TableResult:
        """Into a file: written beside it, then put in its place."""
        beside = path.with_name(path.name + ".new")
        try:
            order = self._lay_out()
            query = self.columns.query(numbered=self.columns.joined, last=order) + self._sorted()
            self.con.execute(
                f"COPY ({query}) TO {sql.literal(str(beside))} (FORMAT parquet, ROW_GROUP_SIZE {int(row_group)})"
            )
            beside.replace(path)
            return self._told(f"read_parquet({sql.literal(str(path))})", str(path))
        finally:
            beside.unlink(missing_ok=True)
            self.columns.drop()

    def _sorted(self) -> str:
        """A join may give rows back in another order; without one DuckDB keeps the source's."""
        return f" ORDER BY {ROW}" if self.columns.joined else ""

    def _lay_out(self) -> tuple[str, ...]:
        """All columns; answers what the query selects of them."""
        self._source()
        waiting = list(
            dict.fromkeys(
                node for f in self.mapping.fields for node in _bottom_up(f.expr) if not isinstance(node, ir.Target)
            )
        )
        while waiting:  # everything that can be laid out, then the grammars that are due, in one look at the table
            due: list[ir.Expr] = []
            for node in waiting:
                if node not in self.names and all(self._node_of(child) in self.names for child in node.inputs()):
                    self._node(node, due)
            self._grammars(due)
            waiting = [node for node in waiting if node not in self.names]
        return self._result()

    # --- columns ------------------------------------------------------------------------------------------------------------------

    def _source(self) -> None:
        """The cells as columns: blank is null, too long is null and marked."""
        try:
            described = self.con.execute(f"SELECT * FROM {sql.identifier(self.relation)} LIMIT 0").description or []
        except duckdb.Error as error:
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason="there is no such table") from error
        types = {column[0]: str(column[1]) for column in described}
        missing = [cell for cell in self.mapping.cells if cell not in types]
        if missing:
            reason = f"columns missing: {', '.join(missing)}"
            raise TableInvalid(table=self.relation, mapping=self.mapping.id, reason=reason)
        self.columns.relation = self.relation
        limit = self.mapping.cell_limit
        for cell in self.mapping.cells:
            name = sql.quoted(cell)
            raw = self.columns.cell(name if types[cell] == "VARCHAR" else f"CAST({name} AS VARCHAR)")
            # bytes are counted first: no text has more characters than bytes
            long = self.long[cell] = f"strlen({raw}) > {limit} AND length({raw}) > {limit}"
            plain = f"strlen({raw}) <= {limit} AND {sql.visible(raw)}"
            there = f"CASE WHEN {plain} THEN {raw} WHEN ({long}) OR {sql.blank(raw)} THEN NULL ELSE {raw} END"
            self.names[ir.Field(cell)] = self.columns.define(there, raw)
        self._repeated()

    def _repeated(self) -> None:
        """Cells of few different values, by a look at the first rows: everything over them is worked out on those values alone."""
        fields = [ir.Field(cell) for cell in self.mapping.cells]
        columns = [self.names[field_] for field_ in fields]
        few = [n for n, count in enumerate(self.columns.look(columns)) if 0 < count <= _FEW]
        for n, found in zip(few, self.columns.distinct([columns[n] for n in few]), strict=True):
            if self.columns.fits(found):
                code = self.columns.complete(columns[n], self.columns.code(columns[n], found))
                self.coded[fields[n]] = Coded(code, tuple(found), (None,) * len(found))

    def column(self, expr: ir.Expr) -> str:
        """The column of a node that was laid out."""
        return self.names[self._node_of(expr)]

    def _node_of(self, expr: ir.Expr) -> ir.Expr:
        while isinstance(expr, ir.Target):
            expr = self.targets[expr.field]
        return expr

    def _node(self, node: ir.Expr, due: list[ir.Expr]) -> None:
        inputs = [self._node_of(child) for child in node.inputs()]
        of = self.names[inputs[0]] if inputs else ""
        coded = self.coded.get(inputs[0]) if len(inputs) == 1 else None
        if isinstance(node, ir.Recode) and coded is not None:
            self._recoded(node, of, coded)
        elif isinstance(node, ir.Recode) or (isinstance(node, ir.Lookup | ir.Member) and coded is None):
            self._listed(node, of)
        elif coded is not None and not isinstance(node, ir.Concat | ir.Coalesce | ir.When | ir.Together):
            self._on_constants(node, coded)
        elif isinstance(node, ir.Extract):
            self.names[node], self.told[node] = self.patterns.part(node, of)
        elif not node.laws.sql:
            due.append(node)
        else:
            let, reads = self.columns.let(*(self.names[child] for child in inputs))
            text = self._expression(node, of, let)
            self.names[node] = self.columns.define(text, *reads)

    def _expression(self, node: ir.Expr, of: str, let: sql.Let) -> str:
        if isinstance(node, ir.Const):
            return sql.literal(node.text) if node.text else "CAST(NULL AS VARCHAR)"
        if isinstance(node, ir.Concat):
            return f"nullif(concat_ws({sql.literal(node.separator)}, {', '.join(map(self.column, node.parts))}), '')"
        if isinstance(node, ir.Together):
            first, *rest = map(self.column, node.parts)
            bare = (f"coalesce(replace(replace({column}, chr(31), ''), chr(30), ''), chr(30))" for column in rest)
            return f"CASE WHEN {first} IS NOT NULL THEN concat_ws(chr(31), {', '.join([first, *bare])}) END"
        if isinstance(node, ir.Coalesce):
            return f"coalesce({', '.join(map(self.column, node.parts))}, NULL)"
        if isinstance(node, ir.When):
            other = self.column(node.otherwise) if node.otherwise is not None else "NULL"
            return f"CASE WHEN {self._condition(node)} THEN {self.column(node.then)} ELSE {other} END"
        written = sql.one_input(node, of, let)
        assert written is not None, f"{node.name} has no SQL"
        return written

    def _condition(self, node: ir.When) -> str:
        test = self.column(node.test)
        if not node.values:
            return f"{test} IS NOT NULL"
        return f"coalesce({test} IN ({', '.join(map(sql.literal, node.values))}), false)"

    # --- lists and grammars -------------------------------------------------------------------------------------------------------

    def _recoded(self, node: ir.Recode, of: str, coded: Coded) -> None:
        """A crosswalk over values by code. What is unmapped is counted after the pass, so not here."""
        crosswalk = require_plain(self.pack.crosswalk(node.crosswalk))
        found = [crosswalk.table.get(crosswalk.key(text)) if text is not None else None for text in coded.values]
        missed = [text is not None and target is None for text, target in zip(coded.values, found, strict=True)]
        given = [
            crosswalk.policy.value(text or "") if gone else target
            for text, target, gone in zip(coded.values, found, missed, strict=True)
        ]
        self._coded(
            node, Coded(coded.code, tuple(given), tuple(problems.UNMAPPED if gone else None for gone in missed))
        )

    def _listed(self, node: ir.Recode | ir.Lookup | ir.Member, of: str) -> None:
        """A crosswalk or code list: constants that the value's code points into, or a join."""
        folded = False
        if isinstance(node, ir.Recode):
            crosswalk = require_plain(self.pack.crosswalk(node.crosswalk))
            table, folded = dict(crosswalk.table), crosswalk.match == "folded"
        elif isinstance(node, ir.Lookup):
            table, folded = lookup_table(node, self.pack), node.by == "wording"
        else:
            table = {concept.notation: concept.notation for concept in self.pack.codelist(node.codelist)}
        key = self.columns.define(sql.fold(of), of) if folded else of
        keys, values = list(table), list(table.values())
        if self.columns.fits(keys, values):
            code = self.columns.code(key, keys)
            value, missed = self.columns.at(code, values), f"({of} IS NOT NULL AND {code} IS NULL)"
        else:
            value, _, found = self.columns.side(key, key, keys, values, [None] * len(keys))
            missed = f"({of} IS NOT NULL AND {found} IS NULL)"
        if isinstance(node, ir.Recode):
            policy = self.pack.crosswalk(node.crosswalk).policy
            otherwise = (
                of if policy.kind == "pass-and-flag" else sql.literal(policy.default) if policy.default else "NULL"
            )
            if otherwise != "NULL":
                value = self.columns.define(f"CASE WHEN {missed} THEN {otherwise} ELSE {value} END", of, value)
        self.names[node], self.told[node] = value, missed

    def _grammars(self, due: list[ir.Expr]) -> None:
        """Run grammars over the different values of their inputs, before the pass."""
        inputs = {node: self.column(next(iter(node.inputs()))) for node in due}
        columns = list(dict.fromkeys(inputs.values()))
        different = dict(zip(columns, self.columns.distinct(columns), strict=True))
        for node in due:
            of, found = inputs[node], different[inputs[node]]
            values, issues = self._outcomes(node, found)
            self.parsed[node.name] += len(found)
            if self.columns.fits(found, values):
                code = self.columns.complete(of, self.columns.code(of, found))
                self._coded(node, Coded(code, values, issues))
                continue
            value, issue, _ = self.columns.side(of, of, found, values, issues)
            self.names[node] = value
            self.told[node] = f"({issue} IS NOT NULL)" if any(issues) else "false"

    def _on_constants(self, node: ir.Expr, coded: Coded) -> None:
        """An operator over values by code: over the few constants instead of the rows."""
        there = [value for value in coded.values if value is not None]
        done = dict(zip(there, zip(*self._outcomes(node, there), strict=True), strict=True)) if there else {}
        pairs = [(None, None) if value is None else done[value] for value in coded.values]
        self._coded(node, Coded(coded.code, tuple(v for v, _ in pairs), tuple(i for _, i in pairs)))

    def _outcomes(self, node: ir.Expr, texts: list[str]) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
        function = function_of(node, self.pack)
        if isinstance(node, ir.RecodeAsOf):  # what is unmapped is counted after the pass, by rows
            walk = self.pack.crosswalk(node.crosswalk)
            counted = walk.unmapped.copy()
            outcomes = [function(text) for text in texts]
            walk.unmapped.clear()
            walk.unmapped.update(counted)
        else:
            outcomes = [function(text) for text in texts]
        return tuple(value for value, _ in outcomes), tuple(
            issue[0] if issue is not None else None for _, issue in outcomes
        )

    def _coded(self, node: ir.Expr, coded: Coded) -> None:
        self.coded[node] = coded
        self.names[node] = self.columns.at(coded.code, coded.values)
        told = self.columns.at(coded.code, coded.issues) if any(coded.issues) else None
        self.told[node] = f"({told} IS NOT NULL)" if told else "false"

    # --- problems -----------------------------------------------------------------------------------------------------------------

    def _issues(self) -> Iterator[_Issue]:
        """Every problem that may be raised, in the order in which the Python function would raise it."""
        for target in self.mapping.fields:
            yield from self._issues_of(target.expr, target.name, "")
            if target.required is not None:
                yield _Issue(f"{self.column(target.expr)} IS NULL", target.name, problems.REQUIRED, target.required)

    def _issues_of(self, node: ir.Expr, name: str, guard: str) -> Iterator[_Issue]:
        if isinstance(node, ir.Field):
            yield _Issue(f"{guard}{self.long[node.cell]}", name, problems.TOO_LONG, "flag")
        elif isinstance(node, ir.Coalesce):
            for part in node.parts:
                yield from self._issues_of(part, name, guard)
                guard = f"{guard}{self.column(part)} IS NULL AND "
        elif isinstance(node, ir.When):
            yield from self._issues_of(node.test, name, guard)
            condition = self._condition(node)
            yield from self._issues_of(node.then, name, f"{guard}{condition} AND ")
            if node.otherwise is not None:
                yield from self._issues_of(node.otherwise, name, f"{guard}NOT ({condition}) AND ")
        elif not isinstance(node, ir.Target | ir.Const):
            for part in node.inputs():
                yield from self._issues_of(part, name, guard)
            yield from self._own_issues(node, name, guard)

    def _own_issues(self, node: ir.Expr, name: str, guard: str) -> Iterator[_Issue]:
        if node.laws.total:
            return
        (of, *_) = node.inputs()
        given, out = self.column(of), self.column(node)
        if isinstance(node, ir.RecodeAsOf):
            given = self.column(node.of.parts[0])
        if isinstance(node, ir.Recode | ir.RecodeAsOf):
            policy = self.pack.crosswalk(node.crosswalk).policy
            missed = f"{guard}{self.told[node]}"
            self.unmapped.append((name, node.crosswalk, given, missed))
            source = f"substring({given}, 1, {problems.SOURCE_CODE_LENGTH})"
            yield _Issue(missed, name, problems.UNMAPPED, policy.severity, source)
        elif isinstance(node, ir.Pin):
            yield _Issue(f"{guard}{given} IS NOT NULL AND {out} IS NULL", name, problems.PIN_MALFORMED, "flag")
            birth = self.column(node.birth_date) if node.birth_date is not None else None
            sex = self.column(node.sex) if node.sex is not None else None
            contradicts = sql.pin_contradicts(out, birth, sex)
            if contradicts != "false":
                yield _Issue(f"{guard}{out} IS NOT NULL AND {contradicts}", name, problems.PIN_CONTRADICTS, "flag")
        elif node in self.told:
            if self.told[node] != "false":
                yield _Issue(f"{guard}{self.told[node]}", name, _CODES[type(node)], "flag")
        else:
            yield _Issue(f"{guard}{given} IS NOT NULL AND {out} IS NULL", name, _CODES[type(node)], "flag")

    # --- the result ---------------------------------------------------------------------------------------------------------------

    def _result(self) -> tuple[str, ...]:
        """What is selected: the canonical fields, the problems and the verdict."""
        every = tuple(self.columns.level)
        issues = [issue for issue in self._issues() if issue.when != "false"]
        values = [f"{self.column(f.expr)} AS {sql.quoted(f.name)}" for f in self.mapping.fields]
        listed, verdict = f"CAST([] AS {_ISSUE_TYPE}[])", "'ok'"
        if issues:
            # One look at all conditions finds the few rows that have a problem; only on those each is asked by itself. CASE asks
            # conditions one by one, of the rows that those before left; a bare OR would work out all of them for all rows.
            some = self.columns.define(f"CASE WHEN {_any(issues)} THEN true ELSE false END", *every)
            told = ", ".join(issue.sql() for issue in issues)
            listed = f"CASE WHEN {some} THEN list_filter([{told}], lambda x: x IS NOT NULL) ELSE {listed} END"
            by_weight = [(word, [i for i in issues if i.severity == weight]) for weight, word in _HEAVY]
            cases = [f"WHEN {_any(found)} THEN '{word}'" for word, found in by_weight if found]
            verdict = f"CASE WHEN NOT {some} THEN 'ok' {' '.join(cases)} ELSE 'flagged' END"
        return (*values, f"{listed} AS {ISSUES}", f"{verdict} AS {VERDICT}")

    def _told(self, made: str, name: str) -> TableResult:
        """The counts of what was made, and the crosswalks' counters, as often as the Python function would have counted."""
        verdicts: Counter[Verdict] = Counter(
            dict(self.con.execute(f"SELECT {VERDICT}, count(*) FROM {made} GROUP BY 1").fetchall())
        )
        query = (
            f"SELECT i.field, i.code, CASE WHEN i.code = {sql.literal(problems.UNMAPPED)} THEN i.source_code END, count(*) "
            f"FROM (SELECT unnest({ISSUES}) AS i FROM {made} WHERE {VERDICT} <> 'ok') GROUP BY 1, 2, 3"
        )
        counted: Counter[tuple[str, str]] = Counter()
        codes: dict[str, dict[str, int]] = {}  # field -> source code -> times
        for field_, code, source, times in self.con.execute(query).fetchall():
            counted[field_, code] += times
            if code == problems.UNMAPPED:
                codes.setdefault(field_, {})[source] = times
        self._count_unmapped(codes)
        return TableResult(name, sum(verdicts.values()), verdicts, counted, dict(self.parsed))

    def _count_unmapped(self, codes: dict[str, dict[str, int]]) -> None:
        """Codes as the problems name them; read again from the source only where one is too long to stand in a problem whole."""
        by_field: dict[str, list[tuple[str, str, str]]] = {}
        for field_, *rest in self.unmapped:
            by_field.setdefault(field_, []).append((rest[0], rest[1], rest[2]))
        for field_, recodes in by_field.items():
            found = codes.get(field_)
            if not found:
                continue
            if len(recodes) == 1 and all(len(code) < problems.SOURCE_CODE_LENGTH for code in found):
                for code, times in found.items():
                    self.pack.crosswalk(recodes[0][0]).count(code, times)
                continue
            for crosswalk_id, column, when in recodes:
                query = self.columns.query(last=(column, "count(*)")) + f" WHERE {when} GROUP BY 1"
                for code, times in self.con.execute(query).fetchall():
                    self.pack.crosswalk(crosswalk_id).count(code, times)


def _any(issues: Iterable[_Issue]) -> str:
    return " OR ".join(dict.fromkeys(f"({issue.when})" for issue in issues))


def _bottom_up(expr: ir.Expr) -> Iterator[ir.Expr]:
    for child in expr.inputs():
        yield from _bottom_up(child)
    yield expr
