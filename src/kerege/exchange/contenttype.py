"""Content-Type headers, read strictly: whoever reads a boundary otherwise than we do reads other parts than were signed.

Implements RFC 2045 (the header), RFC 2046 (what a boundary may be); used for SOAP with attachments (`mime`, `mimewrite`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kerege.exchange.soap_errors import ContentTypeInvalid

RELATED: Final = "multipart/related"
SOAP_TYPES: Final = frozenset({"text/xml", "application/xop+xml"})

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_MEDIA_TYPE: Final = re.compile(r"[!#$&^_.+\-0-9A-Za-z]+/[!#$&^_.+\-0-9A-Za-z]+\Z")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]\Z")
_PARAMETER: Final = re.compile(r'\s*([^=;\s"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]+))\s*(?:;|\Z)')


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type header taken apart: media type in lower case, parameters by lower-case name."""

    media_type: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def boundary(self) -> str:
        """Raises ContentTypeInvalid when none is named, or one that RFC 2046 does not allow."""
        found = self.parameters.get("boundary")
        if found is None or not _BOUNDARY.match(found):
            raise ContentTypeInvalid(what="the message", reason="it names no boundary, or one that cannot be")
        return found

    @property
    def charset(self) -> str:
        return self.parameters.get("charset", "")


def content_type(text: str, what: str = "the message") -> ContentType:
    """Raises ContentTypeInvalid for what two readers could read differently: a parameter twice, something that is none."""
    head, _, rest = text.partition(";")
    media_type = head.strip().lower()
    if not _MEDIA_TYPE.match(media_type):
        raise ContentTypeInvalid(what=what, reason="it is missing, or not a media type")
    parameters: dict[str, str] = {}
    at = 0
    while rest[at:].strip(" \t;"):
        at += len(rest[at:]) - len(rest[at:].lstrip(" \t;"))
        found = _PARAMETER.match(rest, at)
        if found is None:
            raise ContentTypeInvalid(what=what, reason="one of its parameters cannot be read")
        name = found[1].lower()
        if name in parameters or not _TOKEN.match(name) or len(parameters) >= 20:
            raise ContentTypeInvalid(what=what, reason="a parameter comes twice, or there are too many")
        parameters[name] = re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        at = found.end()
    return ContentType(media_type, parameters)
