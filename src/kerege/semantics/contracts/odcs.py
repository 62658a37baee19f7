"""Data contracts read and written: YAML or JSON of the Open Data Contract Standard 3.x, to and from `contract.Contract`.

Reading keeps what it does not know; the text itself is read and written by `contracts.odcs_yaml`, within bounds.

Source: open-data-contract-standard v3.1.0. Only the parts Kerege uses are checked here; the standard's JSON
Schema is held against what is written by the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from kerege.semantics.contracts.contract import (
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
from kerege.semantics.contracts.odcs_yaml import LARGEST, dump, load
from kerege.semantics.errors import ContractInvalid

API_VERSION: Final = "v3.1.0"
MOST_PROPERTIES: Final = 5_000  # of one schema object, nested ones too
OPERATORS: Final = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,198}[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}(?:-[0-9A-Za-z.-]{1,40})?")
METRICS: Final = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")


def read(path: Path) -> Contract:
    """The contract in a file, as `loads` reads it. Raises ContractRefused, ContractInvalid; OSError when it cannot be opened."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    return loads(data, path.name)


def loads(text: str | bytes, file: str = "(contract)") -> Contract:
    """The contract in a text, with an identifier and a version that can be kept."""
    return named(parse(load(text, file), file))


def named(contract: Contract) -> Contract:
    """The contract, if others can call it by its identifier and version. Raises ContractInvalid; what was kept before is read without it."""
    at = _At(contract.file)
    if not _ID.fullmatch(contract.id):
        raise (at / "id").wrong(
            f"letters of the Latin alphabet, digits and . _ : - between them are expected, such as kg:births, not {contract.id[:60]!r}"
        )
    if not _VERSION.fullmatch(contract.version):
        raise (at / "version").wrong(f"three numbers are expected, such as 1.0.0, not {contract.version[:60]!r}")
    return contract


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
