"""Calls of the native path in the node's monitoring: records, counts and health as if each had been noted as an exchange."""

import asyncio
import random
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from kerege.exchange import opmon
from kerege.exchange.ids import ClientId
from kerege.exchange.opmon_query import OperationalQuery, Sight
from kerege.exchange.resttarget import parts_of
from kerege.node.telling import monitoring, opmonitor
from kerege.node.telling.monitoring import Monitor, Noted, NotedCalls
from kerege.node.telling.opmonitor import Packer, Store

pytest.importorskip(
    "kerege.exchange.lane.lines", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane.call import Call, Part, Way

NOW = 1_795_000_000
SERVICES = ("persons", "addresses", "pins")
WAYS = [
    Way(ClientId.parse("KG/GOV/70000003/admission"), parts_of(f"/r1/KG/GOV/7/pop/{name}")[0], b"c", name.encode())
    for name in SERVICES
]


def call_of(number: int, chance: random.Random) -> Call:
    way = WAYS[number % len(WAYS)]
    user = b"X-Road-Represented-Party:COM/42\r\n" if chance.random() < 0.1 else b""
    call = Call()
    call.way, call.verb, call.path = way, "POST", b"/x"
    call.message_id, call.request_id = b"KG-%d" % number, b"r-%d" % number
    call.request = Part(
        b"POST\r\n/r1/KG/GOV/7/pop/%b/x\r\n%bX-Road-Client:KG/GOV/70000003/admission\r\nx-road-id:KG-%d\r\n"
        b"x-road-request-id:r-%d\r\n" % (way.service_written, user, number, number),
        bytes(chance.randrange(100)),
    )
    call.answer, call.status = Part(b"200\r\nOK\r\n", bytes(chance.randrange(100))), chance.choice((200, 200, 204, 404))
    call.request_in = NOW * 1000 + number
    call.request_out, call.response_in = call.request_in + 1, call.request_in + 2
    call.response_out = call.request_in + chance.choice((2, 5, 6, 19, 400, 11_000))
    if chance.random() < 0.1:
        call.response_in = call.response_out = call.status = 0
        call.answer = None  # type: ignore[assignment]
        call.exchange = opmon.exchange_of(call, *SAID)
        call.exchange.fault_code, call.exchange.response_out = "Server.x", call.request_in + 3
    return call


SAID = (opmon.PRODUCER, "127.0.0.1", "peer.example", "127.0.0.3", None)


class Kept:
    """A monitor with a store, and everything that is known of what was noted."""

    def __init__(self, folder: Path, **said: Any) -> None:
        self.file, self.records = folder / "monitoring.jsonl", folder / "monitoring.db"
        self.store = Store(self.records, 7, lambda: NOW)
        self.given: list[Noted | NotedCalls] = []
        self.monitor = Monitor(self.file, monitoring.together(self.store.keep, self.given.extend), **said)

    def end(self) -> dict[str, Any]:
        monitor = self.monitor
        monitor.close()
        self.store.close()
        with sqlite3.connect(self.records) as database:
            blocks = database.execute("SELECT first, last, records, lines FROM blocks ORDER BY id").fetchall()
        self.seconds = {by: round(one.seconds, 6) for by, one in monitor.totals.by_outcome.items()}
        return {
            "file": self.file.read_bytes(),
            "since": monitor.since(0),
            "counts": (monitor.succeeded, monitor.failed, monitor.failed_writes),
            "faults": monitor.totals.by_fault,
            "totals": {by: (one.buckets, one.bytes_in, one.bytes_out) for by, one in monitor.totals.by_outcome.items()},
            "seconds": self.seconds,
            "health": etree.tostring(self.store.health.response((NOW + 20) * 1000, None)),
            "stored": b"".join(zlib.decompress(packed) for *_, packed in blocks),
            "records": sum(records for _, _, records, _ in blocks),
        }


def note_all(kept: Kept, calls: list[Call], most: int) -> None:
    for at in range(0, len(calls), most):
        kept.monitor.note_calls(calls[at : at + most], *SAID)


@pytest.mark.parametrize("most", [1, 24, 600])
@pytest.mark.parametrize("exchanges", [False, True])
def test_calls_are_kept_and_counted_as_their_exchanges_are(tmp_path: Path, most: int, *, exchanges: bool) -> None:
    chance = random.Random(most)
    calls = [call_of(number, chance) for number in range(700)]

    async def main() -> None:
        one_by_one, together = Kept(tmp_path / "one"), Kept(tmp_path / "all", exchanges=exchanges)
        together.store.health.started_ms = one_by_one.store.health.started_ms
        for call in calls:
            one_by_one.monitor.note(opmon.exchange_of(call, *SAID))
        note_all(together, calls, most)
        expected, found = one_by_one.end(), together.end()
        for name, value in expected.items():
            assert found[name] == value, name
        assert expected["records"] == 700
        assert len(expected["faults"]) == 1
        assert any(isinstance(one, NotedCalls) for one in together.given) is not exchanges

    asyncio.run(main())


def test_calls_and_exchanges_stay_in_the_order_they_were_noted_in(tmp_path: Path) -> None:
    chance = random.Random(1)
    calls = [call_of(number, chance) for number in range(200)]

    async def main() -> None:
        kept = Kept(tmp_path)
        for at in range(0, 200, 2):
            kept.monitor.note(opmon.exchange_of(calls[at], *SAID))
            kept.monitor.note_calls([calls[at + 1]], *SAID)
        assert kept.given == []
        for _ in range(50):
            await asyncio.sleep(0.02)
            if kept.given:
                break
        assert [record["messageId"] for record in kept.monitor.since(0)] == [f"KG-{number}" for number in range(200)]
        kept.end()

    asyncio.run(main())


def test_where_nothing_is_compiled_calls_are_noted_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "native", None)
    chance = random.Random(2)
    calls = [call_of(number, chance) for number in range(30)]

    async def main() -> None:
        kept = Kept(tmp_path)
        note_all(kept, calls, 24)
        assert kept.end()["file"] == b"".join(opmon.line(opmon.exchange_of(call, *SAID)) for call in calls)
        assert all(isinstance(one, Noted) for one in kept.given)

    asyncio.run(main())


def test_lines_for_which_there_is_no_room_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerege.node.telling.opmonitor._MOST_WAITING", 10)
    monkeypatch.setattr("kerege.node.telling.opmonitor._WRITE_SECONDS", 30.0)
    chance = random.Random(3)

    async def main() -> None:
        kept = Kept(tmp_path)
        note_all(kept, [call_of(number, chance) for number in range(25)], 25)
        found = kept.end()
        assert (kept.store.dropped, found["records"]) == (15, 10)

    asyncio.run(main())


def test_blocks_of_lines_that_are_alike_are_packed_natively_and_others_by_zlib() -> None:
    chance = random.Random(4)
    calls = [call_of(number, chance) for number in range(0, 3000, 3)]
    alike = [opmon.line(opmon.exchange_of(call, *SAID)) for call in calls if call.exchange is None]
    unlike = [chance.randbytes(200).hex().encode() + b"\n" for _ in range(100)]
    packer, by_zlib = Packer(), zlib.compress(b"".join(alike), 1)
    packed = packer.pack(alike)
    assert zlib.decompress(packed) == b"".join(alike)
    assert packed != by_zlib
    assert len(packed) < 1.2 * len(by_zlib)
    assert packer.pack(alike[:10]) == zlib.compress(b"".join(alike[:10]), 1)  # too few
    assert packer.pack(unlike) == zlib.compress(b"".join(unlike), 1)
    for _ in range(opmonitor._PAUSE):  # it is not tried again for a while
        assert packer.pack(alike) == by_zlib
    assert packer.pack(alike) == packed


def test_records_are_found_however_their_block_was_packed(tmp_path: Path) -> None:
    chance = random.Random(5)
    calls = [call_of(number, chance) for number in range(0, 600, 3)]

    async def main() -> None:
        kept = Kept(tmp_path)
        note_all(kept, calls, 24)
        found = kept.end()
        store = Store(kept.records, 7, lambda: NOW + 100)
        lines = store.find(OperationalQuery(NOW, NOW + 50), Sight(None)).lines
        assert store.find(OperationalQuery(NOW - 50, NOW - 1), Sight(None)).lines == []
        store.close()
        assert sorted(lines) == sorted(found["stored"].splitlines())
        assert len(lines) == len(calls)

    asyncio.run(main())
