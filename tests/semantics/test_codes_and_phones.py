"""Codes of things, telephone numbers."""

from __future__ import annotations

import pytest

from kerege.semantics.errors import PhoneInvalid
from kerege.semantics.normalise import codes, phones


@pytest.mark.parametrize(
    ("text", "alphabet", "length", "expected"),
    [
        ("ab-12/3", "latin", None, "AB123"),
        ("АВ 123", "latin", None, "AB123"),  # Cyrillic letters that look Latin
        ("AB 123", "cyrillic", None, "АВ123"),
        ("№ 12.34", "digits", None, "1234"),
        ("12 34", "digits", 5, None),
        ("12a", "digits", None, None),
        ("Ж1", "latin", None, None),
        ("--", "latin", None, None),
    ],
)
def test_a_code_has_one_form_or_none(
    text: str, alphabet: codes.Alphabet, length: int | None, expected: str | None
) -> None:
    assert codes.normal(text, alphabet, length) == expected


@pytest.mark.parametrize("text", ["+996 555 123 456", "0555 12-34-56", "996555123456", "(0555) 123456"])
def test_a_kyrgyz_mobile_number_in_any_writing_is_one_number(text: str) -> None:
    assert phones.parse(text) == "+996555123456"


@pytest.mark.parametrize("text", ["12", "", "телефона нет", "0555123456 доб. 7", "1" * 200])
def test_what_cannot_be_dialled_is_no_number(text: str) -> None:
    assert phones.parse(text) is None
    with pytest.raises(PhoneInvalid):
        phones.require(text)
