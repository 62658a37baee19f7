"""The officer's desk: the list of applications, and one application's story with the provenance of every value.

The list is paged by its last case, not by number, so it costs the same on the first page and on the thousandth; it never counts
further than five hundred. Opening a story is recorded (`web.reading`) before anything is shown.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground import clock
from kerege.reconcile import queries as reconcile
from kerege.reconcile.errors import ReaderUnknown
from kerege.services import queries
from kerege.services.cases import STATUSES
from kerege.services.definitions import OUTCOME_KINDS
from kerege.services.errors import CaseUnknown
from kerege.services.models import Case
from kerege.services.queries import CaseRow
from kerege.web import labels, reading, story_view
from kerege.web.access import OFFICERS_SERVICE
from kerege.web.signin import who

PAGE: Final = 25
COUNT_MOST: Final = 500
_SCAN: Final = 200


def listing(request: HttpRequest) -> HttpResponse:
    """One page of the applications that match the filter."""
    runs = tuple(
        Case.objects.filter(public_service=OFFICERS_SERVICE).order_by("run").values_list("run", flat=True).distinct()
    )
    chosen = {
        "status": _one_of(request.GET.get("status", ""), STATUSES),
        "outcome": _one_of(request.GET.get("outcome", ""), OUTCOME_KINDS),
        "way": _one_of(request.GET.get("way", ""), runs) or _usual(runs),
    }
    after = request.GET.get("after", "")
    try:
        page = list(islice(_matching(chosen, after or None), PAGE + 1))
    except CaseUnknown as error:
        raise Http404 from error
    rows, more = page[:PAGE], len(page) > PAGE
    total = len(list(islice(_matching(chosen, None), COUNT_MOST + 1)))
    context = {
        "rows": [_row(row) for row in rows],
        "any": bool(runs),
        "chosen": chosen,
        "statuses": STATUSES,
        "outcomes": OUTCOME_KINDS,
        "runs": runs,
        "total": min(total, COUNT_MOST),
        "over": total > COUNT_MOST,
        "first": _query(chosen) if after else "",
        "next": _query({**chosen, "after": rows[-1].case_id}) if more else "",
    }
    return render(request, "desks/applications.html", context)


def story(request: HttpRequest, case_id: str) -> HttpResponse:
    """One application: what happened, on which values, from where, and why it was decided so."""
    if not Case.objects.filter(case_id=case_id, public_service=OFFICERS_SERVICE).exists():
        raise Http404  # not there, or of a public service that the grant which opened this desk is not for
    try:
        found = queries.case_story(case_id)
    except CaseUnknown as error:
        raise Http404 from error
    officer = who(request)
    assert officer is not None  # the guard let only officers in
    try:
        reading.record(found, officer, clock.now())
    except ReaderUnknown as error:
        return render(request, "403.html", {"refusal": error.code}, status=403)
    context = {
        **story_view.of(found),
        "differences": [
            row for status in ("open", "with_owner") for row in reconcile.queue(status=status, case_id=case_id)
        ],
    }
    return render(request, "desks/application_story.html", context)


def _matching(chosen: dict[str, str], after: str | None) -> Any:
    """Case rows that match, lazily and in order; the decision is matched here, as the query matches the status only."""
    while True:
        page = queries.case_list(
            public_service=OFFICERS_SERVICE,
            run=chosen["way"] or None,
            status=chosen["status"] or None,
            after=after,
            limit=_SCAN if chosen["outcome"] else 100,
        )
        yield from (row for row in page if not chosen["outcome"] or row.decision == chosen["outcome"])
        if not page:
            return
        after = page[-1].case_id


def _row(row: CaseRow) -> dict[str, Any]:
    definition = labels.definition_of(OFFICERS_SERVICE)
    reason = definition.reasons.get(row.primary_reason or "")
    return {
        "row": row,
        "school": labels.school(row.school_code),
        "reason": reason.text if reason else None,
        "look": story_view.look(row),
        "outcome": row.decision or row.status,
    }


def _usual(runs: tuple[str, ...]) -> str:
    """The run an officer works with: the data-first one, where both ways were stored."""
    return next((run for run in runs if run.startswith("data_first") or run.startswith("data-first")), "")


def _one_of(value: str, known: tuple[str, ...]) -> str:
    return value if value in known else ""


def _query(values: dict[str, str]) -> str:
    return "?" + urlencode({name: value for name, value in values.items() if value})
