"""Targets of the native path: what a compiled reader takes, the Python reader takes too, and reads alike. None where nothing is compiled.

A native reader never refuses: it says that something is not its affair. So these end well, or the sanitizer, the comparison or the
process itself says that they did not.
"""

from __future__ import annotations

from typing import Any

import httptools

from kerege.exchange import lane, linkframes, multipart, rest
from kerege.exchange.errors import ExchangeError
from kerege.exchange.linkmessages import LaneMessages, Messages

HTTP = (
    b"POST /r1/KG/GOV/70000002/population/persons/by?x=1 HTTP/1.1\r\nHost: a:1\r\nX-Road-Client: KG/GOV/70000003/admission\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


def run_http(data: bytes) -> None:
    """A client's request; the signed form it gives is one that the provider's Python reader takes."""
    from kerege.exchange.lane import restlines
    from kerege.exchange.lane.call import Call

    call = Call()
    outcome, used = restlines.read_http_request_bytes(data, 64 * 1024, call)
    assert outcome in (-1, 0, 1)
    if outcome == 1:
        assert 0 < used <= len(data), "more was used than came"
        # (an instance so long that the identifier made of it is refused by the provider: as from the Python path)
        if call.request is not None and len(call.message_id) <= 255:
            request = rest.decode_request(call.request.content)
            assert rest.client_of(call.client_raw) == request.client, "another client"
            assert request.message_id.encode() == call.message_id


def run_signed(data: bytes) -> None:
    """The signed form of a request: what is taken natively means the same to the Python reader."""
    from kerege.exchange.lane import restlines
    from kerege.exchange.lane.call import Call, Part

    call = Call()
    if restlines.read_request(Part(data, None), call):
        request = rest.decode_request(data)
        assert (request.verb, request.path.encode(), request.message_id.encode(), request.request_id.encode()) == (
            call.verb,
            call.path,
            call.message_id,
            call.request_id,
        )
        assert request.server is None, "it names a server"


def run_frames(data: bytes) -> None:
    """The link's frames, read natively and not."""

    def decode(native: bool) -> object:
        try:
            found = linkframes.Decoder(linkframes.LinkLimits(frame=1 << 20), lane=native).feed(data)
        except ExchangeError as refused:
            return type(refused)
        out: list[object] = []
        for frame in found:
            if isinstance(frame, LaneMessages):
                frame = Messages(tuple(group.python() for group in frame.groups))
            if isinstance(frame, Messages):
                for group in frame.groups:
                    out.append((group.signature, group.size, group.others, group.chained, group.messages))
            else:
                out.append(frame)
        return out

    assert decode(True) == decode(False), "natively the same bytes mean something else"


class _Http:
    """What httptools finds in a message."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body, self.whole, self.keep = b"", 0, False
        self.parser: Any = None

    def on_header(self, name: bytes, value: bytes | None) -> None:
        self.headers.append((name.lower(), value or b""))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole += 1
        self.keep = self.parser.should_keep_alive()


def run_multipart(data: bytes) -> None:
    """A request or an answer over X-Road's wire, HTTP head and all: of known length, in chunks, or up to the connection's end."""
    from kerege.exchange.lane import multiparts

    largest, answer = 64 * 1024, data.startswith(b"HTTP/")
    missing = multiparts.missing(data, largest)
    assert 0 <= missing <= largest + 1
    if not answer:
        found = multiparts.read_request(data, largest, multiparts.Seen())
    else:
        found = multiparts.read_answer(data, largest, multiparts.Seen())
        at_end = multiparts.read_answer(data, largest, multiparts.Seen(), True)
        assert found is None or at_end is not None
        assert found is not None or at_end is None or not at_end.kept
        found = at_end
    if found is None:
        return
    http = _Http()
    http.parser = httptools.HttpResponseParser(http) if answer else httptools.HttpRequestParser(http)
    http.parser.feed_data(data)
    said = [name for name, _ in http.headers]
    framed = b"content-length" in said or b"transfer-encoding" in said
    assert http.whole == (1 if framed else 0), "httptools finds another end"
    assert missing == 0 or not framed
    assert found.kept == (framed and http.keep), "the connection is used otherwise"
    (kind,) = [value for name, value in http.headers if name == b"content-type"]
    decoder = multipart.Decoder(kind.split(b"boundary=")[1].decode(), multipart.Limits(body=1 << 20))
    try:
        decoder.feed(http.body)
        message = decoder.finish()
        assert message.kind == (multipart.REST_RESPONSE if answer else multipart.REST_REQUEST)
        assert (message.message, message.body or None, message.signature) == (
            found.part.content,
            found.part.body or None,
            found.signature,
        ), "natively the same bytes mean something else"
        assert (message.chain_result, message.chain, tuple(message.ocsp)) == (found.result, found.chain, found.ocsp)
    finally:
        decoder.close()


def _in_chunks(data: bytes, size: int) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join([b"%x\r\n%b\r\n" % (len(one), one) for one in pieces]) + b"0\r\n\r\n"
    return b"\r\n".join((*lines, b"transfer-encoding: chunked", b"", chunks))


def multipart_seeds(content: bytes) -> list[bytes]:
    from kerege.exchange.batch import batch
    from kerege.exchange.lane import chains, digest, multiparts, restlines
    from kerege.exchange.lane.call import Call, Part

    front, seeds = multiparts.front_of(b"127.0.0.1:5500", b"7.8.0"), []
    for body in (None, b"{}"):
        call, part = Call(), Part(content, body)
        assert restlines.read_request(part, call)
        digest.digest_parts([part])
        tree = None if body is None else chains.Tree(batch([part.digests]))
        request = multiparts.request(call, front, (b"answer",), b"<signature/>", tree)
        call.answer = part
        answer = multiparts.answer(call, b"<signature/>", tree)
        seeds += [request, _in_chunks(request, 100), answer, _in_chunks(answer, 1000)]
        head, _, body = answer.partition(b"content-length")
        seeds.append(head + b"connection: close" + body[body.index(b"\r\n") :])
    return seeds


BUILT = lane.BUILT
