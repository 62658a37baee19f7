"""Operational monitoring of a node, as the exchanges see it: `note` takes what was noted and returns; all the rest happens aside.

Noted exchanges are made into records a slice at a time, so that a burst holds the event loop up for less than a millisecond at once.
Calls of the native path come a batch at a time and are lines and sums at once (`exchange.lane.lines`): their messages are not held on to.
Each record becomes one JSON line in the file, stays among the newest in memory for GET /monitoring, is counted in the totals that
`telemetry` shows, and goes in batches to whoever keeps records for the protocol (`opmonitor.Store`). Monitoring is not the message
log: when its disk is full, exchanges go on and the lines lost are counted.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from kerege.exchange.lane import NOT_THERE
from kerege.exchange.opmon import Exchange, exchange_of, line

try:
    from kerege.exchange.lane import lines as native
except NOT_THERE:
    native = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from kerege.exchange.lane.call import Call
    from kerege.exchange.lane.lines import Taken

_KEPT: Final = 10_000
_FLUSH_SECONDS: Final = 0.1
_SLICE: Final = 64
_MOST_CODES: Final = 256  # fault codes come from other servers as well: a stranger must not fill the memory
BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)  # seconds
_BOUNDS: Final = tuple([round(seconds * 1000) for seconds in BUCKETS])
OUTCOMES: Final = {True: "succeeded", False: "failed"}


class Noted(NamedTuple):
    """One finished exchange and its record as a JSON line."""

    exchange: Exchange
    succeeded: bool
    line: bytes


class NotedCalls(NamedTuple):
    """Finished calls of the native path: their records as JSON lines, and what they add up to."""

    side: str
    service_type: str | None
    taken: Taken


Keeper = Callable[[Sequence[Noted | NotedCalls]], None]


def lines_of(noted: Sequence[Noted | NotedCalls]) -> list[bytes]:
    """The records, one line each."""
    lines: list[bytes] = []
    for one in noted:
        if isinstance(one, NotedCalls):
            lines += one.taken.lines
        else:
            lines.append(one.line)
    return lines


def together(*keepers: Keeper | None) -> Keeper:
    """One keeper that hands every batch to each of several."""
    present = [keeper for keeper in keepers if keeper is not None]

    def keep(noted: Sequence[Noted | NotedCalls]) -> None:
        for keeper in present:
            keeper(noted)

    return keep


@dataclass(slots=True)
class Total:
    """Durations of one kind of exchange: counts per bucket of `BUCKETS` and one above, their sum, and bytes each way."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0


class Totals:
    """What was exchanged since the node started: by side and whether it succeeded, and refusals by fault code."""

    def __init__(self) -> None:
        self.by_outcome: dict[tuple[str, bool], Total] = {}
        self.by_fault: dict[tuple[str, str], int] = {}

    def add(self, exchange: Exchange, succeeded: bool) -> None:
        total = self._total(exchange.side, succeeded)
        begun = exchange.request_in
        seconds = ((exchange.response_out or begun) - begun) / 1000
        if seconds < 0:
            seconds = 0.0
        total.buckets[bisect_left(BUCKETS, seconds)] += 1
        total.seconds += seconds
        total.bytes_in += exchange.request_size or 0
        total.bytes_out += exchange.response_size or 0
        if exchange.fault_code is not None:
            key = (exchange.side, exchange.fault_code)
            if key not in self.by_fault and len(self.by_fault) >= _MOST_CODES:
                key = (exchange.side, "other")
            self.by_fault[key] = self.by_fault.get(key, 0) + 1

    def add_calls(self, side: str, taken: Taken) -> None:
        for succeeded, count in ((True, taken.succeeded), (False, taken.failed)):
            if not count:
                continue
            total = self._total(side, succeeded)
            counts, milliseconds, bytes_in, bytes_out = taken.total(succeeded)
            for at, more in enumerate(counts):
                total.buckets[at] += more
            total.seconds += milliseconds / 1000
            total.bytes_in += bytes_in
            total.bytes_out += bytes_out

    def _total(self, side: str, succeeded: bool) -> Total:
        total = self.by_outcome.get((side, succeeded))
        if total is None:
            total = self.by_outcome[(side, succeeded)] = Total()
        return total


class Monitor:
    """Collects exchanges. `keep` gets every batch of records, oldest first, and must not block.

    exchanges   `keep` looks at the exchange of each record (traces are made of them): none is then given as one of many calls
    """

    def __init__(self, file: Path, keep: Keeper | None = None, *, exchanges: bool = False) -> None:
        self._keep, self._exchanges = keep, exchanges
        # as bytes: the garbage collector does not have to look through ten thousand dicts again and again
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._pending: list[Exchange | NotedCalls] = []
        self._waiting: deque[Exchange | NotedCalls] = deque()  # taken from pending, not yet made into records
        self._made: list[Noted | NotedCalls] = []
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(descriptor, 0o600)  # also a file that an older version left readable
        self._file = os.fdopen(descriptor, "ab")
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self.totals = Totals()
        self.succeeded = 0
        self.failed = 0
        self.failed_writes = 0

    def note(self, exchange: Exchange) -> None:
        """Take a finished exchange. The caller does not touch it afterwards."""
        self._pending.append(exchange)
        self._soon()

    def note_calls(
        self,
        calls: list[Call],
        side: str,
        own_address: str,
        client_address: str,
        service_address: str,
        service_type: str | None = None,
    ) -> None:
        """Take finished calls of the native path, as `note` takes the exchange of each."""
        said = (side, own_address, client_address, service_address, service_type)
        at = 0
        while at < len(calls):
            if native is not None and not self._exchanges:
                taken = native.take(calls, at, *said, _BOUNDS)
                if taken:
                    self._pending.append(NotedCalls(side, service_type, taken))
                    at += len(taken)
                    continue
            self._pending.append(exchange_of(calls[at], *said))
            at += 1
        self._soon()

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._some)

    def since(self, moment_ms: int) -> list[dict[str, Any]]:
        """Records of exchanges that ended at or after `moment_ms`, oldest first; at most the newest ten thousand."""
        return [orjson.loads(line) for ended, line in self._recent if ended >= moment_ms]

    def _take(self) -> None:
        pending, self._pending = self._pending, []
        self._waiting.extend(pending)

    def _some(self) -> None:
        """One slice of records; then the next one after what else the loop has to do, or the batch is written."""
        self._take()
        self._make(_SLICE)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(0, self._some)
        else:
            self._timer, self._scheduled = None, False
            self._write()

    def _make(self, most: int) -> None:
        waiting, made, recent, add = self._waiting, self._made, self._recent, self.totals.add
        for _ in range(min(most, len(waiting))):
            one = waiting.popleft()
            if isinstance(one, NotedCalls):
                taken = one.taken
                self.succeeded += taken.succeeded
                self.failed += taken.failed
                self.totals.add_calls(one.side, taken)
                recent.extend(taken.ended)
                made.append(one)
                continue
            succeeded = one.succeeded
            if succeeded:
                self.succeeded += 1
            else:
                self.failed += 1
            add(one, succeeded)
            entry = line(one)
            recent.append((one.response_out or one.request_in, entry))
            made.append(Noted(one, succeeded, entry))

    def _write(self) -> None:
        made, self._made = self._made, []
        if not made:
            return
        lines = lines_of(made)
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError:  # a full disk must not stop exchanges that the message log could still take
            self.failed_writes += len(lines)
        if self._keep is not None:
            self._keep(made)

    def flush(self) -> None:
        """Everything noted so far, made into records and written."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._scheduled = None, False
        self._take()
        self._make(len(self._waiting))
        self._write()

    def close(self) -> None:
        self.flush()
        self._file.close()
