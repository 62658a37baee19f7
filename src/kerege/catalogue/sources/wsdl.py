"""WSDL 1.1 with the XML Schema that stands in it, as a source: operations are datasets, what they answer their fields.

Imports and includes are not followed: what they would bring is a field of its own ("not in this document") and a remark. A DOCTYPE or
an entity is refused before any parser sees it (`exchange.safexml`, which the nodes read messages with). Types that contain themselves end
where the circle closes. Written after WSDL 1.1 section 2 and XML Schema 1.0 part 1; policies, bindings and faults are left aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lxml import etree

from kerege.catalogue.errors import DescriptionBroken, SourceMissing
from kerege.catalogue.sources.base import Reading, Table, file_digest
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.described import DEEPEST_FIELD, Budget, Leaf, described_table
from kerege.catalogue.sources.documents import LARGEST, size_of
from kerege.exchange.safexml import parse_document

_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_XSD: Final = "http://www.w3.org/2001/XMLSchema"
_FORMATS: Final = {
    "date": ("string", "date"), "dateTime": ("string", "date-time"), "time": ("string", "time"), "boolean": ("boolean", ""),
    "decimal": ("number", ""), "float": ("number", ""), "double": ("number", ""), "base64Binary": ("string", "binary"),
    "hexBinary": ("string", "binary"), "gYear": ("string", "year"), "anyURI": ("string", "uri"),
    **dict.fromkeys(
        ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "unsignedInt", "unsignedLong",
         "unsignedShort", "unsignedByte", "negativeInteger", "nonPositiveInteger"), ("integer", ""),
    ),
}  # fmt: skip


class Wsdl:
    """One WSDL document as a source."""

    kind = "wsdl"

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
        found = read_wsdl(self._path.read_bytes(), self.name, self.remarks)
        for wanted in self._reading.tables:
            if wanted not in {t.name for t in found}:
                known = "Operations: " + ", ".join(t.name for t in found[:20]) + "."
                raise SourceMissing(source=f"{self.name}#{wanted}", known=known)
        return [t for t in found if not self._reading.tables or t.name in self._reading.tables]


def read_wsdl(data: bytes, source: str, remarks: dict[str, str]) -> list[Table]:
    """One table per operation that answers. Raises DescriptionBroken or DescriptionTooLarge."""
    try:
        root = parse_document(data, LARGEST)
    except ValueError as error:
        raise DescriptionBroken(source=source, place="the document", reason=str(error)) from error
    if root.tag != f"{{{_WSDL}}}definitions":
        raise DescriptionBroken(source=source, place="line 1", reason="it is no WSDL 1.1 document")
    budget = Budget(source)
    reader = _Reader(root, budget)
    tables: dict[str, Table] = {}
    ports = root.findall(f"{{{_WSDL}}}portType")
    count = 0
    for port in ports:
        for operation in port.findall(f"{{{_WSDL}}}operation"):
            count += 1
            budget.operations(count)
            name = operation.get("name") or "?"
            shown = f"{port.get('name')}.{name}" if len(ports) > 1 else name
            try:
                leaves = list(reader.answer(operation))
            except RecursionError:
                raise budget.levels() from None
            budget.fields(len(leaves), f"operation {name}")
            if leaves:
                told = operation.find(f"{{{_WSDL}}}documentation")
                tables[shown] = described_table(
                    shown, "" if told is None else " ".join(str(t) for t in told.itertext()), leaves
                )
    if not tables:
        raise DescriptionBroken(source=source, place="portType", reason="no operation says what it answers")
    if reader.outside:
        remarks[next(iter(tables))] = (
            "1 import or include is not in this document and was not followed"
            if len(reader.outside) == 1
            else f"{len(reader.outside)} imports or includes are not in this document and were not followed"
        )
    return list(tables.values())


class _Reader:
    def __init__(self, root: etree._Element, budget: Budget) -> None:
        self._budget = budget
        self._messages = {m.get("name"): m for m in root.findall(f"{{{_WSDL}}}message")}
        self._parts: dict[tuple[str, str], etree._Element] = {}  # (kind, {namespace}name)
        self._qualified: dict[etree._Element, str] = {}
        self.outside = [
            e for e in root.iter(f"{{{_WSDL}}}import", f"{{{_XSD}}}import", f"{{{_XSD}}}include", f"{{{_XSD}}}redefine")
            if e.get("schemaLocation") or e.get("location")
        ]  # fmt: skip
        for schema in root.iter(f"{{{_XSD}}}schema"):
            space = schema.get("targetNamespace") or ""
            for part in schema.iterchildren(tag=etree.Element):
                kind, name = etree.QName(part).localname, part.get("name")
                if name:
                    self._parts[kind, f"{{{space}}}{name}"] = part

    def answer(self, operation: etree._Element) -> Iterator[Leaf]:
        output = operation.find(f"{{{_WSDL}}}output")
        message = self._messages.get((output.get("message") or "").rpartition(":")[2]) if output is not None else None
        if message is None:
            return
        parts = message.findall(f"{{{_WSDL}}}part")
        for part in parts:
            if part.get("element"):
                element = self._parts.get(("element", _qname(part, part.get("element"))))
                if element is None:
                    yield Leaf(part.get("name") or "part", "any", note="not in this document")
                else:
                    yield from self._content(element, "", ())
            elif part.get("type"):
                name = "" if len(parts) == 1 else part.get("name") or "part"
                yield from self._typed(part, part.get("type"), name, (), Leaf(name or "(value)"))

    def _element(self, element: etree._Element, path: str, within: tuple[str, ...]) -> Iterator[Leaf]:
        """An element where it stands in a type."""
        place = f"line {element.sourceline}"
        self._budget.visit(place)
        reference = element.get("ref")
        many = "[]" if element.get("maxOccurs", "1") not in ("0", "1") else ""
        if reference:
            name = reference.rpartition(":")[2]
            target = self._parts.get(("element", _qname(element, reference)))
            if target is None:
                yield Leaf(_join(path, name + many), "any", note="not in this document")
                return
            yield from self._content(target, _join(path, name + many), within, element.get("minOccurs", "1") != "0")
            return
        name = element.get("name") or "?"
        yield from self._content(element, _join(path, name + many), within, element.get("minOccurs", "1") != "0")

    def _content(
        self, element: etree._Element, path: str, within: tuple[str, ...], required: bool = False
    ) -> Iterator[Leaf]:
        """The fields of an element, whose own name is in `path` already."""
        leaf = Leaf(path or "(value)", description=_documentation(element), required=required)
        if element.get("type"):
            yield from self._typed(element, element.get("type"), path, within, leaf)
            return
        for kind in ("complexType", "simpleType"):
            inner = element.find(f"{{{_XSD}}}{kind}")
            if inner is not None:
                yield from (
                    self._complex(inner, path, within) if kind == "complexType" else self._simple(inner, leaf, within)
                )
                return
        yield leaf if element.get("type") else Leaf(leaf.path, "any", description=leaf.description, required=required)

    def _typed(
        self, at: etree._Element, name: str | None, path: str, within: tuple[str, ...], leaf: Leaf
    ) -> Iterator[Leaf]:
        full = _qname(at, name)
        if full.startswith(f"{{{_XSD}}}"):
            kind, form = _FORMATS.get(full.partition("}")[2], ("string", ""))
            yield Leaf(leaf.path, kind, form, leaf.codes, leaf.description, leaf.required)
            return
        local = full.partition("}")[2]
        if full in within:
            yield Leaf(leaf.path, "object", note=f"again {local}")
        elif path.count(".") + path.count("[]") >= DEEPEST_FIELD:
            yield Leaf(leaf.path, "object", note="deeper levels are left out")
        elif ("complexType", full) in self._parts:
            yield from self._complex(self._parts["complexType", full], path, (*within, full))
        elif ("simpleType", full) in self._parts:
            yield from self._simple(self._parts["simpleType", full], leaf, (*within, full))
        else:
            yield Leaf(leaf.path, "any", note="not in this document")

    def _complex(self, kind: etree._Element, path: str, within: tuple[str, ...]) -> Iterator[Leaf]:
        """Elements and attributes of a complex type, those of the type it extends first."""
        self._budget.visit(f"line {kind.sourceline}")
        if len(within) > 4 * DEEPEST_FIELD:
            yield Leaf(path or "(value)", "object", note="deeper levels are left out")
            return
        for child in kind.iterchildren(tag=etree.Element):
            tag = etree.QName(child).localname
            if tag in ("sequence", "all", "choice", "complexContent", "simpleContent", "restriction"):
                yield from self._complex(child, path, within)
            elif tag == "extension":
                yield from self._typed(child, child.get("base"), path, within, Leaf(path or "(value)"))
                yield from self._complex(child, path, within)
            elif tag == "element":
                yield from self._element(child, path, within)
            elif tag == "attribute" and child.get("name"):
                leaf = Leaf(_join(path, f"@{child.get('name')}"), required=child.get("use") == "required")
                yield from (
                    self._typed(child, child.get("type") or "string", leaf.path, within, leaf)
                    if child.get("type")
                    else [leaf]
                )
            elif tag == "group" and child.get("ref"):
                full = _qname(child, child.get("ref"))
                group = self._parts.get(("group", full))
                if group is not None and full not in within:
                    yield from self._complex(group, path, (*within, full))

    def _simple(self, kind: etree._Element, leaf: Leaf, within: tuple[str, ...]) -> Iterator[Leaf]:
        """A simple type: what it restricts, and the values it enumerates."""
        self._budget.visit(f"line {kind.sourceline}")
        restriction = kind.find(f"{{{_XSD}}}restriction")
        if restriction is None or len(within) > 4 * DEEPEST_FIELD:  # a list or union
            yield leaf
            return
        codes = tuple(e.get("value") or "" for e in restriction.findall(f"{{{_XSD}}}enumeration"))
        told = Leaf(leaf.path, leaf.type, leaf.format, codes or leaf.codes, leaf.description, leaf.required)
        if restriction.get("base"):
            yield from self._typed(restriction, restriction.get("base"), leaf.path, within, told)
        else:
            yield told


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _documentation(element: etree._Element) -> str:
    found = element.find(f"{{{_XSD}}}annotation/{{{_XSD}}}documentation")
    return "" if found is None else " ".join(str(t) for t in found.itertext())


def _qname(at: etree._Element, name: str | None) -> str:
    """A name with its namespace, by the prefixes in force where it stands."""
    prefix, _, local = (name or "").rpartition(":")
    return f"{{{at.nsmap.get(prefix or None) or ''}}}{local}"
