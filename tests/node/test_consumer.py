"""What a provider's server may sign: its answer is data for the client, never the frame of the client's connection."""

import hashlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from box import ADMISSION, PERSONS, Box, make_box
from kerege.exchange import multipart, rest
from kerege.exchange.pki import TestAuthority, load_pair
from kerege.exchange.rest import for_the_client
from kerege.exchange.xades import Signer

pytestmark = pytest.mark.journey
BODY = b'{"honest":1}'


@dataclass
class Forged:
    """What the provider's server signs in place of an honest answer."""

    status: bytes = b"200"
    reason: bytes = b"OK"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    http_status: int = 200


class HostileProvider:
    """A registered server with genuine keys, whose software is its own."""

    def __init__(self, box: Box) -> None:
        hostile = self
        self.forged = Forged()
        home = box.laid.nodes["node-reg"].folder / "keys"
        pair = load_pair(home, "sign-GOV-70000002")
        signer = Signer(pair.key, pair.certificate)
        authority = TestAuthority.load(box.folder / "authority")
        signer.with_ocsp([authority.ocsp_response(pair.certificate, datetime.now(UTC))])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home / "auth.pem", home / "auth.key")
        context.load_verify_locations(box.folder / "authority" / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                decoder = multipart.Decoder(multipart.boundary_of(self.headers["content-type"]))
                decoder.feed(data)
                message = decoder.finish()
                request = rest.decode_request(message.message)
                ours = (
                    (b"x-road-id", request.message_id.encode()),
                    (b"x-road-client", str(request.client).encode()),
                    (b"x-road-service", str(request.service).encode()),
                    (b"x-road-request-id", request.request_id.encode()),
                    (
                        b"x-road-request-hash",
                        rest.request_hash(hashlib.sha512(message.message).digest(), None).encode(),
                    ),
                )
                forged = hostile.forged
                lines = [forged.status, forged.reason, *(b"%b:%b" % p for p in forged.headers + ours)]
                encoded = b"".join(line + b"\r\n" for line in lines)
                digests = (hashlib.sha512(BODY).digest(),)
                signed = signer.sign(hashlib.sha512(encoded).digest(), digests, datetime.now(UTC))
                boundary = multipart.new_boundary()
                out = multipart.encode_rest(boundary, encoded, BODY, signed.chain, signed.xml, response=True)
                self.send_response(forged.http_status)
                self.send_header("content-type", multipart.content_type(boundary))
                self.send_header("content-length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

        self.server = ThreadingHTTPServer(("127.0.0.1", box.plan.servers[1].server_port), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture(scope="module")
def hostile_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, HostileProvider]]:
    box = make_box(tmp_path_factory.mktemp("hostile"))
    provider = HostileProvider(box)
    box.start("node-edu")
    box.wait("node-edu")
    yield box, provider
    provider.server.shutdown()
    provider.server.server_close()
    box.close()


def twice(box: Box) -> list[tuple[int, dict[str, str], bytes]]:
    """Two calls on one kept connection: the second is the one that gets poisoned."""
    connection = http.client.HTTPConnection(box.laid.nodes["node-edu"].client_url.split("//")[1], timeout=5)
    out = []
    for path in ("/a", "/b"):
        connection.request("GET", f"/r1/{PERSONS}{path}", headers={"X-Road-Client": str(ADMISSION)})
        answer = connection.getresponse()
        out.append((answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()))
    connection.close()
    return out


@pytest.mark.parametrize(
    "header",
    [
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"2"),
        (b"Connection", b"close"),
        (b"Upgrade", b"h2c"),
        (b"Keep-Alive", b"timeout=0"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"X-Road-Error", b"server.forged"),
    ],
)
def test_how_the_clients_answer_is_framed_and_whether_it_is_a_fault_is_not_the_providers_to_say(
    hostile_box: tuple[Box, HostileProvider], header: tuple[bytes, bytes]
) -> None:
    box, provider = hostile_box
    provider.forged = Forged(headers=(header, (b"X-Agency", b"yes")))
    for status, headers, body in twice(box):
        # the wire's own check may refuse such an answer whole; passed on, it is passed on clean
        assert headers["content-length"] == str(len(body))
        if status == 200:
            assert body == BODY
            assert headers["x-agency"] == "yes"
            assert header[0].decode().lower() not in headers.keys() - {"content-length"}


@pytest.mark.parametrize("status", [b"100", b"101", b"199", b"600"])
def test_a_status_that_is_no_final_one_is_a_fault(hostile_box: tuple[Box, HostileProvider], status: bytes) -> None:
    box, provider = hostile_box
    provider.forged = Forged(status=status)
    for found, headers, _ in twice(box):
        assert found == 500
        assert headers["x-road-error"]


@pytest.mark.parametrize("break_", [b"\n", b"\r"])
def test_a_reason_cannot_write_a_second_answer(hostile_box: tuple[Box, HostileProvider], break_: bytes) -> None:
    box, provider = hostile_box
    provider.forged = Forged(
        reason=break_.join((b"OK", b"Content-Length: 2", b"", b"okHTTP/1.1 200 OK", b"X-Poison: yes"))
    )
    for _, headers, body in twice(box):
        assert "x-poison" not in headers
        assert headers["content-length"] == str(len(body))


def test_another_servers_own_refusal_is_told_by_its_status(hostile_box: tuple[Box, HostileProvider]) -> None:
    box, provider = hostile_box
    provider.forged = Forged(http_status=503)
    answer = box.call()
    assert answer.headers["X-Road-Error"] == "server.clientproxy.network_error"
    assert "HTTP 503" in str(answer.json["message"])


def test_what_connection_lists_belongs_to_the_connection() -> None:
    headers = ((b"Connection", b"close, X-Hop"), (b"x-hop", b"1"), (b"X-Kept", b"2"))
    assert for_the_client(headers) == ((b"X-Kept", b"2"),)
