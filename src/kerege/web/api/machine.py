"""Addresses for machines: health, the run's figures, the signed configuration, static files. No personal data on any of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseNotModified,
    JsonResponse,
)

import kerege
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.ledger import newest_head, verifier_key
from kerege.membership import queries
from kerege.web import assets, publisher, trusted
from kerege.web import summary as run_summary

_YEAR: Final = 31_536_000


def health(request: HttpRequest) -> HttpResponse:
    """200 when the hub answers and its database does; 503 otherwise. For `kerege up`, load balancers and tests.

    How the configuration is stands in it and changes nothing of the status: a hub taken out for it could not serve the one that still holds.
    """
    said = {"version": kerege.__version__, "configuration": _configuration_told()}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        waiting = queries.requests_waiting()
    except DatabaseError:
        return JsonResponse({"status": "no database"} | said, status=503)
    return JsonResponse({"status": "ok"} | said | {"requests_waiting": waiting})


def _configuration_told() -> dict[str, Any] | None:
    """As `publisher.told`, without what is for the operator alone: texts of failures name folders."""
    try:
        told = publisher.told(Path(settings.HOME), clock.now())
    except (KeregeError, OSError) as problem:
        return {"status": "unknown", "failed": {"code": getattr(problem, "code", type(problem).__name__)}}
    if told is not None and told["failed"] is not None:
        told["failed"] = {name: value for name, value in told["failed"].items() if name != "text"}
    return told


def summary(request: HttpRequest) -> HttpResponse:
    """The figures of the last demo run, as the demo wrote them."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    run = run_summary.read()
    if run is None:
        return JsonResponse(
            {"code": "web.no_run_yet", "message": "No demo has run in this home folder yet."}, status=404
        )
    return JsonResponse(dict(run.raw), json_dumps_params={"ensure_ascii": False})


def configuration(request: HttpRequest, name: str = "") -> HttpResponse:
    """The signed global configuration, byte for byte as membership published it; nodes check the signatures themselves.

    The bare address gives the file `internalconf`, the directory of the others.
    """
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return _file(Path(settings.HOME) / "globalconf", name or "internalconf", "application/octet-stream")


def configuration_part(request: HttpRequest, version: int, name: str) -> HttpResponse:
    """The same files at `/V<version>/...`: a signed directory names its files from the host's root."""
    return configuration(request, f"V{version}/{name}")


def trust(request: HttpRequest) -> HttpResponse:
    """The trust list: whose documents count."""
    return _file(trusted.folder(), "trust.json", "application/json")


def status_list(request: HttpRequest, name: str) -> HttpResponse:
    """One issuer's signed list of what was revoked. Asking for it does not say about which document."""
    if not name.endswith(".jwt"):
        raise Http404
    return _file(trusted.folder() / "status", name, "application/statuslist+jwt")


def ledger_checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest signed head of the ledger, a C2SP signed note: who keeps one sees later whether anything before it was changed or cut."""
    return _text(newest_head(Path(settings.HOME)))


def ledger_key(request: HttpRequest) -> HttpResponse:
    """The key that heads are checked with. Take it once, from somebody you trust, not anew with every head."""
    key = verifier_key(Path(settings.HOME))
    return _text(None if key is None else f"{key}\n")


def _text(text: str | None) -> HttpResponse:
    if text is None:
        raise Http404
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


def _file(folder: Path, name: str, content_type: str) -> HttpResponse:
    """A regular file that really lies in `folder`: resolved, links and all, before it is compared; never a hidden one."""
    if "\x00" in name or any(part.startswith(".") for part in name.split("/")):
        raise Http404
    try:
        folder = folder.resolve()
        file = (folder / name).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            raise Http404
        body = file.read_bytes()
    except (OSError, RuntimeError, ValueError):  # a name no file system takes, links in a circle, a file just replaced
        raise Http404 from None
    response = HttpResponse(body, content_type=content_type)
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
