"""Organisations: what each runs, owns and decides, what is open for it, whose data it uses and who uses its own."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.browse.organisations import together
from kerege.catalogue.inventory.findings import findings
from kerege.ground import clock
from kerege.membership.models import Subsystem
from kerege.web import charts, labels
from kerege.web.desks.catalogue import frame
from kerege.web.words import word

_PER_PAGE: Final = 60
_ATTRIBUTES: Final = 30
_FLOWS: Final = 30
_FINDINGS: Final = 20


def listing(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    known, shape = labels.organisations(), browse.shape(now)
    owned, runs = together(browse.owners_with_counts(now), known), together(dict(shape.organisations), known)
    codes = sorted(
        {*known, *owned, *runs}, key=lambda c: (-owned.get(c, 0), -runs.get(c, 0), frame.organisation(c, known).name)
    )
    cut = frame.cut(request, len(codes), _PER_PAGE)
    rows = [
        {
            "who": frame.organisation(code, known), "code": code, "runs": runs.get(code, 0), "owned": owned.get(code, 0),
            "bar": charts.bar((charts.Part("filled", owned.get(code, 0) / max(1, shape.attributes)),), "bar--thin"),
        }
        for code in codes[cut.offset : cut.offset + cut.limit]
    ]  # fmt: skip
    context = {"rows": rows, "cut": cut, "unowned": shape.attributes - shape.owned, "attributes": shape.attributes}
    return frame.show(
        request, "owners", context, machines=[frame.Machine("application/json", "/api/v1/owners", "JSON")]
    )


def owner(request: HttpRequest, code: str) -> HttpResponse:
    now = clock.now()
    known = labels.organisations()
    held = browse.holdings(code, now)
    if code not in known and not (held.attributes or held.datasets):
        raise Http404
    cards, many = browse.cards(now, organisation=code)
    cut = frame.cut(request, held.attributes, _ATTRIBUTES)
    attributes, _ = browse.attributes(now, owner=code, offset=cut.offset, limit=cut.limit)
    flows, more = browse_use.flows(now, organisation=code, limit=2 * _FLOWS)
    inside = f"{code}/"
    gives, takes = (
        [f for f in flows if f.service.startswith(inside)],
        [f for f in flows if f.consumer.startswith(inside)],
    )
    waiting = findings(now, owner=code, limit=_FINDINGS)
    context: dict[str, Any] = {
        "code": code, "name": frame.organisation(code, known).name, "held": held, "cards": [frame.card(c, known) for c in cards],
        "cards_more": max(0, many - len(cards)), "attributes": [frame.attribute(a, known) for a in attributes], "cut": cut,
        "subsystems": _systems(inside),
        "gives": [_flow(f, known) for f in gives[:_FLOWS]], "takes": [_flow(f, known) for f in takes[:_FLOWS]], "flows_more": more,
        "findings": [frame.finding(f) | {"table": f.table} for f in waiting], "findings_more": max(0, held.findings - len(waiting)),
        "at_desk": frame.at_desk(request, "desks-findings", owner=code), "endings": browse_use.endings(code),
        "requests": browse.requests_of(code), "map": f"{frame.to('catalogue-map')}?organisation={code}",
        "listed": f"{frame.to('catalogue')}?organisation={code}",
    }  # fmt: skip
    linked = {
        "@context": "https://schema.org",
        "@type": "GovernmentOrganization",
        "identifier": code,
        "name": _names(code, known),
    }
    crumbs = [frame.Crumb(word("part.catalogue-owners"), frame.to("catalogue-owners"))]
    return frame.show(
        request,
        "owner",
        context,
        crumbs,
        [frame.Machine("application/json", f"/api/v1/datasets?organisation={code}", "JSON")],
        linked,
    )


def _names(code: str, known: Any) -> list[dict[str, str]]:
    return [{"@language": k, "@value": v} for k, v in known[code].as_dict().items()] if code in known else []


def _flow(flow: browse_use.Flow, known: Any) -> dict[str, Any]:
    return {
        "service": labels.data_service(flow.service), "of": frame.organisation(flow.provider, known), "consumer": labels.register(flow.consumer),
        "consumer_of": frame.organisation(flow.consumer, known), "calls": flow.calls, "failed": flow.failed,
    }  # fmt: skip


def _systems(inside: str) -> list[str]:
    rows = Subsystem.objects.filter(code__startswith=inside).order_by("code")
    return [labels.register(code) for code in rows.values_list("code", flat=True)[:40]]
