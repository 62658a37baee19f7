import asyncio
import functools
import hashlib
import os
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
from kerege.node.log import commit, items
from kerege.node.log.commit import CommitLog
from kerege.node.log.disksync import DiskSync

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


def _by_the_kernel() -> DiskSync | None:
    sync = DiskSync.open()
    if sync is None:
        pytest.skip("this system has no asynchronous fdatasync")
    return sync


@pytest.fixture(params=[lambda: None, _by_the_kernel], ids=["a thread syncs", "the kernel syncs"])
def opened(request: pytest.FixtureRequest) -> Callable[[LogWriter], CommitLog]:
    """Open a log either way: what is promised is the same."""
    return lambda writer: CommitLog(writer, request.param())


@on_loop
async def test_what_waits_together_is_one_frame_and_each_is_on_disk_when_its_append_returns(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))

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
async def test_a_batch_is_in_one_frame_in_its_order(
    tmp_path: Path,
    opened: Callable[[LogWriter], CommitLog],
) -> None:
    log = opened(LogWriter(tmp_path))
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
async def test_a_record_that_cannot_be_written_takes_no_other_with_it(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
    bad = replace(record(1), message_id="\ud800")
    outcomes = await asyncio.gather(
        log.append(record(0)), log.append(bad), log.append(record(2)), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [type(None), LogFailed, type(None)]
    log.close()
    assert ids(tmp_path) == ["m-0", "m-2"]


@on_loop
async def test_a_guard_refuses_new_requests_and_answers_are_still_logged(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
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
async def test_what_was_given_before_closing_is_written_and_nothing_is_taken_after(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
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
async def test_what_is_being_given_while_another_thread_closes_is_written_too(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[LogWriter], CommitLog]
) -> None:
    monkeypatch.setattr(items, "_MOST_BYTES", 10_000)
    log = opened(LogWriter(tmp_path))
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
async def test_a_slow_disk_does_not_hold_up_the_loop_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
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
async def test_zeros_are_filled_ahead_while_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[LogWriter], CommitLog]
) -> None:
    monkeypatch.setattr(logwriter, "_FILL", 64 * 1024)
    monkeypatch.setattr(logwriter, "_FILL_STEP", 8 * 1024)
    log = opened(LogWriter(tmp_path, segment_bytes=200_000))
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


# --- synced by the kernel: the loop places what waits, no thread waits for the disk ---


class SlowSync:
    """A disk that is done when it is told to be, or when somebody waits for it."""

    def __init__(self) -> None:
        self.done: list[Callable[[int], None]] = []
        self.begun, self.takes, self.closed = 0, True, False

    def begin(self, descriptor: int, done: Callable[[int], None]) -> bool:
        assert not self.done, "one at a time"
        self.begun += self.takes
        if self.takes:
            self.done.append(done)
        return self.takes

    def land(self, code: int = 0) -> None:
        self.done.pop()(code)

    def wait(self) -> None:
        self.land()

    def close(self) -> None:
        self.closed = True


async def settled(log: CommitLog) -> None:
    """The writer's thread sleeps."""
    async with asyncio.timeout(10):
        while not log._idle:
            await asyncio.sleep(0.002)


@on_loop
async def test_batches_go_to_disk_without_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch)
    log = CommitLog(LogWriter(tmp_path), _by_the_kernel())
    await log.append(record(0))  # its segment has no zeros ahead yet
    await settled(log)
    threads.names.clear()
    for begin in range(1, 40, 3):
        await asyncio.gather(*(log.append_many([record(n)]) for n in range(begin, begin + 3)))
        assert ids(tmp_path)[-3:] == [f"m-{n}" for n in range(begin, begin + 3)]
    assert threads.names == []
    assert log.records == 40
    assert log.batches == 14
    log.close()
    assert len(list(logfolder.follow(tmp_path, []))) == 14


@on_loop
async def test_nobody_goes_on_before_the_kernel_says_so_and_what_comes_meanwhile_is_the_next_batch(
    tmp_path: Path,
) -> None:
    sync = SlowSync()
    log = CommitLog(LogWriter(tmp_path), sync)  # type: ignore[arg-type]
    await log.append(record(0))
    await settled(log)
    first = asyncio.ensure_future(log.append_many([record(1), record(2)]))
    await asyncio.sleep(0.02)
    more = [asyncio.ensure_future(log.append(record(n))) for n in (3, 4)]
    await asyncio.sleep(0.02)
    assert (sync.begun, first.done(), any(one.done() for one in more)) == (1, False, False)
    sync.land()
    await first
    await asyncio.sleep(0.02)
    assert (sync.begun, any(one.done() for one in more)) == (2, False)
    sync.land()
    await asyncio.gather(*more)
    log.close()
    assert sync.closed
    assert [placed.frame.records for placed in logfolder.follow(tmp_path, [])] == [1, 2, 2]


@on_loop
async def test_a_sync_that_failed_fails_its_batch_and_the_next_goes_through_in_a_new_segment(
    tmp_path: Path,
) -> None:
    sync = SlowSync()
    log = CommitLog(LogWriter(tmp_path), sync)  # type: ignore[arg-type]
    await log.append(record(0))
    await settled(log)
    bad = [asyncio.ensure_future(log.append(record(n))) for n in (1, 2)]
    await asyncio.sleep(0.02)
    after = asyncio.ensure_future(log.append(record(3)))
    await asyncio.sleep(0)
    sync.land(28)
    outcomes = await asyncio.gather(*bad, return_exceptions=True)
    assert all(isinstance(one, LogFailed) and "full" in str(one) for one in outcomes)
    await after
    assert log.failure is None
    log.close()
    assert ids(tmp_path) == ["m-0", "m-3"]
    assert len(logfolder.segments(tmp_path)) == 2


@on_loop
async def test_where_the_kernel_takes_no_order_the_batch_is_synced_and_the_next_goes_by_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = SlowSync()
    log = CommitLog(LogWriter(tmp_path), sync)  # type: ignore[arg-type]
    await log.append(record(0))
    await settled(log)
    sync.takes = False
    await log.append_many([record(1), record(2)])
    assert sync.closed
    threads = Threads(monkeypatch)
    await log.append_many([record(3), record(4)])
    assert threads.names == ["message-log"]
    log.close()
    assert ids(tmp_path) == [f"m-{n}" for n in range(5)]


@on_loop
async def test_closing_waits_for_the_sync_under_way_and_writes_what_came_meanwhile(tmp_path: Path) -> None:
    sync = SlowSync()
    log = CommitLog(LogWriter(tmp_path), sync)  # type: ignore[arg-type]
    await log.append(record(0))
    await settled(log)
    waiting = [asyncio.ensure_future(log.append(record(1)))]
    await asyncio.sleep(0.02)
    waiting.append(asyncio.ensure_future(log.append(record(2))))
    await asyncio.sleep(0)
    log.close()
    assert await asyncio.gather(*waiting) == [None, None]
    assert ids(tmp_path) == ["m-0", "m-1", "m-2"]


@on_loop
async def test_the_kernel_tells_when_bytes_are_durable_or_why_they_are_not(tmp_path: Path) -> None:
    sync = _by_the_kernel()
    assert sync is not None
    loop = asyncio.get_running_loop()
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for number in range(3):
            file.write(b"x" * 5000)
            told: asyncio.Future[int] = loop.create_future()
            assert sync.begin(file.fileno(), told.set_result)
            if number == 1:
                sync.wait()
                assert told.done()
            assert await asyncio.wait_for(told, 10) == 0
    reading, writing = os.pipe()  # of which nothing can be synced
    assert not sync.begin(writing, lambda _: None)
    for one in (reading, writing):
        os.close(one)
    sync.close()
    sync.close()
