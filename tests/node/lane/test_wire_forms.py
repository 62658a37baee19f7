"""What comes over X-Road's wire in a form that nobody writes: refused natively as a node without the native path refuses it, and its
neighbours under the same signature are answered."""

from __future__ import annotations

import random
import re
import ssl
import time
from collections.abc import Iterator

import pytest
from hostilewire import TOGETHER, Answerer, Caller, Letter, dealt, message_in, native, read_http, seal, told
from test_wire_chunks import chunked
from traffic import Asked, Crowd, Office, consumer_alone, lane_calls, log_of, provider_alone, request

from box import Box
from kerege.exchange import batch, rest
from kerege.exchange.errors import ExchangeError
from kerege.exchange.hashchain import HashChain, verify

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

# the beginning of a reference, which a chain file has once, to the message itself
REFERENCE = batch._DATA.split(b"%%b")[0] % batch.part_uri(0)


@pytest.fixture(scope="module", params=[True, False], ids=["lane", "no-lane"])
def lane(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def provider(office: Office, lane: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with provider_alone(tmp_path_factory.mktemp("provider"), office, lane=lane, replay_window_seconds=60) as box:
        yield box


@pytest.fixture
def caller(provider: Box) -> Iterator[Caller]:
    made = Caller(provider)
    yield made
    made.close()


@pytest.fixture(scope="module")
def consumer(lane: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with consumer_alone(tmp_path_factory.mktemp("consumer"), link=False, lane=lane) as box:
        yield box


def without_evidence(box: Box, code: str) -> list[str]:
    """The records that a node kept whose chain files do not lead from the message to what is signed."""
    found = []
    for one in log_of(box, code):
        if one.chain is None:
            continue
        parts = {"/message.xml": one.message, **({} if one.body is None else {"/attachment1": one.body})}
        try:
            verify(one.chain.result, parts, {"/sig-hashchain.xml": one.chain.chain}.get)
        except ExchangeError as refused:
            found.append(f"{one.message_id} {one.direction}: {refused.text}")
    return found


def with_reference(chain: HashChain | None, before: bytes) -> HashChain:
    """The chain file, no XML any more: the reference to the message begins once before the first such piece, and again where it did."""
    assert chain is not None
    at = chain.chain.index(before)
    return HashChain(chain.result, chain.chain[:at] + REFERENCE + chain.chain[at:])


STEP, VALUE = b"        <ns2:StepRef URI=", b"        <ns2:HashValue>"


def break_some(letters: list[Letter]) -> None:
    for letter, before in zip(letters, (STEP, VALUE, STEP), strict=False):
        letter.chain = with_reference(letter.chain, before)


def consumers_answers(box: Box, side: Answerer, name: str) -> tuple[list[Asked], int]:
    """Answers to calls that go at once, each on a connection that was kept, and how many of them the native path gave."""
    try:
        with Crowd(box) as crowd:
            crowd.warm()
            assert {one.status for one in crowd.ask(*[request("/warm")] * (2 * TOGETHER))} == {200}
            before = lane_calls(box, "node-edu")[0]
            answers = crowd.ask(*[request(f"/{n}", message_id=f"{name}-{n}") for n in range(TOGETHER)])
            return answers, lane_calls(box, "node-edu")[0] - before
    finally:
        side.close()
        assert side.problems == []


# --- chain files ---


@pytest.mark.parametrize("body", [None, b"body"], ids=["message", "message-and-body"])
def test_a_request_with_a_chain_file_that_is_not_in_the_one_form_is_refused(
    provider: Box, caller: Caller, lane: bool, body: bytes | None
) -> None:
    warm = [caller.letter(f"warm-{at}") for at in range(TOGETHER)]
    seal(warm, caller.signer())
    assert native(provider, caller, warm)[0] == ["200"] * TOGETHER
    letters = [caller.letter(f"form-{at}", body) for at in range(TOGETHER)]
    seal(letters, caller.signer())
    break_some(letters)
    found, count = native(provider, caller, letters)
    assert [one.lower() for one in found[:3]] == ["server.serverproxy.malformed_hash_chain"] * 3
    assert found[3:] == ["200"] * 3
    assert count == (3 if lane else 0), "its neighbours went the native way"
    assert without_evidence(provider, "node-reg") == []


def test_an_answer_with_a_chain_file_that_is_not_in_the_one_form_is_refused(consumer: Box, lane: bool) -> None:
    answers, count = consumers_answers(
        consumer, Answerer(consumer, dealt(lambda _, letters: break_some(letters))), "form"
    )
    assert [one.status for one in answers] == [500] * 3 + [200] * 3
    assert {one.json["type"] for one in answers[:3]} == {"server.clientproxy.malformed_hash_chain"}
    assert count == (3 if lane else 0)
    assert without_evidence(consumer, "node-edu") == []


# --- only messages are waited for ---


@pytest.mark.parametrize("first", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_whatever_length_it_names_is_not_waited_for(
    consumer: Box, lane: bool, first: str
) -> None:
    def without_body(_: Answerer, letters: list[Letter]) -> None:
        letters[
            1
        ].data = f"HTTP/1.1 {first}\r\ncontent-length: 5\r\n\r\n".encode()  # RFC 9112 6.3: it ends with its head

    answers, count = consumers_answers(consumer, Answerer(consumer, dealt(without_body)), f"none-{first[:3]}")
    assert [one.status for one in answers] == [200, 500, *[200] * 4]
    assert f"it answered HTTP {first[:3]}" in f"{answers[1].json['message']} {answers[1].json['detail']}"
    assert max(one.seconds for one in answers) < 1, "the others' time is 1.9 s"
    assert count == (TOGETHER - 1 if lane else 0)


@pytest.mark.parametrize(("first", "status"), [("CONNECT x:1 HTTP/1.1", 405), ("PRI * HTTP/2.0", 400)])
def test_a_request_that_is_refused_by_its_first_line_is_not_waited_for(
    provider: Box, caller: Caller, first: str, status: int
) -> None:
    connection = caller.connections[0]
    connection.settimeout(1)
    connection.sendall(f"{first}\r\nhost: node\r\ncontent-length: 3\r\n\r\n".encode())
    assert told(*read_http(connection)) == str(status)


def test_a_request_with_a_length_that_is_no_message_is_refused_and_the_connection_kept(
    provider: Box, caller: Caller, lane: bool
) -> None:
    (letter,) = letters = [caller.letter("after-get")]
    seal(letters, caller.signer())
    before = lane_calls(provider, "node-reg")[0]
    connection = caller.connections[0]
    for wait in (0.0, 0.02):
        connection.sendall(b"GET /x HTTP/1.1\r\nhost: node\r\ncontent-length: 3\r\n\r\n")
        time.sleep(wait)
        connection.sendall(b"abc")
        _, body = read_http(connection)
        assert b"servers are called with POST /" in body
    connection.sendall(letter.http_request())
    assert told(*read_http(connection)) == "200"
    assert lane_calls(provider, "node-reg")[0] - before == (1 if lane else 0)


# --- the same message again ---


def test_a_message_sent_several_times_in_one_turn_is_carried_out_once(
    provider: Box, caller: Caller, office: Office
) -> None:
    logged = len(log_of(provider, "node-reg"))
    office.seen.clear()
    for n in range(8):
        one, two = letters = [caller.letter(f"one-{n}"), caller.letter(f"two-{n}")]
        seal(letters, caller.signer())
        found = caller.ask([one, one, two, one, two, two])
        assert found.count("200") == 2, found
        assert {told.lower() for told in found if told != "200"} == {"server.serverproxy.invalid_message"}
    names = [message_id for _, message_id in office.seen]
    assert sorted(names) == sorted(f"KG-{name}-{n}" for n in range(8) for name in ("one", "two"))
    assert len(log_of(provider, "node-reg")) - logged == 2 * len(names)


# --- all of it on the same connections ---

KINDS = ("good", "good", "good", "chunked", "bad", "get", "empty-line")


def wire_of(kind: str, letter: Letter) -> bytes:
    if kind == "bad":
        letter.body = b"other"
    if kind == "chunked":
        return chunked(letter.http_request(), 1500)
    if kind in ("good", "bad"):
        return letter.http_request()
    if kind == "get":
        return b"GET /x HTTP/1.1\r\nhost: y\r\ncontent-length: 3\r\n\r\nabc"
    return b"\r\nGET /y HTTP/1.1\r\nhost: y\r\n\r\n"


def answers_on(connection: ssl.SSLSocket) -> Iterator[tuple[bytes, bytes]]:
    """One after the other, also where several came at once."""
    data = b""
    while True:
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += connection.recv(65536)
        length = re.search(rb"content-length: (\d+)", data[:end])
        assert length is not None
        whole = end + 4 + int(length[1])
        while len(data) < whole:
            data += connection.recv(65536)
        yield data[:end], data[end + 4 : whole]
        data = data[whole:]


def test_whatever_comes_on_one_connection_and_however_it_is_cut_is_answered_in_its_order(
    provider: Box, caller: Caller, lane: bool
) -> None:
    some = random.Random(7)
    before, logged, good = lane_calls(provider, "node-reg")[0], len(log_of(provider, "node-reg")), 0
    for turn in range(20):
        plans = [[some.choice(KINDS) for _ in range(some.choice([1, 1, 1, 2, 3, 4]))] for _ in caller.connections]
        letters = [
            [
                caller.letter(f"mix-{turn}-{n}-{at}", some.choice([None, b"", b"x" * some.randint(1, 40_000)]))
                for at in range(len(plan))
            ]
            for n, plan in enumerate(plans)
        ]
        seal([one for them in letters for one in them], caller.signer())
        left = [b"".join(map(wire_of, *both)) for both in zip(plans, letters, strict=True)]
        while any(left):
            for n, connection in enumerate(caller.connections):
                size = some.choice([1, 20, 300, 5000, 20_000, 200_000])
                connection.sendall(left[n][:size])
                left[n] = left[n][size:]
        for plan, them, connection in zip(plans, letters, caller.connections, strict=True):
            for kind, letter, (head, body) in zip(plan, them, answers_on(connection), strict=False):
                if kind in ("good", "chunked"):
                    assert told(head, body) == "200", (turn, plan)
                    answer = rest.decode_response(message_in(head, body).message)
                    assert rest.header(answer.headers, b"x-road-request-id") == letter.request_id.encode()
                    good += 1
                else:
                    assert told(head, body).lower().startswith("server.serverproxy."), (turn, plan)
    assert len(log_of(provider, "node-reg")) - logged == 2 * good
    assert lane_calls(provider, "node-reg")[0] - before > (10 if lane else -1), "so many at the least natively"
