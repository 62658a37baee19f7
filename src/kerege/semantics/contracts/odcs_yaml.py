"""The bounded YAML of contracts: text to plain values and back. JSON is YAML here.

Reading is bounded before work is done (bytes, nodes, depth, and what aliases would grow to). Scalars are read as YAML 1.2 has them: `no` is a text,
`2026-01-01` is a text, and a number with a leading zero is a text, because it is a code. A key that stands twice is refused: the contract
would say two things. Written is what other readers, of YAML 1.1 too, read alike. Source: YAML 1.2.2, 10.3 (core schema).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import yaml

from kerege.semantics.errors import ContractInvalid, ContractRefused

LARGEST: Final = 4 * 1024 * 1024  # bytes of one contract
MOST_NODES: Final = 200_000  # with every alias written out
DEEPEST: Final = 60
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_SCALARS: Final = {"~": None, "null": None, "Null": None, "NULL": None, "": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}


# --- text to document ---


def load(text: str | bytes, file: str = "(contract)") -> dict[str, Any]:
    """The document in a YAML or JSON text. Raises ContractRefused (limits, not YAML) or ContractInvalid (a key twice)."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) > LARGEST:
        raise ContractRefused(file=file, reason=f"it has {len(data)} bytes, at most {LARGEST} are read")
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractRefused(file=file, reason=f"byte {error.start} is not UTF-8") from None
    try:
        _bounded(decoded, file)
        node = yaml.compose(decoded, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "somewhere"
        raise ContractRefused(file=file, reason=f"it is not YAML or JSON ({where})") from None
    if not isinstance(node, yaml.MappingNode):
        raise ContractRefused(file=file, reason="it is not one mapping of keys to values")
    _grown(node, file)
    found = _value(node, file)
    assert isinstance(found, dict)
    return found


_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _bounded(text: str, file: str) -> None:
    depth = count = 0
    for event in yaml.parse(text, Loader=_LOADER):
        count += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise ContractRefused(file=file, reason=f"it is nested more than {DEEPEST} deep")
        if count > MOST_NODES:
            raise ContractRefused(file=file, reason=f"it has more than {MOST_NODES} values")


def _grown(node: yaml.Node, file: str) -> None:
    """Refuse what aliases make too large, too deep or endless, before anything is written out.

    An anchor stands before its aliases, so each is measured before it is met again: the recursion is as deep as the text is nested.
    """
    known: dict[int, tuple[int, int] | None] = {}

    def measure(one: yaml.Node) -> tuple[int, int]:
        if id(one) in known:
            found = known[id(one)]
            if found is None:
                raise ContractRefused(file=file, reason=f"an alias contains itself (line {one.start_mark.line + 1})")
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
        if size > MOST_NODES or depth + 1 > DEEPEST:
            what = f"more than {MOST_NODES} values" if size > MOST_NODES else f"more than {DEEPEST} levels"
            raise ContractRefused(file=file, reason=f"its aliases grow to {what}")
        known[id(one)] = size, depth + 1
        return size, depth + 1

    measure(node)


def _value(node: yaml.Node, file: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, file)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_value(item, file) for item in node.value]
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise ContractRefused(
            file=file, reason=f"line {node.start_mark.line + 1}: values of the kind {node.tag} are not read"
        )
    out: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, item in node.value:
        value = _value(item, file)
        if key.tag == "tag:yaml.org,2002:merge":
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, dict):
                    raise ContractRefused(file=file, reason=f"line {key.start_mark.line + 1}: << needs a mapping")
                merged = {**one, **merged}
            continue
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None or not isinstance(_scalar(key, file), str):
            raise ContractInvalid(file=file, where=f"line {key.start_mark.line + 1}", reason="a key is not a text")
        if name in out:
            where = f"line {key.start_mark.line + 1}"
            raise ContractInvalid(file=file, where=where, reason=f"the key {name!r} stands twice in one mapping")
        out[name] = value
    return {**merged, **out}


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    text = str(node.value)
    if node.style in ("'", '"', "|", ">") or (node.tag == "tag:yaml.org,2002:str" and text not in _SCALARS):
        return text
    if node.tag not in _TAGS:
        raise ContractRefused(
            file=file, reason=f"line {node.start_mark.line + 1}: values of the kind {node.tag} are not read"
        )
    if text in _SCALARS:
        return _SCALARS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if any(char.isdigit() for char in text) and _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ContractInvalid(file=file, where=f"line {node.start_mark.line + 1}", reason="a number is too large")
        return number
    return text


# --- document to text ---


class _Dumper(yaml.SafeDumper):
    """Block style, keys in the document's order, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    # a text that this module's own reader, or one of YAML 1.1, might take for something else is quoted
    style = "|" if "\n" in value and value.isprintable() is False and _blockable(value) else None
    if style is None and (value in _SCALARS or re.match(r"[-+.]?[0-9]", value)):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _blockable(value: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in value) and not re.search(r"[ \t]\n|\n\Z\n|\A[ \n]", value)


_Dumper.add_representer(str, cast(Callable[[yaml.SafeDumper, str], yaml.Node], _text))


def dump(document: Mapping[str, Any]) -> str:
    """The document as YAML that every reader of YAML 1.1 and 1.2 reads alike."""
    return yaml.dump(
        _plain(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
