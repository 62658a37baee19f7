"""What stands around the stand-in: the authority's OCSP responder, its own OCSP port, and small HTTP servers to make systems of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from cryptography.x509 import ocsp
from peer732 import Headers, Peer
from pki732 import Authority, Pair


class Small(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handle: Callable[[BaseHTTPRequestHandler, bytes], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                handle(self, self.rfile.read(int(self.headers.get("content-length") or 0)))

            do_POST = do_DELETE = do_PUT = do_HEAD = do_GET

        super().__init__(address, Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, headers: Headers, body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    if status != 204:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD" and status != 204:
        handler.wfile.write(body)


def responder(authority: Authority, known: list[Pair]) -> Small:
    """The authority's OCSP responder (RFC 6960, POST)."""

    def handle(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        serial = ocsp.load_der_ocsp_request(body).serial_number
        (pair,) = [one for one in known if one.certificate.serial_number == serial]
        reply(handler, 200, [("Content-Type", "application/ocsp-response")], authority.answer(pair.certificate))

    return Small(("127.0.0.1", 0), handle)


def ocsp_port(peer: Peer, port: int) -> Small:
    """7.3.2's OCSP port of the stand-in: by SHA-1 in `cert`, whatever else is in the query."""

    def handle(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        hashes = parse_qs(urlsplit(handler.path).query).get("cert", [])
        peer.asked_hashes += hashes
        if handler.command == "GET" and hashes != [peer.auth.sha1.hex()]:
            reply(handler, 500, [], b"Could not find OCSP response for certificate")
            return
        body = b"--jetty1x\r\nContent-Type: application/ocsp-response\r\n\r\n" + peer.authority.answer(
            peer.auth.certificate
        )
        kind = 'multipart/related; charset=UTF-8; type="application/ocsp-response"; boundary=jetty1x'
        reply(handler, 200, [("Content-Type", kind)], body + b"\r\n--jetty1x--\r\n")

    return Small((peer.host, port), handle)
