"""Codes of things (documents, schools, organisations) in one form: capitals, no separators, look-alike letters of one script."""

from __future__ import annotations

from typing import Final, Literal

from kerege.semantics.folding import WHITESPACE, upper

Alphabet = Literal["digits", "latin", "cyrillic"]
# Letters that look alike, in capitals: what is typed for what.
LATIN: Final = "ABCEHKMOPTXY"
CYRILLIC: Final = "АВСЕНКМОРТХУ"
SEPARATORS: Final = WHITESPACE + "-‐‑‒–—−_./\\№#"
DIGITS: Final = "0123456789"
LETTERS: Final[dict[Alphabet, str]] = {
    "digits": DIGITS,
    "latin": DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "cyrillic": DIGITS + "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯҢӨҮ",
}
_DROP: Final = str.maketrans("", "", SEPARATORS)
_SCRIPT: Final[dict[Alphabet, dict[int, int]]] = {
    "digits": {},
    "latin": str.maketrans(CYRILLIC, LATIN),
    "cyrillic": str.maketrans(LATIN, CYRILLIC),
}
_ALLOWED: Final[dict[Alphabet, frozenset[str]]] = {name: frozenset(letters) for name, letters in LETTERS.items()}


def normal(text: str, alphabet: Alphabet, length: int | None = None) -> str | None:
    """The code in its one form, or None when a character or the length is not the agreed one."""
    code = upper(text).translate(_DROP).translate(_SCRIPT[alphabet])
    if not code or not _ALLOWED[alphabet].issuperset(code):
        return None
    return code if length is None or len(code) == length else None
