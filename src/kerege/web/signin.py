"""Signing in behind one small interface: who is this person, and which roles do they bring?

`SignIn` is what a hub needs of any way to sign in. The national one (ЕСИ, OpenID Connect with a code and PKCE) begins by sending
the browser away and completes when it comes back with a code; `DemoSignIn` begins by showing a list of invented people and
completes with a choice. It exists only where the demo wrote `demo-people.json` into the home folder, and says what it is. Where
neither is set up, nobody can sign in: the pages with personal data stay shut.

The session keeps only who signed in and by which way; names and roles are looked up on each request, so a person taken off
the list is out at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from kerege.ground.text import LANGUAGES, Text
from kerege.web.errors import PeopleFileInvalid
from kerege.web.words import term

ROLES: Final = ("officer", "parent", "steward", "data-owner", "reviewer", "clerk", "policy-owner", "technical-owner")
_SESSION_KEY: Final = "signed_in"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone signed in. A parent's own applications are those kept under the pseudonym `holder` and those listed in `cases`;
    `children` are the keyed pseudonyms of their children."""

    id: str
    name: Text | str
    roles: frozenset[str]
    office: Text | str | None = None
    member: str = ""
    holder: str = ""
    cases: tuple[str, ...] = ()
    children: tuple[str, ...] = ()

    @property
    def role_line(self) -> str:
        """The roles in words, for people."""
        return ", ".join(term("role", role) for role in ROLES if role in self.roles)


class SignIn(Protocol):
    """One way to sign in."""

    name: str

    def begin(self, request: HttpRequest, onward: str, problem: bool = False) -> HttpResponse:
        """The first answer: a page with a choice, or a redirect to the identity provider. `onward` is kept for afterwards."""
        ...

    def complete(self, request: HttpRequest) -> Person | None:
        """Who this turned out to be; None when it did not succeed."""
        ...

    def find(self, person_id: str) -> Person | None:
        """The person as they are known now; None when they no longer are."""
        ...


class DemoSignIn:
    """A stand-in for the national sign-in: a list of invented people, no password."""

    name = "demo"

    def __init__(self, file: Path) -> None:
        self.file = file

    def people(self) -> tuple[Person, ...]:
        """Everyone on the list, in its order."""
        try:
            raw = json.loads(self.file.read_text(encoding="utf-8"))
        except ValueError as fault:
            raise PeopleFileInvalid(file=self.file, position=0, expected="the file is not JSON") from fault
        listed = raw.get("people") if isinstance(raw, dict) else raw
        if not isinstance(listed, list):
            raise PeopleFileInvalid(file=self.file, position=0, expected='expected {"people": [...]}')
        return tuple(_person(self.file, position, item) for position, item in enumerate(listed, start=1))

    def begin(self, request: HttpRequest, onward: str, problem: bool = False) -> HttpResponse:
        context = {"people": self.people(), "onward": onward, "problem": problem}
        return render(request, "portal/signin_demo.html", context, status=400 if problem else 200)

    def complete(self, request: HttpRequest) -> Person | None:
        return self.find(request.POST.get("person", ""))

    def find(self, person_id: str) -> Person | None:
        return next((person for person in self.people() if person.id == person_id), None)


class NoSignIn:
    """Where no way to sign in is set up."""

    name = "none"

    def begin(self, request: HttpRequest, onward: str, problem: bool = False) -> HttpResponse:
        return render(request, "portal/signin_none.html")

    def complete(self, request: HttpRequest) -> Person | None:
        return None

    def find(self, person_id: str) -> Person | None:
        return None


def way() -> SignIn:
    """The way to sign in that this installation has set up."""
    file = Path(settings.HOME) / "demo-people.json"
    return DemoSignIn(file) if file.is_file() else NoSignIn()


def sign_in(request: HttpRequest, person: Person, by: str) -> None:
    """Bind the session to `person`, under a fresh key: a session known before signing in is worth nothing after it."""
    request.session.flush()
    request.session[_SESSION_KEY] = {"by": by, "id": person.id}
    request.session.cycle_key()


def sign_out(request: HttpRequest) -> None:
    request.session.flush()


def who(request: HttpRequest) -> Person | None:
    """Who is signed in, as they are known now; nobody when the way they came by is no longer set up."""
    cached = getattr(request, "_kerege_person", False)
    if cached is not False:
        return cached if isinstance(cached, Person) else None
    session = getattr(request, "session", None)
    kept = session.get(_SESSION_KEY) if session is not None else None
    person = None
    if isinstance(kept, Mapping):
        here = way()
        if kept.get("by") == here.name:
            person = here.find(str(kept.get("id")))
    request._kerege_person = person  # type: ignore[attr-defined]
    return person


def _person(file: Path, position: int, raw: Any) -> Person:
    if not isinstance(raw, dict) or not str(raw.get("id", "")).strip():
        raise PeopleFileInvalid(file=file, position=position, expected="expected an object with an id")
    roles = frozenset(raw.get("roles", ()))
    if not roles or not roles <= set(ROLES):
        raise PeopleFileInvalid(file=file, position=position, expected=f"roles should be some of {', '.join(ROLES)}")
    name = raw.get("name") or raw["id"]
    return Person(
        id=str(raw["id"]),
        name=_text(name) or str(raw["id"]),
        roles=roles,
        office=_text(raw.get("office")),
        member=str(raw.get("member", "")),
        holder=str(raw.get("holder", "")),
        cases=tuple(str(case) for case in raw.get("cases", ())),
        children=tuple(str(child) for child in raw.get("children", ())),
    )


def _text(raw: Any) -> Text | str | None:
    if isinstance(raw, dict) and set(raw) == set(LANGUAGES):
        return Text.of(raw)
    return None if raw is None else str(raw)
