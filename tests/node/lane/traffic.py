"""Many information systems at once on kept connections, an agency that answers in every way there is, and what two nodes kept of it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from box import ADMISSION, PERSONS, Box, base_rules, make_box
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import read

BODY = b'{"name":"Bakyt"}'


# --- the asking side ---


@dataclass
class Asked:
    """One request and its answer. `wire` are the bytes sent; `status` 0: the connection ended without an answer."""

    wire: bytes
    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    path: str = "/12345",
    *,
    method: str = "POST",
    body: bytes | None = BODY,
    message_id: str = "",
    client: str = str(ADMISSION),
    service: str = str(PERSONS),
    headers: Sequence[str] = (),
    accept: str = "application/json",
) -> bytes:
    """A request as a simple client writes it."""
    lines = [f"{method} /r1/{service}{path} HTTP/1.1", "Host: node"]
    lines += [f"X-Road-Client: {client}"] * bool(client)
    lines += [f"X-Road-Id: {message_id}"] * bool(message_id)
    lines += [f"Accept: {accept}", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (body or b"")


class Connection:
    """One kept connection of an information system, read by hand."""

    def __init__(self, url: str, timeout: float = 20.0) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept = b""
        self.open = True

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def take(self, asked: Asked) -> Asked:
        """The next answer on the connection."""
        begun = time.monotonic()
        with contextlib.suppress(OSError, EOFError):
            self._take(asked)
        asked.seconds = time.monotonic() - begun
        if not asked.status or asked.headers.get("connection") == "close":
            self.close()
        return asked

    def _take(self, asked: Asked) -> None:
        while (end := self._kept.find(b"\r\n\r\n")) < 0:
            self._more()
        first, *lines = self._kept[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        size = 0
        if not asked.wire.startswith(b"HEAD ") and status not in (204, 304):
            size = int(headers["content-length"])
        while len(self._kept) < end + 4 + size:
            self._more()
        asked.body, self._kept = self._kept[end + 4 : end + 4 + size], self._kept[end + 4 + size :]
        asked.status, asked.reason, asked.headers = status, first.partition(" ")[2].partition(" ")[2], headers

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self._kept += data

    def close(self) -> None:
        self.open = False
        self.socket.close()


class Crowd:
    """As many kept connections to a node as are asked for."""

    def __init__(self, box: Box, code: str = "node-edu", timeout: float = 20.0) -> None:
        self._url, self._timeout = box.laid.nodes[code].client_url, timeout
        self.connections: list[Connection] = []

    def ask(self, *wires: bytes) -> list[Asked]:
        """All at once, each on a connection of its own; every request is out before the first answer is read."""
        return self.answers(self.begin(*wires))

    def begin(self, *wires: bytes) -> list[Asked]:
        self.connections = [one for one in self.connections if one.open]
        while len(self.connections) < len(wires):
            self.connections.append(Connection(self._url, self._timeout))
        asked = [Asked(wire) for wire in wires]
        for one, connection in zip(asked, self.connections, strict=False):
            connection.send(one.wire)
        return asked

    def answers(self, asked: list[Asked]) -> list[Asked]:
        for one, connection in zip(asked, self.connections, strict=False):
            connection.take(one)
        return asked

    def warm(self) -> None:
        """The link is made and the way is known: the next requests go the native way where there is one."""
        for _ in range(2):
            (one,) = self.ask(request("/warm"))
            assert one.status == 200, one.body

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- the agency ---


class Office:
    """An agency's system that answers by the path it is asked at; it says nothing of HTTP that it is not told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []  # target and message id
        self.release = threading.Event()  # what /hold waits for
        self.weary = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            self.open.add(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kept, number = b"", 0
        try:
            while True:
                while (end := kept.find(b"\r\n\r\n")) < 0:
                    data = one.recv(65536)
                    if not data:
                        return
                    kept += data
                head = kept[:end].decode("latin-1")
                length = re.search(r"(?im)^content-length: (\d+)", head)
                whole = end + 4 + (int(length[1]) if length else 0)
                while len(kept) < whole:
                    kept += one.recv(65536)
                body, kept = kept[end + 4 : whole], kept[whole:]
                number += 1
                said = re.search(r"(?im)^x-road-id:(.*)$", head)
                method, target, _ = head.split("\r\n")[0].split(" ")
                self.seen.append((target, said[1].strip() if said else ""))
                if not self._answer(one, method, target, body, number):
                    return
        except OSError:
            return
        finally:
            self.open.discard(one)
            one.close()

    def _answer(self, one: socket.socket, method: str, target: str, body: bytes, number: int) -> bool:
        """Whether the connection is kept."""
        name = target.partition("?")[0].removeprefix("/api").lstrip("/").split("/")[0]
        content = json.dumps({"target": target, "method": method, "got": len(body)}).encode()
        first, more = "200 OK", ["Content-Type: application/json", "X-Agency: yes"]
        if name in WAYS_OF_ANSWERING:
            written = WAYS_OF_ANSWERING[name]
            one.sendall(written)
            return b"content-length" in written.lower() or b"chunked" in written.lower() or b" 204 " in written
        if name == "hold":
            self.release.wait(20)
        elif name == "slow":
            time.sleep(0.3)
        elif name == "never":
            self.release.wait(20)
            return False
        elif name == "deaf":
            return False
        elif name == "tired" and number > 1 and self.weary:  # closes so many kept connections without a word
            self.weary -= 1
            return False
        elif name == "crumbs":
            wire = f"HTTP/1.1 {first}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
            for at in range(0, len(wire), 7):
                one.sendall(wire[at : at + 7])
                time.sleep(0.0005)
            return True
        elif name == "large":
            content = b"x" * 300_000
        elif name == "edge":
            content = b"y" * 65_536
        elif name == "missing":
            first = "404 Not Found"
        elif name == "broken":
            first = "503 Busy just now"
        if method == "HEAD":
            one.sendall("\r\n".join((f"HTTP/1.1 {first}", *more, f"Content-Length: {len(content)}", "", "")).encode())
            return True
        head = "\r\n".join((f"HTTP/1.1 {first}", *more, f"Content-Length: {len(content)}", "", ""))
        one.sendall(head.encode() + content)
        return True

    def drop(self) -> None:
        """Close every connection."""
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.release.set()
        self._socket.close()
        self.drop()


WAYS_OF_ANSWERING = {
    "nothing": b"HTTP/1.1 204 No Content\r\nX-Agency: yes\r\n\r\n",
    "unchanged": b"HTTP/1.1 304 Not Modified\r\nETag: 1\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "noreason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "half": b"HTTP/1.1 200 OK\r\n",
    "nonsense": b"I am no web server\r\n\r\n",
    "shadows": b"HTTP/1.1 200 OK\r\nX_Road_Id: other\r\nX-Road-Id: mine\r\nX-Road-Error: none\r\nContent-Length: 2\r\n\r\nok",
    "twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
}


# --- what is left of it ---


def lane_calls(box: Box, code: str) -> tuple[int, int]:
    """Calls that the native path answered at a node, and in how many batches; (-1, -1) where it has none."""
    text = box.admin(code, "GET", "/metrics").body.decode()
    side = "client" if code == "node-edu" else "producer"
    found = [
        re.search(rf'kerege_lane_{what}_total{{side="{side}"}} ([0-9.e+]+)', text) for what in ("calls", "batches")
    ]
    return tuple(-1 if one is None else int(float(one[1])) for one in found)  # type: ignore[return-value]


def log_of(box: Box, code: str) -> list[LogRecord]:
    return [found[2] for found in read(Path(box.laid.nodes[code].folder) / "log")]


def told_of(answer: Asked) -> Any:
    """An answer without what is another each time."""
    headers = {
        k: v
        for k, v in answer.headers.items()
        if k not in {"x-road-request-id", "x-road-request-hash", "x-kerege-fault"}
    }
    body = answer.body.decode("latin-1")
    reference = answer.headers.get("x-kerege-fault")
    if reference:
        body = body.replace(reference, "REFERENCE")
    body = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", body)
    return answer.status, answer.reason, headers, body


@contextlib.contextmanager
def provider_alone(folder: Path, office: Office, **settings: object) -> Iterator[Box]:
    """The provider's node beside its agency, for callers by hand over X-Road's wire."""
    box = make_box(folder)
    box.change("node-reg", services={str(PERSONS): {"url": office.url}}, link=False, **settings)
    box.publish(replace(base_rules(), contracts=()))
    try:
        box.start("node-reg")
        box.wait("node-reg")
        yield box
    finally:
        box.close()


@contextlib.contextmanager
def consumer_alone(folder: Path, **settings: object) -> Iterator[Box]:
    """node-edu alone; where node-reg should be, a test stands."""
    box = make_box(folder)
    box.change("node-edu", limits={"peer_seconds": 1.9, "connect_seconds": 1}, **settings)
    try:
        box.start("node-edu")
        box.wait("node-edu")
        yield box
    finally:
        box.close()
