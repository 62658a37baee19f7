"""Revocation: Token Status List (draft-ietf-oauth-status-list, JWT form, one bit per credential).

A list is a row of bits that the issuer signs and publishes again and again; a credential carries the list's URI and its index. Whoever
fetches the list does not tell the issuer which credential it is about.

Rules
- Publish first: an index is given out only by a list that was signed at least once.
- An index is used once and cannot be guessed from another: it is drawn at random among the free ones.
- One bit: valid or revoked, and revoked is for good. A list that is properly signed but out of date still proves a revocation; it
  never proves that a credential is valid.
- Only the credential's own issuer says whether it is revoked.
"""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from kerege.credentials.errors import (
    CredentialRefused,
    StatusListFull,
    StatusListInvalid,
    StatusListUnpublished,
)
from kerege.credentials.jws import SKEW, b64url, open_issued, strict_json, un_b64url, whole_seconds
from kerege.credentials.trust import TrustList
from kerege.ground.clock import require_utc
from kerege.ground.ids import new_id

if TYPE_CHECKING:
    from kerege.credentials.issuer import Issuer

TYP: Final = "statuslist+jwt"
BITS_MAX: Final = 1 << 24  # a list of 2 MB; larger ones are a bomb, not a list

StatusSource = Callable[[str], str | None]
"""Gives the status list token published at a URI, or None when it cannot be had. Files, a cache or the network are the caller's."""


@dataclass(frozen=True, slots=True)
class StatusRef:
    """Where a credential's status stands: which list, which bit."""

    uri: str
    index: int


@dataclass(slots=True)
class StatusList:
    """An issuer's list. Changing it from several processes at once needs a lock or a transaction around load and save."""

    uri: str
    size: int
    published_at: datetime | None = None
    _revoked: bytearray = field(default_factory=bytearray, repr=False)
    _taken: bytearray = field(default_factory=bytearray, repr=False)
    _dice: random.Random = field(default_factory=secrets.SystemRandom, repr=False)

    @classmethod
    def new(cls, size: int, uri: str | None = None, seed: int | None = None) -> StatusList:
        """An empty list of `size` bits (a multiple of 8).

        uri    where verifiers will find it; by default a fresh name that only an offline source can resolve
        seed   makes the indices repeatable, for demonstrations and tests; with it they can be guessed
        """
        if size <= 0 or size % 8 or size > BITS_MAX:
            raise StatusListInvalid(name=uri, reason=f"its size must be a multiple of 8 up to {BITS_MAX}")
        dice = secrets.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 repeatable on purpose
        name = f"urn:kerege:{new_id('status')}" if uri is None else uri
        return cls(name, size, None, bytearray(size // 8), bytearray(size // 8), dice)

    @property
    def allocated(self) -> int:
        return sum(byte.bit_count() for byte in self._taken)

    def allocate(self) -> StatusRef:
        """A free index, never given out before."""
        if self.published_at is None:
            raise StatusListUnpublished(uri=self.uri)
        for _ in range(64):  # quick while there is room
            index = self._dice.randrange(self.size)
            if not _bit(self._taken, index):
                return self._take(index)
        free = [i for i in range(self.size) if not _bit(self._taken, i)]
        if not free:
            raise StatusListFull(uri=self.uri, size=self.size)
        return self._take(self._dice.choice(free))

    def _take(self, index: int) -> StatusRef:
        self._taken[index // 8] |= 1 << index % 8
        return StatusRef(self.uri, index)

    def revoke(self, index: StatusRef | int) -> None:
        """Mark a credential revoked, for good. Verifiers learn it from the next published token."""
        if isinstance(index, StatusRef):
            if index.uri != self.uri:
                raise StatusListInvalid(name=self.uri, reason="the credential's status stands in another list")
            index = index.index
        if not 0 <= index < self.size or not _bit(self._taken, index):
            raise StatusListInvalid(name=self.uri, reason=f"the index {index} was never given out")
        self._revoked[index // 8] |= 1 << index % 8

    def is_revoked(self, index: StatusRef | int) -> bool:
        place = index.index if isinstance(index, StatusRef) else index
        return 0 <= place < self.size and _bit(self._revoked, place)

    def to_jwt(self, issuer: Issuer, now: datetime, ttl: timedelta) -> str:
        """Sign the list as it is, good until `now + ttl`; this is what is published at its URI."""
        issued, seconds = int(require_utc(now).timestamp()), int(ttl.total_seconds())
        if seconds <= 0:
            raise StatusListInvalid(name=self.uri, reason="its time to live is not positive")
        payload = {
            "iss": issuer.issuer_id,
            "sub": self.uri,
            "iat": issued,
            "exp": issued + seconds,
            "ttl": seconds,
            "status_list": {"bits": 1, "lst": b64url(zlib.compress(bytes(self._revoked), 9))},
        }
        token = issuer.sign_json(TYP, payload)
        self.published_at = now
        return token

    def save(self, path: Path) -> None:
        """Write the list beside `path` and put it in place at once. It says which indices are taken: not for publication."""
        row = {
            "uri": self.uri,
            "size": self.size,
            "published_at": None if self.published_at is None else int(self.published_at.timestamp()),
            "revoked": base64.b64encode(zlib.compress(bytes(self._revoked))).decode(),
            "taken": base64.b64encode(zlib.compress(bytes(self._taken))).decode(),
        }
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(row, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> StatusList:
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            size = int(row["size"])
            revoked, taken = (bytearray(zlib.decompress(base64.b64decode(row[name]))) for name in ("revoked", "taken"))
            at = None if row["published_at"] is None else datetime.fromtimestamp(row["published_at"], UTC)
            uri = str(row["uri"])
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise StatusListInvalid(name=path, reason="the file cannot be read") from error
        if len(revoked) * 8 != size or len(taken) * 8 != size:
            raise StatusListInvalid(name=path, reason="it has not as many bits as it says")
        return cls(uri, size, at, revoked, taken)


@dataclass(frozen=True, slots=True)
class StatusFinding:
    """What a list says: `checked_at` is when the issuer signed it."""

    state: Literal["valid", "revoked", "unknown", "refused"]
    reason: str | None
    checked_at: datetime | None


def check_status(
    ref: StatusRef, issuer_id: str, source: StatusSource | None, trust: TrustList, now: datetime
) -> StatusFinding:
    """What is known at `now` about the status of a credential of `issuer_id`. Never raises on a bad list."""
    token = None if source is None else source(ref.uri)
    if token is None:
        return StatusFinding("unknown", "credentials.status_missing", None)
    try:
        payload, issuer = open_issued(token.strip(), TYP, trust, now)
        if issuer.id != issuer_id or payload.get("sub") != ref.uri:
            raise CredentialRefused("credentials.status_forged")
        bits = _bits_of(payload)
        issued, ends = whole_seconds(payload.get("iat")), whole_seconds(payload.get("exp"))
    except CredentialRefused:
        return StatusFinding("refused", "credentials.status_forged", None)
    if issued is None or ends is None or issued > (now + SKEW).timestamp():
        return StatusFinding("refused", "credentials.status_forged", None)
    at = datetime.fromtimestamp(issued, UTC)
    if ref.index >= len(bits) * 8:
        return StatusFinding("unknown", "credentials.status_index_outside", at)
    if _bit(bits, ref.index):
        return StatusFinding("revoked", "credentials.revoked", at)
    if now.timestamp() >= ends:
        return StatusFinding("unknown", "credentials.status_stale", at)
    return StatusFinding("valid", None, at)


def status_from_texts(texts: Iterable[str]) -> StatusSource:
    """A source over tokens at hand, found by the URI each speaks for. Nothing is trusted here; `check_status` does that."""
    found: dict[str, str] = {}
    for text in texts:
        try:
            payload = strict_json(un_b64url(text.strip().split(".")[1]))
            found[str(payload["sub"])] = text
        except (CredentialRefused, IndexError, KeyError, TypeError):
            found.setdefault("", text)  # unreadable: offered for any URI, so that it is refused rather than overlooked
    return lambda uri: found.get(uri, found.get(""))


def read_ref(status: object) -> StatusRef | None:
    """The reference in a credential's `status` claim; None without one; refused when it is of another kind or malformed."""
    if status is None:
        return None
    ref: Any = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(ref, dict):
        raise CredentialRefused("credentials.malformed")
    uri, index = ref.get("uri"), ref.get("idx")
    if not isinstance(uri, str) or isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise CredentialRefused("credentials.malformed")
    return StatusRef(uri, index)


def _bits_of(payload: dict[str, Any]) -> bytes:
    row = payload.get("status_list")
    if not isinstance(row, dict) or row.get("bits") != 1 or not isinstance(row.get("lst"), str):
        raise CredentialRefused("credentials.status_forged")
    return inflate(un_b64url(row["lst"]), BITS_MAX // 8)


def inflate(data: bytes, limit: int) -> bytes:
    """Decompress exactly one zlib stream of at most `limit` bytes."""
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(data, limit + 1)
    except zlib.error:
        raise CredentialRefused("credentials.malformed") from None
    if len(raw) > limit:
        raise CredentialRefused("credentials.too_large")
    if not reader.eof or reader.unused_data:
        raise CredentialRefused("credentials.malformed")
    return raw


def _bit(bits: bytes | bytearray, index: int) -> bool:
    return bool(bits[index // 8] >> index % 8 & 1)
