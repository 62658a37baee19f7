"""What every address of the catalogue's API does alike: reading only, pages, ETags, problems (RFC 9457), and no more than was asked.

An answer is JSON in UTF-8 with an ETag over its bytes; `If-None-Match` saves sending it again. Anybody's page may read it (CORS), nobody's cookie is
looked at. Errors are `application/problem+json` with Kerege's own code, message and next step.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.csrf import csrf_exempt

from kerege.catalogue.errors import SearchNotBuilt
from kerege.ground.errors import KeregeError

PER_PAGE: Final = 50
MOST_PER_PAGE: Final = 200
MOST_PAGES: Final = 1_000_000
_PROBLEMS: Final = "https://kerege.kg/errors/"


def problem(status: int, title: str, detail: str, code: str = "", hint: str = "") -> HttpResponse:
    """An RFC 9457 problem."""
    body: dict[str, Any] = {
        "type": _PROBLEMS + code if code else "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if code:
        body |= {"code": code, "hint": hint}
    return HttpResponse(_json(body), content_type="application/problem+json", status=status)


def problem_of(error: KeregeError, status: int = 404) -> HttpResponse:
    """An error of the rooms as a problem."""
    return problem(status, "Not found" if status == 404 else "Bad request", error.text, error.code, error.next_step)


def answer(request: HttpRequest, body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """`body` as JSON with its ETag, or 304 when the asker has it."""
    return answer_bytes(request, _json(body), "application/json; charset=utf-8", headers)


def etag_of(data: bytes) -> str:
    """The ETag of an answer with these bytes."""
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def answer_bytes(
    request: HttpRequest, data: bytes, content_type: str, headers: Mapping[str, str] | None = None, etag: str = ""
) -> HttpResponse:
    """`data` with its ETag, or 304 when the asker has it and asked to read (RFC 9110, 13.1.2: a POST is answered).

    etag   `etag_of` the data, where it is known already
    """
    etag = etag or etag_of(data)
    known = {e.strip().removeprefix("W/") for e in request.headers.get("If-None-Match", "").split(",")}
    if request.method in {"GET", "HEAD"} and (etag in known or "*" in known):
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(data, content_type=content_type)
    response["ETag"] = etag
    response["Cache-Control"] = "no-cache"
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


class Asked(Exception):
    """A parameter that cannot be read."""

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"{name} should be {expected}")


def number(request: HttpRequest, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query, within bounds; Asked when it is none."""
    raw = request.GET.get(name, "")
    if not raw:
        return default
    if not raw.isascii() or not raw.isdecimal() or len(raw) > 9 or not least <= int(raw) <= most:
        raise Asked(name, f"a whole number from {least} to {most}")
    return int(raw)


def choice(request: HttpRequest, name: str, among: Sequence[str]) -> str:
    """One of `among`, or "" when it is not given; Asked for anything else."""
    raw = request.GET.get(name, "")
    if raw and raw not in among:
        raise Asked(name, "one of " + ", ".join(among))
    return raw


def truth(request: HttpRequest, name: str) -> bool | None:
    """yes, no, or None when it is not given."""
    raw = choice(request, name, ("yes", "no"))
    return None if not raw else raw == "yes"


def place(request: HttpRequest) -> tuple[int, int]:
    """Which page is asked for, and how many stand on one."""
    return number(request, "page", 1, 1, MOST_PAGES), number(request, "per_page", PER_PAGE, 1, MOST_PER_PAGE)


def page(request: HttpRequest, items: Sequence[Any], show: Callable[[Any], Any]) -> HttpResponse:
    """One page of `items`, as `show` tells each, with its place among all and a Link header to its neighbours."""
    at, size = place(request)
    part = items[(at - 1) * size : at * size]
    return answer_page(request, [show(item) for item in part], len(items), at, size)


def answer_page(
    request: HttpRequest, shown: list[Any], total: int, at: int, size: int, extra: Mapping[str, Any] | None = None,
    most: int | None = None,
) -> HttpResponse:  # fmt: skip
    """A page that was cut already. `most`: how many of `total` can be had at all, so that no link leads past them."""
    last = max(1, -(-min(total, total if most is None else most) // size))
    links = {"first": 1, "last": last}
    links |= ({"prev": min(at - 1, last)} if at > 1 else {}) | ({"next": at + 1} if at < last else {})
    kept = {k: v for k, v in request.GET.items() if k not in ("page", "per_page")}
    told = ", ".join(
        f'<{request.path}?{urlencode({**kept, "page": n, "per_page": size})}>; rel="{rel}"' for rel, n in links.items()
    )
    body = {"items": shown, "page": at, "per_page": size, "total": total, **(extra or {})}
    return answer(request, body, {"Link": told})


def reading(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """GET and HEAD only, whatever cannot be answered as a problem, open to every origin; no cookie counts, so no forgery is to be feared."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
            response["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
            response["Access-Control-Allow-Headers"] = "If-None-Match"
        elif request.method not in {"GET", "HEAD"}:
            response = problem(405, "Method not allowed", "This address is only read.")
            response["Allow"] = "GET, HEAD, OPTIONS"
        else:
            try:
                response = view(request, **kwargs)
            except Asked as asked:
                response = problem(400, "Bad request", str(asked))
            except SearchNotBuilt as missing:
                response = problem(503, "Not ready", missing.text, missing.code, missing.next_step)
                response["Retry-After"] = "300"
            except KeregeError as refused:
                response = problem_of(refused, 400)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = "ETag, Link"
        return response

    return csrf_exempt(guarded)
