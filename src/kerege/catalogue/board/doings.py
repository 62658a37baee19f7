"""The 90-day board: begin it, mark what is critical, look at it, keep how it stood on a day.

    start("the plan of 22 November", by="asanova", now=now)
    mark_critical("civil.csv", "births", reason="first registration of a child", by="asanova", now=now)
    board(now)                  everything a page, JSON or the printed report shows; writes nothing
    snapshot(now)               keeps today's counts; again on the same day it keeps the later look

Counts are computed from facts (`board.facts`) by rules (`board.rules`, pure); `board.report` prints them. Which day it is, is asked of the
calendar people in Bishkek read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction

from kerege.catalogue.board.facts import critical_facts
from kerege.catalogue.board.rules import (
    DatasetLine,
    DayPoint,
    Measure,
    MeasureRule,
    Pace,
    Total,
    count,
    day_number,
    pace,
    steps,
    totals,
)
from kerege.catalogue.errors import BoardInvalid, DatasetUnknown
from kerege.catalogue.models import BoardSnapshot, BoardStart, CriticalDataset, Dataset
from kerege.catalogue.ownership.findings import note_findings
from kerege.catalogue.ownership.queries import InterimView, interims
from kerege.catalogue.packs import pack_folder
from kerege.ground.clock import iso, local_date, require_utc
from kerege.ground.text import Text, counted

__all__ = ["Board", "board", "board_rules", "mark_critical", "snapshot", "start", "unmark_critical"]

_MOST_DAYS = 3660


@dataclass(frozen=True, slots=True)
class Board:
    """The board at a moment. `day` is 1 on the first day and greater than `days` when the time is over."""

    at: datetime
    started_on: date
    days: int
    day: int
    by: str
    reason: str
    rules: Mapping[Measure, MeasureRule]
    lines: tuple[DatasetLine, ...]
    totals: Mapping[Measure, Total]
    pace: Pace
    history: tuple[DayPoint, ...]
    interims: tuple[InterimView, ...]

    @property
    def days_left(self) -> int:
        """Days still to come, today included; 0 when the time is over."""
        return max(0, self.days - self.day + 1) if self.day > 0 else self.days

    @property
    def done(self) -> int:
        return sum(t.done for t in self.totals.values())

    @property
    def total(self) -> int:
        return sum(t.total for t in self.totals.values())

    @property
    def complete(self) -> int:
        """Critical datasets complete in all five."""
        return sum(line.complete for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        return {
            "at": iso(self.at), "started_on": self.started_on.isoformat(), "days": self.days, "day": self.day,
            "days_left": self.days_left, "by": self.by, "reason": self.reason, "critical": len(self.lines),
            "complete": self.complete, "totals": {m.value: t.as_dict() for m, t in self.totals.items()},
            "pace": self.pace.as_dict(), "datasets": [line.as_dict() for line in self.lines],
            "history": [
                {"day": p.day.isoformat(), "counts": {m.value: list(c) for m, c in p.counts.items()}}
                for p in self.history
            ],
            "interims": [i.as_dict() for i in self.interims],
        }  # fmt: skip


@transaction.atomic
def start(reason: str, *, by: str, now: datetime, on: date | None = None, days: int | None = None) -> BoardStart:
    """Begin a board on `on` (today); the newest one begun is the one that runs. Raises BoardInvalid."""
    length = days if days is not None else _config()[1]
    if not 1 <= length <= _MOST_DAYS:
        raise BoardInvalid(what=counted(length, "day"), expected=f"1 to {_MOST_DAYS} days")
    _said(reason, by)
    return BoardStart.objects.create(
        started_on=on or local_date(require_utc(now)), days=length, by=by.strip(), reason=reason.strip(), at=now
    )


@transaction.atomic
def mark_critical(source: str, table: str, *, reason: str, by: str, now: datetime) -> CriticalDataset:
    """Mark a dataset as critical, with who says so and why; marking it again changes nothing."""
    _said(reason, by)
    dataset = Dataset.objects.select_for_update().filter(source=source, table=table).first()
    if dataset is None:
        raise DatasetUnknown(what="dataset", name=f"{source}#{table}")
    present = dataset.critical_marks.filter(ended_at=None).first()
    return present or CriticalDataset.objects.create(
        dataset=dataset, reason=reason.strip(), by=by.strip(), at=require_utc(now)
    )


@transaction.atomic
def unmark_critical(source: str, table: str, *, reason: str, by: str, now: datetime) -> CriticalDataset:
    """Take a dataset off the board, with who says so and why; the mark stays as history. BoardInvalid when it is not on it."""
    _said(reason, by)
    present = CriticalDataset.objects.filter(dataset__source=source, dataset__table=table, ended_at=None).first()
    if present is None:
        raise BoardInvalid(what=f"{source}#{table}", expected="a dataset that is marked critical")
    present.ended_at, present.ended_by, present.ended_reason = require_utc(now), by.strip(), reason.strip()
    present.save(update_fields=["ended_at", "ended_by", "ended_reason"])
    return present


@transaction.atomic
def snapshot(now: datetime) -> BoardSnapshot:
    """Keep today's counts, and the findings about ownership. One a day: a later look of the same day takes its place."""
    note_findings(now)
    view = board(now)
    begun = _running()
    counts = {m.value: [t.done, t.total, t.datasets] for m, t in view.totals.items()}
    row, _ = BoardSnapshot.objects.update_or_create(
        start=begun, day=local_date(now), defaults={"counts": {**counts, "critical": len(view.lines)}, "taken_at": now}
    )
    return row


def board(now: datetime) -> Board:
    """The board as it stands now. BoardInvalid when none was begun."""
    begun, today = _running(), local_date(require_utc(now))
    rules = board_rules()
    lines = []
    for facts in critical_facts(now):
        counts = count(facts, rules)
        lines.append(DatasetLine(facts, counts, steps(facts, counts)))
    lines.sort(key=lambda line: (line.complete, line.left, line.facts.dataset))
    summed = totals(lines)
    history = tuple(_point(row) for row in begun.snapshots.order_by("day"))
    done = sum(t.done for t in summed.values())
    left = sum(t.total for t in summed.values()) - done
    return Board(
        now, begun.started_on, begun.days, day_number(begun.started_on, today), begun.by, begun.reason, rules,
        tuple(lines), summed, pace(left, begun.started_on, begun.days, today, done, history), history,
        tuple(i for i in interims(now) if i.state != "running"),
    )  # fmt: skip


def board_rules() -> dict[Measure, MeasureRule]:
    """The measures as the country pack words them (`board.yaml`), in the board's order."""
    return _config()[0]


def _config() -> tuple[dict[Measure, MeasureRule], int]:
    path = pack_folder() / "board.yaml"
    return read_rules(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=8)
def read_rules(path: Path, _changed: int) -> tuple[dict[Measure, MeasureRule], int]:
    """(measures, days) of a pack's file; BoardInvalid says what of it is wrong."""
    try:
        raw = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
        found = {
            Measure(entry["id"]): MeasureRule(
                Measure(entry["id"]), Text.of(entry["text"]), Text.of(entry["meaning"]), int(entry["complete_at"])
            )
            for entry in raw["measures"]
        }
        days = int(raw.get("days", 90))
        if set(found) != set(Measure) or not all(1 <= r.complete_at <= 100 for r in found.values()):
            raise ValueError("the five measures, each complete at 1 to 100 per cent")
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise BoardInvalid(what=path.name, expected=str(error).splitlines()[0]) from error
    return {m: found[m] for m in Measure}, days


def _running() -> BoardStart:
    found = BoardStart.objects.order_by("-pk").first()
    if found is None:
        raise BoardInvalid(
            what="no board", expected="one that was begun with: kerege board start --by WHO --reason WHY"
        )
    return found


def _point(row: BoardSnapshot) -> DayPoint:
    counts = {m: (c[0], c[1], c[2]) for m in Measure if (c := row.counts.get(m.value)) is not None}
    return DayPoint(row.day, counts)


def _said(reason: str, by: str) -> None:
    if not (0 < len(reason.strip()) <= 500 and 0 < len(by.strip()) <= 200):
        raise BoardInvalid(what="who or why", expected="both, in at most 200 and 500 characters")


def last_day(view: Board) -> date:
    """The last day of the plan."""
    return view.started_on + timedelta(days=view.days - 1)
