"""The Kerege link's frames: there and back, in any pieces, and nothing but LinkMalformed from bytes that are none."""

import contextlib
import hashlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import linkframes as lf
from kerege.exchange import multipart
from kerege.exchange.batch import batch
from kerege.exchange.bodies import Attachment, Spool
from kerege.exchange.errors import LinkMalformed, SignatureInvalid, SignerWrong
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId
from kerege.exchange.linkmessages import (
    Announced,
    BodyData,
    Cancel,
    Credit,
    FaultFrame,
    Frame,
    Goaway,
    Group,
    Hello,
    LinkLimits,
    LinkMessage,
    Messages,
    OcspAnswers,
    Ping,
)
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.exchange.xades_verify import verify

from .conftest import NOW

EDU, POP = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")

small = st.binary(max_size=20)
fields = st.lists(st.tuples(st.binary(min_size=1, max_size=8), small), max_size=3).map(tuple)
attachments = st.lists(
    st.one_of(
        st.builds(Attachment, fields, small),
        st.builds(Announced, fields, st.integers(0, 2**40), st.binary(min_size=64, max_size=64)),
    ),
    max_size=3,
).map(tuple)


@st.composite
def groups(draw: st.DrawFn) -> Group:
    """A whole batch, some messages of one, or a message with a signature of its own."""
    made = [
        LinkMessage(
            draw(st.integers(0, 2**32 - 1)),
            draw(st.sampled_from(lf.KINDS)),
            draw(small),
            draw(attachments),
            draw(fields),
            leaf,
        )
        for leaf in range(draw(st.integers(1, 6)))
    ]
    signature = draw(st.binary(max_size=40))
    if len(made) == 1:
        return Group.of(signature, made, None, chained=draw(st.booleans()))
    tree = batch([message.digests for message in made])
    kept = draw(st.lists(st.sampled_from(made), min_size=1, unique_by=id))
    return Group.of(signature, sorted(kept, key=lambda message: message.leaf), tree, chained=True)


others: st.SearchStrategy[Frame] = st.one_of(
    st.builds(FaultFrame, st.integers(0, 2**32 - 1), small),
    st.builds(BodyData, st.integers(0, 2**32 - 1), st.integers(1, 2**16 - 1), small, st.booleans()),
    st.builds(Credit, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(Cancel, st.integers(0, 2**32 - 1)),
    st.builds(Ping, st.binary(min_size=8, max_size=8), st.booleans()),
    st.builds(Goaway, st.integers(0, 2**32 - 1), st.text(max_size=20)),
    st.builds(OcspAnswers, st.lists(st.tuples(st.sampled_from([lf.AUTH, lf.SIGN]), small), min_size=1).map(tuple)),
    st.builds(
        Hello,
        st.text(st.characters(codec="utf-8"), max_size=10),
        st.just((1, 2)),
        st.builds(LinkLimits, st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)),
        st.integers(1, 2**32 - 1),
        st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3).map(tuple),
    ),
)


def same(one: Frame, other: Frame) -> bool:
    """Frames are equal by value; groups have no equality of their own, only what they carry."""
    if not isinstance(one, Messages) or not isinstance(other, Messages):
        return one == other
    names = ("signature", "size", "others", "chained", "messages")
    return len(one.groups) == len(other.groups) and all(
        getattr(a, name) == getattr(b, name) for a, b in zip(one.groups, other.groups, strict=True) for name in names
    )


def wire(given: list[Frame]) -> bytes:
    return b"".join(
        b"".join(lf.encode_messages(frame.groups)) if isinstance(frame, Messages) else lf.encode(frame)
        for frame in given
    )


some_frames = st.lists(
    st.one_of(st.lists(groups(), min_size=1, max_size=3).map(lambda made: Messages(tuple(made))), others), max_size=4
)


@settings(max_examples=120, deadline=None)
@given(some_frames, st.data())
def test_frames_come_back_as_they_went_in_whatever_pieces(given: list[Frame], data: st.DataObject) -> None:
    sent, decoder, came = wire(given), lf.Decoder(), []
    at = 0
    while at < len(sent):
        step = data.draw(st.integers(1, 60))
        came += decoder.feed(sent[at : at + step])
        at += step
    assert len(came) == len(given)
    assert all(map(same, came, given))


@settings(max_examples=300, deadline=None)
@given(some_frames, st.data())
def test_changed_bytes_are_refused_or_read_but_raise_nothing_else(given: list[Frame], data: st.DataObject) -> None:
    sent = bytearray(wire(given))
    for _ in range(data.draw(st.integers(1, 4))):
        if sent:
            at = data.draw(st.integers(0, len(sent) - 1))
            sent[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        for frame in lf.Decoder().feed(bytes(sent)):
            if isinstance(frame, Messages):
                for group in frame.groups:
                    for message in group.messages:
                        group.hash_chain(message)  # whatever was let in can be worked with
    except LinkMalformed:
        pass


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(1, 10))
def test_bytes_from_nowhere_raise_nothing_else(noise: bytes, kind: int) -> None:
    head = lf._HEAD.pack(lf.MAGIC, 1, kind, 0, 1, len(noise))
    for data in (noise, head + noise):
        with contextlib.suppress(LinkMalformed):
            lf.Decoder().feed(data)


def head(kind: int, count: int, length: int, *, version: int = 1, flags: int = 0) -> bytes:
    return lf._HEAD.pack(lf.MAGIC, version, kind, flags, count, length)


@pytest.mark.parametrize(
    "data",
    [
        head(lf.MESSAGES, 1, 12 * 1024 * 1024 + 1),
        head(lf.MESSAGES, 0, 100),
        head(lf.PING, 2, 8) + bytes(8),
        head(11, 1, 0),
        head(lf.PING, 1, 8, version=2) + bytes(8),
        head(lf.PING, 1, 8, flags=1) + bytes(8),
        head(lf.MESSAGES, 1, 9) + lf._GROUP.pack(2**31, 1, 1, 0),
        head(lf.MESSAGES, 1, 9 + 2**19) + lf._GROUP.pack(2**18 + 1, 1, 1, 0) + bytes(2**19),
        head(lf.MESSAGES, 1, 9) + lf._GROUP.pack(0, 65535, 1, 1),
        head(lf.MESSAGES, 1, 9) + lf._GROUP.pack(0, 1000, 1000, 1),
        head(lf.MESSAGES, 1, 9) + lf._GROUP.pack(0, 1, 2, 1),
        head(lf.OCSP, 300, 0),
        head(lf.OCSP, 1, 5) + lf._ANSWER.pack(0, 2**31),
        head(lf.HELLO, 1, 2) + b"{}",
        head(lf.HELLO, 1, 2) + b"[]",
        head(lf.GOAWAY, 1, 5) + b"\0\0\0\1\xff",
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_what_no_node_sends_is_refused_before_anything_is_made_of_it(data: bytes) -> None:
    with pytest.raises(LinkMalformed):
        lf.Decoder().feed(data)


def test_leaves_stand_in_order_and_none_twice() -> None:
    messages = [LinkMessage(n, multipart.SOAP, b"x", leaf=leaf) for n, leaf in enumerate((1, 0))]
    (frame,) = lf.encode_messages([Group(b"s", tuple(messages), 2, b"", chained=True)])
    with pytest.raises(LinkMalformed, match="leaf"):
        lf.Decoder().feed(frame)


def test_several_messages_never_share_a_signature_without_a_chain() -> None:
    messages = tuple(LinkMessage(n, multipart.SOAP, b"x", leaf=n) for n in range(2))
    (frame,) = lf.encode_messages([Group(b"s", messages, 2, b"", chained=False)])
    with pytest.raises(LinkMalformed, match="hash chain"):
        lf.Decoder().feed(frame)


def test_more_messages_than_allowed_are_refused() -> None:
    made = [Group.of(b"s", [LinkMessage(n, multipart.SOAP, b"x")], None, chained=False) for n in range(3)]
    (frame,) = lf.encode_messages(made)
    with pytest.raises(LinkMalformed, match="limits"):
        lf.Decoder(LinkLimits(messages=2)).feed(frame)
    assert len(lf.encode_messages(made, LinkLimits(messages=2))) == 2


def test_a_batch_too_large_for_a_frame_is_divided_and_still_one_tree() -> None:
    messages = [LinkMessage(n, multipart.REST_REQUEST, bytes([n]) * 300, leaf=n) for n in range(9)]
    tree = batch([message.digests for message in messages])
    limits = LinkLimits(frame=1600)
    frames = lf.encode_messages([Group.of(b"signature", messages, tree, chained=True)], limits)
    assert len(frames) > 2
    came = [
        g for frame in lf.Decoder(limits).feed(b"".join(frames)) if isinstance(frame, Messages) for g in frame.groups
    ]
    assert [message.stream for group in came for message in group.messages] == list(range(9))
    for group in came:
        assert group.batch().result == tree.result
        for message in group.messages:
            assert group.hash_chain(message) == tree.hash_chain(message.leaf)
    with pytest.raises(ValueError, match="announced"):
        lf.encode_messages([Group.of(b"s", [LinkMessage(1, multipart.SOAP, bytes(2000))], None, chained=False)], limits)


def test_a_message_that_is_large_alone_has_a_frame_of_its_own_and_the_others_small_ones() -> None:
    sizes = (100, 10 * 1024 * 1024, 100, 3 * 1024 * 1024, 3 * 1024 * 1024)
    messages = [LinkMessage(n, multipart.SOAP, bytes(size), leaf=n) for n, size in enumerate(sizes)]
    tree = batch([message.digests for message in messages])
    frames = lf.encode_messages([Group.of(b"s", messages, tree, chained=True)])
    assert sum(len(frame) > lf.TOGETHER + 100 for frame in frames) == 1
    came = [g for frame in lf.Decoder().feed(b"".join(frames)) if isinstance(frame, Messages) for g in frame.groups]
    assert [len(message.content) for group in came for message in group.messages] == list(sizes)


def test_a_body_on_disk_is_not_put_into_a_frame(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Spool.of([b"data"], tmp_path_factory.mktemp("spool")) as spool:
        message = LinkMessage(1, multipart.REST_REQUEST, b"x", (Attachment((), spool),))
        with pytest.raises(ValueError, match="announced"):
            lf.encode_messages([Group.of(b"s", [message], None, chained=True)])


# --- what a receiver makes of it ---


@pytest.fixture(scope="module")
def signer(authority: TestAuthority) -> Signer:
    pair = authority.sign_certificate(EDU, "Education", "node-edu", NOW)
    made = Signer(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


def over_the_link(signer: Signer, messages: list[LinkMessage]) -> Group:
    signed = signer.sign_batch([message.digests for message in messages], NOW)
    group = Group.of(signed[0].xml, messages, signed[0].batch, chained=signed[0].chain is not None)
    (frame,) = lf.Decoder().feed(b"".join(lf.encode_messages([group])))
    assert isinstance(frame, Messages)
    return frame.groups[0]


def some(count: int) -> list[LinkMessage]:
    def made(n: int) -> LinkMessage:
        bodies = tuple(Attachment((), b"body %d.%d" % (n, k)) for k in range(n % 3))
        return LinkMessage(n, multipart.REST_REQUEST, b"message %d" % n, bodies, leaf=n)

    return [made(n) for n in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_receiver_has_what_x_roads_wire_would_have_carried(
    signer: Signer, shared: SharedParameters, count: int
) -> None:
    group = over_the_link(signer, some(count))
    Trust(shared).check_group(group, EDU, NOW)
    for message in group.messages:
        bodies = tuple(a.body for a in message.attachments if isinstance(a, Attachment) and isinstance(a.body, bytes))
        verify(group.signature, message.content, bodies, group.hash_chain(message))


def test_a_message_alone_with_a_body_has_its_chain(signer: Signer, shared: SharedParameters) -> None:
    message = LinkMessage(5, multipart.REST_REQUEST, b"message", (Attachment((), b"body"),))
    group = over_the_link(signer, [message])
    assert group.chained
    Trust(shared).check_group(group, EDU, NOW)
    verify(group.signature, b"message", (b"body",), group.hash_chain(group.messages[0]))


def test_a_changed_message_is_noticed_whichever_it_is(signer: Signer, shared: SharedParameters) -> None:
    for changed in range(4):
        group = over_the_link(signer, some(4))
        old = group.messages[changed]
        new = LinkMessage(old.stream, old.kind, old.content + b" ", old.attachments, leaf=old.leaf)
        messages = (*group.messages[:changed], new, *group.messages[changed + 1 :])
        with pytest.raises(SignatureInvalid, match="hash chain result"):
            Trust(shared).check_group(Group(group.signature, messages, 4, b"", chained=True), EDU, NOW)


def test_an_announced_body_counts_by_its_digest(signer: Signer, shared: SharedParameters) -> None:
    announced = Announced((), 10**9, hashlib.sha512(b"a large body").digest())
    messages = [LinkMessage(1, multipart.REST_REQUEST, b"m", (announced,)), *some(2)[1:]]
    group = over_the_link(signer, messages)
    Trust(shared).check_group(group, EDU, NOW)
    verify(group.signature, b"m", (b"a large body",), group.hash_chain(group.messages[0]))


def test_a_group_signed_by_another_member_is_refused(signer: Signer, shared: SharedParameters) -> None:
    with pytest.raises(SignerWrong, match="70000002"):
        Trust(shared).check_group(over_the_link(signer, some(3)), POP, NOW + timedelta(seconds=1))


def test_ocsp_answers_are_few_bytes_all_together() -> None:
    """They are kept as long as the link is, whoever sent them."""
    few = OcspAnswers(tuple((lf.AUTH, bytes(5000)) for _ in range(13)))
    assert lf.Decoder().feed(lf.encode(few)) == [few]
    with pytest.raises(LinkMalformed, match="OCSP"):
        lf.Decoder().feed(lf.encode(OcspAnswers(tuple((lf.AUTH, bytes(5000)) for _ in range(14)))))
