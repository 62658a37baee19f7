"""OpenAPI 3.0 and 3.1 (and Swagger 2.0) as a source: operations are datasets, the schema of what they answer their fields.

Of each operation the first successful answer that has a schema, JSON before others. References inside the document are followed, in
bounds; a cycle ends where it closes ("again Person"). A reference to anything outside is refused with its place, wherever in
the document it stands: nothing is ever fetched. Reading the bytes is `documents`, making tables of leaves `described`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.errors import DescriptionBroken, ReferenceRefused, SourceMissing
from kerege.catalogue.inventory.masks import personal
from kerege.catalogue.sources.base import Reading, Table, file_digest
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.described import DEEPEST_FIELD, Budget, Leaf, described_table
from kerege.catalogue.sources.documents import read_document, size_of

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LONGEST_CHAIN: Final = 50
# below these stands data of the author's, in which "$ref" means nothing
_DATA: Final = frozenset({"example", "examples", "default", "enum", "const", "x-example", "value"})


class OpenApi:
    """One OpenAPI document as a source."""

    kind = "openapi"

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path, self._reading = path, reading
        self.name = path.name
        self.cut: set[str] = set()
        self.remarks: dict[str, str] = {}
        self.cost = Cost(bytes=size_of(path))

    def fingerprint(self) -> str:
        return file_digest(self._path)

    def close(self) -> None:
        """Nothing is kept open."""

    def tables(self) -> list[Table]:
        found = read_openapi(read_document(self._path), self.name, self.remarks)
        for wanted in self._reading.tables:
            if wanted not in {t.name for t in found}:
                known = "Operations: " + ", ".join(t.name for t in found[:20]) + "."
                raise SourceMissing(source=f"{self.name}#{wanted}", known=known)
        return [t for t in found if not self._reading.tables or t.name in self._reading.tables]


def read_openapi(document: Any, source: str, remarks: dict[str, str]) -> list[Table]:
    """One table per operation whose answer has a schema. Raises DescriptionBroken, DescriptionTooLarge, ReferenceRefused."""
    if not isinstance(document, dict) or not ("openapi" in document or "swagger" in document):
        raise DescriptionBroken(source=source, place="the document", reason="it is no OpenAPI document")
    _refuse_outside(document, source)
    budget = Budget(source)
    reader = _Reader(document, source, budget)
    tables: dict[str, Table] = {}
    silent = count = 0
    for name, operation, place in reader.operations():
        count += 1
        budget.operations(count)
        schema, where = reader.answer(operation, place)
        if schema is None:
            silent += 1
            continue
        try:
            leaves = list(reader.leaves(schema, "", where))
        except RecursionError:
            raise budget.levels() from None
        budget.fields(len(leaves), where)
        told = operation.get("summary") or operation.get("description") or ""
        tables[name] = described_table(name, told if isinstance(told, str) else "", leaves)
    if not tables:
        raise DescriptionBroken(source=source, place="/paths", reason="no operation says what it answers")
    if silent:
        remarks[next(iter(tables))] = (
            "1 other operation does not say what it answers; it is left out"
            if silent == 1
            else f"{silent} other operations do not say what they answer; they are left out"
        )
    return list(tables.values())


def _refuse_outside(document: Any, source: str) -> None:
    """Every `$ref` of the document must point into it. A node that aliases share is looked at once."""
    seen: set[int] = set()
    waiting: list[tuple[Any, str]] = [(document, "")]
    while waiting:
        value, place = waiting.pop()
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list):
            waiting.extend((child, f"{place}/{i}") for i, child in enumerate(value))
            continue
        target = value.get("$ref")
        if isinstance(target, str) and not target.startswith("#"):
            kind = "an address" if "//" in target or target.startswith(("http:", "https:")) else "a file"
            raise ReferenceRefused(source=source, place=f"{place}/$ref", kind=kind)
        for key, child in value.items():
            if key not in _DATA or place.endswith("/properties"):
                waiting.append((child, f"{place}/{_escaped(key)}"))


class _Reader:
    def __init__(self, document: dict[str, Any], source: str, budget: Budget) -> None:
        self._document, self._source, self._budget = document, source, budget

    def operations(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """(method and path, operation, place) in the document's order."""
        paths = self._document.get("paths")
        for path, raw in paths.items() if isinstance(paths, dict) else ():
            place = f"/paths/{_escaped(path)}"
            item, place = self._resolved(raw, place)
            if not isinstance(item, dict):
                raise DescriptionBroken(source=self._source, place=place, reason="a path is no object")
            for method in _METHODS:
                operation = item.get(method)
                if isinstance(operation, dict):
                    yield f"{method.upper()} {_without_values(str(path))}", operation, f"{place}/{method}"

    def answer(self, operation: dict[str, Any], place: str) -> tuple[Any, str]:
        """(schema, place) of the first successful answer that has one; (None, place) when none has."""
        responses = operation.get("responses")
        if not isinstance(responses, dict):
            return None, place
        codes = sorted((c for c in responses if str(c).upper().startswith("2")), key=str)
        for code in [*codes, *(["default"] if "default" in responses else [])]:
            response, where = self._resolved(responses[code], f"{place}/responses/{code}")
            if not isinstance(response, dict):
                continue
            if "schema" in response:  # Swagger 2.0
                return response["schema"], f"{where}/schema"
            content = response.get("content")
            kinds = (
                [k for k, v in content.items() if isinstance(v, dict) and "schema" in v]
                if isinstance(content, dict)
                else []
            )
            for kind in sorted(kinds, key=lambda k: "json" not in str(k)):
                return content[kind]["schema"], f"{where}/content/{_escaped(kind)}/schema"  # type: ignore[index]
        return None, place

    def leaves(
        self, raw: Any, path: str, place: str, *, within: tuple[str, ...] = (), required: bool = False
    ) -> Iterator[Leaf]:
        """The fields below a schema, as paths."""
        self._budget.visit(place)
        schema, where = self._resolved(raw, place)
        if where in within:
            yield Leaf(path or "(value)", "object", note=f"again {where.rpartition('/')[2]}")
            return
        within = (*within, where)
        if not isinstance(schema, dict):
            yield Leaf(path or "(value)", "any", required=required)
            return
        if path.count(".") + path.count("[]") >= DEEPEST_FIELD:
            yield Leaf(path, "object", note="deeper levels are left out", required=required)
            return
        parts = [(k, i, part) for k in ("allOf", "oneOf", "anyOf") for i, part in enumerate(_list(schema.get(k)))]
        parts = [one for one in parts if one[2] != {"type": "null"}]
        below = list(self._below(schema, path, where, within))
        for key, i, part in parts:
            told = required and (key == "allOf" or len(parts) == 1)
            below += self.leaves(part, path, f"{where}/{key}/{i}", within=within, required=told)
        if below:
            self._budget.fields(len(below), where)
            yield from below
        else:
            yield _leaf(schema, path or "(value)", required)

    def _below(self, schema: dict[str, Any], path: str, place: str, within: tuple[str, ...]) -> Iterator[Leaf]:
        properties = schema.get("properties")
        needed = {n for n in _list(schema.get("required")) if isinstance(n, str)}
        dot = f"{path}." if path else ""
        for name, child in properties.items() if isinstance(properties, dict) else ():
            where = f"{place}/properties/{_escaped(name)}"
            yield from self.leaves(child, f"{dot}{name}", where, within=within, required=name in needed)
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and more:
            yield from self.leaves(more, f"{dot}*", f"{place}/additionalProperties", within=within)
        if isinstance(schema.get("items"), dict):
            yield from self.leaves(schema["items"], f"{path}[]", f"{place}/items", within=within)
        for i, child in enumerate(_list(schema.get("prefixItems"))):
            yield from self.leaves(child, f"{path}[{i}]", f"{place}/prefixItems/{i}", within=within)

    def _resolved(self, value: Any, place: str) -> tuple[Any, str]:
        """What `value` stands for, and where that is."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value, place
            target = value["$ref"]
            if not target.startswith("#"):
                raise ReferenceRefused(source=self._source, place=f"{place}/$ref", kind="a file or address")
            value, place = self._at(target, place), target[1:]
        raise DescriptionBroken(source=self._source, place=place, reason="its references lead in a circle")

    def _at(self, target: str, place: str) -> Any:
        value: Any = self._document
        for word in target[1:].lstrip("/").split("/") if target not in ("#", "#/") else ():
            key = word.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                reason = "it refers to something that is not in the document"
                raise DescriptionBroken(source=self._source, place=f"{place}/$ref", reason=reason)
        return value


def _without_values(path: str) -> str:
    """A path as it is called; a segment that names a person, as in a description made from calls, is `*`."""
    return "/".join("*" if personal(segment) else segment for segment in path.split("/"))


def _leaf(schema: Mapping[str, Any], path: str, required: bool) -> Leaf:
    kinds = [k for k in _list(schema.get("type")) if isinstance(k, str) and k != "null"]
    codes = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    told = tuple(dict.fromkeys(_code(c) for c in codes if c is not None and not isinstance(c, dict | list)))
    kind = kinds[0] if len(kinds) == 1 else ("string" if told and not kinds else "any")
    return Leaf(
        path, kind, str(schema.get("format") or "")[:40], told, str(schema.get("description") or ""), required,
        _length(schema.get("minLength")), _length(schema.get("maxLength")),
    )  # fmt: skip


def _code(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _length(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
