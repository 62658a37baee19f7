"""The contracts desk: drafts, what a version changes and whom that breaks, who uses it, its way to publication, and the deprecation clock."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import drafts as contract_drafts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.contracts.clock import Use
from kerege.catalogue.contracts.uses import uses_of
from kerege.catalogue.errors import ContractUnknown
from kerege.catalogue.lifecycle.doings import Action, in_force
from kerege.catalogue.models import ContractVersion
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.ledger.log import Ledger
from kerege.semantics.contracts.diff import Judgement, judge
from kerege.web import labels
from kerege.web.access import Audience
from kerege.web.desks.catalogue.contracts import named
from kerege.web.desks.desk_choice import choice
from kerege.web.desks.desk_common import act_on, attempt, back, life_of, me, need, pages, posted, show

DAYS = 90
MOST_RULES = 200
_SPECIAL = (Action.PUBLISH, Action.DEPRECATE, Action.REINSTATE, Action.RETIRE)


def listing(request: HttpRequest) -> HttpResponse:
    """Contracts, one line each: the version in force and the newest one; a page at a time, so that thousands cost no more than a page."""
    if request.method == "POST":
        need(request, Audience.STEWARD)
        return _draft(request)
    return _listed(request)


def _listed(request: HttpRequest, typed: str = "", about: str = "") -> HttpResponse:
    """The desk's page; with what was pasted and not kept, so that it is mended where it stands."""
    page = pages(request, ContractVersion.objects.values("contract").distinct().count(), 15)
    running, all_running = contract_queries.clocks(clock.now())
    context = {
        "rows": [(named(line.contract, line.name), line) for line in contract_queries.lines(page.start, page.size)], "pages": page,
        "clocks": running, "more_clocks": all_running - len(running),
        "most": settings.DATA_UPLOAD_MAX_MEMORY_SIZE, "choice": choice(request),
        "typed": typed, "about": about,
    }  # fmt: skip
    return show(request, "desks/desk_contracts.html", context, at_once=bool(typed))


def _draft(request: HttpRequest) -> HttpResponse:
    if posted(request, "do") == "paste":
        text = request.POST.get("document", "")
        made = attempt(
            request, lambda: contract_drafts.pasted(text, me(request).id, clock.now(), dataset=posted(request, "about", 500)),
            "contracts.kept",
        )  # fmt: skip
        if made is None and text:
            return _listed(request, text, posted(request, "about", 500))
    else:
        number = posted(request, "dataset", 17)
        made = attempt(
            request,
            lambda: contract_drafts.draft(
                int(number) if number.isascii() and number.isdigit() else 0, posted(request, "contract", 300), posted(request, "version", 60),
                me(request).id, clock.now(),
            ),
            "contracts.drafted",
        )  # fmt: skip
    if made is None:
        return back("desks-contracts")
    return back("desks-contract", made.contract, version=made.version)


def one(request: HttpRequest, contract: str) -> HttpResponse:
    now, asked = clock.now(), request.POST if request.method == "POST" else request.GET
    try:
        row = contracts.find(contract, asked.get("version", "")[:60])
    except ContractUnknown as error:
        raise Http404 from error
    subject = contracts.subject(row.contract, row.version)
    if request.method == "POST":
        act_on(request, subject, lambda action, reason, ledger: _special(request, row, action, reason, ledger))
        return back("desks-contract", contract, version=row.version)
    life = life_of(request, subject)  # before what it says is read
    row = contracts.find(row.contract, row.version)
    view = contract_queries.show(contract, now, row.version)
    against = (
        contracts.publication_reasons(subject, now)
        if view.head.state in ("draft", "submitted", "returned", "approved")
        else ()
    )
    context = {
        "contract": contract, "name": named(contract, view.head.name), "row": row, "view": view,
        "life": life, "judgement": _judgement(row), "uses": _uses(row),
        "against": [a for a in against if not a.startswith("more than its state changes then")],
        "rules": view.rules[:MOST_RULES], "more": max(0, len(view.rules) - MOST_RULES), "default_ends": (now + timedelta(days=DAYS)).date(),
        "legal": labels.legal(view.legal_basis), "by": row.added_by,
    }  # fmt: skip
    return show(request, "desks/desk_contract.html", context)


def _special(request: HttpRequest, row: ContractVersion, action: Action, reason: str, ledger: Ledger) -> bool:
    """Publishing, deprecating and retiring change routes and clocks as well as the state."""
    if action not in _SPECIAL:
        return False
    of, by, now = (row.contract, row.version), me(request).id, clock.now()
    if action is Action.PUBLISH:
        contracts.publish(*of, by, reason, now, ledger=ledger)
    elif action is Action.DEPRECATE:
        contracts.deprecate(*of, _ends(posted(request, "ends", 10), now), by, reason, now, ledger=ledger)
    elif action is Action.REINSTATE:
        contracts.reinstate(*of, by, reason, now, ledger=ledger)
    else:
        contracts.retire(*of, by, reason, now, ledger=ledger)
    return True


def _ends(text: str, now: datetime) -> datetime:
    """The last second of the day that was chosen, in Bishkek; `DAYS` from now where none was."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a calendar day, put into Bishkek's time below
    except ValueError:
        day = clock.local_date(now + timedelta(days=DAYS))
    return datetime.combine(day, time(23, 59, 59), clock.BISHKEK).astimezone(now.tzinfo)


def _judgement(row: ContractVersion) -> dict[str, Any] | None:
    """What this version changes against the one in force, or against the one before where this one is it."""
    before = in_force(contracts.KIND, row.contract)
    if before == row.version or before is None:
        older = (
            ContractVersion.objects.filter(contract=row.contract, added_at__lt=row.added_at)
            .order_by("-added_at")
            .first()
        )
        before = older.version if older is not None else None
    if before is None:
        return None
    try:
        found: Judgement = judge(
            contracts.contract_of(contracts.find(row.contract, before)), contracts.contract_of(row)
        )
    except KeregeError:  # kept by a version of the software that read it otherwise
        return None
    return {"before": before, "found": found, "breaking": found.breaking}


def _uses(row: ContractVersion) -> list[Use]:
    """Consumers seen at the data services the version is, or would be, held at."""
    routes: list[Any] = list(row.routes.all())
    if not routes:
        try:
            routes = list(contracts.contract_of(row).routes)
        except KeregeError:
            routes = []
    return uses_of(routes)
