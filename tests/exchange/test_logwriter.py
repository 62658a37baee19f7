"""The writer under faults: batches, encryption, cuts at every byte, a disk that fills."""

import errno
import hashlib
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import logfolder, logframes, logwriter, messagelog
from kerege.exchange.errors import LogDamaged, LogFailed, LogKeyWrong
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logcrypt import LogKey, SegmentCipher
from kerege.exchange.logrecord import LogRecord, microseconds
from kerege.exchange.messagelog import LogWriter

from .conftest import NOW

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
KEY, OTHER = LogKey(b"k" * 32), LogKey(b"o" * 32)
SIGNATURE, RESULT = b"<signature/>" * 5, b"<result/>" * 3


@pytest.fixture(autouse=True)
def a_little_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few zeros ahead: the many logs of these tests need no megabytes."""
    monkeypatch.setattr(logwriter, "_FILL", 8192)


def record(number: int, size: int = 30, signature: bytes = SIGNATURE) -> LogRecord:
    body = b"%d-" % number + b"b" * size
    return LogRecord(
        NOW + timedelta(microseconds=number), "request", "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE,
        b"GET\r\n/%d\r\n" % number, body, signature, HashChain(RESULT, b"<chain %d/>" % number),
        attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


def fill(folder: Path, batches: list[list[LogRecord]], key: LogKey | None = None, **options: int) -> None:
    writer = LogWriter(folder, key=key, **options)
    for batch in batches:
        writer.append_records(batch)
    writer.close()


def found(folder: Path, key: LogKey | None = None) -> list[LogRecord]:
    return [one for _, _, one in messagelog.read(folder, key)]


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def key(request: pytest.FixtureRequest) -> LogKey | None:
    return request.param


def test_a_batch_is_one_frame_and_what_its_records_share_is_there_once(tmp_path: Path) -> None:
    batch = [record(n) for n in range(16)]
    fill(tmp_path, [batch])
    assert found(tmp_path) == batch
    (placed,) = logfolder.follow(tmp_path, [])
    assert placed.frame.records == 16
    data = placed.path.read_bytes()
    assert (data.count(SIGNATURE), data.count(RESULT)) == (1, 1)
    back = found(tmp_path)
    assert all(one.signature is back[0].signature for one in back)


def test_records_of_different_kinds_come_back_as_they_were(tmp_path: Path, key: LogKey | None) -> None:
    soap = replace(record(1), kind="SOAP", body=None, attachment_digests=(b"1" * 64, b"2" * 64))
    bare = replace(record(2), body=None, chain=None, attachment_digests=())
    empty = replace(record(3), body=b"")
    fill(tmp_path, [[soap, bare], [empty]], key)
    assert found(tmp_path, key) == [soap, bare, empty]


def whole_log(folder: Path, key: LogKey | None) -> tuple[bytes, list[tuple[int, int]]]:
    """A small log's one segment; after which of its bytes how many records are whole."""
    fill(folder, [[record(0)], [record(1), record(2)], [record(3)]], key)
    (segment,) = folder.glob("segment-*.log")
    data = segment.read_bytes()
    ends = [data.rfind(b"\nKRG", one.frame.offset, one.frame.end) + 4 for one in logfolder.follow(folder, [])]
    return data, list(zip([1, 3, 4], ends, strict=True))


@pytest.mark.parametrize("zeros", [0, 3000])
def test_a_cut_at_every_byte_is_told_from_damage_without_the_key(
    tmp_path: Path, key: LogKey | None, zeros: int
) -> None:
    data, ends = whole_log(tmp_path, key)
    for cut in range(len(data) + 1):
        cut_data, records, stopped = data[:cut] + bytes(zeros), 0, None
        try:
            start = logframes.read_start(cut_data, bytes(32))
            for frame in logframes.frames(cut_data, start):
                records += frame.records
        except logframes.Stopped as stop:
            stopped = stop
        assert records == max((count for count, end in ends if end <= cut), default=0), cut
        assert stopped is None or not stopped.damage, cut


@pytest.mark.parametrize("zeros", [0, 3000])
def test_a_log_cut_anywhere_keeps_what_was_whole_and_goes_on(tmp_path: Path, key: LogKey | None, zeros: int) -> None:
    data, ends = whole_log(tmp_path / "whole", key)
    for cut in sorted({*range(0, len(data), 97), *(end + by for _, end in ends for by in (-1, 0))}):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / logfolder.name(1)).write_bytes(data[:cut] + bytes(zeros))
        survivors = max((count for count, end in ends if end <= cut), default=0)
        fill(folder, [[record(9)]], key)
        back = [one.message_id for one in found(folder, key)]
        assert back == [*(f"m-{n}" for n in range(survivors)), "m-9"], cut


def test_whole_sectors_that_never_reached_the_disk_are_a_crash_not_damage(tmp_path: Path, key: LogKey | None) -> None:
    fill(tmp_path, [[record(0)], [record(1, 5000)]], key)
    segment = next(tmp_path.glob("segment-*.log"))
    whole = segment.read_bytes()
    last = [placed.frame.offset for placed in logfolder.follow(tmp_path, [])][-1]
    for sector in range(last, len(whole), logframes.SECTOR):
        segment.write_bytes(whole[:sector] + bytes(logframes.SECTOR) + whole[sector + logframes.SECTOR :])
        for left in tmp_path.glob("segment-*.log"):
            if left != segment:
                left.unlink()
        writer = LogWriter(tmp_path, key=key)
        assert writer.recovered is not None, sector
        writer.close()
        assert [one.message_id for one in found(tmp_path, key)] == ["m-0"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_in_an_encrypted_log_is_damage(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    fill(folder, [[record(0)], [record(1), record(2)]], KEY)
    segment = next(folder.glob("segment-*.log"))
    whole = bytearray(segment.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    segment.write_bytes(whole)
    with pytest.raises(LogDamaged):
        LogWriter(folder, key=KEY)
    with pytest.raises(LogDamaged):
        found(folder, KEY)


# --- encryption at rest ---


def test_an_encrypted_log_shows_nothing_and_opens_only_with_its_key(tmp_path: Path) -> None:
    batch = [record(n) for n in range(3)]
    fill(tmp_path, [batch], KEY)
    data = next(tmp_path.glob("segment-*.log")).read_bytes()
    assert b"admission" not in data
    assert SIGNATURE[:20] not in data
    assert KEY.secret not in data
    assert found(tmp_path, KEY) == batch
    with pytest.raises(LogKeyWrong, match="no key is given"):
        found(tmp_path)
    with pytest.raises(LogKeyWrong, match="another key"):
        found(tmp_path, OTHER)
    assert messagelog.head(tmp_path)[0] == 3, "the chain is checked without the key"


def test_a_log_may_change_between_plain_and_encrypted_and_to_a_new_key(tmp_path: Path) -> None:
    for number, used in enumerate([None, KEY, None, KEY]):
        fill(tmp_path, [[record(number)]], used)
    assert [one.message_id for one in found(tmp_path, KEY)] == ["m-0", "m-1", "m-2", "m-3"]


def test_no_counter_is_used_twice_with_one_segment_key(tmp_path: Path) -> None:
    used: set[tuple[bytes, int]] = set()
    for number in range(4):
        fill(tmp_path, [[record(number)], [record(number + 10)]], KEY)
    for placed in logfolder.follow(tmp_path, []):
        pair = (placed.start.salt, placed.frame.number)
        assert pair not in used
        used.add(pair)
    assert len(used) == 8


def test_a_frame_put_in_another_place_does_not_open(tmp_path: Path) -> None:
    fill(tmp_path, [[record(0)]], KEY)
    (placed,) = logfolder.follow(tmp_path, [])
    moved = replace(placed, frame=replace(placed.frame, before=b"x" * 32))
    with pytest.raises(LogDamaged, match="does not open"):
        moved.payload(KEY)


def test_a_key_is_32_bytes_in_base64_and_does_not_show_in_its_text() -> None:
    assert LogKey.parse("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n") == KEY
    assert "kkkk" not in repr(KEY)
    for bad in ("a2s=", "not base64!", ""):
        with pytest.raises(LogKeyWrong, match="32 bytes in base64"):
            LogKey.parse(bad)
    with pytest.raises(ValueError, match="32 bytes"):
        LogKey(b"short")


# --- the first format ---


def test_segments_of_the_first_format_are_read_and_gone_on_from(tmp_path: Path) -> None:
    import zlib

    link, data = bytes(32), struct.pack("<8s32s", b"KRGLOG1\n", bytes(32))
    for number in range(3):
        one = record(number)
        assert one.body is not None
        assert one.chain is not None
        blobs = [one.message, one.body, one.signature, one.chain.result, one.chain.chain]
        head = orjson.dumps(
            {
                "t": int(one.time.timestamp() * 1_000_000), "d": "request", "s": "client", "id": one.message_id,
                "rid": one.request_id, "c": str(CLIENT), "sv": str(SERVICE), "n": [len(blob) for blob in blobs],
            }
        )  # fmt: skip
        payload = struct.pack("<I", len(head)) + head + b"".join(blobs)
        link = hashlib.sha256(link + payload).digest()
        data += struct.pack("<II32s", len(payload), zlib.crc32(payload), link) + payload
    (tmp_path / logfolder.name(1)).write_bytes(data + bytes(4000))
    assert [one.message_id for one in found(tmp_path)] == ["m-0", "m-1", "m-2"]
    assert found(tmp_path)[1].attachment_digests == record(1).attachment_digests
    fill(tmp_path, [[record(3)]])
    fill(tmp_path, [[record(4)]])
    assert [one.message_id for one in found(tmp_path)] == [f"m-{n}" for n in range(5)]
    assert messagelog.head(tmp_path)[0] == 5
    assert [entry.number for entry in messagelog.entries(tmp_path)] == list(range(5))


def second_format(batch: list[LogRecord]) -> bytes:
    """A batch as the second format had it: every hash chain file as it stands, everything in one head of JSON."""
    lengths: list[int] = []
    blobs: list[bytes] = []

    def put(blob: bytes | None) -> int:
        if blob is None:
            return -1
        lengths.append(len(blob))
        blobs.append(blob)
        return len(blobs) - 1

    rows = [
        [
            microseconds(one.time), one.direction, one.side, one.message_id, one.request_id, str(one.client),
            str(one.service), one.kind, put(one.message), put(one.body), put(one.signature),
            put(one.chain and one.chain.result), put(one.chain and one.chain.chain), put(b"".join(one.attachment_digests)),
        ]
        for one in batch
    ]  # fmt: skip
    head = orjson.dumps({"v": 2, "n": lengths, "r": rows})
    return struct.pack("<I", len(head)) + head + b"".join(blobs)


def test_batches_of_the_second_format_are_read_beside_the_present_one(tmp_path: Path, key: LogKey | None) -> None:
    old = [record(0), replace(record(1), chain=None, body=None), record(2)]
    writer = LogWriter(tmp_path, key=key)
    writer.append([second_format(old)])
    writer.append_records([record(3)])
    writer.close()
    assert found(tmp_path, key) == [*old, record(3)]


# --- a disk that fills or fails ---


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Make the n-th next call of an os function used by the writer fail as a full disk does, after half of the work."""

    def arrange(name: str, after: int) -> None:
        real, left = getattr(os, name), [after]

        def call(descriptor: int, *rest: object) -> object:
            left[0] -= 1
            if left[0] == -1:
                if name == "pwrite":
                    data, at = rest
                    real(descriptor, bytes(data)[: len(data) // 2], at)  # type: ignore[arg-type,call-overload]
                raise OSError(28, "No space left on device")
            return real(descriptor, *rest)

        monkeypatch.setattr(logwriter.os, name, call)

    return arrange


@pytest.mark.parametrize("name", ["pwrite", "fdatasync", "fsync", "ftruncate", "write", "rename"])
def test_whichever_call_fails_nothing_acknowledged_is_lost_and_nothing_refused_is_there(
    tmp_path: Path, failing: Callable[[str, int], None], key: LogKey | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for after in range(7):
        folder = tmp_path / f"after-{after}"
        writer = LogWriter(folder, segment_bytes=6000, key=key)
        acknowledged: list[str] = []
        refusals: set[object] = set()
        failing(name, after)
        for number in range(12):
            try:
                writer.append_records([record(number, 700), record(number + 100)])
            except LogFailed as problem:
                refusals.add(problem.params["reason"])
                continue
            acknowledged += [f"m-{number}", f"m-{number + 100}"]
        monkeypatch.undo()
        assert refusals <= {"the disk is full"}
        assert [one.message_id for one in found(folder, key)] == acknowledged
        assert len(acknowledged) >= 20, "one failure costs at most the batch it fell on and one to recover"
        writer.close()
        fill(folder, [[record(50)]], key)
        assert [one.message_id for one in found(folder, key)] == [*acknowledged, "m-50"]


# --- a failure during the recovery from a failure ---


class Faults:
    """Makes the next call of each armed os function fail once, as a disk or a table of open files does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left: dict[str, int] = {}
        for name in ("open", "pwrite", "fdatasync", "fsync", "ftruncate", "write", "rename"):
            monkeypatch.setattr(logwriter.os, name, self._wrapped(name, getattr(os, name)))

    def arm(self, name: str, after: int) -> None:
        self._left[name] = after

    def disarm(self) -> None:
        self._left.clear()

    def _wrapped(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            if name in self._left and (name != "open" or str(given[0]).endswith(".new")):
                self._left[name] -= 1
                if self._left[name] < 0:
                    del self._left[name]
                    raise OSError(errno.EIO, "Input/output error")
            return real(*given, **named)

        return call


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, int]]:
    """Every use of a counter: the salt of the segment and the number of the frame."""
    uses: list[tuple[bytes, int]] = []

    class Watched(SegmentCipher):
        def __init__(self, key: LogKey, salt: bytes) -> None:
            super().__init__(key, salt)
            self.salt = salt

        def seal(self, number: int, link: bytes, payload: bytes) -> bytes:
            uses.append((self.salt, number))
            return super().seal(number, link, payload)

    monkeypatch.setattr(logwriter, "SegmentCipher", Watched)
    return uses


@pytest.mark.parametrize("before", [0, 1], ids=["an empty segment", "a segment with a record"])
@pytest.mark.parametrize("second", ["open", "write", "fsync", "rename", "ftruncate"])
@pytest.mark.parametrize("first", ["pwrite", "fdatasync"])
def test_a_recovery_that_fails_too_seals_nothing_in_the_dead_segment_and_succeeds_when_it_can(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sealed: list[tuple[bytes, int]],
    key: LogKey | None,
    first: str,
    second: str,
    before: int,
) -> None:
    for after in range(4):
        folder = tmp_path / f"after-{after}"
        writer = LogWriter(folder, key=key)
        for number in range(before):
            writer.append_records([record(number)])
        with monkeypatch.context() as patch:
            faults = Faults(patch)
            faults.arm(first, 1 if first == "pwrite" else 0)  # the first pwrite only fills ahead
            if first == "pwrite" and before:
                faults.arm(first, 0)
            with pytest.raises(LogFailed):
                writer.append_records([record(7, 900)])
            faults.disarm()
            faults.arm(second, after)
            accepted = [f"m-{number}" for number in range(before)]
            for number in (10, 11, 12):
                try:
                    writer.append_records([record(number, 900)])
                except LogFailed:
                    assert number == 10, "a single failure costs a single batch"
                    continue
                accepted.append(f"m-{number}")
        writer.append_records([record(13)])
        writer.close()
        assert [one.message_id for one in found(folder, key)] == [*accepted, "m-13"]
        fill(folder, [[record(14)]], key)
        assert found(folder, key)[-1].message_id == "m-14"
    assert len(set(sealed)) == len(sealed)
    assert bool(sealed) == (key is not None)


def test_a_recovery_that_goes_on_failing_fills_the_folder_with_no_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path, key=KEY)
    writer.append_records([record(0)])

    def refuses(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(logwriter.os, "fdatasync", refuses)
        with pytest.raises(LogFailed):
            writer.append_records([record(1)])
        patch.setattr(logwriter.os, "ftruncate", refuses)
        for _ in range(5):
            with pytest.raises(LogFailed):
                writer.append_records([record(2)])
        patch.setattr(logwriter.os, "write", refuses)
        for _ in range(5):
            with pytest.raises(LogFailed):
                writer.append_records([record(2)])
    assert len(list(tmp_path.glob("*torn*"))) == 1
    writer.append_records([record(3)])
    writer.close()
    assert len(list(tmp_path.glob("*torn*"))) == 1
    assert [one.message_id for one in found(tmp_path, KEY)] == ["m-0", "m-3"]


def test_whatever_stops_a_write_after_sealing_its_segment_is_sealed_in_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: list[tuple[bytes, int]]
) -> None:
    writer = LogWriter(tmp_path, key=KEY)
    writer.append_records([record(0)])

    def no_memory(*_: object) -> tuple[bytes, bytes]:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(logframes, "frame_bytes", no_memory)
        with pytest.raises(MemoryError):
            writer.append_records([record(1)])
    writer.append_records([record(2)])
    writer.close()
    assert len(set(sealed)) == len(sealed) == 3
    assert [one.message_id for one in found(tmp_path, KEY)] == ["m-0", "m-2"]


def test_a_segments_cipher_seals_no_number_twice() -> None:
    cipher = SegmentCipher(KEY, b"s" * 16)
    cipher.seal(0, b"l" * 32, b"one")
    cipher.seal(2, b"l" * 32, b"two")
    for number in (0, 1, 2):
        with pytest.raises(RuntimeError, match="sealed"):
            cipher.seal(number, b"l" * 32, b"three")


def test_a_writer_that_cannot_begin_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, [[record(0)]], KEY)
    held = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        Faults(patch).arm("open", 0)
        with pytest.raises(LogFailed):
            LogWriter(tmp_path, key=KEY)
    assert len(os.listdir("/proc/self/fd")) == held
    fill(tmp_path, [[record(1)]], KEY)
    assert [one.message_id for one in found(tmp_path, KEY)] == ["m-0", "m-1"]


def test_a_file_size_limit_refuses_and_traffic_resumes_when_it_is_lifted(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    writer.append_records([record(0)])
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
        with pytest.raises(LogFailed, match="disk is full"):
            writer.append_records([record(1, 100_000)])
        writer.append_records([record(2)])  # there is room for a small one
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)
    writer.append_records([record(3, 100_000)])
    writer.close()
    assert [one.message_id for one in found(tmp_path)] == ["m-0", "m-2", "m-3"]


_CHILD = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from {module} import record, KEY
from kerege.exchange.messagelog import LogWriter
writer = LogWriter(Path({folder!r}), segment_bytes=60_000, key=KEY)
number = writer.records
while True:
    writer.append_records([record(number), record(number + 1, 3000)])
    number += 2
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_every_acknowledged_record(tmp_path: Path) -> None:
    script = (
        _CHILD.replace("from {module} import record, KEY", _SOURCE)
        .replace("{folder!r}", repr(str(tmp_path)))
        .replace("{path!r}", repr([str(Path(messagelog.__file__).parents[2])]))
    )
    for wait in (0.02, 0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(wait)
            child.kill()
            lines = child.stdout.read().split()
        acknowledged = int(lines[-1]) if lines else 0
        back = found(tmp_path, KEY)
        assert len(back) >= acknowledged
        assert len(back) % 2 == 0, "a batch is there whole or not at all"
        assert [one.message_id for one in back] == [f"m-{n}" for n in range(len(back))]
    LogWriter(tmp_path, key=KEY).close()


_SOURCE = """
import hashlib
from datetime import datetime, UTC
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord
KEY = LogKey(b"k" * 32)
def record(number, size=30):
    body = b"b" * size
    return LogRecord(datetime.now(UTC), "request", "client", f"m-{number}", "r", ClientId.parse("KG/GOV/1/a"),
        DataServiceId.parse("KG/GOV/2/b/c"), b"GET", body, b"<s/>", None, "REST", (hashlib.sha512(body).digest(),))
"""


# --- cleaned segments ---


def test_the_chain_is_checked_from_the_anchor_when_first_segments_are_gone(tmp_path: Path) -> None:
    fill(tmp_path, [[record(n, 2000)] for n in range(9)], segment_bytes=8000)
    kept = messagelog.head(tmp_path)
    first, second = logfolder.segments(tmp_path)[:2]
    link, count = logfolder.end_of([first], logfolder.Anchor())
    first.unlink()
    with pytest.raises(LogDamaged, match="missing"):
        found(tmp_path)
    logfolder.write_anchor(tmp_path, logfolder.Anchor(2, count, link))
    assert [one.message_id for one in found(tmp_path)] == [f"m-{n}" for n in range(count, 9)]
    assert messagelog.head(tmp_path) == kept
    with pytest.raises(LogDamaged, match="cleaned away"):
        messagelog.head(tmp_path, count - 1)
    fill(tmp_path, [[record(9)]], segment_bytes=8000)
    assert messagelog.head(tmp_path)[0] == 10
    logfolder.write_anchor(tmp_path, logfolder.Anchor(2, count, b"x" * 32))
    with pytest.raises(LogDamaged, match="does not follow"):
        found(tmp_path)
    (tmp_path / "anchor.json").write_bytes(b"{")
    with pytest.raises(LogDamaged, match="anchor"):
        LogWriter(tmp_path)
    assert second.exists()
