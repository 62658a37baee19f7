from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import faults, multipart
from kerege.exchange.errors import ExchangeError, MessageMalformed, MessageTooLarge
from kerege.exchange.hashchain import HashChain
from kerege.exchange.multipart import Decoder, Limits, TransportMessage, encode_rest

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
