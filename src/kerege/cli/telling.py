"""How the commands say counts, certificates and what strangers wrote."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 table`, `2 tables`, `2 entries`, `2 matches`; of several words the last one is counted: `2 code lists`."""
    return f"{number} {what if number == 1 else _many(what)}"


def _many(what: str) -> str:
    if what.endswith("y") and what[-2:-1] not in "aeiou":
        return f"{what[:-1]}ies"
    return f"{what}{'es' if what.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


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
