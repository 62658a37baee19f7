"""One HTTP/1.1 connection out of the node: a raw Protocol over httptools, one request and its answer at a time.

An answer ends where its framing says; a connection on which anything follows it is closed, for that would be read as the next answer.
Requests are sent piece by piece as the other side takes them; an answer beyond `memory` goes to a Spool, or to the caller's sink as it
arrives (`http.bodies`). Keeping connections for the next request is `http.client`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import httptools

from kerege.exchange.bodies import MEMORY, PIECE, Body, body_bytes
from kerege.node.http.answerreader import AnswerReader
from kerege.node.http.answers import AnswerSinks as AnswerSinks
from kerege.node.http.answers import AnswerTooLarge as AnswerTooLarge
from kerege.node.http.answers import ClientResponse as ClientResponse
from kerege.node.http.answers import HttpFailed as HttpFailed
from kerege.node.http.answers import NotConnected as NotConnected
from kerege.node.http.answers import Waiter as Waiter
from kerege.node.http.bodies import NEVER, PROGRESS, Outflow, Sweep
from kerege.node.http.whole import Pieces

# given what comes of an answer, from its beginning, and whether the connection ended after it: 0 it was whole, and taken;
# more: so many bytes are missing, at the least; -1: it is read by the connection itself
TakesWhole = Callable[[bytes, bool], int]


class Connection(AnswerReader, asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, limit: int, memory: int = MEMORY, spool: Path | None = None) -> None:
        super().__init__(limit, memory, spool)
        self._sweep = Sweep.of(self._loop)
        self._transport: asyncio.Transport | None = None
        self._whole_answer: TakesWhole | None = None  # reads an answer that is small and plain
        self._pieces = Pieces()  # what came of it
        self._out: Outflow | None = None
        self._blocked = self._flushing = False
        self._queue: list[bytes] = []
        self._timeout, self._last = 0.0, NEVER
        self.certificate: bytes | None = None
        self.checked: tuple[object, object, float] | None = None  # whose it was found to be: a note of whoever asks
        self.deadline = NEVER
        self.idle_since = 0.0
        self.used = False
        self.alive = False
        self._ended = False  # in an orderly way
        self._before = b""  # of an answer that somebody else began to read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self.alive = True
        self._sweep.add(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(True)
        if self._before:
            data, self._before = self._before, b""
            self.data_received(data)

    def eof_received(self) -> None:
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._ended = self._ended and exc is None
        self._sweep.remove(self)
        if self._out is not None:
            self._out.stop()
        if not self._flushing:
            self._gone()

    def _gone(self) -> None:
        if self._whole_answer is not None:
            left = self._taken(self._whole_answer, b"", ended=True)
            if left:
                self._read(left)
        if self._waiter is None or self._waiter.done() or self._flushing:
            return
        if self._status and not self._framed and (self._ended or self._sinks is not None):
            # the orderly end of the connection ends the body; a reset says nothing about it, but what another server answers
            # (a multipart up to its last boundary, or a fault in XML) shows itself whether it is whole
            self._finish()
            return
        self._fail(
            HttpFailed("closed the connection before answering", unanswered=not self._status, cut=not self._status)
        )

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    # --- asking ---

    async def exchange(
        self,
        pieces: Sequence[Body],
        *,
        head: bool,
        timeout: float,
        total: float | None = None,
        sinks: AnswerSinks | None = None,
    ) -> ClientResponse:
        """Send the pieces one after the other, give the answer.

        timeout   seconds until the answer is there; each MiB of a big body on its way, out or in, begins them anew
        total     seconds for all of it, however it moves
        """
        waiter = self.ask(pieces, head=head, timeout=timeout, total=total, sinks=sinks)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._fail(HttpFailed("was not waited for"))
            raise
        finally:
            self.answered()

    def answered(self) -> None:
        """The answer was taken; the connection is free for the next request."""
        self._waiter = self._whole_answer = None
        self.deadline = NEVER

    def ask(
        self,
        pieces: Sequence[Body],
        *,
        head: bool,
        timeout: float,
        total: float | None = None,
        sinks: AnswerSinks | None = None,
    ) -> asyncio.Future[ClientResponse]:
        """As `exchange`, for whoever does not want to wait in a coroutine; call `answered` when the future is done."""
        transport, now = self._transport, self._loop.time()
        assert transport is not None
        if self.used:
            self._begin(head=head)
        self._head, self._sinks, self.used = head, sinks, True
        self._timeout, self._last = timeout, NEVER if total is None else now + total
        waiter: asyncio.Future[ClientResponse] = self._loop.create_future()
        self._waiter = waiter
        if not self.alive:  # lost while whoever asks was busy elsewhere: nothing else would ever end this wait
            waiter.set_exception(
                HttpFailed("closed the connection before anything was sent", unanswered=True, cut=True)
            )
            return waiter
        self._until(min(now + timeout, self._last))
        if len(pieces) == 1 and isinstance(pieces[0], bytes) and len(pieces[0]) <= PROGRESS:
            transport.write(pieces[0])
        else:
            self._out = Outflow(self._loop, transport, pieces, self._sent, self._moved)
            self._out.paused = self._blocked
            self._out.resume()
        return waiter

    def ask_whole(self, data: bytes, waiter: Waiter, take: TakesWhole, *, timeout: float, sinks: AnswerSinks) -> None:
        """As `ask` with one small piece; `take` is asked first, and closes the connection after an answer that says so.

        waiter   told of an answer that `take` did not take, or of the failure; call `answered` then
        """
        transport = self._transport
        assert transport is not None
        if self.used:
            self._begin(head=False)
        self._head, self._sinks, self.used = False, sinks, True
        self._timeout, self._last = timeout, NEVER
        self._waiter, self._whole_answer = waiter, take
        self._until(self._loop.time() + timeout)
        transport.write(data)

    def _until(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self._sweep.next:
            self._sweep.sooner(deadline)

    def read_on(self, data: bytes, timeout: float) -> asyncio.Future[ClientResponse]:
        """The answer to a request that somebody else sent, of which `data` came already. Before the connection is made."""
        self.used, self._before = True, data
        self._timeout, self._last = timeout, NEVER
        waiter: asyncio.Future[ClientResponse] = self._loop.create_future()
        self._waiter = waiter
        self._until(self._loop.time() + timeout)
        return waiter

    def _moved(self) -> None:
        self.deadline = min(self._loop.time() + self._timeout, self._last)

    def _sent(self) -> None:
        self._out = None

    def pause_writing(self) -> None:
        self._blocked = True
        if self._out is not None:
            self._out.paused = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self._out is not None:
            self._out.resume()

    def overdue(self) -> None:
        self._fail(HttpFailed(f"did not answer within {self._timeout:g} s"))

    def _fail(self, problem: HttpFailed) -> None:
        self.close()
        if self._out is not None:
            self._out.stop()
            self._out = None
        intake, self._intake = self._intake, None
        sink, self._sink = self._sink, None
        self._body = b""
        self._pieces.done()
        if intake is not None:
            intake.discard()
        elif sink is not None:
            sink.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(problem)

    # --- the answer ---

    def data_received(self, data: bytes) -> None:
        if self._flushing:
            if self._whole:
                self.close()  # the answer is good and on its way to disk; the connection serves no other
            else:
                self._queue.append(data)
            return
        if self._waiter is None or self._waiter.done():
            self.close()  # nobody asked: the other side is confused, do not reuse
            return
        if self._whole_answer is not None:
            left = self._taken(self._whole_answer, data, ended=False)
            if left is None:
                return
            data = left
        self._read(data)

    def _taken(self, take: TakesWhole, data: bytes, *, ended: bool) -> bytes | None:
        """None where it was taken, or is kept until the rest came; else what is to be read here."""
        pieces = self._pieces
        if len(data) < pieces.missing and not ended:
            pieces.keep(data)
            return None
        data = pieces.all(data)
        missing = take(data, ended) if data else -1
        if missing > 0 and not ended and pieces.wait(data, missing):
            return None
        pieces.done()
        self._whole_answer = None
        if missing == 0:
            self.answered()
            return None
        return data

    def _read(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._whole:
                self.close()  # whoever reads on would take what follows for the answer to the next request
            elif self._waiter is not None and not self._waiter.done():
                self._fail(HttpFailed("did not answer in valid HTTP"))
            return
        if self._size >= self._marked + PROGRESS:
            self._marked = self._size
            self._moved()
        if self._intake is not None and len(self._intake.pending) >= PIECE and not self._flushing:
            if self.alive and self._transport is not None:
                self._transport.pause_reading()
            self._flushing = True
            self._intake.flush(self._flushed)

    def _flushed(self) -> None:
        self._flushing = False
        intake = self._intake
        if intake is None or self._waiter is None:
            return
        if intake.failed is not None:
            self._given(keep=False)
            return
        waiting, self._queue = self._queue, []
        if self.alive and self._transport is not None:
            self._transport.resume_reading()
        for data in waiting:
            self.data_received(data)
        if not self.alive and not self._flushing:
            self._gone()

    def _finish(self) -> None:
        if self._waiter is None or self._waiter.done() or self._flushing:
            return
        bodyless = self._status in (204, 304)
        keep = not self._head and (self._framed or bodyless) and self._parser.should_keep_alive()
        if self._intake is not None:
            self._flushing = True
            self._intake.flush(lambda: self._taken_in(keep))
        else:
            self._given(keep)

    def _taken_in(self, keep: bool) -> None:
        self._flushing = False
        if self._waiter is not None and not self._waiter.done():
            self._given(keep)

    def _given(self, keep: bool) -> None:
        """The answer is whole, or its sink wants no more of it."""
        intake, sink = self._intake, self._sink
        body: Body = self._body if isinstance(self._body, bytes) else bytes(self._body)
        refused = None
        if intake is not None:
            refused = intake.failed
            if refused is not None and sink is None:
                self._fail(HttpFailed("answered with more than this node could put on disk"))
                return
            body = intake.body()
        elif sink is not None:
            try:
                sink.feed(body_bytes(body))
            except Exception as problem:  # noqa: BLE001 - the caller's to tell
                refused = problem
            body = b""
        bodyless = self._head or self._status in (204, 304)
        response = ClientResponse(
            self._status,
            self._reason.decode("latin-1"),
            tuple(self._headers),
            None if bodyless else body,
            sink,
            refused,
        )
        self._intake, self._sink, self._body = None, None, b""
        if not keep or self._out is not None:
            if self._out is not None:
                self._out.stop()
                self._out = None
            self.close()
        assert self._waiter is not None
        self._waiter.set_result(response)
