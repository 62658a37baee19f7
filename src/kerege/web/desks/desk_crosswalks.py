"""The crosswalk desk: a crosswalk as a table, the policy for what is unmapped, versions on their way, and whom publishing touches."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue import crosswalk_desk
from kerege.catalogue.codelists import CROSSWALK
from kerege.catalogue.errors import ImpactUnknown
from kerege.catalogue.impact import asked
from kerege.catalogue.lifecycle import Action, Subject, reasons_against
from kerege.catalogue.models import CodeSuggestion, CrosswalkVersion
from kerege.ground import clock
from kerege.semantics.impact import Impact
from kerege.web import values
from kerege.web.access import Audience
from kerege.web.desks.desk_common import act_on, attempt, back, life_of, me, names, need, one_of, pages, posted, show

POLICIES = ("quarantine", "reject", "pass-and-flag", "null-and-flag", "default")
ROWS = 50


def listing(request: HttpRequest) -> HttpResponse:
    found = crosswalk_desk.works()
    page = pages(request, len(found))
    context = {"rows": found[page.start : page.start + page.size], "pages": page, "total": len(found)}
    return show(request, "desks/desk_crosswalks.html", context)


def one(request: HttpRequest, crosswalk: str) -> HttpResponse:
    version = request.GET.get("version", "")[:100]
    kept = list(
        CrosswalkVersion.objects.filter(crosswalk=crosswalk).defer("content").order_by("-imported_at", "-pk")[:50]
    )
    chosen = next((v for v in kept if v.version == version), kept[0] if kept else None)
    if request.method == "POST":
        return _posted(request, crosswalk, chosen)
    state = one_of(request.GET.get("state", ""), crosswalk_desk.STATES)
    lines, counts, walk = crosswalk_desk.table(crosswalk, state)
    if not walk.rows and not lines and not kept:
        raise Http404
    page = pages(request, len(lines), ROWS, state=state, version=version)
    now = clock.now()
    subject = Subject(CROSSWALK, crosswalk, chosen.version) if chosen else None
    kind, _, default = str(walk.policy).partition(" ")
    context = {
        "crosswalk": crosswalk, "lines": lines[page.start : page.start + ROWS], "pages": page, "counts": counts, "state": state,
        "states": crosswalk_desk.STATES, "total": sum(counts.values()), "walk": walk, "policy": kind, "default": default,
        "policies": POLICIES, "next": crosswalk_desk.next_version(crosswalk), "versions": kept, "chosen": chosen,
        "life": life_of(request, subject) if subject else None,
        "against": reasons_against(subject, Action.PUBLISH, now) if subject else (), "impact": _impact(crosswalk),
        "changed": _changed(crosswalk, walk.rows), "suggested": CodeSuggestion.objects.filter(crosswalk=crosswalk).exists(),
        "people": names([line.by for line in lines[page.start : page.start + ROWS]]),
    }  # fmt: skip
    return show(request, "desks/desk_crosswalk.html", context)


def _changed(crosswalk: str, rows: tuple[Any, ...]) -> bool:
    """Whether something was decided or suggested that the newest version does not have."""
    base = crosswalk_desk.base_of(crosswalk)
    return base is None or base.rows != rows


def _impact(crosswalk: str) -> Impact | None:
    """What rests on the crosswalk; None where the country pack does not know it, so nothing of the pack can."""
    pack = values.pack()
    if pack is None:
        return None
    try:
        return asked(pack, "crosswalk", crosswalk)
    except ImpactUnknown:
        return None


def _posted(request: HttpRequest, crosswalk: str, chosen: CrosswalkVersion | None) -> HttpResponse:
    if posted(request, "do") == "version":
        need(request, Audience.STEWARD)
        number = posted(request, "version", 60)
        kind = one_of(posted(request, "policy", 40), POLICIES)
        policy = f"default {posted(request, 'default', 60)}" if kind == "default" else kind
        made = attempt(
            request, lambda: crosswalk_desk.make_version(crosswalk, number, policy, me(request).id, clock.now()),
            "crosswalks.made", version=number,
        )  # fmt: skip
        return back("desks-crosswalk", crosswalk, near="life", version=made or "")
    if chosen is None:
        raise Http404
    act_on(request, Subject(CROSSWALK, crosswalk, chosen.version))
    return back("desks-crosswalk", crosswalk, near="life", version=chosen.version)
