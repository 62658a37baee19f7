"""The index of the message log: whose records are found, each frame read once, and nothing loaded that is beyond what may be."""

import hashlib
import random
import sqlite3
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.exchange import logfolder, logoutline
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.node.log import index as logindex
from kerege.node.log.index import LogIndex, TooMuch

NOW = datetime.now(UTC).replace(microsecond=0)
ADMISSION = ClientId.parse("KG/GOV/70000003/admission")
EMIS = ClientId.parse("KG/GOV/70000003/emis")
POPULATION = ClientId.parse("KG/GOV/70000002/population")
PERSONS = DataServiceId.parse("KG/GOV/70000002/population/persons")


def record(
    number: int,
    client: ClientId = ADMISSION,
    direction: str = "request",
    side: str = "client",
    message_id: str = "m",
    size: int = 4,
) -> LogRecord:
    body = b"b" * size
    return LogRecord(
        NOW, direction, side, message_id, f"r-{number}", client, PERSONS, b"GET", body, b"<s>%d</s>" % number, None,
        attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    return LogWriter(tmp_path / "log")


@pytest.fixture
def index(tmp_path: Path, log: LogWriter) -> LogIndex:
    return LogIndex(tmp_path / "index.sqlite", tmp_path / "log")


@pytest.fixture
def frames_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first records of the frames that were read, and no more of a segment than the frame."""
    read: list[int] = []
    real = logfolder.frame_at

    def watched(path: Path, offset: int, number: int, before: bytes, first: int, size: int) -> logfolder.Placed:
        read.append(first)
        return real(path, offset, number, before, first, size)

    monkeypatch.setattr(logindex.logfolder, "frame_at", watched)
    return read


def test_a_record_is_its_own_sides_asker_or_asked(log: LogWriter, index: LogIndex) -> None:
    log.append_records([record(0), record(1, direction="response"), record(2, side="provider"), record(3, EMIS)])
    found = {own: [one.record.request_id for one in index.find("m", own=own)] for own in (ADMISSION, EMIS, POPULATION)}
    assert found == {ADMISSION: ["r-0", "r-1"], EMIS: ["r-3"], POPULATION: ["r-2"]}
    assert [one.number for one in index.find("m")] == [0, 1, 2, 3]
    assert [one.number for one in index.find("m", own=ADMISSION, directions={"response"})] == [1]
    assert index.find("m", own=ClientId.parse("KG/GOV/70000003")) == index.find("other") == []


def test_what_is_anothers_is_not_even_read(log: LogWriter, index: LogIndex, frames_read: list[int]) -> None:
    for number in range(20):
        log.append_records([record(number, EMIS), record(100 + number, EMIS)])
    log.append_records([record(50)])
    index.catch_up()
    frames_read.clear()
    assert [one.record.request_id for one in index.find("m", own=ADMISSION)] == ["r-50"]
    assert sorted(set(frames_read)) == [40]


def test_a_frame_with_many_of_the_records_is_read_once(log: LogWriter, index: LogIndex, frames_read: list[int]) -> None:
    log.append_records([record(number) for number in range(30)])
    log.append_records([record(number) for number in range(30, 40)])
    log.append_records([record(99, message_id="after")])
    index.catch_up()
    frames_read.clear()
    assert [one.number for one in index.find("m")] == list(range(40))
    assert [first for first in frames_read if first != 40] == [0, 30]


def test_too_many_or_too_large_are_refused_before_one_is_loaded(
    log: LogWriter, index: LogIndex, frames_read: list[int]
) -> None:
    log.append_records([record(number, size=1000) for number in range(5)])
    log.append_records([record(99, message_id="after")])
    index.catch_up()
    frames_read.clear()
    assert len(index.find("m", most=5, most_bytes=6000)) == 5
    frames_read.clear()
    with pytest.raises(TooMuch):
        index.find("m", most=4)
    with pytest.raises(TooMuch):
        index.find("m", most=5, most_bytes=5000)
    assert 0 not in frames_read


def test_no_more_of_a_segment_is_read_than_the_frame(
    log: LogWriter, index: LogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append_records([record(0)])
    log.append_records([record(1, message_id="large", size=200_000)])
    log.append_records([record(2, message_id="last")])
    index.catch_up()
    sizes: list[int] = []
    real = logfolder._piece

    def piece(*given: object) -> tuple[int, bytes]:
        base, data = real(*given)  # type: ignore[arg-type]
        sizes.append(len(data))
        return base, data

    monkeypatch.setattr(logfolder, "_piece", piece)
    with sqlite3.connect(index._file) as database:
        assert [one.number for one in index._load(database, [(0, 0)])] == [0]
    assert sizes == [512]


def test_however_much_was_logged_the_index_holds_little_of_it_at_once(log: LogWriter, index: LogIndex) -> None:
    """What is read in one piece stays with the process when it is freed: a node's memory grew by what it logs in ten seconds."""
    for number in range(24):
        log.append_records([record(number, message_id=f"m-{number}", size=700_000)])
    tracemalloc.start()
    try:
        assert index.catch_up() == 24
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 6 * 2**20
    assert [one.number for one in index.find("m-23")] == [23]


def test_an_index_of_an_earlier_form_is_made_again(tmp_path: Path, log: LogWriter, index: LogIndex) -> None:
    log.append_records([record(0)])
    with sqlite3.connect(tmp_path / "index.sqlite") as database:
        database.execute("CREATE TABLE record (number INTEGER PRIMARY KEY, message_id TEXT)")
        database.execute("CREATE INDEX record_by_message ON record (message_id)")
        database.execute("PRAGMA user_version = 1")
    assert [one.number for one in index.find("m", own=ADMISSION)] == [0]


@pytest.mark.parametrize("compiled", [True, False])
def test_whatever_the_steps_pages_and_segments_every_record_is_found_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    monkeypatch.setattr(logindex, "_STEP", 3)
    monkeypatch.setattr(logindex, "_PAGE", 2 * logoutline.MARK.size)
    if not compiled:
        monkeypatch.setattr(logoutline, "native", None)
    chance = random.Random(3)
    log, file = LogWriter(tmp_path / "log", segment_bytes=16 * 1024), tmp_path / "index.sqlite"
    ids = [f"m-{number}" for number in range(12)] + ["m-й", ""]
    expected: dict[tuple[str, ClientId], list[str]] = {}
    numbers: list[int] = []
    for count in range(60):
        frame = []
        for _ in range(chance.randrange(1, 6)):
            message_id, client = chance.choice(ids), chance.choice([ADMISSION, EMIS])
            numbers.append(len(numbers))
            frame.append(record(numbers[-1], client, message_id=message_id, size=chance.randrange(300)))
            expected.setdefault((message_id, client), []).append(f"r-{numbers[-1]}")
        log.append_records(frame)
        if chance.random() < 0.4:
            assert LogIndex(file, tmp_path / "log").catch_up() >= 1
        if count % 20 == 19:
            index = LogIndex(file, tmp_path / "log")
            for (message_id, client), requests in expected.items():
                assert [one.record.request_id for one in index.find(message_id, own=client)] == requests
    with sqlite3.connect(file) as database:
        runs = database.execute("SELECT count(*) FROM run GROUP BY segment ORDER BY segment").fetchall()
        (marks,) = database.execute("SELECT sum(length(marks)) FROM page").fetchone()
    assert len(runs) > 2
    assert {one for (one,) in runs[:-1]} == {1}
    assert marks == len(numbers) * logoutline.MARK.size


def test_identifiers_whose_keys_meet_are_told_apart_by_the_records(
    log: LogWriter, index: LogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append_records([record(0), record(1, message_id="other"), record(2)])
    index.catch_up()
    with sqlite3.connect(index._file) as database:
        (marks,) = database.execute("SELECT marks FROM page").fetchone()
    whole = logoutline.MARK
    (meeting, *_), *_ = whole.iter_unpack(marks)
    met = b"".join(whole.pack(meeting, number, 8, 0) for number in range(3))
    with sqlite3.connect(index._file) as database:
        database.execute("UPDATE page SET marks = ?, least = ?", (met, met[:16]))
    monkeypatch.setattr(logindex, "key_of", lambda message_id, secret: meeting.to_bytes(8))
    assert [one.number for one in index.find("m")] == [0, 2]
    assert [one.number for one in index.find("other")] == [1]


def test_what_was_cleaned_away_leaves_the_index(tmp_path: Path) -> None:
    folder, file = tmp_path / "log", tmp_path / "index.sqlite"
    log = LogWriter(folder, segment_bytes=16 * 1024)
    for number in range(40):
        log.append_records([record(number, size=1000)])
    index = LogIndex(file, folder)
    assert len(index.find("m")) == 40
    *_, last = logfolder.follow(folder, [])
    kept = logfolder.number_of(last.path)
    (begins, *_) = [placed for placed in logfolder.follow(folder, []) if placed.path == last.path]
    logfolder.write_anchor(folder, logfolder.Anchor(kept, begins.first, begins.frame.before))
    assert [one.number for one in index.find("m")] == list(range(begins.first, 40))
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT DISTINCT segment FROM run").fetchall() == [(kept,)]
        (marks,) = database.execute("SELECT sum(length(marks)) FROM page").fetchone()
    assert marks == (40 - begins.first) * logoutline.MARK.size
