"""How many versions stand how, for lists: a query for a page of them, however long their histories are.

Every action leads to one state, whatever it began from (`lifecycle.rules.TRANSITIONS`), so the last action alone says how a version stands.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from kerege.catalogue.lifecycle.rules import TRANSITIONS, Action, State, Subject
from kerege.catalogue.models import LifecycleAction

LEADS_TO: Final[dict[Action, State]] = {
    action: state for allowed in TRANSITIONS.values() for action, state in allowed.items()
}


def states(kind: str, things: Collection[str]) -> dict[Subject, State]:
    """How every version of these things stands that somebody acted on; the others are drafts. One query."""
    rows = _last(kind).filter(subject__in=things).values_list("subject", "version", "action")
    return {Subject(kind, thing, version): LEADS_TO[Action(action)] for thing, version, action in rows}


def count(kind: str, *wanted: State) -> int:
    """How many versions of a kind stand so. One query."""
    return _last(kind).filter(action__in=[a.value for a, state in LEADS_TO.items() if state in wanted]).count()


def _last(kind: str) -> QuerySet[LifecycleAction]:
    """The last action on every version of a kind."""
    same = LifecycleAction.objects.filter(kind=kind, subject=OuterRef("subject"), version=OuterRef("version"))
    return LifecycleAction.objects.filter(kind=kind).filter(~Exists(same.filter(number__gt=OuterRef("number"))))
