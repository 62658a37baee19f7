"""A processed application as events for the measures, in the event model of the delivery discipline (section 4). Pure.

Plain dictionaries with the fields of `insight.events.EventFacts` (that room is above this one): `type` and `actor_kind` by their codes,
`case_ref` made by the caller's keyed pseudonym. No attribute of an applicant is among them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from kerege.ground.clock import require_utc
from kerege.services.admission import ASKED_AGAIN, Processed

_OUTCOMES: Final = {"admit": "granted", "refuse": "refused", "no-place": "refused"}


def events_of(
    processed: Processed,
    *,
    public_service: str,
    release: str,
    run_id: str,
    at: datetime,
    case_ref: Callable[[str], str],
    synthetic: bool = False,
) -> list[dict[str, Any]]:
    """The events of one application processed at `at`, in order.

    started, submitted    by the applicant
    check_answered        `auto`, one per register that answered
    decided               granted or refused; a case for the commission is no decision but a check by officials
    check_requested       step `manual` or `commission`, with the first reason
    info_requested        `once-only:` before the reason: the applicant is asked for what a connected register holds
    """
    require_utc(at, "at")
    base = {
        "case_ref": case_ref(processed.application.id),
        "public_service": public_service,
        "release": release,
        "channel": "portal",
        "synthetic": synthetic,
    }
    found: list[dict[str, Any]] = []

    def add(kind: str, occurred_at: datetime, actor: str, **more: str) -> None:
        number = f"{run_id}/{processed.way}/{processed.application.id}/{len(found) + 1}"
        found.append(base | {"event_id": number, "type": kind, "occurred_at": occurred_at, "actor_kind": actor} | more)

    submitted = processed.application.submitted_at
    at = max(at, submitted)
    add("started", submitted, "citizen")
    add("submitted", submitted, "citizen")
    for register in sorted({source.register for source in processed.sources}):
        add("check_answered", at, "system", qualifier="auto", step=register)
    decision = processed.decision
    if decision is not None and decision.kind in _OUTCOMES:
        reason = "" if decision.kind == "admit" else decision.reasons[0]
        add("decided", at, "system", qualifier=_OUTCOMES[decision.kind], reason_code=reason)
    elif decision is not None:
        add("check_requested", at, "system", step="commission", reason_code=decision.reasons[0])
    elif processed.kind == ASKED_AGAIN:
        add("info_requested", at, "system", reason_code="once-only:record_not_found")
    else:
        add(
            "check_requested",
            at,
            "system",
            step="manual",
            reason_code=processed.reasons[0] if processed.reasons else "",
        )
    return found
