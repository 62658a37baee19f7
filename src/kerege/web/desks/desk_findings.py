"""The findings desk: drift, unmapped codes, discrepancies and ownership in one list, answered by whoever owns them, closed by evidence only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse.organisations import together
from kerege.catalogue.models import UnmappedCode
from kerege.ground import clock
from kerege.reconcile import answering
from kerege.reconcile import desk_findings as desk
from kerege.reconcile import findings as life
from kerege.reconcile.desk_findings import DeskFinding
from kerege.reconcile.desk_rows import DISCREPANCY, NOBODY, Which
from kerege.reconcile.errors import FindingUnknown
from kerege.reconcile.recording import SENDER
from kerege.reconcile.settle import STEWARD
from kerege.reconcile.settle import of_country as rules_of_country
from kerege.web import labels
from kerege.web.desks import desk_findings_words
from kerege.web.desks.desk_common import PAGE, attempt, back, me, names, one_of, pages, posted, rights, show
from kerege.web.words import has, term, word

GROUPS = ("drift", "unmapped", "discrepancy", "ownership")
STATUSES = ("overdue", life.SENT, life.ACKNOWLEDGED, life.IN_WORK, life.CORRECTED)
_NEXT = {
    life.SENT: (life.ACKNOWLEDGED, life.IN_WORK, life.CORRECTED, life.REFUSED),
    life.ACKNOWLEDGED: (life.IN_WORK, life.CORRECTED, life.REFUSED),
    life.IN_WORK: (life.CORRECTED, life.REFUSED),
}


def findings_of(request: HttpRequest, *, ended: bool = False) -> Which:
    """What this person may see: an owner what the own organisation and registers have to answer, stewards and reviewers everything."""
    may = rights(request)
    mine = None if may.steward or may.reviewer else answering.names_of(me(request).member)
    return Which(names=mine, ended=ended)


def listing(request: HttpRequest) -> HttpResponse:
    now, ended = clock.now(), request.GET.get("ended") == "1"
    seen = findings_of(request, ended=ended)
    counts, known = desk.counts(now, seen), labels.organisations()
    owned = together(counts.owners, known)  # an organisation once, its code written whole or bare
    asked = next(iter(together({request.GET.get("owner", ""): 0}, known)))
    chosen = {
        "group": one_of(request.GET.get("group", ""), GROUPS),
        "status": one_of(request.GET.get("status", ""), STATUSES),
        "owner": one_of(asked, [*filter(None, owned), NOBODY]),
    }
    which = replace(seen, group=chosen["group"], status=chosen["status"], owner=chosen["owner"])
    number = desk.total(now, which) if any(chosen.values()) else counts.owners.total()
    page = pages(request, number, PAGE, ended="1" if ended else "", **chosen)
    owners = sorted(((code, _owner(code, known)) for code in owned if code), key=lambda item: item[1])
    context = {
        "rows": [_row(f, known, now) for f in desk.findings(now, which, offset=page.start, limit=page.size)],
        "pages": page, "total": number, "groups": [(name, counts.groups[name]) for name in GROUPS], "chosen": chosen, "owners": owners,
        "ended": ended, "statuses": STATUSES, "overdue": counts.overdue, "nobody": counts.owners[""],
    }  # fmt: skip
    return show(request, "desks/desk_findings.html", context)


def one(request: HttpRequest, finding_id: str) -> HttpResponse:
    now = clock.now()
    try:
        found = desk.finding(finding_id, now)
    except FindingUnknown as error:
        raise Http404 from error
    mine = found.owner in answering.names_of(me(request).member)
    if not _sees(request, found, mine):
        raise Http404  # another organisation's finding is indistinguishable from none
    answers, withdraws = _answers(request, found, mine), _withdraws(request, found)
    if request.method == "POST":
        act, reason = posted(request, "act"), posted(request, "reason", 400)
        if act not in (answers if act != life.WITHDRAWN else withdraws):
            raise PermissionDenied
        attempt(
            request, lambda: desk.answer(finding_id, act=act, by=me(request).id, reason=reason, now=clock.now()), f"findings.did.{act}"
        )  # fmt: skip
        return back("desks-finding", finding_id)
    rules = rules_of_country()
    called = names([a.by for a in (*found.acts, *found.before)] + [found.sent_by])
    days = rules.terms.days
    by_rule = next((rule.titles for rule in rules.rules if rule.id == found.facts.get("rule")), None)
    context = {
        "row": _row(found, labels.organisations(), now), "acts": [{"act": a, "name": _by(a.by, called)} for a in reversed(found.acts)],
        "before": [{"act": a, "name": _by(a.by, called)} for a in reversed(found.before)],
        "answers": answers, "withdraws": bool(withdraws), "sent_by": _by(found.sent_by, called),
        "closed_by": desk_findings_words.evidence(found.group, found.evidence),
        "evidence": word(f"evidence.{found.kind}") if has(f"evidence.{found.kind}") else word("evidence.other"),
        "crosswalk": _crosswalk(found),
        "term": days.get(STEWARD if found.group == "unmapped" else "", days["default"]), "basis": rules.terms.legal_basis,
        "ours": found.facts if found.group == DISCREPANCY else None, "by_rule": by_rule,
    }  # fmt: skip
    return show(request, "desks/desk_finding.html", context)


def _crosswalk(found: DeskFinding) -> str:
    """The crosswalk at whose desk a code without a place is decided; "" for another finding."""
    if found.group != "unmapped":
        return ""
    named = str(found.facts.get("crosswalk", "")) or found.detail.rpartition(" has no target in ")[2]
    return named if UnmappedCode.objects.filter(crosswalk=named).exists() else ""


def _sees(request: HttpRequest, found: DeskFinding, mine: bool) -> bool:
    """Whether this person may look at a finding: it does not end with what they may still answer, so that an answer can be looked at."""
    may = rights(request)
    return may.steward or may.reviewer or (may.data_owner and mine) or found.sent_by == me(request).id


def _answers(request: HttpRequest, found: DeskFinding, mine: bool) -> tuple[str, ...]:
    """The owner's answers that this person may give. Codes without a place, and what nobody owns yet or several could, are a steward's."""
    may = rights(request)
    owner = may.data_owner and mine
    steward = may.steward and (found.group == "unmapped" or not found.owner or answering.is_shared(found.owner))
    return _NEXT.get(found.status, ()) if owner or steward else ()


def _withdraws(request: HttpRequest, found: DeskFinding) -> tuple[str, ...]:
    """Whether this person is the sender's side: who sent it, or a steward for what a machine found."""
    person, steward = me(request), rights(request).steward
    machine = found.group != DISCREPANCY or found.sent_by == SENDER
    sender = steward if machine else found.sent_by == person.id
    return (life.WITHDRAWN,) if sender and found.status in life.FOLLOWS[life.WITHDRAWN] else ()


def _row(f: DeskFinding, known: dict[str, Any], now: Any) -> dict[str, Any]:
    ours = f.group == DISCREPANCY
    return {
        "f": f, "place": labels.field(f.place) if ours else f.place,
        "name": term("discrepancies", f.kind) if ours else desk_findings_words.name(f.kind),
        "detail": f.detail if ours else desk_findings_words.detail(f.kind, f.facts, f.detail),
        "owner": _owner(f.owner, known), "unit": labels.unit(f.owner_unit) if f.owner_unit else "",
        "days": desk.working_days_left(f.due_at, now) if f.due_at and not f.ended else None,
    }  # fmt: skip


def _owner(code: str, known: dict[str, Any]) -> str:
    if not code:
        return ""
    whole = code.isdigit() or code.count("/") == 2  # an organisation, not a register of one
    return labels.organisation(code, known) if whole else labels.register(code)


def _by(who: str, called: dict[str, str]) -> str:
    if who in called:
        return called[who]
    return word(f"found-by.{who}") if has(f"found-by.{who}") else who
