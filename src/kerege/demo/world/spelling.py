"""How one Kyrgyz word comes to be written in several ways: Russian letters, three habits of Latin letters.

The habits are the ones met in real documents: BGN/PCGN-like (ж = j, ң = ng, ө = ö), the passports' (ICAO 9303: ж = zh, ю = iu)
and "by ear" (ы = i, х = h, final й dropped). Nothing here reads back; that is the semantics engine's work.
"""

from __future__ import annotations

from typing import Final, Literal

Habit = Literal["passport", "bgn", "sloppy"]
HABITS: Final[tuple[Habit, ...]] = ("passport", "bgn", "sloppy")

_LOST: Final = str.maketrans("ңөүҢӨҮ", "ноуНОУ")

_COMMON: Final = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z", "и": "i", "й": "i", "к": "k",
    "л": "l", "м": "m", "н": "n", "ң": "n", "о": "o", "ө": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ү": "u",
    "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu",
    "я": "ia",
}  # fmt: skip
_TABLES: Final[dict[Habit, dict[str, str]]] = {
    "passport": _COMMON,
    "bgn": _COMMON | {"ё": "yo", "ж": "j", "й": "y", "ң": "ng", "ө": "ö", "ү": "ü", "ю": "yu", "я": "ya"},
    "sloppy": _COMMON | {"ж": "j", "й": "y", "х": "h", "щ": "sh", "ы": "i", "ю": "yu", "я": "ya"},
}


def lose_letters(text: str) -> str:
    """`text` on a Russian keyboard: ң ө ү become н о у."""
    return text.translate(_LOST)


def can_lose_letters(text: str) -> bool:
    return lose_letters(text) != text


def latin(text: str, habit: Habit) -> str:
    """`text` in Latin letters by `habit`; what is not Cyrillic stays as it is."""
    table = _TABLES[habit]
    out: list[str] = []
    for position, letter in enumerate(text):
        low = letter.lower()
        written = table.get(low)
        if written is None:
            out.append(letter)
            continue
        if habit == "sloppy" and low == "й" and position and text[position - 1].lower() in "иы":
            continue  # "-ский" by ear is "-ski"
        if letter != low:
            written = written.upper() if _all_capitals_around(text, position) else written.capitalize()
        out.append(written)
    return "".join(out)


def _all_capitals_around(text: str, position: int) -> bool:
    neighbours = [text[i] for i in (position - 1, position + 1) if 0 <= i < len(text) and text[i].isalpha()]
    return bool(neighbours) and all(n.isupper() for n in neighbours)
