"""Cells that a spreadsheet would run, and how a text is written so that none does. Pure.

A cell that begins with `=`, `+`, `-`, `@` (or their wide forms, a tab or a line end) is a formula to Excel and its kin (OWASP, "CSV injection").
It is written with an apostrophe before it, and reading takes exactly one off again. Signed numbers, telephone numbers and dashes run nothing and
may stay as they are, where what is written is data and not labels. XLSX needs none of this: `xlsx` writes text cells.
"""

from __future__ import annotations

import re
from typing import Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_DANGEROUS: Final = re.compile(r"(?s)'*[=+\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20].*")
# a sign and a number, a telephone number, dashes; after a sign and a blank, words that call and refer to nothing
_HARMLESS: Final = re.compile(
    r"[-+](?:\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?|[\d ()-]{5,20}|[-–—]*|\s[^|!()=\[\]\"'&]*)\Z", re.ASCII
)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula and it is no plain number or telephone number."""
    return text[:1] in FORMULA_STARTS and _HARMLESS.match(text) is None


def neutralised(text: str, *, numbers: bool = True) -> str:
    """`text` as a CSV cell that no spreadsheet runs. `numbers`: signed numbers and their like too, so that they stay texts."""
    if not text or _DANGEROUS.fullmatch(text) is None:
        return text
    return text if not numbers and _HARMLESS.match(text) else "'" + text


def as_meant(cell: str) -> str:
    """The text that `neutralised` wrote, either way."""
    return cell[1:] if cell.startswith("'") and _DANGEROUS.fullmatch(cell) else cell
