"""HTTP/1.1 for the node's listeners: a raw asyncio Protocol over httptools, with limits. One request at a time per connection.

No framework on the hot path (docs/decisions/0031). What a request means is the handler's affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

_LOG: Final = logging.getLogger("kerege.node.http")
_MAX_HEADERS: Final = 100
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_TARGET: Final = 16 * 1024

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
    request_seconds: float = 60.0
    idle_seconds: float = 75.0


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    def __init__(self, handler: Handler, limits: ServerLimits, connections: set[HttpProtocol]) -> None:
        self._handler, self._limits, self._connections = handler, limits, connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._certificate: bytes | None = None
        self._peer = ""
        self._task: asyncio.Task[None] | None = None
        self._queue: list[bytes] = []
        self._closing = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._refused: tuple[int, str] | None = None

    # --- connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._connections.add(self)
        name = transport.get_extra_info("peername")
        self._peer = str(name[0]) if name else ""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificate = tls.getpeercert(True)
        if len(self._connections) > self._limits.connections:
            self._transport.close()
            return
        self._arm(self._limits.request_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._closing = True
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()

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
            self._transport.close()

    @property
    def busy(self) -> bool:
        return self._task is not None

    def stop(self) -> None:
        """Close now when idle, else after the answer under way."""
        self._closing = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    # --- reading ---

    def data_received(self, data: bytes) -> None:
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
        except httptools.HttpParserUpgrade:
            self._refuse(400, "protocol upgrades are not offered")
        except httptools.HttpParserError as problem:
            if not isinstance(problem.__context__, _TooLarge):
                self._refuse(400, "the request is not valid HTTP")

    def on_message_begin(self) -> None:
        if self._task is not None:
            raise httptools.HttpParserError("pipelined")
        self._reset()
        self._arm(self._limits.request_seconds)

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > _MAX_TARGET:
            self._too_large(431, "the request target is too long")

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value or b""
        self._size += len(name) + len(value)
        if self._size > _MAX_HEADER_BYTES or len(self._headers) >= _MAX_HEADERS:
            self._too_large(431, "the request has too many headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        for name, value in self._headers:
            lowered = name.lower()
            if lowered == b"content-length" and value.isdigit() and int(value) > self._limits.body:
                self._too_large(413, f"the body is larger than the limit of {self._limits.body} bytes")
            if lowered == b"expect" and value.lower() == b"100-continue" and self._transport is not None:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size > self._limits.body:
            self._too_large(413, f"the body is larger than the limit of {self._limits.body} bytes")
        self._body.append(data)

    def _too_large(self, status: int, reason: str) -> None:
        self._refuse(status, reason)
        raise _TooLarge

    def on_message_complete(self) -> None:
        request = HttpRequest(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            tuple(self._headers),
            b"".join(self._body),
            self._certificate,
            self._peer,
        )
        if self._timer is not None:
            self._timer.cancel()
        self._task = self._loop.create_task(self._answer(request, self._parser.should_keep_alive()))

    # --- answering ---

    def _refuse(self, status: int, reason: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        response = HttpResponse(status, ((b"content-type", b"text/plain; charset=utf-8"),), reason.encode() + b"\n")
        self._transport.write(encode_response(response, keep=False, head=False))
        self._transport.close()

    async def _answer(self, request: HttpRequest, keep: bool) -> None:
        try:
            response = await self._handler(request)
        except Exception:  # noqa: BLE001 - logged with its trace; the connection must not die with it
            _LOG.exception("a handler failed")
            response = HttpResponse(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"internal error\n")
        keep = keep and not self._closing
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(encode_response(response, keep=keep, head=request.method == "HEAD"))
            await self._writable.wait()
        self._task = None
        if transport is None or transport.is_closing():
            return
        if not keep:
            transport.close()
            return
        self._arm(self._limits.idle_seconds)
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
    if not bodyless:
        out.append(b"content-length: %d\r\n" % len(response.body))
    if not keep:
        out.append(b"connection: close\r\n")
    out.append(b"\r\n")
    if not bodyless and not head:
        out.append(response.body)
    return b"".join(out)
