"""The kept records: written aside, found again by seconds, whole seconds or none, gone after their days, never lost to damage."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange.ids import ClientId
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.opmon_query import OperationalQuery, Sight
from kerege.node.telling import opmonitor
from kerege.node.telling.monitoring import Monitor, Noted
from kerege.node.telling.opmonitor import Store

NOW = 1_795_000_000
EVERYTHING = Sight(None)


def noted(second: int, name: str = "m", client: str = "admission") -> Noted:
    entry = {
        "monitoringDataTs": second,
        "messageId": name,
        "clientXRoadInstance": "KG",
        "clientMemberClass": "GOV",
        "clientMemberCode": "70000003",
        "clientSubsystemCode": client,
    }
    return Noted(Exchange(PRODUCER, second * 1000), True, orjson.dumps(entry) + b"\n")


def written(store: Store, file: Path, count: int) -> None:
    """Wait until `count` records are on disk."""
    for _ in range(500):
        with sqlite3.connect(file) as database:
            (found,) = database.execute("SELECT COALESCE(SUM(records), 0) FROM blocks").fetchone()
        if found >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{found} of {count} records were written: {store.failure}")


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are written at once, not within a second."""
    monkeypatch.setattr(opmonitor, "_WRITE_SECONDS", 0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opmonitor.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    made = Store(file, 7, lambda: NOW)
    yield made
    made.close()


def names(lines: list[bytes]) -> list[str]:
    return [orjson.loads(line)["messageId"] for line in lines]


def test_both_ends_are_inclusive_and_the_newest_minute_is_withheld(store: Store, file: Path) -> None:
    store.keep([noted(NOW - 100, "a"), noted(NOW - 90, "b"), noted(NOW - 60, "c"), noted(NOW - 59, "d")])
    written(store, file, 4)
    assert names(store.find(OperationalQuery(NOW - 100, NOW - 90), EVERYTHING).lines) == ["a", "b"]
    found = store.find(OperationalQuery(NOW - 90, NOW), EVERYTHING)
    assert names(found.lines) == ["b", "c"]
    assert found.next_from == NOW - 59, "the next question begins where this one had to end"


def test_a_long_answer_ends_at_a_whole_second_and_the_next_one_goes_on_there(store: Store, file: Path) -> None:
    store.keep([noted(NOW - 200 + n // 3, str(n)) for n in range(20)])
    written(store, file, 20)
    begin, collected = 0, []
    while True:
        found = store.find(OperationalQuery(begin, NOW - 100), EVERYTHING, most=7)
        assert len(found.lines) <= 7
        collected += names(found.lines)
        if found.next_from is None:
            break
        begin = found.next_from
    assert collected == [str(n) for n in range(20)]


def test_a_second_with_more_records_than_an_answer_holds_is_given_whole(store: Store, file: Path) -> None:
    store.keep([noted(NOW - 100, str(n)) for n in range(9)] + [noted(NOW - 99, "after")])
    written(store, file, 10)
    found = store.find(OperationalQuery(0, NOW - 90), EVERYTHING, most=5)
    assert (len(found.lines), found.next_from) == (9, NOW - 99)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=6),
    most=st.integers(1, 8),
)
def test_going_on_from_answer_to_answer_gives_every_record_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], most: int
) -> None:
    file = tmp_path_factory.mktemp("op") / "o.db"
    store = Store(file, 7, lambda: NOW)
    expected = []
    try:
        with sqlite3.connect(file) as database:
            for number, batch in enumerate(batches):
                block = [noted(NOW - 500 + second, f"{number}.{i}").line for i, second in enumerate(batch)]
                expected += names(block)
                store._write(database, block)
            database.commit()
        begin, collected = 0, []
        for _ in range(100):
            found = store.find(OperationalQuery(begin, NOW - 100), EVERYTHING, most=most)
            collected += names(found.lines)
            if found.next_from is None:
                break
            assert found.next_from > begin
            begin = found.next_from
        assert sorted(collected) == sorted(expected)
    finally:
        store.close()


def test_who_took_no_part_finds_nothing(store: Store, file: Path) -> None:
    store.keep([noted(NOW - 100, "own"), noted(NOW - 100, "other", client="emis")])
    written(store, file, 2)
    sight = Sight(ClientId.parse("KG/GOV/70000003/admission"))
    assert names(store.find(OperationalQuery(0, NOW), sight).lines) == ["own"]


def test_records_past_their_days_go_and_the_others_stay(file: Path) -> None:
    day = 86_400
    store = Store(file, 7, lambda: NOW - 10 * day)
    store.keep([noted(NOW - 8 * day, "old")])
    written(store, file, 1)
    store.keep([noted(NOW - 6 * day, "young")])
    store.close()
    again = Store(file, 7, lambda: NOW)
    try:
        for _ in range(100):
            if names(again.find(OperationalQuery(0, NOW), EVERYTHING).lines) == ["young"]:
                break
            time.sleep(0.05)
        assert names(again.find(OperationalQuery(0, NOW), EVERYTHING).lines) == ["young"]
    finally:
        again.close()


def test_a_damaged_file_is_set_aside_and_records_go_on(file: Path) -> None:
    file.write_bytes(b"this is no database" * 100)
    store = Store(file, 7, lambda: NOW)
    store.keep([noted(NOW - 100, "new")])
    written(store, file, 1)
    store.close()
    (aside,) = file.parent.glob("opmonitor.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_records_wait_while_the_disk_refuses(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(file, 7, lambda: NOW)
    real = Store._write

    def refused(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "_write", refused)
    store.keep([noted(NOW - 100, "kept")])
    for _ in range(100):
        if store.failure:
            break
        time.sleep(0.05)
    assert "full" in (store.failure or "")
    monkeypatch.setattr(Store, "_write", real)
    written(store, file, 1)
    assert store.dropped == 0
    store.close()
    assert store.failure is None


def test_what_waits_is_written_at_the_end_and_the_file_is_the_nodes_own(file: Path) -> None:
    store = Store(file, 7, lambda: NOW)
    store.keep([noted(NOW - 100)])
    store.close()
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT SUM(records) FROM blocks").fetchone() == (1,)
    assert file.stat().st_mode & 0o777 == 0o600


def test_noting_an_exchange_makes_nothing_of_it_yet(tmp_path: Path) -> None:
    async def main() -> None:
        kept: list[Noted] = []
        monitor = Monitor(tmp_path / "m.jsonl", kept.extend)
        for _ in range(300):
            monitor.note(Exchange(PRODUCER, 1_000, response_out=1_020, status=200, fault_code=None))
        assert (monitor.succeeded, kept, monitor.since(0)) == (0, [], [])
        await asyncio.sleep(0.5)
        assert (monitor.succeeded, len(kept), len(monitor.since(0))) == (300, 300, 300)
        total = monitor.totals.by_outcome[(PRODUCER, True)]
        assert (total.buckets[1], sum(total.buckets)) == (300, 300)
        monitor.close()
        assert len((tmp_path / "m.jsonl").read_bytes().splitlines()) == 300

    asyncio.run(main())


def test_fault_codes_that_strangers_invent_do_not_fill_the_memory(tmp_path: Path) -> None:
    async def main() -> None:
        monitor = Monitor(tmp_path / "m.jsonl")
        for number in range(1000):
            monitor.note(Exchange(PRODUCER, 1_000, response_out=1_001, fault_code=f"x.{number}"))
        monitor.flush()
        assert len(monitor.totals.by_fault) == 257
        assert monitor.totals.by_fault[(PRODUCER, "other")] == 744
        monitor.close()

    asyncio.run(main())
