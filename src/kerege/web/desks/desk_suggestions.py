"""The suggestions desk: what a column means, what a code means; candidates with what speaks for them, decided one after the other.

Accept, refuse one candidate, name another, or say that nothing fits. Each decision is kept as truth (`catalogue.codes.decisions`); one's own last
one can be undone from the line that says it was taken.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from kerege.catalogue.codes import column_desk, crosswalk_desk, deciding, decisions, unplaced
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.models import CodeDecision, CodeSuggestion, Dataset
from kerege.ground import clock
from kerege.web import values
from kerege.web.access import Audience
from kerege.web.desks.desk_common import PAGE, attempt, back, me, need, page_number, pages, posted, show, undoable
from kerege.web.words import language, say

AT_ONCE = 10
MOST_SURE = 500


def overview(request: HttpRequest) -> HttpResponse:
    """Crosswalks and datasets with something to decide."""
    every = [(w, w.waiting + (unplaced.count([w.crosswalk]) if w.unmapped else 0)) for w in crosswalk_desk.works()]
    walks = [(w, waiting) for w, waiting in every if waiting]
    first, total = column_desk.progress(most=PAGE)
    page = pages(request, max(total, len(walks)))
    datasets = first if page.number == 1 else column_desk.progress(start=page.start, most=page.size)[0]
    context = {
        "walks": walks[page.start : page.start + page.size], "datasets": datasets, "pages": page, "any": bool(walks or total),
    }  # fmt: skip
    return show(request, "desks/desk_suggestions.html", context)


def codes(request: HttpRequest, crosswalk: str) -> HttpResponse:
    """One crosswalk's codes that wait."""
    met, masked = len(unplaced.met(crosswalk)), unplaced.masked(crosswalk)
    suggested = CodeSuggestion.objects.filter(crosswalk=crosswalk).exists()
    if crosswalk == column_desk.COLUMNS or not (suggested or met or masked or _decided_on(crosswalk)):
        raise Http404
    if request.method == "POST":
        need(request, Audience.STEWARD)
        _decide_code(request, crosswalk)
        return back("desks-codes", crosswalk, page=_page(page_number(request)))
    start = (page_number(request) - 1) * AT_ONCE
    found = unplaced.tasks(
        crosswalk, start=start, most=AT_ONCE
    )  # what data has and nobody placed comes before what was suggested
    more, waiting = crosswalk_desk.queue(crosswalk, start=max(0, start - met), most=AT_ONCE - len(found))
    found, waiting = [*found, *more], waiting + met
    if not found and waiting:  # the last page's were decided: what is left is before
        return back("desks-codes", crosswalk, page=_page(pages(request, waiting, AT_ONCE).number))
    of = crosswalk_desk.newest(crosswalk).count() + met
    context = {
        "crosswalk": crosswalk, "items": _items(crosswalk, found), "waiting": waiting, "of": of, "done": of - waiting,
        "share": (of - waiting) / of if of else 1.0, "pages": pages(request, waiting, AT_ONCE),
        "sure": crosswalk_desk.undecided(crosswalk).filter(said="accept").count(), "measured": decisions.measure(crosswalk),
        "masked": masked,
    }  # fmt: skip
    return show(request, "desks/desk_codes.html", context)


def _decided_on(crosswalk: str) -> bool:
    """Whether somebody decided here: the page is there when the last code was."""
    return CodeDecision.objects.filter(crosswalk=crosswalk).exists()


def _page(number: int) -> str:
    """A page's number for an address; the first needs none."""
    return str(number) if number > 1 else ""


def _items(crosswalk: str, found: list[decisions.OpenSuggestion]) -> list[dict[str, Any]]:
    """Codes with their candidates. None is chosen beforehand where nothing tells the first ones apart, or where another code leads there."""
    there = deciding.taken(crosswalk, {c["target"] for one in found for c in one.candidates[:5]})
    return [_item(one, there) for one in found]


def _item(one: decisions.OpenSuggestion, there: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    found = []
    for c in one.candidates[:5]:
        links = c["evidence"].get("links") or {}
        found.append(
            {
                **c, "alike": c["evidence"].get("label"), "records": links.get("records"), "share": links.get("share"),
                "place": values.known_place(c["target"]), "taken": [code for code in there.get(c["target"], ()) if code != one.code][:3],
            }
        )  # fmt: skip
    tie = deciding.tied(found)
    chosen = found[0]["target"] if found and not tie and not found[0]["taken"] else ""
    return {
        "code": one.code, "label": one.label, "said": one.said, "reason": one.reason, "candidates": found, "chosen": chosen, "tie": tie,
        "why": tie or any(c["taken"] for c in found),
    }  # fmt: skip


def _decide_code(request: HttpRequest, crosswalk: str) -> None:
    do, code, now, by = posted(request, "do"), posted(request, "code", 200), clock.now(), me(request).id
    if do == "undo":
        attempt(
            request, lambda: decisions.take_back(_number(request), by, now, crosswalk=crosswalk, code=posted(request, "what", 200)),
            "suggestions.undone",
        )  # fmt: skip
        return
    if do == "sure":
        sure = crosswalk_desk.undecided(crosswalk).filter(said="accept").prefetch_related("candidates").order_by("code")
        attempt(request, lambda: deciding.accept_sure(crosswalk, sure[:MOST_SURE], by, now), "suggestions.sure_done")
        return
    target = posted(request, "target", 200) or posted(request, "choice", 200)
    verdict, told = {
        "refuse": (decisions.REFUSED, "suggestions.refused"),
        "none": (decisions.NO_COUNTERPART, "suggestions.no_counterpart"),
    }.get(do, (decisions.ACCEPTED, "suggestions.accepted"))
    target = "" if verdict == decisions.NO_COUNTERPART else target
    made = attempt(
        request,
        lambda: deciding.decide(crosswalk, code, verdict, by, now, target=target, reason=posted(request, "reason", 500)),
        told, code=code, target=target,
    )  # fmt: skip
    if made is not None:
        undoable(request, reverse("desks-codes", args=(language(), crosswalk)), made.pk, code)


def _number(request: HttpRequest) -> int:
    """Which decision is to be undone; 0, which is none, for what is no number."""
    raw = posted(request, "number", 18)
    return int(raw) if raw.isascii() and raw.isdigit() else 0


def columns(request: HttpRequest, dataset_id: str) -> HttpResponse:
    """One dataset's columns without a meaning."""
    dataset = (
        Dataset.objects.filter(pk=int(dataset_id)).first()
        if dataset_id.isascii() and dataset_id.isdigit() and len(dataset_id) < 18
        else None
    )
    if dataset is None:
        raise Http404
    if request.method == "POST":
        need(request, Audience.STEWARD)
        _decide_column(request, dataset)
        return back("desks-columns", dataset_id, page=_page(page_number(request)))
    tasks, waiting = column_desk.waiting(dataset.pk, start=(page_number(request) - 1) * AT_ONCE, most=AT_ONCE)
    if not tasks and waiting:
        return back("desks-columns", dataset_id, page=_page(pages(request, waiting, AT_ONCE).number))
    chosen = {t.column: next((c.concept for c in t.candidates if not c.refused), "") for t in tasks}
    of = dataset.fields.filter(vanished=False).count()
    concepts = sorted(((c.id, say(c.text)) for c in load_concepts().values()), key=lambda item: item[1].casefold())
    context = {
        "dataset": dataset, "tasks": [(task, chosen[task.column]) for task in tasks], "waiting": waiting, "of": of, "done": of - waiting,
        "share": (of - waiting) / of if of else 1.0, "concepts": concepts, "pages": pages(request, waiting, AT_ONCE),
    }  # fmt: skip
    return show(request, "desks/desk_columns.html", context)


def _decide_column(request: HttpRequest, dataset: Dataset) -> None:
    do, column, now, by = posted(request, "do"), posted(request, "column", 200), clock.now(), me(request).id
    if do == "undo":
        attempt(
            request, lambda: column_desk.take_back_column(dataset, _number(request), posted(request, "what", 200), by, now),
            "suggestions.undone",
        )  # fmt: skip
        return
    if not dataset.fields.filter(name=column, vanished=False).exists():
        attempt(request, lambda: _no_column(dataset, column), "")
        return
    verdict, told = {
        "refuse": (decisions.REFUSED, "suggestions.refused"),
        "none": (decisions.NO_COUNTERPART, "suggestions.no_concept"),
    }.get(do, (decisions.ACCEPTED, "suggestions.accepted"))
    concept = (
        "" if verdict == decisions.NO_COUNTERPART else posted(request, "target", 200) or posted(request, "choice", 200)
    )
    made = attempt(
        request,
        lambda: column_desk.decide_column(dataset, column, verdict, by, now, concept=concept, reason=posted(request, "reason", 500)),
        told, code=column, target=concept,
    )  # fmt: skip
    if made is not None:
        undoable(request, reverse("desks-columns", args=(language(), dataset.pk)), made.pk, column)


def _no_column(dataset: Dataset, column: str) -> None:
    raise DatasetUnknown(what="attribute", name=f"{dataset}.{column[:40]}")
