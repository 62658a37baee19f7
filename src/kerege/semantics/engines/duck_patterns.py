"""Patterns as DuckDB columns: each line one expression of RE2 with all its groups, tried only where the lines before it did not read the text.

Lines leave no choice (`patterns`), so RE2 answers as the definition does, with the exception told there: no `upto` text may have one of its stops.
A pattern that is too large for RE2's compiler (`readable`) is run in Python once per different text, as grammars are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines.duck_columns import Columns
from kerege.semantics.mappings import ir
from kerege.semantics.patterns.pattern import (
    Line,
    Pattern,
    certain_of,
    expression,
    may_end_blank,
    names_of,
    stops_of,
    tidy,
)


@dataclass(frozen=True, slots=True)
class _Try:
    """One line in one form: the column of its groups, and whether the text has no blanks but spaces where it reads it."""

    struct: str
    elements: Line
    tidy: bool


@lru_cache(maxsize=256)
def readable(pattern: Pattern) -> bool:
    """Whether RE2 compiles all of the pattern's expressions; it refuses what would take too much memory."""
    import duckdb

    with duckdb.connect() as connection:
        for elements in pattern.lines:
            names = ", ".join(map(sql.literal, names_of(elements)))
            asked = [f"regexp_extract('', {_whole(text)}, [{names}])" for text, _ in _forms(elements)]
            asked += [f"regexp_matches('', {sql.literal(stops)})" for _, stops in stops_of(elements)]
            try:
                connection.execute(f"SELECT {', '.join(asked)}").fetchall()
            except (duckdb.BinderException, duckdb.InvalidInputException):
                return False
    return True


def _whole(text: str) -> str:
    return sql.literal(f"^(?:{text})$")


def _forms(elements: Line) -> list[tuple[str, bool]]:
    """(expression, tidy) of a line: as it is, and where there is one, for texts whose only blanks are spaces."""
    plain = tidy(elements)
    return [(expression(elements), False), *([(plain, True)] if plain is not None else [])]


class PatternColumns:
    """The columns of the texts that were taken apart, once for all parts of one text."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._read: dict[tuple[str, Pattern], tuple[list[_Try], str]] = {}

    def part(self, node: ir.Extract, of: str) -> tuple[str, str]:
        """(the column of the part's value, the condition that no line read the text)."""
        tries, line = self._take_apart(node.pattern, of)
        cases = [
            f"WHEN {number} THEN {_bare(one, node.part)}"
            for number, one in enumerate(tries)
            if node.part in names_of(one.elements)
        ]
        value = self.columns.define(
            f"nullif(CASE {line} {' '.join(cases)} END, '')", line, *(one.struct for one in tries)
        )
        return value, f"({of} IS NOT NULL AND {line} IS NULL)"

    def _take_apart(self, pattern: Pattern, of: str) -> tuple[list[_Try], str]:
        """(the lines as they are tried, the column of the place of the one that read the text).

        The tidy forms of all lines come first: they read no text that has another blank than a space, and of the others what the full forms read.
        """
        if (of, pattern) in self._read:
            return self._read[of, pattern]
        told = [(text, elements, plain) for elements in pattern.lines for text, plain in _forms(elements)]
        forms = [one for one in told if not one[2]]
        tidied = [one for one in told if one[2]]
        if len(tidied) == len(forms):
            forms = [*tidied, *forms]
        tries: list[_Try] = []
        conditions: list[str] = []
        for text, elements, plain in forms:
            names = names_of(elements)
            listed = ", ".join(map(sql.literal, names))
            text = f"regexp_extract({of}, {_whole(text)}, [{listed}])"
            if conditions:
                text = f"CASE WHEN NOT ({' OR '.join(conditions)}) THEN {text} END"
            struct = self.columns.define(text, of, *conditions)
            tries.append(_Try(struct, elements, plain))
            fits = [f"struct_extract({struct}, {sql.literal(certain_of(elements))}) <> ''"]
            fits += [
                f"NOT regexp_matches(struct_extract({struct}, {sql.literal(names[at])}), {sql.literal(stops)})"
                for at, stops in stops_of(elements)
            ]
            conditions.append(self.columns.define(f"CASE WHEN {' AND '.join(fits)} THEN true ELSE false END", struct))
        cases = [f"WHEN {condition} THEN {number}" for number, condition in enumerate(conditions)]
        line = self.columns.define(f"CASE {' '.join(cases)} END", *conditions)
        self._read[of, pattern] = tries, line
        return tries, line


def _bare(one: _Try, part: str) -> str:
    """The part's text without blanks at its ends."""
    text = f"struct_extract({one.struct}, {sql.literal(part)})"
    if not may_end_blank(one.elements, part):
        return text
    return (
        f"CASE WHEN {text} < '!' OR suffix({text}, ' ') THEN trim({text}, ' ') ELSE {text} END"
        if one.tidy
        else sql.trim(text)
    )
