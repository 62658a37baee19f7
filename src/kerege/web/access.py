"""Who may open which page. Denied by default: a page is reachable only through `page`, which asks for its audience.

Pure decision `may_open`, and the wrapper that carries it out: somebody who is not signed in is asked to sign in, somebody
in another role is told so. An officer needs more than the role that signing in brings: a grant in force (`identity`) for the action and
the scope that `RIGHTS` names, asked for on every request, so a grant that ends or is revoked shuts the desk at once. Which case a
parent may see is decided in the parent's own pages, from the cases of that parent only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from kerege.delivery.doings import scope_of
from kerege.ground import clock
from kerege.identity.access import Access
from kerege.identity.queries import access
from kerege.services.cases import READ_CASES
from kerege.web import words
from kerege.web.signin import Person, who

View = Callable[..., HttpResponse]


class Audience(Enum):
    """For whom a page is."""

    EVERYONE = "everyone"
    OFFICER = "officer"
    PARENT = "parent"
    STEWARD = "steward"
    DATA_OWNER = "data-owner"
    REVIEWER = "reviewer"
    CLERK = "clerk"
    DATA = "data"  # the stewards' desks: stewards, data owners and reviewers; what each may do there is asked again
    DESKS = "desks"  # the way in to them all, for the clerks of the desk for pairs too


@dataclass(frozen=True, slots=True)
class Right:
    """What must have been granted besides the role: an action in a scope."""

    action: str
    scope: str


OFFICERS_SERVICE: Final = "grade1-admission"  # the public service whose cases the officer's desk shows
CATALOGUE: Final = "catalogue"  # the scope of the rights below: this installation's catalogue
RIGHTS: Final = {
    Audience.OFFICER: Right(READ_CASES, scope_of(OFFICERS_SERVICE)),
    Audience.STEWARD: Right("catalogue.keep", CATALOGUE),
    Audience.DATA_OWNER: Right("catalogue.answer", CATALOGUE),
    Audience.REVIEWER: Right("catalogue.review", CATALOGUE),
    Audience.CLERK: Right("reconcile.clerical.read", CATALOGUE),
}
_ANY_OF: Final = {
    Audience.DATA: (Audience.STEWARD, Audience.DATA_OWNER, Audience.REVIEWER),
    Audience.DESKS: (Audience.STEWARD, Audience.DATA_OWNER, Audience.REVIEWER, Audience.CLERK),
}


class Answer(Enum):
    OPEN = "open"
    SIGN_IN = "sign in"
    REFUSED = "refused"


def parts_of(audience: Audience) -> tuple[Audience, ...]:
    """The audiences that this one is made of; itself where it is of one role."""
    return _ANY_OF.get(audience, (audience,))


def roles_of(audience: Audience) -> frozenset[str]:
    """The roles of which one is needed to open a page of this audience."""
    return frozenset(one.value for one in parts_of(audience))


def may_open(audience: Audience, person: Person | None, right: Access | None = None) -> Answer:
    """Whether `person` (None: nobody signed in) may open a page made for `audience`.

    right   identity's word on what `RIGHTS` asks for this audience; None is no right
    """
    if audience is Audience.EVERYONE:
        return Answer.OPEN
    if person is None:
        return Answer.SIGN_IN
    if not roles_of(audience) & person.roles:
        return Answer.REFUSED
    granted = not set(parts_of(audience)) & set(RIGHTS) or (right is not None and right.allowed)
    return Answer.OPEN if granted else Answer.REFUSED


def right_of(request: HttpRequest, audience: Audience) -> Access | None:
    """Identity's word on what `audience` needs for whoever is signed in, asked once per request; None where it is not asked.

    Of an audience of several roles the first right in force; where there is none, the first role's refusal.
    """
    asked = [one for one in parts_of(audience) if one in RIGHTS]
    person = who(request) if asked else None
    if person is None:
        return None
    told: dict[Audience, Access] = request.__dict__.setdefault("_kerege_rights", {})
    refused: Access | None = None
    for one in asked:
        if one.value not in person.roles:
            continue
        if one not in told:
            told[one] = access(person.id, RIGHTS[one].action, RIGHTS[one].scope, clock.now())
        if told[one].allowed:
            return told[one]
        refused = refused or told[one]
    return refused


def in_force(request: HttpRequest, audience: Audience) -> bool:
    """Whether whoever is signed in holds the role of this audience and its right now: for what a page offers and what it lets happen."""
    return may_open(audience, who(request), right_of(request, audience)) is Answer.OPEN


def _missing(audience: Audience, right: Access | None) -> dict[str, str]:
    """What the refusal says: why the right is not in force, and whose page this is."""
    return {"missing": right.reason if right else "", "of": "applications" if audience is Audience.OFFICER else "desks"}


def page(view: View, audience: Audience) -> View:
    """`view`, opened only to its audience. What is not for everyone is also never kept by a browser or proxy."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: object, language: str = "", **kwargs: object) -> HttpResponse:
        # `language` was put to use by the middleware; it stays in the address so links can be built, views need not know it.
        right = right_of(request, audience)
        answer = may_open(audience, who(request) if audience is not Audience.EVERYONE else None, right)
        if answer is Answer.SIGN_IN:
            onward = urlencode({"next": request.get_full_path()}) if request.method == "GET" else ""
            response: HttpResponse = HttpResponseRedirect(f"{reverse('sign-in', args=(words.language(),))}?{onward}")
        elif answer is Answer.REFUSED:
            response = render(request, "403.html", _missing(audience, right), status=403)
        else:
            response = view(request, *args, **kwargs)
        if audience is not Audience.EVERYONE:
            response["Cache-Control"] = "no-store"
        return response

    guarded.audience = audience  # type: ignore[attr-defined]
    return guarded
