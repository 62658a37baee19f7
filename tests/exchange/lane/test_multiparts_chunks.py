"""Messages of X-Road's wire that come in chunks, or end with their connection, natively: what the Python modules read, and nothing of what
two readers could take for different messages."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import multipart

pytest.importorskip(
    "kerege.exchange.lane.multiparts", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import multiparts
from kerege.exchange.lane.multiparts import Seen

from .multipart_samples import LARGEST, check, python_read, read, samples, told

KINDS = [multipart.REST_REQUEST, multipart.REST_RESPONSE]
names = pytest.mark.parametrize("kind", KINDS, ids=["request", "answer"])
SAMPLES = {kind: samples(kind) for kind in KINDS}
LAST = b"0\r\n\r\n"


def head_and_body(data: bytes) -> tuple[bytes, bytes]:
    """The head's lines but for what says where the body ends, each with its line end."""
    head, _, body = data.partition(b"\r\n\r\n")
    return re.sub(rb"(?mi)^content-length:.*\n", b"", head + b"\r\n"), body


def chunk(data: bytes, size: str = "%x") -> bytes:
    return (size % len(data)).encode() + b"\r\n" + data + b"\r\n"


def framed(data: bytes, body: bytes, says: bytes = b"transfer-encoding: chunked\r\n") -> bytes:
    return head_and_body(data)[0] + says + b"\r\n" + body


def in_chunks(data: bytes, *cuts: int, size: str = "%x", last: bytes = LAST) -> bytes:
    body = head_and_body(data)[1]
    pieces = [body[a:b] for a, b in pairwise([0, *sorted(cuts), len(body)]) if a < b]
    return framed(data, b"".join(chunk(one, size) for one in pieces) + last)


@names
def test_cut_in_two_at_any_byte_it_is_the_message_that_it_is_in_one_piece(kind: bytes) -> None:
    for data in SAMPLES[kind][:3]:
        whole = read(data, kind)
        assert whole is not None
        for at in range(1, len(head_and_body(data)[1])):
            found = read(in_chunks(data, at), kind)
            assert found is not None
            assert told(found) == told(whole)
        assert told(whole) == python_read(in_chunks(data, 7), kind)


@names
@given(st.data())
@settings(max_examples=120, deadline=None)
def test_any_chunks_are_read_as_by_the_python_modules(kind: bytes, data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(SAMPLES[kind]))
    cuts = data.draw(st.lists(st.integers(1, len(head_and_body(one)[1]) - 1), max_size=40))
    size = data.draw(st.sampled_from(["%x", "%X", "%03x", "%08x", "%09x", "%024X"]))
    last = data.draw(
        st.sampled_from(
            [LAST, b"000\r\n\r\n", b"000000000\r\n\r\n", b"0;a\r\n\r\n", b"0\r\na: b\r\n\r\n", b"", b"0\r\n"]
        )
    )
    assert check(in_chunks(one, *cuts, size=size, last=last), kind) == (
        size in {"%x", "%X", "%03x", "%08x"} and last in {LAST, b"000\r\n\r\n"}
    )  # fmt: skip


@names
def test_with_any_byte_changed_nothing_else_is_read_than_by_the_python_modules(kind: bytes) -> None:
    for data in SAMPLES[kind][:2]:
        sent = in_chunks(data, 1, 90, 101)
        assert check(sent, kind)
        for at in range(len(sent)):
            for other in (sent[at] ^ 1, sent[at] ^ 0x20, 0x0A, 0x30):
                check(sent[:at] + bytes((other,)) + sent[at + 1 :], kind)
            for put in (b"", b"\r\n", b"0", b";"):
                check(sent[:at] + put + sent[at + (not put) :], kind)


@names
def test_what_is_missing_is_never_more_than_what_is_to_come(kind: bytes) -> None:
    for data in SAMPLES[kind][:3]:
        for size, last in (("%x", LAST), ("%06X", b"0000\r\n\r\n")):
            sent = in_chunks(data, 1, 2, 40, 300, size=size, last=last)
            start = sent.index(b"\r\n\r\n") + 4
            for end in range(len(sent)):
                assert read(sent[:end], kind) is None
                missing = multiparts.missing(sent[:end], LARGEST)
                assert 1 <= missing <= len(sent) - end if end >= start else missing == 0
            assert multiparts.missing(sent, LARGEST) == 0
            assert multiparts.missing(sent + b"P", LARGEST) == 0
            assert read(sent + b"P", kind) is None


def test_of_a_chunk_whose_size_is_known_all_of_it_is_waited_for() -> None:
    data = in_chunks(SAMPLES[multipart.REST_REQUEST][0])
    line = data.index(b"\r\n", data.index(b"\r\n\r\n") + 4) + 2
    assert multiparts.missing(data[:line], LARGEST) == len(data) - line
    assert multiparts.missing(data[: line + 1], LARGEST) == len(data) - line - 1


UNUSUAL = {
    "with-length": b"transfer-encoding: chunked\r\ncontent-length: 10\r\n",
    "after-length": b"content-length: 10\r\ntransfer-encoding: chunked\r\n",
    "twice": b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    "gzip": b"transfer-encoding: gzip, chunked\r\n",
    "gzip-before": b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
    "identity": b"transfer-encoding: identity\r\n",
    "not-last": b"transfer-encoding: chunked, gzip\r\n",
    "capital": b"transfer-encoding: Chunked\r\n",
    "space-behind": b"transfer-encoding: chunked \r\n",
    "control-before": b"transfer-encoding: \x0bchunked\r\n",
    "empty": b"transfer-encoding:\r\n",
    "name-ends-in-space": b"transfer-encoding : chunked\r\n",
    "folded": b"transfer-encoding:\r\n chunked\r\n",
    "shadow": b"transfer_encoding: chunked\r\n",
    "trailer": b"transfer-encoding: chunked\r\ntrailer: x\r\n",
    "upgrade": b"transfer-encoding: chunked\r\nupgrade: h2c\r\nconnection: upgrade\r\n",
    "expect": b"transfer-encoding: chunked\r\nexpect: 100-continue\r\n",
    "te-close": b"transfer-encoding: chunked\r\nconnection: close, te\r\n",
}


@names
@pytest.mark.parametrize("name", UNUSUAL)
def test_whatever_else_is_said_of_the_bodys_end_is_not_read(kind: bytes, name: str) -> None:
    for data in SAMPLES[kind]:
        body = chunk(head_and_body(data)[1]) + LAST
        sent = framed(data, body, UNUSUAL[name])
        assert read(sent, kind) is None
        if name != "shadow":
            assert multiparts.missing(sent[:-8], LARGEST) == 0


@names
def test_what_is_larger_than_a_small_message_is_not_waited_for(kind: bytes) -> None:
    data = in_chunks(SAMPLES[kind][0], 9, 30)
    start = data.index(b"\r\n\r\n") + 4
    size = len(data) - start  # as it is written
    reader = multiparts.read_request if kind == multipart.REST_REQUEST else multiparts.read_answer
    assert reader(data, size, Seen()) is not None
    assert reader(data, size - 1, Seen()) is None
    assert multiparts.missing(data[:-1], size) == 1
    assert multiparts.missing(data[:-1], size - 1) == 0
    for line in (b"%x\r\n" % LARGEST, b"ffffffff\r\n", b"80000000\r\n", b"7fffffff\r\n", b"fffffff"):
        assert multiparts.missing(data[:start] + line, LARGEST) == 0
        assert read(data[:start] + line, kind) is None


CLOSE = b"connection: close\r\n"


@pytest.mark.parametrize(
    "says", [b"connection: close\r\n", b"Connection: Close\r\n", b"connection: keep-alive\r\n" + CLOSE]
)
def test_an_answer_after_which_the_connection_closes_is_read_and_says_so(says: bytes) -> None:
    kind = multipart.REST_RESPONSE
    for data in SAMPLES[kind]:
        body = head_and_body(data)[1]
        for sent in (
            framed(data, body, says + b"content-length: %d\r\n" % len(body)),
            framed(data, chunk(body) + LAST, b"transfer-encoding: chunked\r\n" + says),
        ):
            found = read(sent, kind)
            assert found is not None
            assert not found.kept
            assert told(found) == python_read(sent, kind)
            assert read(sent + b"x", kind) is None


def test_a_request_after_which_the_connection_closes_is_not_read() -> None:
    data = SAMPLES[multipart.REST_REQUEST][0]
    body = head_and_body(data)[1]
    assert read(framed(data, body, CLOSE + b"content-length: %d\r\n" % len(body)), multipart.REST_REQUEST) is None
    assert (
        read(framed(data, chunk(body) + LAST, CLOSE + b"transfer-encoding: chunked\r\n"), multipart.REST_REQUEST)
        is None
    )


def test_an_answer_that_ends_with_its_connection_is_read_when_that_ended_and_never_when_it_was_cut() -> None:
    kind = multipart.REST_RESPONSE
    for data in SAMPLES[kind]:
        for says in (b"", CLOSE):
            sent = framed(data, head_and_body(data)[1], says)
            start = sent.index(b"\r\n\r\n") + 4
            assert read(sent, kind) is None
            assert multiparts.missing(sent, LARGEST) == LARGEST + 1 - (len(sent) - start)
            assert check(sent, kind, ended=True)
            for end in range(len(sent)):  # all that may be left out is the line end behind the last boundary
                taken = check(sent[:end], kind, ended=True)
                assert taken == (end == len(sent) - 2), sent[end:]
            for more in (b"x", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
                check(sent + more, kind, ended=True)


def test_an_answer_with_a_length_that_was_cut_is_not_read_at_its_connections_end() -> None:
    kind = multipart.REST_RESPONSE
    for data in SAMPLES[kind]:
        for sent in (data, in_chunks(data, 5)):
            assert check(sent, kind, ended=True)
            for end in range(len(sent)):
                assert read(sent[:end], kind, ended=True) is None
            assert read(sent + b"\r\n", kind, ended=True) is None


def test_an_endless_answer_is_not_waited_for_beyond_the_largest() -> None:
    data = framed(SAMPLES[multipart.REST_RESPONSE][0], b"")
    data = data.replace(b"transfer-encoding: chunked\r\n", b"")
    assert multiparts.missing(data + b"x" * LARGEST, LARGEST) == 1
    assert multiparts.missing(data + b"x" * (LARGEST + 1), LARGEST) == 0
