"""What goes wrong with ownership by itself, as findings: a term that ran out, a published dataset with an attribute nobody owns.

A dataset is published only when every attribute has an owner; afterwards a harvest finds a new column, an owner ends, an interim term runs out.
The publication stays (consumers rely on it) and the finding says what to mend. Each stands once while it is true, and is settled, with what showed
it, when it no longer is. One that was refused or withdrawn while it is true is followed by a new one: no answer makes it untrue.
Meant to run daily: `kerege board snapshot` does.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import IN_FORCE
from kerege.catalogue.models import Finding
from kerege.catalogue.ownership.queries import ownership_overview
from kerege.catalogue.ownership.rules import PUBLISHED_UNOWNED, RAN_OUT, AttributeVerdict
from kerege.ground.clock import iso, require_utc


@transaction.atomic
def note_findings(now: datetime) -> tuple[int, int]:
    """Bring the findings about ownership to where things stand at `now`. Returns (new ones, settled ones); again changes nothing."""
    published = {s.subject.id for s in lifecycle.subjects("dataset") if s.state in IN_FORCE}
    there: dict[tuple[int, str], tuple[int, str]] = {}  # (field, kind) -> (dataset, detail)
    owned: dict[int, AttributeVerdict] = {}
    for view in ownership_overview(now):
        for a in view.attributes:
            owned[a.field_id] = a.verdict
            if a.verdict.reason == "interim-ran-out":
                there[a.field_id, RAN_OUT] = view.dataset_id, a.verdict.text
            if view.dataset in published and not a.verdict.allowed:
                there[a.field_id, PUBLISHED_UNOWNED] = view.dataset_id, f"published, and {a.verdict.text}"
    settled = 0
    standing: set[tuple[int, str]] = set()
    before: dict[tuple[int, str], int] = {}
    for row in Finding.objects.select_for_update().filter(kind__in=(RAN_OUT, PUBLISHED_UNOWNED), settled_at=None):
        key = (row.field_id or 0, row.kind)
        if key in there and row.ended_at is None:
            standing.add(key)
        elif key in there:
            before[key] = max(row.pk, before.get(key, 0))
        else:
            verdict = owned.get(row.field_id or 0)
            showed = verdict.text if verdict is not None and verdict.allowed else f"no longer so at {iso(now)}"
            row.settled_at, row.evidence = require_utc(now), showed[:500]
            row.save(update_fields=["settled_at", "evidence"])
            settled += 1
    made = [
        Finding(
            dataset_id=dataset, field_id=key[0], kind=key[1], detail=detail[:500], found_by="ownership", found_at=now,
            facts={"before": before[key]} if key in before else {},
        )
        for key, (dataset, detail) in there.items()
        if key not in standing
    ]  # fmt: skip
    Finding.objects.bulk_create(made)
    return len(made), settled
