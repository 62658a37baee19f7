"""HTTP and multipart as X-Road 7.3.2 puts them on the wire between servers, over plain sockets; none of the node's own code."""

from __future__ import annotations

import random
import socket
import string
from dataclasses import dataclass, field

from signature732 import Refused

ORDER = (
    "application/ocsp-response",
    "message",
    "body",
    "application/hash-chain-result",
    "application/hash-chain",
    "signature/bdoc-1.0/ts",
)
MESSAGES = ("application/x-road-rest-request", "application/x-road-rest-response", "text/xml", "application/xop+xml")


def boundary(start: str = "xtop") -> str:
    return start + "".join(random.choices(string.ascii_letters, k=30))


@dataclass
class Http:
    """A request or an answer as it came: first line, headers in order, body; `raw` the very bytes."""

    first: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


def read_http(stream: socket.socket) -> Http | None:
    """One message; its body by length, in chunks, or (an answer without either) up to the end of the connection."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = stream.recv(65536)
        if not more:
            return None
        raw += more
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    low = {name.lower(): value for name, value in headers}

    def need(size: int) -> None:
        nonlocal raw, rest
        while len(rest) < size:
            more = stream.recv(65536)
            if not more:
                raise EOFError("cut short")
            raw, rest = raw + more, rest + more

    if low.get("transfer-encoding", "").lower() == "chunked":
        body, at = b"", 0
        while True:
            while b"\r\n" not in rest[at:]:
                need(len(rest) + 1)
            end = rest.index(b"\r\n", at)
            size = int(rest[at:end].split(b";")[0], 16)
            need(end + 2 + size + 2)
            body += rest[end + 2 : end + 2 + size]
            at = end + 2 + size + 2
            if not size:
                return Http(first, headers, body, raw)
    if "content-length" in low:
        need(int(low["content-length"]))
        return Http(first, headers, rest[: int(low["content-length"])], raw)
    if first.startswith("HTTP/"):
        while more := stream.recv(65536):
            raw, rest = raw + more, rest + more
        return Http(first, headers, rest, raw)
    return Http(first, headers, b"", raw)


def chunked(data: bytes, size: int = 8000) -> bytes:
    out = b""
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        out += b"%x\r\n%b\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def split(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart: headers by lower-case name, and the exact body."""
    mark = b"\r\n--" + content_type.partition("boundary=")[2].split(";")[0].strip('"').encode()
    pieces = (b"\r\n" + body).split(mark)
    if not pieces[-1].startswith(b"--"):
        raise Refused("MimeParsingFailed", "no closing boundary")
    out = []
    for piece in pieces[1:-1]:
        head, _, content = (piece[2:] if piece.startswith(b"\r\n") else piece).partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("latin-1").split("\r\n") if line]
        out.append(({name.lower(): value.strip() for name, _, value in lines}, content))
    return out


@dataclass
class Decoded:
    ocsp: list[bytes] = field(default_factory=list)
    kind: str = ""
    message: bytes = b""
    body: bytes | None = None
    attachments: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    chain: tuple[bytes, bytes] | None = None
    signature: bytes = b""
    fault: bytes | None = None
    layout: list[str] = field(default_factory=list)  # the parts' header blocks' types, in order


def decode(content_type: str, data: bytes) -> Decoded:
    """Parts in the one order there is; anything after the signature is refused."""
    out, at, result = Decoded(), 0, b""
    for headers, content in split(content_type, data):
        said = headers.get("content-type", "")
        kind = said.split(";")[0].lower()
        out.layout.append(kind)
        if out.signature:
            raise Refused("InvalidMessage", f"Extra content ({kind}) after signature")
        if kind in MESSAGES and not out.kind:
            if kind == "text/xml" and b":Fault>" in content:
                out.fault = content
            out.kind, out.message, at = kind, content, 1
            continue
        if kind == "text/xml" and out.kind:
            out.fault = content
            continue
        place = (
            2
            if kind in {"application/x-road-rest-body", "multipart/mixed"}
            else ORDER.index(kind)
            if kind in ORDER
            else -1
        )
        if place < at or (place >= 1 and not out.kind):
            raise Refused("InvalidContentType", f"{kind} at {len(out.layout)}")
        at = place if kind == ORDER[0] else place + 1
        if place == 0:
            out.ocsp.append(content)
        elif kind == "multipart/mixed":
            if "x-road-rest" in out.kind:
                raise Refused("InvalidContentType", "attachments in REST")
            out.attachments = split(said, content)
        elif place == 2:
            if "x-road-rest" not in out.kind:
                raise Refused("InvalidContentType", "a REST body in SOAP")
            out.body = content
        elif place == 3:
            result = content
        elif place == 4:
            out.chain = (result, content)
        else:
            out.signature = content
    return out


def encode(mark: str, parts: list[tuple[str, bytes]]) -> bytes:
    out = b""
    for kind, content in parts:
        out += f"--{mark}\r\ncontent-type: {kind}\r\n\r\n".encode() + content + b"\r\n"
    return out + f"--{mark}--\r\n".encode()


def nested(attachments: list[tuple[str, list[tuple[str, str]], bytes]]) -> tuple[str, bytes]:
    """Attachments (type, other headers, body) as one part's type and content."""
    mark = boundary("xatt")
    out = b"\r\n"
    for kind, headers, content in attachments:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        out += f"--{mark}\r\ncontent-type: {kind}\r\n{lines}\r\n".encode() + content + b"\r\n"
    return f"multipart/mixed; charset=UTF-8; boundary={mark}", out + f"--{mark}--\r\n".encode()
