"""SOAP messages with attachments: `multipart/related` of clients and agencies' systems, and the nested multipart between servers.

Implements what PR-MESS section 3 (attachments, MTOM) and PR-MESSTRANSP ask of MIME (RFC 2046): the SOAP part first, every attachment's
body kept byte for byte as it was sent (that is what is hashed; a base64 part stays base64), its headers carried on. Lines may end with
LF alone, as X-Road's own reader allows; a multipart inside a multipart is opened and its parts counted as attachments, as that reader
does, so that both ends hash the same. Which headers of the SOAP part go on is `soappart`'s affair, what it says `soap`'s; parts between
servers are `multipart`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kerege.exchange.bodies import MEMORY, Attachment, Body, BodyWriter, body_bytes, body_chunks, body_size
from kerege.exchange.contenttype import RELATED, SOAP_TYPES, ContentType, content_type
from kerege.exchange.errors import MessageTooLarge
from kerege.exchange.multipart import Part
from kerege.exchange.soap_errors import ContentTypeInvalid, MimeMalformed, SoapMissing
from kerege.exchange.soappart import Headers as Headers
from kerege.exchange.soappart import check_start, kept
from kerege.exchange.soappart import header as header

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """Bounds that hold before work is done; sizes in bytes. The whole message's size is bounded where it is received."""

    parts: int = 500
    header_block: int = 16 * 1024
    header_lines: int = 50
    soap: int = 10 * 1024 * 1024
    attachment: int = 1 << 40
    depth: int = 3
    memory: int = MEMORY
    spool: Path | str | None = None


@dataclass(frozen=True, slots=True)
class SoapParts:
    """A SOAP message as it came over HTTP: the media type and headers of its SOAP part, the exact SOAP bytes, the attachments.

    unfinished   it broke off in its last boundary; only of a fault is that let pass
    """

    kind: bytes
    charset: str
    headers: Headers
    soap: bytes
    attachments: tuple[Attachment, ...] = ()
    unfinished: bool = False


def read(content_type_header: str, body: Body, limits: MimeLimits | None = None) -> SoapParts:
    """The SOAP message in an HTTP body. Raises ContentTypeInvalid, MimeMalformed, SoapMissing or MessageTooLarge."""
    limits = limits or MimeLimits()
    said = content_type(content_type_header)
    if said.media_type in SOAP_TYPES:
        return SoapParts(said.media_type.encode(), said.charset, (), _soap(body, limits))
    if said.media_type != RELATED:
        raise ContentTypeInvalid(what="the message", reason="it is neither text/xml nor multipart/related")
    parts, unfinished = _parts(said.boundary, body, limits)
    if not parts:
        raise SoapMissing()
    first, *others = parts
    kind = _type_of(first)
    if kind.media_type not in SOAP_TYPES:
        raise ContentTypeInvalid(what="the first part", reason="it is not text/xml or application/xop+xml")
    media_type = kind.media_type.encode()
    headers = kept(media_type, first.headers)
    attachments = _flat(others, limits, 1)
    check_start(content_type_header, headers, attachments)
    return SoapParts(media_type, kind.charset, headers, _soap(first.body, limits), attachments, unfinished)


def decode_nested(part: Part, limits: MimeLimits | None = None) -> tuple[Attachment, ...]:
    """The attachments in the nested `multipart/mixed` of the transport between servers."""
    limits = limits or MimeLimits()
    boundary = content_type(part.headers.get(b"content-type", b"").decode("latin-1"), "the attachments").boundary
    parts, unfinished = _parts(boundary, part.body, limits)
    if unfinished:
        raise MimeMalformed(where="end", reason="it ends before its closing boundary")
    return _flat(parts, limits, 1)


def _soap(body: Body, limits: MimeLimits) -> bytes:
    if body_size(body) > limits.soap:
        raise MessageTooLarge(what="SOAP part", limit=limits.soap)
    return body_bytes(body)


def _type_of(part: Attachment) -> ContentType:
    found = header(part.headers, b"content-type")
    if found is None:
        raise ContentTypeInvalid(what="a part", reason="it has none")
    return content_type(found.decode("latin-1"), "a part")


def _flat(parts: Iterable[Attachment], limits: MimeLimits, depth: int) -> tuple[Attachment, ...]:
    """Attachments; the parts of a multipart among them in its place."""
    out: list[Attachment] = []
    for part in parts:
        kind = _type_of(part)
        if not kind.media_type.startswith("multipart/"):
            out.append(part)
            continue
        if depth >= limits.depth:
            raise MimeMalformed(where="parts", reason=f"multiparts stand in one another more than {limits.depth} deep")
        inner, unfinished = _parts(kind.boundary, part.body, replace(limits, parts=limits.parts - len(out)))
        if unfinished:
            raise MimeMalformed(where="end", reason="a multipart inside ends before its closing boundary")
        out += _flat(inner, replace(limits, parts=limits.parts - len(out)), depth + 1)
        if len(out) > limits.parts:
            raise MimeMalformed(where="parts", reason=f"there are more than {limits.parts}")
    return tuple(out)


def _parts(boundary: str, body: Body, limits: MimeLimits) -> tuple[list[Attachment], bool]:
    reader = _Reader(boundary, limits)
    for piece in body_chunks(body):
        reader.feed(piece)
    return reader.finish()


_PREAMBLE, _HEADERS, _BODY, _EPILOGUE = range(4)


class _Reader:
    """Takes a multipart in pieces. Memory: one piece, one header block, and what `limits.memory` allows each part."""

    def __init__(self, boundary: str, limits: MimeLimits) -> None:
        self._limits = limits
        self._mark = b"\n--" + boundary.encode("ascii")
        self._buffer = bytearray(
            b"\n"
        )  # the first delimiter may stand at the very start: as if a line had ended before it
        self._state = _PREAMBLE
        self._fresh = True  # the buffer begins with a line end that did not come here
        self._headers: Headers = ()
        self._writer: BodyWriter | None = None
        self.parts: list[Attachment] = []

    def feed(self, data: bytes) -> None:
        self._buffer += data
        self._advance(last=False)

    def finish(self) -> tuple[list[Attachment], bool]:
        """The parts, and whether the message broke off within its very last boundary."""
        self._advance(last=True)
        if self._state == _EPILOGUE:
            return self.parts, False
        if self._state == _PREAMBLE:
            return [], False  # no boundary at all: whoever asked says what is missing
        if self._state == _HEADERS and not self._buffer and self.parts:
            return self.parts, True
        raise MimeMalformed(where="end", reason="it ends before its closing boundary")

    def _advance(self, *, last: bool) -> None:
        while self._state != _EPILOGUE:
            if self._state == _HEADERS:
                if not self._read_headers():
                    return
            elif not self._find_delimiter(last=last):
                return
        self._buffer.clear()  # what follows the closing boundary belongs to nobody, and is not kept

    def _find_delimiter(self, *, last: bool) -> bool:
        """One step: to the next delimiter, or as far as is known to hold none. False when more bytes are needed."""
        buffer, mark = self._buffer, self._mark
        at = buffer.find(mark)
        if at < 0:
            keep = len(mark) + 1  # a delimiter may have begun, with the CR of its line end before it
            if len(buffer) > keep:
                self._take(bytes(buffer[:-keep]))
                del buffer[:-keep]
            if last and self._state == _PREAMBLE:
                buffer.clear()
            return False
        end = at + len(mark)
        line = buffer.find(b"\n", end)
        if line < 0 and not last and len(buffer) - end < 256:
            return False
        rest = bytes(buffer[end : line if line >= 0 else None])
        closing = rest.startswith(b"--")
        if (rest[2:] if closing else rest).strip(b" \t\r") or (line < 0 and len(rest) >= 256):
            raise MimeMalformed(where="boundary", reason="a line begins with the boundary and goes on")
        start = at - 1 if at and buffer[at - 1] == 0x0D else at
        self._take(bytes(buffer[:start]))
        self._end_part()
        del buffer[: line + 1 if line >= 0 else len(buffer)]
        self._state = _EPILOGUE if closing else _HEADERS
        return True

    def _take(self, data: bytes) -> None:
        if data and self._fresh:
            data, self._fresh = data[1:], False
        if self._writer is not None and data:
            self._writer.write(data)

    def _end_part(self) -> None:
        if self._writer is not None:
            self.parts.append(Attachment(self._headers, self._writer.finish()))
            self._writer = None

    def _read_headers(self) -> bool:
        buffer, limit = self._buffer, self._limits.header_block
        if buffer.startswith((b"\n", b"\r\n")):  # no header at all
            block, size = b"", 0
        else:
            ends = [at for at in (buffer.find(b"\n\n"), buffer.find(b"\n\r\n")) if at >= 0]
            if not ends or min(ends) > limit:
                if len(buffer) > limit:
                    raise MessageTooLarge(what="header block of a part", limit=limit)
                return False
            size = min(ends) + 1
            block = bytes(buffer[:size])
        if b"\n" + block[: len(self._mark) - 1] == self._mark or self._mark in block:
            raise MimeMalformed(where="part header", reason="a part has no body")
        if len(self.parts) >= self._limits.parts:
            raise MimeMalformed(where="parts", reason=f"there are more than {self._limits.parts}")
        self._headers = _header_lines(block, self._limits.header_lines)
        blank = 2 if buffer.startswith(b"\r\n", size) else 1
        # a delimiter may follow at once: the blank line's end counts as the one before it, and is no part of the body
        buffer[: size + blank] = b"\n"
        self._fresh = True
        limits = self._limits
        self._writer = BodyWriter(limits.attachment, memory=limits.memory, folder=limits.spool, what="attachment")
        self._state = _BODY
        return True


def _header_lines(block: bytes, most: int) -> Headers:
    unfolded = re.sub(rb"\r?\n[ \t]+", b" ", block)
    out: list[tuple[bytes, bytes]] = []
    for line in unfolded.replace(b"\r\n", b"\n").split(b"\n"):
        if not line:
            continue
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not _NAME.match(name) or _BAD_VALUE.search(value):
            raise MimeMalformed(where="part header", reason="a line is not a header")
        if len(out) >= most:
            raise MimeMalformed(where="part header", reason=f"there are more than {most} lines")
        if any(name.lower() == other.lower() for other, _ in out):
            raise MimeMalformed(where="part header", reason="one comes twice")
        out.append((name, value))
    return tuple(out)
