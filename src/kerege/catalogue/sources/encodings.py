"""Which encoding bytes are likely in that are not UTF-8: the one whose letters are as frequent as they are in Russian and Kyrgyz.

The same bytes are small letters in one encoding and capitals in another (windows-1251 and KOI8-R), so case alone decides nothing: a word in capitals
is told by how often its letters are met, whatever their case. Only the 33 letters that all three encodings have are looked at.
"""

from __future__ import annotations

import math
from typing import Final

_ENCODINGS: Final = ("cp1251", "cp866", "koi8-r")
# per thousand letters, counted over the interface's 80,647 Cyrillic letters in Kyrgyz and Russian; а to я, then ё
_COUNTED: Final = (
    109, 23, 24, 18, 39, 84, 14, 20, 63, 12, 52, 47, 27, 74, 73, 21, 55, 40, 70, 30, 1, 3, 4, 17, 11, 1, 0, 36, 6, 9, 3, 13, 3,
)  # fmt: skip
_ORDER: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_WEIGHT: Final = {letter: math.log((n + 1) / 1000) for letter, n in zip(_ORDER, _COUNTED, strict=True)}
_SIGN: Final = math.log(0.005)  # what stands between letters in such files
_SIGNS: Final = "№«»–—“”…\N{NO-BREAK SPACE}"
_ODD: Final = math.log(0.0002)  # any other character, and a byte that is none
_CASE: Final = math.log(0.05)  # a capital after a small letter
_BEGINS: Final = math.log(0.02)  # a word that begins with a letter that hardly any word begins with
_NEVER_FIRST: Final = "ьъ"
_PRIOR: Final = {
    "cp1251": math.log(0.6),
    "cp866": math.log(0.2),
    "koi8-r": math.log(0.2),
}  # of files of today's registers
_CLOSE: Final = 3.0  # in natural units, about 20 to 1


def likely_encoding(line: bytes) -> str:
    """A likely encoding of bytes that are not UTF-8, as it is written after `--encoding`; two of them when they are nearly as likely."""
    if b"\x00" in line:
        return "utf-16"
    told = sorted(((_likelihood(line, name), -n) for n, name in enumerate(_ENCODINGS)), reverse=True)
    (best, first), (next_best, second) = told[:2]
    if best == -math.inf:
        return "latin-1"
    if next_best > -math.inf and best - next_best < _CLOSE:
        return f"{_ENCODINGS[-first]} or --encoding {_ENCODINGS[-second]}"
    return _ENCODINGS[-first]


def _likelihood(line: bytes, encoding: str) -> float:
    """Log of how likely the line's characters beyond ASCII are; minus infinity where there is no letter, or letters stand inside Latin words."""
    text = line.decode(encoding, errors="replace")
    folded, total, letters = text.lower(), 0.0, 0
    for i, c in enumerate(folded):
        if c < "\x80":
            continue
        weight = _WEIGHT.get(c)
        if weight is None:
            total += _SIGN if c in _SIGNS else _ODD
            continue
        before, after = folded[i - 1 : i] if i else "", folded[i + 1 : i + 2]
        if (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha()):
            total += _ODD
            continue
        letters += 1
        total += weight
        if c in _NEVER_FIRST and not before.isalpha():
            total += _BEGINS
        if i and text[i].isupper() and text[i - 1].islower():
            total += _CASE
    return total + _PRIOR[encoding] if letters else -math.inf
