"""Native frames of small REST messages: the bytes of `linkframes`, and nothing read that it would refuse or read otherwise."""

import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import linkframes as lf
from kerege.exchange import multipart
from kerege.exchange.batch import parts_digest
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import LinkMalformed, SignatureInvalid
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId
from kerege.exchange.linkmessages import Announced, Group, LaneMessages, LinkLimits, LinkMessage, Messages
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer

from ..conftest import NOW

pytest.importorskip(
    "kerege.exchange.lane.frames", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import frames
from kerege.exchange.lane.call import Part

EDU = MemberId("KG", "GOV", "70000003")
CONTENT_TYPE = b"x-original-content-type"
KINDS = (multipart.REST_REQUEST, multipart.REST_RESPONSE)
LIMITS = LinkLimits()

small = st.binary(max_size=30)
streams = st.integers(0, 2**32 - 1)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Parts with ascending leaves, as the messages of a batch or some of them."""
    made = []
    for leaf in sorted(draw(st.sets(st.integers(0, 12), min_size=1, max_size=6))):
        part = Part(draw(small), draw(st.one_of(st.none(), small)), draw(streams), leaf)
        part.content_type = draw(st.one_of(st.none(), small))
        made.append(part)
    return made


def hashed(made: list[Part]) -> list[Part]:
    """What `digest.digest_parts` fills in."""
    for part in made:
        part.digest = part.leaf = hashlib.sha512(part.content).digest()
        if part.body is not None:
            part.body_digest = hashlib.sha512(part.body).digest()
            part.leaf = parts_digest((part.digest, part.body_digest))
    return made


def message_of(part: Part, kind: int) -> LinkMessage:
    attachments = () if part.body is None else (Attachment((), part.body),)
    headers = ((CONTENT_TYPE, part.content_type),) if part.content_type else ()
    return LinkMessage(part.stream, KINDS[kind], part.content, attachments, headers, part.index)


def by_python(
    signature: bytes, made: list[Part], kind: int, size: int, others: bytes, chained: bool, limits: LinkLimits
) -> list[bytes]:
    group = Group(signature, tuple(message_of(part, kind) for part in made), size, others, chained=chained)
    return lf.encode_messages([group], limits)


def read_by_python(frame: bytes) -> tuple[Group, ...] | None:
    """The groups of one whole frame; None where it is refused."""
    try:
        (read,) = lf.Decoder().feed(frame)
    except (LinkMalformed, ValueError):
        return None
    return read.groups if isinstance(read, Messages) else None


def read_natively(frame: bytes) -> tuple[frames.LaneGroup, ...] | None:
    """As the decoder asks for them, once the head is known to be well."""
    count, length = struct.unpack_from(">HI", frame, 6)
    found = frames.decode(frame, lf.HEAD_SIZE, lf.HEAD_SIZE + length, count, LIMITS.messages)
    return None if found is None else tuple(found)


def what_it_says(group: Group | frames.LaneGroup) -> tuple[Any, ...]:
    made = group if isinstance(group, Group) else group.python()
    return made.signature, made.size, made.others, made.chained, made.messages


def what_parts_say(group: frames.LaneGroup) -> list[LinkMessage]:
    return [message_of(part, group.kind) for part in group.parts]


@settings(max_examples=150, deadline=None)
@given(
    parts(), small, st.integers(0, 1), st.integers(1, 40), small, st.booleans(), st.integers(0, 400), st.integers(0, 7)
)
def test_a_frame_is_written_as_python_writes_it_or_left_to_it(
    made: list[Part], signature: bytes, kind: int, size: int, others: bytes, chained: bool, most: int, messages: int
) -> None:
    native = frames.encode(signature, made, kind, size, others, chained, most, messages)
    whole = by_python(signature, made, kind, size, others, chained, LIMITS)
    fits = len(whole[0]) - lf.HEAD_SIZE <= most and len(made) <= messages
    assert native == (whole if fits else None)
    if fits:
        assert native == by_python(signature, made, kind, size, others, chained, LinkLimits(most, messages))


@pytest.mark.parametrize("wrong", ["leaf", "no parts", "no content", "not a part", "kind", "size", "content type"])
def test_what_no_frame_can_hold_is_not_written(wrong: str) -> None:
    part = Part(b"content", None, 1, 0x10000 if wrong == "leaf" else 0)
    given: list[Any] = [part]
    if wrong == "no parts":
        given = []
    elif wrong == "no content":
        given = [Part()]
    elif wrong == "not a part":
        given = [part, b"part"]
    elif wrong == "content type":
        part.content_type = b"x" * (0xFFFF - 28)
    kind, size = (2 if wrong == "kind" else 0), (0x10000 if wrong == "size" else 1)
    assert frames.encode(b"s", given, kind, size, b"", True, 1 << 20, 100) is None


def test_the_largest_headers_and_leaf_are_written_as_python_writes_them() -> None:
    part = Part(b"content", b"", 2**32 - 1, 0xFFFF)
    part.content_type = b"x" * (0xFFFF - 29)
    native = frames.encode(b"s", [part], 1, 0xFFFF, b"", True, 1 << 20, 100)
    assert native == by_python(b"s", [part], 1, 0xFFFF, b"", True, LIMITS)


@st.composite
def frames_of_rest(draw: st.DrawFn) -> bytes:
    """A valid frame with several groups of small REST messages, some of them halves of a larger tree."""
    groups = []
    for _ in range(draw(st.integers(1, 3))):
        made = draw(parts())
        kind = draw(st.integers(0, 1))
        size = draw(st.integers(made[-1].index + 1, 14))
        others = b"".join(draw(st.binary(min_size=64, max_size=64)) for _ in range(size - len(made)))
        messages = tuple(message_of(part, kind) for part in made)
        groups.append(Group(draw(small), messages, size, others, chained=size > 1 or draw(st.booleans())))
    (frame,) = lf.encode_messages(groups)
    return frame


@settings(max_examples=150, deadline=None)
@given(frames_of_rest())
def test_a_frame_of_rest_messages_is_read_as_python_reads_it(frame: bytes) -> None:
    read, native = read_by_python(frame), read_natively(frame)
    assert read is not None
    assert native is not None
    assert [what_it_says(group) for group in native] == [what_it_says(group) for group in read]
    for one, group in zip(native, read, strict=True):
        assert what_parts_say(one) == list(group.messages)


@settings(max_examples=80, deadline=None)
@given(frames_of_rest(), st.data())
def test_a_frame_that_was_changed_is_read_as_python_reads_it_or_left_to_it(frame: bytes, data: st.DataObject) -> None:
    for _ in range(10):
        at = data.draw(st.integers(6, len(frame) - 1))
        how = data.draw(st.sampled_from(["other", "gone", "more"]))
        piece = data.draw(st.binary(min_size=1, max_size=4))
        changed = frame[:at] + (b"" if how == "gone" else piece) + frame[at + (0 if how == "more" else len(piece)) :]
        if at >= lf.HEAD_SIZE and data.draw(st.booleans()):  # its length said as it is
            changed = changed[:8] + struct.pack(">I", len(changed) - lf.HEAD_SIZE) + changed[12:]
        native = read_natively(changed)
        if native is None:
            continue
        read = read_by_python(changed[: lf.HEAD_SIZE + struct.unpack_from(">I", changed, 8)[0]])
        assert read is not None
        assert [what_it_says(group) for group in native] == [what_it_says(group) for group in read]


def sample(kind: int = 0) -> bytes:
    first, second = Part(b"first", b"body", 5, 0), Part(b"second", None, 6, 2)
    first.content_type = b"text/plain"
    (frame,) = by_python(b"signature", [first, second], kind, 3, b"L" * 64, True, LIMITS)
    return frame


def test_every_byte_changed_is_read_as_python_reads_it_or_left_to_it() -> None:
    frame = sample()
    taken = 0
    for at in range(6, len(frame)):
        for value in (0, 1, 2, 15, 64, 127, 128, 255, frame[at] ^ 1, (frame[at] + 1) & 255):
            changed = frame[:at] + bytes((value,)) + frame[at + 1 :]
            native = read_natively(changed)
            if native is not None:
                taken += 1
                read = read_by_python(changed)
                assert read is not None, at
                assert [what_it_says(one) for one in native] == [what_it_says(one) for one in read], at
    assert taken > 100


def test_a_frame_cut_anywhere_is_left_to_python() -> None:
    frame = sample()
    for end in range(lf.HEAD_SIZE, len(frame)):
        assert frames.decode(frame, lf.HEAD_SIZE, end, 1, 1024) is None
        assert frames.decode(frame[:end], lf.HEAD_SIZE, len(frame), 1, 1024) is None
        assert frames.decode(frame[:end], lf.HEAD_SIZE, end, 1, 1024) is None
    assert frames.decode(frame, lf.HEAD_SIZE, len(frame), 1, 1024) is not None


@pytest.mark.parametrize(("at", "end"), [(-1, 100), (50, 40), (12, 10**6), (-(2**62), 2**62)])
def test_places_outside_the_bytes_are_not_read(at: int, end: int) -> None:
    assert frames.decode(sample(), at, end, 1, 1024) is None


def test_no_more_messages_are_read_than_the_limit_allows() -> None:
    frame = sample()
    assert frames.decode(frame, 12, len(frame), 1, 2) is not None
    assert frames.decode(frame, 12, len(frame), 1, 1) is None
    assert frames.decode(frame, 12, len(frame), 0, 2) is None
    assert frames.decode(frame, 12, len(frame), 2, 2) is None


NOT_SIMPLE = {
    "SOAP": LinkMessage(1, multipart.SOAP, b"c"),
    "XOP": LinkMessage(1, multipart.XOP, b"c"),
    "an announced body": LinkMessage(1, KINDS[0], b"c", (Announced((), 5, b"D" * 64),)),
    "an attachment's header": LinkMessage(1, KINDS[0], b"c", (Attachment(((b"a", b"b"),), b"x"),)),
    "two attachments": LinkMessage(1, KINDS[0], b"c", (Attachment((), b"x"), Attachment((), b"y"))),
    "another header": LinkMessage(1, KINDS[0], b"c", (), ((b"x-original-soapaction!", b"text/plain"),)),
    "a header of as long a name": LinkMessage(1, KINDS[0], b"c", (), ((b"x-original-content-typf", b"text/plain"),)),
    "two headers": LinkMessage(1, KINDS[0], b"c", (), ((CONTENT_TYPE, b"a/b"), (CONTENT_TYPE, b"a/b"))),
    "an empty content type": LinkMessage(1, KINDS[0], b"c", (), ((CONTENT_TYPE, b""),)),
    "a content type in capitals": LinkMessage(1, KINDS[0], b"c", (), ((CONTENT_TYPE.upper(), b"a/b"),)),
}


@pytest.mark.parametrize("what", NOT_SIMPLE)
def test_messages_that_are_not_simple_are_left_to_python(what: str) -> None:
    plain = LinkMessage(2, KINDS[0], b"plain", leaf=1)
    for messages in ((NOT_SIMPLE[what],), (NOT_SIMPLE[what], plain)):
        (frame,) = lf.encode_messages([Group(b"s", messages, len(messages), b"", chained=True)])
        assert read_by_python(frame) is not None
        assert read_natively(frame) is None


def test_requests_and_answers_under_one_signature_are_left_to_python() -> None:
    messages = (LinkMessage(1, KINDS[0], b"a"), LinkMessage(1, KINDS[1], b"b", leaf=1))
    (frame,) = lf.encode_messages([Group(b"s", messages, 2, b"", chained=True)])
    assert read_by_python(frame) is not None
    assert read_natively(frame) is None


@settings(max_examples=60, deadline=None)
@given(frames_of_rest(), st.booleans(), st.booleans())
def test_a_groups_tree_is_the_python_groups(frame: bytes, digests: bool, python_first: bool) -> None:
    read, native = read_by_python(frame), read_natively(frame)
    assert read is not None
    assert native is not None
    for one, group in zip(native, read, strict=True):
        if digests:
            hashed(one.parts)
        if python_first:
            one.python()
        made, expected = one.batch(), group.batch()
        assert (list(made.leaves), made.root, made.plain) == (list(expected.leaves), expected.root, expected.plain)
        assert made is one.batch()
        assert one.python().batch().root == made.root
        for message in group.messages:
            ours, theirs = one.python().hash_chain(message), group.hash_chain(message)
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert (ours.result, ours.chain) == (theirs.result, theirs.chain)
            if not made.plain:
                assert made.chain(message.leaf) == expected.chain(message.leaf)


@pytest.mark.parametrize(("count", "body"), [(1, None), (1, b"body"), (3, b"body")])
def test_a_group_is_checked_as_the_python_group_is(
    authority: TestAuthority, shared: SharedParameters, count: int, body: bytes | None
) -> None:
    """One message whose signature is over itself, one with a chain of its own, and three under one signature."""
    pair = authority.sign_certificate(EDU, "Education", "node-edu", NOW)
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    made = hashed([Part(b"content %d" % at, body, at, at) for at in range(count)])
    signed = signer.sign_batch([part.digests for part in made], NOW)[0]
    data = frames.encode(signed.xml, made, frames.ANSWERS, count, b"", signed.chain is not None, 1 << 20, 1024)
    assert data is not None
    for changed in (False, True):
        (group,) = read_natively(data[0]) or ()
        parts_read = hashed(group.parts)
        if changed:
            parts_read[0].content += b" "
            hashed(parts_read)
            with pytest.raises(SignatureInvalid):
                Trust(shared).check_group(group.python_signed(), EDU, NOW)
        else:
            assert Trust(shared).check_group(group.python_signed(), EDU, NOW).certificate == pair.certificate


def test_digests_that_are_known_are_handed_to_python() -> None:
    (group,) = read_natively(sample()) or ()
    for part in hashed(group.parts):
        part.digest = b"d" * 64  # seen again below: nothing was hashed a second time
    assert [message.digests[0] for message in group.python().messages] == [b"d" * 64] * 2
    assert group.python() is group.python()
    assert [part.digests[0] for part in group.messages] == [b"d" * 64] * 2


@pytest.mark.parametrize("kind", [0, 1])
def test_a_decoder_that_was_asked_gives_lane_messages_and_others_as_ever(kind: int) -> None:
    soap = lf.encode_messages([Group(b"s", (LinkMessage(1, multipart.SOAP, b"c"),), 1, b"", chained=False)])[0]
    ping = lf.encode(lf.Ping(b"12345678"))
    data = sample(kind) + soap + ping + sample(kind)
    decoder = lf.Decoder(lane=True)
    came = [frame for at in range(0, len(data), 7) for frame in decoder.feed(data[at : at + 7])]
    assert [type(frame) for frame in came] == [LaneMessages, Messages, lf.Ping, LaneMessages]
    assert isinstance(came[0], LaneMessages)
    assert came[0].groups[0].kind == kind
    assert [type(frame) for frame in lf.Decoder().feed(data)] == [Messages, Messages, lf.Ping, Messages]


def test_a_decoder_that_was_asked_refuses_what_every_decoder_refuses() -> None:
    frame = bytearray(sample())
    frame[lf.HEAD_SIZE + 8] = 2  # a group's flags
    with pytest.raises(LinkMalformed, match="counts do not fit"):
        lf.Decoder(lane=True).feed(bytes(frame))
