"""Running crosswalks over a file into a new file: every value translated or accounted for, the original untouched.

What happens to a code without a target is the crosswalk's policy: `reject` stops the run at the row and writes nothing; `quarantine` puts
the row into a second file with its number and reason; `pass-and-flag`, `null-and-flag` and `default` write the row and name the column in
a `problems` column (`problems_2` where the register has one of that name). A new column never takes the place of one that is there, unless
it is the very column translated. Each unmapped code is counted. An empty cell is empty, not unknown.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.crosswalks import EXACT
from kerege.catalogue.errors import (
    CodeUnknown,
    CodeWithoutCounterpart,
    KeyDuplicate,
    OutputColumnTaken,
    OutputExists,
    TableEmpty,
)
from kerege.catalogue.files import SafeWriter, written_whole
from kerege.catalogue.profile import Cell
from kerege.catalogue.sources import Source, Table
from kerege.catalogue.tables import column_index, free_name
from kerege.semantics.crosswalk import Crosswalk, Policy

PROBLEMS: Final = "problems"
ROW: Final = "row"
_LONGEST_CODE: Final = 40


@dataclass(frozen=True, slots=True)
class Step:
    """Translate `column` by `crosswalk` into the column `to` (the same name replaces the value); `file` as a person named it."""

    column: str
    crosswalk: Crosswalk
    to: str
    file: str = ""


@dataclass(slots=True)
class StepCount:
    """What one step did."""

    column: str
    crosswalk: str
    policy: str
    mapped: int = 0
    empty: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {
            "column": self.column, "crosswalk": self.crosswalk, "policy": self.policy, "mapped": self.mapped,
            "empty": self.empty, "unmapped": dict(sorted(self.unmapped.items(), key=lambda x: (-x[1], x[0]))),
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


def harmonise(source: Source, table: Table, steps: Sequence[Step], out: Path, *, key: Sequence[str] = ()) -> Report:
    """Write `table` with `steps` applied to `out` (CSV, UTF-8) and rows put aside beside it.

    Raises OutputExists, OutputColumnTaken, ColumnVanished, TableEmpty, KeyDuplicate (with `key`), CodeUnknown (policy reject) or a
    SourceError; in every case neither output file appears.
    """
    aside = quarantine_path(out)
    for path in (out, aside):
        if path.exists():
            raise OutputExists(path=str(path))
    at = [column_index(source.name, table, s.column) for s in steps]
    keys_at = [column_index(source.name, table, k) for k in key]
    _refuse_taken(source, table, steps)
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
            cells, problems, severe = _translate(source, table, row, number, columns, steps, at, to, counts)
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
    at: Sequence[int], to: Sequence[int], counts: Sequence[StepCount],
) -> tuple[list[Cell], list[str], bool]:  # fmt: skip
    """(cells, problems as "column: unknown code", whether the row is to be put aside)."""
    cells: list[Cell] = [*row, *(None,) * (len(columns) - len(row))]
    problems: list[str] = []
    severe = False
    for step, i, j, count in zip(steps, at, to, counts, strict=True):
        value = (row[i] or "").strip()
        if not value:
            count.empty += 1
            cells[j] = None
            continue
        found, known = step.crosswalk.translate(value)
        if known:
            count.mapped += 1
        else:
            count.unmapped[value] += 1
            severity = step.crosswalk.policy.severity
            if severity == "reject":
                raise _unknown(f"{source.name}#{table.name}", number, step, value)
            severe = severe or severity == "quarantine"
            problems.append(f"{step.column}: unknown code")
        cells[j] = found
    return cells, problems, severe


def _unknown(source: str, row: int, step: Step, value: str) -> CodeUnknown:
    """The error for a code without a target, with what the crosswalk does say of it."""
    walk, key = step.crosswalk, step.crosswalk.key(value)
    rows = [r for r in walk.rows if walk.key(r.subject) == key]
    settled_as_none = any(r.object is None and r.predicate == EXACT for r in rows)
    if key in walk.ambiguous:
        why = "has more than one target in"
    elif rows:
        why = "is still open in"
    else:
        why = "is not in the crosswalk"
    told = {
        "source": source, "row": row, "column": step.column, "value": _shown(value), "why": why,
        "crosswalk": step.file or walk.id, "file": shlex.quote(step.file) if step.file else "FILE",
        "code_typed": shlex.quote(value) if len(value) <= _LONGEST_CODE else "CODE",
    }  # fmt: skip
    return CodeWithoutCounterpart(**told) if settled_as_none and key not in walk.ambiguous else CodeUnknown(**told)


def _shown(value: str) -> str:
    """A code as a message shows it; what is too long to be a code is not repeated."""
    return repr(value) if len(value) <= _LONGEST_CODE else f"of {len(value)} characters"


def with_policy(crosswalk: Crosswalk, policy: str) -> Crosswalk:
    """The crosswalk under another policy for this run; ValueError for one that is not known."""
    return replace(crosswalk, policy=Policy.parse(policy), unmapped=Counter())
