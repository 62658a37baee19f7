"""The language comes from the path (`/ky/`, `/ru/`, `/en/`), a strict content policy goes with every page, and what no text is goes to no view."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import translation

from kerege.ground.text import LANGUAGES
from kerege.web.api.catalogue_http import problem

_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


class LanguageFromPath:
    """Activates the language named by the first path segment; other paths keep Kyrgyz."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        first = request.path_info.lstrip("/").split("/", 1)[0]
        language = first if first in LANGUAGES else "ky"
        with translation.override(language):
            request.LANGUAGE_CODE = language
            return self.get_response(request)


class ContentSecurityPolicy:
    """Only the hub's own style sheets, scripts and pictures; no inline code, no frames."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        return response


_NO_TEXT: Final = re.compile(
    r"[\0\ud800-\udfff]"
)  # a database keeps neither NUL nor half a character, and says so by failing
_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_API: Final = "/api/"


class TextsOnly:
    """What holds a NUL or half a character is no text: an address with one leads nowhere (404), a query or form with one is not read (400).

    Bodies that are no forms, and forms of addresses that take no part in the forgery check, are left to their views: those read them by their own
    bounds. A cookie that is no text is none.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _broken((*request.COOKIES, *request.COOKIES.values())):
            request.COOKIES = {k: v for k, v in request.COOKIES.items() if not _broken((k, v))}
        machine = request.path_info.startswith(_API)
        if _broken((request.path_info,)):
            if machine:
                return _open(
                    problem(404, "Not found", "There is nothing at this address.", "web.not_here", "Look at /api/v1/.")
                )
            raise Http404
        if _holds(request.GET):
            if machine:
                return _open(problem(400, "Bad request", "A parameter holds a character that is none (NUL)."))
            raise BadRequest("a parameter holds a character that is none")
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Forms, once the forgery check has read them."""
        checked = request.method == "POST" and not getattr(view, "csrf_exempt", False)
        if checked and request.content_type in _FORMS:
            names = [f.name or "" for files in request.FILES.lists() for f in files[1]]
            if _holds(request.POST) or _broken(names):
                raise BadRequest("a form holds a character that is none")


def _broken(texts: Iterable[str]) -> bool:
    return any(_NO_TEXT.search(text) for text in texts)


def _holds(given: QueryDict) -> bool:
    return any(_broken((name, *values)) for name, values in given.lists())


def _open(response: HttpResponse) -> HttpResponse:
    response["Access-Control-Allow-Origin"] = "*"
    return response
