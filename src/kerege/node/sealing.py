"""Signing and logging what waits together: one signature per key, one durable write for all, then everyone goes on.

While one round (sign, write) is under way, what comes next gathers for the round after it; under load rounds grow, alone a message
has a round of its own. Of the native path, whose messages cost less than a signature, a round waits a moment while fewer wait than
are under way elsewhere: those will be here soon. Nothing leaves here before its log record is durable. Signatures over several messages
are X-Road's batch signatures (`exchange.hashchain.batch`); with batches switched off every message has a signature of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from kerege.exchange.batch import Batch
from kerege.exchange.errors import ExchangeError, LogFailed
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.xades import Signed, Signer
from kerege.ground.errors import KeregeError
from kerege.node.commit import CommitLog
from kerege.node.message import Asked, Message

if TYPE_CHECKING:
    from kerege.exchange.lane.call import Call, Part

_LOG = logging.getLogger("kerege.node.sealing")
MOST_BYTES = 16 * 1024 * 1024  # of one round: records of big bodies are in memory while they are written
GATHER_SECONDS = 0.002  # at most, for messages that are about to come
MOST_SMALL = 80 * 1024  # a message of the native path with its body is smaller
MOST_TOGETHER = 256  # messages under one signature: a proof then has eight siblings


class Sink(Protocol):
    """Takes messages that were sealed together under one signature (`sealed`), or that could not be (`failed`)."""

    def sealed(self, items: Sequence[Item]) -> None: ...
    def failed(self, items: Sequence[Item], problem: KeregeError) -> None: ...


class Item:
    """One message to sign and log. `record` makes its log record once it is signed."""

    __slots__ = ("asked", "digests", "message", "record", "signed", "signer", "sink", "tag")

    def __init__(
        self,
        signer: Signer,
        message: Message,
        asked: Asked,
        record: Callable[[Item, datetime], LogRecord],
        sink: Sink,
        tag: object = None,
    ) -> None:
        self.signer, self.message, self.asked, self.record, self.sink, self.tag = (
            signer,
            message,
            asked,
            record,
            sink,
            tag,
        )
        self.digests = message.digests
        self.signed: Signed | None = None


class ParcelSink(Protocol):
    """As `Sink`, for messages of the native path."""

    @property
    def under_way_count(self) -> int:
        """How many calls there are at this end, those that wait to be sealed included."""
        ...

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None: ...
    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None: ...


class Parcel:
    """Messages of the native path (`node.lane`) that came together: hashed, of one signer, for one sink.

    calls, parts   the exchanges, and of each the message that is to be sealed, in the same order
    """

    __slots__ = ("calls", "direction", "parts", "side", "signer", "sink")

    def __init__(
        self,
        signer: Signer,
        sink: ParcelSink,
        direction: str,
        side: str,
        calls: list[Call],
        parts: list[Part],
    ) -> None:
        self.signer, self.sink, self.direction, self.side = signer, sink, direction, side
        self.calls, self.parts = calls, parts


class _Waiting:
    """The sink of those who wait one by one: each item's tag is a future."""

    def sealed(self, items: Sequence[Item]) -> None:
        for item in items:
            future = item.tag
            assert isinstance(future, asyncio.Future)
            if not future.done():
                future.set_result(item.signed)

    def failed(self, items: Sequence[Item], problem: KeregeError) -> None:
        for item in items:
            future = item.tag
            assert isinstance(future, asyncio.Future)
            if not future.done():
                future.set_exception(problem)


class _Work:
    """What one signature, or several of one kind of message, brought into a round: records, and who is told how it ended."""

    __slots__ = ("failed", "records", "sealed", "signatures")

    def __init__(
        self,
        records: Sequence[LogRecord],
        signatures: int,
        sealed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.records, self.signatures, self.sealed, self.failed = records, signatures, sealed, failed


class Sealing:
    """One per node. `seal` waits for one message; `submit` hands many to a sink that wants them together."""

    def __init__(self, log: CommitLog, clock: Callable[[], datetime], *, batch: bool = True) -> None:
        self._log, self._clock = log, clock
        self._most = MOST_TOGETHER if batch else 1
        self._waiting: list[Item] = []
        self._parcels: list[Parcel] = []
        self._task: asyncio.Task[None] | None = None
        self._one_by_one = _Waiting()
        self._loop = asyncio.get_running_loop()
        self.rounds = 0
        self._more: asyncio.Future[None] | None = None  # somebody waits for more messages
        self.signatures = 0
        self.messages = 0

    def use(self, *, batch: bool) -> None:
        """One signature for messages that wait together, or one for each, from the next round on."""
        self._most = MOST_TOGETHER if batch else 1

    @property
    def together(self) -> bool:
        """Whether messages that wait together share a signature; without that there are no parcels."""
        return self._most > 1

    async def seal(
        self, signer: Signer, message: Message, asked: Asked, record: Callable[[Item, datetime], LogRecord]
    ) -> Signed:
        """Sign and log one message. Raises LogFailed, or what the signing raised."""
        future: asyncio.Future[Signed] = self._loop.create_future()
        self.submit(Item(signer, message, asked, record, self._one_by_one, future))
        return await future

    def submit(self, item: Item) -> None:
        self._waiting.append(item)
        self._come()

    def submit_parcel(self, parcel: Parcel) -> None:
        self._parcels.append(parcel)
        self._come()

    def _come(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._work())
        elif self._more is not None and self._enough():
            self._go_on()

    def _enough(self) -> bool:
        """Whether as many messages of the native path wait as are under way elsewhere, at every end of a link that has any."""
        if self._waiting:
            return True
        waiting: dict[int, int] = {}
        for parcel in self._parcels:
            sink = parcel.sink
            waiting[id(sink)] = count = waiting.get(id(sink), 0) + len(parcel.parts)
            if 2 * count >= sink.under_way_count:
                return True
        return False

    async def _gather(self) -> None:
        self._more = self._loop.create_future()
        timer = self._loop.call_later(GATHER_SECONDS, self._go_on)
        try:
            await self._more
        finally:
            timer.cancel()
            self._more = None

    def _go_on(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def _work(self) -> None:
        try:
            while self._waiting or self._parcels:
                if not self._enough():
                    await self._gather()
                items, self._waiting = self._waiting, []
                parcels, self._parcels = self._parcels, []
                if len(items) > 1:
                    items = self._within_bounds(items)
                await self._round(items, parcels)
        finally:
            self._task = None
            if self._waiting or self._parcels:  # only after a failure nobody foresaw
                self._task = self._loop.create_task(self._work())

    def _within_bounds(self, items: list[Item]) -> list[Item]:
        """So many that their records may be in memory together; the rest wait for the next round."""
        size = 0
        for at, item in enumerate(items):
            size += item.message.size
            if size > MOST_BYTES and at:
                self._waiting = items[at:] + self._waiting
                return items[:at]
        return items

    async def _round(self, items: list[Item], parcels: list[Parcel]) -> None:
        work: list[_Work] = []
        if items:
            await self._sign_items(items, work)
        for parcel in self._joined(parcels):
            await self._sign_parcel(parcel, work)
        if not work:
            return
        if len(work) == 1:
            outcome = [await self._logged(work[0])]
        else:  # begun together, they become durable together
            outcome = await asyncio.gather(*map(self._logged, work))
        self.rounds += 1
        for one, problem in zip(work, outcome, strict=True):
            if problem is not None:
                one.failed(problem)
                continue
            self.messages += len(one.records)
            self.signatures += one.signatures
            one.sealed()

    async def _logged(self, one: _Work) -> Exception | None:
        try:
            await self._log.append_many(one.records)
        except Exception as problem:  # noqa: BLE001 - whatever it was, nothing may leave
            return problem
        return None

    async def _sign_items(self, items: list[Item], work: list[_Work]) -> None:
        groups: dict[tuple[int, int], list[Item]] = {}
        for item in items:
            key = (id(item.signer), id(item.sink))
            group = groups.get(key)
            if group is None:
                groups[key] = [item]
            else:
                group.append(item)
        done: list[list[Item]] = []
        records: list[LogRecord] = []
        for whole in groups.values():
            for at in range(0, len(whole), self._most):
                group = whole[at : at + self._most] if len(whole) > self._most else whole
                now = self._clock()
                try:
                    await self._sign(group, now)
                    made = [item.record(item, now) for item in group]
                except Exception as problem:  # noqa: BLE001 - one key's trouble is not the others'
                    _fail(group, problem)
                else:
                    done.append(group)
                    records += made
        if not records:
            return

        def sealed() -> None:
            for group in done:
                try:
                    group[0].sink.sealed(group)
                except Exception as problem:  # noqa: BLE001 - one connection's trouble is not the others'
                    _fail(group, problem)

        def failed(problem: Exception) -> None:
            for group in done:
                _fail(group, problem)

        work.append(_Work(records, len(done), sealed, failed))

    async def _sign(self, group: list[Item], now: datetime) -> None:
        signer = group[0].signer
        parts = [item.digests for item in group]
        if signer.slow:
            signed = await asyncio.to_thread(signer.sign_batch, parts, now)
        else:
            signed = signer.sign_batch(parts, now)
        for item, one in zip(group, signed, strict=True):
            item.signed = one

    # --- the native path ---

    def _joined(self, parcels: list[Parcel]) -> list[Parcel]:
        """Those of one signer and sink as one, divided where they are too many for one signature or one frame of the log."""
        joined: dict[tuple[int, int, str], Parcel] = {}
        for parcel in parcels:
            key = (id(parcel.signer), id(parcel.sink), parcel.direction)
            known = joined.setdefault(key, parcel)
            if known is not parcel:
                known.calls += parcel.calls
                known.parts += parcel.parts
        return [part for parcel in joined.values() for part in _divided(parcel)]

    async def _sign_parcel(self, parcel: Parcel, work: list[_Work]) -> None:
        from kerege.exchange.lane.records import RecordGroup

        now, parts, signer = self._clock(), parcel.parts, parcel.signer
        try:
            for index, part in enumerate(parts):
                part.index = index
            tree = Batch(
                [part.leaf for part in parts],
                [(part.digest,) if part.body_digest is None else (part.digest, part.body_digest) for part in parts],
            )
            if signer.slow:
                signature = await asyncio.to_thread(signer.sign_tree, tree, now)
            else:
                signature = signer.sign_tree(tree, now)
            records = RecordGroup(
                now, parcel.direction, parcel.side, signature, None if tree.plain else tree, parts, parcel.calls
            )
        except Exception as problem:  # noqa: BLE001 - one key's trouble is not the others'
            _fail_parcel(parcel, problem)
            return

        def sealed() -> None:
            try:
                parcel.sink.parcel_sealed(parcel, signature, tree)
            except Exception as problem:  # noqa: BLE001 - one connection's trouble is not the others'
                _fail_parcel(parcel, problem)

        work.append(_Work(records, 1, sealed, lambda problem: _fail_parcel(parcel, problem)))


def _divided(parcel: Parcel) -> list[Parcel]:
    count, size = len(parcel.parts), 0
    if count <= MOST_TOGETHER and count * MOST_SMALL <= MOST_BYTES:
        return [parcel]
    found: list[Parcel] = []
    begin = 0
    for at, part in enumerate(parcel.parts):
        size += part.size
        if at - begin == MOST_TOGETHER or (size > MOST_BYTES and at > begin):
            found.append(_slice(parcel, begin, at))
            begin, size = at, part.size
    found.append(_slice(parcel, begin, count))
    return found


def _slice(parcel: Parcel, begin: int, end: int) -> Parcel:
    return Parcel(
        parcel.signer, parcel.sink, parcel.direction, parcel.side, parcel.calls[begin:end], parcel.parts[begin:end]
    )


def _fail_parcel(parcel: Parcel, problem: Exception) -> None:
    try:
        parcel.sink.parcel_failed(parcel, _known(problem))
    except Exception:  # noqa: BLE001 - the others of the round are still to be told
        _LOG.exception("a connection could not be told that its messages were not sealed")


def _fail(group: Sequence[Item], problem: Exception) -> None:
    try:
        group[0].sink.failed(group, _known(problem))
    except Exception:  # noqa: BLE001 - the others of the round are still to be told
        _LOG.exception("a connection could not be told that its messages were not sealed")


def _known(problem: Exception) -> KeregeError:
    if not isinstance(problem, KeregeError):
        _LOG.error("messages could not be sealed", exc_info=problem)
        problem = LogFailed(reason=f"an internal error ({type(problem).__name__})")
    assert isinstance(problem, KeregeError | ExchangeError)
    return problem
