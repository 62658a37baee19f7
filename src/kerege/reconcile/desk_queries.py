"""What pages and commands show of the clerical desk, of findings and of the workload, as plain frozen values. Reads only; no person's value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kerege.catalogue.queries import sources_of_truth
from kerege.reconcile import desk
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.desk import Word
from kerege.reconcile.fields import ComparedFields, of_country
from kerege.reconcile.findings import Act, standing
from kerege.reconcile.models import ClericalDecision, ClericalTask, Discrepancy, Finding, FindingAct, Workload
from kerege.reconcile.settle import Rules, Settlement, settle
from kerege.reconcile.settle import of_country as rules_of_country
from kerege.reconcile.workload import Count, Measured


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A clerical task in the queue: what is asked and where it stands; the waterfall explains the weight, without values."""

    task_id: str
    definition: str
    left_register: str
    right_register: str
    weight: float | None
    probability: float | None
    why: str
    standing: str
    double_review: bool
    decided_by: tuple[str, ...]
    asked_at: datetime
    waterfall: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding as its sender and its owner see it."""

    finding_id: str
    discrepancy_id: str
    field: str
    register: str
    cls: str
    status: str
    overdue: bool
    sent_by: str
    sent_at: datetime
    due_at: datetime | None
    since: datetime
    reason: str
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """Workload before and after, of one service and pair; `field` empty: whole records. None: the truth is not known."""

    run: str
    service: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class TruthRow:
    """What clerks settled: kept as truth for later measuring."""

    definition: str
    left: tuple[str, str]
    right: tuple[str, str]
    verdict: str


def desk_queue(*, standing: str | None = None, definition: str | None = None, limit: int = 100) -> list[TaskRow]:
    """Clerical tasks, those nearest to even odds first (a clerk's look tells most there); without `standing`, all not settled."""
    tasks = ClericalTask.objects.all() if definition is None else ClericalTask.objects.filter(definition=definition)
    words: dict[int, list[Word]] = {}
    for one in ClericalDecision.objects.filter(task__in=tasks).order_by("pk"):
        words.setdefault(one.task_id, []).append(Word(one.verdict, one.by, one.reason))
    rows = []
    for task in tasks.order_by("pk"):
        said = words.get(task.pk, [])
        now = desk.standing(said, task.double_review)
        if now == standing or (standing is None and now not in desk.VERDICTS):
            rows.append(
                TaskRow(
                    task.task_id,
                    task.definition,
                    task.left_register,
                    task.right_register,
                    task.weight,
                    task.probability,
                    task.why,
                    now,
                    task.double_review,
                    tuple(w.by for w in said),
                    task.asked_at,
                    task.waterfall,
                )
            )
    return sorted(rows, key=lambda row: abs((row.probability if row.probability is not None else 0.5) - 0.5))[:limit]


def task(task_id: str) -> TaskRow | None:
    """One clerical task, settled or not; None when there is none."""
    row = ClericalTask.objects.filter(task_id=task_id).first()
    if row is None:
        return None
    said = [Word(o.verdict, o.by, o.reason) for o in ClericalDecision.objects.filter(task=row).order_by("pk")]
    return TaskRow(
        row.task_id, row.definition, row.left_register, row.right_register, row.weight, row.probability, row.why,
        desk.standing(said, row.double_review), row.double_review, tuple(w.by for w in said), row.asked_at, row.waterfall,
    )  # fmt: skip


def clerical_truth(definition: str | None = None) -> list[TruthRow]:
    """Every settled pair with its verdict."""
    rows = []
    for task in desk_rows(definition):
        said = [Word(o.verdict, o.by, o.reason) for o in ClericalDecision.objects.filter(task=task).order_by("pk")]
        now = desk.standing(said, task.double_review)
        if now in desk.VERDICTS:
            left, right = (task.left_register, task.left_ref), (task.right_register, task.right_ref)
            rows.append(TruthRow(task.definition, left, right, now))
    return rows


def desk_rows(definition: str | None = None) -> list[ClericalTask]:
    tasks = ClericalTask.objects.order_by("pk")
    return list(tasks if definition is None else tasks.filter(definition=definition))


def findings(
    now: datetime,
    *,
    register: str | None = None,
    sent_by: str | None = None,
    status: str | None = None,
    limit: int = 100,
) -> list[FindingRow]:
    """Findings, the earliest term first. `status`: one of findings.STATUSES, or `overdue`."""
    rows = Finding.objects.exclude(finding_id=None).select_related("discrepancy").order_by("due_at", "pk")
    for name, value in (("register", register), ("sent_by", sent_by)):
        if value is not None:
            rows = rows.filter(**{name: value})
    acts: dict[int, list[Act]] = {}
    for one in FindingAct.objects.filter(finding__in=rows).order_by("pk"):
        acts.setdefault(one.finding_id, []).append(Act(one.act, one.by, one.at, one.reason, one.run))
    found = []
    for row in rows:
        at = standing(row.sent_at, row.due_at, acts.get(row.pk, []), now)
        if status is None or status == at.status or (status == "overdue" and at.overdue):
            found.append(
                FindingRow(
                    str(row.finding_id),
                    row.discrepancy.discrepancy_id,
                    row.discrepancy.field,
                    row.register,
                    row.discrepancy.cls,
                    at.status,
                    at.overdue,
                    row.sent_by,
                    row.sent_at,
                    row.due_at,
                    at.since,
                    at.reason,
                    tuple(acts.get(row.pk, [])),
                )
            )
    return found[:limit]


def workload(run: str | None = None, service: str | None = None, *, whole_only: bool = False) -> list[WorkloadRow]:
    """The workload before and after, per run, service and pair of registers."""
    rows = Workload.objects.order_by("run", "service", "left_register", "right_register", "field")
    for name, value in (("run", run), ("service", service), ("field", "" if whole_only else None)):
        if value is not None:
            rows = rows.filter(**{name: value})
    return [
        WorkloadRow(
            row.run, row.service,
            Measured(
                row.left_register, row.right_register, row.field, row.compared,
                Count(row.flagged_before, row.not_comparable_before, row.true_before, row.missed_before),
                Count(row.flagged_after, row.not_comparable_after, row.true_after, row.missed_after),
            ),
        )
        for row in rows
    ]  # fmt: skip


def legal_bases(compared: ComparedFields | None = None) -> dict[str, str]:
    """Field -> legal basis of its source of truth, as the catalogue declares it for the field's concept; a field without one is left out."""
    declared = {truth.concept: truth.legal_basis for truth in sources_of_truth()}
    fields = (compared or of_country()).fields.values()
    return {spec.name: declared[spec.concept] for spec in fields if declared.get(spec.concept)}


def settlements(case_id: str, rules: Rules | None = None) -> tuple[Settlement, ...]:
    """What the stated rules make of a case's open discrepancies: rule, source of truth and its legal basis, who is told."""
    compared = of_country()
    rows = Discrepancy.objects.filter(case_id=case_id, status__in=("open", "with_owner")).order_by("pk")
    items = [FieldComparison(r.field, r.left_register, r.right_register, r.cls, r.stale_by, "", r.unread) for r in rows]
    return settle(items, compared, rules or rules_of_country(), legal_bases(compared))
