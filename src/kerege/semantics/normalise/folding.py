"""Closed letter tables: what upper, lower, blank and "the same letter" mean, in every engine alike.

Python, DuckDB and PostgreSQL each follow another Unicode version for case and white space, so Kerege's operators use these tables and no
engine's own functions; `engines.emit_duckdb` writes the very same tables into SQL `translate`. Two folds are made from them:

- `fold`: for wordings and codes. Lower case, ky and look-alike letters to their ru base (ө о, ү у, ң н, ё е), blanks collapsed. Stays Cyrillic.
- `latin_key`: for comparing words across scripts. A coarse Latin key in which Kyrgyz, Russian and usual transliterations fall together.

Sources: Kyrgyz alphabet (36 letters), BGN/PCGN Kyrgyz 1979, ICAO 9303 passport transliteration, and what the registers write.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Every character that counts as blank: ASCII blanks, no-break and typographic spaces, zero-width ones, the byte order mark.
WHITESPACE: Final = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f"
    "\u205f\u2060\u3000\ufeff"
)
_UPPER_PARTS: Final = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞ",
    "ĀĂĄĆĈĊČĎĒĖĘĚĜĞĠĢĪĮŁŃŅŇŌŐŒŔŘŚŜŞŠŢŤŪŬŮŰŲŴŶŹŻŽ",
    "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "ҢӨҮЄІЇЎҐҒҚҲҶӢӮӘҰҺҖӘЪ",
)
UPPER: Final = "".join(dict.fromkeys("".join(_UPPER_PARTS)))
LOWER: Final = "".join(c.lower() for c in UPPER)
assert len(UPPER) == len(LOWER), "every capital of the table has exactly one small letter"

_TO_LOWER: Final = str.maketrans(UPPER, LOWER)
_TO_UPPER: Final = str.maketrans(LOWER, UPPER)
_TO_SPACE: Final = str.maketrans(WHITESPACE, " " * len(WHITESPACE))

# For `fold`, after lower-casing: ky and neighbouring letters to their plain base, one dash, one apostrophe, one quote.
_BASE: Final = {
    **dict(zip("ёйңөүіїўғқҳҷӣӯәұһєґҗ", "еиноуииугкхчиуаухегж", strict=True)),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("’‘ʼʻ`´ʹ", "'"),
    **dict.fromkeys("«»“”„‟", '"'),
}
FOLD_FROM: Final = "".join(_BASE)
FOLD_TO: Final = "".join(_BASE.values())
# Dropped by `fold`: combining marks (so that a decomposed й or ё meets the composed one), soft hyphen, joiners, direction marks.
FOLD_DROP: Final = "".join(map(chr, range(0x300, 0x370))) + "\xad\u200c\u200d\u200e\u200f"
_FOLD: Final = str.maketrans(FOLD_FROM, FOLD_TO, FOLD_DROP)


def upper(text: str) -> str:
    """Capitals by the closed table; letters outside it stay as they are."""
    return text.translate(_TO_UPPER)


def lower(text: str) -> str:
    """Small letters by the closed table; letters outside it stay as they are."""
    return text.translate(_TO_LOWER)


def trim(text: str) -> str:
    """`text` without blanks at both ends."""
    return text.strip(WHITESPACE)


def collapse(text: str) -> str:
    """Every run of blanks becomes one space; none at the ends."""
    # str.split() knows fewer blanks than the table, so what is left after the translation is exactly the table's
    return " ".join(text.translate(_TO_SPACE).split())


def fold(text: str) -> str:
    """The comparison form of a wording or code: small letters, base letters, plain dashes and quotes, single spaces."""
    return collapse(text.translate(_TO_LOWER).translate(_FOLD))


def title(text: str) -> str:
    """`text` as a proper name is written: each word's first letter a capital, also after a hyphen; the rest small."""
    out: list[str] = []
    start = True
    for char in lower(text):
        out.append(char.translate(_TO_UPPER) if start else char)
        start = char in ' -("'
    return "".join(out)


# Cyrillic to Latin, one letter at a time, before the digraphs of `_LATIN` are folded.
_CYRILLIC: Final = str.maketrans(
    {
        **dict(zip("абвгдежзийклмнопрстуфхыэ", "abvgdejziiklmnoprstufhie", strict=True)),
        **{"ё": "e", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sh", "ъ": "", "ь": "", "ю": "iu", "я": "ia"},
        **dict(zip("ңөүіїўғқҳҷӣӯәұһєґҗ", "nouiiugkhjiuauhegj", strict=True)),
        **{"ş": "sh", "š": "sh", "ś": "sh", "ç": "ch", "č": "ch", "ž": "j", "ź": "j", "ğ": "g", "ı": "i", "ñ": "n"},
        **{"æ": "a", "ø": "o", "œ": "o", "ł": "l", "đ": "d", "ß": "ss"},
    }
)
# Latin letters that look like Cyrillic ones, and are typed for them inside Cyrillic words.
_AS_CYRILLIC: Final = str.maketrans("aceopxykmhbt", "асеорхукмнвт")
_AS_LATIN: Final = str.maketrans("асеорхукмнвт", "aceopxykmhbt")
_LATIN: Final = {
    **{
        "shch": "sh",
        "sch": "sh",
        "dzh": "j",
        "zh": "j",
        "dj": "j",
        "kh": "h",
        "gh": "g",
        "ngg": "n",
        "ng": "n",
        "tch": "ch",
    },
    **{"sh": "sh", "ch": "ch", "ck": "k", "c": "k", "q": "k", "w": "v", "x": "ks", "y": "i"},
}
_DIGRAPHS: Final = re.compile("|".join(sorted(_LATIN, key=len, reverse=True)))
_IOTATED: Final = re.compile("i+[eo]")  # ye, ie, yo, io: written as plain e as often as not
_DOUBLED: Final = re.compile(r"(.)\1+")
_NO_LETTER: Final = re.compile("[^a-z0-9]+")
_IN_CYRILLIC: Final = re.compile("[\u0400-\u04ff]")
_IN_LATIN: Final = re.compile("[a-z]")


def _one_script(word: str) -> str:
    """`word` with look-alike letters of the other script put right, by which script has more letters."""
    cyrillic, latin = len(_IN_CYRILLIC.findall(word)), len(_IN_LATIN.findall(word))
    if not cyrillic or not latin:
        return word
    return word.translate(_AS_CYRILLIC if cyrillic >= latin else _AS_LATIN)


@lru_cache(maxsize=65536)
def latin_key(text: str) -> str:
    """A coarse Latin key of one or more words: "Жумабек", "ДЖУМАБЕК", "Zhumabek", "Jumabek" are all `jumabek`.

    Letters and digits only: hyphens, apostrophes and spaces inside a name fall away. Doubled letters become one.
    """
    return _DOUBLED.sub(r"\1", spelled_key(text))


@lru_cache(maxsize=65536)
def spelled_key(text: str) -> str:
    """`latin_key` before doubled letters become one, for those who look at word endings first."""
    small = lower(text)
    if _IN_CYRILLIC.search(small) and _IN_LATIN.search(small):
        small = " ".join(map(_one_script, small.split()))
    latin = unicodedata.normalize("NFKD", small.translate(_CYRILLIC)).lower()
    latin = _NO_LETTER.sub("", latin.translate(_CYRILLIC))
    return _IOTATED.sub("e", _DIGRAPHS.sub(lambda found: _LATIN[found.group()], latin))
