"""Codes of things (documents, schools, organisations) in one form: capitals, no separators, look-alike letters of one script."""

from __future__ import annotations

from typing import Final, Literal

from kerege.semantics.normalise.folding import LOWER, UPPER, WHITESPACE

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
_SCRIPT: Final[dict[Alphabet, dict[int, int]]] = {
    "digits": {},
    "latin": str.maketrans(CYRILLIC, LATIN),
    "cyrillic": str.maketrans(LATIN, CYRILLIC),
}
# capitals, then no separators, then one script, in one table: three passes over a text cost three times as much
_TABLE: Final[dict[Alphabet, dict[int, int | None]]] = {
    name: {
        **script,
        **{ord(small): script.get(ord(large), ord(large)) for small, large in zip(LOWER, UPPER, strict=True)},
        **{ord(c): None for c in SEPARATORS},
    }
    for name, script in _SCRIPT.items()
}
_ALLOWED: Final[dict[Alphabet, frozenset[str]]] = {name: frozenset(letters) for name, letters in LETTERS.items()}


def normal(text: str, alphabet: Alphabet, length: int | None = None) -> str | None:
    """The code in its one form, or None when a character or the length is not the agreed one."""
    code = text.translate(_TABLE[alphabet])
    if not code or not _ALLOWED[alphabet].issuperset(code):
        return None
    return code if length is None or len(code) == length else None
