"""Two records that clerks settled as different persons and that have one key are parted by an explicit decision, never by what arrives.

Where the key came about by joining, the newest joining that keeps the two together is taken back, so everybody else stays where they were before it;
where both were given that very key, the second record gets a new one. Either stands in the ledger and is kept for ever (decision 0143).
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from kerege.identity import receipts
from kerege.reconcile import desk, desk_contests, desk_doings, persons
from kerege.reconcile.errors import SplitRefused, TaskUnknown
from kerege.reconcile.models import ClericalTask, KeyDecision


@transaction.atomic
def part(task_id: str, *, reason: str, by: str, ledger: receipts.LedgerWriter, now: datetime) -> str:
    """Part the two records of a task that stands `different`; gives the key that stands for itself again, or the new one. Raises TaskUnknown,
    SplitRefused where it stands otherwise or they have no key in common, DecisionRefused without a reason."""
    row = ClericalTask.objects.select_for_update().filter(task_id=task_id).first()
    if row is None:
        raise TaskUnknown(task=task_id)
    book = desk_doings.key_book(lock=True)
    left, right = (row.left_register, row.left_ref), (row.right_register, row.right_ref)
    key, standing = book.of(left), desk_contests.standing(row)
    if standing != desk.DIFFERENT:
        raise SplitRefused(key=key or "(none)", reason=f"{task_id} is {standing}, not different")
    if key is None or key != book.of(right):
        raise SplitRefused(key=key or "(none)", reason=f"the records of {task_id} have no key in common")
    if book.home[left] == book.home[right]:
        return desk_doings.split_key(book.home[right], [right], reason=reason, by=by, ledger=ledger, now=now)
    joined = _newest_between(book, left, right)
    desk_doings.take_back_merge(joined, reason=reason, by=by, ledger=ledger, now=now)
    return joined


def _newest_between(book: persons.KeyBook, left: persons.RecordRef, right: persons.RecordRef) -> str:
    """The key whose joining, taken back, parts the two; of several the one joined last."""
    order = {
        other: pk for pk, other in KeyDecision.objects.filter(kind="merge").order_by("pk").values_list("pk", "other")
    }
    parts = [k for k in book.stands_for if (without := book.unmerge(k)).of(left) != without.of(right)]
    return max(parts, key=lambda k: (order.get(k, 0), k))
