"""Big bodies through the node's HTTP: to disk and back piece by piece, with back-pressure, and peers that go away in the middle."""

import asyncio
import hashlib
import os
import socket
import stat
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import uvloop

from kerege.exchange import bodies, multipart
from kerege.exchange.bodies import PIECE, Attachment, Body, Spool, body_bytes, body_sha512, body_size
from kerege.exchange.errors import HeaderInvalid, MessageMalformed
from kerege.node.config import Address
from kerege.node.http.bodies import Sink, grown
from kerege.node.http.client import AnswerTooLarge, ClientResponse, HttpFailed, Pool, encode_request
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits

MIB = 1024 * 1024
Run = Callable[[Awaitable[object]], object]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param  # type: ignore[no-any-return]


def unnamed() -> int:
    """Files without a name this process has open."""
    out = 0
    for one in os.listdir("/proc/self/fd"):
        try:
            found = os.fstat(int(one))
        except OSError:
            continue
        out += stat.S_ISREG(found.st_mode) and found.st_nlink == 0
    return out


async def until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.01)


async def opened(handler: object, limits: ServerLimits, sinks: object = None) -> Listener:
    listener = Listener(handler, limits, None, sinks)  # type: ignore[arg-type]
    await listener.open(Address("127.0.0.1", 0))
    return listener


async def ask(port: int, pieces: Sequence[Body], pool: Pool, **more: object) -> ClientResponse:
    connection = await pool.acquire("127.0.0.1", port)
    answer = await connection.exchange(pieces, head=False, timeout=5, **more)  # type: ignore[arg-type]
    pool.release("127.0.0.1", port, connection)
    return answer


async def close(listener: Listener, pool: Pool | None = None) -> None:
    if pool is not None:
        pool.close()
    listener.close()
    for connection in listener.connections:
        connection.drop()
    await until(lambda: not listener.connections)


async def echo(request: HttpRequest) -> HttpResponse:
    kind = b"memory" if isinstance(request.body, bytes) else b"disk"
    return HttpResponse(200, ((b"x-held", kind), (b"x-sha512", body_sha512(request.body).hex().encode())), request.body)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, PIECE, 3 * MIB + 17])
def test_a_body_of_any_size_comes_back_the_same_and_beyond_memory_by_way_of_the_disk(
    run: Run, tmp_path: Path, size: int
) -> None:
    data = os.urandom(size)
    before = unnamed()

    async def main() -> None:
        limits = ServerLimits(10 * MIB, memory=1000, spool=tmp_path)
        listener, pool = await opened(echo, limits), Pool(10 * MIB, 1.0, memory=1000, spool=tmp_path)
        with Spool.of([data], tmp_path) as spool:
            for body in (data, spool, [data[:10], spool]):
                answer = await ask(listener.ports[0], encode_request("POST", "/", "x", (), body), pool)
                expected = data[:10] + data if isinstance(body, list) else data
                assert answer.header(b"x-held") == ("memory" if len(expected) <= 1000 else "disk")
                assert isinstance(answer.body, bytes) == (len(expected) <= 1000)
                assert answer.body is not None
                assert body_bytes(answer.body) == expected
                assert answer.header(b"x-sha512") == hashlib.sha512(expected).hexdigest()
                answer.close()
        await until(lambda: listener.budget.used == 0)
        await close(listener, pool)

    run(main())
    assert unnamed() == before


@pytest.mark.parametrize("chunk", [3, 1000, 70_000])
def test_a_chunked_body_is_spooled_too_and_the_next_request_waits_its_turn(
    run: Run, tmp_path: Path, chunk: int
) -> None:
    data = os.urandom(min(chunk * 1000, MIB))
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n"

    async def main() -> bytes:
        listener = await opened(echo, ServerLimits(10 * MIB, memory=500, spool=tmp_path))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecond")
        out = await reader.read(-1)
        writer.close()
        await close(listener)
        return out

    out = run(main())
    assert isinstance(out, bytes)
    first, _, rest = out.partition(b"\r\n\r\n")
    assert b"x-held: disk" in first
    assert rest.startswith(data + b"HTTP/1.1 200 OK\r\nx-held: memory")
    assert rest.endswith(b"second")


def test_a_body_beyond_the_limit_is_refused_at_any_moment(run: Run, tmp_path: Path) -> None:
    before = unnamed()

    async def main() -> list[bytes]:
        listener = await opened(echo, ServerLimits(100_000, memory=1000, spool=tmp_path))
        out = []
        for data in (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + bytes(4096) + b"\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
            writer.write(data)
            if b"chunked" in data:
                for _ in range(30):
                    await asyncio.sleep(0.002)
                    writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
            out.append(await reader.readuntil(b"\r\n"))
            writer.close()
        await until(lambda: listener.budget.used == 0)
        await close(listener)
        return out

    assert run(main()) == [b"HTTP/1.1 413 Content Too Large\r\n"] * 2
    assert unnamed() == before


def test_what_came_of_a_body_is_given_back_when_the_client_goes_away_in_the_middle(run: Run, tmp_path: Path) -> None:
    before = unnamed()

    async def main() -> None:
        listener = await opened(echo, ServerLimits(10 * MIB, memory=1000, spool=tmp_path))
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(3 * MIB))
            await until(lambda: unnamed() > before)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            await until(lambda: not listener.connections and unnamed() == before)
            assert listener.budget.used == 0
        await close(listener)

    run(main())


def test_a_client_that_does_not_read_its_answer_holds_it_only_so_long(run: Run, tmp_path: Path) -> None:
    before = unnamed()

    async def big(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), Spool.of([bytes(MIB)] * 30, tmp_path))

    async def main() -> None:
        listener = await opened(big, ServerLimits(1000, request_seconds=0.3))
        _, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0], limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: unnamed() > before)
        await until(lambda: not listener.connections and unnamed() == before)
        writer.close()
        await close(listener)

    run(main())


def test_a_disk_that_is_full_refuses_the_request_and_the_node_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[tuple[int, str]]:
        limits = ServerLimits(10 * MIB, memory=1000, spool=tmp_path)
        listener, pool = await opened(echo, limits), Pool(10 * MIB, 1.0)
        out = []
        for full in (True, False):
            with monkeypatch.context() as patch:
                if full:
                    patch.setattr(bodies.os, "pwrite", no_space)
                answer = await ask(listener.ports[0], encode_request("POST", "/", "x", (), bytes(900_000)), pool)
            out.append((answer.status, answer.header(b"retry-after")))
        assert listener.budget.used == 0
        await close(listener, pool)
        return out

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    assert run(main()) == [(503, "1"), (200, "")]


def test_bodies_on_disk_are_not_counted_against_memory(run: Run, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def held(request: HttpRequest) -> HttpResponse:
        await gate.wait()
        return HttpResponse(200, (), str(body_size(request.body)).encode())

    async def main() -> list[bytes]:
        limits = ServerLimits(10 * MIB, bodies=2 * MIB, memory=1000, spool=tmp_path)
        listener, pool = await opened(held, limits), Pool(1000, 1.0)
        asked = [
            asyncio.ensure_future(ask(listener.ports[0], encode_request("POST", "/", "x", (), bytes(2 * MIB)), pool))
            for _ in range(3)
        ]
        await until(lambda: sum(connection.busy for connection in listener.connections) == 3)
        await until(lambda: listener.budget.used == 0)
        gate.set()
        answers = await asyncio.gather(*asked)
        await close(listener, pool)
        return [body_bytes(answer.body or b"") for answer in answers]

    assert run(main()) == [b"2097152"] * 3


def test_others_are_served_while_a_big_body_comes_in(run: Run, tmp_path: Path) -> None:
    async def main() -> float:
        limits = ServerLimits(100 * MIB, memory=1000, spool=tmp_path)
        listener, pool = await opened(echo, limits), Pool(100 * MIB, 1.0, memory=1000, spool=tmp_path)
        with Spool.of([bytes(MIB)] * 40, tmp_path) as spool:
            big = asyncio.ensure_future(ask(listener.ports[0], encode_request("POST", "/", "x", (), spool), pool))
            waits = []
            while not big.done():
                start = time.perf_counter()
                answer = await ask(listener.ports[0], encode_request("POST", "/", "x", (), b"small"), pool)
                waits.append(time.perf_counter() - start)
                assert answer.body == b"small"
            assert body_size((await big).body) == 40 * MIB
        await close(listener, pool)
        assert len(waits) > 10
        return sorted(waits)[len(waits) // 2]

    median = run(main())
    assert isinstance(median, float)
    assert median < 0.25  # not a measure of speed: only that nobody waits for the whole of it


# --- sinks ---


def multipart_sinks(spool: Path, made: list[multipart.Decoder]) -> Callable[[object], Sink | None]:
    def factory(headers: Sequence[tuple[bytes, bytes]]) -> Sink | None:
        found = {name.lower(): value for name, value in headers}.get(b"content-type", b"")
        if not found.startswith(b"multipart/mixed"):
            return None
        limits = multipart.Limits(body=100 * MIB, memory=1000, spool=spool)
        made.append(multipart.Decoder(multipart.boundary_of(found.decode()), limits))
        return made[-1]

    return factory


def taken(request: HttpRequest) -> HttpResponse:
    if request.refused is not None:
        return HttpResponse(400, (), str(request.refused).encode())
    if request.sink is None:
        return HttpResponse(200, (), b"no sink " + body_bytes(request.body))
    assert isinstance(request.sink, multipart.Decoder)
    message = request.sink.finish()
    assert message.body is not None
    kind = b"memory " if isinstance(message.body, bytes) else b"disk "
    return HttpResponse(200, (), kind + body_sha512(message.body).hex().encode())


@pytest.mark.parametrize("size", [10, 5000, 3 * MIB])
def test_a_message_between_servers_is_decoded_while_it_arrives(run: Run, tmp_path: Path, size: int) -> None:
    body = os.urandom(size)
    before = unnamed()
    made: list[multipart.Decoder] = []
    data = multipart.encode_message("xtop", multipart.REST_REQUEST, b"POST", (Attachment((), body),), None, b"s")
    headers = ((b"content-type", multipart.content_type("xtop").encode()),)

    async def main() -> list[tuple[int, bytes]]:
        listener = await opened(
            taken, ServerLimits(100 * MIB, memory=2000, spool=tmp_path), multipart_sinks(tmp_path, made)
        )
        pool, out = Pool(MIB, 1.0), []
        for pieces in (
            encode_request("POST", "/", "x", headers, data),
            encode_request("POST", "/", "x", headers, [*data, b"more"]),
            encode_request("POST", "/", "x", headers, [b"--xtop\r\nspoilt\r\n\r\n", bytes(size)]),
            encode_request("POST", "/", "x", (), b"plain"),
        ):
            answer = await ask(listener.ports[0], pieces, pool)
            out.append((answer.status, body_bytes(answer.body or b"")))
        await until(lambda: listener.budget.used == 0)
        await close(listener, pool)
        return out

    answers = run(main())
    assert isinstance(answers, list)
    kind = b"memory " if size <= 1000 else b"disk "
    assert answers[0] == (200, kind + hashlib.sha512(body).hexdigest().encode())
    assert answers[1][0] == answers[2][0] == 400
    assert b"something follows the closing boundary" in answers[1][1]
    assert b"is not a header" in answers[2][1]
    assert answers[3] == (200, b"no sink plain")
    assert len(made) == 3
    assert unnamed() == before


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_an_answer_goes_to_the_callers_sink(run: Run, tmp_path: Path, size: int) -> None:
    body = os.urandom(size)
    before = unnamed()
    good = multipart.encode_message("xtop", multipart.REST_RESPONSE, b"200", (Attachment((), body),), None, b"s")

    async def serve(request: HttpRequest) -> HttpResponse:
        pieces = good if request.target == "/good" else [b"--xtop\r\nspoilt\r\n\r\n", bytes(size)]
        return HttpResponse(200, ((b"content-type", multipart.content_type("xtop").encode()),), pieces)

    async def main() -> None:
        listener, pool = await opened(serve, ServerLimits(1000)), Pool(100 * MIB, 1.0, memory=1000)
        made: list[multipart.Decoder] = []
        factory = multipart_sinks(tmp_path, made)
        request = encode_request("GET", "/good", "x", (), None)
        answer = await ask(listener.ports[0], request, pool, sinks=lambda _, headers: factory(headers))
        assert (answer.status, answer.body, answer.refused) == (200, b"", None)
        found = made[0].finish().body
        assert found is not None
        assert body_sha512(found) == hashlib.sha512(body).digest()
        answer.close()
        request = encode_request("GET", "/bad", "x", (), None)
        answer = await ask(listener.ports[0], request, pool, sinks=lambda _, headers: factory(headers))
        assert isinstance(answer.refused, MessageMalformed)
        await close(listener, pool)

    run(main())
    assert unnamed() == before


# --- the client's side ---


async def answering(data: bytes, wait: float = 0.0, reset: bool = False) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await asyncio.sleep(wait)
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(2 * MIB)
WHOLE_AT_THE_END = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(2 * MIB)
TRICKLE = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(5000)


@pytest.mark.parametrize(
    ("data", "wait", "reset", "expected"),
    [
        (HALF, 0, False, "closed the connection before answering"),
        (HALF, 0.1, True, "closed the connection before answering"),
        (WHOLE_AT_THE_END, 0, False, 2 * MIB),
        (TRICKLE, 3, False, "did not answer within 0.5 s"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n",
            0,
            False,
            "too large: answered with more than 10485760 bytes",
        ),
    ],
)
def test_a_big_answer_is_whole_or_an_error(
    run: Run, tmp_path: Path, data: bytes, wait: float, reset: bool, expected: object
) -> None:
    before = unnamed()

    async def main() -> object:
        server = await answering(data, wait, reset)
        connection = await Pool(10 * MIB, 1.0, memory=1000, spool=tmp_path).acquire(
            "127.0.0.1", server.sockets[0].getsockname()[1]
        )
        try:
            answer = await connection.exchange(encode_request("GET", "/", "x", (), None), head=False, timeout=0.5)
        except AnswerTooLarge as problem:
            return "too large: " + problem.reason
        except HttpFailed as problem:
            return problem.reason
        finally:
            server.close()
        answer.close()
        return body_size(answer.body)

    assert run(main()) == expected
    assert unnamed() == before


def test_an_answer_before_the_request_is_all_sent_is_given_and_the_connection_not_used_again(run: Run) -> None:
    async def main() -> None:
        server = await answering(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", 1.0)
        pool = Pool(MIB, 1.0)
        connection = await pool.acquire("127.0.0.1", server.sockets[0].getsockname()[1])
        request = encode_request("POST", "/", "x", (), bytes(64 * MIB))
        answer = await connection.exchange(request, head=False, timeout=3)
        assert (answer.status, answer.body) == (413, b"no")
        assert not connection.alive
        server.close()

    run(main())


def test_the_whole_has_its_own_limit_of_time_however_it_moves(run: Run) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(bytes(MIB))
            await asyncio.sleep(0.05)

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connection = await Pool(500 * MIB, 1.0).acquire("127.0.0.1", server.sockets[0].getsockname()[1])
        start = time.perf_counter()
        with pytest.raises(HttpFailed, match="did not answer"):
            await connection.exchange(encode_request("GET", "/", "x", (), None), head=False, timeout=0.3, total=0.8)
        assert 0.7 < time.perf_counter() - start < 2.5
        server.close()

    run(main())


def test_no_header_of_a_request_writes_a_line_of_its_own() -> None:
    with pytest.raises(HeaderInvalid):
        encode_request("GET", "/", "x", ((b"a", b"b\r\nc: d"),), None)
    with pytest.raises(HeaderInvalid):
        encode_request("GET", "/ HTTP/1.1\r\nx: y", "x", (), None)


def test_a_body_that_grows_in_memory_is_not_copied_for_every_piece() -> None:
    first = b"first"
    body = grown(first, b", second")
    assert grown(body, b", third") is body
    assert (body, first) == (b"first, second, third", b"first")
