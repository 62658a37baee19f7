import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import faults, multipart
from kerege.exchange.bodies import Attachment, Spool, body_bytes
from kerege.exchange.errors import ExchangeError, MessageMalformed, MessageTooLarge
from kerege.exchange.hashchain import HashChain
from kerege.exchange.multipart import Decoder, Limits, TransportMessage, encode_message, encode_rest

CHAIN = HashChain(b"<result/>", b"<chain/>")


def decode(
    data: bytes, boundary: str = "xtopabc", step: int = 1 << 20, limits: Limits | None = None
) -> TransportMessage:
    decoder = Decoder(boundary, limits)
    for at in range(0, len(data), step):
        decoder.feed(data[at : at + step])
    return decoder.finish()


@given(
    st.binary(min_size=1, max_size=300),
    st.one_of(st.none(), st.binary(max_size=300)),
    st.lists(st.binary(max_size=50), max_size=2),
    st.integers(1, 60),
)
def test_what_was_encoded_decodes_the_same_however_it_is_cut(
    message: bytes, body: bytes | None, ocsp: list[bytes], step: int
) -> None:
    chain = None if body is None else CHAIN
    data = encode_rest("xtopabc", message, body, chain, b"<sig/>", response=False, ocsp=ocsp)
    found = decode(data, step=step)
    assert (found.message, found.body, found.ocsp, found.signature) == (message, body, ocsp, b"<sig/>")
    assert found.hash_chain == chain


def test_an_empty_body_is_a_part_and_no_body_is_none() -> None:
    assert decode(encode_rest("xtopabc", b"m", b"", CHAIN, b"s", response=True)).body == b""
    assert decode(encode_rest("xtopabc", b"m", None, None, b"s", response=True)).body is None


def parts(*pairs: tuple[str, bytes]) -> bytes:
    out = b"".join(b"--b\r\ncontent-type: " + t.encode() + b"\r\n\r\n" + c + b"\r\n" for t, c in pairs)
    return out + b"--b--\r\n"


REQUEST, BODY, SIGNATURE = (
    ("application/x-road-rest-request", b"m"),
    ("application/x-road-rest-body", b"b"),
    ("signature/bdoc-1.0/ts", b"s"),
)


@pytest.mark.parametrize(
    "pairs",
    [
        (BODY, REQUEST, SIGNATURE),
        (SIGNATURE, REQUEST),
        (REQUEST, SIGNATURE, BODY),
        (REQUEST, SIGNATURE, SIGNATURE),
        (REQUEST, BODY, BODY, SIGNATURE),
        (REQUEST, ("application/ocsp-response", b"o"), SIGNATURE),
        (REQUEST, ("application/hash-chain", b"c"), SIGNATURE),
        (REQUEST, ("application/hash-chain-result", b"c"), SIGNATURE),
        (REQUEST, ("foo/bar", b"c")),
        (REQUEST, BODY),
        (REQUEST,),
    ],
)
def test_parts_out_of_order_or_missing_are_refused(pairs: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(MessageMalformed):
        decode(parts(*pairs), "b")


def test_a_truncated_message_is_refused_at_every_length() -> None:
    data = encode_rest("xtopabc", b"GET\r\n", b"body", CHAIN, b"<sig/>", response=False)
    for size in range(len(data) - 2):
        with pytest.raises(MessageMalformed):
            decode(data[:size])


def test_a_body_beyond_the_limit_is_refused_while_it_arrives() -> None:
    data = encode_rest("xtopabc", b"m", b"x" * 5000, CHAIN, b"s", response=False)
    with pytest.raises(MessageTooLarge):
        decode(data[:1500], step=100, limits=Limits(body=1000))


def test_more_ocsp_answers_than_the_limit_are_refused() -> None:
    data = encode_rest("xtopabc", b"m", None, None, b"s", response=False, ocsp=[b"o"] * 9)
    with pytest.raises(MessageTooLarge):
        decode(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_breaking_the_decoder(data: bytes) -> None:
    with pytest.raises(ExchangeError):
        decode(b"--xtopabc\r\n" + data, step=7)


def test_the_boundary_is_read_from_the_header_with_or_without_quotes() -> None:
    assert multipart.boundary_of("multipart/mixed; charset=UTF-8; boundary=xtopA") == "xtopA"
    assert multipart.boundary_of('Multipart/Mixed; boundary="a b"') == "a b"
    for bad in ("text/xml", "multipart/mixed"):
        with pytest.raises(MessageMalformed):
            multipart.boundary_of(bad)


# --- big bodies ---

# bodies of what boundaries are made of: beginnings of the delimiter at every place, and never the whole of it
nearly = (
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\n--xtopab", b"xtopabc", b"--xtopabc", b"a"]))
    .map(b"".join)
    .flatmap(lambda body: st.sampled_from([body]) | st.binary(max_size=300))
    .filter(lambda body: b"\r\n--xtopabc" not in body)
)


@given(st.none() | nearly, st.lists(st.integers(0, 900), max_size=8), st.integers(0, 99))
def test_any_split_of_the_bytes_gives_the_same_message_in_memory_or_on_disk(
    tmp_path_factory: pytest.TempPathFactory, body: bytes | None, cuts: list[int], memory: int
) -> None:
    data = encode_rest("xtopabc", b"GET\r\n/\r\n", body, CHAIN, b"<sig/>", response=False, ocsp=[b"o1", b"o2"])
    decoder = Decoder("xtopabc", Limits(memory=memory, spool=tmp_path_factory.getbasetemp() / "spool"))
    places = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        decoder.feed(data[start : max(start, end)])
    found = decoder.finish()
    assert isinstance(found.body, Spool) == (body is not None and len(body) > memory)
    assert (None if found.body is None else body_bytes(found.body)) == body
    assert (found.message, found.ocsp, found.signature) == (b"GET\r\n/\r\n", [b"o1", b"o2"], b"<sig/>")
    assert found.hash_chain == CHAIN
    found.close()


def test_a_big_body_goes_to_disk_and_comes_out_as_a_piece_of_its_own(tmp_path: Path) -> None:
    block = b"\r\n--xtopabd" * 10_000
    with Spool.of([block] * 30, tmp_path) as spool:
        pieces = encode_message(
            "xtopabc", multipart.REST_REQUEST, b"PUT\r\n", (Attachment((), spool),), CHAIN, b"s", ocsp=[b"o"]
        )
        assert [piece is spool for piece in pieces] == [False, True, False]
        decoder = Decoder("xtopabc", Limits(spool=tmp_path, memory=1000))
        for piece in pieces:
            for chunk in (piece,) if isinstance(piece, bytes) else piece.chunks(65_536):
                decoder.feed(chunk)
                assert len(decoder._rest) < 100
        found = decoder.finish()
        assert isinstance(found.body, Spool)
        assert (found.body.size, found.body.sha512) == (spool.size, spool.sha512)
        found.close()
        assert found.body.closed


def fed(decoder: Decoder, data: bytes, seen: list[Spool]) -> None:
    for at in range(0, len(data), 500):
        decoder.feed(data[at : at + 500])
        seen += [decoder._writer._spool] if decoder._writer and decoder._writer._spool else []
    decoder.finish()


def test_what_came_of_a_refused_message_is_given_back(tmp_path: Path) -> None:
    data = encode_rest("xtopabc", b"m", b"x" * 5000, CHAIN, b"s", response=False)
    for spoilt, limits in (
        (data + b"more", Limits(memory=100, spool=tmp_path)),
        (data[:-30], Limits(memory=100, spool=tmp_path)),
        (data, Limits(memory=100, body=4000, spool=tmp_path)),
        (data.replace(b"application/x-road-rest-request", b"text/xml"), Limits(memory=100, spool=tmp_path)),
    ):
        decoder = Decoder("xtopabc", limits)
        seen: list[Spool] = []
        with pytest.raises(ExchangeError):
            fed(decoder, spoilt, seen)
        assert seen
        assert all(spool.closed for spool in seen)


def test_only_bodies_and_attachments_go_to_disk(tmp_path: Path) -> None:
    data = encode_rest("xtopabc", b"m" * 5000, b"b" * 5000, CHAIN, b"s" * 5000, response=False)
    found = decode(data, step=700, limits=Limits(memory=100, spool=tmp_path))
    assert (found.message, found.signature) == (b"m" * 5000, b"s" * 5000)
    assert isinstance(found.body, Spool)
    found.close()


def test_attachments_travel_in_one_nested_part_as_they_are(tmp_path: Path) -> None:
    with Spool.of([b"big" * 50_000], tmp_path) as spool:
        attachments = (
            Attachment(((b"content-type", b"text/plain"), (b"content-id", b"<a>")), b"one"),
            Attachment(((b"content-transfer-encoding", b"base64"),), spool),
            Attachment((), b""),
        )
        kind = b'application/xop+xml; charset=UTF-8; type="text/xml"'
        pieces = encode_message("xtopabc", multipart.XOP, b"<e/>", attachments, None, b"s", content_type=kind)
        assert pieces[1] is spool
        found = decode(b"".join(map(body_bytes, pieces)))
    assert (found.kind, found.message, found.headers) == (multipart.XOP, b"<e/>", {b"content-type": kind})
    assert found.nested is not None
    inner = found.nested.headers[b"content-type"].partition(b"boundary=")[2]
    assert inner.startswith(b"xatt")
    mark = b"--" + inner
    assert body_bytes(found.nested.body) == b"".join(
        (
            b"\r\n" + mark + b"\r\ncontent-type: text/plain\r\ncontent-id: <a>\r\n\r\none\r\n",
            mark + b"\r\ncontent-transfer-encoding: base64\r\n\r\n" + b"big" * 50_000 + b"\r\n",
            mark + b"\r\n\r\n\r\n" + mark + b"--\r\n",
        )
    )


def test_an_attachments_header_writes_no_line_of_its_own() -> None:
    with pytest.raises(MessageMalformed):
        encode_message("b", multipart.SOAP, b"<e/>", (Attachment(((b"a", b"b\r\nc: d"),), b""),), None, b"s")


# --- X-Road's own messages ---


def vector(folder: Path, name: str) -> tuple[bytes, str]:
    data = (folder / "transport" / name).read_bytes()
    if b"\r\n--" not in data:  # kept with bare line ends in the vectors; the wire has CRLF
        data = data.replace(b"\n", b"\r\n")
    return data, data.lstrip()[2:].split(b"\r\n", 1)[0].decode()


@pytest.mark.vectors
@pytest.mark.parametrize(
    "name", ["normal.request", "normal.response", "ocsp.request", "attachment.request", "invalid-ocsp.request"]
)
def test_x_roads_messages_decode(vectors: Path, name: str) -> None:
    data, boundary = vector(vectors, name)
    found = decode(data, boundary)
    assert found.kind == multipart.SOAP
    assert b"Envelope>" in found.message
    assert b"XAdESSignatures" in found.signature
    assert bool(found.ocsp) == ("ocsp" in name)
    assert (found.nested is not None) == ("attachment" in name)


@pytest.mark.vectors
def test_a_fault_in_place_of_the_signature_is_given_as_a_fault(vectors: Path) -> None:
    data, boundary = vector(vectors, "fault-signature.request")
    found = decode(data, boundary)
    assert found.fault is not None
    fault = faults.from_soap(found.fault)
    assert fault is not None
    assert (fault.code, fault.message, fault.detail) == ("CODE", "STRING", "DETAIL")


def test_a_fault_in_place_of_everything_is_given_as_a_fault_and_an_unsigned_message_is_not() -> None:
    fault = faults.to_soap(faults.Fault("Server.ServerProxy.ServiceFailed.NetworkError", "refused", "an-uuid"))
    alone = b"--b\r\ncontent-type: text/xml; charset=UTF-8\r\n\r\n%b\r\n--b--\r\n"
    assert decode(alone % fault, "b").fault == fault
    for content in (b"<a/>", b"no XML", fault.replace(b"Fault>", b"Flaw>")):
        with pytest.raises(MessageMalformed) as refused:
            decode(alone % content, "b")
        assert refused.value.params["where"] == "signature"


@pytest.mark.vectors
def test_a_soap_fault_as_message_is_recognised(vectors: Path) -> None:
    data, boundary = vector(vectors, "normal-soapfault.request")
    fault = faults.from_soap(decode(data, boundary).message)
    assert fault is not None
    assert fault.code == "CODE"


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("extracontent.request", "end"),
        ("invalid-contenttype-signature.request", "part order"),
        ("invalid-soap-contenttype.request", "part order"),
    ],
)
def test_x_roads_faulty_messages_are_refused_for_the_right_reason(vectors: Path, name: str, where: str) -> None:
    data, boundary = vector(vectors, name)
    with pytest.raises(MessageMalformed) as refused:
        decode(data, boundary)
    assert refused.value.params["where"] == where


def unchunked(data: bytes) -> bytes:
    out, at = b"", 0
    while (end := data.find(b"\r\n", at)) >= 0 and (size := int(data[at:end], 16)):
        out += data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return out


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["001.req", "002.req", "003.req", "004.req", "001.resp", "002.resp", "004.resp"])
def test_what_a_live_server_sent_is_written_the_same_byte_for_byte(vectors: Path, name: str) -> None:
    head, _, data = (vectors / "live-7.3.2" / "wire" / name).read_bytes().partition(b"\r\n\r\n")
    data = unchunked(data) if b"chunked" in head.lower() else data
    boundary = data[2 : data.index(b"\r\n")].decode()
    found = decode(data, boundary, 999)
    attachments = () if found.body is None else (Attachment((), found.body),)
    pieces = encode_message(
        boundary, found.kind, found.message, attachments, found.hash_chain, found.signature, ocsp=found.ocsp
    )
    assert b"".join(map(body_bytes, pieces)) == data
