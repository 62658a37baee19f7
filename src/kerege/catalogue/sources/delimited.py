"""CSV and TSV files, read strictly: a file that is not what it says stops with its row and column.

Lines are read as bytes with an upper bound, so a cell of 200 MB is refused after its first megabyte and not after memory is gone.
A last line `#ROWS;<n>` (a sender's own count) is checked and not taken for data. Without it, a file cut inside its last cell or at a line
end cannot be known for one: a last row without a line end is remarked on, and `Reading.counted` asks for the count.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from kerege.catalogue.errors import (
    CellTooLarge,
    EncodingWrong,
    FileTruncated,
    NotText,
    RowRagged,
    SourceMissing,
    TableEmpty,
)
from kerege.catalogue.inventory.profile import Cell
from kerege.catalogue.sources.base import Reading, Table, check_header, file_digest
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.encodings import likely_encoding
from kerege.ground.text import counted

_DELIMITERS: Final = ("\t", ";", ",", "|")
_TRAILER: Final = "#ROWS"
NO_LINE_END: Final = "the last row has no line end"
_HALF_LETTER: Final = "it ends inside a letter"
_BLANKS: Final = "\t\r\n\v\f"


class DelimitedFile:
    """One CSV or TSV file as a source with one table."""

    kind = "csv"

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
        if self._reading.tables and self._path.stem not in self._reading.tables:
            raise SourceMissing(
                source=f"{self.name}#{self._reading.tables[0]}", known=f"Its table is {self._path.stem}."
            )
        wanted = self._reading.header_row
        for row, cells in self._parsed():
            if (wanted and row < wanted) or not any(c.strip() for c in cells):
                continue
            heads = check_header(self.name, row, cells)
            rows = partial(self._rows, row, len(heads))
            return [Table(self._path.stem, heads, rows)]
        raise TableEmpty(source=self.name, table=self._path.stem, before=" and no header")

    @property
    def delimiter(self) -> str:
        """The separator given, or the one the first line has most of."""
        if self._reading.delimiter:
            return self._reading.delimiter
        with self._path.open("rb") as file:
            line = file.readline(65536).decode("latin-1")
        return max(_DELIMITERS, key=lambda d: (line.count(d), -_DELIMITERS.index(d)))

    def _rows(self, header_row: int, width: int) -> Iterator[tuple[int, list[Cell]]]:
        trailer: int | None = None
        count = 0
        previous: tuple[int, list[str]] | None = None
        row = header_row
        for row, cells in self._parsed():
            if row <= header_row or not cells:
                continue
            if trailer is not None:
                raise FileTruncated(source=self.name, row=row, reason="rows follow after the sender's own count")
            if previous is not None:
                yield previous[0], self._checked(*previous, width, last=False)
                count += 1
                previous = None
                if count >= self._reading.limits.rows:
                    self.cut.add(self._path.stem)
                    return
            if cells[0] == _TRAILER and len(cells) == 2 and cells[1].strip().isdecimal():
                trailer = int(cells[1])
                if trailer != count:
                    reason = f"the sender counted {counted(trailer, 'row')}, {count} came"
                    raise FileTruncated(source=self.name, row=row, reason=reason)
                continue
            previous = (row, cells)
        if previous is not None:
            yield previous[0], self._checked(*previous, width, last=True)
            if trailer is None and not self._ends_with_newline():
                self.remarks[self._path.stem] = f"{NO_LINE_END} (row {previous[0]}); the file may be cut"
        if trailer is None and self._reading.counted:
            reason = f"the last line should be the sender's count, {_TRAILER}{self.delimiter}<n>"
            raise FileTruncated(source=self.name, row=row, reason=reason)

    def _checked(self, row: int, cells: list[str], width: int, *, last: bool) -> list[Cell]:
        if len(cells) == width:
            return [c if c else None for c in cells]
        if last and len(cells) < width and not self._ends_with_newline():
            reason = f"the last row stops after {len(cells)} of {counted(width, 'column')}, with no line end"
            raise FileTruncated(source=self.name, row=row, reason=reason)
        raise RowRagged(source=self.name, row=row, found=len(cells), expected=width, column=min(len(cells), width))

    def _ends_with_newline(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-min(2, self._path.stat().st_size), 2)
            return file.read(2).rstrip(b"\0").endswith((b"\r", b"\n"))  # the NUL is half of a line end in UTF-16

    def _parsed(self) -> Iterator[tuple[int, list[str]]]:
        """(number of the line a row starts on, its cells)."""
        limit = self._reading.limits.cell
        csv.field_size_limit(limit)  # the csv module keeps one limit for the process; every reading sets its own first
        reader = csv.reader(self._lines(), delimiter=self.delimiter, strict=True)
        start = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "field larger" in str(error):
                    raise CellTooLarge(source=self.name, row=start, column="?", limit=limit) from error
                if "unexpected end" in str(error):
                    reason = "a quoted cell is opened and never closed"
                    raise FileTruncated(source=self.name, row=start, reason=reason) from error
                raise RowRagged(
                    source=self.name, row=start, found="unreadable", expected="readable", column="?"
                ) from error
            yield start, cells
            start = reader.line_num + 1

    def _lines(self) -> Iterator[str]:
        limit = self._reading.limits.cell
        encoding = self._reading.encoding
        with self._path.open("rb") as file:
            start = file.read(3)
            file.seek(3 if start == b"\xef\xbb\xbf" else 0)
            if start[:2] in (b"\xff\xfe", b"\xfe\xff") and not encoding.startswith("utf-16"):
                raise EncodingWrong(source=self.name, row=1, column=1, encoding=encoding, guess="utf-16")
            if encoding.startswith("utf-16"):
                file.seek(0)
                yield from self._wide_lines()
                return
            number = 0
            while line := file.readline(2 * limit + 65536):
                number += 1
                if not line.endswith(b"\n") and len(line) >= 2 * limit + 65536:
                    self._refuse_long(line, number, limit)
                yield self._decoded(line, number)

    def _wide_lines(self) -> Iterator[str]:
        number = 0
        with self._path.open("rb") as file:
            marked = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        with self._path.open(encoding="utf-16" if marked else self._reading.encoding, newline="") as file:
            try:
                for line in file:
                    number += 1
                    self._refuse_controls(line, number)
                    yield line
            except UnicodeError as error:
                if _cut(error):
                    raise FileTruncated(source=self.name, row=number + 1, reason=_HALF_LETTER) from error
                raise EncodingWrong(
                    source=self.name, row=number + 1, column=1, encoding="utf-16", guess="utf-8"
                ) from error

    def _refuse_long(self, line: bytes, number: int, limit: int) -> None:
        """Name the column in which a line without end runs over."""
        cells = line.split(self.delimiter.encode())
        widest = max(range(len(cells)), key=lambda i: len(cells[i]))
        raise CellTooLarge(source=self.name, row=number, column=widest + 1, limit=limit)

    def _refuse_controls(self, text: str, number: int) -> None:
        """A NUL anywhere, or in the first line any control character but blanks, is not text."""
        at = (
            text.find("\0") if number > 1 else next((i for i, c in enumerate(text) if c < " " and c not in _BLANKS), -1)
        )
        if at >= 0:
            what = "NUL" if text[at] == "\0" else "control"
            raise NotText(source=self.name, row=number, column=text.count(self.delimiter, 0, at) + 1, what=what)

    def _decoded(self, line: bytes, number: int) -> str:
        encoding = self._reading.encoding
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            if _cut(error) and not line.endswith(b"\n"):
                raise FileTruncated(source=self.name, row=number, reason=_HALF_LETTER) from error
            column = line[: error.start].count(self.delimiter.encode()) + 1
            raise EncodingWrong(
                source=self.name, row=number, column=column, encoding=encoding, guess=likely_encoding(line)
            ) from error
        self._refuse_controls(text, number)
        if not line.isascii() and not encoding.casefold().startswith("utf"):
            # Any byte is a letter in windows-1251; bytes that are good UTF-8 with letters in it are almost never anything else.
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return text
            first = next(i for i, b in enumerate(line) if b > 127)
            column = line[:first].count(self.delimiter.encode()) + 1
            raise EncodingWrong(source=self.name, row=number, column=column, encoding=encoding, guess="utf-8")
        return text


def _cut(error: UnicodeError) -> bool:
    """Whether the bytes are good as far as they go and stop inside a letter."""
    return isinstance(error, UnicodeDecodeError) and error.reason in ("unexpected end of data", "truncated data")
