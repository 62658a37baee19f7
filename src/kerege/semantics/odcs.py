"""Data contracts read and written: YAML or JSON of the Open Data Contract Standard 3.x, to and from `contract.Contract`.

Reading is bounded before work is done (bytes, nodes, depth, and what aliases would grow to) and keeps what it does not know. Scalars are read as
YAML 1.2 has them: `no` is a text, `2026-01-01` is a text, and a number with a leading zero is a text, because it is a code. A key that
stands twice is refused: the contract would say two things. Written is what other readers, of YAML 1.1 too, read alike.

Source: open-data-contract-standard v3.1.0; YAML 1.2.2, 10.3 (core schema). Only the parts Kerege uses are checked here; the standard's JSON
Schema is held against what is written by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml

from kerege.semantics.contract import (
    LOGICAL_TYPES,
    MODES,
    SEVERITIES,
    Contract,
    Document,
    LogicalType,
    Property,
    Quality,
    SchemaObject,
    ServiceLevel,
    Severity,
)  # fmt: skip
from kerege.semantics.errors import ContractInvalid, ContractRefused

API_VERSION: Final = "v3.1.0"
LARGEST: Final = 4 * 1024 * 1024  # bytes of one contract
MOST_NODES: Final = 200_000  # with every alias written out
DEEPEST: Final = 60
MOST_PROPERTIES: Final = 5_000  # of one schema object, nested ones too
OPERATORS: Final = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
METRICS: Final = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")

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


def dump(document: Document) -> str:
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


def read(path: Path) -> Contract:
    """The contract in a file. Raises ContractRefused, ContractInvalid; OSError when it cannot be opened."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    return loads(data, path.name)


def loads(text: str | bytes, file: str = "(contract)") -> Contract:
    """The contract in a text."""
    return parse(load(text, file), file)


def dumps(contract: Contract) -> str:
    """The contract as YAML: the whole document, parts unknown to Kerege too. `loads(dumps(c)) == c`."""
    return dump(contract.document)


# --- document to contract ---


class _At:
    """A place in the document, so that an error can name it."""

    def __init__(self, file: str, path: str = "") -> None:
        self.file, self.path = file, path

    def __truediv__(self, step: str | int) -> _At:
        inner = f"{self.path}[{step}]" if isinstance(step, int) else f"{self.path}.{step}".lstrip(".")
        return _At(self.file, inner)

    def wrong(self, reason: str) -> ContractInvalid:
        return ContractInvalid(file=self.file, where=self.path or "(document)", reason=reason)

    def mapping(self, value: Any) -> Document:
        if not isinstance(value, Mapping):
            raise self.wrong("a mapping of keys to values is expected")
        return value

    def list(self, document: Document, key: str) -> Sequence[Any]:
        found = document.get(key)
        if found is None:
            return ()
        if not isinstance(found, list | tuple):
            raise (self / key).wrong("a list is expected")
        return found

    def text(self, document: Document, key: str, *, needed: bool = False) -> str:
        found = document.get(key)
        if found is None and not needed:
            return ""
        if not isinstance(found, str) or (needed and not found.strip()):
            raise (self / key).wrong("a text is expected" + ("; quote it" if found is not None else ""))
        return found

    def flag(self, document: Document, key: str) -> bool:
        found = document.get(key)
        if found is None:
            return False
        if not isinstance(found, bool):
            raise (self / key).wrong("true or false is expected")
        return found


def parse(document: Mapping[str, Any], file: str = "(contract)") -> Contract:
    """The contract in a document. Raises ContractInvalid naming the place; keys it does not know are kept and passed over."""
    at = _At(file)
    if document.get("kind") != "DataContract":
        raise (at / "kind").wrong("DataContract is expected")
    api = at.text(document, "apiVersion", needed=True)
    if not api.startswith("v3."):
        raise (at / "apiVersion").wrong(f"{api} is not read, only 3.x is")
    _customs(at, document)
    objects = tuple(_object(at / "schema" / n, one) for n, one in enumerate(at.list(document, "schema")))
    _unique_names(at / "schema", [one.name for one in objects])
    team = document.get("team")
    if isinstance(team, Mapping):
        _customs(at / "team", team)
    elif team is not None and not isinstance(team, list):
        raise (at / "team").wrong("a team is expected")
    for n, server in enumerate(at.list(document, "servers")):
        _customs(at / "servers" / n, (at / "servers" / n).mapping(server))
    levels = [_level(at / "slaProperties" / n, one) for n, one in enumerate(at.list(document, "slaProperties"))]
    contract = Contract(
        document=document, id=at.text(document, "id", needed=True), version=at.text(document, "version", needed=True),
        status=at.text(document, "status", needed=True), api_version=api, name=at.text(document, "name"),
        objects=objects, service_levels=tuple(levels), file=file,
    )  # fmt: skip
    if contract.custom.get("mode", MODES[0]) not in MODES:
        raise (at / "customProperties").wrong(f"mode is one of {', '.join(MODES)}")
    return contract


def _customs(at: _At, document: Document) -> None:
    names = []
    for n, one in enumerate(at.list(document, "customProperties")):
        here = at / "customProperties" / n
        names.append(here.text(here.mapping(one), "property", needed=True))
        if "value" not in one:
            raise here.wrong("it has no value")
    _unique_names(at / "customProperties", names)


def _unique_names(at: _At, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise at.wrong(f"{name} stands twice")
        seen.add(name)


def _object(at: _At, value: Any) -> SchemaObject:
    document = at.mapping(value)
    _customs(at, document)
    budget = [MOST_PROPERTIES]
    properties = _properties(at, document, budget)
    quality = tuple(_quality(at / "quality" / n, one) for n, one in enumerate(at.list(document, "quality")))
    name = at.text(document, "name", needed=True)
    return SchemaObject(name, at.text(document, "physicalName") or name, properties, quality, document)


def _properties(at: _At, document: Document, budget: list[int]) -> tuple[Property, ...]:
    out = tuple(_property(at / "properties" / n, one, budget) for n, one in enumerate(at.list(document, "properties")))
    _unique_names(at / "properties", [one.name for one in out])
    return out


def _property(at: _At, value: Any, budget: list[int], *, named: bool = True) -> Property:
    budget[0] -= 1
    if budget[0] < 0:
        raise at.wrong(f"a schema object has more than {MOST_PROPERTIES} properties")
    document = at.mapping(value)
    _customs(at, document)
    logical = document.get("logicalType")
    if logical is not None and logical not in LOGICAL_TYPES:
        raise (at / "logicalType").wrong(f"one of {', '.join(LOGICAL_TYPES)} is expected")
    options = document.get("logicalTypeOptions")
    position = document.get("primaryKeyPosition", -1)
    if not isinstance(position, int) or isinstance(position, bool):
        raise (at / "primaryKeyPosition").wrong("a whole number is expected")
    items = document.get("items")
    name = at.text(document, "name", needed=named)
    return Property(
        name=name, logical_type=cast("LogicalType | None", logical),
        options=(at / "logicalTypeOptions").mapping(options) if options is not None else {},
        required=at.flag(document, "required"), unique=at.flag(document, "unique"), primary_key=at.flag(document, "primaryKey"),
        primary_key_position=position, column=at.text(document, "physicalName") or name,
        quality=tuple(_quality(at / "quality" / n, one) for n, one in enumerate(at.list(document, "quality"))),
        properties=_properties(at, document, budget),
        items=None if items is None else _property(at / "items", items, budget, named=False), document=document,
    )  # fmt: skip


def _quality(at: _At, value: Any) -> Quality:
    document = at.mapping(value)
    kind = at.text(document, "type") or "library"
    if kind not in ("library", "sql", "text", "custom"):
        raise (at / "type").wrong("one of library, sql, text, custom is expected")
    operators = [name for name in OPERATORS if name in document]
    if len(operators) > 1:
        raise at.wrong(f"it has two operators: {operators[0]} and {operators[1]}")
    operator = operators[0] if operators else ""
    metric = at.text(document, "metric")
    if kind == "library":
        if metric and metric not in METRICS:
            raise (at / "metric").wrong(f"one of {', '.join(METRICS)} is expected")
        if metric and not operator:
            raise at.wrong(f"{metric} needs an operator, mustBe for example")
    threshold = document.get(operator) if operator else None
    if metric and kind == "library":
        _threshold(at / operator, operator, threshold)
    arguments = document.get("arguments")
    severity = document.get("severity", "error")
    return Quality(
        kind, metric, operator, threshold, cast(Severity, severity) if severity in SEVERITIES else "error",
        at.text(document, "unit") or "rows", {} if arguments is None else (at / "arguments").mapping(arguments),
        at.text(document, "engine"), at.text(document, "name"), document,
    )  # fmt: skip


def _threshold(at: _At, operator: str, value: Any) -> None:
    def number(one: Any) -> bool:
        return isinstance(one, int | float) and not isinstance(one, bool)

    if operator.endswith("Between"):
        if not (isinstance(value, list) and len(value) == 2 and all(map(number, value)) and value[0] <= value[1]):
            raise at.wrong("two numbers, the smaller first, are expected")
    elif not number(value):
        raise at.wrong("a number is expected")


def _level(at: _At, value: Any) -> ServiceLevel:
    document = at.mapping(value)
    name = at.text(document, "property", needed=True)
    return ServiceLevel(name, document.get("value"), at.text(document, "unit"), at.text(document, "element"))
