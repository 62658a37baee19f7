"""The message log: every signed message, durable before it goes on, whole or not there after a crash at any byte.

Append-only segment files of linked frames (`logframes`), filled with zeros ahead of time (a sync then writes data and no
metadata). Appending takes many records and syncs once: group commit is the caller's queue (`node.commit`). When opened again, the
torn tail a crash leaves in the last segment is moved aside to a file of its own, never deleted; damage refuses the start.

What the links show: a record that was changed, taken out or put in by someone who did not compute the links after it again. They
hold no key: whoever may write the files can make a shorter or another log that is whole in itself. Against that, `head` is kept
elsewhere (a ledger, another authority) and compared later. What a record says is shown by its own signature, not by the link.
Data model after X-Road's DM-ML; time-stamps and archives come later and beside.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kerege.exchange.errors import ExchangeError, LogBusy, LogDamaged, LogFailed
from kerege.exchange.logframes import FRAME, HEADER, LARGEST, MAGIC, NO_LINK, Frame, Stopped, check_start, frames
from kerege.exchange.logrecord import LogRecord as LogRecord
from kerege.exchange.trust import Trust

_FILL: Final = 4 * 1024 * 1024
_TRIES: Final = 5  # looks at a stop in the last segment, where a node may be in the middle of a write
_PAUSE: Final = 0.02


def _name(number: int) -> str:
    return f"segment-{number:08d}.log"


def _segments(folder: Path) -> list[Path]:
    """The segment files in order. Raises LogDamaged when one of them is missing."""
    found = sorted(folder.glob("segment-*.log"))
    for number, path in enumerate(found, 1):
        if path.name != _name(number):
            raise LogDamaged(file=path.name, offset=0, reason=f"the segment {_name(number)} is missing before it")
    return found


def _torn(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*-torn-at-*.bytes"))


def _sync_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class LogWriter:
    """Appends records. One writer per folder, held by a lock; used from one thread.

    Raises LogBusy, LogFailed, and LogDamaged when the log holds something else than records and what a crash leaves.
    """

    def __init__(self, folder: Path, segment_bytes: int = 64 * 1024 * 1024) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise LogBusy(folder=folder) from None
        self.recovered: str | None = None
        self._file = -1
        self._broken = False
        try:
            self._open_last()
        except OSError as problem:
            os.close(self._lock)
            raise LogFailed(reason=_os_reason(problem)) from None
        except LogDamaged:
            os.close(self._lock)
            raise

    def _open_last(self) -> None:
        existing = _segments(self._folder)
        if not existing:
            self._start_segment(1, NO_LINK)
            return
        path = existing[-1]
        data = path.read_bytes()
        try:
            link = check_start(data, _end_of(existing[-2], len(existing) - 1) if existing[1:] else NO_LINK)
        except Stopped as stop:
            if stop.damage:
                raise _damaged(path, stop) from None
            # cut while it was being made: it never held a record
            self._set_aside(path, stop, data)
            path.unlink()
            _sync_folder(self._folder)
            self._open_last()
            return
        end, torn = HEADER.size, None
        try:
            for frame in frames(data, end, link):
                end, link = frame.end, frame.link
        except Stopped as stop:
            if stop.damage:
                raise _damaged(path, stop) from None
            torn = stop
            self._set_aside(path, stop, data[end:])
        self._number = len(existing)
        self._link, self._at = link, end
        self._file = os.open(path, os.O_RDWR)
        if torn is not None:
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        self._filled = os.fstat(self._file).st_size

    def _set_aside(self, path: Path, stop: Stopped, tail: bytes) -> None:
        """Keep what is about to be cut off in a file of its own, durable before anything is cut."""
        kept = tail.rstrip(b"\0")
        if not kept:
            return
        number = 1
        while (aside := path.with_name(_aside_name(path, stop.offset, number))).exists():
            number += 1
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _write_all(descriptor, kept)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_folder(self._folder)
        self.recovered = f"{path.name}: {stop.reason} at byte {stop.offset}; the torn tail was moved aside"

    def _start_segment(self, number: int, link: bytes) -> None:
        path = self._folder / _name(number)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(descriptor, HEADER.pack(MAGIC, link))
            os.fsync(descriptor)
            # from here on the new segment may be there: should anything fail, the old one must not go on beside it
            self._broken = True
            os.rename(temporary, path)
            _sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        self._broken = False
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._link = descriptor, number, link
        self._at = self._filled = HEADER.size

    def append(self, records: Sequence[bytes]) -> None:
        """Write encoded records and return when they are durable. Raises LogFailed; nothing of the batch counts then."""
        if self._broken:
            raise LogFailed(reason="an earlier write failed and the log's end is uncertain; restart the node")
        if not all(0 < len(payload) <= LARGEST for payload in records):
            raise LogFailed(reason=f"a record is empty or larger than {LARGEST} bytes")
        try:
            if self._at > HEADER.size and self._at + sum(map(len, records)) > self._segment_bytes:
                os.ftruncate(self._file, self._at)
                self._filled = self._at
                os.fsync(self._file)
                self._start_segment(self._number + 1, self._link)
            link, pieces = self._link, []
            for payload in records:
                link = hashlib.sha256(link + payload).digest()
                pieces.append(FRAME.pack(len(payload), zlib.crc32(payload), link))
                pieces.append(payload)
            block = b"".join(pieces)
            self._fill(self._at + len(block))
        except OSError as problem:
            raise LogFailed(reason=_os_reason(problem)) from None
        try:
            written = 0
            view = memoryview(block)
            while written < len(block):
                written += os.pwrite(self._file, view[written:], self._at + written)
            os.fdatasync(self._file)
        except OSError as problem:
            # what reached the disk is unknown: refuse everything until recovery has looked at it
            self._broken = True
            raise LogFailed(reason=_os_reason(problem)) from None
        self._at += len(block)
        self._link = link

    def _fill(self, needed: int) -> None:
        """Zeros ahead of the data, so that the sync after a record has only data to write."""
        if needed <= self._filled:
            return
        target = max(needed, min(self._filled + _FILL, self._segment_bytes))
        while self._filled < target:
            size = min(1024 * 1024, target - self._filled)
            self._filled += os.pwrite(self._file, bytes(size), self._filled)
        os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.ftruncate(self._file, self._at)
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1
        os.close(self._lock)


def _os_reason(problem: OSError) -> str:
    if problem.errno == errno.ENOSPC:
        return "the disk is full"
    return os.strerror(problem.errno) if problem.errno else "the system refused"


def _aside_name(path: Path, offset: int, number: int) -> str:
    return f"{path.stem}-torn-at-{offset}{'' if number == 1 else f'-{number}'}.bytes"


def _damaged(path: Path, stop: Stopped) -> LogDamaged:
    return LogDamaged(file=path.name, offset=stop.offset, reason=stop.reason)


def _end_of(path: Path, number: int) -> bytes:
    """The last link of a segment that is finished. Raises LogDamaged."""
    data = path.read_bytes()
    try:
        link = check_start(data, NO_LINK if number == 1 else None)
        for frame in frames(data, HEADER.size, link):
            link = frame.link
    except Stopped as stop:
        raise _damaged(path, stop) from None
    return link


def _walk(folder: Path, torn: list[tuple[Path, Stopped]]) -> Iterator[tuple[Path, Frame]]:
    """Every whole frame in order. Raises LogDamaged; a torn tail of the last segment is put into `torn` instead."""
    segments = _segments(folder)
    link = NO_LINK
    for path in segments:
        at, tries = 0, 0
        while True:
            data = path.read_bytes()
            try:
                if at == 0:
                    at, link = HEADER.size, check_start(data, link)
                for frame in frames(data, at, link):
                    yield path, frame
                    at, link, tries = frame.end, frame.link, 0
                break
            except Stopped as stop:
                last = path == segments[-1]
                tries += 1
                if last and tries < _TRIES:  # a node may be in the middle of writing just this
                    time.sleep(_PAUSE)
                elif last and not stop.damage:
                    torn.append((path, stop))
                    return
                else:
                    raise _damaged(path, stop) from None


def _records(folder: Path, torn: list[tuple[Path, Stopped]]) -> Iterator[tuple[Path, int, LogRecord]]:
    for path, frame in _walk(folder, torn):
        try:
            record = LogRecord.decode(frame.payload)
        except (ValueError, TypeError, KeyError, struct.error, OverflowError, ExchangeError):
            raise LogDamaged(file=path.name, offset=frame.offset, reason="a record cannot be read") from None
        yield path, frame.offset, record


def read(folder: Path) -> Iterator[tuple[Path, int, LogRecord]]:
    """Every whole record in order: file, offset, record. What a crash tore off the end of the last segment was never a record
    and ends the reading (`verify` reports it); anything else that is not zeros to the end raises LogDamaged."""
    return _records(folder, [])


def head(folder: Path, records: int | None = None) -> tuple[int, str]:
    """How many records there are and the link after the last of them, in hex; after the first `records` when that is given.

    Kept where the log's keeper cannot write, this pair shows later whether the same records still begin the log: `head` with
    that count must give the same pair again. Raises LogDamaged.
    """
    count, link = 0, NO_LINK
    for _, frame in _walk(folder, []):
        if count == records:
            break
        count, link = count + 1, frame.link
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

    @property
    def ok(self) -> bool:
        return not self.problems and self.verified == self.records


def verify(folder: Path, trust: Trust) -> LogReport:
    """Count the records and verify every signature, at the time each was logged.

    A torn tail, and every file in which one was set aside, is a problem to look at: see docs/reference/exchange.md.
    """
    requests = responses = verified = 0
    problems: list[LogProblem] = []
    torn: list[tuple[Path, Stopped]] = []
    try:
        for path, at, record in _records(folder, torn):
            requests += record.direction == "request"
            responses += record.direction == "response"
            expected = record.client.member if record.direction == "request" else record.service.provider.member
            attachments = () if record.body is None else (record.body,)
            try:
                trust.check_signature(
                    record.signature, record.message, attachments, record.chain, expected, record.time
                )
                verified += 1
            except ExchangeError as problem:
                problems.append(LogProblem(path.name, at, record.request_id, problem.text))
    except LogDamaged as problem:
        problems.append(LogProblem(str(problem.params["file"]), int(problem.params["offset"]), "", problem.text))
    problems += [LogProblem(path.name, stop.offset, "", f"{stop.reason}: a torn tail") for path, stop in torn]
    problems += [
        LogProblem(path.name, 0, "", "a tail was set aside here at a start; look at it, then move the file elsewhere")
        for path in _torn(folder)
    ]
    return LogReport(requests + responses, requests, responses, verified, tuple(problems))
