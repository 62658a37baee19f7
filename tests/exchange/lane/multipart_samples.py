"""Messages of X-Road's wire, written natively and by the Python modules, and what either reads in one, for the native path's tests."""

import hashlib
from typing import Any

import httptools

from kerege.exchange import multipart
from kerege.exchange.batch import Batch, batch, parts_digest
from kerege.exchange.bodies import Attachment
from kerege.exchange.lane import chains, multiparts
from kerege.exchange.lane.call import Call, Part
from kerege.exchange.lane.multiparts import Envelope, Seen
from kerege.exchange.opmon import VERSION
from kerege.exchange.xades import Signed
from kerege.node import wire
from kerege.node.http.client import encode_request
from kerege.node.http.messages import HttpResponse, encode_response
from kerege.node.message import REST, Asked, Extras, Message

ADDRESS = "192.0.2.7:5500"
FRONT = multiparts.front_of(ADDRESS.encode(), VERSION.encode())
LARGEST = 300_000
Read = tuple[Any, ...]


def hashed(content: bytes, body: bytes | None, index: int) -> Part:
    part = Part(content, body, 0, index)
    part.digest = part.leaf = hashlib.sha512(content).digest()
    if body is not None:
        part.body_digest = hashlib.sha512(body).digest()
        part.leaf = parts_digest((part.digest, part.body_digest))
    return part


def call_of(part: Part, content_type: bytes | None = None, request_id: bytes = b"17-4") -> Call:
    call = Call()
    part.content_type, call.request_id = content_type, request_id
    call.request = call.answer = part
    return call


def tree_of(parts: list[Part]) -> Batch:
    return batch([part.digests for part in parts])


def native_tree(tree: Batch) -> chains.Tree | None:
    return None if tree.plain else chains.Tree(tree)


def message_of(part: Part, kind: bytes) -> Message:
    return Message(kind, part.content, () if part.body is None else (Attachment((), part.body),))


def boundary_of(data: bytes) -> str:
    head = data.partition(b"\r\n\r\n")[0]
    return head.partition(b"boundary=")[2].partition(b"\r\n")[0].decode()


def python_request(call: Call, ocsp: tuple[bytes, ...], signature: bytes, tree: Batch, boundary: str) -> bytes:
    """As `carry` sends it."""
    asked = Asked(REST, None, None, None, "id", call.request_id.decode(), "POST", "/")  # type: ignore[arg-type]
    extras = Extras((call.request.content_type or b"").decode("latin-1"))
    signed = Signed(signature, tree, call.request.index)
    pieces = wire.encode(boundary, message_of(call.request, multipart.REST_REQUEST), signed, ocsp=ocsp)
    sent = encode_request("POST", "/", ADDRESS, wire.request_headers(asked, extras, boundary), pieces)
    return b"".join([one for one in sent if isinstance(one, bytes)])


def python_answer(call: Call, signature: bytes, tree: Batch, boundary: str) -> bytes:
    """As `provider` answers."""
    headers = ((b"content-type", multipart.content_type(boundary).encode()), (b"x-hash-algorithm", b"SHA-512"))
    signed = Signed(signature, tree, call.answer.index)
    pieces = wire.encode(boundary, message_of(call.answer, multipart.REST_RESPONSE), signed)
    body = b"".join([one for one in pieces if isinstance(one, bytes)])
    return encode_response(HttpResponse(200, headers, body), keep=True, head=False)


class _Http:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body, self.target, self.whole, self.keep = b"", b"", 0, False
        self.parser: Any = None

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        self.headers.append((name, value or b""))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole += 1
        self.keep = self.parser.should_keep_alive()


def python_read(data: bytes, kind: bytes, *, ended: bool = False) -> Read | None:
    """What the Python modules read in one HTTP message that is data; None where they refuse it or wait for more.

    ended   the connection ended after it, which is the end of an answer that does not say where it ends
    """
    http, asked = _Http(), kind == multipart.REST_REQUEST
    parser: Any = httptools.HttpRequestParser(http) if asked else httptools.HttpResponseParser(http)
    http.parser = parser
    try:
        parser.feed_data(data)
    except Exception:  # whatever it raises, the Python way does not take it: then the native one may not either
        return None
    said = {name.lower(): value for name, value in http.headers}
    framed = not {b"content-length", b"transfer-encoding"}.isdisjoint(said)
    if http.whole != (0 if ended and not asked and not framed else 1):
        return None
    if asked and (parser.get_method() != b"POST" or http.target != b"/"):
        return None
    if not asked and parser.get_status_code() != 200:
        return None
    if asked and said.get(b"x-hash-algorithm", b"").upper() not in {b"", b"SHA-512"}:
        return None
    try:
        sink = wire.sink_of(http.headers, multipart.Limits())
        if sink is None:
            return None
        sink.feed(http.body)
        found = sink.finish()
    except Exception:  # whatever it raises, the Python way does not take it: then the native one may not either
        return None
    if found.fault is not None or found.kind != kind:
        return None
    if asked and said.get(b"x-road-message-type", b"").upper() != b"REST":
        return None
    request_id = said.get(b"x-road-request-id", b"") if asked else None
    return (
        *(found.message, found.body, found.signature, found.chain_result, found.chain),
        *(tuple(found.ocsp), request_id, framed and http.keep),
    )


def told(found: Envelope) -> Read:
    part = found.part
    assert found.size == len(part.content) + len(part.body or b"")
    return (
        *(part.content, part.body, found.signature, found.result, found.chain),
        *(found.ocsp, found.request_id, found.kept),
    )


def read(data: bytes, kind: bytes, seen: Seen | None = None, *, ended: bool = False) -> Envelope | None:
    if kind == multipart.REST_REQUEST:
        return multiparts.read_request(data, LARGEST, seen or Seen())
    return multiparts.read_answer(data, LARGEST, seen or Seen(), ended)


def check(data: bytes, kind: bytes, *, ended: bool = False) -> bool:
    """What is read natively is read by the Python modules, and the same. Whether it is."""
    found = read(data, kind, ended=ended)
    if found is not None:
        assert told(found) == python_read(data, kind, ended=ended)
    return found is not None


def samples(kind: bytes) -> list[bytes]:
    """Messages with and without body, chain, OCSP answers."""
    out = []
    for bodies in ([b"body"], [None], [b"", None, b"--"]):
        parts = [hashed(b"POST\r\n/r1/x\r\n%d" % at, body, at) for at, body in enumerate(bodies)]
        tree = tree_of(parts)
        for part in parts[:2]:
            call = call_of(part, b"text/plain")
            if kind == multipart.REST_REQUEST:
                out.append(multiparts.request(call, FRONT, (b"o1", b"o2")[: len(bodies)], b"<sig/>", native_tree(tree)))
            else:
                out.append(multiparts.answer(call, b"<sig/>", native_tree(tree)))
    return out


def with_length(data: bytes) -> bytes:
    """With the Content-Length that is right again."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [one for one in head.split(b"\r\n") if not one.lower().startswith(b"content-length:")]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])
