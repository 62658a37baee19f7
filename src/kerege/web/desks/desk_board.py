"""The 90-day board: which day it is, five counts for each critical dataset, the pace, and next steps that lead to the desk that does them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from kerege.catalogue.board import doings as plan
from kerege.catalogue.board.report import pace_lines
from kerege.catalogue.board.rules import DatasetFacts, DatasetLine, Measure, Step
from kerege.catalogue.board.words import step_text
from kerege.catalogue.errors import BoardInvalid
from kerege.catalogue.models import CriticalDataset, Dataset, UnmappedCode
from kerege.ground import clock
from kerege.web import labels
from kerege.web.access import Audience
from kerege.web.desks.desk_choice import choice
from kerege.web.desks.desk_common import attempt, back, me, need, pages, posted, show
from kerege.web.words import language

# a step of the board -> the desk that does it, for the dataset or in general
_DESK: Final = {
    "own": ("desks-owners", True), "map": ("desks-columns", True), "harmonise": ("desks-crosswalks", False),
    "tell-codes": ("desks-harvests", False), "document": ("desks-harvests", False), "harvest": ("desks-harvests", False),
    "submit": ("desks-owners", True), "approve": ("desks-owners", True), "publish": ("desks-owners", True),
    "name-lasting": ("desks-owners", True),
}  # fmt: skip


def board(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        need(request, Audience.STEWARD)
        _posted(request, clock.now())
        return back("desks-board")
    return show(request, "desks/desk_board.html", _context(request, printed=False))


def printed(request: HttpRequest) -> HttpResponse:
    """The same for paper: every dataset, no forms."""
    return show(request, "desks/desk_board.html", _context(request, printed=True))


def _context(request: HttpRequest, *, printed: bool) -> dict[str, Any]:
    context: dict[str, Any] = {"board": None, "printed": printed}
    try:
        view = plan.board(clock.now())
    except BoardInvalid:
        return context
    page = pages(request, len(view.lines), len(view.lines) or 1 if printed else 15)
    known = labels.organisations()
    last = view.history[-30:]
    walks = dict(UnmappedCode.objects.filter(settled_at=None).order_by("-pk").values_list("place", "crosswalk"))
    marked = CriticalDataset.objects.filter(dataset=OuterRef("pk"), ended_at=None)
    return context | {
        "choice": None if printed else choice(request, Dataset.objects.filter(~Exists(marked))),
        "board": view, "pages": page, "last_day": plan.last_day(view), "pace": pace_lines(view, language()),
        "totals": [
            {"rule": view.rules[m], "total": view.totals[m], "share": t.done / t.total if (t := view.totals[m]).total else 0.0}
            for m in Measure
        ],
        "share": view.done / view.total if view.total else 0.0,
        "lines": [_line(line, view, known, walks) for line in view.lines[page.start : page.start + page.size]],
        "history": [(p.day, p.done) for p in last],
    }  # fmt: skip


def _line(line: DatasetLine, view: plan.Board, known: dict[str, Any], walks: dict[str, str]) -> dict[str, Any]:
    facts = line.facts
    source, _, table = facts.dataset.rpartition("#")
    return {
        "name": labels.dataset(table), "facts": facts, "source": source, "complete": line.complete,
        "agency": labels.organisation(facts.organisation, known) if facts.organisation else "",
        "counts": [
            {"rule": view.rules[m], "count": c, "share": c.done / c.total if c.total else float(c.complete)}
            for m, c in line.counts.items()
        ],
        "steps": [{"text": step_text(s, language()), "address": _address(s, facts, walks), "command": s.command} for s in line.steps],
    }  # fmt: skip


def _address(step: Step, facts: DatasetFacts, walks: dict[str, str]) -> str:
    """Where the step is done; for codes without a place the desk of the crosswalk that did not know them."""
    met = [walks[place] for column in step.columns if (place := f"{facts.dataset}.{column}") in walks]
    if step.kind == "harmonise" and met:
        return reverse("desks-codes", args=(language(), met[0]))
    dataset_id = facts.dataset_id
    name, of_dataset = _DESK.get(step.kind, ("desks", False))
    return reverse(name, args=(language(), str(dataset_id)) if of_dataset else (language(),))


def _posted(request: HttpRequest, now: datetime) -> None:
    do, reason, by = posted(request, "do"), posted(request, "reason", 500), me(request).id
    if do == "start":
        attempt(request, lambda: plan.start(reason, by=by, now=now), "board.started")
    elif do == "snapshot":
        attempt(request, lambda: plan.snapshot(now), "board.kept")
    else:
        number = posted(request, "dataset", 17)
        found = Dataset.objects.filter(pk=int(number) if number.isascii() and number.isdigit() else 0).first()
        source, table = (found.source, found.table) if found else ("", "")
        attempt(
            request,
            lambda: plan.mark_critical(source, table, reason=reason, by=by, now=now),
            "board.marked",
            dataset=table,
        )
