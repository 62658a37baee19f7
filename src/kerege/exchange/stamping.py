"""Which records wait for a time-stamp, which go under one token, and when waiting too long stops new traffic.

After X-Road's batch stamper (DM-ML, UG-SYSPAR): records in the order of the log, at most 10,000 signatures under one token, and a
fail-safe: when the oldest record without a stamp has waited longer than the acceptable period, no new message is taken. Pure: the
log's entries and the time come in, records come out. Asking an authority is the node's affair.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kerege.exchange.errors import TimestampingFailed
from kerege.exchange.logoutline import Signed
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.messagelog import Entry
from kerege.exchange.timestamps import Stamp
from kerege.exchange.tschain import MOST_LEAVES, Tree


@dataclass(frozen=True, slots=True)
class StampBatch:
    """Records `first` to `last` that go under one token; `result` is what is to be stamped."""

    first: int
    last: int
    leaves: tuple[bytes, ...]
    result: bytes

    def record(self, token: bytes, stamp: Stamp) -> StampRecord:
        return StampRecord(stamp.time, stamp.authority, self.first, self.last, token, self.result, self.leaves)


def next_batch(entries: Iterable[Entry | Signed], most: int = MOST_LEAVES) -> StampBatch | None:
    """The next records to stamp, from what begins with the first without a stamp (`messagelog.signed`, or entries of the log); None
    when there is no message."""
    first = last = -1
    leaves: dict[bytes, None] = {}
    for one in entries:
        if not isinstance(one, Signed):
            if not isinstance(one.record, LogRecord):
                continue
            one = Signed(one.number, one.number, one.record.signature)
        digest = hashlib.sha512(one.signature).digest()
        if digest not in leaves:
            if len(leaves) == most:
                break
            leaves[digest] = None
        first = one.first if first < 0 else first
        last = one.last
    if first < 0:
        return None
    return StampBatch(first, last, tuple(leaves), Tree(tuple(leaves)).result)


class StampingClock:
    """The fail-safe. Told of records that became durable and of stamps, it says whether new messages may be taken.

    Where nobody may stamp (`expect` says whether somebody may), nothing is refused; once somebody may again, what waits has the
    whole acceptable period from then on.
    """

    def __init__(self, acceptable_seconds: float) -> None:
        self._acceptable = timedelta(seconds=acceptable_seconds)
        self._waiting: deque[tuple[int, datetime]] = (
            deque()
        )  # the last number of a second, and that second's first time
        self.problem = "none was tried yet"
        self._expected = True
        self._expected_since: datetime | None = None

    def expect(self, expected: bool, now: datetime) -> None:
        """Whether records are to be stamped at all, as things stand `now`."""
        if expected and not self._expected:
            self._expected_since = now
        self._expected = expected

    def note(self, last: int, time: datetime) -> None:
        """Records up to number `last` are in the log since `time`, and have no stamp."""
        if self._waiting and (not self._expected or time - self._waiting[-1][1] < timedelta(seconds=1)):
            self._waiting[-1] = (last, self._waiting[-1][1])
        else:
            self._waiting.append((last, time))

    def stamped(self, last: int) -> None:
        """Records up to number `last` have a stamp."""
        while self._waiting and self._waiting[0][0] <= last:
            self._waiting.popleft()

    @property
    def oldest(self) -> datetime | None:
        """Since when the oldest record without a stamp waits."""
        return self._waiting[0][1] if self._waiting else None

    def refusal(self, now: datetime) -> TimestampingFailed | None:
        """Why no new message may be taken; None when it may."""
        oldest = self.oldest
        if oldest is None or not self._expected:
            return None
        if self._expected_since is not None:
            oldest = max(oldest, self._expected_since)
        if now - oldest <= self._acceptable:
            return None
        return TimestampingFailed(
            waited=int((now - oldest).total_seconds()),
            acceptable=int(self._acceptable.total_seconds()),
            problem=self.problem,
        )
