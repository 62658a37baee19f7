"""Requests of a connection that somebody else reads as they come, and answers with bytes: the native path over X-Road's wire.

Which they are `Whole` says; all others are `httpserver`'s, and so is one that is given back.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from kerege.node.httpbodies import NEVER, SinkFactory
from kerege.node.httpmessages import BodyBudget, HttpResponse, ServerLimits
from kerege.node.httpreading import RequestReader, Work

_WRITTEN: Final = HttpResponse(200)


class WholeRequests(RequestReader):
    """What a connection does with them. Its heir writes all other answers."""

    def __init__(
        self, limits: ServerLimits, budget: BodyBudget, sinks: SinkFactory | None, whole: Whole | None
    ) -> None:
        super().__init__(limits, budget, sinks)
        self._whole = whole
        self._pieces: list[bytes] = []  # what came of a request that `whole` will take
        self._missing = 0
        self._response: HttpResponse | None = None  # its answer, not yet all out
        self._closing = False
        self._blocked = False  # the transport has more to write than it likes
        self.deadline = NEVER

    @abstractmethod
    def _read(self, data: bytes) -> None:
        """Parse what came here."""

    @abstractmethod
    def _watch(self, seconds: float) -> None:
        """What is under way has so long."""

    @abstractmethod
    def _moved(self) -> None:
        """The client has so long to take what is written now."""

    @abstractmethod
    def _answered(self) -> None:
        """The answer is out, or nobody takes it."""

    @property
    def certificate(self) -> bytes | None:
        return self._certificate

    @property
    def peer_address(self) -> str:
        return self._peer

    def _taken(self, data: bytes) -> bytes | None:
        """None where it was taken, or is kept until the rest came; else what is to be read here."""
        assert self._whole is not None
        if len(data) < self._missing:
            self._pieces.append(data)
            self._missing -= len(data)
            return None
        data = self._with_pieces(data)
        missing = self._whole(self, data)
        if missing == 0 or (missing > 0 and self._begin_pieces(data, missing)):
            return None
        return data

    def _begin_pieces(self, data: bytes, missing: int) -> bool:
        """Wait for the rest of a small request; False where it is better read as it comes."""
        size = len(data) + missing
        if size > self._limits.body or not self._budget.has(size):
            return False
        self._reading, self._missing = True, missing
        self._pieces, self._held = [data], size
        self._budget.used += size
        self._watch(self._limits.request_seconds)
        return True

    def _with_pieces(self, data: bytes) -> bytes:
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._budget.used -= self._held
            self._pieces, self._held, self._missing, self._reading = [], 0, 0, False
        return data

    def begin_whole(self, size: int) -> Work | None:
        """A request of `size` bytes is under way; None where there is no room for it, or the connection is about to close."""
        if self._closing or not self._budget.has(size) or size > self._limits.body:
            return None
        self._budget.used += size
        self._work = work = Work("POST", "/", (), b"", self._certificate, self._peer, self._secure, held=size)
        self.deadline = NEVER
        return work

    def read_again(self, work: Work, data: bytes) -> None:
        """It is read here after all."""
        assert self._work is work
        self._work = None
        self._budget.used -= work.held
        if self._stopped or self._transport is None or self._transport.is_closing():
            return
        self._read(data)

    def answer_whole(self, work: Work, data: bytes) -> None:
        """Give an answer that is written already, and says that the connection is kept."""
        assert self._work is work
        transport = self._transport
        self._response = _WRITTEN
        if transport is None or transport.is_closing():
            self._answered()
            return
        if self._closing:  # and so it says
            work.keep = False
            data = data.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        transport.write(data)
        if self._blocked:
            self._moved()
        else:
            self._answered()


# given what comes of a request, from its beginning: 0 it is whole, and will be answered by `answer` or `answer_whole`;
# more: so many bytes are missing; -1: it is read by the connection itself
Whole = Callable[[WholeRequests, bytes], int]
