"""Big bodies through two nodes, both ways: every byte compared, the highest resident memory of each node recorded.

The provider here is this file run by itself: it answers a POST with the SHA-256 of what came, and a GET with as many bytes as its path says.
"""

from __future__ import annotations

import hashlib
import http.client
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 1024 * 1024
SIZES = {"10k": 10 * 1024, "1m": PIECE, "100m": 100 * PIECE, "1g": 1024 * PIECE}


def pieces(size: int) -> Iterator[bytes]:
    """`size` bytes that are the same in every process and no two pieces alike."""
    block = random.Random(20261122).randbytes(PIECE)
    for number in range(0, size, PIECE):
        length = min(PIECE, size - number)
        yield (number.to_bytes(8, "big") + block[8:])[:length]


def digest(size: int) -> str:
    whole = hashlib.sha256()
    for piece in pieces(size):
        whole.update(piece)
    return whole.hexdigest()


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def _received(self) -> Iterator[bytes]:
        length = self.headers.get("content-length")
        if length is not None:
            left = int(length)
            while left:
                data = self.rfile.read(min(left, PIECE))
                if not data:
                    raise ConnectionError
                left -= len(data)
                yield data
        elif self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

    def do_POST(self) -> None:
        whole, count = hashlib.sha256(), 0
        for data in self._received():
            whole.update(data)
            count += len(data)
        content = f"{count} {whole.hexdigest()}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        size = int(self.path.rstrip("/").rpartition("/")[2])
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        for piece in pieces(size):
            self.wfile.write(piece)


@dataclass(frozen=True)
class Passed:
    """One body's way through: seconds, or what went wrong."""

    seconds: float
    problem: str | None = None


def upload(clients_url: str, service: str, client: str, size: int) -> Passed:
    """Send a body of `size` through the pair; the provider's digest must be ours."""
    started = time.monotonic()
    try:
        connection = http.client.HTTPConnection(urlsplit(clients_url).netloc, timeout=300)
        headers = {"X-Road-Client": client, "Content-Length": str(size), "Content-Type": "application/octet-stream"}
        connection.request("POST", f"/r1/{service}/up", body=pieces(size), headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
    except OSError as problem:
        return Passed(time.monotonic() - started, f"{type(problem).__name__}: {problem}")
    if answer.status != 200:
        return Passed(time.monotonic() - started, f"HTTP {answer.status}: {content[:200]!r}")
    same = content.decode() == f"{size} {digest(size)}"
    return Passed(time.monotonic() - started, None if same else "the provider got other bytes")


def download(clients_url: str, service: str, client: str, size: int) -> Passed:
    """Fetch a body of `size` through the pair; every byte must be the provider's."""
    started = time.monotonic()
    whole, count = hashlib.sha256(), 0
    try:
        connection = http.client.HTTPConnection(urlsplit(clients_url).netloc, timeout=300)
        connection.request("GET", f"/r1/{service}/down/{size}", headers={"X-Road-Client": client})
        answer = connection.getresponse()
        first = b""
        while data := answer.read(PIECE):
            first = first or data[:200]
            whole.update(data)
            count += len(data)
        connection.close()
    except (OSError, http.client.HTTPException) as problem:
        return Passed(time.monotonic() - started, f"{type(problem).__name__}: {problem}")
    seconds = time.monotonic() - started
    if answer.status != 200:
        return Passed(seconds, f"HTTP {answer.status}: {first!r}")
    same = count == size and whole.hexdigest() == digest(size)
    return Passed(seconds, None if same else "the client got other bytes")


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Provider)
    server.daemon_threads = True
    server.serve_forever()
