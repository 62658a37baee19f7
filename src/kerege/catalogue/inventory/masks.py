"""What values look like, without the values: masks, likely types, likely identifiers, likely personal data.

A mask keeps punctuation and the number of digits and forgets the rest: "14.03.2019" is `99.99.9999`, "Асанов" is `Аа`, "ЧУЙСКАЯ ОБЛ." is
`АА АА.`; Cyrillic and Latin stay apart (`Аа` and `Aa`), because a register that mixes them has a problem worth seeing. Everything here
is a likelihood shown to a steward, never a decision. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final

import phonenumbers

PERSONAL: Final = ("pin", "phone", "email")  # identifiers that name a person
_LONGEST_MASK: Final = 40
_LONGEST_ASKED: Final = 320  # what is longer is no number, day or address, and no cache keeps it

DATE_FORMATS: Final[Mapping[str, str]] = {
    "9999-99-99": "%Y-%m-%d",
    "99.99.9999": "%d.%m.%Y",
    "99/99/9999": "%d/%m/%Y",
    "9999/99/99": "%Y/%m/%d",
    "99-99-9999": "%d-%m-%Y",
    "99.99.99": "%d.%m.%y",
    "99999999": "%Y%m%d",
}
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+$")
_INTEGER: Final = re.compile(r"[+-]?\d+$")
_DECIMAL: Final = re.compile(r"[+-]?\d+[.,]\d+$")
_PHONE: Final = re.compile(r"\+?[\d\s()-]{9,20}$")

# Words in column names that stand for facts about a person, in the four ways our registers write them.
_PERSONAL_WORDS: Final = frozenset(
    [
        *("pin", "inn", "пин", "инн", "matpin", "otpin", "passport", "паспорт", "snils"),
        *("surname", "lastname", "firstname", "middlename", "patronymic", "fullname", "fio", "matfio", "otfio"),
        *("fam", "imya", "otch", "фио", "фамилия", "имя", "отчество", "аты", "жөнү", "атасынын"),
        *("birth", "born", "dob", "datarozhd", "rozhd", "рождения", "туулган"),
        *("phone", "telephone", "telefon", "tel", "телефон", "mobile", "email", "mail", "почта"),
        *("address", "адрес", "дарек", "street", "house", "flat", "квартира"),
        *("mother", "father", "parent", "guardian", "мать", "отец", "эне", "ата"),
    ]
)
_PERSONAL_PAIRS: Final = (("last", "name"), ("first", "name"), ("middle", "name"), ("full", "name"), ("data", "r"))


class _Classes(dict[int, str]):
    """Character -> its class, found out once each: `9`, Cyrillic `А` `а`, Latin `A` `a`, other scripts `Ω` `ω`, a blank; others as they are."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isalpha():
            cyrillic = "\u0400" <= char <= "\u052f"
            latin = char.isascii() or "\u00c0" <= char <= "\u024f"
            kind = ("А", "а") if cyrillic else ("A", "a") if latin else ("Ω", "ω")
            found = kind[0] if char.isupper() else kind[1]
        elif char.isalnum():  # digits, fractions, Roman numerals and their like
            found = "9"
        elif char.isspace():
            found = " "
        else:  # punctuation and symbols as they are; what belongs to a letter, or cannot be seen, tells a value or moves a terminal
            found = char if unicodedata.category(char)[0] in "PS" else ""
        self[code] = found
        return found


_CLASSES: Final = _Classes()
_WORD: Final = re.compile(r"[АаAaΩω]+| {2,}")


def mask(value: str) -> str:
    """The shape of `value`: digits as `9` each, a word as `А`, `а`, `Аа`, `АА` (Latin likewise), punctuation as it is."""
    return _shape(value[:400].translate(_CLASSES))


@lru_cache(maxsize=65536)
def _shape(classes: str) -> str:
    """The mask of all values of these characters' classes, of which there are far fewer than values."""
    shape = _WORD.sub(lambda found: _word_mask(found[0]), classes)
    return shape if len(shape) <= _LONGEST_MASK else shape[:_LONGEST_MASK] + "…"


def _word_mask(word: str) -> str:
    if word[0] == " ":
        return " "
    cyrillic, latin = "А" in word or "а" in word, "A" in word or "a" in word
    if cyrillic and latin:
        return "Аa"  # both scripts in one word: a typing error nobody sees on a screen
    upper, lower = ("А", "а") if cyrillic else ("A", "a")
    if word.isupper():
        return upper if len(word) == 1 else upper * 2
    if word[0].isupper():
        return upper + lower
    return lower


def type_of(value: str) -> str:
    """`integer`, `decimal`, `date`, `moment` or `text`. Digits with a leading zero are codes, so text."""
    return _type_of(value) if len(value) <= _LONGEST_ASKED else "text"


@lru_cache(maxsize=65536)
def _type_of(value: str) -> str:
    if "9" not in mask(value):
        return "text"
    if _INTEGER.match(value):
        digits = value.lstrip("+-")
        return "text" if (len(digits) > 1 and digits[0] == "0") or len(digits) > 15 else "integer"
    if _DECIMAL.match(value):
        return "decimal"
    if date_format(value):
        return "date"
    return "moment" if _MOMENT.match(value) else "text"


def date_format(value: str) -> str | None:
    """The `strptime` format `value` is written in, when it is a day that exists between 1850 and 2150."""
    if not 8 <= len(value) <= 10:
        return None
    fmt = DATE_FORMATS.get(mask(value))
    if fmt is None:
        return None
    try:
        day: date = datetime.strptime(value, fmt).date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return None
    return fmt if 1850 <= day.year <= 2150 else None


def identifier_of(value: str) -> str:
    """`pin`, `soate`, `phone`, `email` or "": what one value could be."""
    return _identifier_of(value) if len(value) <= _LONGEST_ASKED else ""


def personal(value: str) -> bool:
    """Whether one value alone names a person: a PIN, a telephone number, an address of e-mail."""
    return identifier_of(value) in PERSONAL


@lru_cache(maxsize=65536)
def _identifier_of(value: str) -> str:
    if len(value) == 14 and value.isdecimal():
        if value.startswith("417") and value.endswith("0"):
            return "soate"
        if value[0] in "12" and _day_exists(value[1:9]):
            return "pin"
        return "soate" if value.startswith("417") else ""
    if _EMAIL.match(value):
        return "email"
    if _PHONE.match(value) and sum(c.isdecimal() for c in value) in range(9, 14) and not date_format(value):
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(value, "KG")):
                return "phone"
        except phonenumbers.NumberParseException:
            return ""
    return ""


_IN_TEXT: Final = (re.compile(r"[^\s@<>(),;]+@[^\s@<>(),;]+\.\w+"), re.compile(r"\+?\d(?:[\s()-]{0,2}\d){8,14}"))


def person_in(text: str) -> str:
    """`pin`, `phone` or `email` where a sentence has one in it; "" where it has none. A code of a place is none."""
    for shape in _IN_TEXT:
        for found in shape.finditer(text):
            value = found[0]
            digits = "".join(c for c in value if c.isdecimal())
            for said in (value, digits) if "@" not in value else (value.rstrip("."),):
                if (kind := identifier_of(said)) in PERSONAL:
                    return kind
    return ""


def _day_exists(ddmmyyyy: str) -> bool:
    try:
        day = datetime.strptime(ddmmyyyy, "%d%m%Y").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return False
    return day.year >= 1880


def name_suggests_person(column: str) -> bool:
    """Whether the column's name speaks of a person."""
    spaced = re.sub(r"(?<=[a-zа-я])(?=[A-ZА-Я])", " ", column)
    words = [w for w in re.split(r"[\W_]+", spaced.casefold()) if w]
    if column.casefold() in _PERSONAL_WORDS or any(w in _PERSONAL_WORDS for w in words):
        return True
    return any(pair == (a, b) for a, b in pairwise(words) for pair in _PERSONAL_PAIRS)
