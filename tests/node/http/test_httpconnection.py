"""One connection out of the node: what comes after an answer is nobody's, and never the next one's."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange.bodies import Spool, body_bytes
from kerege.node.http.connection import ClientResponse, Connection, HttpFailed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POISON = b"HTTP/1.1 200 OK\r\nX-Poison: 1\r\n"


class Transport:
    def __init__(self) -> None:
        self.closed, self.paused, self.written = False, False, b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str) -> None:
        return None


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def whole() -> None:
            await test(*arguments, **named)

        asyncio.run(whole())

    return run


def connected(*, memory: int = 2**18, spool: Path | None = None) -> tuple[Connection, Transport]:
    connection, transport = Connection(2**24, memory, spool), Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    return connection, transport


async def asked(connection: Connection, *data: bytes) -> ClientResponse:
    waiter = connection.ask([b"GET / HTTP/1.1\r\n\r\n"], head=False, timeout=5)
    for piece in data:
        connection.data_received(piece)
    answer = await waiter
    connection.answered()
    return answer


@on_loop
async def test_a_connection_whose_answers_end_where_they_say_is_kept() -> None:
    connection, transport = connected()
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    for data in (OK, early + OK, b"HTTP/1.1 204 No Content\r\n\r\n", OK.replace(b"2\r\n\r\nok", b"0\r\n\r\n"), OK):
        answer = await asked(connection, data)
        assert answer.status in {200, 204}
        assert connection.alive
    assert not transport.closed


@pytest.mark.parametrize(
    "more",
    [POISON, POISON + b"Content-Length: 6\r\n\r\n", OK, b"H", b"{}", b"\x00", b"HTTP/1.1 100 Continue\r\n\r\n"],
)
@pytest.mark.parametrize(
    "whole", [OK, b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"]
)
@on_loop
async def test_bytes_after_a_whole_answer_end_the_connection(whole: bytes, more: bytes) -> None:
    connection, transport = connected()
    answer = await asked(connection, whole + more)
    assert (answer.status, dict(answer.headers).get(b"X-Poison")) == (int(whole[9:12]), None)
    assert (answer.body or b"") == (b"ok" if whole is OK else b"")
    assert not connection.alive
    assert transport.closed


@on_loop
async def test_bytes_that_come_when_nobody_asked_end_the_connection() -> None:
    connection, transport = connected()
    await asked(connection, OK)
    assert connection.alive
    connection.data_received(b"\r\n")
    assert not connection.alive
    assert transport.closed


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "while it is written to disk"])
@on_loop
async def test_bytes_after_a_big_answer_are_not_kept_for_the_next_one(together: bool, tmp_path: Path) -> None:
    connection, transport = connected(memory=1024, spool=tmp_path)
    body = bytes(range(256)) * 16
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer = await asked(connection, *((whole + POISON,) if together else (whole, POISON)))
    assert isinstance(answer.body, Spool)
    assert body_bytes(answer.body) == body
    assert answer.headers == ((b"Content-Length", b"%d" % len(body)),)
    assert not connection.alive
    assert transport.closed
    answer.close()


@pytest.mark.parametrize("how", ["lost", "closed"])
@on_loop
async def test_whoever_asks_on_a_connection_that_is_gone_is_told_at_once(how: str) -> None:
    connection, transport = connected()
    await asked(connection, OK)
    connection.answered()
    if how == "lost":
        transport.closed = True
        connection.connection_lost(None)
    else:
        connection.close()
    with pytest.raises(HttpFailed, match="before anything was sent") as told:
        await asyncio.wait_for(connection.exchange([b"GET / HTTP/1.1\r\n\r\n"], head=False, timeout=5), 1)
    assert told.value.unanswered
    assert transport.written.count(b"GET") == 1
