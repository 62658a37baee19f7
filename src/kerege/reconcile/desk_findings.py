"""Every finding in one list with one life: the catalogue's (drift, unmapped codes, ownership) and discrepancies told to owners.

The life is `findings`' own: acknowledged, in work, corrected or refused by the owner, withdrawn by the sender's side, closed by evidence only.
A finding of the catalogue is closed by what found it: the next harvest that no longer shows it, the naming of an owner. One that its owner
said was corrected and that was seen again after that is in work again. The term runs in working days from the day it was first seen.
Source: issue 4, parts 1 to 3 and 8; the Dutch Digimelding, as `findings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from kerege.catalogue import models as catalogue
from kerege.catalogue.ownership import owners_by_field
from kerege.catalogue.ownership_rules import PUBLISHED_UNOWNED, RAN_OUT, Tenure
from kerege.ground.clock import local_date, require_utc
from kerege.reconcile import desk_queries, doings
from kerege.reconcile import findings as life
from kerege.reconcile.errors import ActRefused, FindingUnknown
from kerege.reconcile.models import CatalogueFindingAct
from kerege.reconcile.settle import STEWARD, Rules
from kerege.reconcile.settle import of_country as rules_of_country

CATALOGUE: Final = "catalogue-"
_MOST: Final = 5000
_GROUPS: Final = {
    "code-unknown": "unmapped",
    RAN_OUT: "ownership",
    PUBLISHED_UNOWNED: "ownership",
}


@dataclass(frozen=True, slots=True)
class DeskFinding:
    """One finding as the desk shows it.

    group    drift, unmapped, ownership or discrepancy
    owner    who has to answer: a member code, of a discrepancy the register's short name; "" for nobody yet
    place    where: `source#table.column`, or the field between two registers
    """

    id: str
    group: str
    kind: str
    place: str
    dataset_id: int | None
    detail: str
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

    @property
    def ended(self) -> bool:
        return self.status in life.ENDS


def group_of(kind: str) -> str:
    """To which of the desk's kinds a finding of the catalogue belongs."""
    return _GROUPS.get(kind, "drift")


def findings(
    now: datetime, *, owner: str = "", group: str = "", status: str = "", settled: bool = False
) -> list[DeskFinding]:
    """Findings that wait (or, with `settled`, those that ended), what is overdue first, then by term. A fixed number of queries.

    status   one of `findings.STATUSES`, or `overdue`
    """
    rules = rules_of_country()
    found = [*_of_catalogue(now, rules, settled=settled), *_of_discrepancies(now)]
    kept = [
        f
        for f in found
        if f.ended == settled
        and (not owner or f.owner == owner)
        and (not group or f.group == group)
        and (not status or f.status == status or (status == "overdue" and f.overdue))
    ]
    far = datetime.max.replace(tzinfo=now.tzinfo)
    return sorted(kept, key=lambda f: (not f.overdue, f.due_at or far, f.place, f.id))[:_MOST]


def counts(found: Iterable[DeskFinding]) -> dict[str, Counter[str]]:
    """How many by group, by owner and by status, and overdue ones under `overdue`: for the filter."""
    out: dict[str, Counter[str]] = {"group": Counter(), "owner": Counter(), "status": Counter()}
    for one in found:
        out["group"][one.group] += 1
        out["owner"][one.owner] += 1
        out["status"][one.status] += 1
        out["status"]["overdue"] += one.overdue
    return out


def finding(finding_id: str, now: datetime) -> DeskFinding:
    """One finding, open or ended; FindingUnknown when there is none."""
    found: list[DeskFinding] = []
    if finding_id.startswith(CATALOGUE):
        found = _of_catalogue(now, rules_of_country(), only=_number(finding_id))
    elif finding_id:
        found = _of_discrepancies(now, only=finding_id)
    if found:
        return found[0]
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
    return finding(finding_id, now).status


def _of_catalogue(now: datetime, rules: Rules, *, settled: bool = False, only: int | None = None) -> list[DeskFinding]:
    rows = catalogue.Finding.objects.select_related("dataset", "field").order_by("-found_at", "-pk")
    if only is not None:
        rows = rows.filter(pk=only)
    elif settled:
        ended = CatalogueFindingAct.objects.filter(act__in=(life.REFUSED, life.WITHDRAWN)).values("finding")
        rows = rows.filter(Q(settled_at__isnull=False) | Q(pk__in=ended))
    else:
        rows = rows.filter(settled_at=None)
    found = list(rows[:_MOST])
    owners = owners_by_field(sorted({r.dataset_id for r in found}), now)
    acts: dict[int, list[life.Act]] = {}
    done = CatalogueFindingAct.objects.order_by("pk")
    for one in done.filter(finding=only) if only is not None else done:
        acts.setdefault(one.finding_id, []).append(life.Act(one.act, one.by, one.at, one.reason))
    return [_told(r, owners.get(r.field_id or 0), acts.get(r.pk, []), rules, now) for r in found]


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
        detail=row.detail, records=row.records, owner=held.organisation if held else row.dataset.organisation,
        owner_unit=held.unit if held else "", sent_by=row.found_by, sent_at=sent, due_at=due, status=at.status,
        overdue=at.overdue, evidence=row.evidence, acts=tuple(acts),
    )  # fmt: skip


def _of_discrepancies(now: datetime, only: str = "") -> list[DeskFinding]:
    return [
        DeskFinding(
            id=row.finding_id, group="discrepancy", kind=row.cls, place=row.field, dataset_id=None, detail=row.discrepancy_id,
            records=1, owner=row.register, owner_unit="", sent_by=row.sent_by, sent_at=row.sent_at, due_at=row.due_at,
            status=row.status, overdue=row.overdue,
            evidence=next((a.run for a in reversed(row.acts) if a.act == life.CLOSED), ""), acts=row.acts,
        )
        for row in desk_queries.findings(now, limit=_MOST)
        if not only or row.finding_id == only
    ]  # fmt: skip


def working_days_left(due: datetime, now: datetime, rules: Rules | None = None) -> int:
    """Working days from tomorrow to the term's last day; negative for those that went by since, 0 on the last day itself."""
    holidays = (rules or rules_of_country()).terms.holidays
    last, today = local_date(due), local_date(now)
    step = timedelta(days=1 if last >= today else -1)
    day, count = today, 0
    while day != last:
        day += step
        count += day.weekday() < 5 and day not in holidays
    return count if last >= today else -count
