"""How the commands say counts, certificates and what strangers wrote."""

from __future__ import annotations

from kerege.ground.text import counted as counted
from kerege.ground.text import worded as worded


def agreed(number: int, one: str, many: str) -> str:
    """The verb, or whatever else changes with a number that is told before it: 1 breaks, 2 break."""
    return one if number == 1 else many


def printable(text: str) -> str:
    """Without what would move a terminal or end a line: what a stranger named or wrote."""
    return "".join(c if c.isprintable() else "�" for c in text)


def fingerprint(sha256: str) -> str:
    """A SHA-256 (hex) as people compare it, and as openssl prints it: AB:CD:..."""
    digits = sha256.upper()
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def as_hex(fingerprint: str) -> str:
    """What `fingerprint` made, or plain hex, as plain hex."""
    return fingerprint.replace(":", "").lower()
