"""What the hub shows of comparisons and the desk's queue, as plain frozen values. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from kerege.ground.text import Text
from kerege.reconcile.compare import CLASSES
from kerege.reconcile.fields import of_country
from kerege.reconcile.models import Discrepancy, FieldTally


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: how its comparisons ended, over all pairs and by pair (left, right, class, count), and how many are still open."""

    field: str
    titles: Text
    owner: str
    counts: dict[str, int]
    pairs: tuple[tuple[str, str, str, int], ...]
    open: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class QueueRow:
    discrepancy_id: str
    case_id: str
    field: str
    titles: Text
    left_register: str
    right_register: str
    cls: str
    owner: str
    status: str
    found_at: datetime


def discrepancies_by_field(run: str | None = None) -> list[FieldRow]:
    """Every compared field with its counts, in the order of the country's list."""
    compared = of_country()
    tallies = FieldTally.objects.all() if run is None else FieldTally.objects.filter(run=run)
    queue = Discrepancy.objects.filter(status__in=("open", "with_owner"))
    queue = queue if run is None else queue.filter(run=run)
    waiting = dict(queue.values_list("field").annotate(number=Count("pk")))
    found = tallies.values_list("field", "left_register", "right_register", "cls").annotate(number=Sum("count"))
    pairs: dict[str, list[tuple[str, str, str, int]]] = {name: [] for name in compared.fields}
    for field, left, right, cls, number in found.order_by("field", "left_register", "right_register", "cls"):
        pairs.setdefault(field, []).append((left, right, cls, number))
    return [
        FieldRow(
            field=name,
            titles=spec.titles,
            owner=spec.owner,
            counts={cls: sum(n for _, _, c, n in pairs[name] if c == cls) for cls in CLASSES},
            pairs=tuple(pairs[name]),
            open=waiting.get(name, 0),
        )
        for name, spec in compared.fields.items()
    ]


def queue(
    *,
    status: str = "open",
    owner: str | None = None,
    field: str | None = None,
    case_id: str | None = None,
    limit: int = 100,
) -> list[QueueRow]:
    """The desk's queue, oldest first."""
    rows = Discrepancy.objects.filter(status=status).order_by("found_at", "pk")
    for name, value in (("owner", owner), ("field", field), ("case_id", case_id)):
        if value is not None:
            rows = rows.filter(**{name: value})
    titles = {name: spec.titles for name, spec in of_country().fields.items()}
    return [
        QueueRow(
            row.discrepancy_id,
            row.case_id,
            row.field,
            titles.get(row.field, Text(row.field, row.field, row.field)),
            row.left_register,
            row.right_register,
            row.cls,
            row.owner,
            row.status,
            row.found_at,
        )
        for row in rows[:limit]
    ]
