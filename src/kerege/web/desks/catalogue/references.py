"""Reference datasets: what is published, every version with its files and checksums, what it was made of."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from kerege.catalogue.errors import ReferenceUnknown
from kerege.catalogue.reference import doings as published
from kerege.catalogue.reference.doings import ReferenceView, VersionView
from kerege.web import labels
from kerege.web.desks.catalogue import frame
from kerege.web.words import say, word

_PER_PAGE: Final = 50
_MEDIA: Final = {
    "text/csv": "CSV", "application/csvm+json": "CSVW", "application/vnd.apache.parquet": "Parquet", 
    "application/json": "JSON", "text/turtle": "Turtle",
}  # fmt: skip


def listing(request: HttpRequest) -> HttpResponse:
    every = published.datasets()
    known = labels.organisations()
    cut = frame.cut(request, len(every), _PER_PAGE)
    rows = [
        {
            "id": r.ref_id, "title": say(r.title), "kind": r.kind, "owner": frame.organisation(r.organisation, known), "newest": _newest(r),
            "versions": len(r.versions),
        }
        for r in every[cut.offset : cut.offset + cut.limit]
    ]  # fmt: skip
    machines = [frame.Machine("application/json", "/api/v1/reference", "JSON")]
    return frame.show(request, "references", {"rows": rows, "cut": cut}, machines=machines)


def _newest(one: ReferenceView) -> VersionView | None:
    return next((v for v in one.versions if not v.withdrawn), None)


def reference(request: HttpRequest, ref_id: str) -> HttpResponse:
    try:
        one = published.dataset(ref_id)
    except ReferenceUnknown as error:
        raise Http404 from error
    known = labels.organisations()
    newest = _newest(one)
    context: dict[str, Any] = {
        "one": one, "title": say(one.title), "description": say(one.description), "owner": frame.organisation(one.organisation, known),
        "unit": labels.unit(one.unit), "legal": labels.legal(one.legal_basis), "newest": newest, "files": _files(ref_id, newest),
        "versions": [{"told": v, "files": _files(ref_id, v)} for v in one.versions],
        "made_of": _subject(one), "provenance": sorted((k, _told(v)) for k, v in newest.provenance.items()) if newest else [],
    }  # fmt: skip
    crumbs = [frame.Crumb(word("part.catalogue-references"), frame.to("catalogue-references"))]
    machines = [frame.Machine("application/json", f"/api/v1/reference/{ref_id}", "JSON")]
    return frame.show(request, "reference", context, crumbs, machines, _linked(request, one, context))


def _files(ref_id: str, version: VersionView | None) -> list[dict[str, Any]]:
    if version is None:
        return []
    return [
        {
            "name": f["name"], "form": _MEDIA.get(f["media_type"], f["media_type"]), "kilobytes": f["bytes"] / 1000, "sha256": f["sha256"],
            "media": f["media_type"], "address": reverse("api-reference-file", args=(ref_id, version.version, f["name"])),
        }
        for f in version.files
    ]  # fmt: skip


def _subject(one: ReferenceView) -> frame.Named:
    """What it is made of, with the address of its page."""
    page = {"codelist": "catalogue-codelist", "crosswalk": "catalogue-crosswalk"}.get(one.kind)
    name = frame.codelist(one.subject).name if one.kind == "codelist" else one.subject
    return frame.Named(name, frame.to(page, one.subject) if page else "", one.subject)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


def _linked(request: HttpRequest, one: ReferenceView, context: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": "https://schema.org", "@type": "Dataset", "identifier": one.ref_id, "name": context["title"],
        "description": context["description"],
        "url": request.build_absolute_uri(request.path), "version": context["newest"].version if context["newest"] else "",
        "creator": {"@type": "GovernmentOrganization", "name": context["owner"].name, "identifier": one.organisation},
        "distribution": [
            {"@type": "DataDownload", "encodingFormat": f["media"], "contentUrl": request.build_absolute_uri(f["address"])} for f in context["files"]
        ],
    }  # fmt: skip
