"""Bodies of any size: bytes while they are small, an unnamed temporary file (`Spool`) beyond a limit; and how both are read.

For issue 3, "Bounded memory, and big bodies": whatever passes through a node is held in memory up to a limit and on disk beyond it.
The SHA-512 that hash chains and log records need is taken while a spool is written, so that nothing is read twice.

Who makes a body from the network is `node.http.server`, `node.http.client` and `exchange.multipart`; who receives it from them may read
it until the exchange is over, when the server closes it. A spool has no name: nothing is left behind by a process that is killed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kerege.exchange.errors import BodyRefused, MessageTooLarge

PIECE: Final = 256 * 1024
MEMORY: Final = 256 * 1024
_SLOW_TO_FREE: Final = 64 * 1024 * 1024


class Spool:
    """A body in an unnamed temporary file: written once, front to back; then read as often as is wanted, by any number of readers."""

    __slots__ = ("_digest", "_file", "_folder", "_hash", "_pending", "_written")

    def __init__(self, folder: Path | str) -> None:
        self._file = -1
        self._folder = os.fspath(folder)
        self._hash = hashlib.sha512()
        self._digest: bytes | None = None
        self._pending = bytearray()  # a body in tiny chunks costs no call to the disk for each
        self._written = 0
        self._file = _unnamed(self._folder)

    @classmethod
    def of(cls, pieces: Iterable[bytes], folder: Path | str) -> Spool:
        """All of `pieces`, written and sealed."""
        spool = cls(folder)
        try:
            for piece in pieces:
                spool.write(piece)
            return spool.seal()
        except BaseException:
            spool.close()
            raise

    def write(self, data: bytes) -> None:
        """Raises BodyRefused when the disk does not take it; the spool is closed then."""
        if self._digest is not None:
            raise BodyRefused(reason="it was already complete")
        if len(self._pending) + len(data) < PIECE:
            self._pending += data
            return
        self._flush()
        self._append(data)

    def seal(self) -> Self:
        """The body is complete: from now on it has its digest and may be read."""
        if self._digest is None:
            self._flush()
            self._digest = self._hash.digest()
        return self

    def _flush(self) -> None:
        if self._pending:
            data, self._pending = self._pending, bytearray()
            self._append(data)

    def _append(self, data: bytes | bytearray) -> None:
        self._hash.update(data)
        view = memoryview(data)
        try:
            while view:
                done = os.pwrite(self._descriptor(), view, self._written)
                self._written += done
                view = view[done:]
        except OSError as problem:
            self.close()
            raise BodyRefused(reason=_reason(problem, self._folder)) from None

    @property
    def size(self) -> int:
        return self._written + len(self._pending)

    @property
    def sha512(self) -> bytes:
        return self.seal()._digest or b""

    @property
    def closed(self) -> bool:
        return self._file < 0

    def _descriptor(self) -> int:
        if self._file < 0:
            raise BodyRefused(reason="it was closed before it was read")
        return self._file

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end."""
        if self._pending:
            self._flush()
        out = b""
        wanted = min(size, self._written - offset)
        while len(out) < wanted:
            try:
                piece = os.pread(self._descriptor(), wanted - len(out), offset + len(out))
            except OSError as problem:
                raise BodyRefused(reason=_reason(problem, self._folder)) from None
            if not piece:
                raise BodyRefused(reason="the file that held it was cut short")
            out = out + piece if out else piece
        return out

    def chunks(self, size: int = PIECE) -> Iterator[bytes]:
        offset = 0
        while offset < self.size:
            piece = self.read_at(offset, size)
            offset += len(piece)
            yield piece

    def read(self) -> bytes:
        return self.read_at(0, self.size)

    def close(self) -> None:
        """Give the disk its space back; a second time is harmless."""
        file, self._file = self._file, -1
        self._pending = bytearray()
        if file < 0:
            return
        if self._written >= _SLOW_TO_FREE:
            # the system takes some 50 ms to free a gigabyte: whoever closes it may be serving others; at the interpreter's end
            # there are no new threads
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=_close_file, args=(file,), daemon=True).start()
                return
        _close_file(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return self.size > 0

    def __repr__(self) -> str:
        return f"<Spool of {self.size} bytes{', closed' if self.closed else ''}>"


Body = bytes | Spool


@dataclass(slots=True)  # not frozen, like the messages it is part of: two or three are made for each
class Attachment:
    """One part of a message beside its main part: a REST body has no headers; a SOAP attachment has its own, and is kept as sent."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: Body

    @property
    def sha512(self) -> bytes:
        return body_sha512(self.body)


def body_size(body: Body | None) -> int:
    return 0 if body is None else len(body)


def body_sha512(body: Body) -> bytes:
    return hashlib.sha512(body).digest() if isinstance(body, bytes) else body.sha512


def body_chunks(body: Body, size: int = PIECE) -> Iterator[bytes]:
    """The body in pieces of at most `size` bytes; none when it is empty."""
    if not isinstance(body, bytes):
        yield from body.chunks(size)
    elif len(body) <= size:
        if body:
            yield body
    else:
        for at in range(0, len(body), size):
            yield body[at : at + size]


def body_bytes(body: Body) -> bytes:
    """The whole body in memory: only for what is known to be small, or must be (a translation, a document)."""
    return body if isinstance(body, bytes) else body.read()


def close_body(body: Body | None) -> None:
    if isinstance(body, Spool):
        body.close()


class BodyWriter:
    """Takes a body as it comes: bytes up to `memory`, a Spool in `folder` beyond it, MessageTooLarge beyond `limit`.

    Without a folder everything stays in memory. `note` is told by how many bytes the memory held has grown (or shrunk): whoever keeps a
    budget over many bodies counts there, and may raise to refuse.
    """

    __slots__ = ("_limit", "_memory", "_note", "_small", "_spool", "_what", "folder", "size")

    def __init__(
        self,
        limit: int,
        *,
        memory: int = MEMORY,
        folder: Path | str | None = None,
        what: str = "body",
        note: Callable[[int], None] | None = None,
    ) -> None:
        self._limit, self._memory, self.folder, self._what, self._note = limit, memory, folder, what, note
        self._small = bytearray()
        self._spool: Spool | None = None
        self.size = 0

    @property
    def held(self) -> int:
        """Bytes of it in memory."""
        return len(self._small)

    def write(self, data: bytes) -> None:
        size = len(data)
        if self.size + size > self._limit:
            self.discard()
            raise MessageTooLarge(what=self._what, limit=self._limit)
        self.size += size
        if self._spool is not None:
            self._spool.write(data)
        elif self.folder is None or self.size <= self._memory:
            if self._note is not None:
                self._note(size)
            self._small += data
        else:
            self._spill(data)

    def _spill(self, data: bytes) -> None:
        assert self.folder is not None
        self._spool = spool = Spool(self.folder)
        small, self._small = bytes(self._small), bytearray()
        if small:
            spool.write(small)
            if self._note is not None:
                self._note(-len(small))
        spool.write(data)

    def finish(self) -> Body:
        """The body; bytes still count as held until whoever gave `note` says otherwise."""
        if self._spool is not None:
            spool, self._spool = self._spool, None
            return spool.seal()
        return bytes(self._small)

    def discard(self) -> None:
        """The body is not wanted: its memory and its file are given back."""
        if self._small and self._note is not None:
            self._note(-len(self._small))
        self._small = bytearray()
        if self._spool is not None:
            self._spool.close()
            self._spool = None


def _close_file(file: int) -> None:
    with contextlib.suppress(OSError):
        os.close(file)


def _unnamed(folder: str) -> int:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except (AttributeError, OSError) as problem:
            # not every file system makes files without a name
            if isinstance(problem, OSError) and problem.errno not in {
                errno.EOPNOTSUPP,
                errno.EISDIR,
                errno.EINVAL,
                errno.ENOENT,
            }:
                raise
        descriptor, name = tempfile.mkstemp(prefix="spool-", dir=folder)
        os.unlink(name)
        return descriptor
    except OSError as problem:
        raise BodyRefused(reason=_reason(problem, folder)) from None


def _reason(problem: OSError, folder: str) -> str:
    if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk under {folder} is full"
    return f"{folder}: {problem.strerror or 'the disk failed'}"
