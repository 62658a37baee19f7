"""The message log's folder: segment files in order, the anchor that stands for segments cleaned away, the frames from first to last.

`anchor.json` says which segment is the first that is kept, how many records stood before it and the link it goes on from; so the
chain can be checked from the first segment that remains. It is written before anything is deleted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import orjson

from kerege.exchange import logframes
from kerege.exchange.errors import LogDamaged, LogKeyWrong
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.logcrypt import LogKey, SegmentCipher
from kerege.exchange.logframes import NO_LINK, Frame, Start, Stopped

try:
    from kerege.exchange.lane import segments as native
except NOT_THERE:
    native = None  # type: ignore[assignment]

_TRIES: Final = 5  # looks at a stop in the last segment, where a node may be in the middle of a write
_PAUSE: Final = 0.02
_WINDOW: Final = 1024 * 1024  # of a segment in memory at once; whole sectors
_ZEROS: Final = bytes(64 * 1024)
_ANCHOR: Final = "anchor.json"
_SEGMENT: Final = re.compile(r"segment-(\d{8,})\.log\Z")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the kept part of the log begins."""

    segment: int = 1
    records: int = 0
    link: bytes = NO_LINK


def name(number: int) -> str:
    return f"segment-{number:08d}.log"


def number_of(path: Path) -> int:
    match = _SEGMENT.match(path.name)
    return int(match[1]) if match else 0


def damaged(path: Path, stop: Stopped) -> LogDamaged:
    return LogDamaged(file=path.name, offset=stop.offset, reason=stop.reason)


def sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def own_folder(folder: Path) -> None:
    """A folder for its owner only, also one that was left open to read; one of somebody else's is left as its owner set it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077:
        with suppress(PermissionError):
            folder.chmod(0o700)


def create_own(path: Path) -> IO[bytes]:
    """A new file for its owner only, whatever the umask; FileExistsError where there is one."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def write_durable(path: Path, data: bytes) -> None:
    """A small file, whole and on disk, or the old one unchanged. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def read_anchor(folder: Path) -> Anchor:
    """Raises LogDamaged when there is one that cannot be read."""
    try:
        data = orjson.loads((folder / _ANCHOR).read_bytes())
        return Anchor(int(data["segment"]), int(data["records"]), bytes.fromhex(data["link"]))
    except FileNotFoundError:
        return Anchor()
    except (OSError, ValueError, TypeError, KeyError):
        raise LogDamaged(file=_ANCHOR, offset=0, reason="the anchor of the cleaned segments cannot be read") from None


def write_anchor(folder: Path, anchor: Anchor) -> None:
    fields = {"segment": anchor.segment, "records": anchor.records, "link": anchor.link.hex()}
    write_durable(folder / _ANCHOR, orjson.dumps(fields))


def is_there(folder: Path) -> bool:
    """Whether `folder` holds a message log, be it one without records or one whose records were all cleaned away."""
    return (folder / _ANCHOR).exists() or next(folder.glob("segment-*.log"), None) is not None


def segments(folder: Path) -> list[Path]:
    """The segment files in order, from the anchor on. Raises LogDamaged when one of them is missing."""
    anchor = read_anchor(folder)
    found = sorted((path for path in folder.glob("segment-*.log") if number_of(path) >= anchor.segment), key=number_of)
    for number, path in enumerate(found, anchor.segment):
        if path.name != name(number):
            raise LogDamaged(file=path.name, offset=0, reason=f"the segment {name(number)} is missing before it")
    return found


def torn(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*-torn-at-*.bytes"))


def end_of(paths: Sequence[Path], anchor: Anchor) -> tuple[bytes, int]:
    """The last link of finished segments that begin at the anchor, and the number of records so far. Raises LogDamaged."""
    link, records = anchor.link, anchor.records
    for path in paths:
        data = path.read_bytes()
        try:
            start = logframes.read_start(data, link)
            for frame in logframes.frames(data, start):
                link, records = frame.link, records + frame.records
        except Stopped as stop:
            raise damaged(path, stop) from None
    return link, records


@dataclass(frozen=True, slots=True)
class Place:
    """Between two frames: where a reader that has come so far goes on. `link` None: take the segment's own word for it."""

    segment: int
    offset: int
    link: bytes | None
    number: int
    records: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A whole frame, the segment it stands in, and the number of its first record."""

    path: Path
    start: Start
    frame: Frame
    first: int

    @property
    def after(self) -> Place:
        """Where the frame ends."""
        frame = self.frame
        return Place(number_of(self.path), frame.end, frame.link, frame.number + 1, self.first + frame.records)

    def payload(self, key: LogKey | None) -> bytes:
        """The payload as it was appended. Raises LogKeyWrong, and LogDamaged when it does not open."""
        if not self.start.encrypted:
            return self.frame.payload
        if key is None or key.id != self.start.key_id:
            reason = "it is encrypted and no key is given" if key is None else "it was written with another key"
            raise LogKeyWrong(file=self.path.name, reason=reason, key=self.start.key_id.hex())
        try:
            return _cipher(key, self.start.salt).open(self.frame.number, self.frame.before, self.frame.payload)
        except ValueError as problem:
            raise LogDamaged(file=self.path.name, offset=self.frame.offset, reason=str(problem)) from None


_LAST_CIPHER: dict[tuple[bytes, bytes], SegmentCipher] = {}


def _cipher(key: LogKey, salt: bytes) -> SegmentCipher:
    cipher = _LAST_CIPHER.get((key.id, salt))
    if cipher is None:
        if len(_LAST_CIPHER) > 16:
            _LAST_CIPHER.clear()
        cipher = _LAST_CIPHER[(key.id, salt)] = SegmentCipher(key, salt)
    return cipher


def place_of(folder: Path, record: int) -> Place | None:
    """The beginning of the segment that holds `record`, found by the headers; None when they do not say."""
    found: Place | None = None
    for path in segments(folder):
        with path.open("rb") as file:
            head = file.read(logframes.SECTOR)
        try:
            start = logframes.read_start(head, None)
        except Stopped:
            break
        if start.version == 1 or start.records > record:
            break
        found = Place(number_of(path), 0, None, 0, start.records)
    return found


def follow(folder: Path, stopped: list[tuple[Path, Stopped]], place: Place | None = None) -> Iterator[Placed]:
    """Every whole frame in order, from `place` on. Raises LogDamaged; a torn tail of the last segment is put into `stopped`."""
    paths = segments(folder)
    anchor = read_anchor(folder)
    if place is None or place.segment < anchor.segment:
        place = Place(anchor.segment, 0, anchor.link, 0, anchor.records)
    at, link, number, count = place.offset, place.link, place.number, place.records
    for path in paths:
        if number_of(path) < place.segment:
            continue
        start, tries = None, 0
        while True:
            try:
                if start is None:
                    start, link, count = _start_of(path, at, link, count)
                for frame in _frames_of(path, start, at, link, number):
                    yield Placed(path, start, frame, count)
                    at, link, number, tries = frame.end, frame.link, frame.number + 1, 0
                    count += frame.records
                break
            except Stopped as stop:
                tries += 1
                last = path == paths[-1]
                if last and tries < _TRIES:  # a node may be in the middle of writing just this
                    time.sleep(_PAUSE)
                elif last and not stop.damage:
                    stopped.append((path, stop))
                    return
                else:
                    raise damaged(path, stop) from None
        at = number = 0


def _frames_of(path: Path, start: Start, at: int, link: bytes | None, number: int) -> Iterator[Frame]:
    """The whole frames of a segment from `at` on, a window of it in memory at a time, as `logframes.frames` gives them of all of it.

    What is read in one piece is freed in one piece, and a node that reads tens of megabytes every few seconds keeps them: the C library
    takes such sizes for usual from then on and leaves that much of its heap where it is.
    """
    if start.version == 1:
        yield from logframes.frames(path.read_bytes(), start, at, link, number)
        return
    at = at or logframes.FIRST_FRAME
    with path.open("rb") as file:
        end, size = _solid_end(file, at), _WINDOW
        while at < end:
            file.seek(at)
            data, begin = file.read(min(size, end - at)), at
            last = len(data) < size or at + len(data) >= end
            if native is not None:
                before = start.link if link is None else link
                for offset, after, link_after, records, payload in native.walk(data, 0, before, number, start.marker):
                    frame = Frame(begin + offset, begin + after, link_after, before, records, number, payload)
                    at, link, before, number = frame.end, link_after, link_after, number + 1
                    yield frame
            try:
                for frame in logframes.frames(data, start, at, link, number, begin):
                    at, link, number = frame.end, frame.link, frame.number + 1
                    yield frame
            except Stopped:
                if last:
                    raise  # only whoever sees all that follows can tell a crash from damage
            if last:
                return
            size = _WINDOW if at > begin else size * 2  # a frame may be larger than a window


def _solid_end(file: IO[bytes], begin: int) -> int:
    """Where the zeros filled ahead begin, up to a whole sector; `begin` where there is nothing else from there on."""
    end = file.seek(0, os.SEEK_END)
    while end > begin:
        at = max(begin, end - len(_ZEROS))
        file.seek(at)
        data = file.read(end - at)
        if not _ZEROS.startswith(data):
            solid = at + logframes.solid_end(data)
            return solid + -solid % logframes.SECTOR
        end = at
    return begin


def _start_of(path: Path, at: int, link: bytes | None, count: int) -> tuple[Start, bytes | None, int]:
    """A segment's header; the link and the count of records there, unless the reader stands further on already."""
    with path.open("rb") as file:
        head = file.read(logframes.SECTOR + 1)
        if head[: len(logframes.MAGIC)] != logframes.MAGIC:
            head += file.read()  # of the first format, or none: that is told by the whole
    if at:
        return logframes.read_start(head, None), link, count
    start = logframes.read_start(head, link)
    return start, start.link, count if start.version == 1 else start.records


def _piece(path: Path, start: Start, at: int, size: int) -> tuple[int, bytes]:
    """So much of a segment from `at` on, or the first format's whole; and where it begins."""
    base = at if start.version == 2 else 0
    with path.open("rb") as file:
        file.seek(base)
        return base, file.read(at + size - base)


def frame_at(path: Path, offset: int, number: int, before: bytes, first: int, size: int) -> Placed:
    """One frame of a segment, as an index remembers it; no more than its `size` is read. Raises LogDamaged when it is not there."""
    try:
        start = _start_of(path, 0, None, 0)[0]
        base, data = _piece(path, start, offset, size)
        for frame in logframes.frames(data, start, offset, before, number, base):
            return Placed(path, start, frame, first)
    except (OSError, Stopped):
        pass
    raise LogDamaged(file=path.name, offset=offset, reason="the frame an index points to is not there")
