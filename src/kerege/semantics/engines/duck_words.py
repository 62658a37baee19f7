"""The plain operators as DuckDB SQL: text of expressions over one column, using the closed letter tables and no engine function that
follows a Unicode version of its own. What they compute is defined in `operators`; a property test holds both equal, cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from kerege.semantics.kg import pin
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.operators import NUMBER_LENGTH
from kerege.semantics.normalise import codes, dates, folding

Let = Callable[[str], str]


def literal(text: str) -> str:
    """`text` as an SQL string. DuckDB's parser stops at a NUL, wherever it stands, so that one is written as a call."""
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def identifier(name: str) -> str:
    """The name of a table as quoted SQL; dots part schema and table."""
    return ".".join(map(quoted, name.split(".")))


def quoted(name: str) -> str:
    """One name as quoted SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def translated(x: str, source: str, target: str = "") -> str:
    """Character for character; characters of `source` beyond `target` are dropped."""
    return f"translate({x}, {literal(source)}, {literal(target)})"


# Characters whose capitals and small letters DuckDB and the closed table agree on (a test tries each): most texts have no others, and for those
# the engine's own functions are used. `translate` makes its table anew for every row, so it is kept for the rest.
SAFE: Final = (
    "[" + "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in "\\]^-`") + "\\\\\\]\\^\\-А-Яа-яЁёӨөҮүҢң№]"
)
_ODD_BLANK: Final = "[" + folding.WHITESPACE.replace(" ", "") + "]"
_FAST_FOLD: Final = tuple(zip("ёйөүң", "еиоун", strict=True))


def only(x: str, characters: str) -> str:
    """Whether `x` is made of characters of a class (an expression of `[...]`)."""
    return f"regexp_full_match({x}, {literal(characters + '*')})"


def replaced(x: str, pairs: Iterable[tuple[str, str]]) -> str:
    for old, new in pairs:
        x = f"replace({x}, {literal(old)}, {literal(new)})"
    return x


def squeezed(x: str) -> str:
    """Spaces (only plain ones are left) collapsed, none at the ends."""
    return f"trim(regexp_replace({x}, ' +', ' ', 'g'), ' ')"


def upper(x: str) -> str:
    return f"CASE WHEN {only(x, SAFE)} THEN upper({x}) ELSE {translated(x, folding.LOWER, folding.UPPER)} END"


def lower(x: str) -> str:
    return f"CASE WHEN {only(x, SAFE)} THEN lower({x}) ELSE {translated(x, folding.UPPER, folding.LOWER)} END"


def _trimmed(x: str) -> str:
    return f"trim({x}, {literal(folding.WHITESPACE)})"


def untidy(x: str) -> str:
    """Whether a blank may stand at an end; false for most texts by a look at their ends, and at odd blanks anywhere."""
    return f"{x} < '!' OR suffix({x}, ' ') OR {odd(x)}"


def odd(x: str) -> str:
    """Whether `x` has a blank other than a plain space."""
    return f"regexp_matches({x}, {literal(_ODD_BLANK)})"


def trim(x: str) -> str:
    return f"CASE WHEN {untidy(x)} THEN {_trimmed(x)} ELSE {x} END"


def collapse(x: str) -> str:
    slow = squeezed(translated(x, folding.WHITESPACE, " " * len(folding.WHITESPACE)))
    return f"CASE WHEN contains({x}, '  ') OR {untidy(x)} THEN {slow} ELSE {x} END"


def fold(x: str) -> str:
    source = folding.FOLD_FROM + folding.WHITESPACE + folding.FOLD_DROP
    target = folding.FOLD_TO + " " * len(folding.WHITESPACE)
    small = translated(x, folding.UPPER, folding.LOWER)
    slow = squeezed(translated(small, source, target))
    fast = replaced(f"lower({x})", _FAST_FOLD)
    tidy = f"contains({x}, '  ') OR {x} < '!' OR suffix({x}, ' ')"
    return f"CASE WHEN NOT {only(x, SAFE)} THEN {slow} WHEN {tidy} THEN {squeezed(fast)} ELSE {fast} END"


def visible(x: str) -> str:
    """True for what begins with a visible ASCII character or a letter: surely not blank, and cheap to see."""
    return f"{x} >= '!' AND ({x} < chr(127) OR ({x} >= 'À' AND {x} < chr(5760)))"


def blank(x: str) -> str:
    """Whether nothing but blanks is there."""
    return f"(CASE WHEN {visible(x)} THEN false ELSE {_trimmed(x)} = '' END)"


def removed(x: str, characters: str) -> str:
    """`x` without `characters`: the plain ones by `replace`, and the whole table only where one of the odd ones stands."""
    plain = [c for c in dict.fromkeys(characters) if " " <= c < "\x7f"]
    odd = "".join(c for c in dict.fromkeys(characters) if c not in plain)
    if len(plain) > 6:
        return translated(x, characters)
    fast = replaced(x, ((c, "") for c in plain))
    if not odd:
        return fast
    return f"CASE WHEN regexp_matches({x}, {literal(_class(odd))}) THEN {translated(x, characters)} ELSE {fast} END"


def _class(characters: str) -> str:
    return "[" + "".join("\\" + c if c in "\\]^-[" else c for c in characters) + "]"


def _split(expr: ir.Split, x: str) -> str:
    return f"list_extract(string_split({x}, {literal(expr.on)}), {expr.part})"


def _pad(expr: ir.Pad, x: str) -> str:
    return f"CASE WHEN length({x}) >= {expr.width} THEN {x} ELSE lpad({x}, {expr.width}, {literal(expr.fill)}) END"


def _number(x: str) -> str:
    def read(digits: str) -> str:
        shortened = f"coalesce(nullif(ltrim({digits}, '0'), ''), '0')"
        return f"CASE WHEN regexp_full_match({digits}, '[0-9]{{1,{NUMBER_LENGTH}}}') THEN {shortened} END"

    plain = f"regexp_full_match({x}, '[0-9]{{1,{NUMBER_LENGTH}}}')"
    return f"CASE WHEN {plain} THEN {read(x)} ELSE {read(translated(x, folding.WHITESPACE))} END"


# For a code in Latin letters: what is written without look-alikes, and what is written with plain Cyrillic capitals and small letters.
_PLAIN_CODE: Final = "[A-Za-z0-9 №-]"
_MIXED_CODE: Final = "[A-Za-zА-Яа-я0-9 №-]"
_PLAIN_GONE: Final = ((" ", ""), ("-", ""), ("№", ""))


def _code(expr: ir.Code, x: str, let: Let) -> str:
    slow = translated(translated(x, folding.LOWER, folding.UPPER), codes.SEPARATORS)
    fast = replaced(f"upper({x})", _PLAIN_GONE)
    if expr.alphabet == "latin":
        bare = (
            f"CASE WHEN {only(x, _PLAIN_CODE)} THEN {fast} WHEN {only(x, _MIXED_CODE)} THEN "
            f"{translated(fast, codes.CYRILLIC, codes.LATIN)} ELSE {translated(slow, codes.CYRILLIC, codes.LATIN)} END"
        )
    elif expr.alphabet == "cyrillic":
        mixed = translated(fast, codes.LATIN, codes.CYRILLIC)
        bare = f"CASE WHEN {only(x, _MIXED_CODE)} THEN {mixed} ELSE {translated(slow, codes.LATIN, codes.CYRILLIC)} END"
    else:
        bare = f"CASE WHEN {only(x, _PLAIN_CODE)} THEN {fast} ELSE {slow} END"
    many = f"{{{expr.length}}}" if expr.length is not None else "+"
    return _matching(let(bare), f"{_class(codes.LETTERS[expr.alphabet])}{many}")


def _matching(x: str, expression: str) -> str:
    """`x` when the whole of it matches, else null; RE2 answers yes or no faster than it finds a group."""
    return f"CASE WHEN regexp_full_match({x}, {literal(expression)}) THEN {x} END"


# format -> (its shape over ASCII digits, where year, month and day stand)
_DATES: Final[dict[str, tuple[str, tuple[int, int, int]]]] = {
    "yyyy-mm-dd": ("[0-9]{4}-[0-9]{2}-[0-9]{2}", (1, 6, 9)),
    "yyyy.mm.dd": ("[0-9]{4}[.][0-9]{2}[.][0-9]{2}", (1, 6, 9)),
    "dd.mm.yyyy": ("[0-9]{2}[.][0-9]{2}[.][0-9]{4}", (7, 4, 1)),
    "dd/mm/yyyy": ("[0-9]{2}/[0-9]{2}/[0-9]{4}", (7, 4, 1)),
    "dd-mm-yyyy": ("[0-9]{2}-[0-9]{2}-[0-9]{4}", (7, 4, 1)),
    "yyyymmdd": ("[0-9]{8}", (1, 5, 7)),
    "ddmmyyyy": ("[0-9]{8}", (5, 3, 1)),
}


def _cut(x: str, places: tuple[int, int, int]) -> str:
    year, month, day = (f"substring({x}, {at}, {size})" for at, size in zip(places, (4, 2, 2), strict=True))
    return f"{year} || '-' || {month} || '-' || {day}"


def _iso(x: str, name: str) -> tuple[str, str]:
    """(whether `x` has the shape of a format, what it writes as ISO text, whether or not there is such a day)."""
    if name == "timestamp":
        return f"regexp_matches({x}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]')", f"substring({x}, 1, 10)"
    if name == "d.m.yyyy":
        day, month = (f"lpad(split_part({x}, '.', {n}), 2, '0')" for n in (1, 2))
        return (
            f"regexp_full_match({x}, '[0-9]{{1,2}}[.][0-9]{{1,2}}[.][0-9]{{4}}')",
            f"right({x}, 4) || '-' || {month} || '-' || {day}",
        )
    shape, places = _DATES[name]
    return f"regexp_full_match({x}, '{shape}')", x if name == "yyyy-mm-dd" else _cut(x, places)


def existing(iso: str) -> str:
    """ISO text when there is such a day within the years taken, else null."""
    within = f"{iso} >= '{dates.FIRST_YEAR}' AND {iso} < '{dates.LAST_YEAR + 1}'"
    return f"CASE WHEN {within} AND TRY_CAST({iso} AS DATE) IS NOT NULL THEN {iso} END"


def _groups(formats: tuple[str, ...]) -> Iterator[list[str]]:
    """Formats of which a text can have the shape of one at most: the first that fits is the only one."""
    group: list[str] = []
    for name in dict.fromkeys(formats):
        if any(_alike(name, other) for other in group):
            yield group
            group = []
        group.append(name)
    yield group


def _alike(name: str, other: str) -> bool:
    return {name, other} in ({"yyyymmdd", "ddmmyyyy"}, {"d.m.yyyy", "dd.mm.yyyy"})


def _parse_date(expr: ir.ParseDate, x: str, let: Let) -> str:
    days = []
    for group in _groups(expr.formats):
        cases = [
            f"WHEN {fits} THEN {iso}" for text in (x, _trimmed(x)) for fits, iso in (_iso(text, name) for name in group)
        ]
        days.append(existing(let(f"CASE {' '.join(cases)} END")))
    return f"coalesce({', '.join(days)}, NULL)"


def _pin(x: str, let: Let) -> str:
    bare = f"CASE WHEN regexp_full_match({x}, '[0-9]*') THEN {x} ELSE {removed(x, pin.SEPARATORS)} END"
    digits = let(_matching(let(bare), _PIN))
    exists = f"TRY_CAST({_cut(digits, (6, 4, 2))} AS DATE) IS NOT NULL"
    return f"CASE WHEN substring({digits}, 2, 2) <= '28' OR {exists} THEN {digits} END"


# A sex digit, a day and a month that may be, a year within those taken, five digits: up to the 28th, every such day exists.
_PIN: Final = "[12](?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])(?:1[89]|2[01])[0-9]{7}"
assert (dates.FIRST_YEAR, dates.LAST_YEAR) == (1800, 2199), "_PIN has these years"


def pin_contradicts(number: str, birth_date: str | None, sex: str | None) -> str:
    """Whether a well-formed PIN is at odds with the record; never null."""
    found = []
    if birth_date is not None:
        inside = f"substring({number}, 6, 4) || '-' || substring({number}, 4, 2) || '-' || substring({number}, 2, 2)"
        found.append(f"coalesce({inside} <> {birth_date}, false)")
    if sex is not None:
        found.append(f"coalesce({sex} IN ('1', '2') AND substring({number}, 1, 1) = {sex}, false)")
    return f"({' OR '.join(found)})" if found else "false"


_OPERATORS: Final[dict[type[ir.Expr], Callable[[Any, str, Let], str]]] = {
    ir.Trim: lambda _, x, let: trim(x),
    ir.Collapse: lambda _, x, let: collapse(x),
    ir.Upper: lambda _, x, let: upper(x),
    ir.Lower: lambda _, x, let: lower(x),
    ir.Fold: lambda _, x, let: fold(x),
    ir.Remove: lambda e, x, let: removed(x, e.characters),
    ir.Split: lambda e, x, let: _split(e, x),
    ir.Take: lambda e, x, let: f"substring({x}, {e.start}, {e.length})",
    ir.Pad: lambda e, x, let: _pad(e, x),
    ir.ParseDate: _parse_date,
    ir.Number: lambda _, x, let: _number(x),
    ir.Code: _code,
    ir.Pin: lambda _, x, let: _pin(x, let),
}


def one_input(expr: ir.Expr, x: str, let: Let) -> str | None:
    """The SQL of a one-input operator over the column `x`, or None when it has none.

    let   gives an expression that is used twice a column of its own, and answers the column's name
    """
    write = _OPERATORS.get(type(expr))
    return f"nullif({write(expr, x, let)}, '')" if write is not None else None
