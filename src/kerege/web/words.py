"""The interface's wording: every line of the hub's screens in Kyrgyz, Russian and English, told by a key.

The lines stand in `wording/*.yaml`, three languages side by side, so that a translator reviews one file and a missing language
cannot be overlooked (`ground.text.Text` refuses it). What comes from the data (names of registers, concepts, reasons) brings its
own `Text` from its own room and the country pack; only the frame around it is worded here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from django.utils import translation

from kerege.ground.text import LANGUAGES, Language, Text

_FOLDER: Final = Path(__file__).parent / "wording"


def language() -> Language:
    """The language of the page being made; Kyrgyz where none was chosen."""
    active = (translation.get_language() or "ky").split("-")[0]
    return active if active in LANGUAGES else "ky"


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Text]:
    """Every key with its wording. A key that stands in two files is a mistake and is refused."""
    lines: dict[str, Text] = {}
    for file in sorted(_FOLDER.glob("*.yaml")):
        for key, raw in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader).items():
            if key in lines:
                raise ValueError(f"{file.name}: the key {key} is worded twice")
            lines[key] = Text.of(raw)
    return lines


def word(key: str, **values: object) -> str:
    """The line `key` in the page's language, its `{places}` filled; an unknown key is a programming error."""
    line = catalogue()[key].in_(language())
    return line.format(**values) if values else line


def counted(key: str, count: int) -> str:
    """The line `key` in the form that goes with `count`; the forms stand in one line, parted by "|".

    Russian has three (1 поле, 2 поля, 5 полей), English two, Kyrgyz one. A line with fewer forms serves with its last.
    """
    forms = word(key).split("|")
    if language() == "ru":
        tens, ones = count % 100 // 10, count % 10
        place = 2 if tens == 1 or ones == 0 or ones > 4 else 0 if ones == 1 else 1
    else:
        place = 0 if count == 1 else 1
    return forms[min(place, len(forms) - 1)]


def has(key: str) -> bool:
    """Whether a line `key` exists."""
    return key in catalogue()


def term(group: str, value: object, fallback: str | None = None) -> str:
    """The wording of a coded value (`outcome.admitted`); the code itself, made readable, where nobody worded it."""
    key = f"{group}.{value}"
    if key in catalogue():
        return word(key)
    if fallback is not None:
        return fallback
    return str(value).replace("_", " ")


def say(value: Any) -> str:
    """A text of the data in the page's language: a `Text`, a mapping with ky/ru/en, or a plain string as it is."""
    if value is None:
        return ""
    if isinstance(value, Text):
        return value.in_(language())
    if isinstance(value, dict):
        if set(value) >= set(LANGUAGES):
            return str(value[language()])
        return str(next(iter(value.values()), ""))
    return str(value)
