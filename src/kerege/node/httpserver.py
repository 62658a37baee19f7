"""HTTP/1.1 for the node's listeners: a raw asyncio Protocol over httptools, with limits. One request at a time per connection.

No framework on the hot path (docs/decisions/0031). What a request means is the handler's affair; how many connections there are,
and whose, is `listener`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

_LOG: Final = logging.getLogger("kerege.node.http")
_MAX_HEADERS: Final = 100
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_TARGET: Final = 16 * 1024
_MAX_AHEAD: Final = 32
_LINGER_SECONDS: Final = 2.0
_FULL: Final = "the node holds as many bytes of bodies as it may; nothing was carried out, try again"

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


@dataclass(slots=True)
class HttpRequest:
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    peer_certificate: bytes | None
    peer_address: str

    def header(self, name: bytes) -> str:
        """The last value of a header, by its lower-case name; "" when absent."""
        for key, value in reversed(self.headers):
            if key.lower() == name:
                return value.decode("latin-1")
        return ""


@dataclass(slots=True)
class HttpResponse:
    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    reason: bytes = field(default=b"")


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    body: int
    connections: int = 1024
    per_address: int = 256
    bodies: int = 160 * 1024 * 1024
    request_seconds: float = 60.0
    head_seconds: float = 10.0
    handshake_seconds: float = 5.0
    idle_seconds: float = 75.0


class BodyBudget:
    """How many bytes of bodies one listener holds at once, those being received and those being answered together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def has(self, size: int) -> bool:
        return self.used + size <= self.limit


class HttpProtocol(asyncio.Protocol):
    """One connection. Requests sent ahead are parsed, and carried out one after the other."""

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits,
        budget: BodyBudget,
        lost: Callable[[HttpProtocol], None] = lambda _: None,
    ) -> None:
        self._handler, self._limits, self._budget, self._lost = handler, limits, budget, lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._certificate: bytes | None = None
        self._peer = ""
        self._task: asyncio.Task[None] | None = None
        self._ahead: deque[tuple[HttpRequest, bool]] = deque()  # parsed, and not begun
        self._queue: list[bytes] = []  # not parsed
        self._refusal: tuple[int, str] | None = None  # to write when the answers before it are out
        self._stopped = False  # nothing more is parsed
        self._closing = False
        self._reading = False  # a request has begun and is not complete
        self._writable = asyncio.Event()
        self._writable.set()
        self.quiet_since = self._loop.time()
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._head_complete = False
        self._body = bytearray()

    # --- connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if name else ""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificate = tls.getpeercert(True)
        self.quiet_since = self._loop.time()
        self._arm(min(self._limits.head_seconds, self._limits.request_seconds))

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = self._stopped = True
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()
        self._budget.used -= len(self._body) + sum(len(request.body) for request, _ in self._ahead)
        self._body = bytearray()
        self._ahead.clear()
        self._queue.clear()
        self._lost(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._timed_out)

    def _timed_out(self) -> None:
        if self._task is None and self._transport is not None:
            self._transport.abort()

    @property
    def busy(self) -> bool:
        return self._task is not None

    @property
    def idle(self) -> bool:
        """Connected, and no request is under way: closing it costs nobody an answer."""
        return self._transport is not None and self._task is None and not self._reading

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def stop(self) -> None:
        """Close now when idle, else after the answer under way."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- reading ---

    def data_received(self, data: bytes) -> None:
        if self._stopped:
            return
        if self._task is not None:
            # a client that sends its next request early waits; one that floods is stopped
            self._queue.append(data)
            assert self._transport is not None
            self._transport.pause_reading()
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._stopped:
                self._feed_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as problem:
            if not self._stopped and not isinstance(problem.__context__, _TooLarge):
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
        if self._task is None:
            self._arm(min(self._limits.head_seconds, self._limits.request_seconds))

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > _MAX_TARGET:
            self._too_large(431, "the request target is too long")

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value or b""
        self._size += len(name) + len(value)
        if self._size > _MAX_HEADER_BYTES or len(self._headers) >= _MAX_HEADERS:
            self._too_large(431, "the request has too many headers")
        if not self._head_complete:  # a trailer is no header: what decided who calls must not come after
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_complete = True
        if self._parser.get_method() == b"CONNECT":
            self._too_large(405, "CONNECT is not offered")
        if self._parser.should_upgrade():
            return  # comes again without its offer
        expects = False
        for name, value in self._headers:
            lowered = name.lower()
            if lowered == b"content-length" and value.isdigit():
                if int(value) > self._limits.body:
                    self._too_large(413, f"the body is larger than the limit of {self._limits.body} bytes")
                if not self._budget.has(int(value)):
                    self._too_large(503, _FULL)
            expects = expects or (lowered == b"expect" and value.lower() == b"100-continue")
        if self._task is not None:
            return
        self._arm(self._limits.request_seconds)
        if expects and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if len(self._body) + len(data) > self._limits.body:
            self._too_large(413, f"the body is larger than the limit of {self._limits.body} bytes")
        if not self._budget.has(len(data)):
            self._too_large(503, _FULL)
        self._budget.used += len(data)
        self._body += data

    def _too_large(self, status: int, reason: str) -> None:
        self._refuse(status, reason)
        raise _TooLarge

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        body, self._body = bytes(self._body), bytearray()
        request = HttpRequest(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            tuple(self._headers),
            body,
            self._certificate,
            self._peer,
        )
        self._reading = False
        keep = self._parser.should_keep_alive()
        if not keep:
            self._stopped = True  # what a client sends after its last request is not read
        if self._task is None:
            self._begin(request, keep)
        else:
            self._ahead.append((request, keep))

    # --- answering ---

    def _begin(self, request: HttpRequest, keep: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._task = self._loop.create_task(self._answer(request, keep))

    def _refuse(self, status: int, reason: str) -> None:
        """Answer that the request is not read, when the answers before it are out, and read no more."""
        self._stopped = True
        self._budget.used -= len(self._body)
        self._body = bytearray()
        if self._task is not None:
            self._refusal = (status, reason)
            return
        if self._transport is None or self._transport.is_closing():
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        self._transport.write(
            encode_response(HttpResponse(status, tuple(headers), reason.encode() + b"\n"), keep=False, head=False)
        )
        # closing with the client's bytes unread would reset the connection under the answer: swallow them for a moment
        self._reading = False
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._arm(_LINGER_SECONDS)

    async def _answer(self, request: HttpRequest, keep: bool) -> None:
        try:
            try:
                response = await self._handler(request)
            except Exception:  # noqa: BLE001 - logged with its trace; the connection must not die with it
                _LOG.exception("a handler failed")
                response = HttpResponse(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"internal error\n")
            keep = keep and not self._closing
            transport = self._transport
            if transport is not None and not transport.is_closing():
                transport.write(_encoded(response, keep, request.method == "HEAD"))
                await self._writable.wait()
        finally:
            self._budget.used -= len(request.body)
            self._task = None
        if transport is None or transport.is_closing():
            return
        if not keep:
            transport.close()
            return
        self._next(transport)

    def _next(self, transport: asyncio.Transport) -> None:
        if self._ahead:
            self._begin(*self._ahead.popleft())
            return
        if self._refusal is not None:
            transport.resume_reading()
            self._refuse(*self._refusal)
            return
        self.quiet_since = self._loop.time()
        self._arm(self._limits.request_seconds if self._reading else self._limits.idle_seconds)
        if self._queue:
            waiting, self._queue = self._queue, []
            transport.resume_reading()
            for data in waiting:
                self.data_received(data)


class _TooLarge(Exception):
    """Stops the parser in the middle of a message."""


def encode_response(response: HttpResponse, *, keep: bool, head: bool) -> bytes:
    reason = response.reason or _REASONS.get(response.status, b"Status")
    out = [b"HTTP/1.1 %d %b\r\n" % (response.status, reason)]
    out += [b"%b: %b\r\n" % pair for pair in response.headers]
    bodyless = response.status in (204, 304) or response.status < 200
    if not bodyless and (response.body or not head):  # of a HEAD answer without its body the length is not known
        out.append(b"content-length: %d\r\n" % len(response.body))
    if not keep:
        out.append(b"connection: close\r\n")
    written = b"".join(out)
    if not len(out) == written.count(b"\n") == written.count(b"\r"):
        raise ValueError("a line break in a header or the reason")
    return written + b"\r\n" + (b"" if bodyless or head else response.body)


def _encoded(response: HttpResponse, keep: bool, head: bool) -> bytes:
    """The response's bytes; in place of one that would write more lines than it has headers, the node's own refusal."""
    try:
        return encode_response(response, keep=keep, head=head)
    except ValueError:
        _LOG.error("an answer with a line break in its headers was not passed on")
        text = ((b"content-type", b"text/plain; charset=utf-8"),)
        return encode_response(HttpResponse(502, text, b"the answer is not valid HTTP\n"), keep=keep, head=head)
