"""Bodies that outgrow memory: nothing lost, nothing left behind, and a full disk that says so."""

import errno
import hashlib
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import bodies
from kerege.exchange.bodies import (
    PIECE,
    Attachment,
    BodyWriter,
    Spool,
    body_bytes,
    body_chunks,
    body_sha512,
    body_size,
    close_body,
)
from kerege.exchange.errors import BodyRefused, MessageTooLarge


def spools_open() -> int:
    """Files without a name this process has open."""
    out = 0
    for one in os.listdir("/proc/self/fd"):
        try:
            found = os.fstat(int(one))
        except OSError:
            continue
        out += stat.S_ISREG(found.st_mode) and found.st_nlink == 0
    return out


def test_a_spool_gives_back_what_was_written_with_its_digest(tmp_path: Path) -> None:
    pieces = [os.urandom(size) for size in (1, 3000, PIECE - 1, PIECE, 2 * PIECE + 7, 0, 5)]
    data = b"".join(pieces)
    with Spool.of(pieces, tmp_path) as spool:
        assert (spool.size, len(spool), bool(spool)) == (len(data), len(data), True)
        assert spool.sha512 == hashlib.sha512(data).digest()
        assert spool.read() == data
        assert b"".join(spool.chunks(1000)) == data
        assert spool.read_at(len(data) - 3, 100) == data[-3:]


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 60), st.integers(0, 40))
def test_however_a_body_comes_it_is_the_same_in_memory_and_on_disk(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], size: int, memory: int
) -> None:
    data = b"".join(pieces)
    held = 0

    def note(change: int) -> None:
        nonlocal held
        held += change

    writer = BodyWriter(1000, memory=memory, folder=tmp_path_factory.getbasetemp() / "spool", note=note)
    for piece in pieces:
        writer.write(piece)
    body = writer.finish()
    assert isinstance(body, bytes) == (len(data) <= memory)
    assert held == (len(data) if isinstance(body, bytes) else 0)
    assert body_bytes(body) == b"".join(body_chunks(body, size)) == data
    assert all(len(piece) <= size for piece in body_chunks(body, size))
    assert (body_size(body), body_sha512(body)) == (len(data), hashlib.sha512(data).digest())
    close_body(body)


def test_two_readers_do_not_disturb_each_other(tmp_path: Path) -> None:
    with Spool.of([b"abcdef"], tmp_path) as spool:
        one, two = spool.chunks(2), spool.chunks(3)
        assert [next(one), next(two), next(one), next(two), next(one)] == [b"ab", b"abc", b"cd", b"def", b"ef"]


def test_a_spool_has_no_name_nobody_else_may_read_it_and_closing_gives_the_space_back(tmp_path: Path) -> None:
    before = spools_open()
    spool = Spool.of([b"x" * 10], tmp_path / "made" / "on" / "demand")
    assert list((tmp_path / "made" / "on" / "demand").iterdir()) == []
    assert spools_open() == before + 1
    assert stat.S_IMODE(os.fstat(spool._file).st_mode) == 0o600
    spool.close()
    spool.close()
    assert spool.closed
    assert spools_open() == before
    with pytest.raises(BodyRefused, match="closed"):
        spool.read()


def test_a_spool_nobody_closed_is_closed_when_nobody_holds_it(tmp_path: Path) -> None:
    before = spools_open()
    spool = Spool.of([b"x"], tmp_path)
    assert spools_open() == before + 1
    del spool
    assert spools_open() == before


def test_a_very_big_spool_is_freed_aside(tmp_path: Path) -> None:
    before = spools_open()
    spool = Spool.of([bytes(1024 * 1024)] * 70, tmp_path)
    spool.close()
    assert spool.closed
    end = time.monotonic() + 5
    while spools_open() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert spools_open() == before


def test_where_files_need_a_name_the_name_is_taken_away_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def without_unnamed(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", without_unnamed)
    with Spool.of([b"abc"], tmp_path) as spool:
        assert list(tmp_path.iterdir()) == []
        assert stat.S_IMODE(os.fstat(spool._file).st_mode) == 0o600
        assert spool.read() == b"abc"


def test_a_full_disk_refuses_the_body_with_its_reason_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = spools_open()
    real, room = os.pwrite, 3 * PIECE

    def full(file: int, data: bytes, offset: int) -> int:
        if offset >= room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: room - offset], offset)

    monkeypatch.setattr(bodies.os, "pwrite", full)
    spool = Spool(tmp_path)
    for _ in range(8):
        spool.write(b"x" * 100_000)
    with pytest.raises(BodyRefused, match="is full"):
        spool.write(b"x" * PIECE)
    assert spool.closed
    with pytest.raises(BodyRefused):
        Spool.of([bytes(5 * PIECE)], tmp_path)
    assert spools_open() == before


def test_a_write_that_takes_only_a_part_goes_on_with_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(bodies.os, "pwrite", lambda file, data, offset: real(file, data[:1000], offset))
    data = os.urandom(PIECE + 5)
    with Spool.of([data], tmp_path) as spool:
        assert spool.read() == data


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BodyRefused, match="file"):
        Spool(tmp_path / "file")


def test_nothing_is_added_to_a_body_that_is_complete(tmp_path: Path) -> None:
    with Spool.of([b"a"], tmp_path) as spool, pytest.raises(BodyRefused, match="complete"):
        spool.write(b"b")


@pytest.mark.parametrize("memory", [5, 100])
def test_a_body_beyond_its_limit_is_refused_and_its_room_given_back(tmp_path: Path, memory: int) -> None:
    before, held = spools_open(), []
    writer = BodyWriter(20, memory=memory, folder=tmp_path, what="REST body", note=held.append)
    writer.write(b"x" * 20)
    assert writer.held == (0 if memory == 5 else 20)
    with pytest.raises(MessageTooLarge, match="REST body is larger than the limit of 20 bytes"):
        writer.write(b"x")
    assert sum(held) == 0
    assert spools_open() == before


def test_without_a_folder_a_body_stays_in_memory() -> None:
    writer = BodyWriter(100, memory=5)
    writer.write(b"x" * 50)
    assert writer.held == 50
    assert writer.finish() == b"x" * 50


def test_tiny_chunks_cost_their_size(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for _ in range(200_000):
            spool.write(b"ab")
        assert spool.size == 400_000
        assert spool.sha512 == hashlib.sha512(b"ab" * 200_000).digest()


def test_an_attachments_digest_is_over_its_body_as_sent(tmp_path: Path) -> None:
    encoded = b"aGVsbG8=\r\n"
    headers = ((b"content-transfer-encoding", b"base64"),)
    assert Attachment(headers, encoded).sha512 == hashlib.sha512(encoded).digest()
    with Spool.of([encoded], tmp_path) as spool:
        assert Attachment(headers, spool).sha512 == hashlib.sha512(encoded).digest()
