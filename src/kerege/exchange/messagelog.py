"""The message log: every signed message, durable before it goes on, whole or not there after a crash at any byte.

Append-only segment files. A frame is `length u32 | crc32 u32 | link 32 bytes | payload`; the link is SHA-256 over the link before it
and the payload, so a record cannot be taken out or put in unseen. Segments are filled with zeros ahead of time (a sync then
writes data and no metadata); a length of zero ends the data. Appending takes many records and syncs once: group commit is the
caller's queue (`node.commit`). When opened again, a torn tail of the last segment is moved aside to a file of its own, never
deleted. Data model after X-Road's DM-ML; time-stamps and archives come later and beside.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from kerege.exchange.errors import ExchangeError, LogBusy, LogDamaged, LogFailed
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.trust import Trust

_MAGIC: Final = b"KRGLOG1\n"
_HEADER: Final = struct.Struct("<8s32s")
_FRAME: Final = struct.Struct("<II32s")
_COUNT: Final = struct.Struct("<I")
_FILL: Final = 4 * 1024 * 1024
_LARGEST: Final = 1 << 30
_NO_LINK: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One signed message as it was sent or received.

    direction   "request" or "response"
    side        "client" or "provider": the role of the server that logged it
    """

    time: datetime
    direction: str
    side: str
    message_id: str
    request_id: str
    client: ClientId
    service: DataServiceId
    message: bytes
    body: bytes | None
    signature: bytes
    chain: HashChain | None

    def encode(self) -> bytes:
        blobs = (
            self.message,
            self.body,
            self.signature,
            self.chain.result if self.chain else None,
            self.chain.chain if self.chain else None,
        )
        head = orjson.dumps(
            {
                "t": int(self.time.timestamp() * 1_000_000),
                "d": self.direction,
                "s": self.side,
                "id": self.message_id,
                "rid": self.request_id,
                "c": str(self.client),
                "sv": str(self.service),
                "n": [-1 if blob is None else len(blob) for blob in blobs],
            }
        )
        return b"".join((_COUNT.pack(len(head)), head, *(blob for blob in blobs if blob is not None)))

    @classmethod
    def decode(cls, payload: bytes) -> LogRecord:
        (size,) = _COUNT.unpack_from(payload)
        head = orjson.loads(payload[4 : 4 + size])
        at, blobs = 4 + size, []
        for length in head["n"]:
            blobs.append(None if length < 0 else payload[at : at + length])
            at += max(0, length)
        message, body, signature, result, chain = blobs
        return cls(
            datetime.fromtimestamp(head["t"] / 1_000_000, UTC),
            head["d"],
            head["s"],
            head["id"],
            head["rid"],
            ClientId.parse(head["c"]),
            DataServiceId.parse(head["sv"]),
            message or b"",
            body,
            signature or b"",
            None if result is None or chain is None else HashChain(result, chain),
        )


@dataclass(frozen=True, slots=True)
class _Scan:
    end: int
    link: bytes
    records: int
    problem: str | None


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*.log"))


def _frames(data: bytes | memoryview) -> Iterator[tuple[int, bytes, bytes]]:
    """(offset, link, payload) of each whole frame; stops at the first that is not, raising ValueError with the reason."""
    if len(data) < _HEADER.size:
        raise ValueError("its header is cut")
    magic, link = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("it is not a message log segment")
    at = _HEADER.size
    while at + _FRAME.size <= len(data):
        length, crc, stated = _FRAME.unpack_from(data, at)
        if length == 0:
            if any(data[at : at + _FRAME.size]):
                raise ValueError("a frame has no length")
            return
        end = at + _FRAME.size + length
        if length > _LARGEST or end > len(data):
            raise ValueError("a frame is cut")
        payload = bytes(data[at + _FRAME.size : end])
        if zlib.crc32(payload) != crc:
            raise ValueError("a frame's checksum differs")
        link = hashlib.sha256(link + payload).digest()
        if link != stated:
            raise ValueError("a frame does not follow from the one before it")
        yield at, link, payload
        at = end
    if any(data[at:]):
        raise ValueError("a frame is cut")


def _scan(data: bytes) -> _Scan:
    end, records = _HEADER.size, 0
    link = data[8 : _HEADER.size] if len(data) >= _HEADER.size else _NO_LINK
    try:
        for at, link, payload in _frames(data):  # noqa: B007 - the last values are the result
            end, records = at + _FRAME.size + len(payload), records + 1
    except ValueError as problem:
        return _Scan(end, link, records, str(problem))
    return _Scan(end, link, records, None)


class LogWriter:
    """Appends records. One writer per folder, held by a lock; used from one thread."""

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
            raise LogFailed(reason=_os_reason(problem)) from None

    def _open_last(self) -> None:
        existing = _segments(self._folder)
        if not existing:
            self._start_segment(1, _NO_LINK)
            return
        path = existing[-1]
        data = path.read_bytes()
        if data[:8] != _MAGIC or len(data) < _HEADER.size:
            # cut while it was being made: it never held a record
            self._set_aside(path, 0, data)
            path.unlink()
            self._open_last()
            return
        scan = _scan(data)
        if scan.problem is not None:
            self._set_aside(path, scan.end, data[scan.end :].rstrip(b"\0"))
            self.recovered = f"{path.name}: {scan.problem} at byte {scan.end}; the torn tail was moved aside"
        self._number = int(path.stem.split("-")[1])
        self._link, self._at = scan.link, scan.end
        self._file = os.open(path, os.O_RDWR)
        if scan.problem is not None:
            os.ftruncate(self._file, scan.end)
            os.fsync(self._file)
        self._filled = os.fstat(self._file).st_size

    def _set_aside(self, path: Path, offset: int, tail: bytes) -> None:
        if tail.strip(b"\0"):
            aside = path.with_name(f"{path.stem}-torn-at-{offset}.bytes")
            aside.write_bytes(tail)

    def _start_segment(self, number: int, link: bytes) -> None:
        path = self._folder / f"segment-{number:08d}.log"
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, _HEADER.pack(_MAGIC, link))
        os.fsync(descriptor)
        os.rename(temporary, path)
        directory = os.open(self._folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._link = descriptor, number, link
        self._at = self._filled = _HEADER.size

    def append(self, records: Sequence[bytes]) -> None:
        """Write encoded records and return when they are durable. Raises LogFailed; nothing of the batch counts then."""
        if self._broken:
            raise LogFailed(reason="an earlier write failed and the log's end is uncertain; restart the node")
        try:
            if self._at > _HEADER.size and self._at + sum(map(len, records)) > self._segment_bytes:
                os.ftruncate(self._file, self._at)
                os.fsync(self._file)
                self._start_segment(self._number + 1, self._link)
            link, pieces = self._link, []
            for payload in records:
                link = hashlib.sha256(link + payload).digest()
                pieces.append(_FRAME.pack(len(payload), zlib.crc32(payload), link))
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


def read(folder: Path) -> Iterator[tuple[Path, int, LogRecord]]:
    """Every whole record in order: file, offset, record. A cut tail of the last segment ends the reading quietly (a node may
    be writing); anything else that is wrong raises LogDamaged."""
    segments = _segments(folder)
    previous: bytes | None = None
    for path in segments:
        data = path.read_bytes()
        end = _HEADER.size
        if previous is not None and data[8 : _HEADER.size] != previous:
            raise LogDamaged(file=path.name, offset=0, reason="it does not follow from the segment before it")
        previous = data[8 : _HEADER.size]
        try:
            for at, link, payload in _frames(data):
                yield path, at, LogRecord.decode(payload)
                end, previous = at + _FRAME.size + len(payload), link
        except ValueError as problem:
            if path != segments[-1]:
                raise LogDamaged(file=path.name, offset=end, reason=str(problem)) from None


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
    """Count the records and verify every signature, at the time each was logged."""
    requests = responses = verified = 0
    problems: list[LogProblem] = []
    try:
        for path, at, record in read(folder):
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
    return LogReport(requests + responses, requests, responses, verified, tuple(problems))
