"""The floor: what a pair in Python costs that does nothing of what an exchange promises. `floor.py front|back ...`

The front reads HTTP with httptools and hands what came in one turn of the loop over one TLS connection in one write; the back asks the
provider over kept connections and sends the answers back the same way. Nothing is signed, hashed, logged, checked or counted, and every
request is taken for a POST with a length: no node in Python on uvloop can be faster than this. It is measured beside the others, so that
one can see which part of a node's time is its work and which is the ground it stands on.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import sys
from pathlib import Path
from typing import cast

import httptools
import uvloop

_HEAD = struct.Struct("<II")
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_ASK = b"POST /k1 HTTP/1.1\r\nhost: p\r\ncontent-length: %d\r\n\r\n"


class Frames(asyncio.Protocol):
    """Numbered pieces both ways; those of one turn of the loop leave in one write."""

    def __init__(self) -> None:
        self._rest, self._out = b"", list[bytes]()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.took = lambda number, piece: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, size = 0, len(data)
        while size - at >= 8:
            number, length = _HEAD.unpack_from(data, at)
            if size - at - 8 < length:
                break
            self.took(number, data[at + 8 : at + 8 + length])
            at += 8 + length
        self._rest = data[at:]

    def send(self, number: int, piece: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(_HEAD.pack(number, len(piece)) + piece)

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._out))
        self._out.clear()


class Http(asyncio.Protocol):
    """One HTTP connection, either way; `whole` gets every body."""

    def __init__(self, parser: type[httptools.HttpRequestParser] | type[httptools.HttpResponseParser]) -> None:
        self._parser, self._body, self.alive = parser(self), b"", True
        self.transport: asyncio.Transport | None = None
        self.whole = lambda body: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self.whole(body)


class Front:
    """Clients on one side, the link on the other."""

    def __init__(self, frames: Frames) -> None:
        self._frames, self._waiting, self._count = frames, dict[int, Http](), 0
        frames.took = self._answer

    def connection(self) -> Http:
        made = Http(httptools.HttpRequestParser)
        made.whole = lambda body: self._ask(made, body)
        return made

    def _ask(self, connection: Http, body: bytes) -> None:
        self._count = number = (self._count + 1) & 0xFFFFFFFF
        self._waiting[number] = connection
        self._frames.send(number, body)

    def _answer(self, number: int, body: bytes) -> None:
        connection = self._waiting.pop(number)
        if (
            connection.alive
        ):  # a load that ends leaves answers behind; writing to its closed connection would end the link
            assert connection.transport is not None
            connection.transport.write(_ANSWER % len(body) + body)


class Back:
    """The link on one side, kept connections to the provider on the other."""

    def __init__(self, port: int) -> None:
        self._port, self._idle, self._tasks = port, list[Http](), set[asyncio.Task[None]]()

    def connection(self) -> Frames:
        frames = Frames()
        frames.took = lambda number, body: self._ask(frames, number, body)
        return frames

    def _ask(self, frames: Frames, number: int, body: bytes) -> None:
        while self._idle and not self._idle[-1].alive:
            self._idle.pop()
        if not self._idle:
            task = asyncio.ensure_future(self._connect(frames, number, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        connection = self._idle.pop()
        connection.whole = lambda answer: self._answer(frames, number, connection, answer)
        assert connection.transport is not None
        connection.transport.write(_ASK % len(body) + body)

    async def _connect(self, frames: Frames, number: int, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: Http(httptools.HttpResponseParser), "127.0.0.1", self._port)
        self._idle.append(made)
        self._ask(frames, number, body)

    def _answer(self, frames: Frames, number: int, connection: Http, body: bytes) -> None:
        self._idle.append(connection)
        frames.send(number, body)


async def front(port: int, other: int, keys: Path) -> None:
    context = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    context.load_cert_chain(keys / "client.pem", keys / "client.key")
    loop = asyncio.get_running_loop()
    _, frames = await loop.create_connection(Frames, "127.0.0.1", other, ssl=context, server_hostname="localhost")
    server = await loop.create_server(Front(frames).connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def back(port: int, other: int, keys: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(keys / "ca.pem"))
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Back(other).connection, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    side, own_port, other_port, folder = sys.argv[1:]
    uvloop.run((front if side == "front" else back)(int(own_port), int(other_port), Path(folder)))
