"""Compile a mapping to DuckDB for whole tables: the same values and the same problems, in the same order, as `engines.emit_python` gives.

One query, one pass: each node of the mapping's tree is a column of a projection over those it reads (`engines.duck_layout`,
`engines.duck_columns`), and nothing is kept in between. Plain operators and patterns are SQL (`sql`, `engines.duck_patterns`). Grammars (names,
addresses, telephone numbers, places) cannot be SQL without giving another answer somewhere: they run in Python once per *distinct* input, before
the pass. What they gave, and small crosswalks and code lists, stand in the query as constants that a value's code points into; large ones are
joined. Operators over such coded values run on the constants instead of on the rows. Problems are conditions; lists of problems are only made for
rows that have one.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines.duck_layout import RUNS, Layout
from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.documents import RESERVED, Mapping
from kerege.semantics.mappings.operators import Lists, check_lists
from kerege.semantics.mappings.problems import Severity, Verdict

if TYPE_CHECKING:
    import duckdb

_ISSUE_TYPE: Final = "STRUCT(field VARCHAR, code VARCHAR, source_code VARCHAR, severity VARCHAR)"
ROW, ISSUES, VERDICT = RESERVED
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
        return _Run(self, connection, relation).table(into or f"mapped_{next(RUNS)}")

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


class _Run(Layout):
    """One run over one table: the columns, the problems, the query."""

    def __init__(self, compiled: DuckTable, connection: duckdb.DuckDBPyConnection, relation: str) -> None:
        super().__init__(compiled.mapping, compiled.pack, connection, relation)
        self.unmapped: list[tuple[str, str, str, str]] = []  # field, crosswalk, the column of codes, when they count

    # --- the two ways to run ------------------------------------------------------------------------------------------------------

    def table(self, into: str) -> TableResult:
        """Into a temporary table."""
        try:
            self.lay_out()
            order = self._result()
            query = self.columns.query(numbered=True, last=(ROW, *order)) + self._sorted()
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {sql.identifier(into)} AS {query}")
            return self._told(sql.identifier(into), into)
        finally:
            self.columns.drop()

    def file(self, path: Path, row_group: int) -> TableResult:
        """Into a file: written beside it, then put in its place."""
        beside = path.with_name(path.name + ".new")
        try:
            self.lay_out()
            order = self._result()
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
            condition = self.condition(node)
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
