"""The plain operators as DuckDB SQL: text of expressions over one column, using the closed letter tables and no engine function that
follows a Unicode version of its own. What they compute is defined in `operators`; a property test holds both equal, cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kerege.semantics import codes, dates, folding, ir
from kerege.semantics.kg import pin
from kerege.semantics.operators import NUMBER_LENGTH


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """The name of a table as quoted SQL; dots part schema and table."""
    return ".".join(map(quoted, name.split(".")))


def quoted(name: str) -> str:
    """One name as quoted SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def translated(x: str, source: str, target: str = "") -> str:
    """Character for character; characters of `source` beyond `target` are dropped."""
    return f"translate({x}, {literal(source)}, {literal(target)})"


def squeezed(x: str) -> str:
    """Spaces (only plain ones are left) collapsed, none at the ends."""
    return f"trim(regexp_replace({x}, ' +', ' ', 'g'), ' ')"


def upper(x: str) -> str:
    return translated(x, folding.LOWER, folding.UPPER)


def lower(x: str) -> str:
    return translated(x, folding.UPPER, folding.LOWER)


def trim(x: str) -> str:
    return f"trim({x}, {literal(folding.WHITESPACE)})"


def collapse(x: str) -> str:
    return squeezed(translated(x, folding.WHITESPACE, " " * len(folding.WHITESPACE)))


def fold(x: str) -> str:
    source = folding.FOLD_FROM + folding.WHITESPACE + folding.FOLD_DROP
    target = folding.FOLD_TO + " " * len(folding.WHITESPACE)
    return squeezed(translated(lower(x), source, target))


def blank(x: str) -> str:
    return f"{trim(x)} = ''"


def _split(expr: ir.Split, x: str) -> str:
    return f"list_extract(string_split({x}, {literal(expr.on)}), {expr.part})"


def _pad(expr: ir.Pad, x: str) -> str:
    return f"CASE WHEN length({x}) >= {expr.width} THEN {x} ELSE lpad({x}, {expr.width}, {literal(expr.fill)}) END"


def _number(x: str) -> str:
    digits = translated(x, folding.WHITESPACE)
    shortened = f"coalesce(nullif(ltrim({digits}, '0'), ''), '0')"
    return f"CASE WHEN regexp_full_match({digits}, '[0-9]{{1,{NUMBER_LENGTH}}}') THEN {shortened} END"


def _code(expr: ir.Code, x: str) -> str:
    bare = translated(upper(x), codes.SEPARATORS)
    if expr.alphabet == "latin":
        bare = translated(bare, codes.CYRILLIC, codes.LATIN)
    elif expr.alphabet == "cyrillic":
        bare = translated(bare, codes.LATIN, codes.CYRILLIC)
    size = f" AND length({bare}) = {expr.length}" if expr.length is not None else ""
    return f"CASE WHEN {bare} <> '' AND {translated(bare, codes.LETTERS[expr.alphabet])} = ''{size} THEN {bare} END"


def _existing(year: str, month: str, day: str) -> str:
    """The ISO text of three parts made of digits, when there is such a day in the years taken; else null."""
    iso = f"{year} || '-' || {month} || '-' || {day}"
    in_range = f"{year} BETWEEN '{dates.FIRST_YEAR}' AND '{dates.LAST_YEAR}'"
    return f"CASE WHEN {in_range} AND try_cast({iso} AS DATE) IS NOT NULL THEN {iso} END"


# format -> (pattern over ASCII digits, places of year, month and day as (start, length))
_DATES: Final[dict[str, tuple[str, tuple[int, int, int]]]] = {
    "yyyy-mm-dd": ("[0-9]{4}-[0-9]{2}-[0-9]{2}", (1, 6, 9)),
    "yyyy.mm.dd": ("[0-9]{4}[.][0-9]{2}[.][0-9]{2}", (1, 6, 9)),
    "dd.mm.yyyy": ("[0-9]{2}[.][0-9]{2}[.][0-9]{4}", (7, 4, 1)),
    "dd/mm/yyyy": ("[0-9]{2}/[0-9]{2}/[0-9]{4}", (7, 4, 1)),
    "dd-mm-yyyy": ("[0-9]{2}-[0-9]{2}-[0-9]{4}", (7, 4, 1)),
    "yyyymmdd": ("[0-9]{8}", (1, 5, 7)),
    "ddmmyyyy": ("[0-9]{8}", (5, 3, 1)),
}


def _date(name: str, cell: str) -> str:
    if name == "d.m.yyyy":
        parts = [f"lpad(split_part({cell}, '.', {n}), 2, '0')" for n in (1, 2)]
        matches = f"regexp_full_match({cell}, '[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}}')"
        return f"CASE WHEN {matches} THEN {_existing(f'right({cell}, 4)', parts[1], parts[0])} END"
    if name == "timestamp":
        matches = f"regexp_matches({cell}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]')"
        places = (1, 6, 9)
    else:
        pattern, places = _DATES[name]
        matches = f"regexp_full_match({cell}, '{pattern}')"
    sizes = (4, 2, 2)
    year, month, day = (f"substring({cell}, {at}, {size})" for at, size in zip(places, sizes, strict=True))
    return f"CASE WHEN {matches} THEN {_existing(year, month, day)} END"


def _parse_date(expr: ir.ParseDate, x: str) -> str:
    return f"coalesce({', '.join(_date(name, trim(x)) for name in expr.formats)}, NULL)"


def pin_value(x: str) -> str:
    digits = translated(x, pin.SEPARATORS)
    year, month, day = (f"substring({digits}, {at}, {size})" for at, size in ((6, 4), (4, 2), (2, 2)))
    exists = f"({_existing(year, month, day)}) IS NOT NULL"
    return f"CASE WHEN regexp_full_match({digits}, '[12][0-9]{{13}}') AND {exists} THEN {digits} END"


def pin_contradicts(number: str, birth_date: str | None, sex: str | None) -> str:
    """Whether a well-formed PIN is at odds with the record; never null."""
    found = []
    if birth_date is not None:
        inside = f"substring({number}, 6, 4) || '-' || substring({number}, 4, 2) || '-' || substring({number}, 2, 2)"
        found.append(f"coalesce({inside} <> {birth_date}, false)")
    if sex is not None:
        found.append(f"coalesce({sex} IN ('1', '2') AND substring({number}, 1, 1) = {sex}, false)")
    return f"({' OR '.join(found)})" if found else "false"


_OPERATORS: Final[dict[type[ir.Expr], Callable[[Any, str], str]]] = {
    ir.Trim: lambda _, x: trim(x),
    ir.Collapse: lambda _, x: collapse(x),
    ir.Upper: lambda _, x: upper(x),
    ir.Lower: lambda _, x: lower(x),
    ir.Fold: lambda _, x: fold(x),
    ir.Remove: lambda e, x: translated(x, e.characters),
    ir.Split: _split,
    ir.Take: lambda e, x: f"substring({x}, {e.start}, {e.length})",
    ir.Pad: _pad,
    ir.ParseDate: _parse_date,
    ir.Number: lambda _, x: _number(x),
    ir.Code: _code,
    ir.Pin: lambda _, x: pin_value(x),
}


def one_input(expr: ir.Expr, x: str) -> str | None:
    """The SQL of a one-input operator over the column `x`, or None when it runs through a side table."""
    write = _OPERATORS.get(type(expr))
    return f"nullif({write(expr, x)}, '')" if write is not None else None
