"""HTTP of small REST messages read and written natively: never otherwise than by the node's Python modules, nothing they refuse."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings

from kerege.exchange import multipart, rest
from kerege.exchange.bodies import Attachment
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.resttarget import decision_path
from kerege.node.contracts import translate
from kerege.node.http.client import ClientResponse, Connection, HttpFailed
from kerege.node.http.messages import BodyBudget, ServerLimits
from kerege.node.http.reading import RequestReader, Work
from kerege.node.link import bodies as link_bodies
from kerege.node.message import Asked, Message
from kerege.node.rest_provider import reply

from . import rest_samples as samples

pytest.importorskip(
    "kerege.exchange.lane.restlines", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import restlines
from kerege.exchange.lane.call import Call, Way

PARTIAL, WHOLE, OTHER = 0, 1, -1
LARGEST = 70_000
SOME = settings(max_examples=300)


class Reader(RequestReader):
    """What the Python server makes of bytes."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.refused: str | None = None
        super().__init__(ServerLimits(body=1 << 20), BodyBudget(1 << 20), None)

    def _begin(self, work: Work) -> None:
        self.works.append(work)

    def _refuse(self, status: int, reason: str) -> None:
        self._stopped = True
        self.refused = reason

    def read(self, data: bytes) -> "Reader":
        self._feed(data)
        return self


class _Transport(asyncio.Transport):
    def write(self, data: Any) -> None: ...
    def abort(self) -> None: ...


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    one = asyncio.new_event_loop()
    yield one
    one.close()


def in_python(loop: asyncio.AbstractEventLoop, data: bytes) -> Reader:
    async def read() -> Reader:
        return Reader().read(data)

    return loop.run_until_complete(read())


def answered(loop: asyncio.AbstractEventLoop, data: bytes) -> tuple[ClientResponse | None, bool, bool]:
    """What the Python client makes of an agency's bytes: the answer (None: not whole), whether it failed, whether it keeps on."""

    async def read() -> tuple[ClientResponse | None, bool, bool]:
        connection = Connection(1 << 20)
        connection.connection_made(_Transport())
        waiter = connection.ask([b"x"], head=False, timeout=60)
        connection.data_received(data)
        if not waiter.done():
            waiter.cancel()
            connection.connection_lost(None)
            return None, False, True
        failed = isinstance(waiter.exception(), HttpFailed)
        alive = connection.alive
        connection.connection_lost(None)
        return None if failed else waiter.result(), failed, alive

    return loop.run_until_complete(read())


def read(data: bytes, largest: int = LARGEST) -> tuple[int, int, Call]:
    call = Call()
    outcome, used = restlines.read_http_request_bytes(data, largest, call)
    return outcome, used, call


def same_request(loop: asyncio.AbstractEventLoop, data: bytes) -> int:
    """The native outcome, after it was held against what Python makes of the same bytes."""
    outcome, used, call = read(data)
    python = in_python(loop, data)
    if outcome == PARTIAL:
        assert not python.works
        assert python.refused is None
        assert used == 0 or used > len(data)
    if outcome != WHOLE:
        return outcome
    python = in_python(loop, data[:used])
    assert python.refused is None
    (work,) = python.works
    assert work.keep
    assert data[:used] == call.head + data[len(call.head) : used]
    assert call.head.endswith(b"\r\n\r\n")
    assert (call.verb, call.target.decode()) == (work.method, work.target)
    body = data[len(call.head) : used]
    assert work.body == body
    if call.request is None:
        assert call.more == body
        return WHOLE
    shape = rest.shape_of(work.headers)
    instance = call.client_raw.split(b"/")[0].decode()
    message_id, request_id = call.message_id.decode(), call.request_id.decode()
    new = message_id.removeprefix(f"{instance}-") if shape.message_id < 0 else "unused"
    request = rest.request_from_client(
        work.method, work.target, work.headers, new_message_id=new, request_id=request_id
    )
    assert call.request.content == request.encode()
    assert call.request.body == (body or None)
    assert (request.message_id, request.request_id) == (message_id, request_id)
    assert (request.client, request.server) == (ClientId.parse(call.client_raw.decode()), None)
    assert request.service == DataServiceId.parse(call.service_raw.decode())
    assert call.path.decode() == request.path
    assert (call.path.decode() or "/") == decision_path(request.path)
    assert (None if call.query is None else call.query.decode()) == request.query
    accept = None if shape.accept < 0 else work.headers[shape.accept][1]
    assert call.accept == accept
    assert accept is None or not translate.wants_canonical(accept.decode("latin-1"))
    content_type = b"" if shape.content_type < 0 else work.headers[shape.content_type][1]
    assert (call.request.content_type or b"") == content_type
    return WHOLE


def test_a_clients_request_is_taken_with_all_its_parts(loop: asyncio.AbstractEventLoop) -> None:
    outcome, used, call = read(samples.REQUEST)
    assert (outcome, used) == (WHOLE, len(samples.REQUEST))
    assert (call.service_raw, call.path, call.query) == (samples.SERVICE, b"/by/1234", b"full=1&x=%D0%B0")
    assert (call.client_raw, call.accept) == (samples.CLIENT, b"application/json")
    assert (call.request.body, call.request.content_type) == (b"{}\r\n\r\n ", b"application/json")
    assert same_request(loop, samples.REQUEST) == WHOLE


def test_new_identifiers_are_random_uuids_of_version_4_after_the_instance() -> None:
    found = set()
    for _ in range(3000):  # more than are made of one block of random bytes
        call = read(samples.REQUEST)[2]
        head, _, own = call.message_id.decode().partition("-")
        assert head == "KG"
        for one in (own, call.request_id.decode()):
            assert (len(one), one[14], one[19] in "89ab") == (36, "4", True)
            found.add(one)
    assert len(found) == 6000


def test_a_request_that_came_in_part_is_waited_for_and_says_how_long_it_will_be_once_it_is_known() -> None:
    whole = len(samples.REQUEST)
    head = samples.REQUEST.index(b"\r\n\r\n") + 4
    for at in range(whole):
        outcome, used, _ = read(samples.REQUEST[:at])
        assert (outcome, used) == (PARTIAL, whole if at >= head else 0), samples.REQUEST[:at]


def test_what_follows_a_request_is_left_where_it_is() -> None:
    outcome, used, call = read(samples.REQUEST + b"GET /x")
    assert (outcome, used, call.request is None) == (WHOLE, len(samples.REQUEST), False)


@pytest.mark.parametrize(
    "first",
    [b"\x16\x03\x01\x02", b"TRACE /", b"CONNECT a:1", b"\r\nGET /", b"GET  /", b"GET x", b"get /", b"GET / HTTP/1.0", b"GET / HTTP/1.1 ", b"GET /\t"],
)  # fmt: skip
def test_what_cannot_become_a_simple_request_is_known_by_its_first_bytes(first: bytes) -> None:
    assert read(first)[0] == OTHER


def test_a_lone_line_feed_or_carriage_return_is_not_waited_upon() -> None:
    assert read(b"GET / HTTP/1.1\nA: b\n")[0] == OTHER
    assert read(b"GET / HTTP/1.1\r\nA: b\n")[0] == OTHER
    assert read(b"GET / HTTP/1.1\r\nA: b\rc")[0] == OTHER
    assert read(b"GET / HTTP/1.1\r\nA: b\r")[0] == PARTIAL


def test_long_heads_many_headers_and_large_requests_are_the_python_servers() -> None:
    first = b"GET / HTTP/1.1\r\n"
    assert read(first + b"A: b\r\n" * 60 + b"\r\n")[0] == WHOLE
    assert read(first + b"A: b\r\n" * 61 + b"\r\n")[0] == OTHER
    assert read(first + b"A: b\r\n" * 100)[0] == OTHER
    assert read(first + b"A: " + b"x" * (16 * 1024 - 30))[0] == PARTIAL
    assert read(first + b"A: " + b"x" * 16 * 1024)[0] == OTHER
    assert read(b"GET /" + b"x" * 16 * 1024)[0] == OTHER
    sized = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    head = len(sized % 1000)
    assert read(sized % 1000, head + 1000)[:2] == (PARTIAL, head + 1000)
    assert read(sized % 1000, head + 999)[0] == OTHER
    assert read(sized % (10**15 - 1))[0] == OTHER
    assert read(sized % 10**15, 2**62)[0] == OTHER
    assert read(sized % (10**15 - 1), 2**62)[0] == PARTIAL


def test_a_body_that_does_not_travel_in_one_piece_is_no_message_for_this_path() -> None:
    for size, taken in ((link_bodies.INLINE, True), (link_bodies.INLINE + 1, False)):
        data = samples.REQUEST.split(b"Content-Length")[0] + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
        outcome, used, call = read(data)
        assert (outcome, used, call.request is not None) == (WHOLE, len(data), taken)
        assert (call.request.body if taken else call.more) == b"x" * size


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"POST", b"HEAD"),
        (b"X-Road-Client: KG/GOV/70000001/desk", b"X-Road-Client: KG/GOV/70000001"),
        (b"X-Road-Client: KG/GOV/70000001/desk", b"X-Road-Client: KG/GOV/70000001/%64esk"),
        (b"/by/1234", b"/by/../1234"),
        (b"/by/1234", b"/by%2F1234"),
        (b"X-Trace", b"X-Road-Security-Server"),
        (b"X-Trace", b"X-Road-Client"),
        (b"X-Trace", b"X_Road_Client"),
        (b"Accept: application/json", b"Accept: " + translate.CANONICAL.upper().encode()),
        (b"Accept: application/json", b"Accept: a/b, " + translate.CANONICAL.encode() + b"; sources=1"),
        (b"/registry/", b"/../"),
        (b"/r1/", b"/r2/"),
    ],
)
def test_a_simple_request_that_is_no_plain_message_is_handed_on_whole(was: bytes, becomes: bytes) -> None:
    data = samples.REQUEST.replace(was, becomes)
    outcome, used, call = read(data)
    assert (outcome, used, call.request, call.more) == (WHOLE, len(data), None, b"{}\r\n\r\n ")
    assert call.head + call.more == data


@SOME
@given(samples.scratched(samples.requests()))
def test_requests_of_all_kinds_are_read_as_the_python_server_reads_them_or_not_at_all(data: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        same_request(loop, data)
    finally:
        loop.close()


def test_a_request_damaged_anywhere_is_read_as_by_python_or_not_at_all(loop: asyncio.AbstractEventLoop) -> None:
    outcomes = [same_request(loop, data) for data in samples.damaged(samples.REQUEST)]
    assert {PARTIAL, WHOLE, OTHER} == set(outcomes)


# --- agencies' answers ---


def asking() -> Call:
    call = Call()
    outcome, _ = restlines.read_http_request_bytes(samples.REQUEST, LARGEST, call)
    assert outcome == WHOLE
    request = rest.decode_request(call.request.content)
    call.way = Way(request.client, request.service, rest.written(request.client), rest.written(request.service))
    call.way.base, call.way.netloc = b"/api", b"agency:81"
    message = Message(multipart.REST_REQUEST, call.request.content, (Attachment((), call.request.body or b""),))
    content, attached = message.digests
    call.request_hash = rest.request_hash(content, attached[0]).encode()
    return call


def same_answer(loop: asyncio.AbstractEventLoop, data: bytes, call: Call) -> int:
    call.answer, call.status = cast(Any, None), 0
    outcome, used = restlines.read_http_answer_bytes(data, LARGEST, call)
    response, failed, alive = answered(loop, data)
    if outcome == PARTIAL:
        assert response is None
        assert not failed
        assert used == 0 or used > len(data)
    if outcome != WHOLE:
        assert call.answer is None
        return outcome
    assert used == len(data)
    assert response is not None
    assert alive
    request = rest.decode_request(call.request.content)
    asked = Asked("rest", request.client, request.service, None, "", "", request.verb, request.path, request)
    message = Message(multipart.REST_REQUEST, call.request.content, (Attachment((), call.request.body or b""),))
    made = reply(
        asked, message, response.status, response.reason, response.headers, response.body, Exchange(PRODUCER, 0)
    )
    assert call.status == response.status
    assert call.answer.content == made.content
    assert call.answer.body == made.body
    assert call.answer.content_type is None
    return WHOLE


def test_an_agencys_answer_is_taken_as_the_message_to_sign(loop: asyncio.AbstractEventLoop) -> None:
    call = asking()
    assert same_answer(loop, samples.ANSWER, call) == WHOLE
    assert call.answer.body == b"\r\n{}"
    assert call.answer.content.startswith(b"200\r\nOK\r\nContent-Type:application/json\r\nx-road-id:KG-")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 0\r\n\r\n", None),
    ],
)
def test_answers_without_reason_or_body_are_taken_as_python_takes_them(
    loop: asyncio.AbstractEventLoop, answer: bytes, body: bytes | None
) -> None:
    call = asking()
    assert same_answer(loop, answer, call) == WHOLE
    assert call.answer.body == body


@pytest.mark.parametrize(
    "answer",
    [
        samples.ANSWER + b"x",
        samples.ANSWER.replace(b"keep-alive", b"close"),
        samples.ANSWER.replace(b"Server: nginx", b"Transfer-Encoding: chunked"),
        samples.ANSWER.replace(b"Content-Length: 4\r\n", b""),
        samples.ANSWER.replace(b"1.1", b"1.0"),
        samples.ANSWER.replace(b"200", b"100"),
        samples.ANSWER.replace(b"200", b"600"),
        b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 O\tK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
        b"<html>",
    ],
)
def test_answers_that_are_not_simple_are_not_taken(answer: bytes) -> None:
    call = asking()
    assert restlines.read_http_answer_bytes(answer, LARGEST * 2, call) == (OTHER, 0)
    assert call.answer is None


def test_an_answer_that_came_in_part_is_waited_for() -> None:
    call, whole = asking(), len(samples.ANSWER)
    head = samples.ANSWER.index(b"\r\n\r\n") + 4
    for at in range(whole):
        found = restlines.read_http_answer_bytes(samples.ANSWER[:at], LARGEST, call)
        assert found == (PARTIAL, whole if at >= head else 0)
    assert restlines.read_http_answer_bytes(samples.ANSWER, whole, call)[0] == WHOLE
    assert restlines.read_http_answer_bytes(samples.ANSWER, whole - 1, call)[0] == OTHER


def test_without_what_it_answers_an_answer_is_not_taken() -> None:
    assert restlines.read_http_answer_bytes(samples.ANSWER, LARGEST, Call())[0] == OTHER
    call = asking()
    call.request_hash = cast(Any, None)
    assert restlines.read_http_answer_bytes(samples.ANSWER, LARGEST, call)[0] == OTHER


@SOME
@given(samples.scratched(samples.answers()))
def test_answers_of_all_kinds_are_read_as_the_python_client_reads_them_or_not_at_all(data: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        same_answer(loop, data, asking())
    finally:
        loop.close()


def test_an_answer_damaged_anywhere_is_read_as_by_python_or_not_at_all(loop: asyncio.AbstractEventLoop) -> None:
    call = asking()
    outcomes = [same_answer(loop, data, call) for data in samples.damaged(samples.ANSWER)]
    assert {PARTIAL, WHOLE, OTHER} == set(outcomes)
