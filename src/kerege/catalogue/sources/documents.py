"""Reading JSON and YAML that strangers wrote: bounds first, nothing expanded, nothing fetched, no surprises in the types.

YAML is read as YAML 1.2's core schema (so that a code `no` or `on` stays a text, and a version `1.10` keeps its nought in texts that are
quoted). An alias is the same object again, never a copy; merge keys (`<<`) are refused, because they are not YAML 1.2 and copying them
is how a page of aliases becomes gigabytes. Bounds are on bytes, depth and number of nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.catalogue.errors import DescriptionBroken, DescriptionTooLarge

LARGEST: Final = 10 * 1024 * 1024
DEEPEST: Final = 100
MOST_NODES: Final = 300_000
_NULL: Final = {"", "~", "null", "Null", "NULL"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,300}\Z")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


def size_of(path: Path) -> int:
    """The size of a description, before anything of it is read. Raises DescriptionTooLarge."""
    size = path.stat().st_size
    if size > LARGEST:
        raise DescriptionTooLarge(source=path.name, place="the file", limit=LARGEST, what="bytes")
    return size


def read_document(path: Path) -> Any:
    """The document in `path`, JSON or YAML. Raises DescriptionBroken or DescriptionTooLarge naming the line."""
    size_of(path)
    return parse_document(path.read_bytes(), path.name)


def parse_document(data: bytes, source: str) -> Any:
    """As `read_document`, of bytes that are here already."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        found = _json(data, source)
        if found is not None:
            return found
    return _yaml(data, source)


def _json(data: bytes, source: str) -> Any:
    try:
        document = json.loads(data)
    except RecursionError:
        raise DescriptionTooLarge(source=source, place="the document", limit=DEEPEST, what="levels") from None
    except ValueError:
        return None  # YAML's flow style begins the same way
    count = 0
    waiting = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > DEEPEST or count > MOST_NODES:
            what, limit = ("levels", DEEPEST) if depth > DEEPEST else ("values", MOST_NODES)
            raise DescriptionTooLarge(source=source, place="the document", limit=limit, what=what)
        if isinstance(value, dict):
            waiting.extend((child, depth + 1) for child in value.values())
        elif isinstance(value, list):
            waiting.extend((child, depth + 1) for child in value)
    return document


def _yaml(data: bytes, source: str) -> Any:
    try:
        _bounded(data, source)
        root = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else "the document"
        raise DescriptionBroken(source=source, place=place, reason="it is neither JSON nor YAML") from None
    except UnicodeDecodeError:
        raise DescriptionBroken(source=source, place="the document", reason="it is not UTF-8") from None
    return None if root is None else _Builder(source).value(root)


def _bounded(data: bytes, source: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(data, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST or count > MOST_NODES:
            what, limit = ("levels", DEEPEST) if depth > DEEPEST else ("values", MOST_NODES)
            line = f"line {event.start_mark.line + 1}" if event.start_mark else "the document"
            raise DescriptionTooLarge(source=source, place=line, limit=limit, what=what)


class _Builder:
    """Plain values of composed nodes; each node once."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if id(node) in self._open:
            place = f"line {node.start_mark.line + 1}"
            raise DescriptionBroken(source=self._source, place=place, reason="an alias stands inside what it names")
        if id(node) not in self._made:
            self._open.add(id(node))
            self._made[id(node)] = self._build(node)
            self._open.discard(id(node))
        return self._made[id(node)]

    def _build(self, node: Any) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child) for child in node.value]
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node))
        return _scalar(node.value, plain=not node.style)

    def _pairs(self, node: yaml.MappingNode) -> Iterator[tuple[str, Any]]:
        for key, child in node.value:
            line = f"line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise DescriptionBroken(source=self._source, place=line, reason="a key is not a text")
            if key.value == "<<" and not key.style:
                reason = "a merge key (<<), which is not YAML 1.2 and not allowed in a description"
                raise DescriptionBroken(source=self._source, place=line, reason=reason)
            yield key.value, self.value(child)


def _scalar(text: str, *, plain: bool) -> Any:
    if not plain:  # quoted or a block: a text whatever it looks like
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.match(text):
        return int(text)
    if _NUMBER.match(text):
        return float(text)
    return text
