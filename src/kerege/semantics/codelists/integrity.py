"""Integrity of code lists as graphs: twenty questions of SKOS data on pyoxigraph, each answered in a time that grows with the list.

The conditions are those of the SKOS Reference (W3C, 2009) that a list in use depends on (S9, S13, S14, S27, S46) and the everyday faults that
quality checkers for SKOS look for (qSKOS names about 26; the list was read, none of its code). `CodeList.check` asks the same of a list in memory;
where both can see a fault their verdicts agree (`AGREED`), and `skosify`, a tool of others, agrees on cycles, S13, S14, S27 and redundant
hierarchy (tests/outside). What only a graph can hold (S9, S46, two preferred labels in one language) is asked here alone.

What SPARQL answers concept by concept is asked in SPARQL; what it would join with itself is grouped (`grouping`, `lines`).

Every finding has a stable code, a severity and a sentence; a loop of a hierarchy is named whole up to `MOST_STEPS`.
Findings per question are bounded by `MOST`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, cast

import pyoxigraph as ox

from kerege.ground.text import LANGUAGES, Said
from kerege.semantics.codelists import grouping
from kerege.semantics.codelists.codelist import MOST_STEPS, CodeList, Finding, Severity, loops, round_words
from kerege.semantics.codelists.grouping import MOST as MOST
from kerege.semantics.codelists.skos import (
    DCTERMS,
    SCHEMA,
    SKOS,
    RdfName,
    load_graph,
    local_name,
    name_outside,
    settle_scheme,
    triples,
)

_PREFIXES: Final = f"PREFIX skos: <{SKOS}> PREFIX dcterms: <{DCTERMS}> PREFIX schema: <{SCHEMA}> "


@dataclass(frozen=True, slots=True)
class Check:
    """One question: `asked` binds ?about (what is at fault), and where `message` says so ?other and ?more; `condition` its SKOS number."""

    code: str
    severity: Severity
    message: str
    asked: str | grouping.Answer
    condition: str = ""

    def rows(self, graph: grouping.Graph) -> Iterator[grouping.Row]:
        """What the graph answers; no more than `MOST`."""
        if not isinstance(self.asked, str):
            yield from islice(self.asked(graph), MOST)
            return
        answer = graph.store.query(
            f"{_PREFIXES}SELECT DISTINCT ?about ?other ?more WHERE {{ {self.asked} }} ORDER BY ?about ?other ?more LIMIT {MOST}"
        )
        assert isinstance(answer, ox.QuerySolutions), "every check is a SELECT"
        for row in answer:
            yield row["about"], row["other"], row["more"]


CHECKS: Final[tuple[Check, ...]] = (
    Check("class_clash", "error", "it is a concept and a concept scheme at once",
          "?about a skos:Concept, skos:ConceptScheme", "S9"),
    Check("label_both_kinds", "warning", "{other} is its preferred and an alternative or hidden label at once",
          "{ ?about skos:prefLabel ?other ; skos:altLabel|skos:hiddenLabel ?other } UNION { ?about skos:altLabel ?other ; skos:hiddenLabel ?other }",
          "S13"),
    Check("label_language_twice", "error", "it has two preferred labels in {other}", grouping.labels_in_one_language, "S14"),
    Check("related_in_line", "error", "it is related to {other}, which is above or below it", grouping.related_in_line, "S27"),
    Check("mapping_clash", "error", "it matches {other} exactly and is broader, narrower or related to it at once",
          "?about skos:exactMatch|^skos:exactMatch ?other ; "
          "skos:broadMatch|skos:narrowMatch|skos:relatedMatch|^skos:relatedMatch ?other", "S46"),
    Check("notation_missing", "error", "it has no notation",
          "?about a skos:Concept . FILTER NOT EXISTS { ?about skos:notation ?n . FILTER(STRLEN(REPLACE(STR(?n), '[ \\\\t]', '')) > 0) }"),
    Check("notation_twice", "error", "the notation is given to {other} as well", grouping.notations_twice),
    Check("validity_backwards", "error", "it ends before it begins", grouping.validity_backwards),
    Check("broader_unknown", "error", "{other} is not in the list", grouping.ABOVE),
    Check("related_unknown", "error", "{other} is not in the list", grouping.RELATED),
    Check("replacement_unknown", "error", "it is replaced by {other}, which is not in the list", grouping.REPLACED),
    Check("replaced_in_force", "warning", "it is replaced by {other} and has no last day",
          "?about a skos:Concept ; dcterms:isReplacedBy ?other . FILTER NOT EXISTS { ?about schema:validThrough ?to }"),
    Check("broader_twice", "warning", "{other} is directly above it and above another of its parents", grouping.parents_twice),
    Check("top_below", "warning", "it is a top concept and has {other} above it", grouping.tops_below),
    Check("label_twice", "warning", "its {more} label is also that of {other}", grouping.labels_twice),
)  # fmt: skip
_OUTSIDE: Final = frozenset({"broader_unknown", "related_unknown", "replacement_unknown"})
_LABEL: Final = "?about a skos:Concept . FILTER NOT EXISTS {{ ?about skos:prefLabel ?l . FILTER(LANG(?l) = '{language}' && STRLEN(STR(?l)) > 0) }}"
_TREE: Final = f"ASK {{ ?a <{SKOS}broader>|<{SKOS}narrower> ?b }}"
_ORPHAN: Final = (
    "?about a skos:Concept . FILTER NOT EXISTS { ?about skos:broader|^skos:broader|skos:narrower|^skos:narrower|skos:related|^skos:related ?x } "
    "FILTER NOT EXISTS { ?about skos:topConceptOf|^skos:hasTopConcept ?s }"
)
# codes that `CodeList.check` knows too, and then of the same notations
AGREED: Final = frozenset(
    {
        *("notation_twice", "notation_missing", "label_missing", "validity_backwards", "broader_unknown", "cycle"),
        *(
            "related_unknown",
            "replacement_unknown",
            "related_in_line",
            "label_both_kinds",
            "empty_list",
            "replaced_in_force",
        ),
    }
)
CODES: Final = (*(c.code for c in CHECKS), "label_missing", "cycle", "orphan", "empty_list", "scheme_missing")


def check_list(codelist: CodeList, languages: Iterable[str] = LANGUAGES) -> tuple[Finding, ...]:
    """Everything the graph of a list in memory shows."""
    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in triples(codelist))
    return check_graph(store, languages)


def check_file(
    data: bytes, name: str, format_: RdfName = "turtle", languages: Iterable[str] = LANGUAGES
) -> tuple[Finding, ...]:
    """Everything wrong with SKOS data as it stands in a file; CodeListInvalid when it cannot be read at all."""
    store = load_graph(data, name, format_)
    settle_scheme(store)
    return check_graph(store, languages)


def check_graph(store: ox.Store, languages: Iterable[str] = LANGUAGES) -> tuple[Finding, ...]:
    """Everything wrong with the SKOS data in `store`, errors first; an empty tuple means clean."""
    graph = grouping.Graph(store)
    found = [finding for check in CHECKS for finding in _asked(graph, check)]
    for language in languages:
        pattern = _LABEL.format(language=language)
        found += _asked(graph, Check("label_missing", "warning", "no label in {language}", pattern), language=language)
    if store.query(_TREE):
        message = "it is neither above, below nor related to any other, and no top concept"
        found += _asked(graph, Check("orphan", "warning", message, _ORPHAN))
    found += _cycles(graph)
    if not any(True for _ in store.quads_for_pattern(None, None, ox.NamedNode(SKOS + "ConceptScheme"))):
        found.append(Finding("scheme_missing", "", Said("scheme_missing", "there is no skos:ConceptScheme"), "error"))
    if not any(True for _ in store.quads_for_pattern(None, None, ox.NamedNode(SKOS + "Concept"))):
        found.append(Finding("empty_list", "", Said("empty_list", "the list has no concepts"), "error"))
    return tuple(sorted(dict.fromkeys(found), key=lambda f: (f.severity != "error", f.code, f.notation)))


def _asked(graph: grouping.Graph, check: Check, **facts: str) -> Iterator[Finding]:
    for subject, object_, said_of in check.rows(graph):
        about = _named(graph.store, subject)
        other, more = (_named(graph.store, term) if term is not None else "" for term in (object_, said_of))
        if check.code in _OUTSIDE and isinstance(object_, ox.NamedNode | ox.BlankNode):
            other = name_outside(object_, cast("ox.NamedNode | ox.BlankNode", said_of))
        words = f"{check.message} ({check.condition})" if check.condition else check.message
        said = Said(check.code, words, other=other, more=more, **facts)
        yield Finding(check.code, about, said, check.severity, _iri(subject))


def _cycles(graph: grouping.Graph) -> Iterator[Finding]:
    """Loops by walking, not by a property path: a path query on a large tree costs the closure, a walk every arrow once."""
    above: dict[str, list[str]] = {}
    names: dict[str, object] = {}
    for low, highs in graph.ups.items():
        names |= {str(term): term for term in (low, *highs)}
        above[str(low)] = [str(high) for high in highs]
    told = 0
    for ring in loops(above):
        said = round_words([_named(graph.store, names[node]) for node in ring.way[: MOST_STEPS + 1]], len(ring.way))
        for node in ring.members[: MOST - told]:
            told += 1
            yield Finding("cycle", _named(graph.store, names[node]), said, "error", _iri(names[node]))


def _iri(term: object) -> str:
    return term.value if isinstance(term, ox.NamedNode) else ""


def _named(store: ox.Store, term: object) -> str:
    """A concept by its notation, else by the end of its IRI; a literal by its text."""
    if isinstance(term, ox.NamedNode | ox.BlankNode):
        for quad in store.quads_for_pattern(term, ox.NamedNode(SKOS + "notation"), None):
            if isinstance(quad.object, ox.Literal):
                return quad.object.value
        return local_name(term)
    return repr(term.value) if isinstance(term, ox.Literal) and term.language else str(getattr(term, "value", term))
