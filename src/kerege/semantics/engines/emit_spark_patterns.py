"""Patterns as Spark columns: each line one Java expression, which line reads a text asked once, its parts only of that line.

Lines leave no choice (`patterns`), but Java goes back where it fails: it would let an `upto` pass its first stop, and take time that grows with
a power of the text's length. So an `upto` is written for Java as an atomic group that ends before the first stop and is never opened again; then
Java reads what the definition reads. `\\z` and not `$`, which in Java also stands before a last line break.
"""

from __future__ import annotations

from typing import Any

from kerege.semantics.normalise import folding
from kerege.semantics.patterns.pattern import (
    Line,
    Pattern,
    Upto,
    expression,
    literal_expression,
    may_end_blank,
    names_of,
)

Column = Any


def java_expression(line: Line) -> str:
    """The line for Java's `find`, one group for each of `names_of(line)`, in order; it matches the whole text or not at all."""
    return rf"\A(?:{''.join(_written((element,)) for element in line)})\z"


def _written(line: Line) -> str:
    (element,) = line
    if not isinstance(element, Upto):
        return expression(line)
    stops = f"(?:{literal_expression(element.stops)})"
    return f"(?!{stops})" + expression(line, rf"(?>[\s\S]*?(?={stops}))")


def line_of(F: Any, x: Column, pattern: Pattern) -> Column:
    """The number of the line that reads the text, null when none does."""
    found = F.lit(None).cast("int")
    for number in reversed(range(len(pattern.lines))):
        reads = F.regexp_like(x, F.lit(java_expression(pattern.lines[number])))
        found = F.when(reads, F.lit(number)).otherwise(found)
    return found


def part(F: Any, x: Column, line: Column, pattern: Pattern, wanted: str) -> Column:
    """The value of one part; `line` is the column of `line_of`."""
    value = F.lit(None).cast("string")
    for number, elements in enumerate(pattern.lines):
        names = names_of(elements)
        if wanted in names:
            found = F.regexp_extract(x, java_expression(elements), names.index(wanted) + 1)
            value = F.when(line == number, found).otherwise(value)
    if any(may_end_blank(elements, wanted) for elements in pattern.lines):
        value = F.btrim(value, F.lit(folding.WHITESPACE))
    return F.nullif(value, F.lit(""))
