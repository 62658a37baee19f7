"""Harvest plans at the desk: what waits, the difference with its reasons, apply or leave. No value of a register is on these pages."""

from __future__ import annotations

from collections import Counter

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.errors import PlanUnknown
from kerege.catalogue.inventory import plans_left
from kerege.catalogue.models import Dataset, Plan
from kerege.ground import clock
from kerege.web.access import Audience
from kerege.web.desks.desk_common import attempt, back, me, names, need, one_of, page_number, pages, posted, show

STATES = (Plan.OPEN, Plan.APPLIED, Plan.LEFT)
MOST_CHANGES = 200


def listing(request: HttpRequest) -> HttpResponse:
    state = one_of(request.GET.get("state", Plan.OPEN), STATES) or Plan.OPEN
    rows, total = plans_left.plans(state, start=(page_number(request) - 1) * 25)
    context = {
        "rows": rows, "state": state, "states": STATES, "pages": pages(request, total, state=state), "total": total,
        "counts": Counter(Plan.objects.values_list("status", flat=True)),
    }  # fmt: skip
    return show(request, "desks/desk_harvests.html", context)


def one(request: HttpRequest, plan_id: str) -> HttpResponse:
    try:
        row, changes = plans_left.plan(plan_id)
    except PlanUnknown as error:
        raise Http404 from error
    if request.method == "POST":
        need(request, Audience.STEWARD)
        if posted(request, "do") == "apply":
            attempt(
                request, lambda: plans_left.apply_at_desk(plan_id, me(request).id, clock.now()), "harvests.applied", n=len(changes)
            )  # fmt: skip
        else:
            attempt(
                request, lambda: plans_left.leave_plan(plan_id, me(request).id, posted(request, "reason"), clock.now()),
                "harvests.left",
            )  # fmt: skip
        return back("desks-harvest", plan_id)
    page = pages(request, len(changes), MOST_CHANGES)
    tables: dict[str, list[object]] = {}
    for change in changes[page.start : page.start + MOST_CHANGES]:
        tables.setdefault(change.table, []).append(change)
    context = {
        "row": row, "tables": tables.items(), "pages": page, "by": names([row.decided_by]).get(row.decided_by, row.decided_by),
        "datasets": Dataset.objects.filter(source=row.source, vanished=False).only("pk", "table") if row.status == Plan.APPLIED else (),
    }  # fmt: skip
    return show(request, "desks/desk_harvest.html", context)
