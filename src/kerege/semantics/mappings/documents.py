"""Mapping documents: YAML that says, field by field, how an agency's record becomes a canonical one.

A document has `id`, `version`, `title`, a `source` section (format, where the records are, each cell's path; read by `shape`), and
`fields`: canonical field -> pipeline. A pipeline is a list of steps; the first gives a value (`field`, `target`, `const`, `coalesce`,
`concat`, `when`), each next step works on it. Reading checks everything and names file and field; the content's fingerprint is the version's hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final, Literal, get_args

from kerege.ground.ids import digest
from kerege.ground.text import Text
from kerege.semantics.bounded_yaml import Bounds, YamlRefused, read_as_1_1
from kerege.semantics.errors import MappingInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.pipelines import pipeline
from kerege.semantics.mappings.problems import Severity
from kerege.semantics.mappings.reading import Reader
from kerege.semantics.patterns.documents import read_patterns
from kerege.semantics.patterns.pattern import Pattern

CELL_LIMIT: Final = 20_000
_BOUNDS: Final = Bounds(1024 * 1024, 50_000, 60)  # of one document
RESERVED: Final = ("_row", "_problems", "_verdict")  # columns of a mapped table beside the fields
_SMALL: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
Format = Literal["json", "xml", "csv"]


@dataclass(frozen=True, slots=True)
class Source:
    """How a payload is laid out. `cells` maps each cell name to its path in a record (dotted for JSON, tags for XML, a header for CSV)."""

    format: Format
    records: str = ""  # JSON: dotted path to the list; XML: the record element's local name; CSV: unused
    cells: dict[str, str] = field(default_factory=dict)
    one: bool = False  # JSON: a single object at `records` is one record
    namespace: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    trailer: str = ""  # CSV: the first cell of the last line, followed by the number of rows
    optional: tuple[str, ...] = ()  # cells whose absence from the whole payload is no error


@dataclass(frozen=True, slots=True)
class TargetField:
    """One canonical field: its pipeline, and what it weighs when there is no value."""

    name: str
    expr: ir.Expr
    required: Severity | None = None


@dataclass(frozen=True)
class Mapping:
    """A mapping as read and checked. `version` is the declared one with the content's fingerprint after a plus sign."""

    id: str
    declared_version: str
    title: Text
    source: Source
    fields: tuple[TargetField, ...]
    cell_limit: int = CELL_LIMIT
    file: str = ""
    fingerprint: str = ""

    @cached_property
    def json_paths(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each cell with the steps of its dotted path."""
        return tuple((cell, tuple(path.split("."))) for cell, path in self.source.cells.items())

    @cached_property
    def json_flat(self) -> tuple[tuple[str, str], ...] | None:
        """Each cell with its key, when every cell stands in the record itself."""
        return tuple((c, p[0]) for c, p in self.json_paths) if all(len(p) == 1 for _, p in self.json_paths) else None

    @property
    def version(self) -> str:
        return f"{self.declared_version}+{self.fingerprint[:12]}"

    @property
    def cells(self) -> tuple[str, ...]:
        """Every source cell the mapping reads, in order of first use."""
        found = (e.cell for f in self.fields for e in f.expr.walk() if isinstance(e, ir.Field))
        return tuple(dict.fromkeys(found))

    @property
    def crosswalks(self) -> tuple[str, ...]:
        """The ids of the crosswalks it uses."""
        found = (e.crosswalk for f in self.fields for e in f.expr.walk() if isinstance(e, ir.Recode | ir.RecodeAsOf))
        return tuple(dict.fromkeys(found))

    @property
    def codelists(self) -> tuple[str, ...]:
        """The ids of the code lists it uses."""
        lists = ir.Lookup | ir.LookupAsOf | ir.Member
        found = (e.codelist for f in self.fields for e in f.expr.walk() if isinstance(e, lists))
        return tuple(dict.fromkeys(found))

    def sources_of(self, target: str) -> tuple[str, ...]:
        """Which source cells a canonical field is made of, through other canonical fields too: its lineage."""
        by_name = {f.name: f.expr for f in self.fields}
        out: dict[str, None] = {}
        for expr in by_name[target].walk():
            if isinstance(expr, ir.Field):
                out[expr.cell] = None
            elif isinstance(expr, ir.Target):
                out.update(dict.fromkeys(self.sources_of(expr.field)))
        return tuple(out)


def read_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file; MappingInvalid names the file and the field."""
    try:
        with path.open("rb") as file:
            document = read_as_1_1(file.read(_BOUNDS.size + 1), _BOUNDS)
    except YamlRefused as error:
        raise MappingInvalid(file=path.name, field="(document)", reason=str(error)) from None
    return parse_mapping(document, path.name)


def parse_mapping(document: Any, file: str = "(mapping)") -> Mapping:
    """The mapping in a parsed document."""
    top = Reader(file, "(document)")
    if not isinstance(document, dict):
        raise top.wrong("the document must be a mapping with id, version, title, source and fields")
    top.only(document, {"id", "version", "title", "source", "patterns", "fields", "cell_limit"})
    _refuse_untextual(document, file, "(document)")
    mapping_id, version = top.text(document, "id"), str(document.get("version") or "")
    if not version:
        raise top.wrong("version is missing")
    try:
        title = Text.of(document.get("title") or {})
    except ValueError as error:
        raise top.wrong(f"title: {error}") from error
    fields = _fields(document.get("fields"), file, read_patterns(document.get("patterns"), file))
    source = _source(document.get("source"), file)
    limit = document.get("cell_limit", CELL_LIMIT)
    if not isinstance(limit, int) or not 1 <= limit <= 10_000_000:
        raise top.wrong("cell_limit must be a whole number of characters")
    mapping = Mapping(mapping_id, version, title, source, fields, limit, file)
    unread = [cell for cell in mapping.cells if cell not in source.cells]
    if unread:
        raise top.wrong(f"cells used but not in source.cells: {', '.join(unread)}")
    described = [[f.name, ir.describe(f.expr), f.required] for f in fields]
    content = [
        mapping_id,
        version,
        limit,
        described,
        [source.format, source.records, source.cells, source.one, source.namespace],
    ]
    content.append([source.encoding, source.delimiter, source.trailer, list(source.optional)])
    return replace(mapping, fingerprint=digest(content))


def _refuse_untextual(part: Any, file: str, field_: str) -> None:
    """No NUL and no half of a surrogate pair anywhere: Python would take them, the engine for tables would not."""
    if isinstance(part, str):
        if "\0" in part or any("\ud800" <= c <= "\udfff" for c in part):
            raise MappingInvalid(
                file=file, field=field_, reason="a NUL character or half of a surrogate pair in a text"
            )
    elif isinstance(part, dict):
        for key, value in part.items():
            _refuse_untextual(key, file, field_)
            _refuse_untextual(value, file, str(key) if field_ == "fields" or key in ("source", "fields") else field_)
    elif isinstance(part, list):
        for item in part:
            _refuse_untextual(item, file, field_)


def _refuse_alike(names: Iterable[str], at: Reader, what: str) -> None:
    """Two names that differ only in ASCII capitals are one column in a table."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.translate(_SMALL), name)
        if other != name:
            raise at.wrong(f"the {what} {other} and {name} differ only in capitals")


def _source(raw: Any, file: str) -> Source:
    at = Reader(file, "source")
    if not isinstance(raw, dict):
        raise at.wrong("source must be a mapping with format and cells")
    at.only(raw, {"format", "records", "cells", "one", "namespace", "encoding", "delimiter", "trailer", "optional"})
    cells = raw.get("cells")
    if isinstance(cells, list):
        cells = {name: name for name in cells}
    if not isinstance(cells, dict) or not cells or not all(isinstance(x, str) for pair in cells.items() for x in pair):
        raise at.wrong("cells must be a list of names, or a mapping of names to paths")
    _refuse_alike(cells, at, "cells")
    format_ = at.one_of(raw.get("format"), get_args(Format), "format")
    optional = tuple(raw.get("optional") or ())
    if set(optional) - set(cells):
        raise at.wrong("optional names cells that are not in cells")
    delimiter = at.text(raw, "delimiter", ",")
    if len(delimiter) != 1:
        raise at.wrong("delimiter must be one character")
    encoding = at.text(raw, "encoding", "utf-8").lower()
    at.one_of(encoding, ("utf-8", "utf-16", "windows-1251", "koi8-r", "cp866"), "encoding")
    texts = {key: at.text(raw, key, "") for key in ("records", "namespace", "trailer")}
    return Source(
        format_,
        cells=cells,
        one=bool(raw.get("one")),
        encoding=encoding,
        delimiter=delimiter,
        optional=optional,
        **texts,
    )


def _fields(raw: Any, file: str, patterns: dict[str, Pattern]) -> tuple[TargetField, ...]:
    if not isinstance(raw, dict) or not raw:
        raise MappingInvalid(file=file, field="fields", reason="fields must map canonical names to pipelines")
    _refuse_alike(map(str, raw), Reader(file, "fields"), "fields")
    out: list[TargetField] = []
    for name, spec in raw.items():
        at = Reader(file, str(name), patterns)
        if str(name).translate(_SMALL) in RESERVED:
            raise at.wrong(f"the names {', '.join(RESERVED)} are kept for the result's own columns")
        required: Severity | None = None
        if isinstance(spec, dict) and "do" in spec:
            at.only(spec, {"do", "required"})
            if "required" in spec:
                required = at.one_of(spec["required"], get_args(Severity), "required")
            spec = spec["do"]
        out.append(TargetField(str(name), pipeline(spec, at, tuple(f.name for f in out)), required))
    _check_days(out, file)
    return tuple(out)


def _check_days(fields: list[TargetField], file: str) -> None:
    """What `as_of` names is an ISO date or nothing, whatever the record has."""
    by_name = {f.name: f.expr for f in fields}

    def is_day(expr: ir.Expr) -> bool:
        if isinstance(expr, ir.Target):
            return is_day(by_name[expr.field])
        if isinstance(expr, ir.Coalesce):
            return all(map(is_day, expr.parts))
        if isinstance(expr, ir.When):
            return is_day(expr.then) and (expr.otherwise is None or is_day(expr.otherwise))
        return isinstance(expr, ir.ParseDate) or expr == ir.Const("")

    for field_ in fields:
        for expr in field_.expr.walk():
            if isinstance(expr, ir.RecodeAsOf | ir.LookupAsOf) and not is_day(day := expr.of.parts[1]):
                name = day.field if isinstance(day, ir.Target) else day.name
                raise Reader(file, field_.name).wrong(f"`as_of` names {name}, which is not a date in every record")
