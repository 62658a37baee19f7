"""Messages of X-Road's wire that come in pieces, at a connection in and at one out: each is read once, natively or not, and in time that
grows with its bytes, not with their square."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "kerege.exchange.lane.multiparts", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange import multipart
from kerege.exchange.bodies import body_bytes
from kerege.exchange.lane import multiparts
from kerege.exchange.lane.call import Call, Part
from kerege.node import wire
from kerege.node.http.connection import ClientResponse, Connection, HttpFailed
from kerege.node.http.messages import BodyBudget, HttpRequest, HttpResponse, ServerLimits
from kerege.node.http.server import HttpProtocol
from kerege.node.http.whole import WholeRequests
from kerege.node.lane.wireletters import LARGEST

LENGTH, CHUNKED, CLOSE = b"content-length: %d\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n"
MOST_ASKED = 33


def sealed(body: bytes, *, answer: bool = False) -> tuple[bytes, bytes]:
    """The head's lines but for the length, and the body, of a message whose signature is none."""
    call, part = Call(), Part(b"POST\r\n/r1/x\r\n", body)
    call.request = call.answer = part
    call.request_id = b"17-4"
    front = multiparts.front_of(b"192.0.2.7:5500", b"7.3.2")
    data = multiparts.answer(call, b"<sig/>", None) if answer else multiparts.request(call, front, (), b"<sig/>", None)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.rpartition(b"\r\n")[0] + b"\r\n", rest


def in_chunks(data: bytes, size: int, last: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + last


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


class Transport:
    def __init__(self) -> None:
        self.closed, self.written = False, b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    close = write_eof = pause_reading = resume_reading = abort

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None


def on_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


class Server:
    """A connection in, and what each way read of what came."""

    def __init__(self, budget: int = 1 << 20, seconds: float = 60.0) -> None:
        self.native: list[bytes] = []
        self.python: list[bytes] = []
        self.asked = self.looked_at = 0
        self.budget = BodyBudget(budget)
        limits = ServerLimits(body=1 << 20, request_seconds=seconds)
        self.protocol = HttpProtocol(self.handle, limits, self.budget, whole=self.whole)
        self.transport = Transport()
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]

    def handle(self, request: HttpRequest) -> HttpResponse:
        sink = wire.sink_of(request.headers, multipart.Limits())
        assert sink is not None
        sink.feed(body_bytes(request.body))
        found = sink.finish()
        self.python.append(b"" if found.body is None else body_bytes(found.body))
        return HttpResponse(200, (), b"python")

    def whole(self, protocol: WholeRequests, data: bytes) -> int:
        self.asked += 1
        self.looked_at += len(data)
        found = multiparts.read_request(data, LARGEST, multiparts.Seen())
        if found is None:
            return multiparts.missing(data, LARGEST) or -1
        work = protocol.begin_whole(len(data))
        assert work is not None
        self.native.append(found.part.body or b"")
        protocol.answer_whole(work, b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nnative")
        return 0

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece)


def test_a_request_in_chunks_is_taken_natively_however_its_bytes_come() -> None:
    async def run() -> None:
        head, body = sealed(b"b" * 5000)
        data = head + CHUNKED + b"\r\n" + in_chunks(body, 2048)
        start = data.index(b"\r\n\r\n") + 4
        for size in (len(data), 1400, 700, 333):
            server = Server()
            server.feed(data[:start], *cut(data[start:], size))
            server.feed(data)
            assert server.native == [b"b" * 5000] * 2
            assert server.python == []
            assert server.transport.written.endswith(b"native")
            assert server.budget.used == 0
            assert not server.transport.closed

    on_loop(run)


def test_one_byte_at_a_time_costs_no_more_than_so_many_looks() -> None:
    async def run() -> None:
        head, body = sealed(b"b" * 4000)
        for chunk_size in (1 << 20, 1000, 1):
            data = head + CHUNKED + b"\r\n" + in_chunks(body, chunk_size)
            start = data.index(b"\r\n\r\n") + 4
            server = Server()
            server.feed(data[:start], *cut(data[start:], 1))
            # once for each length that came, or given up: then it is read as it comes
            assert server.native + server.python == [b"b" * 4000]
            assert server.asked <= MOST_ASKED
            assert server.looked_at <= MOST_ASKED * len(data)
            assert (server.python == []) == (chunk_size > 1)
            assert server.budget.used == 0
            server.feed(data)  # and the next one natively again
            assert server.native[-1:] == [b"b" * 4000]

    on_loop(run)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_pieces_give_one_message_and_hold_no_budget_after_it(data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=300))
    head, body = sealed(content)
    last = data.draw(st.sampled_from([b"0\r\n\r\n", b"00\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"0;x\r\n\r\n"]))
    wholes = [head + CHUNKED + b"\r\n" + in_chunks(body, data.draw(st.integers(1, 600)), last) for _ in range(2)]
    sent = b"".join(wholes)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(1, len(sent) - 1), max_size=60))), len(sent)]

    async def run() -> None:
        server = Server()
        for at, to in pairwise(cuts):
            if at < to:
                server.feed(sent[at:to])
        assert sorted(server.native + server.python) == [content] * 2
        assert server.transport.written.count(b"HTTP/1.1 200") == 2
        assert server.budget.used == 0

    on_loop(run)


def test_a_request_that_stops_in_the_middle_holds_what_came_and_its_time_does_not_begin_anew() -> None:
    async def run() -> None:
        head, body = sealed(b"b" * 4000)
        data = head + CHUNKED + b"\r\n" + in_chunks(body, 500)
        server = Server()
        server.feed(data[:1000])
        deadline = server.protocol.deadline
        await asyncio.sleep(0.02)
        for at in range(1000, 3000, 250):
            server.feed(data[at : at + 250])
            assert server.budget.used == at + 250
            assert server.protocol.deadline == deadline
        server.protocol.connection_lost(None)
        assert server.budget.used == 0
        assert server.native == server.python == []

    on_loop(run)


def test_what_came_in_very_small_pieces_takes_no_more_memory_than_its_bytes() -> None:
    async def run() -> None:
        head, body = sealed(b"b" * 60_000)
        data = head + CHUNKED + b"\r\n" + in_chunks(body, 1 << 20)
        server = Server()
        server.feed(data[:1000])
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for at in range(1000, 50_000, 2):
                server.protocol.data_received(data[at : at + 2])
            assert tracemalloc.get_traced_memory()[0] - before < 150_000
        finally:
            tracemalloc.stop()
        server.feed(data[50_000:])
        assert server.native == [b"b" * 60_000]

    on_loop(run)


def test_where_there_is_no_room_for_the_rest_it_is_refused_as_the_other_way_does() -> None:
    async def run() -> None:
        head, body = sealed(b"b" * 4000)
        data = head + CHUNKED + b"\r\n" + in_chunks(body, 5000)
        for others in (0, 3000):
            server = Server(budget=6000)
            server.feed(data[:1000])
            server.budget.used += others  # requests on other connections
            server.feed(*cut(data[1000:], 300))
            assert server.native == ([] if others else [b"b" * 4000])
            assert (b" 503 " in server.transport.written) == (others > 0)
            server.protocol.connection_lost(None)
            assert server.budget.used == others

    on_loop(run)


# --- answers ---


class Waiter:
    """Who waits for an answer on a connection out."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.native: list[tuple[bytes, bool]] = []
        self.answers: list[ClientResponse] = []
        self.problems: list[HttpFailed] = []
        self.asked = 0

    def done(self) -> bool:
        return False

    def take(self, data: bytes, ended: bool) -> int:
        self.asked += 1
        found = multiparts.read_answer(data, LARGEST, multiparts.Seen(), ended)
        if found is None:
            return multiparts.missing(data, LARGEST) or -1
        if not found.kept:
            self.connection.close()
        self.native.append((found.part.body or b"", found.kept))
        return 0

    def set_result(self, answer: ClientResponse) -> None:
        self.connection.answered()
        self.answers.append(answer)

    def set_exception(self, problem: HttpFailed) -> None:
        self.connection.answered()
        self.problems.append(problem)


def waiting(connection: Connection | None = None) -> tuple[Connection, Waiter]:
    if connection is None:
        connection = Connection(1 << 24)
        connection.connection_made(Transport())  # type: ignore[arg-type]
    waiter = Waiter(connection)
    sinks = lambda _, headers: wire.sink_of(headers, multipart.Limits())  # noqa: E731
    connection.ask_whole(b"asked", waiter, waiter.take, timeout=5, sinks=sinks)
    return connection, waiter


ANSWERS: dict[str, tuple[bytes, int, bool]] = {
    "length": (LENGTH, 0, True),
    "chunks": (CHUNKED, 700, True),
    "one-chunk": (CHUNKED, 1 << 20, True),
    "length-and-close": (CLOSE + LENGTH, 0, False),
    "chunks-and-close": (CHUNKED + CLOSE, 700, False),
}


def answer_of(name: str) -> tuple[bytes, bool]:
    says, size, kept = ANSWERS[name]
    head, body = sealed(b"a" * 3000, answer=True)
    lines = says % len(body) if b"%d" in says else says
    return head + lines + b"\r\n" + (in_chunks(body, size) if size else body), kept


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("size", [1 << 20, 700, 97, 1])
def test_answers_are_taken_natively_however_they_come_and_the_connection_is_kept_where_they_say_so(
    name: str, size: int
) -> None:
    async def run() -> None:
        data, kept = answer_of(name)
        start = data.index(b"\r\n\r\n") + 4
        connection, waiter = waiting()
        for piece in (data[:start], *cut(data[start:], size)):
            connection.data_received(piece)
        assert waiter.native == [(b"a" * 3000, kept)]
        assert (waiter.answers, waiter.problems) == ([], [])
        assert connection.alive == kept
        assert waiter.asked <= MOST_ASKED
        if kept:
            _, other = waiting(connection)
            connection.data_received(data)
            assert other.native == waiter.native
        else:
            connection.connection_lost(None)
            assert (len(waiter.native), waiter.problems) == (1, [])

    on_loop(run)


@pytest.mark.parametrize("orderly", [True, False], ids=["end", "reset"])
@pytest.mark.parametrize("says", [b"", CLOSE], ids=["silent", "close"])
def test_an_answer_that_ends_with_the_connection_is_taken_at_its_end_and_a_cut_one_is_refused(
    says: bytes, orderly: bool
) -> None:
    async def run() -> None:
        head, body = sealed(b"a" * 300, answer=True)
        data = head + says + b"\r\n" + body
        for end in (len(data), len(data) - 2, len(data) - 3, len(data) - 40, len(head) + 40):
            connection, waiter = waiting()
            for piece in cut(data[:end], 250):
                connection.data_received(piece)
            assert (waiter.native, waiter.answers, waiter.problems) == ([], [], [])
            if orderly:
                connection.eof_received()
            connection.connection_lost(None if orderly else ConnectionResetError())
            assert waiter.problems == []
            if end >= len(data) - 2:
                assert waiter.native == [(b"a" * 300, False)]
                assert waiter.answers == []
                continue
            assert waiter.native == []
            (answer,) = waiter.answers  # as from the Python path: its sink says that it is not whole
            assert answer.sink is not None
            with pytest.raises(Exception, match="closing boundary"):
                answer.sink.finish()  # type: ignore[attr-defined]

    on_loop(run)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_says_where_it_ends_and_does_not_come_so_far_is_none(name: str) -> None:
    async def run() -> None:
        data, _ = answer_of(name)
        for end in (len(data) - 1, len(data) - 2, len(data) // 2):
            connection, waiter = waiting()
            connection.data_received(data[:end])
            connection.eof_received()
            connection.connection_lost(None)
            assert (waiter.native, waiter.answers) == ([], [])
            (problem,) = waiter.problems
            assert problem.reason == "closed the connection before answering"
            assert not problem.unanswered

    on_loop(run)


def test_what_follows_an_answer_that_closes_is_nobodys() -> None:
    async def run() -> None:
        for name in ANSWERS:
            data, kept = answer_of(name)
            connection, waiter = waiting()
            connection.data_received(data + b"HTTP/1.1 200 OK\r\nX-Poison: 1\r\n\r\n")
            assert waiter.native == []
            (answer,) = waiter.answers
            assert answer.sink is not None
            assert body_bytes(answer.sink.finish().body) == b"a" * 3000  # type: ignore[attr-defined]
            assert not connection.alive, kept

    on_loop(run)


def test_a_large_answer_that_ends_with_the_connection_is_read_as_it_comes() -> None:
    async def run() -> None:
        head, body = sealed(b"a" * 60_000, answer=True)
        large = body.replace(b"a" * 60_000, b"a" * 400_000)
        connection, waiter = waiting()
        for piece in cut(head + b"\r\n" + large, 50_000):
            connection.data_received(piece)
        assert waiter.asked == 2
        connection.eof_received()
        connection.connection_lost(None)
        for _ in range(100):
            await asyncio.sleep(0.01)
            if waiter.answers:
                break
        (answer,) = waiter.answers
        assert answer.sink is not None
        found = answer.sink.finish()  # type: ignore[attr-defined]
        assert body_bytes(found.body) == b"a" * 400_000

    on_loop(run)
