"""How far the sheets of a spreadsheet reach, counted while its parts are unpacked and before anything reads it. Pure.

A reader takes memory for the rectangle from A1 to the last cell, however few cells are filled: one cell at XFD1500 is 25 million. Parts are fed in
pieces as they come out of the container and nothing but counts is kept. In XLSX every cell and row says where it stands (ECMA-376 part 1, 18.3.1.4
and 18.3.1.73), whatever the part is called; in ODS (OpenDocument 1.3 part 3, 9.1) cells and rows say how often they stand, in `content.xml`.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterable
from typing import Final

ODS_PART: Final = "content.xml"
COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # MS-CFB 2.2: XLS, and XLSX under a password
_BINARY_BOOK: Final = "xl/workbook.bin"
# where a cell or row says it stands; readers take small letters too
_ROWS: Final = re.compile(rb"""\br\s*=\s*["'][A-Za-z]{0,3}([0-9]{1,7})["']""")
_COLUMNS: Final = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,3})[0-9]""")
_LONGEST_TAG: Final = 1 << 20  # what of a tag that is not whole yet is kept for the next piece
_ENDLESS: Final = 10**9  # what a longer number of repetitions is taken for
_ROW: Final = "table:table-row"
_CELLS: Final = frozenset({"table:table-cell", "table:covered-table-cell"})


def binary_kind(start: bytes, parts: Iterable[str] = ()) -> str:
    """What a workbook is whose extent cannot be told, by its first bytes or by the names of its parts: "XLS", "XLSB", or "" for none of these."""
    if start.startswith(COMPOUND):
        return "XLS"
    return "XLSB" if any(part.casefold().replace("\\", "/") == _BINARY_BOOK for part in parts) else ""


class Extent:
    """How far one part of a package reaches, of what was fed so far.

    `rows`, `columns`: the farthest sheet in it; `cells`: of all sheets in it together. `feed` and `close` raise ValueError for an ODS part that
    is not XML or has a document type declaration.
    """

    def __init__(self, part: str) -> None:
        self.rows = self.columns = 0
        self._tail = b""
        self._tables = _Tables() if part == ODS_PART else None

    @property
    def cells(self) -> int:
        told = self._tables.cells if self._tables else 0
        return max(self.rows * self.columns, told)

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes of the part."""
        seen = self._tail + piece
        self.rows = max(self.rows, *map(int, set(_ROWS.findall(seen))), 0)
        self.columns = max(self.columns, *map(column_number, set(_COLUMNS.findall(seen))), 0)
        self._tail = seen[max(seen.rfind(b"<"), len(seen) - _LONGEST_TAG, 0) :]
        if self._tables:
            self._tables.feed(piece)
            self._take(self._tables)

    def close(self) -> None:
        """The part is at its end: it must have been whole."""
        if self._tables:
            self._tables.close()
            self._take(self._tables)

    def _take(self, tables: _Tables) -> None:
        self.rows, self.columns = max(self.rows, tables.rows), max(self.columns, tables.columns)


class _Tables:
    """The tables of an ODS file; rows and cells without a value count only where one with a value comes after them."""

    def __init__(self) -> None:
        self.rows = self.columns = 0
        self._before = 0  # cells of the tables that are over
        self._height = self._filled = self._width = 0  # of this table: rows passed, the last with a value, the widest
        self._repeated, self._at, self._reach = 0, 0, 0  # of this row: how often, cells passed, the last with a value
        self._parser = xml.parsers.expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.StartDoctypeDeclHandler = self._doctype

    @property
    def cells(self) -> int:
        """Of all tables, the row that is being read included."""
        filled = self._height + self._repeated if self._reach else self._filled
        return self._before + filled * max(self._width, self._reach)

    def feed(self, piece: bytes, last: bool = False) -> None:
        try:
            self._parser.Parse(piece, last)
        except xml.parsers.expat.ExpatError as error:
            raise ValueError("the spreadsheet's content is not XML") from error
        self._tell()

    def close(self) -> None:
        self.feed(b"", last=True)
        self._end_row()
        self._tell()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _CELLS:
            self._at += _times(attributes.get("table:number-columns-repeated"))
            if "table:formula" in attributes or any(key.startswith("office:") for key in attributes):
                self._reach = self._at
        elif name == _ROW:
            self._end_row()
            self._repeated = _times(attributes.get("table:number-rows-repeated"))
        elif name == "table:table":
            self._end_row()
            self._tell()
            self._before += self._filled * self._width
            self._height = self._filled = self._width = 0

    def _end_row(self) -> None:
        self._height += self._repeated
        if self._reach:
            self._filled, self._width = self._height, max(self._width, self._reach)
        self._repeated = self._at = self._reach = 0

    def _tell(self) -> None:
        filled = self._height + self._repeated if self._reach else self._filled
        self.rows, self.columns = max(self.rows, filled), max(self.columns, self._width, self._reach)

    @staticmethod
    def _doctype(*_told: object) -> None:
        raise ValueError("the spreadsheet's content has a document type declaration")


def column_number(letters: bytes) -> int:
    """The number of a column by its letters: A is 1, XFD is 16,384."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + letter - 64
    return column


def _times(said: str | None) -> int:
    if said is None or not (said.isascii() and said.isdigit()):
        return 1
    return max(1, int(said)) if len(said) < 10 else _ENDLESS
