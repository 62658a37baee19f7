"""What a crosswalk's rows come to, code by code: the compiled form that every engine runs, and the rows that contradict each other.

**The compiled form.** For every source key (the code, folded where the set says so) an ordered tuple of `Rule`s:

    key -> [Rule(valid_from, valid_to, conditions, target), ...]      the first rule that holds gives the target

A rule holds for a record when its day lies between `valid_from` and `valid_to` (inclusive, None is open) and each cell of
`Compiled.cells` has the value that stands at the same place in `conditions` (None: any value, also none at all). A record without a
day meets no dated end, and a missing cell meets no condition: a comparison with nothing is not true, as in SQL. Nor does a wider rule
speak for a record without a day while one before it, whose conditions are met, would give another target on some day: such a code
needs the day. No rule that holds, or one that needs the day: unmapped, the crosswalk's policy decides. Condition values are compared
as codes are: folded where the set says so.

`Compiled.relation()` is the same as a flat table of texts for SQL and data frames, one line per rule: key, rank (from 0), valid_from, valid_to
("yyyy-mm-dd" or None), one column per cell, target. Join on key, day and cells; the smallest rank wins. For a record without a day it wins only
where every smaller rank whose cells are met has the same target. `plain` says that no rule has a day or a condition, one rule per key: then
`Crosswalk.table` (key to target) is all there is, and an engine may join that.

**Which row speaks.** The narrower condition wins over the wider (every record the one holds for, the other holds for too); with equal
conditions the stronger predicate wins (exact, close, broad). Two rows for one code that can hold for one record on one day and say different
targets, with equal conditions and predicate or with conditions neither inside the other, are `Twice`: nobody may load such a crosswalk for
use (`Crosswalk.require_single`), and until mended the code counts as unmapped.

**What is not so.** A row with the predicate modifier `Not`, and one that found no term (sssom:NoTermFound) on either side, speaks against every
row that says the contrary by the same predicate, or by one that would imply it, for a record that both can hold for. Such a pair is `Twice` too,
`denied`: what somebody found to be wrong is never used because somebody else wrote it down as well. Pure.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final

from kerege.semantics.crosswalks.rows import NO_TERM, TRANSLATING, Row

ROWS_PER_CODE: Final = 1000  # of one source code; comparing pairs beyond it is work without end
COMBINATIONS: Final = 1000  # of condition values of one row
_DAY: Final = timedelta(days=1)
_FIRST, _LAST = date.min, date.max
Key = Callable[[str], str]
Relation = list[tuple[str | int | None, ...]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the compiled form; see the module's text. `row` is the index of the row it comes from."""

    valid_from: date | None
    valid_to: date | None
    conditions: tuple[str | None, ...]
    target: str
    row: int

    @property
    def dated(self) -> bool:
        """Whether the rule holds on some days only."""
        return self.valid_from is not None or self.valid_to is not None

    def holds(self, as_of: date | None, given: Sequence[str | None]) -> bool:
        """Whether the rule holds on `as_of` for cells whose values are `given`, in the order of `Compiled.cells`."""
        if self.valid_from is not None and (as_of is None or as_of < self.valid_from):
            return False
        if self.valid_to is not None and (as_of is None or as_of > self.valid_to):
            return False
        return self.meets(given)

    def meets(self, given: Sequence[str | None]) -> bool:
        """Whether its conditions are met, whatever the day."""
        return all(wanted is None or wanted == has for wanted, has in zip(self.conditions, given, strict=True))


@dataclass(frozen=True, slots=True)
class Twice:
    """Two rows (indexes) that say different targets for `key` on one day; `overlap` is True when only some records meet both.

    denied   the second says that what the first says is not so
    """

    key: str
    first: int
    second: int
    overlap: bool
    denied: bool = False


@dataclass(frozen=True)
class Compiled:
    """A crosswalk as engines run it; see the module's text."""

    cells: tuple[str, ...]
    rules: Mapping[str, tuple[Rule, ...]]
    twice: tuple[Twice, ...]

    @cached_property
    def plain(self) -> bool:
        """Whether no rule has a day or a condition."""
        return not self.cells and not self.dated

    @cached_property
    def dated(self) -> bool:
        """Whether a rule has a day, so that a mapping must say which cell is the record's date."""
        return any(r.valid_from or r.valid_to for rules in self.rules.values() for r in rules)

    def find(self, key: str, as_of: date | None, given: Sequence[str | None]) -> Rule | None:
        """The rule that speaks for `key`, or None."""
        rules = self.rules.get(key, ())
        found = next((rule for rule in rules if rule.holds(as_of, given)), None)
        if found is None or as_of is not None:
            return found
        before = (rule for rule in rules[: rules.index(found)] if rule.dated and rule.meets(given))
        return found if all(rule.target == found.target for rule in before) else None

    def relation(self) -> Relation:
        """The flat form: (key, rank, valid_from, valid_to, one value per cell..., target), sorted by key and rank."""
        return [
            (key, rank, _iso(rule.valid_from), _iso(rule.valid_to), *rule.conditions, rule.target)
            for key in sorted(self.rules)
            for rank, rule in enumerate(self.rules[key])
        ]


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A row on its way: its conditions as sets by cell, and its days with open ends closed. Of one that denies, `target` may be "" for any."""

    index: int
    sets: Mapping[str, frozenset[str]]
    first: date
    last: date
    strength: int
    target: str

    def order(self) -> tuple[int, int, int, date, int]:
        values = math.prod(len(v) for v in self.sets.values())
        return -len(self.sets), values, self.strength, self.first, self.index


def compile_rows(rows: Sequence[Row], key: Key) -> Compiled:
    """The compiled form of `rows`. Raises ValueError when one code has too many rows or one row too many combinations of values."""
    by_key: dict[str, list[_Wanted]] = defaultdict(list)
    denials: dict[tuple[str, str], list[_Wanted]] = defaultdict(
        list
    )  # by source key, or ("", target) where every code is meant
    for index, row in enumerate(rows):
        if row.translates or row.denies:
            sets = {c.cell: frozenset(key(v) for v in c.values) for c in row.conditions}
            if math.prod(len(v) for v in sets.values()) > COMBINATIONS:
                raise ValueError(
                    f"row {index + 1}: its conditions have more than {COMBINATIONS} combinations of values"
                )
            first, last = row.valid_from or _FIRST, row.valid_to or _LAST
            strength = TRANSLATING.index(row.predicate)
            wanted = _Wanted(index, sets, first, last, strength, row.object or "")
            if row.translates:
                by_key[key(row.subject)].append(wanted)
            else:
                denials[(key(row.subject), "") if row.subject else ("", wanted.target)].append(wanted)
    cells = tuple(sorted({cell for found in by_key.values() for wanted in found for cell in wanted.sets}))
    rules: dict[str, tuple[Rule, ...]] = {}
    twice: list[Twice] = []
    for code, found in by_key.items():
        if (many := len(found) + len(denials.get((code, ""), ()))) > ROWS_PER_CODE:
            raise ValueError(f"one code has {many} rows; more than {ROWS_PER_CODE} are refused")
        against = [t for a, b in itertools.combinations(found, 2) if (t := _contradiction(code, a, b)) is not None]
        against += [
            Twice(code, a.index, b.index, overlap=False, denied=True)
            for a in found
            for b in (*denials.get((code, ""), ()), *denials.get(("", a.target), ()))
            if b.target in ("", a.target) and rows[a.index].predicate in rows[b.index].denies and _meet(a, b)
        ]
        twice += against
        if not against:
            rules[code] = _flattened(found, cells)
    return Compiled(cells, rules, tuple(twice))


def _contradiction(key: str, a: _Wanted, b: _Wanted) -> Twice | None:
    if a.target == b.target or not _meet(a, b):
        return None
    if a.sets == b.sets:
        return Twice(key, a.index, b.index, overlap=False) if a.strength == b.strength else None
    return None if _inside(a, b) or _inside(b, a) else Twice(key, a.index, b.index, overlap=True)


def _meet(a: _Wanted, b: _Wanted) -> bool:
    """Whether a record can meet both on one day."""
    days = a.first <= b.last and b.first <= a.last
    return days and all(a.sets[cell] & b.sets[cell] for cell in a.sets.keys() & b.sets.keys())


def _inside(a: _Wanted, b: _Wanted) -> bool:
    """Whether every record that meets `a`'s conditions meets `b`'s."""
    return all(cell in a.sets and a.sets[cell] <= values for cell, values in b.sets.items())


def _flattened(found: Sequence[_Wanted], cells: tuple[str, ...]) -> tuple[Rule, ...]:
    """Rules of one key: one per combination of values and stretch of days; two for one combination and day say the same target."""
    taken: dict[tuple[str | None, ...], list[_Wanted]] = defaultdict(list)
    out: list[Rule] = []
    for wanted in sorted(found, key=_Wanted.order):
        choices = [sorted(wanted.sets[cell]) if cell in wanted.sets else [None] for cell in cells]
        for values in itertools.product(*choices):
            before = taken[values]
            if any(w.target == wanted.target and w.first <= wanted.first and wanted.last <= w.last for w in before):
                continue  # said already
            others = [(w.first, w.last) for w in before if w.target != wanted.target]
            for first, last in _left(wanted.first, wanted.last, others):
                start, end = (None if first == _FIRST else first), (None if last == _LAST else last)
                out.append(Rule(start, end, values, wanted.target, wanted.index))
            before.append(wanted)
    return tuple(sorted(out, key=lambda r: (-sum(v is not None for v in r.conditions), r.valid_from or _FIRST)))


def _left(first: date, last: date, taken: Sequence[tuple[date, date]]) -> list[tuple[date, date]]:
    """The days from `first` to `last` that none of `taken` has."""
    free = [(first, last)]
    for begin, end in taken:
        cut = []
        for a, b in free:
            if end < a or begin > b:
                cut.append((a, b))
                continue
            if a < begin:
                cut.append((a, begin - _DAY))
            if end < b:
                cut.append((end + _DAY, b))
        free = cut
    return free


def cardinalities(rows: Sequence[Row], scope: Sequence[str], slot: Callable[[Row, str], str]) -> list[str]:
    """The `mapping_cardinality` of each row (SSSOM 1.1): "1:n" means that its subject has other objects within the scope.

    scope   slots that must be equal for rows to be counted together (`cardinality_scope`); none: the whole set
    slot    how a slot of a row is read
    Rows of which a side is sssom:NoTermFound count for nobody else and are 1:0, 0:1 or 0:0.
    """
    subjects: dict[tuple[object, ...], set[object]] = defaultdict(set)
    objects: dict[tuple[object, ...], set[object]] = defaultdict(set)
    places = [(row.predicate_modifier, *(slot(row, name) for name in scope)) for row in rows]
    for row, place in zip(rows, places, strict=True):
        if row.subject and row.object is not None:
            objects[*place, _left_side(row)].add(_right_side(row))
            subjects[*place, _right_side(row)].add(_left_side(row))
    out = []
    for row, place in zip(rows, places, strict=True):
        if row.subject and row.object is not None:
            left = "n" if len(subjects[*place, _right_side(row)]) > 1 else "1"
            right = "n" if len(objects[*place, _left_side(row)]) > 1 else "1"
            out.append(f"{left}:{right}")
        else:
            out.append(f"{int(bool(row.subject))}:{int(row.object is not None)}")
    return out


def _left_side(row: Row) -> str:
    return row.subject_id or row.subject


def _right_side(row: Row) -> str:
    return row.object_id or row.object or NO_TERM
