"""The native port to agencies against real sockets: kept connections, answers in crumbs, silence, ends in the middle, what nobody asked for."""

import contextlib
import gc
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import rest

pytest.importorskip(
    "kerege.node.lane.agencyport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.lane import restlines
from kerege.exchange.lane.call import Call, Part, Way
from kerege.node.lane.ports import AgencyPort

LARGEST = 64 * 1024 + 16 * 1024
SERVICE = b"KG/GOV/70000002/REGISTER/people"
CLIENT = b"KG/GOV/70000001/SCHOOLS"
CLOSED = "closed the connection before answering"


def asked(number: int = 0, body: bytes | None = None) -> Call:
    """A call as it comes to the provider's side."""
    request = rest.request_from_client(
        "GET" if body is None else "POST",
        f"/r1/{SERVICE.decode()}/by-pin?n={number}",
        ((b"X-Road-Client", CLIENT), (b"Accept", b"*/*")),
        new_message_id="1",
        request_id="2",
    )
    part, call = Part(request.encode(), body), Call()
    assert restlines.read_request(part, call)
    call.way = Way(request.client, request.service, CLIENT, SERVICE)
    call.way.base, call.way.netloc = b"/base", b"agency:8080"
    call.request_hash = b"aGFzaA=="
    return call


def answer(body: bytes = b"found", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n%bcontent-length: %d\r\n\r\n%b" % (more, len(body), body)


class World:
    """A port, an agency's ends of its connections, and what the port told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[Call] = []
        self.batches: list[int] = []
        self.failed: list[tuple[Call, str, bool]] = []
        self.odd: list[tuple[Call, int, bytes]] = []
        self.taken: Callable[[list[Call]], None] = self.calls.extend
        self.port = AgencyPort(
            self.answered,
            lambda *told: self.failed.append(told),
            lambda *told: self.odd.append(told),
            LARGEST,
            20.0,
            lambda: self.now,
        )
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.agencies: list[socket.socket] = []

    def answered(self, calls: list[Call]) -> None:
        self.batches.append(len(calls))
        self.taken(calls)

    def connect(self, place: object = "register", send: int = 0) -> socket.socket:
        """A connection for a place; the agency's end of it."""
        ours = socket.socket()
        if send:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send)
        ours.connect(self.listening.getsockname())
        ours.setblocking(False)
        agency, _ = self.listening.accept()
        agency.settimeout(5)
        agency.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.agencies.append(agency)
        self.port.adopt(place, ours.detach())
        return agency

    def ask(self, *calls: Call, place: object = "register", seconds: float = 30.0) -> list[Call]:
        return self.port.ask(place, list(calls), self.now + seconds, seconds)

    def turn(self, until: Callable[[], object], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            left = end - time.monotonic()
            assert left > 0, "it never came to hold"
            if select.select([self.port.fileno()], [], [], min(left, 0.05))[0]:
                self.port.drain()

    def quiet(self) -> None:
        while select.select([self.port.fileno()], [], [], 0.02)[0]:
            self.port.drain()

    def close(self) -> None:
        self.port.close()
        for agency in self.agencies:
            agency.close()
        for _, descriptor, _ in self.odd:
            os.close(descriptor)
        self.listening.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def request_at(agency: socket.socket, size: int = 0) -> bytes:
    """One request, with a body of `size` bytes."""
    out = b""
    while b"\r\n\r\n" not in out:
        out += agency.recv(1)
    while size > 0:
        piece = agency.recv(size)
        assert piece
        out, size = out + piece, size - len(piece)
    return out


def reset(agency: socket.socket) -> None:
    agency.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    agency.close()


# --- asking and answers ---


def test_a_call_is_asked_and_its_answer_is_signed_form(world: World) -> None:
    agency, call = world.connect(), asked(1, b"name=Aibek")
    assert (world.port.idle("register"), world.port.idle("other"), world.port.busy) == (1, 0, 0)
    before = int(time.time() * 1000)
    assert world.ask(call) == []
    assert (world.port.idle("register"), world.port.busy) == (0, 1)
    assert before <= call.request_out <= int(time.time() * 1000)
    written = request_at(agency, 10)
    assert written == restlines.http_request_bytes(call)
    assert written.startswith(b"POST /base/by-pin?n=1 HTTP/1.1\r\nhost: agency:8080\r\n")
    agency.sendall(answer(b"found"))
    world.turn(lambda: world.calls)
    assert world.calls == [call]
    assert (call.status, call.answer.body) == (200, b"found")
    said = rest.decode_response(call.answer.content)
    assert rest.header(said.headers, b"x-road-request-hash") == b"aGFzaA=="
    assert before <= call.response_in <= int(time.time() * 1000)
    assert (world.port.idle("register"), world.port.busy, world.port.connections) == (1, 0, 1)
    assert world.ask(asked(2)) == []
    assert request_at(agency).startswith(b"GET /base/by-pin?n=2 ")


def test_calls_for_which_no_connection_is_idle_come_back(world: World) -> None:
    world.connect()
    world.connect()
    world.connect("other")
    calls = [asked(n) for n in range(5)]
    assert world.ask(*calls) == calls[2:]
    assert world.ask(calls[2], place="nowhere") == [calls[2]]
    assert (world.port.idle("register"), world.port.idle("other"), world.port.busy) == (0, 1, 2)


def test_the_connection_used_last_is_used_first(world: World) -> None:
    agencies = [world.connect() for _ in range(3)]
    for number in range(5):
        world.ask(asked(number))
        request_at(agencies[-1])
        agencies[-1].sendall(answer())
        world.turn(lambda number=number: len(world.calls) == number + 1)


def test_a_hundred_answers_are_one_batch_or_two(world: World) -> None:
    agencies = [world.connect() for _ in range(100)]
    calls = [asked(n) for n in range(100)]
    assert world.ask(*calls) == []
    for agency in agencies:
        number = request_at(agency).split(b"n=")[1].split(b" ")[0]
        agency.sendall(answer(number))
    time.sleep(0.05)
    world.turn(lambda: len(world.calls) == 100)
    assert len(world.batches) <= 2
    assert all(call.answer.body == call.query[2:] for call in calls)


def test_an_answer_byte_by_byte_is_the_same(world: World) -> None:
    agency, call, data = world.connect(), asked(), answer(b"x" * 20)
    world.ask(call)
    for at in range(len(data)):
        assert not world.calls
        agency.sendall(data[at : at + 1])
        world.port.drain()
    world.turn(lambda: world.calls)
    assert call.answer.body == b"x" * 20


def test_a_request_larger_than_the_socket_takes_goes_on_as_it_is_read(world: World) -> None:
    body = bytes(range(256)) * 2048
    agency, call = world.connect(send=4096), asked(1, body)
    world.ask(call)
    assert not world.calls
    got = bytearray()
    size = len(restlines.http_request_bytes(call))
    agency.setblocking(False)
    while len(got) < size:
        with contextlib.suppress(BlockingIOError):
            got += agency.recv(1 << 16)
        world.port.drain()
    assert bytes(got).endswith(body)
    assert not select.select([world.port.fileno()], [], [], 0.02)[0]
    agency.sendall(answer())
    world.turn(lambda: world.calls)
    assert world.port.idle("register") == 1


def test_a_connection_answered_before_the_whole_request_was_out_is_not_used_again(world: World) -> None:
    agency, call = world.connect(send=4096), asked(1, b"z" * (8 << 20))
    world.ask(call)
    agency.sendall(answer())
    world.turn(lambda: world.calls)
    assert (world.port.idle("register"), world.port.connections) == (0, 0)
    second_agency, second = world.connect(send=4096), asked(1, b"z" * (8 << 20))
    world.ask(second)
    second_agency.sendall(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\n\r\n")
    world.turn(lambda: world.failed)
    assert world.failed == [(second, "answered before it had taken the whole request", False)]


# --- no answer ---


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", [b"", b"H", answer()[:30], answer()[:-1]], ids=len)
def test_an_agency_that_goes_has_not_answered(
    world: World, sent: bytes, leave: Callable[[socket.socket], None]
) -> None:
    agency, call = world.connect(), asked()
    world.ask(call)
    request_at(agency)
    agency.sendall(sent)
    if sent:
        world.quiet()
    leave(agency)
    world.turn(lambda: world.failed)
    assert world.failed == [(call, CLOSED, not sent)]
    assert (world.port.connections, world.port.busy, world.calls) == (0, 0, [])


def test_an_agency_that_is_silent_did_not_answer_in_time(world: World) -> None:
    agency, call = world.connect(), asked()
    world.ask(call, seconds=2.5)
    agency.sendall(answer()[:-1])
    world.quiet()
    world.port.sweep(world.now + 2.4)
    assert not world.failed
    world.port.sweep(world.now + 2.5)
    assert world.failed == [(call, "did not answer within 2.5 s", False)]
    request_at(agency)
    assert agency.recv(1) == b""
    assert world.port.busy == 0


def test_a_kept_connection_that_died_is_passed_over(world: World) -> None:
    agencies = [world.connect() for _ in range(3)]
    reset(agencies[2])  # the one that would be used first
    agencies[1].close()
    calls = [asked(1), asked(2)]
    left = world.ask(*calls)
    world.quiet()
    told = [call for call, reason, unanswered in world.failed if (reason, unanswered) == (CLOSED, True)]
    asked_for = [call for call in calls if call not in left and call not in told]
    assert len(told) == len(world.failed)
    for call in asked_for:
        assert request_at(agencies[0]) == restlines.http_request_bytes(call)
    assert world.port.connections == 1


def test_a_connection_nobody_uses_is_closed(world: World) -> None:
    agency = world.connect()
    world.port.sweep(world.now + 19)
    assert world.port.idle("register") == 1
    world.port.sweep(world.now + 20)
    assert (world.port.idle("register"), world.port.connections, agency.recv(1)) == (0, 0, b"")
    world.connect()
    world.now += 21
    call = asked()
    assert world.ask(call) == [call]  # too old, though nobody swept
    assert world.port.connections == 0


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"\r\n", b""], ids=len)
def test_what_nobody_asked_for_closes_the_connection(world: World, extra: bytes) -> None:
    agency = world.connect()
    if extra:
        agency.sendall(extra)
    else:
        agency.close()
    world.turn(lambda: world.port.connections == 0)
    assert (world.port.idle("register"), world.failed, world.odd) == (0, [], [])


def test_only_so_many_connections_are_kept_for_a_place(world: World) -> None:
    for _ in range(258):
        world.connect()
    assert (world.port.idle("register"), world.port.connections) == (256, 256)


# --- other answers ---

OTHERS = [
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    answer() + b"and more",
    b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n",
]


@pytest.mark.parametrize("data", OTHERS, ids=range(len(OTHERS)))
def test_an_answer_that_is_not_simple_is_handed_over_with_its_bytes(world: World, data: bytes) -> None:
    agency, call = world.connect(), asked()
    world.ask(call)
    request_at(agency)
    agency.sendall(data)
    world.turn(lambda: world.odd)
    [(who, descriptor, read)] = world.odd
    assert (who, read) == (call, data)
    assert (world.port.connections, world.port.busy, world.failed, world.calls) == (0, 0, [], [])
    agency.sendall(b"more")
    time.sleep(0.01)
    assert (world.port.drain(), os.read(descriptor, 100)) == (0, b"more")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=5), st.integers(0, 1000), st.integers(-1, 255))
def test_an_answer_is_read_or_handed_over_wherever_its_pieces_end(
    body: bytes, cuts: list[int], at: int, value: int
) -> None:
    changed = bytearray(answer(body))
    if value >= 0:
        changed[at % len(changed)] = value
    data = bytes(changed)
    ends = sorted({cut % len(data) for cut in cuts} - {0} | {len(data)})
    one, _ = restlines.read_http_answer_bytes(data, LARGEST, asked())
    made, call = World(), asked()
    try:
        agency = made.connect()
        made.ask(call)
        for begin, end in zip([0, *ends], ends, strict=False):
            agency.sendall(data[begin:end])
            made.port.drain()
        if made.calls:
            # what follows it, if anything, came later
            alone = asked()
            read = (restlines.read_http_answer_bytes(data[: end + 1], LARGEST, alone)[0] for end in range(len(data)))
            assert 1 in read
            assert (call.status, call.answer.content) == (alone.status, alone.answer.content)
            assert call.answer.body == alone.answer.body
        elif made.odd:
            assert one != 1
            assert data.startswith(made.odd[0][2])
        else:
            assert one != 1
            agency.close()
            made.turn(lambda: made.failed)
            assert made.failed == [(call, CLOSED, False)]
    finally:
        made.close()


# --- ends ---


def test_a_forgotten_place_keeps_no_connection(world: World) -> None:
    first, second = world.connect(), world.connect()
    other = world.connect("other")
    world.ask(asked())
    world.port.forget("register")
    assert (world.port.idle("register"), world.port.busy, world.port.connections) == (0, 1, 2)
    assert first.recv(1) == b""
    request_at(second)
    second.sendall(answer())
    world.turn(lambda: world.calls)
    assert (world.port.idle("register"), second.recv(1)) == (0, b"")
    world.port.forget_idle()
    assert (world.port.connections, other.recv(1)) == (0, b"")


def test_closing_the_port_fails_what_is_under_way_and_holds_no_descriptor(world: World) -> None:
    gc.collect()  # what other tests left to the collector is no affair of this one
    before = len(os.listdir("/proc/self/fd"))
    made, call = World(), asked()
    made.connect()
    made.connect()
    made.ask(call)
    made.close()
    assert made.failed == [(call, "was not waited for", True)]
    assert (made.port.fileno(), made.port.drain(), made.port.connections, made.port.busy) == (-1, 0, 0, 0)
    with pytest.raises(OSError):
        made.port.adopt("register", 0)
    left = World()
    left.connect().close()
    left.listening.close()
    del left
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_callback_that_fails_leaves_the_port_at_work(world: World) -> None:
    first, second, third = world.connect(), world.connect(), world.connect()
    calls = [asked(n) for n in range(3)]
    world.ask(*calls)
    third.sendall(answer())
    second.close()
    first.sendall(OTHERS[0])
    time.sleep(0.02)

    def broken(calls: list[Call]) -> None:
        raise RuntimeError("a bug")

    world.taken = broken
    with pytest.raises(RuntimeError, match="a bug"):
        world.turn(lambda: world.odd and world.failed)
    assert ([call for call, _, _ in world.failed], [call for call, _, _ in world.odd]) == ([calls[1]], [calls[2]])
    world.taken = world.calls.extend
    assert world.port.idle("register") == 1
    assert world.ask(asked(9)) == []


def test_a_call_that_is_none_of_this_path_comes_back(world: World) -> None:
    world.connect()
    strange, empty = asked(), Call()
    strange.request = Part(b"not a request")
    assert world.ask(strange, empty) == [strange, empty]
    assert world.port.idle("register") == 1
