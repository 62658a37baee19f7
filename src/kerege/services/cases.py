"""A case's status, computed from its actions. Pure: the status is never stored, so it cannot disagree with what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

READ_CASES: Final = "services.case.read"  # the action a role must contain for a person to look into cases

SUBMITTED: Final = "submitted"
EVIDENCE: Final = "evidence_gathered"
DECIDED: Final = "decided"
TO_OFFICER: Final = "sent_to_officer"
ASKED: Final = "applicant_asked"
ANSWERED: Final = "applicant_answered"
DOCUMENT: Final = "document_issued"
WITHDRAWN: Final = "withdrawn"
KINDS: Final = (SUBMITTED, EVIDENCE, DECIDED, TO_OFFICER, ASKED, ANSWERED, DOCUMENT, WITHDRAWN)

_STATUS: Final = {
    SUBMITTED: "received",
    DECIDED: "decided",
    TO_OFFICER: "with_officer",
    ASKED: "waiting_for_applicant",
    ANSWERED: "with_officer",
    WITHDRAWN: "withdrawn",
}
STATUSES: Final = ("received", "with_officer", "waiting_for_applicant", "decided", "withdrawn")


def status_of(kinds: Sequence[str]) -> str:
    """The status after these actions, in order; gathering evidence and issuing a document change none. Withdrawn stays withdrawn."""
    status = "received"
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown action {kind!r}")
        if status != "withdrawn":
            status = _STATUS.get(kind, status)
    return status
