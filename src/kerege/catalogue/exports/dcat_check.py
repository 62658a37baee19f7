"""Holding an export against the DCAT-AP 3 shapes with pyshacl, as the receiving catalogue will.

The set to use is `html/shacl` of the release: `shapes.ttl`, `range.ttl`, `mdr-vocabularies.shape.ttl`, `shapes_recommended.ttl`; the release's other
files refer to property shapes that nobody declared. Nothing is imported from the internet. What is a warning there (a recommended property
that we do not know) is counted apart from violations.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.errors import ExportInvalid, ShapesMissing

FILES: Final = ("shapes.ttl", "range.ttl", "mdr-vocabularies.shape.ttl", "shapes_recommended.ttl")
_SH: Final = "http://www.w3.org/ns/shacl#"


@dataclass(frozen=True, slots=True)
class Checked:
    """What the shapes say: violations in words (at most `MOST`), how many, warnings by property, how many shapes were held."""

    violations: tuple[str, ...]
    violation_count: int
    warnings: dict[str, int]
    shapes: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "violations": self.violation_count,
            "first": list(self.violations),
            "warnings": self.warnings,
            "shapes": self.shapes,
        }


MOST: Final = 50


def check(data: bytes, shapes: Path, form: str = "turtle") -> Checked:
    """Validate `data` (Turtle, JSON-LD or RDF/XML) against the shapes in the folder `shapes`.

    Raises ShapesMissing when a file of the set is not there, ExportInvalid when `data` is not RDF.
    """
    from pyshacl.graph_abstraction import DataGraph
    from pyshacl.validator import Validator
    from rdflib import Graph, URIRef

    held = Graph()
    for name in FILES:
        path = shapes / name
        if not path.is_file():
            raise ShapesMissing(folder=str(shapes), file=name)
        held.parse(path, format="turtle")

    class Collecting(Validator):
        """Keeps the results as they are: pyshacl's report is one long text and one graph, which take most of the time of a large export."""

        @classmethod
        def create_validation_report(cls, sg: Any, conforms: bool, results: list[Any]) -> tuple[list[Any], str]:
            del sg, conforms
            return results, ""

    told = {"inference": "none", "advanced": False, "allow_warnings": True}
    _quickly()
    run: Any = Collecting(DataGraph.from_rdflib_graph(_loaded(data, form)), shacl_graph=held, options=told).run
    with _once_per_node():
        _, results, _ = run()
    if not isinstance(results, list):
        raise ExportInvalid(reason="the validator could not read the shapes")
    warnings: Counter[str] = Counter()
    violations: list[str] = []
    count = 0
    severity, path_, focus, message = (
        URIRef(_SH + n) for n in ("resultSeverity", "resultPath", "focusNode", "resultMessage")
    )
    for _, node, parts in results:
        # `parts` holds those of nested shapes too (sh:detail): what counts is the result's own
        own = {p: o[1] if isinstance(o, tuple) else o for s, p, o in parts if s == node}
        where = str(own.get(path_, ""))
        if own.get(severity) == URIRef(_SH + "Violation"):
            count += 1
            if len(violations) < MOST:
                violations.append(f"{own.get(focus)} {where}: {own.get(message)}")
        else:
            warnings[where.replace("#", "/").rsplit("/", 1)[-1]] += 1
    total = sum(1 for _ in held.subjects(URIRef(_SH + "path"), None))
    return Checked(tuple(sorted(violations)), count, dict(sorted(warnings.items())), total)


def _quickly() -> None:
    """pyshacl looks every predicate of every shape up in a list of constraint parameters, for every node; as a set it gives the same answer.

    Only where the library still keeps them so.
    """
    from pyshacl import shape
    from pyshacl.constraints import ALL_CONSTRAINT_PARAMETERS, CONSTRAINT_PARAMETERS_MAP

    if hasattr(shape, "module"):
        parameters: Any = shape.module
        parameters.CONSTRAINT_PARAMS = (frozenset(ALL_CONSTRAINT_PARAMETERS), CONSTRAINT_PARAMETERS_MAP)


@contextmanager
def _once_per_node() -> Iterator[None]:
    """While it lasts, a node is held against a nested shape once, however many datasets point at it.

    Whether a node fits a shape depends on the graph alone, which does not change; without this, the five thousand mentions of one theme are
    five thousand checks of that theme. The collector of circles rests meanwhile: there are millions of small objects and none of those.
    """
    from pyshacl.shape import Shape
    from rdflib import URIRef

    shape: Any = Shape
    plain = shape.validate
    known: dict[tuple[Any, str], Any] = {}

    def validate(self: Any, executor: Any, graph: Any, focus: Any = None, _evaluation_path: Any = None) -> Any:
        if type(focus) is not URIRef or self.is_property_shape:
            return plain(self, executor, graph, focus=focus, _evaluation_path=_evaluation_path)
        key = (self.node, str(focus))
        if key not in known:
            known[key] = plain(self, executor, graph, focus=focus, _evaluation_path=_evaluation_path)
        return known[key]

    collecting = gc.isenabled()
    gc.disable()
    shape.validate = validate
    try:
        yield
    finally:
        shape.validate = plain
        if collecting:
            gc.enable()


def _loaded(data: bytes, form: str) -> Any:
    """The data as an rdflib graph; read by pyoxigraph, which is several times faster at it."""
    import pyoxigraph as ox
    from rdflib import BNode, Graph, Literal, URIRef

    from kerege.catalogue.exports.vocabulary import FORMATS

    graph = Graph()
    nodes: dict[str, Any] = {}

    def node(term: Any) -> Any:
        if isinstance(term, ox.NamedNode):
            found = nodes.get(term.value)
            if found is None:
                found = nodes[term.value] = URIRef(term.value)
            return found
        if isinstance(term, ox.BlankNode):
            return BNode(term.value)
        datatype = None if term.language or term.datatype.value.endswith("#string") else URIRef(term.datatype.value)
        return Literal(term.value, lang=term.language, datatype=datatype)

    try:
        for quad in ox.parse(data, format=FORMATS[form]):
            graph.store.add((node(quad.subject), node(quad.predicate), node(quad.object)), graph)
    except (SyntaxError, ValueError) as error:
        raise ExportInvalid(reason=f"it is not {form}: {error}") from error
    return graph
