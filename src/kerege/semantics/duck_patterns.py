"""Patterns as DuckDB columns: each line one expression of RE2 with all its groups, tried only where the lines before it did not read the text.

Lines leave no choice (`patterns`), so RE2 answers as the definition does, with the exception told there: no `upto` text may have one of its stops.
"""

from __future__ import annotations

from kerege.semantics import ir, sql
from kerege.semantics.duck_columns import Columns
from kerege.semantics.patterns import Pattern, certain_of, expression, may_end_blank, names_of, stops_of


class PatternColumns:
    """The columns of the texts that were taken apart, once for all parts of one text."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._read: dict[tuple[str, Pattern], tuple[list[str], str]] = {}

    def part(self, node: ir.Extract, of: str) -> tuple[str, str]:
        """(the column of the part's value, the condition that no line read the text)."""
        structs, line = self._take_apart(node.pattern, of)
        cases = [
            f"WHEN {number} THEN struct_extract({struct}, {sql.literal(node.part)})"
            for number, (struct, elements) in enumerate(zip(structs, node.pattern.lines, strict=True))
            if node.part in names_of(elements)
        ]
        raw = self.columns.define(f"nullif(CASE {line} {' '.join(cases)} END, '')", line, *structs)
        value = raw
        if any(may_end_blank(line, node.part) for line in node.pattern.lines):
            odd = self.columns.define(sql.odd(of), of)
            value = self.columns.define(f"nullif({sql.trim(raw, odd)}, '')", raw, odd)
        return value, f"({of} IS NOT NULL AND {line} IS NULL)"

    def _take_apart(self, pattern: Pattern, of: str) -> tuple[list[str], str]:
        if (of, pattern) in self._read:
            return self._read[of, pattern]
        structs: list[str] = []
        conditions: list[str] = []
        for elements in pattern.lines:
            names = names_of(elements)
            listed = ", ".join(map(sql.literal, names))
            text = f"regexp_extract({of}, {sql.literal(f'^(?:{expression(elements)})$')}, [{listed}])"
            if conditions:
                text = f"CASE WHEN NOT ({' OR '.join(conditions)}) THEN {text} END"
            struct = self.columns.define(text, of, *conditions)
            structs.append(struct)
            fits = [f"struct_extract({struct}, {sql.literal(certain_of(elements))}) <> ''"]
            fits += [
                f"NOT regexp_matches(struct_extract({struct}, {sql.literal(names[at])}), {sql.literal(stops)})"
                for at, stops in stops_of(elements)
            ]
            conditions.append(self.columns.define(f"coalesce({' AND '.join(fits)}, false)", struct))
        cases = [f"WHEN {condition} THEN {number}" for number, condition in enumerate(conditions)]
        line = self.columns.define(f"CASE {' '.join(cases)} END", *conditions)
        self._read[of, pattern] = structs, line
        return structs, line
