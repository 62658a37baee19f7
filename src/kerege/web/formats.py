"""Numbers, shares and moments as people in Kyrgyzstan read them, in the page's language. Time is shown in Asia/Bishkek."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from kerege.ground.clock import BISHKEK
from kerege.web.words import language, say, word

_NBSP: Final = "\N{NO-BREAK SPACE}"
_MONTHS: Final = {
    "ky": (
        *("январь", "февраль", "март", "апрель", "май", "июнь"),
        *("июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"),
    ),
    "ru": (
        *("января", "февраля", "марта", "апреля", "мая", "июня"),
        *("июля", "августа", "сентября", "октября", "ноября", "декабря"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
# Months that end in a voiceless consonant take -ка; all the others -га.
_VOICELESS: Final = frozenset({"март", "август"})


def number(value: float | int | None, digits: int = 0) -> str:
    """`12345.6` as "12 345,6" in Kyrgyz and Russian and "12,345.6" in English; an absent value is a dash."""
    if value is None:
        return "–"
    plain = f"{value:,.{digits}f}"
    if language() == "en":
        return plain
    return plain.replace(",", _NBSP).replace(".", ",")


def percent(share: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 as a percentage. 100 % and 0 % are said only when they are exact."""
    if share is None:
        return "–"
    value = share * 100
    step = 10**-digits
    if 0 < share < 1:
        value = min(max(value, step), 100 - step)
    if value in (0.0, 100.0):
        digits = 0
    return f"{number(value, digits)}{'' if language() == 'en' else _NBSP}%"


def day(moment: date | datetime | None) -> str:
    """The calendar day in words."""
    if moment is None:
        return "–"
    if isinstance(moment, datetime):
        moment = moment.astimezone(BISHKEK).date()
    lang = language()
    month = _MONTHS[lang][moment.month - 1]
    if lang == "ky":
        return f"{moment.year}-ж. {moment.day}-{month}"
    if lang == "ru":
        return f"{moment.day} {month} {moment.year}{_NBSP}г."
    return f"{moment.day} {month} {moment.year}"


def day_until(moment: date | datetime | None) -> str:
    """The day as it stands after "until"; Kyrgyz puts it in the dative: "2026-ж. 22-декабрга чейин"."""
    plain = day(moment)
    if language() != "ky" or moment is None:
        return plain
    month = plain.rsplit("-", 1)[-1]
    return plain.removesuffix("ь") + ("ка" if month in _VOICELESS else "га")


def day_since(moment: date | datetime | None) -> str:
    """The day as it stands after "since"; Kyrgyz puts it in the ablative: "2026-ж. 22-декабрдан тартып"."""
    plain = day(moment)
    if language() != "ky" or moment is None:
        return plain
    month = plain.rsplit("-", 1)[-1]
    return plain.removesuffix("ь") + ("тан" if month in _VOICELESS else "дан")


def moment(value: Any) -> SafeString | str:
    """A `<time>` element: machine-readable UTC inside, the day and minute in Bishkek for people. Takes ISO text too."""
    if value in (None, ""):
        return "–"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a moment must carry its time zone")
        local = value.astimezone(BISHKEK)
        return format_html(
            '<time datetime="{}"><span class="nowrap">{}</span>, {}</time>',
            value.isoformat(),
            day(value),
            f"{local:%H:%M}",
        )
    if isinstance(value, date):
        return format_html('<time datetime="{}">{}</time>', value.isoformat(), day(value))
    return str(value)


def duration(seconds: float | None) -> str:
    """A length of time in the unit a person would choose."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return word("measures.milliseconds", n=number(seconds * 1000, 1 if seconds < 0.01 else 0))
    if seconds < 120:
        return word("measures.seconds", n=number(seconds, 1))
    if seconds < 7200:
        return word("measures.minutes", n=number(seconds / 60, 0))
    if seconds < 172800:
        return word("measures.hours", n=number(seconds / 3600, 0))
    return word("measures.days", n=number(seconds / 86400, 1))


def fingerprint(sha256: str) -> SafeString:
    """A SHA-256 (hex) as people compare it and as the commands print it, `AB:CD:...`: parted after each eighth byte, selected as a whole."""
    pairs = [sha256.upper()[at : at + 2] for at in range(0, len(sha256), 2)]
    groups = [":".join(pairs[at : at + 8]) for at in range(0, len(pairs), 8)]
    return format_html(
        '<code class="code fingerprint">{}</code>',
        format_html_join(SafeString(":<wbr>"), "{}", ((group,) for group in groups)),
    )


def printable(value: str) -> str:
    """What a stranger wrote, without what would turn or end a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)


def text(value: Any) -> str:
    """A text of the data in the page's language; nothing for nothing."""
    return say(value)
