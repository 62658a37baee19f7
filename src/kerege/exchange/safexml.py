"""Reading XML that came from elsewhere: no DOCTYPE, no entities, no network, a size limit. The only lxml parser in the engine."""

from __future__ import annotations

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
