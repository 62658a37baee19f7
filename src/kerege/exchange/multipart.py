"""The message transport between security servers: its parts, their order, and nothing after the signature.

Implements X-Road PR-MESSTRANSP as 7.x servers do it: `multipart/mixed`, parts strictly in the order OCSP answers, message,
body or attachments, hash chain result, hash chain, signature; or a SOAP fault in place of the signature. The decoder takes bytes
as they come and holds at most what its limits allow. What the parts mean together is checked by `xades_verify` and `rest`.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kerege.exchange.errors import MessageMalformed, MessageTooLarge
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

_MAX_HEADER: Final = 16 * 1024
_SMALL_PART: Final = 4 * 1024 * 1024
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is held in memory before it is refused, in bytes; and how many OCSP answers."""

    message: int = 1024 * 1024
    body: int = 20 * 1024 * 1024
    ocsp_responses: int = 8


@dataclass(slots=True)
class Part:
    """One part: its media type (lower case, no parameters), its header block, its exact body bytes."""

    media_type: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class TransportMessage:
    """A decoded message. `fault` is the SOAP fault that stood where the signature should be."""

    ocsp: list[bytes] = field(default_factory=list)
    kind: bytes = b""
    message: bytes = b""
    body: bytes | None = None
    nested: Part | None = None
    chain_result: bytes | None = None
    chain: bytes | None = None
    signature: bytes = b""
    fault: bytes | None = None

    @property
    def hash_chain(self) -> HashChain | None:
        if self.chain_result is None or self.chain is None:
            return None
        return HashChain(self.chain_result, self.chain)


_LETTERS: Final = bytes(string.ascii_letters[i % 52].encode()[0] for i in range(256))


def new_boundary() -> str:
    """`xtop` and thirty letters nobody can guess, so that no body can hold the boundary on purpose."""
    return "xtop" + secrets.token_bytes(30).translate(_LETTERS).decode()


def content_type(boundary: str) -> str:
    return f"multipart/mixed; charset=UTF-8; boundary={boundary}"


def boundary_of(content_type_header: str) -> str:
    """The boundary named in a Content-Type header of multipart/mixed."""
    if not content_type_header.strip().lower().startswith("multipart/mixed"):
        raise MessageMalformed(where="Content-Type", reason="it is not multipart/mixed")
    match = _BOUNDARY.search(content_type_header)
    if match is None:
        raise MessageMalformed(where="Content-Type", reason="it names no boundary")
    return match[1] or match[2]


def encode_rest(
    boundary: str,
    message: bytes,
    body: bytes | None,
    chain: HashChain | None,
    signature: bytes,
    *,
    response: bool,
    ocsp: Sequence[bytes] = (),
) -> bytes:
    """A REST message as one server sends it to another. A body of length 0 is still a part; None is no part."""
    mark = b"--" + boundary.encode()
    out: list[bytes] = []

    def part(media_type: bytes, content: bytes) -> None:
        out.extend((mark, b"\r\ncontent-type: ", media_type, b"\r\n\r\n", content, b"\r\n"))

    for answer in ocsp:
        part(OCSP, answer)
    part(REST_RESPONSE if response else REST_REQUEST, message)
    if body is not None:
        part(REST_BODY, body)
    if chain is not None:
        part(CHAIN_RESULT, chain.result)
        part(CHAIN, chain.chain)
    part(SIGNATURE, signature)
    out.extend((mark, b"--\r\n"))
    return b"".join(out)


# what may follow what: part order as a small state machine
_START, _MESSAGE, _BODY, _RESULT, _CHAINED, _END = range(6)


class Decoder:
    """Takes a multipart body in pieces: `feed` as bytes arrive, `finish` at the end gives the TransportMessage.

    Raises MessageMalformed or MessageTooLarge as soon as that is known; after that the object is not used again.
    """

    def __init__(self, boundary: str, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._delimiter = b"\r\n--" + boundary.encode()
        # the first delimiter may stand at the very start: pretend the line before it ended
        self._buffer = bytearray(b"\r\n")
        self._headers: dict[bytes, bytes] | None = None  # of the part being read
        self._preamble = True
        self._closed = False
        self._state = _START
        self._scanned = 0
        self.message = TransportMessage()

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while not self._closed:
            if self._preamble:
                if not self._skip_preamble():
                    return
            elif self._headers is None:
                if not self._read_headers():
                    return
            elif not self._read_body():
                return

    def finish(self) -> TransportMessage:
        if not self._closed:
            raise MessageMalformed(where="end", reason="it ends before its closing boundary")
        if self._buffer.strip():
            raise MessageMalformed(where="end", reason="something follows the closing boundary")
        message = self.message
        if message.fault is None and not message.signature:
            raise MessageMalformed(where="signature", reason="it has none")
        if (message.chain is None) != (message.chain_result is None):
            raise MessageMalformed(where="hash chain", reason="one of its two parts is missing")
        return message

    def _skip_preamble(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            if len(self._buffer) > _MAX_HEADER:
                raise MessageMalformed(where="start", reason="no boundary was found")
            return False
        return self._after_delimiter(at)

    def _after_delimiter(self, at: int) -> bool:
        """Step over the delimiter at `at`. False when more bytes are needed to see whether it closes."""
        end = at + len(self._delimiter)
        if len(self._buffer) < end + 2:
            return False
        following = bytes(self._buffer[end : end + 2])
        if following == b"--":
            self._closed = True
        elif following != b"\r\n":
            raise MessageMalformed(where="boundary", reason="it is followed by something else than a line end")
        del self._buffer[: end + 2]
        self._preamble = False
        self._headers = None
        self._scanned = 0
        return True

    def _read_headers(self) -> bool:
        if self._buffer.startswith(b"\r\n"):
            block, size = b"", 2
        else:
            at = self._buffer.find(b"\r\n\r\n")
            if at < 0:
                if len(self._buffer) > _MAX_HEADER:
                    raise MessageTooLarge(what="header block of a part", limit=_MAX_HEADER)
                return False
            block, size = bytes(self._buffer[:at]), at + 4
        headers: dict[bytes, bytes] = {}
        for line in block.split(b"\r\n") if block else ():
            name, colon, value = line.partition(b":")
            if not colon or name.strip().lower() in headers:
                raise MessageMalformed(where="part header", reason="a line is not a header, or one comes twice")
            headers[name.strip().lower()] = value.strip()
        del self._buffer[:size]
        self._headers = headers
        self._check_order(_media_type(headers))
        return True

    def _read_body(self) -> bool:
        assert self._headers is not None
        # an empty part may have its delimiter straight after the header block's blank line
        start = max(0, self._scanned - len(self._delimiter))
        at = self._buffer.find(self._delimiter, start)
        media_type = _media_type(self._headers)
        limit = self._limit_of(media_type)
        if at < 0:
            self._scanned = len(self._buffer)
            if len(self._buffer) > limit + len(self._delimiter):
                raise MessageTooLarge(what=_name(media_type), limit=limit)
            return False
        if at > limit:
            raise MessageTooLarge(what=_name(media_type), limit=limit)
        if len(self._buffer) < at + len(self._delimiter) + 2:
            return False
        body, headers = bytes(self._buffer[:at]), self._headers
        self._after_delimiter(at)
        self._take(Part(media_type, headers, body))
        return True

    def _limit_of(self, media_type: bytes) -> int:
        if media_type in {REST_BODY, NESTED}:
            return self._limits.body
        if media_type in {REST_REQUEST, REST_RESPONSE, SOAP, XOP}:
            return self._limits.message
        return _SMALL_PART

    def _check_order(self, media_type: bytes) -> None:
        """Refuse a part that may not stand here before its body is read."""
        state = self._state
        allowed: tuple[bytes, ...]
        if state == _START:
            allowed = (OCSP, REST_REQUEST, REST_RESPONSE, SOAP, XOP)
        elif state == _MESSAGE:
            allowed = (REST_BODY, NESTED, CHAIN_RESULT, SIGNATURE, SOAP)
        elif state == _BODY:
            allowed = (CHAIN_RESULT, SIGNATURE, SOAP)
        elif state == _RESULT:
            allowed = (CHAIN,)
        elif state == _CHAINED:
            allowed = (SIGNATURE, SOAP)
        else:
            raise MessageMalformed(where="end", reason="a part follows the signature")
        if media_type not in allowed:
            raise MessageMalformed(where="part order", reason=f"{_name(media_type)} may not stand here")

    def _take(self, part: Part) -> None:
        message, kind = self.message, part.media_type
        if kind == OCSP:
            if len(message.ocsp) >= self._limits.ocsp_responses:
                raise MessageTooLarge(what="number of OCSP answers", limit=self._limits.ocsp_responses)
            message.ocsp.append(part.body)
        elif self._state == _START:
            message.kind, message.message = kind, part.body
            self._state = _MESSAGE
        elif kind == REST_BODY:
            if message.kind not in {REST_REQUEST, REST_RESPONSE}:
                raise MessageMalformed(where="part order", reason="a REST body follows a SOAP message")
            message.body = part.body
            self._state = _BODY
        elif kind == NESTED:
            message.nested = part
            self._state = _BODY
        elif kind == CHAIN_RESULT:
            message.chain_result = part.body
            self._state = _RESULT
        elif kind == CHAIN:
            message.chain = part.body
            self._state = _CHAINED
        elif kind == SIGNATURE:
            message.signature = part.body
            self._state = _END
        else:
            message.fault = part.body
            self._state = _END


def _media_type(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";")[0].strip().lower()


def _name(media_type: bytes) -> str:
    return f"part {media_type.decode('ascii', 'replace')[:60] or '(no type)'}"
