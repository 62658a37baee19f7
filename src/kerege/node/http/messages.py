"""What handlers of the node's listeners are given and give back, and the response's bytes; and what a listener may hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kerege.exchange.bodies import MEMORY, Body, body_size, close_body
from kerege.node.http.bodies import Pieces, Sink, encode_headers, pieces_of

_LOG: Final = logging.getLogger("kerege.node.http")

_REASONS: Final = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
}
_LINES: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}
_BODYLESS: Final = frozenset({204, 304})
_TEXT: Final = ((b"content-type", b"text/plain; charset=utf-8"),)


@dataclass(slots=True)
class HttpRequest:
    """One request. Its body (and its sink) belong to the server, which closes them when the answer is out.

    sink      what took the body in place of `body`, when the listener has a `SinkFactory` that made one
    refused   what the sink raised: the rest of the body was read and thrown away
    """

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: Body
    peer_certificate: bytes | None
    peer_address: str
    secure: bool = False  # it came over TLS
    sink: Sink | None = None
    refused: Exception | None = None
    _index: dict[bytes, bytes] | None = field(default=None, repr=False, compare=False)

    def header(self, name: bytes) -> str:
        """The last value of a header, by its lower-case name; "" when absent."""
        if self._index is None:
            self._index = {key.lower(): value for key, value in self.headers}
        return self._index.get(name, b"").decode("latin-1")

    def close(self) -> None:
        close_body(self.body)
        if self.sink is not None:
            self.sink.close()


@dataclass(slots=True)
class HttpResponse:
    """One response; its body is bytes, a Spool, or a sequence of both to be sent one after the other. The server closes what it sent."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: Body | Pieces = b""
    reason: bytes = b""


class Later:
    """An answer that somebody will `give`, once; no task and no Future is made for it. Whoever is answered waits by `then` or `await`."""

    __slots__ = ("_response", "_then")

    def __init__(self) -> None:
        self._response: HttpResponse | None = None
        self._then: Callable[[HttpResponse], None] | None = None

    def then(self, call: Callable[[HttpResponse], None]) -> None:
        """Call `call` with the answer, at once when it is there."""
        if self._response is not None:
            call(self._response)
        else:
            self._then = call

    def give(self, response: HttpResponse) -> None:
        self._response = response
        if self._then is not None:
            self._then(response)

    def __await__(self) -> Generator[Any, None, HttpResponse]:
        future: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self.then(lambda response: None if future.done() else future.set_result(response))
        return future.__await__()


# an answer at once, one that comes later (no task is made for either), or a coroutine
Handler = Callable[[HttpRequest], "HttpResponse | Later | Awaitable[HttpResponse]"]


def has_body(response: HttpResponse, head: bool) -> bool:
    """Whether bytes of a body follow the head."""
    return not head and response.status not in _BODYLESS and response.status >= 200


def encode_head(response: HttpResponse, *, keep: bool, head: bool) -> bytes:
    """ValueError when a header or the reason would write a line of its own."""
    status, body = response.status, response.body
    first = None if response.reason else _LINES.get(status)
    if first is None:
        first = b"HTTP/1.1 %d %b\r\n" % (status, response.reason or b"Status")
    more = b"" if keep else b"connection: close\r\n"
    if status not in _BODYLESS and status >= 200:
        size = len(body) if body.__class__ is bytes else sum(map(body_size, pieces_of(body)))
        if size or not head:  # of a HEAD answer without its body the length is not known
            more = b"content-length: %d\r\n%b" % (size, more)
    return encode_headers(first, response.headers, more)


def encode_response(response: HttpResponse, *, keep: bool, head: bool) -> bytes:
    """A whole response whose body is bytes."""
    written = encode_head(response, keep=keep, head=head)
    assert isinstance(response.body, bytes)
    return written + response.body if has_body(response, head) else written


def checked() -> HttpResponse:
    """In place of a response that cannot be written, the node's own refusal."""
    _LOG.error("an answer with a line break in its headers was not passed on")
    return HttpResponse(502, _TEXT, b"the answer is not valid HTTP\n")


def refusal(status: int, reason: str) -> HttpResponse:
    headers = (*_TEXT, (b"retry-after", b"1")) if status == 503 else _TEXT
    return HttpResponse(status, headers, reason.encode() + b"\n")


# status, reason, target and headers (as far as they were read) of a request that is not read to its end
Refusal = Callable[[int, str, str, Sequence[tuple[bytes, bytes]]], HttpResponse]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """`memory` bytes of a body stay in memory, what is beyond goes to the `spool` folder; without a folder all stays in memory.

    refusal   how a request beyond them is answered; in a line of text where nothing is said
    """

    body: int
    connections: int = 1024
    per_address: int = 256
    bodies: int = 160 * 1024 * 1024
    request_seconds: float = 60.0  # for a small request whole; for each MiB of a big one, and of an answer
    head_seconds: float = 10.0
    handshake_seconds: float = 5.0
    idle_seconds: float = 75.0
    memory: int = MEMORY
    spool: Path | None = None
    refusal: Refusal = lambda status, reason, target, headers: refusal(status, reason)


class BodyBudget:
    """How many bytes of bodies one listener holds in memory at once, those being received and those being answered together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def has(self, size: int) -> bool:
        return self.used + size <= self.limit
