"""The native port of clients against real sockets: whole requests, crumbs, floods, ends in the middle, and everything that is not its own."""

import contextlib
import gc
import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from portworld import (
    NOT_SIMPLE,
    PLAIN,
    TARGET,
    World,
    answered,
    get,
    post,
    reset,
    whole_answer,
)

from kerege.exchange.lane.call import Call, Part
from kerege.node.lane.ports import ClientConnection


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


# --- requests and answers ---


def test_a_request_in_one_piece_is_a_call_and_its_answer_goes_back(world: World) -> None:
    client, connection = world.connect()
    before = int(time.time() * 1000)
    client.sendall(post(b"name=Aibek"))
    world.turn(lambda: world.calls)
    [call] = world.calls
    assert call.end is connection
    assert (call.verb, call.target) == ("POST", TARGET + b"?n=0")
    assert call.request.body == b"name=Aibek"
    assert before <= call.request_in <= int(time.time() * 1000)
    assert call.head + b"name=Aibek" == post(b"name=Aibek")
    assert (connection.busy, connection.idle, connection.connected, world.port.held) == (True, False, True, 10)
    world.now += 5
    world.port.answer([answered(call, b"found")])
    head, body = whole_answer(client)
    assert head == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n"
    assert body == b"found"
    assert (connection.busy, connection.idle, connection.quiet_since, world.port.held) == (False, True, 1005.0, 0)
    client.sendall(get(7))
    world.turn(lambda: len(world.calls) == 2)
    assert world.calls[1].target == TARGET + b"?n=7"


def test_a_request_byte_by_byte_is_the_same_call(world: World) -> None:
    client, connection = world.connect()
    request = post(b"x" * 40)
    for at in range(len(request) - 1):
        client.sendall(request[at : at + 1])
        world.turn(lambda at=at: world.port.held == at + 1)
        assert (connection.idle, connection.busy) == (False, False)
    assert not world.calls
    client.sendall(request[-1:])
    world.turn(lambda: world.calls)
    assert world.calls[0].request.body == b"x" * 40
    assert world.port.held == 40


def test_two_requests_in_one_piece_are_carried_out_one_after_the_other(world: World) -> None:
    client, _ = world.connect()
    client.sendall(post(b"first", 1) + post(b"second", 2))
    world.turn(lambda: world.calls)
    world.quiet()
    assert [call.request.body for call in world.calls] == [b"first"]
    world.port.answer([answered(world.calls[0], b"1")])
    world.turn(lambda: len(world.calls) == 2)
    assert world.calls[1].request.body == b"second"
    world.port.answer([answered(world.calls[1], b"2")])
    assert [whole_answer(client)[1] for _ in range(2)] == [b"1", b"2"]
    assert world.port.held == 0


def test_an_answer_at_once_leaves_what_was_sent_ahead_to_the_next_turn(world: World) -> None:
    depth = []

    def take(calls: list[Call], others: list[Call]) -> None:
        depth.append(len(depth))
        entered = len(depth)
        world.port.answer([answered(call, call.request.body or b"") for call in calls])
        assert len(depth) == entered  # not called again from within

    world.take = take
    client, _ = world.connect()
    client.sendall(b"".join(post(b"%d" % n) for n in range(50)))
    world.turn(lambda: len(depth) == 50)
    assert [whole_answer(client)[1] for _ in range(50)] == [b"%d" % n for n in range(50)]


def test_what_is_sent_ahead_of_an_answer_waits_in_the_kernel(world: World) -> None:
    client, _ = world.connect()
    client.sendall(post(b"first"))
    world.turn(lambda: world.calls)
    client.sendall(post(b"second"))
    world.quiet()
    assert len(world.calls) == 1
    assert world.port.held == len(b"first")
    world.port.answer([answered(world.calls[0], b"1")])
    world.turn(lambda: len(world.calls) == 2)
    assert world.calls[1].request.body == b"second"


def test_a_flood_of_bytes_ahead_is_stopped_by_the_kernel_and_costs_no_turns(world: World) -> None:
    client, connection = world.connect()
    client.sendall(post(b"first"))
    world.turn(lambda: world.calls)
    client.setblocking(False)
    sent, flood = 0, b"".join(post(b"y" * 1000) for _ in range(60))
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += client.send(flood)
            world.port.drain()
    assert sent > 100_000
    world.quiet()
    assert not select.select([world.port.fileno()], [], [], 0.05)[0]
    assert world.port.held == len(b"first")
    assert connection.busy
    world.port.answer([answered(world.calls[0], b"1")])
    world.turn(lambda: len(world.calls) == 2)
    assert world.port.held < 1000 + 128 * 1024 + 1


def test_two_hundred_connections_at_once_are_one_or_two_batches(world: World) -> None:
    pairs = [world.connect() for _ in range(200)]
    for number, (client, _) in enumerate(pairs):
        client.sendall(post(b"%d" % number, number))
    time.sleep(0.05)
    world.turn(lambda: len(world.calls) == 200)
    assert len(world.batches) <= 2
    assert world.port.connections == 200
    world.port.answer([answered(call, call.request.body or b"") for call in world.calls])
    assert [whole_answer(client)[1] for client, _ in pairs] == [b"%d" % number for number in range(200)]
    for client, _ in pairs:
        client.close()
    world.turn(lambda: len(world.lost) == 200)
    assert world.port.connections == 0


def test_simple_http_that_is_no_call_is_answered_the_long_way(world: World) -> None:
    client, connection = world.connect()
    client.sendall(b"POST /listClients HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\n\r\nabc" + get())
    world.turn(lambda: world.others)
    [other] = world.others
    assert (other.request, other.more, other.verb, other.target) == (None, b"abc", "POST", b"/listClients")
    world.port.respond(connection, PLAIN, True)
    assert whole_answer(client)[1] == b"ok"
    world.turn(lambda: world.calls)
    world.port.respond(connection, PLAIN.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"), False)
    assert whole_answer(client)[1] == b"ok"
    assert client.recv(1) == b""
    assert world.lost == [connection]


def test_an_answer_larger_than_the_socket_takes_goes_on_as_it_is_read(world: World) -> None:
    client, connection = world.connect(receive=4096)
    client.sendall(get())
    world.turn(lambda: world.calls)
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (12 << 20) + b"z" * (12 << 20)
    world.port.respond(connection, large, True)
    assert connection.busy
    client.sendall(get(2))  # ahead
    world.quiet()
    got, client_blocks = bytearray(), 0
    client.setblocking(False)
    while len(got) < len(large):
        world.now += 59  # each MiB that is taken begins the time anew
        before = len(got)
        while len(got) < min(before + (2 << 20), len(large)):
            try:
                got += client.recv(1 << 20)
            except BlockingIOError:
                client_blocks += 1
                world.port.drain()
        world.port.sweep(world.now)
        assert connection.connected
    assert bytes(got) == large
    assert client_blocks
    world.turn(lambda: len(world.calls) == 2)


# --- time ---


def test_who_takes_no_answer_is_closed_in_time(world: World) -> None:
    client, connection = world.connect(receive=4096)
    client.sendall(get())
    world.turn(lambda: world.calls)
    world.now += 500
    world.port.sweep(world.now)
    assert connection.connected  # a request under way has all the time it takes
    world.port.respond(connection, b"z" * (12 << 20), True)
    world.port.sweep(world.now + 59)
    assert connection.connected
    world.port.sweep(world.now + 61)
    assert (world.lost, connection.connected, world.port.connections) == ([connection], False, 0)


def test_a_head_in_drops_is_closed_however_regular_they_are(world: World) -> None:
    client, connection = world.connect()
    request = get()
    for second in range(10):
        client.sendall(request[second : second + 1])
        world.turn(lambda second=second: world.port.held == second + 1)
        world.now += 1
        world.port.sweep(world.now)
        assert connection.connected == (second < 9)
    assert world.lost == [connection]


def test_a_body_in_drops_is_closed_after_the_time_of_a_request(world: World) -> None:
    client, connection = world.connect()
    client.sendall(post(b"x" * 100)[:-100])
    world.turn(lambda: world.port.held)
    for _ in range(59):
        client.sendall(b"x")
        world.now += 1
        world.quiet()
        world.port.sweep(world.now)
    assert connection.connected
    world.port.sweep(world.now + 1.5)
    assert world.lost == [connection]


def test_who_asks_nothing_is_closed(world: World) -> None:
    client, silent = world.connect()
    world.port.sweep(world.now + 9)
    assert silent.connected
    other, spoke = world.connect()
    other.sendall(get())
    world.turn(lambda: world.calls)
    world.port.answer([answered(world.calls[0], b"")])
    world.port.sweep(world.now + 11)
    assert (silent.connected, spoke.connected) == (False, True)
    world.port.sweep(world.now + 76)
    assert world.lost == [silent, spoke]
    assert client.recv(1) == b""


# --- ends ---


def test_a_client_that_goes_in_the_middle_of_a_request_is_forgotten(world: World) -> None:
    for leave in (socket.socket.close, reset):
        client, connection = world.connect()
        client.sendall(post(b"half")[:-2])
        world.turn(lambda: world.port.held)
        leave(client)
        world.turn(lambda connection=connection: connection in world.lost)
        assert world.port.held == 0
    assert not world.calls
    assert world.port.connections == 0


def test_a_client_that_goes_while_its_request_is_under_way_is_not_answered(world: World) -> None:
    for number, leave in enumerate((socket.socket.close, reset)):
        client, connection = world.connect()
        client.sendall(post(b"body"))
        world.turn(lambda number=number: len(world.calls) == number + 1)
        leave(client)
        world.turn(lambda connection=connection: connection in world.lost)
        assert (world.port.held, connection.busy, connection.connected) == (0, False, False)
        world.port.answer([answered(world.calls[-1], b"late")])
        world.port.respond(connection, PLAIN, True)
    assert len(world.lost) == 2


def test_a_call_is_answered_once(world: World) -> None:
    client, connection = world.connect()
    client.sendall(get(1))
    world.turn(lambda: world.calls)
    world.port.answer([answered(world.calls[0], b"1"), world.calls[0]])
    client.sendall(get(2))
    world.turn(lambda: len(world.calls) == 2)
    world.port.answer([world.calls[0]])  # it is another request's turn
    assert connection.busy
    world.port.answer([answered(world.calls[1], b"2")])
    assert [whole_answer(client)[1] for _ in range(2)] == [b"1", b"2"]


def test_stopping_waits_for_the_answer_and_says_so_in_it(world: World) -> None:
    client, connection = world.connect()
    client.sendall(get())
    world.turn(lambda: world.calls)
    connection.stop()
    assert (connection.connected, connection.stopping) == (True, True)
    world.port.answer([answered(world.calls[0], b"last")])
    head, body = whole_answer(client)
    assert head.endswith(b"content-length: 4\r\nconnection: close\r\n\r\n")
    assert (body, client.recv(1)) == (b"last", b"")
    assert world.lost == [connection]
    quiet_client, quiet = world.connect()
    quiet.stop()
    assert (world.lost[1:], quiet.connected, quiet_client.recv(1)) == ([quiet], False, b"")
    quiet.stop()
    quiet.drop()
    assert len(world.lost) == 2


def test_dropping_closes_at_once(world: World) -> None:
    client, connection = world.connect()
    client.sendall(get())
    world.turn(lambda: world.calls)
    connection.drop()
    assert (world.lost, connection.connected, world.port.connections) == ([connection], False, 0)
    world.port.answer([answered(world.calls[0], b"late")])
    assert client.recv(1) == b""


def test_a_closed_port_holds_no_descriptor(world: World) -> None:
    gc.collect()  # what other tests left to the collector is no affair of this one
    before = len(os.listdir("/proc/self/fd"))
    made = World()
    pairs = [made.connect() for _ in range(10)]
    pairs[0][0].sendall(get())
    made.turn(lambda: made.calls)
    pairs[1][0].sendall(get()[:20])
    made.turn(lambda: made.port.held == 20)
    made.close()
    assert len(made.lost) == 10
    assert (made.port.fileno(), made.port.drain(), made.port.connections) == (-1, 0, 0)
    made.port.close()
    with pytest.raises(OSError):
        made.port.adopt(0, "", None)
    left = World()
    left.connect()[0].close()
    left.listening.close()
    del left
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_descriptor_that_cannot_be_watched_stays_the_callers(world: World) -> None:
    for descriptor in (-1, _closed()):
        with pytest.raises(OSError):
            world.port.adopt(descriptor, "", None)
    _, connection = world.connect()
    with pytest.raises(OSError):
        world.port.adopt(connection.fileno(), "", None)
    assert world.port.connections == 1


def _closed() -> int:
    one = socket.socket()
    number = one.fileno()
    one.close()
    return number


# --- callbacks that fail ---


def test_a_batch_that_nobody_takes_is_closed_and_the_port_goes_on(world: World) -> None:
    def broken(calls: list[Call], others: list[Call]) -> None:
        raise RuntimeError("a bug")

    client, connection = world.connect()
    client.sendall(get())
    world.take = broken
    with pytest.raises(RuntimeError, match="a bug"):
        world.turn(lambda: world.lost)
    assert (world.lost, world.port.connections, world.port.held) == ([connection], 0, 0)
    world.take = world.taken
    other, _ = world.connect()
    other.sendall(get())
    world.turn(lambda: world.calls)
    world.port.answer([answered(world.calls[0], b"1")])
    assert whole_answer(other)[1] == b"1"


def test_an_answer_that_cannot_be_written_takes_no_other_with_it(world: World) -> None:
    pairs = [world.connect() for _ in range(3)]
    for client, _ in pairs:
        client.sendall(get())
    world.turn(lambda: len(world.calls) == 3)
    first, second, third = world.calls
    answered(first, b"1")
    second.answer = Part(b"not an answer", b"2")
    with pytest.raises(ValueError):
        world.port.answer([second, third, first])
    assert set(world.lost) == {second.end, third.end}
    client = next(client for client, connection in pairs if connection is first.end)
    assert whole_answer(client)[1] == b"1"


def test_who_drops_others_from_within_a_callback_does_no_harm(world: World) -> None:
    pairs = [world.connect() for _ in range(20)]

    def take(calls: list[Call], others: list[Call]) -> None:
        world.taken(calls, others)
        for _, connection in pairs[1:]:
            connection.drop()
        assert world.port.drain() == 0  # it is at it already
        assert not world.lost  # told when all was read

    world.take = take
    for client, _ in pairs:
        client.sendall(get())
    world.turn(lambda: world.lost)
    assert [connection for _, connection in pairs[1:]] == world.lost
    world.port.answer([answered(call, b"") for call in world.calls])
    assert whole_answer(pairs[0][0])[1] == b""


def test_a_listener_that_fails_to_hear_of_one_end_hears_of_the_others(world: World) -> None:
    heard: list[ClientConnection] = []

    def failing(connection: ClientConnection) -> None:
        heard.append(connection)
        raise RuntimeError("a bug")

    for _ in range(3):
        client, _ = world.connect()
        client.close()
        accepted = socket.create_connection(world.listening.getsockname())
        world.port.adopt(world.listening.accept()[0].detach(), "", failing)
        accepted.close()
    with pytest.raises(RuntimeError):
        world.turn(lambda: len(heard) == 3)
    assert (len(heard), len(world.lost), world.port.connections) == (3, 3, 0)


# --- hand-over ---


@pytest.mark.parametrize("data", NOT_SIMPLE, ids=lambda data: data[:12].decode("latin-1") + f"...{len(data)}")
def test_what_is_not_simple_is_handed_over_with_its_bytes(world: World, data: bytes) -> None:
    client, connection = world.connect()
    client.sendall(data)
    world.turn(lambda: world.odd)
    [(who, descriptor, read)] = world.odd
    assert (who, read) == (connection, data)
    assert (world.port.connections, world.port.held, world.lost, connection.connected) == (0, 0, [], False)
    client.sendall(b"more")
    time.sleep(0.01)
    assert (world.port.drain(), os.read(descriptor, 100)) == (0, b"more")
    os.write(descriptor, b"still open")
    assert client.recv(100) == b"still open"


def test_what_follows_a_simple_request_is_handed_over_after_its_answer(world: World) -> None:
    client, connection = world.connect()
    client.sendall(get() + NOT_SIMPLE[1])
    world.turn(lambda: world.calls)
    world.quiet()
    assert not world.odd
    world.port.answer([answered(world.calls[0], b"1")])
    world.turn(lambda: world.odd)
    assert world.odd[0][0] is connection
    assert world.odd[0][2] == NOT_SIMPLE[1]
    assert whole_answer(client)[1] == b"1"


def test_a_request_can_be_taken_over_with_what_follows_it(world: World) -> None:
    client, connection = world.connect()
    with pytest.raises(ValueError, match="no request"):
        connection.take_over()
    client.sendall(get() + b"GET /next")
    world.turn(lambda: world.calls)
    descriptor = connection.take_over()
    assert connection.ahead == b"GET /next"
    assert (world.port.connections, world.port.held, connection.connected, world.lost) == (0, 0, False, [])
    with pytest.raises(ValueError, match="no request"):
        connection.take_over()
    world.port.answer([answered(world.calls[0], b"not twice")])
    with socket.socket(fileno=descriptor) as taken:
        taken.sendall(PLAIN)
    assert whole_answer(client)[1] == b"ok"
    assert client.recv(1) == b""


def test_more_than_may_be_held_is_handed_over(world: World) -> None:
    made = World(most_held=1000)
    try:
        pairs = [made.connect() for _ in range(3)]
        pairs[0][0].sendall(post(b"x" * 600))
        made.turn(lambda: made.calls)
        pairs[1][0].sendall(post(b"y" * 600))
        made.turn(lambda: made.odd)
        assert made.odd[0][2] == post(b"y" * 600)
        pairs[2][0].sendall(post(b"y" * 500)[:-1])
        made.turn(lambda: len(made.odd) == 2)
        assert made.port.held == 600
        made.port.answer([answered(made.calls[0], b"")])
        assert made.port.held == 0
    finally:
        made.close()
