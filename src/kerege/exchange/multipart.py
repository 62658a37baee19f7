"""The message transport between security servers: its parts, their order, and nothing after the signature.

Implements X-Road PR-MESSTRANSP as 7.x servers do it: `multipart/mixed`, parts strictly in the order OCSP answers, message,
body or attachments, hash chain result, hash chain, signature; or a SOAP fault in place of the signature, or of everything. The decoder takes bytes
as they come, holds at most what its limits allow, and puts a big body into a `Spool` while it arrives. Writing is in `parts`. What
the parts mean together is checked by `xades_verify`, `rest` and `soap`; the attachments within a nested part are read by `mime`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kerege.exchange import faults
from kerege.exchange.bodies import MEMORY, Body, BodyWriter, close_body
from kerege.exchange.errors import MessageMalformed, MessageTooLarge
from kerege.exchange.hashchain import HashChain
from kerege.exchange.parts import (
    CHAIN,
    CHAIN_RESULT,
    NESTED,
    OCSP,
    REST_BODY,
    REST_REQUEST,
    REST_RESPONSE,
    SIGNATURE,
    SOAP,
    XOP,
    content_type,
    encode_message,
    encode_rest,
    new_boundary,
)

__all__ = [
    "CHAIN",
    "CHAIN_RESULT",
    "NESTED",
    "OCSP",
    "REST_BODY",
    "REST_REQUEST",
    "REST_RESPONSE",
    "SIGNATURE",
    "SOAP",
    "XOP",
    "Decoder",
    "Limits",
    "Part",
    "TransportMessage",
    "boundary_of",
    "content_type",
    "encode_message",
    "encode_rest",
    "new_boundary",
]

_MAX_HEADER: Final = 16 * 1024
_SMALL_PART: Final = 4 * 1024 * 1024
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the parts of a message may be, in bytes, and how many OCSP answers there may be.

    `memory` is how much of a body (or of the nested attachments) stays in memory where a `spool` folder takes the rest.
    """

    message: int = 1024 * 1024
    body: int = 20 * 1024 * 1024
    ocsp_responses: int = 8
    memory: int = MEMORY
    spool: Path | None = None


@dataclass(slots=True)
class Part:
    """One part: its media type (lower case, no parameters), its header block, its exact body."""

    media_type: bytes
    headers: dict[bytes, bytes]
    body: Body


@dataclass(slots=True)
class TransportMessage:
    """A decoded message. `fault` is the SOAP fault that stood where the signature should be, or in place of everything."""

    ocsp: list[bytes] = field(default_factory=list)
    kind: bytes = b""
    message: bytes = b""
    body: Body | None = None
    nested: Part | None = None
    chain_result: bytes | None = None
    chain: bytes | None = None
    signature: bytes = b""
    fault: bytes | None = None
    headers: dict[bytes, bytes] = field(default_factory=dict)  # of the part `message`, by lower-case name

    def close(self) -> None:
        """Give back what its bodies hold on disk."""
        close_body(self.body)
        if self.nested is not None:
            close_body(self.nested.body)

    @property
    def hash_chain(self) -> HashChain | None:
        if self.chain_result is None or self.chain is None:
            return None
        return HashChain(self.chain_result, self.chain)


def boundary_of(content_type_header: str) -> str:
    """The boundary named in a Content-Type header of multipart/mixed."""
    if not content_type_header.strip().lower().startswith("multipart/mixed"):
        raise MessageMalformed(where="Content-Type", reason="it is not multipart/mixed")
    match = _BOUNDARY.search(content_type_header)
    if match is None:
        raise MessageMalformed(where="Content-Type", reason="it names no boundary")
    return match[1] or match[2]


# what may follow what: part order as a small state machine
_START, _MESSAGE, _BODY, _RESULT, _CHAINED, _END = range(6)


class Decoder:
    """Takes a multipart body in pieces: `feed` as bytes arrive, `finish` at the end gives the TransportMessage.

    Raises MessageMalformed, MessageTooLarge or BodyRefused as soon as that is known; after that the object is not used again. What
    is not wanted any more is given back by `close`, the message's bodies included.
    """

    def __init__(self, boundary: str, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._delimiter = b"\r\n--" + boundary.encode()
        # the first delimiter may stand at the very start: pretend the line before it ended
        self._rest = b"\r\n"
        self._headers: MappingProxyType[bytes, bytes] | None = None  # of the part being read
        self._media_type = b""
        self._writer: BodyWriter | None = None  # what came of its body, when that did not come whole
        self._preamble = True
        self._closed = False
        self._state = _START
        self.message = TransportMessage()

    def feed(self, data: bytes) -> None:
        try:
            self._feed(self._rest + data if self._rest else data)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.discard()
        self.message.close()

    def finish(self) -> TransportMessage:
        try:
            return self._finish()
        except BaseException:
            self.close()
            raise

    def _finish(self) -> TransportMessage:
        if not self._closed:
            raise MessageMalformed(where="end", reason="it ends before its closing boundary")
        message = self.message
        if message.fault is None and not message.signature:
            if self._state != _MESSAGE or message.kind != SOAP or not _is_fault(message.message):
                raise MessageMalformed(where="signature", reason="it has none")
            # what went wrong before there was an answer to send, as X-Road's servers write it: the fault is all there is
            message.fault = message.message
        if (message.chain is None) != (message.chain_result is None):
            raise MessageMalformed(where="hash chain", reason="one of its two parts is missing")
        return message

    def _feed(self, buffer: bytes) -> None:
        """One pass over the bytes at hand; what cannot be judged yet is kept for the next."""
        at = 0
        while not self._closed:
            if self._preamble:
                after = self._skip_preamble(buffer)
            elif self._headers is None:
                after = self._read_headers(buffer, at)
            else:
                after = self._read_body(buffer, at)
            if after < 0:
                self._rest = buffer[~after:]  # ~position: from there on more is needed
                return
            at = after
        self._rest = b""
        if at < len(buffer) and buffer[at:].strip():
            raise MessageMalformed(where="end", reason="something follows the closing boundary")

    def _skip_preamble(self, buffer: bytes) -> int:
        at = buffer.find(self._delimiter)
        if at < 0 or len(buffer) < at + len(self._delimiter) + 2:
            if len(buffer) > _MAX_HEADER:
                raise MessageMalformed(where="start", reason="no boundary was found")
            return ~0
        self._preamble = False
        return self._after_delimiter(buffer, at)

    def _after_delimiter(self, buffer: bytes, at: int) -> int:
        """Step over the delimiter at `at` and the two bytes after it."""
        end = at + len(self._delimiter)
        following = buffer[end : end + 2]
        if following == b"--":
            self._closed = True
        elif following != b"\r\n":
            raise MessageMalformed(where="boundary", reason="it is followed by something else than a line end")
        self._headers = None
        return end + 2

    def _read_headers(self, buffer: bytes, at: int) -> int:
        if buffer.startswith(b"\r\n", at):
            block, after = b"", at + 2
        else:
            end = buffer.find(b"\r\n\r\n", at, at + _MAX_HEADER + 4)
            if end < 0:
                if len(buffer) - at > _MAX_HEADER:
                    raise MessageTooLarge(what="header block of a part", limit=_MAX_HEADER)
                return ~at
            block, after = buffer[at:end], end + 4
        self._headers, self._media_type = _common_headers(block) if len(block) < 100 else _part_headers(block)
        self._check_order(self._media_type)
        return after

    def _read_body(self, buffer: bytes, at: int) -> int:
        delimiter = self._delimiter
        end = buffer.find(delimiter, at)
        if end < 0:
            # all but what may be the beginning of a delimiter is the body's
            end = buffer.find(b"\r", max(at, len(buffer) - len(delimiter) + 1))
            end = len(buffer) if end < 0 else end
            self._write(buffer[at:end])
            return ~end
        if len(buffer) < end + len(delimiter) + 2:
            self._write(buffer[at:end])
            return ~end
        if self._writer is not None or end - at > self._limits.memory:
            self._write(buffer[at:end])
            assert self._writer is not None
            body, self._writer = self._writer.finish(), None
        else:
            body = buffer[at:end]
            if len(body) > self._limit_of(self._media_type):
                raise MessageTooLarge(what=_name(self._media_type), limit=self._limit_of(self._media_type))
        try:
            self._take(body)
        except BaseException:
            close_body(body)
            raise
        return self._after_delimiter(buffer, end)

    def _write(self, data: bytes) -> None:
        if self._writer is None:
            kind, limits = self._media_type, self._limits
            folder = limits.spool if kind in {REST_BODY, NESTED} else None
            self._writer = BodyWriter(self._limit_of(kind), memory=limits.memory, folder=folder, what=_name(kind))
        if data:
            self._writer.write(data)

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

    def _take(self, body: Body) -> None:
        message, kind = self.message, self._media_type
        if kind == REST_BODY:
            if message.kind not in {REST_REQUEST, REST_RESPONSE}:
                raise MessageMalformed(where="part order", reason="a REST body follows a SOAP message")
            message.body = body
            self._state = _BODY
        elif kind == NESTED:
            message.nested = Part(kind, dict(self._headers or {}), body)
            self._state = _BODY
        else:
            assert isinstance(body, bytes)  # only the two above have a folder to go to
            self._take_small(kind, body)

    def _take_small(self, kind: bytes, body: bytes) -> None:
        message = self.message
        if kind == OCSP:
            if len(message.ocsp) >= self._limits.ocsp_responses:
                raise MessageTooLarge(what="number of OCSP answers", limit=self._limits.ocsp_responses)
            message.ocsp.append(body)
        elif self._state == _START:
            message.kind, message.message = kind, body
            message.headers = dict(self._headers or {})
            self._state = _MESSAGE
        elif kind == CHAIN_RESULT:
            message.chain_result = body
            self._state = _RESULT
        elif kind == CHAIN:
            message.chain = body
            self._state = _CHAINED
        elif kind == SIGNATURE:
            message.signature = body
            self._state = _END
        else:
            message.fault = body
            self._state = _END


def _part_headers(block: bytes) -> tuple[MappingProxyType[bytes, bytes], bytes]:
    """A part's headers by lower-case name, and its media type."""
    headers: dict[bytes, bytes] = {}
    for line in block.split(b"\r\n") if block else ():
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if not colon or name in headers:
            raise MessageMalformed(where="part header", reason="a line is not a header, or one comes twice")
        headers[name] = value.strip()
    media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    return MappingProxyType(headers), media_type


# every message has the same few short blocks
_common_headers: Final = lru_cache(256)(_part_headers)


def _is_fault(data: bytes) -> bool:
    try:
        return faults.from_soap(data) is not None
    except MessageMalformed:
        return False


def _name(media_type: bytes) -> str:
    return f"part {media_type.decode('ascii', 'replace')[:60] or '(no type)'}"
