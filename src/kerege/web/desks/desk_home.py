"""The way in to the desks: what waits at each, for whoever is signed in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.codes import crosswalk_desk, unplaced
from kerege.catalogue.codes.column_desk import progress
from kerege.catalogue.lifecycle import queries as lifecycle_queries
from kerege.catalogue.lifecycle.rules import State
from kerege.catalogue.models import ContractVersion, Plan
from kerege.catalogue.requests.doings import open_registers
from kerege.ground import clock
from kerege.reconcile import desk_findings, desk_queries
from kerege.web.desks.desk_common import me, rights, show
from kerege.web.desks.desk_findings import findings_of
from kerege.web.words import language


def home(request: HttpRequest) -> HttpResponse:
    """A card per desk with what waits there; of the clerical desk only for its clerks."""
    may = rights(request)
    counts: dict[str, int | None] = {}
    if may.steward or may.data_owner or may.reviewer:
        counts = {
            "harvests": Plan.objects.filter(status=Plan.OPEN).count(),
            "suggestions": crosswalk_desk.undecided().count() + unplaced.count() + progress(most=1)[1],
            "crosswalks": lifecycle_queries.count("crosswalk", State.SUBMITTED, State.APPROVED),
            "findings": desk_findings.total(clock.now(), findings_of(request)),
            "contracts": ContractVersion.objects.count(),
            "board": None,
            "requests": len(open_registers()),
        }
    if may.clerk:
        counts["pairs"] = desk_queries.desk_total()
    cards = [
        {"name": name, "address": reverse(f"desks-{name}", args=(language(),)), "count": count}
        for name, count in counts.items()
    ]
    member = "/".join(me(request).member.split("/")[:3])
    if (
        may.data_owner and member.count("/") == 2
    ):  # whose fields they are, and until when, stands on the organisation's own page
        mine = reverse("catalogue-owner", args=(language(), member))
        cards.insert(0, {"name": "mine", "address": mine, "count": browse.holdings(member, clock.now()).attributes})
    return show(request, "desks/desk_home.html", {"cards": cards})
