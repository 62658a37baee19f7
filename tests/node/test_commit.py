import asyncio
import functools
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
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
from kerege.node import commit
from kerege.node.commit import CommitLog

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


@pytest.fixture(autouse=True)
def no_disk_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine's disk does meanwhile."""
    monkeypatch.setattr(commit, "_SLOW_SECONDS", 60.0)


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
async def test_what_is_being_given_while_another_thread_closes_is_written_too(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    real, closing = log._loop, threading.Thread(target=log.close)

    class Loop:
        """The loop, held up just between the look whether the log is open and the giving."""

        def create_future(self) -> asyncio.Future[None]:
            closing.start()
            closing.join(0.3)
            return real.create_future()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    log._loop = Loop()  # type: ignore[assignment]
    async with asyncio.timeout(10):
        await log.append(record(1))
        await asyncio.to_thread(closing.join)
    assert not log.alive
    assert ids(tmp_path) == ["m-1"]


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


# --- messages that come one at a time are written in the loop ---


class Threads:
    """Which threads wrote to the log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
        self.names: list[str] = []
        self.seconds = seconds
        real = LogWriter.append_records

        def append(writer: LogWriter, records: Sequence[LogRecord]) -> logwriter.Appended:
            self.names.append(threading.current_thread().name)
            time.sleep(self.seconds)
            return real(writer, records)

        monkeypatch.setattr(LogWriter, "append_records", append)

    @property
    def inline(self) -> int:
        return sum(name != "message-log" for name in self.names)


async def one_after_the_other(log: CommitLog, numbers: range) -> None:
    for number in numbers:
        await log.append(record(number))
        await asyncio.sleep(0.001)  # the agency's system, the other node


@on_loop
async def test_lone_messages_are_written_in_the_loop_with_a_probe_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[int, int]] = []
    log = CommitLog(LogWriter(tmp_path))
    log.noted = lambda first, records: noted.append((first, len(records)))
    threads = Threads(monkeypatch)
    await one_after_the_other(log, range(120))
    assert threads.names[:16] == ["message-log"] * 16
    assert 60 <= threads.inline <= 102
    assert threads.names[50:].count("message-log") >= 2, "a probe every now and then"
    assert (log.records, log.batches, noted) == (120, 120, [(n, 1) for n in range(120)])
    log.close()
    assert ids(tmp_path) == [f"m-{n}" for n in range(120)]


@on_loop
async def test_messages_that_overlap_are_gathered_by_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await one_after_the_other(log, range(30))
    threads = Threads(monkeypatch)

    async def caller(number: int) -> None:
        for at in range(40):
            await log.append(record(number * 100 + at))
            await asyncio.sleep(0)

    await asyncio.gather(*(caller(number) for number in range(1, 5)))
    assert threads.inline <= 40, "at the latest the next probe shows that others come meanwhile"
    assert len(threads.names) < 30 + 160
    log.close()
    assert len(ids(tmp_path)) == 30 + 160


@on_loop
async def test_a_batch_is_never_written_in_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await one_after_the_other(log, range(30))
    threads = Threads(monkeypatch)
    for number in range(30, 60, 2):
        await log.append_many([record(number), record(number + 1)])
    assert threads.inline == 0
    log.close()
    assert ids(tmp_path) == [f"m-{n}" for n in range(60)]


@on_loop
async def test_a_slow_disk_does_not_hold_up_the_loop_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await one_after_the_other(log, range(30))
    monkeypatch.setattr(commit, "_SLOW_SECONDS", 0.03)
    threads = Threads(monkeypatch, 0.04)
    await one_after_the_other(log, range(30, 35))
    threads.seconds = 0.0
    await one_after_the_other(log, range(35, 100))
    assert threads.inline == 1
    log.close()
    assert ids(tmp_path) == [f"m-{n}" for n in range(100)]


@on_loop
async def test_a_failed_write_in_the_loop_fails_its_message_and_the_next_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CommitLog(LogWriter(tmp_path))
    await one_after_the_other(log, range(20))

    def failing(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(logwriter.os, "fdatasync", failing)
        with pytest.raises(LogFailed, match="disk is full"):
            await log.append(record(20))
        assert log.failure is not None
    with pytest.raises(LogFailed, match="UnicodeEncodeError"):
        await log.append(replace(record(21), message_id="\ud800"))
    await log.append(record(22))
    assert log.failure is None
    log.close()
    with pytest.raises(LogFailed, match="stopping"):
        await log.append(record(23))
    assert ids(tmp_path) == [*(f"m-{n}" for n in range(20)), "m-22"]


@on_loop
async def test_zeros_are_filled_ahead_while_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logwriter, "_FILL", 64 * 1024)
    monkeypatch.setattr(logwriter, "_FILL_STEP", 8 * 1024)
    log = CommitLog(LogWriter(tmp_path, segment_bytes=200_000))
    in_the_way: list[int] = []
    real = LogWriter._fill
    monkeypatch.setattr(
        LogWriter, "_fill", lambda self, needed: (in_the_way.append(needed > self._filled), real(self, needed))[1]
    )
    for number in range(100):
        await log.append(record(number, size=1500))
        await asyncio.sleep(0.002)
    assert sum(in_the_way) <= 4, "a segment's first frame may find nothing yet"
    await asyncio.to_thread(log.close)
    assert ids(tmp_path) == [f"m-{n}" for n in range(100)]
