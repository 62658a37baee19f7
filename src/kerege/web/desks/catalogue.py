"""The catalogue's pages: datasets, one dataset with its fields, one concept with its holders. Metadata only: no values of anybody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.catalogue import queries
from kerege.catalogue.concepts import load_concepts
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.queries import DatasetView, FieldView, TruthView
from kerege.ground.text import Text
from kerege.web import labels, values
from kerege.web.words import say

_QUERY_MOST = 200


def overview(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:_QUERY_MOST]
    view = queries.overview()
    known = labels.organisations()
    datasets = [d for d in view.datasets if not d.vanished]
    found = [d for d in datasets if _matches(d, query, known)] if query else datasets
    concepts = _concepts(datasets, view.truths)
    if query:
        concepts = [c for c in concepts if query.casefold() in f"{c['name']} {c['id']}".casefold()]
    context = {
        "query": query,
        "any": bool(view.datasets),
        "datasets": [_card(d, known) for d in found],
        "concepts": concepts,
    }
    return render(request, "desks/catalogue.html", context)


def dataset(request: HttpRequest, dataset_id: int) -> HttpResponse:
    try:
        view = queries.dataset(dataset_id)
    except DatasetUnknown as error:
        raise Http404 from error
    known = labels.organisations()
    truths = {truth.concept: truth for truth in queries.sources_of_truth()}
    fields = [_field(field, view, truths, known) for field in view.fields if not field.vanished]
    context = {
        "card": _card(view, known),
        "view": view,
        "fields": fields,
        "owner": _owner_of_all(fields),
        "findings": view.findings,
    }
    return render(request, "desks/catalogue_dataset.html", context)


def concept(request: HttpRequest, concept_id: str) -> HttpResponse:
    view = queries.overview()
    known = labels.organisations()
    truth = next((t for t in view.truths if t.concept == concept_id), None)
    holders = [
        {
            "dataset": _card(d, known),
            "field": _field(field, d, {}, known),
            "is_truth": bool(truth and concept_id in field.truth_of),
        }
        for d in view.datasets
        for field in d.fields
        if field.concept == concept_id and not field.vanished
    ]
    worded = load_concepts().get(concept_id)
    if not holders and truth is None and worded is None:
        raise Http404
    holders.sort(key=lambda holder: not holder["is_truth"])
    context = {
        "id": concept_id,
        "name": worded.text if worded else labels.field(concept_id.rsplit(".", 1)[-1]),
        "truth": truth,
        "truth_name": labels.dataset(truth.table) if truth else "",
        "legal": labels.legal(truth.legal_basis) if truth else "",
        "holders": holders,
    }
    return render(request, "desks/catalogue_concept.html", context)


def _owner_of_all(fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The one who owns every field, to be named once; None where owners differ or a field has none."""
    owners = {(field["owner"], field["unit"], field["legal"]) for field in fields}
    return fields[0] if len(owners) == 1 and fields[0]["owner"] else None


def _card(view: DatasetView, known: dict[str, Text]) -> dict[str, Any]:
    fields = [field for field in view.fields if not field.vanished]
    return {
        "id": view.id,
        "name": labels.dataset(view.table, view.description),
        "table": view.table,
        "agency": labels.organisation(view.organisation, known) if view.organisation else "",
        "rows": view.rows,
        "sampled": view.sampled,
        "fields": len(fields),
        "personal": any(field.personal for field in fields),
        "findings": view.finding_count,
        "owned": view.owned,
    }


def _field(field: FieldView, view: DatasetView, truths: dict[str, TruthView], known: dict[str, Text]) -> dict[str, Any]:
    truth = truths.get(field.concept)
    return {
        "name": field.name,
        "summary": field.summary,
        "concept": field.concept,
        "concept_name": _concept_name(field),
        "owner": labels.organisation(field.owner.organisation, known) if field.owner else "",
        "unit": labels.unit(field.owner.unit) if field.owner else "",
        "legal": labels.legal(field.owner.legal_basis) if field.owner else "",
        "is_truth": field.concept in field.truth_of,
        "truth_name": labels.dataset(truth.table) if truth and truth.dataset_id != view.id else "",
        "truth_id": truth.dataset_id if truth else None,
        "codelist": field.codelist,
        "codelist_name": values.codelist_name(field.codelist) if field.codelist else "",
        "personal": field.personal,
        "findings": field.findings,
    }


def _concept_name(field: FieldView) -> str:
    if field.concept_text is not None:
        return say(field.concept_text)
    return labels.field(field.concept.rsplit(".", 1)[-1]) if field.concept else ""


def _concepts(datasets: Iterable[DatasetView], truths: Iterable[TruthView]) -> list[dict[str, Any]]:
    """Every concept in use, by name, with how many datasets hold it and which one decides."""
    decided = {truth.concept: truth for truth in truths}
    found: dict[str, dict[str, Any]] = {}
    for view in datasets:
        for field in view.fields:
            if field.concept and not field.vanished:
                row = found.setdefault(
                    field.concept, {"id": field.concept, "name": _concept_name(field), "holders": set()}
                )
                row["holders"].add(view.id)
    for row in found.values():
        truth = decided.get(row["id"])
        row["truth_name"] = labels.dataset(truth.table) if truth else ""
        row["truth_id"] = truth.dataset_id if truth else None
        row["holders"] = len(row["holders"])
    return sorted(found.values(), key=lambda row: str(row["name"]).casefold())


def _matches(view: DatasetView, query: str, known: dict[str, Text]) -> bool:
    """Every word stands in what people can see of the dataset, in any language, or in its technical names."""
    words = [view.source, view.table, view.description, labels.dataset(view.table)]
    if view.organisation:
        words.append(labels.organisation(view.organisation, known))
    for field in view.fields:
        words += [field.name, field.concept, field.codelist, _concept_name(field)]
        words += field.concept_text.as_dict().values() if field.concept_text else ()
    text = " ".join(words).casefold()
    return all(word in text for word in query.casefold().split())
