"""The names of the fields an answer holds, from its JSON or XML structure; no value is looked at beyond its kind.

A key of an object can itself be a value (a map by PIN, by name, by day). So a key counts as a name only when it is written as programmers write
names and has hardly a digit, and an object with very many keys is taken for a map; all else becomes `*`. Names that too few answers have
are withheld later (`nodes`): one person's own key is never in many.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from kerege.catalogue.inventory.masks import personal
from kerege.exchange.safexml import parse_document

LARGEST: Final = 2 * 1024 * 1024
_DEEPEST: Final = 12
_MOST_KEYS: Final = 200
_MOST_NAMES: Final = 1_000
_MOST_VISITS: Final = 50_000
_NAME: Final = re.compile(r"[^\W\d][\w$@:.-]{0,63}\Z")
_DIGITS: Final = re.compile(r"\d")
_BODY: Final = "{http://schemas.xmlsoap.org/soap/envelope/}Body"


def fields_of(content: bytes) -> dict[str, str] | None:
    """Path -> kind (`string`, `integer`, `number`, `boolean`, `null`) of the leaves of an answer; None when it is neither JSON nor XML."""
    if len(content) > LARGEST:
        return None
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            return None
        return _collected(_json(document, "", 0, [0]))
    if start == b"<":
        try:
            root = parse_document(content, LARGEST)
        except ValueError:
            return None
        body = root.find(_BODY)
        top = root if body is None else next(body.iterchildren(tag=etree.Element), None)
        return None if top is None else _collected(_xml(top, "", 0, [0]))
    return None


def _collected(found: Iterator[tuple[str, str]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for path, kind in found:
        if path in names:
            if names[path] != kind and kind != "null":
                names[path] = kind if names[path] == "null" else "any"
        elif len(names) < _MOST_NAMES:
            names[path] = kind
    return names


def _json(value: Any, path: str, depth: int, visits: list[int]) -> Iterator[tuple[str, str]]:
    visits[0] += 1
    if visits[0] > _MOST_VISITS:
        return
    if isinstance(value, dict) and depth < _DEEPEST:
        plain = len(value) <= _MOST_KEYS
        for key, child in value.items():
            name = key if plain and is_name(key) else "*"
            yield from _json(child, f"{path}.{name}" if path else name, depth + 1, visits)
    elif isinstance(value, list) and depth < _DEEPEST:
        for child in value:
            yield from _json(child, f"{path}[]", depth + 1, visits)
    else:
        yield path or "(value)", _kind(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "object"


def _xml(element: etree._Element, path: str, depth: int, visits: list[int]) -> Iterator[tuple[str, str]]:
    visits[0] += 1
    if visits[0] > _MOST_VISITS:
        return
    children = list(element.iterchildren(tag=etree.Element))
    dot = f"{path}." if path else ""
    for attribute in element.attrib:
        name = etree.QName(attribute).localname
        yield f"{dot}@{name if is_name(name) else '*'}", "string"
    if not children or depth >= _DEEPEST:
        if path:
            yield path, "string"
        return
    for child in children:
        name = etree.QName(child).localname
        yield from _xml(child, f"{dot}{name if is_name(name) else '*'}", depth + 1, visits)


def is_name(key: str) -> bool:
    """Whether a key is written as the name of a field, and not as somebody's number or day."""
    return _NAME.match(key) is not None and len(_DIGITS.findall(key)) <= 2 and not personal(key)
