"""Numbers and moments as people in Kyrgyzstan read them."""

from datetime import UTC, date, datetime

import pytest
from django.utils import translation

from kerege.web import formats


@pytest.mark.parametrize(("language", "shown"), [("ky", "12 345,6"), ("ru", "12 345,6"), ("en", "12,345.6")])
def test_a_number_has_the_marks_of_its_language(language, shown):
    with translation.override(language):
        assert formats.number(12345.6, 1).replace("\N{NO-BREAK SPACE}", " ") == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0%"), (1, "100%"), (0.99999, "99.9%"), (0.00001, "0.1%"), (0.5, "50.0%"), (None, "–")]
)
def test_a_share_is_called_all_or_nothing_only_when_it_is(share, shown):
    with translation.override("en"):
        assert formats.percent(share) == shown


def test_a_day_in_words():
    shown = {}
    for language in ("ky", "ru", "en"):
        with translation.override(language):
            shown[language] = formats.day(date(2026, 11, 2)).replace("\N{NO-BREAK SPACE}", " ")
    assert shown == {"ky": "2026-ж. 2-ноябрь", "ru": "2 ноября 2026 г.", "en": "2 November 2026"}


def test_a_moment_is_shown_in_bishkek_and_kept_in_utc():
    with translation.override("en"):
        shown = formats.moment(datetime(2026, 11, 2, 20, 30, tzinfo=UTC))
    assert (
        shown == '<time datetime="2026-11-02T20:30:00+00:00"><span class="nowrap">3 November 2026</span>, 02:30</time>'
    )


def test_text_that_is_no_moment_stays_text_and_is_not_trusted_as_html():
    assert not hasattr(formats.moment("<b>never</b>"), "__html__")


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        formats.moment(datetime(2026, 11, 2))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0312, "31 ms"), (0.0012, "1.2 ms"), (12, "12.0 s"), (600, "10 min"), (10800, "3 h"), (259200, "3.0 days")],
)
def test_a_length_of_time_is_told_in_the_unit_a_person_would_choose(seconds, shown):
    with translation.override("en"):
        assert formats.duration(seconds) == shown


@pytest.mark.parametrize(
    ("month", "until", "since"),
    [(1, "январга", "январдан"), (3, "мартка", "марттан"), (5, "майга", "майдан"), (6, "июнга", "июндан"),
     (8, "августка", "августтан"), (12, "декабрга", "декабрдан")],
)  # fmt: skip
def test_in_kyrgyz_an_end_is_in_the_dative_and_a_beginning_in_the_ablative(month, until, since):
    with translation.override("ky"):
        assert formats.day_until(date(2026, month, 22)) == f"2026-ж. 22-{until}"
        assert formats.day_since(date(2026, month, 22)) == f"2026-ж. 22-{since}"
    with translation.override("en"):
        assert formats.day_until(date(2026, 12, 22)) == "22 December 2026"
