"""One field in two registers: eight classes, from "equal" to "not comparable", each with one exact definition. Pure.

Two views of each value are looked at. *Raw* is what the register wrote, compared as a careful script would: trimmed, and without regard to
capitals. *Canonical* is what the mapping made of it, compared by its key. The first class that holds, in this order:

    missing                   a side has no value, or neither wrote one (a value that both only imply elsewhere)
    code_gap                  a side has a code for which the crosswalk or code list has no counterpart
    not_comparable            a side has a value the mapping could not make canonical for another reason (a broken date)
    stale_copy                both are canonical and differ, and the copy is an earlier value of the source of truth: it stands in the
                              source's history, or, where the source tells no history, the copy is dated before the source's value began
    conflict                  both are canonical and differ otherwise: a true disagreement
    equal                     canonically equal, and the raw values are the same to a careful script
    formatting                canonically equal, and the raw values are the same letters and digits once folded (capitals, ө ү ң ё, marks,
                              blanks, dashes, dots and other separators do not count): only the writing differs
    equal_after_harmonising   canonically equal, and only so: another script, code, order or form; a person would have had to look

Raw agreement never outvotes canonical disagreement: the code `3` of one list is not the code `3` of another. A value passed through a
crosswalk that does not know it is a gap, whatever it was passed through as. Where canonical values agree and a side's raw record was not
looked at, nothing can be said, and nothing is counted. The same verdicts for whole tables: `bulk`.
Source: the figures of reference datafirst 3.6 (flagged, true, missed, not comparable), per field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kerege.reconcile.fields import ComparedFields, FieldSpec
from kerege.semantics.mappings import problems
from kerege.semantics.normalise import folding, names
from kerege.semantics.normalise.codes import SEPARATORS

EQUAL: Final = "equal"
FORMATTING: Final = "formatting"
HARMONISED: Final = "equal_after_harmonising"
STALE: Final = "stale_copy"
CONFLICT: Final = "conflict"
CODE_GAP: Final = "code_gap"
MISSING: Final = "missing"
NOT_COMPARABLE: Final = "not_comparable"
# In the order in which they are shown: from agreement to what nobody can say.
CLASSES: Final = (EQUAL, FORMATTING, HARMONISED, STALE, CONFLICT, CODE_GAP, MISSING, NOT_COMPARABLE)
AGREE: Final = (EQUAL, FORMATTING, HARMONISED)
DIFFER: Final = (STALE, CONFLICT)
UNTOLD: Final = (CODE_GAP, NOT_COMPARABLE)
# What somebody has to settle: the owner of the value, or the steward of the code list or mapping.
TO_SETTLE: Final = (*DIFFER, *UNTOLD)

# Problems of a translation that mean: a code without a counterpart.
CODES_UNKNOWN: Final = frozenset({problems.UNMAPPED, problems.NOT_IN_LIST})

SAME: Final = "same"
DIFFERENT: Final = "different"
ABSENT: Final = "absent"

LEFT: Final = "left"
RIGHT: Final = "right"
BOTH: Final = "both"

BY_HISTORY: Final = "history"
BY_DATE: Final = "date"

# Beyond `codes.SEPARATORS`, what is written between letters and digits and means nothing by itself.
PUNCTUATION: Final = SEPARATORS + ",;:'\"()"
_NO_PUNCTUATION: Final = str.maketrans("", "", PUNCTUATION)


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """The class of one field between two registers; never the values.

    stale_by  how a stale copy was known, `history` or `date`
    unread    whose value has no counterpart (a code gap) or cannot be read: `left`, `right` or `both`
    written   what a careful script sees in the raw values: `same`, `different`, or `absent` where a side wrote none ("": not looked at)
    """

    field: str
    left_register: str
    right_register: str
    cls: str
    stale_by: str = ""
    written: str = ""
    unread: str = ""

    @property
    def unread_in(self) -> tuple[str, ...]:
        """The registers whose value nobody could read."""
        left, right = (self.left_register,), (self.right_register,)
        return {LEFT: left, RIGHT: right, BOTH: left + right}.get(self.unread, ())


@dataclass(frozen=True, slots=True)
class RecordView:
    """What is known of one register's record of a person.

    raw          field -> as written; None when the raw record was not looked at
    canonical    canonical field -> value; None when no translated message was looked at
    unreadable   canonical fields that had a source value no mapping could read
    gaps         canonical fields whose source code has no counterpart (part of what is unreadable, told apart)
    earlier      field -> values (canonical, by the field's key) the register held before; a field that is not there has no told history
    record_id    the register's own number of the record
    """

    register: str
    record_id: str
    raw: Mapping[str, str | None] | None = None
    canonical: Mapping[str, str | None] | None = None
    unreadable: frozenset[str] = field(default_factory=frozenset)
    gaps: frozenset[str] = field(default_factory=frozenset)
    earlier: Mapping[str, frozenset[str]] = field(default_factory=dict)


def view_of(
    register: str,
    record_id: str,
    raw: Mapping[str, str | None] | None,
    values: Mapping[str, str | None],
    flagged: Iterable[tuple[str, str]],
    earlier: Mapping[str, frozenset[str]] | None = None,
) -> RecordView:
    """A record as its mapping left it. `flagged`: (canonical field, problem code) pairs of its translation."""
    told = tuple(flagged)
    # a field that must have a value and has none is missing, not unreadable
    unread = frozenset(name for name, code in told if _told(values.get(name)) is None and code != problems.REQUIRED)
    gaps = frozenset(name for name, code in told if code in CODES_UNKNOWN)
    return RecordView(register, record_id, raw, values, unread, gaps, earlier or {})


def normal(raw: str | None) -> str:
    """A raw value as a careful script compares it: trimmed and in small letters (by the closed table), nothing more."""
    return folding.lower(folding.trim(raw or ""))


def same_raw(left: str | None, right: str | None) -> bool:
    """Whether two raw values are there and equal for a careful script."""
    return bool(normal(left)) and normal(left) == normal(right)


def as_written(left: str | None, right: str | None) -> str:
    """What a careful script sees: `same`, `different`, or `absent` where a side wrote nothing."""
    if not normal(left) or not normal(right):
        return ABSENT
    return SAME if same_raw(left, right) else DIFFERENT


def letters(raw: str | None) -> str:
    """A raw value's folded letters and digits alone."""
    return folding.fold(raw or "").translate(_NO_PUNCTUATION)


def same_letters(left: str | None, right: str | None) -> bool:
    """Whether two raw values are there and differ in their writing at most."""
    return bool(letters(left)) and letters(left) == letters(right)


def compare_field(
    left_raw: str | None,
    right_raw: str | None,
    left: str | None,
    right: str | None,
    *,
    left_unreadable: bool = False,
    right_unreadable: bool = False,
    gap: bool = False,
    stale: bool = False,
) -> str:
    """The class of one field, from the raw values and the canonical ones (None, or blank: there is none).

    gap    a side's value is a code without counterpart
    stale  if the two differ, the copy is an earlier value of the source of truth (`stale_by`)
    """
    left, right = _told(left), _told(right)
    left_there = bool(normal(left_raw)) or left is not None or left_unreadable
    right_there = bool(normal(right_raw)) or right is not None or right_unreadable
    if not left_there or not right_there:
        return MISSING
    if gap:
        return CODE_GAP
    if left is None or right is None:
        # A value nobody could read is not comparable even where the letters agree: two agencies may share a wrong code.
        return NOT_COMPARABLE
    if left != right:
        return STALE if stale else CONFLICT
    if not normal(left_raw) and not normal(right_raw):
        return (
            MISSING  # a father's name that both registers have in the surname only was written as patronymic by neither
        )
    if same_raw(left_raw, right_raw):
        return EQUAL
    return FORMATTING if same_letters(left_raw, right_raw) else HARMONISED


def stale_by(source: RecordView, copy: RecordView, spec: FieldSpec, compared: ComparedFields) -> str:
    """How it is known that `copy` holds an earlier value of `source`, the field's source of truth: history, date, or not ("").

    A history that is told and does not hold the copy's value speaks against it, whatever the dates say.
    """
    value = meant(copy, spec)
    if value is None:
        return ""
    if spec.name in source.earlier:
        return BY_HISTORY if value in source.earlier[spec.name] else ""
    since, as_of = compared.since_field(source.register, spec.name), compared.as_of_field(copy.register)
    began, written = (_told((v.canonical or {}).get(name or "")) for v, name in ((source, since), (copy, as_of)))
    if began is None or written is None:
        return ""
    # a day beside a moment, a year beside a day: only what both tell is compared, or a copy of that very day would be an earlier one
    told = min(len(began), len(written))
    return BY_DATE if written[:told] < began[:told] else ""


def compare_records(views: Mapping[str, RecordView], compared: ComparedFields) -> tuple[FieldComparison, ...]:
    """Every field of every declared pair for which both registers' records are there."""
    found = []
    for pair in compared.pairs:
        left, right = views.get(pair.left), views.get(pair.right)
        if left is None or right is None:
            continue
        looked_at = left.raw is not None and right.raw is not None
        for spec in pair.fields:
            one = compare_views(left, right, spec, compared)
            if looked_at or one.cls not in AGREE:
                found.append(one)
    return tuple(found)


def compare_views(left: RecordView, right: RecordView, spec: FieldSpec, compared: ComparedFields) -> FieldComparison:
    """The class of one field between two records."""
    told = ""
    if spec.owner in (left.register, right.register):
        source, copy = (left, right) if spec.owner == left.register else (right, left)
        told = stale_by(source, copy, spec, compared)
    keys = spec.key_of(left.register), spec.key_of(right.register)
    values = meant(left, spec), meant(right, spec)
    gaps = keys[0] in left.gaps, keys[1] in right.gaps
    cls = compare_field(
        (left.raw or {}).get(spec.name),
        (right.raw or {}).get(spec.name),
        *values,
        left_unreadable=keys[0] in left.unreadable,
        right_unreadable=keys[1] in right.unreadable,
        gap=any(gaps),
        stale=bool(told),
    )
    unread = gaps if cls == CODE_GAP else (values[0] is None, values[1] is None) if cls == NOT_COMPARABLE else None
    where = {(True, False): LEFT, (False, True): RIGHT, (True, True): BOTH}[unread] if unread else ""
    written = (
        "" if left.raw is None or right.raw is None else as_written(left.raw.get(spec.name), right.raw.get(spec.name))
    )
    return FieldComparison(spec.name, left.register, right.register, cls, told if cls == STALE else "", written, where)


def meant(view: RecordView, spec: FieldSpec) -> str | None:
    """The canonical value by its key; a surname "Бакыт уулу", which has none, by the father's name in it."""
    canonical = view.canonical or {}
    key = _told(canonical.get(spec.key_of(view.register)))
    if key is None and spec.father is not None:
        told = _told(canonical.get(spec.name)), _told(canonical.get(spec.father))
        return father_key(next((name for name in told if name), None))
    return key


def _told(value: str | None) -> str | None:
    """A canonical value; None where it is blank: an empty text in a message says no more than a null."""
    return value if value and folding.trim(value) else None


def father_key(text: str | None) -> str | None:
    """What a father's name in a surname's place is compared by; None where it is no such name."""
    return f"child of {names.father_root(text)}" if text and names.is_child_of(text) else None


def count_by_field(comparisons: Iterable[FieldComparison], compared: ComparedFields) -> dict[str, dict[str, int]]:
    """Field -> class -> how many, every declared field and every class present, zeros included."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in compared.fields}
    for comparison in comparisons:
        counts.setdefault(comparison.field, Counter())[comparison.cls] += 1
    return {name: {cls: counter[cls] for cls in CLASSES} for name, counter in counts.items()}
