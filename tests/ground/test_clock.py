"""What people read of an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from kerege.ground import clock


def test_people_read_the_day_of_their_own_calendar() -> None:
    begins = datetime(2027, 1, 21, 18, tzinfo=UTC)  # midnight in Bishkek
    assert clock.local_text(begins) == "2027-01-22"
    assert clock.local_text(begins - timedelta(seconds=1)) == "2027-01-21 23:59:59"
    assert clock.last_day(begins) == date(2027, 1, 21)


def test_the_end_of_a_day_is_that_of_peoples_own_calendar_and_shown_on_the_same_day() -> None:
    end = clock.end_of(date(2027, 12, 31))
    assert clock.iso(end) == "2027-12-31T17:59:59Z"
    assert clock.local_date(end) == date(2027, 12, 31)
    assert clock.zoned_text(end + timedelta(microseconds=7)) == "2027-12-31 23:59:59+06:00"
