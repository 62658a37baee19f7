"""Keyed pseudonyms: HMAC-SHA-256 of a person's number under a key that lives only in a file of this installation.

Without the key nobody can go from a pseudonym to a number by trying all numbers (a PIN has few enough to try). One root
key; every use derives its own (`for_use`), so a pseudonym of the read register and a case reference in the measures never
match each other by accident. No Django here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kerege.identity.errors import KeyDamaged, KeyExposed

KEY_FILE: Final = "pseudonym.key"
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """A secret of 32 bytes; its `repr` does not show it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _KEY_BYTES:
            raise ValueError(f"a pseudonym key has {_KEY_BYTES} bytes, got {len(self.secret)}")

    def of(self, number: str) -> str:
        """The pseudonym of a person's `number`: 64 hex digits, equal for equal numbers, spaces at the ends aside."""
        text = number.strip()
        if not text:
            raise ValueError("a pseudonym needs a number")
        return hmac.new(self.secret, b"kerege/pseudonym/1\x00" + text.encode(), hashlib.sha256).hexdigest()

    def for_use(self, use: str) -> PseudonymKey:
        """The key for one `use`, such as `case/grade1-admission`; pseudonyms of two uses cannot be joined."""
        return PseudonymKey(hmac.new(self.secret, b"kerege/derive/1\x00" + use.encode(), hashlib.sha256).digest())


def open_key(home: Path) -> PseudonymKey:
    """The installation's key in `home`/keys, made once with mode 0600.

    Two processes that start together get the same key: it is written aside and linked into place, and a link never
    replaces what is there. Raises KeyExposed when others may read it and KeyDamaged when it is not a key.
    """
    path = home / "keys" / KEY_FILE
    if not path.exists():
        _create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyExposed(file=str(path), mode=f"{mode:04o}")
    try:
        return PseudonymKey(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except (ValueError, UnicodeDecodeError) as fault:
        raise KeyDamaged(file=str(path)) from fault


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first; its key is the key
            os.link(aside, path)
    finally:
        aside.unlink()
