"""OKPO, the code of an enterprise or organisation: 8 digits (10 for sole entrepreneurs), the last a check digit.

The check digit is the one of the classifier's rule (as in Russia's OKPO): the sum of digits times their positions 1, 2, ..., modulo 11; when
that is 10, once more with weights beginning at 3; when it is 10 again, the check digit is 0. Weights run on past 10 from 1.
"""

from __future__ import annotations

from typing import Final

from kerege.semantics.errors import OkpoInvalid
from kerege.semantics.kg.pin import compact as _compact

LENGTHS: Final = (8, 10)
_DIGITS: Final = frozenset("0123456789")


def compact(number: str) -> str:
    """`number` without blanks, hyphens and dots."""
    return _compact(number)


def check_digit(body: str) -> str:
    """The check digit of the 7 or 9 digits before it."""
    for first in (1, 3):
        total = sum(int(digit) * ((first - 1 + place) % 10 + 1) for place, digit in enumerate(body))
        if total % 11 < 10:
            return str(total % 11)
    return "0"


def validate(number: str) -> str:
    """The compact code; OkpoInvalid says what is wrong."""
    digits = compact(number)
    if len(digits) not in LENGTHS or not _DIGITS.issuperset(digits):
        raise OkpoInvalid(reason="it is not 8 or 10 digits")
    if check_digit(digits[:-1]) != digits[-1]:
        raise OkpoInvalid(reason="its check digit does not fit")
    return digits


def is_valid(number: str) -> bool:
    """Whether `number` is a code with its check digit right."""
    try:
        validate(number)
    except OkpoInvalid:
        return False
    return True


def format(number: str) -> str:
    """The code as it is printed: its digits only."""
    return validate(number)
