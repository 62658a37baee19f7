"""Masks show what values look like and never what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue.inventory.masks import (
    date_format,
    identifier_of,
    mask,
    name_suggests_person,
    person_in,
    personal,
    type_of,
)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("14.03.2019", "99.99.9999"),
        ("Асанов", "Аа"),
        ("ЧУЙСКАЯ ОБЛ.", "АА АА."),
        ("Asanov Bek", "Aa Aa"),
        ("KGA-0412-03", "AA-9999-99"),
        ("Acанов", "Аa"),
        ("Т", "А"),
    ],
)
def test_a_mask_keeps_digits_and_punctuation_and_forgets_letters(value: str, shape: str) -> None:
    assert mask(value) == shape


@given(st.text(max_size=60))
def test_no_letter_or_digit_of_the_value_survives_in_its_mask(value: str) -> None:
    assert all(not c.isalnum() or c in "9AaАа" for c in mask(value))
    assert len(mask(value)) <= 41


def test_a_leading_zero_makes_digits_a_code_and_not_a_number() -> None:
    assert type_of("021") == "text"
    assert type_of("21") == "integer"
    assert type_of("41708223863010") == "integer"


def test_a_day_that_does_not_exist_is_not_a_date() -> None:
    assert date_format("31.02.2019") is None
    assert date_format("28.02.2019") == "%d.%m.%Y"


def test_a_pin_is_told_from_a_soate_code_by_its_date() -> None:
    assert identifier_of("21403201900017") == "pin"
    assert identifier_of("41708223863010") == "soate"
    assert identifier_of("23113201900017") == ""
    assert identifier_of("+996 555 123456") == "phone"
    assert identifier_of("a@b.kg") == "email"


@pytest.mark.parametrize("name", ["MatPin", "DATA_R", "lastName", "Фамилия", "birth_date", "telefon", "FIO"])
def test_names_that_speak_of_a_person_are_seen(name: str) -> None:
    assert name_suggests_person(name)


@pytest.mark.parametrize("name", ["school_code", "region", "capacity", "STATUS"])
def test_names_that_speak_of_things_are_not(name: str) -> None:
    assert not name_suggests_person(name)


@pytest.mark.parametrize(
    "act",
    ["123-45-67", "№ 123-45-67", "№123-45-67", "10 123-45-67", "101-23-45678", "0101-2019-000123", "2019-000123-4"],
)
def test_the_number_of_an_act_is_no_telephone(act: str) -> None:
    assert identifier_of(act) == ""
    assert not personal(act)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("the child 11509201900017 is registered twice", "pin"),
        ("see 1150 9201 9000 17 in the act", "pin"),
        ("called +996 555 12-34-56 and asked", "phone"),
        ("written to a.asanova@example.kg.", "email"),
        ("code 41705258804010 stands for two villages since 2019-09-15", ""),
        ("Decision 7 of 12.03.2024, 12 linked records", ""),
    ],
)
def test_a_sentence_that_names_a_person_by_a_number_or_an_address_is_seen(text: str, kind: str) -> None:
    assert person_in(text) == kind
