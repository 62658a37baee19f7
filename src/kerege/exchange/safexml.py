"""Reading XML that came from elsewhere: no DOCTYPE, no entities, no network, a size limit. The only lxml parser in the engine."""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

LARGEST: Final = 4 * 1024 * 1024


def parse_xml(data: bytes, largest: int = LARGEST) -> etree._Element:
    """The root element of `data`. Raises ValueError with a reason that names no content."""
    if len(data) > largest:
        raise ValueError(f"it is larger than {largest} bytes")
    if b"<!" in data.replace(b"<!--", b"").replace(b"<![CDATA[", b"") or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError("it holds a DOCTYPE, or is not UTF-8")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as problem:
        line = getattr(problem, "lineno", 0)
        raise ValueError(f"it is not well-formed XML (line {line})") from None
    return root


# Encodings in which every byte below 0x80 is that ASCII character: in others (UTF-7, UTF-16, EBCDIC, Shift-JIS) markup can hide.
_ENCODINGS: Final = re.compile(r"(?:utf-8|us-ascii|iso-8859-(?:[1-9]|1[013-6])|windows-125[0-8]|koi8-[ru])\Z")
_DECLARATION: Final = re.compile(
    rb"<\?xml\s+version\s*=\s*[\"']1\.0[\"'](?:\s+encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"'])?[^<>]*?\?>"
)
_PROLOG: Final = re.compile(rb"(?:\s+|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"


def keeps_ascii(encoding: str) -> bool:
    """Whether every byte below 0x80 is that ASCII character in `encoding`."""
    return _ENCODINGS.match(encoding) is not None


def encoding_of(data: bytes) -> str:
    """The encoding that `data` declares, in lower case; utf-8 when it declares none. Raises ValueError for one that could hide markup."""
    text = data.removeprefix(_BOM)
    if not text.startswith(b"<?xml"):
        return "utf-8"
    declaration = _DECLARATION.match(text)
    if declaration is None:
        raise ValueError("its XML declaration cannot be read, or is not of XML 1.0")
    encoding = (declaration[1] or b"utf-8").decode("ascii").lower()
    if not keeps_ascii(encoding) or (text is not data and encoding != "utf-8"):
        raise ValueError("its encoding is not one that is read")
    return encoding


def parse_document(data: bytes, largest: int = LARGEST) -> etree._Element:
    """The root of a whole document: as `parse_xml`, but a byte order mark, declared single-byte encodings and `<!` in CDATA may be.

    A DOCTYPE can stand only before the root element: that stretch is looked at before any parser sees it.
    """
    if len(data) > largest:
        raise ValueError(f"it is larger than {largest} bytes")
    encoding_of(data)
    text = data.removeprefix(_BOM)
    start = _PROLOG.match(text)
    if start is None or text[start.end() : start.end() + 1] != b"<":
        raise ValueError("it is not XML")
    if text[start.end() : start.end() + 2] == b"<!":
        raise ValueError("it holds a DOCTYPE")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=False)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as problem:
        raise ValueError(f"it is not well-formed XML (line {getattr(problem, 'lineno', 0)})") from None
