"""How far the sheets of an old spreadsheet reach is read from its records, before anything takes memory for the rectangle."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import harvest_source
from kerege.semantics.codelists.xls_extent import extents

FREE, END, TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
CELL, MANY, BLANK = 0x203, 0xBD, 0x201


def record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def begin(kind: int) -> bytes:
    return record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 0, 0, 0x600))


def number(row: int, column: int) -> bytes:
    return record(CELL, struct.pack("<HHHd", row, column, 0, 1.0))


def workbook(*sheets: bytes) -> bytes:
    """The records of a workbook: the globals, which name where each sheet begins, and the sheets."""

    def told(starts: list[int]) -> bytes:
        heads = b"".join(
            record(0x85, struct.pack("<IBBBB", at, 0, 0, 1, 0) + bytes([97 + n])) for n, at in enumerate(starts)
        )
        return begin(5) + record(0x42, struct.pack("<H", 1200)) + heads + record(0x0A)

    whole = [begin(0x10) + sheet + record(0x0A) for sheet in sheets]
    first = len(told([0] * len(sheets)))
    return told([first + sum(map(len, whole[:n])) for n in range(len(sheets))]) + b"".join(whole)


def compound(stream: bytes, *, small: bool = False, name: str = "Workbook") -> bytes:
    """A compound file with one stream, in sectors of 512 bytes; `small`: in the pieces of 64 bytes that short streams get."""
    size = len(stream) if small else max(4096, len(stream))
    sectors = [stream.ljust(size, b"\0")[at : at + 512].ljust(512, b"\0") for at in range(0, size, 512)]
    table = [TABLE, END, END, *range(4, 3 + len(sectors)), END]
    pieces = max(1, -(-len(stream) // 64))

    def entry(called: str, kind: int, start: int, long: int) -> bytes:
        text = called.encode("utf-16-le") + b"\0\0"
        return text.ljust(64, b"\0") + struct.pack("<HBB12x16x4x16xIQ", len(text), kind, 1, start, long)

    root = entry("Root Entry", 5, 3 if small else END, len(sectors) * 512 if small else 0)
    listed = root + entry(name, 2, 0 if small else 3, size)
    places = struct.pack("<128I", *([*range(1, pieces), END] + [FREE] * (128 - pieces)))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<9I", 0, 1, 1, 0, 4096, 2 if small else END, int(small), END, 0) + struct.pack(
        "<109I", 0, *[FREE] * 108
    )
    return (
        head
        + struct.pack("<128I", *(table + [FREE] * (128 - len(table))))
        + listed.ljust(512, b"\0")
        + places
        + b"".join(sectors)
    )


MULTIPLE = record(MANY, struct.pack("<HH", 4, 1) + bytes(18) + struct.pack("<H", 3))
FAR_BLANK = record(BLANK, struct.pack("<HHH", 65_535, 255, 0))


@pytest.mark.parametrize("small", [False, True])
def test_every_sheet_is_measured_by_its_cells_with_a_value(small: bool) -> None:
    data = compound(workbook(number(0, 0) + number(2, 1), MULTIPLE + FAR_BLANK, b""), small=small)
    assert extents(data) == [(3, 2), (5, 4), (0, 0)]


WHOLE = compound(workbook(number(0, 0)))
ROUND = WHOLE[:524] + struct.pack("<I", 3) + WHOLE[528:]  # its third sector is followed by itself


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", WHOLE[:600], compound(b"", name="Sheet"), ROUND])
def test_what_is_no_old_spreadsheet_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="spreadsheet"):
        extents(data)


def test_an_old_spreadsheet_of_a_few_kilobytes_does_not_take_gigabytes(tmp_path: Path) -> None:
    (tmp_path / "far.xls").write_bytes(compound(workbook(number(0, 0) + number(9_999, 9_999))))
    with pytest.raises(errors.SheetTooWide, match="row 10000 and column 10000"):
        harvest_source(str(tmp_path / "far.xls"))
    (tmp_path / "half.xls").write_bytes(WHOLE[:600])
    with pytest.raises(errors.FileTruncated, match="cannot be opened"):
        harvest_source(str(tmp_path / "half.xls"))
    named = record(0x204, struct.pack("<HHHHB", 0, 0, 0, 1, 0) + b"a")
    (tmp_path / "near.xls").write_bytes(compound(workbook(named + number(1, 0))))
    (table,) = harvest_source(str(tmp_path / "near.xls")).tables
    assert (table.fields[0].name, table.fields[0].rows) == ("a", 1)
