"""Crosswalks: which code of one list is which of another, as SSSOM mapping sets, and what happens to a code nobody knows.

Reads and writes SSSOM/TSV (mapping-commons/sssom 1.1: `#`-commented YAML header, then tab-separated mappings). A source code is a CURIE
in `subject_id` (its local part, percent-decoded, is the code) or, for wordings, a literal: `subject_type` "rdfs literal" with the
wording in `subject_label`. Only positive mappings with `skos:exactMatch`, `skos:closeMatch` or `skos:broadMatch` translate;
the rest is kept as knowledge. A code with two different targets is ambiguous and treated as unmapped: never guess.

Kerege's own header fields, declared as `extension_definitions`: `kerege_policy` (what happens to an unmapped code) and `kerege_match`
("exact", or "folded" when wordings are compared by `folding.fold`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, unquote

import yaml

from kerege.semantics.errors import CrosswalkInvalid
from kerege.semantics.folding import fold

Match = Literal["exact", "folded"]
PolicyKind = Literal["reject", "quarantine", "pass-and-flag", "null-and-flag", "default"]
TRANSLATING: Final = ("skos:exactMatch", "skos:closeMatch", "skos:broadMatch")  # strongest first
NO_TERM: Final = "sssom:NoTermFound"
MANUAL: Final = "semapv:ManualMappingCuration"
LEXICAL: Final = "semapv:LexicalMatching"
COUNTED: Final = 10_000
OTHERS: Final = "(others)"
_LITERAL: Final = "rdfs literal"
_EXTENSIONS: Final = (
    ("kerege_policy", "https://kerege.kg/id/sssom/policy"),
    ("kerege_match", "https://kerege.kg/id/sssom/match"),
)
_KNOWN_HEADER: Final = frozenset(
    {
        "curie_map",
        "mapping_set_id",
        "mapping_set_title",
        "mapping_set_version",
        "subject_source",
        "object_source",
        "license",
    }
    | {
        "extension_definitions",
        "kerege_policy",
        "kerege_match",
        "subject_type",
        "predicate_id",
        "mapping_justification",
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to a code without a target.

    reject, quarantine   the whole record is refused, or put aside for a steward
    pass-and-flag        the source's code goes through, with a problem
    null-and-flag        no value, with a problem
    default <code>       that code, with a problem
    """

    kind: PolicyKind = "quarantine"
    default: str | None = None

    @classmethod
    def parse(cls, raw: str) -> Policy:
        """From the header's wording; ValueError names what is wrong with it."""
        kind, _, code = raw.strip().partition(" ")
        if kind == "default":
            if not code.strip():
                raise ValueError("policy `default` needs the code to use")
            return cls("default", code.strip())
        if kind not in ("reject", "quarantine", "pass-and-flag", "null-and-flag") or code:
            raise ValueError(
                f"unknown policy {raw!r}; known: reject, quarantine, pass-and-flag, null-and-flag, default <code>"
            )
        return cls(kind)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind} {self.default}" if self.kind == "default" else self.kind

    @property
    def severity(self) -> Literal["flag", "quarantine", "reject"]:
        """How heavily an unmapped code weighs on its record."""
        return self.kind if self.kind in ("reject", "quarantine") else "flag"

    def value(self, source: str) -> str | None:
        """The value that goes on in place of the unmapped `source`."""
        if self.kind == "pass-and-flag":
            return source
        return self.default if self.kind == "default" else None


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping: source code, target code, how they relate, why we believe it and how much."""

    subject: str
    object: str | None  # None: sssom:NoTermFound, a known code with no counterpart
    predicate: str = "skos:exactMatch"
    justification: str = MANUAL
    subject_label: str = ""
    object_label: str = ""
    confidence: float | None = None
    reviewer: str = ""
    author: str = ""
    comment: str = ""
    literal: bool = False
    predicate_modifier: str = ""
    other: dict[str, str] = field(default_factory=dict)

    @property
    def translates(self) -> bool:
        """Whether this row gives a target: a positive mapping by one of the translating predicates."""
        return self.object is not None and self.predicate in TRANSLATING and self.predicate_modifier != "Not"


@dataclass(frozen=True)
class Crosswalk:
    """A mapping set from `subject_source` codes to `object_source` codes, with its policy and counters for unmapped codes."""

    id: str
    rows: tuple[Row, ...] = ()
    subject_source: str = ""
    object_source: str = ""
    policy: Policy = field(default_factory=Policy)
    match: Match = "exact"
    title: str = ""
    version: str = ""
    license: str = ""
    curie_map: dict[str, str] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    unmapped: Counter[str] = field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        targets: dict[str, dict[str, set[str]]] = {}
        for row in self.rows:
            if row.translates and row.object is not None:
                by_predicate = targets.setdefault(self.key(row.subject), {})
                by_predicate.setdefault(row.predicate, set()).add(row.object)
        # the strongest predicate speaks: a close match beside an exact one does not make the code ambiguous
        best = {s: next(found[p] for p in TRANSLATING if p in found) for s, found in targets.items()}
        table = {subject: next(iter(found)) for subject, found in best.items() if len(found) == 1}
        object.__setattr__(self, "_table", table)
        object.__setattr__(self, "_ambiguous", frozenset(s for s, found in best.items() if len(found) > 1))

    @property
    def table(self) -> dict[str, str]:
        """Source key to target, unambiguous rows only; keys as `key` makes them."""
        found: dict[str, str] = self.__dict__["_table"]
        return found

    @property
    def ambiguous(self) -> frozenset[str]:
        """Source keys with more than one target: unmapped until a steward decides."""
        found: frozenset[str] = self.__dict__["_ambiguous"]
        return found

    def key(self, code: str) -> str:
        """The form in which codes of this crosswalk are compared."""
        return fold(code) if self.match == "folded" else code

    def translate(self, code: str) -> tuple[str | None, bool]:
        """(target, known). An unknown or ambiguous code is counted and gets what the policy says, with known False."""
        found = self.table.get(self.key(code))
        if found is not None:
            return found, True
        self.count(code)
        return self.policy.value(code), False

    def count(self, code: str, times: int = 1) -> None:
        """Count an unmapped code; past `COUNTED` different ones the rest are counted together, so a stream of noise stays small."""
        self.unmapped[code if code in self.unmapped or len(self.unmapped) < COUNTED else OTHERS] += times

    def merged(self, other: Crosswalk) -> Crosswalk:
        """This crosswalk with `other`'s rows winning over its own for the same source code; `other`'s policy wins too."""
        theirs = {other.key(row.subject) for row in other.rows}
        kept = tuple(row for row in self.rows if other.key(row.subject) not in theirs)
        values = {f.name: getattr(other, f.name) for f in fields(Crosswalk) if f.name != "unmapped"}
        values |= {"id": self.id, "rows": (*kept, *other.rows), "curie_map": {**self.curie_map, **other.curie_map}}
        values |= {name: values[name] or getattr(self, name) for name in ("subject_source", "object_source", "title")}
        return Crosswalk(**values)


def read_sssom(path: Path) -> Crosswalk:
    """A crosswalk from an SSSOM/TSV file with an embedded header, or with an external one beside it (`.sssom.yml`)."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CrosswalkInvalid(file=path.name, line="?", reason=f"byte {error.start} is not UTF-8") from error
    external = path.with_name(path.name.removesuffix(".tsv") + ".yml")
    return parse_sssom(text, path.name, external.read_text("utf-8") if external.is_file() else None)


def parse_sssom(text: str, name: str, external: str | None = None) -> Crosswalk:
    """A crosswalk from SSSOM/TSV text; `name` is used in errors, `external` is a separate metadata document."""
    lines = text.splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = _header(lines[:first], name, external)
    body = lines[first:]
    if not any(line.strip() for line in body):
        raise CrosswalkInvalid(file=name, line=len(lines), reason="there is no line with the column names")
    rows = tuple(_rows(body, first, header, name))
    try:
        policy = Policy.parse(str(header["kerege_policy"])) if "kerege_policy" in header else Policy()
    except ValueError as error:
        raise CrosswalkInvalid(file=name, line=1, reason=str(error)) from error
    match = str(header.get("kerege_match", "exact"))
    if match not in ("exact", "folded"):
        raise CrosswalkInvalid(file=name, line=1, reason=f"kerege_match is exact or folded, not {match!r}")
    return Crosswalk(
        id=_short(str(header.get("mapping_set_id", name))),
        rows=rows,
        subject_source=str(header.get("subject_source", "")),
        object_source=str(header.get("object_source", "")),
        policy=policy,
        match=match,  # type: ignore[arg-type]
        title=str(header.get("mapping_set_title", "")),
        version=str(header.get("mapping_set_version", "")),
        license=str(header.get("license", "")),
        curie_map={str(k): str(v) for k, v in (header.get("curie_map") or {}).items()},
        header={k: v for k, v in header.items() if k not in _KNOWN_HEADER},
    )


_SET_BASE: Final = "https://kerege.kg/id/crosswalk/"


def _short(set_id: str) -> str:
    return unquote(set_id.removeprefix(_SET_BASE)) if set_id.startswith(_SET_BASE) else set_id


def _header(commented: list[str], name: str, external: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    block = "".join(line[1:] for line in commented)
    for source in (external, block):
        if not source:
            continue
        try:
            read = yaml.safe_load(source)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else "?"
            raise CrosswalkInvalid(file=name, line=line, reason="the header is not YAML") from error
        if read is not None and not isinstance(read, dict):
            raise CrosswalkInvalid(file=name, line=1, reason="the header must be a YAML mapping")
        found |= read or {}
    return found


def _rows(body: list[str], above: int, header: dict[str, Any], name: str) -> Iterator[Row]:
    reader = csv.reader(body, delimiter="\t")
    columns = next(reader)
    if len(set(columns)) != len(columns):
        raise CrosswalkInvalid(file=name, line=above + 1, reason="a column name stands twice")
    if not {"subject_id", "subject_label"} & set(columns) or "object_id" not in columns:
        raise CrosswalkInvalid(file=name, line=above + 1, reason="the columns subject_id and object_id are needed")
    # of the slots that SSSOM propagates from the set to its mappings, those that decide how a row is read
    shared: dict[str, str] = {
        k: str(header[k]) for k in ("subject_type", "object_type") if k in header and k not in columns
    }
    for cells in reader:
        number = above + reader.line_num
        if not cells:
            continue
        if len(cells) > len(columns):  # fewer: trailing empty cells may be left out, as an example of SSSOM itself does
            reason = f"{len(columns)} cells were expected, {len(cells)} came"
            raise CrosswalkInvalid(file=name, line=number, reason=reason)
        yield _row(shared, dict(zip(columns, cells, strict=False)), name, number)


def _row(shared: dict[str, str], cell: dict[str, str], name: str, number: int) -> Row:
    def get(key: str) -> str:
        return cell.get(key) or shared.get(key, "")

    literal = get("subject_type") == _LITERAL
    subject = get("subject_label") if literal else _local(get("subject_id"))
    if not subject:
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
    return Row(
        subject=subject,
        object=None if target == NO_TERM else _local(target),
        predicate=predicate,
        justification=get("mapping_justification"),
        subject_label="" if literal else get("subject_label"),
        object_label=get("object_label"),
        confidence=confidence,
        reviewer=get("reviewer_id"),
        author=get("author_id"),
        comment=get("comment"),
        literal=literal,
        predicate_modifier=get("predicate_modifier"),
        other={k: v for k, v in cell.items() if v and k not in _CORE},
    )


_CORE: Final = frozenset(
    {"subject_id", "subject_label", "subject_type", "predicate_id", "predicate_modifier", "object_id", "object_label"}
    | {"mapping_justification", "confidence", "reviewer_id", "author_id", "comment"}
)


def _local(curie: str) -> str:
    """The code in a CURIE or IRI: what follows the first colon of `prefix:code`, percent-decoded."""
    prefix, colon, rest = curie.partition(":")
    if not colon:
        return unquote(curie)
    if rest.startswith("//"):
        return unquote(curie.rstrip("/").replace("#", "/").rsplit("/", 1)[-1])
    return unquote(rest) if prefix else unquote(curie)


def write_sssom(crosswalk: Crosswalk, subject_prefix: str = "source", object_prefix: str = "target") -> bytes:
    """The crosswalk as SSSOM/TSV with an embedded header; `parse_sssom` reads back an equal crosswalk."""
    base = "https://kerege.kg/id/code/"
    prefixes = {
        subject_prefix: f"{base}{subject_prefix}/",
        object_prefix: f"{base}{object_prefix}/",
    } | crosswalk.curie_map
    kerege = {"kerege_policy": str(crosswalk.policy), "kerege_match": crosswalk.match}
    header: dict[str, Any] = {
        "sssom_version": "1.1",
        "curie_map": prefixes,
        "mapping_set_id": _SET_BASE + quote(crosswalk.id),
    }
    header |= {"mapping_set_title": crosswalk.title, "mapping_set_version": crosswalk.version}
    header |= {"subject_source": crosswalk.subject_source, "object_source": crosswalk.object_source}
    header |= {"license": crosswalk.license, **crosswalk.header}
    header["extension_definitions"] = [{"slot_name": slot, "property": iri} for slot, iri in _EXTENSIONS]
    header |= kerege
    dumped = yaml.safe_dump({k: v for k, v in header.items() if v}, allow_unicode=True, sort_keys=False, width=1000)
    out = io.StringIO()
    out.writelines(f"#{line}\n" for line in dumped.splitlines())
    table = [_cells(row, subject_prefix, object_prefix) for row in crosswalk.rows]
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


def _cells(row: Row, subject_prefix: str, object_prefix: str) -> dict[str, str]:
    for text in (row.subject, row.subject_label, row.object_label, row.comment):
        if any(mark in text for mark in "\t\r\n"):
            raise CrosswalkInvalid(file="(writing)", line="?", reason="a tab or line break inside a code or label")
    target = NO_TERM if row.object is None else f"{object_prefix}:{quote(row.object, safe='')}"
    return {
        "subject_id": "" if row.literal else f"{subject_prefix}:{quote(row.subject, safe='')}",
        "subject_label": row.subject if row.literal else row.subject_label,
        "subject_type": _LITERAL if row.literal else "",
        "predicate_id": row.predicate,
        "predicate_modifier": row.predicate_modifier,
        "object_id": target,
        "object_label": row.object_label,
        "mapping_justification": row.justification,
        "confidence": "" if row.confidence is None else f"{row.confidence:g}",
        "reviewer_id": row.reviewer,
        "author_id": row.author,
        "comment": row.comment,
        **row.other,
    }
