"""The bytes of a message log segment: frames, where they stop, and whether that stop is a crash's or damage.

A segment begins with a header of one sector: magic, the link it goes on from, the number of records before it, a key identifier
(zeros when the segment is not encrypted), a random salt, a checksum. Then frames, each beginning at a sector of its own:
`marker 8 | length u32 | records u32 | link 32 | number u64 | crc32 u32`, the payload, an end mark, zeros to the next sector. The link
is SHA-256 over the link before it and the payload as it stands in the file, so the chain is checked without the key. The marker
is the segment's own (from the salt): what a sender puts into a body cannot look like a frame. After the last frame come zeros,
filled ahead, and nothing else.

One append is one frame, and a frame is begun only when the one before is on disk. A write that a crash interrupted leaves its
sectors as they were: zeros, or no file there. So a stop is a crash's when the frame's last bytes or whole sectors of it are
missing and no later frame begins; anything else is damage, never repaired here. Segments of the first format are `logframes1`'s.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from kerege.exchange import logframes1
from kerege.exchange.logcrypt import NO_KEY
from kerege.exchange.logframes1 import NO_LINK as NO_LINK
from kerege.exchange.logframes1 import Stopped as Stopped

MAGIC: Final = b"KRGLOG2\n"
SECTOR: Final = 512
LARGEST: Final = 1 << 30
_HEADER: Final = struct.Struct("<8s32sQ16s32s")
_FRAME: Final = struct.Struct("<8sII32sQ")
_CRC: Final = struct.Struct("<I")
_FRAME_SIZE: Final = _FRAME.size + _CRC.size
_END: Final = b"\nKRG"
FIRST_FRAME: Final = SECTOR


@lru_cache(maxsize=64)
def _marker(salt: bytes) -> bytes:
    return hashlib.sha256(b"frame marker\0" + salt).digest()[:8]


@dataclass(frozen=True, slots=True)
class Start:
    """What a segment's header says. `marker` begins each of its frames."""

    link: bytes
    records: int
    key_id: bytes
    salt: bytes
    version: int = 2

    @property
    def marker(self) -> bytes:
        return _marker(self.salt)

    @property
    def encrypted(self) -> bool:
        return self.key_id != NO_KEY

    @classmethod
    def new(cls, link: bytes, records: int, key_id: bytes = NO_KEY) -> Start:
        return cls(link, records, key_id, os.urandom(32))

    def pack(self) -> bytes:
        fixed = _HEADER.pack(MAGIC, self.link, self.records, self.key_id, self.salt)
        return (fixed + _CRC.pack(zlib.crc32(fixed))).ljust(SECTOR, b"\0")


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame: its place, the link after it, how many records it holds (-1: look into it), its number in the segment."""

    offset: int
    end: int
    link: bytes
    before: bytes
    records: int
    number: int
    payload: bytes


def frame_bytes(start: Start, link: bytes, number: int, records: int, payload: bytes) -> tuple[bytes, bytes]:
    """A frame ready to write, padded to whole sectors, and the link after it. `payload` as it shall stand in the file."""
    digest = hashlib.sha256(link)
    digest.update(payload)
    after = digest.digest()
    fixed = _FRAME.pack(start.marker, len(payload), records, after, number)
    size = _FRAME_SIZE + len(payload) + len(_END)
    pad = bytes(-size % SECTOR)
    return b"".join((fixed, _CRC.pack(zlib.crc32(fixed)), payload, _END, pad)), after


def room(payload: int) -> int:
    """How many bytes the frame of a payload of this size takes: whole sectors."""
    size = _FRAME_SIZE + payload + len(_END)
    return size + -size % SECTOR


def solid_end(data: bytes) -> int:
    """Where the zeros filled ahead begin."""
    return len(data.rstrip(b"\0"))


def read_start(data: bytes, before: bytes | None) -> Start:
    """The header of a segment of either format; `before` is the link it must go on from, None when not known. Raises Stopped."""
    if data[:8] == logframes1.MAGIC:
        return Start(logframes1.check_start(data, before), -1, NO_KEY, b"", version=1)
    solid = solid_end(data)
    held = solid > FIRST_FRAME
    size = _HEADER.size + _CRC.size
    if len(data) < SECTOR or solid < size - 4:
        raise Stopped(0, "its header is cut", damage=held)
    magic, link, records, key_id, salt = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC:
        raise Stopped(0, "it is not a message log segment", damage=True)
    if crc != zlib.crc32(data[: _HEADER.size]) or any(data[size:SECTOR]):
        # a cut header ends in zeros; one that is there to its end was changed
        raise Stopped(0, "its header is changed", damage=held or solid >= size)
    if before is not None and link != before:
        reason = "it does not follow from the segment before it" if any(before) else "the first segment follows nothing"
        raise Stopped(0, reason, damage=True)
    return Start(link, records, key_id, salt)


def frames(
    data: bytes, start: Start, at: int = 0, link: bytes | None = None, number: int = 0, base: int = 0
) -> Iterator[Frame]:
    """The whole frames from `at` on (0: from the first), where `link` is the link before and `number` the next frame's number.

    base   where in the segment `data` begins (a whole sector); `at` and what is returned are places in the segment

    Ends at the zeros or the end of the data; raises Stopped at anything else.
    """
    if base:
        try:
            for frame in frames(data, start, at - base or -1, link, number):
                yield replace(frame, offset=frame.offset + base, end=frame.end + base)
        except Stopped as stop:
            raise Stopped(stop.offset + base, stop.reason, damage=stop.damage) from None
        return
    link = start.link if link is None else link
    if start.version == 1:
        yield from _first_format(data, at or logframes1.HEADER.size, link, number)
        return
    at = max(at or FIRST_FRAME, 0)  # -1: the data begin with a frame
    solid, marker = solid_end(data), start.marker
    while at < solid:
        head_end = at + _FRAME_SIZE
        if solid < head_end:
            raise Stopped(at, "a frame is cut", damage=False)
        found, length, records, stated, order = _FRAME.unpack_from(data, at)
        (crc,) = _CRC.unpack_from(data, at + _FRAME.size)
        if found != marker or crc != zlib.crc32(data[at : at + _FRAME.size]) or order != number or not length:
            gone = not any(data[at : min(at + SECTOR, len(data))])  # the sector never came, those after it did
            raise Stopped(at, "a frame's head is not whole", damage=not gone or _later_frame(data, at, marker))
        payload_end = head_end + length
        end = payload_end + len(_END)
        if solid < end or data[payload_end:end] != _END:
            torn = solid < end and not _later_frame(data, at, marker)
            raise Stopped(at, "a frame is cut", damage=not torn)
        payload = data[head_end:payload_end]
        digest = hashlib.sha256(link)
        digest.update(payload)
        if digest.digest() != stated:
            torn = _sector_missing(data, at, end) and not _later_frame(data, at, marker)
            reason = "a frame does not follow from the one before it, or was changed"
            raise Stopped(at, "a frame is cut" if torn else reason, damage=not torn)
        after = end + -end % SECTOR
        if any(data[end:after]):
            raise Stopped(at, "something stands between two frames", damage=True)
        yield Frame(at, after, stated, link, records, number, payload)
        at, link, number = after, stated, number + 1


def _sector_missing(data: bytes, start: int, end: int) -> bool:
    """Whether a whole sector of the frame is zeros, as it is when it never reached the disk."""
    return any(data.count(0, at, at + SECTOR) == SECTOR for at in range(start + SECTOR, end - SECTOR + 1, SECTOR))


def _later_frame(data: bytes, at: int, marker: bytes) -> bool:
    """Whether a frame begins further on: then the one at `at` had been on disk whole."""
    found = data.find(marker, at + SECTOR)
    while found >= 0:
        if found % SECTOR == 0 and found + _FRAME_SIZE <= len(data):
            (crc,) = _CRC.unpack_from(data, found + _FRAME.size)
            if crc == zlib.crc32(data[found : found + _FRAME.size]):
                return True
        found = data.find(marker, found + 1)
    return False


def _first_format(data: bytes, at: int, link: bytes, number: int) -> Iterator[Frame]:
    before = link
    for frame in logframes1.frames(data, at, link):
        yield Frame(frame.offset, frame.end, frame.link, before, 1, number, frame.payload)
        before, number = frame.link, number + 1
