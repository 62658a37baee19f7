"""Sealing: who waits together is signed and logged together, and one's trouble is nobody else's."""

import asyncio
import functools
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange import messagelog, multipart
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import LogFailed, LogFull
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signer
from kerege.exchange.xades_verify import verify
from kerege.ground.errors import KeregeError
from kerege.node.log.commit import CommitLog
from kerege.node.message import REST, Asked, Message
from kerege.node.sealing import MOST_TOGETHER, Item, Sealing

NOW = datetime.now(UTC)
CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
AUTHORITY = TestAuthority.create("KG", NOW, "ec")


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def signer(member: str = "KG/GOV/70000003") -> Signer:
    pair = AUTHORITY.sign_certificate(MemberId.parse(member), "Member", "node", NOW, "ec")
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([AUTHORITY.ocsp_response(pair.certificate, NOW + timedelta(seconds=1))])
    return made


def message(number: int) -> Message:
    return Message(multipart.REST_REQUEST, b"GET /%d" % number)


def asked(number: int) -> Asked:
    return Asked(REST, CLIENT, SERVICE, None, f"m-{number}", f"r-{number}", "GET", "/")


def record(item: Item, now: datetime) -> LogRecord:
    assert item.signed is not None
    signed, one = item.signed, item.asked
    return LogRecord(
        now, "request", "client", one.message_id, one.request_id, one.client, one.service,
        item.message.content, None, signed.xml, signed.chain,
    )  # fmt: skip


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.groups: list[list[Item]] = []
        self.problems: list[KeregeError] = []

    def sealed(self, items: Sequence[Item]) -> None:
        self.groups.append(list(items))

    def failed(self, items: Sequence[Item], problem: KeregeError) -> None:
        self.problems += [problem] * len(items)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.005)


def ids(folder: Path) -> list[str]:
    return [one.message_id for _, _, one in messagelog.read(folder)]


@on_loop
async def test_what_waits_together_has_one_signature_that_holds_for_each_and_is_on_disk_before_it_leaves(
    tmp_path: Path,
) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key, sink = Sealing(log, lambda: NOW), signer(), Kept()

    class Leaves(Kept):
        def sealed(self, items: Sequence[Item]) -> None:
            assert {item.asked.message_id for item in items} <= set(ids(tmp_path))
            super().sealed(items)

    sink = Leaves()
    for number in range(20):
        sealing.submit(Item(key, message(number), asked(number), record, sink, number))
    await until(lambda: len(sink.groups) == 1)
    assert [item.tag for item in sink.groups[0]] == list(range(20))
    assert (sealing.rounds, sealing.signatures, sealing.messages) == (1, 1, 20)
    for item in sink.groups[0]:
        assert item.signed is not None
        verify(item.signed.xml, Digest(SHA512, item.digests[0]), (), item.signed.chain)
    assert hashlib.sha512(b"GET /3").digest() == sink.groups[0][3].digests[0]
    await asyncio.to_thread(log.close)


@on_loop
async def test_groups_have_a_limit_and_keys_and_connections_are_not_mixed(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, one, two, first, second = Sealing(log, lambda: NOW), signer(), signer("KG/GOV/70000002"), Kept(), Kept()
    for number in range(MOST_TOGETHER + 5):
        sealing.submit(Item(one, message(number), asked(number), record, first, number))
    sealing.submit(Item(two, message(1000), asked(1000), record, first, 1000))
    sealing.submit(Item(one, message(1001), asked(1001), record, second, 1001))
    await until(lambda: len(first.groups) == 3 and len(second.groups) == 1)
    assert sorted(len(group) for group in first.groups) == [1, 5, MOST_TOGETHER]
    for group in (*first.groups, *second.groups):
        assert len({id(item.signer) for item in group}) == 1
    await asyncio.to_thread(log.close)


@on_loop
async def test_without_batches_every_message_has_a_signature_of_its_own(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key = Sealing(log, lambda: NOW, batch=False), signer()
    signed = await asyncio.gather(*(sealing.seal(key, message(n), asked(n), record) for n in range(5)))
    assert len({one.xml for one in signed}) == 5
    assert sealing.signatures == 5
    await asyncio.to_thread(log.close)


@on_loop
async def test_a_key_that_does_not_sign_fails_its_own_messages_only(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, good, bad = Sealing(log, lambda: NOW), signer(), signer("KG/GOV/70000002")
    bad.sign_batch = lambda *_: (_ for _ in ()).throw(OSError("the token is gone"))  # type: ignore[method-assign]
    outcome = await asyncio.gather(
        sealing.seal(good, message(1), asked(1), record),
        sealing.seal(bad, message(2), asked(2), record),
        sealing.seal(good, message(3), asked(3), record),
        return_exceptions=True,
    )
    assert isinstance(outcome[1], LogFailed)
    assert not isinstance(outcome[0], BaseException)
    assert not isinstance(outcome[2], BaseException)
    assert sorted(ids(tmp_path)) == ["m-1", "m-3"]
    await asyncio.to_thread(log.close)


@on_loop
async def test_when_the_log_takes_nothing_nothing_leaves_and_it_goes_on_when_it_does_again(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key, sink = Sealing(log, lambda: NOW), signer(), Kept()
    log.guards.append(lambda: LogFull(folder=tmp_path, free=0, least=1))
    for number in range(3):
        sealing.submit(Item(key, message(number), asked(number), record, sink, number))
    await until(lambda: len(sink.problems) == 3)
    assert sink.groups == []
    assert all(isinstance(problem, LogFull) for problem in sink.problems)
    log.guards.clear()
    await sealing.seal(key, message(9), asked(9), record)
    assert ids(tmp_path) == ["m-9"]
    await asyncio.to_thread(log.close)


@on_loop
async def test_a_connection_that_cannot_be_told_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key, well = Sealing(log, lambda: NOW), signer(), Kept()

    class Broken(Kept):
        def sealed(self, items: Sequence[Item]) -> None:
            raise RuntimeError("broken")

        failed = sealed  # type: ignore[assignment]

    sealing.submit(Item(key, message(1), asked(1), record, Broken(), 1))
    sealing.submit(Item(key, message(2), asked(2), record, well, 2))
    await until(lambda: len(well.groups) == 1)
    await sealing.seal(key, message(3), asked(3), record)
    await asyncio.to_thread(log.close)


@on_loop
async def test_one_who_gives_up_waiting_changes_nothing_for_the_others(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key = Sealing(log, lambda: NOW), signer()
    waits = [asyncio.ensure_future(sealing.seal(key, message(n), asked(n), record)) for n in range(3)]
    await asyncio.sleep(0)
    waits[1].cancel()
    outcome = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(outcome[1], asyncio.CancelledError)
    assert not isinstance(outcome[0], BaseException)
    assert not isinstance(outcome[2], BaseException)
    await asyncio.to_thread(log.close)


@on_loop
async def test_big_messages_are_sealed_in_rounds_that_memory_can_hold(tmp_path: Path) -> None:
    log = CommitLog(LogWriter(tmp_path))
    sealing, key, sink = Sealing(log, lambda: NOW), signer(), Kept()
    for number in range(6):
        big = message(number)
        big.attachments = (Attachment((), bytes(7 * 2**20)),)
        sealing.submit(Item(key, big, asked(number), record, sink, number))
    await until(lambda: sum(len(group) for group in sink.groups) == 6)
    assert [[item.tag for item in group] for group in sink.groups] == [[0, 1], [2, 3], [4, 5]]
    await asyncio.to_thread(log.close)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_messages_that_come_while_a_round_runs_are_the_next_round(tmp_path: Path, count: int) -> None:
    async def run() -> None:
        log = CommitLog(LogWriter(tmp_path))
        sealing, key, sink = Sealing(log, lambda: NOW), signer(), Kept()
        for turn in range(count):
            sealing.submit(Item(key, message(turn), asked(turn), record, sink, turn))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await until(lambda: sum(len(group) for group in sink.groups) == count)
        assert [item.tag for group in sink.groups for item in group] == list(range(count))
        await asyncio.to_thread(log.close)

    asyncio.run(run())
