"""Writing the message log: batches appended durably, the end found again after a crash, segments begun and finished.

Segments are filled with zeros ahead of time, so the sync after a record has only data to write; whoever writes calls `fill_ahead` when
nobody waits, else it is done when it must be. One writer per folder, held by a
lock, used from one thread. Opened again after a crash, the torn tail of the last segment is moved aside to a file of its own, never
deleted; damage refuses the start. A write that fails leaves the end uncertain, and the segment dead: before the next one the writer
cuts it back to what was acknowledged, keeps what it cut, and goes on in a new segment; until that one stands every append is refused,
and a recovery that fails too is begun again with the next.
An encrypted segment is never written to by two runs or after a failure, so no counter is used twice (`logcrypt`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kerege.exchange import logfolder, logframes
from kerege.exchange.errors import ExchangeError, LogBusy, LogFailed
from kerege.exchange.logcrypt import NO_KEY, SEAL_BYTES, LogKey, SegmentCipher
from kerege.exchange.logframes import FIRST_FRAME, LARGEST, Start, Stopped
from kerege.exchange.logrecord import LogRecord, StampRecord, count_records, encode_records

if TYPE_CHECKING:
    from kerege.exchange.lane.records import RecordGroup

_FILL: Final = 4 * 1024 * 1024
_FILL_STEP: Final = 512 * 1024  # at once while messages may come any moment
# made once: to clear memory for each step costs a fiftieth of a node's time under load
_ZEROS: Final = memoryview(bytes(_FILL_STEP))
_QUICK: Final = 1024 * 1024  # bytes of a batch that are placed at once


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a batch stands: the number of its first record, and how many there are."""

    first: int
    records: int


class LogWriter:
    """Appends batches of records. Raises LogBusy, LogFailed, LogKeyWrong, and LogDamaged when the log holds something else than
    records and what a crash leaves. `recovered` says what was set aside at the start."""

    def __init__(self, folder: Path, segment_bytes: int = 64 * 1024 * 1024, key: LogKey | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self.key = folder, key
        self._segment_bytes = segment_bytes
        self.recovered: str | None = None
        self._file = -1
        self._frames = 0
        self._placed = (
            0,
            b"",
            0,
        )  # of a frame that is written and not durable: its size, the link after it, its records
        # uncertain: what the segment holds is not known, and nothing is sealed in it any more; begun: its successor may be there
        self._uncertain = self._begun = self._filling = False
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise LogBusy(folder=folder) from None
        try:
            self._open_last()
        except BaseException as problem:
            for descriptor in (self._file, self._lock):
                if descriptor >= 0:
                    os.close(descriptor)
            if isinstance(problem, OSError):
                raise LogFailed(reason=_os_reason(problem)) from None
            raise

    @property
    def records(self) -> int:
        """How many records the log has held since its beginning, those of cleaned segments included."""
        return self._records

    @property
    def link(self) -> bytes:
        return self._link

    # --- opening ---

    def _open_last(self) -> None:
        anchor = logfolder.read_anchor(self.folder)
        existing = logfolder.segments(self.folder)
        if not existing:
            self._number, self._link, self._records = anchor.segment - 1, anchor.link, anchor.records
            self._start_segment()
            return
        path, number = existing[-1], anchor.segment + len(existing) - 1
        data = path.read_bytes()
        before = self._end_before(existing, anchor)
        try:
            start = logframes.read_start(data, before[0])
        except Stopped as stop:
            if stop.damage:
                raise logfolder.damaged(path, stop) from None
            # cut while it was being made: it never held a record
            self._set_aside(path, stop, data)
            path.unlink()
            logfolder.sync(self.folder)
            self._open_last()
            return
        at, self._link, torn, frames = FIRST_FRAME if start.version == 2 else 40, start.link, None, 0
        self._records = before[1] if start.version == 1 else start.records
        try:
            for frame in logframes.frames(data, start):
                at, self._link, frames = frame.end, frame.link, frames + 1
                self._records += frame.records
        except Stopped as stop:
            if stop.damage:
                raise logfolder.damaged(path, stop) from None
            torn = stop
            self._set_aside(path, stop, data[at:])
        self._number, self._at, self._frames, self._start = number, at, frames, start
        self._file = os.open(path, os.O_RDWR)
        if torn is not None:
            os.ftruncate(self._file, at)
            os.fsync(self._file)
        self._filled = os.fstat(self._file).st_size
        if start.version == 1 or start.encrypted or self.key is not None:
            if frames:
                self._finish()
            self._start_segment()
        self._cipher = self._cipher_of(self._start)

    def _end_before(self, existing: Sequence[Path], anchor: logfolder.Anchor) -> tuple[bytes, int]:
        """The link and the count of records at the end of the segment before the last."""
        if len(existing) == 1:
            return anchor.link, anchor.records
        link, records = anchor.link if len(existing) == 2 else None, anchor.records
        path = existing[-2]
        data = path.read_bytes()
        try:
            start = logframes.read_start(data, link)
            if start.version == 1:  # its header does not say how many records stand before: count from the beginning
                return logfolder.end_of(existing[:-1], anchor)
            link, records = start.link, start.records
            for frame in logframes.frames(data, start):
                link, records = frame.link, records + frame.records
        except Stopped as stop:
            raise logfolder.damaged(path, stop) from None
        return link, records

    def _cipher_of(self, start: Start) -> SegmentCipher | None:
        return SegmentCipher(self.key, start.salt) if self.key is not None and start.encrypted else None

    def _set_aside(self, path: Path, stop: Stopped, tail: bytes) -> None:
        """Keep what is about to be cut off in a file of its own, durable before anything is cut.

        A recovery tried again finds the copy it made before, and one that could not be made leaves no part of it.
        """
        kept = tail.rstrip(b"\0")
        if not kept:
            return
        number = 1
        while (aside := path.with_name(_aside_name(path, stop.offset, number))).exists() and aside.read_bytes() != kept:
            number += 1
        there = aside.exists()
        descriptor = os.open(aside, os.O_WRONLY | (0 if there else os.O_CREAT | os.O_EXCL), 0o600)
        try:
            if not there:
                _write_all(descriptor, kept)
            os.fsync(descriptor)
            logfolder.sync(self.folder)
        except OSError:
            if not there:
                aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self.recovered = f"{path.name}: {stop.reason} at byte {stop.offset}; the torn tail was moved aside"

    def _start_segment(self) -> None:
        """Begin the next segment; it goes on from the present link. The old one is left as it is, but one that holds no record yet is
        replaced under its own number. Until the new one stands nothing changes here, so what failed can be tried again."""
        empty = self._file >= 0 and self._frames == 0
        number = self._number if empty else self._number + 1
        path = self.folder / logfolder.name(number)
        temporary = path.with_suffix(".new")
        start = Start.new(self._link, self._records, NO_KEY if self.key is None else self.key.id)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(descriptor, start.pack())
            os.fsync(descriptor)
            # from here on the new segment may be there: should anything fail, the old one must not go on beside it
            self._begun = True
            os.rename(temporary, path)
            logfolder.sync(self.folder)
        except OSError:
            os.close(descriptor)
            raise
        old = self._file
        self._file, self._number, self._start, self._frames = descriptor, number, start, 0
        self._at = self._filled = FIRST_FRAME
        self._cipher = self._cipher_of(start)
        self._begun = self._uncertain = False
        if old >= 0:
            with suppress(OSError):  # nothing of it is waited for any more
                os.close(old)

    def _finish(self) -> None:
        """Cut the zeros off the present segment."""
        os.ftruncate(self._file, self._at)
        self._filled = self._at
        os.fsync(self._file)

    # --- appending ---

    def append(self, payloads: Sequence[bytes]) -> Appended:
        """Write encoded batches and return when they are durable, each as a frame of its own. Raises LogFailed."""
        first = self._records
        if not all(0 < len(payload) <= LARGEST for payload in payloads):
            raise LogFailed(reason=f"a record is empty or larger than {LARGEST} bytes")
        for payload in payloads:
            try:
                records = count_records(payload)
            except (ValueError, TypeError, KeyError, IndexError, struct.error, ExchangeError):
                raise LogFailed(reason="what was given is not a batch of records") from None
            self._write(payload, records)
        return Appended(first, self._records - first)

    def append_records(self, records: Sequence[LogRecord | RecordGroup]) -> Appended:
        """Write one batch as one frame, all or nothing; a group is all of its records. Raises LogFailed; nothing of it counts then."""
        first = self._records
        payload, count = _encoded(records)
        self._write(payload, count)
        return Appended(first, count)

    def place(self, records: Sequence[LogRecord | RecordGroup]) -> Appended | None:
        """Write one batch as one frame, for the caller to sync `descriptor` and then to say how that went: `durable` or `not_durable`,
        before anything else is asked of the writer. None, and nothing written, where that would take long: the end is to be made
        certain, a segment to be begun, zeros to be filled in, or the batch is large. Raises LogFailed as `append_records` does.
        """
        if self._uncertain or self._begun or self._file < 0:
            return None
        payload, count = _encoded(records)
        size = len(payload)
        needed = logframes.room(size + (0 if self._cipher is None else SEAL_BYTES))
        if (
            size > _QUICK
            or self._at + size + 3 * logframes.SECTOR > self._segment_bytes
            or self._at + needed > self._filled
        ):
            return None
        self._place(payload, count)
        return Appended(self._records, count)

    @property
    def descriptor(self) -> int:
        """The file that `place` wrote to."""
        return self._file

    def durable(self) -> None:
        """What was placed is on disk: it counts."""
        size, link, records = self._placed
        self._uncertain = False
        self._at += size
        self._link, self._frames, self._records = link, self._frames + 1, self._records + records

    def not_durable(self, code: int) -> LogFailed:
        """The sync failed with this error number: nothing of it counts, and the next append begins with making the end certain."""
        return LogFailed(reason=_os_reason(OSError(code, os.strerror(code))))

    def append_stamp(self, stamp: StampRecord) -> Appended:
        first = self._records
        self._write(stamp.encode(), 1)
        return Appended(first, 1)

    def _write(self, payload: bytes, records: int) -> None:
        if len(payload) > LARGEST - 64:
            raise LogFailed(reason=f"a batch is larger than {LARGEST} bytes")
        try:
            if self._uncertain or self._begun:
                self._make_certain()
            size = len(payload) + 3 * logframes.SECTOR
            if self._at > FIRST_FRAME and self._at + size > self._segment_bytes:
                self._finish()
                self._start_segment()
            self._fill(self._at + logframes.room(len(payload) + (0 if self._cipher is None else SEAL_BYTES)))
        except OSError as problem:
            raise LogFailed(reason=_os_reason(problem)) from None
        self._place(payload, records)
        try:
            os.fdatasync(self._file)
        except OSError as problem:
            raise LogFailed(reason=_os_reason(problem)) from None
        self.durable()

    def _place(self, payload: bytes, records: int) -> None:
        # until it is durable: what reached the disk is unknown, the counter is spent, and the next append begins with making the end certain
        self._uncertain = True
        try:
            if self._cipher is not None:
                payload = self._cipher.seal(self._frames, self._link, payload)
            block, link = logframes.frame_bytes(self._start, self._link, self._frames, records, payload)
            written, view = 0, memoryview(block)
            while written < len(block):
                written += os.pwrite(self._file, view[written:], self._at + written)
        except OSError as problem:
            raise LogFailed(reason=_os_reason(problem)) from None
        self._placed = (len(block), link, records)

    def _make_certain(self) -> None:
        """After a failure: the acknowledged records and nothing else in the present segment, then a new one. Raises OSError.

        Only the new one's standing ends this state; one that was begun may or may not be there, holds no record, and is made again, whole.
        """
        if not self._begun:
            size = os.fstat(self._file).st_size
            if size > self._at:
                tail = os.pread(self._file, size - self._at, self._at)
                path = self.folder / logfolder.name(self._number)
                self._set_aside(path, Stopped(self._at, "a write failed", damage=False), tail)
            self._finish()
        self._start_segment()

    @property
    def low(self) -> bool:
        """Whether few zeros are left ahead."""
        return self._filled - self._at < _FILL // 2 and self._filled < self._segment_bytes

    def fill_ahead(self) -> bool:
        """A step of zeros ahead when few are left; whether there was something to do. What fails here shows when a record is written."""
        if self._file < 0 or self._uncertain or self._begun or self._filled - self._at >= _FILL:
            self._filling = False
            return False
        if not (self._filling or self.low) or self._filled >= self._segment_bytes:
            return False
        size = min(_FILL_STEP, self._segment_bytes - self._filled)
        self._filling = True
        try:
            written = os.pwrite(self._file, _ZEROS[:size], self._filled)
            self._filled += written
            os.fdatasync(self._file)
        except OSError:
            self._filling = False
            return False
        return True

    def _fill(self, needed: int) -> None:
        """Zeros ahead of the data. A disk that has no room ahead but room for this frame is enough."""
        if needed <= self._filled:
            return
        target = max(needed, min(self._filled + _FILL, self._segment_bytes))
        try:
            while self._filled < target:
                self._filled += os.pwrite(self._file, _ZEROS[: target - self._filled], self._filled)
        except OSError:
            if self._filled < needed:
                raise
        os.fsync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            try:
                if not self._uncertain:
                    self._finish()
            finally:
                os.close(self._file)
                self._file = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _encoded(records: Sequence[LogRecord | RecordGroup]) -> tuple[bytes, int]:
    """A batch, and how many records it has."""
    if all(isinstance(one, LogRecord) for one in records):
        return encode_records(records), len(records)  # type: ignore[arg-type]
    from kerege.exchange.lane.records import encode_mixed  # there, because a group is

    return encode_mixed(records)


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _os_reason(problem: OSError) -> str:
    if problem.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return "the disk is full"
    return os.strerror(problem.errno) if problem.errno else "the system refused"


def _aside_name(path: Path, offset: int, number: int) -> str:
    return f"{path.stem}-torn-at-{offset}{'' if number == 1 else f'-{number}'}.bytes"
