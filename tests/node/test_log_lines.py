"""The lines of a node's log."""

import logging
import time
from datetime import UTC, datetime

import pytest

from kerege.node.serve import LogLine


@pytest.mark.parametrize("zone", ["Asia/Bishkek", "UTC", "America/St_Johns"])
def test_a_line_says_its_moment_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        record = logging.LogRecord("kerege.node", logging.INFO, "", 1, "ready on %d ports", (4,), None)
        record.created = datetime(2026, 11, 22, 9, 30, 15, 7000, tzinfo=UTC).timestamp()
        record.msecs = 7
        assert LogLine().format(record) == "2026-11-22T09:30:15.007Z INFO kerege.node ready on 4 ports"
    finally:
        monkeypatch.undo()
        time.tzset()
