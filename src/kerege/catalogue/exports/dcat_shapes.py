"""The part of SHACL that the DCAT-AP shapes use, compiled once and held against a large graph quickly.

Paths (a property, or one the other way round), targetClass, property, node, or, class, datatype, nodeKind, minCount, maxCount, hasValue and
pattern, with severities: nothing else stands in `html/shacl` of DCAT-AP 3.0.1. Shapes that use anything else are not read (`Unknown`), and the
caller asks pyshacl, which knows all of SHACL and takes twenty times as long. Results are those of pyshacl, and a test holds the two
against each other, on good exports and on broken ones. Pure.
Source: SHACL (W3C Recommendation, 20 July 2017), sections 2 to 4; DCAT-AP 3.0.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyoxigraph as ox

SH: Final = "http://www.w3.org/ns/shacl#"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TYPE, _SUBCLASS = f"{_RDF}type", "http://www.w3.org/2000/01/rdf-schema#subClassOf"
_LANGUAGE: Final = f"{_RDF}langString"
# sh:shape is no word of SHACL; the release writes it five times and every processor passes over it
_SILENT: Final = frozenset(
    {"severity", "message", "description", "name", "order", "group", "path", "targetClass", "shape"}
)
_CHECKED: Final = (
    "nodeKind",
    "class",
    "datatype",
    "pattern",
    "node",
    "or",
    "minCount",
    "maxCount",
    "hasValue",
    "property",
)

Literal = tuple[str, str, str]  # words, datatype, language
Node = str | Literal  # an IRI, `_:x`, or a literal
Triples = dict[Node, dict[str, dict[Node, None]]]  # subject -> predicate -> objects, in order


class Unknown(Exception):
    """The shapes use something of SHACL that is not known here; its name."""


@dataclass(frozen=True, slots=True)
class Result:
    """One validation result. `path` is "" for the focus node itself, and begins with ^ for the other way round."""

    focus: Node
    path: str
    severity: str
    constraint: str
    value: Node | None

    @property
    def message(self) -> str:
        about = "" if self.value is None else f": {show(self.value)}"
        return f"sh:{self.constraint} is not met{about}"


@dataclass(eq=False, slots=True)
class Shape:
    """A compiled shape; `path` is "" for a node shape."""

    path: str
    severity: str
    targets: tuple[str, ...]
    checks: list[tuple[str, Any]] = field(default_factory=list)


def show(node: Node) -> str:
    """For people."""
    return node if isinstance(node, str) else f'"{node[0]}"'


def read(quads: Iterable[ox.Quad]) -> Triples:
    """The triples, as they are asked for here."""
    found: Triples = {}
    for quad in quads:
        predicates = found.setdefault(_node(quad.subject), {})
        predicates.setdefault(quad.predicate.value, {})[_node(quad.object)] = None
    return found


def _node(term: Any) -> Node:
    if isinstance(term, ox.NamedNode):
        return term.value
    if isinstance(term, ox.BlankNode):
        return f"_:{term.value}"
    if isinstance(term, ox.Literal):
        return term.value, term.datatype.value, term.language or ""
    raise Unknown("a triple about a triple")


def compile_shapes(graph: Triples) -> list[Shape]:
    """Every shape with a target. Raises Unknown."""
    made: dict[Node, Shape] = {}

    def one(node: Node) -> Shape:
        if node in made:
            return made[node]
        told = graph.get(node, {})
        path = _path(graph, _only(told, "path"))
        severity = _only(told, "severity") or f"{SH}Violation"
        targets = tuple(str(t) for t in told.get(f"{SH}targetClass", ()))
        shape = made[node] = Shape(path, str(severity).removeprefix(SH), targets)
        used = {p.removeprefix(SH) for p in told if p.startswith(SH)}
        if unknown := used - _SILENT - set(_CHECKED):
            raise Unknown(", ".join(sorted(unknown)))
        for name in _CHECKED:
            for value in told.get(SH + name, ()):
                shape.checks.append((name, _argument(name, value, graph, one)))
        return shape

    shapes = [one(node) for node, told in graph.items() if f"{SH}targetClass" in told]
    for implied in ("targetNode", "targetSubjectsOf", "targetObjectsOf", "target"):
        if any(SH + implied in told for told in graph.values()):
            raise Unknown(implied)
    return shapes


def _only(told: dict[str, dict[Node, None]], name: str) -> Node | None:
    return next(iter(told.get(SH + name, ())), None)


def _path(graph: Triples, node: Node | None) -> str:
    if node is None:
        return ""
    if isinstance(node, str) and not node.startswith("_:"):
        return node
    inverse = _only(graph.get(node, {}), "inversePath")
    if not isinstance(inverse, str) or inverse.startswith("_:") or len(graph[node]) != 1:
        raise Unknown("a path of several steps")
    return f"^{inverse}"


def _argument(name: str, value: Node, graph: Triples, one: Any) -> Any:
    if name in ("minCount", "maxCount"):
        return int(value[0])
    if name == "pattern":
        return re.compile(value[0])
    if name in ("node", "property"):
        return one(value)
    if name == "or":
        return [one(member) for member in _members(graph, value)]
    return str(value).removeprefix(SH) if name == "nodeKind" else value


def _members(graph: Triples, node: Node) -> Iterator[Node]:
    while node != f"{_RDF}nil":
        yield next(iter(graph[node][f"{_RDF}first"]))
        node = next(iter(graph[node][f"{_RDF}rest"]))


class Validation:
    """One graph under validation."""

    def __init__(self, graph: Triples) -> None:
        self._graph = graph
        self._above: dict[Node, frozenset[Node]] = {}  # a class and all above it
        self._fits: dict[tuple[int, Node], bool] = {}
        self._well: dict[tuple[str, str], bool] = {}
        self._instances: dict[Node, list[Node]] = {}
        for subject, told in graph.items():
            for kind in {c for named in told.get(_TYPE, ()) for c in self._classes(named)}:
                self._instances.setdefault(kind, []).append(subject)
        self._inverse: dict[str, dict[Node, list[Node]]] = {}

    def results(self, shapes: Iterable[Shape]) -> Iterator[Result]:
        """Everything the shapes have against the graph."""
        for shape in shapes:
            for focus in dict.fromkeys(f for target in shape.targets for f in self._instances.get(target, ())):
                yield from self._held(shape, focus)

    def _held(self, shape: Shape, focus: Node) -> Iterator[Result]:
        values = self._values(shape.path, focus)
        for name, argument in shape.checks:
            if name == "property":
                for value in values:
                    yield from self._held(argument, value)
            else:
                for wrong in self._wrong(name, argument, values):
                    yield Result(focus, shape.path, shape.severity, name, wrong)

    def _values(self, path: str, focus: Node) -> Iterable[Node]:
        if not path:
            return (focus,)
        if path[0] != "^":
            return self._graph.get(focus, {}).get(path, ())
        if path not in self._inverse:
            found = self._inverse[path] = {}
            for subject, told in self._graph.items():
                for value in told.get(path[1:], ()):
                    found.setdefault(value, []).append(subject)
        return self._inverse[path].get(focus, ())

    def _wrong(self, name: str, argument: Any, values: Iterable[Node]) -> Iterator[Node | None]:
        """A value for each result; None where the result is about all of them."""
        if name == "minCount":
            yield from (None,) * (sum(1 for _ in values) < argument)
        elif name == "maxCount":
            yield from (None,) * (sum(1 for _ in values) > argument)
        elif name == "hasValue":
            yield from (None,) * (argument not in values)
        else:
            meets = getattr(self, f"_{name.lower()}")
            yield from (value for value in values if not meets(argument, value))

    def _nodekind(self, kind: str, value: Node) -> bool:
        this = "Literal" if not isinstance(value, str) else "BlankNode" if value.startswith("_:") else "IRI"
        return this in kind.split("Or")

    def _class(self, kind: Node, value: Node) -> bool:
        return any(kind in self._classes(named) for named in self._graph.get(value, {}).get(_TYPE, ()))

    def _datatype(self, kind: Node, value: Node) -> bool:
        if isinstance(value, str) or value[1] != kind:
            return False
        key = value[0], value[1]
        if key not in self._well:
            from rdflib import Literal as Worded
            from rdflib import URIRef

            self._well[key] = bool(value[2]) or not Worded(value[0], datatype=URIRef(value[1])).ill_typed
        return self._well[key]

    def _pattern(self, pattern: re.Pattern[str], value: Node) -> bool:
        words = value if isinstance(value, str) else value[0]
        return not words.startswith("_:") and pattern.search(words) is not None

    def _node(self, shape: Shape, value: Node) -> bool:
        key = id(shape), value
        if key not in self._fits:
            self._fits[key] = True  # of a shape that comes back to itself
            self._fits[key] = next(self._held(shape, value), None) is None
        return self._fits[key]

    def _or(self, shapes: list[Shape], value: Node) -> bool:
        return any(self._node(shape, value) for shape in shapes)

    def _classes(self, kind: Node) -> frozenset[Node]:
        if kind not in self._above:
            self._above[kind] = frozenset({kind})  # of classes that are above themselves
            above = (self._classes(one) for one in self._graph.get(kind, {}).get(_SUBCLASS, ()))
            self._above[kind] = frozenset({kind}).union(*above)
        return self._above[kind]
