"""The listeners against floods: connections of one address, handshakes that never come, and room for the next caller."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from kerege.exchange.ids import ServerId
from kerege.exchange.pki import TestAuthority, save_pair
from kerege.node.config import Address
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def slow(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0.3 if request.target == "/slow" else 0)
    return HttpResponse(200, (), b"ok")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[object]], object]:
    return request.param  # type: ignore[no-any-return]


async def opened(limits: ServerLimits, tls: ssl.SSLContext | None = None) -> Listener:
    listener = Listener(slow, limits, tls)
    await listener.open(Address("127.0.0.1", 0))
    return listener


async def connect(listener: Listener, source: str = "127.0.0.1", **more: object) -> Pair:
    return await asyncio.open_connection(
        "127.0.0.1",
        listener.ports[0],
        local_addr=(source, 0),
        **more,  # type: ignore[arg-type]
    )


async def asked(pair: Pair, data: bytes = REQUEST) -> bytes:
    pair[1].write(data)
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(pair[0].read(1000), 2)
    return b""


async def end(listener: Listener, *pairs: Pair) -> None:
    for _, writer in pairs:
        writer.close()
    listener.close()
    for connection in listener.connections:
        connection.drop()
    await asyncio.sleep(0.05)


def test_one_address_takes_its_share_and_no_more(run: Callable[[Awaitable[object]], object]) -> None:
    async def main() -> None:
        listener = await opened(ServerLimits(1000, connections=10, per_address=3))
        other = await connect(listener, "127.0.0.2")
        flood = [await connect(listener, "127.0.0.3") for _ in range(8)]
        await asyncio.sleep(0.1)
        assert len(listener.connections) == 4
        assert (await asked(other)).startswith(b"HTTP/1.1 200")
        assert (await asked(flood[-1])).startswith(b"HTTP/1.1 200")
        assert [pair[0].at_eof() for pair in flood] == [True] * 5 + [False] * 3
        await end(listener, other, *flood)

    run(main())


def test_when_full_the_longest_quiet_connection_makes_room(run: Callable[[Awaitable[object]], object]) -> None:
    async def main() -> None:
        listener = await opened(ServerLimits(1000, connections=3, per_address=3))
        pairs = [await connect(listener) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert await asked(pairs[0])  # now the second is the one quiet longest
        late = await connect(listener, "127.0.0.2")
        assert (await asked(late)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.05)
        assert [pair[0].at_eof() for pair in pairs] == [False, True, False]
        await end(listener, late, *pairs)

    run(main())


def test_a_request_under_way_is_never_closed_for_another(run: Callable[[Awaitable[object]], object]) -> None:
    async def main() -> None:
        listener = await opened(ServerLimits(1000, connections=2, per_address=2))
        pairs = [await connect(listener) for _ in range(2)]
        working = [asyncio.create_task(asked(pair, REQUEST.replace(b"/ ", b"/slow "))) for pair in pairs]
        await asyncio.sleep(0.1)
        turned_away = await connect(listener)
        assert await asked(turned_away) == b""
        assert [answer[:12] for answer in await asyncio.gather(*working)] == [b"HTTP/1.1 200"] * 2
        await end(listener, turned_away, *pairs)

    run(main())


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = TestAuthority.create("KG", datetime.now(UTC))
    pair = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", datetime.now(UTC))
    save_pair(pair, folder, "auth")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "auth.pem", folder / "auth.key")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def test_handshakes_that_never_come_are_counted_give_way_and_end(
    run: Callable[[Awaitable[object]], object], contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = contexts

    async def main() -> None:
        before = descriptors()
        limits = ServerLimits(1000, connections=20, per_address=5, handshake_seconds=0.6)
        listener = await opened(limits, server)
        silent = [socket.create_connection(("127.0.0.1", listener.ports[0])) for _ in range(30)]
        await asyncio.sleep(0.2)
        assert len(listener.connections) == 5
        assert descriptors() - before < 30 + 15
        pair = await connect(listener, ssl=client)  # from the same address, all the same
        assert (await asked(pair)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.8)
        assert len(listener.connections) == 1
        for one in silent:
            one.close()
        await end(listener, pair)
        await asyncio.sleep(0.1)
        assert descriptors() <= before + 2

    run(main())


def test_who_knocked_before_an_address_is_left_is_let_in_and_who_comes_later_is_not() -> None:
    async def main() -> None:
        async def handle(_: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), b"still here")

        listener = Listener(handle, ServerLimits(1000))
        await listener.open(Address("127.0.0.1", 0))
        port = listener.ports[0]
        knocking = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(3)]  # nothing was accepted yet
        listener.leave()
        for one in knocking:
            one.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(one, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"still here" in await asyncio.wait_for(loop.sock_recv(one, 1000), 5)
            one.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)

    asyncio.run(main())
