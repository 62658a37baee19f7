"""What we put on the wire and into containers beside what a live X-Road 7.3.2 put there: line by line, element by element.

Every difference that is allowed stands here by name, with why; docs/decisions/0108 lists them for readers.
"""

from __future__ import annotations

import base64
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench732 import Bench
from cryptography import x509
from lxml import etree
from pki732 import Authority
from signature732 import Refused, sha512, sign, verify
from test_both_directions import AS_PRODUCER, CLIENT, OUR_SERVICE, THEIR_SERVICE
from wire732 import decode, read_http

from kerege.exchange import asic, xades_verify
from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.xades import Signer

pytestmark = pytest.mark.vectors

# ours has a length where theirs comes in chunks, or ends with the connection; HTTP/1.1 keeps a connection unless told otherwise; we
# name no software and ask for no compression (7.3.2 sends none)
OTHER_IN_REQUESTS = {"transfer-encoding", "connection", "user-agent", "accept-encoding"}
OTHER_IN_ANSWERS = {"connection", "date"}
OUR_OWN = {"content-length"}


class Replay:
    """A captured message, as if it came over a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data


def captured(captures: Path, name: str):
    found = read_http(Replay((captures / "wire" / name).read_bytes()))
    assert found is not None
    return found


def names(http) -> set[str]:
    return {name.lower() for name, _ in http.headers}


def part_heads(body: bytes) -> list[bytes]:
    """The header block of every part."""
    mark = body[: body.index(b"\r\n")]
    return [piece.partition(b"\r\n\r\n")[0].removeprefix(b"\r\n") for piece in body.split(mark)[1:-1]]


REQUESTS = {
    "001.req": ("GET", "svc/a%20b?q=1&z=%C3%A4", {"X-Road-Id": "rest-1"}, None),
    "002.req": ("POST", "svc/x", {"X-Road-Id": "rest-2", "Content-Type": "application/json"}, b'{"a":1}'),
    "003.req": ("DELETE", "svc/nobody", {"X-Road-Id": "rest-3"}, None),
    "004.req": ("GET", "svc/e404", {"X-Road-Id": "rest-4"}, None),
}


@pytest.mark.parametrize("name", list(REQUESTS))
def test_a_request_of_ours_is_a_request_of_theirs(live: Bench, captures: Path, name: str) -> None:
    method, path, headers, body = REQUESTS[name]
    theirs = captured(captures, name)
    live.call(method, THEIR_SERVICE + path, CLIENT | headers, body)
    ours = live.peer.seen[-1]
    assert ours.first == theirs.first == "POST / HTTP/1.1"
    assert names(ours) - OUR_OWN == names(theirs) - OTHER_IN_REQUESTS
    for one in ("x-road-message-type", "x-hash-algorithm", "x-original-content-type"):
        assert ours.header(one) == theirs.header(one)
    mask = re.compile(r"xtop[A-Za-z]{30}")
    assert mask.sub("B", ours.header("content-type") or "") == mask.sub("B", theirs.header("content-type") or "")
    assert part_heads(ours.body) == part_heads(theirs.body)
    assert ours.body.endswith(b"--\r\n")
    mine, other = (decode(h.header("content-type") or "", h.body) for h in (ours, theirs))
    assert mine.layout == other.layout
    assert mine.message.split(b"\r\n")[:2] == other.message.split(b"\r\n")[:2]
    assert mine.message.split(b"\r\n")[-2][:18] == other.message.split(b"\r\n")[-2][:18] == b"x-road-request-id:"
    assert elements(mine.signature) == elements(other.signature)
    if other.chain is not None:
        assert [masked(one) for one in mine.chain or ()] == [masked(one) for one in other.chain]


ANSWERS = {
    "001.resp": ("GET", "svc/x", None),
    "002.resp": ("POST", "svc/x", b'{"a":1}'),
    "003.resp": ("DELETE", "svc/x", None),
    "004.resp": ("GET", "svc/e404", None),
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_an_answer_of_ours_is_an_answer_of_theirs(live: Bench, captures: Path, name: str) -> None:
    method, path, body = ANSWERS[name]
    theirs = captured(captures, name)
    live.peer.call_rest(live.address, live.ocsp, method, OUR_SERVICE + path, AS_PRODUCER, body)
    ours = live.peer.seen[-1]
    assert ours.first == theirs.first == "HTTP/1.1 200 OK"
    assert names(ours) - OUR_OWN == names(theirs) - OTHER_IN_ANSWERS
    assert ours.header("x-hash-algorithm") == theirs.header("x-hash-algorithm")
    assert part_heads(ours.body) == part_heads(theirs.body)
    mine, other = (decode(h.header("content-type") or "", h.body) for h in (ours, theirs))
    assert mine.message.split(b"\r\n")[:2] == other.message.split(b"\r\n")[:2]
    last_five = [[line.partition(b":")[0] for line in one.message.split(b"\r\n")[-6:-1]] for one in (mine, other)]
    assert last_five[0] == last_five[1]
    assert elements(mine.signature) == elements(other.signature)


def masked(xml: bytes) -> bytes:
    return re.sub(rb"[A-Za-z0-9+/]{86}==", b"DIGEST", xml)


def elements(xml: bytes) -> list[tuple[str, str, dict[str, str]]]:
    """Every element with its prefix and attributes, in order. White space between elements is not compared: theirs has line ends in
    `ds:` elements and within base64, ours none; nor is `xmlns:xsi`, declared there and used nowhere."""
    return [(str(n.prefix), str(n.tag), dict(n.attrib)) for n in etree.fromstring(xml).iter() if isinstance(n.tag, str)]


def of_captures(captures: Path) -> Authority:
    """The authority of the captured configuration, as far as checking needs it."""
    shared = etree.parse(str(captures / "globalconf" / "EE" / "shared-params.xml"))
    ca, responder = (
        SimpleNamespace(certificate=x509.load_der_x509_certificate(base64.b64decode(shared.findtext(path) or "")))
        for path in ("approvedCA/topCA/cert", "approvedCA/topCA/ocsp/cert")
    )
    return SimpleNamespace(ca=ca, responder=responder)  # type: ignore[return-value]


def test_the_stand_ins_verifier_accepts_every_captured_signature(captures: Path) -> None:
    authority = of_captures(captures)
    for path in sorted((captures / "wire").iterdir()):
        http = captured(captures, path.name)
        parts = decode(http.header("content-type") or "", http.body)
        inputs = {"/message.xml": sha512(parts.message)}
        if parts.body is not None:
            inputs["/attachment1"] = sha512(parts.body)
        member = "consumer" if path.suffix == ".req" else "producer"
        verify(parts.signature, parts.chain, inputs, f"EE/BUSINESS/{member}", authority, 10 * 365 * 86400)
        with pytest.raises(Refused):
            verify(parts.signature, parts.chain, inputs, "EE/BUSINESS/other", authority, 10 * 365 * 86400)
        with pytest.raises(Refused):
            verify(
                parts.signature,
                parts.chain,
                {**inputs, "/message.xml": sha512(b"x")},
                f"EE/BUSINESS/{member}",
                authority,
            )


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority(organisation='A "quoted", & <odd> name')


def test_a_batch_of_ours_is_accepted_for_each_of_its_messages_by_the_verifier_of_7_3_2(authority: Authority) -> None:
    pair = authority.signing("consumer")
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp([authority.answer(pair.certificate)])
    for size in (1, 2, 3, 5, 8, 11):
        messages = [(b"message %d" % n, [b"part %d" % m for m in range(n % 3)]) for n in range(size)]
        signed = signer.sign_batch(
            [(sha512(m), [sha512(p) for p in parts]) for m, parts in messages], datetime.now(UTC)
        )
        for (message, parts), one in zip(messages, signed, strict=True):
            inputs = {"/message.xml": sha512(message)} | {f"/attachment{n}": sha512(p) for n, p in enumerate(parts, 1)}
            chain = None if one.chain is None else (one.chain.result, one.chain.chain)
            verify(one.xml, chain, inputs, "EE/BUSINESS/consumer", authority)
            with pytest.raises(Refused):
                verify(one.xml, chain, {**inputs, "/message.xml": sha512(b"other")}, "EE/BUSINESS/consumer", authority)


def test_the_newer_style_is_refused_by_the_verifier_of_7_3_2(authority: Authority) -> None:
    pair = authority.signing("consumer")
    signer = Signer(pair.key, pair.certificate, style="parts")
    signer.with_ocsp([authority.answer(pair.certificate)])
    one = signer.sign(sha512(b"m"), [sha512(b"a")], datetime.now(UTC))
    inputs = {"/message.xml": sha512(b"m"), "/attachment1": sha512(b"a")}
    with pytest.raises(Refused):
        verify(one.xml, None, inputs, "EE/BUSINESS/consumer", authority)


def entries(data: bytes) -> Iterator[tuple[str, int]]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.comment == b"mimetype=application/vnd.etsi.asic-e+zip"
        yield from ((one.filename, one.compress_type) for one in archive.infolist())


def manifest(data: bytes) -> set[tuple[tuple[str, str], ...]]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        root = etree.fromstring(archive.read("META-INF/manifest.xml"))
    return {tuple(sorted((str(k), str(v)) for k, v in entry.attrib.items())) for entry in root}


def test_a_container_made_of_a_captured_one_has_its_layout_and_its_files_to_the_byte(captures: Path) -> None:
    paths = sorted((captures / "asice").iterdir())
    assert paths
    for path in paths:
        theirs = path.read_bytes()
        held = asic.read(theirs)
        record = LogRecord(
            time=datetime(2026, 11, 22, 4, 5, 46, tzinfo=UTC),
            direction="request" if "request" in path.name else "response",
            side="client" if "client" in path.name else "provider",
            message_id="m",
            request_id="r",
            client=ClientId.parse("EE/BUSINESS/consumer/sub"),
            service=DataServiceId.parse("EE/BUSINESS/producer/sub/svc"),
            message=held.message,
            body=held.attachments[0] if held.attachments else None,
            signature=held.signature,
            chain=held.chain,
            kind="SOAP" if held.message.startswith(b"<") else "REST",
        )  # fmt: skip
        ours = asic.container(record)
        assert list(entries(ours)) == list(entries(theirs))
        assert manifest(ours) == manifest(theirs)
        with zipfile.ZipFile(BytesIO(ours)) as mine, zipfile.ZipFile(BytesIO(theirs)) as other:
            for name in set(mine.namelist()) - {"META-INF/manifest.xml"}:
                assert mine.read(name) == other.read(name)


def test_our_reader_takes_a_stand_ins_signature_that_was_never_seen_before(authority: Authority) -> None:
    pair = authority.signing("producer")
    digests = {"/message.xml": sha512(b"m"), "/attachment1": sha512(b"a")}
    xml, chain = sign(authority, pair, digests)
    assert chain is not None
    facts = xades_verify.verify(xml, b"m", (b"a",), HashChain(*chain))
    assert facts.certificate == pair.certificate
