"""A client port with its clients, and what it told: for the tests of `clientport`."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable

import pytest

from kerege.exchange import rest

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.lane.call import Call, Part
from kerege.node.lane.ports import ClientConnection, ClientPort

LARGEST = 64 * 1024 + 16 * 1024
TARGET = b"/r1/KG/GOV/70000002/REGISTER/people/by-pin"
HEADERS = b"Host: node\r\nX-Road-Client: KG/GOV/70000001/SCHOOLS\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def get(number: int = 0) -> bytes:
    return b"GET %b?n=%d HTTP/1.1\r\n%b\r\n" % (TARGET, number, HEADERS)


def post(body: bytes, number: int = 0) -> bytes:
    return b"POST %b?n=%d HTTP/1.1\r\n%bContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (
        TARGET,
        number,
        HEADERS,
        len(body),
        body,
    )


def answered(call: Call, body: bytes) -> Call:
    call.answer = Part(rest.RestResponse(200, "OK", ((b"content-type", b"text/plain"),)).encode(), body)
    return call


class World:
    """A port, its clients, and what it told."""

    def __init__(self, **options: float) -> None:
        self.now = 1000.0
        self.calls: list[Call] = []
        self.others: list[Call] = []
        self.batches: list[int] = []
        self.odd: list[tuple[ClientConnection, int, bytes]] = []
        self.lost: list[ClientConnection] = []
        self.take: Callable[[list[Call], list[Call]], None] = self.taken
        self.port = ClientPort(
            lambda calls, others: self.take(calls, others),
            lambda *told: self.odd.append(told),
            LARGEST,
            75.0,
            10.0,
            60.0,
            lambda: self.now,
            **options,
        )
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.clients: list[socket.socket] = []

    def taken(self, calls: list[Call], others: list[Call]) -> None:
        self.calls += calls
        self.others += others
        self.batches.append(len(calls) + len(others))

    def connect(self, receive: int = 0) -> tuple[socket.socket, ClientConnection]:
        client = socket.socket()
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.connect(self.listening.getsockname())
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.append(client)
        accepted, place = self.listening.accept()
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, self.port.adopt(accepted.detach(), place[0], self.lost.append)

    def turn(self, until: Callable[[], object], seconds: float = 5.0) -> None:
        """As the event loop: drain when the descriptor is readable, until something holds."""
        end = time.monotonic() + seconds
        while not until():
            left = end - time.monotonic()
            assert left > 0, "it never came to hold"
            if select.select([self.port.fileno()], [], [], min(left, 0.05))[0]:
                self.port.drain()

    def quiet(self) -> None:
        """Drain until there is nothing to do."""
        while select.select([self.port.fileno()], [], [], 0.02)[0]:
            self.port.drain()

    def close(self) -> None:
        self.port.close()
        for client in self.clients:
            client.close()
        for _, descriptor, _ in self.odd:
            os.close(descriptor)
        self.listening.close()


def received(client: socket.socket, size: int) -> bytes:
    out = b""
    while len(out) < size:
        piece = client.recv(size - len(out))
        assert piece, f"the connection ended after {out!r}"
        out += piece
    return out


def whole_answer(client: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one answer."""
    out = b""
    while b"\r\n\r\n" not in out:
        piece = client.recv(1)
        assert piece, f"the connection ended after {out!r}"
        out += piece
    size = next(int(line.split(b":")[1]) for line in out.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return out, received(client, size) if size else b""


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


NOT_SIMPLE = [
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (TARGET, HEADERS),
    b"POST %b HTTP/1.1\r\n%bExpect: 100-continue\r\nContent-Length: 3\r\n\r\n" % (TARGET, HEADERS),
    b"GET %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (TARGET, HEADERS),
    b"GET / HTTP/1.1\nHost: node\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (TARGET, HEADERS, LARGEST),
    b"GET %b HTTP/1.1\r\n%bX: %b\r\n\r\n" % (TARGET, HEADERS, b"x" * 20000),
]
