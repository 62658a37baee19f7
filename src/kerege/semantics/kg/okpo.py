"""OKPO, the code of an enterprise or organisation, with Kerege's errors; the rules are `semantics.identifiers.kg.okpo`."""

from __future__ import annotations

from stdnum.exceptions import ValidationError

from kerege.semantics.errors import OkpoInvalid
from kerege.semantics.identifiers.kg.okpo import calc_check_digit as check_digit
from kerege.semantics.identifiers.kg.okpo import compact as compact
from kerege.semantics.identifiers.kg.okpo import is_valid as is_valid
from kerege.semantics.identifiers.kg.okpo import validate as _validate

__all__ = ["check_digit", "compact", "format", "is_valid", "validate"]


def validate(number: str) -> str:
    """The compact code; OkpoInvalid says what is wrong."""
    try:
        return _validate(number)
    except ValidationError as error:
        raise OkpoInvalid(reason=str(error)) from error


def format(number: str) -> str:
    """The code as it is printed: its digits only."""
    return validate(number)
