"""The findings desk: drift, unmapped codes, discrepancies and ownership in one list, answered by whoever owns them, closed by evidence only."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from kerege.ground import clock
from kerege.membership.models import Subsystem
from kerege.reconcile import desk_findings as desk
from kerege.reconcile import findings as life
from kerege.reconcile.desk_findings import DeskFinding
from kerege.reconcile.errors import FindingUnknown
from kerege.reconcile.settle import STEWARD
from kerege.reconcile.settle import of_country as rules_of_country
from kerege.web import labels
from kerege.web.desks.desk_common import PAGE, attempt, back, me, names, one_of, pages, posted, rights, show
from kerege.web.words import has, word

GROUPS = ("drift", "unmapped", "discrepancy", "ownership")
STATUSES = ("overdue", life.SENT, life.ACKNOWLEDGED, life.IN_WORK, life.CORRECTED)
_NEXT = {
    life.SENT: (life.ACKNOWLEDGED, life.IN_WORK, life.CORRECTED, life.REFUSED),
    life.ACKNOWLEDGED: (life.IN_WORK, life.CORRECTED, life.REFUSED),
    life.IN_WORK: (life.CORRECTED, life.REFUSED),
}


def listing(request: HttpRequest) -> HttpResponse:
    now, may = clock.now(), rights(request)
    ended = request.GET.get("ended") == "1"
    found = desk.findings(now, settled=ended)
    if not (may.steward or may.reviewer):  # an owner sees what the own organisation and register have to answer
        found = [f for f in found if f.owner in _mine(request)]
    counts = desk.counts(found)
    chosen = {
        "group": one_of(request.GET.get("group", ""), GROUPS),
        "status": one_of(request.GET.get("status", ""), STATUSES),
        "owner": one_of(request.GET.get("owner", ""), [*counts["owner"], "-"]),
    }
    kept = [
        f
        for f in found
        if (not chosen["group"] or f.group == chosen["group"])
        and (not chosen["status"] or f.status == chosen["status"] or (chosen["status"] == "overdue" and f.overdue))
        and (not chosen["owner"] or f.owner == chosen["owner"] or (chosen["owner"] == "-" and not f.owner))
    ]
    page = pages(request, len(kept), PAGE, ended="1" if ended else "", **chosen)
    known = labels.organisations()
    owners = sorted(((code, _owner(code, known)) for code in counts["owner"] if code), key=lambda item: item[1])
    context = {
        "rows": [_row(f, known, now) for f in kept[page.start : page.start + page.size]], "pages": page, "total": len(kept),
        "groups": [(name, counts["group"][name]) for name in GROUPS], "chosen": chosen, "owners": owners, "ended": ended,
        "statuses": STATUSES, "overdue": counts["status"]["overdue"], "nobody": counts["owner"][""],
    }  # fmt: skip
    return show(request, "desks/desk_findings.html", context)


def one(request: HttpRequest, finding_id: str) -> HttpResponse:
    now = clock.now()
    try:
        found = desk.finding(finding_id, now)
    except FindingUnknown as error:
        raise Http404 from error
    answers, withdraws = _answers(request, found), _withdraws(request, found)
    if not answers and not withdraws and not (rights(request).steward or rights(request).reviewer):
        raise Http404  # another organisation's finding is indistinguishable from none
    if request.method == "POST":
        act, reason = posted(request, "act"), posted(request, "reason", 400)
        if act not in (answers if act != life.WITHDRAWN else withdraws):
            raise PermissionDenied
        attempt(
            request, lambda: desk.answer(finding_id, act=act, by=me(request).id, reason=reason, now=clock.now()), f"findings.did.{act}"
        )  # fmt: skip
        return back("desks-finding", finding_id)
    rules = rules_of_country()
    called = names([a.by for a in found.acts] + [found.sent_by])
    days = rules.terms.days
    context = {
        "row": _row(found, labels.organisations(), now), "acts": [{"act": a, "name": _by(a.by, called)} for a in reversed(found.acts)],
        "answers": answers, "withdraws": bool(withdraws), "sent_by": _by(found.sent_by, called),
        "evidence": word(f"evidence.{found.kind}") if has(f"evidence.{found.kind}") else word("evidence.other"),
        "term": days.get(STEWARD if found.group == "unmapped" else "", days["default"]), "basis": rules.terms.legal_basis,
    }  # fmt: skip
    return show(request, "desks/desk_finding.html", context)


def _mine(request: HttpRequest) -> frozenset[str]:
    """The member code of whoever is signed in and the registers it runs: `KG/GOV/70000001` answers for 70000001 and for civil."""
    parts = me(request).member.split("/")
    if len(parts) < 3:
        return frozenset()
    run = Subsystem.objects.filter(member__code="/".join(parts[:3])).values_list("code", flat=True)
    return frozenset((parts[2], *parts[3:4], *(code.rsplit("/", 1)[-1] for code in run)))


def _answers(request: HttpRequest, found: DeskFinding) -> tuple[str, ...]:
    """The owner's answers that this person may give. Codes without a place and what nobody owns yet are a steward's."""
    may = rights(request)
    owner = may.data_owner and found.owner in _mine(request)
    steward = may.steward and (found.group == "unmapped" or not found.owner)
    return _NEXT.get(found.status, ()) if owner or steward else ()


def _withdraws(request: HttpRequest, found: DeskFinding) -> tuple[str, ...]:
    """Whether this person is the sender's side: who sent it, or a steward for what a machine found."""
    person, steward = me(request), rights(request).steward
    sender = found.sent_by == person.id if found.group == "discrepancy" else steward
    return (life.WITHDRAWN,) if sender and found.status in life.FOLLOWS[life.WITHDRAWN] else ()


def _row(f: DeskFinding, known: dict[str, Any], now: Any) -> dict[str, Any]:
    place = f"{labels.field(f.place)}" if f.group == "discrepancy" else f.place
    return {
        "f": f, "place": place, "owner": _owner(f.owner, known), "unit": labels.unit(f.owner_unit) if f.owner_unit else "",
        "days": desk.working_days_left(f.due_at, now) if f.due_at and not f.ended else None,
    }  # fmt: skip


def _owner(code: str, known: dict[str, Any]) -> str:
    if not code:
        return ""
    return labels.organisation(code, known) if code.isdigit() else labels.register(code)


def _by(who: str, called: dict[str, str]) -> str:
    if who in called:
        return called[who]
    return word(f"found-by.{who}") if has(f"found-by.{who}") else who
