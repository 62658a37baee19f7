"""OKPO (ОКПО), the code of an enterprise or organisation: 8 digits, 10 for sole entrepreneurs, the last a check digit.

The check digit follows the method published for the classifiers of this family (Rosstandart, rules PR 50.1.024, annex "method of computing
the check number"): digits times the weights 1, 2, ..., 10 (then again from 1), the sum modulo 11; when that is 10, once more with weights shifted
by two (3, 4, ...); when it is 10 again, 0. That the Kyrgyz OKPO keeps this method is to be confirmed by the National Statistical Committee.

>>> validate("0003 2537")
'00032537'
"""

from __future__ import annotations

from typing import Final

from stdnum.exceptions import InvalidChecksum, InvalidFormat, InvalidLength, ValidationError

from kerege.semantics.identifiers.kg import pin

LENGTHS: Final = (8, 10)
_DIGITS: Final = frozenset("0123456789")


def compact(number: str) -> str:
    """`number` without blanks, hyphens and dots."""
    return pin.compact(number)


def calc_check_digit(body: str) -> str:
    """The check digit of the 7 or 9 digits before it."""
    for first in (1, 3):
        total = sum(int(digit) * ((first - 1 + place) % 10 + 1) for place, digit in enumerate(body))
        if total % 11 < 10:
            return str(total % 11)
    return "0"


def validate(number: str) -> str:
    """The compact code. Raises InvalidFormat, InvalidLength or InvalidChecksum."""
    digits = compact(number)
    if not _DIGITS.issuperset(digits):
        raise InvalidFormat("it is not 8 or 10 digits")
    if len(digits) not in LENGTHS:
        raise InvalidLength("it is not 8 or 10 digits")
    if calc_check_digit(digits[:-1]) != digits[-1]:
        raise InvalidChecksum("its check digit does not fit")
    return digits


def is_valid(number: str) -> bool:
    """Whether `number` is a code with its check digit right."""
    try:
        return bool(validate(number))
    except ValidationError:
        return False


def format(number: str) -> str:
    """The code as it is printed: its digits only."""
    return validate(number)
