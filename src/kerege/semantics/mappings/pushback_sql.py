"""A pushed-back question as the SQL of the agency's own table, for DuckDB and PostgreSQL: columns quoted, values as literals, nothing else.

Only conditions over source cells are written (`pushback.Pushed.condition`); what is left of the question (`residual`) is checked on the mapped
records by `answered`. Texts compare by their characters' numbers on both: PostgreSQL is asked under the collation "C". No condition is ever
negated, so that SQL's null (nobody knows) and ours (no) let through the same rows.
"""

# ruff: noqa: S608  every name and text is quoted by `sql`

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines.emit_python import Mapped, Mapper
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.pushback import All, Between, Equals, OneOf, Pushed, Question, Some, holds
from kerege.semantics.normalise.folding import WHITESPACE

Dialect = Literal["duckdb", "postgresql"]
DIALECTS: Final[tuple[Dialect, ...]] = ("duckdb", "postgresql")


def query(
    pushed: Pushed, mapping: FieldMapping, relation: str, dialect: Dialect, columns: Mapping[str, str] | None = None
) -> str:
    """SELECT the mapping's cells, under their own names, of the records that may meet the question.

    relation   the table, dots part schema and table
    columns    cell -> its column in that table; without it, or for a cell that is not there, the cell's own name
    """
    named = columns or {}
    cells = ", ".join(f"{_text(named.get(cell, cell), dialect)} AS {sql.quoted(cell)}" for cell in mapping.cells)
    where = "" if pushed.condition is None else f" WHERE {condition(pushed.condition, dialect, named)}"
    return f"SELECT {cells or '1'} FROM {sql.identifier(relation)}{where}"


def condition(question: Question, dialect: Dialect, columns: Mapping[str, str] | None = None) -> str:
    """A condition over cells as SQL; true for the records for which `pushback.holds` is."""
    if isinstance(question, All | Some):
        parts = [condition(q, dialect, columns) for q in question.of]
        if not parts:
            return "true" if isinstance(question, All) else "false"
        return "(" + (" AND " if isinstance(question, All) else " OR ").join(parts) + ")"
    column = _text((columns or {}).get(question.field, question.field), dialect)
    if isinstance(question, Between):
        return _between(question, column, dialect)
    values = (question.value,) if isinstance(question, Equals) else question.values
    if isinstance(question, OneOf) and question.trimmed:
        column = f"{'btrim' if dialect == 'postgresql' else 'trim'}({column}, {sql.literal(WHITESPACE)})"
    listed = [sql.literal(v) for v in values if not (dialect == "postgresql" and "\0" in v)]  # it holds no such text
    return f"{column} IN ({', '.join(listed)})" if listed else "false"


def _text(column: str, dialect: Dialect) -> str:
    written = f"CAST({sql.quoted(column)} AS VARCHAR)"
    return f'({written} COLLATE "C")' if dialect == "postgresql" else written


def _between(question: Between, column: str, dialect: Dialect) -> str:
    bounds = []
    for sign, value in ((">=", question.first), ("<=", question.last)):
        if value is not None:
            # no text of PostgreSQL has a NUL: what comes before it decides, and a longer text is more than either
            strict = dialect == "postgresql" and "\0" in value
            text = value.partition("\0")[0] if strict else value
            bounds.append(f"{column} {(sign[0] if sign == '>=' else sign) if strict else sign} {sql.literal(text)}")
    return f"({' AND '.join(bounds)})" if bounds else f"{column} IS NOT NULL"


def answered(rows: Iterable[Mapping[str, str | None]], mapper: Mapper, pushed: Pushed) -> Iterator[Mapped]:
    """The records of the source's answer, mapped, that meet the question."""
    residual = pushed.residual
    for row in rows:
        mapped = mapper(row)
        if residual is None or holds(residual, mapped.values):
            yield mapped
