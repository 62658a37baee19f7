"""PIN, the personal identification number, with Kerege's errors; the rules are `semantics.identifiers.kg.pin` (layout, no check digit claimed)."""

from __future__ import annotations

from datetime import date

from stdnum.exceptions import ValidationError

from kerege.semantics.errors import PinInvalid
from kerege.semantics.identifiers.kg.pin import LENGTH as LENGTH
from kerege.semantics.identifiers.kg.pin import SEPARATORS as SEPARATORS
from kerege.semantics.identifiers.kg.pin import compact as compact
from kerege.semantics.identifiers.kg.pin import get_birth_date, get_gender
from kerege.semantics.identifiers.kg.pin import is_valid as is_valid
from kerege.semantics.identifiers.kg.pin import validate as _validate

_SEX = {"M": "1", "F": "2"}  # -> ISO 5218


def validate(number: str) -> str:
    """The compact number; PinInvalid says what is wrong, without the number."""
    try:
        return _validate(number)
    except ValidationError as error:
        raise PinInvalid(reason=str(error)) from error


def birth_date(number: str) -> date:
    """The birth date inside a valid number."""
    return get_birth_date(validate(number))


def sex(number: str) -> str:
    """The sex inside a valid number, in ISO 5218: `1` male, `2` female."""
    return _SEX[get_gender(validate(number))]


def format(number: str) -> str:
    """The number in the groups people read: sex, date, serial."""
    digits = validate(number)
    return f"{digits[0]} {digits[1:9]} {digits[9:]}"
