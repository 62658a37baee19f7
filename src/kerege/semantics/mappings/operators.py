"""What each one-input operator computes: the definition both engines answer to.

`function_of` gives a Python function of one non-null text. It answers (value, issue): the issue is None, or (problem code, source code or
None, severity). `engines.emit_python` calls these per record; `engines.emit_duckdb` calls those of grammars once per distinct value and writes SQL
for the rest, which tests hold equal to these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.kg import pin
from kerege.semantics.mappings import dated, ir, problems
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.normalise import addresses, codes, dates, folding, names, phones
from kerege.semantics.normalise.gazetteer import Gazetteer
from kerege.semantics.patterns.pattern import Pattern, Reader

Issue = tuple[str, str | None, problems.Severity]
Outcome = tuple[str | None, Issue | None]
Function = Callable[[str], Outcome]
Plain = Callable[[str], str | None]

_SPACES: Final = str.maketrans("", "", folding.WHITESPACE)
_DIGITS: Final = frozenset(codes.DIGITS)
NUMBER_LENGTH: Final = 18
_REMEMBERED: Final = 16_384  # texts, of at most so many characters
_SHORT: Final = 64
T = TypeVar("T")


class Lists(Protocol):
    """What operators need from a pack."""

    def codelist(self, list_id: str) -> CodeList: ...
    def crosswalk(self, crosswalk_id: str) -> Crosswalk: ...
    @property
    def gazetteer(self) -> Gazetteer: ...


class Uncounted:
    """A pack whose crosswalks count unmapped codes for nobody: for who tries a code without translating a record, or counts by other means.

    The counters of the pack are not touched, so what others count at the same time stays theirs.
    """

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self.codelist = lists.codelist

    @property
    def gazetteer(self) -> Gazetteer:
        return self._lists.gazetteer

    def crosswalk(self, crosswalk_id: str) -> Crosswalk:
        return self._lists.crosswalk(crosswalk_id).uncounted()


def check_lists(mapping: Mapping, lists: Lists) -> None:
    """Every crosswalk and code list that `mapping` names is there; CrosswalkUnknown or CodeListUnknown says which is not."""
    for crosswalk_id in mapping.crosswalks:
        lists.crosswalk(crosswalk_id)
    for expr in (e for f in mapping.fields for e in f.expr.walk()):
        if isinstance(expr, ir.Recode | ir.RecodeAsOf):
            function_of(expr, lists)  # RecodeIncomplete when its rows depend on what it is not given
    for list_id in mapping.codelists:
        lists.codelist(list_id)


def plain_of(expr: ir.Expr) -> Plain | None:
    """The function of an operator that never raises a problem, or None for the others."""
    maker = _PLAIN.get(type(expr))
    return maker(expr) if maker is not None else None


def function_of(expr: ir.Expr, lists: Lists) -> Function:
    """The function of any one-input operator, with its issue."""
    plain = plain_of(expr)
    if plain is not None:
        return lambda text: (plain(text) or None, None)
    return _CHECKED[type(expr)](expr, lists)


def remembered(function: Callable[[str], T]) -> Callable[[str], T]:
    """`function` with a memory for short texts: registers repeat names, dates and wordings. Bounded in number and length."""
    cached = lru_cache(maxsize=_REMEMBERED)(function)
    return lambda text: cached(text) if len(text) <= _SHORT else function(text)


def _collapse(text: str) -> str:
    """`folding.collapse`; a printable text has no blank but plain spaces, and most are tidy already."""
    if text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text
    return folding.collapse(text)


# --- operators without problems ---------------------------------------------------------------------------------------------------


def _remove(expr: ir.Remove) -> Plain:
    table = str.maketrans("", "", expr.characters)
    return lambda text: text.translate(table)


def _split(expr: ir.Split) -> Plain:
    on, part = expr.on, expr.part - 1 if expr.part > 0 else expr.part

    def split(text: str) -> str | None:
        pieces = text.split(on)
        return pieces[part] if -len(pieces) <= part < len(pieces) else None

    return split


def _take(expr: ir.Take) -> Plain:
    first, last = expr.start - 1, expr.start - 1 + expr.length
    return lambda text: text[first:last]


def _pad(expr: ir.Pad) -> Plain:
    width, fill = expr.width, expr.fill
    return lambda text: text.rjust(width, fill)


def _name_key(expr: ir.NameKey) -> Plain:
    by_kind: dict[str, Plain] = {
        "surname": lambda text: None if names.is_child_of(text) else folding.latin_key(text),
        "given_name": folding.latin_key,
        "patronymic": names.father_root,
        "father_in_surname": lambda text: names.father_root(text) if names.is_child_of(text) else None,
        "full": names.full_key,
    }
    return by_kind[expr.kind]


def _street_key(expr: ir.StreetKey) -> Plain:
    def key(text: str) -> str | None:
        found = addresses.parse(text + " 1")  # with a number right after it, a bare name is read as a street
        return found.street_key

    return key


_PLAIN: Final[dict[type[ir.Expr], Callable[[Any], Plain]]] = {
    ir.Trim: lambda _: folding.trim,
    ir.Collapse: lambda _: _collapse,
    ir.Upper: lambda _: folding.upper,
    ir.Lower: lambda _: folding.lower,
    ir.Fold: lambda _: remembered(folding.fold),
    ir.Remove: _remove,
    ir.Split: _split,
    ir.Take: _take,
    ir.Pad: _pad,
    ir.NameCase: lambda _: remembered(names.proper),
    ir.NameKey: _name_key,
    ir.StreetKey: _street_key,
}


# --- operators that may raise a problem -------------------------------------------------------------------------------------------


def _or_issue(find: Plain, code: str) -> Function:
    """A function whose null means one fixed problem."""
    issue: Issue = (code, None, "flag")

    def run(text: str) -> Outcome:
        found = find(text)
        return (found, None) if found else (None, issue)

    return run


def _parse_date(expr: ir.ParseDate, _: Lists) -> Function:
    formats = expr.formats
    return _or_issue(remembered(lambda text: dates.parse(text, formats)), problems.DATE)


def _number(text: str) -> str | None:
    digits = text.translate(_SPACES)
    if not digits or len(digits) > NUMBER_LENGTH or not _DIGITS.issuperset(digits):
        return None
    return digits.lstrip("0") or "0"


# A PIN whose day is in every month: nothing more is to be asked of it. Most are, and the full check costs five times as much.
_CERTAIN_PIN: Final = re.compile("[12](?:0[1-9]|1[0-9]|2[0-8])(?:0[1-9]|1[0-2])(?:1[89]|2[01])[0-9]{7}").fullmatch
assert (dates.FIRST_YEAR, dates.LAST_YEAR) == (1800, 2199), "_CERTAIN_PIN has these years"


def _pin(text: str) -> str | None:
    digits = text if len(text) == pin.LENGTH else pin.compact(text)
    if _CERTAIN_PIN(digits):
        return digits
    return digits if pin.is_valid(digits) else None


def _phone(expr: ir.Phone, _: Lists) -> Function:
    region = expr.region
    return _or_issue(lambda text: phones.parse(text, region), problems.PHONE)


def _code(expr: ir.Code, _: Lists) -> Function:
    alphabet, length = expr.alphabet, expr.length
    return _or_issue(lambda text: codes.normal(text, alphabet, length), problems.CODE)


def _recode(expr: ir.Recode, lists: Lists) -> Function:
    crosswalk = dated.require_plain(lists.crosswalk(expr.crosswalk))
    table, policy = crosswalk.table, crosswalk.policy
    find = remembered(lambda text: table.get(folding.fold(text))) if crosswalk.match == "folded" else table.get

    def run(text: str) -> Outcome:
        found = find(text)
        if found is not None:
            return found, None
        crosswalk.count(text)
        return policy.value(text), (problems.UNMAPPED, text[: problems.SOURCE_CODE_LENGTH], policy.severity)

    return run


def _recode_as_of(expr: ir.RecodeAsOf, lists: Lists) -> Function:
    crosswalk = lists.crosswalk(expr.crosswalk)
    policy, size = crosswalk.policy, 2 + len(expr.cells)
    find = dated.crosswalk_finder(expr, crosswalk)

    def run(text: str) -> Outcome:
        found = find(text)
        if found is not None:
            return found, None
        code, _ = dated.apart(text, size)
        crosswalk.count(code)
        return policy.value(code), (problems.UNMAPPED, code[: problems.SOURCE_CODE_LENGTH], policy.severity)

    return run


def _lookup_as_of(expr: ir.LookupAsOf, lists: Lists) -> Function:
    return _or_issue(dated.lookup_finder(expr, lists.codelist(expr.codelist)), problems.NOT_IN_LIST)


def lookup_table(expr: ir.Lookup, lists: Lists) -> dict[str, str]:
    """What a `lookup` finds: key (a notation, or a folded wording that names one concept) to what it gives."""
    codelist = lists.codelist(expr.codelist)
    out: dict[str, str] = {}
    for concept in codelist:
        if expr.give == "notation":
            given: str | None = concept.notation
        else:
            given = concept.broader if expr.give == "broader" else concept.labels.get(expr.give)
        if not given:
            continue
        if expr.by == "notation":
            out.setdefault(concept.notation, given)
        else:
            out.update({folding.fold(w): given for w in concept.wordings() if codelist.find(w) == (concept,)})
    return out


def _lookup(expr: ir.Lookup, lists: Lists) -> Function:
    table = lookup_table(expr, lists)
    if expr.by == "wording":
        return _or_issue(lambda text: table.get(folding.fold(text)), problems.NOT_IN_LIST)
    return _or_issue(table.get, problems.NOT_IN_LIST)


def _member(expr: ir.Member, lists: Lists) -> Function:
    notations = frozenset(concept.notation for concept in lists.codelist(expr.codelist))
    return _or_issue(lambda text: text if text in notations else None, problems.NOT_IN_LIST)


def _extract(expr: ir.Extract, _: Lists) -> Function:
    read, part = reader_of(expr.pattern).read, expr.part
    unread: Issue = (problems.PATTERN, None, "flag")

    def run(text: str) -> Outcome:
        found = read(text)
        return (None, unread) if found is None else (found.get(part), None)

    return run


@lru_cache(maxsize=256)
def reader_of(pattern: Pattern) -> Reader:
    """The pattern compiled, once for all fields that use it."""
    return Reader(pattern)


def _name_part(expr: ir.NamePart, _: Lists) -> Function:
    part = expr.part
    unsure: Issue | None = (problems.NAME, None, "flag") if part == "given_name" else None

    def run(text: str) -> Outcome:
        found = names.person_name(text)
        value: str | None = getattr(found, part)
        return value or None, None if found.certain else unsure

    return run


def _address_part(expr: ir.AddressPart, lists: Lists) -> Function:
    part = expr.part
    if part == "soate":
        gazetteer = lists.gazetteer
        return _or_issue(lambda text: addresses.parse(text, gazetteer).soate, problems.PLACE)

    def run(text: str) -> Outcome:
        value: str | None = getattr(addresses.parse(text), part)
        return value or None, None

    return run


def _place(expr: ir.PlaceCode, lists: Lists) -> Function:
    gazetteer, level = lists.gazetteer, expr.level

    def by_name(text: str) -> str | None:
        place = gazetteer.resolve(text, level=level).place
        return gazetteer.canonical(place.soate) if place is not None else None

    def by_code(text: str) -> str | None:
        code = codes.normal(text, "digits", 14)
        return gazetteer.canonical(code) if code is not None else None

    return _or_issue(by_name if expr.by == "name" else by_code, problems.PLACE)


_CHECKED: Final[dict[type[ir.Expr], Callable[[Any, Lists], Function]]] = {
    ir.ParseDate: _parse_date,
    ir.Number: lambda _expr, _lists: _or_issue(_number, problems.NUMBER),
    ir.Pin: lambda _expr, _lists: _or_issue(_pin, problems.PIN_MALFORMED),
    ir.Phone: _phone,
    ir.Code: _code,
    ir.Recode: _recode,
    ir.Lookup: _lookup,
    ir.Member: _member,
    ir.RecodeAsOf: _recode_as_of,
    ir.LookupAsOf: _lookup_as_of,
    ir.Extract: _extract,
    ir.NamePart: _name_part,
    ir.AddressPart: _address_part,
    ir.PlaceCode: _place,
}
