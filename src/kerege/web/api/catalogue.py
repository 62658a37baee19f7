"""The catalogue for machines, below /api/v1/: datasets, fields, concepts, code lists, crosswalks, owners, contracts, search, reference data.

Read-only and open, so it shows what may leave and nothing else (`catalogue.exports.publication`): published datasets, and of their attributes
those that are not personal and have an owner. One table, `ENDPOINTS`, makes the addresses and the OpenAPI document; `catalogue_http` has what all of
them share, `catalogue_shown` how each thing looks in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.exports import dcat, publication
from kerege.catalogue.packs import codelist_in_force, crosswalk_in_force, pack_in_force
from kerege.catalogue.search import questions as finder
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.membership.models import Contract, Member
from kerege.web.api import catalogue_leaving as leaving
from kerege.web.api import catalogue_shown as shown
from kerege.web.api.catalogue_addresses import NOWHERE, addresses
from kerege.web.api.catalogue_http import (
    answer,
    answer_bytes,
    answer_page,
    choice,
    etag_of,
    page,
    place,
    problem,
    reading,
    truth,
)
from kerege.web.api.catalogue_kept import kept

View = Callable[..., HttpResponse]
PARTS: Final = ("datasets", "codelists", "crosswalks", "reference")  # that may be a data service of their own


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an address: in its path or its query."""

    name: str
    help: str
    where: str = "query"
    kind: str = "string"
    among: tuple[str, ...] = ()
    most: int = 0  # of a number


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: `path` as Django has it below /api/v1/, and what the OpenAPI document says of it."""

    path: str
    name: str
    view: View
    summary: str
    schema: str
    parameters: tuple[Parameter, ...] = ()
    paged: bool = False
    media: tuple[str, ...] = ("application/json",)


def start(request: HttpRequest) -> HttpResponse:
    """Where everything is."""
    listed = {e.name: f"/api/v1/{e.path}" for e in ENDPOINTS if "<" not in e.path}
    return answer(request, {"kerege": "catalogue", "version": 1, "addresses": listed})


def openapi(request: HttpRequest) -> HttpResponse:
    from kerege.web.api.catalogue_openapi import document

    return answer(request, document(choice(request, "part", PARTS)))


def datasets(request: HttpRequest) -> HttpResponse:
    organisation, concept = request.GET.get("organisation", ""), request.GET.get("concept", "")
    ids = publication.leaving(organisation=organisation, published=leaving.published())
    if concept:  # an attribute that stays does not tell what it means
        holding = {pk for pk, _ in leaving.holding(concept)}
        ids = [pk for pk in ids if pk in holding]
    at, size = place(request)
    told = leaving.datasets(ids[(at - 1) * size : at * size])
    return answer_page(request, [shown.dataset(one) for one in told], len(ids), at, size)


def dataset(request: HttpRequest, key: str) -> HttpResponse:
    for one in leaving.datasets(publication.leaving(key=key, published=leaving.published())):
        return answer(request, shown.dataset(one) | {"fields": [shown.field(f, one) for f in one.fields]})
    return _missing("dataset", key)


def fields(request: HttpRequest) -> HttpResponse:
    at, size = place(request)
    concept, codelist = request.GET.get("concept", ""), request.GET.get("codelist", "")
    found, total = leaving.fields(concept, codelist, offset=(at - 1) * size, limit=size)
    return answer_page(request, [shown.field(*pair) for pair in found], total, at, size)


def concepts(request: HttpRequest) -> HttpResponse:
    return page(request, list(load_concepts().values()), shown.concept)


def concept(request: HttpRequest, concept_id: str) -> HttpResponse:
    found = load_concepts().get(concept_id)
    if found is None:
        return _missing("concept", concept_id)

    def made() -> list[dict[str, Any]]:
        return [shown.field(*pair) for pair in leaving.fields(concept_id)[0]]

    return answer(request, shown.concept(found) | {"held_by": kept(("holders", concept_id), made)})


def codelists(request: HttpRequest) -> HttpResponse:
    return page(request, list(pack_in_force().codelists.values()), shown.codelist)


def codelist(request: HttpRequest, list_id: str) -> HttpResponse:
    found = codelist_in_force(list_id)
    return answer(request, shown.codelist(found)) if found is not None else _missing("code list", list_id)


def codes(request: HttpRequest, list_id: str) -> HttpResponse:
    found = codelist_in_force(list_id)
    if found is None:
        return _missing("code list", list_id)
    return page(request, list(found), shown.code)


def crosswalks(request: HttpRequest) -> HttpResponse:
    return page(request, list(pack_in_force().crosswalks.values()), shown.crosswalk)


def crosswalk(request: HttpRequest, crosswalk_id: str) -> HttpResponse:
    found = crosswalk_in_force(crosswalk_id)
    if found is None:
        return _missing("crosswalk", crosswalk_id)
    return answer(request, shown.crosswalk(found) | shown.crosswalk_rows(found))


def owners(request: HttpRequest) -> HttpResponse:
    at, size = place(request)
    members, held = Member.objects.order_by("code"), leaving.owned()
    told = [shown.owner(m, held[m.code]) for m in members[(at - 1) * size : at * size]]
    return answer_page(request, told, members.count(), at, size)


def contracts(request: HttpRequest) -> HttpResponse:
    rows = list(Contract.objects.select_related("provider__member").order_by("data_service", "path", "method"))
    return page(request, rows, shown.contract)


def search(request: HttpRequest) -> HttpResponse:
    kind = choice(request, "kind", finder.KINDS)
    at, size = place(request)
    size = min(size, finder.MOST_HITS)
    filters = finder.Filters(
        (kind,) if kind else (), request.GET.get("organisation", "")[:20], truth(request, "personal"), truth(request, "owned"), True,
    )  # fmt: skip
    found = finder.search(request.GET.get("q", ""), filters, offset=(at - 1) * size, limit=size)
    extra = {"question": found.question[: finder.LONGEST], "every_word": found.every, "facets": found.facets}
    return answer_page(request, [shown.hit(h) for h in found.hits], found.total, at, size, extra, most=finder.REACH)


def board(request: HttpRequest) -> HttpResponse:
    """The 90-day board's counts, where a board was begun; what is counted is not named, because much of it is not published."""
    from kerege.catalogue.board import doings as plan
    from kerege.catalogue.errors import BoardInvalid

    try:
        return answer(request, shown.board(plan.board(clock.now())))
    except BoardInvalid:
        return _missing("board", "of today")


def reference(request: HttpRequest) -> HttpResponse:
    from kerege.catalogue.reference import doings as published

    return page(request, published.datasets(), lambda view: view.as_dict())


def reference_dataset(request: HttpRequest, ref_id: str) -> HttpResponse:
    from kerege.catalogue.reference import doings as published

    try:
        return answer(request, published.dataset(ref_id).as_dict())
    except KeregeError:
        return _missing("reference dataset", ref_id)


def reference_file(request: HttpRequest, ref_id: str, version: str, name: str) -> HttpResponse:
    from kerege.catalogue.reference import doings as published

    try:
        file = published.open_file(ref_id, version, name)
    except KeregeError:
        return _missing("file", f"{ref_id}/{version}/{name}")
    headers = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Digest": f"sha-256={file.sha256_base64}",
        "X-Kerege-Version": file.version,
    }
    return answer_bytes(request, file.data, file.media_type, headers)


def rdf(request: HttpRequest, form: str) -> HttpResponse:
    """The catalogue as DCAT-AP 3."""
    kinds = {
        "ttl": ("turtle", "text/turtle"),
        "jsonld": ("jsonld", "application/ld+json"),
        "rdf": ("rdfxml", "application/rdf+xml"),
    }
    if form not in kinds:
        return _missing("format", form)
    name, media = kinds[form]

    def made() -> tuple[list[bytes], str]:
        data = dcat.serialise(dcat.export(addresses=addresses(NOWHERE)), name)
        return data.split(NOWHERE.encode()), etag_of(data)

    # made once, whatever the request calls this hub: else every name in a Host header would cost, and keep, another export
    parts, made_as = kept(("dcat", form), made)
    root = request.build_absolute_uri("/").rstrip("/").encode()
    return answer_bytes(request, root.join(parts), media, etag=etag_of(made_as.encode() + root))


def nothing(request: HttpRequest, rest: str) -> HttpResponse:
    """Any other address below /api/v1/: a problem as everywhere here, and no page for people."""
    del request
    return _missing("address", rest)


def _missing(what: str, name: str) -> HttpResponse:
    return problem(
        404,
        "Not found",
        f"There is no {what} {name[:200]} here, or it is not published.",
        "web.not_here",
        "Look at /api/v1/.",
    )


_ID: Final = {
    "key": Parameter("key", "The dataset's lasting id, 16 hex digits.", "path"),
    "concept_id": Parameter("concept_id", "A concept's id, such as person.birth_date.", "path"),
    "list_id": Parameter("list_id", "A code list's id, such as kg:sex.", "path"),
    "crosswalk_id": Parameter("crosswalk_id", "A crosswalk's id.", "path"),
    "ref_id": Parameter("ref_id", "A reference dataset's id.", "path"),
    "version": Parameter("version", "A version, or `latest`.", "path"),
    "name": Parameter("name", "A file of the version.", "path"),
    "form": Parameter("form", "The serialisation.", "path", among=("ttl", "jsonld", "rdf")),
}
_BY_ORGANISATION: Final = Parameter("organisation", "Member code of the organisation.")
_BY_CONCEPT: Final = Parameter("concept", "Only what carries this concept.")
_YES_NO: Final = ("yes", "no")

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("", "start", start, "Where everything is", "Start"),
    Endpoint(
        "openapi.json", "openapi", openapi, "This document", "Any",
        (Parameter("part", "Only what lies below this address.", among=PARTS),),
    ),
    Endpoint("datasets", "datasets", datasets, "Published datasets", "Dataset", (_BY_ORGANISATION, _BY_CONCEPT), True),
    Endpoint("datasets/<str:key>", "dataset", dataset, "One dataset with its attributes that may leave", "DatasetWithFields", (_ID["key"],)),
    Endpoint(
        "fields", "fields", fields, "Attributes of published datasets that are not personal and have an owner", "Field",
        (_BY_CONCEPT, Parameter("codelist", "Only those whose values come from this list.")), True,
    ),
    Endpoint("concepts", "concepts", concepts, "What attributes can mean", "Concept", (), True),
    Endpoint("concepts/<str:concept_id>", "concept", concept, "One concept and who holds it", "ConceptWithHolders", (_ID["concept_id"],)),
    Endpoint("codelists", "codelists", codelists, "Code lists", "CodeList", (), True),
    Endpoint("codelists/<str:list_id>", "codelist", codelist, "One code list", "CodeList", (_ID["list_id"],)),
    Endpoint("codelists/<str:list_id>/codes", "codes", codes, "The codes of a list", "Code", (_ID["list_id"],), True),
    Endpoint("crosswalks", "crosswalks", crosswalks, "Crosswalks between code lists", "Crosswalk", (), True),
    Endpoint(
        "crosswalks/<str:crosswalk_id>", "crosswalk", crosswalk, "One crosswalk: what is which, when and under what conditions, and what is denied",
        "CrosswalkWithRows", (_ID["crosswalk_id"],),
    ),
    Endpoint("owners", "owners", owners, "Organisations and how many published attributes they own", "Owner", (), True),
    Endpoint("contracts", "contracts", contracts, "Contracts on data services", "Contract", (), True),
    Endpoint(
        "search", "search", search, "Search in Kyrgyz, Russian and English", "Hit",
        (
            Parameter("q", "What to look for."), Parameter("kind", "Only hits of this kind.", among=finder.KINDS), _BY_ORGANISATION,
            Parameter("personal", "Whether it is about people.", among=_YES_NO), Parameter("owned", "Whether it has an owner.", among=_YES_NO),
        ), True,
    ),
    Endpoint("board", "board", board, "The 90-day board's counts", "Board"),
    Endpoint("reference", "reference", reference, "Reference datasets", "Reference", (), True),
    Endpoint("reference/<str:ref_id>", "reference-dataset", reference_dataset, "A reference dataset and its versions", "Reference", (_ID["ref_id"],)),
    Endpoint(
        "reference/<str:ref_id>/<str:version>/<str:name>", "reference-file", reference_file, "A file of a version", "File",
        (_ID["ref_id"], _ID["version"], _ID["name"]),
        media=("text/csv", "application/csvm+json", "application/vnd.apache.parquet", "application/json"),
    ),
    Endpoint(
        "catalogue.<str:form>", "dcat", rdf, "The catalogue as DCAT-AP 3", "File", (_ID["form"],),
        media=("text/turtle", "application/ld+json", "application/rdf+xml"),
    ),
)  # fmt: skip

ROUTES: Final = (
    *((f"api/v1/{e.path}", reading(e.view), f"api-{e.name}") for e in ENDPOINTS),
    ("api/v1/<path:rest>", reading(nothing), "api-nothing"),
)
