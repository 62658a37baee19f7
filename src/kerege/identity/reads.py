"""A read of personal data as a value: who, whose (a pseudonym), why, on what ground, by which message.

The ledger gets a salted commitment per read, never the read itself: without the salt nobody can tell from the public log
whose data was read, with it the parent's page can show that the row was not changed since. Erasing the salt erases the
link, and the tree still verifies (`ledger.commitment` makes and opens them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from kerege.ground.clock import iso

Channel = Literal["exchange", "desk", "portal", "job"]
CHANNELS: Final[tuple[Channel, ...]] = ("exchange", "desk", "portal", "job")

PSEUDONYM: Final = re.compile(r"[0-9a-f]{64}\Z")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,190}\Z")  # a legal basis may be an act's name
_PIN: Final = re.compile(r"\d{14}")
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._-]{0,190}\Z")


@dataclass(frozen=True, slots=True)
class Read:
    """One read. `reader` is an officer's identifier or `process:<name>`; `about` a keyed pseudonym, never a number."""

    member: str
    reader: str
    about: str
    purpose: str
    legal_basis: str
    data_service: str
    message_id: str
    at: datetime
    channel: Channel = "exchange"

    def faults(self) -> list[tuple[str, str]]:
        """(field, what it should be) for everything missing or malformed."""
        found: list[tuple[str, str]] = []
        if self.member.count("/") != 3:
            found.append(("member", "a subsystem, INSTANCE/CLASS/MEMBER/SUBSYSTEM"))
        if not PSEUDONYM.match(self.about):
            found.append(("about", "a keyed pseudonym of 64 hex digits, not a person's number"))
        if not self.legal_basis.strip() or not _NAME.match(self.legal_basis) or _PIN.search(self.legal_basis):
            found.append(("legal_basis", "the act and article, at most 190 characters"))
        for name in ("reader", "purpose", "data_service"):
            if not _CODE.match(str(getattr(self, name))):
                found.append((name, "a code of letters, digits and : / . _ -"))
        if self.channel not in CHANNELS:
            found.append(("channel", "one of " + ", ".join(CHANNELS)))
        if self.channel == "exchange" and not self.message_id:
            found.append(("message_id", "the exchange's message identifier"))
        if self.at.tzinfo is None:
            found.append(("at", "an aware time"))
        return found

    def as_value(self) -> dict[str, str]:
        """The read as canonical JSON takes it: what a commitment is made of."""
        return {
            "member": self.member,
            "reader": self.reader,
            "about": self.about,
            "purpose": self.purpose,
            "legal_basis": self.legal_basis,
            "data_service": self.data_service,
            "message_id": self.message_id,
            "at": iso(self.at),
            "channel": self.channel,
        }
