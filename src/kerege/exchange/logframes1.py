"""Message log segments of the first format, read and never written any more: see `logframes` for the present one.

A segment was a header (magic, the link it goes on from) and frames `length u32 | crc32 u32 | link 32 bytes | payload`, one record a
frame, one behind the other; the link is SHA-256 over the link before it and the payload. After the last frame come zeros.

A write that a crash interrupted leaves its sectors as they were: zeros, or no file there. Anything else that stops the frames is
damage: a whole record lies further on, or the frame is full to its end and its checksum differs.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

MAGIC: Final = b"KRGLOG1\n"
HEADER: Final = struct.Struct("<8s32s")
FRAME: Final = struct.Struct("<II32s")
COUNT: Final = struct.Struct("<I")
LARGEST: Final = 1 << 30
NO_LINK: Final = bytes(32)
HEAD_STARTS: Final = b'{"t":'  # how the head of every record begins; `LogRecord.encode` wrote it
_SECTOR: Final = 512
_LARGEST_HEAD: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame; `end` is where the next begins."""

    offset: int
    end: int
    link: bytes
    payload: bytes


class Stopped(ValueError):
    """The frames stop at `offset` before the data does. `damage`: not what an interrupted write leaves behind."""

    def __init__(self, offset: int, reason: str, *, damage: bool) -> None:
        super().__init__(reason)
        self.offset, self.reason, self.damage = offset, reason, damage


def solid_end(data: bytes) -> int:
    """Where the zeros filled ahead begin."""
    return len(data.rstrip(b"\0"))


def check_start(data: bytes, before: bytes | None) -> bytes:
    """The link a segment goes on from; `before` is what it must be, None when that is not known. Raises Stopped."""
    held = solid_end(data) > HEADER.size
    if len(data) < HEADER.size:
        raise Stopped(0, "its header is cut", damage=False)
    magic, link = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Stopped(0, "it is not a message log segment", damage=held)
    if before is not None and link != before:
        reason = "it does not follow from the segment before it" if any(before) else "the first segment follows nothing"
        raise Stopped(0, reason, damage=held)
    assert isinstance(link, bytes)
    return link


def frames(data: bytes, at: int, link: bytes) -> Iterator[Frame]:
    """The whole frames from `at` on, where `link` is the link before. Ends at the zeros or the end; else raises Stopped."""
    solid = solid_end(data)
    while at < solid:
        if at + FRAME.size > len(data):
            raise Stopped(at, "a frame is cut", damage=False)
        length, crc, stated = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if length == 0 or length > LARGEST or end > len(data):
            reason = "a frame is cut" if length else "a frame has no length"
            raise Stopped(at, reason, damage=_whole_record_from(data, at))
        payload = data[at + FRAME.size : end]
        if zlib.crc32(payload) != crc:
            damage = _full(data, at, end) or _whole_record_from(data, at)
            raise Stopped(at, "a frame's checksum differs", damage=damage)
        link = hashlib.sha256(link + payload).digest()
        if link != stated:
            raise Stopped(at, "a frame does not follow from the one before it", damage=True)
        yield Frame(at, end, link, payload)
        at = end


def _full(data: bytes, start: int, end: int) -> bool:
    """Whether no sector of the frame is missing: it does not end in zero, and no sector within it is all zeros."""
    first = -(-start // _SECTOR) * _SECTOR
    return data[end - 1] != 0 and not any(
        data.count(0, sector, sector + _SECTOR) == _SECTOR for sector in range(first, end - _SECTOR + 1, _SECTOR)
    )


def _whole_record_from(data: bytes, at: int) -> bool:
    """Whether the record at `at`, by the lengths in its own head, or one after it is whole.

    What lies within the record is not looked at where its end can be told: a body is its sender's, and may look like records.
    """
    lead = FRAME.size + COUNT.size
    implied = _implied_end(data, at)
    if _is_whole(data, at, implied):
        return True
    (length,) = COUNT.unpack_from(data, at)
    stated = at + FRAME.size + length if 0 < length <= len(data) - at - FRAME.size else None
    start = min((end for end in (implied, stated) if end is not None), default=at + FRAME.size)
    found = data.find(HEAD_STARTS, start + lead)
    while found >= 0:
        if _is_whole(data, found - lead, _implied_end(data, found - lead)):
            return True
        found = data.find(HEAD_STARTS, found + 1)
    return False


def _implied_end(data: bytes, at: int) -> int | None:
    """Where the record at `at` ends by its own head, when that can be read; it may lie beyond the data."""
    start = at + FRAME.size
    if start + COUNT.size > len(data):
        return None
    (size,) = COUNT.unpack_from(data, start)
    if size > _LARGEST_HEAD:
        return None
    try:
        lengths = orjson.loads(data[start + COUNT.size : start + COUNT.size + size])["n"]
        return start + COUNT.size + int(size) + sum(max(0, int(length)) for length in lengths)
    except (ValueError, TypeError, KeyError):
        return None


def _is_whole(data: bytes, at: int, end: int | None) -> bool:
    if end is None or end > len(data):
        return False
    (crc,) = COUNT.unpack_from(data, at + COUNT.size)
    return zlib.crc32(memoryview(data)[at + FRAME.size : end]) == int(crc)
