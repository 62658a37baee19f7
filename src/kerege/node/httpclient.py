"""HTTP/1.1 out of the node: kept-alive connections to peers (mutual TLS) and to agencies' systems, pooled per address.

Raw Protocols over httptools. A request is never sent twice: when a kept connection turns out dead before anything was answered
the caller is told, unless it says that repeating is harmless.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import httptools

_IDLE_SECONDS: Final = 20.0
_MOST_IDLE: Final = 256
_MAX_HEADERS: Final = 200
_MAX_HEADER_BYTES: Final = 256 * 1024


class HttpFailed(Exception):
    """The exchange with the other side failed; `reason` is a clause."""

    def __init__(self, reason: str, *, unanswered: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unanswered = unanswered


class NotConnected(HttpFailed):
    """No connection was made: nothing was sent."""


class AnswerTooLarge(HttpFailed):
    """The answer passed the limit."""


@dataclass(slots=True)
class ClientResponse:
    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None  # None when the answer can have none (204, 304, HEAD)

    def header(self, name: bytes) -> str:
        for key, value in reversed(self.headers):
            if key.lower() == name:
                return value.decode("latin-1")
        return ""


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ClientResponse] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self.certificate: bytes | None = None
        self.idle_since = 0.0
        self.used = False
        self.alive = False
        self._ended = False
        self._status = self._size = self._header_size = 0
        self._framed = self._head = self._interim = False
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self.alive = True
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(True)

    def eof_received(self) -> None:
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._waiter is not None and not self._waiter.done():
            if self._status and not self._framed and self._ended and exc is None:
                self._finish()  # the orderly end of the connection ends the body; a reset says nothing about it
                return
            answered = bool(self._status)
            self._waiter.set_exception(HttpFailed("closed the connection before answering", unanswered=not answered))

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, data: Sequence[bytes], *, head: bool, timeout: float) -> ClientResponse:
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._reason, self._headers, self._body = b"", [], []
        self._size = self._header_size = self._status = 0
        self._framed = self._interim = False
        self._head = head
        self._waiter = asyncio.get_running_loop().create_future()
        self.used = True
        self._transport.writelines(data)
        try:
            async with asyncio.timeout(timeout):
                return await self._waiter
        except TimeoutError:
            self.close()
            raise HttpFailed(f"did not answer within {timeout:g} s") from None
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done() or self._parser is None:
            self.close()  # nobody asked: the other side is confused, do not reuse
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(HttpFailed("did not answer in valid HTTP"))

    def _fail(self, problem: HttpFailed) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(problem)
        self.close()

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value or b""
        self._header_size += len(name) + len(value)
        if len(self._headers) >= _MAX_HEADERS or self._header_size > _MAX_HEADER_BYTES:
            raise ValueError("too many headers")
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        if self._status < 200:  # 100 Continue: the real answer follows
            self._status, self._headers, self._reason, self._framed = 0, [], b"", False
            self._interim = True
            return
        self._interim = False
        if self._head:
            self._finish()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._fail(AnswerTooLarge(f"answered with more than {self._limit} bytes"))
            return
        self._body.append(data)

    def on_message_complete(self) -> None:
        if not self._interim:
            self._finish()

    def _finish(self) -> None:
        assert self._parser is not None
        if self._waiter is None or self._waiter.done():
            return
        bodyless = self._head or self._status in (204, 304)
        response = ClientResponse(
            self._status,
            self._reason.decode("latin-1"),
            tuple(self._headers),
            None if bodyless else b"".join(self._body),
        )
        if self._head or (not self._framed and not bodyless) or not self._parser.should_keep_alive():
            self.close()
        self._waiter.set_result(response)


class Pool:
    """Connections to anywhere, kept alive. `tls` makes every connection of this pool mutual TLS."""

    def __init__(self, limit: int, connect_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        self._limit, self._connect_seconds, self._tls = limit, connect_seconds, tls
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}

    async def acquire(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> Connection:
        """A connection that is idle and young, or a new one. Raises NotConnected."""
        context = self._tls or tls
        idle = self._idle.get((host, port, context is not None), [])
        now = time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.alive and now - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        return await self._connect(host, port, context)

    async def _connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limit),
                    host,
                    port,
                    ssl=context,
                    server_hostname=(host if context else None),
                )
        except TimeoutError:
            raise NotConnected(f"no connection within {self._connect_seconds:g} s", unanswered=True) from None
        except ssl.SSLError as problem:
            reason = f"the TLS handshake failed ({problem.reason or 'no reason given'})"
            raise NotConnected(reason, unanswered=True) from None
        except OSError as problem:
            raise NotConnected(problem.strerror or "the connection failed", unanswered=True) from None
        return connection

    def release(self, host: str, port: int, connection: Connection, *, tls: bool = False) -> None:
        idle = self._idle.setdefault((host, port, tls or self._tls is not None), [])
        if connection.alive and len(idle) < _MOST_IDLE:
            connection.idle_since = time.monotonic()
            idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


def encode_request(
    method: str, target: str, host: str, headers: Sequence[tuple[bytes, bytes]], body: bytes | None
) -> list[bytes]:
    """The bytes of a request with a known length, in pieces."""
    out = [f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n".encode("ascii")]
    out += [b"%b: %b\r\n" % pair for pair in headers]
    if body is not None:
        out.append(b"content-length: %d\r\n\r\n" % len(body))
        out.append(body)
    else:
        out.append(b"\r\n" if method in {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"} else b"content-length: 0\r\n\r\n")
    return [b"".join(out)] if not body or len(body) < 65536 else [b"".join(out[:-1]), out[-1]]
