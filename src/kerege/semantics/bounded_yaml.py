"""Bounded reading of YAML and JSON that somebody else wrote: contracts, headers of crosswalks, mapping documents.

Bounds hold before work is done (bytes, values, depth, and what aliases would grow to). `read` takes scalars as YAML 1.2 has them: `no` is a text,
`2026-01-01` is a text, and a number with a leading zero is a text, because it is a code; a key that stands twice is refused: the document would
say two things. `read_as_1_1` keeps the types that documents of our own were written with. Source: YAML 1.2.2, 10.3 (core schema).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
SCALARS: Final = {"~": None, "null": None, "Null": None, "NULL": None, "": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}


class YamlRefused(ValueError):
    """A text was not read: `reason` a sentence without its subject, `line` where it is known. `wrong`: it says something no reader can take."""

    def __init__(self, reason: str, line: int | None = None, *, wrong: bool = False) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason, self.line, self.wrong = reason, line, wrong


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read: bytes of the text, values in it with every alias written out, levels."""

    size: int
    values: int
    levels: int


def compose(text: str | bytes, bounds: Bounds) -> yaml.Node | None:
    """The nodes of a text within `bounds`; None of a text that says nothing. Raises YamlRefused."""
    try:
        data = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise YamlRefused("half of a surrogate pair stands in it", text[: error.start].count("\n") + 1) from None  # type: ignore[arg-type]
    if len(data) > bounds.size:
        raise YamlRefused(f"it has {len(data)} bytes, at most {bounds.size} are read")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlRefused(f"byte {error.start} is not UTF-8") from None
    try:
        _bounded(decoded, bounds)
        node = yaml.compose(decoded, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise YamlRefused("it is not YAML or JSON", mark.line + 1 if mark is not None else None) from None
    if node is not None:
        _grown(node, bounds)
    return node


def read(text: str | bytes, bounds: Bounds, *, as_written: bool = False) -> Any:
    """The plain values of a text within `bounds`, as YAML 1.2 has them. Raises YamlRefused.

    as_written   a number that would be written otherwise (`1.10`, a version) stays the text it is
    """
    node = compose(text, bounds)
    return None if node is None else _Values(as_written).value(node)


def read_as_1_1(text: str | bytes, bounds: Bounds) -> Any:
    """As `read`, with the types of YAML 1.1 (days, numbers with a leading zero) and with keys that are no texts."""
    compose(text, bounds)
    try:
        return yaml.load(text.decode("utf-8-sig") if isinstance(text, bytes) else text, Loader=yaml.CSafeLoader)
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
    ) as error:  # a day that is none, a number without end, a list as a key
        mark = getattr(error, "problem_mark", None)
        raise YamlRefused("a value in it cannot be read", mark.line + 1 if mark is not None else None) from None


def _bounded(text: str, bounds: Bounds) -> None:
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        count += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > bounds.levels:
            raise YamlRefused(f"it is nested more than {bounds.levels} deep")
        if count > bounds.values:
            raise YamlRefused(f"it has more than {bounds.values} values")


def _grown(node: yaml.Node, bounds: Bounds) -> None:
    """Refuse what aliases make too large, too deep or endless, before anything is written out.

    An anchor stands before its aliases, so each is measured before it is met again: the recursion is as deep as the text is nested.
    """
    known: dict[int, tuple[int, int] | None] = {}

    def measure(one: yaml.Node) -> tuple[int, int]:
        if id(one) in known:
            found = known[id(one)]
            if found is None:
                raise YamlRefused("an alias contains itself", one.start_mark.line + 1)
            return found
        known[id(one)] = None
        inner: list[yaml.Node] = []
        if isinstance(one, yaml.MappingNode):
            inner = [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            inner = one.value
        size, depth = 1, 0
        for part in inner:
            more, deep = measure(part)
            size, depth = size + more, max(depth, deep)
        if size > bounds.values or depth + 1 > bounds.levels:
            what = f"more than {bounds.values} values" if size > bounds.values else f"more than {bounds.levels} levels"
            raise YamlRefused(f"its aliases grow to {what}")
        known[id(one)] = size, depth + 1
        return size, depth + 1

    measure(node)


class _Values:
    """Plain values of composed nodes that are known to be bounded."""

    def __init__(self, as_written: bool) -> None:
        self._as_written = as_written

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item) for item in node.value]
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
            raise YamlRefused(f"values of the kind {node.tag} are not read", line)
        out: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            value = self.value(item)
            if key.tag == "tag:yaml.org,2002:merge":
                for one in value if isinstance(value, list) else [value]:
                    if not isinstance(one, dict):
                        raise YamlRefused("<< needs a mapping", line)
                    merged = {**one, **merged}
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or not isinstance(self._scalar(key), str):
                raise YamlRefused("a key is not a text", line, wrong=True)
            if name in out:
                raise YamlRefused(f"the key {name!r} stands twice in one mapping", line, wrong=True)
            out[name] = value
        return {**merged, **out}

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if node.style in ("'", '"', "|", ">") or (node.tag == "tag:yaml.org,2002:str" and text not in SCALARS):
            return text
        if node.tag not in _TAGS:
            raise YamlRefused(f"values of the kind {node.tag} are not read", node.start_mark.line + 1)
        if text in SCALARS:
            return SCALARS[text]
        number: int | float | None = None
        if _INTEGER.fullmatch(text):
            number = int(text)
        elif any(char.isdigit() for char in text) and _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise YamlRefused("a number is too large", node.start_mark.line + 1, wrong=True)
        return text if number is None or (self._as_written and str(number) != text) else number
