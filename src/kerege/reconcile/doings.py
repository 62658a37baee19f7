"""What changes in this room about discrepancies: a run's comparisons are recorded, findings are sent, answered, withdrawn, and closed by evidence.

A discrepancy is one field of one case (or linked record) between two registers. While it is open, a later run that finds it again adds
nothing; a later run that finds the two equal closes it and its findings: nothing else does, but a decision to accept it as it is. What was
accepted is not queued again while it stays as it was: until a run finds the two equal, or different in another way.
Person keys and the clerical desk: `desk_doings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction

from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.reconcile import findings as life
from kerege.reconcile import recording, workload
from kerege.reconcile.compare import CODE_GAP, FieldComparison
from kerege.reconcile.errors import ActRefused, DiscrepancySettled, DiscrepancyUnknown, FindingUnknown
from kerege.reconcile.fields import ComparedFields
from kerege.reconcile.models import Discrepancy, FieldTally, Finding, FindingAct, Workload
from kerege.reconcile.settle import STEWARD
from kerege.reconcile.settle import of_country as rules_of_country

_BATCH = 500
SETTLED = ("corrected", "accepted")


@transaction.atomic
def record_comparisons(
    comparisons: Mapping[str, Iterable[FieldComparison]],
    compared: ComparedFields,
    *,
    run: str,
    now: datetime,
    service: str = "",
) -> int:
    """Record a run's comparisons by case: counts of all, the workload, and a discrepancy for each field that differs or could not be
    compared and is not open already; gives how many of those are new. What is found equal is closed by that evidence.

    A value typed by an applicant that differs from a register's is counted, but is no discrepancy of registers: nobody has to
    mend a form.
    """
    require_utc(now)
    kept = {case: list(items) for case, items in comparisons.items()}
    tally: Counter[tuple[str, str, str, str]] = Counter(
        (item.field, item.left_register, item.right_register, item.cls) for items in kept.values() for item in items
    )
    new = 0
    for some in recording.in_batches(kept.items()):
        new += recording.record_batch(dict(some), compared, run=run, now=now).new
    keep_tallies(tally, run=run)
    record_workload(workload.of_comparisons(kept), run=run, service=service, now=now)
    return new


def keep_tallies(tally: Mapping[tuple[str, str, str, str], int], *, run: str) -> None:
    """Keep how many comparisons of a run ended in which class: (field, left, right, class) -> how many."""
    FieldTally.objects.bulk_create(
        [
            FieldTally(run=run, field=field, left_register=left, right_register=right, cls=cls, count=count)
            for (field, left, right, cls), count in sorted(tally.items())
        ],
        batch_size=_BATCH,
    )


def record_workload(measured: Iterable[workload.Measured], *, run: str, service: str, now: datetime) -> None:
    """Keep the measured workload of a run; what is not known of the truth stays empty."""
    rows = [
        Workload(
            run=run, service=service, left_register=m.left, right_register=m.right, field=m.field, compared=m.compared,
            flagged_before=m.before.flagged, flagged_after=m.after.flagged,
            not_comparable_before=m.before.not_comparable, not_comparable_after=m.after.not_comparable,
            true_before=m.before.true, true_after=m.after.true,
            missed_before=m.before.missed, missed_after=m.after.missed, taken_at=require_utc(now),
        )
        for m in measured
    ]  # fmt: skip
    Workload.objects.bulk_create(rows, batch_size=_BATCH)


@transaction.atomic
def send_finding(discrepancy_id: str, *, register: str, note_code: str, sent_by: str, now: datetime) -> str:
    """Tell the owner of `register` about a discrepancy, with the country's term; it waits with them. Gives the finding's number.

    Raises ActRefused while the same register has a finding about it that is not ended.
    """
    row = _open(discrepancy_id)
    for other in _live(row, require_utc(now)):
        if other.register == register:
            told = _standing(other, now).status
            raise ActRefused(
                finding=other.finding_id, status=told, act=life.SENT, reason="it is with that register already"
            )
    terms = rules_of_country().terms
    due = terms.due(require_utc(now), STEWARD if row.cls == CODE_GAP else "")
    finding = Finding.objects.create(
        finding_id=new_id("find"), discrepancy=row, register=register, note_code=note_code, sent_by=sent_by,
        sent_at=now, due_at=due,
    )  # fmt: skip
    row.status = "with_owner"
    row.save(update_fields=["status"])
    return str(finding.finding_id)


@transaction.atomic
def answer_finding(finding_id: str, *, act: str, by: str, reason: str = "", now: datetime) -> life.Standing:
    """The owner acknowledges a finding, takes it up, says it is corrected, or refuses it with a reason. Raises FindingUnknown, ActRefused.

    What the last register refused is open again: its sender has to accept it, or to ask another.
    """
    if act not in life.BY_OWNER:
        raise ActRefused(
            finding=finding_id, status="open", act=act, reason=f"an owner's answers are {', '.join(life.BY_OWNER)}"
        )
    finding = _finding(finding_id)
    standing = _act(finding, act, by, require_utc(now), reason=reason)
    _open_again(finding, now)
    return standing


@transaction.atomic
def withdraw_finding(finding_id: str, *, by: str, reason: str, now: datetime) -> life.Standing:
    """The sender takes a finding back, with a reason; only who sent it may, and of what a run sent whoever speaks for it (the desk lets a
    steward). The discrepancy is open again."""
    finding = _finding(finding_id)
    if finding.sent_by not in (by, recording.SENDER):
        told = _standing(finding, now).status
        raise ActRefused(finding=finding_id, status=told, act=life.WITHDRAWN, reason="only its sender may withdraw it")
    standing = _act(finding, life.WITHDRAWN, by, require_utc(now), reason=reason)
    _open_again(finding, now)
    return standing


@transaction.atomic
def settle(discrepancy_id: str, *, how: str, by: str, reason: str = "", now: datetime) -> None:
    """Accept a discrepancy as it is, with a reason. `corrected` is never said by a person: the next comparison shows it.

    Findings about it that still wait are withdrawn with that reason, so that nobody is late with what is settled.
    Raises DiscrepancyUnknown, DiscrepancySettled.
    """
    if how != "accepted" or not reason.strip() or not by.strip():
        raise ValueError(
            "a discrepancy is accepted by somebody with a reason; that it is corrected only a comparison can show"
        )
    row = _open(discrepancy_id)
    for finding in _live(row, require_utc(now)):
        _act(finding, life.WITHDRAWN, by, now, reason=reason)
    row.status, row.settled_at, row.settled_reason, row.settled_by = how, now, reason[:400], by[:64]
    row.save(update_fields=["status", "settled_at", "settled_reason", "settled_by"])


# --- inside -----------------------------------------------------------------------------------------------------------------------


def _live(row: Discrepancy, now: datetime) -> list[Finding]:
    return [f for f in Finding.objects.filter(discrepancy=row).order_by("pk") if _standing(f, now).status in life.LIVE]


def _open_again(finding: Finding, now: datetime) -> None:
    """When nobody has it any more, the discrepancy is open again."""
    row = Discrepancy.objects.select_for_update().get(pk=finding.discrepancy_id)
    if row.status == "with_owner" and not _live(row, now):
        row.status = "open"
        row.save(update_fields=["status"])


def _act(finding: Finding, act: str, by: str, now: datetime, *, reason: str = "", run: str = "") -> life.Standing:
    at = _standing(finding, now)
    why = life.refusal(act, at.status, reason, run)
    if why:
        raise ActRefused(finding=finding.finding_id, status=at.status, act=act, reason=why)
    FindingAct.objects.create(finding=finding, act=act, by=by, at=now, reason=reason[:400], run=run)
    return _standing(finding, now)


def _standing(finding: Finding, now: datetime) -> life.Standing:
    return life.standing(finding.sent_at, finding.due_at, acts_of(finding), now)


def acts_of(finding: Finding) -> list[life.Act]:
    """The acts of a finding, oldest first."""
    rows = FindingAct.objects.filter(finding=finding).order_by("pk")
    return [life.Act(row.act, row.by, row.at, row.reason, row.run) for row in rows]


def _finding(finding_id: str) -> Finding:
    row = Finding.objects.select_for_update().filter(finding_id=finding_id).first()
    if row is None:
        raise FindingUnknown(finding=finding_id)
    return row


def _open(discrepancy_id: str) -> Discrepancy:
    row = Discrepancy.objects.select_for_update().filter(discrepancy_id=discrepancy_id).first()
    if row is None:
        raise DiscrepancyUnknown(discrepancy=discrepancy_id)
    if row.status in SETTLED:
        raise DiscrepancySettled(discrepancy=discrepancy_id, status=row.status)
    return row
