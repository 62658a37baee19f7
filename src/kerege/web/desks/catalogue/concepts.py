"""Concepts: what attributes can mean, in three languages, who holds them and who decides, by which law."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.inventory.queries import TruthView, sources_of_truth
from kerege.catalogue.ownership.face import Truth, source_of_truth
from kerege.catalogue.packs import current_pack
from kerege.ground import clock
from kerege.ground.text import LANGUAGES
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.words import word

_PER_PAGE = 60


def listing(request: HttpRequest) -> HttpResponse:
    """Concepts of the pack and any other in use, by name, with how many attributes carry them and which dataset decides."""
    used = browse.concepts_in_use()
    truths = {t.concept: t for t in sources_of_truth()}
    every = sorted({*load_concepts(), *used}, key=lambda c: frame.concept(c).name.casefold())
    cut = frame.cut(request, len(every), _PER_PAGE)
    rows = [_line(c, used, truths) for c in every[cut.offset : cut.offset + cut.limit]]
    machines = [frame.Machine("application/json", "/api/v1/concepts", "JSON")]
    return frame.show(request, "concepts", {"rows": rows, "cut": cut}, machines=machines)


def _line(concept_id: str, used: dict[str, int], truths: dict[str, TruthView]) -> dict[str, Any]:
    truth, known = truths.get(concept_id), load_concepts().get(concept_id)
    return {
        "concept": frame.concept(concept_id), "holders": used.get(concept_id, 0), "personal": known.personal if known else None,
        "truth": frame.Named(labels.dataset(truth.table), str(truth.dataset_id)) if truth else None,
        "legal": labels.legal(truth.legal_basis) if truth else "",
    }  # fmt: skip


def concept(request: HttpRequest, concept_id: str) -> HttpResponse:
    now = clock.now()
    known = labels.organisations()
    worded = load_concepts().get(concept_id)
    found, total = browse.attributes(now, concept=concept_id, limit=1)
    truth = source_of_truth(concept_id, now)
    if worded is None and not total and truth is None:
        raise Http404
    cut = frame.cut(request, total)
    found, _ = browse.attributes(now, concept=concept_id, offset=cut.offset, limit=cut.limit)
    context = {
        "id": concept_id,
        "name": frame.concept(concept_id).name,
        "wordings": [(code, getattr(worded.text, code)) for code in LANGUAGES] if worded else [],
        "personal": worded.personal if worded else None,
        "codelist": frame.codelist(worded.codelist) if worded else None,
        "aliases": aliases(concept_id),
        "truth": _truth(truth, known) if truth else None,
        "holders": [frame.attribute(one, known) for one in found],
        "cut": cut,
        "made": _made(worded),
        "services": [labels.data_service(code) for code in browse_use.services_of(concept_id)],
        "map": f"{frame.to('catalogue-map')}?concept={concept_id}",
    }
    linked = {
        "@context": "https://schema.org", "@type": "DefinedTerm", "termCode": concept_id,
        "name": [{"@language": code, "@value": getattr(worded.text, code)} for code in LANGUAGES] if worded else concept_id,
    }  # fmt: skip
    machines = [frame.Machine("application/json", f"/api/v1/concepts/{concept_id}", "JSON")] if worded else []
    return frame.show(request, "concept", context, [_back()], machines, linked)


def _back() -> frame.Crumb:
    return frame.Crumb(word("part.catalogue-concepts"), frame.to("catalogue-concepts"))


def _truth(truth: Truth, known: Any) -> dict[str, Any]:
    return {
        "dataset": frame.Named(labels.dataset(truth.table), str(truth.dataset_id)), "field_id": truth.field_id, "column": truth.column,
        "legal": labels.legal(truth.legal_basis), "since": truth.period.since, "until": truth.period.until,
        "owner": frame.organisation(truth.owner.organisation, known) if truth.owner else None,
        "unit": labels.unit(truth.owner.unit) if truth.owner else "", "vanished": truth.vanished,
    }  # fmt: skip


def aliases(concept_id: str) -> list[str]:
    """Words that agencies use for it, as the pack lists them."""
    for entry in current_pack().concepts.get("concepts") or ():
        if isinstance(entry, dict) and entry.get("id") == concept_id:
            return [str(a) for a in entry.get("aliases") or ()]
    return []


def _made(known: Concept | None) -> list[dict[str, str]]:
    """Which mappings make it, under which canonical name, from which cells."""
    pack, out = current_pack(), []
    for name in known.fields if known else ():
        mapping_id, _, target = name.partition("#")
        mapping = pack.mappings.get(mapping_id)
        if mapping is not None and any(f.name == target for f in mapping.fields):
            out.append({"mapping": mapping_id, "target": target, "cells": ", ".join(mapping.sources_of(target))})
    return out
