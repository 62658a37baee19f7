"""A finding's life: sent to the owner with a term, acknowledged, taken up, corrected or refused; closed by evidence, never by a click. Pure.

The model is the Dutch Digimelding: who has reasonable doubt about a register's value must report it, the owner must answer in time, and the
reporter sees where it stands and may withdraw. What differs: `closed` is reached only by the next comparison of that very field and
record, which shows the two registers agree; the owner's "corrected" is a claim until then, and falls back when they still differ.

    sent -> acknowledged -> in_work -> corrected -> closed (evidence)
                                   `-> refused (with a reason)
    withdrawn (by the sender, with a reason) and closed (by evidence) from every step that is not an end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SENT: Final = "sent"
ACKNOWLEDGED: Final = "acknowledged"
IN_WORK: Final = "in_work"
CORRECTED: Final = "corrected"
REFUSED: Final = "refused"
WITHDRAWN: Final = "withdrawn"
CLOSED: Final = "closed"
STILL: Final = "still_differs"  # an act, after which the status is in_work again
STATUSES: Final = (SENT, ACKNOWLEDGED, IN_WORK, CORRECTED, REFUSED, WITHDRAWN, CLOSED)
ENDS: Final = frozenset({REFUSED, WITHDRAWN, CLOSED})
WAITING: Final = frozenset({SENT, ACKNOWLEDGED, IN_WORK})  # on the owner, so that it can be late

# act -> the statuses it may follow
FOLLOWS: Final = {
    ACKNOWLEDGED: frozenset({SENT}),
    IN_WORK: frozenset({SENT, ACKNOWLEDGED}),
    CORRECTED: frozenset({SENT, ACKNOWLEDGED, IN_WORK}),
    REFUSED: frozenset({SENT, ACKNOWLEDGED, IN_WORK}),
    WITHDRAWN: frozenset({SENT, ACKNOWLEDGED, IN_WORK, CORRECTED}),
    CLOSED: frozenset({SENT, ACKNOWLEDGED, IN_WORK, CORRECTED, REFUSED}),
    STILL: frozenset({CORRECTED}),
}
BY_OWNER: Final = (ACKNOWLEDGED, IN_WORK, CORRECTED, REFUSED)
NEEDS_REASON: Final = frozenset({REFUSED, WITHDRAWN})
LIVE: Final = frozenset(STATUSES) - ENDS  # it is still somebody's
BY_EVIDENCE: Final = frozenset({CLOSED, STILL})


@dataclass(frozen=True, slots=True)
class Act:
    """One step: what, by whom, when, with which reason, by which run's evidence."""

    act: str
    by: str
    at: datetime
    reason: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a finding stands at a moment."""

    status: str
    overdue: bool
    since: datetime
    reason: str = ""


def standing(sent_at: datetime, due_at: datetime | None, acts: Sequence[Act], now: datetime) -> Standing:
    """The status after all acts, and whether the owner is late: past its last second, and the finding waits on them."""
    status, since, reason = SENT, sent_at, ""
    for act in acts:
        status = IN_WORK if act.act == STILL else act.act
        since, reason = act.at, act.reason
    return Standing(status, status in WAITING and due_at is not None and now > due_at, since, reason)


def refusal(act: str, status: str, reason: str, run: str) -> str:
    """Why `act` cannot follow `status`; empty when it can."""
    if act not in FOLLOWS:
        return f"acts are {', '.join(FOLLOWS)}"
    if status not in FOLLOWS[act]:
        return "it does not follow from there"
    if act in NEEDS_REASON and not reason.strip():
        return "a reason is needed"
    if act in BY_EVIDENCE and not run:
        return "only a comparison can show that"
    return ""
