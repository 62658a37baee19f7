"""What may be done next with a version that is to be published, and by whom. Pure: actions so far in, a ruling with its reasons out.

The life cycle of everything the steward publishes (a dataset's entry, a code list, a crosswalk, a contract, a mapping, a reference dataset):

    draft -> submitted -> approved -> published -> deprecated -> retired
                |             |
                +-> returned <-+        (and back to draft or submitted)

Four eyes: who submitted a version may not approve it. The status is never stored; it is where the actions lead. Source: issue 4, part 2;
the states are those of RIHA's approvals and Finland's registries (draft, valid, superseded, retired) with the return of both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a version stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"
    PUBLISHED = "published"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class Action(StrEnum):
    """What can be done with a version."""

    DRAFT = "draft"  # begun, or taken up again after it was returned
    SUBMIT = "submit"
    WITHDRAW = "withdraw"  # the submitter takes it back
    APPROVE = "approve"
    RETURN = "return"  # with the reason what to mend
    PUBLISH = "publish"
    DEPRECATE = "deprecate"
    REINSTATE = "reinstate"  # a deprecation taken back
    RETIRE = "retire"


# state -> action -> the state it leads to; what is not here is refused
TRANSITIONS: Final[dict[State, dict[Action, State]]] = {
    State.DRAFT: {Action.DRAFT: State.DRAFT, Action.SUBMIT: State.SUBMITTED, Action.RETIRE: State.RETIRED},
    State.SUBMITTED: {
        Action.APPROVE: State.APPROVED,
        Action.RETURN: State.RETURNED,
        Action.WITHDRAW: State.DRAFT,
    },
    State.RETURNED: {Action.DRAFT: State.DRAFT, Action.SUBMIT: State.SUBMITTED, Action.RETIRE: State.RETIRED},
    State.APPROVED: {Action.PUBLISH: State.PUBLISHED, Action.RETURN: State.RETURNED, Action.RETIRE: State.RETIRED},
    State.PUBLISHED: {Action.DEPRECATE: State.DEPRECATED},
    State.DEPRECATED: {Action.REINSTATE: State.PUBLISHED, Action.RETIRE: State.RETIRED},
    State.RETIRED: {},
}

IN_FORCE: Final = frozenset({State.PUBLISHED, State.DEPRECATED})  # what consumers may rely on

_KIND: Final = re.compile(r"[a-z][a-z0-9-]{1,39}\Z")
_LOOKS_LATIN: Final = str.maketrans("аеорсухіјѕһԁԛԝүкмтнв", "aeopcyxijshdqwykmthb")  # small or capital
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f]+\Z")


@dataclass(frozen=True, slots=True)
class Subject:
    """One version of one thing: `Subject("codelist", "kg:sex", "2.0")`. A dataset's id is `source#table`."""

    kind: str
    id: str
    version: str

    def __post_init__(self) -> None:
        if not _KIND.match(self.kind):
            raise ValueError(f"a kind is a word of small letters such as codelist, got {self.kind!r}")
        for name, value, longest in (("id", self.id, 500), ("version", self.version, 100)):
            if not value.strip() or len(value) > longest or not _PLAIN.match(value):
                raise ValueError(f"a subject's {name} is 1 to {longest} printable characters")

    def __str__(self) -> str:
        return f"{self.kind} {self.id} version {self.version}"


@dataclass(frozen=True, slots=True)
class Step:
    """An action as far as the rules need it."""

    action: Action
    by: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """`leads_to` is None when refused; `reason` is `allowed`, `not-from-here`, `own-submission` or `not-the-submitter`."""

    reason: str
    leads_to: State | None = None

    @property
    def allowed(self) -> bool:
        return self.leads_to is not None


def state_after(steps: Iterable[Step]) -> State:
    """Where these actions lead, from draft. Raises ValueError for actions that the rules never allowed: the history is damaged."""
    state = State.DRAFT
    for number, step in enumerate(steps, start=1):
        following = TRANSITIONS[state].get(step.action)
        if following is None:
            raise ValueError(f"action {number} is {step.action} in the state {state}, which no rule allows")
        state = following
    return state


def submitter(steps: Iterable[Step]) -> str:
    """Who submitted last; empty when nobody did."""
    return next((s.by for s in reversed(list(steps)) if s.action is Action.SUBMIT), "")


def rule(steps: Iterable[Step], action: Action, by: str) -> Ruling:
    """Say whether `by` may do `action` after `steps`."""
    so_far = list(steps)
    leads_to = TRANSITIONS[state_after(so_far)].get(action)
    if leads_to is None:
        return Ruling("not-from-here")
    own = same_person(by, submitter(so_far))
    if action is Action.APPROVE and own:
        return Ruling("own-submission")
    if action is Action.WITHDRAW and not own:
        return Ruling("not-the-submitter")
    return Ruling("allowed", leads_to)


def allowed(steps: Iterable[Step], by: str = "") -> tuple[Action, ...]:
    """The actions the state allows; with `by`, those of them this person may do."""
    so_far = list(steps)
    possible = TRANSITIONS[state_after(so_far)]
    return tuple(a for a in possible if not by or rule(so_far, a, by).allowed)


def same_person(one: str, other: str) -> bool:
    """Whether two names mean one person: capital letters, spaces, characters nobody sees, compatible forms of letters and Cyrillic letters
    that look like Latin ones make nobody somebody else."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    seen = "".join(c for c in unicodedata.normalize("NFKD", name) if unicodedata.category(c) not in ("Cf", "Cc", "Mn"))
    return " ".join(seen.casefold().translate(_LOOKS_LATIN).split())
