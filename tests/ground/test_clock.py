"""What people read of an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from kerege.ground import clock


def test_people_read_the_day_of_their_own_calendar() -> None:
    begins = datetime(2027, 1, 21, 18, tzinfo=UTC)  # midnight in Bishkek
    assert clock.local_text(begins) == "2027-01-22"
    assert clock.local_text(begins - timedelta(seconds=1)) == "2027-01-21 23:59:59"
    assert clock.last_day(begins) == date(2027, 1, 21)
