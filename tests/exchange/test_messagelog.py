import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import asic, messagelog
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
    ends = [at + 40 + len(found.encode()) for _, at, found in messagelog.read(folder)]
    cut = data.draw(st.integers(0, len(whole)))
    zeros = data.draw(st.sampled_from([0, 5000]))  # a cut file, or zeros filled ahead
    segment.write_bytes(whole[:cut] + bytes(zeros))
    survivors = [f"m-{n}" for n, end in enumerate(ends) if end <= cut]
    if zeros == 0 or cut >= 40:
        assert ids(folder)[: len(survivors)] == survivors
    write(folder, [record(signer, 9)])
    assert ids(folder) == [*survivors, "m-9"]


def test_a_torn_tail_is_moved_aside_not_deleted(tmp_path: Path, signer: Signer) -> None:
    write(tmp_path, [record(signer, 1), record(signer, 2)])
    segment = next(tmp_path.glob("segment-*.log"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-10])
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

    monkeypatch.setattr(messagelog.os, "pwrite", full)
    with pytest.raises(LogFailed, match="disk is full"):
        writer.append([record(signer, 2).encode()])
    monkeypatch.undo()
    with pytest.raises(LogFailed, match="restart"):  # what reached the disk is unknown
        writer.append([record(signer, 3).encode()])
    writer.close()
    assert ids(tmp_path) == ["m-1"]


def test_verify_counts_records_and_checks_every_signature(
    tmp_path: Path, signer: Signer, shared: SharedParameters
) -> None:
    write(tmp_path, [record(signer, n, None if n % 2 else b"b") for n in range(4)])
    report = messagelog.verify(tmp_path, Trust(shared))
    assert (report.records, report.requests, report.responses, report.verified, report.ok) == (4, 4, 0, 4, True)


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
    places = [(at, len(found.encode()) + 40) for path, at, found in messagelog.read(tmp_path) if path == first]
    at, size = places[1]
    data = first.read_bytes()
    first.write_bytes(data[:at] + data[at + size :])
    with pytest.raises(LogDamaged, match="does not follow"):
        ids(tmp_path)
    assert not messagelog.verify(tmp_path, Trust(shared)).ok


# --- containers ---


@pytest.mark.parametrize("body", [None, b"", b"body"])
def test_a_record_becomes_a_container_that_verifies(
    signer: Signer, shared: SharedParameters, body: bytes | None
) -> None:
    one = record(signer, 1, body)
    made = asic.container(one)
    assert made == asic.container(one)
    facts = asic.read(made).verify()
    assert Trust(shared).signer(facts, NOW) == CLIENT.member


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("valid-signed-message", None),
        ("valid-signed-hashchain", None),
        ("valid-batch-ts", None),
        ("valid-non-batch-rest", None),
        ("valid-non-batch-soap-attachments", None),
        ("invalid-not-signed-hashchain", None),  # X-Road's verifier accepts it: the chain is simply not referred to
        ("invalid-digest", "signed properties"),
        ("invalid-hashchain-modified-message", "hash chain result"),
        ("invalid-signed-hashchain", "digest"),
        ("invalid-incorrect-references", "signature value"),
        ("invalid-ts-hashchainresult", "message digest"),
        ("wrong-message", "message digest"),
    ],
)
def test_x_roads_containers_get_x_roads_verdicts(vectors: Path, name: str, problem: str | None) -> None:
    from kerege.exchange import globalconf
    from kerege.exchange.errors import ExchangeError

    container = asic.read((vectors / f"asic/verifier-cli/{name}.asice").read_bytes())
    if problem is not None:
        with pytest.raises(ExchangeError, match=rf"\({problem}"):
            container.verify()
        return
    facts = container.verify()
    shared = globalconf.parse_shared((vectors / "asic/globalconf-for-asic/DEV/shared-params.xml").read_bytes())
    assert Trust(shared).signer(facts, facts.signing_time).member_class == "COM"


@pytest.mark.vectors
def test_every_container_of_a_live_pair_verifies(vectors: Path) -> None:
    from kerege.exchange import globalconf

    shared = globalconf.parse_shared((vectors / "live-7.3.2/globalconf/EE/shared-params.xml").read_bytes())
    trust = Trust(shared)
    found = [asic.read(path.read_bytes()).verify() for path in sorted((vectors / "live-7.3.2/asice").glob("*.asice"))]
    assert len(found) == 10
    assert {trust.signer(facts, facts.signing_time).member_code for facts in found} == {"consumer", "producer"}
