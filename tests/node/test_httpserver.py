"""The listeners against clients that do not behave: smuggling, floods, slow and half requests."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from kerege.node.httpclient import AnswerTooLarge, HttpFailed, NotConnected, Pool, encode_request
from kerege.node.httpserver import HttpProtocol, HttpRequest, HttpResponse, ServerLimits

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
        connections: set[HttpProtocol] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: HttpProtocol(echo, limits, connections), "127.0.0.1", 0)
        try:
            return await talk(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            for one in list(connections):
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


def test_a_bug_in_a_handler_is_500_without_its_text() -> None:
    answer = served(LIMITS, lambda port: raw(port, b"GET /bug HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"a bug" not in answer


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
