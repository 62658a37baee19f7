"""The W3C Reconciliation API, so that OpenRefine and others match their data against our code lists, places and organisations.

Two roots per service, because a manifest of one version is no manifest of the other: `/api/reconcile/<service>` speaks 0.2 (queries as a form or a
parameter), `/api/reconcile/1.0/<service>/...` speaks the 1.0 draft (JSON). Each manifest's `versions` names the version its root speaks. Open and
read-only; batches, texts and time are bounded before any work is done. The matching is `catalogue.search.reconciliation`; how answers look in
each version is `reconciliation_wire`.
Source: Reconciliation Service API 0.2 (final community group report, 2023) and the 1.0 draft, sections 3 to 7.
"""

from __future__ import annotations

import functools
import html
import json
import math
from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from kerege.catalogue.errors import ReconciliationInvalid, ReconciliationSlow
from kerege.catalogue.search.reconciliation import SERVICES, TITLES, Service, service
from kerege.ground.errors import KeregeError
from kerege.web.api import reconciliation_wire as wire
from kerege.web.api.catalogue_http import Asked, answer, number, problem

SECONDS: Final = 10.0  # of one batch
_LARGEST: Final = 262_144  # bytes of one request


def _open(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Every origin may ask, no cookie counts; what cannot be read is a problem with its reason, an unknown service a 404."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, name: str, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
        elif name not in SERVICES:
            response = problem(
                404, "Not found", f"The services are {', '.join(SERVICES)}.", "web.not_here", "Choose one."
            )
        elif request.method not in {"GET", "HEAD", "POST"}:
            response = problem(405, "Method not allowed", "GET a manifest, POST queries.")
        else:
            response = _answered(view, request, service(name), kwargs)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response["Access-Control-Allow-Headers"] = "Content-Type, Accept-Language, X-Requested-With"
        return response

    return csrf_exempt(guarded)


def _answered(
    view: Callable[..., HttpResponse], request: HttpRequest, of: Service, kwargs: dict[str, Any]
) -> HttpResponse:
    try:
        length = request.headers.get("Content-Length") or "0"
        if request.method == "POST" and (not length.isdecimal() or len(length) > 12 or int(length) > _LARGEST):
            raise ReconciliationInvalid(reason=f"it has more than {_LARGEST} bytes")
        return view(request, of, **kwargs)
    except ReconciliationSlow as slow:
        return problem(503, "Took too long", slow.text, slow.code, slow.next_step)
    except KeregeError as refused:
        return problem(400, "Bad request", refused.text, refused.code, refused.next_step)
    except Asked as asked:
        return problem(400, "Bad request", str(asked))
    except (BadRequest, SuspiciousOperation, MultiPartParserError):
        unread = ReconciliationInvalid(reason="its form cannot be read")
        return problem(400, "Bad request", unread.text, unread.code, unread.next_step)


def _language(request: HttpRequest) -> str:
    for asked in request.headers.get("Accept-Language", "").split(","):
        code = asked.split(";")[0].strip().lower()[:2]
        if code in ("ky", "ru", "en"):
            return code
    return "en"


def _root(request: HttpRequest) -> str:
    return request.build_absolute_uri("/api/reconcile/")


# 0.2


@_open
def root_02(request: HttpRequest, of: Service) -> HttpResponse:
    """The manifest; with `queries` the candidates; with `extend` the values of properties."""
    given = request.POST if request.method == "POST" else request.GET
    language = _language(request)
    if "queries" in given:
        keys, queries = wire.read_queries_02(_read(given["queries"]))
        return answer(request, wire.results_02(of, keys, of.reconcile(queries, SECONDS), language))
    if "extend" in given:
        return answer(
            request, wire.extended(of, *wire.read_extension(_read(given["extend"])), language, rows_as_list=False)
        )
    if request.method == "POST":
        raise ReconciliationInvalid(reason="neither `queries` nor `extend` came")
    return answer(request, wire.manifest_02(of, _root(request), TITLES[of.name].in_(language), language))


# the 1.0 draft


@_open
def manifest_10(request: HttpRequest, of: Service) -> HttpResponse:
    language = _language(request)
    return answer(request, wire.manifest_10(of, _root(request), TITLES[of.name].in_(language), language))


@_open
def reconcile_10(request: HttpRequest, of: Service) -> HttpResponse:
    queries = wire.read_queries_10(_body(request))
    return answer(request, wire.results_10(of, of.reconcile(queries, SECONDS), _language(request)))


@_open
def extend_10(request: HttpRequest, of: Service) -> HttpResponse:
    asked = wire.read_extension(_body(request))
    return answer(request, wire.extended(of, *asked, _language(request), rows_as_list=True))


# the same in both


@_open
def suggest(request: HttpRequest, of: Service, what: str) -> HttpResponse:
    """Completion of what somebody types: entities, types or properties."""
    prefix = request.GET.get("prefix", "")[: wire.LONGEST]
    limit, cursor = number(request, "limit", 20, 1, 100), number(request, "cursor", 0, 0, 10_000)
    return answer(request, wire.suggested(of, what, prefix, limit, cursor, _language(request)))


@_open
def propose(request: HttpRequest, of: Service) -> HttpResponse:
    """Properties that can be fetched for a type."""
    limit = number(request, "limit", 20, 1, 100)
    return answer(request, wire.proposed(of, request.GET.get("type", "")[:200], limit, _language(request)))


@_open
def preview(request: HttpRequest, of: Service) -> HttpResponse:
    """A small page about one entity, made to stand in a frame of somebody else's page."""
    entity = of.entities.get(request.GET.get("id", ""))
    if entity is None:
        return problem(404, "Not found", "There is no such entity.", "web.not_here", "Ask for candidates first.")
    names = "".join(f'<p lang="{lang}">{html.escape(name)}</p>' for lang, name in entity.names.items() if name)
    line = html.escape(of.describe(entity, _language(request)))
    title = html.escape(entity.name(_language(request)))
    head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
    page = f'<!doctype html><html lang="{_language(request)}">{head}<body>{names}<p>{line}</p></body></html>'
    response = HttpResponse(page)
    response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors *"
    response.xframe_options_exempt = True
    return response


@_open
def view(request: HttpRequest, of: Service) -> HttpResponse:
    """An entity as JSON: where an entity's link leads."""
    entity = of.entities.get(request.GET.get("id", ""))
    if entity is None:
        return problem(404, "Not found", "There is no such entity.", "web.not_here", "Ask for candidates first.")
    told = {k: list(v) for k, v in entity.values.items()}
    return answer(
        request,
        {"id": entity.id, "names": entity.names, "types": list(entity.types), "parent": entity.parent, "values": told},
    )


def _body(request: HttpRequest) -> Any:
    if request.method != "POST":
        raise ReconciliationInvalid(reason="this address takes a POST with JSON")
    return _read(request.body)


def _read(raw: str | bytes) -> Any:
    if len(raw) > _LARGEST:
        raise ReconciliationInvalid(reason=f"it has more than {_LARGEST} bytes")
    try:
        read = json.loads(raw, parse_float=_finite, parse_constant=_finite)
        json.dumps(
            read, ensure_ascii=False
        ).encode()  # an answer repeats keys and ids, and half a character can't be written
    except UnicodeEncodeError as error:
        raise ReconciliationInvalid(reason="a text in it has half a character (a lone surrogate)") from error
    except (ValueError, RecursionError) as error:
        raise ReconciliationInvalid(reason="it is not JSON") from error
    if _nul(read):  # which no database keeps
        raise ReconciliationInvalid(reason="a text in it holds a NUL character")
    return read


def _nul(read: Any) -> bool:
    if isinstance(read, dict):
        return any("\0" in key or _nul(value) for key, value in read.items())
    return any(map(_nul, read)) if isinstance(read, list) else isinstance(read, str) and "\0" in read


def _finite(text: str) -> float:
    """A number that is one: JSON knows no NaN and no infinity, and Python reads 1e999 as one."""
    value = float(text)
    if not math.isfinite(value):
        raise ReconciliationInvalid(reason="a number in it is too large, or none")
    return value


_ROOT: Final = "api/reconcile/<str:name>"
_DRAFT: Final = "api/reconcile/1.0/<str:name>"
ROUTES: Final[tuple[tuple[str, Callable[..., HttpResponse], str], ...]] = (
    (f"{_DRAFT}/", manifest_10, "reconcile-10"),
    (f"{_DRAFT}/reconcile", reconcile_10, "reconcile-10-queries"),
    (f"{_DRAFT}/extend", extend_10, "reconcile-10-extend"),
    (f"{_DRAFT}/extend/propose", propose, "reconcile-10-propose"),
    (f"{_DRAFT}/suggest/<str:what>", suggest, "reconcile-10-suggest"),
    (f"{_DRAFT}/preview", preview, "reconcile-10-preview"),
    (_ROOT, root_02, "reconcile-02"),
    (f"{_ROOT}/suggest/<str:what>", suggest, "reconcile-02-suggest"),
    (f"{_ROOT}/propose", propose, "reconcile-02-propose"),
    (f"{_ROOT}/preview", preview, "reconcile-02-preview"),
    (f"{_ROOT}/view", view, "reconcile-view"),
)
