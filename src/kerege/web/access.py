"""Who may open which page. Denied by default: a page is reachable only through `page`, which asks for its audience.

Pure decision `may_open`, and the wrapper that carries it out: somebody who is not signed in is asked to sign in, somebody
in another role is told so. Which case a parent may see is decided in the parent's own pages, from the cases of that parent only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from enum import Enum
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from kerege.web import words
from kerege.web.signin import Person, who

View = Callable[..., HttpResponse]


class Audience(Enum):
    """For whom a page is."""

    EVERYONE = "everyone"
    OFFICER = "officer"
    PARENT = "parent"


class Answer(Enum):
    OPEN = "open"
    SIGN_IN = "sign in"
    REFUSED = "refused"


def may_open(audience: Audience, person: Person | None) -> Answer:
    """Whether `person` (None: nobody signed in) may open a page made for `audience`."""
    if audience is Audience.EVERYONE:
        return Answer.OPEN
    if person is None:
        return Answer.SIGN_IN
    return Answer.OPEN if audience.value in person.roles else Answer.REFUSED


def page(view: View, audience: Audience) -> View:
    """`view`, opened only to its audience. What is not for everyone is also never kept by a browser or proxy."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, language: str = "", **kwargs: object) -> HttpResponse:
        # `language` was put to use by the middleware; it stays in the address so links can be built, views need not know it.
        answer = may_open(audience, who(request) if audience is not Audience.EVERYONE else None)
        if answer is Answer.SIGN_IN:
            onward = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
            response: HttpResponse = HttpResponseRedirect(f"{reverse('sign-in', args=(words.language(),))}?{onward}")
        elif answer is Answer.REFUSED:
            response = render(request, "403.html", status=403)
        else:
            response = view(request, *args, **kwargs)
        if audience is not Audience.EVERYONE:
            response["Cache-Control"] = "no-store"
        return response

    guarded.audience = audience  # type: ignore[attr-defined]
    return guarded
