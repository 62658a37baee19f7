"""Identifiers in python-stdnum's shape: the laws every such module keeps, and what each of ours knows."""

from __future__ import annotations

import doctest
from datetime import date
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidFormat, InvalidLength, ValidationError

from kerege.semantics.identifiers.kg import inn, okpo, pin

MODULES = [pin, okpo, inn]
NUMBERS = st.text("0123456789 -.x٣", max_size=17) | st.text("0123456789", min_size=8, max_size=14)


@pytest.mark.parametrize("module", MODULES)
@given(NUMBERS)
@settings(max_examples=60)
def test_valid_is_what_validate_gives_back_and_compact_changes_nothing_twice(module: ModuleType, number: str) -> None:
    compacted = module.compact(number)
    assert module.compact(compacted) == compacted
    try:
        assert module.validate(number) == compacted
        assert module.compact(module.format(number)) == compacted
        assert module.is_valid(module.format(number))
        valid = True
    except ValidationError:
        valid = False
    assert module.is_valid(number) is valid


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_modules_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@given(st.sampled_from("12"), st.dates(date(1900, 1, 1), date(2030, 1, 1)), st.integers(0, 99999))
def test_a_pin_holds_birth_date_and_sex(first: str, day: date, serial: int) -> None:
    number = f"{first}{day:%d%m%Y}{serial:05d}"
    assert pin.get_birth_date(number) == day
    assert pin.get_gender(number) == {"1": "F", "2": "M"}[first]
    assert inn.is_person(number)


@given(st.sampled_from([7, 9]).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)))
def test_okpo_refuses_another_check_digit(body: str) -> None:
    number = body + okpo.calc_check_digit(body)
    assert okpo.is_valid(number)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    with pytest.raises(InvalidChecksum):
        okpo.validate(wrong)


@pytest.mark.parametrize(
    ("module", "number", "error"),
    [
        (pin, "123", InvalidLength),
        (pin, "2010120150000x", InvalidFormat),
        (pin, "30101201500001", InvalidComponent),
        (pin, "23002201500001", InvalidComponent),
        (okpo, "1234567", InvalidLength),
        (okpo, "0003253x", InvalidFormat),
        (okpo, "00032538", InvalidChecksum),
        (inn, "0230220151001", InvalidLength),
        (inn, "0230220151001x", InvalidFormat),
    ],
)
def test_what_is_wrong_is_told_by_the_kind_of_error(module: ModuleType, number: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        module.validate(number)


@pytest.mark.parametrize("module", MODULES)
def test_an_error_does_not_repeat_the_number(module: ModuleType) -> None:
    with pytest.raises(ValidationError) as caught:
        module.validate("2010120150000x")
    assert "20101" not in str(caught.value)
