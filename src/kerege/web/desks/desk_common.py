"""What all the stewards' desks share: who may do what on a page, doing something and saying how it went, the life cycle, pages of a list.

A form posts to the page it stands on; the doing is called; the answer is a redirect to that page, where one line says what happened. What a
doing refuses is said in words in the page's language with the error's code; below stand its facts, on an English page
its own text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from kerege.catalogue.errors import ReasonNamesPerson
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Action, State, Subject
from kerege.catalogue.reasons import without_persons
from kerege.ground import clock
from kerege.ground.errors import KeregeError
from kerege.identity.models import Person as KnownPerson
from kerege.ledger.log import Ledger
from kerege.web import reading, words
from kerege.web.access import Audience, in_force
from kerege.web.signin import Person, who
from kerege.web.told import refusal

PAGE: Final = 25
_TOLD: Final = "desk_told"
_LONGEST: Final = 2000
_KEPT_FOR_EVER: Final = ("reason", "terms")
_MISSING: Final = {"catalogue.decision_needs_reason": "reason", "catalogue.decision_needs_target": "target"}
BY_STEWARD: Final = frozenset(
    {Action.DRAFT, Action.SUBMIT, Action.WITHDRAW, Action.PUBLISH, Action.DEPRECATE, Action.REINSTATE, Action.RETIRE}
)
BY_REVIEWER: Final = frozenset({Action.APPROVE, Action.RETURN})
ACTIONS: Final = tuple(Action)


@dataclass(frozen=True, slots=True)
class Rights:
    """What whoever is signed in may do at the desks now."""

    steward: bool
    data_owner: bool
    reviewer: bool
    clerk: bool


def rights(request: HttpRequest) -> Rights:
    return Rights(
        in_force(request, Audience.STEWARD), in_force(request, Audience.DATA_OWNER),
        in_force(request, Audience.REVIEWER), in_force(request, Audience.CLERK),
    )  # fmt: skip


def me(request: HttpRequest) -> Person:
    """Who is signed in; the guard let nobody else in."""
    person = who(request)
    assert person is not None
    return person


def need(request: HttpRequest, *audiences: Audience) -> None:
    """Refuse the request unless one of these roles and its right is held: asked for everything that changes something."""
    if not any(in_force(request, one) for one in audiences):
        raise PermissionDenied


def attempt(request: HttpRequest, doing: Callable[[], Any], told: str, **values: object) -> Any:
    """Carry out `doing` and remember the line to show; None where it was refused (what it gives, or True, otherwise)."""
    try:
        for field in _KEPT_FOR_EVER:
            without_persons(posted(request, field), field)
        done = doing()
    except KeregeError as error:
        refused(request, error)
        return None
    request.session[_TOLD] = {"look": "good", "key": told, "values": {k: str(v) for k, v in values.items()}}
    return True if done is None else done


def refused(request: HttpRequest, error: KeregeError) -> None:
    """Remember what was refused, for the page that comes next; what was typed is kept."""
    kept = {name: request.POST.get(name, "")[:500] for name in ("reason", "target", "unit", "legal_basis")}
    if isinstance(error, ReasonNamesPerson):
        kept["reason"] = ""  # nor is it kept for the page that comes next
    kept |= {
        "item": request.POST.get("code", request.POST.get("column", ""))[:200],
        "missing": _MISSING.get(error.code, ""),
    }
    request.session[_TOLD] = {
        "look": "bad", "code": error.code, "detail": error.text[:_LONGEST], "next": error.next_step[:_LONGEST],
        "facts": refusal(error), "kept": kept,
    }  # fmt: skip


def undoable(request: HttpRequest, address: str, number: int, what: str) -> None:
    """Let the line that is shown next offer to undo."""
    kept = request.session.get(_TOLD, {})
    request.session[_TOLD] = {**kept, "undo": {"address": address, "number": number, "what": what}}


def show(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200, at_once: bool = False
) -> HttpResponse:
    """The page, with what happened last and what may be done.

    at_once   this page answers a form itself, because it shows again what was typed: what happened is told on it, not on the next one
    """
    told = request.session.pop(_TOLD, None) if request.method == "GET" or at_once else None
    if told is not None:
        if told.get("code"):
            told["text"] = words.term("desk-error", told["code"], words.word("desk-error.other"))
        elif told.get("key"):
            told["text"] = words.word(told["key"], **told.get("values", {}))
    kept = (told or {}).get("kept", {})
    return render(request, template, {"told": told, "kept": kept, "may": rights(request), **context}, status=status)


def back(name: str, *args: object, **query: str) -> HttpResponse:
    """A redirect to a page in the page's language. To its top, where the line that says what happened gets the focus: a place inside of the
    page would take the focus away from it."""
    address = reverse(name, args=(words.language(), *args))
    asked = urlencode({key: value for key, value in query.items() if value})
    return HttpResponseRedirect(address + (f"?{asked}" if asked else ""))


def posted(request: HttpRequest, name: str, most: int = _LONGEST) -> str:
    """A field of the form, bounded."""
    return request.POST.get(name, "").strip()[:most]


def one_of(value: str, known: Sequence[str]) -> str:
    return value if value in known else ""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where one is in a list. `number` counts from 1."""

    number: int
    total: int
    size: int
    query: str

    @property
    def start(self) -> int:
        return (self.number - 1) * self.size

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def before(self) -> str:
        return self._address(self.number - 1) if self.number > 1 else ""

    @property
    def after(self) -> str:
        return self._address(self.number + 1) if self.number < self.last else ""

    def _address(self, number: int) -> str:
        return f"?{self.query}{'&' if self.query else ''}page={number}"


def page_number(request: HttpRequest) -> int:
    raw = request.GET.get("page", "1")
    return max(1, int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 7 else 1


def pages(request: HttpRequest, total: int, size: int = PAGE, **query: str) -> Pages:
    """The page that was asked for; the last one where there are not so many."""
    last = max(1, -(-total // size))
    return Pages(min(page_number(request), last), total, size, urlencode({k: v for k, v in query.items() if v}))


def names(people: Sequence[str]) -> dict[str, str]:
    """People by their identifier, as they are called; one query."""
    return dict(KnownPerson.objects.filter(person_id__in=set(people)).values_list("person_id", "display_name"))


# --- the life cycle, the same for everything that is published --------------------------------------------------------------------


def life_of(request: HttpRequest, subject: Subject) -> dict[str, Any]:
    """How a version stands, its history with people's names, the actions this person may take on it, and the word for what was `seen`."""
    seen = lifecycle.seen(subject)
    state, done = lifecycle.status(subject), lifecycle.history(subject)
    known = names([a.by for a in done])
    may = rights(request)
    mine = [
        a
        for a in state.allowed
        if a is not Action.DRAFT and ((a in BY_STEWARD and may.steward) or (a in BY_REVIEWER and may.reviewer))
    ]
    waits = Action.APPROVE in state.allowed and not may.reviewer
    ready = Action.PUBLISH in state.allowed and state.state is State.APPROVED
    path = ["draft", "submitted", "approved", "published"]
    if state.state.value in ("returned",):
        path[1:1] = ["returned"]
    if state.state.value in ("deprecated", "retired"):
        path += ["deprecated", "retired"] if any(a.leads_to.value == "published" for a in done) else ["retired"]
    at = path.index(state.state.value)
    track = [{"name": name, "now": n == at, "look": "was" if n < at else ""} for n, name in enumerate(path)]
    own = may.reviewer and Action.APPROVE in mine and lifecycle.own(state, me(request).id)
    mine = [a for a in mine if not (own and a is Action.APPROVE)]  # nobody is offered what would be refused
    return {
        "subject": subject, "seen": seen, "state": state.state.value, "since": state.since, "actions": [a.value for a in mine],
        "history": [{"view": a, "name": known.get(a.by, a.by)} for a in reversed(done)], "waits": waits, "ready": ready, "own": own, "track": track,
    }  # fmt: skip


def act_on(
    request: HttpRequest, subject: Subject, special: Callable[[Action, str, Ledger], bool] | None = None
) -> None:
    """Carry out the life-cycle action that was posted, if this person's role may take it and `subject` is what the form's page showed.

    special   does an action for which more than the state changes; False where it is an ordinary one
    """
    wanted = one_of(posted(request, "action"), ACTIONS)
    if not wanted:
        raise PermissionDenied
    action = Action(wanted)
    need(request, Audience.REVIEWER if action in BY_REVIEWER else Audience.STEWARD)
    reason = posted(request, "reason")

    def doing() -> None:
        with Ledger.open(reading.ledger_folder()) as ledger, lifecycle.as_seen(subject, posted(request, "seen", 60)):
            if special is None or not special(action, reason, ledger):
                lifecycle.act(subject, action, me(request).id, reason, clock.now(), ledger=ledger)

    attempt(request, doing, f"desk.did.{action.value}", version=subject.version)
