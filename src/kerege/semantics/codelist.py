"""Code lists: concept schemes after SKOS, with notations, labels in ky, ru and en, broader concepts and validity.

Reads and writes Turtle (SKOS core, W3C Recommendation 2009) through pyoxigraph and reads a plain CSV. `CodeList.check` names what is
wrong (S9 and S14 of SKOS, duplicate notations, missing labels, cycles); loading refuses only what makes a list unusable.
Which code of one list is which of another is `crosswalk`'s business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, unquote

import pyoxigraph as ox

from kerege.ground.text import LANGUAGES
from kerege.semantics.errors import CodeListInvalid
from kerege.semantics.folding import fold, latin_key

SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
DCTERMS: Final = "http://purl.org/dc/terms/"
SCHEMA: Final = "https://schema.org/"
RDF_TYPE: Final = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
XSD_DATE: Final = ox.NamedNode("http://www.w3.org/2001/XMLSchema#date")
BASE: Final = "https://kerege.kg/id/"
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Concept:
    """One entry of a code list. `labels` by language; `broader` is a notation of the same list; validity is inclusive at both ends."""

    notation: str
    labels: dict[str, str] = field(default_factory=dict)
    alt_labels: tuple[tuple[str, str], ...] = ()  # (language or "", wording)
    broader: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    def label(self, language: str = "en") -> str:
        """The wording in `language`, else in another language, else the notation itself."""
        return self.labels.get(language) or next((w for w in self.labels.values() if w), self.notation)

    def wordings(self) -> Iterator[str]:
        """Every wording: the labels, then the alternatives."""
        yield from self.labels.values()
        yield from (wording for _, wording in self.alt_labels)

    def holds_on(self, day: date) -> bool:
        """Whether the code is in force on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a code list: a stable code, the notation it is about, and a sentence."""

    code: str
    notation: str
    message: str
    severity: Severity


@dataclass(frozen=True)
class CodeList:
    """A concept scheme: `id` as written in mappings ("kg:sex"), a title by language, and its concepts in order."""

    id: str
    concepts: tuple[Concept, ...]
    title: dict[str, str] = field(default_factory=dict)
    version: str = ""
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        index = {c.notation: c for c in reversed(self.concepts)}  # the first of duplicates wins, and `check` names them
        by_wording: dict[str, set[str]] = {}
        for concept in self.concepts:
            for wording in concept.wordings():
                by_wording.setdefault(fold(wording), set()).add(concept.notation)
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_wordings", by_wording)

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __contains__(self, notation: object) -> bool:
        return notation in self._by_notation

    @property
    def _by_notation(self) -> dict[str, Concept]:
        index: dict[str, Concept] = self.__dict__["_index"]
        return index

    def get(self, notation: str) -> Concept | None:
        """The concept with `notation`, or None."""
        return self._by_notation.get(notation)

    def find(self, wording: str) -> tuple[Concept, ...]:
        """The concepts one of whose wordings is `wording`, compared folded (case, blanks, ky and ru letters)."""
        found: dict[str, set[str]] = self.__dict__["_wordings"]
        return tuple(self._by_notation[n] for n in sorted(found.get(fold(wording), ())))

    def ancestors(self, notation: str) -> tuple[str, ...]:
        """The notations above `notation`, nearest first; a cycle ends the walk."""
        seen: list[str] = []
        concept = self.get(notation)
        while concept is not None and concept.broader is not None and concept.broader not in (notation, *seen):
            seen.append(concept.broader)
            concept = self.get(concept.broader)
        return tuple(seen)

    def check(self, languages: Iterable[str] = LANGUAGES) -> tuple[Finding, ...]:
        """Everything wrong with the list, errors first; an empty tuple means a clean list."""
        found = [*self._check_notations(), *self._check_labels(tuple(languages)), *self._check_hierarchy()]
        return tuple(sorted(found, key=lambda f: f.severity != "error"))

    def _check_notations(self) -> Iterator[Finding]:
        if not self.concepts:
            yield Finding("empty_list", "", "the list has no concepts", "error")
        seen: set[str] = set()
        for concept in self.concepts:
            if not concept.notation.strip():
                yield Finding(
                    "notation_missing", "", f"a concept labelled {concept.label()!r} has no notation", "error"
                )
            elif concept.notation in seen:
                yield Finding("notation_twice", concept.notation, "the notation is given to two concepts", "error")
            seen.add(concept.notation)
            if concept.valid_from and concept.valid_to and concept.valid_to < concept.valid_from:
                yield Finding("validity_backwards", concept.notation, "it ends before it begins", "error")

    def _check_labels(self, languages: tuple[str, ...]) -> Iterator[Finding]:
        owner: dict[tuple[str, str, str | None], str] = {}
        for concept in self.concepts:
            for language in languages:
                label = concept.labels.get(language, "").strip()
                if not label:
                    yield Finding("label_missing", concept.notation, f"no label in {language}", "warning")
                    continue
                place = (language, latin_key(label) or label, concept.broader)
                other = owner.setdefault(place, concept.notation)
                if other != concept.notation:
                    said = f"its {language} label is also that of {other}"
                    yield Finding("label_twice", concept.notation, said, "warning")

    def _check_hierarchy(self) -> Iterator[Finding]:
        for concept in self.concepts:
            if concept.broader is None:
                continue
            if concept.broader not in self:
                yield Finding("broader_unknown", concept.notation, f"{concept.broader} is not in the list", "error")
            walk, here = {concept.notation}, self.get(concept.broader)
            while here is not None and here.notation not in walk:
                walk.add(here.notation)
                here = self.get(here.broader) if here.broader else None
            if here is not None and here.notation == concept.notation:
                yield Finding("cycle", concept.notation, "it is above itself", "error")


def read_csv(path: Path, list_id: str, title: dict[str, str] | None = None) -> CodeList:
    """A list from CSV with the columns notation, ky, ru, en and optionally alt (`|` between), broader, valid_from, valid_to."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodeListInvalid(file=path.name, reason=f"byte {error.start} is not UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = {"notation"} - set(reader.fieldnames or ())
    if missing:
        raise CodeListInvalid(file=path.name, reason="the header has no column notation")
    concepts = []
    for number, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            raise CodeListInvalid(file=path.name, reason=f"line {number} has not as many cells as the header")
        concepts.append(_concept_of(row, path.name, number))
    return CodeList(list_id, tuple(concepts), title or {}, source=path.name)


def _concept_of(row: dict[str, str], file: str, number: int) -> Concept:
    try:
        valid_from, valid_to = (
            date.fromisoformat(v) if (v := row.get(k)) else None for k in ("valid_from", "valid_to")
        )
    except ValueError as error:
        raise CodeListInvalid(file=file, reason=f"line {number}: validity must be written yyyy-mm-dd") from error
    alternatives = tuple(("", w.strip()) for w in (row.get("alt") or "").split("|") if w.strip())
    labels = {str(lang): row[lang].strip() for lang in LANGUAGES if (row.get(lang) or "").strip()}
    return Concept(row["notation"].strip(), labels, alternatives, row.get("broader") or None, valid_from, valid_to)


def read_turtle(path: Path) -> CodeList:
    """A list from a Turtle file with one `skos:ConceptScheme`."""
    try:
        store = ox.Store()
        store.load(path.read_bytes(), format=ox.RdfFormat.TURTLE)
    except (SyntaxError, ValueError, OSError) as error:
        raise CodeListInvalid(file=path.name, reason=f"not Turtle ({error})") from error
    schemes = [q.subject for q in store.quads_for_pattern(None, RDF_TYPE, ox.NamedNode(SKOS + "ConceptScheme"))]
    if len(schemes) != 1:
        raise CodeListInvalid(file=path.name, reason=f"one skos:ConceptScheme was expected, there are {len(schemes)}")
    graph = _Graph(store)
    scheme = schemes[0]
    nodes = {q.subject for q in store.quads_for_pattern(None, ox.NamedNode(SKOS + "inScheme"), scheme)}
    notation: dict[object, str] = {node: graph.text(node, SKOS + "notation") or _local(node) for node in nodes}
    concepts = tuple(sorted((_concept_from(graph, node, notation) for node in nodes), key=lambda c: c.notation))
    list_id = graph.text(scheme, DCTERMS + "identifier") or _local(scheme)
    title = graph.labels(scheme, SKOS + "prefLabel") or graph.labels(scheme, DCTERMS + "title")
    return CodeList(list_id, concepts, title, graph.text(scheme, SCHEMA + "version") or "", path.name)


class _Graph:
    """Literals of a store, read by subject and predicate."""

    def __init__(self, store: ox.Store) -> None:
        self._store = store

    def objects(self, subject: object, predicate: str) -> list[object]:
        quads = self._store.quads_for_pattern(subject, ox.NamedNode(predicate), None)  # type: ignore[arg-type]
        return [q.object for q in quads]

    def text(self, subject: object, predicate: str) -> str | None:
        return next((o.value for o in self.objects(subject, predicate) if isinstance(o, ox.Literal)), None)

    def labels(self, subject: object, predicate: str) -> dict[str, str]:
        found = [o for o in self.objects(subject, predicate) if isinstance(o, ox.Literal)]
        order = {str(language): n for n, language in enumerate(LANGUAGES)}
        found.sort(key=lambda o: (order.get(o.language or "", 9), o.language or "", o.value))
        out: dict[str, str] = {}
        for literal in found:
            out.setdefault(literal.language or "", literal.value)
        return out

    def day(self, subject: object, predicate: str) -> date | None:
        raw = self.text(subject, predicate)
        return date.fromisoformat(raw[:10]) if raw else None


def _concept_from(graph: _Graph, node: object, notation: dict[object, str]) -> Concept:
    labels = graph.labels(node, SKOS + "prefLabel")
    alternatives = [o for o in graph.objects(node, SKOS + "altLabel") if isinstance(o, ox.Literal)]
    above = next((notation[o] for o in graph.objects(node, SKOS + "broader") if o in notation), None)
    return Concept(
        notation=notation[node],
        labels={language: labels[language] for language in (*LANGUAGES, *labels) if language in labels},
        alt_labels=tuple(sorted((o.language or "", o.value) for o in alternatives)),
        broader=above,
        valid_from=graph.day(node, SCHEMA + "validFrom"),
        valid_to=graph.day(node, SCHEMA + "validThrough"),
    )


def _local(node: object) -> str:
    value = str(getattr(node, "value", node))
    return unquote(value.rstrip("/").replace("#", "/").rsplit("/", 1)[-1])


def write_turtle(codelist: CodeList) -> bytes:
    """The list as Turtle, the same bytes for the same list."""
    scheme = ox.NamedNode(BASE + quote(codelist.id.replace(":", "/")))
    quads = [ox.Triple(scheme, RDF_TYPE, ox.NamedNode(SKOS + "ConceptScheme"))]
    quads.append(ox.Triple(scheme, ox.NamedNode(DCTERMS + "identifier"), ox.Literal(codelist.id)))
    if codelist.version:
        quads.append(ox.Triple(scheme, ox.NamedNode(SCHEMA + "version"), ox.Literal(codelist.version)))
    quads += [_label(scheme, "prefLabel", wording, language) for language, wording in codelist.title.items()]
    for concept in codelist.concepts:
        quads += _concept_triples(scheme, concept)
    prefixes = {"skos": SKOS, "dcterms": DCTERMS, "schema": SCHEMA}
    out = ox.serialize(quads, format=ox.RdfFormat.TURTLE, prefixes=prefixes)
    assert out is not None, "serialize() without a file answers with bytes"
    return out


def _concept_triples(scheme: ox.NamedNode, concept: Concept) -> list[ox.Triple]:
    node = _node(scheme, concept.notation)
    out = [
        ox.Triple(node, RDF_TYPE, ox.NamedNode(SKOS + "Concept")),
        ox.Triple(node, ox.NamedNode(SKOS + "inScheme"), scheme),
        ox.Triple(node, ox.NamedNode(SKOS + "notation"), ox.Literal(concept.notation)),
    ]
    out += [_label(node, "prefLabel", wording, language) for language, wording in concept.labels.items()]
    out += [_label(node, "altLabel", wording, language) for language, wording in concept.alt_labels]
    if concept.broader is not None:
        out.append(ox.Triple(node, ox.NamedNode(SKOS + "broader"), _node(scheme, concept.broader)))
    for name, day in (("validFrom", concept.valid_from), ("validThrough", concept.valid_to)):
        if day is not None:
            out.append(ox.Triple(node, ox.NamedNode(SCHEMA + name), ox.Literal(day.isoformat(), datatype=XSD_DATE)))
    return out


def _node(scheme: ox.NamedNode, notation: str) -> ox.NamedNode:
    return ox.NamedNode(f"{scheme.value}/{quote(notation, safe='')}")


def _label(node: ox.NamedNode, kind: str, wording: str, language: str) -> ox.Triple:
    literal = ox.Literal(wording, language=language) if language else ox.Literal(wording)
    return ox.Triple(node, ox.NamedNode(SKOS + kind), literal)
