"""What MIME says about an envelope, kept from saying that it is another one.

The headers of a SOAP message's own part and the Content-Type around it are signed by nobody (X-Road PR-MESSTRANSP), yet a reader that
follows RFC 2045 and RFC 2387 decodes the part by its Content-Transfer-Encoding and its charset, and looks for the envelope where `start`
points. Nodes decide, sign and log what the bytes say as they stand, so whatever would make such a reader see something else is refused;
of the part's headers only those go on that SOAP with attachments and MTOM need. Attachments are read by whoever asked for them: their
headers are `mime`'s. Which encodings an envelope may have is `safexml`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from kerege.exchange.bodies import Attachment
from kerege.exchange.contenttype import RELATED, SOAP_TYPES, ContentType, content_type
from kerege.exchange.soap_errors import ContentTypeInvalid, MimeMalformed

Headers = tuple[tuple[bytes, bytes], ...]

_CONTENT_TYPE: Final = b"content-type"
_CONTENT_ID: Final = b"content-id"
_ENCODING: Final = b"content-transfer-encoding"
# by what a reader finds and understands the part (RFC 2387, SOAP with Attachments, XOP); nothing else, Content-Encoding least of all
_KEPT: Final = frozenset({_CONTENT_TYPE, _CONTENT_ID, _ENCODING, b"content-location", b"content-description"})
_AS_THEY_STAND: Final = frozenset({b"7bit", b"8bit", b"binary"})
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def header(headers: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key.lower() == name), None)


def kept(kind: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those headers of the SOAP part that go on. Raises MimeMalformed or ContentTypeInvalid.

    kind   what the message was taken for: `parts.SOAP` or `parts.XOP`
    """
    out: list[tuple[bytes, bytes]] = []
    seen: set[bytes] = set()
    for name, value in headers:
        lowered = name.lower()
        if lowered not in _KEPT:
            continue
        if lowered in seen or _BAD_VALUE.search(value):
            raise MimeMalformed(where="SOAP part", reason="one of its headers comes twice, or is two")
        seen.add(lowered)
        if lowered == _ENCODING and value.strip().lower() not in _AS_THEY_STAND:
            raise MimeMalformed(where="SOAP part", reason="its Content-Transfer-Encoding is not 7bit, 8bit or binary")
        if lowered == _CONTENT_TYPE and _type(value).media_type.encode() != kind:
            raise ContentTypeInvalid(what="the SOAP part", reason="it is not what the message came as")
        out.append((name, value))
    return tuple(out)


def charsets(outer: str, headers: Headers) -> tuple[str, ...]:
    """Every charset a reader could read the envelope in: of the message's Content-Type where that is SOAP's own, of the part's."""
    out = []
    said = usable(outer)
    if said is not None and said.media_type in SOAP_TYPES and said.charset:
        out.append(said.charset)
    found = header(headers, _CONTENT_TYPE)
    if found is not None and (charset := _type(found).charset):
        out.append(charset)
    return tuple(out)


def check_start(outer: str, headers: Headers, attachments: Sequence[Attachment]) -> None:
    """Raises MimeMalformed when a reader that goes by `start` would take an attachment for the envelope."""
    said = usable(outer)
    if said is None or said.media_type != RELATED or "start" not in said.parameters:
        return
    start = _plain(said.parameters["start"].encode("latin-1", "replace"))
    own = header(headers, _CONTENT_ID)
    if own is not None and _plain(own) != start:
        raise MimeMalformed(where="Content-Type", reason="its start is not the Content-ID of the first part")
    for attachment in attachments:
        found = header(attachment.headers, _CONTENT_ID)
        if found is not None and _plain(found).lower() == start.lower():
            raise MimeMalformed(where="Content-Type", reason="its start is the Content-ID of an attachment")


def usable(outer: str) -> ContentType | None:
    """The Content-Type a message came under, where it can be used again for what is sent on; None where a new one is made."""
    if not outer.isascii() or not outer.isprintable():
        return None
    try:
        said = content_type(outer)
        return said if said.media_type != RELATED or said.boundary else None
    except ContentTypeInvalid:
        return None


def _type(value: bytes) -> ContentType:
    return content_type(value.decode("latin-1"), "the SOAP part")


def _plain(name: bytes) -> bytes:
    return name.strip().removeprefix(b"<").removesuffix(b">").strip()
