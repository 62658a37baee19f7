"""Requests for registers: establish, take into use, modify, close; described by their owner, reviewed by role, beside the platform's own counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.errors import RequestUnknown
from kerege.catalogue.models import RegisterRequest
from kerege.catalogue.ownership.roles import load_roles
from kerege.catalogue.requests import doings as registers
from kerege.catalogue.requests.doings import Decision, Kind, RegisterView
from kerege.ground import clock
from kerege.ground.text import LANGUAGES
from kerege.ledger.log import Ledger
from kerege.web import labels, reading
from kerege.web.access import Audience
from kerege.web.desks.desk_common import attempt, back, me, names, need, one_of, pages, posted, rights, show

DECISIONS = (Decision.POSITIVE, Decision.NEGATIVE, Decision.DISMISSED)


def listing(request: HttpRequest) -> HttpResponse:
    """Registers somebody asked for, those with an open request first; and the form that establishes one."""
    now = clock.now()
    if request.method == "POST":
        return _ask(request, posted(request, "register", 100))
    waiting = registers.open_registers()
    others = RegisterRequest.objects.exclude(register__in=waiting).order_by("register")
    every = [*waiting, *others.values_list("register", flat=True).distinct()]
    page = pages(request, len(every), 15)
    known = labels.organisations()
    context = {
        "rows": [_row(v, now, known) for v in registers.views(every[page.start : page.start + page.size])], "pages": page,
        "languages_of": LANGUAGES, "organisation": _own(request), "kind": Kind.ESTABLISH.value,
    }  # fmt: skip
    return show(request, "desks/desk_requests.html", context)


def one(request: HttpRequest, register: str) -> HttpResponse:
    now = clock.now()
    try:
        view = registers.register(register, now)
    except RequestUnknown as error:
        raise Http404 from error
    if request.method == "POST":
        do = posted(request, "do")
        if do == "ask":
            return _ask(request, register)
        _decide(request, view, do)
        return back("desks-request", register)
    roles = load_roles()
    called = names([r.by for r in view.requests] + [v.by for r in view.requests for v in r.reviews])
    waits = view.open_request
    context = {
        "view": view, "row": _row(view, now, labels.organisations()), "description": _told(view),
        "requests": [
            {
                "request": r, "name": called.get(r.by, r.by), "overdue": r.overdue(now), "missing": [roles.text(m) for m in r.missing],
                "reviews": [{"view": v, "name": called.get(v.by, v.by), "role": roles.text(v.role) if v.role else ""} for v in r.reviews],
            }
            for r in view.requests
        ],
        "open": waits, "roles": [(m, roles.text(m)) for m in waits.missing] if waits else (), "decisions": DECISIONS,
        "own": waits is not None and waits.by == me(request).id, "allowed": view.standing.allowed,
        "organisation": view.standing.description.get("owner") or _own(request),
    }  # fmt: skip
    return show(request, "desks/desk_request.html", context)


def _told(view: RegisterView) -> dict[str, Any]:
    """The description to show: the open request's own, for that is what is decided on; else the one that is coming, or stands."""
    waits = view.open_request
    asked = waits.description if waits is not None else {}
    return asked or view.standing.coming or view.standing.description or view.requests[0].description


def _row(view: RegisterView, now: datetime, known: dict[str, Any]) -> dict[str, Any]:
    waits, told = view.open_request, _told(view)
    return {
        "register": view.register, "name": told.get("name"), "state": view.state.value, "open": waits, "facts": view.facts,
        "overdue": bool(waits and waits.overdue(now)), "owner": labels.organisation(str(told.get("owner", "")), known),
    }  # fmt: skip


def _own(request: HttpRequest) -> str:
    parts = me(request).member.split("/")
    return parts[2] if len(parts) > 2 else ""


def _ask(request: HttpRequest, register: str) -> HttpResponse:
    """A steward asks for anybody; a data owner for the own organisation only."""
    need(request, Audience.STEWARD, Audience.DATA_OWNER)
    organisation = posted(request, "organisation", 20)
    if not rights(request).steward and organisation != _own(request):
        raise PermissionDenied
    kind = one_of(posted(request, "kind"), [k.value for k in Kind])
    described = _description(request, register)

    def doing() -> object:
        with Ledger.open(reading.ledger_folder()) as ledger:
            return registers.ask(
                register, kind, described, organisation=organisation, by=me(request).id, reason=posted(request, "reason"),
                now=clock.now(), ledger=ledger,
            )  # fmt: skip

    made = attempt(request, doing, "requests.asked", register=register)
    known = RegisterRequest.objects.filter(register=register).exists()
    return back("desks-request", register) if made is not None or known else back("desks-requests")


def _description(request: HttpRequest, register: str) -> dict[str, Any] | None:
    """What the form says of the register; None where it says nothing new."""
    told: dict[str, Any] = {}
    for part in ("name", "purpose"):
        texts = {lang: posted(request, f"{part}_{lang}", 500) for lang in LANGUAGES}
        if any(texts.values()):
            told[part] = texts
    acts = [line.strip() for line in posted(request, "legislations").splitlines() if line.strip()]
    sources = [line.strip() for line in posted(request, "sources").splitlines() if line.strip()]
    if acts:
        told["legislations"] = [{"name": act} for act in acts[:50]]
    if sources:
        told["sources"] = sources[:100]
    if goes := posted(request, "data_goes_to", 1000):
        told["data_goes_to"] = goes
    if not told:
        return None
    try:
        view = registers.register(register, clock.now())
    except RequestUnknown:
        return told
    return {**(view.standing.coming or view.standing.description), **told}


def _decide(request: HttpRequest, view: RegisterView, do: str) -> None:
    """Decide on the request that the form was shown for, and on no other that took its place."""
    number, seen, reason = posted(request, "request", 60), posted(request, "seen", 6), posted(request, "reason")
    if number not in {r.request_id for r in view.requests}:
        raise Http404
    if do == "withdraw":
        need(request, Audience.STEWARD, Audience.DATA_OWNER)
    else:
        need(request, Audience.REVIEWER)

    def doing() -> object:
        with Ledger.open(reading.ledger_folder()) as ledger:
            if do == "withdraw":
                return registers.withdraw(number, by=me(request).id, reason=reason, now=clock.now(), ledger=ledger)
            return registers.review(
                number, posted(request, "role", 60), by=me(request).id, decision=posted(request, "decision", 20), reason=reason,
                terms=posted(request, "terms"), now=clock.now(), seen=int(seen) if seen.isascii() and seen.isdigit() else -1, ledger=ledger,
            )  # fmt: skip

    attempt(request, doing, "requests.withdrawn" if do == "withdraw" else "requests.reviewed")
