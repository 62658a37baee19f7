"""What changes in this room: a run's comparisons are recorded, a finding is sent to an owner, a discrepancy is settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction

from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.reconcile.compare import TO_SETTLE, FieldComparison
from kerege.reconcile.errors import DiscrepancySettled, DiscrepancyUnknown
from kerege.reconcile.fields import ComparedFields
from kerege.reconcile.models import Discrepancy, FieldTally, Finding

_BATCH = 500
SETTLED = ("corrected", "accepted")


@transaction.atomic
def record_comparisons(
    comparisons: Mapping[str, Iterable[FieldComparison]], compared: ComparedFields, *, run: str, now: datetime
) -> int:
    """Record a run's comparisons by case: counts of all, a discrepancy for each field that differs or could not be compared; how many of those.

    A value typed by an applicant that differs from a register's is counted, but is no discrepancy of registers: nobody has to
    mend a form.
    """
    require_utc(now)
    tally: Counter[tuple[str, str, str, str]] = Counter()
    rows: list[Discrepancy] = []
    for case_id, items in comparisons.items():
        for item in items:
            tally[(item.field, item.left_register, item.right_register, item.cls)] += 1
            if item.cls in TO_SETTLE and item.left_register != "application":
                rows.append(_discrepancy(case_id, item, compared, run, now))
    FieldTally.objects.bulk_create(
        [
            FieldTally(run=run, field=field, left_register=left, right_register=right, cls=cls, count=count)
            for (field, left, right, cls), count in sorted(tally.items())
        ],
        batch_size=_BATCH,
    )
    Discrepancy.objects.bulk_create(rows, batch_size=_BATCH)
    return len(rows)


@transaction.atomic
def send_finding(discrepancy_id: str, *, register: str, note_code: str, sent_by: str, now: datetime) -> None:
    """Tell the owner of `register` about a discrepancy; it waits with them until it is settled."""
    row = _open(discrepancy_id)
    Finding.objects.create(
        discrepancy=row, register=register, note_code=note_code, sent_by=sent_by, sent_at=require_utc(now)
    )
    row.status = "with_owner"
    row.save(update_fields=["status"])


@transaction.atomic
def settle(discrepancy_id: str, *, how: str, now: datetime) -> None:
    """Close a discrepancy: `corrected` by the owner, or `accepted` as it is. Raises DiscrepancyUnknown, DiscrepancySettled."""
    if how not in SETTLED:
        raise ValueError(f"a discrepancy is settled as {' or '.join(SETTLED)}, not {how!r}")
    row = _open(discrepancy_id)
    row.status, row.settled_at = how, require_utc(now)
    row.save(update_fields=["status", "settled_at"])


def _open(discrepancy_id: str) -> Discrepancy:
    row = Discrepancy.objects.select_for_update().filter(discrepancy_id=discrepancy_id).first()
    if row is None:
        raise DiscrepancyUnknown(discrepancy=discrepancy_id)
    if row.status in SETTLED:
        raise DiscrepancySettled(discrepancy=discrepancy_id, status=row.status)
    return row


def _discrepancy(case_id: str, item: FieldComparison, compared: ComparedFields, run: str, now: datetime) -> Discrepancy:
    spec = compared.fields.get(item.field)
    return Discrepancy(
        discrepancy_id=new_id("disc"),
        run=run,
        case_id=case_id,
        field=item.field,
        left_register=item.left_register,
        right_register=item.right_register,
        cls=item.cls,
        owner=spec.owner if spec else item.left_register,
        found_at=now,
    )
