"""The crosswalk desk: a crosswalk as a table, the policy for what is unmapped, versions on their way, and whom publishing touches.

A version's page shows that version's own rows, for they are what is approved; what is being worked on stands on a page of its own.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.codes import crosswalk_desk
from kerege.catalogue.codes.column_desk import COLUMNS
from kerege.catalogue.codes.crosswalk_desk import TableRow
from kerege.catalogue.codes.crosswalk_page import page as table
from kerege.catalogue.codes.versions import CROSSWALK
from kerege.catalogue.errors import ImpactUnknown
from kerege.catalogue.lifecycle.doings import Action, State, Subject, reasons_against, subjects
from kerege.catalogue.mappings.impact import asked
from kerege.catalogue.models import CodeSuggestion, CrosswalkVersion
from kerege.ground import clock
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.mappings.impact import Impact
from kerege.web import values
from kerege.web.access import Audience
from kerege.web.desks.desk_common import (
    act_on,
    attempt,
    back,
    life_of,
    me,
    names,
    need,
    one_of,
    page_number,
    pages,
    posted,
    rights,
    show,
)
from kerege.web.words import word

POLICIES = ("quarantine", "reject", "pass-and-flag", "null-and-flag", "default")
ROWS = 50


def listing(request: HttpRequest) -> HttpResponse:
    found = crosswalk_desk.works()
    page = pages(request, len(found))
    context = {"rows": found[page.start : page.start + page.size], "pages": page, "total": len(found)}
    return show(request, "desks/desk_crosswalks.html", context)


def one(request: HttpRequest, crosswalk: str) -> HttpResponse:
    """A version's own rows with its life cycle, or what is being worked on: the newest version with what was decided and suggested since.

    Without a version named it is what is being worked on; the newest version where nothing is.
    """
    if crosswalk == COLUMNS:
        raise Http404
    versions = CrosswalkVersion.objects.filter(crosswalk=crosswalk).order_by("-pk")
    kept = list(versions.values_list("version", flat=True)[:50])
    if request.method == "POST":
        return _posted(request, crosswalk)
    version = request.GET.get("version", "")[:100]
    if version and not versions.filter(version=version).exists():
        raise Http404
    states = {s.subject.version: s.state.value for s in subjects(CROSSWALK, thing=crosswalk)}
    if (
        "version" not in request.GET and not rights(request).steward
    ):  # what waits for a second person comes before what is in work
        version = next((v for v in kept if states.get(v) == State.SUBMITTED.value), "")
    state = one_of(request.GET.get("state", ""), crosswalk_desk.STATES)
    found = table(crosswalk, state, version, start=(page_number(request) - 1) * ROWS, size=ROWS)
    if not version and kept and not found.changed:
        version = kept[0]
        found = table(crosswalk, state, version, start=(page_number(request) - 1) * ROWS, size=ROWS)
    counts, walk = found.counts, found.walk
    if not sum(counts.values()) and not kept:
        raise Http404
    page = pages(request, found.total, ROWS, state=state, version=version)
    if page.number != page_number(request):  # past the last one
        found = table(crosswalk, state, version, start=page.start, size=ROWS)
    shown = found.lines
    subject = Subject(CROSSWALK, crosswalk, version) if version else None
    kind, _, default = str(walk.policy).partition(" ")
    context = {
        "crosswalk": crosswalk, "lines": shown, "pages": page, "counts": counts, "state": state, "states": crosswalk_desk.STATES,
        "total": sum(counts.values()), "walk": walk, "policy": kind, "default": default, "policies": POLICIES,
        "next": crosswalk_desk.next_version(crosswalk), "versions": [(v, states.get(v, State.DRAFT.value)) for v in kept],
        "version": version, "life": life_of(request, subject) if subject else None,
        "against": reasons_against(subject, Action.PUBLISH, clock.now()) if subject else (), "impact": _impact(crosswalk),
        "suggested": CodeSuggestion.objects.filter(crosswalk=crosswalk).exists(),
        "people": names([line.by for line in shown]) | {crosswalk_desk.MACHINE: word("crosswalks.machine")},
        "meant": {line.target: _meant(walk, line) for line in shown if line.target},
    }  # fmt: skip
    return show(request, "desks/desk_crosswalk.html", context)


def _meant(walk: Crosswalk, line: TableRow) -> str:
    """What a target is called in the page's language: a place with what it lies in, a code of a list, else the label of the row."""
    found = values.known_place(line.target) or (
        values.code(walk.object_source, line.target) if walk.object_source else ""
    )
    return found if found and found != line.target else line.target_label


def _impact(crosswalk: str) -> Impact | None:
    """What rests on the crosswalk; None where the country pack does not know it, so nothing of the pack can."""
    pack = values.pack()
    if pack is None:
        return None
    try:
        return asked(pack, "crosswalk", crosswalk)
    except ImpactUnknown:
        return None


def _posted(request: HttpRequest, crosswalk: str) -> HttpResponse:
    version = posted(request, "version", 100)
    if posted(request, "do") == "version":
        need(request, Audience.STEWARD)
        kind = one_of(posted(request, "policy", 40), POLICIES)
        policy = f"default {posted(request, 'default', 60)}" if kind == "default" else kind
        made = attempt(
            request, lambda: crosswalk_desk.make_version(crosswalk, version, policy, me(request).id, clock.now()),
            "crosswalks.made", version=version,
        )  # fmt: skip
        return back("desks-crosswalk", crosswalk, version=made or "")
    if not CrosswalkVersion.objects.filter(crosswalk=crosswalk, version=version).exists():
        raise Http404
    act_on(request, Subject(CROSSWALK, crosswalk, version))
    return back("desks-crosswalk", crosswalk, version=version)
