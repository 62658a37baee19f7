"""HTTP/1.1 for the node's listeners: a raw asyncio Protocol over httptools, with limits. One request at a time per connection.

No framework on the hot path (docs/decisions/0031, 0103): a small message costs no timer, no task of the server's own, and one write.
A body beyond `memory` goes to a Spool, or, where the listener has a `SinkFactory`, to the sink as it arrives (`http.bodies`). What a
request means is the handler's affair; its bytes are `http.reading`'s, and its answer's `http.writing`'s; how many connections there are,
and whose, is `listener`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import httptools

from kerege.exchange.bodies import PIECE
from kerege.node.http.bodies import NEVER, PROGRESS, SinkFactory, Sweep, close_all
from kerege.node.http.messages import BodyBudget, Handler, HttpResponse, Later, ServerLimits, encode_response, refusal
from kerege.node.http.reading import CONTINUE, MAX_HEAD, MAX_HEADERS, Work
from kerege.node.http.whole import Whole
from kerege.node.http.writing import ResponseWriter

_LOG: Final = logging.getLogger("kerege.node.http")
_LINGER_SECONDS: Final = 2.0
_DISK: Final = "the node could not put the body on disk; nothing was carried out, try again"


class HttpProtocol(ResponseWriter, asyncio.Protocol):
    """One connection. Requests sent ahead are parsed, and carried out one after the other."""

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits,
        budget: BodyBudget,
        lost: Callable[[HttpProtocol], None] = lambda _: None,
        sinks: SinkFactory | None = None,
        whole: Whole | None = None,
    ) -> None:
        super().__init__(limits, budget, sinks, whole)
        self._handler, self._lost = handler, lost
        self._sweep = Sweep.of(self._loop)
        self._task: asyncio.Task[None] | None = None
        self._queue: list[bytes] = []  # not parsed
        self._refusal: tuple[int, str] | None = None  # to write when the answers before it are out
        self._flushing = False  # a thread takes what came of it
        self.quiet_since = self._loop.time()
        # to begin with, of a connection that was another's before
        self.connected_then: Callable[[], None] | None = None

    # --- connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if name else ""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._secure = True
            self._certificate = tls.getpeercert(True)
        self.quiet_since = self._loop.time()
        self.deadline = self.quiet_since + min(self._limits.head_seconds, self._limits.request_seconds)
        self._sweep.add(self)
        if self.connected_then is not None:
            then, self.connected_then = self.connected_then, None
            then()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = self._stopped = True
        self._sweep.remove(self)
        self._forget_reading()
        for work in self._ahead:
            self._release(work)
        self._ahead.clear()
        self._queue.clear()
        if self._out is not None:
            self._out.stop()
        if self._response is not None:
            self._answered()  # nobody takes the rest of it
        # it holds this object's methods: a circle, which would stay until the collector, seldom as it runs, has thousands of them
        del self._parser
        self._lost(self)

    def _watch(self, seconds: float) -> None:
        self.deadline = deadline = self._loop.time() + seconds
        if deadline < self._sweep.next:
            self._sweep.sooner(deadline)

    def overdue(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def busy(self) -> bool:
        return self._work is not None

    @property
    def idle(self) -> bool:
        """Connected, and no request is under way: closing it costs nobody an answer."""
        return self._transport is not None and self._work is None and not self._reading

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def stop(self) -> None:
        """Close now when idle, else after the answer under way."""
        self._closing = True
        if self._work is None and self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- reading ---

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            return
        if self._work is not None or self._flushing:
            # a client that sends its next request early waits; one that floods is stopped
            self._queue.append(data)
            assert self._transport is not None
            self._transport.pause_reading()
            return
        if self._whole is not None and (self._missing or not self._reading):
            left = self._taken(data)
            if left is None:
                return
            data = left
        self._read(data)

    def _read(self, data: bytes) -> None:
        self._large = self._slow or len(data) > MAX_HEAD
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._not_fed(data, problem)
        if self._reading and not self._stopped and self._work is None:
            self._more_to_come(len(data))

    def _more_to_come(self, size: int) -> None:
        """A request is not whole yet: until when it must go on; and what came of its body is taken in."""
        self._slow = True
        if (self._awaited or self._marked) and (not self._head_complete or self._received == self._seen):
            self._barren += size  # of the first piece a part may be an earlier request's
        self._seen = self._received
        if self._barren > MAX_HEAD or len(self._headers) > MAX_HEADERS:
            self._refuse(431, "the request has too many headers")
            return
        if not self._head_complete:
            if not self._awaited:
                self._awaited = True
                self._watch(min(self._limits.head_seconds, self._limits.request_seconds))
        elif not self._marked or self._received >= self._marked + PROGRESS:
            self._marked = max(self._received, 1)
            self._watch(self._limits.request_seconds)
        if self._intake is not None and len(self._intake.pending) >= PIECE:
            assert self._transport is not None
            self._transport.pause_reading()
            self._flushing = True
            self._intake.flush(self._flushed)

    def _flushed(self) -> None:
        self._flushing = False
        transport, intake = self._transport, self._intake
        if intake is None or transport is None or transport.is_closing():
            return
        self._budget.used -= self._held
        self._held = 0
        if intake.failed is not None and self._sink is None:
            _LOG.error("a body could not be put on disk: %s", intake.failed)
            transport.resume_reading()
            self._refuse(503, _DISK)
            return
        self._read_on(transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        waiting, self._queue = self._queue, []
        transport.resume_reading()
        for data in waiting:
            self.data_received(data)

    # --- answering ---

    def _begin(self, work: Work) -> None:
        self._work = work
        self.deadline = NEVER
        if work.intake is not None:
            work.intake.flush(lambda: self._taken_in(work))
            return
        if work.sink is not None:
            try:
                work.sink.feed(cast(bytes, work.body))
            except Exception as problem:  # noqa: BLE001 - the handler's to tell
                work.refused = problem
            work.body = b""
        self._handle(work)

    def _taken_in(self, work: Work) -> None:
        intake = work.intake
        assert intake is not None
        work.intake = None
        self._budget.used -= work.held
        work.held = 0
        if self._transport is None or self._transport.is_closing():
            intake.discard()
            self._work = None
            return
        work.refused = intake.failed
        work.body = intake.body()
        if intake.failed is not None and work.sink is None:
            _LOG.error("a body could not be put on disk: %s", intake.failed)
            self._respond(work, refusal(503, _DISK))
            return
        self._handle(work)

    def _handle(self, work: Work) -> None:
        try:
            result: Any = self._handler(work)
        except Exception:  # noqa: BLE001 - logged with its trace; the connection must not die with it
            self._respond(work, _failed())
            return
        if result.__class__ is HttpResponse:
            self._respond(work, result)
        elif result.__class__ is Later:
            result.then(self._given_later)
        else:
            self._task = self._loop.create_task(self._answer(work, result))

    def _given_later(self, response: HttpResponse) -> None:
        assert self._work is not None  # one at a time, and it ends with its answer
        self._respond(self._work, response)

    async def _answer(self, work: Work, result: Awaitable[HttpResponse]) -> None:
        try:
            response = await result
        except asyncio.CancelledError:
            self._respond(work, _failed())
            raise
        except Exception:  # noqa: BLE001 - as above
            response = _failed()
        self._task = None
        self._respond(work, response)

    def answer(self, work: Work, response: HttpResponse) -> None:
        """Give this answer to a request that was read elsewhere."""
        self._work, self.deadline = work, NEVER
        self._respond(work, response)

    def _answered(self) -> None:
        """The answer is out, or nobody takes it."""
        work, response, transport = self._work, self._response, self._transport
        assert work is not None
        assert response is not None
        self._work = self._response = self._out = None
        if work.intake is not None or work.sink is not None or work.body.__class__ is not bytes:
            self._release(work)
        else:
            self._budget.used -= work.held
        if response.body.__class__ is not bytes:
            close_all(response.body)
        if transport is None:
            return
        if not work.keep or self._closing:
            transport.close()
        elif self._ahead or self._reading or self._queue or self._refusal is not None:
            self._next(transport)
        else:
            self._rest()

    def _rest(self) -> None:
        """Nothing is asked: until when the client may keep the connection."""
        self.quiet_since = now = self._loop.time()
        self.deadline = deadline = now + self._limits.idle_seconds
        if deadline < self._sweep.next:
            self._sweep.sooner(deadline)

    def _release(self, work: Work) -> None:
        self._budget.used -= work.held
        if work.intake is not None:
            work.intake.discard()
        else:
            work.close()

    def _next(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return
        if self._ahead:
            self._begin(self._ahead.popleft())
            return
        if self._refusal is not None:
            transport.resume_reading()
            self._refuse(*self._refusal)
            return
        if self._reading:
            self.quiet_since = self._loop.time()
            if self._expects and self._head_complete:
                transport.write(CONTINUE)
            self._more_to_come(0)
        else:
            self._rest()
        if self._queue and not self._flushing:
            self._read_on(transport)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer that the request is not read, when the answers before it are out, and read no more."""
        self._stopped = True
        self._forget_reading()
        if self._work is not None:
            self._refusal = (status, reason)
            return
        if self._transport is None or self._transport.is_closing():
            return
        answer = self._limits.refusal(status, reason, self._target.decode("latin-1"), self._headers)
        self._transport.write(encode_response(answer, keep=False, head=False))
        # closing with the client's bytes unread would reset the connection under the answer: swallow them for a moment
        self._reading = False
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._watch(_LINGER_SECONDS)


def _failed() -> HttpResponse:
    _LOG.exception("a handler failed")
    return HttpResponse(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"internal error\n")
