"""Holding an export against the DCAT-AP 3 shapes, as the receiving catalogue will.

The set to use is `html/shacl` of the release: `shapes.ttl`, `range.ttl`, `mdr-vocabularies.shape.ttl`, `shapes_recommended.ttl`; the release's other
files refer to property shapes that nobody declared. Nothing is imported from the internet. What is a warning there (a recommended property
that we do not know) is counted apart from violations. `dcat_shapes` does the work; shapes it does not know are given to pyshacl.
"""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.errors import ExportInvalid, ShapesMissing
from kerege.catalogue.exports import dcat_shapes
from kerege.catalogue.exports.vocabulary import FORMATS

FILES: Final = ("shapes.ttl", "range.ttl", "mdr-vocabularies.shape.ttl", "shapes_recommended.ttl")


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
    held: dcat_shapes.Triples = {}
    for name in FILES:
        path = shapes / name
        if not path.is_file():
            raise ShapesMissing(folder=str(shapes), file=name)
        # each file with its own blank nodes
        for subject, told in _read(path.read_bytes(), "turtle").items():
            held.setdefault(subject, {})
            for predicate, values in told.items():
                held[subject].setdefault(predicate, {}).update(values)
    try:
        compiled = dcat_shapes.compile_shapes(held)
    except dcat_shapes.Unknown:
        return check_by_pyshacl(data, shapes, form)
    collecting = gc.isenabled()
    gc.disable()  # there are a million small objects and no circles among them
    try:
        results = list(dcat_shapes.Validation(_read(data, form)).results(compiled))
    finally:
        if collecting:
            gc.enable()
    severe = [r for r in results if r.severity == "Violation"]
    warnings = Counter(_short(r.path) for r in results if r.severity != "Violation")
    violations = sorted(f"{dcat_shapes.show(r.focus)} {r.path}: {r.message}" for r in severe)[:MOST]
    return Checked(tuple(violations), len(severe), dict(sorted(warnings.items())), _paths(held))


def _read(data: bytes, form: str) -> dcat_shapes.Triples:
    import pyoxigraph as ox

    try:
        return dcat_shapes.read(ox.parse(data, format=FORMATS[form], rename_blank_nodes=True))
    except (SyntaxError, ValueError) as error:
        raise ExportInvalid(reason=f"it is not {form}: {error}") from error


def _paths(held: dcat_shapes.Triples) -> int:
    return sum(f"{dcat_shapes.SH}path" in told for told in held.values())


def _short(path: str) -> str:
    return path.replace("#", "/").rsplit("/", 1)[-1]


def check_by_pyshacl(data: bytes, shapes: Path, form: str = "turtle") -> Checked:
    """The same by pyshacl, untouched: for shapes that use more of SHACL, and to hold `check` against."""
    from pyshacl import validate
    from rdflib import RDF, SH, Graph

    held, graph = Graph(), Graph()
    for name in FILES:
        held.parse(shapes / name, format="turtle")
    told = {"turtle": "turtle", "jsonld": "json-ld", "rdfxml": "xml"}[form]
    try:
        graph.parse(data=data, format=told)
    except Exception as error:  # rdflib's parsers have no error of their own in common
        raise ExportInvalid(reason=f"it is not {form}") from error
    _, report, _ = validate(graph, shacl_graph=held, inference="none", advanced=False, allow_warnings=True)
    if not isinstance(report, Graph):
        raise ExportInvalid(reason="the validator could not read the shapes")
    violations: list[str] = []
    warnings: Counter[str] = Counter()
    top = [r for report_ in report.subjects(RDF.type, SH.ValidationReport) for r in report.objects(report_, SH.result)]
    for result in top:
        path = report.value(result, SH.resultPath)
        if report.value(result, SH.resultSeverity) == SH.Violation:
            message = report.value(result, SH.resultMessage)
            violations.append(f"{report.value(result, SH.focusNode)} {path or ''}: {message}")
        else:
            warnings[_short(str(path or ""))] += 1
    total = sum(1 for _ in held.subjects(SH.path, None))
    return Checked(tuple(sorted(violations)[:MOST]), len(violations), dict(sorted(warnings.items())), total)
