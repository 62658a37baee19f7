"""The plain operators as Polars expressions: letters by tables written out, shapes by patterns of ASCII digits that Rust reads in one way.

`pl` is the module `polars`, handed in, so that nothing here needs it to be imported. What the operators compute is defined in `operators`;
`celldiff` holds this module to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kerege.semantics.engines import words
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.operators import NUMBER_LENGTH
from kerege.semantics.normalise import codes, folding

Expr = Any  # a Polars expression


def not_empty(pl: Any, x: Expr) -> Expr:
    return pl.when(x != "").then(x)


def letters(x: Expr, table: words.Letters) -> Expr:
    if not table.source:
        return x
    return x.str.replace_many(list(table.source), [*table.target, *([""] * len(table.dropped))])


def _squeezed(x: Expr) -> Expr:
    """Plain spaces collapsed, none at the ends."""
    return x.str.replace_all("  +", " ").str.strip_chars(" ")


def fold(_: Any, x: Expr) -> Expr:
    return _squeezed(letters(x, words.FOLD))


def _split(pl: Any, node: ir.Split, x: Expr) -> Expr:
    place = node.part - 1 if node.part > 0 else node.part
    return x.str.split(node.on).list.get(place, null_on_oob=True)


def _existing(pl: Any, year: Expr, month: Expr, day: Expr) -> Expr:
    """The ISO text of three parts made of digits, when there is such a day in the years taken; else null."""
    inside = pl.concat_str([month, day])
    exists = inside.is_in(words.DAYS) | ((inside == words.LEAP_DAY) & year.is_in(words.LEAP_YEARS))
    taken = year.is_between(pl.lit(words.FIRST_YEAR), pl.lit(words.LAST_YEAR)) & exists
    return pl.when(taken).then(pl.concat_str([year, month, day], separator="-"))


def _date(pl: Any, name: str, cell: Expr) -> Expr:
    if name == words.SHORT:
        shape = "^[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}$"
        parts = cell.str.split(".")
        day, month = (parts.list.get(place, null_on_oob=True).str.pad_start(2, "0") for place in (0, 1))
        read = _existing(pl, cell.str.slice(-4), month, day)
    else:
        layout = words.LAYOUTS[name]
        shape = f"^{words.shape_of(layout)}" + ("" if layout.open_ended else "$")
        read = _existing(
            pl, *(cell.str.slice(at - 1, n) for at, n in ((layout.year, 4), (layout.month, 2), (layout.day, 2)))
        )
    return pl.when(cell.str.contains(shape)).then(read)


def _parse_date(pl: Any, node: ir.ParseDate, x: Expr) -> Expr:
    cell = x.str.strip_chars(folding.WHITESPACE)
    return pl.coalesce([_date(pl, name, cell) for name in node.formats])


def _number(pl: Any, _: ir.Number, x: Expr) -> Expr:
    digits = letters(x, words.NO_BLANKS)
    short = digits.str.strip_chars_start("0")
    readable = digits.str.contains(f"^[0-9]{{1,{NUMBER_LENGTH}}}$")
    return pl.when(readable).then(pl.when(short == "").then(pl.lit("0")).otherwise(short))


def _code(pl: Any, node: ir.Code, x: Expr) -> Expr:
    bare = letters(x, words.code_letters(node.alphabet))
    size = "+" if node.length is None else f"{{{node.length}}}"
    return pl.when(bare.str.contains(f"^[{codes.LETTERS[node.alphabet]}]{size}$")).then(bare)


def _pin(pl: Any, _: ir.Pin, x: Expr) -> Expr:
    digits = letters(x, words.PIN)
    exists = _existing(pl, *(digits.str.slice(at, size) for at, size in ((5, 4), (3, 2), (1, 2)))).is_not_null()
    return pl.when(digits.str.contains("^[12][0-9]{13}$") & exists).then(digits)


WORDS: Final[dict[type[ir.Expr], Callable[[Any, Any, Any], Any]]] = {
    ir.Trim: lambda pl, e, x: x.str.strip_chars(folding.WHITESPACE),
    ir.Collapse: lambda pl, e, x: _squeezed(letters(x, words.BLANKS)),
    ir.Upper: lambda pl, e, x: letters(x, words.UPPER),
    ir.Lower: lambda pl, e, x: letters(x, words.LOWER),
    ir.Fold: lambda pl, e, x: fold(pl, x),
    ir.Remove: lambda pl, e, x: letters(x, words.remove_letters(e)),
    ir.Split: _split,
    ir.Take: lambda pl, e, x: x.str.slice(e.start - 1, e.length),
    ir.Pad: lambda pl, e, x: x.str.pad_start(e.width, e.fill),
    ir.ParseDate: _parse_date,
    ir.Number: _number,
    ir.Code: _code,
    ir.Pin: _pin,
}
