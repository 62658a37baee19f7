"""The language comes from the path (`/ky/`, `/ru/`, `/en/`), and a strict content policy goes with every page."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation

from kerege.ground.text import LANGUAGES

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
