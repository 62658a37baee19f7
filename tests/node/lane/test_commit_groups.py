"""Groups of records in the group commit: in the same frames and by the same rules as records, and no record is made on the way."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

records = pytest.importorskip(
    "kerege.exchange.lane.records", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange import logfolder, messagelog  # noqa: E402
from kerege.exchange.batch import Batch  # noqa: E402
from kerege.exchange.errors import LogFailed, LogFull  # noqa: E402
from kerege.exchange.ids import ClientId, DataServiceId  # noqa: E402
from kerege.exchange.lane.call import Call, Part, Way  # noqa: E402
from kerege.exchange.lane.digest import digest_parts  # noqa: E402
from kerege.exchange.lane.records import RecordGroup  # noqa: E402
from kerege.exchange.logrecord import LogRecord  # noqa: E402
from kerege.exchange.messagelog import LogWriter  # noqa: E402
from kerege.node.log import commit, items  # noqa: E402
from kerege.node.log.commit import CommitLog  # noqa: E402
from kerege.node.log.disksync import DiskSync  # noqa: E402

WAY = Way(
    ClientId.parse("KG/GOV/70000003/admission"), DataServiceId.parse("KG/GOV/70000002/population/persons"), b"", b""
)
WAY.kept = 1 << 20


@pytest.fixture(autouse=True)
def no_disk_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else this machine's disk does meanwhile."""
    monkeypatch.setattr(commit, "_SLOW_SECONDS", 60.0)


def _by_the_kernel() -> DiskSync | None:
    sync = DiskSync.open()
    if sync is None:
        pytest.skip("this system has no asynchronous fdatasync")
    return sync


@pytest.fixture(params=[lambda: None, _by_the_kernel], ids=["a thread syncs", "the kernel syncs"])
def opened(request: pytest.FixtureRequest) -> Callable[[LogWriter], CommitLog]:
    return lambda writer: CommitLog(writer, request.param())


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def group(*names: str, direction: str = "request", size: int = 4) -> RecordGroup:
    """Messages of these ids under one signature."""
    parts = [Part(name.encode(), b"b" * size, 0, index) for index, name in enumerate(names)]
    digest_parts(parts)
    calls = []
    for name in names:
        one = Call()
        one.way, one.message_id, one.request_id = WAY, name.encode(), b"r"
        calls.append(one)
    tree = Batch([part.leaf for part in parts], [(part.digest, *part.digests[1]) for part in parts])
    return RecordGroup(datetime.now(UTC), direction, "client", b"<s/>", tree, parts, calls)


def record(name: str, direction: str = "request") -> LogRecord:
    return LogRecord(
        datetime.now(UTC), direction, "client", name, "r", WAY.client, WAY.service, b"GET", None, b"<s/>", None
    )


def ids(folder: Path) -> list[str]:
    return [one.message_id for _, _, one in messagelog.read(folder)]


@pytest.fixture
def no_record_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> bytes:
        raise AssertionError("records were made of a group")

    monkeypatch.setattr(records, "encode_records", never)


@on_loop
async def test_groups_that_wait_together_are_one_frame_and_no_record_is_made(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog], no_record_is_made: None
) -> None:
    log = opened(LogWriter(tmp_path))
    noted: list[tuple[int, int]] = []
    log.noted = lambda first, several: noted.append((first, len(several)))
    await log.append_many(group("a", "b", "c"))
    await asyncio.gather(
        log.append_many(group("d", "e")), log.append_many(group("f")), log.append_many(group("g", "h"))
    )
    assert (log.records, log.batches) == (8, 2)
    log.close()
    assert noted == [(0, 3), (3, 2), (5, 1), (6, 2)]
    assert [placed.frame.records for placed in logfolder.follow(tmp_path, [])] == [3, 5]
    assert ids(tmp_path) == list("abcdefgh")


@on_loop
async def test_what_is_noted_of_a_group_says_its_time(tmp_path: Path, opened: Callable[[LogWriter], CommitLog]) -> None:
    log = opened(LogWriter(tmp_path))
    times: list[datetime] = []
    log.noted = lambda _, several: times.append(several[0].time)
    one = group("a", "b")
    await log.append_many(one)
    log.close()
    assert times == [one.time]


@on_loop
async def test_groups_and_records_that_wait_together_are_one_frame(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
    first, second = group("b", "c"), group("e")
    await asyncio.gather(
        log.append(record("a")), log.append_many(first), log.append_many([record("d")]), log.append_many(second)
    )
    log.close()
    (placed,) = logfolder.follow(tmp_path, [])
    assert placed.frame.records == 5
    assert ids(tmp_path) == list("abcde")
    found = [one for _, _, one in messagelog.read(tmp_path)]
    assert (found[1:3], found[4:]) == (list(first), list(second))


@on_loop
async def test_guards_refuse_groups_of_requests_and_let_answers_through(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
    log.guards.append(lambda: LogFull(free=1, least=2))
    with pytest.raises(LogFull):
        await log.append_many(group("a", "b"))
    await log.append_many(group("c", direction="response"))
    log.close()
    assert ids(tmp_path) == ["c"]


@on_loop
async def test_a_frame_takes_groups_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[LogWriter], CommitLog]
) -> None:
    monkeypatch.setattr(items, "_MOST_BYTES", 1000)
    log = opened(LogWriter(tmp_path))
    await asyncio.gather(*(log.append_many(group(name, size=400)) for name in "abcde"))
    log.close()
    assert [placed.frame.records for placed in logfolder.follow(tmp_path, [])] == [2, 2, 1]
    assert ids(tmp_path) == list("abcde")


@on_loop
async def test_groups_of_one_that_come_one_at_a_time_are_written_in_the_loop(
    tmp_path: Path, no_record_is_made: None
) -> None:
    log = CommitLog(LogWriter(tmp_path))
    there: list[int] = []
    real = log._write_here

    def here(several: Sequence[LogRecord]) -> bool:
        done = real(several)
        there.append(done)
        return done

    log._write_here = here  # type: ignore[method-assign]
    for number in range(40):
        await log.append_many(group(str(number)))
        await asyncio.sleep(0.001)
    log.close()
    assert sum(there) > 8
    assert ids(tmp_path) == [str(number) for number in range(40)]


@on_loop
async def test_a_group_that_cannot_be_encoded_does_not_take_the_others_with_it(
    tmp_path: Path, opened: Callable[[LogWriter], CommitLog]
) -> None:
    log = opened(LogWriter(tmp_path))
    bad = group("b")
    bad.calls[0].way = None  # type: ignore[assignment]
    outcome = await asyncio.gather(
        log.append_many(group("a")), log.append_many(bad), log.append_many(group("c")), return_exceptions=True
    )
    log.close()
    assert [type(one) for one in outcome] == [type(None), LogFailed, type(None)]
    assert ids(tmp_path) == ["a", "c"]


@on_loop
async def test_a_failed_write_fails_every_group_in_it_and_the_next_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CommitLog(LogWriter(tmp_path))

    def failing(_: int) -> None:
        raise OSError(5, "broken")

    with monkeypatch.context() as broken:
        broken.setattr("kerege.exchange.logwriter.os.fdatasync", failing)
        outcome = await asyncio.gather(
            log.append_many(group("a", "b")), log.append_many(group("c")), return_exceptions=True
        )
    assert [type(one) for one in outcome] == [LogFailed, LogFailed]
    await log.append_many(group("d", "e"))
    assert log.records == 2
    log.close()
    assert ids(tmp_path) == ["d", "e"]


@on_loop
async def test_what_a_callback_raises_is_not_the_writings_affair(tmp_path: Path) -> None:
    """Where the loop writes by itself too: whoever gave the group would take it for one that was not written, and tell of it again."""
    log = CommitLog(LogWriter(tmp_path / "log"))
    try:
        for number in range(40):
            await log.append_many(group(f"before-{number}"))
        told: list[Exception | None] = []

        def tell(problem: Exception | None) -> None:
            told.append(problem)
            raise ValueError("this one's trouble")

        inline = log._inline
        log.append_group(group("one"), tell)
        assert (log._inline, told) == (inline + 1, [None])
    finally:
        log.close()
