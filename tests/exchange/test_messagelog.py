import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import logfolder, logwriter, messagelog
from kerege.exchange.errors import LogBusy, LogDamaged, LogFailed
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.messagelog import LogRecord, LogWriter
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer

from .conftest import NOW

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


@pytest.fixture(scope="module")
def signer(authority: TestAuthority) -> Signer:
    pair = authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "node-edu", NOW)
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


def record(signer: Signer, number: int, body: bytes | None = b"body") -> LogRecord:
    message = b"GET\r\n/%d\r\n" % number
    digests = () if body is None else (hashlib.sha512(body).digest(),)
    signed = signer.sign(hashlib.sha512(message).digest(), digests, NOW)
    return LogRecord(
        NOW + timedelta(microseconds=number), "request", "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE,
        message, body, signed.xml, signed.chain,
    )  # fmt: skip


def write(folder: Path, records: list[LogRecord], **options: int) -> None:
    writer = LogWriter(folder, **options)
    for one in records:
        writer.append([one.encode()])
    writer.close()


def solid(data: bytes) -> bytes:
    """A segment without the zeros that pad its last frame."""
    return data.rstrip(b"\0")


def ids(folder: Path) -> list[str]:
    return [found.message_id for _, _, found in messagelog.read(folder)]


@pytest.mark.parametrize("body", [None, b"", b"x" * 1000])
def test_a_record_written_and_read_is_the_same(tmp_path: Path, signer: Signer, body: bytes | None) -> None:
    one = record(signer, 1, body)
    write(tmp_path, [one])
    assert [found for _, _, found in messagelog.read(tmp_path)] == [one]


def test_the_log_goes_on_after_it_was_closed_and_over_segments(tmp_path: Path, signer: Signer) -> None:
    for start in range(0, 12, 4):
        write(tmp_path, [record(signer, n) for n in range(start, start + 4)], segment_bytes=20_000)
    assert ids(tmp_path) == [f"m-{n}" for n in range(12)]
    assert len(list(tmp_path.glob("segment-*.log"))) > 1


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path, signer: Signer) -> None:
    writer = LogWriter(tmp_path)
    writer.append([record(signer, 1).encode(), record(signer, 2).encode()])
    assert ids(tmp_path) == ["m-1", "m-2"]  # read beside the open writer, with its zeros ahead
    writer.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_at_any_byte_loses_at_most_the_torn_record_and_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, signer: Signer, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    write(folder, [record(signer, n) for n in range(3)])
    segment = next(folder.glob("segment-*.log"))
    whole = segment.read_bytes()
    ends = [end for _, end in frames_of(folder)]
    cut = data.draw(st.integers(0, len(whole)))
    zeros = data.draw(st.sampled_from([0, 5000]))  # a cut file, or zeros filled ahead
    segment.write_bytes(whole[:cut] + bytes(zeros))
    survivors = [f"m-{n}" for n, end in enumerate(ends) if end <= cut]
    if zeros == 0 or cut >= 100:
        assert ids(folder)[: len(survivors)] == survivors
    write(folder, [record(signer, 9)])
    assert ids(folder) == [*survivors, "m-9"]


def test_a_torn_tail_is_moved_aside_not_deleted(tmp_path: Path, signer: Signer) -> None:
    write(tmp_path, [record(signer, 1), record(signer, 2)])
    segment = next(tmp_path.glob("segment-*.log"))
    whole = segment.read_bytes()
    segment.write_bytes(solid(whole)[:-10])
    writer = LogWriter(tmp_path)
    assert writer.recovered is not None
    assert "moved aside" in writer.recovered
    writer.close()
    (aside,) = tmp_path.glob("*.bytes")
    assert aside.read_bytes() in whole


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    with pytest.raises(LogBusy):
        LogWriter(tmp_path)
    writer.close()
    LogWriter(tmp_path).close()


def test_a_full_disk_refuses_and_keeps_what_was_there(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path)
    writer.append([record(signer, 1).encode()])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logwriter.os, "pwrite", full)
    with pytest.raises(LogFailed, match="disk is full"):
        writer.append([record(signer, 2).encode()])
    monkeypatch.undo()
    writer.append([record(signer, 3).encode()])  # the writer found its end again by itself
    writer.close()
    assert ids(tmp_path) == ["m-1", "m-3"]


def test_verify_counts_records_and_checks_every_signature(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    write(tmp_path, [record(signer, n, None if n % 2 else b"b") for n in range(4)])
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.requests, report.responses, report.verified, report.ok) == (4, 4, 0, 4, True)


def test_an_answer_of_a_members_own_service_is_verified_as_any_other(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    own = DataServiceId.parse("KG/GOV/70000003//getSecurityServerOperationalData")
    write(tmp_path, [replace(record(signer, 0), direction="response", side="producer", service=own)])
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.responses, report.verified, report.problems) == (1, 1, ())


def test_verify_names_a_record_whose_message_was_exchanged(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    good, other = record(signer, 1), record(signer, 2)
    forged = LogRecord(
        *[getattr(good, n) for n in LogRecord.__slots__[:7]], other.message, other.body, good.signature, good.chain
    )
    write(tmp_path, [good, forged, other])
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.verified, report.ok) == (3, 2, False)
    assert report.problems[0].request_id == "r-1"


def test_a_record_taken_out_of_the_middle_is_noticed(tmp_path: Path, signer: Signer, shared: SharedParameters) -> None:
    write(tmp_path, [record(signer, n) for n in range(8)], segment_bytes=20_000)
    first, *_ = sorted(tmp_path.glob("segment-*.log"))
    at, end = frames_of(tmp_path)[1]
    data = first.read_bytes()
    first.write_bytes(data[:at] + data[end:])
    with pytest.raises(LogDamaged, match="not whole"):
        ids(tmp_path)
    assert not messagelog.verify(tmp_path, Trust(shared)).ok


# --- damage, which is not what a crash leaves ---


def only_segment(folder: Path) -> Path:
    (segment,) = folder.glob("segment-*.log")
    return segment


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def frames_of(folder: Path) -> list[tuple[int, int]]:
    """Where each record's frame begins, and where its own last byte ends."""
    places = [(path, at) for path, at, _ in messagelog.read(folder)]
    return [
        (at, path.read_bytes().rfind(b"\nKRG", at, after) + 4)
        for (path, at), after in zip(places, [at for _, at in places[1:]] + [None], strict=True)
    ]


def test_one_flipped_byte_anywhere_refuses_the_start_and_is_reported(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    write(tmp_path, [record(signer, n) for n in range(3)])
    segment = only_segment(tmp_path)
    whole = segment.read_bytes()
    spots = {*range(512)}  # the header, and of every record its frame, its head and some of the rest
    for start, end in frames_of(tmp_path):
        spots |= {*range(start, start + 240, 3), *range(start + 240, end, 331), end - 1, end}
    for spot in sorted(spots):
        segment.write_bytes(whole)
        flip(segment, spot)
        with pytest.raises(LogDamaged):
            LogWriter(tmp_path)
        assert segment.stat().st_size == len(whole), "damage is left as it is"
    assert not list(tmp_path.glob("*.bytes"))
    for spot in (20, frames_of_whole(segment, whole)[1][0] + 300, len(whole) - 1):
        segment.write_bytes(whole)
        flip(segment, spot)
        assert not messagelog.verify(tmp_path, Trust(shared)).ok
        with pytest.raises(LogDamaged):
            ids(tmp_path)


def frames_of_whole(segment: Path, whole: bytes) -> list[tuple[int, int]]:
    segment.write_bytes(whole)
    return frames_of(segment.parent)


def test_a_flipped_byte_with_zeros_filled_ahead_is_damage_too(tmp_path: Path, signer: Signer) -> None:
    write(tmp_path, [record(signer, n) for n in range(3)])
    segment = only_segment(tmp_path)
    (second, _) = frames_of(tmp_path)[1]
    segment.write_bytes(segment.read_bytes() + bytes(5000))
    flip(segment, second + 1)  # the length: it now reaches into the zeros
    with pytest.raises(LogDamaged, match=f"byte {second}"):
        LogWriter(tmp_path)


def test_records_after_zeros_are_damage_not_the_end(tmp_path: Path, signer: Signer, shared: SharedParameters) -> None:
    write(tmp_path, [record(signer, n) for n in range(3)])
    segment, (start, end) = only_segment(tmp_path), frames_of(tmp_path)[1]
    data = segment.read_bytes()
    segment.write_bytes(data[:start] + bytes(end - start) + data[end:])
    with pytest.raises(LogDamaged):
        LogWriter(tmp_path)
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.ok, report.problems[0].offset) == (1, False, start)


def test_a_torn_record_whose_body_looks_like_records_is_still_a_torn_tail(tmp_path: Path, signer: Signer) -> None:
    other = tmp_path / "other"
    write(other, [record(signer, n) for n in range(2)])
    mimic = only_segment(other).read_bytes()
    folder = tmp_path / "log"
    write(folder, [record(signer, 1), record(signer, 2, mimic + b"x" * 4000)])
    segment = only_segment(folder)
    data = segment.read_bytes()
    segment.write_bytes(data[:-6000] + bytes(6000))
    write(folder, [record(signer, 3)])
    assert ids(folder) == ["m-1", "m-3"]


def test_the_second_tail_torn_at_the_same_place_does_not_replace_the_first(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    write(tmp_path, [record(signer, 1)])
    segment = only_segment(tmp_path)
    whole = segment.read_bytes()
    for number in (2, 3):
        write(tmp_path, [record(signer, number)])
        torn = solid(segment.read_bytes())[:-10]
        segment.write_bytes(torn)
        LogWriter(tmp_path).close()
        assert segment.read_bytes() == whole
    first, second = sorted(tmp_path.glob("*.bytes"), key=lambda path: len(path.name))
    assert b"m-2" in first.read_bytes()
    assert b"m-3" in second.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in (first, second)} == {0o600}
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.verified, report.ok) == (1, 1, False)
    assert {problem.file for problem in report.problems} == {first.name, second.name}


def test_a_torn_tail_is_reported_before_the_node_starts_again(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    write(tmp_path, [record(signer, 1), record(signer, 2)])
    segment = only_segment(tmp_path)
    segment.write_bytes(solid(segment.read_bytes())[:-10])
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.ok) == (1, False)
    assert "torn" in report.problems[0].reason


def test_what_was_torn_is_on_disk_before_anything_is_cut(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [record(signer, 1), record(signer, 2)])
    segment = only_segment(tmp_path)
    segment.write_bytes(solid(segment.read_bytes())[:-10])
    size, synced = segment.stat().st_size, []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.path.realpath(f"/proc/self/fd/{descriptor}"), segment.stat().st_size))
        real(descriptor)

    monkeypatch.setattr(logwriter.os, "fsync", watched)
    LogWriter(tmp_path).close()
    (aside,) = tmp_path.glob("*.bytes")
    assert synced[:2] == [(str(aside.resolve()), size), (str(tmp_path.resolve()), size)]


def test_a_missing_first_or_middle_segment_is_noticed(tmp_path: Path, signer: Signer, shared: SharedParameters) -> None:
    write(tmp_path, [record(signer, n) for n in range(12)], segment_bytes=20_000)
    segments = sorted(tmp_path.glob("segment-*.log"))
    assert len(segments) > 2
    for gone in segments[:2]:
        away = gone.rename(gone.with_suffix(".away"))
        with pytest.raises(LogDamaged, match="missing"):
            LogWriter(tmp_path)
        assert not messagelog.verify(tmp_path, Trust(shared)).ok
        away.rename(gone)
    segments[0].unlink()  # and the rest numbered anew: the first goes on from something
    for number, path in enumerate(segments[1:], 1):
        path.rename(tmp_path / f"segment-{number:08d}.log")
    with pytest.raises(LogDamaged, match="follows nothing"):
        ids(tmp_path)


def test_a_last_segment_that_does_not_follow_the_one_before_refuses_the_start(tmp_path: Path, signer: Signer) -> None:
    write(tmp_path, [record(signer, n) for n in range(6)], segment_bytes=20_000)
    last = sorted(tmp_path.glob("segment-*.log"))[-1]
    flip(last, 20)
    with pytest.raises(LogDamaged, match="header is changed"):
        LogWriter(tmp_path)
    flip(last, 20)
    LogWriter(tmp_path).close()  # and the refusal left no lock behind


def test_a_segment_that_was_begun_but_not_made_sure_of_stops_the_log(
    tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path, segment_bytes=100)
    written = [record(signer, n) for n in range(9)]
    writer.append([written[0].encode()])

    def no_more_files(_: Path) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(logfolder, "sync", no_more_files)
    with pytest.raises(LogFailed, match="Too many"):
        writer.append([written[1].encode()])
    monkeypatch.undo()
    writer.append([written[8].encode()])  # not on into the old segment: the new one is made once more
    writer.close()
    assert ids(tmp_path) == ["m-0", "m-8"]


def test_the_head_shows_later_that_the_same_records_still_begin_the_log(tmp_path: Path, signer: Signer) -> None:
    assert messagelog.head(tmp_path) == (0, "00" * 32)
    write(tmp_path, [record(signer, n) for n in range(4)], segment_bytes=20_000)
    kept = messagelog.head(tmp_path)
    assert kept[0] == 4
    write(tmp_path, [record(signer, n) for n in range(4, 8)], segment_bytes=20_000)
    assert messagelog.head(tmp_path) != kept
    assert messagelog.head(tmp_path, 4) == kept


def test_a_log_written_anew_without_a_record_is_whole_in_itself_and_has_another_head(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    records = [record(signer, n) for n in range(4)]
    write(tmp_path / "log", records)
    write(tmp_path / "forged", [records[0], *records[2:]])
    assert messagelog.verify(tmp_path / "forged", Trust(shared)).ok, "the links hold no key"
    assert messagelog.head(tmp_path / "forged", 2) != messagelog.head(tmp_path / "log", 2)


def test_an_empty_record_is_refused_because_it_would_end_the_log(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path)
    with pytest.raises(LogFailed, match="empty"):
        writer.append([b"x", b""])
    writer.close()
    assert messagelog.head(tmp_path)[0] == 0
