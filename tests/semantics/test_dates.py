"""Dates: a closed list of formats."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.errors import DateInvalid
from kerege.semantics.normalise import dates

WRITTEN = {
    "yyyy-mm-dd": "%Y-%m-%d",
    "dd.mm.yyyy": "%d.%m.%Y",
    "dd/mm/yyyy": "%d/%m/%Y",
    "dd-mm-yyyy": "%d-%m-%Y",
    "yyyy.mm.dd": "%Y.%m.%d",
    "yyyymmdd": "%Y%m%d",
    "ddmmyyyy": "%d%m%Y",
    "d.m.yyyy": "%d.%m.%Y",
    "timestamp": "%Y-%m-%dT23:59:59+06:00",
}
DAYS = st.dates(date(dates.FIRST_YEAR, 1, 1), date(dates.LAST_YEAR, 12, 31))


@given(DAYS)
def test_a_date_written_in_a_format_is_read_back_in_it(day: date) -> None:
    assert set(WRITTEN) == set(dates.FORMATS)
    for name, pattern in WRITTEN.items():
        assert dates.parse(f" {day.strftime(pattern)} ", (name,)) == day.isoformat()


@pytest.mark.parametrize(
    "text",
    [
        "29.02.2023",
        "31.04.2020",
        "00.01.2020",
        "01.13.2020",
        "01.01.20",
        "1.1.1799",
        "2020-1-1",
        "١١.١٢.٢٠٢٠",
        "",
        "вчера",
        "01.01.2020г",
    ],
)
def test_what_is_no_date_is_not_read(text: str) -> None:
    assert dates.parse(text, tuple(dates.FORMATS)) is None


def test_one_digit_days_are_read_only_where_agreed() -> None:
    assert dates.parse("1.2.2020", ("d.m.yyyy",)) == "2020-02-01"
    assert dates.parse("1.2.2020", ("dd.mm.yyyy",)) is None


def test_the_first_format_that_reads_wins() -> None:
    assert dates.parse("01022020", ("ddmmyyyy", "yyyymmdd")) == "2020-02-01"


def test_the_error_names_the_formats_and_not_the_value() -> None:
    with pytest.raises(DateInvalid) as caught:
        dates.require("Асанов")
    assert "dd.mm.yyyy" in str(caught.value)
    assert "Асанов" not in str(caught.value)
