"""The PIN with its date and sex."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.errors import PinInvalid
from kerege.semantics.kg import pin


@given(st.sampled_from("12"), st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.integers(0, 99999))
def test_what_is_inside_a_pin_can_be_read(first: str, day: date, serial: int) -> None:
    number = f"{first}{day:%d%m%Y}{serial:05d}"
    assert pin.is_valid(number)
    assert pin.birth_date(number) == day
    assert pin.sex(number) == {"2": "1", "1": "2"}[first]
    assert pin.compact(pin.format(number)) == number


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("2010120150000", "13 characters"),
        ("2010120150000x", "other characters"),
        ("３0101201500001", "other characters"),
        ("30101201500001", "first digit"),
        ("23002201500001", "no date"),
    ],
)
def test_what_is_wrong_is_said_without_the_number(number: str, reason: str) -> None:
    assert not pin.is_valid(number)
    with pytest.raises(PinInvalid, match=reason) as caught:
        pin.validate(number)
    assert number not in str(caught.value)


def test_separators_people_write_are_left_out() -> None:
    assert pin.validate(" 2-01012015-00001 ") == "20101201500001"
