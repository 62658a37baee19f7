"""Telephone numbers in one form: E.164, read with the numbering plans that the `phonenumbers` library carries."""

from __future__ import annotations

from typing import Final

import phonenumbers

from kerege.semantics.errors import PhoneInvalid

REGION: Final = "KG"
LONGEST: Final = 60  # longer cells are no telephone number, whatever digits they hold


def parse(text: str, region: str = REGION) -> str | None:
    """The number as E.164 ("+996555123456"), or None when `text` is no possible number of its plan."""
    if len(text) > LONGEST:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def require(text: str, region: str = REGION) -> str:
    """As `parse`; PhoneInvalid when there is none."""
    found = parse(text, region)
    if found is None:
        raise PhoneInvalid()
    return found
