"""Settled words that contradict each other: A is B, B is C, and A is not C. Nobody's "different" is overruled by what follows from others' "same".

Before two keys are joined, what was settled as `different` between any record of the one and any of the other is looked for (`between`): then they
are not joined, and the pair is contested. A `different` about two records of one key moves no key (decision 0143), and is contested as well
(`inside`). What is contested stands `disputed` at the desk beside the words it contradicts, until another clerk has the last word on it; whoever
confirms it has the other side looked at once more, by yet another clerk. Where both sides stay as they are, the records stay apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from kerege.ground.clock import require_utc
from kerege.reconcile import desk, persons
from kerege.reconcile.desk import Word
from kerege.reconcile.models import ClericalDecision, ClericalTask, TaskContest

_AT_ONCE: Final = 400  # references of one query: a database takes only so many parameters


def words_of(row: ClericalTask) -> list[Word]:
    """What clerks said of a task, in order."""
    said = ClericalDecision.objects.filter(task=row).order_by("pk")
    return [Word(one.verdict, one.by, one.reason) for one in said]


def standing(row: ClericalTask) -> str:
    """Where a task stands."""
    return desk.standing(words_of(row), row.double_review, max(_contests(row), default=0))


def contest_join(row: ClericalTask, book: persons.KeyBook, keys: Sequence[str], now: datetime) -> bool:
    """Whether what was settled keeps two keys apart that `row` would join; then the contradiction is put before the clerks."""
    against = between(book, keys[0], keys[1])
    fresh = [other for other in against if not _contested(row, other)]
    for other in fresh:
        _contest(row, other, now)
    if not fresh:  # this side was looked at again and confirmed: now the other
        for other in against:
            if not _contested(other, row):
                _contest(other, row, now)
    return bool(against)


def between(book: persons.KeyBook, one: str, other: str) -> list[ClericalTask]:
    """What was settled as `different` between any record of one key and any record of the other."""
    first, second = book.records(one), book.records(other)
    return [row for row in _about(first, second) if _held(row) == desk.DIFFERENT]


def inside(row: ClericalTask, book: persons.KeyBook, now: datetime) -> bool:
    """Whether two records that were settled as `different` share a key; then that is contested, once, beside what is `same` in the key."""
    left, right = _sides(row)
    key = book.of(left)
    if key is None or key != book.of(right):
        return False
    if not TaskContest.objects.filter(task=row).exists():
        records = book.records(key)
        joined = [other for other in _about(records, records) if _held(other) == desk.SAME]
        for other in joined:
            _contest(row, other, now)
        if not joined:
            _contest(row, None, now)
    return True


def related(row: ClericalTask) -> list[str]:
    """The tasks that contradict this one or were contradicted by it: what is settled of it may let them be joined."""
    own = TaskContest.objects.filter(task=row).values_list("against__task_id", flat=True)
    others = TaskContest.objects.filter(against=row).values_list("task__task_id", flat=True)
    return sorted({name for name in (*own, *others) if name is not None})


def _sides(row: ClericalTask) -> tuple[persons.RecordRef, persons.RecordRef]:
    return (row.left_register, row.left_ref), (row.right_register, row.right_ref)


def _about(first: Collection[persons.RecordRef], second: Collection[persons.RecordRef]) -> list[ClericalTask]:
    """Every decided task between a record of the one and a record of the other; queries by some hundreds of records."""
    found: dict[int, Any] = {}
    refs = sorted({ref for _, ref in (first if len(first) <= len(second) else second)})
    for start in range(0, len(refs), _AT_ONCE):
        some = refs[start : start + _AT_ONCE]
        for row in ClericalTask.objects.filter(Q(left_ref__in=some) | Q(right_ref__in=some)):
            left, right = _sides(row)
            if (left in first and right in second) or (left in second and right in first):
                found[row.pk] = row
    return [found[pk] for pk in sorted(found)]


def _held(row: ClericalTask) -> str:
    return desk.held(words_of(row), row.double_review, _contests(row))


def _contests(row: ClericalTask) -> list[int]:
    return list(TaskContest.objects.filter(task=row).order_by("words", "pk").values_list("words", flat=True))


def _contested(row: ClericalTask, against: ClericalTask) -> bool:
    return TaskContest.objects.filter(task=row, against=against).exists()


def _contest(row: ClericalTask, against: ClericalTask | None, now: datetime) -> None:
    words = ClericalDecision.objects.filter(task=row).count()
    TaskContest.objects.create(task=row, against=against, words=words, at=require_utc(now))
