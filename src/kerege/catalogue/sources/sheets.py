"""Spreadsheets (XLSX, ODS), one table per sheet.

The binary kinds (XLS, XLSB) are refused by what stands in the file, whatever its name is: how far their sheets reach cannot be told before a
reader takes memory for it.

A header spread over merged cells has no name per column; it is refused with its place rather than guessed. Dates become ISO dates,
whole floats lose their ".0" (a spreadsheet has only floats), so that a code 660 is "660".
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum

from kerege.catalogue.errors import (
    CellTooLarge,
    FileTruncated,
    HeaderMerged,
    PackageTooLarge,
    SheetBinary,
    SheetTooWide,
    SourceError,
    SourceMissing,
    TableEmpty,
)
from kerege.catalogue.inventory.profile import Cell
from kerege.catalogue.sources.base import Reading, Table, check_header, file_digest
from kerege.catalogue.sources.cost import Cost
from kerege.semantics.codelists.sheet_extent import COMPOUND, Extent, binary_kind, column_number

_PIECE: Final = 1 << 20
_BINARY: Final = {".xls": "XLS", ".xla": "XLS", ".xlsb": "XLSB"}
_WIDEST: Final = 10  # bytes one character may take in XML
_PLACE: Final = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"')
_MOST_CELLS: Final = 50_000_000  # of all sheets together, the empty ones between filled ones included
_MOST_PARTS: Final = 10_000
_SUSPICIOUS: Final = 300_000_000  # unpacked bytes above which a ratio like an attack's is taken for one
_MOST_RATIO: Final = 200  # sheets are packed some tens of times smaller
_MOST_UNPACKED: Final = 1 << 30  # a sheet that unpacks to more than this is a mistake or an attack


class Workbook:
    """A spreadsheet file as a source; blank sheets are left out, unless one was asked for or there is no other (TableEmpty)."""

    kind = "sheet"

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path, self._reading = path, reading
        self.name = path.name
        self.cut: set[str] = set()
        self.remarks: dict[str, str] = {}
        self.cost = Cost(bytes=path.stat().st_size)

    def close(self) -> None:
        """Nothing is kept open."""

    def fingerprint(self) -> str:
        return file_digest(self._path)

    def tables(self) -> list[Table]:
        self._check_package()
        try:
            book = CalamineWorkbook.from_path(str(self._path))
        except (CalamineError, OSError, ValueError):
            raise FileTruncated(source=self.name, row="?", reason="the spreadsheet cannot be opened") from None
        names = [m.name for m in book.sheets_metadata if m.typ == SheetTypeEnum.WorkSheet]
        for wanted in self._reading.tables:
            if wanted not in names:
                raise SourceMissing(source=f"{self.name}#{wanted}", known="Sheets: " + ", ".join(names) + ".")
        found = []
        for name in self._reading.tables or names:
            table = self._table(name, book.get_sheet_by_name(name))
            if table is not None:
                found.append(table)
            elif self._reading.tables:
                raise TableEmpty(source=self.name, table=name, before=" and no header")
        if not found:
            raise TableEmpty(source=self.name, table=", ".join(names) or "any", before=" and no header")
        return found

    def _check_package(self) -> None:
        self._refuse_old()
        try:
            with zipfile.ZipFile(self._path) as package:
                if kind := binary_kind(b"", package.namelist()):
                    raise SheetBinary(source=self.name, kind=kind)
                self._refuse_bomb(package)
                cells = 0
                for part in package.infolist():
                    cells += self._check_part(package, part, cells)
        except SourceError:
            raise
        except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
            raise FileTruncated(source=self.name, row="?", reason="its zip container has no end") from error
        except Exception as error:  # zlib.error and friends: a container that breaks in the middle
            raise FileTruncated(source=self.name, row="?", reason="its zip container is damaged") from error

    def _refuse_old(self) -> None:
        """By the ending, which a reader may go by, and by the first bytes: a container may stand behind a workbook of another kind."""
        with self._path.open("rb") as file:
            start = file.read(len(COMPOUND))
        kind = _BINARY.get(self._path.suffix.casefold()) or binary_kind(start)
        if kind:
            raise SheetBinary(source=self.name, kind=kind)
        if not start.startswith(b"PK"):
            raise FileTruncated(source=self.name, row="?", reason="it does not begin as a zip container does")

    def _refuse_bomb(self, package: zipfile.ZipFile) -> None:
        """By what the container says of itself, before anything is unpacked; a part that says less than it holds is refused in `_check_part`."""
        parts = package.infolist()
        unpacked, packed = sum(i.file_size for i in parts), max(1, self._path.stat().st_size)
        ratio = unpacked // packed
        if unpacked > _MOST_UNPACKED or len(parts) > _MOST_PARTS or (unpacked > _SUSPICIOUS and ratio > _MOST_RATIO):
            raise PackageTooLarge(source=self.name, unpacked=unpacked, ratio=ratio)

    def _check_part(self, package: zipfile.ZipFile, part: zipfile.ZipInfo, cells: int) -> int:
        """Unpack a part once in pieces: it must be whole, and reach no farther and hold no longer text than reading the sheet has memory for.

        `cells` are those of the parts before; returns those of this one. The bound here is wide (a character may be written as `&#x10FFFF;`);
        what is below it is measured cell by cell in `_rows`.
        """
        most = _WIDEST * self._reading.limits.cell + _PIECE
        run, before, extent = 0, b"", Extent(part.filename)
        try:
            with package.open(part) as file:
                while piece := file.read(_PIECE):
                    extent.feed(piece)
                    self._check_extent(extent, cells)
                    last = piece.rfind(b"<")
                    run += len(piece) if last < 0 else piece.find(b"<")
                    if run > most and part.filename.endswith(".xml"):
                        row, column = _address(before)
                        raise CellTooLarge(source=self.name, row=row, column=column, limit=self._reading.limits.cell)
                    if last >= 0:
                        run, before = len(piece) - last, piece[max(0, last - 500) : last]
            extent.close()
            self._check_extent(extent, cells)
            return extent.cells
        except zipfile.BadZipFile as error:
            raise FileTruncated(source=self.name, row="?", reason=f"the part {part.filename} is damaged") from error

    def _check_extent(self, extent: Extent, before: int) -> None:
        if before + extent.cells > _MOST_CELLS:
            raise SheetTooWide(source=self.name, rows=extent.rows, columns=extent.columns, limit=_MOST_CELLS)

    def _table(self, name: str, sheet: CalamineSheet) -> Table | None:
        """The sheet's table; None for a sheet without a header row, which is a blank one."""
        if not sheet.height or not sheet.width:
            return None
        where = f"{self.name}#{name}"
        rows = list(_numbered(sheet))
        wanted = self._reading.header_row
        for number, cells in rows:
            if (wanted and number < wanted) or not any(c is not None for c in cells):
                continue
            self._refuse_merged(where, sheet, number)
            heads = check_header(where, number, _header_cells(cells))
            stream = partial(self._rows, where, rows, number, len(heads))
            return Table(name, heads, stream)
        return None

    def _refuse_merged(self, where: str, sheet: CalamineSheet, header: int) -> None:
        for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
            if top <= header - 1 <= bottom and right > left:
                raise HeaderMerged(source=where, row=header, column=left + 1)

    def _rows(
        self, where: str, rows: list[tuple[int, list[Cell]]], header: int, width: int
    ) -> Iterator[tuple[int, list[Cell]]]:
        limit = self._reading.limits.cell
        count = 0
        for number, cells in rows:
            if number <= header or not any(c is not None for c in cells):
                continue
            for i, cell in enumerate(cells):
                if cell is not None and len(cell) > limit:
                    raise CellTooLarge(source=where, row=number, column=i + 1, limit=limit)
            if any(c is not None for c in cells[width:]):
                column = next(i for i, c in enumerate(cells) if i >= width and c is not None)
                raise HeaderMerged(source=where, row=header, column=column + 1)
            if count >= self._reading.limits.rows:
                self.cut.add(where.partition("#")[2])
                return
            yield number, [*cells[:width], *(None,) * (width - len(cells))]
            count += 1


def _header_cells(cells: list[Cell]) -> list[str]:
    """The header up to its last filled cell."""
    names = [c or "" for c in cells]
    while names and not names[-1].strip():
        names.pop()
    return names


def _numbered(sheet: CalamineSheet) -> Iterator[tuple[int, list[Cell]]]:
    """(row number as the spreadsheet shows it, cells as text from column A on)."""
    for number, cells in enumerate(sheet.to_python(skip_empty_area=False), start=1):
        yield number, [_text(c) for c in cells]


def _text(value: Any) -> Cell:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _address(xml: bytes) -> tuple[int | str, int | str]:
    """(row, column) of the last cell begun in a piece of a sheet; "?" where there is none, as in the table of shared texts."""
    found = _PLACE.findall(xml)
    if not found:
        return "?", "?"
    letters, row = found[-1]
    return int(row), column_number(letters)
