"""How many versions stand how, for lists: a query for a page of them, however long their histories are.

Every action leads to one state, whatever it began from (`lifecycle.rules.TRANSITIONS`), so the last action alone says how a version stands.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from kerege.catalogue.lifecycle.rules import IN_FORCE, TRANSITIONS, Action, State, Subject
from kerege.catalogue.models import LifecycleAction

LEADS_TO: Final[dict[Action, State]] = {
    action: state for allowed in TRANSITIONS.values() for action, state in allowed.items()
}


def states(kind: str, things: Collection[str]) -> dict[Subject, State]:
    """How every version of these things stands that somebody acted on; the others are drafts. One query."""
    rows = _last(kind).filter(subject__in=things).values_list("subject", "version", "action")
    return {Subject(kind, thing, version): LEADS_TO[Action(action)] for thing, version, action in rows}


def standing(kind: str, things: Collection[str] | None = None) -> tuple[dict[Subject, State], dict[str, str]]:
    """(how every version stands, the version in force of each thing that has one), of these things or of all of a kind. One query.

    In force as `lifecycle.doings.in_force` says: of those published, else of those deprecated, the one published last.
    """
    rows = LifecycleAction.objects.filter(kind=kind, **({} if things is None else {"subject__in": things}))
    states: dict[Subject, State] = {}
    published: dict[Subject, datetime] = {}
    for thing, version, action, at in rows.order_by("number").values_list("subject", "version", "action", "at"):
        one = Subject(kind, thing, version)
        states[one] = LEADS_TO[Action(action)]
        if action == Action.PUBLISH:
            published[one] = at
    best: dict[str, tuple[bool, datetime, str]] = {}
    for one, state in states.items():
        if state in IN_FORCE:
            mine = (state is State.PUBLISHED, published[one], one.version)
            best[one.id] = max(best.get(one.id, mine), mine)
    return states, {thing: found[2] for thing, found in best.items()}


def count(kind: str, *wanted: State) -> int:
    """How many versions of a kind stand so. One query."""
    return _last(kind).filter(action__in=[a.value for a, state in LEADS_TO.items() if state in wanted]).count()


def _last(kind: str) -> QuerySet[LifecycleAction]:
    """The last action on every version of a kind."""
    same = LifecycleAction.objects.filter(kind=kind, subject=OuterRef("subject"), version=OuterRef("version"))
    return LifecycleAction.objects.filter(kind=kind).filter(~Exists(same.filter(number__gt=OuterRef("number"))))
