"""What every page knows: its language and the same page in the others, the sections, who is signed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from kerege.ground.text import LANGUAGES
from kerege.web import words
from kerege.web.access import Answer, Audience, may_open, right_of
from kerege.web.signin import Person, who

_NAMES: Final = {"ky": "Кыргызча", "ru": "Русский", "en": "English"}

# In the order of the house: data, exchange, services, delivery. The pages below a section carry its name as a prefix.
_SECTIONS: Final = (
    ("home", Audience.EVERYONE),
    ("catalogue", Audience.EVERYONE),
    ("discrepancies", Audience.EVERYONE),
    ("network", Audience.EVERYONE),
    ("applications", Audience.OFFICER),
    ("desks", Audience.DESKS),
    ("child", Audience.PARENT),
    ("gate", Audience.EVERYONE),
    ("measures", Audience.EVERYONE),
    ("verify", Audience.EVERYONE),
)


def page(request: HttpRequest) -> dict[str, object]:
    language = words.language()
    person = who(request)
    return {
        "language": language,
        "languages": [(code, _NAMES[code], _same_page(request, code)) for code in LANGUAGES],
        "alternates": [(code, request.build_absolute_uri(_same_page(request, code))) for code in LANGUAGES],
        "sections": _sections(request, language, person),
        "person": person,
        "is_demo": (Path(settings.HOME) / "demo-people.json").is_file(),
    }


def _same_page(request: HttpRequest, code: str) -> str:
    """This page in another language, its query kept: a switch never sends people back to the start."""
    first, _, rest = request.path.lstrip("/").partition("/")
    path = f"/{code}/{rest}" if first in LANGUAGES else f"/{code}/"
    query = request.META.get("QUERY_STRING", "")
    return f"{path}?{query}" if query and request.method == "GET" else path


def _sections(request: HttpRequest, language: str, person: Person | None) -> list[dict[str, Any]]:
    match = request.resolver_match
    here = (match.url_name or "") if match else ""
    items: list[dict[str, Any]] = []
    for name, audience in _SECTIONS:
        answer = may_open(audience, person, right_of(request, audience))
        # An officer's desk is announced to visitors too (the link leads to the sign-in); other people's own pages are not.
        if answer is Answer.REFUSED or (answer is Answer.SIGN_IN and audience in (Audience.PARENT, Audience.DESKS)):
            continue
        current = "page" if here == name else "true" if here.startswith(f"{name}-") else ""
        items.append(
            {"name": words.word(f"nav.{name}"), "address": reverse(name, args=(language,)), "current": current}
        )
    return items
