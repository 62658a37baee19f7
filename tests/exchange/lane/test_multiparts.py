"""Messages of X-Road's wire, natively: the bytes that the Python modules write, and nothing read that they would refuse or read otherwise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import multipart

pytest.importorskip(
    "kerege.exchange.lane.multiparts", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import chains, multiparts
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.multiparts import Seen

from .multipart_samples import (
    FRONT,
    LARGEST,
    boundary_of,
    call_of,
    check,
    hashed,
    native_tree,
    python_answer,
    python_read,
    python_request,
    read,
    samples,
    told,
    tree_of,
    with_length,
)

blobs = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"\r\n", b"--", b"-", b"\r", b"\n", b"xtop", b":", b"content-type: ", b"a"]), max_size=9).map(b"".join),
)  # fmt: skip


KINDS = [multipart.REST_REQUEST, multipart.REST_RESPONSE]
names = pytest.mark.parametrize("kind", KINDS, ids=["request", "answer"])


@given(
    st.lists(st.tuples(blobs, st.one_of(st.none(), blobs)), min_size=1, max_size=6),
    st.lists(blobs, max_size=8).map(tuple),
    st.binary(min_size=1, max_size=40),
    st.one_of(st.none(), st.sampled_from([b"", b"text/csv; header=absent", b"\xe9"])),
)
@settings(max_examples=120, deadline=None)
def test_what_is_written_is_byte_for_byte_what_the_python_modules_write(
    many: list[tuple[bytes, bytes | None]], ocsp: tuple[bytes, ...], signature: bytes, content_type: bytes | None
) -> None:
    parts = [hashed(content, body, at) for at, (content, body) in enumerate(many)]
    tree = tree_of(parts)
    for part in parts:
        call = call_of(part, content_type)
        sent = multiparts.request(call, FRONT, ocsp, signature, native_tree(tree))
        assert sent == python_request(call, ocsp, signature, tree, boundary_of(sent))
        given_back = multiparts.answer(call, signature, native_tree(tree))
        assert given_back == python_answer(call, signature, tree, boundary_of(given_back))
        check(sent, multipart.REST_REQUEST)
        check(given_back, multipart.REST_RESPONSE)


def test_a_full_message_comes_back_as_it_went() -> None:
    parts = [hashed(b"content %d" % at, bytes(range(256)) * 8, at) for at in range(9)]
    tree = tree_of(parts)
    sent = multiparts.request(call_of(parts[3], b"a/b"), FRONT, (b"one", b"two"), b"<s>", chains.Tree(tree))
    found = read(sent, multipart.REST_REQUEST)
    assert found is not None
    wanted = (b"content 3", parts[3].body, b"<s>", tree.result, tree.chain(3), (b"one", b"two"), b"17-4", True)
    assert told(found) == wanted == python_read(sent, multipart.REST_REQUEST)


def test_boundaries_are_in_the_senders_form_and_never_the_same() -> None:
    call = call_of(hashed(b"x", None, 0))
    made = {boundary_of(multiparts.answer(call, b"s", None)) for _ in range(700)}
    assert len(made) == 700
    assert all(len(one) == 34 and one.startswith("xtop") and one.isalpha() for one in made)


def test_what_comes_again_is_one_object() -> None:
    parts = [hashed(b"m%d" % at, b"b", at) for at in range(40)]
    tree, seen = chains.Tree(tree_of(parts)), Seen()
    sent = [multiparts.request(call_of(one), FRONT, (b"answer",), b"<signature>", tree) for one in parts]
    found = [read(one, multipart.REST_REQUEST, seen) for one in sent]
    assert len({id(one.signature) for one in found if one}) == 1
    assert len({id(one.result) for one in found if one}) == 1
    assert len({id(one.ocsp[0]) for one in found if one}) == 1
    assert len({one.chain for one in found if one}) == 40


@names
def test_with_any_byte_changed_nothing_else_is_read_than_by_the_python_modules(kind: bytes) -> None:
    for data in samples(kind):
        assert read(data, kind) is not None
        for at in range(len(data)):
            for other in (data[at] ^ 1, data[at] ^ 0x20, 0x0A, 0x2D):
                check(data[:at] + bytes((other,)) + data[at + 1 :], kind)


@names
def test_with_any_byte_left_out_or_twice_nothing_else_is_read_than_by_the_python_modules(kind: bytes) -> None:
    for data in samples(kind):
        for at in range(len(data)):
            check(data[:at] + data[at + 1 :], kind)
            check(data[:at] + data[at : at + 1] + data[at:], kind)


@names
def test_changed_bodies_under_the_right_length_are_read_as_by_the_python_modules(kind: bytes) -> None:
    for data in samples(kind)[:3]:
        start = data.index(b"\r\n\r\n") + 4
        for at in range(start, len(data)):
            check(with_length(data[:at] + data[at + 1 :]), kind)
            check(with_length(data[:at] + b"\r\n" + data[at:]), kind)
            check(with_length(data[:at] + b"-" + data[at:]), kind)


@names
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_lines_moved_about_are_read_as_by_the_python_modules(kind: bytes, data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(samples(kind))).split(b"\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at, to = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        what = data.draw(st.sampled_from(["swap", "drop", "repeat", "upper", "other"]))
        if what == "swap":
            lines[at], lines[to] = lines[to], lines[at]
        elif what == "drop" and len(lines) > 1:
            del lines[at]
        elif what == "repeat":
            lines.insert(to, lines[at])
        elif what == "upper":
            lines[at] = lines[at].upper()
        else:
            lines[at] = data.draw(blobs)
    moved = b"\r\n".join(lines)
    check(moved, kind)
    check(with_length(moved), kind)


HEADERS = {
    "hash-256": (b"SHA-512", b"SHA-256"),
    "hash-low": (b"x-hash-algorithm: SHA-512", b"X-Hash-Algorithm: sha-512"),
    "hash-twice": (b"x-hash-algorithm: SHA-512", b"x-hash-algorithm: SHA-512\r\nx-hash-algorithm: SHA-512"),
    "type-soap": (b"x-road-message-type: REST", b"x-road-message-type: SOAP"),
    "type-none": (b"x-road-message-type: REST\r\n", b""),
    "id-none": (b"x-road-request-id: 17-4\r\n", b""),
    "id-twice": (b"x-road-request-id: 17-4\r\n", b"x-road-request-id: 17-4\r\nX-Road-Request-Id: 17-5\r\n"),
    "quoted": (b"boundary=", b'boundary="'),
    "mixed-up": (b"multipart/mixed", b"Multipart/Mixed"),
    "chunked": (b"content-length:", b"transfer-encoding: chunked\r\ncontent-length:"),
    "closing": (b"content-length:", b"connection: close\r\ncontent-length:"),
    "keeping": (b"content-length:", b"connection: keep-alive\r\ncontent-length:"),
    "two-lengths": (b"content-length:", b"content-length: 7\r\ncontent-length:"),
    "no-length": (b"content-length:", b"x-length:"),
    "other-target": (b"POST / ", b"POST /x "),
    "other-method": (b"POST / ", b"PUT / "),
    "other-version": (b"HTTP/1.1", b"HTTP/1.0"),
    "other-status": (b" 200 OK", b" 500 OK"),
    "no-reason": (b" 200 OK", b" 200 "),
    "upgrade": (b"content-length:", b"upgrade: h2c\r\ncontent-length:"),
    "unknown": (b"content-length:", b"user-agent: proxy\r\ncontent-length:"),
    "shadow": (b"content-length:", b"x_road_request_id: 17-5\r\ncontent-length:"),
    "two-types": (b"content-type: multipart", b"content-type: text/xml\r\ncontent-type: multipart"),
}


@names
@pytest.mark.parametrize("name", HEADERS)
def test_other_heads_are_read_as_by_the_python_modules_or_not_at_all(kind: bytes, name: str) -> None:
    before, after = HEADERS[name]
    for data in samples(kind):
        if before in data:
            changed = data.replace(before, after, 1)
            check(changed, kind)
            if name in {"hash-low", "keeping", "unknown", "no-reason"}:
                assert read(changed, kind) is not None


@names
def test_only_what_is_whole_is_read_and_what_is_missing_is_known_from_the_head(kind: bytes) -> None:
    for data in samples(kind):
        start = data.index(b"\r\n\r\n") + 4
        for end in range(len(data)):
            assert read(data[:end], kind) is None
            assert multiparts.missing(data[:end], LARGEST) == (len(data) - end if end >= start else 0)
        assert multiparts.missing(data, LARGEST) == 0
        assert multiparts.missing(data + b"more", LARGEST) == 0
        assert read(data + b"more", kind) is None
        assert multiparts.missing(data[:start], 10) == 0
        assert read(data, kind, None) is not None


@names
def test_what_is_larger_than_a_small_message_is_not_read(kind: bytes) -> None:
    for content, body, whether in (
        (b"c", b"b" * 65_536, True),
        (b"c", b"b" * 65_537, False),
        (b"c" * 65_536, None, True),
        (b"c" * 65_537, None, False),
    ):
        part = hashed(content, body, 0)
        call, tree = call_of(part), native_tree(tree_of([part]))
        answer = multiparts.answer(call, b"s", tree)
        data = multiparts.request(call, FRONT, (), b"s", tree) if kind == multipart.REST_REQUEST else answer
        assert (read(data, kind) is not None) == whether
    data = samples(kind)[0]
    length = len(data) - data.index(b"\r\n\r\n") - 4
    reader = multiparts.read_request if kind == multipart.REST_REQUEST else multiparts.read_answer
    assert reader(data, length, Seen()) is not None
    assert reader(data, length - 1, Seen()) is None


def test_nine_ocsp_answers_are_neither_written_nor_read() -> None:
    call = call_of(hashed(b"x", None, 0))
    with pytest.raises(ValueError, match="OCSP"):
        multiparts.request(call, FRONT, (b"o",) * 9, b"s", None)
    eight = multiparts.request(call, FRONT, (b"o",) * 8, b"s", None)
    assert read(eight, multipart.REST_REQUEST) is not None
    part = b"--" + boundary_of(eight).encode() + b"\r\ncontent-type: application/ocsp-response\r\n\r\no\r\n"
    head, _, body = eight.partition(b"\r\n\r\n")
    nine = with_length(head + b"\r\n\r\n" + part + body)
    assert read(nine, multipart.REST_REQUEST) is None
    assert python_read(nine, multipart.REST_REQUEST) is None


def test_a_call_without_its_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="without its request"):
        multiparts.request(Call(), FRONT, (), b"s", None)
    with pytest.raises(ValueError, match="without its answer"):
        multiparts.answer(Call(), b"s", None)
    part = hashed(b"x", b"y", 3)
    with pytest.raises(ValueError, match="leaf"):
        multiparts.answer(call_of(part), b"s", chains.Tree(tree_of([hashed(b"x", b"y", 0)])))
