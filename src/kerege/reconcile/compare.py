"""One field in two registers: the same, the same once harmonised, different, absent, or not comparable. Pure.

Two views of each value are looked at. *Raw* is what the register wrote, compared as a careful script would: trimmed and
case-folded. *Canonical* is what the mapping made of it, compared by its key. Five classes, never mixed:

    equal                     both views agree
    equal_after_harmonising   only the canonical values agree: a person would have had to look
    conflict                  both are canonical and differ: a true disagreement
    missing                   a side has no value, or neither wrote one (a value that both only imply elsewhere)
    not_comparable            a side has a value that the mapping could not make canonical (an unknown code, a broken date)

Raw agreement never outvotes canonical disagreement: the code `3` of one list is not the code `3` of another. Where canonical values
agree and a side's raw record was not looked at, none of the five can be said, and nothing is counted.
Source: the five figures of reference datafirst 3.6 (flagged, true, missed, not comparable), per field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kerege.reconcile.fields import ComparedFields, FieldSpec
from kerege.semantics import names

EQUAL: Final = "equal"
HARMONISED: Final = "equal_after_harmonising"
CONFLICT: Final = "conflict"
MISSING: Final = "missing"
NOT_COMPARABLE: Final = "not_comparable"
CLASSES: Final = (EQUAL, HARMONISED, CONFLICT, MISSING, NOT_COMPARABLE)


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """The class of one field between two registers; never the values."""

    field: str
    left_register: str
    right_register: str
    cls: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """What is known of one register's record of a person.

    raw          field -> as written; None when the raw record was not looked at
    canonical    canonical field -> value; None when no translated message was looked at
    unreadable   canonical fields that had a source value no mapping could read
    record_id    the register's own number of the record
    """

    register: str
    record_id: str
    raw: Mapping[str, str | None] | None = None
    canonical: Mapping[str, str | None] | None = None
    unreadable: frozenset[str] = field(default_factory=frozenset)


def normal(raw: str | None) -> str:
    """A raw value as a careful script compares it: trimmed and case-folded, nothing more."""
    return (raw or "").strip().casefold()


def same_raw(left: str | None, right: str | None) -> bool:
    """Whether two raw values are there and equal for a careful script."""
    return bool(normal(left)) and normal(left) == normal(right)


def compare_field(
    left_raw: str | None,
    right_raw: str | None,
    left: str | None,
    right: str | None,
    *,
    left_unreadable: bool = False,
    right_unreadable: bool = False,
) -> str:
    """The class of one field, from the raw values and the canonical ones (None: there is none)."""
    left_there = bool(normal(left_raw)) or left is not None or left_unreadable
    right_there = bool(normal(right_raw)) or right is not None or right_unreadable
    if not left_there or not right_there:
        return MISSING
    if left is None or right is None:
        # A value nobody could read is not comparable even where the letters agree: two agencies may share a wrong code.
        return NOT_COMPARABLE
    if left != right:
        return CONFLICT
    if not normal(left_raw) and not normal(right_raw):
        return (
            MISSING  # a father's name that both registers have in the surname only was written as patronymic by neither
        )
    return EQUAL if same_raw(left_raw, right_raw) else HARMONISED


def compare_records(views: Mapping[str, RecordView], compared: ComparedFields) -> tuple[FieldComparison, ...]:
    """Every field of every declared pair for which both registers' records are there."""
    found = []
    for pair in compared.pairs:
        left, right = views.get(pair.left), views.get(pair.right)
        if left is None or right is None:
            continue
        looked_at = left.raw is not None and right.raw is not None
        for spec in pair.fields:
            meant = _meant(left, spec), _meant(right, spec)
            if not looked_at and meant[0] is not None and meant[0] == meant[1]:
                continue
            cls = compare_field(
                (left.raw or {}).get(spec.name),
                (right.raw or {}).get(spec.name),
                *meant,
                left_unreadable=spec.key in left.unreadable,
                right_unreadable=spec.key in right.unreadable,
            )
            found.append(FieldComparison(spec.name, pair.left, pair.right, cls))
    return tuple(found)


def _meant(view: RecordView, spec: FieldSpec) -> str | None:
    """The canonical value by its key; a surname "Бакыт уулу", which has none, by the father's name in it."""
    canonical = view.canonical or {}
    key = canonical.get(spec.key)
    if key is None and spec.father is not None:
        told = canonical.get(spec.name), canonical.get(spec.father)
        text = next((name for name in told if name), None)
        return f"child of {names.father_root(text)}" if text and names.is_child_of(text) else None
    return key


def count_by_field(comparisons: Iterable[FieldComparison], compared: ComparedFields) -> dict[str, dict[str, int]]:
    """Field -> class -> how many, every declared field and every class present, zeros included."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in compared.fields}
    for comparison in comparisons:
        counts.setdefault(comparison.field, Counter())[comparison.cls] += 1
    return {name: {cls: counter[cls] for cls in CLASSES} for name, counter in counts.items()}
