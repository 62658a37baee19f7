"""The parts of a message between security servers, and how a message is written: in pieces, big bodies as they are.

Implements the sending side of X-Road PR-MESSTRANSP as 7.x servers do it. What is sent is given in pieces, so that a big body is never
copied into memory. Reading is `multipart`'s; signing what is written here, `xades`'.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from typing import Final

from kerege.exchange.bodies import Attachment, Body, body_bytes
from kerege.exchange.errors import MessageMalformed
from kerege.exchange.hashchain import HashChain

OCSP: Final = b"application/ocsp-response"
REST_REQUEST: Final = b"application/x-road-rest-request"
REST_RESPONSE: Final = b"application/x-road-rest-response"
REST_BODY: Final = b"application/x-road-rest-body"
CHAIN_RESULT: Final = b"application/hash-chain-result"
CHAIN: Final = b"application/hash-chain"
SIGNATURE: Final = b"signature/bdoc-1.0/ts"
SOAP: Final = b"text/xml"
XOP: Final = b"application/xop+xml"
NESTED: Final = b"multipart/mixed"

_JOINED: Final = 64 * 1024

_LETTERS: Final = bytes(string.ascii_letters[i % 52].encode()[0] for i in range(256))


def new_boundary(start: str = "xtop") -> str:
    """`xtop` (or `xatt`) and thirty letters nobody can guess, so that no body can hold the boundary on purpose."""
    return start + secrets.token_bytes(30).translate(_LETTERS).decode()


def content_type(boundary: str) -> str:
    return f"multipart/mixed; charset=UTF-8; boundary={boundary}"


def encode_message(
    boundary: str,
    kind: bytes,
    content: bytes,
    attachments: Sequence[Attachment],
    chain: HashChain | None,
    signature: bytes,
    *,
    ocsp: Sequence[bytes] = (),
    content_type: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> list[Body]:
    """A message as one server sends it to another, in pieces to be sent one after the other.

    kind          what the content is: REST_REQUEST, REST_RESPONSE, SOAP or XOP
    attachments   of a REST message at most one, its body (an empty one is still a part); of a SOAP message all of them, which travel
                  in one nested multipart
    content_type  of the message's part, when it says more than its kind
    headers       of the message's part, besides its content type
    """
    mark = b"--" + boundary.encode()
    out = _Pieces()
    for answer in ocsp:
        out.part(mark, OCSP, answer)
    out.part(mark, content_type or kind, content, headers)
    if kind in {REST_REQUEST, REST_RESPONSE}:
        if len(attachments) > 1:
            raise ValueError("a REST message has one body at most")
        for attachment in attachments:
            out.part(mark, REST_BODY, attachment.body)
    elif attachments:
        out.nested(mark, attachments)
    if chain is not None:
        out.part(mark, CHAIN_RESULT, chain.result)
        out.part(mark, CHAIN, chain.chain)
    out.part(mark, SIGNATURE, signature)
    out.small.append(mark + b"--\r\n")
    return out.done()


def encode_rest(
    boundary: str,
    message: bytes,
    body: Body | None,
    chain: HashChain | None,
    signature: bytes,
    *,
    response: bool,
    ocsp: Sequence[bytes] = (),
) -> bytes:
    """A REST message as one string of bytes: for bodies known to be small. A body of length 0 is still a part; None is no part."""
    attachments = () if body is None else (Attachment((), body),)
    kind = REST_RESPONSE if response else REST_REQUEST
    pieces = encode_message(boundary, kind, message, attachments, chain, signature, ocsp=ocsp)
    return b"".join([body_bytes(piece) for piece in pieces])


class _Pieces:
    """Small pieces joined, big ones as they are."""

    __slots__ = ("out", "small")

    def __init__(self) -> None:
        self.out: list[Body] = []
        self.small: list[bytes] = []

    def part(self, mark: bytes, media_type: bytes, body: Body, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        if headers:
            self.small += (mark, b"\r\ncontent-type: ", media_type, b"\r\n", _block(headers), b"\r\n")
        else:
            self.small += (mark, b"\r\ncontent-type: ", media_type, b"\r\n\r\n")
        self.body(body)

    def body(self, body: Body) -> None:
        if isinstance(body, bytes) and len(body) <= _JOINED:
            self.small += (body, b"\r\n")
            return
        self.out += (b"".join(self.small), body)
        self.small = [b"\r\n"]

    def nested(self, mark: bytes, attachments: Sequence[Attachment]) -> None:
        inner = new_boundary("xatt").encode()
        self.small += (mark, b"\r\ncontent-type: multipart/mixed; charset=UTF-8; boundary=", inner, b"\r\n\r\n\r\n")
        for attachment in attachments:
            self.small += (b"--", inner, b"\r\n", _block(attachment.headers), b"\r\n")
            self.body(attachment.body)
        self.small += (b"--", inner, b"--\r\n\r\n")

    def done(self) -> list[Body]:
        self.out.append(b"".join(self.small))
        return self.out


def _block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    block = b"".join(lines)
    if not len(lines) == block.count(b"\n") == block.count(b"\r"):
        raise MessageMalformed(where="attachment header", reason="a line break stands in it")
    return block
