"""Files encrypted for OpenPGP recipients (RFC 9580, RFC 4880) while they are written, as X-Road's archives are (UG-SS 11.1).

Public keys are read from files, armoured or binary, one or several in each. A key is refused unless it can be encrypted for at this
moment: expired, revoked, made for signing only, too weak for today's policy, or a secret key where only the public one belongs. Nothing
falls back to clear text.

The library (Sequoia) takes whole buffers or whole files and holds the interpreter meanwhile. So a process of its own does the work
(`openpgp_writer`): what is written here goes to it through a pipe, piece by piece, and all that reaches the disk is encrypted.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kerege.exchange import logfolder
from kerege.exchange.errors import ArchiveFailed, RecipientUnusable
from kerege.exchange.ids import ClientId

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet

SUFFIX: Final = ".gpg"
_WRITER: Final = Path(__file__).with_name("openpgp_writer.py")
_BUFFER: Final = 256 * 1024
# of the node's environment, where passphrases may stand, the process that encrypts gets what an interpreter needs
_ENVIRONMENT: Final = frozenset(
    {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR"}
)
_PRIVATE: Final = b"PGP PRIVATE KEY BLOCK"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that can be encrypted for; `expires` None when it does not."""

    fingerprint: str
    expires: datetime | None
    public: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whose keys archives are encrypted for: a subsystem's own, else its member's own, else the default."""

    default: tuple[Key, ...]
    of: Mapping[ClientId, tuple[Key, ...]] = field(default_factory=dict)

    def keys(self, client: ClientId) -> tuple[Key, ...]:
        member = ClientId(client.instance, client.member_class, client.member_code)
        return self.of.get(client) or self.of.get(member) or self.default


def read_recipients(files: Iterable[Path], of: Mapping[ClientId, Iterable[Path]], now: datetime) -> Recipients:
    """All keys of all files. Raises RecipientUnusable when one of them cannot be encrypted for."""

    def keys(some: Iterable[Path]) -> tuple[Key, ...]:
        found = {key.fingerprint: key for file in some for key in read_keys(file, now)}
        return tuple(found.values())

    return Recipients(keys(files), {client: keys(own) for client, own in of.items()})


def read_keys(file: Path, now: datetime) -> tuple[Key, ...]:
    """The public keys in one file, at least one. Raises RecipientUnusable when one of them cannot be encrypted for at `now`."""
    from pysequoia import Cert
    from pysequoia.packet import PacketPile, Tag

    def refused(reason: str) -> RecipientUnusable:
        return RecipientUnusable(file=file, reason=reason)

    try:
        data = file.read_bytes()
    except OSError as problem:
        raise refused(problem.strerror or "it cannot be read") from None
    try:
        found = Cert.split_bytes(data)
        tags = [packet.tag for packet in PacketPile.from_bytes(data)] if found else []
    except RuntimeError:
        raise refused("it is no OpenPGP public key, armoured or binary") from None
    if not found:
        raise refused("there is no key in it")
    if _PRIVATE in data or Tag.SecretKey in tags or Tag.SecretSubkey in tags:
        raise refused("it holds a secret key, which belongs to whoever decrypts and not here")
    return tuple(_usable(one, now, refused) for one in found)


def _usable(cert: Cert, now: datetime, refused: Callable[[str], RecipientUnusable]) -> Key:
    """The library itself would encrypt for a key whose owner has revoked it, or whose time or whose subkey's time is over."""
    from pysequoia import Cert, encrypt

    name = cert.fingerprint.upper()
    try:
        revoked, expires = cert.is_revoked, cert.expiration
        if revoked:
            raise refused(f"the key {name} is revoked")
        if expires is not None and expires <= now:
            raise refused(f"the key {name} expired {expires:%Y-%m-%d}")
        public, ends = _without_expired_subkeys(bytes(cert), now)
        encrypt(b"", recipients=[Cert.from_bytes(public)], armor=False)
    except RuntimeError as problem:
        if "No suitable encryption" in str(problem):
            reason = "has nothing in it that can be encrypted for now: it is for signing only, or its part for encryption is over"
        else:
            reason = f"cannot be used now ({_first_line(problem)})"
        raise refused(f"the key {name} {reason}") from None
    return Key(name, min((end for end in (expires, ends) if end is not None), default=None), public)


def _without_expired_subkeys(public: bytes, now: datetime) -> tuple[bytes, datetime | None]:
    """The certificate without the subkeys whose time is over at `now`; when the last of those that encrypt ends, None for never."""
    from pysequoia.packet import PacketPile, Tag

    parts: list[list[Packet]] = [[]]  # a key, a name or a subkey, each with its signatures
    for packet in PacketPile.from_bytes(public):
        if packet.tag != Tag.Signature:
            parts.append([])
        parts[-1].append(packet)
    out: list[bytes] = []
    ends: list[datetime | None] = []
    for part in parts:
        if part and part[0].tag == Tag.PublicSubkey:
            end, encrypts = _bound(part)
            if end is not None and end <= now:
                continue
            if encrypts:
                ends.append(end)
        out += [bytes(one) for one in part]
    known = [end for end in ends if end is not None]
    return b"".join(out), max(known) if known and len(known) == len(ends) else None


def _bound(subkey: list[Packet]) -> tuple[datetime | None, bool]:
    """Until when a subkey is bound to its key, None for ever, and whether to encrypt: by the latest signature that says so."""
    from pysequoia.packet import SignatureType

    created = subkey[0].key_created
    signed = [
        (one.signature_created, one.key_validity_period, one.key_flags)
        for one in subkey[1:]
        if one.signature_type == SignatureType.SubkeyBinding and one.signature_created is not None
    ]
    revoked = any(one.signature_type == SignatureType.SubkeyRevocation for one in subkey[1:])
    if revoked or not signed or created is None:
        return None, False  # the library finds nothing in it to encrypt for
    _, lasts, flags = max(signed, key=lambda one: one[0])
    encrypts = flags is not None and (flags.storage_encryption or flags.transport_encryption)
    return (created + lasts if lasts else None), encrypts


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]


class EncryptedFile:
    """A new file for its owner only, encrypted while it is written, in order. `finish` ends it, or `close` before its end.

    Raises ArchiveFailed when it cannot be encrypted or written (a full disk), OSError when it cannot be made.
    """

    def __init__(self, path: Path, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError("nobody to encrypt for")
        public = b"".join(key.public for key in keys)
        self._file = logfolder.create_own(path)  # empty, and the same file that the process writes
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_WRITER), str(path), str(len(public))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=_BUFFER,
                env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
            )
        except BaseException:
            self._file.close()
            raise
        assert self._process.stdin is not None
        self._pipe = self._process.stdin
        self._failure: ArchiveFailed | None = None
        self.write(public)

    def write(self, data: bytes) -> int:
        if self._failure is not None:  # whoever writes it goes on to its end all the same, as zipfile does
            raise self._failure
        try:
            return self._pipe.write(data)
        except BrokenPipeError:
            raise self._refused() from None

    def flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            self._pipe.flush()
        except BrokenPipeError:
            raise self._refused() from None

    def finish(self) -> None:
        """All of it encrypted and on disk."""
        self.flush()
        self._pipe.close()
        if self._process.wait() != 0:
            raise self._refused()
        self._end()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Write no more. What is on disk until then is encrypted, and the caller's to remove."""
        self._process.kill()
        self._end()
        self._file.close()

    def _refused(self) -> ArchiveFailed:
        assert self._process.stderr is not None
        said = self._process.stderr.read(1000).decode("utf-8", "replace")
        self._end()
        self._failure = ArchiveFailed(
            reason=f"they could not be encrypted ({said or 'the process that encrypts ended'})"
        )
        return self._failure

    def _end(self) -> None:
        with suppress(OSError):  # what it still held for a process that is gone
            self._pipe.close()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
