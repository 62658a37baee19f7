"""The plain operators as Spark columns: letters by `translate` with the closed tables, dates and numbers by masks, no pattern anywhere.

`F` is `pyspark.sql.functions`, handed in, so that nothing here needs Spark to be imported. What the operators compute is defined in
`operators`; `celldiff` holds this module to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kerege.semantics.engines import words
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.operators import NUMBER_LENGTH
from kerege.semantics.normalise import codes, folding

DIGITS: Final = "0123456789"
# Two blanks of the table: once all blanks are plain spaces, neither can be in a text, so they can mark places in it.
OPEN, SHUT = "\x0b", "\x0c"
Column = Any


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def letters(F: Any, x: Column, table: words.Letters) -> Column:
    return F.translate(x, table.source, table.target) if table.source else x


def _squeezed(F: Any, x: Column) -> Column:
    """Plain spaces collapsed, none at the ends; there is no other blank in `x`, so two of them can serve as marks."""
    pair, gap = F.lit(OPEN + SHUT), F.lit(SHUT + OPEN)
    one = F.replace(F.replace(F.replace(x, F.lit(" "), pair), gap, F.lit("")), pair, F.lit(" "))
    return F.btrim(one, F.lit(" "))


def fold(F: Any, x: Column) -> Column:
    return _squeezed(F, letters(F, x, words.FOLD))


def _all_of(F: Any, x: Column, allowed: str) -> Column:
    return F.translate(x, allowed, "") == ""


def _existing(F: Any, year: Column, month: Column, day: Column) -> Column:
    """Whether three parts made of digits are a day of the years taken."""
    inside = F.concat(month, day)
    exists = inside.isin(*words.DAYS) | ((inside == words.LEAP_DAY) & year.isin(*words.LEAP_YEARS))
    return year.between(words.FIRST_YEAR, words.LAST_YEAR) & exists


def _date(F: Any, name: str, cell: Column, mask: Column) -> Column:
    if name == words.SHORT:
        fits = mask.isin("0.0.0000", "00.0.0000", "0.00.0000", "00.00.0000")
        day, month = (F.lpad(F.split_part(cell, F.lit("."), F.lit(n)), 2, "0") for n in (1, 2))
        year = F.right(cell, F.lit(4))
    else:
        layout = words.LAYOUTS[name]
        by_place = dict(layout.separators)
        last = layout.size - 1 if layout.open_ended else layout.size
        wanted = "".join(by_place.get(place, "0") for place in range(1, last + 1))
        fits = mask == wanted
        if layout.open_ended:
            following = F.substring(mask, layout.size, 1)
            fits = (F.substring(mask, 1, last) == wanted) & following.isin(*by_place[layout.size])
        year, month, day = (
            F.substring(cell, at, n) for at, n in ((layout.year, 4), (layout.month, 2), (layout.day, 2))
        )
    return F.when(fits & _existing(F, year, month, day), F.concat_ws("-", year, month, day))


def _parse_date(F: Any, node: ir.ParseDate, x: Column) -> Column:
    cell = F.btrim(x, F.lit(folding.WHITESPACE))
    mask = F.translate(F.substring(cell, 1, 11), DIGITS, "0" * len(DIGITS))
    return F.coalesce(*(_date(F, name, cell, mask) for name in node.formats))


def _number(F: Any, _: ir.Number, x: Column) -> Column:
    digits = letters(F, x, words.NO_BLANKS)
    readable = F.char_length(digits).between(1, NUMBER_LENGTH) & _all_of(F, digits, DIGITS)
    short = F.nullif(F.ltrim(digits, F.lit("0")), F.lit(""))
    return F.when(readable, F.coalesce(short, F.lit("0")))


def _code(F: Any, node: ir.Code, x: Column) -> Column:
    bare = letters(F, x, words.code_letters(node.alphabet))
    size = F.char_length(bare) == node.length if node.length is not None else bare != ""
    return F.when(size & _all_of(F, bare, codes.LETTERS[node.alphabet]), bare)


def _pin(F: Any, _: ir.Pin, x: Column) -> Column:
    digits = letters(F, x, words.PIN)
    parts = [F.substring(digits, at, size) for at, size in ((6, 4), (4, 2), (2, 2))]
    shape = (F.char_length(digits) == 14) & F.substring(digits, 1, 1).isin("1", "2") & _all_of(F, digits, DIGITS)
    return F.when(shape & _existing(F, *parts), digits)


WORDS: Final[dict[type[ir.Expr], Callable[[Any, Any, Any], Any]]] = {
    ir.Trim: lambda F, e, x: F.btrim(x, F.lit(folding.WHITESPACE)),
    ir.Collapse: lambda F, e, x: _squeezed(F, letters(F, x, words.BLANKS)),
    ir.Upper: lambda F, e, x: letters(F, x, words.UPPER),
    ir.Lower: lambda F, e, x: letters(F, x, words.LOWER),
    ir.Fold: lambda F, e, x: fold(F, x),
    ir.Remove: lambda F, e, x: letters(F, x, words.remove_letters(e)),
    ir.Split: lambda F, e, x: F.split_part(x, F.lit(e.on), F.lit(e.part)),
    ir.Take: lambda F, e, x: F.substring(x, e.start, e.length),
    ir.Pad: lambda F, e, x: F.when(F.char_length(x) >= e.width, x).otherwise(F.lpad(x, e.width, e.fill)),
    ir.ParseDate: _parse_date,
    ir.Number: _number,
    ir.Code: _code,
    ir.Pin: _pin,
}
