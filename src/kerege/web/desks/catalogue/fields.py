"""The page of an attribute: what it means, who owned it when, its code list, where it is mapped to, and what rests on it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.inventory import queries
from kerege.catalogue.inventory.queries import DatasetView, FieldView
from kerege.catalogue.ownership.queries import TenureView, owner_history
from kerege.catalogue.packs import crosswalk_in_force, current_pack
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.semantics.mappings.impact import Hit, Node
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.desks.catalogue.datasets import fullness, reading_mappings
from kerege.web.words import language, word

_HITS: Final = 60
_SHOWN: Final = (
    "service",
    "consumer",
    "contract",
    "dataset",
    "mapping",
    "field",
    "crosswalk",
    "codelist",
    "cell",
    "code",
)


def field(request: HttpRequest, field_id: int) -> HttpResponse:
    now = clock.now()
    dataset_id = browse.dataset_of_field(field_id)
    if dataset_id is None:
        raise Http404
    view = queries.dataset(dataset_id)
    one = next(f for f in view.fields if f.id == field_id)
    known = labels.organisations()
    concept, worded = frame.concept(one.concept), load_concepts().get(one.concept)
    ways = _ways(one)
    walks = sorted({way["crosswalk"] for way in ways if way["crosswalk"]})
    context = {
        "view": view, "field": one, "dataset": labels.dataset(view.table, view.description), "agency": frame.organisation(view.organisation, known),
        "concept": concept, "codelist": frame.codelist(one.codelist or (worded.codelist if worded else "")),
        "truth": _truth(one), "full": fullness(one.profile), "owners": [_tenure(t, known, now) for t in _history(view, one)],
        "ways": ways, "unmapped": _unmapped(walks, view, one), "crosswalks": [_walk(c) for c in walks],
        "findings": [frame.finding(f) for f in view.findings if f.column == one.name][:20],
        "at_desk": frame.at_desk(request, "desks-findings", owner=one.owner.organisation if one.owner else view.organisation), **_reach(one, known),
    }  # fmt: skip
    crumbs = [frame.Crumb(context["dataset"], frame.to("catalogue-dataset", dataset_id))]
    return frame.show(request, "field", context, crumbs)


def _history(view: DatasetView, one: FieldView) -> tuple[TenureView, ...]:
    return tuple(reversed(owner_history(view.source, view.table, one.name)))


def _tenure(told: TenureView, known: Mapping[str, Text], now: datetime) -> dict[str, Any]:
    t = told.tenure
    return {
        "who": frame.organisation(t.organisation, known), "unit": labels.unit(t.unit), "legal": labels.legal(t.legal_basis), "interim": t.interim,
        "since": t.period.since, "until": t.period.until, "now": t.period.covers(now),
        "names_lasting": frame.organisation(t.names_lasting, known).name if t.names_lasting else "",
    }  # fmt: skip


def _truth(one: FieldView) -> dict[str, Any] | None:
    for truth in queries.sources_of_truth():
        if truth.concept == one.concept:
            return {
                "here": one.concept in one.truth_of, "dataset": frame.Named(labels.dataset(truth.table), str(truth.dataset_id)),
                "column": truth.column, "legal": labels.legal(truth.legal_basis), "since": truth.since,
            }  # fmt: skip
    return None


def _ways(one: FieldView) -> list[dict[str, Any]]:
    """Canonical fields it feeds: by which mapping, over which crosswalk."""
    pack, out = current_pack(), []
    for mapping_id, cell in reading_mappings(one.name, one.concept):
        mapping = pack.mappings[mapping_id]
        carried = {
            name.partition("#")[2]: c.id
            for c in load_concepts().values()
            for name in c.fields
            if name.startswith(f"{mapping_id}#")
        }
        for target in mapping.fields:
            exprs = list(target.expr.walk())
            if not any(getattr(e, "cell", None) == cell for e in exprs):
                continue
            walk = next((w for e in exprs if (w := getattr(e, "crosswalk", ""))), "")
            out.append({
                "mapping": mapping_id, "title": mapping.title, "target": target.name, "concept": frame.concept(carried.get(target.name, "")),
                "crosswalk": walk if walk in pack.crosswalks else "", "required": target.required or "",
            })  # fmt: skip
    return out[:30]


def _walk(crosswalk_id: str) -> dict[str, Any]:
    found = (
        crosswalk_in_force(crosswalk_id) or current_pack().crosswalks[crosswalk_id]
    )  # retired, and the mapping has it still
    return {
        "id": crosswalk_id,
        "title": labels.crosswalk(crosswalk_id, found.title),
        "rows": len(found.rows),
        "target": frame.codelist(found.object_source),
    }


def _unmapped(walks: list[str], view: DatasetView, one: FieldView) -> dict[str, int]:
    """Codes of this attribute that nobody mapped, and in how many records."""
    codes, records = browse.unmapped_at(walks, f"{view.source}#{view.table}.{one.name}")
    return {"codes": codes, "records": records}


def _reach(one: FieldView, known: Mapping[str, Text]) -> dict[str, Any]:
    """What would be hit if the attribute went away, by kind of thing."""
    nodes = {Node("cell", f"{mapping} {cell}") for mapping, cell in reading_mappings(one.name, one.concept)}
    hits = [h for h in browse_use.dependants(current_pack(), nodes) if h.node.kind in _SHOWN] if nodes else []
    hits.sort(key=lambda h: (_SHOWN.index(h.node.kind), ("breaks", "changes", "notice").index(h.severity), h.node))
    return {
        "hits": [_hit(h, known) for h in hits[:_HITS]],
        "hits_more": max(0, len(hits) - _HITS),
        "severities": _severities(hits),
    }


def _severities(hits: list[Hit]) -> list[tuple[str, int]]:
    counts = {s: sum(h.severity == s for h in hits) for s in ("breaks", "changes", "notice")}
    return [(s, n) for s, n in counts.items() if n]


def _hit(hit: Hit, known: Mapping[str, Text]) -> dict[str, Any]:
    key, kind = hit.node.key, hit.node.kind
    name, address = key, ""
    if kind == "field":
        mapping, _, target = key.partition(" ")
        carried = next((c.id for c in load_concepts().values() if f"{mapping}#{target}" in c.fields), "")
        name, address = (
            (frame.concept(carried).name, frame.to("catalogue-concept", carried))
            if carried
            else (labels.field(target), "")
        )
    elif kind == "mapping":
        found = current_pack().mappings.get(key)
        name = found.title.in_(language()) if found else key
    elif kind == "contract":
        name, address = frame.contract(key).name, frame.to("catalogue-contract", key)
    elif kind == "service":
        public = labels.public_service(key) if "/" not in key else ""
        name = public.in_(language()) if isinstance(public, Text) else labels.data_service(key)
    elif kind == "consumer":
        name = f"{labels.register(key)}, {frame.organisation(key, known).name}"
    elif kind == "crosswalk":
        name, address = labels.crosswalk(key), frame.to("catalogue-crosswalk", key)
    elif kind == "codelist":
        name, address = frame.codelist(key).name, frame.to("catalogue-codelist", key)
    elif kind == "dataset":
        address = frame.to("catalogue-reference", key)
    over = hit.path[1:-1]
    return {
        "kind": word(f"thing.{kind}") if kind != "service" or "/" in key else word("thing.public-service"), "name": name, "address": address,
        "code": key, "severity": hit.severity, "over": " → ".join(n.key for n in over[-2:]),
    }  # fmt: skip
