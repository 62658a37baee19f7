"""Addresses of the hub, built from the one table in `routes`; the first segment of a page is its language."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, URLResolver, path, register_converter

from kerege.ground.text import LANGUAGES
from kerege.web import access, routes


class LanguageSegment:
    """Exactly one of the hub's languages."""

    regex = "|".join(LANGUAGES)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return str(value)


register_converter(LanguageSegment, "language")

urlpatterns: list[URLPattern | URLResolver] = [
    *(
        path(f"<language:language>/{route}", access.page(view, audience), name=name)
        for route, view, name, audience in routes.PAGES
    ),
    *(path(route, access.page(view, audience), name=name) for route, view, name, audience in routes.BARE),
]

handler400: Final = "kerege.web.portal.faults.unreadable"
handler403: Final = "kerege.web.portal.faults.refused"
handler404: Final = "kerege.web.portal.faults.not_found"
handler500: Final = "kerege.web.portal.faults.broken"
