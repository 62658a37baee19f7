"""Bodies on their way through HTTP connections: taken in and sent out no faster than the other end goes, and deadlines for both.

Shared by `http.server` and `http.client`. What grows beyond memory is taken in by a thread (hashing and disk release the interpreter),
while the connection is not read: that is TCP's back-pressure, and the event loop goes on serving others. What is sent is given to the
transport in pieces, as it takes them.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final, Protocol

from kerege.exchange.bodies import Body, Spool, body_chunks, close_body

PROGRESS: Final = 1024 * 1024  # bytes after which a deadline moves on: whoever sends these is not idling
_TURN: Final = 4  # chunks in one turn of the event loop
_COARSE_SECONDS: Final = 0.25
_FINE_SECONDS: Final = 0.02
NEVER: Final = float("inf")

_DISK: Final = ThreadPoolExecutor(2, "kerege-bodies")

Pieces = list[Body] | tuple[Body, ...]


class Sink(Protocol):
    """Takes a body as it arrives, in place of collecting it: `exchange.multipart.Decoder` is one."""

    def feed(self, data: bytes) -> None: ...

    def close(self) -> None: ...


SinkFactory = Callable[[Sequence[tuple[bytes, bytes]]], "Sink | None"]


class Watched(Protocol):
    deadline: float

    def overdue(self) -> None: ...


class Sweep:
    """The deadlines of one event loop's connections, looked at now and then: no timer is set or cleared for a message."""

    _of: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Sweep]] = weakref.WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.next = NEVER

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Sweep:
        found = cls._of.get(loop)
        if found is None:
            found = cls._of[loop] = cls(loop)
        return found

    def add(self, one: Watched) -> None:
        self._watched.add(one)
        self.sooner(one.deadline)

    def remove(self, one: Watched) -> None:
        self._watched.discard(one)

    def sooner(self, deadline: float) -> None:
        """Look again by `deadline` at the latest. Callers ask only where it is before `next`: that is nearly never."""
        loop = self._loop()
        if loop is None:
            return
        when = min(deadline, loop.time() + _COARSE_SECONDS)
        if when >= self.next:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.next = when
        self._timer = loop.call_at(when, self._look)

    def _look(self) -> None:
        loop = self._loop()
        self._timer, self.next = None, NEVER
        if loop is None or not self._watched:
            return
        now, soonest = loop.time(), NEVER
        for one in list(self._watched):
            if one.deadline <= now:
                one.deadline = NEVER
                one.overdue()
            soonest = min(soonest, one.deadline)
        self.sooner(max(soonest, now + _FINE_SECONDS))


def grown(body: bytes | bytearray, data: bytes) -> bytearray:
    """A body in memory with its next piece behind it; one that came in a single piece, as most do, is never copied for this."""
    if isinstance(body, bytes):
        body = bytearray(body)
    body += data
    return body


class Intake:
    """One body beyond memory, on its way to a sink or to a spool in `folder`.

    `add` as bytes come, `flush` when those at hand are read: a thread takes them, then `then` is called on the loop. Nothing is added
    while a flush runs. After a failure (`failed`) what still comes is thrown away.
    """

    __slots__ = ("_folder", "_gone", "_loop", "_running", "_sink", "_spool", "failed", "pending")

    def __init__(self, loop: asyncio.AbstractEventLoop, sink: Sink | None, folder: Path | None) -> None:
        self._loop, self._sink, self._folder = loop, sink, folder
        self._spool: Spool | None = None
        self._running = self._gone = False
        self.pending = bytearray()
        self.failed: Exception | None = None

    def add(self, data: bytes | bytearray) -> None:
        if self.failed is None:
            self.pending += data

    def flush(self, then: Callable[[], None]) -> None:
        data, self.pending = self.pending, bytearray()
        self._running = True

        def done(_: asyncio.Future[None]) -> None:
            self._running = False
            if self._gone:
                self.discard()
            then()

        self._loop.run_in_executor(_DISK, self._take, bytes(data)).add_done_callback(done)

    def _take(self, data: bytes) -> None:
        if self.failed is not None:
            return
        try:
            if self._sink is not None:
                self._sink.feed(data)
                return
            if self._spool is None:
                assert self._folder is not None
                self._spool = Spool(self._folder)
            self._spool.write(data)
        except Exception as problem:  # noqa: BLE001 - told to whoever asks for the body; the thread has nobody to tell
            self.failed = problem

    def body(self) -> Body:
        """What came, after the last flush; b"" when a sink took it."""
        spool, self._spool = self._spool, None
        return b"" if spool is None else spool.seal()

    def discard(self) -> None:
        """The other end is gone: give back the disk's space, when the thread is out of it."""
        self._gone = True
        if self._running:
            return
        self.pending = bytearray()
        close_body(self._spool)
        if self._sink is not None:
            self._sink.close()


class Outflow:
    """Pieces written to a transport as it takes them; `resume` when it does again, `done` is called when all are given to it.

    A transport that takes everything at once (a fast reader beside us) still leaves others their turn.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.WriteTransport,
        pieces: Sequence[Body],
        done: Callable[[], None],
        moved: Callable[[], None],
    ) -> None:
        self._loop, self._transport, self._done, self._moved = loop, transport, done, moved
        self._chunks: Iterator[bytes] | None = (chunk for piece in pieces for chunk in body_chunks(piece))
        self.paused = False
        self._scheduled = False

    def resume(self) -> None:
        self.paused = False
        self._pump()

    def stop(self) -> None:
        self._chunks = None

    def _again(self) -> None:
        self._scheduled = False
        self._pump()

    def _pump(self) -> None:
        """Write until the transport has enough, or for one turn."""
        if self._scheduled:
            return
        for _ in range(_TURN):
            if self.paused or self._chunks is None or self._transport.is_closing():
                return
            try:
                chunk = next(self._chunks, None)
            except Exception:  # noqa: BLE001 - a body that cannot be read to its end: the other side must not take it for whole
                self._chunks = None
                self._transport.abort()
                return
            if chunk is None:
                self._chunks = None
                self._done()
                return
            self._transport.write(chunk)
            self._moved()
        self._scheduled = True
        self._loop.call_soon(self._again)


def encode_headers(first: bytes, headers: Sequence[tuple[bytes, bytes]], more: bytes = b"") -> bytes:
    """A head up to its empty line. ValueError when a name, a value or the first line would write a line of its own.

    first   request or status line with its end
    more    header lines of our own, each with its end
    """
    out = [first]
    for name, value in headers:
        out += (name, b": ", value, b"\r\n")
    written = b"".join(out)
    if not len(headers) + 1 == written.count(b"\n") == written.count(b"\r"):
        raise ValueError("a line break in a header or the first line")
    return written + more + b"\r\n"


def pieces_of(body: Body | Pieces) -> Pieces:
    return body if isinstance(body, list | tuple) else (body,)


def close_all(body: Body | Pieces | None) -> None:
    if body is None or isinstance(body, bytes):
        return
    for piece in pieces_of(body):
        close_body(piece)
