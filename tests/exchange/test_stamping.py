import hashlib
from datetime import timedelta
from pathlib import Path

from kerege.exchange import messagelog, stamping, tschain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import Entry, LogWriter
from kerege.exchange.stamping import StampingClock
from kerege.exchange.timestamps import Stamp

from .conftest import NOW

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SECOND = timedelta(seconds=1)


def entry(number: int, signature: bytes) -> Entry:
    record = LogRecord(NOW, "request", "client", "m", "r", CLIENT, SERVICE, b"GET", None, signature, None)
    return Entry(Path("segment"), 512, number, record)


def test_records_of_one_signature_are_one_leaf() -> None:
    batch = stamping.next_batch([entry(4, b"a"), entry(5, b"a"), entry(6, b"b")])
    assert batch is not None
    assert (batch.first, batch.last) == (4, 6)
    assert batch.leaves == tuple(hashlib.sha512(one).digest() for one in (b"a", b"b"))
    assert batch.result == tschain.Tree(batch.leaves).result


def test_what_the_log_says_of_its_signatures_gives_the_batch_its_records_give(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    signatures = [b"<signature %d/>" % n for n in range(4)]
    records = [entry(n, signatures[n // 3]).record for n in range(12)]
    writer.append_records([one for one in records[:5] if isinstance(one, LogRecord)])
    first = stamping.next_batch(messagelog.entries(tmp_path))
    assert first is not None
    writer.append_stamp(first.record(b"token", Stamp(NOW, "TSA")))
    writer.append_records([one for one in records[5:] if isinstance(one, LogRecord)])
    writer.close()
    for begin in range(14):
        for most in (1, 2, 3, 100):
            made = stamping.next_batch(messagelog.signed(tmp_path, None, begin), most)
            assert made == stamping.next_batch(messagelog.entries(tmp_path, None, begin), most), (begin, most)
    assert len(list(messagelog.signed(tmp_path))) == 5


def test_a_batch_ends_before_the_signature_that_is_too_many() -> None:
    batch = stamping.next_batch([entry(n, b"%d" % (n // 2)) for n in range(10)], most=3)
    assert batch is not None
    assert (batch.first, batch.last, len(batch.leaves)) == (0, 5, 3)


def test_stamps_themselves_are_not_stamped() -> None:
    batch = stamping.next_batch([entry(0, b"a")])
    assert batch is not None
    stamp = Entry(Path("segment"), 0, 1, batch.record(b"token", Stamp(NOW, "TSA")))
    assert stamping.next_batch([stamp]) is None
    assert stamping.next_batch([]) is None


def test_a_stamp_record_comes_back_from_the_log_as_it_was(tmp_path: Path) -> None:
    batch = stamping.next_batch([entry(n, b"%d" % n) for n in range(3)])
    assert batch is not None
    made = batch.record(b"token", Stamp(NOW, "TSA"))
    writer = LogWriter(tmp_path)
    writer.append_stamp(made)
    writer.close()
    assert [one.record for one in messagelog.entries(tmp_path)] == [made]
    assert list(messagelog.read(tmp_path)) == []


def test_waiting_is_acceptable_to_its_last_second_and_refused_after() -> None:
    clock = StampingClock(60)
    assert clock.refusal(NOW) is None
    clock.note(0, NOW)
    clock.note(7, NOW + 30 * SECOND)
    assert clock.oldest == NOW
    assert clock.refusal(NOW + 60 * SECOND) is None
    clock.problem = "no authority answered"
    refusal = clock.refusal(NOW + 61 * SECOND)
    assert refusal is not None
    assert (refusal.params["waited"], refusal.params["acceptable"]) == (61, 60)
    assert "no authority answered" in refusal.text
    clock.stamped(0)
    assert clock.oldest == NOW + 30 * SECOND
    assert clock.refusal(NOW + 61 * SECOND) is None
    clock.stamped(7)
    assert clock.oldest is None


def test_records_of_one_second_are_remembered_together_by_their_first_time() -> None:
    clock = StampingClock(60)
    for number in range(1000):
        clock.note(number, NOW + number * SECOND / 2000)
    assert clock.oldest == NOW
    clock.stamped(998)
    assert clock.oldest == NOW, "never later than the truth"
    clock.stamped(999)
    assert clock.oldest is None
