"""One HTTP/1.1 request after the other out of a connection's bytes: what is whole is handed on, what is wrong is refused with a reason.

httptools parses; this module holds the limits (RFC 9112 framing is strict: what two readers could frame differently is refused) and puts
bodies where they belong: in memory, into a sink, or on disk beyond memory (`http.bodies`). When to read is `http.server`'s affair.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Final

import httptools

from kerege.node.http.bodies import Intake, Sink, SinkFactory, grown
from kerege.node.http.messages import BodyBudget, HttpRequest, ServerLimits

MAX_HEADERS: Final = 100
MAX_HEAD: Final = 64 * 1024
_MAX_TARGET: Final = 16 * 1024
_MAX_AHEAD: Final = 32
_METHODS: Final = {name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")}
_CARED: Final = frozenset({len(b"content-length"), len(b"expect")})
_FULL: Final = "the node holds as many bytes of bodies as it may; nothing was carried out, try again"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Work(HttpRequest):
    """A request that is complete, and what the server keeps beside it: one object, for there is one for each message."""

    keep: bool = True  # the connection, after the answer
    held: int = 0  # bytes of its body in memory
    intake: Intake | None = None


class RequestReader(ABC):
    """The parser's side of a connection. Its heir says what becomes of a request (`_begin`) and of a refusal (`_refuse`)."""

    def __init__(self, limits: ServerLimits, budget: BodyBudget, sinks: SinkFactory | None) -> None:
        self._limits, self._budget, self._sinks = limits, budget, sinks
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._certificate: bytes | None = None
        self._peer = ""
        self._secure = False
        self._work: Work | None = None  # being carried out
        self._ahead: deque[Work] = deque()  # parsed, and not begun
        self._stopped = False  # nothing more is parsed
        self._reading = False  # a request has begun and is not complete
        self._large = False  # the bytes being parsed are more than a head may have
        self._slow = True  # the request did not come in one piece
        self._method = b""
        self._head: tuple[tuple[bytes, bytes], ...] = ()
        self._threshold = min(limits.memory, limits.body)  # beyond it a body is looked at
        self._held = 0  # bytes of the body in memory
        self._body: bytes | bytearray = b""
        self._intake: Intake | None = None
        self._sink: Sink | None = None
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_complete = self._expects = self._upgrade = False
        self._declared = self._received = 0
        if self._slow:
            self._slow = self._awaited = False
            self._marked = self._seen = self._barren = 0

    @abstractmethod
    def _begin(self, work: Work) -> None:
        """A request is whole, or its body is on its way to disk."""

    @abstractmethod
    def _refuse(self, status: int, reason: str) -> None:
        """What came is no request that can be answered."""

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._not_fed(data, problem)

    def _not_fed(self, data: bytes, problem: Exception) -> None:
        if self._stopped:
            return
        if isinstance(problem, httptools.HttpParserUpgrade):
            self._feed_without_upgrade(data[problem.args[0] :])
        elif not isinstance(problem.__context__, _TooLarge):
            self._refuse(400, "the request is not valid HTTP")

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Read the request again as if it did not offer another protocol (RFC 9110 7.8: an offer may be ignored).

        The parser takes what follows such a head for the other protocol's, even where it is the request's own body.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self._target, version)]
        lines += [b"%b: %b" % pair for pair in self._headers if pair[0].lower() != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        self._feed(b"\r\n".join((*lines, b"", rest)))

    def on_message_begin(self) -> None:
        if len(self._ahead) >= _MAX_AHEAD:
            self._too_large(400, "too many requests are sent ahead of their answers")
        self._reset()
        self._reading = True

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > _MAX_TARGET:
            self._too_large(431, "the request target is too long")

    def on_header(self, name: bytes, value: bytes | None) -> None:
        self._headers.append((name, value or b""))
        if len(name) in _CARED:
            self._framing_header(name.lower(), value or b"")

    def _framing_header(self, lowered: bytes, value: bytes) -> None:
        if lowered == b"content-length":
            if value.isdigit():
                self._declared = int(value) if len(value) < 20 else 10**20
        elif lowered == b"expect" and value.lower() == b"100-continue":
            self._expects = True

    def _check_head(self) -> None:
        """Asked where a head is complete, and where a piece of one came: pieces are small, so that little is held until then."""
        headers = self._headers
        if len(headers) > MAX_HEADERS or (
            self._large and sum([len(name) + len(value) for name, value in headers]) > MAX_HEAD
        ):
            self._too_large(431, "the request has too many headers")

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self._head = tuple(self._headers)  # a trailer is no header: what decided who calls must not come after
        parser = self._parser
        self._method = method = parser.get_method()
        if self._large or len(self._head) > MAX_HEADERS:
            self._check_head()
        if method == b"CONNECT":
            self._too_large(405, "CONNECT is not offered")
        if parser.should_upgrade():
            self._upgrade = True
            return  # comes again without its offer
        if self._declared or self._expects or self._sinks is not None:
            self._expect_body()

    def _expect_body(self) -> None:
        limits, size = self._limits, self._declared
        if size > limits.body:
            self._too_large(413, f"the body is larger than the limit of {limits.body} bytes")
        if self._sinks is not None:
            self._sink = self._sinks(self._headers)
        if self._sink is not None or limits.spool is not None:
            size = min(size, limits.memory)
        if size and not self._budget.has(size):
            self._too_large(503, _FULL)
        if self._expects and self._work is None and self._transport is not None:
            self._transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        size, budget = len(data), self._budget
        self._received = received = self._received + size
        if received > self._threshold and self._beyond_memory():
            return
        if budget.used + size > budget.limit:
            self._too_large(503, _FULL)
        budget.used += size
        self._held += size
        if self._intake is not None:
            self._intake.add(data)
        elif not self._body:
            self._body = data
        else:
            self._body = grown(self._body, data)

    def _beyond_memory(self) -> bool:
        """See to it that more than `memory` bytes go where they should; True when nobody wants them any more."""
        limits = self._limits
        if self._received > limits.body:
            self._too_large(413, f"the body is larger than the limit of {limits.body} bytes")
        if self._intake is None and (self._sink is not None or limits.spool is not None):
            self._intake = Intake(self._loop, self._sink, limits.spool)
            self._intake.add(self._body)
            self._body = b""
        return self._intake is not None and self._intake.failed is not None

    def _too_large(self, status: int, reason: str) -> None:
        self._refuse(status, reason)
        raise _TooLarge

    def on_message_complete(self) -> None:
        if self._upgrade:
            return
        body = self._body
        keep = self._parser.should_keep_alive()
        work = Work(
            _METHODS.get(self._method) or self._method.decode("latin-1"),
            self._target.decode("latin-1"),
            self._head,
            body if body.__class__ is bytes else bytes(body),
            self._certificate,
            self._peer,
            self._secure,
            self._sink,
            None,
            None,
            keep,
            self._held,
            self._intake,
        )
        self._reading = False
        if self._held or self._sink is not None:
            self._body, self._held, self._intake, self._sink = b"", 0, None, None
        if not keep:
            self._stopped = True  # what a client sends after its last request is not read
        if self._work is None:
            self._begin(work)
        else:
            self._ahead.append(work)

    def _forget_reading(self) -> None:
        """What came of a request that does not come to its end."""
        self._budget.used -= self._held
        self._body, self._held = b"", 0
        intake, self._intake = self._intake, None
        sink, self._sink = self._sink, None
        if intake is not None:
            intake.discard()
        elif sink is not None:
            sink.close()


class _TooLarge(Exception):
    """Stops the parser in the middle of a message."""
