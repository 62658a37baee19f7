"""A SOAP message written for HTTP: to an agency's system, or back to the client, as `text/xml` or `multipart/related`.

The counterpart of `mime`: SOAP bytes and attachments stay what they were, big ones where they are; the boundary of the sender's own
Content-Type is used again when it still fits, as X-Road's servers do. The nested multipart between servers is written by `parts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from kerege.exchange.bodies import Attachment, Body, body_chunks
from kerege.exchange.contenttype import RELATED, SOAP_TYPES
from kerege.exchange.parts import XOP, new_boundary
from kerege.exchange.soap_errors import MimeMalformed
from kerege.exchange.soappart import Headers, check_start, header, usable

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def boundary_in(boundary: str, body: Body) -> bool:
    """Whether `body`, put between these boundaries, would be read as more than one part."""
    mark = b"\n--" + boundary.encode("ascii")
    tail = b"\n"  # the body stands after a line end
    for piece in body_chunks(body):
        window = tail + piece
        if mark in window:
            return True
        tail = window[-len(mark) + 1 :]
    return False


def related(
    original: str, kind: bytes, headers: Headers, soap: bytes, attachments: Sequence[Attachment]
) -> tuple[str, list[Body]]:
    """The Content-Type and the body, in pieces, that a SOAP message has over HTTP.

    original   the Content-Type it had where it came from, kept with its boundary when it still fits; another server says it, unsigned:
               a boundary that occurs in a part, or a `start` that points to an attachment, is refused: the receiver would see other parts
               than were signed
    headers    of the SOAP part; a Content-Type is made when there is none
    """
    said = usable(original)
    media_type = kind.decode("ascii", "replace")
    if said is not None and said.media_type == RELATED:
        boundary, outer = said.boundary, original.strip()
        check_start(original, headers, attachments)
        for body in (soap, *(attachment.body for attachment in attachments)):
            if boundary_in(boundary, body):
                raise MimeMalformed(where="boundary", reason="the one that is named occurs inside a part")
    elif attachments:
        boundary = new_boundary("xrel")
        outer = _made(media_type, headers, boundary)
    else:
        plain = said is not None and said.media_type in SOAP_TYPES
        return (original.strip() if plain else f"{media_type}; charset=UTF-8"), [soap]
    if header(headers, b"content-type") is None:
        headers = ((b"Content-Type", _part_type(media_type).encode()), *headers)
    if said is not None and "start" in said.parameters and header(headers, b"content-id") is None:
        headers = (*headers, (b"Content-ID", said.parameters["start"].encode("latin-1", "replace")))
    mark = b"--" + boundary.encode("ascii")
    out: list[Body] = [mark + _lines(headers), soap]
    for attachment in attachments:
        out += (b"\r\n" + mark + _lines(attachment.headers), attachment.body)
    out.append(b"\r\n" + mark + b"--\r\n")
    return outer, out


def _part_type(media_type: str) -> str:
    return (
        f'{media_type}; charset=UTF-8; type="text/xml"'
        if media_type == XOP.decode()
        else f"{media_type}; charset=UTF-8"
    )


def _made(media_type: str, headers: Headers, boundary: str) -> str:
    found = header(headers, b"content-id")
    start = f' start="{found.decode("ascii")}";' if found is not None and re.fullmatch(rb"<[!#-~]+>", found) else ""
    info = ' start-info="text/xml";' if media_type == XOP.decode() else ""
    return f'multipart/related; type="{media_type}";{start}{info} boundary="{boundary}"'


def _lines(headers: Headers) -> bytes:
    for name, value in headers:
        if not _NAME.match(name) or _BAD_VALUE.search(value):
            raise MimeMalformed(where="part header", reason="a line break stands in it")
    return b"\r\n" + b"".join([b"%b: %b\r\n" % pair for pair in headers]) + b"\r\n"


def joined(pieces: Iterable[Body]) -> Iterator[bytes]:
    """What `related` gave, to be read in order."""
    for piece in pieces:
        yield from body_chunks(piece)
