"""Code lists as SKOS: Turtle, RDF/XML and JSON-LD in and out (SKOS core, W3C Recommendation 2009), through pyoxigraph.

Labels, alternative labels, notes, hierarchy (also several parents), related concepts, validity (`schema:validFrom`, `schema:validThrough`),
replacements (`dcterms:isReplacedBy`), version (`owl:versionInfo`; `dcterms:hasVersion` is read) and the version before (`owl:priorVersion`).
What is above, beside or after a concept and in another list is named by its whole IRI, so that it is never taken for a code of this one.
The order of concepts is kept by `schema:position` where it is not the notations' own. Same list, same bytes. Bounds: `MOST_BYTES`, `MOST_CODES`;
RDF/XML with a DTD is refused and JSON-LD never fetches a context. What is wrong with a graph beyond what stops a reading is told by `integrity`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, unquote

import pyoxigraph as ox

from kerege.ground.text import LANGUAGES
from kerege.semantics.codelists.codelist import BASE, MOST_BYTES, MOST_CODES, NOTE_KINDS, CodeList, Concept, Note
from kerege.semantics.errors import CodeListInvalid, CodeListTooLarge

SKOS: Final = "http://www.w3.org/2004/02/skos/core#"
DCTERMS: Final = "http://purl.org/dc/terms/"
OWL: Final = "http://www.w3.org/2002/07/owl#"
SCHEMA: Final = "https://schema.org/"
RDF_TYPE: Final = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
XSD_DATE: Final = ox.NamedNode("http://www.w3.org/2001/XMLSchema#date")
XSD_INTEGER: Final = ox.NamedNode("http://www.w3.org/2001/XMLSchema#integer")
PREFIXES: Final = {"skos": SKOS, "dcterms": DCTERMS, "schema": SCHEMA, "owl": OWL}
_PRIOR: Final = "#version-"
RdfName = Literal["turtle", "rdfxml", "jsonld"]
_FORMATS: Final[dict[RdfName, ox.RdfFormat]] = {
    "turtle": ox.RdfFormat.TURTLE,
    "rdfxml": ox.RdfFormat.RDF_XML,
    "jsonld": ox.RdfFormat.JSON_LD,
}
_NAMES: Final[dict[RdfName, str]] = {"turtle": "Turtle", "rdfxml": "RDF/XML", "jsonld": "JSON-LD"}
RDF_SUFFIXES: Final[dict[str, RdfName]] = {
    ".ttl": "turtle", ".rdf": "rdfxml", ".owl": "rdfxml", ".jsonld": "jsonld",
}  # fmt: skip
Node = ox.NamedNode | ox.BlankNode


def load_graph(data: bytes, name: str, format_: RdfName = "turtle") -> ox.Store:
    """The graph in `data`; CodeListInvalid or CodeListTooLarge says what stops it. `name` is used in errors."""
    if len(data) > MOST_BYTES:
        raise CodeListTooLarge(file=name, found=f"{len(data)} bytes", limit=f"{MOST_BYTES} bytes")
    if format_ == "rdfxml" and b"<!DOCTYPE" in data:
        raise CodeListInvalid(file=name, reason="RDF/XML with a document type declaration is not read")
    store = ox.Store()
    try:
        store.load(data, format=_FORMATS[format_], base_iri=BASE)
    except (SyntaxError, ValueError, OSError) as error:
        raise CodeListInvalid(file=name, reason=f"not {_NAMES[format_]} ({error})") from error
    return store


def read_turtle(path: Path) -> CodeList:
    """A list from a Turtle file with one `skos:ConceptScheme`."""
    return read_rdf(_bytes(path), path.name, "turtle")


def _bytes(path: Path) -> bytes:
    if (size := path.stat().st_size) > MOST_BYTES:
        raise CodeListTooLarge(file=path.name, found=f"{size} bytes", limit=f"{MOST_BYTES} bytes")
    return path.read_bytes()


def read_rdf(data: bytes, name: str, format_: RdfName = "turtle") -> CodeList:
    """A list from a graph with one `skos:ConceptScheme`; concepts that say no scheme belong to the only one there is."""
    return from_graph(load_graph(data, name, format_), name)


def from_graph(store: ox.Store, name: str) -> CodeList:
    """The list in a graph. Raises CodeListInvalid for no or several schemes and CodeListTooLarge beyond `MOST_CODES`."""
    graph = _Graph(store)
    schemes = sorted(graph.subjects(RDF_TYPE, ox.NamedNode(SKOS + "ConceptScheme")), key=str)
    if len(schemes) != 1:
        raise CodeListInvalid(file=name, reason=f"one skos:ConceptScheme was expected, there are {len(schemes)}")
    scheme = schemes[0]
    nodes = _members(graph, scheme)
    if len(nodes) > MOST_CODES:
        raise CodeListTooLarge(file=name, found=f"{len(nodes)} concepts", limit=str(MOST_CODES))
    notation = {node: graph.text(node, SKOS + "notation") or local_name(node) for node in nodes}
    wider: dict[Node, set[Node]] = defaultdict(set)
    for above, below in graph.pairs(SKOS + "narrower"):
        wider[below].add(above)
    order = sorted(nodes, key=lambda node: (graph.number(node), notation[node], str(node)))
    try:
        concepts = tuple(_concept_from(graph, node, notation, wider[node], scheme) for node in order)
        return _list_from(graph, scheme, concepts, name)
    except ValueError as error:
        raise CodeListInvalid(file=name, reason=f"a date is not one ({error})") from error


def settle_scheme(store: ox.Store) -> None:
    """Say of every concept that belongs to the only scheme there is that it does, as `from_graph` reads it."""
    graph = _Graph(store)
    schemes = set(graph.subjects(RDF_TYPE, ox.NamedNode(SKOS + "ConceptScheme")))
    for scheme in schemes if len(schemes) == 1 else ():
        store.extend(ox.Quad(node, ox.NamedNode(SKOS + "inScheme"), scheme) for node in _members(graph, scheme))


def _members(graph: _Graph, scheme: Node) -> set[Node]:
    said = ox.NamedNode(SKOS + "inScheme")
    nodes = {*graph.subjects(said, scheme), *graph.subjects(ox.NamedNode(SKOS + "topConceptOf"), scheme)}
    nodes |= {n for n in graph.objects(scheme, SKOS + "hasTopConcept") if isinstance(n, ox.NamedNode | ox.BlankNode)}
    concepts = graph.subjects(RDF_TYPE, ox.NamedNode(SKOS + "Concept"))
    return nodes | {n for n in concepts if not graph.objects(n, SKOS + "inScheme")}


def _list_from(graph: _Graph, scheme: Node, concepts: tuple[Concept, ...], name: str) -> CodeList:
    def said(*predicates: str) -> str:
        return next((text for p in predicates if (text := graph.text(scheme, p))), "")

    successor = next((o for o in graph.objects(scheme, DCTERMS + "isReplacedBy")), None)
    return CodeList(
        id=said(DCTERMS + "identifier") or local_name(scheme),
        concepts=concepts,
        title=graph.labels(scheme, SKOS + "prefLabel") or graph.labels(scheme, DCTERMS + "title"),
        version=said(OWL + "versionInfo", SCHEMA + "version", DCTERMS + "hasVersion"),
        source=name,
        follows=_version(next(iter(graph.objects(scheme, OWL + "priorVersion")), None)),
        replaced_by=_list_id(successor) if successor is not None else "",
        valid_from=graph.day(scheme, SCHEMA + "validFrom"),
        valid_to=graph.day(scheme, SCHEMA + "validThrough"),
        publisher=said(DCTERMS + "publisher"),
        license=next((str(getattr(o, "value", "")) for o in graph.objects(scheme, DCTERMS + "license")), ""),
        description=graph.labels(scheme, DCTERMS + "description"),
    )


class _Graph:
    """A store read by subject and predicate."""

    def __init__(self, store: ox.Store) -> None:
        self._store = store

    def subjects(self, predicate: ox.NamedNode, object_: Node) -> Iterator[Node]:
        for quad in self._store.quads_for_pattern(None, predicate, object_):
            if isinstance(quad.subject, ox.NamedNode | ox.BlankNode):
                yield quad.subject

    def pairs(self, predicate: str) -> Iterator[tuple[Node, Node]]:
        for quad in self._store.quads_for_pattern(None, ox.NamedNode(predicate), None):
            if isinstance(quad.subject, ox.NamedNode | ox.BlankNode) and isinstance(
                quad.object, ox.NamedNode | ox.BlankNode
            ):
                yield quad.subject, quad.object

    def objects(self, subject: Node, predicate: str) -> list[ox.NamedNode | ox.BlankNode | ox.Literal]:
        quads = self._store.quads_for_pattern(subject, ox.NamedNode(predicate), None)
        return [q.object for q in quads if isinstance(q.object, ox.NamedNode | ox.BlankNode | ox.Literal)]

    def literals(self, subject: Node, predicate: str) -> list[ox.Literal]:
        found = [o for o in self.objects(subject, predicate) if isinstance(o, ox.Literal)]
        order = {str(language): n for n, language in enumerate(LANGUAGES)}
        return sorted(found, key=lambda o: (order.get(o.language or "", 9), o.language or "", o.value))

    def text(self, subject: Node, predicate: str) -> str | None:
        return next((o.value for o in self.literals(subject, predicate)), None)

    def labels(self, subject: Node, predicate: str) -> dict[str, str]:
        out: dict[str, str] = {}
        for literal in self.literals(subject, predicate):
            out.setdefault(literal.language or "", literal.value)
        return out

    def day(self, subject: Node, predicate: str) -> date | None:
        raw = self.text(subject, predicate)
        return date.fromisoformat(raw[:10]) if raw else None

    def number(self, subject: Node) -> float:
        raw = self.text(subject, SCHEMA + "position") or ""
        return float(raw) if raw.isascii() and raw.isdigit() else float("inf")


def _concept_from(graph: _Graph, node: Node, notation: dict[Node, str], wider: set[Node], scheme: Node) -> Concept:
    def name(other: Node) -> str:
        return notation.get(other) or name_outside(other, scheme)

    def named(predicate: str) -> set[str]:
        return {name(o) for o in graph.objects(node, predicate) if isinstance(o, ox.NamedNode | ox.BlankNode)}

    inside = named(SKOS + "broader") | {name(above) for above in wider}
    above = sorted(inside)
    return Concept(
        notation=notation[node],
        labels=graph.labels(node, SKOS + "prefLabel"),
        alt_labels=tuple(sorted((o.language or "", o.value) for o in graph.literals(node, SKOS + "altLabel"))),
        broader=above[0] if above else None,
        valid_from=graph.day(node, SCHEMA + "validFrom"),
        valid_to=graph.day(node, SCHEMA + "validThrough"),
        notes=tuple(Note(k, o.language or "", o.value) for k in NOTE_KINDS for o in graph.literals(node, SKOS + k)),
        also_broader=tuple(above[1:]),
        related=tuple(sorted(named(SKOS + "related"))),
        replaced_by=tuple(sorted(named(DCTERMS + "isReplacedBy"))),
    )


def local_name(node: object) -> str:
    """The end of a node's IRI, percent-decoded."""
    value = str(getattr(node, "value", node))
    return unquote(value.rstrip("/").replace("#", "/").rsplit("/", 1)[-1])


def name_outside(node: Node, scheme: Node) -> str:
    """How something that is not in the list is named: by the end of its IRI where that stands directly below the scheme's, else by all of it,
    since the end of another list's IRI may be a code of this one."""
    base = scheme.value.rstrip("/#") if isinstance(scheme, ox.NamedNode) else ""
    rest = node.value.removeprefix(base) if base else ""
    own = rest != node.value and rest[:1] in ("/", "#") and not {"/", "#"} & set(rest[1:])
    return unquote(rest[1:]) if own else node.value


def _list_id(node: object) -> str:
    value = str(getattr(node, "value", node))
    return unquote(value.removeprefix(BASE)).replace("/", ":", 1) if value.startswith(BASE) else value


def _version(node: object) -> str:
    """A version by the name its keeper gave it: a literal, or the end of the IRI that `triples` writes."""
    value = str(getattr(node, "value", node)) if node is not None else ""
    return unquote(value.rpartition(_PRIOR)[2])


def write_turtle(codelist: CodeList) -> bytes:
    """The list as Turtle, the same bytes for the same list."""
    return write_rdf(codelist, "turtle")


def write_rdf(codelist: CodeList, format_: RdfName = "turtle") -> bytes:
    """The list as RDF; `read_rdf` reads an equal list back."""
    return dump(list(triples(codelist)), format_)


def dump(quads: list[ox.Triple], format_: RdfName = "turtle") -> bytes:
    """Triples in one of the formats, with the usual prefixes."""
    out = ox.serialize(quads, format=_FORMATS[format_], prefixes=PREFIXES)
    assert out is not None, "serialize() without a file answers with bytes"
    return out


def scheme_node(list_id: str) -> ox.NamedNode:
    """The IRI of a list's scheme."""
    return ox.NamedNode(BASE + quote(list_id.replace(":", "/", 1)))


def triples(codelist: CodeList) -> Iterator[ox.Triple]:
    """The list as triples, the scheme first and the concepts in order."""
    scheme = scheme_node(codelist.id)

    def say(predicate: str, value: ox.NamedNode | ox.Literal) -> ox.Triple:
        return ox.Triple(scheme, ox.NamedNode(predicate), value)

    yield ox.Triple(scheme, RDF_TYPE, ox.NamedNode(SKOS + "ConceptScheme"))
    yield say(DCTERMS + "identifier", ox.Literal(codelist.id))
    if codelist.version:
        yield say(SCHEMA + "version", ox.Literal(codelist.version))
        yield say(OWL + "versionInfo", ox.Literal(codelist.version))
    if codelist.follows:
        yield say(OWL + "priorVersion", ox.NamedNode(f"{scheme.value}{_PRIOR}{quote(codelist.follows, safe='')}"))
    if codelist.replaced_by:
        successor = codelist.replaced_by
        yield say(DCTERMS + "isReplacedBy", ox.NamedNode(successor) if "://" in successor else scheme_node(successor))
    for name, text in (("publisher", codelist.publisher), ("license", codelist.license)):
        if text:
            yield say(DCTERMS + name, ox.Literal(text))
    yield from _validity(scheme, codelist.valid_from, codelist.valid_to)
    for language, wording in codelist.title.items():
        yield say(SKOS + "prefLabel", _literal(wording, language))
    for language, wording in codelist.description.items():
        yield say(DCTERMS + "description", _literal(wording, language))
    notations = [c.notation for c in codelist.concepts]
    ordered = notations == sorted(notations)
    for concept in codelist.narrower(None):
        yield say(SKOS + "hasTopConcept", concept_node(scheme, concept.notation))
    for place, concept in enumerate(codelist.concepts, start=1):
        yield from _concept_triples(scheme, concept, None if ordered else place)


def _concept_triples(scheme: ox.NamedNode, concept: Concept, place: int | None) -> Iterator[ox.Triple]:
    node = concept_node(scheme, concept.notation)

    def say(predicate: str, value: ox.NamedNode | ox.Literal) -> ox.Triple:
        return ox.Triple(node, ox.NamedNode(predicate), value)

    yield ox.Triple(node, RDF_TYPE, ox.NamedNode(SKOS + "Concept"))
    yield say(SKOS + "inScheme", scheme)
    yield say(SKOS + "notation", ox.Literal(concept.notation))
    if place is not None:
        yield say(SCHEMA + "position", ox.Literal(str(place), datatype=XSD_INTEGER))
    for language, wording in concept.labels.items():
        yield say(SKOS + "prefLabel", _literal(wording, language))
    for language, wording in concept.alt_labels:
        yield say(SKOS + "altLabel", _literal(wording, language))
    for note in concept.notes:
        yield say(SKOS + note.kind, _literal(note.text, note.language))
    for predicate, others in (
        (SKOS + "broader", tuple(concept.above())),
        (SKOS + "related", concept.related),
        (DCTERMS + "isReplacedBy", concept.replaced_by),
    ):
        for other in others:
            yield say(predicate, concept_node(scheme, other))
    yield from _validity(node, concept.valid_from, concept.valid_to)


def _validity(node: ox.NamedNode, first: date | None, last: date | None) -> Iterator[ox.Triple]:
    for name, day in (("validFrom", first), ("validThrough", last)):
        if day is not None:
            yield ox.Triple(node, ox.NamedNode(SCHEMA + name), ox.Literal(day.isoformat(), datatype=XSD_DATE))


def concept_node(scheme: ox.NamedNode, notation: str) -> ox.NamedNode:
    """The IRI of a concept in its scheme."""
    return ox.NamedNode(f"{scheme.value}/{quote(notation, safe='')}")


def _literal(wording: str, language: str) -> ox.Literal:
    return ox.Literal(wording, language=language) if language else ox.Literal(wording)
