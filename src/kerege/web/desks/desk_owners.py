"""Who answers for a dataset: every attribute with its owner or why it has none, naming one for those without, and the entry's way to publication."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.errors import AttributesNotChosen
from kerege.catalogue.lifecycle.doings import Action, Subject, reasons_against, subjects
from kerege.catalogue.models import Dataset
from kerege.catalogue.ownership import doings as ownership_doings
from kerege.catalogue.ownership.queries import ownership_of
from kerege.catalogue.ownership.roles import load_roles
from kerege.ground import clock
from kerege.ledger.log import Ledger
from kerege.web import labels, reading
from kerege.web.access import Audience
from kerege.web.desks.desk_common import act_on, attempt, back, life_of, me, need, pages, posted, show

FIRST = "1"
AT_ONCE = 100  # attributes on a page, and in the form that names an owner for those without


def one(request: HttpRequest, dataset_id: str) -> HttpResponse:
    number = int(dataset_id) if dataset_id.isascii() and dataset_id.isdigit() and len(dataset_id) < 18 else 0
    dataset = Dataset.objects.filter(pk=number).first()
    if dataset is None:
        raise Http404
    subject = _subject(dataset)
    if request.method == "POST":
        if posted(request, "do") == "name":
            need(request, Audience.STEWARD)
            _name(request, dataset)
            return back("desks-owners", dataset_id)
        act_on(request, subject)
        return back("desks-owners", dataset_id)
    now, known = clock.now(), labels.organisations()
    view = ownership_of(dataset.pk, now)
    page = pages(request, len(view.attributes), AT_ONCE)
    rows = [
        {
            "column": a.column, "owner": a.owner, "reason": a.verdict.reason, "concept": a.concept,
            "name": labels.organisation(a.owner.organisation, known) if a.owner else "",
            "unit": labels.unit(a.owner.unit) if a.owner else "", "legal": labels.legal(a.owner.legal_basis) if a.owner else "",
        }
        for a in view.attributes[page.start : page.start + page.size]
    ]  # fmt: skip
    open_ones = [a.column for a in view.attributes if a.owner is None]
    context = {
        "dataset": dataset, "rows": rows, "pages": page, "owned": view.owned, "of": page.total,
        "share": view.owned / page.total if page.total else 0.0, "open": open_ones[:AT_ONCE], "all_open": len(open_ones),
        "organisation": dataset.organisation or _own(request),
        "life": life_of(request, subject), "against": reasons_against(subject, Action.PUBLISH, now),
        "days": load_roles().interim_days,
    }  # fmt: skip
    return show(request, "desks/desk_owners.html", context)


def _own(request: HttpRequest) -> str:
    parts = me(request).member.split("/")
    return parts[2] if len(parts) > 2 else ""


def _subject(dataset: Dataset) -> Subject:
    """The dataset's entry as the life cycle knows it: the version somebody acted on last, else the first."""
    found = subjects("dataset", thing=str(dataset))
    return found[0].subject if found else Subject("dataset", str(dataset), FIRST)


def _name(request: HttpRequest, dataset: Dataset) -> None:
    columns = [c for c in request.POST.getlist("columns") if c]

    def doing() -> list[object]:
        if not columns:  # to the doing an empty list is every attribute without an owner; here it is nobody's choice
            raise AttributesNotChosen(dataset=str(dataset))
        with Ledger.open(reading.ledger_folder()) as ledger:
            return list(
                ownership_doings.name_owners(
                    dataset.source, dataset.table, posted(request, "organisation", 40), posted(request, "unit", 300),
                    posted(request, "legal_basis", 600), clock.now(), columns=columns, by=me(request).id, ledger=ledger,
                )
            )  # fmt: skip

    attempt(request, doing, "owners.named", unit=posted(request, "unit", 200))
