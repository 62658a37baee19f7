"""The states of a traffic permit, and which of them carry traffic.

Source: delivery discipline, "Traffic permit by gate". `held` lets running cases go on and takes no new consumers; `restricted`
reads and finishes only; both still carry messages, so cutting off citizens is always a decision of its own (`closed`).
"""

from __future__ import annotations

from enum import StrEnum


class PermitState(StrEnum):
    """What may flow for a public service."""

    NONE = "none"
    SANDBOX = "sandbox"
    PILOT = "pilot"
    STAGED = "staged"
    NATIONAL = "national"
    HELD = "held"
    RESTRICTED = "restricted"
    CLOSED = "closed"

    @property
    def carries(self) -> bool:
        """Whether real messages may pass at all."""
        return self not in (PermitState.NONE, PermitState.CLOSED)
