"""Addresses for machines: health, the run's figures, the signed configuration, static files. No personal data on any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseNotModified, JsonResponse

import kerege
from kerege.web import assets
from kerege.web import summary as run_summary

_YEAR: Final = 31_536_000


def health(request: HttpRequest) -> HttpResponse:
    """200 when the hub answers and its database does; 503 otherwise. For `kerege up`, load balancers and tests."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "no database", "version": kerege.__version__}, status=503)
    return JsonResponse({"status": "ok", "version": kerege.__version__})


def summary(request: HttpRequest) -> HttpResponse:
    """The figures of the last demo run, as the demo wrote them."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    run = run_summary.read()
    if run is None:
        return JsonResponse({"code": "web.no_run_yet", "message": "No demo has run in this home folder yet."}, status=404)
    return JsonResponse(dict(run.raw), json_dumps_params={"ensure_ascii": False})


def configuration(request: HttpRequest, name: str = "") -> HttpResponse:
    """The signed global configuration, byte for byte as membership published it; nodes check the signatures themselves.

    Only regular files that really lie in the folder: the path is resolved, links and all, before it is compared.
    """
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    folder = (Path(settings.HOME) / "globalconf").resolve()
    if "\x00" in name or any(part.startswith(".") for part in name.split("/")):
        raise Http404
    file = (folder / (name or "internalconf")).resolve()
    if not file.is_relative_to(folder) or not file.is_file():
        raise Http404
    response = HttpResponse(file.read_bytes(), content_type="application/octet-stream")
    response["Cache-Control"] = "no-cache"
    return response


def static(request: HttpRequest, name: str) -> HttpResponse:
    """One of the hub's own files; kept for a year when the address carries its fingerprint."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    asset = assets.table().get(name)
    if asset is None:
        raise Http404
    etag = f'"{asset.fingerprint}"'
    if request.headers.get("If-None-Match") == etag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(asset.body, content_type=asset.content_type)
    response["ETag"] = etag
    known = request.GET.get("v") == asset.fingerprint
    response["Cache-Control"] = f"public, max-age={_YEAR}, immutable" if known else "no-cache"
    return response
