"""Every finding in one list with one life: the catalogue's (drift, unmapped codes, ownership) and discrepancies told to owners.

The life is `findings`' own: acknowledged, in work, corrected or refused by the owner, withdrawn by the sender's side, closed by evidence only.
A finding of the catalogue is closed by what found it: the next harvest that no longer shows it, the naming of an owner. One that its owner
said was corrected and that was seen again after that is in work again; one that was refused or withdrawn and seen again after that is a new finding,
with a term of its own and the acts of the one before told with it. The term runs in working days from the day it was first seen.
Which findings a list has, and in what order, the database says (`desk_rows`); who answers for a name is `answering`.
Source: issue 4, parts 1 to 3 and 8; the Dutch Digimelding, as `findings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Q

from kerege.catalogue import models as catalogue
from kerege.catalogue.ownership.rows import tenure
from kerege.catalogue.ownership.rules import Tenure
from kerege.ground.clock import local_date, require_utc
from kerege.reconcile import desk_rows, doings
from kerege.reconcile import findings as life
from kerege.reconcile.desk_rows import DISCREPANCY, DRIFT, EVERY, GROUPS, Which
from kerege.reconcile.errors import ActRefused, FindingUnknown
from kerege.reconcile.models import CatalogueFindingAct, Finding
from kerege.reconcile.settle import STEWARD, Rules
from kerege.reconcile.settle import of_country as rules_of_country

CATALOGUE: Final = "catalogue-"
_CATALOGUE: Final = "catalogue"


@dataclass(frozen=True, slots=True)
class DeskFinding:
    """One finding as the desk shows it.

    group    drift, unmapped, ownership or discrepancy
    owner    who has to answer: a member code, of a discrepancy the register's short name; "" for nobody yet
    place    where: `source#table.column`, or the field between two registers
    detail   what was seen, in the words of what found it (English); `facts` are the same as data, for other languages
    """

    id: str
    group: str
    kind: str
    place: str
    dataset_id: int | None
    detail: str
    facts: Mapping[str, Any]
    records: int
    owner: str
    owner_unit: str
    sent_by: str
    sent_at: datetime
    due_at: datetime | None
    status: str
    overdue: bool
    evidence: str
    acts: tuple[life.Act, ...]
    before: tuple[life.Act, ...] = ()  # of the finding of the same thing that ended before this one was seen

    @property
    def ended(self) -> bool:
        return self.status in life.ENDS


@dataclass(frozen=True, slots=True)
class Counts:
    """How many findings there are of those that may be seen, before anything is chosen: for the filter. `owners` "": nobody's yet."""

    groups: Counter[str] = field(default_factory=Counter)
    owners: Counter[str] = field(default_factory=Counter)
    overdue: int = 0


def group_of(kind: str) -> str:
    """To which of the desk's kinds a finding of the catalogue belongs."""
    return GROUPS.get(kind, DRIFT)


def findings(now: datetime, which: Which = EVERY, *, offset: int = 0, limit: int = 25) -> list[DeskFinding]:
    """A page of findings: what is overdue first, then what waits longest; of ended ones the newest first. A fixed number of queries."""
    rules = rules_of_country()
    kinds = {kind: desk_rows.chosen(rows, which) for kind, rows in _rows(now, rules).items()}
    told = desk_rows.page(kinds, ended=which.ended, offset=offset, limit=limit)
    of_catalogue = _of_catalogue([pk for kind, pk in told if kind == _CATALOGUE], now, rules)
    of_discrepancies = _of_discrepancies([pk for kind, pk in told if kind == DISCREPANCY], now)
    return [(of_catalogue if kind == _CATALOGUE else of_discrepancies)[pk] for kind, pk in told]


def total(now: datetime, which: Which = EVERY) -> int:
    """How many findings those are, on all pages."""
    return sum(desk_rows.chosen(rows, which).count() for rows in _rows(now, rules_of_country()).values())


def counts(now: datetime, which: Which = EVERY) -> Counts:
    """How many by group and by owner, and how many are overdue, whatever is chosen of them."""
    found, overdue = Counts(), 0
    for rows in _rows(now, rules_of_country()).values():
        grouped = desk_rows.seen(rows, which).order_by().values_list("group", "answers")
        for group, owner, n, late in grouped.annotate(n=Count("pk"), past=Count("pk", filter=Q(late=True))):
            found.groups[group] += n
            found.owners[owner] += n
            overdue += late
    return Counts(found.groups, found.owners, overdue)


def finding(finding_id: str, now: datetime) -> DeskFinding:
    """One finding, open or ended; FindingUnknown when there is none."""
    found: dict[int, DeskFinding] = {}
    if finding_id.startswith(CATALOGUE):
        found = _of_catalogue([_number(finding_id)], now, rules_of_country())
    elif finding_id:
        pks = Finding.objects.filter(finding_id=finding_id).values_list("pk", flat=True)
        found = _of_discrepancies(list(pks), now)
    for one in found.values():
        return one
    raise FindingUnknown(finding=finding_id[:80])


def _number(finding_id: str) -> int:
    number = finding_id.removeprefix(CATALOGUE)
    return int(number) if number.isascii() and number.isdigit() and len(number) < 18 else 0


@transaction.atomic
def answer(finding_id: str, *, act: str, by: str, reason: str = "", now: datetime) -> str:
    """The owner's answer, or the withdrawal by the sender's side, with its reason; gives the status after it. FindingUnknown, ActRefused.

    Evidence is no answer: `closed` is refused here.
    """
    if not finding_id.startswith(CATALOGUE):
        if act == life.WITHDRAWN:
            return doings.withdraw_finding(finding_id, by=by, reason=reason, now=now).status
        return doings.answer_finding(finding_id, act=act, by=by, reason=reason, now=now).status
    row = catalogue.Finding.objects.select_for_update().filter(pk=_number(finding_id)).first()
    if row is None:
        raise FindingUnknown(finding=finding_id[:80])
    present = finding(finding_id, now)
    why = life.refusal(act, present.status, reason, "")
    if not why and act not in (*life.BY_OWNER, life.WITHDRAWN):
        why = "only evidence can show that"
    if why:
        raise ActRefused(finding=finding_id, status=present.status, act=act, reason=why)
    CatalogueFindingAct.objects.create(finding=row, act=act, by=by[:64], at=require_utc(now), reason=reason[:400])
    if act in life.ENDS:
        row.ended_at = require_utc(now)
        row.save(update_fields=["ended_at"])
    return finding(finding_id, now).status


def _rows(now: datetime, rules: Rules) -> dict[str, Any]:
    return {_CATALOGUE: desk_rows.of_catalogue(now, rules), DISCREPANCY: desk_rows.of_discrepancies(now)}


def _of_catalogue(pks: Sequence[int], now: datetime, rules: Rules) -> dict[int, DeskFinding]:
    rows = list(catalogue.Finding.objects.filter(pk__in=pks).select_related("dataset", "field"))
    held = catalogue.Owner.objects.valid_at(now).filter(field__in=[r.field_id for r in rows if r.field_id])
    owners: Mapping[int, Tenure] = {o.field_id: tenure(o) for o in held.order_by("-number")}
    before = {r.pk: int(r.facts.get("before", 0)) for r in rows}
    acts = desk_rows.acts_of_catalogue({*pks, *before.values()})
    told = {r.pk: _told(r, owners.get(r.field_id or 0), acts.get(r.pk, []), rules, now) for r in rows}
    return {pk: replace(one, before=tuple(acts.get(before[pk], ()))) for pk, one in told.items()}


def _told(
    row: catalogue.Finding, held: Tenure | None, acts: list[life.Act], rules: Rules, now: datetime
) -> DeskFinding:
    sent = row.first_at or row.found_at
    group = group_of(row.kind)
    due = rules.terms.due(sent, STEWARD if group == "unmapped" else "")
    if acts and acts[-1].act == life.CORRECTED and row.settled_at is None and row.found_at > acts[-1].at:
        acts = [*acts, life.Act(life.STILL, row.found_by, row.found_at, "", row.found_by)]
    if row.settled_at is not None:
        acts = [*acts, life.Act(life.CLOSED, row.found_by, row.settled_at, row.evidence, row.found_by)]
    at = life.standing(sent, due, acts, now)
    column = f".{row.field.name}" if row.field else ""
    return DeskFinding(
        id=f"{CATALOGUE}{row.pk}", group=group, kind=row.kind, place=f"{row.dataset}{column}", dataset_id=row.dataset_id,
        detail=row.detail, facts=row.facts, records=row.records, owner=held.organisation if held else row.dataset.organisation,
        owner_unit=held.unit if held else "", sent_by=row.found_by, sent_at=sent, due_at=due, status=at.status,
        overdue=at.overdue, evidence=row.evidence, acts=tuple(acts),
    )  # fmt: skip


def _of_discrepancies(pks: Sequence[int], now: datetime) -> dict[int, DeskFinding]:
    acts, found = desk_rows.acts_of_discrepancies(pks), {}
    for row in Finding.objects.filter(pk__in=pks).select_related("discrepancy"):
        done = acts.get(row.pk, [])
        at = life.standing(row.sent_at, row.due_at, done, now)
        found[row.pk] = DeskFinding(
            id=str(row.finding_id), group=DISCREPANCY, kind=row.discrepancy.cls, place=row.discrepancy.field, dataset_id=None,
            detail=row.discrepancy.discrepancy_id, facts=_facts(row), records=1, owner=row.register, owner_unit="", sent_by=row.sent_by,
            sent_at=row.sent_at, due_at=row.due_at, status=at.status, overdue=at.overdue,
            evidence=next((a.run for a in reversed(done) if a.act == life.CLOSED), ""), acts=tuple(done),
        )  # fmt: skip
    return found


def _facts(row: Finding) -> dict[str, str]:
    """Which two registers, which link or case, and what the rules made of it when a run settled it; no value of a person."""
    about = row.discrepancy
    told = {"left": about.left_register, "right": about.right_register, "case": about.case_id}
    return told | (
        {"rule": about.rule, "value_of": about.value_of, "legal_basis": about.legal_basis} if about.rule else {}
    )


def working_days_left(due: datetime, now: datetime, rules: Rules | None = None) -> int:
    """Working days from tomorrow to the term's last day; negative for those that went by since, 0 on the last day itself."""
    terms = (rules or rules_of_country()).terms
    last, today = local_date(due), local_date(now)
    step = timedelta(days=1 if last >= today else -1)
    day, count = today, 0
    while day != last:
        day += step
        count += terms.is_working(day)
    return count if last >= today else -count
