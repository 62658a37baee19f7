"""How far the sheets of an old spreadsheet (XLS) reach, walked through its records before anything reads it. Pure.

As in `codelists.sheet_extent`: a reader takes memory for the rectangle to the last cell, and a cell of five kilobytes may say that it stands in row
65,536 and column 65,536. An XLS file is a compound file (MS-CFB) with a stream of records (MS-XLS, 2.4): the globals name where each sheet's
records begin. Cells without a value do not count.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS: Final = ("Workbook", "Book")  # the first that is there is read, as readers do
_LAST: Final = 0xFFFFFFFA  # sector numbers from here on are marks
_IN_HEADER: Final = 109  # sectors of the allocation table that the header itself names
_END: Final = 0x0A
_SHEET: Final = 0x85
_MANY: Final = 0xBD
# records that are one cell with a value: row and column stand first in each
_CELLS: Final = frozenset(
    {0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0203, 0x0204, 0x0205, 0x0206, 0x0406, 0x027E, 0x00FD, 0x00D6}
)


def extents(data: bytes) -> list[tuple[int, int]]:
    """(rows, columns) of each sheet; ValueError for what is no such file or damaged."""
    try:
        stream = _workbook(data)
        starts = [struct.unpack_from("<I", body)[0] for kind, body in _records(stream, 0) if kind == _SHEET]
        return [_reach(stream, start) for start in starts]
    except (struct.error, IndexError) as error:
        raise ValueError("the spreadsheet's container is damaged") from error


def _reach(stream: bytes, start: int) -> tuple[int, int]:
    rows = columns = 0
    for kind, body in _records(stream, start):
        if kind in _CELLS or kind == _MANY:
            row, column = struct.unpack_from("<HH", body)
            last = struct.unpack_from("<H", body, len(body) - 2)[0] if kind == _MANY else column
            rows, columns = max(rows, row + 1), max(columns, last + 1)
    return rows, columns


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """(kind, content) of the records from a place on, up to the end of their sheet or of the globals."""
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + size]
        if kind == _END:
            return
        at += 4 + size


def _workbook(data: bytes) -> bytes:
    """The stream of records out of the compound file."""
    if not data.startswith(_MAGIC):
        raise ValueError("the spreadsheet is no compound file")
    size, small = 1 << struct.unpack_from("<H", data, 30)[0], 1 << struct.unpack_from("<H", data, 32)[0]
    if size not in (512, 4096) or small >= size:
        raise ValueError("the spreadsheet's container is damaged")
    directory, cutoff, small_table = struct.unpack_from("<I4xII", data, 48)

    def sector(number: int) -> bytes:
        return data[(number + 1) * size : (number + 2) * size]

    def numbers(raw: bytes) -> list[int]:
        return list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))

    def chain(number: int, table: list[int]) -> Iterator[int]:
        for _ in range(len(table) + 1):
            if number >= _LAST:
                return
            yield number
            number = table[number]
        raise ValueError("the spreadsheet's container goes in circles")

    named = numbers(data[76 : 76 + 4 * _IN_HEADER])
    more, seen = struct.unpack_from("<I", data, 68)[0], 0
    while more < _LAST and seen <= len(data) // size:
        *further, more = numbers(sector(more))
        named, seen = named + further, seen + 1
    table = [n for place in named if place < _LAST for n in numbers(sector(place))]
    listed = b"".join(map(sector, chain(directory, table)))
    entries = [listed[at : at + 128] for at in range(0, len(listed) - 127, 128)]
    root = struct.unpack_from("<I", entries[0], 116)[0]
    known: dict[str, bytes] = {}
    for entry in entries:
        known.setdefault(entry[:64].decode("utf-16-le", "replace").partition("\0")[0], entry)
    entry = next((known[name] for name in _STREAMS if name in known), b"")
    if not entry:
        raise ValueError("the spreadsheet has no workbook")
    start, whole = struct.unpack_from("<II", entry, 116)
    if whole >= cutoff:
        return b"".join(map(sector, chain(start, table)))[:whole]
    inner = b"".join(map(sector, chain(root, table)))
    places = numbers(b"".join(map(sector, chain(small_table, table))))
    return b"".join(inner[n * small : (n + 1) * small] for n in chain(start, places))[:whole]
