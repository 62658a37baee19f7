"""The Kerege link: many messages in flight over one mutually authenticated connection, under X-Road's own signatures.

Two Kerege nodes agree on it when they connect (TLS ALPN); with anybody else X-Road's wire is spoken. What was signed together is written
as one frame and logged as one batch at both ends; signatures, hash chains, log records and containers are the ones X-Road's wire would
have given (`exchange.linkframes`). Here is what both ends share: the connection, greeting, OCSP answers; large bodies in pieces are
`link.bodies`'. Calling is `link.client`'s, answering `link.server`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange.bodies import Body
from kerege.exchange.errors import LinkMalformed
from kerege.exchange.ids import ServerId
from kerege.ground.errors import KeregeError
from kerege.node.config_types import LimitSettings
from kerege.node.link.bodies import CREDIT, INLINE, PATIENCE, PROGRESS, Arrivals, Departures, Room, check_size
from kerege.node.link.pace import Pace

if TYPE_CHECKING:
    from kerege.exchange.lane.frames import LaneGroup

_LOG: Final = logging.getLogger("kerege.node.link")
ALPN: Final = "kerege-link/1"
_GREETING_SECONDS: Final = 10.0
_TURN_SECONDS: Final = 0.005
_AT_ONCE: Final = 64  # messages of one signature, between two looks at the time
_STUCK_SECONDS: Final = 60.0  # the other end takes nothing of what is written


class LinkRefused(Exception):
    """The other side speaks X-Road's wire only."""


class LaneEnd(Protocol):
    """Takes small REST messages that the native path has read."""

    def take(self, group: LaneGroup) -> None:
        """Messages of one signature."""


class _Rest(NamedTuple):
    """Messages of a group that are looked at after those before them."""

    group: lm.Group
    messages: Sequence[lm.LinkMessage]


class LinkProtocol(asyncio.Protocol, ABC):
    """One end of a link. Subclasses take whole messages (`take`) and what else ends a stream."""

    def __init__(self, node: str, limits: LimitSettings, room: Room | None = None) -> None:
        self._node, self._limits, self._room = node, limits, room or Room()
        self._loop = asyncio.get_running_loop()
        self._decoder = lf.Decoder()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._stuck: asyncio.TimerHandle | None = None
        self._ungreeted: asyncio.TimerHandle | None = None
        self._arrivals = Arrivals(limits, self.write, self._whole, self.refuse, self.moved, self._room)
        self._departures = Departures(self.write, self._writable, self.moved)
        self._sending: set[asyncio.Task[None]] = set()  # what must end although the connection does: log records
        self._told_ocsp: tuple[bytes, ...] = ()
        self.peer_ocsp: tuple[bytes, ...] = ()
        self.peer_hello: lm.Hello | None = None
        self.frame_limits = lm.LinkLimits()  # of frames that are sent: the smaller of both ends'
        self.greeted: asyncio.Future[lm.Hello] = self._loop.create_future()
        self.certificate: bytes | None = None
        self.peer_address = ""
        self.alive = False  # takes new calls
        self.open = False  # the connection is there
        self._todo: deque[lm.Frame | _Rest] = deque()  # came, and not looked at yet
        self._going: asyncio.Handle | None = None
        self._pauses: set[str] = set()  # why nothing is read
        self._partial = 0  # bytes of a large frame that is not whole yet, as they count in memory
        self._late: asyncio.TimerHandle | None = None  # when more of it must have come
        self.heard = False  # anything, since somebody last asked
        self.quiet_since = self._loop.time()
        self._pace = Pace()
        self._lane: LaneEnd | None = None

    # --- connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(True)
        name = transport.get_extra_info("peername")
        self.peer_address = str(name[0]) if name else ""
        self._room = self._room.of(self.whose())
        self._arrivals.use(self._room)
        self.alive = self.open = True
        self._ungreeted = self._loop.call_later(_GREETING_SECONDS, self._no_greeting)
        self.write(lf.encode(lm.Hello(self._node, credit=CREDIT)))

    def whose(self) -> object:
        """Whose part of the room counts what comes here."""
        return self.certificate or self.peer_address

    def connection_lost(self, exc: Exception | None) -> None:
        if self._going is not None:
            self._going.cancel()
        try:
            while self._todo and self.open:  # what came before the end
                self._frame(self._todo.popleft())
        except Exception as problem:  # noqa: BLE001 - told there
            self._ends_over(problem)
        self._todo.clear()
        self.alive = self.open = False
        self._room.take_of_frames(-self._partial, self._limits)
        self._partial = 0
        for timer in (self._ungreeted, self._stuck, self._late):
            if timer is not None:
                timer.cancel()
        self._writable.set()
        self._departures.clear()
        self._arrivals.clear()
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("the connection closed before the greeting"))
            self.greeted.exception()  # whoever waits is told; nobody waiting is no error
        self.ended()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._stuck = self._loop.call_later(_STUCK_SECONDS, self._is_stuck)

    def resume_writing(self) -> None:
        self._writable.set()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _is_stuck(self) -> None:
        _LOG.warning("the link with %s is closed: it takes nothing for %g s", self.peer_address, _STUCK_SECONDS)
        self.close()

    def _no_greeting(self) -> None:
        if self.peer_hello is None:
            _LOG.warning("the link with %s is closed: it did not greet", self.peer_address)
            self.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self.alive = self.open = False
        if self._transport is not None:
            self._transport.abort()

    # --- frames in ---

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if not self.open:
            return  # closed by us; what was on its way is not looked at
        try:
            for frame in self._decoder.feed(data):
                self._todo.extend(_parted(frame))
            if self._going is None:
                self._go_on()
            if self._partial or self._decoder.kept > INLINE:
                self._count_partial(self._decoder.kept)
        except Exception as problem:  # noqa: BLE001 - told there; calls under way are told by the closing
            self._ends_over(problem)

    def _go_on(self) -> None:
        """What came, as much of it as a turn of the loop has time for: others are to have theirs, whatever is sent here."""
        todo, until = self._todo, time.monotonic() + _TURN_SECONDS
        while todo and self.open:
            self._frame(todo.popleft())
            if todo and time.monotonic() > until:
                self._pause_reading("frames")
                self._going = self._loop.call_soon(self._next_turn)
                return
        self._resume_reading("frames")

    def _next_turn(self) -> None:
        self._going = None
        try:
            self._go_on()
        except Exception as problem:  # noqa: BLE001 - as above
            self._ends_over(problem)

    def _ends_over(self, problem: Exception) -> None:
        if isinstance(problem, KeregeError):
            _LOG.warning("the link with %s is closed: %s", self.peer_address, problem.text)
        else:
            _LOG.error("the link with %s is closed", self.peer_address, exc_info=problem)
        self.close()

    def _pause_reading(self, why: str) -> None:
        if not self._pauses and self._transport is not None:
            self._transport.pause_reading()
        self._pauses.add(why)

    def _resume_reading(self, why: str) -> None:
        if why not in self._pauses:
            return
        self._pauses.discard(why)
        if not self._pauses and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _count_partial(self, kept: int) -> None:
        """What came of a large frame counts in memory until all of it did; each MiB of it has so long. Raises MessageTooLarge."""
        counts = kept if kept > INLINE else 0
        self._room.take_of_frames(counts - self._partial, self._limits)
        moved = counts // PROGRESS != self._partial // PROGRESS or counts < self._partial
        self._partial = counts
        if self._late is not None and (moved or not counts):
            self._late.cancel()
            self._late = None
        if counts and self._late is None:
            self._late = self._loop.call_later(PATIENCE, self._is_late)

    def _is_late(self) -> None:
        _LOG.warning("the link with %s is closed: a frame did not come within %g s", self.peer_address, PATIENCE)
        self.close()

    def _frame(self, frame: lm.Frame | _Rest) -> None:
        if self.peer_hello is None and not isinstance(frame, lm.Hello):
            raise LinkMalformed(where="hello", reason="something came before it")
        if isinstance(frame, lm.Messages):
            self._messages(frame)
        elif isinstance(frame, _Rest):
            self.take_messages(frame.group, frame.messages)
        elif isinstance(frame, lm.LaneMessages):
            assert self._lane is not None  # the decoder makes no such frames otherwise
            for group in frame.groups:
                self._lane.take(group)
        elif isinstance(frame, lm.BodyData):
            self._arrivals.piece(frame)
        elif isinstance(frame, lm.Credit):
            self._departures.credit(frame)
        elif isinstance(frame, lm.FaultFrame):
            self.drop_bodies(frame.stream)
            self.fault(frame)
        elif isinstance(frame, lm.Cancel):
            self.drop_bodies(frame.stream)
            self.cancelled(frame.stream)
        elif isinstance(frame, lm.OcspAnswers):
            self.peer_ocsp = tuple(der for about, der in frame.answers if about == lf.AUTH)
        elif isinstance(frame, lm.Hello):
            self._greet(frame)
        elif isinstance(frame, lm.Ping):
            if not frame.answer and self._writable.is_set():  # whoever reads nothing gets no more to read
                self.write(lf.encode(lm.Ping(frame.token, answer=True)))
        else:
            self.leaving(frame)

    def _greet(self, hello: lm.Hello) -> None:
        if self.peer_hello is not None:
            raise LinkMalformed(where="hello", reason="it came twice")
        if lm.VERSION not in hello.versions:
            raise LinkMalformed(where="hello", reason="no version is spoken by both ends")
        try:
            ServerId.parse(hello.node)
        except KeregeError:
            raise LinkMalformed(where="hello", reason="it names no server") from None
        self.peer_hello = hello
        own = self.frame_limits
        self.frame_limits = lm.LinkLimits(min(own.frame, hello.limits.frame), min(own.messages, hello.limits.messages))
        self._departures.window = hello.credit
        if not self.greeted.done():
            self.greeted.set_result(hello)

    def _messages(self, frame: lm.Messages) -> None:
        for group in frame.groups:
            self.take_messages(group, group.messages)

    def take_messages(self, group: lm.Group, messages: Sequence[lm.LinkMessage]) -> None:
        """Messages of one signature, whole or with bodies that are yet to come."""
        if len(messages) > _AT_ONCE:
            self._todo.appendleft(_Rest(group, messages[_AT_ONCE:]))
            messages = messages[:_AT_ONCE]
        now = []
        for message in messages:
            try:
                whole = check_size(message, self._limits)
            except KeregeError as problem:
                self.refuse(message.stream, problem)
                continue
            if whole:
                now.append(message)
            else:
                self._expect(group, message)
        if now:
            self.take(group, now)

    # --- large bodies ---

    def _expect(self, group: lm.Group, message: lm.LinkMessage) -> None:
        try:
            if self.wants(message):
                self._arrivals.expect(group, message)
        except LinkMalformed:
            raise
        except KeregeError as problem:
            self.refuse(message.stream, problem)

    def _whole(self, group: lm.Group, message: lm.LinkMessage) -> None:
        self.take(group, [message])

    def send_bodies(self, stream: int, bodies: Sequence[tuple[int, Body]]) -> None:
        """Send announced bodies piece by piece, as the other end takes them."""
        self._departures.send(stream, bodies)

    def drop_bodies(self, stream: int) -> None:
        """Nobody wants bodies of this stream any more, in either direction."""
        self._arrivals.drop(stream)
        self._departures.stop(stream)

    def tell_ocsp(self, answers: tuple[bytes, ...]) -> None:
        """Say our OCSP answers when they are others than last time."""
        if answers is not self._told_ocsp and answers:
            self._told_ocsp = answers
            self.write(lf.encode(lm.OcspAnswers(tuple((lf.AUTH, der) for der in answers))))

    # --- what an end does ---

    @abstractmethod
    def take(self, group: lm.Group, messages: list[lm.LinkMessage]) -> None:
        """Messages of one signature that are whole."""

    def use_lane(self, lane: LaneEnd) -> None:
        """Small REST messages go to `lane` from now on; not where the limits may refuse one (`check_size`)."""
        self._lane = lane
        self._decoder.lane = self._limits.body >= INLINE

    def keep(self, work: Coroutine[None, None, None]) -> None:
        """Do this to its end, although the connection ends: log records."""
        task = self._loop.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def wants(self, message: lm.LinkMessage) -> bool:
        """Whether bodies of this message may come at all. Raises what stands against it, to be told on its stream."""
        return True

    def moved(self, stream: int) -> None:
        """Another MiB of a body of this stream came, or was taken."""

    @abstractmethod
    def refuse(self, stream: int, problem: KeregeError) -> None:
        """What comes on this stream cannot be taken."""

    @abstractmethod
    def fault(self, frame: lm.FaultFrame) -> None:
        """The other side ends this stream with a fault."""

    def cancelled(self, stream: int) -> None:
        """The other side no longer answers, or waits for, this stream."""

    def leaving(self, frame: lm.Goaway) -> None:
        """The other side takes no new streams."""

    def ended(self) -> None:
        """The connection is gone."""


def _parted(frame: lm.Frame) -> list[lm.Frame]:
    """A frame of messages as one for each of its groups: there may be as many as messages."""
    if isinstance(frame, lm.Messages | lm.LaneMessages) and len(frame.groups) > 1:
        of = type(frame)
        return [of((group,)) for group in frame.groups]  # type: ignore[arg-type]
    return [frame]
