"""The plain operators as PostgreSQL: expressions over text columns of collation "C", with no regular expression in them.

PostgreSQL lets the first quantifier of a regular expression decide the greediness of all of it, and its `upper`, `lower`, `trim` and
comparisons follow the database's locale and the columns' collations. So letters go through `translate` with the closed tables, dates and
numbers are told by their *mask* (every ASCII digit written 0), and runs of blanks shrink by `replace`. Each word may ask for prepared columns,
because PostgreSQL computes a repeated expression again each time.

What the operators compute is defined in `operators`; `celldiff` holds this module to it. Needs PostgreSQL 14 or later, encoding UTF8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kerege.semantics.engines import words
from kerege.semantics.engines.duck_words import literal
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.operators import NUMBER_LENGTH
from kerege.semantics.normalise import codes, folding

DIGITS: Final = "0123456789"
_ZEROS: Final = "0" * len(DIGITS)
# Two blanks of the table: once all blanks are plain spaces, neither can be in a text, so they can mark places in it.
_OPEN, _SHUT = "\x0b", "\x0c"


@dataclass(frozen=True, slots=True)
class Word:
    """How an operator is written: `prepared(node, x)` columns first, then `value(node, x, *prepared)`."""

    value: Callable[..., str]
    prepared: Callable[[Any, str], tuple[str, ...]] = lambda _node, _x: ()


def text(value: str) -> str:
    """`value` as SQL. PostgreSQL has no NUL, so nothing it holds can be equal to a text with one; it is left out by those who ask."""
    if "\0" in value:
        raise ValueError("PostgreSQL has no NUL character")
    return literal(value)


def listed(values: tuple[str, ...]) -> str:
    """Texts for `IN (...)`; those PostgreSQL cannot hold match nothing and are left out."""
    return ", ".join(text(v) for v in values if "\0" not in v) or "NULL"


# What most cells are made of, the most frequent first: `translate` looks for each character through its whole list, one by one.
COMMON: Final = " аоиенрстлкувмдйзбыгпчяьжюхшцщэфАБСКМТИОНДРЕЖУГВЛЧШЭПЗХФЮЯЬЫЦЩЙ0123456789-.,eaionrstlkubmdzgpchyjvwfqxEAIONRSTLKUBMDZGPCHYJVWFQX"
_LONG: Final = 24  # tables longer than this are worth asking first whether only the common part of them can matter


def letters(x: str, table: words.Letters) -> str:
    """One letter table over a column; a NUL in it has nothing to stand for.

    A text made of common characters needs only the common part of the table, a fifth of it or nothing; the answer is the same.
    """
    whole = _translated(x, table)
    if len(table.source) <= _LONG:
        return whole
    short = words.Letters(
        tuple(p for p in table.pairs if p[0] in COMMON), "".join(c for c in table.dropped if c in COMMON)
    )
    return f"CASE WHEN {all_of(x, COMMON)} THEN {_translated(x, short)} ELSE {whole} END"


def _translated(x: str, table: words.Letters) -> str:
    pairs = [(s, t) for s, t in table.pairs if s not in ("\0", t)]
    source = "".join(s for s, _ in pairs) + table.dropped.replace("\0", "")
    return f"translate({x}, {text(source)}, {text(''.join(t for _, t in pairs))})" if source else x


def trim(x: str) -> str:
    return f"btrim({x}, {literal(folding.WHITESPACE)})"


def something(x: str) -> str:
    """Whether there is more than blanks. A first letter that is ASCII or Cyrillic says so at once: no blank of the table is among them."""
    first = f"ascii({x})"  # the code point, in a UTF8 database
    return f"({first} BETWEEN 33 AND 126 OR {first} BETWEEN {0x400} AND {0x4FF} OR {trim(x)} <> '')"


def squeezed(x: str) -> str:
    """Plain spaces collapsed, none at the ends; there is no other blank in `x`.

    Every space becomes a pair of marks, a shutting mark next to an opening one falls away, and what is left of a run is one pair.
    """
    pair, gap = literal(_OPEN + _SHUT), literal(_SHUT + _OPEN)
    return f"btrim(replace(replace(replace({x}, ' ', {pair}), {gap}, ''), {pair}, ' '), ' ')"


def fold(x: str) -> str:
    return squeezed(letters(x, words.FOLD))


def all_of(x: str, allowed: str) -> str:
    """Whether every character of `x` is one of `allowed` (which is true of the empty text)."""
    return f"translate({x}, {literal(allowed)}, '') = ''"


def existing(year: str, month: str, day: str) -> str:
    """Whether three parts made of digits are a day of the years taken."""
    inside = f"{month} || {day}"
    days, leaps = listed(words.DAYS), listed(words.LEAP_YEARS)
    return (
        f"({year} BETWEEN '{words.FIRST_YEAR}' AND '{words.LAST_YEAR}' AND "
        f"({inside} IN ({days}) OR {inside} = '{words.LEAP_DAY}' AND {year} IN ({leaps})))"
    )


def _date(name: str, cell: str, mask: str) -> str:
    """One format: `cell` is the trimmed text, `mask` its first eleven characters with digits as 0."""
    if name == words.SHORT:
        fits = f"{mask} IN ('0.0.0000', '00.0.0000', '0.00.0000', '00.00.0000')"
        day, month = (f"lpad(split_part({cell}, '.', {n}), 2, '0')" for n in (1, 2))
        year = f"right({cell}, 4)"
    else:
        layout = words.LAYOUTS[name]
        by_place = dict(layout.separators)
        last = layout.size - 1 if layout.open_ended else layout.size
        wanted = "".join(by_place.get(place, "0") for place in range(1, last + 1))
        fits = f"{mask} = {literal(wanted)}"
        if layout.open_ended:
            fits = f"left({mask}, {last}) = {literal(wanted)} AND substr({mask}, {layout.size}, 1) IN ({listed(tuple(by_place[layout.size]))})"
        places = ((layout.year, 4), (layout.month, 2), (layout.day, 2))
        year, month, day = (f"substr({cell}, {at}, {size})" for at, size in places)
    return f"WHEN {fits} AND {existing(year, month, day)} THEN {year} || '-' || {month} || '-' || {day}"


def _parse_date(node: ir.ParseDate, _: str, cell: str, mask: str) -> str:
    return f"CASE {' '.join(_date(name, cell, mask) for name in node.formats)} END"


def _masked(x: str) -> tuple[str, ...]:
    cell = trim(x)
    return cell, f"translate(left({cell}, 11), '{DIGITS}', '{_ZEROS}')"


def _number(_: ir.Number, _x: str, digits: str) -> str:
    readable = f"length({digits}) BETWEEN 1 AND {NUMBER_LENGTH} AND {all_of(digits, DIGITS)}"
    return f"CASE WHEN {readable} THEN coalesce(nullif(ltrim({digits}, '0'), ''), '0') END"


def _code(node: ir.Code, _: str, bare: str) -> str:
    size = f"length({bare}) = {node.length}" if node.length is not None else f"{bare} <> ''"
    return f"CASE WHEN {size} AND {all_of(bare, codes.LETTERS[node.alphabet])} THEN {bare} END"


def _pin(_: ir.Pin, _x: str, digits: str) -> str:
    parts = [f"substr({digits}, {at}, {size})" for at, size in ((6, 4), (4, 2), (2, 2))]
    shape = f"length({digits}) = 14 AND left({digits}, 1) IN ('1', '2') AND {all_of(digits, DIGITS)}"
    return f"CASE WHEN {shape} AND {existing(*parts)} THEN {digits} END"


def contradicts(number: str, birth_date: str | None, sex: str | None) -> str:
    """Whether a PIN is there and at odds with the record's date or sex; never null."""
    found = []
    if birth_date is not None:
        inside = f"substr({number}, 6, 4) || '-' || substr({number}, 4, 2) || '-' || substr({number}, 2, 2)"
        found.append(f"coalesce({inside} <> {birth_date}, false)")
    if sex is not None:
        found.append(f"coalesce({sex} IN ('1', '2') AND left({number}, 1) = {sex}, false)")
    return f"({number} IS NOT NULL AND ({' OR '.join(found) or 'false'}))"


WORDS: Final[dict[type[ir.Expr], Word]] = {
    ir.Trim: Word(lambda _, x: trim(x)),
    ir.Collapse: Word(lambda _, x: squeezed(letters(x, words.BLANKS))),
    ir.Upper: Word(lambda _, x: letters(x, words.UPPER)),
    ir.Lower: Word(lambda _, x: letters(x, words.LOWER)),
    ir.Fold: Word(lambda _, x: fold(x)),
    ir.Remove: Word(lambda e, x: letters(x, words.remove_letters(e))),
    ir.Split: Word(
        lambda e, x: (
            "NULL"
            if "\0" in e.on and abs(e.part) > 1
            else x
            if "\0" in e.on
            else f"split_part({x}, {text(e.on)}, {e.part})"
        )
    ),
    ir.Take: Word(lambda e, x: f"substr({x}, {e.start}, {e.length})"),
    ir.Pad: Word(
        lambda e, x: f"CASE WHEN length({x}) >= {e.width} THEN {x} ELSE lpad({x}, {e.width}, {text(e.fill)}) END"
    ),
    ir.ParseDate: Word(_parse_date, lambda _, x: _masked(x)),
    ir.Number: Word(_number, lambda _, x: (letters(x, words.NO_BLANKS),)),
    ir.Code: Word(_code, lambda e, x: (letters(x, words.code_letters(e.alphabet)),)),
    ir.Pin: Word(_pin, lambda _, x: (letters(x, words.PIN),)),
}
