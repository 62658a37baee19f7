"""The questions of `integrity` that join a graph with itself, answered by grouping: what a join answers in the square of a list's length.

A thousand codes with one label are half a million pairs to a join and one group here. Each answer is rows of (about, other, more), as a SELECT of
those variables would give them; one per concept where a join would tell every pair. Held equal to SPARQL on small lists by
tests/semantics/test_integrity.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice, pairwise
from typing import Any, Final

import pyoxigraph as ox

from kerege.semantics.codelists.lines import Lines
from kerege.semantics.codelists.skos import DCTERMS, SCHEMA, SKOS

Row = tuple[Any, Any, Any]  # terms; None where there is nothing to say
Answer = Callable[["Graph"], Iterator[Row]]
MOST: Final = 1000  # findings of one code; a list with more of a kind is told by its first thousand
_MOST_OF_ONE: Final = (
    60  # labels, notations, parents or schemes of one concept that are compared; none in use has as many
)


class Graph:
    """The statements of a store that the questions below are about, by concept and in order."""

    def __init__(self, store: ox.Store) -> None:
        self.store = store

    def pairs(self, *predicates: str) -> Iterator[tuple[Any, Any]]:
        """Subject and object of every statement of these, which are IRIs; turned round where one begins with ^."""
        for predicate in predicates:
            for quad in self.store.quads_for_pattern(None, ox.NamedNode(predicate.removeprefix("^")), None):
                subject, object_ = quad.subject, quad.object
                yield (object_, subject) if predicate.startswith("^") else (subject, object_)

    def by_subject(self, *predicates: str) -> dict[Any, list[Any]]:
        """The objects of each subject, each once, in the order of their texts."""
        found: dict[Any, set[Any]] = defaultdict(set)
        for subject, object_ in self.pairs(*predicates):
            found[subject].add(object_)
        return {subject: sorted(found[subject], key=str) for subject in sorted(found, key=str)}

    @cached_property
    def schemes(self) -> dict[Any, list[Any]]:
        return self.by_subject(f"{SKOS}inScheme")

    @cached_property
    def ups(self) -> dict[Any, list[Any]]:
        """What is directly above a concept."""
        return self.by_subject(f"{SKOS}broader", f"^{SKOS}narrower")

    @cached_property
    def labels(self) -> dict[Any, list[Any]]:
        return self.by_subject(f"{SKOS}prefLabel")


def labels_in_one_language(graph: Graph) -> Iterator[Row]:
    for about, labels in graph.labels.items():
        seen: dict[str, str] = {}
        told: set[str] = set()
        for label in labels:
            language = getattr(label, "language", None)
            if language and seen.setdefault(language, label.value) != label.value and language not in told:
                told.add(language)
                yield about, ox.Literal(language), None


def related_in_line(graph: Graph) -> Iterator[Row]:
    tied = set(graph.pairs(f"{SKOS}related", f"^{SKOS}related"))
    if not tied:
        return
    many = (f"{SKOS}broader", f"^{SKOS}narrower", f"{SKOS}broaderTransitive", f"^{SKOS}narrowerTransitive")
    terms = {str(term): term for pair in tied for term in pair}
    asked = {(str(a), str(b)) for a, b in tied}
    found = Lines(_by_text(graph.by_subject(*many))).reached(asked)
    for a, b in sorted(found | {(b, a) for a, b in found}):
        if (a, b) in asked:
            yield terms[a], terms[b], None


def parents_twice(graph: Graph) -> Iterator[Row]:
    terms = {str(term): term for about, ups in graph.ups.items() if len(ups) > 1 for term in (about, *ups)}
    if not terms:
        return
    found = islice(Lines(_by_text(graph.ups)).doubled(), MOST)  # what is told is not looked for further
    for about, other in sorted(found):
        yield terms[about], terms[other], None


def notations_twice(graph: Graph) -> Iterator[Row]:
    groups = _groups(graph.by_subject(f"{SKOS}notation"), graph.schemes)
    for members in groups.values():
        for about, other in pairwise(members):
            yield about, other, None


def labels_twice(graph: Graph) -> Iterator[Row]:
    """Under one parent, or both without."""
    parents = graph.by_subject(f"{SKOS}broader")
    shared = _groups(graph.labels, graph.schemes)
    for (label, _), members in shared.items():
        first: dict[Any, Any] = {}
        for about in members:
            places = parents.get(about, [None])[:_MOST_OF_ONE]
            others = [first.setdefault(place, about) for place in places]
            if (other := min(others, key=str)) != about:
                yield about, other, ox.Literal(getattr(label, "language", None) or "")


def _groups(said: dict[Any, list[Any]], schemes: dict[Any, list[Any]]) -> dict[tuple[Any, Any], list[Any]]:
    """The concepts of one scheme that say the same, in order, where there are several."""
    counted: dict[Any, int] = defaultdict(int)
    for texts in said.values():
        for text in texts[:_MOST_OF_ONE]:
            counted[text] += 1
    groups: dict[tuple[Any, Any], list[Any]] = defaultdict(list)
    for about, texts in said.items():
        for text in texts[:_MOST_OF_ONE]:
            if counted[text] > 1:
                for scheme in schemes.get(about, ())[:_MOST_OF_ONE]:
                    groups[text, scheme].append(about)
    return {key: members for key, members in groups.items() if len(members) > 1}


def validity_backwards(graph: Graph) -> Iterator[Row]:
    ends = graph.by_subject(f"{SCHEMA}validThrough")
    for about, begins in graph.by_subject(f"{SCHEMA}validFrom").items():
        if about in ends and min(d.value for d in ends[about]) < max(d.value for d in begins):
            yield about, None, None


def outside(*predicates: str) -> Answer:
    """What concepts lead to that is not of their scheme."""

    def answer(graph: Graph) -> Iterator[Row]:
        inside = {about: frozenset(schemes) for about, schemes in graph.schemes.items()}
        for about, others in graph.by_subject(*predicates).items():
            for scheme in graph.schemes.get(about, ())[:_MOST_OF_ONE]:
                for other in others:
                    if scheme not in inside.get(other, ()):
                        yield about, other, scheme

    return answer


ABOVE: Final = outside(f"{SKOS}broader", f"^{SKOS}narrower")
RELATED: Final = outside(f"{SKOS}related")
REPLACED: Final = outside(f"{DCTERMS}isReplacedBy")


def tops_below(graph: Graph) -> Iterator[Row]:
    for about in graph.by_subject(f"{SKOS}topConceptOf", f"^{SKOS}hasTopConcept"):
        for other in graph.ups.get(about, ()):
            yield about, other, None


def _by_text(found: dict[Any, list[Any]]) -> dict[str, list[str]]:
    return {str(about): [str(other) for other in others] for about, others in found.items()}
