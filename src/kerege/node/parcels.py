"""Signing and logging messages of the native path (`node.lane`) that wait together; `sealing` does it for all others.

A parcel is what came together: hashed, of one signer, for one end of a link. A round joins the parcels that wait, signs each signer's
messages with one signature over their tree, and has them written to the log as one frame; when that is durable their sink is told.
A message costs less here than its share of a signature, so a round waits a moment while fewer messages wait than are under way elsewhere
at the same end: those will be here soon. While a round becomes durable the next may be signed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from kerege.exchange.batch import Batch
from kerege.exchange.errors import LogFailed
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node.log.commit import CommitLog

if TYPE_CHECKING:
    from kerege.exchange.lane.call import Call, Part

_LOG: Final = logging.getLogger("kerege.node.sealing")
MOST_BYTES: Final = 16 * 1024 * 1024  # of one round: records of big bodies are in memory while they are written
MOST_TOGETHER: Final = 256  # messages under one signature: a proof then has eight siblings
_MOST_SMALL: Final = 80 * 1024  # a message of the native path with its body is smaller
_GATHER_SECONDS: Final = 0.002  # at most, for messages that are about to come
_MOST_ROUNDS: Final = 2  # signed and not durable yet


class ParcelSink(Protocol):
    """Takes messages that were sealed together under one signature, or that could not be."""

    @property
    def under_way_count(self) -> int:
        """How many calls there are at this end, those that wait to be sealed included; without those that take long elsewhere."""
        ...

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None: ...
    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None: ...


class Parcel:
    """Messages that came together.

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


class Parcels:
    """One per node."""

    def __init__(self, log: CommitLog, clock: Callable[[], datetime]) -> None:
        self._log, self._clock = log, clock
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Parcel] = []
        self._timer: asyncio.TimerHandle | None = None
        self._slow: set[asyncio.Task[None]] = set()
        self._open = 0  # parcels that are being signed or written
        self.signatures = 0
        self.messages = 0

    def submit(self, parcel: Parcel) -> None:
        self._waiting.append(parcel)
        self._perhaps()

    def _perhaps(self) -> None:
        """Begin a round, now or a little later."""
        if self._open >= _MOST_ROUNDS or not self._waiting:
            return  # whoever ends looks again
        if self._enough():
            self._round()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_SECONDS, self._round)

    def _enough(self) -> bool:
        """Whether at some end as many messages wait as are under way elsewhere."""
        waiting: dict[int, int] = {}
        for parcel in self._waiting:
            sink = parcel.sink
            waiting[id(sink)] = count = waiting.get(id(sink), 0) + len(parcel.parts)
            if 2 * count >= sink.under_way_count:
                return True
        return False

    def _round(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        parcels = _joined(waiting)
        self._open += len(parcels)
        for parcel in parcels:
            if parcel.signer.slow:
                task = self._loop.create_task(self._sign_slowly(parcel))
                self._slow.add(task)
                task.add_done_callback(self._slow.discard)
                continue
            try:
                now, tree = self._clock(), _tree(parcel)
                signature = parcel.signer.sign_tree(tree, now)
            except Exception as problem:  # noqa: BLE001 - one key's trouble is not the others'
                self._failed(parcel, problem)
            else:
                self._write(parcel, signature, tree, now)

    async def _sign_slowly(self, parcel: Parcel) -> None:
        try:
            now, tree = self._clock(), _tree(parcel)
            signature = await asyncio.to_thread(parcel.signer.sign_tree, tree, now)
        except Exception as problem:  # noqa: BLE001 - as above
            self._failed(parcel, problem)
        else:
            self._write(parcel, signature, tree, now)

    def _write(self, parcel: Parcel, signature: bytes, tree: Batch, now: datetime) -> None:
        from kerege.exchange.lane.records import RecordGroup

        try:
            records = RecordGroup(
                now,
                parcel.direction,
                parcel.side,
                signature,
                None if tree.plain else tree,
                parcel.parts,
                parcel.calls,
            )
            self._log.append_group(records, partial(self._written, parcel, signature, tree))
        except Exception as problem:  # noqa: BLE001 - nothing may leave
            self._failed(parcel, problem)

    def _written(self, parcel: Parcel, signature: bytes, tree: Batch, problem: Exception | None) -> None:
        """It is durable, or could not be made so."""
        if problem is not None:
            self._failed(parcel, problem)
            return
        self._open -= 1
        self.signatures += 1
        self.messages += len(parcel.parts)
        try:
            parcel.sink.parcel_sealed(parcel, signature, tree)
        except Exception as trouble:  # noqa: BLE001 - one connection's trouble is not the others'
            _tell_failed(parcel, trouble)
        self._perhaps()

    def _failed(self, parcel: Parcel, problem: Exception) -> None:
        self._open -= 1
        _tell_failed(parcel, problem)
        self._loop.call_soon(self._perhaps)  # not here: this may be within a round


def _tree(parcel: Parcel) -> Batch:
    from kerege.exchange.lane import passes

    return Batch(*passes.tree(parcel.parts))


def _joined(parcels: list[Parcel]) -> list[Parcel]:
    """Those of one signer and sink as one, divided where they are too many for one signature or one frame of the log."""
    if len(parcels) == 1:
        return _divided(parcels[0])
    joined: dict[tuple[int, int, str], Parcel] = {}
    for parcel in parcels:
        key = (id(parcel.signer), id(parcel.sink), parcel.direction)
        known = joined.setdefault(key, parcel)
        if known is not parcel:
            known.calls += parcel.calls
            known.parts += parcel.parts
    return [part for parcel in joined.values() for part in _divided(parcel)]


def _divided(parcel: Parcel) -> list[Parcel]:
    count, size = len(parcel.parts), 0
    if count <= MOST_TOGETHER and count * _MOST_SMALL <= MOST_BYTES:
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


def _tell_failed(parcel: Parcel, problem: Exception) -> None:
    try:
        parcel.sink.parcel_failed(parcel, known_problem(problem))
    except Exception:  # noqa: BLE001 - the others are still to be told
        _LOG.exception("a connection could not be told that its messages were not sealed")


def known_problem(problem: Exception) -> KeregeError:
    """What whoever waits is told: a refusal as it is; of a bug its trace is in the node's own log."""
    if isinstance(problem, KeregeError):
        return problem
    _LOG.error("messages could not be sealed", exc_info=problem)
    return LogFailed(reason=f"an internal error ({type(problem).__name__})")
