"""Writes a mapping as PostgreSQL statements: names for all nodes first, then level by level, then what is stored between levels.

`Script` is the whole of it as data: temporary tables to define, steps in order, how to finish. A level is one SELECT over the level
before, as a subquery with OFFSET 0, so that the planner computes each column once; before a level whose side tables need values, what is so
far is stored, the columns still needed only. Who runs it is `engines.emit_postgres`; how an operator is written, `engines.emit_postgres_words`.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines import emit_postgres_words as pg
from kerege.semantics.engines import words
from kerege.semantics.engines.plan import SIDE_PARTS, Condition, Issue, Plan, side_columns, side_row
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import RESERVED, Mapping
from kerege.semantics.mappings.operators import Lists, lookup_table
from kerege.semantics.mappings.problems import SOURCE_CODE_LENGTH

ROW, ISSUES, VERDICT = RESERVED
TEXT: Final = 'text COLLATE "C"'
LIST: Final = ("k", "v")  # a code list or crosswalk: what is looked up, what is found
_RUNS: itertools.count[int] = itertools.count(1)
# Inside the transactions only: what text a date, a time or a number becomes, how literals are read, and plans that do not guess.
SETTINGS: Final = (
    *("client_encoding = 'UTF8'", "standard_conforming_strings = on", "datestyle = 'ISO, YMD'", "timezone = 'UTC'"),
    *("intervalstyle = 'iso_8601'", "bytea_output = 'hex'", "xmloption = 'content'", "synchronize_seqscans = off"),
    *(
        "max_parallel_workers_per_gather = 0",
        "enable_nestloop = off",
        "enable_mergejoin = off",
        "join_collapse_limit = 1",
        "jit = off",
    ),
)
SideRow = tuple[str | int | None, ...]  # key, value, and for operators with problems code, source code and severity


@dataclass(frozen=True, slots=True)
class Define:
    """A temporary table to create, in a transaction of its own that touches nothing else."""

    table: str
    columns: tuple[tuple[str, str], ...]

    @property
    def sql(self) -> str:
        columns = ", ".join(f"{sql.quoted(name)} {kind}" for name, kind in self.columns)
        return f"CREATE TEMPORARY TABLE {sql.quoted(self.table)} ({columns}) ON COMMIT PRESERVE ROWS"


@dataclass(frozen=True, slots=True)
class Run:
    """One INSERT into a temporary table."""

    sql: str


@dataclass(frozen=True)
class Load:
    """Rows known now (a code list, a crosswalk) for a side table."""

    table: str
    rows: tuple[SideRow, ...]


@dataclass(frozen=True)
class Fill:
    """A side table of grammars: run `query` for the distinct values, give each to the functions of `nodes`, load the rows."""

    table: str
    columns: tuple[str, ...]
    query: str
    nodes: tuple[ir.Expr, ...]

    def rows(self, values: Iterable[str], pack: Lists) -> Iterator[SideRow]:
        return map(side_row(self.nodes, pack), values)


Step = Run | Load | Fill


@dataclass(frozen=True)
class Script:
    """Everything to be done, in order. `counters`: crosswalk and the hidden column of `result` that holds the codes to count."""

    define: tuple[Define, ...]
    steps: tuple[Step, ...]
    result: str
    into: str
    counters: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """As one SQL text for people to read and, when no grammar is in it, to run with psql."""
        out = ["BEGIN;", *(f"SET LOCAL {s};" for s in SETTINGS), *(f"{d.sql};" for d in self.define), "COMMIT;"]
        out += ["BEGIN READ ONLY;", *(f"SET LOCAL {s};" for s in SETTINGS)]
        for step in self.steps:
            if isinstance(step, Run):
                out.append(f"{step.sql};")
            elif isinstance(step, Load):
                out += _inserts(step)
            else:
                names = ", ".join(node.name for node in step.nodes)
                out.append(f"-- {names}: a runner fills {step.table} from: {step.query}")
        out += ["COMMIT;", *(f"{s};" for s in self.finish)]
        return "\n".join(out) + "\n"

    @property
    def finish(self) -> tuple[str, ...]:
        """The result under its name, without what only the counters needed; the rest dropped."""
        hidden = [f"DROP COLUMN {sql.quoted(column)}" for _, column in self.counters]
        result, into = sql.quoted(self.result), sql.quoted(self.into)
        return (
            *((f"ALTER TABLE pg_temp.{result} {', '.join(hidden)}",) if hidden else ()),
            f"DROP TABLE IF EXISTS pg_temp.{into}",
            f"ALTER TABLE pg_temp.{result} RENAME TO {into}",
            *(f"DROP TABLE pg_temp.{sql.quoted(d.table)}" for d in self.define if d.table != self.result),
        )


def _inserts(step: Load, at_once: int = 500) -> Iterator[str]:
    for start in range(0, len(step.rows), at_once):
        rows = step.rows[start : start + at_once]
        values = ", ".join(f"({', '.join('NULL' if v is None else sql.literal(str(v)) for v in row)})" for row in rows)
        yield f"INSERT INTO pg_temp.{sql.quoted(step.table)} VALUES {values};"


@dataclass
class _Level:
    """One SELECT over the level before: new columns, joins, and the columns it reads."""

    columns: list[tuple[str, str, str]] = field(default_factory=list)  # name, type, SQL
    joins: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)  # side tables to fill before it; then what is before is stored


class Writer:
    """Writes one script: names for all nodes first, then level by level, then what is stored between levels."""

    def __init__(
        self, mapping: Mapping, pack: Lists, plan: Plan, relation: str, into: str, order_by: Sequence[str]
    ) -> None:
        self.mapping, self.pack, self.plan = mapping, pack, plan
        self.relation, self.into, self.order_by = relation, into or f"mapped_{next(_RUNS)}", order_by
        self.prefix = f"kerege_{next(_RUNS)}"
        self.names: dict[ir.Expr, str] = {node: f"s{n}" for n, node in enumerate(self.plan.fields)}
        self.names |= {node: f"c{n}" for n, node in enumerate(itertools.chain(*self.plan.stages))}
        self.define: list[Define] = []
        self.steps: list[Step] = []
        self.level = _Level()

    def write(self) -> Script:
        levels = [*self._source(), *(level for stage in self.plan.stages for level in self._stage(stage))]
        last, counters = self._last()
        levels.append(last)
        result = f"{self.prefix}_result"
        self._assemble(levels, result)
        return Script(tuple(self.define), tuple(self.steps), result, self.into, counters)

    def _table(self, name: str, columns: Iterable[tuple[str, str]]) -> str:
        table = f"{self.prefix}_{name}"
        self.define.append(Define(table, tuple(columns)))
        return table

    def use(self, name: str) -> str:
        self.level.uses.add(name)
        return f"t.{name}"

    def col(self, node: ir.Expr) -> str:
        return self.use(self.names[self.plan.resolved(node)])

    def _new(self) -> _Level:
        self.level = _Level()
        return self.level

    # --- levels -------------------------------------------------------------------------------------------------------------------

    def _source(self) -> Iterator[_Level]:
        """The cells as text of collation "C", then: blank is null, too long is null and marked."""
        order = f"ORDER BY {', '.join(map(sql.quoted, self.order_by))}" if self.order_by else ""
        level = self._new()
        level.columns.append((ROW, "bigint", f"row_number() OVER ({order}) - 1"))
        for number, node in enumerate(self.plan.fields):
            level.columns.append((f"r{number}", TEXT, f't.{sql.quoted(node.cell)}::text COLLATE "C"'))
        yield level
        level = self._new()
        for number, _ in enumerate(self.plan.fields):
            raw = self.use(f"r{number}")
            limit = self.mapping.cell_limit
            # bytes are counted first: no text has more characters than bytes
            too_long = f"coalesce(octet_length({raw}) > {limit} AND length({raw}) > {limit}, false)"
            value = f"CASE WHEN NOT {too_long} AND {pg.something(raw)} THEN {raw} END"
            level.columns += [(f"s{number}", TEXT, value), (f"s{number}_long", "boolean", too_long)]
        if level.columns:
            yield level

    def _stage(self, stage: tuple[ir.Expr, ...]) -> Iterator[_Level]:
        if self.plan.ways[stage[0]] == "side":
            level = self._new()
            for of, nodes in self.plan.grammars(stage).items():
                self._side(level, of, tuple(nodes))
            yield level
            return
        prepared, before = self._prepared(stage)
        if prepared.columns:
            yield prepared
        level = self._new()
        for node in stage:
            name = self.names[node]
            if self.plan.ways[node] == "list":
                self._listed(level, node, name)
            else:
                level.columns.append((name, TEXT, self._expression(node, before.get(node, ()))))
        yield level

    def _prepared(self, stage: tuple[ir.Expr, ...]) -> tuple[_Level, dict[ir.Expr, tuple[str, ...]]]:
        """Columns that words ask for beforehand, and the folded keys of look-ups; the same one is computed once."""
        level, made, before = self._new(), dict[str, str](), dict[ir.Expr, tuple[str, ...]]()
        for node in stage:
            wanted: tuple[str, ...] = ()
            if self.plan.ways[node] == "list":
                wanted = (pg.fold(self._given(node)),) if self._folded(node) else ()
            elif type(node) in pg.WORDS:
                wanted = pg.WORDS[type(node)].prepared(node, self._given(node))
            for written in wanted:
                if written not in made:
                    made[written] = f"{self.names[node]}_p{len(made)}"
                    level.columns.append((made[written], TEXT, written))
            if wanted:
                before[node] = tuple(made[written] for written in wanted)
        self.before = before
        return level, before

    def _given(self, node: ir.Expr) -> str:
        return self.col(next(iter(node.inputs())))

    def _expression(self, node: ir.Expr, prepared: tuple[str, ...]) -> str:
        if isinstance(node, ir.Const):
            return f"{pg.text(node.text)}::text" if node.text else "NULL::text"
        if isinstance(node, ir.Concat):
            return f"nullif(concat_ws({pg.text(node.separator)}, {', '.join(map(self.col, node.parts))}), '')"
        if isinstance(node, ir.Coalesce):
            return f"coalesce({', '.join(map(self.col, node.parts))})"
        if isinstance(node, ir.Together):
            first, *rest = map(self.col, node.parts)
            return " || ".join(
                [
                    first,
                    *(
                        f"{pg.text(words.BETWEEN)} || coalesce({pg.letters(part, words.APART)}, {pg.text(words.NOTHING)})"
                        for part in rest
                    ),
                ]
            )
        if isinstance(node, ir.When):
            other = self.col(node.otherwise) if node.otherwise is not None else "NULL"
            return f"CASE WHEN {self._holds(node)} THEN {self.col(node.then)} ELSE {other} END"
        value = pg.WORDS[type(node)].value(node, self._given(node), *map(self.use, prepared))
        return f"nullif({value}, '')"

    def _holds(self, node: ir.When) -> str:
        test = self.col(node.test)
        return f"coalesce({test} IN ({pg.listed(node.values)}), false)" if node.values else f"({test} IS NOT NULL)"

    # --- lists and side tables ----------------------------------------------------------------------------------------------------

    def _folded(self, node: ir.Expr) -> bool:
        if isinstance(node, ir.Recode):
            return self.pack.crosswalk(node.crosswalk).match == "folded"
        return isinstance(node, ir.Lookup) and node.by == "wording"

    def _listed(self, level: _Level, node: ir.Expr, name: str) -> None:
        """A join with a list known now: the value and, for a recode, whether the code is unknown."""
        given = self._given(node)
        if isinstance(node, ir.Member):
            table = {c.notation: c.notation for c in self.pack.codelist(node.codelist)}
        elif isinstance(node, ir.Lookup):
            table = lookup_table(node, self.pack)
        else:
            assert isinstance(node, ir.Recode)
            table = dict(self.pack.crosswalk(node.crosswalk).table)
        side = self._table(f"list_{name}", ((column, TEXT) for column in LIST))
        rows = [(k, v) for k, v in table.items() if "\0" not in k]
        self.steps.append(Load(side, tuple(rows)))
        key = self.use(self.before[node][0]) if self._folded(node) else given
        level.joins.append(f"LEFT JOIN pg_temp.{sql.quoted(side)} AS j_{name} ON j_{name}.k = {key}")
        value = f"j_{name}.v"
        if isinstance(node, ir.Recode):
            policy = self.pack.crosswalk(node.crosswalk).policy
            missed = f"({given} IS NOT NULL AND j_{name}.k IS NULL)"
            default = pg.text(policy.default) if policy.default else "NULL"
            other = given if policy.kind == "pass-and-flag" else default
            value = f"CASE WHEN {missed} THEN {other} ELSE {value} END"
            level.columns.append((f"{name}_missed", "boolean", missed))
        level.columns.append((name, TEXT, value))

    def _side(self, level: _Level, of: ir.Expr, nodes: tuple[ir.Expr, ...]) -> None:
        """A join with what grammars gave for the distinct values of `of`."""
        key = self.col(of)
        columns = side_columns(nodes, [self.names[node] for node in nodes])
        alias = f"j_{columns[0]}"
        side = self._table(f"side_{columns[0]}", ((column, TEXT) for column in ("k", *columns)))
        level.fills.append(
            Fill(side, ("k", *columns), key.removeprefix("t."), nodes)
        )  # the query when what is before is stored
        level.joins.append(f"LEFT JOIN pg_temp.{sql.quoted(side)} AS {alias} ON {alias}.k = {key}")
        level.columns += [(column, TEXT, f"{alias}.{column}") for column in columns]

    # --- problems -----------------------------------------------------------------------------------------------------------------

    def _true(self, condition: Condition) -> str:
        node = condition.node
        if condition.test == "null":
            return f"{self.col(node)} IS NULL"
        if condition.test == "there":
            return f"{self.col(node)} IS NOT NULL"
        if condition.test == "contradicts":
            assert isinstance(node, ir.Pin)
            birth = self.col(node.birth_date) if node.birth_date is not None else None
            return pg.contradicts(self.col(node), birth, self.col(node.sex) if node.sex is not None else None)
        if isinstance(node, ir.When):
            return self._holds(node) if condition.test == "holds" else f"NOT {self._holds(node)}"
        name = self.names[self.plan.resolved(node)]
        if condition.test == "told":
            return f"{self.use(f'{name}_code')} IS NOT NULL"
        return self.use(f"{name}_long" if condition.test == "too long" else f"{name}_missed")

    def _issue(self, issue: Issue, when: str) -> str:
        if issue.code is None:
            name = self.names[self.plan.resolved(issue.when[-1].node)]
            code, source, severity = (self.use(f"{name}_{part}") for part in SIDE_PARTS)
        elif issue.source is None:
            told = {"field": issue.field, "code": issue.code, "source_code": None, "severity": issue.severity}
            return f"CASE WHEN {when} THEN {sql.literal(json.dumps(told, ensure_ascii=False))}::jsonb END"
        else:
            code, severity = sql.literal(issue.code), sql.literal(issue.severity)
            source = f"left({self.col(issue.source)}, {SOURCE_CODE_LENGTH})"
        parts = (("field", sql.literal(issue.field)), ("code", code), ("source_code", source), ("severity", severity))
        return f"CASE WHEN {when} THEN jsonb_build_object({', '.join(f'{sql.literal(k)}, {v}' for k, v in parts)}) END"

    def _last(self) -> tuple[_Level, tuple[tuple[str, str], ...]]:
        """The result's columns: the fields, the problems in order, the verdict, and the codes that crosswalks count."""
        level = self._new()
        level.columns += [(f.name, TEXT, self.col(f.expr)) for f in self.mapping.fields]
        counters: list[tuple[str, str]] = []
        listed: list[str] = []
        for issue in self.plan.issues:
            when = " AND ".join(map(self._true, issue.when))
            listed.append(self._issue(issue, when))
            if issue.crosswalk is not None and issue.source is not None:
                counters.append((issue.crosswalk, f"_u{len(counters)}"))
                level.columns.append((counters[-1][1], TEXT, f"CASE WHEN {when} THEN {self.col(issue.source)} END"))
        array = f"array_remove(ARRAY[{', '.join(listed)}]::jsonb[], NULL)"
        level.columns.append((ISSUES, "jsonb", f"to_jsonb({array})"))
        return level, tuple(counters)

    def _verdict(self) -> str:
        return (
            f"CASE WHEN t.{ISSUES} = '[]' THEN 'ok' WHEN t.{ISSUES} @> '[{{\"severity\": \"reject\"}}]' THEN 'rejected' "
            f"WHEN t.{ISSUES} @> '[{{\"severity\": \"quarantine\"}}]' THEN 'quarantined' ELSE 'flagged' END"
        )

    # --- statements ---------------------------------------------------------------------------------------------------------------

    def _assemble(self, levels: list[_Level], result: str) -> None:
        """Nest the levels; store what is so far, live columns only, before a level whose side tables need its values."""
        known: dict[str, str] = {}
        loads, self.steps = self.steps, []
        self.steps += loads
        current = f"{sql.identifier(self.relation)} AS t"
        for place, level in enumerate(levels[:-1]):
            if level.fills:
                live = set().union(*(later.uses for later in levels[place:]))
                kept = [(name, kind) for name, kind in known.items() if name in live or name == ROW]
                stored = self._table(f"stage{place}", kept)
                columns = ", ".join(f"t.{name}" for name, _ in kept)
                self.steps.append(Run(f"INSERT INTO pg_temp.{sql.quoted(stored)} SELECT {columns} FROM {current}"))
                for fill in level.fills:
                    query = (
                        f"SELECT DISTINCT {fill.query} FROM pg_temp.{sql.quoted(stored)} WHERE {fill.query} IS NOT NULL"
                    )
                    self.steps.append(replace(fill, query=query))
                current = f"pg_temp.{sql.quoted(stored)} AS t"
            before = "t.*, " if place else ""
            columns = ", ".join(f"{written} AS {name}" for name, _, written in level.columns)
            joins = " ".join(level.joins)
            current = f"(SELECT {before}{columns} FROM {current} {joins} OFFSET 0) AS t"
            known |= {name: kind for name, kind, _ in level.columns}
        final = levels[-1]
        columns = ", ".join(f"{written} AS {sql.quoted(name)}" for name, _, written in final.columns)
        names = [(name, kind) for name, kind, _ in final.columns]
        self.define.append(Define(result, ((ROW, "bigint"), *names, (VERDICT, TEXT))))
        inner = f"(SELECT t.{ROW}, {columns} FROM {current} OFFSET 0) AS t"
        self.steps.append(Run(f"INSERT INTO pg_temp.{sql.quoted(result)} SELECT t.*, {self._verdict()} FROM {inner}"))
