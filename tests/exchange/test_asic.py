import contextlib
import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import asic, globalconf, timestamps, tschain
from kerege.exchange.asic import BatchStamp
from kerege.exchange.errors import (
    ExchangeError,
    HashChainInvalid,
    SignatureInvalid,
    SignatureMalformed,
    TimestampInvalid,
)
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, MemberId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer

from .conftest import NOW
from .tsa import Tsa

CLIENT = ClientId.parse("KG/GOV/70000003/admission")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


@pytest.fixture(scope="module")
def signer(authority: TestAuthority) -> Signer:
    pair = authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "node-edu", NOW)
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


@pytest.fixture(scope="module")
def tsa() -> Tsa:
    return Tsa.create(NOW, "ec")


@pytest.fixture
def trust(shared: SharedParameters, tsa: Tsa) -> Trust:
    return Trust(replace(shared, timestamping=(tsa.approved,)))


def record(signer: Signer, number: int, body: bytes | None = b"body") -> LogRecord:
    message = b"GET\r\n/%d\r\n" % number
    digests = () if body is None else (hashlib.sha512(body).digest(),)
    signed = signer.sign(hashlib.sha512(message).digest(), digests, NOW)
    return LogRecord(
        NOW, "request", "client", f"m-{number}", f"r-{number}", CLIENT, SERVICE, message, body, signed.xml, signed.chain,
        attachment_digests=digests,
    )  # fmt: skip


def stamps(records: list[LogRecord], tsa: Tsa) -> list[BatchStamp]:
    leaves = [hashlib.sha512(one.signature).digest() for one in records]
    tree = tschain.Tree(leaves)
    token, _ = timestamps.check_answer(
        tsa.answer(timestamps.request(tree.result, 5), NOW), tree.result, 5, (tsa.approved,)
    )
    return [BatchStamp(token, tree.chain_of(leaf)) for leaf in leaves]


@pytest.mark.parametrize("body", [None, b"", b"body"])
def test_a_record_becomes_a_container_that_verifies(signer: Signer, trust: Trust, body: bytes | None) -> None:
    one = record(signer, 1, body)
    made = asic.container(one)
    assert made == asic.container(one)
    verdict = asic.read(made).check(trust)
    assert (verdict.member, verdict.stamp) == (CLIENT.member, None)


def test_a_stamped_container_is_judged_at_the_time_of_its_stamp(signer: Signer, trust: Trust, tsa: Tsa) -> None:
    records = [record(signer, n) for n in range(5)]
    stamped = stamps(records, tsa)
    made = [asic.container(one, stamp) for one, stamp in zip(records, stamped, strict=True)]
    assert made == [asic.container(one, stamp) for one, stamp in zip(records, stamped, strict=True)]
    for one in made:
        verdict = asic.read(one).check(trust)
        assert verdict.stamp == timestamps.Stamp(NOW, tsa.name)


def test_a_stamp_of_another_record_or_without_its_token_is_refused(signer: Signer, trust: Trust, tsa: Tsa) -> None:
    records = [record(signer, n) for n in range(2)]
    first, second = stamps(records, tsa)
    with pytest.raises(HashChainInvalid):
        asic.read(asic.container(records[0], second)).check(trust)
    with pytest.raises(TimestampInvalid, match="without it"):
        replace(asic.read(asic.container(records[0], first)), token=None).check(trust)
    other = stamps([record(signer, 7)], tsa)[0]
    with pytest.raises(TimestampInvalid, match="something else"):
        asic.read(asic.container(records[0], BatchStamp(other.token, first.chain))).check(trust)


def test_the_parts_stand_in_x_roads_order_and_the_comment_names_the_type(signer: Signer, tsa: Tsa) -> None:
    one = record(signer, 1)
    with zipfile.ZipFile(io.BytesIO(asic.container(one, stamps([one], tsa)[0]))) as made:
        assert made.namelist() == [
            "mimetype", "message.xml", "META-INF/signatures.xml", "sig-hashchainresult.xml", "sig-hashchain.xml",
            "ts-hashchainresult.xml", "ts-hashchain.xml", "META-INF/manifest.xml", "META-INF/ASiCManifest.xml",
            "META-INF/timestamp.tst", "attachment1",
        ]  # fmt: skip
        assert made.comment == b"mimetype=application/vnd.etsi.asic-e+zip"
        assert made.read("mimetype") == asic.MEDIA_TYPE.encode()
        listed = etree.fromstring(made.read("META-INF/manifest.xml"))
        names = [str(entry.get(entry.keys()[0])) for entry in listed]
        assert names[0] == "/"
        assert {"message.xml", "ts-hashchain.xml", "attachment1"} <= set(names)


def test_a_name_is_escaped_bounded_and_always_the_same(signer: Signer) -> None:
    one = replace(record(signer, 1), message_id="../../etc/a b\u0436" + "x" * 400)
    name = asic.name_of(one)
    assert name == asic.name_of(one)
    assert "/" not in name
    assert name.startswith("..%2F..%2Fetc%2Fa%20b%D0%B6xxx")
    assert len(name) < 256
    assert asic.name_of(replace(one, side="provider")) != name


def test_the_message_of_soap_holds_no_attachment(signer: Signer) -> None:
    one = replace(record(signer, 1), kind="SOAP")
    assert asic.read(asic.container(one)).attachments == ()


def test_a_soap_message_that_is_kept_without_its_body_counts_by_its_digest_where_that_is_asked(
    signer: Signer, trust: Trust
) -> None:
    whole = replace(record(signer, 1, None), kind="SOAP")
    one = replace(whole, message=b"<e:Envelope/>", signed_digest=hashlib.sha512(whole.message).digest())
    made = asic.container(one)
    with zipfile.ZipFile(io.BytesIO(made)) as files:
        assert "message.xml" not in files.namelist()
    found = asic.read(made)
    assert found.check(trust, bodies=False).member == CLIENT.member
    with pytest.raises(SignatureMalformed, match="digest only"):
        found.check(trust)
    for other in (replace(one, signed_digest=hashlib.sha512(b"another").digest()), replace(one, message_id="m-2")):
        holds = other.signed_digest == one.signed_digest
        with contextlib.nullcontext() if holds else pytest.raises(SignatureInvalid):
            asic.read(asic.container(other)).check(trust, bodies=False)


@given(data=st.binary(max_size=200))
def test_bytes_that_are_no_container_are_refused(data: bytes) -> None:
    with pytest.raises(SignatureMalformed):
        asic.read(data)


def test_a_container_too_large_when_unpacked_is_refused(monkeypatch: pytest.MonkeyPatch, signer: Signer) -> None:
    made = asic.container(record(signer, 1, bytes(100_000)))
    monkeypatch.setattr(asic, "_LARGEST", 50_000)
    with pytest.raises(SignatureMalformed, match="too large"):
        asic.read(made)


@pytest.mark.vectors
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_the_hash_chain_of_a_stamp_holds_to_x_roads_schema(vectors: Path, count: int) -> None:
    schema = etree.XMLSchema(etree.parse(vectors / "hashchain/hashchain.xsd"))
    leaves = [hashlib.sha512(b"%d" % n).digest() for n in range(count)]
    tree = tschain.Tree(leaves)
    for leaf in leaves:
        chain = tree.chain_of(leaf)
        schema.assertValid(etree.fromstring(chain.chain))
        schema.assertValid(etree.fromstring(chain.result))


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "problem", "stamped"),
    [
        ("valid-signed-message", None, datetime(2024, 12, 5, 13, 16, 35, tzinfo=UTC)),
        ("valid-signed-hashchain", None, datetime(2024, 12, 5, 12, 37, 50, tzinfo=UTC)),
        ("valid-batch-ts", None, datetime(2024, 12, 5, 7, 34, 14, tzinfo=UTC)),
        ("valid-non-batch-rest", None, datetime(2024, 7, 11, 12, 51, 12, tzinfo=UTC)),
        ("valid-non-batch-soap-attachments", None, datetime(2024, 12, 3, 13, 45, 33, tzinfo=UTC)),
        # X-Road's verifier accepts it: the chain is simply not referred to
        ("invalid-not-signed-hashchain", None, datetime(2024, 12, 5, 13, 16, 35, tzinfo=UTC)),
        ("invalid-digest", "signed properties", None),
        ("invalid-hashchain-modified-message", "hash chain result", None),
        ("invalid-signed-hashchain", "digest", None),
        ("invalid-incorrect-references", "signature value", None),
        ("invalid-ts-hashchainresult", "message digest", None),
        ("wrong-message", "message digest", None),
    ],
)
def test_x_roads_containers_get_x_roads_verdicts_with_their_time_stamps(
    vectors: Path, name: str, problem: str | None, stamped: datetime | None
) -> None:
    shared = globalconf.parse_shared((vectors / "asic/globalconf-for-asic/DEV/shared-params.xml").read_bytes())
    container = asic.read((vectors / f"asic/verifier-cli/{name}.asice").read_bytes())
    if problem is not None:
        with pytest.raises(ExchangeError, match=rf"\({problem}"):
            container.check(Trust(shared))
        return
    verdict = container.check(Trust(shared))
    assert verdict.member.member_class == "COM"
    assert verdict.stamp is not None
    assert verdict.stamp.time == stamped
    with pytest.raises(TimestampInvalid, match="no approved authority"):
        container.check(Trust(replace(shared, timestamping=())))


@pytest.mark.vectors
def test_a_time_stamps_result_that_was_exchanged_is_refused(vectors: Path) -> None:
    container = asic.read((vectors / "asic/verifier-cli/invalid-ts-hashchainresult.asice").read_bytes())
    with pytest.raises(ExchangeError, match="hash chain"):
        container.check_stamp(
            Trust(globalconf.parse_shared((vectors / "asic/globalconf-for-asic/DEV/shared-params.xml").read_bytes()))
        )


@pytest.mark.vectors
def test_every_container_of_a_live_pair_verifies(vectors: Path) -> None:
    shared = globalconf.parse_shared((vectors / "live-7.3.2/globalconf/EE/shared-params.xml").read_bytes())
    trust = Trust(shared)
    found = [
        asic.read(path.read_bytes()).check(trust) for path in sorted((vectors / "live-7.3.2/asice").glob("*.asice"))
    ]
    assert len(found) == 10
    assert {one.member.member_code for one in found} == {"consumer", "producer"}
