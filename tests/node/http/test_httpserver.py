"""The listeners against clients that do not behave: smuggling, floods, slow and half requests."""

import asyncio
import contextlib
import gc
import socket
import struct
import tracemalloc
import weakref
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from kerege.node.config import Address
from kerege.node.http.client import AnswerTooLarge, HttpFailed, NotConnected, Pool, encode_request
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, Later, ServerLimits, encode_response

seen: list[HttpRequest] = []


async def echo(request: HttpRequest) -> HttpResponse:
    seen.append(request)
    if request.target == "/slow":
        await asyncio.sleep(0.3)
    if request.target == "/bug":
        raise RuntimeError("a bug")
    return HttpResponse(200, ((b"content-type", b"text/plain"),), request.target.encode() + b"|" + request.body)


def served(limits: ServerLimits, talk: Callable[[int], Awaitable[object]]) -> object:
    async def main() -> object:
        listener = Listener(echo, limits)
        await listener.open(Address("127.0.0.1", 0))
        try:
            return await talk(listener.ports[0])
        finally:
            listener.close()
            for one in listener.connections:
                one.stop()

    seen.clear()
    return asyncio.run(main())


async def raw(port: int, data: bytes, wait: float = 2.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    out = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(wait):
            while piece := await reader.read(65536):
                out += piece
    writer.close()
    return out


LIMITS = ServerLimits(body=1000, connections=4, request_seconds=0.3, idle_seconds=0.3)


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\x00: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\nX: b\r\n\r\n",
    ],
)
def test_requests_two_readers_could_frame_differently_are_refused(data: bytes) -> None:
    answer = served(LIMITS, lambda port: raw(port, data))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
    assert seen == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + bytes(2000), b"413"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 70000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"y" * 20000 + b" HTTP/1.1\r\n\r\n", b"431"),
    ],
)
def test_what_passes_a_limit_is_refused_with_the_limit(data: bytes, status: bytes) -> None:
    answer = served(LIMITS, lambda port: raw(port, data))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert seen == []


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nab"]
)
def test_a_request_that_does_not_come_is_not_waited_for_for_ever(data: bytes) -> None:
    assert served(LIMITS, lambda port: raw(port, data)) == b""
    assert seen == []


def test_a_connection_beyond_the_limit_is_closed() -> None:
    async def talk(port: int) -> int:
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        await asyncio.sleep(0.1)
        closed = sum(reader.at_eof() for reader, _ in pairs)
        for _, writer in pairs:
            writer.close()
        return closed

    assert served(LIMITS, talk) == 2


def test_requests_sent_before_the_answer_are_answered_in_order() -> None:
    two = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = served(LIMITS, lambda port: raw(port, two, 0.6))
    assert isinstance(answer, bytes)
    assert answer.count(b"HTTP/1.1 200 OK") == 1

    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(two)
        await asyncio.sleep(0.05)
        writer.write(b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        out = await reader.read(-1)
        writer.close()
        return out

    answer = served(LIMITS, talk)
    assert isinstance(answer, bytes)
    assert answer.index(b"/slow|") < answer.index(b"/second|")


CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def test_requests_in_one_segment_are_answered_in_order() -> None:
    data = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(9)) + b"GET /slow HTTP/1.1\r\n" + CLOSE
    answer = served(LIMITS, lambda port: raw(port, data))
    assert isinstance(answer, bytes)
    assert answer.count(b"HTTP/1.1 200 OK") == 10
    assert [request.target for request in seen] == [f"/{n}" for n in range(9)] + ["/slow"]


def test_what_is_wrong_after_a_request_is_said_after_its_answer_and_not_instead() -> None:
    answer = served(LIMITS, lambda port: raw(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n"))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"/slow|HTTP/1.1 400 " in answer


def test_more_requests_ahead_than_are_kept_are_not_carried_out() -> None:
    data = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 100
    answer = served(LIMITS, lambda port: raw(port, data))
    assert isinstance(answer, bytes)
    assert answer.count(b"HTTP/1.1 200 OK") == len(seen) == 33
    assert b"too many requests" in answer


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("framing", "body"),
    [(b"Content-Length: 4\r\n", b"abcd"), (b"Transfer-Encoding: chunked\r\n", b"4\r\nabcd\r\n0\r\n\r\n")],
)
def test_an_offer_to_upgrade_is_ignored_and_the_body_read(split: bool, framing: bytes, body: bytes) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    head = b"POST /x HTTP/1.1\r\nHost: a\r\n" + offer + framing + b"\r\n"
    second = b"GET /second HTTP/1.1\r\n" + CLOSE

    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in (head, body, second) if split else (head + body + second,):
            writer.write(piece)
            await asyncio.sleep(0.05)
        out = await reader.read(-1)
        writer.close()
        return out

    answer = served(LIMITS, talk)
    assert isinstance(answer, bytes)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b" 400 " not in answer
    assert [(request.target, request.body) for request in seen] == [("/x", b"abcd"), ("/second", b"")]


def test_connect_is_refused() -> None:
    answer = served(LIMITS, lambda port: raw(port, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nbytes"))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert seen == []


def test_a_trailer_is_no_header() -> None:
    chunked = b"POST / HTTP/1.1\r\nX-Road-Client: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    served(LIMITS, lambda port: raw(port, chunked + b"2\r\nok\r\n0\r\nX-Road-Client: b\r\nX-T: t\r\n\r\n"))
    (request,) = seen
    assert request.body == b"ok"
    assert request.header(b"x-road-client") == "a"
    assert request.header(b"x-t") == ""


def test_bodies_in_flight_have_a_budget_and_give_it_back() -> None:
    limits = ServerLimits(body=1000, bodies=1500, request_seconds=2.0, idle_seconds=0.3)
    begun = b"POST /half HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 450

    async def talk(port: int) -> list[bytes]:
        halves = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1)]
        for _, writer in halves:
            writer.write(begun)
        await asyncio.sleep(0.1)
        declared = b"POST / HTTP/1.1\r\nContent-Length: 700\r\n" + CLOSE
        undeclared = begun.replace(b"/half", b"/more")
        out = [await raw(port, declared + bytes(700), 1.0), await raw(port, undeclared, 1.0)]
        for _, writer in halves:
            writer.close()
        await asyncio.sleep(0.1)
        return [*out, await raw(port, declared + bytes(700), 1.0), await raw(port, declared + bytes(700), 1.0)]

    answers = served(limits, talk)
    assert isinstance(answers, list)
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 503", b"HTTP/1.1 503", b"HTTP/1.1 200", b"HTTP/1.1 200"]
    assert b"retry-after: 1\r\n" in answers[0]
    assert b"nothing was carried out" in answers[0]


def test_a_body_in_tiny_chunks_costs_its_size_and_not_an_object_a_chunk() -> None:
    """Two bytes a chunk were once kept as an object each, some thirty times their size."""

    async def main() -> int:
        listener = Listener(echo, ServerLimits(body=1_000_000, bodies=1_000_000))
        await listener.open(Address("127.0.0.1", 0))
        _, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
        tracemalloc.start()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            writer.write(b"2\r\nab\r\n" * 10_000)
            await writer.drain()
        async with asyncio.timeout(10):
            while listener.budget.used < 200_000:
                await asyncio.sleep(0.02)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        writer.close()
        listener.close()
        await asyncio.sleep(0.05)
        assert listener.budget.used == 0
        return held

    assert asyncio.run(main()) < 1_500_000


def test_no_header_or_reason_writes_a_line_of_its_own() -> None:
    for response in (
        HttpResponse(200, ((b"x", b"a\r\nb: c"),)),
        HttpResponse(200, ((b"x\ny", b"a"),)),
        HttpResponse(200, (), b"", b"OK\r"),
    ):
        with pytest.raises(ValueError, match="line break"):
            encode_response(response, keep=True, head=False)


def test_a_bug_in_a_handler_is_500_without_its_text() -> None:
    answer = served(LIMITS, lambda port: raw(port, b"GET /bug HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"a bug" not in answer


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_handler_may_answer_at_once_or_later_or_by_a_future_and_in_order_still(
    run: Callable[[Awaitable[object]], object],
) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()

        def handler(request: HttpRequest) -> HttpResponse | Later | Awaitable[HttpResponse]:
            answer = HttpResponse(200, (), request.target.encode())
            if request.target in {"/given", "/to-be-given"}:
                later = Later()
                if request.target == "/given":
                    later.give(answer)
                else:
                    loop.call_later(0.02, later.give, answer)
                return later
            if request.target == "/now":
                return answer
            if request.target == "/bug":
                raise RuntimeError("a bug")
            future: asyncio.Future[HttpResponse] = loop.create_future()
            if request.target == "/done":
                future.set_result(answer)
            elif request.target == "/failed":
                loop.call_later(0.01, future.set_exception, RuntimeError("a bug"))
            elif request.target == "/cancelled":
                loop.call_later(0.01, future.cancel)
            else:
                loop.call_later(0.02, future.set_result, answer)
            return future

        listener = Listener(handler, LIMITS)
        await listener.open(Address("127.0.0.1", 0))
        targets = [
            b"/now",
            b"/later",
            b"/to-be-given",
            b"/given",
            b"/done",
            b"/bug",
            b"/failed",
            b"/cancelled",
            b"/later",
        ]
        requests = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target for target in targets)
        out = await raw(listener.ports[0], requests + b"GET /now HTTP/1.1\r\n" + CLOSE)
        listener.close()
        return out

    out = run(main())
    assert isinstance(out, bytes)
    answers = [part.partition(b"\r\n\r\n")[2] for part in out.split(b"HTTP/1.1 ")[1:]]
    bug = b"internal error\n"
    assert answers == [b"/now", b"/later", b"/to-be-given", b"/given", b"/done", bug, bug, bug, b"/later", b"/now"]


def test_an_answer_that_comes_later_may_be_awaited_too() -> None:
    async def main() -> list[int]:
        early, late = Later(), Later()
        early.give(HttpResponse(200))
        asyncio.get_running_loop().call_later(0.01, late.give, HttpResponse(204))
        return [(await early).status, (await late).status]

    assert asyncio.run(main()) == [200, 204]


def test_many_requests_one_after_the_other_in_any_pieces_are_answered_alike() -> None:
    one = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    data = b"".join(one % n for n in range(20)) + b"GET /last HTTP/1.1\r\n" + CLOSE

    async def talk(port: int) -> list[bytes]:
        out = []
        for step in (1, 7, 50, 333):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await asyncio.sleep(0)
            out.append(await reader.read(-1))
            writer.close()
        return out

    whole = served(LIMITS, lambda port: raw(port, data))
    assert isinstance(whole, bytes)
    assert whole.count(b"HTTP/1.1 200 OK") == 21
    assert served(LIMITS, talk) == [whole] * 4


def test_a_head_that_comes_in_pieces_has_the_same_limit() -> None:
    async def talk(port: int) -> list[bytes]:
        out = []
        for piece in (b"X: " + b"y" * 900 + b"\r\n", b"y" * 900):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nZ: ")
            with contextlib.suppress(ConnectionError):
                for _ in range(95):
                    writer.write(piece)
                    await asyncio.sleep(0.001)
            out.append((await reader.read(100))[:12])
            writer.close()
        return out

    assert served(ServerLimits(1000), talk) == [b"HTTP/1.1 431"] * 2
    assert seen == []


@pytest.mark.parametrize("piece", [b"X: " + b"y" * 900 + b"\r\n", b"y" * 900, b"a:b\r\n" * 200])
def test_trailers_have_a_limit_too(piece: bytes) -> None:
    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nZ: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(95):
                writer.write(piece)
                await asyncio.sleep(0.001)
        out = await reader.read(100)
        writer.close()
        return out[:12]

    assert served(ServerLimits(1000), talk) == b"HTTP/1.1 431"
    assert seen == []


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET /half HT", b""])
def test_of_a_connection_that_is_over_nothing_waits_for_the_collector(run: Callable[..., object], data: bytes) -> None:
    """A node's collector runs seldom, and callers that come anew for every call would leave megabytes in between."""

    async def main() -> None:
        listener = Listener(echo, LIMITS)
        await listener.open(Address("127.0.0.1", 0))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
        writer.write(data)
        if data.endswith(b"\n"):
            assert await reader.read(4) == b"HTTP"
        while not listener.connections:
            await asyncio.sleep(0.001)
        (gone,) = map(weakref.ref, listener.connections)
        writer.close()
        async with asyncio.timeout(2):
            while listener.connections:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        listener.close()
        assert gone() is None

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_whether_a_request_came_over_tls_is_told() -> None:
    served(LIMITS, lambda port: raw(port, b"GET / HTTP/1.1\r\n" + CLOSE))
    assert [request.secure for request in seen] == [False]


# --- the client side ---


def test_connections_are_kept_and_used_again() -> None:
    async def talk(port: int) -> list[object]:
        pool = Pool(1000, 1.0)
        out: list[object] = []
        for n in range(3):
            connection = await pool.acquire("127.0.0.1", port)
            answer = await connection.exchange(encode_request("POST", f"/{n}", "x", (), b"b"), head=False, timeout=1)
            out.append((id(connection), answer.status, answer.body))
            pool.release("127.0.0.1", port, connection)
        pool.close()
        return out

    answers = served(LIMITS, talk)
    assert isinstance(answers, list)
    assert len({a[0] for a in answers}) == 1
    assert [a[2] for a in answers] == [b"/0|b", b"/1|b", b"/2|b"]


def test_an_answer_that_is_late_too_large_or_missing_is_an_error_of_its_own() -> None:
    async def talk(port: int) -> list[str]:
        pool = Pool(3, 1.0)
        out = []
        for target, timeout in (("/slow", 0.05), ("/long", 1.0)):
            connection = await pool.acquire("127.0.0.1", port)
            try:
                await connection.exchange(encode_request("GET", target, "x", (), None), head=False, timeout=timeout)
            except AnswerTooLarge as problem:
                out.append("large " + problem.reason)
            except HttpFailed as problem:
                out.append(problem.reason)
            assert not connection.alive
        try:
            await pool.acquire("127.0.0.1", 1)
        except NotConnected as problem:
            out.append("none " + problem.reason)
        return out

    answers = served(LIMITS, talk)
    assert isinstance(answers, list)
    assert answers[0] == "did not answer within 0.05 s"
    assert answers[1] == "large answered with more than 3 bytes"
    assert answers[2].startswith("none ")


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok", (201, b"ok")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", (200, b"ab")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "closed the connection before answering"),
        (b"SSH-2.0\r\n", "did not answer in valid HTTP"),
        (b"", "closed the connection before answering"),
    ],
)
def test_answers_are_read_as_they_are_framed(wire: bytes, expected: object) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(wire)
        writer.close()

    async def main() -> object:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pool = Pool(1000, 1.0)
        connection = await pool.acquire("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            answer = await connection.exchange(encode_request("GET", "/", "x", (), None), head=False, timeout=1)
        except HttpFailed as problem:
            return problem.reason
        finally:
            server.close()
        return (answer.status, answer.body)

    assert asyncio.run(main()) == expected


def test_an_answer_without_length_that_ends_by_reset_is_no_whole_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\npin;name\n1;a\n")
        await asyncio.sleep(0.1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connection = await Pool(1000, 1.0).acquire("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(HttpFailed, match="closed the connection"):
            await connection.exchange(encode_request("GET", "/", "x", (), None), head=False, timeout=1)
        server.close()

    asyncio.run(main())
    uvloop.run(main())
