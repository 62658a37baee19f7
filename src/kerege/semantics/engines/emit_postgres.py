"""Compile a mapping to PostgreSQL: SQL to run inside the agency's own database, with the same cells as `engines.emit_python` gives.

Nothing of the source is written: temporary tables are defined first, and all that reads the source runs in READ ONLY transactions, which
PostgreSQL itself holds to. Code lists and crosswalks are side tables loaded once; grammars run in Python once per distinct value, through
side tables a runner fills between two statements. `Script` says all of this as data; `run` walks it with a `Session`, which knows the driver
(`catalogue.mappings.run_postgres`). No driver here.

Values never meet the database's locale: every cell becomes text of collation "C" first, and `engines.emit_postgres_words` uses no function that
follows a locale. One statement per stretch between grammars: its levels are subqueries with OFFSET 0, so that each column is computed once.
Decision: docs/decisions/0124.
"""

# ruff: noqa: S608  every name and text that goes into SQL here is quoted by `sql`; there is no other way to write SQL for any table

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines import emit_postgres_words as pg
from kerege.semantics.engines.emit_postgres_write import (
    ISSUES,
    LIST,
    SETTINGS,
    VERDICT,
    Load,
    Run,
    Script,
    SideRow,
    Writer,
)
from kerege.semantics.engines.plan import Plan, plan_of
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.mappings.operators import Lists
from kerege.semantics.mappings.problems import Verdict

__all__ = ["SETTINGS", "PostgresResult", "PostgresTable", "Session", "SideRow", "compile_postgres"]
FIRST_VERSION: Final = 140000


class Session(Protocol):
    """What `run` needs of a connection to PostgreSQL; errors of the driver pass through."""

    def columns(self, relation: str) -> Sequence[str]:
        """The columns of a table or view (given as quoted SQL); TableInvalid or the driver's error when there is none."""

    def define(self, statements: Sequence[str]) -> None:
        """Run the statements in one transaction with SETTINGS."""

    def begin(self) -> None:
        """Begin a READ ONLY transaction with SETTINGS."""

    def commit(self) -> None:
        """End it."""

    def rollback(self) -> None:
        """Give it up, whatever state it is in."""

    def execute(self, statement: str) -> None:
        """Run one statement."""

    def rows(self, query: str) -> list[tuple[str | int | None, ...]]:
        """The rows of a query."""

    def load(self, table: str, columns: Sequence[str], rows: Iterable[SideRow]) -> None:
        """COPY rows into a temporary table."""


@dataclass(frozen=True)
class PostgresResult:
    """What a run left in the session: the temporary table `table` with `_row`, the canonical fields, `_problems` (jsonb) and `_verdict`."""

    table: str
    rows: int
    verdicts: Counter[Verdict]
    problems: Counter[tuple[str, str]]  # (field, problem code)
    parsed: dict[str, int] = field(default_factory=dict)  # grammar -> distinct values it ran on


@dataclass(frozen=True)
class PostgresTable:
    """A mapping compiled for PostgreSQL."""

    mapping: Mapping
    pack: Lists
    plan: Plan

    def script(self, relation: str, into: str = "", order_by: Sequence[str] = ()) -> Script:
        """What is to be done for the table or view `relation`; `order_by` (columns) decides `_row`, without it the order of reading."""
        return Writer(self.mapping, self.pack, self.plan, relation, into, order_by).write()

    def run(self, session: Session, relation: str, into: str = "", order_by: Sequence[str] = ()) -> PostgresResult:
        """Map `relation` inside the database. An existing temporary table `into` is replaced at the end only."""
        present = session.columns(sql.identifier(relation))
        missing = [name for name in (*self.mapping.cells, *order_by) if name not in present]
        if missing:
            raise TableInvalid(table=relation, mapping=self.mapping.id, reason=f"columns missing: {', '.join(missing)}")
        script = self.script(relation, into, order_by)
        self._check(session, relation)
        session.define([d.sql for d in script.define])
        try:
            parsed = self._work(session, script)
            result = self._tell(session, script, parsed)
        except BaseException:
            session.rollback()
            session.define([f"DROP TABLE IF EXISTS pg_temp.{sql.quoted(d.table)}" for d in script.define])
            raise
        session.define(script.finish)
        return result

    def _check(self, session: Session, relation: str) -> None:
        query = "SELECT current_setting('server_encoding'), current_setting('server_version_num')"
        ((encoding, version),) = session.rows(query)
        reason = ""
        if encoding != "UTF8":
            reason = f"the database's encoding is {encoding}; mappings run inside UTF8 databases only, map a copy with DuckDB instead"
        elif int(version or 0) < FIRST_VERSION:
            reason = f"the server's version is {version}; 14 or later is needed, map a copy with DuckDB instead"
        if reason:
            raise TableInvalid(table=relation, mapping=self.mapping.id, reason=reason)

    def _work(self, session: Session, script: Script) -> Counter[str]:
        parsed: Counter[str] = Counter()
        session.begin()
        for step in script.steps:
            if isinstance(step, Run):
                session.execute(step.sql)
            elif isinstance(step, Load):
                session.load(step.table, LIST, step.rows)
            else:
                values = [str(row[0]) for row in session.rows(step.query)]
                parsed.update({node.name: len(values) for node in step.nodes})
                session.load(step.table, step.columns, step.rows(values, self.pack))
        return parsed

    def _tell(self, session: Session, script: Script, parsed: Counter[str]) -> PostgresResult:
        result = f"pg_temp.{sql.quoted(script.result)}"
        by_verdict = session.rows(f"SELECT {VERDICT}, count(*) FROM {result} GROUP BY 1")
        verdicts = Counter({cast("Verdict", verdict): int(times or 0) for verdict, times in by_verdict})
        query = (
            f"SELECT p->>'field', p->>'code', count(*) FROM {result}, jsonb_array_elements({ISSUES}) AS p GROUP BY 1, 2"
        )
        problems = Counter({(str(name), str(code)): int(times or 0) for name, code, times in session.rows(query)})
        for crosswalk, column in script.counters:
            query = f"SELECT {column}, count(*) FROM {result} WHERE {column} IS NOT NULL GROUP BY 1"
            for code, times in session.rows(query):
                self.pack.crosswalk(crosswalk).count(str(code), int(times or 0))
        session.commit()
        return PostgresResult(script.into, sum(verdicts.values()), verdicts, problems, dict(parsed))


def compile_postgres(mapping: Mapping, pack: Lists) -> PostgresTable:
    """The mapping for PostgreSQL; ids it names are looked up now, and texts PostgreSQL cannot hold are told."""
    plan = plan_of(mapping, pack, is_native)
    for node in (n for f in mapping.fields for n in f.expr.walk()):
        written = [getattr(node, name, "") for name in ("text", "separator", "fill")]
        if any("\0" in w for w in written if isinstance(w, str)):
            raise TableInvalid(
                table="PostgreSQL", mapping=mapping.id, reason=f"{node.name} writes a NUL, which PostgreSQL cannot hold"
            )
    return PostgresTable(mapping, pack, plan)


def is_native(node: ir.Expr) -> bool:
    """Whether `node` runs as SQL here."""
    return type(node) in pg.WORDS or isinstance(
        node, ir.Field | ir.Const | ir.Concat | ir.Coalesce | ir.When | ir.Together
    )
