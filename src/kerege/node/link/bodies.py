"""Large bodies on a Kerege link, in pieces: those that arrive for messages that announced them, and those that are sent.

Whoever sends keeps to the credit the other end gives; whoever receives holds it to that, to the announced size and digest, and to a pace:
each MiB of a body must come, or be taken, within `PATIENCE` seconds. Nothing here knows what the messages mean (`link.client`,
`link.server`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import soap
from kerege.exchange.bodies import Attachment, Body, BodyWriter, body_chunks, close_body
from kerege.exchange.errors import LinkMalformed, MessageMalformed, MessageTooLarge
from kerege.ground.errors import KeregeError
from kerege.node.config_types import LimitSettings

_LOG: Final = logging.getLogger("kerege.node.link")
PIECE: Final = 64 * 1024
INLINE: Final = 64 * 1024  # a larger body goes in pieces, so that it does not hold up the messages behind it
CREDIT: Final = 1024 * 1024
MOST: Final = 256  # large messages arriving at once on one link
PATIENCE: Final = 60.0  # seconds for each MiB
PROGRESS: Final = 1024 * 1024
_GRANT: Final = CREDIT // 4  # credit is given in portions: tiny pieces do not cost a frame each
_LOOK: Final = 1.0
_LEAF: Final = 256  # bytes of a tree for each of its leaves, about
_WAITING: Final = 512  # bytes for each body that is waited for, about
_FREE: Final = 3  # a server that is alone has three quarters
_FRAME: Final = lm.LinkLimits().frame
_ROOM: Final = 4  # bodies under way on all links of one direction: this many times limits.bodies, on disk


class Room:
    """What the links of a node in one direction hold together: each keeps to its own limits with the sum of all.

    held        bytes in memory, of bodies that arrive and the messages that wait for them, of large frames that arrive, and of
                requests under way
    announced   bytes of bodies that arrive, wherever they are kept

    Of the whole every server has a part of its own (`of`), which never takes more than `_FREE` times what it leaves free for others: one
    server that fills its part keeps nobody out. What each may have in any case, as long as there is any, is a body; and a large frame that
    arrives, also when there is none: a message is refused alone, but a frame that is not read on ends the link, with all calls on it.
    """

    __slots__ = ("__weakref__", "_frames", "_parts", "_whole", "announced", "held")

    def __init__(self, whole: Room | None = None) -> None:
        self.held = self.announced = 0
        self._frames = 0  # what is held of large frames that arrive
        self._whole = whole
        self._parts: WeakValueDictionary[object, Room] = WeakValueDictionary()

    def of(self, server: object) -> Room:
        """The part of one server, by whatever tells it from others; of all its links together."""
        part = self._parts.get(server)
        if part is None:
            part = self._parts[server] = Room(self)
        return part

    def take(self, size: int, limits: LimitSettings) -> None:
        """Raises MessageTooLarge when that much more does not go into memory."""
        most = max(limits.bodies, limits.memory)
        whole = self._whole or self
        if not _fits(size, self.held, most - whole.held, limits.memory, alone=self is whole):
            raise MessageTooLarge(what="sum of the bodies under way at once", limit=most)
        self.give_back(-size)

    def give_back(self, size: int) -> None:
        """So many bytes are in memory no more."""
        self.held -= size
        if self._whole is not None:
            self._whole.held -= size

    def take_of_frames(self, size: int, limits: LimitSettings) -> None:
        """As `take`, for large frames that arrive (less than nothing: that arrived); as much as one may hold is never refused."""
        if self._frames + size <= _FRAME:
            self.give_back(-size)
        else:
            self.take(size, limits)
        self._frames += size

    def expect(self, size: int, limits: LimitSettings) -> None:
        """Raises MessageTooLarge when bodies of that size together may not come yet."""
        most = _ROOM * max(limits.bodies, limits.body)
        whole = self._whole or self
        if not _fits(size, self.announced, most - whole.announced, limits.body, alone=self is whole):
            raise MessageTooLarge(what="sum of the bodies under way at once", limit=most)
        self.came(-size)

    def came(self, size: int) -> None:
        """Bodies of that size came, or do not come."""
        self.announced -= size
        if self._whole is not None:
            self._whole.announced -= size


def _fits(size: int, own: int, free: int, least: int, *, alone: bool) -> bool:
    return size <= 0 or (size <= free and (alone or own + size <= max(_FREE * (free - size), least)))


def check_size(message: lm.LinkMessage, limits: LimitSettings) -> bool:
    """Whether `message` is whole, with nothing announced. Raises MessageTooLarge, as X-Road's wire would, or for what was not announced."""
    if len(message.content) > limits.body or len(message.content) > soap.LARGEST:
        raise MessageTooLarge(what="message", limit=min(limits.body, soap.LARGEST))
    whole, total = True, 0
    for attachment in message.attachments:
        if isinstance(attachment, lm.Announced):
            whole = False
            total += attachment.size
        else:
            size = len(attachment.body)
            if size > INLINE:
                raise MessageTooLarge(what="body that came without being announced", limit=INLINE)
            total += size
    if total > limits.body:
        raise MessageTooLarge(what="body", limit=limits.body)
    return whole


def kept_of(group: lm.Group, message: lm.LinkMessage) -> int:
    """Bytes that wait in memory with a message until its bodies came: all of it that came already, its signature and the signature's tree."""
    size = len(group.signature) + _LEAF * group.size + len(message.content)
    fields = [*message.headers]
    for attachment in message.attachments:
        fields += attachment.headers
        size += len(attachment.body) if isinstance(attachment, Attachment) else _WAITING
    return size + sum([len(name) + len(value) for name, value in fields])


class _Arriving:
    """A message whose large bodies are still on their way."""

    __slots__ = ("deadline", "group", "held", "marked", "message", "owed", "seen", "size", "window", "writers")

    def __init__(self, group: lm.Group, message: lm.LinkMessage, size: int, deadline: float) -> None:
        self.group, self.message, self.size, self.deadline = group, message, size, deadline
        self.writers: dict[int, BodyWriter] = {}
        self.held = 0  # bytes of it in memory
        self.window, self.owed = CREDIT, 0
        self.seen = self.marked = 0


class Arrivals:
    """Bodies on their way in. `whole` gets each message when it is; `refused` what cannot be taken, by stream."""

    def __init__(
        self,
        limits: LimitSettings,
        write: Callable[[bytes], None],
        whole: Callable[[lm.Group, lm.LinkMessage], None],
        refused: Callable[[int, KeregeError], None],
        moved: Callable[[int], None],
        room: Room | None = None,
    ) -> None:
        self._limits, self._write, self._whole, self._refused, self._moved = limits, write, whole, refused, moved
        self._room = room or Room()
        self._loop = asyncio.get_running_loop()
        self._arriving: dict[int, _Arriving] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.patience = PATIENCE

    def use(self, room: Room) -> None:
        """Before anything is expected: what comes counts there."""
        self._room = room

    def __len__(self) -> int:
        return len(self._arriving)

    def expect(self, group: lm.Group, message: lm.LinkMessage) -> None:
        """Raises MessageTooLarge when there is no room for it, LinkMalformed when the stream has one on its way."""
        stream, limits = message.stream, self._limits
        if stream in self._arriving:
            raise LinkMalformed(where="bodies", reason="one stream announces twice")
        group.batch()  # while the digests are as they were announced
        sizes = {n: a.size for n, a in enumerate(message.attachments, 1) if isinstance(a, lm.Announced)}
        total = sum(sizes.values())
        if total > limits.body:
            raise MessageTooLarge(what="body", limit=limits.body)
        if len(self._arriving) >= MOST:
            raise MessageTooLarge(
                what="sum of the bodies under way at once", limit=_ROOM * max(limits.bodies, limits.body)
            )
        kept, room = kept_of(group, message), self._room
        room.expect(total, limits)
        try:
            room.take(kept, limits)
        except MessageTooLarge:
            room.came(total)
            raise
        arriving = _Arriving(group.alone(message), message, total, self._loop.time() + self.patience)
        arriving.held = kept

        def note(size: int) -> None:
            room.take(size, limits)
            arriving.held += size

        folder = Path(limits.spool)
        for n in sizes:
            arriving.writers[n] = BodyWriter(limits.body, memory=limits.memory, folder=folder, note=note)
        self._arriving[stream] = arriving
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK, self._look)

    def piece(self, frame: lm.BodyData) -> None:
        """Raises LinkMalformed when it is not what was announced, or more than the credit allows."""
        arriving = self._arriving.get(frame.stream)
        if arriving is None:
            return  # refused or cancelled; its pieces were on their way
        writer = arriving.writers.get(frame.part)
        if writer is None:
            raise LinkMalformed(where="body", reason="a piece of a body came that was not announced")
        announced = arriving.message.attachments[frame.part - 1]
        assert isinstance(announced, lm.Announced)
        size = len(frame.data)
        arriving.window -= size
        if arriving.window < 0:
            raise LinkMalformed(where="body", reason="more came than credit was given for")
        if writer.size + size > announced.size or (frame.last and writer.size + size != announced.size):
            raise LinkMalformed(where="body", reason="it is not as long as was announced")
        try:
            writer.write(frame.data)
        except KeregeError as problem:
            self.drop(frame.stream)
            self._refused(frame.stream, problem)
            return
        self._progress(arriving, frame, size)
        if frame.last:
            self._complete(arriving, frame, writer, announced)

    def _progress(self, arriving: _Arriving, frame: lm.BodyData, size: int) -> None:
        arriving.seen += size
        arriving.owed += size
        if arriving.owed >= _GRANT:
            arriving.window += arriving.owed
            self._write(lf.encode(lm.Credit(frame.stream, arriving.owed)))
            arriving.owed = 0
        if arriving.seen >= arriving.marked + PROGRESS:
            arriving.marked = arriving.seen
            arriving.deadline = self._loop.time() + self.patience
            self._moved(frame.stream)

    def _complete(self, arriving: _Arriving, frame: lm.BodyData, writer: BodyWriter, announced: lm.Announced) -> None:
        body = writer.finish()
        del arriving.writers[frame.part]
        came = Attachment(announced.headers, body)
        if came.sha512 != announced.sha512:
            close_body(body)
            raise LinkMalformed(where="body", reason="it is not the body that was announced")
        attachments = list(arriving.message.attachments)
        attachments[frame.part - 1] = came
        arriving.message.attachments = tuple(attachments)
        if not arriving.writers:
            self._remove(frame.stream)
            self._whole(arriving.group, arriving.message)

    def _remove(self, stream: int) -> _Arriving | None:
        arriving = self._arriving.pop(stream, None)
        if arriving is not None:
            self._room.came(arriving.size)
            self._room.give_back(arriving.held)
            arriving.held = 0
        return arriving

    def drop(self, stream: int) -> None:
        """Nobody wants it any more: what came of it is given back."""
        arriving = self._arriving.get(stream)
        if arriving is None:
            return
        for writer in arriving.writers.values():
            writer.discard()
        self._remove(stream)
        for attachment in arriving.message.attachments:
            if isinstance(attachment, Attachment):
                close_body(attachment.body)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for stream in list(self._arriving):
            self.drop(stream)

    def _look(self) -> None:
        """Bodies that do not come are given up."""
        self._timer = None
        now = self._loop.time()
        for stream, arriving in list(self._arriving.items()):
            if arriving.deadline < now:
                self.drop(stream)
                reason = f"nothing, or too little, of it came within {self.patience:g} s"
                self._refused(stream, MessageMalformed(where="body", reason=reason))
        if self._arriving:
            self._timer = self._loop.call_later(_LOOK, self._look)


class Departures:
    """Bodies on their way out, each in a task of its own, no faster than the other end takes them."""

    def __init__(self, write: Callable[[bytes], None], writable: asyncio.Event, moved: Callable[[int], None]) -> None:
        self._write, self._writable, self._moved = write, writable, moved
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, int] = {}
        self._credited: dict[int, asyncio.Event] = {}
        self.window = CREDIT  # as the other end said in its greeting
        self.patience = PATIENCE

    def __len__(self) -> int:
        return len(self._tasks)

    def send(self, stream: int, bodies: Sequence[tuple[int, Body]]) -> None:
        self._credit[stream], self._credited[stream] = self.window, asyncio.Event()
        task = self._tasks[stream] = self._loop.create_task(self._send(stream, bodies))
        task.add_done_callback(lambda done: self._ended(stream, done))

    def _ended(self, stream: int, task: asyncio.Task[None]) -> None:
        if self._tasks.get(stream) is task:
            del self._tasks[stream], self._credit[stream], self._credited[stream]
        if task.cancelled():
            return
        problem = task.exception()
        if problem is None:
            return
        if isinstance(problem, TimeoutError):
            _LOG.warning("a body was not taken within %g s", self.patience)
        else:
            _LOG.error("a body could not be sent", exc_info=None if isinstance(problem, KeregeError) else problem)
        self._write(lf.encode(lm.Cancel(stream)))

    async def _send(self, stream: int, bodies: Sequence[tuple[int, Body]]) -> None:
        size = min(PIECE, self.window)
        sent = 0
        for number, body in bodies:
            left = len(body)
            for piece in body_chunks(body, size):
                left -= len(piece)
                await self._allowed(stream, len(piece))
                self._write(lf.encode(lm.BodyData(stream, number, piece, not left)))
                sent += len(piece)
                if sent >= PROGRESS:
                    sent = 0
                    self._moved(stream)
            if not len(body):
                self._write(lf.encode(lm.BodyData(stream, number, b"", True)))

    async def _allowed(self, stream: int, size: int) -> None:
        """Wait until the other end takes that much."""
        event = self._credited[stream]
        if self._credit[stream] < size or not self._writable.is_set():
            async with asyncio.timeout(self.patience):
                while self._credit[stream] < size:
                    event.clear()
                    await event.wait()
                await self._writable.wait()
        self._credit[stream] -= size

    def credit(self, frame: lm.Credit) -> None:
        if frame.stream in self._credit:
            self._credit[frame.stream] += frame.size
            self._credited[frame.stream].set()

    def stop(self, stream: int) -> None:
        """Nobody wants it any more."""
        task = self._tasks.get(stream)
        if task is not None:
            task.cancel()

    def clear(self) -> None:
        for task in self._tasks.values():
            task.cancel()
