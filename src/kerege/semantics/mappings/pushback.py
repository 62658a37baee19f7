"""A canonical question asked of the source: conditions on canonical fields become conditions on source cells, with what is left to check after.

A question is a tree of `Equals`, `OneOf`, `Between` (ISO dates or plain text, inclusive), `All` and `Some` over canonical fields. What comes back are
conditions on cells that hold for *every* record the question asks for (never fewer), and a residual: the question itself where the
conditions may let others through, None where they are exact. Nobody filters by the source alone unless `residual` is None:

    filter(question, map(rows))  ==  filter(residual or nothing, map(filter(conditions, rows)))        (test_pushback holds it)

Conditions are for a source that compares text as it stands: source codes that map to a canonical code, all written forms of a date by the field's
format list. A code that the crosswalk's policy could also give (a default, an unmapped code passed on), a cell that is trimmed or folded, a
grammar: not pushed, left to the residual. Pure; SQL is written by whoever asks the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.operators import Lists
from kerege.semantics.mappings.reverse import WRITTEN, sources
from kerege.semantics.normalise.folding import trim

MOST_VALUES: Final = 20_000  # of one condition; a longer list is not pushed


@dataclass(frozen=True, slots=True)
class Equals:
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """`trimmed`: the value is compared without blanks at its ends (`folding.WHITESPACE`); only in conditions over source cells."""

    field: str
    values: tuple[str, ...]
    trimmed: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """`first` and `last` inclusive; None is open."""

    field: str
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Some:
    of: tuple[Question, ...]


Question = Equals | OneOf | Between | All | Some


def holds(question: Question, record: Mapping[str, str | None]) -> bool:
    """Whether a record (canonical fields, or for conditions source cells) meets the question; no value meets nothing."""
    if isinstance(question, All):
        return all(holds(q, record) for q in question.of)
    if isinstance(question, Some):
        return any(holds(q, record) for q in question.of)
    value = record.get(question.field)
    if value is None:
        return False
    if isinstance(question, Equals):
        return value == question.value
    if isinstance(question, OneOf):
        return (trim(value) if question.trimmed else value) in question.values
    return (question.first is None or value >= question.first) and (question.last is None or value <= question.last)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What to ask the source (`condition`, over cells; None: everything) and what to check after (`residual`; None: nothing)."""

    condition: Question | None
    residual: Question | None


def push(question: Question, mapping: FieldMapping, lists: Lists) -> Pushed:
    """`question` over canonical fields as a condition over source cells. A field the mapping does not have raises KeyError."""
    by_name = {f.name: f.expr for f in mapping.fields}
    if isinstance(question, All):
        parts = [push(q, mapping, lists) for q in question.of]
        conditions = tuple(p.condition for p in parts if p.condition is not None)
        left = tuple(p.residual for p in parts if p.residual is not None)
        return Pushed(All(conditions) if conditions else None, All(left) if left else None)
    if isinstance(question, Some):
        parts = [push(q, mapping, lists) for q in question.of]
        if any(p.condition is None for p in parts):
            return Pushed(None, question)
        exact = all(p.residual is None for p in parts)
        return Pushed(Some(tuple(p.condition for p in parts if p.condition is not None)), None if exact else question)
    pushed = _one(question, by_name[question.field], by_name, lists, mapping.cell_limit)
    return Pushed(None, question) if pushed is None else pushed


def _one(
    question: Equals | OneOf | Between, expr: ir.Expr, by_name: Mapping[str, ir.Expr], lists: Lists, limit: int
) -> Pushed | None:
    while isinstance(expr, ir.Target):
        expr = by_name[expr.field]
    if isinstance(expr, ir.Field):
        return _plain(question, expr.cell, limit)
    if isinstance(expr, ir.ParseDate) and isinstance(expr.of, ir.Field):
        return _dates(question, expr, expr.of.cell)
    if isinstance(expr, ir.Recode) and isinstance(expr.of, ir.Field):
        return _codes(question, expr, expr.of.cell, lists)
    return None


def _plain(question: Equals | OneOf | Between, cell: str, limit: int) -> Pushed:
    """The cell itself. Blank and outsized cells are null to the mapping, and a source would compare them: those stay to be checked."""
    moved: Question
    if isinstance(question, Between):
        moved = Between(cell, question.first, question.last)
    else:
        moved = OneOf(cell, _values(question))
    exact = not isinstance(question, Between) and all(
        v.strip() and len(v) <= limit and v.isprintable() for v in _values(question)
    )
    return Pushed(moved, None if exact else question)


def _values(question: Equals | OneOf) -> tuple[str, ...]:
    return (question.value,) if isinstance(question, Equals) else question.values


def _codes(question: Equals | OneOf | Between, expr: ir.Recode, cell: str, lists: Lists) -> Pushed | None:
    walk = lists.crosswalk(expr.crosswalk)
    if walk.match == "folded" or not walk.compiled.plain or walk.policy.kind == "pass-and-flag":
        return None  # a source cannot fold, and what is passed on is not known beforehand
    found = sources(expr.crosswalk, lists)
    wanted = [t for t in found if holds(question, {question.field: t})]
    if walk.policy.default is not None and holds(question, {question.field: walk.policy.default}):
        return None  # every unmapped code would have to be asked for
    codes = tuple(dict.fromkeys(code for target in wanted for code in found[target]))
    return Pushed(OneOf(cell, codes), None) if len(codes) <= MOST_VALUES else None


def _dates(question: Equals | OneOf | Between, expr: ir.ParseDate, cell: str) -> Pushed | None:
    """Every way the days are written, blanks at the ends aside. The residual stays: a cell beyond the mapping's limit is no date to it."""
    if any(name not in WRITTEN for name in expr.formats):
        return None
    days = _days(question)
    if days is None or len(days) * len(expr.formats) > MOST_VALUES:
        return None
    written = dict.fromkeys(form for day in days for name in expr.formats for form in _forms(day, name))
    return Pushed(OneOf(cell, tuple(written), trimmed=True), question)


def _forms(day: str, name: str) -> tuple[str, ...]:
    """The texts by which a format writes a day; `d.m.yyyy` takes one digit or two."""
    if name != "d.m.yyyy":
        return (WRITTEN[name](day),)
    days, months = ({day[8:], str(int(day[8:]))}, {day[5:7], str(int(day[5:7]))})
    return tuple(sorted(f"{d}.{m}.{day[:4]}" for d in days for m in months))


def _days(question: Equals | OneOf | Between) -> list[str] | None:
    """The days asked for, when they are few; None when they are many, or when a bound is no day (texts still compare)."""
    if not isinstance(question, Between):
        return [value for value in _values(question) if _day(value) is not None]
    first, last = _day(question.first), _day(question.last)
    if first is None or last is None or (last - first).days >= MOST_VALUES:
        return None
    return [(first + timedelta(n)).isoformat() for n in range((last - first).days + 1)]


def _day(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.isoformat() == text else None
