"""What every source offers, and how much of it may be read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from kerege.catalogue.errors import HeaderIsData, HeaderMerged, HeaderTooWide, HeaderTwice, SourceMissing
from kerege.catalogue.inventory.masks import identifier_of, personal
from kerege.catalogue.inventory.profile import Cell, ColumnHead, TableProfile
from kerege.catalogue.sources.cost import Cost
from kerege.ground.text import counted

if TYPE_CHECKING:
    from kerege.catalogue.sources.traffic import Use


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one reading may cost, here and at the register.

    rows      most rows read per table; a larger file is cut (and said to be), a larger table of a database is sampled
    sample    rows taken of such a table, when that is less
    cell      most characters of one cell
    seconds   longest one query or connection attempt may take
    """

    rows: int = 200_000
    cell: int = 1_000_000
    seconds: int = 30
    sample: int = 50_000

    @property
    def taken(self) -> int:
        """Rows to take of a table that is larger than `rows`."""
        return min(self.rows, self.sample)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a source: what the person who runs the command may say about it."""

    limits: Limits = field(default_factory=Limits)
    encoding: str = "utf-8"
    delimiter: str = ""
    header_row: int = 0  # 1-based; 0: the first row that is not blank
    tables: tuple[str, ...] = ()
    counted: bool = (
        False  # a CSV file must end with its sender's own count (`#ROWS;<n>`); one without it is half a file
    )
    k: int = 5  # of an exchange node: a field that fewer answers have is not named
    since: str = ""  # of an exchange node: calls up to this moment were counted before
    until: str = ""  # of an exchange node: calls after this moment are for the next reading


@dataclass(frozen=True, slots=True)
class Table:
    """One table, its columns, and a way to stream its rows (each call starts anew).

    numbered    (number people see beside the row in a file or sheet, cells); in a database the order of reading
    total_rows  None when only reading tells
    sampled     rows are a sample, not all
    """

    name: str
    heads: tuple[ColumnHead, ...]
    numbered: Callable[[], Iterator[tuple[int, Sequence[Cell]]]]
    total_rows: int | None = None
    sampled: bool = False
    key: tuple[str, ...] = ()
    description: str = ""
    key_kept: bool = False  # the register itself keeps the key
    described: TableProfile | None = None  # what a description says of it, where there are no rows to read

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(h.name for h in self.heads)

    def rows(self) -> Iterator[Sequence[Cell]]:
        """The cells alone."""
        return (cells for _, cells in self.numbered())


class Source(Protocol):
    """A register or file that can be read."""

    name: str  # what messages and the catalogue call it; never holds a password
    kind: str  # csv, sheet, sqlite, postgresql
    cut: set[str]  # tables of which reading stopped at `Limits.rows`, known after reading
    remarks: dict[
        str, str
    ]  # table -> what people should know of it though nothing is wrong for sure, known after reading
    cost: Cost  # what was asked of it so far; complete after `close`

    def tables(self) -> list[Table]:
        """Every table, or those `Reading.tables` names."""

    def fingerprint(self) -> str:
        """A digest that changes when the file's bytes change; "" where only the profile can tell (databases)."""

    def close(self) -> None:
        """Let go of whatever is open; nothing is read after it."""


@runtime_checkable
class Traffic(Protocol):
    """A source that also knows who used what."""

    def usage(self) -> tuple[Use, ...]:
        """What was called, by whom, with which fields."""


_CHUNK: Final = 1 << 20
_MOST_COLUMNS: Final = 20_000  # a spreadsheet has 16,384
_LONGEST_NAME: Final = 200  # as the catalogue stores names


def file_digest(path: Path) -> str:
    """SHA-256 of the file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def short_name(name: str) -> str:
    """`name`, or as much as the catalogue takes and something that tells it from others that begin alike."""
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 10]}…{hashlib.sha256(name.encode()).hexdigest()[:8]}"


_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")
_LITERALS: Final = re.compile(r"'(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*")
_LONGEST_TYPE: Final = 200
_LONGEST_COMMENT: Final = 500


def told_type(declared: str) -> str:
    """A column's declared type without the values that may stand in it: `ENUM('Asanov', 'Bekova')` is `ENUM(2 values)`."""
    bare = _LITERALS.sub(lambda found: counted(len(_LITERAL.findall(found[0])), "value"), declared)
    return bare if len(bare) <= _LONGEST_TYPE else bare[: _LONGEST_TYPE - 1] + "…"


def told_comment(comment: object) -> str:
    """What a register says of a table or column: its first lines, on one."""
    return " ".join(str(comment or "")[: 4 * _LONGEST_COMMENT].split())[:_LONGEST_COMMENT]


def check_header(source: str, row: int, cells: Sequence[str]) -> tuple[ColumnHead, ...]:
    """Column heads from a header row; every column needs a name of its own.

    A personal number, telephone number or address of e-mail is no name of a column: the file has no header, and its first record must not
    become one.
    """
    if len(cells) > _MOST_COLUMNS:
        raise HeaderTooWide(source=source, row=row, columns=len(cells), limit=_MOST_COLUMNS)
    names = [short_name(c.strip()) for c in cells]
    known: set[str] = set()
    for i, name in enumerate(names):
        if not name:
            raise HeaderMerged(source=source, row=row, column=i + 1)
        if personal(name):
            what = f"what looks like a value ({identifier_of(name)})"
            raise HeaderIsData(source=source, row=row, column=i + 1, what=what)
        if name in known:
            raise HeaderTwice(source=source, row=row, column=name)
        known.add(name)
    return tuple(ColumnHead(n) for n in names)


def pick(source: Source, table: str | None = None) -> Table:
    """The table called `table`, or the only one."""
    tables = source.tables()
    if table is None and len(tables) == 1:
        return tables[0]
    for candidate in tables:
        if candidate.name == table:
            return candidate
    known = "Tables: " + ", ".join(t.name for t in tables[:20]) + ". Name one as SOURCE#TABLE."
    raise SourceMissing(source=f"{source.name}#{table or '?'}", known=known)
