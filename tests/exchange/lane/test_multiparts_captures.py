"""What live servers of X-Road 7.3.2 sent each other (captures), read natively: as the Python modules read it, byte for byte."""

from pathlib import Path

import pytest

from kerege.exchange import multipart, rest
from kerege.exchange.ids import ClientId, DataServiceId

pytest.importorskip(
    "kerege.exchange.lane.multiparts", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import chains, digest, multiparts, restlines
from kerege.exchange.lane.call import Call, Way
from kerege.exchange.lane.multiparts import Envelope

from .multipart_samples import LARGEST, python_read, read, told

pytestmark = pytest.mark.vectors

NUMBERS = ["001", "002", "003", "004"]
IN_TWO_WAYS = "001"  # its path has percent-encoded characters: the Python modules decide on what they stand for
CHAINED = {"001.resp", "002.req", "002.resp", "004.resp"}


def captured(vectors: Path, name: str) -> tuple[bytes, Envelope]:
    file = vectors / "live-7.3.2" / "wire" / name
    if not file.is_file():
        pytest.skip(f"not there: {file}")
    data = file.read_bytes()
    found = read(data, kind_of(name), ended=True)
    assert found is not None
    return data, found


def kind_of(name: str) -> bytes:
    return multipart.REST_REQUEST if name.endswith(".req") else multipart.REST_RESPONSE


@pytest.mark.parametrize("number", NUMBERS)
def test_requests_in_chunks_are_taken_and_are_what_the_python_modules_read(vectors: Path, number: str) -> None:
    name = f"{number}.req"
    data, found = captured(vectors, name)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in data
    assert told(found) == python_read(data, multipart.REST_REQUEST)
    assert found.kept
    assert len(found.ocsp) == 1
    assert (found.chain is not None) == (name in CHAINED)
    for end in range(data.index(b"\r\n\r\n") + 4, len(data), 17):
        assert read(data[:end], multipart.REST_REQUEST) is None
        assert 1 <= multiparts.missing(data[:end], LARGEST) <= len(data) - end


@pytest.mark.parametrize("number", NUMBERS)
def test_answers_that_end_with_the_connection_are_taken_when_it_ended(vectors: Path, number: str) -> None:
    name = f"{number}.resp"
    data, found = captured(vectors, name)
    assert b"\r\nConnection: close\r\n" in data
    assert told(found) == python_read(data, multipart.REST_RESPONSE, ended=True)
    assert not found.kept
    assert (found.chain is not None) == (name in CHAINED)
    assert read(data, multipart.REST_RESPONSE) is None
    for end in range(0, len(data) - 2, 17):
        assert read(data[:end], multipart.REST_RESPONSE, ended=True) is None
        assert python_read(data[:end], multipart.REST_RESPONSE, ended=True) is None


@pytest.mark.parametrize("number", NUMBERS)
def test_their_chains_hold_and_their_messages_are_read_natively(vectors: Path, number: str) -> None:
    asked, answered = captured(vectors, f"{number}.req")[1], captured(vectors, f"{number}.resp")[1]
    parts = [asked.part, answered.part]
    digest.digest_parts(parts)
    held = chains.hold(parts, [asked.chain, answered.chain], [asked.result, answered.result])
    assert list(held) == [f"{number}.req" in CHAINED, f"{number}.resp" in CHAINED]

    call, message = Call(), rest.decode_request(asked.part.content)
    assert restlines.read_request(asked.part, call) == (number != IN_TWO_WAYS)
    if number == IN_TWO_WAYS:
        return
    assert (call.verb, call.path, call.message_id) == (message.verb, message.path.encode(), message.message_id.encode())
    assert call.request_id == asked.request_id == message.request_id.encode()
    call.way = Way(
        ClientId.parse(call.client_raw.decode()), DataServiceId.parse(call.service_raw.decode()), call.client_raw, call.service_raw
    )  # fmt: skip
    call.request = asked.part
    digest.request_hashes([call])
    assert restlines.read_answer(answered.part, call)
    answer = rest.decode_response(answered.part.content)
    assert call.status == answer.status
    rest.check_consistent(message, (call.request_hash or b"").decode(), answer)


def test_what_was_captured_of_soap_is_not_taken(vectors: Path) -> None:
    files = sorted((vectors / "transport").glob("*"))
    assert len(files) >= 10
    for file in files:
        body = file.read_bytes()
        boundary = body.split(b"\n")[0].rstrip(b"\r")[2:]
        for kind, first in (
            (multipart.REST_REQUEST, b"POST / HTTP/1.1"),
            (multipart.REST_RESPONSE, b"HTTP/1.1 200 OK"),
        ):
            head = b"%b\r\nx-road-message-type: REST\r\nx-road-request-id: 1\r\n" % first
            head += b"content-type: multipart/mixed; charset=UTF-8; boundary=%b\r\ncontent-length: %d\r\n\r\n" % (
                boundary,
                len(body),
            )
            assert read(head + body, kind) is None, file.name
