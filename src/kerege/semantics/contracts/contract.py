"""A data contract as values: what the Open Data Contract Standard 3.1 says about a dataset, and what Kerege reads of it.

The document itself is the truth and is kept whole: `Contract.document` is what was read and what is written, so that nothing another
tool put there is lost. The dataclasses below are a view of it, made and checked by `odcs.parse`. What the standard has no
field for stands in its `customProperties`, under the names in `CUSTOM`. Which rules follow from it is `contracts.rules`.

Source: bitol-io/open-data-contract-standard, v3.1.0 (Fundamentals, Schema, Data quality, Team, SLA, Custom properties).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kerege.ground.ids import digest

LogicalType = Literal["string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean"]
LOGICAL_TYPES: Final[tuple[LogicalType, ...]] = (
    "string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean",
)  # fmt: skip
Severity = Literal["info", "warning", "error"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error")
Mode = Literal["observe", "warn", "quarantine", "reject"]
MODES: Final[tuple[Mode, ...]] = ("observe", "warn", "quarantine", "reject")
STATUSES: Final = ("proposed", "draft", "active", "deprecated", "retired")

# Kerege's names among the standard's customProperties, by where they stand
CUSTOM: Final[dict[str, str]] = {
    "mode": "contract: what a breach does (observe, warn, quarantine, reject)",
    "legalBasis": "contract or property: the act by which the data is kept and given",
    "organisation": "team: member code of the organisation that owns the data",
    "mapping": "schema object: the mapping whose canonical records the contract is about",
    "codeList": "property: the code list whose notations are its values",
    "codeListVersion": "property: the version of that list",
    "concept": "property: what it means, a concept of the country pack",
    "sourceOfTruth": "property: true where this dataset decides for the concept",
    "unit": "property: the unit a number is in",
    "dataService": "server: the data service of the exchange whose answers the contract is about",
    "path": "server: the path prefix of that data service",
    "method": "server: its HTTP method; * for all",
    "at": "server: where answers are checked, consumer or provider",
    "schemaObject": "server: the schema object its answers are; the only one when none is named",
    "translate": "server: when canonical records take an answer's place: asked, always, never",
}

Document = Mapping[str, Any]


def _custom(document: Document) -> dict[str, Any]:
    return {one["property"]: one["value"] for one in document.get("customProperties") or ()}


@dataclass(frozen=True, slots=True)
class Quality:
    """One data quality rule as written. `threshold` is the operator's argument: a number, or two for the between operators."""

    type: str  # library, sql, text, custom
    metric: str
    operator: str  # mustBe ... mustNotBeBetween, or ""
    threshold: Any
    severity: Severity
    unit: str  # rows or percent
    arguments: Document
    engine: str
    name: str
    document: Document = field(repr=False)

    @property
    def told(self) -> str:
        """How to name it to people: its name, description, metric or kind."""
        return str(self.name or self.document.get("description") or self.metric or self.engine or self.type)


@dataclass(frozen=True, slots=True)
class Property:
    """One field. `name` is the one in messages, `column` the one in tables; nested ones in `properties`, of arrays in `items`."""

    name: str
    logical_type: LogicalType | None
    options: Document
    required: bool
    unique: bool
    primary_key: bool
    primary_key_position: int
    column: str
    quality: tuple[Quality, ...]
    properties: tuple[Property, ...]
    items: Property | None
    document: Document = field(repr=False)

    @property
    def custom(self) -> dict[str, Any]:
        return _custom(self.document)

    @property
    def codelist(self) -> str:
        return str(self.custom.get("codeList") or "")

    @property
    def codelist_version(self) -> str:
        return str(self.custom.get("codeListVersion") or "")

    @property
    def concept(self) -> str:
        return str(self.custom.get("concept") or "")

    @property
    def legal_basis(self) -> str:
        return str(self.custom.get("legalBasis") or "")

    @property
    def source_of_truth(self) -> bool:
        return self.custom.get("sourceOfTruth") is True

    @property
    def description(self) -> str:
        return str(self.document.get("description") or "")

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Property]]:
        """This one and all below it with their paths: `address`, `address.city`, `names[]`."""
        path = prefix + self.name
        yield path, self
        for inner in self.properties:
            yield from inner.walk(f"{path}.")
        if self.items is not None:
            yield f"{path}[]", self.items
            for inner in self.items.properties:
                yield from inner.walk(f"{path}[].")


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One table, topic or kind of message."""

    name: str
    physical_name: str
    properties: tuple[Property, ...]
    quality: tuple[Quality, ...]
    document: Document = field(repr=False)

    @property
    def custom(self) -> dict[str, Any]:
        return _custom(self.document)

    @property
    def mapping(self) -> str:
        return str(self.custom.get("mapping") or "")

    @property
    def keys(self) -> tuple[Property, ...]:
        """The primary key's parts in their order."""
        found = [p for p in self.properties if p.primary_key]
        return tuple(sorted(found, key=lambda p: p.primary_key_position if p.primary_key_position > 0 else 1 << 30))

    def property_named(self, name: str) -> Property | None:
        return next((p for p in self.properties if p.name == name), None)


@dataclass(frozen=True, slots=True)
class Route:
    """Where the contract is held on the wire, from a server of type `custom` that names a data service."""

    data_service: str
    path: str = "/"
    method: str = "*"
    at: str = "consumer"
    translate: str = "asked"
    schema_object: str = ""  # the only one when none is named


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """One slaProperties entry: `freshness` or `latency` of an element, `endOfLife` and so on."""

    property: str
    value: Any
    unit: str
    element: str


@dataclass(frozen=True)
class Contract:
    """A contract: the document, and the view of it. Two contracts are equal when their documents are."""

    document: Document = field(repr=False)
    id: str = field(compare=False)
    version: str = field(compare=False)
    status: str = field(compare=False)
    api_version: str = field(compare=False)
    name: str = field(compare=False)
    objects: tuple[SchemaObject, ...] = field(compare=False, repr=False)
    service_levels: tuple[ServiceLevel, ...] = field(compare=False, repr=False, default=())
    file: str = field(compare=False, default="(contract)")

    @property
    def custom(self) -> dict[str, Any]:
        return _custom(self.document)

    @property
    def mode(self) -> Mode:
        """What a breach does; `observe` unless the contract says otherwise."""
        found = self.custom.get("mode", "observe")
        return found if found in MODES else "observe"  # `odcs.parse` refuses others

    @property
    def legal_basis(self) -> str:
        return str(self.custom.get("legalBasis") or "")

    @property
    def team(self) -> Document:
        """The team object of 3.1; the older list of members as its members."""
        found = self.document.get("team") or {}
        return {"members": found} if isinstance(found, list) else found

    @property
    def owner(self) -> str:
        """Member code of the owning organisation."""
        return str(_custom(self.team).get("organisation") or "")

    @property
    def owner_unit(self) -> str:
        return str(self.team.get("name") or "")

    @property
    def routes(self) -> tuple[Route, ...]:
        """The data services of the exchange it names."""
        out = []
        for server in self.document.get("servers") or ():
            told = _custom(server)
            if told.get("dataService"):
                names = {
                    "path": "path",
                    "method": "method",
                    "at": "at",
                    "translate": "translate",
                    "schemaObject": "schema_object",
                }
                terms = {ours: str(told[name]) for name, ours in names.items() if told.get(name)}
                out.append(Route(str(told["dataService"]), **terms))
        return tuple(out)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the document says, whatever its layout."""
        return digest(_without_floats(self.document))

    def object_named(self, name: str = "") -> SchemaObject:
        """The schema object called `name`; the only one when no name is given. KeyError otherwise."""
        if not name and len(self.objects) == 1:
            return self.objects[0]
        for one in self.objects:
            if name and name in (one.name, one.physical_name):
                return one
        raise KeyError(name)


def _without_floats(value: Any) -> Any:
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Mapping):
        return {key: _without_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(item) for item in value]
    return value
