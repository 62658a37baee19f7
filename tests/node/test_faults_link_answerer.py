"""A running node that calls over the Kerege link, and a registered provider's server that does not keep to it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile import Answerer, Wire, context, is_messages, open_files, requests_in, resident

from box import Answer, Box, make_box
from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import messagelog, multipart
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import save_pair

pytestmark = pytest.mark.journey
Script = Callable[[Answerer, Wire], None]
BIG = bytes(range(256)) * 2048  # 512 KiB


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """node-edu alone, patient for not quite two of its looks (once a second); where node-reg should be, a test stands."""
    box = make_box(tmp_path_factory.mktemp("consumer"))
    config = box.laid.nodes["node-edu"].config
    config.write_text(config.read_text() + "limits: {peer_seconds: 1.9, connect_seconds: 1}\n")
    try:
        box.start("node-edu")
        box.wait("node-edu")
        yield box
    finally:
        box.close()


@pytest.fixture
def against(consumer: Box) -> Iterator[Callable[[Script], Answerer]]:
    made: list[Answerer] = []

    def make(script: Script) -> Answerer:
        made.append(Answerer(consumer, script))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert one.problems == []
    deadline = time.monotonic() + 5  # the node has heard that the link is gone
    while open_files(consumer.processes["node-edu"].pid, "spool") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.05)


def greet(side: Answerer, wire: Wire) -> None:
    wire.send(lm.Hello("KG/GOV/70000002/node-reg"))


def request(wire: Wire, seconds: float = 10) -> lm.LinkMessage:
    return requests_in(wire.read(is_messages, seconds))[0]


def fault(answer: Answer) -> str:
    assert answer.status == 500, (answer.status, answer.body)
    return f"{answer.json['type']} {answer.json['message']} {answer.json['detail']}"


def responses(box: Box, message_id: str) -> int:
    records = messagelog.read(box.laid.nodes["node-edu"].folder / "log")
    return sum(r.message_id == message_id and r.direction == "response" for _, _, r in records)


def test_an_answer_by_hand_is_given_when_nothing_is_wrong_with_it(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        side.reply(wire, side.answer(request(wire)))

    against(script)
    answer = consumer.call()
    assert (answer.status, answer.body) == (200, b"answer")


def test_an_answer_that_comes_twice_is_given_and_logged_once(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        for _ in range(3):
            answer = side.answer(request(wire))
            frame = b"".join(lf.encode_messages([side.group([answer])]))
            wire.send(frame + frame, lm.FaultFrame(answer.stream, b"<!DOCTYPE x><x/>"), frame)

    side = against(script)
    for number in range(3):
        assert consumer.call(headers={"X-Road-Id": f"twice-{number}"}).status == 200
        assert responses(consumer, f"twice-{number}") == 1
    assert side.connections == 1, "what comes for a finished stream does not end the link"


def test_answers_for_streams_nobody_asked_on_are_nothing(consumer: Box, against: Callable[[Script], Answerer]) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked = request(wire)
        side.reply(wire, side.answer(asked, stream=4711), side.answer(asked, BIG, announced=True, stream=4712))
        wire.send(lm.BodyData(4712, 1, BIG[:60000], False), lm.FaultFrame(4713, b""), lm.Cancel(4714))
        wire.send(lm.Credit(4715, 10))
        side.reply(wire, side.answer(asked))

    against(script)
    assert consumer.call().status == 200


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: lm.LinkMessage(m.stream, multipart.SOAP, m.content, m.attachments), "not a REST response"),
        (lambda m: lm.LinkMessage(m.stream, multipart.REST_REQUEST, m.content, m.attachments), "not a REST response"),
        (lambda m: lm.LinkMessage(m.stream, m.kind, m.content.replace(b"request-id", b"request-ID: x\r\nx-i")), ""),
        (lambda m: lm.LinkMessage(m.stream, m.kind, b""), "message_malformed"),
    ],
    ids=["SOAP", "a request", "another request's", "nothing"],
)  # fmt: skip
def test_an_answer_of_another_kind_or_to_another_request_is_a_fault(
    consumer: Box,
    against: Callable[[Script], Answerer],
    change: Callable[[lm.LinkMessage], lm.LinkMessage],
    told: str,
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        side.reply(wire, change(side.answer(request(wire))))

    against(script)
    answer = consumer.call(headers={"X-Road-Id": f"kind-{told}"})
    assert told in fault(answer)
    assert responses(consumer, f"kind-{told}") == 0


def test_an_answer_signed_by_another_member_is_a_fault(consumer: Box, against: Callable[[Script], Answerer]) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        member = MemberId("KG", "GOV", "70000003")
        since = side.authority.ca.certificate.not_valid_before_utc
        save_pair(side.authority.sign_certificate(member, "Education", "x", since), side.keys, "sign-stolen")
        wire.send(lm.Messages((side.group([side.answer(request(wire))], signer=side.signer("sign-stolen")),)))

    against(script)
    assert "exchange.signer_wrong" in fault(consumer.call())


def test_answers_on_each_others_leaves_are_faults_for_both(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked: list[lm.LinkMessage] = []
        while len(asked) < 2:
            asked += requests_in(wire.read(is_messages, 10))
        one, two = (side.answer(m) for m in asked)
        two.leaf = 1
        signature = side.group([one, two]).signature
        one.leaf, two.leaf = 1, 0
        wire.send(lm.Messages((lm.Group(signature, (two, one), 2, b"", chained=True),)))

    against(script)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda n: consumer.call(f"/{n}"), range(2)))
    for answer in answers:
        assert "exchange.signature_invalid" in fault(answer)


@pytest.mark.parametrize(
    "data",
    [b"", b"<x/>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"\xff" * 100, b"<" * 100_000],
    ids=["nothing", "another document", "DOCTYPE", "no text", "no document"],
)
def test_a_fault_that_cannot_be_read_ends_its_call_only(
    consumer: Box, against: Callable[[Script], Answerer], data: bytes
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        wire.send(lm.FaultFrame(request(wire).stream, data))
        side.reply(wire, side.answer(request(wire)))

    side = against(script)
    assert fault(consumer.call())
    assert consumer.call().status == 200
    assert side.connections == 1


def test_a_server_that_never_greets_is_given_up_and_its_connection_closed(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    closed: list[bool] = []

    def script(side: Answerer, wire: Wire) -> None:
        closed.append(wire.closes(5))

    against(script)
    started = time.monotonic()
    assert "did not greet within 1 s" in fault(consumer.call())
    assert time.monotonic() - started < 3
    deadline = time.monotonic() + 5
    while not closed and time.monotonic() < deadline:
        time.sleep(0.02)
    assert closed == [True]


def test_a_server_that_answers_nothing_is_given_up_in_time_and_told(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    cancelled: list[object] = []

    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked = request(wire)
        cancelled.append(wire.read(lambda frame: frame == lm.Cancel(asked.stream), 8))
        side.reply(wire, side.answer(request(wire, 10)))

    side = against(script)
    assert "did not answer within 1.9 s" in fault(consumer.call())
    assert consumer.call().status == 200
    assert cancelled != [None]
    assert side.connections == 1


@pytest.mark.parametrize("how", ["never", "half", "another", "longer", "credit"])
def test_an_announced_answer_that_does_not_come_as_announced_is_a_fault_and_frees_its_spool(
    consumer: Box, against: Callable[[Script], Answerer], how: str
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked = request(wire)
        side.reply(wire, side.answer(asked, BIG, announced=True))
        if how == "half":
            for at in range(0, len(BIG) * 3 // 4, 65536):
                wire.send(lm.BodyData(asked.stream, 1, BIG[at : at + 65536], False))
        elif how == "another":
            wire.send(lm.BodyData(asked.stream, 1, BIG[:-1] + b"?", True))
        elif how == "longer":
            wire.send(lm.BodyData(asked.stream, 1, BIG, False), lm.BodyData(asked.stream, 1, b"x", True))
        elif how == "credit":
            wire.send(lm.BodyData(asked.stream, 1, bytes(2**20 + 1), False))
        wire.closes(6)

    against(script)
    assert fault(consumer.call(headers={"X-Road-Id": f"announced-{how}"}))
    assert responses(consumer, f"announced-{how}") == 0
    deadline = time.monotonic() + 3
    while open_files(consumer.processes["node-edu"].pid, "spool"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_goes_away_finishes_what_it_has_and_the_next_call_makes_a_new_link(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    """The farewell is on its way while the body of the answer still is: nothing of it is lost."""

    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        if side.connections > 1:
            side.reply(wire, side.answer(request(wire), b"new"))
            return
        asked = request(wire)
        wire.send(lm.Goaway(asked.stream, "stopping"))
        time.sleep(0.3)
        side.reply(wire, side.answer(asked, BIG, announced=True))
        for at in range(0, len(BIG), 65536):
            wire.send(lm.BodyData(asked.stream, 1, BIG[at : at + 65536], at + 65536 == len(BIG)))
        assert wire.closes(3), "the caller closes when nothing is under way"

    side = against(script)
    assert consumer.call().body == BIG
    assert consumer.call().body == b"new"
    assert side.connections == 2


def test_a_farewell_in_the_middle_of_a_requests_body_does_not_stop_the_body(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked = request(wire)
        wire.send(lm.Goaway(asked.stream, "stopping"))
        got = 0
        while got < len(BIG) * 4:
            piece = wire.read(lambda frame: isinstance(frame, lm.BodyData), 5)
            assert isinstance(piece, lm.BodyData), f"{got} bytes came"
            got += len(piece.data)
            wire.send(lm.Credit(asked.stream, len(piece.data)))
        side.reply(wire, side.answer(asked))

    against(script)
    assert consumer.call("/x", method="POST", body=BIG * 4).status == 200


def test_a_request_refused_in_the_middle_of_its_body_frees_it(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        asked = request(wire)
        assert wire.read(lambda frame: isinstance(frame, lm.BodyData)) is not None
        wire.send(lm.Cancel(asked.stream))
        side.reply(wire, side.answer(request(wire)))

    side = against(script)
    assert "did not carry the call out" in fault(consumer.call("/x", method="POST", body=BIG * 8))
    assert consumer.call().status == 200
    assert side.connections == 1
    deadline = time.monotonic() + 3
    while open_files(consumer.processes["node-edu"].pid, "spool"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_gives_no_credit_is_given_up_in_time(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        wire.read(seconds=8)

    against(script)
    started = time.monotonic()
    assert "did not answer within 1.9 s" in fault(consumer.call("/x", method="POST", body=BIG * 8))
    assert time.monotonic() - started < 4


def test_a_server_that_never_reads_does_not_grow_the_callers_memory(
    consumer: Box, against: Callable[[Script], Answerer]
) -> None:
    def script(side: Answerer, wire: Wire) -> None:
        greet(side, wire)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        time.sleep(8)

    against(script)
    pid = consumer.processes["node-edu"].pid
    before = resident(pid)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: consumer.call(f"/{n}", method="POST", body=bytes(60_000)), range(32)))
    assert all(answer.status == 500 for answer in answers)
    assert resident(pid) - before < 64 * 2**20
    assert consumer.admin("node-edu", "GET", "/health").status == 200


def test_a_server_of_x_roads_wire_only_is_called_over_it_and_a_connection_gone_in_the_answer_is_a_fault(
    consumer: Box, tmp_path: Path
) -> None:
    """Peer gone in the middle of its answer's body, X-Road's wire: the call ends at once with a fault."""
    listening = socket.create_server(("127.0.0.1", consumer.plan.servers[1].server_port))
    tls = context(consumer.laid.nodes["node-reg"].folder / "keys", server=True, alpn=False)

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
                one = tls.wrap_socket(plain, server_side=True)
                if one.recv(65536):
                    one.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: multipart/mixed; boundary=x\r\ncontent-length: 5000\r\n\r\n--x\r\n"
                    )
                    time.sleep(0.2)
                one.close()
            except OSError:
                if listening.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    time.sleep(0.1)
    # asked for the link an hour later only: a node that knows of no link there
    started = time.monotonic()
    answer = consumer.call()
    assert "exchange.peer_unreachable" in fault(answer)
    assert time.monotonic() - started < 3
    listening.close()
