"""Signing and logging what waits together: one signature per key, one durable write for all, then everyone goes on.

While one round (sign, write) is under way, what comes next gathers for the round after it; under load rounds grow, alone a message
has a round of its own. Nothing leaves here before its log record is durable. Signatures over several messages are X-Road's batch
signatures (`exchange.hashchain.batch`); with batches switched off every message has a signature of its own. Messages of the native path
have rounds of their own (`parcels`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from kerege.exchange.logrecord import LogRecord
from kerege.exchange.xades import Signed, Signer
from kerege.ground.errors import KeregeError
from kerege.node.log.commit import CommitLog
from kerege.node.message import Asked, Message
from kerege.node.parcels import MOST_BYTES as MOST_BYTES
from kerege.node.parcels import MOST_TOGETHER as MOST_TOGETHER
from kerege.node.parcels import Parcel as Parcel
from kerege.node.parcels import Parcels, known_problem

_LOG = logging.getLogger("kerege.node.sealing")


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


class Sealing:
    """One per node. `seal` waits for one message; `submit` hands many to a sink that wants them together."""

    def __init__(self, log: CommitLog, clock: Callable[[], datetime], *, batch: bool = True) -> None:
        self._log, self._clock = log, clock
        self._most = MOST_TOGETHER if batch else 1
        self._waiting: list[Item] = []
        self._task: asyncio.Task[None] | None = None
        self._one_by_one = _Waiting()
        self._loop = asyncio.get_running_loop()
        self._parcels = Parcels(log, clock)
        self.rounds = 0
        self.signatures = 0
        self.messages = 0

    def use(self, *, batch: bool) -> None:
        """One signature for messages that wait together, or one for each, from the next round on."""
        self._most = MOST_TOGETHER if batch else 1

    @property
    def together(self) -> bool:
        """Whether messages that wait together share a signature; without that there are no parcels."""
        return self._most > 1

    def submit_parcel(self, parcel: Parcel) -> None:
        self._parcels.submit(parcel)

    async def seal(
        self, signer: Signer, message: Message, asked: Asked, record: Callable[[Item, datetime], LogRecord]
    ) -> Signed:
        """Sign and log one message. Raises LogFailed, or what the signing raised."""
        future: asyncio.Future[Signed] = self._loop.create_future()
        self.submit(Item(signer, message, asked, record, self._one_by_one, future))
        return await future

    def submit(self, item: Item) -> None:
        self._waiting.append(item)
        if self._task is None:
            self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                items, self._waiting = self._waiting, []
                if len(items) > 1:
                    items = self._within_bounds(items)
                await self._round(items)
        finally:
            self._task = None
            if self._waiting:  # only after a failure nobody foresaw
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

    async def _round(self, items: list[Item]) -> None:
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
        try:
            await self._log.append_many(records)
        except Exception as problem:  # noqa: BLE001 - whatever it was, nothing may leave
            for group in done:
                _fail(group, problem)
            return
        self.rounds += 1
        self.messages += len(records)
        self.signatures += len(done)
        for group in done:
            try:
                group[0].sink.sealed(group)
            except Exception as problem:  # noqa: BLE001 - one connection's trouble is not the others'
                _fail(group, problem)

    async def _sign(self, group: list[Item], now: datetime) -> None:
        signer = group[0].signer
        parts = [item.digests for item in group]
        if signer.slow:
            signed = await asyncio.to_thread(signer.sign_batch, parts, now)
        else:
            signed = signer.sign_batch(parts, now)
        for item, one in zip(group, signed, strict=True):
            item.signed = one


def _fail(group: Sequence[Item], problem: Exception) -> None:
    try:
        group[0].sink.failed(group, known_problem(problem))
    except Exception:  # noqa: BLE001 - the others of the round are still to be told
        _LOG.exception("a connection could not be told that its messages were not sealed")
