"""HTTP/1.1 out of the node: kept-alive connections to peers (mutual TLS) and to agencies' systems, pooled per address.

A request is never sent twice: when a kept connection turns out dead before anything was answered the caller is told, unless it says
that repeating is harmless. What happens on a connection is `http.connection`'s.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kerege.exchange.bodies import MEMORY, Body, body_size
from kerege.exchange.errors import HeaderInvalid
from kerege.node.http.bodies import Pieces, encode_headers, pieces_of
from kerege.node.http.connection import (
    AnswerSinks,
    AnswerTooLarge,
    ClientResponse,
    Connection,
    HttpFailed,
    NotConnected,
)

__all__ = [
    "AnswerSinks",
    "AnswerTooLarge",
    "ClientResponse",
    "Connection",
    "HttpFailed",
    "NotConnected",
    "Pool",
    "encode_request",
]

_IDLE_SECONDS: Final = 20.0
_MOST_IDLE: Final = 256
_JOINED: Final = 64 * 1024


class Pool:
    """Connections to anywhere, kept alive. `tls` makes every connection of this pool mutual TLS.

    A connection is kept under the TLS context it was made with: what one context believes of the other side, another need not.
    """

    def __init__(
        self,
        limit: int,
        connect_seconds: float,
        tls: ssl.SSLContext | None = None,
        *,
        memory: int = MEMORY,
        spool: Path | None = None,
    ) -> None:
        self._limit, self._connect_seconds, self._tls = limit, connect_seconds, tls
        self._memory, self._spool = memory, spool
        self._idle: dict[tuple[str, int, ssl.SSLContext | None], list[Connection]] = {}

    async def acquire(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> Connection:
        """A connection that is idle and young, or a new one. Raises NotConnected."""
        return self.idle(host, port, tls) or await self._connect(host, port, self._tls or tls)

    def idle(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> Connection | None:
        """A connection that is idle and young, if there is one."""
        idle = self._idle.get((host, port, self._tls or tls))
        if idle is None:
            return None
        now = time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.alive and now - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._limit, self._memory, self._spool),
                    host,
                    port,
                    ssl=context,
                    server_hostname=(host if context else None),
                )
        except TimeoutError:
            raise NotConnected(f"no connection within {self._connect_seconds:g} s", unanswered=True) from None
        except ssl.SSLError as problem:
            reason = f"the TLS handshake failed ({problem.reason or 'no reason given'})"
            raise NotConnected(reason, unanswered=True, cut=True) from None
        except OSError as problem:
            raise NotConnected(problem.strerror or "the connection failed", unanswered=True) from None
        return connection

    def use(self, limit: int, connect_seconds: float, memory: int, spool: Path | None) -> None:
        """Other limits, for connections made from now on."""
        self._limit, self._connect_seconds, self._memory, self._spool = limit, connect_seconds, memory, spool

    def release(self, host: str, port: int, connection: Connection, tls: ssl.SSLContext | None = None) -> None:
        """Keep a connection for the next call; `tls` as it was acquired with."""
        idle = self._idle.setdefault((host, port, self._tls or tls), [])
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
    method: str, target: str, host: str, headers: Sequence[tuple[bytes, bytes]], body: Body | Pieces | None
) -> list[Body]:
    """A request with a known length, in pieces; one piece when it is small."""
    first = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    if body is None:
        pieces: Pieces = ()
        more = b"" if method in {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"} else b"content-length: 0\r\n"
    else:
        pieces = pieces_of(body)
        more = b"content-length: %d\r\n" % sum(map(body_size, pieces))
    try:
        head = encode_headers(first, ((b"host", host.encode("ascii")), *headers), more)
    except ValueError:
        raise HeaderInvalid(header="of the request", reason="a line break stands in it") from None
    out: list[Body] = [head]
    for piece in pieces:
        last = out[-1]
        if isinstance(piece, bytes) and isinstance(last, bytes) and len(piece) + len(last) <= _JOINED:
            out[-1] = last + piece
        else:
            out.append(piece)
    return out
