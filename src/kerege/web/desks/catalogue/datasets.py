"""The page of a dataset: who answers for it, what its attributes mean, how full they are, its contract, findings, readers and harvests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse

from kerege.catalogue.browse import lists as browse
from kerege.catalogue.browse import use as browse_use
from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.exports import publication
from kerege.catalogue.inventory import queries
from kerege.catalogue.inventory.profile import FieldProfile
from kerege.catalogue.inventory.queries import DatasetView, FieldView, TruthView
from kerege.catalogue.lifecycle.rules import IN_FORCE
from kerege.catalogue.ownership.queries import DatasetOwnership, ownership_of
from kerege.catalogue.packs import current_pack
from kerege.ground import clock
from kerege.ground.text import Text
from kerege.web import charts, formats, labels
from kerege.web.desks.catalogue import frame

_FIELDS: Final = 60  # attributes of one page
_FINDINGS: Final = 25
_READERS: Final = 12


def dataset(request: HttpRequest, dataset_id: int) -> HttpResponse:
    now = clock.now()
    try:
        view = queries.dataset(dataset_id)
    except DatasetUnknown as error:
        raise Http404 from error
    known = labels.organisations()
    truths = {truth.concept: truth for truth in queries.sources_of_truth()}
    ownership = ownership_of(dataset_id, now)
    interim = {a.column: a.owner.period.until for a in ownership.attributes if a.owner is not None and a.owner.interim}
    present = [f for f in view.fields if not f.vanished]
    cut = frame.cut(request, len(present), _FIELDS)
    fields = [line(f, view, truths, known, interim.get(f.name)) for f in present[cut.offset : cut.offset + cut.limit]]
    states = browse.states_of("dataset", [publication.subject_id(view)])
    state = next(iter(states.values()), ("", ""))
    flows, more = browse_use.flows(now, dataset_id=dataset_id, limit=_READERS)
    services = browse_use.services_of_mappings(_mappings(view, present))
    if not flows and services:
        flows = [f for code, _ in services[:4] for f in browse_use.flows(now, service=code, limit=_READERS)[0]]
    name, agency = labels.dataset(view.table, view.description), frame.organisation(view.organisation, known)
    context = {
        "view": view, "name": name, "agency": agency,
        "fields": fields, "cut": cut, "one_owner": _one_owner(fields), "state": state[0], "version": state[1],
        "counts": _counts(ownership, present, view), "described": bool(view.kind in ("openapi", "wsdl", "node") and not view.rows),
        "findings": [frame.finding(f) for f in view.findings[:_FINDINGS]], "findings_more": sum(f.count for f in view.findings[_FINDINGS:]),
        "at_desk": frame.at_desk(request, "desks-findings", owner=view.organisation),
        "vanished": [f.name for f in view.fields if f.vanished], "personal": any(f.personal for f in present),
        "contracts": _contracts(dataset_id, now), "services": [(labels.data_service(code), frame.contract(mapping)) for code, mapping in services],
        "flows": [_flow(f, known) for f in flows[:_READERS]], "flows_more": more,
        "map": f"{frame.to('catalogue-map')}?organisation={view.organisation}",
        "readings": [_reading(r) for r in browse.readings(view.source, view.table)],
    }  # fmt: skip
    machines, linked = [], None
    if state[0] in {s.value for s in IN_FORCE} and not view.vanished:
        key = publication.dataset_key(view.source, view.table)
        machines = [frame.Machine("application/json", f"/api/v1/datasets/{key}", "JSON")]
        linked = _linked(request, view, name, agency)
    return frame.show(request, "dataset", context, machines=machines, linked=linked)


def line(
    field: FieldView, view: DatasetView, truths: Mapping[str, TruthView], known: Mapping[str, Text], interim: datetime | None
) -> dict[str, Any]:  # fmt: skip
    """An attribute in its dataset's table."""
    truth = truths.get(field.concept)
    elsewhere = truth is not None and field.concept not in field.truth_of
    return {
        "id": field.id, "name": field.name, "concept": frame.concept(field.concept),
        "owner": frame.organisation(field.owner.organisation, known) if field.owner else None,
        "unit": labels.unit(field.owner.unit) if field.owner else "", "legal": labels.legal(field.owner.legal_basis) if field.owner else "",
        "interim_until": interim, "is_truth": bool(field.truth_of),
        "truth": frame.Named(labels.dataset(truth.table), str(truth.dataset_id)) if truth and elsewhere else None,
        "codelist": frame.codelist(field.codelist), "personal": field.personal, "findings": field.findings, **fullness(field.profile),
    }  # fmt: skip


def fullness(profile: FieldProfile) -> dict[str, Any]:
    """How full an attribute is and how many different values it has, as shares with their bars; Nones where no record was read."""
    if not profile.rows:
        return {"filled": None, "distinct": None}
    filled = 1 - profile.nulls / profile.rows
    there = profile.rows - profile.nulls
    return {
        "filled": filled, "filled_bar": charts.bar((charts.Part("filled", filled),), "bar--thin"), "distinct": profile.distinct,
        "distinct_about": profile.distinct_about, "empty": 1 - filled,
        "distinct_bar": charts.bar((charts.Part("distinct", min(1.0, profile.distinct / there) if there else 0.0),), "bar--thin"),
    }  # fmt: skip


def _one_owner(fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The one who owns every attribute, to be named once; None where owners differ or one has none."""
    owners = {(f["owner"].name if f["owner"] else "", f["unit"], f["legal"], f["interim_until"]) for f in fields}
    return fields[0] if len(owners) == 1 and fields[0]["owner"] else None


def _counts(ownership: DatasetOwnership, present: list[FieldView], view: DatasetView) -> list[dict[str, Any]]:
    """What of the attributes is settled: owned, meant, decided here, with their bars."""
    whole = len(present)
    told = (
        ("owned", ownership.owned), ("meant", sum(bool(f.concept) for f in present)), ("truth", sum(bool(f.truth_of) for f in present)),
        ("coded", sum(bool(f.codelist) for f in present)),
    )  # fmt: skip
    return [
        {
            "kind": kind,
            "count": n,
            "of": whole,
            "bar": charts.bar((charts.Part("filled", n / whole if whole else 0.0),), "bar--thin"),
        }
        for kind, n in told
    ]


def _mappings(view: DatasetView, fields: list[FieldView]) -> list[str]:
    return sorted({m for f in fields for m, _ in reading_mappings(f.name, f.concept)})[:20]


def reading_mappings(column: str, concept: str) -> list[tuple[str, str]]:
    """(mapping, cell) of the pack's mappings that read a column of this name; where its concept is known, of those that make it."""
    found = []
    carrying = (
        {name.partition("#")[0] for name in load_concepts()[concept].fields} if concept in load_concepts() else None
    )
    for mapping in current_pack().mappings.values():
        if carrying is not None and mapping.id not in carrying:
            continue
        used = set(mapping.cells)
        for cell, path in mapping.source.cells.items():
            if cell in used and column in (cell, path.rsplit(".", 1)[-1]):
                found.append((mapping.id, cell))
    return found


def _contracts(dataset_id: int, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "contract": v.contract,
            "version": v.version,
            "state": v.state,
            "last_run": v.last_run,
            "name": frame.contract(v.contract, v.name).name,
        }
        for v in contract_queries.contracts_of_dataset(dataset_id, now)[:10]
    ]


def _flow(flow: browse_use.Flow, known: Mapping[str, Text]) -> dict[str, Any]:
    return {
        "consumer": labels.register(flow.consumer), "consumer_of": frame.organisation(flow.consumer, known), "code": flow.consumer,
        "service": labels.data_service(flow.service), "calls": flow.calls, "failed": flow.failed, "last_at": flow.last_at,
        "granted": flow.granted,
    }  # fmt: skip


def _reading(reading: browse.Reading) -> dict[str, Any]:
    """A harvest in words; its source is not named."""
    cost = reading.cost
    cpu = cost.get("cpu_seconds")
    return {
        "made_at": reading.made_at, "applied_at": reading.applied_at, "changes": reading.changes,
        "rows": cost.get("rows"), "seconds": formats.duration(cpu if cpu is not None else cost.get("seconds")) if cost.get("connections") else "",
        "measured": cpu is not None, "connections": cost.get("connections"),
    }  # fmt: skip


def _linked(request: HttpRequest, view: DatasetView, name: str, agency: frame.Named) -> dict[str, Any]:
    return {
        "@context": "https://schema.org", "@type": "Dataset", "name": name, "identifier": publication.dataset_key(view.source, view.table),
        "description": view.description or name, "url": request.build_absolute_uri(request.path), "inLanguage": ["ky", "ru"],
        "dateModified": view.harvested_at.isoformat(), "creator": {"@type": "GovernmentOrganization", "name": agency.name, "identifier": agency.key},
        "includedInDataCatalog": {"@type": "DataCatalog", "url": request.build_absolute_uri(frame.to("catalogue"))},
        "variableMeasured": [
            frame.concept(f.concept).name or f.name for f in view.fields if not f.vanished and not f.personal and f.owner is not None
        ],
    }  # fmt: skip
