"""PIN (ЖИН, ПИН), the personal identification number: 14 digits with the sex and the birth date inside.

Layout: digit 1 sex (1 female, 2 male), digits 2 to 9 the birth date DDMMYYYY, digits 10 to 14 a serial. The rule of a check digit, if there is one,
could not be verified in a published source, so none is claimed: a mistyped serial is found only by comparing registers.

>>> validate("2 01012015 00001")
'20101201500001'
>>> get_gender("20101201500001"), get_birth_date("20101201500001").isoformat()
('M', '2015-01-01')
"""

from __future__ import annotations

from datetime import date
from typing import Final

from stdnum.exceptions import InvalidComponent, InvalidFormat, InvalidLength, ValidationError

from kerege.ground.text import counted
from kerege.semantics.normalise.dates import parse
from kerege.semantics.normalise.folding import WHITESPACE

LENGTH: Final = 14
SEPARATORS: Final = WHITESPACE + "-‐‑‒–—−."
_DROP: Final = str.maketrans("", "", SEPARATORS)
_GENDER: Final = {"1": "F", "2": "M"}
_DIGITS: Final = frozenset("0123456789")


def compact(number: str) -> str:
    """`number` without blanks, hyphens and dots."""
    return number.translate(_DROP)


def validate(number: str) -> str:
    """The compact number. Raises InvalidLength, InvalidFormat (other characters than digits) or InvalidComponent (sex digit, date)."""
    digits = compact(number)
    if len(digits) != LENGTH:
        raise InvalidLength(f"it has {counted(len(digits), 'character')}")
    if not _DIGITS.issuperset(digits):
        raise InvalidFormat("it has other characters than digits")
    if digits[0] not in _GENDER:
        raise InvalidComponent("its first digit is neither 1 nor 2")
    if parse(digits[1:9], ("ddmmyyyy",)) is None:
        raise InvalidComponent("its digits 2 to 9 are no date")
    return digits


def is_valid(number: str) -> bool:
    """Whether `number` has 14 digits, a sex digit and a date that exists."""
    try:
        return bool(validate(number))
    except ValidationError:
        return False


def get_birth_date(number: str) -> date:
    """The birth date inside a valid number."""
    digits = validate(number)
    return date(int(digits[5:9]), int(digits[3:5]), int(digits[1:3]))


def get_gender(number: str) -> str:
    """The sex inside a valid number: `M` or `F`."""
    return _GENDER[validate(number)[0]]


def format(number: str) -> str:
    """The number in the groups people read: sex, date, serial."""
    digits = validate(number)
    return f"{digits[0]} {digits[1:9]} {digits[9:]}"
