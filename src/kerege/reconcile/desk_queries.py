"""What pages and commands show of the clerical desk, of findings and of the workload, as plain frozen values. Reads only; no person's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Case, CharField, Exists, F, IntegerField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models import Count as CountRows
from django.db.models.functions import Abs, Coalesce

from kerege.catalogue.inventory.queries import sources_of_truth
from kerege.reconcile import desk, desk_rows
from kerege.reconcile.compare import FieldComparison
from kerege.reconcile.desk import Word
from kerege.reconcile.fields import ComparedFields, of_country
from kerege.reconcile.findings import Act, standing
from kerege.reconcile.models import ClericalDecision, ClericalTask, Discrepancy, TaskContest, Workload
from kerege.reconcile.settle import Rules, Settlement, settle
from kerege.reconcile.settle import of_country as rules_of_country
from kerege.reconcile.workload import Count, Measured

_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A clerical task in the queue: what is asked and where it stands; the waterfall explains the weight, without values.

    contested  what was settled of it contradicted what was settled of other pairs (`contradictions`)
    """

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
    words: tuple[Word, ...] = ()
    contested: bool = False


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Another pair whose settled verdict cannot stand beside this one's: where it stands, and what clerks said of it."""

    task_id: str
    left_register: str
    right_register: str
    standing: str
    words: tuple[Word, ...]


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
    case_id: str = ""
    rule: str = ""  # what sent it: the rule, or the note of a person


@dataclass(frozen=True, slots=True)
class SettledRow:
    """What the stated rules made of a discrepancy when a run settled it, and where it stands. `rule`: `none` where no rule fits."""

    discrepancy_id: str
    case_id: str
    field: str
    left_register: str
    right_register: str
    cls: str
    status: str
    outcome: str
    rule: str
    rules_version: str
    value_of: str
    legal_basis: str
    found_at: datetime


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


def desk_queue(
    *, standing: str | None = None, definition: str | None = None, not_by: str = "", offset: int = 0, limit: int = 100
) -> list[TaskRow]:  # fmt: skip
    """Clerical tasks, those nearest to even odds first (a clerk's look tells most there); without `standing`, all not settled.

    not_by   only what this clerk has not spoken on
    """
    tasks = _tasks(standing, definition)
    if not_by:
        tasks = tasks.exclude(Exists(ClericalDecision.objects.filter(task=OuterRef("pk"), by=not_by)))
    odds = Abs(Coalesce("probability", Value(0.5)) - Value(0.5))
    page = list(tasks.order_by(odds, "pk")[offset : offset + limit])
    words = _words_of(page)
    return [_task_row(row, words.get(row.pk, [])) for row in page]


def desk_total(*, standing: str | None = None, definition: str | None = None) -> int:
    """How many tasks `desk_queue` has on all pages."""
    return _tasks(standing, definition).count()


def task(task_id: str) -> TaskRow | None:
    """One clerical task, settled or not; None when there is none."""
    row = with_standing(ClericalTask.objects.filter(task_id=task_id)).first()
    return _task_row(row, _words_of([row]).get(row.pk, [])) if row is not None else None


def contradictions(task_id: str) -> tuple[Contradiction, ...]:
    """What was settled of other pairs that cannot be true together with what was settled of this one, with the clerks' words; by task."""
    own = TaskContest.objects.filter(task__task_id=task_id).values_list("against__task_id", flat=True)
    others = TaskContest.objects.filter(against__task_id=task_id).values_list("task__task_id", flat=True)
    named = {name for name in (*own, *others) if name is not None}
    rows = list(with_standing(ClericalTask.objects.filter(task_id__in=named)).order_by("pk"))
    words = _words_of(rows)
    return tuple(
        Contradiction(row.task_id, row.left_register, row.right_register, row.stands, tuple(words.get(row.pk, ())))
        for row in rows
    )


def sides(task_id: str) -> tuple[tuple[str, str], ...]:
    """The two records a task is about: (register, pseudonym); none when there is no such task."""
    row = ClericalTask.objects.filter(task_id=task_id).first()
    return ((row.left_register, row.left_ref), (row.right_register, row.right_ref)) if row is not None else ()


def clerical_truth(definition: str | None = None) -> list[TruthRow]:
    """Every settled pair with its verdict."""
    tasks = list(_tasks(None, definition, settled=True).order_by("pk"))
    return [
        TruthRow(t.definition, (t.left_register, t.left_ref), (t.right_register, t.right_ref), t.stands) for t in tasks
    ]


def _tasks(standing: str | None, definition: str | None, *, settled: bool = False) -> QuerySet[Any]:
    """Tasks that stand so; without `standing` those not settled, or with `settled` those that are."""
    rows: QuerySet[Any] = with_standing(ClericalTask.objects.all())
    rows = rows if definition is None else rows.filter(definition=definition)
    if standing is not None:
        return rows.filter(stands=standing)
    return rows.filter(stands__in=desk.VERDICTS) if settled else rows.exclude(stands__in=desk.VERDICTS)


def with_standing(tasks: QuerySet[Any]) -> QuerySet[Any]:
    """Tasks with `stands`: `desk.standing` said in SQL, for until it is contested at most three clerks speak on one; a test holds the two equal."""
    said = ClericalDecision.objects.filter(task=OuterRef("pk"))
    tasks = tasks.annotate(
        words=_counted(said),
        first=Subquery(said.order_by("pk").values("verdict")[:1], output_field=CharField()),
        last=Subquery(said.order_by("-pk").values("verdict")[:1], output_field=CharField()),
        contested=Subquery(TaskContest.objects.filter(task=OuterRef("pk")).order_by("-words").values("words")[:1]),
    )
    twice = [When(Exists(said.filter(verdict=v)[1:2]), then=Value(v)) for v in desk.VERDICTS]
    told: QuerySet[Any] = tasks.annotate(
        stands=Case(
            When(first=None, then=Value(desk.OPEN)),
            When(contested__gte=F("words"), then=Value(desk.DISPUTED)),
            When(contested__isnull=False, then=F("last")),
            When(double_review=False, then=F("first")),
            When(words=1, then=Value(desk.SECOND)),
            *twice,
            When(words__gte=len(desk.VERDICTS), then=Value(desk.CANNOT_TELL)),
            default=Value(desk.DISPUTED),
            output_field=CharField(),
        )
    )
    return told


def _counted(said: QuerySet[Any]) -> Coalesce:
    """How many rows of a subquery there are."""
    n = said.order_by().values("task").annotate(n=CountRows("pk")).values("n")
    return Coalesce(Subquery(n, output_field=IntegerField()), 0)


def _words_of(tasks: Sequence[ClericalTask]) -> dict[int, list[Word]]:
    """Task -> what clerks said of it, in order; a query for every thousand tasks, because a database takes only so many parameters."""
    words: dict[int, list[Word]] = {}
    for start in range(0, len(tasks), _AT_ONCE):
        some = [t.pk for t in tasks[start : start + _AT_ONCE]]
        for one in ClericalDecision.objects.filter(task__in=some).order_by("pk"):
            words.setdefault(one.task_id, []).append(Word(one.verdict, one.by, one.reason))
    return words


def _task_row(row: Any, said: list[Word]) -> TaskRow:
    """`row` of `with_standing`."""
    return TaskRow(
        row.task_id, row.definition, row.left_register, row.right_register, row.weight, row.probability, row.why,
        row.stands, row.double_review, tuple(w.by for w in said), row.asked_at, row.waterfall,
        tuple(said), row.contested is not None,
    )  # fmt: skip


def findings(
    now: datetime,
    *,
    register: str | None = None,
    sent_by: str | None = None,
    status: str | None = None,
    limit: int = 100,
) -> list[FindingRow]:
    """Findings, those that wait before those that ended, then by term. `status`: one of findings.STATUSES, or `overdue`."""
    rows = desk_rows.of_discrepancies(now).select_related("discrepancy")
    for name, value in (("register", register), ("sent_by", sent_by)):
        if value is not None:
            rows = rows.filter(**{name: value})
    if status is not None:
        rows = rows.filter(late=True) if status == desk_rows.OVERDUE else rows.filter(stands=status)
    page = list(rows.order_by("over", "due_at", "pk")[:limit])
    acts = desk_rows.acts_of_discrepancies([row.pk for row in page])
    found = []
    for row in page:
        done = acts.get(row.pk, [])
        at = standing(row.sent_at, row.due_at, done, now)
        found.append(
            FindingRow(
                str(row.finding_id), row.discrepancy.discrepancy_id, row.discrepancy.field, row.register, row.discrepancy.cls, at.status,
                at.overdue, row.sent_by, row.sent_at, row.due_at, at.since, at.reason, tuple(done), row.discrepancy.case_id, row.note_code,
            )
        )  # fmt: skip
    return found


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


def settled(
    *, pair: tuple[str, str] | None = None, outcome: str | None = None, every: bool = False, limit: int = 100
) -> list[SettledRow]:  # fmt: skip
    """The newest discrepancies that runs settled by the rules, oldest of them first. `every`: also what was corrected or accepted since."""
    rows = list(_settled_rows(pair, outcome, every).order_by("-pk")[:limit])
    names = SettledRow.__dataclass_fields__
    return [SettledRow(**{name: getattr(row, name) for name in names}) for row in reversed(rows)]


def settled_totals(
    *, pair: tuple[str, str] | None = None, outcome: str | None = None, every: bool = False
) -> dict[str, int]:
    """Rule -> how many of those there are, the most first."""
    counted = _settled_rows(pair, outcome, every).order_by().values_list("rule").annotate(n=CountRows("pk"))
    return dict(counted.order_by("-n", "rule"))


def _settled_rows(pair: tuple[str, str] | None, outcome: str | None, every: bool) -> QuerySet[Any]:
    rows: QuerySet[Any] = Discrepancy.objects.exclude(rule="")
    if pair is not None:
        rows = rows.filter(left_register__in=pair, right_register__in=pair)
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    return rows if every else rows.filter(status__in=("open", "with_owner"))
