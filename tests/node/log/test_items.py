"""What waits for the message log: which of it goes into one frame, and who is told."""

import hashlib
import logging
from datetime import UTC, datetime

import pytest

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.node.log import items
from kerege.node.log.items import Item, Told, for_writer, groups_of, records_of

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = StampRecord(NOW, "authority", 0, 0, b"token", b"<r/>", (b"d" * 64,))


def records(*sizes: int) -> Item:
    made = tuple(
        LogRecord(
            NOW, "request", "client", f"m-{size}", "r", CLIENT, SERVICE, b"", b"b" * size, b"",
            None, attachment_digests=(hashlib.sha512(b"b" * size).digest(),),
        )
        for size in sizes
    )  # fmt: skip
    return made, None


def test_what_waits_goes_into_one_frame_up_to_a_size_and_what_is_larger_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_MOST_BYTES", 100)
    a, b, c, d = records(40), records(30, 30), records(1), records(500)
    assert groups_of([a, b, c, d]) == [[a, b], [c], [d]]
    assert groups_of([d]) == [[d]]


def test_a_stamp_is_alone_in_its_frame_and_what_comes_after_it_begins_another() -> None:
    a, b, c, stamp = records(1), records(2), records(3), (STAMP, None)
    assert groups_of([a, stamp, b, c, stamp]) == [[a], [stamp], [b, c], [stamp]]
    assert records_of(STAMP) == for_writer(STAMP) == ()
    assert for_writer(a[0]) == records_of(a[0]) == a[0]


def test_somebody_is_told_once_that_it_is_durable_or_what_was_wrong() -> None:
    heard: list[Exception | None] = []
    problem = OSError("full")
    Told(heard.append).set_result(None)
    Told(heard.append).set_exception(problem)
    assert heard == [None, problem]


def test_who_cannot_go_on_with_it_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Exception | None) -> None:
        raise RuntimeError

    with caplog.at_level(logging.ERROR, "kerege.node.log"):
        Told(fails).set_result(None)
    assert "could not be gone on with" in caplog.text
