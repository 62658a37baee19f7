"""Signed tree heads: C2SP `signed-note`, `tlog-checkpoint` and `tlog-cosignature` (Ed25519). Pure.

A checkpoint is three lines (origin, size, root) under two signatures of the log's key: the plain one (type 0x01), which every
C2SP client checks, and a time-stamped one (type 0x04), because the plain text has no time in it and whoever relies on a
checkpoint must know how fresh it is. Witnesses add theirs, type 0x04, with keys of their own (`ledger.witness`).

    kerege.example/ledger
    1532
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — kerege.example/ledger Az3grlgt...
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kerege.ground.clock import require_utc
from kerege.ground.text import counted
from kerege.ledger.errors import KeyInvalid, NoteInvalid
from kerege.ledger.merkle import HASH_SIZE

PLAIN: Final = 0x01
TIMED: Final = 0x04
_DASH: Final = "— "
_SIGNATURES_MAX: Final = 64  # the note specification asks to accept at least 16
_NOTE_MAX: Final = 100_000
_COSIGNATURE: Final = "cosignature/v1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many records, what root."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or self.origin == _COSIGNATURE or not self.origin.isprintable():
            raise NoteInvalid(reason="the origin line is empty or not allowed")
        if self.size < 0 or len(self.root) != HASH_SIZE:
            raise NoteInvalid(reason="the size is negative or the root is not 32 bytes")

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key under a name (for a log: its origin)."""

    name: str
    private: Ed25519PrivateKey

    def __post_init__(self) -> None:
        _check_name(self.name)

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half, with the text form that is handed to others: `<name>+<key id>+<base64(type || key)>`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != 32:
            raise KeyInvalid(name=self.name, reason="an Ed25519 public key has 32 bytes")

    def key_id(self, kind: int) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        material = base64.b64encode(bytes([PLAIN]) + self.public).decode()
        return f"{self.name}+{self.key_id(PLAIN).hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise KeyInvalid(name=parts[0] or "(no name)", reason="it has not three parts")
        name, key_id, material = parts
        try:
            raw = canonical_base64(material)
        except ValueError:
            raise KeyInvalid(name=name, reason="its last part is not base64") from None
        if len(raw) != 33 or raw[0] not in (PLAIN, TIMED):
            raise KeyInvalid(name=name, reason="it is not an Ed25519 key")
        key = cls(name, raw[1:])
        if key.key_id(raw[0]).hex() != key_id:
            raise KeyInvalid(name=name, reason="its key id does not belong to its name and key")
        return key


@dataclass(frozen=True, slots=True)
class NoteSignature:
    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart; nothing in it is verified yet."""

    checkpoint: Checkpoint
    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """What a key's owner signed. `signed_at` is None when that key gave no time-stamped signature."""

    checkpoint: Checkpoint
    signed_at: datetime | None
    witnesses: dict[str, datetime]


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey, now: datetime) -> str:
    """The signed note, by the log itself: the plain signature, then the time-stamped one."""
    plain = key.private.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{_line(key, PLAIN, plain)}{cosignature(checkpoint.text, key, now)}"


def cosignature(text: str, key: SigningKey, now: datetime) -> str:
    """One time-stamped signature line over a note's text (tlog-cosignature, Ed25519)."""
    seconds = int(require_utc(now).timestamp())
    signed = key.private.sign(f"{_COSIGNATURE}\ntime {seconds}\n{text}".encode())
    return _line(key, TIMED, seconds.to_bytes(8, "big") + signed)


def parse_note(note: str) -> Note:
    """Take a note apart. Raises NoteInvalid on anything that is not one."""
    if len(note) > _NOTE_MAX:
        raise NoteInvalid(reason="it is larger than any checkpoint")
    if any(ord(c) < 32 and c != "\n" for c in note):
        raise NoteInvalid(reason="it has control characters")
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteInvalid(reason="there is no blank line before the signatures, or no newline at the end")
    text = head + "\n"
    lines = tail[:-1].split("\n")
    if len(lines) > _SIGNATURES_MAX:
        raise NoteInvalid(reason=f"it has more than {_SIGNATURES_MAX} signatures")
    return Note(_parse_text(text), text, tuple(_parse_signature(line) for line in lines))


def verify_checkpoint(
    note: str, log: VerifierKey, origin: str | None = None, witnesses: Iterable[VerifierKey] = (), quorum: int = 0
) -> VerifiedCheckpoint:
    """Check a note against the keys its reader trusts.

    log         must have signed; any of its signatures that fails refuses the whole note
    origin      the expected origin, by default the log key's name
    witnesses   keys whose counter-signatures count; those of other keys are ignored, as the specification says
    quorum      how many of them must have signed
    """
    taken = parse_note(note)
    expected = log.name if origin is None else origin
    if taken.checkpoint.origin != expected:
        raise NoteInvalid(reason="it speaks of another log")
    plain, signed_at = _check(taken, log)
    if not plain:
        raise NoteInvalid(reason="the log's own signature is missing")
    seen = {}
    for key in witnesses:
        if key.public == log.public:
            continue  # a log is not its own witness
        _, at = _check(taken, key)
        if at is not None:
            seen[key.name] = at
    if len(seen) < quorum:
        raise NoteInvalid(
            reason=f"{counted(len(seen), 'known witness')} signed, {quorum} {'is' if quorum == 1 else 'are'} asked for"
        )
    return VerifiedCheckpoint(taken.checkpoint, signed_at, seen)


def _check(note: Note, key: VerifierKey) -> tuple[bool, datetime | None]:
    """(the plain signature is there, the time of the time-stamped one) by `key`; a false one raises."""
    public, plain, at = Ed25519PublicKey.from_public_bytes(key.public), False, None
    for line in note.signatures:
        if line.name != key.name:
            continue
        try:
            if line.key_id == key.key_id(PLAIN):
                public.verify(line.signature, note.text.encode())
                plain = True
            elif line.key_id == key.key_id(TIMED):
                seconds = int.from_bytes(line.signature[:8], "big")
                message = f"{_COSIGNATURE}\ntime {seconds}\n{note.text}"
                public.verify(line.signature[8:], message.encode())
                at = datetime.fromtimestamp(seconds, UTC)
        except (InvalidSignature, ValueError, OverflowError):
            raise NoteInvalid(reason=f"a signature under the name {key.name} is false") from None
    return plain, at


def canonical_base64(text: str) -> bytes:
    """What a text encodes in the one form that encoding writes: a note has one spelling. Raises ValueError for anything else."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("bits are left over that are not zero")
    return raw


def _parse_text(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteInvalid(reason="its text has not the lines origin, size and root")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")) or len(size) > 19:
        raise NoteInvalid(reason="its size is not a plain decimal number")
    try:
        raw = canonical_base64(root)
    except ValueError:
        raise NoteInvalid(reason="its root is not base64") from None
    return Checkpoint(origin, int(size), raw)


def _parse_signature(line: str) -> NoteSignature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not parts[0]:
        raise NoteInvalid(reason="a signature line does not read as one")
    try:
        raw = canonical_base64(parts[1])
    except ValueError:
        raise NoteInvalid(reason="a signature is not base64") from None
    if len(raw) < 5:
        raise NoteInvalid(reason="a signature is too short")
    return NoteSignature(parts[0], raw[:4], raw[4:])


def _line(key: SigningKey, kind: int, signature: bytes) -> str:
    raw = key.verifier.key_id(kind) + signature
    return f"{_DASH}{key.name} {base64.b64encode(raw).decode()}\n"


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() for c in name) or not name.isprintable():
        raise KeyInvalid(name=name or "(no name)", reason="a name is not empty and has no spaces and no plus sign")
