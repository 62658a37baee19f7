"""An event of a case, as a value that checks itself before it is recorded.

Source: delivery discipline, section 4, event model. What a person wrote, is called or lives at has no field here; a code with
fourteen digits in a row is refused, because that is what a PIN looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from kerege.identity.pseudonyms import PseudonymKey


class EventType(StrEnum):
    """What happened, in the order in which it does when two events bear the same time."""

    STARTED = "started"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    CHECK_REQUESTED = "check_requested"
    CHECK_ANSWERED = "check_answered"
    RECONCILED = "reconciled"
    INFO_REQUESTED = "info_requested"
    INFO_RECEIVED = "info_received"
    RETURNED = "returned"
    DECIDED = "decided"
    NOTIFIED = "notified"
    APPEALED = "appealed"
    REOPENED = "reopened"
    RETRACTED = "retracted"  # a correction that only takes an event back


class ActorKind(StrEnum):
    """Who did it, as a kind, never as a person."""

    CITIZEN = "citizen"
    ASSISTED = "assisted"
    OFFICIAL = "official"
    SYSTEM = "system"


QUALIFIERS: Final[dict[EventType, frozenset[str]]] = {
    EventType.CHECK_ANSWERED: frozenset({"auto", "manual"}),
    EventType.DECIDED: frozenset({"granted", "refused", "withdrawn", "lapsed", "duplicate"}),
}
ONCE_ONLY: Final = "once-only:"  # a reason of info_requested: a connected register could have given it

# the step of a check_requested by which a case leaves the rules and goes to a person's desk
TO_A_PERSON: Final = frozenset({"manual", "commission"})
RECONCILE_BY_HAND: Final = "manual"

_CODE: Final = re.compile(r"[A-Za-z0-9][a-zA-Z0-9:/._-]{0,99}\Z")
_REF: Final = re.compile(r"[0-9a-f]{64}\Z")
_PIN: Final = re.compile(r"\d{14}")
_AREA: Final = re.compile(r"\d{2,14}\Z")


@dataclass(frozen=True, slots=True)
class EventFacts:
    """One event. `case_ref` comes from `case_ref()`; `reason_code` is from the public service's closed list."""

    event_id: str
    case_ref: str
    public_service: str
    type: EventType
    occurred_at: datetime
    actor_kind: ActorKind
    qualifier: str = ""
    release: str = ""
    step: str = ""
    reason_code: str = ""
    channel: str = "portal"
    area_soate: str = ""
    org_id: str = ""
    exchange_id: str = ""
    trace_id: str = ""
    prev_case_ref: str = ""
    correction_of: str = ""
    synthetic: bool = False

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> EventFacts:
        """From plain data with the same field names, `type` and `actor_kind` by their codes (`services.events` makes such)."""
        coded = {"type": EventType(raw["type"]), "actor_kind": ActorKind(raw["actor_kind"])}
        return cls(**{**raw, **coded})

    def faults(self) -> list[tuple[str, str]]:
        """(field, what it should be) for everything missing or malformed."""
        found: list[tuple[str, str]] = []
        for name in ("case_ref", "prev_case_ref"):
            value = str(getattr(self, name))
            if (value or name == "case_ref") and not _REF.match(value):
                found.append((name, "a keyed pseudonym of 64 hex digits"))
        for name in ("event_id", "public_service", "channel"):
            if not _CODE.match(str(getattr(self, name))):
                found.append((name, "a code of letters, digits and : / . _ -"))
        for name in ("step", "reason_code", "release"):
            value = str(getattr(self, name))
            if value and (not _CODE.match(value) or _PIN.search(value)):
                found.append((name, "a code from the closed list, without a run of 14 digits"))
        if self.occurred_at.tzinfo is None:
            found.append(("occurred_at", "an aware time"))
        allowed = QUALIFIERS.get(self.type, frozenset({""}))
        if self.qualifier not in allowed:
            found.append(("qualifier", "one of " + ", ".join(sorted(allowed)) if allowed != {""} else "empty"))
        if self.area_soate and not _AREA.match(self.area_soate):
            found.append(("area_soate", "a SOATE code of the handling office"))
        if self.type is EventType.RETRACTED and not self.correction_of:
            found.append(("correction_of", "the event taken back"))
        return found


def case_ref(key: PseudonymKey, public_service: str, case_id: str) -> str:
    """The reference of a case in the events: keyed per public service, so two services' cases cannot be joined."""
    return key.for_use(f"case/{public_service}").of(case_id)
