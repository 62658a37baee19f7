import asyncio
import functools
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange import logfolder, logwriter, messagelog
from kerege.exchange.errors import LogFailed, LogFull
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.node.commit import CommitLog

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def record(number: int, direction: str = "request", size: int = 4) -> LogRecord:
    body = b"b" * size
    return LogRecord(
        datetime.now(UTC), direction, "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE, b"GET", body, b"<s/>",
        None, attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


def ids(folder: Path) -> list[str]:
    return [one.message_id for _, _, one in messagelog.read(folder)]


@on_loop
async def test_what_waits_together_is_one_frame_and_each_is_on_disk_when_its_append_returns(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))

    async def one(number: int) -> None:
        await log.append(record(number))
        assert f"m-{number}" in ids(tmp_path)

    await asyncio.gather(*(one(n) for n in range(20)), log.append_many([record(20), record(21)]))
    assert log.records == 22
    assert log.batches < 20
    await asyncio.to_thread(log.close)
    assert sorted(ids(tmp_path)) == sorted(f"m-{n}" for n in range(22))
    assert len(list(logfolder.follow(tmp_path, []))) == log.batches


@on_loop
async def test_a_batch_is_in_one_frame_in_its_order(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await log.append_many([record(n) for n in range(16)])
    await log.append_many([])
    log.close()
    (placed,) = logfolder.follow(tmp_path, [])
    assert placed.frame.records == 16
    assert ids(tmp_path) == [f"m-{n}" for n in range(16)]


@on_loop
async def test_a_failed_write_fails_those_who_wait_and_the_next_append_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await log.append(record(0))

    def failing(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logwriter.os, "fdatasync", failing)
    outcomes = await asyncio.gather(*(log.append(record(n)) for n in (1, 2, 3)), return_exceptions=True)
    assert all(isinstance(one, LogFailed) for one in outcomes)
    assert log.failure is not None
    monkeypatch.undo()
    await log.append(record(4))
    assert log.failure is None
    log.close()
    assert ids(tmp_path) == ["m-0", "m-4"]


@on_loop
async def test_a_record_that_cannot_be_written_takes_no_other_with_it(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    bad = replace(record(1), message_id="\ud800")
    outcomes = await asyncio.gather(
        log.append(record(0)), log.append(bad), log.append(record(2)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [type(None), LogFailed, type(None)]
    log.close()
    assert ids(tmp_path) == ["m-0", "m-2"]


@on_loop
async def test_a_guard_refuses_new_requests_and_answers_are_still_logged(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    full: list[LogFull] = [LogFull(free=1, least=2)]
    log.guards.append(lambda: full[0] if full else None)
    with pytest.raises(LogFull, match="1 megabytes are free"):
        await log.append(record(0))
    with pytest.raises(LogFull):
        log.check_open()
    with pytest.raises(LogFull):
        await log.append_many([record(0), record(5)])
    await log.append(record(1, "response"))
    await log.append_many([record(2), record(3, "response")])  # not an answer lost for a request beside it
    full.clear()
    await log.append(record(4))
    log.close()
    assert ids(tmp_path) == ["m-1", "m-2", "m-3", "m-4"]


@on_loop
async def test_what_was_given_before_closing_is_written_and_nothing_is_taken_after(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    waiting = [asyncio.ensure_future(log.append(record(n))) for n in range(5)]
    await asyncio.sleep(0)
    await asyncio.to_thread(log.close)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    written = ids(tmp_path)
    assert [f"m-{n}" for n, one in enumerate(outcomes) if one is None] == written
    with pytest.raises(LogFailed, match="stopping"):
        await log.append(record(9))
    assert not log.alive
    log.close()


@on_loop
async def test_large_bodies_that_wait_together_are_spread_over_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerege.node.commit._MOST_BYTES", 10_000)
    log = CommitLog(LogWriter(tmp_path))
    await asyncio.gather(*(log.append(record(n, size=4000)) for n in range(10)))
    log.close()
    assert ids(tmp_path) == [f"m-{n}" for n in range(10)]
    assert all(placed.frame.records <= 2 for placed in logfolder.follow(tmp_path, []))
