"""Codes as of a record's day and on its other cells: what `recode_as_of` and `lookup_as_of` compute, over one text that holds all they read.

A crosswalk's compiled rules (`crosswalks.rules`) and a code list's validity say what holds when. Days are compared as ISO texts; a record
without a day meets no dated end, and finds nothing where the day would decide between two targets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.rules import Rule
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.errors import RecodeIncomplete
from kerege.semantics.mappings import ir
from kerege.semantics.normalise import folding

SEPARATOR: Final = "\x1f"
NULL: Final = "\x1e"
_NEITHER: Final = str.maketrans("", "", SEPARATOR + NULL)
Dated = tuple[str, str, tuple[str | None, ...], str]  # from, to, conditions, target


def together(parts: Sequence[str | None]) -> str | None:
    """The text of `ir.Together`; None when the first part is None."""
    first, *rest = parts
    if first is None:
        return None
    return SEPARATOR.join([first, *(NULL if part is None else part.translate(_NEITHER) for part in rest)])


def apart(text: str, size: int) -> tuple[str, list[str | None]]:
    """The first part and the others of a text of `size` parts. A separator inside the first part stays there."""
    first, *rest = text.rsplit(SEPARATOR, size - 1)
    rest += [NULL] * (size - 1 - len(rest))
    return first, [None if part == NULL else part for part in rest]


def crosswalk_finder(expr: ir.RecodeAsOf, crosswalk: Crosswalk) -> Callable[[str], str | None]:
    """Which target the text of `expr.of` has, or None when no rule holds. RecodeIncomplete when the rules ask for cells that are not given."""
    compiled = crosswalk.compiled
    lacking = [cell for cell in compiled.cells if cell not in expr.cells]
    if lacking:
        raise RecodeIncomplete(
            crosswalk=crosswalk.id, reason=f"rows depend on {', '.join(lacking)}; `given` must name them"
        )
    places = [expr.cells.index(cell) for cell in compiled.cells]
    rules = {key: as_texts(found) for key, found in compiled.rules.items()}
    size = 2 + len(expr.cells)

    def find(text: str) -> str | None:
        code, (day, *cells) = apart(text, size)
        given = [None if (value := cells[n]) is None else crosswalk.key(value) for n in places]
        known = rules.get(crosswalk.key(code), ())
        number = speaking(known, day, given)
        return None if number is None else known[number][3]

    return find


def as_texts(rules: Sequence[Rule]) -> list[Dated]:
    """Rules with their days as texts, an open end empty."""
    return [
        (r.valid_from.isoformat() if r.valid_from else "", r.valid_to.isoformat() if r.valid_to else "", r.conditions, r.target)
        for r in rules
    ]  # fmt: skip


def speaking(rules: Sequence[Dated], day: str | None, given: Sequence[str | None]) -> int | None:
    """The place of the rule that speaks, as `crosswalks.rules.Compiled.find` has it: the first that holds; none where the day is missing and one
    before it, whose conditions are met, would say something else on some day."""
    on_some_day: set[str] = set()
    for number, (first, last, conditions, target) in enumerate(rules):
        if all(c is None or c == g for c, g in zip(conditions, given, strict=True)):
            if holds(first, last, day):
                return number if on_some_day <= {target} else None
            if day is None:
                on_some_day.add(target)
    return None


def holds(first: str, last: str, day: str | None) -> bool:
    """Whether a day (ISO text, or none) lies between two, inclusive; "" is open."""
    if day is None:
        return not first and not last
    return (not first or day >= first) and (not last or day <= last)


def require_plain(crosswalk: Crosswalk) -> Crosswalk:
    """`crosswalk` for a `recode` that knows no day: RecodeIncomplete when rows depend on one, or on other cells."""
    if not crosswalk.compiled.plain:
        what = "the record's day" if crosswalk.compiled.dated else "other cells"
        raise RecodeIncomplete(
            crosswalk=crosswalk.id,
            reason=f"rows depend on {what}; write recode: {{crosswalk: ..., as_of: ..., given: ...}}",
        )
    return crosswalk


def lookup_finder(expr: ir.LookupAsOf, codelist: CodeList) -> Callable[[str], str | None]:
    """What the text of `expr.of` finds among the concepts valid on its day; wordings of two of them find none."""
    found: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)  # key -> from, to, notation, given
    for concept in codelist:
        given = (
            concept.notation
            if expr.give == "notation"
            else concept.broader
            if expr.give == "broader"
            else concept.labels.get(expr.give)
        )
        first = concept.valid_from.isoformat() if concept.valid_from else ""
        last = concept.valid_to.isoformat() if concept.valid_to else ""
        keys = (
            [concept.notation] if expr.by == "notation" else list(dict.fromkeys(map(folding.fold, concept.wordings())))
        )
        for key in keys:
            found[key].append((first, last, concept.notation, given or ""))

    def find(text: str) -> str | None:
        value, (day,) = apart(text, 2)
        key = folding.fold(value) if expr.by == "wording" else value
        held = {notation: given for first, last, notation, given in found.get(key, ()) if holds(first, last, day)}
        return next(iter(held.values())) or None if len(held) == 1 else None

    return find
