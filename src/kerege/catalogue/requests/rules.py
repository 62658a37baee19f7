"""A register's four requests and what they make of it. Pure: requests with their reviews in, outcomes and the register's state out.

The kinds and the three decisions are those of Estonia's RIHA (`IssueType`: establishment, take-into-use, modification, finalization request;
`resolutionType`: positive, negative, dismissed; vectors/riha/openapi.yaml). What each makes of the register:

    establish       planned -> established           the register may be built as described
    take-into-use   established, being modified -> in use      what was approved last is in force
    modify          in use -> being modified         the coming description stands beside the one in force
                    established -> established       the description is replaced, nothing is in use yet
    close           established, in use, being modified -> closed

Opening takes everyone, refusing takes one: a request is approved when every reviewer's role said yes, refused by the first no, dismissed when
a reviewer leaves it unexamined. Silence is not consent; a request past its term is overdue and stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from kerege.catalogue.lifecycle.rules import same_person
from kerege.ground.clock import iso


class Kind(StrEnum):
    ESTABLISH = "establish"
    TAKE_INTO_USE = "take-into-use"
    MODIFY = "modify"
    CLOSE = "close"


RIHA_KINDS: Final[dict[Kind, str]] = {
    Kind.ESTABLISH: "ESTABLISHMENT_REQUEST",
    Kind.TAKE_INTO_USE: "TAKE_INTO_USE_REQUEST",
    Kind.MODIFY: "MODIFICATION_REQUEST",
    Kind.CLOSE: "FINALIZATION_REQUEST",
}


class Decision(StrEnum):
    POSITIVE = "positive"
    NEGATIVE = "negative"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"  # by who asked; no reviewer's decision


class Outcome(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


class RegisterState(StrEnum):
    PLANNED = "planned"
    ESTABLISHED = "established"
    IN_USE = "in use"
    BEING_MODIFIED = "being modified"
    CLOSED = "closed"


CHANGES: Final[dict[RegisterState, dict[Kind, RegisterState]]] = {
    RegisterState.PLANNED: {Kind.ESTABLISH: RegisterState.ESTABLISHED},
    RegisterState.ESTABLISHED: {
        Kind.TAKE_INTO_USE: RegisterState.IN_USE,
        Kind.MODIFY: RegisterState.ESTABLISHED,
        Kind.CLOSE: RegisterState.CLOSED,
    },
    RegisterState.IN_USE: {Kind.MODIFY: RegisterState.BEING_MODIFIED, Kind.CLOSE: RegisterState.CLOSED},
    RegisterState.BEING_MODIFIED: {
        Kind.TAKE_INTO_USE: RegisterState.IN_USE,
        Kind.MODIFY: RegisterState.BEING_MODIFIED,
        Kind.CLOSE: RegisterState.CLOSED,
    },
    RegisterState.CLOSED: {},
}


@dataclass(frozen=True, slots=True)
class Review:
    """One reviewer's word for one role. `role` is empty for the asker's own withdrawal."""

    role: str
    by: str
    decision: Decision
    reason: str
    at: datetime
    terms: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "role": self.role, "by": self.by, "decision": self.decision.value, "reason": self.reason,
            "terms": self.terms, "at": iso(self.at),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its reviews so far, in the order they were made."""

    request_id: str
    register: str
    kind: Kind
    by: str
    organisation: str
    reason: str
    at: datetime
    due: datetime
    reviewers: tuple[str, ...]
    description: dict[str, Any] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()

    @property
    def outcome(self) -> Outcome:
        return outcome(self.reviewers, self.reviews)

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles whose word is still needed."""
        said = {r.role for r in self.reviews}
        return tuple(role for role in self.reviewers if role not in said) if self.outcome is Outcome.OPEN else ()

    def overdue(self, now: datetime) -> bool:
        return self.outcome is Outcome.OPEN and now > self.due

    @property
    def decided_at(self) -> datetime | None:
        return self.reviews[-1].at if self.outcome is not Outcome.OPEN else None

    @property
    def terms(self) -> tuple[str, ...]:
        """What the approval is bound to, by every reviewer who said so."""
        return tuple(r.terms for r in self.reviews if r.terms)


@dataclass(frozen=True, slots=True)
class Standing:
    """A register as its requests left it.

    description   the one in force: as established, then as last taken into use; {} before
    coming        the description of an approved modification that is not in use yet; {} when there is none
    """

    state: RegisterState
    description: dict[str, Any]
    coming: dict[str, Any]
    since: datetime | None

    @property
    def allowed(self) -> tuple[Kind, ...]:
        return tuple(CHANGES[self.state])


def outcome(reviewers: Sequence[str], reviews: Iterable[Review]) -> Outcome:
    """What the reviews come to."""
    positive = set()
    for review in reviews:
        if review.decision is Decision.WITHDRAWN:
            return Outcome.WITHDRAWN
        if review.decision is Decision.NEGATIVE:
            return Outcome.REFUSED
        if review.decision is Decision.DISMISSED:
            return Outcome.DISMISSED
        positive.add(review.role)
    return Outcome.APPROVED if positive >= set(reviewers) else Outcome.OPEN


def standing(requests: Iterable[Request]) -> Standing:
    """The register's state, computed from its approved requests in the order in which they were decided."""
    approved = [r for r in requests if r.outcome is Outcome.APPROVED]
    now = Standing(RegisterState.PLANNED, {}, {}, None)
    for request in sorted(approved, key=lambda r: r.decided_at or r.at):
        following = CHANGES[now.state].get(request.kind)
        if following is None:
            raise ValueError(
                f"{request.request_id} is approved, but a register that is {now.state} takes no {request.kind}"
            )
        description, coming = now.description, now.coming
        if request.kind is Kind.ESTABLISH or (request.kind is Kind.MODIFY and now.state is RegisterState.ESTABLISHED):
            description = request.description
        elif request.kind is Kind.MODIFY:
            coming = request.description
        elif request.kind is Kind.TAKE_INTO_USE:
            description, coming = request.description or coming or description, {}
        else:
            description, coming = request.description or description, {}
        now = Standing(following, description, coming, request.decided_at)
    return now


def against_review(request: Request, role: str, by: str) -> str:
    """Why `by` may not decide for `role`, or empty."""
    if request.outcome is not Outcome.OPEN:
        return f"it is {request.outcome.value} already"
    if role not in request.reviewers:
        return f"its reviewers are {', '.join(request.reviewers)}"
    if role not in request.missing:
        return f"{role} has decided already"
    if same_person(by, request.by):
        return "who asks does not review"
    if any(same_person(by, r.by) for r in request.reviews):
        return f"{by} has decided for another role already"
    return ""
