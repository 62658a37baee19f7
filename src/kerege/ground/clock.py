"""Time: aware UTC inside, Asia/Bishkek in what people read. Decisions take `now` as an argument; only edges ask a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

BISHKEK: Final = ZoneInfo("Asia/Bishkek")


def now() -> datetime:
    """The present instant, aware UTC."""
    return datetime.now(UTC)


def require_utc(moment: datetime, name: str = "now") -> datetime:
    """`moment` unchanged when aware, else ValueError: a naive time is a bug, not an input error."""
    if moment.tzinfo is None:
        raise ValueError(f"{name} must carry a time zone (aware UTC), got a naive datetime")
    return moment


def iso(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, microseconds kept when there are any."""
    return require_utc(moment, "moment").astimezone(UTC).isoformat().replace("+00:00", "Z")


def local_date(moment: datetime) -> date:
    """The calendar day people in Kyrgyzstan would write for `moment`."""
    return require_utc(moment, "moment").astimezone(BISHKEK).date()


def local_text(moment: datetime) -> str:
    """What people in Kyrgyzstan read for `moment`: its day, and the time of day with seconds unless it is the day's first instant."""
    local = require_utc(moment, "moment").astimezone(BISHKEK)
    return local.strftime("%Y-%m-%d") if local.time() == time.min else local.strftime("%Y-%m-%d %H:%M:%S")


def zoned_text(moment: datetime) -> str:
    """`moment` as a log or a list of moments has it: local time to the second, with its distance from UTC."""
    return require_utc(moment, "moment").astimezone(BISHKEK).isoformat(" ", "seconds")


def end_of(day: date) -> datetime:
    """The last second people in Kyrgyzstan count to `day`, in UTC: what "until that day" means where nobody gave a time."""
    return datetime.combine(day, time(23, 59, 59), BISHKEK).astimezone(UTC)


def last_day(end: datetime) -> date:
    """The last day people count as before `end`: the day before, where `end` is a day's first instant."""
    return local_date(end - timedelta(microseconds=1))
