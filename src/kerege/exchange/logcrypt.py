"""Encryption at rest of message log segments: AES-256-GCM over each frame's payload.

Every segment has a key of its own, HKDF-SHA-256 of the log's key over the segment's random salt, so a counter is nonce enough: the
number of the frame in its segment, used once, because no segment is ever written to by two runs nor after a failed write
(`logwriter`); the cipher itself refuses a number that is not above the last it sealed. The link before the
frame is authenticated with it, so a frame moved to another place does not open. X-Road encrypts the database's columns with AES-CTR
and no authentication; this is the better form. Where the key comes from is the caller's affair.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kerege.exchange.errors import LogKeyWrong

KEY_BYTES: Final = 32
NO_KEY: Final = bytes(16)
SEAL_BYTES: Final = 16  # what sealing adds
_INFO: Final = b"message log segment"


@dataclass(frozen=True, slots=True)
class LogKey:
    """The key of a log, 32 bytes; `id` names it in every segment and says nothing about it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a message log key is {KEY_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def parse(cls, text: str) -> LogKey:
        """From base64, as a key file or an environment variable holds it. Raises LogKeyWrong."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except ValueError:
            raise LogKeyWrong(file="its form", reason=f"it is not {KEY_BYTES} bytes in base64", key="unknown") from None

    @property
    def id(self) -> bytes:
        return _identifier(self.secret)


@lru_cache(maxsize=64)
def _identifier(secret: bytes) -> bytes:
    return hashlib.sha256(b"message log key identifier\0" + secret).digest()[: len(NO_KEY)]


class SegmentCipher:
    """Seals and opens the frames of one segment."""

    def __init__(self, key: LogKey, salt: bytes) -> None:
        derived = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=_INFO).derive(key.secret)
        self._cipher = AESGCM(derived)
        self._sealed = -1

    def seal(self, number: int, link: bytes, payload: bytes) -> bytes:
        if number <= self._sealed:
            raise RuntimeError(f"frame {number} of this segment was sealed before: its counter is spent")
        self._sealed = number
        return self._cipher.encrypt(number.to_bytes(12, "big"), payload, link)

    def open(self, number: int, link: bytes, payload: bytes) -> bytes:
        """Raises ValueError when the payload is not what was sealed at this place."""
        try:
            return self._cipher.decrypt(number.to_bytes(12, "big"), payload, link)
        except InvalidTag:
            raise ValueError("a frame does not open with the segment's key") from None
