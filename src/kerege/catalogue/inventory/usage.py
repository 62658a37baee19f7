"""Who uses what: calls between subsystems as exchange nodes saw them, stored without values, and the questions about it.

A node is read by `sources.nodes`; what it found waits in the plan and is added when the plan is applied, once (`NodeReading` says how far a node
was counted). An exchange is often seen by two nodes; the provider's word goes before the client's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from kerege.catalogue.models import Dataset, FieldUse, NodeReading, ServiceUse
from kerege.catalogue.sources.traffic import Use
from kerege.ground.clock import require_utc


@dataclass(frozen=True, slots=True)
class FieldUseView:
    """A field that a consumer was given: in how many of the answers looked at."""

    name: str
    answers: int


@dataclass(frozen=True, slots=True)
class UseView:
    """One consumer's use of one data service. `dataset_id` None: the catalogue does not know the service's answers."""

    consumer: str
    service: str
    endpoint: str
    calls: int
    failed: int
    answers: int
    withheld: int
    first_at: datetime
    last_at: datetime
    seen_by: str  # the node that counted, and from which side
    dataset_id: int | None
    fields: tuple[FieldUseView, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "consumer": self.consumer, "service": self.service, "endpoint": self.endpoint, "calls": self.calls,
            "failed": self.failed, "answers": self.answers, "withheld": self.withheld, "first_at": self.first_at.isoformat(),
            "last_at": self.last_at.isoformat(), "seen_by": self.seen_by, "dataset_id": self.dataset_id,
            "fields": [{"name": f.name, "answers": f.answers} for f in self.fields],
        }  # fmt: skip


def counted_until(source: str) -> datetime | None:
    """How far the traffic of a node was counted; None when it never was."""
    found = NodeReading.objects.filter(source=source).first()
    return found.read_until if found else None


@transaction.atomic
def add_usage(source: str, usage: Mapping[str, Any]) -> int:
    """Add what a reading of a node counted; returns the number of uses. Called within the applying of its plan."""
    if not usage:
        return 0
    until = require_utc(datetime.fromisoformat(usage["until"]))
    datasets = dict(Dataset.objects.filter(source=source).values_list("table", "pk"))
    uses = [Use.from_dict(raw) for raw in usage["uses"]]
    for use in uses:
        row, _ = ServiceUse.objects.select_for_update().get_or_create(
            source=source, side=use.side, consumer=use.consumer, service=use.service, endpoint=use.endpoint,
            defaults={"first_at": use.first_at, "last_at": use.last_at},
        )  # fmt: skip
        row.calls, row.failed, row.answers = row.calls + use.calls, row.failed + use.failed, row.answers + use.answers
        row.withheld = use.withheld
        row.first_at, row.last_at = min(row.first_at, use.first_at), max(row.last_at, use.last_at)
        row.dataset_id = datasets.get(use.table, row.dataset_id)
        row.save()
        known = {f.name: f for f in row.fields.all()}
        for name, answers in use.fields:
            field = known.get(name) or FieldUse(use=row, name=name[:300])
            field.answers += answers
            field.save()
    NodeReading.objects.update_or_create(source=source, defaults={"read_until": until})
    return len(uses)


def who_uses(*, consumer: str = "", service: str = "", field: str = "", dataset_id: int | None = None) -> list[UseView]:
    """Uses, most called first: of a consumer, of a service (or all of a provider's, by the beginning of its name), of a field, of a dataset."""
    rows = ServiceUse.objects.all()
    if consumer:
        rows = rows.filter(consumer=consumer)
    if service:
        rows = rows.filter(service__startswith=service)
    if dataset_id is not None:
        rows = rows.filter(dataset_id=dataset_id)
    if field:
        rows = rows.filter(fields__name=field).distinct()
    return _once(rows.prefetch_related("fields").order_by("-calls", "consumer", "service", "endpoint"))


def _once(rows: Iterable[ServiceUse]) -> list[UseView]:
    """An exchange that both sides counted is told by the provider's node, with the endpoint only it knows."""
    known = list(rows)
    told = {(r.consumer, r.service) for r in known if r.side == "provider"}
    return [
        UseView(
            r.consumer, r.service, r.endpoint, r.calls, r.failed, r.answers, r.withheld, r.first_at, r.last_at,
            f"{r.source}, as {r.side}", r.dataset_id,
            tuple(FieldUseView(f.name, f.answers) for f in sorted(r.fields.all(), key=lambda f: (-f.answers, f.name))),
        )
        for r in known
        if r.side == "provider" or (r.consumer, r.service) not in told
    ]  # fmt: skip
