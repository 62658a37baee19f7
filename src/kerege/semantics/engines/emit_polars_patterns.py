"""Patterns as Polars expressions: each line one expression of Rust's regular expressions with all its groups, over the texts no line before it read.

Lines leave no choice (`patterns`), so Rust answers as the definition does, with the exception told there: no `upto` text may have one of its stops.
Rust reads in time linear in the text whatever stands in it. A pattern that is too large for its compiler stays with the side table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kerege.semantics.engines.emit_polars_words import Expr, not_empty
from kerege.semantics.normalise import folding
from kerege.semantics.patterns.pattern import Line, Pattern, certain_of, expression, may_end_blank, names_of, stops_of

if TYPE_CHECKING:
    import polars as pl


def _written(line: Line) -> str:
    return rf"\A(?:{expression(line)})\z"


@lru_cache(maxsize=256)
def readable(pattern: Pattern) -> bool:
    """Whether Rust compiles all of the pattern's expressions; it refuses what would take too much memory."""
    import polars as pl

    nothing = pl.Series("a", [""], pl.String)
    try:
        for line in pattern.lines:
            nothing.str.contains(_written(line))
            for _, stops in stops_of(line):
                nothing.str.contains(stops)
    except pl.exceptions.ComputeError:
        return False
    return True


def take_apart(pl: Any, lazy: pl.LazyFrame, name: str, of: str, pattern: Pattern) -> pl.LazyFrame:
    """`lazy` with the texts of the column `of` taken apart: a column of groups for each line, and `{name}_line`, the line that read the text."""
    line = pl.lit(None, pl.Int32)
    for number, elements in enumerate(pattern.lines):
        groups = f"{name}_{number}"
        left = pl.when(line.is_null()).then(pl.col(of))
        lazy = lazy.with_columns(left.str.extract_groups(_written(elements)).alias(groups))
        names = names_of(elements)
        fits = pl.col(groups).struct.field(str(names.index(certain_of(elements)) + 1)).is_not_null()
        for at, stops in stops_of(elements):
            fits = fits & ~pl.col(groups).struct.field(str(at + 1)).str.contains(stops)
        read = pl.when(fits.fill_null(False)).then(pl.lit(number, pl.Int32)).otherwise(line)
        lazy = lazy.with_columns(read.alias(f"{name}_line"))
        line = pl.col(f"{name}_line")
    return lazy


def part(pl: Any, name: str, pattern: Pattern, wanted: str) -> Expr:
    """The value of one part, out of the columns that `take_apart` made."""
    value = pl.lit(None, pl.String)
    for number, elements in enumerate(pattern.lines):
        names = names_of(elements)
        if wanted in names:
            found = pl.col(f"{name}_{number}").struct.field(str(names.index(wanted) + 1))
            value = pl.when(pl.col(f"{name}_line") == number).then(found).otherwise(value)
    if any(may_end_blank(elements, wanted) for elements in pattern.lines):
        value = value.str.strip_chars(folding.WHITESPACE)
    return not_empty(pl, value)


def unread(pl: Any, name: str, of: str) -> Expr:
    """Whether there is a text and no line read it."""
    return pl.col(of).is_not_null() & pl.col(f"{name}_line").is_null()
