"""Downloads that end within their deadline whatever the source does, and the order in which sources are asked."""

import socket
import time
from datetime import UTC, datetime

import pytest
from centre import Misbehaving

from kerege.exchange.globalconf import Anchor, SharedParameters, Source
from kerege.exchange.pki import TestAuthority
from kerege.node.conf import fetch as conffetch
from kerege.node.errors import ConfigurationUnreachable

NOW = datetime.now(UTC)
OK = b"HTTP/1.1 200 OK\r\n"


def hang(connection: socket.socket) -> None:
    time.sleep(5)


def drip_headers(connection: socket.socket) -> None:
    for byte in OK + b"X-Slow: " + b"a" * 200:
        connection.sendall(bytes((byte,)))
        time.sleep(0.05)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_without_length(connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


def die_in_the_body(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 400)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def announce_too_much(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 99999999\r\n\r\n")
    time.sleep(5)


def send_too_much(connection: socket.socket) -> None:
    connection.sendall(OK + b"\r\n")
    for _ in range(100):
        connection.sendall(b"x" * 65536)


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"\x15\x03\x01\r\n\r\n")


def redirect(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (hang, "within 0.5 seconds"),
        (drip_headers, "within 0.5 seconds"),
        (drip_body, "within 0.5 seconds"),
        (drip_without_length, "within 0.5 seconds"),
        (die_in_the_body, "broke off 600 bytes before the end"),
        (reset, "reset|valid HTTP"),
        (announce_too_much, "more than 100000 bytes"),
        (send_too_much, "more than 100000 bytes"),
        (no_http, "valid HTTP"),
        (redirect, "answered 302"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_source_that_misbehaves_ends_within_the_deadline_with_a_reason(behave, reason: str) -> None:
    source = Misbehaving(behave)
    begun = time.monotonic()
    try:
        with pytest.raises(ConfigurationUnreachable, match=reason):
            conffetch.get(source.url, source.url, 0.5, 100_000)
        assert time.monotonic() - begun < 2
    finally:
        source.close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "http://127.0.0.1:x/", "nothing"])
def test_an_address_that_is_not_http_is_not_opened(url: str) -> None:
    with pytest.raises(ConfigurationUnreachable):
        conffetch.get(url, url, 0.5, 1000)


def test_nobody_at_the_address_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConfigurationUnreachable, match="refused"):
        conffetch.get(f"http://127.0.0.1:{port}/x", "x", 1, 1000)


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", NOW)


def test_https_is_asked_before_http_and_a_port_of_its_own_is_not_guessed(authority: TestAuthority) -> None:
    certificate = authority.configuration.certificate
    anchor = Anchor("KG", (("http://a/internalconf", certificate), ("http://b:8000/internalconf", certificate)))
    urls = [source.url for source in conffetch.sources_of(anchor)]
    assert urls == ["https://a/internalconf", "http://a/internalconf", "http://b:8000/internalconf"]
    urls = [source.url for source in conffetch.sources_of(anchor, https_first=False)]
    assert urls == ["http://a/internalconf", "http://b:8000/internalconf"]


def test_the_configuration_itself_adds_central_servers_and_their_new_certificates(authority: TestAuthority) -> None:
    old, new = authority.configuration.certificate, authority.ca.certificate
    anchor = Anchor("KG", (("http://cs1/internalconf", old),))
    shared = SharedParameters(
        "KG", (), (), (), sources=(Source("cs1", (new,)), Source("cs2", (new,)), Source("a/../b", (new,)))
    )
    found = {source.url: source.certificates for source in conffetch.sources_of(anchor, shared, https_first=False)}
    assert found == {"http://cs1/internalconf": (old, new), "http://cs2/internalconf": (new,)}
    other = SharedParameters("EE", (), (), (), sources=(Source("cs2", (new,)),))
    assert len(conffetch.sources_of(anchor, other, https_first=False)) == 1
