"""The message log: every signed message, durable before it goes on, whole or not there after a crash at any byte.

Append-only segment files of linked frames (`logframes`), written by `logwriter`, each frame a batch of records (`logrecord`).
Here is the reading: records in order, the head, and the check of every signature, time-stamp and link.

What the links show: a record that was changed, taken out or put in by someone who did not compute the links after it again. They
hold no key: whoever may write the files can make a shorter or another log that is whole in itself. Against that, `head` is kept
elsewhere (a ledger, another authority) and compared later. What a record says is shown by its own signature, not by the link.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from kerege.exchange import logfolder, logoutline, timestamps, tschain
from kerege.exchange.errors import ExchangeError, LogDamaged, LogKeyWrong
from kerege.exchange.logcrypt import LogKey as LogKey
from kerege.exchange.logframes import Stopped
from kerege.exchange.logoutline import Copies, Marked, Signed
from kerege.exchange.logrecord import LogRecord as LogRecord
from kerege.exchange.logrecord import Record, StampRecord, decode
from kerege.exchange.logwriter import LogWriter as LogWriter
from kerege.exchange.trust import Trust

_Read = TypeVar("_Read")
_UNREADABLE: Final = (ValueError, TypeError, KeyError, IndexError, struct.error, OverflowError, ExchangeError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record where it stands: `number` counts all records from the log's beginning, `offset` is its frame's."""

    path: Path
    offset: int
    number: int
    record: Record


def _entries(
    folder: Path, key: LogKey | None, torn: list[tuple[Path, Stopped]], from_record: int = 0
) -> Iterator[Entry]:
    for placed in _placed(folder, torn, from_record):
        yield from (entry for entry in entries_of(placed, key) if entry.number >= from_record)


def _placed(folder: Path, torn: list[tuple[Path, Stopped]], from_record: int) -> Iterator[logfolder.Placed]:
    """The frames in which records from this number on stand."""
    place = logfolder.place_of(folder, from_record) if from_record else None
    for placed in logfolder.follow(folder, torn, place):
        if placed.first + placed.frame.records > from_record:
            yield placed


def entries_of(placed: logfolder.Placed, key: LogKey | None) -> Iterator[Entry]:
    """The records of one frame. Raises LogKeyWrong, and LogDamaged when they cannot be read."""
    offset = placed.frame.offset
    records = _read(placed, key, decode)
    _check_count(placed, len(records))
    for number, record in enumerate(records, placed.first):
        yield Entry(placed.path, offset, number, record)


def marks_of(placed: logfolder.Placed, key: LogKey | None, secret: bytes, copies: Copies) -> Marked:
    """The records of one frame as an index keeps them (`logoutline`). Raises as `entries_of`."""
    found = _read(placed, key, lambda payload: logoutline.marks(payload, placed.first, secret, copies))
    _check_count(placed, found.records)
    return found


def _read(placed: logfolder.Placed, key: LogKey | None, how: Callable[[bytes], _Read]) -> _Read:
    try:
        return how(placed.payload(key))
    except (LogKeyWrong, LogDamaged):
        raise
    except _UNREADABLE:
        offset = placed.frame.offset
        raise LogDamaged(file=placed.path.name, offset=offset, reason="a record cannot be read") from None


def _check_count(placed: logfolder.Placed, records: int) -> None:
    if records != placed.frame.records:
        offset = placed.frame.offset
        raise LogDamaged(file=placed.path.name, offset=offset, reason="a frame holds another number of records")


def signed(folder: Path, key: LogKey | None = None, from_record: int = 0) -> Iterator[Signed]:
    """What signs the message records from number `from_record` on, in order, no record being made. Raises as `entries`."""
    for placed in _placed(folder, [], from_record):
        records, found = _read(placed, key, partial(logoutline.signed, first=placed.first))
        _check_count(placed, records)
        for one in found:
            if one.last >= from_record:
                yield one if one.first >= from_record else one._replace(first=from_record)


def entries(folder: Path, key: LogKey | None = None, from_record: int = 0) -> Iterator[Entry]:
    """Every whole record in order, time-stamps too, from number `from_record` on.

    What a crash tore off the end of the last segment was never a record and ends the reading (`verify` reports it); anything else
    that is not zeros to the end raises LogDamaged. Raises LogKeyWrong for an encrypted segment without its key.
    """
    return _entries(folder, key, [], from_record)


def read(folder: Path, key: LogKey | None = None) -> Iterator[tuple[Path, int, LogRecord]]:
    """Every message record in order: file, offset of its frame, record. Raises as `entries` does."""
    for entry in _entries(folder, key, []):
        if isinstance(entry.record, LogRecord):
            yield entry.path, entry.offset, entry.record


def head(folder: Path, records: int | None = None) -> tuple[int, str]:
    """How many records there are and the link after the last of them, in hex; after the first `records` when that is given.

    Kept where the log's keeper cannot write, this pair shows later whether the same records still begin the log: `head` with
    that count must give the same pair again. A count inside a batch gives the pair before the batch. Raises LogDamaged, also
    when the asked part has been cleaned away.
    """
    anchor = logfolder.read_anchor(folder)
    count, link = anchor.records, anchor.link
    if records is not None and records < count:
        raise LogDamaged(file="anchor.json", offset=0, reason=f"the first {count} records are cleaned away")
    for placed in logfolder.follow(folder, []):
        if records is not None and placed.first + placed.frame.records > records:
            break
        count, link = placed.first + placed.frame.records, placed.frame.link
    return count, link.hex()


@dataclass(frozen=True, slots=True)
class LogProblem:
    """A record whose signature does not hold, or a damaged place."""

    file: str
    offset: int
    request_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """What `verify` found. `ok` when every record's signature holds and the chain of records is unbroken."""

    records: int
    requests: int
    responses: int
    verified: int
    problems: tuple[LogProblem, ...]
    stamps: int = 0
    stamped: int = 0

    @property
    def ok(self) -> bool:
        return not self.problems and self.verified == self.records


@dataclass
class _Tally:
    begins: int  # number of the first record that is kept
    requests: int = 0
    responses: int = 0
    verified: int = 0
    stamps: int = 0
    stamped: int = 0
    waiting: dict[int, bytes] = field(default_factory=dict)  # digest of the signature of each record not stamped yet
    problems: list[LogProblem] = field(default_factory=list)

    def message(self, entry: Entry, record: LogRecord, trust: Trust) -> None:
        self.requests += record.direction == "request"
        self.responses += record.direction == "response"
        self.waiting[entry.number] = hashlib.sha512(record.signature).digest()
        expected = record.client.member if record.direction == "request" else record.service.member
        try:
            trust.check_signature(record.signature, record.signed, record.parts, record.chain, expected, record.time)
            self.verified += 1
        except ExchangeError as problem:
            self.problems.append(LogProblem(entry.path.name, entry.offset, record.request_id, problem.text))

    def stamp(self, entry: Entry, stamp: StampRecord, trust: Trust) -> None:
        self.stamps += 1
        found = {number: digest for number, digest in self.waiting.items() if stamp.first <= number <= stamp.last}
        try:
            timestamps.check_token(stamp.token, stamp.result, trust.shared.timestamping)
            tschain.check_leaves(stamp, list(found.values()), whole=stamp.first >= self.begins)
        except ExchangeError as problem:
            self.problems.append(LogProblem(entry.path.name, entry.offset, "", problem.text))
            return
        self.stamped += len(found)
        for number in found:
            del self.waiting[number]


def verify(folder: Path, trust: Trust, key: LogKey | None = None) -> LogReport:
    """Count the records and verify every signature, at the time each was logged, and every time-stamp.

    A torn tail, and every file in which one was set aside, is a problem to look at: see docs/reference/exchange.md.
    """
    torn: list[tuple[Path, Stopped]] = []
    tally = _Tally(0)
    try:
        tally.begins = logfolder.read_anchor(folder).records
        for entry in _entries(folder, key, torn):
            if isinstance(entry.record, StampRecord):
                tally.stamp(entry, entry.record, trust)
            else:
                tally.message(entry, entry.record, trust)
    except LogDamaged as problem:
        place = str(problem.params["file"]), int(problem.params["offset"])
        tally.problems.append(LogProblem(*place, "", problem.text))
    except LogKeyWrong as problem:
        tally.problems.append(LogProblem(str(problem.params["file"]), 0, "", problem.text))
    problems = tally.problems
    problems += [LogProblem(path.name, stop.offset, "", f"{stop.reason}: a torn tail") for path, stop in torn]
    problems += [
        LogProblem(path.name, 0, "", "a tail was set aside here at a start; look at it, then move the file elsewhere")
        for path in logfolder.torn(folder)
    ]
    return LogReport(
        tally.requests + tally.responses,
        tally.requests,
        tally.responses,
        tally.verified,
        tuple(problems),
        tally.stamps,
        tally.stamped,
    )
