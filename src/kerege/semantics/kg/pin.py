"""PIN, the personal identification number: 14 digits with the sex and the birth date inside.

Layout as Kerege reads it: digit 1 sex (2 male, 1 female), digits 2 to 9 the birth date DDMMYYYY, digits 10 to 14 a serial. No check digit
is claimed, because the rule could not be verified: a mistyped serial is not found here but by comparing registers.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from kerege.semantics.dates import parse
from kerege.semantics.errors import PinInvalid
from kerege.semantics.folding import WHITESPACE

LENGTH: Final = 14
SEPARATORS: Final = WHITESPACE + "-‐‑‒–—−."
_DROP: Final = str.maketrans("", "", SEPARATORS)
_SEX: Final = {"2": "1", "1": "2"}  # first digit -> ISO 5218
_DIGITS: Final = frozenset("0123456789")


def compact(number: str) -> str:
    """`number` without blanks, hyphens and dots."""
    return number.translate(_DROP)


def is_valid(number: str) -> bool:
    """Whether `number` has 14 digits, a sex digit and a date that exists."""
    digits = compact(number)
    if len(digits) != LENGTH or not _DIGITS.issuperset(digits) or digits[0] not in _SEX:
        return False
    return parse(digits[1:9], ("ddmmyyyy",)) is not None


def validate(number: str) -> str:
    """The compact number; PinInvalid says what is wrong, without the number."""
    digits = compact(number)
    if len(digits) != LENGTH:
        raise PinInvalid(reason=f"it has {len(digits)} characters")
    if not _DIGITS.issuperset(digits):
        raise PinInvalid(reason="it has other characters than digits")
    if digits[0] not in _SEX:
        raise PinInvalid(reason="its first digit is neither 1 nor 2")
    if parse(digits[1:9], ("ddmmyyyy",)) is None:
        raise PinInvalid(reason="its digits 2 to 9 are no date")
    return digits


def birth_date(number: str) -> date:
    """The birth date inside a valid number."""
    digits = validate(number)
    return date(int(digits[5:9]), int(digits[3:5]), int(digits[1:3]))


def sex(number: str) -> str:
    """The sex inside a valid number, in ISO 5218: `1` male, `2` female."""
    return _SEX[validate(number)[0]]


def format(number: str) -> str:
    """The number in the groups people read: sex, date, serial."""
    digits = validate(number)
    return f"{digits[0]} {digits[1:9]} {digits[9:]}"
