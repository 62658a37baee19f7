"""The register's own letters come from the raw view of the very same record, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kerege.reconcile.compare import RecordView
from kerege.services.came_as import came_as
from kerege.services.evidence import Source, Value

SOURCE = Source("population", "KG/GOV/70000002/population/persons", "m-1", "kg:population.person", "1", "ab" * 32,
                datetime(2026, 6, 1, tzinfo=UTC))  # fmt: skip
RAW = {"surname": "АСАНОВ", "locality": "41708203850010", "address": "ул. Чуйская, 12", "patronymic": None, "pin": ""}


def value(field: str, record: str = "1") -> Value:
    return Value("person.registered_address", field, "?", SOURCE, record)


def views(raw: dict[str, str | None] | None = RAW, register: str = "population") -> dict[str, RecordView]:
    return {register: RecordView(register, "1", raw, {"surname": "Асанов"})}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("surname", "АСАНОВ"),
        ("soate", "41708203850010"),
        ("street", "ул. Чуйская, 12"),
        ("house", "ул. Чуйская, 12"),
        ("patronymic", None),
        ("pin", ""),
        ("registered_since", None),
    ],
)
def test_a_field_is_found_under_the_heading_the_register_gives_it(field: str, written: str | None) -> None:
    assert came_as(value(field), views()) == written


def test_another_record_of_the_same_register_says_nothing() -> None:
    assert came_as(value("surname", "2"), views()) is None


def test_a_value_without_a_record_number_matches_no_record() -> None:
    assert came_as(value("surname", ""), {"population": RecordView("population", "", RAW)}) is None


def test_where_no_raw_message_was_looked_at_nothing_is_made_up() -> None:
    assert came_as(value("surname"), views(None)) is None
    assert came_as(value("surname"), views(register="civil")) is None
