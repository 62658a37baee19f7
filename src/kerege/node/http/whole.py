"""Messages that somebody else reads when they are whole: the native path over X-Road's wire.

Of a connection's requests `Whole` says which they are; all others are `http.server`'s, and so is one that is given back. Of answers it is
whoever asked that says it (`http.connection`). What comes of one is kept here until it is whole (`Pieces`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from kerege.node.http.bodies import NEVER, SinkFactory
from kerege.node.http.messages import BodyBudget, HttpResponse, ServerLimits
from kerege.node.http.reading import RequestReader, Work

_WRITTEN: Final = HttpResponse(200)
_MOST_ASKED: Final = 32
"""How often it is asked whether a message is whole: how much is missing is known from its head, or chunk by chunk. Whoever sends many
small chunks, each by itself, is read as they come: asking anew each time would take the square of their number."""


class Pieces:
    """What came of a message, until the bytes that are missing came as well."""

    __slots__ = ("_asked", "_came", "missing")

    def __init__(self) -> None:
        self.missing = self._asked = 0
        self._came = bytearray()  # not a list of pieces: of very small ones that would be many times as large

    def keep(self, data: bytes) -> None:
        """There are fewer bytes than are missing."""
        self._came += data
        self.missing -= len(data)

    def wait(self, data: bytes, missing: int) -> bool:
        """That is all of what came, and so many more bytes are to come, at the least; False where it was asked often enough."""
        if self._asked >= _MOST_ASKED:
            return False
        self._asked += 1
        self._came += data
        self.missing = missing
        return True

    def all(self, data: bytes) -> bytes:
        """What came up to now, with `data`; nothing of it is kept."""
        if self.missing:
            self._came += data
            data = bytes(self._came)
            self._came, self.missing = bytearray(), 0
        return data

    def done(self) -> None:
        """The next one begins."""
        if self._asked:
            self._asked = self.missing = 0
            self._came = bytearray()

    @property
    def asked(self) -> bool:
        return self._asked > 0


class WholeRequests(RequestReader):
    """What a connection does with them. Its heir writes all other answers."""

    def __init__(
        self, limits: ServerLimits, budget: BodyBudget, sinks: SinkFactory | None, whole: Whole | None
    ) -> None:
        super().__init__(limits, budget, sinks)
        self._whole = whole
        self._pieces = Pieces()  # what came of a request that `whole` will take
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
    def _missing(self) -> int:
        """How many bytes a request that began is waited for."""
        return self._pieces.missing

    @property
    def certificate(self) -> bytes | None:
        return self._certificate

    @property
    def peer_address(self) -> str:
        return self._peer

    def _taken(self, data: bytes) -> bytes | None:
        """None where it was taken, or is kept until the rest came; else what is to be read here."""
        assert self._whole is not None
        pieces, size = self._pieces, len(data)
        if size < pieces.missing:
            if not self._budget.has(size):
                return self._given_up(self._with_pieces(data))
            pieces.keep(data)
            self._budget.used += size
            self._held += size
            return None
        data = self._with_pieces(data)
        missing = self._whole(self, data)
        if missing > 0 and self._wait_for_rest(data, missing):
            return None
        pieces.done()
        return None if missing == 0 else data

    def _given_up(self, data: bytes) -> bytes:
        self._pieces.done()
        return data

    def _wait_for_rest(self, data: bytes, missing: int) -> bool:
        """Of a small request; False where it is better read as it comes."""
        size = len(data) + missing
        first = not self._pieces.asked
        if size > self._limits.body or not self._budget.has(size) or not self._pieces.wait(data, missing):
            return False
        self._reading, self._held = True, len(data)
        self._budget.used += len(data)
        if first:  # so long it has for all of it
            self._watch(self._limits.request_seconds)
        return True

    def _with_pieces(self, data: bytes) -> bytes:
        if self._pieces.missing:
            data = self._pieces.all(data)
            self._budget.used -= self._held
            self._held, self._reading = 0, False
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

    def give_up(self, work: Work) -> None:
        """It gets no answer: its connection ends, and nothing of it is held."""
        if self._work is not work:
            return
        begun, self._response = self._response is not None, self._response or _WRITTEN
        if self._transport is not None:
            self._transport.abort()
        if not begun:  # else it is done when the connection is gone
            self._answered()

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
# more: so many bytes are missing, at the least; -1: it is read by the connection itself
Whole = Callable[[WholeRequests, bytes], int]
