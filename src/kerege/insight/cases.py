"""Events folded into case histories: the one place that says what a case's start, decision and manual steps are. Pure.

Rules
- An event that another corrects is left out, the correction stands in its place; a retraction only takes out.
- A reopened case keeps its first start; its decision is the one after the last reopening.
- What happened after `as_of` is not known yet.
- Waiting for the applicant runs from a request (or a return) to the next answer, or to the decision, or to `as_of`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kerege.insight.events import ONCE_ONLY, RECONCILE_BY_HAND, TO_A_PERSON, ActorKind, EventFacts, EventType

_ORDER: Final = {kind: place for place, kind in enumerate(EventType)}
_ANSWERS: Final = frozenset({EventType.INFO_RECEIVED, EventType.SUBMITTED})
_ASKS: Final = frozenset({EventType.INFO_REQUESTED, EventType.RETURNED})


@dataclass(frozen=True, slots=True)
class CaseHistory:
    """One case as of one moment."""

    case_ref: str
    public_service: str
    started_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    outcome: str
    decision_reason: str
    returned_at: datetime | None
    return_reason: str
    waiting: timedelta
    manual_steps: int
    reconciled_by_hand: tuple[str, ...]
    asked_despite_register: tuple[str, ...]
    synthetic: bool

    @property
    def left(self) -> str:
        """`withdrawn` or `duplicate` when the case left the count, else empty."""
        return self.outcome if self.outcome in ("withdrawn", "duplicate") else ""

    @property
    def finally_decided(self) -> bool:
        """Granted or refused: the agency answered. That a refusal completes a case is our choice, stated in the report."""
        return self.outcome in ("granted", "refused")


def fold(events: Iterable[EventFacts], as_of: datetime) -> tuple[CaseHistory, ...]:
    """Case histories as of `as_of`, ordered by start; the order of the events does not matter."""
    known = [event for event in events if event.occurred_at <= as_of]
    corrected = {event.correction_of for event in known if event.correction_of}
    by_case: dict[tuple[str, str], list[EventFacts]] = defaultdict(list)
    for event in known:
        if event.event_id not in corrected and event.type is not EventType.RETRACTED:
            by_case[event.public_service, event.case_ref].append(event)
    histories = [_history(sorted(case, key=_key), as_of) for case in by_case.values()]
    return tuple(sorted(histories, key=lambda case: (case.started_at, case.public_service, case.case_ref)))


def _key(event: EventFacts) -> tuple[datetime, int, str]:
    return event.occurred_at, _ORDER[event.type], event.event_id


def _history(events: Sequence[EventFacts], as_of: datetime) -> CaseHistory:
    submission = next((e for e in events if e.type is EventType.SUBMITTED), None)
    decision: EventFacts | None = None
    for event in events:
        if event.type is EventType.DECIDED:
            decision = event
        elif event.type is EventType.REOPENED:
            decision = None
    returned = next((e for e in events if e.type is EventType.RETURNED), None)
    between = [  # after the first submission, up to and with the decision
        e
        for e in events
        if submission is not None and _key(submission) < _key(e) and (decision is None or _key(e) <= _key(decision))
    ]
    return CaseHistory(
        case_ref=events[0].case_ref,
        public_service=events[0].public_service,
        started_at=events[0].occurred_at,
        submitted_at=submission.occurred_at if submission else None,
        decided_at=decision.occurred_at if decision else None,
        outcome=decision.qualifier if decision else "",
        decision_reason=decision.reason_code if decision else "",
        returned_at=returned.occurred_at if returned else None,
        return_reason=returned.reason_code if returned else "",
        waiting=_waiting(between, decision.occurred_at if decision else as_of),
        manual_steps=sum(_is_manual(e) for e in between),
        reconciled_by_hand=tuple(
            e.reason_code
            for e in events
            if (e.type is EventType.RECONCILED and e.actor_kind is not ActorKind.SYSTEM)
            or (e.type is EventType.CHECK_REQUESTED and e.step == RECONCILE_BY_HAND)
        ),
        asked_despite_register=tuple(
            e.reason_code.removeprefix(ONCE_ONLY)
            for e in events
            if e.type is EventType.INFO_REQUESTED and e.reason_code.startswith(ONCE_ONLY)
        ),
        synthetic=any(e.synthetic for e in events),
    )


def _is_manual(event: EventFacts) -> bool:
    """A person acts or must: an official, an assistant, the applicant who is asked again, a desk the case was handed to."""
    if event.type in (EventType.NOTIFIED, EventType.APPEALED):
        return False
    return (
        event.actor_kind is not ActorKind.SYSTEM
        or event.qualifier == "manual"
        or event.type in _ASKS
        or _handed_over(event)
    )


def _handed_over(event: EventFacts) -> bool:
    return event.type is EventType.CHECK_REQUESTED and event.step in TO_A_PERSON


def _waiting(events: Sequence[EventFacts], end: datetime) -> timedelta:
    total, since = timedelta(), None
    for event in events:
        if event.type in _ASKS and since is None:
            since = event.occurred_at
        elif event.type in _ANSWERS and since is not None:
            total, since = total + (event.occurred_at - since), None
    return total + (end - since) if since is not None else total
