"""INN (ИНН), the taxpayer's number: 14 digits. Of a natural person it is the PIN.

Of legal entities only the length is checked: the descriptions of their inner structure (registration date, type, district, serial) that could be
found contradict each other and none is official, so nothing inside is read and no check digit is claimed (to be confirmed with the tax service).

>>> is_valid("0230 2201 5100 17"), is_valid("230220151001")
(True, False)
>>> validate("02302201510017"), is_person("02302201510017"), is_person("20101201500001")
('02302201510017', False, True)
"""

from __future__ import annotations

from typing import Final

from stdnum.exceptions import InvalidFormat, InvalidLength, ValidationError

from kerege.ground.text import counted
from kerege.semantics.identifiers.kg import pin

LENGTH: Final = 14
_DIGITS: Final = frozenset("0123456789")


def compact(number: str) -> str:
    """`number` without blanks, hyphens and dots."""
    return pin.compact(number)


def validate(number: str) -> str:
    """The compact number. Raises InvalidLength or InvalidFormat."""
    digits = compact(number)
    if not _DIGITS.issuperset(digits):
        raise InvalidFormat("it has other characters than digits")
    if len(digits) != LENGTH:
        raise InvalidLength(f"it has {counted(len(digits), 'character')}")
    return digits


def is_valid(number: str) -> bool:
    """Whether `number` has 14 digits."""
    try:
        return bool(validate(number))
    except ValidationError:
        return False


def is_person(number: str) -> bool:
    """Whether a valid number is built as a person's PIN; such a number is personal data."""
    return pin.is_valid(validate(number))


def format(number: str) -> str:
    """The number as it is printed: its digits only."""
    return validate(number)
