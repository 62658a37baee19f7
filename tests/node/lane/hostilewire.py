"""A server in hostile hands that speaks X-Road's wire, as caller or as answerer: messages under one signature, that a test changes as it likes.

What the tests of X-Road's wire and the native path share.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hostile import Side, context, sha512
from traffic import lane_calls, log_of

from box import ADMISSION, PERSONS, Box
from kerege.exchange import faults, multipart, rest
from kerege.exchange.bodies import body_bytes
from kerege.exchange.hashchain import HashChain
from kerege.exchange.pki import load_pair
from kerege.exchange.xades import Signer

TOGETHER = 6


@dataclass
class Letter:
    """One message and what goes with it; a test changes what it likes before it is sent."""

    content: bytes
    body: bytes | None
    request_id: str
    signature: bytes = b""
    chain: HashChain | None = None
    ocsp: list[bytes] = field(default_factory=list)
    message_type: str = "REST"
    more: bytes = b""  # header lines
    data: bytes = b""  # in place of all of it

    @property
    def digests(self) -> tuple[bytes, tuple[bytes, ...]]:
        return sha512(self.content), (() if self.body is None else (sha512(self.body),))

    def parts(self, response: bool) -> tuple[str, bytes]:
        boundary = multipart.new_boundary()
        body = multipart.encode_rest(
            *(boundary, self.content, self.body, self.chain, self.signature), response=response, ocsp=self.ocsp
        )
        return multipart.content_type(boundary), body

    def http_request(self) -> bytes:
        kind, body = self.parts(False)
        head = (
            f"POST / HTTP/1.1\r\nhost: node\r\nx-hash-algorithm: SHA-512\r\nx-road-message-type: {self.message_type}\r\n"
            f"x-road-request-id: {self.request_id}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        )
        return self.data or head.encode() + self.more + b"\r\n" + body

    def http_answer(self) -> bytes:
        kind, body = self.parts(True)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        return self.data or head.encode() + self.more + b"\r\n" + body


def seal(letters: list[Letter], signer: Signer) -> None:
    """One signature for all of them."""
    for letter, signed in zip(
        letters, signer.sign_batch([one.digests for one in letters], datetime.now(UTC)), strict=True
    ):
        letter.signature, letter.chain = signed.xml, signed.chain


def read_http(connection: ssl.SSLSocket) -> tuple[bytes, bytes]:
    """Head and body of one message; empty where the connection ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    size = int(lines[b"content-length"])
    while len(body) < size:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        body += piece
    return head, body


def message_in(head: bytes, body: bytes) -> multipart.TransportMessage:
    kind = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type: "))[14:]
    decoder = multipart.Decoder(multipart.boundary_of(kind.decode()))
    decoder.feed(body)
    return decoder.finish()


# --- a hostile caller ---


class Caller(Side):
    """node-edu, with a connection for every message."""

    def __init__(self, box: Box) -> None:
        super().__init__(box, "node-edu", "sign-GOV-70000003")
        self.port = box.plan.servers[1].server_port
        pair = load_pair(self.keys, "auth")
        self.answers = [self.authority.ocsp_response(pair.certificate, datetime.now(UTC))]
        self.connections = [self.connect() for _ in range(TOGETHER)]

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context(self.keys, server=False, alpn=False).wrap_socket(plain)

    def letter(self, name: str, body: bytes | None = b"body", *, service: str = str(PERSONS)) -> Letter:
        request_id = str(uuid.uuid4())
        made = rest.request_from_client(
            *("POST", f"/r1/{service}/a", ((b"X-Road-Client", str(ADMISSION).encode()),)),
            new_message_id=name,
            request_id=request_id,
        )
        return Letter(made.encode(), body, request_id, ocsp=list(self.answers))

    def ask(self, letters: list[Letter]) -> list[str]:
        """All at once: of each "200", or the code of the fault."""
        for letter, connection in zip(letters, self.connections, strict=False):
            connection.sendall(letter.http_request())
        return [told(*read_http(connection)) for _, connection in zip(letters, self.connections, strict=False)]

    def close(self) -> None:
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.close()


def told(head: bytes, body: bytes) -> str:
    if not head:
        return "ended"
    if not head.startswith(b"HTTP/1.1 200 "):
        return head.split(b" ")[1].decode()
    if b"multipart/mixed" not in head:
        fault = faults.from_soap(body)
        assert fault is not None
        return fault.code
    return str(rest.decode_response(message_in(head, body).message).status)


def native(box: Box, caller: Caller, letters: list[Letter]) -> tuple[list[str], int]:
    """What is told of each, and how many the native path answered; what it answered is logged, and nothing else."""
    before, logged = lane_calls(box, "node-reg")[0], len(log_of(box, "node-reg"))
    found = caller.ask(letters)
    time.sleep(0.05)
    assert len(log_of(box, "node-reg")) - logged == 2 * found.count("200")
    return found, lane_calls(box, "node-reg")[0] - before


# --- a hostile answerer ---

# what is sent in answer to each call, in pieces; None: the end of the connection
Deal = Callable[["Answerer", list[Letter]], list[list[bytes | None]]]


class Answerer(Side):
    """node-reg, called by node-edu over X-Road's wire; calls to "/warm" are answered well, the others wait for each other."""

    def __init__(self, box: Box, deal: Deal) -> None:
        super().__init__(box, "node-reg", "sign-GOV-70000002")
        self.deal = deal
        self.listening = socket.create_server(("127.0.0.1", box.plan.servers[1].server_port))
        self.open: list[ssl.SSLSocket] = []
        self.problems: list[BaseException] = []
        self.letters: list[Letter] = []
        self.dealt: dict[int, list[bytes | None]] = {}
        self.all_there = threading.Condition()
        self._tls = context(self.keys, server=True, alpn=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listening.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(20)
            connection = self._tls.wrap_socket(plain, server_side=True)
            self.open.append(connection)
            while True:
                head, body = read_http(connection)
                if not head:
                    return
                came = message_in(head, body)
                letter = self.answer(came)
                if b"/warm" in came.message:
                    seal([letter], self.signer())
                    connection.sendall(letter.http_answer())
                    continue
                for piece in self._pieces(letter):
                    if piece is None:
                        connection.close()
                        return
                    connection.sendall(piece)
                    time.sleep(0.001)
        except OSError:
            pass
        except BaseException as problem:  # told by the test
            self.problems.append(problem)

    def _pieces(self, letter: Letter) -> list[bytes | None]:
        """Waits until all calls are there; a connection is only ever used by its own thread."""
        with self.all_there:
            self.letters.append(letter)
            if len(self.letters) == TOGETHER:
                self.letters.sort(key=lambda one: one.content[one.content.index(b"x-road-id:") :])
                them = list(self.letters)
                self.dealt = {id(one): dealt for one, dealt in zip(them, self.deal(self, them), strict=True)}
                self.all_there.notify_all()
            else:
                assert self.all_there.wait_for(lambda: id(letter) in self.dealt, 10)
            return self.dealt[id(letter)]

    def answer(self, came: multipart.TransportMessage) -> Letter:
        asked = rest.decode_request(came.message)
        body = None if came.body is None else body_bytes(came.body)
        expected = rest.request_hash(sha512(came.message), None if body is None else sha512(body))
        made = rest.response_from_provider(200, "OK", ((b"Content-Type", b"text/plain"),), asked, expected)
        return Letter(made.encode(), b"answer", "")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for one in self.open:  # their threads close them
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)


def dealt(change: Callable[[Answerer, list[Letter]], None]) -> Deal:
    """All under one signature, changed, and each sent."""

    def deal(side: Answerer, letters: list[Letter]) -> list[list[bytes | None]]:
        seal(letters, side.signer())
        change(side, letters)
        return [[one.http_answer()] for one in letters]

    return deal


def well(_: Answerer, letters: list[Letter]) -> None:
    pass


def changed_body(_: Answerer, letters: list[Letter]) -> None:
    letters[1].body = b"other"
