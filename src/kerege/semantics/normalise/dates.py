"""Dates as registers write them, to ISO 8601. A closed list of formats; nothing is guessed and no two-digit year is accepted.

A format names itself by how it is written. Which formats a field has is the mapping's to say; `parse` takes the first that reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from kerege.semantics.errors import DateInvalid
from kerege.semantics.normalise.folding import trim

# format -> (length or 0 when it varies, separator, where year, month and day stand)
FORMATS: Final[dict[str, str]] = {
    "yyyy-mm-dd": "ISO 8601 calendar date",
    "dd.mm.yyyy": "as written in Kyrgyzstan and Russia",
    "dd/mm/yyyy": "day first, with strokes",
    "dd-mm-yyyy": "day first, with hyphens",
    "yyyy.mm.dd": "year first, with dots",
    "d.m.yyyy": "as dd.mm.yyyy, one or two digits",
    "yyyymmdd": "ISO 8601 basic",
    "ddmmyyyy": "eight digits, day first",
    "timestamp": "ISO 8601 date and time; the date part as written, no time-zone arithmetic",
}
FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 2199
DEFAULT: Final = ("yyyy-mm-dd", "dd.mm.yyyy")
_DIGITS: Final = frozenset("0123456789")
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse(text: str, formats: Sequence[str] = DEFAULT) -> str | None:
    """The ISO date that `text` writes in the first of `formats` that reads it, or None."""
    cell = trim(text)
    for name in formats:
        found = _read(cell, name)
        if found is not None:
            return found
    return None


def require(text: str, formats: Sequence[str] = DEFAULT) -> date:
    """As `parse`, as a date; DateInvalid when no format reads it."""
    found = parse(text, formats)
    if found is None:
        raise DateInvalid(formats=", ".join(formats))
    return date.fromisoformat(found)


def _read(cell: str, name: str) -> str | None:
    size = len(cell)
    if name == "yyyy-mm-dd":
        return _iso(cell[:4], cell[5:7], cell[8:]) if size == 10 and cell[4] == cell[7] == "-" else None
    if name == "dd.mm.yyyy":
        return _iso(cell[6:], cell[3:5], cell[:2]) if size == 10 and cell[2] == cell[5] == "." else None
    if name == "dd/mm/yyyy":
        return _iso(cell[6:], cell[3:5], cell[:2]) if size == 10 and cell[2] == cell[5] == "/" else None
    if name == "dd-mm-yyyy":
        return _iso(cell[6:], cell[3:5], cell[:2]) if size == 10 and cell[2] == cell[5] == "-" else None
    if name == "yyyy.mm.dd":
        return _iso(cell[:4], cell[5:7], cell[8:]) if size == 10 and cell[4] == cell[7] == "." else None
    if name == "yyyymmdd":
        return _iso(cell[:4], cell[4:6], cell[6:]) if size == 8 else None
    if name == "ddmmyyyy":
        return _iso(cell[4:], cell[2:4], cell[:2]) if size == 8 else None
    if name == "d.m.yyyy":
        day, _, rest = cell.partition(".")
        month, _, year = rest.partition(".")
        return _iso(year, month.rjust(2, "0"), day.rjust(2, "0")) if day and month and size <= 10 else None
    if name == "timestamp":
        return (
            _iso(cell[:4], cell[5:7], cell[8:10])
            if size > 10 and cell[4] == cell[7] == "-" and cell[10] in "T "
            else None
        )
    raise ValueError(f"unknown date format {name!r}; known: {', '.join(FORMATS)}")


def _iso(year: str, month: str, day: str) -> str | None:
    """The three parts as an ISO date when they are ASCII digits and such a day exists."""
    if len(year) != 4 or len(month) != 2 or len(day) != 2 or not _DIGITS.issuperset(year + month + day):
        return None
    y, m, d = int(year), int(month), int(day)
    if not (FIRST_YEAR <= y <= LAST_YEAR and 1 <= m <= 12 and d >= 1):
        return None
    leap = m == 2 and (y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))
    return f"{year}-{month}-{day}" if d <= _DAYS[m - 1] + leap else None
