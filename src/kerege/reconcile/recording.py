"""Some hundreds of records of a run at a time: what differs is queued, what agrees is closed, what the rules say is kept and told.

Queries are a few for each batch, never one for each record. With a `Course` each discrepancy is settled by the country's rules: which
rule, whose value counts and on what legal basis is kept with it, and the register that has to answer is told at once, with the term. A conflict that
no rule settles goes to the register that answers for the field; where the records may not be one person's, the pair goes to the clerks instead.
What was refused or withdrawn is not told again by the next run.
Leaves to `doings` what persons do with a discrepancy, to `settle` the rules, to `linked` the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id
from kerege.reconcile import desk_rows, persons
from kerege.reconcile import findings as life
from kerege.reconcile.compare import AGREE, CODE_GAP, CONFLICT, TO_SETTLE, FieldComparison
from kerege.reconcile.fields import ComparedFields
from kerege.reconcile.linkage.definition import LinkageDefinition
from kerege.reconcile.models import ClericalTask, Discrepancy, Finding, FindingAct
from kerege.reconcile.settle import CLERK, NO_RULE, STEWARD, Rules, Settlement, settle

BATCH: Final = 500
SENDER: Final = "reconcile"  # who sends what the rules say; at the desk a steward speaks for it
DOUBT: Final = "person_in_doubt"
WAITS: Final = ("open", "with_owner")
_APPLICATION: Final = "application"
_Identity = tuple[str, str, str, str]  # case, field, left, right
Linked = tuple[persons.RecordRef, persons.RecordRef]


@dataclass(frozen=True, slots=True)
class Course:
    """By what a run settles what it finds.

    bases       field -> legal basis of its source of truth, as the catalogue declares it
    definition  the linkage under which clerks are asked about a pair that may not be one person; None: nobody is asked
    """

    rules: Rules
    bases: Mapping[str, str]
    definition: LinkageDefinition | None = None


@dataclass
class Recorded:
    """What a run did: new discrepancies, those closed by its evidence, those it saw again, findings sent, pairs put before the clerks; and how
    many discrepancies each rule settled."""

    new: int = 0
    closed: int = 0
    still: int = 0
    told: int = 0
    asked: int = 0
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, other: Recorded) -> None:
        for name in ("new", "closed", "still", "told", "asked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rules.update(other.rules)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("new", "closed", "still", "told", "asked")} | {
            "rules": dict(sorted(self.rules.items()))
        }


@dataclass
class _Found:
    """What a batch comes to before anything is written."""

    new: list[Discrepancy] = field(default_factory=list)
    closed: list[Discrepancy] = field(default_factory=list)
    still: list[Discrepancy] = field(default_factory=list)
    ended: list[Discrepancy] = field(default_factory=list)


@transaction.atomic
def record_batch(
    comparisons: Mapping[str, Sequence[FieldComparison]], compared: ComparedFields, *, run: str, now: datetime,
    course: Course | None = None, refs: Mapping[str, Linked] | None = None,
) -> Recorded:  # fmt: skip
    """Record one batch of a run by case: one transaction. With a `course` it is settled and told too.

    refs  case -> the two records it stands for, where it is a link and not an application's case
    """
    require_utc(now)
    waiting, accepted = _known(comparisons, WAITS, now), _known(comparisons, ("accepted",), now)
    settled = _settled(comparisons, compared, course)
    found = _Found()
    for case, items in comparisons.items():
        for item in items:
            if item.left_register != _APPLICATION:  # nobody has to mend a form
                _sort(case, item, waiting, accepted, found, compared, run, now)
    said = [row for row in found.new if _say(row, settled, course)]
    # a run beside this one may have queued the same in the meantime: then it is queued once
    Discrepancy.objects.bulk_create(found.new, batch_size=BATCH, ignore_conflicts=True)
    later = [row for row in found.still if not row.rule and _say(row, settled, course)]
    Discrepancy.objects.bulk_update(later, _KEPT, batch_size=BATCH)
    told = _findings_of([*found.closed, *found.still])
    _close(found, told, run, now)
    done = Recorded(len(found.new), len(found.closed), len(found.still))
    done.rules.update(row.rule for row in (*said, *later))
    if course is not None:
        mute = [row for row in found.still if row.status == "open" and row.pk not in told]
        fresh = _there([row.discrepancy_id for row in found.new])
        done.told = _tell([*fresh, *mute], settled, course, now)
        done.asked = _ask([*fresh, *mute], course, refs or {}, now)
    return done


def in_batches(items: Iterable[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """Lists of at most `size`; a database takes only so many parameters."""
    some: list[Any] = []
    for item in items:
        some.append(item)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


# --- inside -----------------------------------------------------------------------------------------------------------------------

_KEPT: Final = ("rule", "rules_version", "outcome", "value_of", "legal_basis")


def _identity(row: Discrepancy) -> _Identity:
    return row.case_id, row.field, row.left_register, row.right_register


def _known(cases: Iterable[str], statuses: tuple[str, ...], now: datetime) -> dict[_Identity, Discrepancy]:
    """Discrepancies of these cases that stand so, by what they are about. What was found after `now` no earlier comparison speaks of, and
    an acceptance that a run has ended is none."""
    found = {}
    for some in in_batches(sorted(cases)):
        rows = Discrepancy.objects.select_for_update().filter(
            status__in=statuses, case_id__in=some, found_at__lte=now, settled_by_run=""
        )
        found.update({_identity(row): row for row in rows.order_by("pk")})
    return found


def _settled(
    comparisons: Mapping[str, Sequence[FieldComparison]], compared: ComparedFields, course: Course | None
) -> dict[_Identity, Settlement]:
    """What the rules make of each; all fields of one record are looked at together."""
    if course is None:
        return {}
    found = {}
    for case, items in comparisons.items():
        if any(item.cls in TO_SETTLE for item in items):
            for one in settle(items, compared, course.rules, course.bases):
                item = one.comparison
                found[case, item.field, item.left_register, item.right_register] = one
    return found


def _sort(
    case: str, item: FieldComparison, waiting: Mapping[_Identity, Discrepancy], accepted: dict[_Identity, Discrepancy],
    found: _Found, compared: ComparedFields, run: str, now: datetime,
) -> None:  # fmt: skip
    identity = (case, item.field, item.left_register, item.right_register)
    open_row, kept_row = waiting.get(identity), accepted.get(identity)
    if kept_row is not None and item.cls in (*AGREE, *TO_SETTLE) and item.cls != kept_row.cls:
        found.ended.append(kept_row)
        kept_row = accepted.pop(identity, None) and None
    if item.cls in AGREE and open_row is not None:
        found.closed.append(open_row)
    elif item.cls in TO_SETTLE and open_row is not None:
        found.still.append(open_row)
    elif item.cls in TO_SETTLE and kept_row is None:
        spec = compared.fields.get(item.field)
        found.new.append(
            Discrepancy(
                discrepancy_id=new_id("disc"), run=run, case_id=case, field=item.field, left_register=item.left_register,
                right_register=item.right_register, cls=item.cls, owner=spec.owner if spec else item.left_register,
                found_at=now, stale_by=item.stale_by, unread=item.unread,
            )
        )  # fmt: skip


def _say(row: Discrepancy, settled: Mapping[_Identity, Settlement], course: Course | None) -> bool:
    """Put down with a discrepancy what the rules make of it."""
    one = settled.get(_identity(row))
    if one is None or course is None:
        return False
    row.rule, row.rules_version, row.outcome = one.rule, course.rules.version, one.outcome
    row.value_of, row.legal_basis = one.value_of, one.legal_basis[:400]
    return True


def _there(numbers: Sequence[str]) -> list[Discrepancy]:
    return [
        row for some in in_batches(numbers) for row in Discrepancy.objects.filter(discrepancy_id__in=some).order_by("pk")
    ]  # fmt: skip


def _findings_of(rows: Sequence[Discrepancy]) -> dict[int, list[tuple[Finding, list[life.Act]]]]:
    """Discrepancy -> its findings with their acts; two queries for some hundreds of rows."""
    found: dict[int, list[tuple[Finding, list[life.Act]]]] = {}
    for some in in_batches([row.pk for row in rows]):
        told = list(Finding.objects.filter(discrepancy__in=some).order_by("pk"))
        acts = {
            pk: done
            for part in in_batches([f.pk for f in told])
            for pk, done in desk_rows.acts_of_discrepancies(part).items()
        }
        for one in told:
            found.setdefault(one.discrepancy_id, []).append((one, acts.get(one.pk, [])))
    return found


def _close(
    found: _Found, told: Mapping[int, list[tuple[Finding, list[life.Act]]]], run: str, now: datetime
) -> None:  # fmt: skip
    """The evidence of this run: where the registers agree the discrepancy is corrected and its findings closed; where they still differ a
    finding that was said to be corrected falls back to the owner; what was accepted and is otherwise now is accepted no more."""
    for some in in_batches([row.pk for row in found.closed]):
        Discrepancy.objects.filter(pk__in=some).update(status="corrected", settled_at=now, settled_by_run=run)
    for some in in_batches([row.pk for row in found.ended]):
        Discrepancy.objects.filter(pk__in=some).update(settled_by_run=run)
    acts = []
    for act, rows in ((life.CLOSED, found.closed), (life.STILL, found.still)):
        for row in rows:
            for one, done in told.get(row.pk, ()):
                at = life.standing(one.sent_at, one.due_at, done, now)
                if not life.refusal(act, at.status, "", run):
                    acts.append(FindingAct(finding=one, act=act, by=f"run:{run}"[:64], at=now, run=run))
    FindingAct.objects.bulk_create(acts, batch_size=BATCH)


def _tell(
    rows: Sequence[Discrepancy], settled: Mapping[_Identity, Settlement], course: Course, now: datetime
) -> int:  # fmt: skip
    """A finding for each discrepancy that a register has to answer, named by the rule, with the country's term; gives how many."""
    due = {gap: course.rules.terms.due(now, STEWARD if gap else "") for gap in (True, False)}
    sent, with_owner = [], []
    for row in rows:
        one = settled.get(_identity(row))
        register = _addressee(row, one) if one is not None else ""
        if one is not None and register:
            sent.append(
                Finding(
                    finding_id=new_id("find"), discrepancy=row, register=register, note_code=one.rule[:64], sent_by=SENDER,
                    sent_at=now, due_at=due[row.cls == CODE_GAP],
                )
            )  # fmt: skip
            with_owner.append(row.pk)
    Finding.objects.bulk_create(sent, batch_size=BATCH)
    for some in in_batches(with_owner):
        Discrepancy.objects.filter(pk__in=some).update(status="with_owner")
    return len(sent)


def _addressee(row: Discrepancy, one: Settlement) -> str:
    """Which register is told: the one the rule names, or of a conflict that no rule settles the one that answers for the field."""
    return one.tell or (row.owner if one.rule == NO_RULE and row.cls == CONFLICT else "")


def _ask(
    rows: Sequence[Discrepancy], course: Course, refs: Mapping[str, Linked], now: datetime
) -> int:  # fmt: skip
    """Put pairs that a rule leaves to a clerk before the clerks, each once; gives how many are new."""
    definition = course.definition
    if definition is None:
        return 0
    doubted = {refs[r.case_id] for r in rows if r.outcome == CLERK and r.rule != NO_RULE and r.case_id in refs}
    before = ClericalTask.objects.count()
    ClericalTask.objects.bulk_create(
        [
            ClericalTask(
                task_id=new_id("pair"), definition=definition.id, definition_version=definition.version, why=DOUBT,
                left_register=left[0], left_ref=left[1], right_register=right[0], right_ref=right[1], asked_at=now,
                double_review=definition.double_review,
            )
            for left, right in (sorted(pair) for pair in sorted(doubted))
        ],
        batch_size=BATCH, ignore_conflicts=True,
    )  # fmt: skip
    return ClericalTask.objects.count() - before
