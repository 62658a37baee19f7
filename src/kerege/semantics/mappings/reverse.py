"""The other direction: from a canonical record back to a source record, where the operators' laws allow it, and what cannot go back and why.

A cell goes back when a canonical field is made of it alone by steps that can be undone: `field`, `target`, `member`, `parse_date` (into its first
format), `recode` by a crosswalk under which the target has one source code that always holds. What is one-way by nature (trimming,
folding, keys, grammars, patterns) does not; a coalesce or condition does not say which branch was taken. The promise: mapping the record
that `back` gives makes the same canonical values of all reversible fields (test_reverse holds it). Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.operators import Lists

Undo = Callable[[str], str | None]
# ISO text to each format: how the day is written; a moment (`timestamp`) is gone
WRITTEN: Final[dict[str, Callable[[str], str]]] = {
    "yyyy-mm-dd": lambda d: d,
    "yyyy.mm.dd": lambda d: d.replace("-", "."),
    "dd.mm.yyyy": lambda d: f"{d[8:]}.{d[5:7]}.{d[:4]}",
    "dd/mm/yyyy": lambda d: f"{d[8:]}/{d[5:7]}/{d[:4]}",
    "dd-mm-yyyy": lambda d: f"{d[8:]}-{d[5:7]}-{d[:4]}",
    "d.m.yyyy": lambda d: f"{int(d[8:])}.{int(d[5:7])}.{d[:4]}",
    "yyyymmdd": lambda d: d.replace("-", ""),
    "ddmmyyyy": lambda d: d[8:] + d[5:7] + d[:4],
}


@dataclass(frozen=True, slots=True)
class OneWay:
    """A canonical field that does not go back: the operator that stops it, and why."""

    field: str
    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """One source record: its cells, and of which fields values could not be put back this time (field -> reason)."""

    cells: dict[str, str | None]
    lost: dict[str, str]


@dataclass(frozen=True)
class Reverse:
    """A mapping the other way. `cells`: source cell -> canonical field it is made from; `one_way`: the fields that do not go back."""

    cells: dict[str, str]
    one_way: tuple[OneWay, ...]
    _undo: dict[str, Undo]

    def back(self, record: Mapping[str, str | None]) -> Back:
        """The source record that maps to `record`'s reversible fields."""
        cells: dict[str, str | None] = {}
        lost: dict[str, str] = {}
        for cell, field in self.cells.items():
            value = record.get(field)
            cells[cell] = None if value is None else self._undo[cell](value)
            if value is not None and cells[cell] is None:
                lost[field] = "no single source value maps to it"
        return Back(cells, lost)


class _Stop(Exception):  # not an error: the way back ends here
    def __init__(self, operator: str, reason: str) -> None:
        super().__init__(reason)
        self.operator, self.reason = operator, reason


def reverse(mapping: FieldMapping, lists: Lists) -> Reverse:
    """What of `mapping` can go back. A cell read by several reversible fields goes back from the first."""
    cells: dict[str, str] = {}
    undo: dict[str, Undo] = {}
    one_way: list[OneWay] = []
    by_name = {f.name: f.expr for f in mapping.fields}
    for field in mapping.fields:
        try:
            cell, function = _undone(field.expr, by_name, lists)
        except _Stop as stop:
            one_way.append(OneWay(field.name, stop.operator, stop.reason))
            continue
        if cell not in cells:
            cells[cell], undo[cell] = field.name, function
    return Reverse(cells, tuple(one_way), undo)


_NEEDS: Final = {
    "const": "it is not made from the source",
    "coalesce": "which of its parts it came from is not kept",
    "when": "which branch was taken is not kept",
    "concat": "where one part ends and the next begins is not kept",
    "together": "it depends on several cells",
}


def _undone(expr: ir.Expr, by_name: Mapping[str, ir.Expr], lists: Lists) -> tuple[str, Undo]:
    if isinstance(expr, ir.Field):
        return expr.cell, lambda value: value
    if isinstance(expr, ir.Target):
        return _undone(by_name[expr.field], by_name, lists)
    if isinstance(expr, ir.ParseDate):
        form = next((name for name in expr.formats if name in WRITTEN), None)
        if form is None:
            raise _Stop(expr.name, "the time of day is not kept")
        written = WRITTEN[form]
        cell, before = _inner(expr.of, by_name, lists)
        return cell, lambda value: before(written(value))
    if isinstance(expr, ir.Member):
        return _undone(expr.of, by_name, lists)
    if isinstance(expr, ir.Recode):
        cell, before = _inner(expr.of, by_name, lists)
        table = single_sources(expr.crosswalk, lists)
        return cell, lambda value: before(found) if (found := table.get(value)) is not None else None
    if isinstance(expr, ir.RecodeAsOf):
        raise _Stop(expr.name, "the code depends on the record's day or other cells")
    raise _Stop(expr.name, _NEEDS.get(expr.name, "it keeps less than it reads"))


def _inner(expr: ir.Expr, by_name: Mapping[str, ir.Expr], lists: Lists) -> tuple[str, Undo]:
    """As `_undone`; trimming, collapsing and code forms under a date or crosswalk leave what they are given, if it is tidy already."""
    while isinstance(expr, ir.Trim | ir.Collapse):
        expr = expr.of
    return _undone(expr, by_name, lists)


def sources(crosswalk_id: str, lists: Lists) -> dict[str, tuple[str, ...]]:
    """Target -> every source code (as the crosswalk writes it) that always maps to it."""
    walk = lists.crosswalk(crosswalk_id)
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in walk.rows:
        target = walk.table.get(walk.key(row.subject))
        if target is not None and row.translates and row.object == target:
            found[target][row.subject] = None
    return {target: tuple(codes) for target, codes in found.items()}


def single_sources(crosswalk_id: str, lists: Lists) -> dict[str, str]:
    """Target -> its one source code; targets with several, or that the policy gives to unmapped codes too, are left out."""
    policy = lists.crosswalk(crosswalk_id).policy
    return {t: codes[0] for t, codes in sources(crosswalk_id, lists).items() if len(codes) == 1 and t != policy.default}
