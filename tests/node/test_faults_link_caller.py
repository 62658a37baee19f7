"""The Kerege link of a running node, called by a registered server that does not keep to it."""

import time
from collections.abc import Iterator

import pytest
from hostile import Caller, Side, Wire, fault_of, is_messages, of_stream, open_files, requests_in, resident, sha512

from box import EMIS, Box, http
from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import messagelog, multipart, rest
from kerege.exchange.bodies import Attachment
from kerege.exchange.ids import ServerId
from kerege.exchange.pki import save_pair

pytestmark = pytest.mark.journey
BIG = bytes(range(256)) * 1024  # 256 KiB


@pytest.fixture
def caller(box: Box) -> Iterator[Caller]:
    made = Caller(box)
    yield made
    made.close()


def logged(box: Box, message_id: str) -> list[str]:
    records = messagelog.read(box.laid.nodes["node-reg"].folder / "log")
    return [record.direction for _, _, record in records if record.message_id == message_id]


def ask(wire: Wire, caller: Caller, *messages: lm.LinkMessage) -> None:
    wire.send(lm.Messages((caller.group(messages),)))


def answered(wire: Wire, stream: int) -> int:
    """The status the agency gave."""
    (message,) = [m for m in requests_in(wire.read(of_stream(stream))) if m.stream == stream]
    return rest.decode_response(message.content).status


def well(caller: Caller) -> bool:
    """The node goes on: a new link carries a call."""
    wire = caller.connect()
    ask(wire, caller, caller.request(1, b"again"))
    return answered(wire, 1) == 200


def test_a_call_by_hand_is_answered_when_nothing_is_wrong_with_it(caller: Caller) -> None:
    wire = caller.connect()
    ask(wire, caller, caller.request(1, b"body"))
    assert answered(wire, 1) == 200
    assert [seen.body for seen in caller.box.agency.seen] == [b"body"]


# --- signatures ---


def test_a_group_under_a_signature_over_other_messages_is_refused_message_by_message(caller: Caller) -> None:
    wire = caller.connect()
    signed = caller.group([caller.request(1, leaf=0), caller.request(2, leaf=1)])
    others = (caller.request(1, leaf=0, path="/y"), caller.request(2, leaf=1, path="/z"))
    wire.send(lm.Messages((lm.Group(signed.signature, others, 2, b"", chained=True),)))
    for stream in (1, 2):
        assert "exchange.signature_invalid" in fault_of(wire.read(of_stream(stream))).detail
    assert caller.box.agency.seen == []
    ask(wire, caller, caller.request(3))
    assert answered(wire, 3) == 200


def test_messages_on_each_others_leaves_are_refused(caller: Caller) -> None:
    wire = caller.connect()
    first, second = caller.request(1, leaf=0), caller.request(2, leaf=1)
    signed = caller.group([first, second])
    first.leaf, second.leaf = 1, 0
    wire.send(lm.Messages((lm.Group(signed.signature, (second, first), 2, b"", chained=True),)))
    assert "exchange.signature_invalid" in fault_of(wire.read(of_stream(1))).detail
    assert caller.box.agency.seen == []


def test_leaves_that_do_not_ascend_end_the_link(caller: Caller) -> None:
    wire = caller.connect()
    one, two = caller.request(1, leaf=1), caller.request(2, leaf=0)
    group = lm.Group(caller.group([two, one]).signature, (one, two), 2, b"", chained=True)
    wire.send(lm.Messages((group,)))
    assert wire.closes()
    assert caller.box.agency.seen == []
    assert well(caller)


def test_a_message_put_in_the_place_of_a_leaf_that_stays_away_is_refused(caller: Caller) -> None:
    """Of three signed leaves two come as digests only; the third message is another one than was signed."""
    wire = caller.connect()
    signed = [caller.request(n, leaf=n - 1) for n in (1, 2, 3)]
    whole = caller.group(signed)
    others = b"".join(list(whole.batch().leaves)[:2])
    false = caller.request(3, leaf=2, path="/false")
    wire.send(lm.Messages((lm.Group(whole.signature, (false,), 3, others, chained=True),)))
    assert "exchange.signature_invalid" in fault_of(wire.read(of_stream(3))).detail
    true = lm.Group(whole.signature, (signed[2],), 3, others, chained=True)
    wire.send(lm.Messages((true,)))
    assert answered(wire, 3) == 200
    assert len(caller.box.agency.seen) == 1


def test_a_body_exchanged_for_another_is_refused(caller: Caller) -> None:
    wire = caller.connect()
    message = caller.request(1, b"signed")
    group = caller.group([message])
    false = lm.LinkMessage(1, message.kind, message.content, (Attachment((), b"not so"),))
    wire.send(lm.Messages((lm.Group(group.signature, (false,), 1, b"", chained=group.chained),)))
    assert "exchange.signature_invalid" in fault_of(wire.read(of_stream(1))).detail
    assert caller.box.agency.seen == []


def test_a_member_may_not_sign_for_another(caller: Caller) -> None:
    wire = caller.connect()
    member = ServerId.parse("KG/GOV/70000002/node-reg").owner
    pair = caller.authority.sign_certificate(
        member, "Population", "node-reg", caller.authority.ca.certificate.not_valid_before_utc
    )
    save_pair(pair, caller.keys, "sign-stolen")
    wire.send(lm.Messages((caller.group([caller.request(1)], signer=caller.signer("sign-stolen")),)))
    assert "exchange.signer_wrong" in fault_of(wire.read(of_stream(1))).detail


# --- who is connected ---


def test_without_an_ocsp_answer_nothing_is_carried_out(caller: Caller) -> None:
    wire = caller.connect(ocsp=False)
    ask(wire, caller, caller.request(1))
    assert "exchange.revocation_unknown" in fault_of(wire.read(of_stream(1))).detail
    wire.send(caller.ocsp())
    ask(wire, caller, caller.request(2))
    assert answered(wire, 2) == 200


def test_an_ocsp_answer_about_another_certificate_is_none(caller: Caller) -> None:
    wire = caller.connect(ocsp=False)
    wire.send(caller.ocsp("sign-GOV-70000003"))
    ask(wire, caller, caller.request(1))
    assert "exchange.revocation_unknown" in fault_of(wire.read(of_stream(1))).detail
    assert caller.box.agency.seen == []


def test_a_client_registered_elsewhere_is_not_spoken_for(caller: Caller) -> None:
    wire = caller.connect()
    ask(wire, caller, caller.request(1, client="KG/GOV/70000002/population"))
    assert "exchange.peer_untrusted" in fault_of(wire.read(of_stream(1))).detail
    ask(wire, caller, caller.request(2, client=str(EMIS)))
    assert "exchange.access_denied" in fault_of(wire.read(of_stream(2))).detail


def test_a_server_nobody_registered_fills_no_spool(caller: Caller) -> None:
    stray = caller.authority.auth_certificate(
        ServerId.parse("KG/GOV/70000001/node-x"), "Stray", caller.authority.ca.certificate.not_valid_before_utc
    )
    save_pair(stray, caller.keys, "auth-stray")
    wire = caller.connect(auth="auth-stray", ocsp=False)
    wire.send(caller.ocsp("auth-stray"))
    ask(wire, caller, caller.request(1, BIG * 4, announced=True))
    wire.send(lm.BodyData(1, 1, BIG[:60000], False))
    assert "exchange.peer_untrusted" in fault_of(wire.read(of_stream(1))).detail


# --- the greeting ---


def test_a_greeting_that_comes_twice_ends_the_link(caller: Caller) -> None:
    wire = caller.connect()
    wire.send(lm.Hello("KG/GOV/70000003/node-edu"))
    assert wire.closes()


def test_messages_before_the_greeting_end_the_link(caller: Caller) -> None:
    wire = caller.connect(hello=False)
    ask(wire, caller, caller.request(1))
    assert wire.closes()
    assert caller.box.agency.seen == []


def test_a_greeting_of_versions_nobody_here_speaks_ends_the_link(caller: Caller) -> None:
    wire = caller.connect(hello=False, ocsp=False)
    wire.send(lm.Hello("KG/GOV/70000003/node-edu", versions=(9,)))
    assert wire.closes()


def test_a_greeting_in_the_name_of_no_server_ends_the_link(caller: Caller) -> None:
    wire = caller.connect(hello=False, ocsp=False)
    wire.send(lm.Hello("<script>alert(1)</script>"))
    assert wire.closes()


def test_a_caller_of_small_frames_gets_answers_that_fit_them(caller: Caller) -> None:
    wire = caller.connect(hello=False, ocsp=False)
    wire.send(lm.Hello("KG/GOV/70000003/node-edu", limits=lm.LinkLimits(frame=65536, messages=2)), caller.ocsp())
    caller.box.agency.answer = (200, {}, b"x" * 12000)
    messages = [caller.request(n, leaf=n - 1) for n in range(1, 9)]
    ask(wire, caller, *messages)
    seen: list[int] = []
    while len(seen) < 8:
        frame = wire.read(is_messages)
        assert isinstance(frame, lm.Messages), frame
        came = requests_in(frame)
        assert len(came) <= 2
        seen += [m.stream for m in came]
    assert sorted(seen) == list(range(1, 9))


# --- bodies ---


@pytest.mark.parametrize(
    "pieces",
    [
        [(BIG[:-1] + b"?", True)],
        [(BIG[:1000], True)],
        [(BIG + b"more", True)],
        [(BIG, False), (b"x", True)],
    ],
    ids=["another digest", "shorter", "longer", "longer in the end"],
)
def test_a_body_that_is_not_the_announced_one_ends_the_link(caller: Caller, pieces: list[tuple[bytes, bool]]) -> None:
    wire = caller.connect()
    ask(wire, caller, caller.request(1, BIG, announced=True, message_id="false-body"))
    for data, last in pieces:
        wire.send(lm.BodyData(1, 1, data, last))
    assert wire.closes()
    assert caller.box.agency.seen == []
    assert logged(caller.box, "false-body") == []
    assert well(caller)


def test_an_announced_body_that_comes_is_carried_on(caller: Caller) -> None:
    wire = caller.connect()
    ask(wire, caller, caller.request(1, BIG, announced=True))
    for at in range(0, len(BIG), 65536):
        wire.send(lm.BodyData(1, 1, BIG[at : at + 65536], at + 65536 == len(BIG)))
    assert answered(wire, 1) == 200
    assert sha512(caller.box.agency.seen[-1].body) == sha512(BIG)


def test_more_than_the_credit_allows_ends_the_link_and_frees_what_came(caller: Caller) -> None:
    wire = caller.connect()
    greeted = wire.read(lambda frame: isinstance(frame, lm.Hello))
    assert isinstance(greeted, lm.Hello)
    pid = caller.box.processes["node-reg"].pid
    body = BIG * 16  # 4 MiB, more than the window
    ask(wire, caller, caller.request(1, body, announced=True))
    wire.send(lm.BodyData(1, 1, body[: greeted.credit + 1], False))
    assert wire.closes()
    assert open_files(pid, "spool") == 0


def test_a_body_beyond_the_limit_is_refused_when_it_is_announced(caller: Caller) -> None:
    wire = caller.connect()
    message = caller.request(1, b"", announced=True)
    huge = lm.LinkMessage(1, message.kind, message.content, (lm.Announced((), 2**40, sha512(b"")),))
    wire.send(lm.Messages((caller.group([huge]),)))
    assert "exchange.message_too_large" in fault_of(wire.read(of_stream(1))).detail
    ask(wire, caller, caller.request(2))
    assert answered(wire, 2) == 200


def test_more_announced_at_once_than_the_node_has_room_for_is_refused_and_the_rest_goes_on(caller: Caller) -> None:
    """Forty bodies of 19 MiB are more than four times limits.bodies: those beyond it are refused one by one, the link stays."""
    wire = caller.connect()
    message = caller.request(1, b"", announced=True)
    for stream in range(1, 41):
        big = lm.LinkMessage(stream, message.kind, message.content, (lm.Announced((), 19 * 2**20, bytes(64)),))
        wire.send(lm.Messages((caller.group([big]),)))
    assert "exchange.message_too_large" in fault_of(wire.read(of_stream(40))).detail
    ask(wire, caller, caller.request(41))
    assert answered(wire, 41) == 200


def test_a_cancelled_body_frees_its_spool(caller: Caller) -> None:
    wire = caller.connect()
    pid = caller.box.processes["node-reg"].pid
    ask(wire, caller, caller.request(1, BIG * 4, announced=True))
    for _ in range(10):
        wire.send(lm.BodyData(1, 1, BIG[:65536], False))
    wait_for(lambda: open_files(pid, "spool") == 1)
    wire.send(lm.Cancel(1))
    wait_for(lambda: open_files(pid, "spool") == 0)


def test_a_caller_gone_in_the_middle_of_a_body_leaves_nothing(caller: Caller) -> None:
    wire = caller.connect()
    pid = caller.box.processes["node-reg"].pid
    ask(wire, caller, caller.request(1, BIG * 4, announced=True, message_id="gone-in-the-middle"))
    for _ in range(10):
        wire.send(lm.BodyData(1, 1, BIG[:65536], False))
    wait_for(lambda: open_files(pid, "spool") == 1)
    wire.close()
    wait_for(lambda: open_files(pid, "spool") == 0)
    assert caller.box.agency.seen == []
    assert logged(caller.box, "gone-in-the-middle") == []


def test_an_answer_nobody_gives_credit_for_is_given_up_when_the_caller_cancels(caller: Caller) -> None:
    wire = caller.connect(hello=False, ocsp=False)
    wire.send(lm.Hello("KG/GOV/70000003/node-edu", credit=65536), caller.ocsp())
    pid = caller.box.processes["node-reg"].pid
    caller.box.agency.answer = (200, {}, BIG * 8)
    ask(wire, caller, caller.request(1))
    assert requests_in(wire.read(is_messages))
    assert wire.read(lambda frame: isinstance(frame, lm.BodyData)) is not None
    assert wire.read(lambda frame: isinstance(frame, lm.BodyData), seconds=0.5) is None, "no more than the credit"
    assert open_files(pid, "spool") == 1
    wire.send(lm.Cancel(1))
    wait_for(lambda: open_files(pid, "spool") == 0)


def wait_for(done: object, seconds: float = 5.0) -> None:
    assert callable(done)
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- streams ---


def test_a_stream_used_twice_at_once_ends_the_link(caller: Caller) -> None:
    wire = caller.connect()
    caller.box.agency.delay = 0.5
    ask(wire, caller, caller.request(1))
    ask(wire, caller, caller.request(1))
    assert wire.closes()


def test_frames_of_the_answering_side_from_a_caller_change_nothing(caller: Caller) -> None:
    wire = caller.connect()
    wire.send(lm.FaultFrame(7, b"<!DOCTYPE x>"), lm.Cancel(9), lm.Credit(11, 2**32 - 1), lm.Goaway(0, "bye"))
    wire.send(lm.BodyData(13, 1, b"nobody announced this", True))
    ask(wire, caller, caller.request(1))
    assert answered(wire, 1) == 200


def test_an_answer_where_a_request_should_be_is_refused(caller: Caller) -> None:
    wire = caller.connect()
    content = caller.request(1).content
    ask(wire, caller, lm.LinkMessage(1, multipart.REST_RESPONSE, content))
    assert "exchange.message_malformed" in fault_of(wire.read(of_stream(1))).detail


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2e/b", "/a%2Fb", "/a/%252e%252e/b", "//b"])
def test_path_tricks_by_hand_never_reach_the_agency(caller: Caller, path: str) -> None:
    wire = caller.connect()
    good = caller.request(1, path="/PLACE")
    crafted = lm.LinkMessage(1, good.kind, good.content.replace(b"/PLACE", path.encode()))
    ask(wire, caller, crafted)
    assert "exchange.path_refused" in fault_of(wire.read(of_stream(1))).detail
    assert caller.box.agency.seen == []


@pytest.mark.parametrize(
    "name", [b"x-original-content-type", b"x-road-request-id", b"x-original-soapaction", b"part-x"]
)
def test_headers_beside_a_message_smuggle_nothing(caller: Caller, name: bytes) -> None:
    """What is not signed reaches nobody as a header of its own."""
    wire = caller.connect()
    ask(wire, caller, caller.request(1, b"body", headers=((name, b"a\r\nX-Smuggled: yes\r\n\r\nGET / HTTP/1.1"),)))
    frame = wire.read(of_stream(1))
    if isinstance(frame, lm.Messages):
        assert "X-Smuggled" not in caller.box.agency.seen[0].headers
    else:
        assert fault_of(frame)
    assert all("smuggled" not in str(seen).lower() for seen in caller.box.agency.seen)


# --- memory ---


def test_a_caller_that_never_reads_is_not_read_either(caller: Caller) -> None:
    """A hundred and fifty thousand refusals that nobody takes: the node holds back, its memory does not grow with them."""
    pid = caller.box.processes["node-reg"].pid
    wire = caller.connect()
    many = [caller.request(n, leaf=n - 1, service="KG/GOV/70000002/population/nothing") for n in range(1, 1001)]
    frames = lf.encode_messages([caller.group(many)])
    wire.send(*frames)
    before = resident(pid)
    wire.socket.settimeout(2.0)
    sent = 0
    try:
        for _ in range(150):
            wire.send(*frames)
            sent += 1
    except TimeoutError:
        pass
    assert sent < 150, "the node stopped reading"
    assert resident(pid) - before < 48 * 2**20
    assert http("GET", caller.box.laid.nodes["node-reg"].admin_url + "/health").status == 200
    wire.close()
    assert well(caller)


def test_pings_are_answered(caller: Caller) -> None:
    wire = caller.connect()
    wire.send(lm.Ping(b"12345678"))
    assert wire.read(lambda frame: isinstance(frame, lm.Ping)) == lm.Ping(b"12345678", answer=True)


def test_a_frame_with_a_request_that_ends_the_link_leaves_no_room_taken(caller: Caller) -> None:
    """Of two requests on one stream neither is carried out, again and again: what they held is given back each time."""
    for _ in range(40):
        wire = caller.connect()
        body = bytes(60_000)
        ask(wire, caller, *(caller.request(1, body, leaf=n) for n in range(2)))
        assert wire.closes()
    assert caller.box.agency.seen == []
    assert well(caller)


def test_a_body_that_was_not_announced_is_refused_and_the_link_goes_on(caller: Caller) -> None:
    wire = caller.connect()
    ask(wire, caller, caller.request(1, BIG))
    assert "exchange.message_too_large" in fault_of(wire.read(of_stream(1))).detail
    assert caller.box.agency.seen == []
    ask(wire, caller, caller.request(2, BIG[:1000]))
    assert answered(wire, 2) == 200


def test_messages_that_wait_for_their_bodies_fill_no_more_memory_than_bodies_may(caller: Caller) -> None:
    """Of each message 3.5 MiB came and one byte is missing; nobody needs a right to it, for no signature is looked at yet."""
    wire = caller.connect()
    assert well(caller)
    pid = caller.box.processes["node-reg"].pid
    before = resident(pid)
    content = b"x" * (7 * 2**19)
    for stream in range(1, 121):
        message = lm.LinkMessage(stream, multipart.REST_REQUEST, content, (lm.Announced((), 1, bytes(64)),))
        for data in lf.encode_messages([lm.Group(b"<none/>", (message,), 1, b"", chained=True)]):
            wire.send(data)
    assert "exchange.message_too_large" in fault_of(wire.read(of_stream(120), seconds=20)).detail
    assert resident(pid) - before < 240 * 2**20


class Greedy(Caller):
    """Another registered server, here node-reg itself: it has no right to anything."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        Side.__init__(self, box, "node-reg", "sign-GOV-70000002")

    def announce(self, wire: Wire, stream: int, size: int, came: int = 0) -> None:
        message = lm.LinkMessage(stream, multipart.REST_REQUEST, b"GET", (lm.Announced((), size, bytes(64)),))
        for data in lf.encode_messages([lm.Group(b"<none/>", (message,), 1, b"", chained=True)]):
            wire.send(data)
        for at in range(0, came, 65536):
            wire.send(lm.BodyData(stream, 1, bytes(min(65536, came - at)), False))


@pytest.fixture
def greedy(box: Box) -> Iterator[Greedy]:
    made = Greedy(box)
    yield made
    made.close()


def test_bodies_that_one_server_announces_and_does_not_send_keep_no_others_out(greedy: Greedy) -> None:
    """Some five kilobytes, a minute: more is not asked of it."""
    wire = greedy.connect()
    for stream in range(1, 41):
        greedy.announce(wire, stream, 20 * 2**20)
    assert "exchange.message_too_large" in fault_of(wire.read(of_stream(40))).detail
    assert greedy.box.call("/x", method="POST", body=bytes(100_000)).status == 200


def test_bodies_that_one_server_keeps_in_memory_keep_no_others_out(greedy: Greedy) -> None:
    """Of each but the last byte came, and it is too small for the disk."""
    for size, count in ((255 * 1024, 240), (255 * 1024, 240), (255 * 1024, 240), (1024, 250)):
        wire = greedy.connect()
        for stream in range(1, count + 1):
            greedy.announce(wire, stream, size + 1, size)
    refused = fault_of(wire.read(lambda frame: isinstance(frame, lm.FaultFrame)))
    assert "exchange.message_too_large" in refused.detail, "it has as much as it may have"
    assert greedy.box.call("/x").status == 200
    assert greedy.box.call("/x", method="POST", body=bytes(60_000)).status == 200
