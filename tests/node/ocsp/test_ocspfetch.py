"""Questions to whoever answers, hangs, drips, or sends garbage and gigabytes: each ends in time and in bounds."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from kerege.exchange import ocsp
from kerege.node.config_types import Address
from kerege.node.ocsp import fetch as ocspfetch
from kerege.node.ocsp.fetch import Shunned, ask

Behave = Callable[[socket.socket], None]


class Odd:
    """A server that does as told with each connection."""

    def __init__(self, behave: Behave) -> None:
        self.behave, self.asked = behave, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.socket.accept()
                self.asked += 1
                threading.Thread(target=self.answer, args=(one,), daemon=True).start()

    def answer(self, one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            one.settimeout(10)
            one.recv(65536)
            self.behave(one)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocsp"


@pytest.fixture
def odd() -> Iterator[Callable[[Behave], Odd]]:
    made: list[Odd] = []

    def make(behave: Behave) -> Odd:
        made.append(Odd(behave))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


def drip_headers(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        one.sendall(b"x-%d: y\r\n" % number)
        time.sleep(0.05)


def drip_body(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    for _ in range(200):
        one.sendall(b"a")
        time.sleep(0.05)


def flood(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    for _ in range(4096):
        one.sendall(b"a" * 1024 * 1024)


def promise(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4000000000\r\n\r\n")
    time.sleep(5)


def cut_short(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")


def garbage(one: socket.socket) -> None:
    one.sendall(b"\x16\x03\x01garbage\r\n" * 10)


def hang(one: socket.socket) -> None:
    one.recv(1)


def chunks_without_end(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(4096):
        one.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")


def drip_handshake(one: socket.socket) -> None:
    one.sendall(b"\x16\x03\x03\x3f\xff")  # a TLS record of 16 KB is announced
    for _ in range(200):
        one.sendall(b"\x02")
        time.sleep(0.05)


def test_one_time_limit_holds_for_a_handshake_as_well(odd: Callable[[Behave], Odd]) -> None:
    one, begun = odd(drip_handshake), time.monotonic()
    with pytest.raises(OSError):
        ocspfetch.exchange("https", "127.0.0.1", one.port, "GET", "/", None, {}, 0.4)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("behave", [drip_headers, drip_body, hang], ids=lambda one: one.__name__)
def test_one_time_limit_holds_for_the_whole_question(
    odd: Callable[[Behave], Odd], behave: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocspfetch, "SECONDS", 0.4)
    one, begun = odd(behave), time.monotonic()
    with pytest.raises(OSError):
        ocspfetch.exchange("http", "127.0.0.1", one.port, "GET", "/", None, {}, 0.4)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "behave", [flood, promise, cut_short, garbage, chunks_without_end], ids=lambda one: one.__name__
)
def test_an_answer_out_of_bounds_or_out_of_form_is_given_up_at_once(
    odd: Callable[[Behave], Odd], behave: Behave
) -> None:
    begun = time.monotonic()
    with pytest.raises((ValueError, OSError, http.client.HTTPException)):
        ask(odd(behave).url, b"question")
    assert time.monotonic() - begun < 3


def test_an_answer_is_given_back_as_it_came(odd: Callable[[Behave], Odd]) -> None:
    one = odd(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"))
    assert ask(one.url, None) == b"hello"


def test_a_redirect_is_not_followed_and_only_http_is_spoken(odd: Callable[[Behave], Odd]) -> None:
    one = odd(lambda c: c.sendall(b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"))
    with pytest.raises(ocspfetch.StatusRefused, match="302"):
        ask(one.url, None)
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://", ""):
        with pytest.raises(ValueError, match="not http"):
            ask(address, None)


def test_a_peers_answer_must_be_a_multipart_with_as_many_parts_as_were_asked(odd: Callable[[Behave], Odd]) -> None:
    from datetime import UTC, datetime

    from kerege.exchange.pki import TestAuthority

    certificate = TestAuthority.create("KG", datetime.now(UTC)).ca.certificate
    kind, body = ocsp.encode_answers([b"one\r\n\r\n--", b"two"])
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    place = Address("127.0.0.1", odd(lambda c: c.sendall(head + body)).port)
    assert ocspfetch.ask_peer(place, [certificate, certificate]) == [b"one\r\n\r\n--", b"two"]
    for count in (1, 3):
        with pytest.raises(ValueError, match="parts"):
            ocspfetch.ask_peer(place, [certificate] * count)


def test_who_failed_is_asked_last_for_a_while_and_never_left_out() -> None:
    now = 0.0
    shunned = Shunned(lambda: now)
    shunned.failed("a")
    assert shunned.order(["a", "b", "c", "a"]) == ["b", "c", "a"]
    shunned.failed("b")
    shunned.failed("c")
    assert shunned.order(["a", "b", "c"]) == ["a", "b", "c"]
    shunned.answered("b")
    assert shunned.order(["a", "b", "c"]) == ["b", "a", "c"]
    now = 31.0
    assert shunned.order(["a", "b", "c"]) == ["a", "b", "c"]
