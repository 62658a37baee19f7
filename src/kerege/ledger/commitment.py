"""Commitments: what the tree holds in place of personal content, and how to erase that content for good.

A record carries `commit(value, salt)`. Who has the salt and the value can show that they are what was recorded; who has only
the commitment learns nothing, not even by trying every PIN, because the salt is 32 random bytes. Deleting salt and value
erases; the record and the tree above it stay as they are.

One salt per value hides whether two records speak of the same thing. To follow one person through many records (who read
this child's data), the rooms above keep one salt per person and use it again: then equal values give equal commitments, and
deleting that one salt unlinks all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any, Final

from kerege.ground.ids import canonical_json

_PREFIX: Final = "hmac-sha256:"
_FORM: Final = re.compile(r"^hmac-sha256:[0-9a-f]{64}$")
_SALT_MIN: Final = 16


def new_salt() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(32)


def commit(value: Any, salt: bytes) -> str:
    """The commitment to `value` (anything canonical JSON takes) under `salt`, at least 16 bytes."""
    if len(salt) < _SALT_MIN:
        raise ValueError(f"a salt has at least {_SALT_MIN} bytes, or its values can be guessed")
    return _PREFIX + hmac.new(salt, canonical_json(value), hashlib.sha256).hexdigest()


def opens(commitment: str, value: Any, salt: bytes) -> bool:
    """Whether `value` and `salt` are what `commitment` was made from."""
    return hmac.compare_digest(commitment.encode(), commit(value, salt).encode())


class Openings:
    """Salts and values beside a ledger, one file each (mode 0600), so that one can be erased without touching another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def open(cls, folder: Path) -> Openings:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(folder)

    def keep(self, value: Any, salt: bytes | None = None) -> str:
        """Store `value` under a fresh salt (or `salt`) and return its commitment, for the record."""
        used = new_salt() if salt is None else salt
        commitment = commit(value, used)
        path = self._path(commitment)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        beside = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(canonical_json({"salt": used.hex(), "value": value}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        return commitment

    def reveal(self, commitment: str) -> Any:
        """The value behind `commitment`, or None when it was erased, never kept, or does not open the commitment."""
        try:
            kept = json.loads(self._path(commitment).read_bytes())
        except FileNotFoundError:
            return None
        return kept["value"] if opens(commitment, kept["value"], bytes.fromhex(kept["salt"])) else None

    def erase(self, commitment: str) -> bool:
        """Delete value and salt; False when there was nothing to delete. Backups of this folder are the operator's to expire."""
        path = self._path(commitment)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, commitment: str) -> Path:
        if not _FORM.match(commitment):  # also keeps a crafted commitment from naming a file elsewhere
            raise ValueError("this is not a commitment made by `commit`")
        name = commitment.removeprefix(_PREFIX)
        return self._folder / name[:2] / f"{name}.json"
