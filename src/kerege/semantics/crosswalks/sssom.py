"""Crosswalks: which code of one list is which of another, as SSSOM mapping sets, and what happens to a code nobody knows.

Reads and writes SSSOM/TSV (mapping-commons/sssom 1.1: `#`-commented YAML header, then tab-separated mappings). A source code is a CURIE
in `subject_id` (its local part, percent-decoded, is the code) or, for wordings, a literal: `subject_type` "rdfs literal" with the
wording in `subject_label`. Only positive mappings with `skos:exactMatch`, `skos:closeMatch` or `skos:broadMatch` translate;
the rest is kept as knowledge. A code with two different targets is ambiguous and treated as unmapped: never guess.

Rows may depend on the record's day and on its other cells (`crosswalks.rows`); what they come to, code by code, is the compiled form that
every engine runs: `Crosswalk.compiled`, described in `crosswalks.rules`. `translate(code, as_of, cells)` is that form in Python.

Kerege's own fields, declared as `extension_definitions`: in the header `kerege_policy` (what happens to an unmapped code) and `kerege_match`
("exact", or "folded" when wordings are compared by `folding.fold`); in rows `kerege_valid_from`, `kerege_valid_to`, `kerege_conditions`.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import yaml

from kerege.ground.text import counted
from kerege.semantics.bounded_yaml import Bounds, YamlRefused, read
from kerege.semantics.crosswalks.mapping_set import OTHERS as OTHERS
from kerege.semantics.crosswalks.mapping_set import Crosswalk as Crosswalk
from kerege.semantics.crosswalks.mapping_set import Match as Match
from kerege.semantics.crosswalks.rows import LEXICAL as LEXICAL
from kerege.semantics.crosswalks.rows import MANUAL as MANUAL
from kerege.semantics.crosswalks.rows import NO_TERM as NO_TERM
from kerege.semantics.crosswalks.rows import NOT as NOT
from kerege.semantics.crosswalks.rows import TRANSLATING as TRANSLATING
from kerege.semantics.crosswalks.rows import Condition as Condition
from kerege.semantics.crosswalks.rows import Policy as Policy
from kerege.semantics.crosswalks.rows import Row as Row
from kerege.semantics.crosswalks.rows import conditions_text, parse_conditions
from kerege.semantics.crosswalks.rules import Rule as Rule
from kerege.semantics.errors import CrosswalkInvalid

_PREFIXES: Final = {"orcid": "https://orcid.org/", "wikidata": "http://www.wikidata.org/entity/"}
_REFERENCE: Final = re.compile(
    r"[A-Za-z][\w.+-]*:[^\s:][^\s]*"
)  # a CURIE or IRI, which people's and units' names are not
MOST_BYTES: Final = 64 * 1024 * 1024
_HEADER: Final = Bounds(64 * 1024, 20_000, 20)  # of the header in the file, and of the one beside it
_LITERAL: Final = "rdfs literal"
_SLOTS: Final = "https://kerege.kg/id/sssom/"
# slot, property, type hint; those of rows are declared only where a row uses them
_EXTENSIONS: Final = (
    ("kerege_policy", _SLOTS + "policy", ""),
    ("kerege_match", _SLOTS + "match", ""),
)
_ROW_EXTENSIONS: Final = (
    ("kerege_valid_from", _SLOTS + "valid-from", "http://www.w3.org/2001/XMLSchema#date"),
    ("kerege_valid_to", _SLOTS + "valid-to", "http://www.w3.org/2001/XMLSchema#date"),
    ("kerege_conditions", _SLOTS + "conditions", ""),
)
OURS: Final = frozenset(slot for slot, _, _ in (*_EXTENSIONS, *_ROW_EXTENSIONS))
# slots that are one text each
_TEXTS: Final = frozenset(
    {
        *("mapping_set_id", "mapping_set_title", "mapping_set_version", "subject_source", "object_source", "license"),
        *("kerege_policy", "kerege_match", "sssom_version", "subject_type", "object_type"),
    }
)
_KNOWN_HEADER: Final = frozenset(
    {
        *("curie_map", "mapping_set_id", "mapping_set_title", "mapping_set_version", "subject_source", "object_source"),
        *("license", "extension_definitions", "kerege_policy", "kerege_match", "sssom_version"),
    }
)


def read_sssom(path: Path) -> Crosswalk:
    """A crosswalk from an SSSOM/TSV file with an embedded header, or with an external one beside it (`.sssom.yml`)."""
    if path.stat().st_size > MOST_BYTES:
        reason = f"it has {path.stat().st_size} bytes; up to {MOST_BYTES} are read"
        raise CrosswalkInvalid(file=path.name, line="?", reason=reason)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CrosswalkInvalid(file=path.name, line="?", reason=f"byte {error.start} is not UTF-8") from error
    external = path.with_name(path.name.removesuffix(".tsv") + ".yml")
    return parse_sssom(text, path.name, _bytes(external) if external.is_file() else None)


def _bytes(path: Path) -> bytes:
    """No more of a metadata document than tells that it is too large."""
    with path.open("rb") as file:
        return file.read(_HEADER.size + 1)


# a line of a TSV file; U+2028, U+0085 and their kin are characters of a label, though `str.splitlines` would split there
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


_HALF: Final = re.compile(r"[\ud800-\udfff]")


def parse_sssom(text: str, name: str, external: str | bytes | None = None) -> Crosswalk:
    """A crosswalk from SSSOM/TSV text; `name` is used in errors, `external` is a separate metadata document."""
    lines = _LINE.findall(text)
    first = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = _header(lines[:first], name, external)
    body = lines[first:]
    if not any(line.strip() for line in body):
        raise CrosswalkInvalid(file=name, line=len(lines), reason="there is no line with the column names")
    rows = tuple(_rows(body, first, header, name))
    said = {slot: str(header[slot]) for slot in _TEXTS if header.get(slot) is not None}
    try:
        policy = Policy.parse(said["kerege_policy"]) if "kerege_policy" in said else Policy()
    except ValueError as error:
        raise CrosswalkInvalid(file=name, line=1, reason=str(error)) from error
    match = said.get("kerege_match", "exact")
    if match not in ("exact", "folded"):
        raise CrosswalkInvalid(file=name, line=1, reason=f"kerege_match is exact or folded, not {match!r}")
    return Crosswalk(
        id=_short(said.get("mapping_set_id", name)),
        rows=rows,
        subject_source=said.get("subject_source", ""),
        object_source=said.get("object_source", ""),
        policy=policy,
        match=match,  # type: ignore[arg-type]
        title=said.get("mapping_set_title", ""),
        version=said.get("mapping_set_version", ""),
        license=said.get("license", ""),
        curie_map={str(k): str(v) for k, v in (header.get("curie_map") or {}).items()},
        extensions=tuple(
            e
            for e in header.get("extension_definitions") or ()
            if isinstance(e, dict) and e.get("slot_name") not in OURS
        ),
        # a literal subject_type of the set stands in every row that is written; any other is the set's own business
        header={k: v for k, v in header.items() if k not in _KNOWN_HEADER and v != _LITERAL},
    )


_SET_BASE: Final = "https://kerege.kg/id/crosswalk/"


def _short(set_id: str) -> str:
    return unquote(set_id.removeprefix(_SET_BASE)) if set_id.startswith(_SET_BASE) else set_id


def _header(commented: list[str], name: str, external: str | bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    block = "".join(line[1:] for line in commented)
    for source, of in ((external, "the metadata beside it"), (block, "the header")):
        if not source:
            continue
        try:
            told = read(source, _HEADER, as_written=True)
        except YamlRefused as error:
            raise CrosswalkInvalid(file=name, line=error.line or 1, reason=f"{of}: {error.reason}") from None
        if told is not None and not isinstance(told, dict):
            raise CrosswalkInvalid(file=name, line=1, reason=f"{of} must be a YAML mapping")
        found |= told or {}
    _check_shapes(found, name)
    return found


def _check_shapes(found: dict[str, Any], name: str) -> None:
    """What is taken out of a header has the shape it is taken for."""

    def wrong(reason: str) -> CrosswalkInvalid:
        return CrosswalkInvalid(file=name, line=1, reason=reason)

    for slot in _TEXTS & found.keys():
        if isinstance(found[slot], dict | list):
            raise wrong(f"{slot} is not a text")
    for slot, shape, said in (("curie_map", dict, "a mapping"), ("extension_definitions", list, "a list")):
        if found.get(slot) is not None and not isinstance(found[slot], shape):
            raise wrong(f"{slot} is not {said}")
    parts = [("curie_map", found.get("curie_map") or {})]
    parts += [("extension_definitions", e) for e in found.get("extension_definitions") or () if isinstance(e, dict)]
    for slot, part in parts:
        for key, value in part.items():
            if isinstance(value, dict | list):
                raise wrong(f"{key} in {slot} is not a text")
    scope = found.get("cardinality_scope")
    if scope is not None and not isinstance(scope, str | list):
        raise wrong("cardinality_scope is not a list of slots")


def _rows(body: list[str], above: int, header: dict[str, Any], name: str) -> Iterator[Row]:
    reader = csv.reader(body, delimiter="\t")
    columns = next(_lines(reader, above, name))
    if len(set(columns)) != len(columns):
        raise CrosswalkInvalid(file=name, line=above + 1, reason="a column name stands twice")
    if not {"subject_id", "subject_label"} & set(columns) or "object_id" not in columns:
        raise CrosswalkInvalid(file=name, line=above + 1, reason="the columns subject_id and object_id are needed")
    # of the slots that SSSOM propagates from the set to its mappings, those that decide how a row is read
    shared: dict[str, str] = {
        k: str(header[k]) for k in ("subject_type", "object_type") if header.get(k) and k not in columns
    }
    for cells in _lines(reader, above, name):
        number = above + reader.line_num
        if not cells:
            continue
        if len(cells) > len(columns):  # fewer: trailing empty cells may be left out, as an example of SSSOM itself does
            reason = f"{counted(len(columns), 'cell')} expected, {len(cells)} came"
            raise CrosswalkInvalid(file=name, line=number, reason=reason)
        yield _row(shared, dict(zip(columns, cells, strict=False)), name, number)


def _lines(reader: Any, above: int, name: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise CrosswalkInvalid(file=name, line=above + reader.line_num, reason=str(error)) from error


def _row(shared: dict[str, str], cell: dict[str, str], name: str, number: int) -> Row:
    def get(key: str) -> str:
        return cell.get(key) or shared.get(key, "")

    literal = get("subject_type") == _LITERAL
    nothing = get("subject_id") == NO_TERM
    subject = get("subject_label") if literal else "" if nothing else _local(get("subject_id"))
    if not subject and not nothing:
        raise CrosswalkInvalid(file=name, line=number, reason="the row names no source code")
    predicate, target = (
        get("predicate_id"),
        get("object_id") or (get("object_label") if get("object_type") == _LITERAL else ""),
    )
    if not predicate or not target:
        raise CrosswalkInvalid(file=name, line=number, reason="the row lacks predicate_id or object_id")
    try:
        confidence = float(get("confidence")) if get("confidence") else None
    except ValueError as error:
        raise CrosswalkInvalid(file=name, line=number, reason="confidence is not a number") from error
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        raise CrosswalkInvalid(file=name, line=number, reason="confidence is not between 0 and 1")
    taken = {f"{role}_label" for role in ("reviewer", "author") if not get(f"{role}_id")}
    taken |= {"subject_type"} if literal else set()
    try:
        days = [date.fromisoformat(v) if (v := cell.get(slot)) else None for slot in _DAYS]
    except ValueError as error:
        raise CrosswalkInvalid(file=name, line=number, reason="validity must be written yyyy-mm-dd") from error
    try:
        return Row(
            subject=subject,
            object=None if target == NO_TERM else _local(target),
            predicate=predicate,
            justification=get("mapping_justification"),
            subject_label="" if literal else get("subject_label"),
            object_label=get("object_label"),
            confidence=confidence,
            reviewer=get("reviewer_id") or get("reviewer_label"),
            author=get("author_id") or get("author_label"),
            comment=get("comment"),
            literal=literal,
            predicate_modifier=get("predicate_modifier"),
            other={k: v for k, v in cell.items() if v and k not in _CORE and k not in taken},
            valid_from=days[0],
            valid_to=days[1],
            conditions=parse_conditions(cell.get("kerege_conditions") or ""),
            subject_id="" if literal else get("subject_id"),
            object_id=get("object_id"),
        )
    except ValueError as error:
        raise CrosswalkInvalid(file=name, line=number, reason=str(error)) from error


_DAYS: Final = ("kerege_valid_from", "kerege_valid_to")
_CORE: Final = frozenset(
    {"subject_id", "subject_label", "predicate_id", "predicate_modifier", "object_id", "object_label"}
    | {"mapping_justification", "confidence", "reviewer_id", "author_id", "comment", *_DAYS, "kerege_conditions"}
)


def _local(curie: str) -> str:
    """The code in a CURIE or IRI: what follows the first colon of `prefix:code`, percent-decoded."""
    prefix, colon, rest = curie.partition(":")
    if not colon:
        return unquote(curie)
    if rest.startswith("//"):
        return unquote(curie.rstrip("/").replace("#", "/").rsplit("/", 1)[-1])
    return unquote(rest) if prefix else unquote(curie)


def write_sssom(crosswalk: Crosswalk, subject_prefix: str = "", object_prefix: str = "") -> bytes:
    """The crosswalk as SSSOM/TSV with an embedded header; `parse_sssom` reads back an equal crosswalk.

    subject_prefix, object_prefix   of rows that were not read from a file; the prefix most rows have where not given
    """
    base = "https://kerege.kg/id/code/"
    subject_prefix = subject_prefix or _usual(r.subject_id for r in crosswalk.rows) or "source"
    object_prefix = object_prefix or _usual(r.object_id for r in crosswalk.rows) or "target"
    kerege = {"kerege_policy": str(crosswalk.policy), "kerege_match": crosswalk.match}
    table = [_cells(row, subject_prefix, object_prefix) for row in crosswalk.rows]
    written = {cells[side].partition(":")[0] for cells in table for side in ("subject_id", "object_id")}
    used_prefixes = [prefix for prefix in (subject_prefix, object_prefix) if prefix in written]
    prefixes = {prefix: f"{base}{prefix}/" for prefix in used_prefixes} | crosswalk.curie_map
    people = {cells[slot] for cells in table for slot in ("author_id", "reviewer_id")}
    for curie in (crosswalk.subject_source, crosswalk.object_source, *sorted(people)):
        prefix, colon, rest = curie.partition(":")
        if colon and not rest.startswith("//"):
            prefixes.setdefault(prefix, _PREFIXES.get(prefix, f"https://kerege.kg/id/{prefix}/"))
    header: dict[str, Any] = {
        "sssom_version": "1.1",
        "curie_map": prefixes,
        "mapping_set_id": _SET_BASE + quote(crosswalk.id) if "://" not in crosswalk.id else crosswalk.id,
    }
    header |= {"mapping_set_title": crosswalk.title, "mapping_set_version": crosswalk.version}
    header |= {"subject_source": crosswalk.subject_source, "object_source": crosswalk.object_source}
    header |= {"license": crosswalk.license, **crosswalk.header}
    used = [slots for slots in _ROW_EXTENSIONS if any(cells.get(slots[0]) for cells in table)]
    header["extension_definitions"] = [
        {"slot_name": slot, "property": iri} | ({"type_hint": hint} if hint else {})
        for slot, iri, hint in (*_EXTENSIONS, *used)
    ] + list(crosswalk.extensions)
    header |= kerege
    said = {k: v for k, v in header.items() if v}
    dumped = yaml.dump(said, Dumper=_Header, allow_unicode=True, sort_keys=False, width=1000)
    if (size := len(dumped.encode())) > _HEADER.size:  # it would not be read again
        reason = f"its header has {size} bytes, at most {_HEADER.size} are read"
        raise CrosswalkInvalid(file=crosswalk.id, line=1, reason=reason)
    out = io.StringIO()
    out.writelines(f"#{line}\n" for line in dumped.removesuffix("\n").split("\n"))
    order: tuple[str, ...] = (
        "subject_id",
        "subject_label",
        "predicate_modifier",
        "predicate_id",
        "object_id",
        "object_label",
    )
    order += ("mapping_justification", "author_id", "reviewer_id", "subject_type", "confidence", "comment")
    extra = sorted({key for cells in table for key in cells} - set(order))
    always = {"subject_id", "predicate_id", "object_id", "mapping_justification"}
    columns = [c for c in (*order, *extra) if c in always or any(cells.get(c) for cells in table)]
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cells.get(column, "") for column in columns] for cells in table])
    return out.getvalue().encode()


class _Header(yaml.SafeDumper):
    """YAML's own writer, but for texts with characters that end a line in YAML and not in TSV: these are written as escapes."""


def _header_text(dumper: _Header, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _YAML_LINE_ENDS.search(text) else None)


_YAML_LINE_ENDS: Final = re.compile(r"[\x85\u2028\u2029]")
_Header.add_representer(str, _header_text)


def _usual(curies: Iterator[str]) -> str:
    """The prefix most of the CURIEs have, or ""."""
    found = Counter(prefix for c in curies if c != NO_TERM and "://" not in c and (prefix := c.partition(":")[0]))
    return found.most_common(1)[0][0] if found else ""


def _curie(read: str, code: str, prefix: str) -> str:
    return read if read and _local(read) == code else f"{prefix}:{quote(code, safe='')}"


def _who(role: str, name: str) -> dict[str, str]:
    """A person or unit as SSSOM wants it: a reference in `reviewer_id`, a name in `reviewer_label`."""
    known = all(_REFERENCE.fullmatch(one) for one in name.split("|"))
    return {f"{role}_id": name if known else "", **({} if known or not name else {f"{role}_label": name})}


def _cells(row: Row, subject_prefix: str, object_prefix: str) -> dict[str, str]:
    for text in (row.subject, row.subject_label, row.object_label, row.comment):
        if any(mark in text for mark in "\t\r\n"):
            raise CrosswalkInvalid(file="(writing)", line="?", reason="a tab or line break inside a code or label")
        if _HALF.search(text):
            raise CrosswalkInvalid(
                file="(writing)", line="?", reason="half a character (a lone surrogate) inside a code or label"
            )
    subject = NO_TERM if not row.subject else _curie(row.subject_id, row.subject, subject_prefix)
    return {
        "subject_id": "" if row.literal else subject,
        "subject_label": row.subject if row.literal else row.subject_label,
        "subject_type": _LITERAL if row.literal else "",
        "predicate_id": row.predicate,
        "predicate_modifier": row.predicate_modifier,
        "object_id": NO_TERM if row.object is None else _curie(row.object_id, row.object, object_prefix),
        "object_label": row.object_label,
        "mapping_justification": row.justification,
        "confidence": "" if row.confidence is None else f"{row.confidence:g}",
        **_who("reviewer", row.reviewer),
        **_who("author", row.author),
        "comment": row.comment,
        "kerege_valid_from": row.valid_from.isoformat() if row.valid_from else "",
        "kerege_valid_to": row.valid_to.isoformat() if row.valid_to else "",
        "kerege_conditions": conditions_text(row.conditions),
        **row.other,
    }
