"""Reading a segment a window at a time: the same frames and the same end as when all of it is read, whatever befell the file."""

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.exchange import logfolder, logframes
from kerege.exchange.errors import LogDamaged
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logframes import Frame, Stopped
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SECTOR = logframes.SECTOR
AHEAD = 9 * SECTOR


def record(number: int, body: bytes) -> LogRecord:
    return LogRecord(
        NOW, "request", "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE, b"GET", body, b"<s/>", None,
        attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of one sector and of several, one with sectors of zeros inside; closed, so that no zeros stand after them."""
    folder = tmp_path_factory.mktemp("log")
    writer = LogWriter(folder)
    for number, size in enumerate((3, 5000, 40, 700, 0, 12_000, 3000, 8, 90)):
        writer.append_records(
            [record(number, bytes(size) if size == 12_000 else random.Random(number).randbytes(size))]
        )
    writer.close()
    return folder / logfolder.name(1)


def whole(data: bytes) -> tuple[list[Frame], tuple[int, str, bool] | None]:
    """What reading all of it says: the frames, and where and why it stopped before the end."""
    found: list[Frame] = []
    try:
        for frame in logframes.frames(data, logframes.read_start(data[:SECTOR], None)):
            found.append(frame)
    except Stopped as stop:
        return found, (stop.offset, stop.reason, stop.damage)
    return found, None


def windowed(folder: Path, data: bytes) -> tuple[list[Frame], tuple[int, str, bool] | None]:
    """What `follow` says of the same bytes as the only segment of a log."""
    path = folder / logfolder.name(1)
    path.write_bytes(data)
    found: list[Frame] = []
    stopped: list[tuple[Path, Stopped]] = []
    try:
        for placed in logfolder.follow(folder, stopped):
            found.append(placed.frame)
    except LogDamaged as problem:
        return found, (int(problem.params["offset"]), str(problem.params["reason"]), True)
    if stopped:
        _, stop = stopped[0]
        return found, (stop.offset, stop.reason, stop.damage)
    return found, None


@pytest.mark.parametrize("window", [SECTOR, 3 * SECTOR, 16 * SECTOR])
def test_a_window_shows_what_the_whole_shows_whatever_befell_the_segment(
    segment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(logfolder, "_WINDOW", window)
    monkeypatch.setattr(logfolder, "_ZEROS", bytes(2 * SECTOR))
    monkeypatch.setattr(logfolder, "_PAUSE", 0)
    sound = segment.read_bytes()
    chance = random.Random(window)
    cases = [sound, sound + bytes(AHEAD), sound + bytes(AHEAD) + b"x", sound[:SECTOR]]
    for _ in range(60):
        at = chance.randrange(SECTOR, len(sound))
        flipped = bytearray(sound)
        flipped[at] ^= 1 + chance.randrange(255)
        sector = at - at % SECTOR
        cases += [
            sound[:at],
            sound[:at] + bytes(AHEAD),
            bytes(flipped) + bytes(chance.choice((0, AHEAD))),
            sound[:sector] + bytes(SECTOR) + sound[sector + SECTOR :] + bytes(AHEAD),
            sound[:sector] + bytes(6 * SECTOR) + sound[sector:],
        ]
    ends = set()
    for data in cases:
        expected = whole(data)
        assert windowed(tmp_path, data) == expected
        ends.add(expected[1] and expected[1][1:])
    assert len(ends) > 4  # a sound end, torn tails, and damage of several kinds


def test_a_frame_larger_than_a_window_is_read_whole(
    segment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfolder, "_WINDOW", SECTOR)
    found, end = windowed(tmp_path, segment.read_bytes() + bytes(AHEAD))
    assert end is None
    assert len(found) == 9
    assert max(frame.end - frame.offset for frame in found) > 20 * SECTOR
