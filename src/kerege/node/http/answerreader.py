"""One HTTP/1.1 answer after the other out of a connection's bytes: the parser's side of a connection out of the node.

httptools parses; this module holds the limits, and puts bodies where they belong: in memory, into the caller's sink, or on disk beyond
`memory` (`http.bodies`). When an answer is whole, and what then becomes of its connection, is `http.connection`'s affair.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

import httptools

from kerege.node.http.answers import AnswerSinks, AnswerTooLarge, HttpFailed, Waiter
from kerege.node.http.bodies import Intake, Sink, grown

_MAX_HEADERS: Final = 200
_MAX_HEADER_BYTES: Final = 256 * 1024
_FRAMING: Final = frozenset({len(b"content-length"), len(b"transfer-encoding")})


class AnswerReader(ABC):
    """Its heir says what becomes of an answer (`_finish`) and of what is none (`_fail`)."""

    def __init__(self, limit: int, memory: int, spool: Path | None) -> None:
        self._limit, self._memory, self._spool = limit, memory, spool
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: Waiter | None = None
        self._sinks: AnswerSinks | None = None
        self._begin(head=False)

    def _begin(self, *, head: bool) -> None:
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = self._size = self._header_size = self._marked = self._declared = 0
        self._framed = self._interim = False
        self._whole = False  # all of it came; what comes now is no part of it, and of no other answer
        self._head = head
        self._body: bytes | bytearray = b""
        self._intake: Intake | None = None
        self._sink: Sink | None = None

    @abstractmethod
    def _finish(self) -> None:
        """The answer is whole."""

    @abstractmethod
    def _fail(self, problem: HttpFailed) -> None:
        """What came is no answer that is taken."""

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("something follows the answer")

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value or b""
        self._header_size += len(name) + len(value)
        if len(self._headers) >= _MAX_HEADERS or self._header_size > _MAX_HEADER_BYTES:
            raise ValueError("too many headers")
        if len(name) in _FRAMING:
            lowered = name.lower()
            if lowered == b"content-length":
                self._framed = True
                self._declared = int(value) if value.isdigit() and len(value) < 20 else 0
            elif lowered == b"transfer-encoding":
                self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 200:  # 100 Continue: the real answer follows
            self._status, self._headers, self._reason, self._framed = 0, [], b"", False
            self._interim = True
            return
        self._interim = False
        if self._head:
            self._finish()
            return
        if self._declared > self._limit:
            self._fail(AnswerTooLarge(f"answered with more than {self._limit} bytes"))
            return
        if self._sinks is not None:
            self._sink = self._sinks(self._status, self._headers)

    def on_body(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            return
        self._size += len(data)
        if self._size > self._limit:
            self._fail(AnswerTooLarge(f"answered with more than {self._limit} bytes"))
            return
        if self._intake is None and self._size > self._memory and (self._sink is not None or self._spool is not None):
            self._intake = Intake(self._loop, self._sink, self._spool)
            self._intake.add(self._body)
            self._body = b""
        if self._intake is not None:
            self._intake.add(data)
        elif not self._body:
            self._body = data
        else:
            self._body = grown(self._body, data)

    def on_message_complete(self) -> None:
        if not self._interim:
            self._whole = True
            self._finish()
