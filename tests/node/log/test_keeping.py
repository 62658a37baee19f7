import asyncio
import functools
import hashlib
import importlib.util
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from centre import Misbehaving

from kerege.cli import node_log
from kerege.exchange import asic, messagelog
from kerege.exchange.errors import LogFull, TimestampingFailed, TimestampInvalid
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.messagelog import LogWriter
from kerege.node.config_types import ArchiveSettings, LogSettings, TimestampSettings
from kerege.node.log import keeping as keeping_module
from kerege.node.log.commit import CommitLog
from kerege.node.log.keeping import KeepingSettings, LogKeeping

_SPEC = importlib.util.spec_from_file_location("test_tsa", Path(__file__).parents[2] / "exchange" / "tsa.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_TSA = importlib.util.module_from_spec(_SPEC)
sys.modules["test_tsa"] = _TSA
_SPEC.loader.exec_module(_TSA)

NOW = datetime.now(UTC).replace(microsecond=0)
CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in an event loop of its own, with its bench open."""

    @functools.wraps(test)
    def run(*, bench: "Bench", **named: Any) -> None:
        async def whole() -> None:
            bench.open()
            try:
                await test(bench=bench, **named)
            finally:
                await bench.keeping.close()
                await asyncio.to_thread(bench.log.close)

        asyncio.run(whole())

    return run


@pytest.fixture(scope="module")
def tsa() -> Any:
    return _TSA.Tsa.create(NOW, "ec")


def record(number: int, when: datetime = NOW, direction: str = "request") -> LogRecord:
    body = b"body"
    return LogRecord(
        when, direction, "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE, b"GET", body, b"<s>%d</s>" % number,
        None, attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


@dataclass
class Bench:
    """A log with its keeping, a clock that is moved by hand, and authorities that can be switched off."""

    folder: Path
    tsa: Any
    settings: KeepingSettings
    now: datetime = NOW
    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.log = CommitLog(LogWriter(self.settings.log.folder))
        self.approved = [
            self.tsa.like(name="first", url="http://first").approved,
            self.tsa.like(name="second", url="http://second").approved,
        ]
        self.keeping = LogKeeping(
            self.log, self.settings, clock=lambda: self.now, authorities=lambda: self.approved, send=self.send
        )

    async def send(self, url: str, body: bytes) -> bytes:
        self.asked.append(url)
        if url in self.down:
            raise ConnectionRefusedError
        return bytes(self.tsa.answer(body, self.now))

    def stamps(self) -> list[StampRecord]:
        return [
            one.record for one in messagelog.entries(self.settings.log.folder) if isinstance(one.record, StampRecord)
        ]


@pytest.fixture
def bench(tmp_path: Path, tsa: Any) -> Bench:
    settings = KeepingSettings(
        LogSettings(tmp_path / "log", archive=ArchiveSettings(tmp_path / "archive", every_seconds=0.05), least_free=0),
        TimestampSettings(every_seconds=0.05, acceptable_seconds=60),
        tmp_path / "index.sqlite",
    )
    return Bench(tmp_path, tsa, settings)


@on_loop
async def test_records_are_stamped_together_and_the_stamp_is_in_the_log(bench: Bench) -> None:
    await bench.keeping.start()
    await bench.log.append_many([record(n) for n in range(5)])
    assert bench.keeping.status()["oldest_unstamped"] == NOW.isoformat()
    await bench.keeping.stamp_now()
    (stamp,) = bench.stamps()
    assert (stamp.first, stamp.last, len(stamp.leaves)) == (0, 4, 5)
    status = bench.keeping.status()
    assert (status["oldest_unstamped"], status["last_stamp"], status["refusing"]) == (None, NOW.isoformat(), None)
    await bench.keeping.stamp_now()
    assert len(bench.stamps()) == 1, "nothing waits, so nothing is asked"


@on_loop
async def test_the_next_authority_is_asked_when_the_first_does_not_answer(bench: Bench) -> None:
    bench.down.add("http://first")
    await bench.log.append(record(0))
    await bench.keeping.stamp_now()
    assert bench.asked == ["http://first", "http://second"]
    assert len(bench.stamps()) == 1


@on_loop
async def test_the_services_named_are_asked_in_their_order(bench: Bench) -> None:
    bench.keeping._settings = replace(
        bench.settings, stamps=replace(bench.settings.stamps, services=("second", "first"))
    )
    bench.down.add("http://second")
    await bench.log.append(record(0))
    await bench.keeping.stamp_now()
    assert bench.asked == ["http://second", "http://first"]


@on_loop
async def test_authorities_down_too_long_stop_new_messages_and_the_next_stamp_opens_again(bench: Bench) -> None:
    bench.down |= {"http://first", "http://second"}
    await bench.keeping.start()
    await bench.log.append(record(0))
    with pytest.raises(TimestampInvalid, match="did not answer"):
        await bench.keeping.stamp_now()
    bench.now = NOW + timedelta(seconds=60)
    await bench.log.append(record(1, bench.now))
    bench.now = NOW + timedelta(seconds=61)
    with pytest.raises(TimestampingFailed, match=r"waited 61 seconds.*did not answer"):
        await bench.log.append(record(2, bench.now))
    await bench.log.append(record(3, bench.now, "response"))
    bench.down.clear()
    await bench.keeping.stamp_now()
    await bench.log.append(record(4, bench.now))
    assert [one.message_id for _, _, one in messagelog.read(bench.settings.log.folder)] == ["m-0", "m-1", "m-3", "m-4"]


@on_loop
async def test_an_answer_that_was_not_asked_for_is_no_stamp(bench: Bench) -> None:
    bench.tsa = bench.tsa.like(nonce_shift=1)
    await bench.log.append(record(0))
    with pytest.raises(TimestampInvalid, match="nonce"):
        await bench.keeping.stamp_now()
    assert bench.stamps() == []


@on_loop
async def test_where_no_authority_is_approved_nothing_is_stamped_and_nothing_refused(bench: Bench) -> None:
    bench.approved = []
    await bench.keeping.start()
    await bench.log.append(record(0))
    bench.now = NOW + timedelta(days=1)
    await bench.log.append(record(1, bench.now))
    await bench.keeping._stamp_all()
    status = bench.keeping.status()
    assert (status["stamping"], status["refusing"], status["oldest_unstamped"]) == ("no authority", None, None)
    assert (bench.asked, bench.stamps()) == ([], [])
    assert await bench.keeping.archive_now() == 2, "what will never be stamped is archived all the same"


@on_loop
async def test_an_authority_approved_later_has_the_acceptable_period_for_what_waits(bench: Bench) -> None:
    approved, bench.approved = bench.approved, []
    await bench.keeping.start()
    await bench.log.append(record(0))
    bench.now = NOW + timedelta(hours=1)
    await bench.log.append(record(1, bench.now))
    bench.approved = approved
    bench.now += timedelta(seconds=1)
    await bench.log.append(record(2, bench.now))
    bench.now += timedelta(seconds=61)
    with pytest.raises(TimestampingFailed, match="waited 61 seconds"):
        await bench.log.append(record(3, bench.now))
    await bench.keeping.stamp_now()
    assert [(stamp.first, stamp.last) for stamp in bench.stamps()] == [(0, 2)]
    await bench.log.append(record(4, bench.now))


@on_loop
async def test_names_in_the_file_that_nobody_approved_still_refuse_when_the_time_is_over(bench: Bench) -> None:
    bench.keeping.use(replace(bench.settings, stamps=replace(bench.settings.stamps, services=("other",))))
    bench.approved = []
    await bench.keeping.start()
    await bench.log.append(record(0))
    with pytest.raises(TimestampInvalid, match="approves none"):
        await bench.keeping.stamp_now()
    bench.now = NOW + timedelta(seconds=61)
    with pytest.raises(TimestampingFailed, match="approves none"):
        await bench.log.append(record(1, bench.now))


@on_loop
async def test_a_configuration_that_is_not_in_force_does_not_take_the_authorities_away(bench: Bench) -> None:
    await bench.keeping.start()
    await bench.log.append(record(0))
    bench.keeping._authorities = lambda: None
    bench.now = NOW + timedelta(seconds=61)
    with pytest.raises(TimestampingFailed):
        await bench.log.append(record(1, bench.now))


@pytest.mark.parametrize("hint", [True, False])
@on_loop
async def test_what_waited_before_a_restart_still_counts_after_it(bench: Bench, hint: bool) -> None:
    await bench.log.append_many([record(0), record(1)])
    await bench.keeping.stamp_now()
    await bench.log.append(record(2, NOW + timedelta(seconds=5)))
    await bench.keeping.close()
    await asyncio.to_thread(bench.log.close)
    if not hint:
        (bench.settings.log.folder / "stamped.json").unlink()
    bench.open()
    await bench.keeping.start()
    assert bench.keeping.status()["oldest_unstamped"] == (NOW + timedelta(seconds=5)).isoformat()
    await bench.keeping.stamp_now()
    assert [(stamp.first, stamp.last) for stamp in bench.stamps()] == [(0, 1), (3, 3)]


@on_loop
async def test_too_little_space_refuses_and_space_opens_again_by_itself(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.keeping._settings = replace(bench.settings, log=replace(bench.settings.log, least_free=100 * 1024 * 1024))
    real = os.statvfs(bench.folder)

    def free(blocks: int) -> None:
        fields = list(real)
        fields[4] = blocks
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))

    free(10)
    await bench.keeping._watch_once()
    with pytest.raises(LogFull, match="at least 100 must stay free"):
        await bench.log.append(record(0))
    assert bench.keeping.status()["refusing"] is not None
    free(10**9)
    await bench.keeping._watch_once()
    await bench.log.append(record(1))


@on_loop
async def test_running_it_stamps_archives_and_indexes_by_itself(bench: Bench) -> None:
    task = asyncio.create_task(bench.keeping.run())
    try:
        await bench.log.append_many([record(n) for n in range(3)])
        async with asyncio.timeout(20):
            while not list((bench.folder / "archive").glob("mlog-*.zip")):
                await asyncio.sleep(0.02)
        found = await bench.keeping.find("m-1")
        assert [one.record.request_id for one in found] == ["r-1"]
        assert found[0].stamp is not None
        container = asic.read(asic.container(found[0].record, found[0].stamp))
        assert container.stamp_chain is not None
        status = bench.keeping.status()
        assert status["problems"] == {}
        assert status["free_bytes"] > 0
    finally:
        await bench.keeping.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@on_loop
async def test_one_kind_of_work_that_fails_is_told_and_stops_no_other(bench: Bench) -> None:
    bench.down = {"http://first", "http://second"}
    (bench.folder / "archive").write_bytes(b"in the way")
    task = asyncio.create_task(bench.keeping.run())
    try:
        await bench.log.append(record(0))
        async with asyncio.timeout(20):
            while not {"stamping", "archive"} <= set(bench.keeping.problems):
                await asyncio.sleep(0.02)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- the index ---


@on_loop
async def test_a_message_is_found_by_its_identifier_and_only_for_whom_it_concerns(bench: Bench) -> None:
    await bench.log.append_many([record(1), record(1, direction="response"), record(2)])
    found = await bench.keeping.find("m-1")
    assert [one.record.direction for one in found] == ["request", "response"]
    assert all(one.stamp is None for one in found)
    assert len(await bench.keeping.find("m-1", own=CLIENT, most=2)) == 2
    assert len(await bench.keeping.find("m-1", own=CLIENT, directions=["response"])) == 1
    assert await bench.keeping.find("m-1", own=SERVICE.provider_client) == []
    assert await bench.keeping.find("m-1", own=ClientId.parse("KG/GOV/70000003/emis")) == []
    assert await bench.keeping.find("m-9") == []


@pytest.mark.parametrize("damage", ["deleted", "garbage", "of another log"])
@on_loop
async def test_an_index_that_is_gone_or_wrong_is_made_again(bench: Bench, damage: str, tmp_path: Path) -> None:
    await bench.log.append(record(1))
    assert len(await bench.keeping.find("m-1")) == 1
    index = bench.settings.index
    if damage == "deleted":
        index.unlink()
    elif damage == "garbage":
        index.write_bytes(b"no database" * 500)
    else:
        other = LogWriter(tmp_path / "other")
        other.append_records([record(n) for n in range(50)])
        other.close()
        from kerege.node.log.index import LogIndex

        index.unlink()
        LogIndex(index, tmp_path / "other").catch_up()
    await bench.log.append(record(2))
    assert [one.record.request_id for one in await bench.keeping.find("m-1")] == ["r-1"]
    assert len(await bench.keeping.find("m-2")) == 1


def test_an_authority_that_drips_has_one_deadline_over_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: 900\r\n\r\n"
        )
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    monkeypatch.setattr(keeping_module, "_TIMEOUT", 0.5)
    authority, begun = Misbehaving(drip), time.monotonic()
    try:
        with pytest.raises(OSError, match="was not done within"):
            asyncio.run(keeping_module.post(authority.url, b"question"))
    finally:
        authority.close()
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("url", ["ftp://tsa.example", "http://", "file:///etc/passwd"])
def test_only_an_http_address_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        asyncio.run(keeping_module.post(url, b"question"))


def test_offline_containers_have_the_stamp_that_the_log_holds(bench: "Bench") -> None:
    async def main() -> None:
        bench.open()
        await bench.keeping.start()
        await bench.log.append_many([record(1), record(2)])
        await bench.keeping.stamp_now()
        await bench.log.append_many([record(3)])
        await bench.keeping.close()
        await asyncio.to_thread(bench.log.close)

    asyncio.run(main())
    config: Any = SimpleNamespace(log=LogSettings(bench.settings.log.folder))
    ((stamped, stamp),) = node_log._stamped(config, "r-2")
    assert stamped.message_id == "m-2"
    assert stamp is not None
    held = asic.read(asic.container(stamped, stamp))
    trust: Any = SimpleNamespace(shared=SimpleNamespace(timestamping=bench.approved))
    found = held.check_stamp(trust)
    assert found is not None
    ((_, none),) = node_log._stamped(config, "r-3")
    assert none is None
    assert list(node_log._stamped(config, "r-4")) == []
