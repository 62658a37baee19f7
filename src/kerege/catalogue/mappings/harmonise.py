"""Running crosswalks over a file into a new file: every value translated or accounted for, the original untouched.

What happens to a code without a target is the crosswalk's policy: `reject` stops the run at the row and writes nothing; `quarantine` puts
the row into a second file with its number and reason; `pass-and-flag`, `null-and-flag` and `default` write the row and name the column in
a `problems` column (`problems_2` where the register has one of that name). A new column never takes the place of one that is there, unless
it is the very column translated. Each unmapped code is counted, and apart from them, under the same policy, a known code of which no row holds (the
record has no day, or no condition is met). An empty cell is empty, not unknown.

What a code means may depend on the record's day or on its other cells (`semantics.crosswalks.rules`). A crosswalk of that kind runs only when
`Given` says where they are: a rule that is never asked would leave codes unmapped, or let a wider rule speak for them, and nobody would see it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.codes.crosswalks import EXACT
from kerege.catalogue.errors import (
    CodeUnknown,
    CodeWithoutCounterpart,
    CrosswalkNeedsCells,
    CrosswalkNeedsDay,
    KeyDuplicate,
    OutputColumnTaken,
    OutputExists,
    TableEmpty,
)
from kerege.catalogue.files import SafeWriter, written_whole
from kerege.catalogue.inventory.profile import Cell
from kerege.catalogue.inventory.tables import column_index, free_name
from kerege.catalogue.sources import Source, Table
from kerege.semantics.crosswalks.sssom import Crosswalk, Policy
from kerege.semantics.normalise import dates

DATES: Final = (*dates.DEFAULT, "timestamp")
PROBLEMS: Final = "problems"
ROW: Final = "row"
UNKNOWN: Final = "unknown code"
NO_DAY: Final = "no day"
NO_ROW: Final = "no condition holds"  # of rows with days or conditions
_LONGEST_CODE: Final = 40


@dataclass(frozen=True, slots=True)
class Step:
    """Translate `column` by `crosswalk` into the column `to` (the same name replaces the value); `file` as a person named it."""

    column: str
    crosswalk: Crosswalk
    to: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What crosswalks may ask of a record beside its code.

    as_of   column of the record's date (`DATES`), or one day for all records as yyyy-mm-dd
    cells   columns by the names that conditions use, where a register calls them otherwise
    """

    as_of: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)


NOTHING: Final = Given()


@dataclass(frozen=True, slots=True)
class _Record:
    """Where a table has what `Given` names: the day itself or the place of its column, and the place of each cell that a rule asks for."""

    day: date | None
    day_at: int | None
    cells_at: Mapping[str, int]

    def day_of(self, row: Sequence[Cell]) -> tuple[date | None, bool]:
        """(the record's day, whether its cell holds something that is none)."""
        if self.day_at is None:
            return self.day, False
        text = row[self.day_at] or ""
        found = dates.parse(text, DATES)
        return date.fromisoformat(found) if found else None, bool(text.strip()) and not found

    def cells_of(self, row: Sequence[Cell]) -> dict[str, str | None]:
        return {name: (row[at] or "").strip() or None for name, at in self.cells_at.items()}


@dataclass(slots=True)
class StepCount:
    """What one step did."""

    column: str
    crosswalk: str
    policy: str
    mapped: int = 0
    empty: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(
        default_factory=Counter
    )  # why no row of a known code holds (`NO_DAY`, `NO_ROW`) -> how many

    def as_dict(self) -> dict[str, Any]:
        return {
            "column": self.column, "crosswalk": self.crosswalk, "policy": self.policy, "mapped": self.mapped,
            "empty": self.empty, "undecided": dict(sorted(self.undecided.items())),
            "unmapped": dict(sorted(self.unmapped.items(), key=lambda x: (-x[1], x[0]))),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """The run in figures: read = written + quarantined."""

    read: int
    written: int
    flagged: int
    quarantined: int
    steps: tuple[StepCount, ...]
    problems_column: str = PROBLEMS

    def as_dict(self) -> dict[str, Any]:
        return {
            "read": self.read, "written": self.written, "flagged": self.flagged, "quarantined": self.quarantined,
            "problems_column": self.problems_column, "steps": [s.as_dict() for s in self.steps],
        }  # fmt: skip


def quarantine_path(out: Path) -> Path:
    """Where rows put aside go: beside the output, `name.quarantine.csv`."""
    return out.with_name(f"{out.stem}.quarantine.csv")


def harmonise(
    source: Source, table: Table, steps: Sequence[Step], out: Path, *, key: Sequence[str] = (), given: Given = NOTHING
) -> Report:
    """Write `table` with `steps` applied to `out` (CSV, UTF-8) and rows put aside beside it.

    Raises OutputExists, OutputColumnTaken, ColumnVanished, CrosswalkNeedsDay, CrosswalkNeedsCells, TableEmpty, KeyDuplicate (with `key`),
    CodeUnknown (policy reject) or a SourceError; in every case neither output file appears.
    """
    aside = quarantine_path(out)
    for path in (out, aside):
        if path.exists():
            raise OutputExists(path=str(path))
    at = [column_index(source.name, table, s.column) for s in steps]
    keys_at = [column_index(source.name, table, k) for k in key]
    _refuse_taken(source, table, steps)
    record = _resolved(source, table, steps, given)
    columns = [*table.columns, *(s.to for s in steps if s.to not in table.columns)]
    to = [columns.index(s.to) for s in steps]
    problems_column = free_name(PROBLEMS, (*columns, *table.columns))
    aside_head = [free_name(ROW, table.columns), *table.columns, problems_column]
    counts = tuple(StepCount(s.column, s.crosswalk.id, str(s.crosswalk.policy)) for s in steps)
    seen: dict[tuple[Cell, ...], int] = {}
    read = written = flagged = quarantined = 0
    with ExitStack() as files:
        main = SafeWriter(files.enter_context(written_whole(out)))
        main.writerow([*columns, problems_column])
        put_aside: Any = None
        for number, row in table.numbered():
            read += 1
            if keys_at:
                _check_key(source, tuple(row[i] for i in keys_at), number, key, seen)
            cells, problems, severe = _translate(
                source, table, row, number, columns, steps, at, to, counts, record, given.as_of
            )
            if severe:
                if put_aside is None:
                    put_aside = SafeWriter(files.enter_context(written_whole(aside)))
                    put_aside.writerow(aside_head)
                put_aside.writerow([number, *("" if c is None else c for c in row), "; ".join(problems)])
                quarantined += 1
                continue
            main.writerow([*("" if c is None else c for c in cells), "; ".join(problems)])
            written += 1
            flagged += bool(problems)
        if not read:
            raise TableEmpty(source=source.name, table=table.name, before="")
    return Report(read, written, flagged, quarantined, counts, problems_column)


def _resolved(source: Source, table: Table, steps: Sequence[Step], given: Given) -> _Record:
    """Where the table has what the steps' crosswalks ask for; refused when one asks for what is not there."""
    where = f"{source.name}#{table.name}"
    day, day_at = None, None
    if given.as_of and given.as_of not in table.columns and dates.parse(given.as_of, ("yyyy-mm-dd",)):
        day = date.fromisoformat(given.as_of)
    elif given.as_of:
        day_at = column_index(source.name, table, given.as_of)
    cells_at: dict[str, int] = {name: column_index(source.name, table, column) for name, column in given.cells.items()}
    for step in steps:
        compiled = step.crosswalk.compiled
        if compiled.dated and not given.as_of:
            raise CrosswalkNeedsDay(crosswalk=step.file or step.crosswalk.id)
        lacking = [cell for cell in compiled.cells if cell not in cells_at and cell not in table.columns]
        if lacking:
            raise CrosswalkNeedsCells(
                crosswalk=step.file or step.crosswalk.id, cells=", ".join(lacking), source=where, columns=", ".join(table.columns)
            )  # fmt: skip
        for cell in compiled.cells:
            if cell not in cells_at:
                cells_at[cell] = table.columns.index(cell)
    return _Record(day, day_at, cells_at)


def _refuse_taken(source: Source, table: Table, steps: Sequence[Step]) -> None:
    """A column of the register, or of an earlier step, is not overwritten."""
    made: dict[str, str] = {}
    for step in steps:
        if step.to in made:
            taken = f"the one made from {made[step.to]}"
        elif step.to != step.column and step.to in table.columns:
            taken = "one the register has"
        else:
            made[step.to] = step.column
            continue
        raise OutputColumnTaken(source=f"{source.name}#{table.name}", column=step.to, by=step.column, taken=taken)


def _check_key(
    source: Source, identity: tuple[Cell, ...], number: int, key: Sequence[str], seen: dict[tuple[Cell, ...], int]
) -> None:
    if identity in seen:
        raise KeyDuplicate(source=source.name, row=number, column=", ".join(key), first=seen[identity])
    seen[identity] = number


def _translate(
    source: Source, table: Table, row: Sequence[Cell], number: int, columns: Sequence[str], steps: Sequence[Step],
    at: Sequence[int], to: Sequence[int], counts: Sequence[StepCount], record: _Record, as_of: str,
) -> tuple[list[Cell], list[str], bool]:  # fmt: skip
    """(cells, problems as "column: why", whether the row is to be put aside)."""
    cells: list[Cell] = [*row, *(None,) * (len(columns) - len(row))]
    day, unreadable = record.day_of(row)
    others = record.cells_of(row)
    problems: list[str] = [f"{as_of}: not a date"] if unreadable else []
    severe = False
    for step, i, j, count in zip(steps, at, to, counts, strict=True):
        value = (row[i] or "").strip()
        if not value:
            count.empty += 1
            cells[j] = None
            continue
        found, known = step.crosswalk.translate(value, day, others)
        if known:
            count.mapped += 1
        else:
            why = _why(step.crosswalk, value, day)
            if why == UNKNOWN:
                count.unmapped[value] += 1
            else:
                count.undecided[why] += 1
            severity = step.crosswalk.policy.severity
            if severity == "reject":
                raise _unknown(f"{source.name}#{table.name}", number, step, value)
            severe = severe or severity == "quarantine"
            problems.append(f"{step.column}: {why}")
        cells[j] = found
    return cells, problems, severe


def _why(walk: Crosswalk, value: str, day: date | None) -> str:
    """Why no row translated the code: nobody knows it, the record says no day, or none of its rows holds for such a record."""
    rules = walk.compiled.rules.get(walk.key(value), ())
    if not rules or walk.key(value) in walk.ambiguous:
        return UNKNOWN
    return NO_DAY if day is None and any(r.valid_from or r.valid_to for r in rules) else NO_ROW


def _unknown(source: str, row: int, step: Step, value: str) -> CodeUnknown:
    """The error for a code without a target, with what the crosswalk does say of it."""
    walk, key = step.crosswalk, step.crosswalk.key(value)
    rows = [r for r in walk.rows if walk.key(r.subject) == key]
    settled_as_none = any(r.object is None and r.predicate == EXACT for r in rows)
    if key in walk.ambiguous:
        why = "has more than one target in"
    elif key in walk.compiled.rules:
        why = "has no target for the day and the other cells of this record in"
    elif rows:
        why = "is still open in"
    else:
        why = "is not in the crosswalk"
    told = {
        "source": source, "row": row, "column": step.column, "value": _shown(value), "why": why,
        "crosswalk": step.file or walk.id, "file": shlex.quote(step.file) if step.file else "FILE",
        "code_typed": shlex.quote(value) if len(value) <= _LONGEST_CODE else "CODE",
        "more": "" if rows else " --new-code",
    }  # fmt: skip
    return CodeWithoutCounterpart(**told) if settled_as_none and key not in walk.ambiguous else CodeUnknown(**told)


def _shown(value: str) -> str:
    """A code as a message shows it; what is too long to be a code is not repeated."""
    return repr(value) if len(value) <= _LONGEST_CODE else f"of {len(value)} characters"


def with_policy(crosswalk: Crosswalk, policy: str) -> Crosswalk:
    """The crosswalk under another policy for this run; ValueError for one that is not known."""
    return replace(crosswalk, policy=Policy.parse(policy), unmapped=Counter())
