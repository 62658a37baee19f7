"""Findings of both kinds as rows of the database that know where they stand, so that a list is filtered, ordered and cut there, however long it is.

Each queryset here gives a finding with `stands` (its status), `late`, `over` (it ended), `answers` (who has to answer), `group` and `sent`: what
`findings.standing` computes from the acts of one, said in SQL; a test holds the two equal. Reads only; `desk_findings` makes them what a page shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import BooleanField, Case, CharField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from kerege.catalogue import models as catalogue
from kerege.catalogue.browse.organisations import spellings
from kerege.catalogue.ownership.rules import PUBLISHED_UNOWNED, RAN_OUT
from kerege.reconcile import findings as life
from kerege.reconcile.models import CatalogueFindingAct, Finding, FindingAct
from kerege.reconcile.settle import STEWARD, Rules

DISCREPANCY: Final = "discrepancy"
DRIFT: Final = "drift"
GROUPS: Final = {"code-unknown": "unmapped", RAN_OUT: "ownership", PUBLISHED_UNOWNED: "ownership"}
NOBODY: Final = "-"  # as a filter: what nobody answers for yet
OVERDUE: Final = "overdue"
_TEXT: Final = CharField()
_FLAG: Final = BooleanField()


@dataclass(frozen=True, slots=True)
class Which:
    """Which findings are meant.

    names    only what these names answer for (`answering.names_of`); None: everybody's
    owner    one of them, in whatever spelling an organisation has, or NOBODY
    status   one of `findings.STATUSES`, or OVERDUE
    ended    those that ended instead of those that wait
    """

    names: frozenset[str] | None = None
    group: str = ""
    owner: str = ""
    status: str = ""
    ended: bool = False


EVERY: Final = Which()


def of_catalogue(now: datetime, rules: Rules) -> QuerySet[Any]:
    """The catalogue's findings. Their term runs in working days from the first sight, so what is late was sent before a day that is known."""
    acts = CatalogueFindingAct.objects.filter(finding=OuterRef("pk")).order_by("-pk")
    held = catalogue.Owner.objects.valid_at(now).filter(field=OuterRef("field"))
    terms = rules.terms
    last_seen = When(last=life.CORRECTED, found_at__gt=F("last_at"), then=Value(life.IN_WORK))
    rows = catalogue.Finding.objects.annotate(
        last=Subquery(acts.values("act")[:1], output_field=_TEXT),
        last_at=Subquery(acts.values("at")[:1]),
        answers=Coalesce(Subquery(held.values("organisation")[:1]), F("dataset__organisation"), output_field=_TEXT),
        sent=Coalesce("first_at", "found_at"),
        group=Case(
            *(When(kind=kind, then=Value(group)) for kind, group in GROUPS.items()),
            default=Value(DRIFT), output_field=_TEXT,
        ),
    )  # fmt: skip
    closed = Q(settled_at__isnull=False)
    rows = rows.annotate(stands=_status(When(closed, then=Value(life.CLOSED)), last_seen))
    steward = Q(group="unmapped", sent__lt=terms.overdue_before(now, STEWARD))
    return _told(rows, acts, closed, steward | (~Q(group="unmapped") & Q(sent__lt=terms.overdue_before(now))))


def of_discrepancies(now: datetime) -> QuerySet[Any]:
    """Findings told to the registers that hold doubtful values; each has its own term."""
    acts = FindingAct.objects.filter(finding=OuterRef("pk")).order_by("-pk")
    rows = Finding.objects.exclude(finding_id=None).annotate(
        last=Subquery(acts.values("act")[:1], output_field=_TEXT),
        answers=F("register"),
        sent=F("sent_at"),
        group=Value(DISCREPANCY, output_field=_TEXT),
    )
    return _told(rows.annotate(stands=_status()), acts, Q(), Q(due_at__lt=now))


def _status(*before: When) -> Case:
    """`findings.standing` in SQL: the last act, what falls back, and `sent` where nobody acted."""
    still = When(last=life.STILL, then=Value(life.IN_WORK))
    return Case(*before, When(last=None, then=Value(life.SENT)), still, default=F("last"), output_field=_TEXT)


def _told(rows: QuerySet[Any], acts: QuerySet[Any], closed: Q, past_term: Q) -> QuerySet[Any]:
    """With `over` and `late`. An end is followed by nothing but another end, so one look for any of them tells; few are past their term."""
    ended = Q(Exists(acts.filter(act__in=life.ENDS)))
    told: QuerySet[Any] = rows.annotate(
        over=Case(When(closed | ended if closed else ended, then=True), default=False, output_field=_FLAG),
        late=Case(When(past_term & Q(stands__in=life.WAITING), then=True), default=False, output_field=_FLAG),
    )
    return told


def seen(rows: QuerySet[Any], which: Which) -> QuerySet[Any]:
    """Those that whoever asks may see at all, waiting or ended."""
    rows = rows.filter(over=which.ended)
    return rows if which.names is None else rows.filter(answers__in=sorted(which.names))


def chosen(rows: QuerySet[Any], which: Which) -> QuerySet[Any]:
    """Of those that are seen, what was asked for."""
    rows = seen(rows, which)
    if which.group:
        rows = rows.filter(group=which.group)
    if which.owner:
        rows = rows.filter(answers__in=("",) if which.owner == NOBODY else spellings(which.owner))
    if which.status == OVERDUE:
        return rows.filter(late=True)
    return rows.filter(stands=which.status) if which.status else rows


def page(kinds: dict[str, QuerySet[Any]], *, ended: bool, offset: int, limit: int) -> list[tuple[str, int]]:
    """(kind, pk) of a page of all kinds together: what is overdue first, then what waits longest; of ended ones the newest first."""
    parts = [
        rows.annotate(of=Value(kind, output_field=_TEXT)).order_by().values_list("of", "pk", "late", "sent")
        for kind, rows in kinds.items()
    ]
    whole = parts[0].union(*parts[1:], all=True)
    order = ("-sent", "of", "pk") if ended else ("-late", "sent", "of", "pk")
    return [(str(of), int(pk)) for of, pk, _, _ in whole.order_by(*order)[offset : offset + limit]]


def acts_of_catalogue(pks: Collection[int]) -> dict[int, list[life.Act]]:
    """Finding of the catalogue -> its acts, oldest first; one query."""
    found: dict[int, list[life.Act]] = {}
    for one in CatalogueFindingAct.objects.filter(finding__in=list(pks)).order_by("pk"):
        found.setdefault(one.finding_id, []).append(life.Act(one.act, one.by, one.at, one.reason))
    return found


def acts_of_discrepancies(pks: Collection[int]) -> dict[int, list[life.Act]]:
    """Finding about a discrepancy -> its acts, oldest first; one query."""
    found: dict[int, list[life.Act]] = {}
    for one in FindingAct.objects.filter(finding__in=list(pks)).order_by("pk"):
        found.setdefault(one.finding_id, []).append(life.Act(one.act, one.by, one.at, one.reason, one.run))
    return found
