"""Integrity of code lists as graphs: each fault is found, none is invented, and the list in memory says the same."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from typing import Any

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.codelists import grouping, lines
from kerege.semantics.codelists.codelist import CodeList, Concept, loops
from kerege.semantics.codelists.integrity import AGREED, CHECKS, CODES, MOST, check_file, check_list
from kerege.semantics.codelists.skos import DCTERMS, SCHEMA, SKOS, read_rdf, write_turtle
from kerege.semantics.normalise import folding

from .support import country_pack

HEAD = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix schema: <https://schema.org/> . @prefix : <http://e.org/s/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
: a skos:ConceptScheme ; skos:hasTopConcept :1, :2 .
:1 a skos:Concept ; skos:inScheme : ; skos:notation "1" ; skos:prefLabel "one"@en .
:2 a skos:Concept ; skos:inScheme : ; skos:notation "2" ; skos:prefLabel "two"@en .
:3 a skos:Concept ; skos:inScheme : ; skos:notation "3" ; skos:prefLabel "three"@en ; skos:broader :2 .
"""

FOUR = ":4 a skos:Concept ; skos:inScheme : ; "
FAULTS = {
    "class_clash": (":1 a skos:ConceptScheme .", "1", "at once (S9)"),
    "label_both_kinds": (':1 skos:altLabel "one"@en .', "1", "'one' is its preferred and an alternative"),
    "label_language_twice": (':1 skos:prefLabel "uno"@en .', "1", "two preferred labels in en (S14)"),
    "related_in_line": (":3 skos:related :2 .", "3", "related to 2, which is above or below it (S27)"),
    "mapping_clash": (":1 skos:exactMatch :2 ; skos:broadMatch :2 .", "1", "matches 2 exactly"),
    "notation_missing": (FOUR + 'skos:prefLabel "x"@en ; skos:broader :1 .', "4", "no notation"),
    "notation_twice": (FOUR + 'skos:prefLabel "x"@en ; skos:broader :1 ; skos:notation "1" .', "1", "as well"),
    "validity_backwards": (':1 schema:validFrom "2021-01-01"^^xsd:date ; schema:validThrough "2020-01-01"^^xsd:date .', "1", "ends before"),
    "broader_unknown": (":3 skos:broader <http://e.org/other/9> .", "3", "http://e.org/other/9 is not in the list"),
    "related_unknown": (":3 skos:related <http://e.org/other/1> .", "3", "http://e.org/other/1 is not in the list"),
    "replacement_unknown": (':1 dcterms:isReplacedBy :77 ; schema:validThrough "2020-01-01"^^xsd:date .', "1", "replaced by 77, which is not"),
    "replaced_in_force": (":1 dcterms:isReplacedBy :2 .", "1", "replaced by 2 and has no last day"),
    "broader_twice": (FOUR + 'skos:notation "4" ; skos:prefLabel "x"@en ; skos:broader :3, :2 .', "4", "2 is directly above it and"),
    "top_below": (":1 skos:broader :2 .", "1", "top concept and has 2 above it"),
    "label_twice": (FOUR + 'skos:notation "4" ; skos:prefLabel "one"@en ; skos:topConceptOf : .', "4", "its en label is also that of 1"),
    "label_missing": (FOUR + 'skos:notation "4" ; skos:prefLabel "vier"@de ; skos:broader :1 .', "4", "no label in en"),
    "cycle": (":2 skos:broader :3 .", "2", "it is above itself: 2 -> 3 -> 2"),
    "orphan": (FOUR + 'skos:notation "4" ; skos:prefLabel "x"@en .', "4", "no top concept"),
}  # fmt: skip


def test_a_clean_graph_has_no_findings() -> None:
    assert check_file(HEAD.encode(), "l.ttl", languages=("en",)) == ()


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_found_by_its_code_and_named(code: str) -> None:
    addition, notation, said = FAULTS[code]
    found = check_file((HEAD + addition).encode(), "l.ttl", languages=("en",))
    here = [f for f in found if f.code == code]
    assert notation in [f.notation for f in here], found
    assert any(said in f.message for f in here), here


def test_a_code_of_another_list_is_not_taken_for_one_of_this_that_ends_alike() -> None:
    text = HEAD + ":3 skos:related <http://e.org/other/1> ; skos:broader <http://e.org/other#1> ."
    three = read_rdf(text.encode(), "l.ttl").get("3")
    assert three is not None
    assert (three.related, tuple(three.above())) == (("http://e.org/other/1",), ("2", "http://e.org/other#1"))
    found = {(f.code, f.iri) for f in check_file(text.encode(), "l.ttl", languages=("en",)) if f.severity == "error"}
    assert found == {("related_unknown", "http://e.org/s/3"), ("broader_unknown", "http://e.org/s/3")}


def test_concepts_that_say_no_scheme_are_asked_like_those_that_do() -> None:
    text = HEAD.replace(" skos:inScheme : ;", "") + ':4 a skos:Concept ; skos:notation "1" ; skos:broader :2 .'
    assert ("notation_twice", "1") in [(f.code, f.notation) for f in check_file(text.encode(), "l.ttl")]


def test_every_code_there_is_has_a_fault_here_or_below() -> None:
    assert set(CODES) - set(FAULTS) == {"empty_list", "scheme_missing"}
    found = {f.code for f in check_file(b"", "l.ttl")}
    assert found == {"empty_list", "scheme_missing"}


def test_the_lists_of_the_country_pack_have_no_errors() -> None:
    for found in country_pack().codelists.values():
        assert [f for f in check_list(found) if f.severity == "error"] == [], found.id


def test_a_code_list_with_cycles_is_a_clear_error_naming_the_loop() -> None:
    ring = CodeList(
        "t:r",
        (Concept("a", broader="b"), Concept("b", broader="c"), Concept("c", broader="a"), Concept("d", broader="a")),
    )
    for found in (ring.check(()), check_list(ring, ())):
        cycles = [f for f in found if f.code == "cycle"]
        assert [f.notation for f in cycles] == ["a", "b", "c"]
        assert {f.message for f in cycles} == {"it is above itself: a -> b -> c -> a"}


NAMES = st.sampled_from("abcdef")


@st.composite
def faulty_lists(draw: st.DrawFn) -> CodeList:
    concepts = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=draw(st.booleans()) or True)):
        above = draw(st.lists(NAMES, unique=True, max_size=2))
        days = draw(st.lists(st.sampled_from([None, date(2020, 1, 1), date(2021, 1, 1)]), min_size=2, max_size=2))
        labels = draw(st.dictionaries(st.sampled_from(["ky", "ru", "en"]), st.sampled_from(["x", "y"]), max_size=3))
        alternatives = draw(st.lists(st.tuples(st.just("en"), st.sampled_from(["x", "z"])), max_size=1))
        concepts.append(
            Concept(
                name, labels, tuple(alternatives), above[0] if above else None, days[0], days[1], (), tuple(above[1:]),
                tuple(draw(st.lists(NAMES.filter(name.__ne__), unique=True, max_size=1))),
                tuple(draw(st.lists(NAMES, unique=True, max_size=1))),
            )
        )  # fmt: skip
    return CodeList("t:l", tuple(concepts))


@given(faulty_lists())
@settings(max_examples=40, deadline=None)
def test_the_graph_and_the_list_in_memory_give_the_same_verdicts(codelist: CodeList) -> None:
    in_memory = {(f.code, f.notation, f.severity) for f in codelist.check() if f.code in AGREED}
    in_graph = {(f.code, f.notation, f.severity) for f in check_list(codelist) if f.code in AGREED}
    assert in_graph == in_memory


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6))
def test_loops_are_exactly_the_nodes_that_reach_themselves(above: dict[str, list[str]]) -> None:
    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        edge = list(above.get(start, []))
        while edge:
            node = edge.pop()
            if node not in seen:
                seen.add(node)
                edge += above.get(node, [])
        return seen

    found = loops(above)
    assert {n for loop in found for n in loop.members} == {n for n in above if n in reaches(n)}
    for loop in found:
        for here, there in zip(loop.way, (*loop.way[1:], loop.way[0]), strict=True):
            assert there in above[here]


def test_a_hierarchy_as_deep_as_a_list_may_be_long_is_walked() -> None:
    deep = {str(n): [str(n + 1)] for n in range(20_000)}
    assert loops(deep) == ()
    assert len(loops(deep | {"20000": ["0"]})[0].way) == 20_001


def test_a_written_list_shows_the_same_faults_as_the_list() -> None:
    broken = CodeList("t:b", (Concept("1", {"en": "a"}, broader="9"), Concept("2", {"en": "b"}, broader="1")))
    assert check_file(write_turtle(broken), "b.ttl") == check_list(broken)
    assert check_list(replace(broken, concepts=()), ("en",))[0].code == "empty_list"


# --- grouped answers, held against the joins they stand for ---

_UP = "(skos:broader|^skos:narrower)"
_MANY_UP = "(skos:broader|^skos:narrower|skos:broaderTransitive|^skos:narrowerTransitive)+"
_OTHERS = "?about skos:inScheme ?more ; {} ?other . FILTER NOT EXISTS {{ ?other skos:inScheme ?more }}"
WITNESS = {
    "label_language_twice": "?about skos:prefLabel ?a, ?b . FILTER(LANG(?a) = LANG(?b) && STR(?a) < STR(?b)) BIND(LANG(?a) AS ?other)",
    "related_in_line": f"?about skos:related|^skos:related ?other . "
    f"FILTER(EXISTS {{ ?about {_MANY_UP} ?other }} || EXISTS {{ ?other {_MANY_UP} ?about }})",
    "notation_twice": "?about skos:notation ?n . ?x skos:notation ?n . ?about skos:inScheme ?s . ?x skos:inScheme ?s . "
    "FILTER(STR(?about) < STR(?x))",
    "validity_backwards": "?about schema:validFrom ?from ; schema:validThrough ?to . FILTER(STR(?to) < STR(?from))",
    "broader_unknown": _OTHERS.format(_UP),
    "related_unknown": _OTHERS.format("skos:related"),
    "replacement_unknown": _OTHERS.format("dcterms:isReplacedBy"),
    "broader_twice": f"?about {_UP} ?other . ?about {_UP} ?way . ?way {_UP}+ ?other . FILTER(?way != ?other && ?way != ?about)",
    "top_below": f"?about skos:topConceptOf|^skos:hasTopConcept ?s ; {_UP} ?other",
    "label_twice": "?x skos:prefLabel ?a ; skos:inScheme ?s . ?about skos:prefLabel ?a ; skos:inScheme ?s . "
    "FILTER(STR(?x) < STR(?about)) BIND(LANG(?a) AS ?more) OPTIONAL { ?about skos:broader ?p } OPTIONAL { ?x skos:broader ?q } "
    "FILTER((!BOUND(?p) && !BOUND(?q)) || ?p = ?q)",
}
NODES = [ox.NamedNode(f"http://e.org/s/{name}") for name in "abcdef"]
PLACES = [ox.NamedNode(f"http://e.org/{name}") for name in "st"]
ARROWS = ("broader", "narrower", "broaderTransitive", "related")
STATEMENTS = st.one_of(
    st.tuples(st.sampled_from(NODES), st.sampled_from([SKOS + arrow for arrow in ARROWS]), st.sampled_from(NODES)),
    st.tuples(st.sampled_from(NODES), st.just(DCTERMS + "isReplacedBy"), st.sampled_from(NODES)),
    st.tuples(
        st.sampled_from(NODES), st.sampled_from([SKOS + "inScheme", SKOS + "topConceptOf"]), st.sampled_from(PLACES)
    ),
    st.tuples(st.sampled_from(NODES), st.just(SKOS + "notation"), st.sampled_from([ox.Literal("1"), ox.Literal("2")])),
    st.tuples(
        st.sampled_from(NODES),
        st.just(SKOS + "prefLabel"),
        st.sampled_from(
            [ox.Literal("x", language="en"), ox.Literal("y", language="en"), ox.Literal("x", language="ky")]
        ),
    ),
    st.tuples(
        st.sampled_from(NODES),
        st.sampled_from([SCHEMA + "validFrom", SCHEMA + "validThrough"]),
        st.sampled_from([ox.Literal("2020-01-01"), ox.Literal("2021-01-01")]),
    ),
)


@given(st.lists(STATEMENTS, max_size=40))
@settings(max_examples=120, deadline=None)
def test_what_is_grouped_is_what_the_graph_answers_when_it_is_joined(statements: list[tuple[Any, str, Any]]) -> None:
    store = ox.Store()
    store.extend(ox.Quad(about, ox.NamedNode(name), other) for about, name, other in statements)
    graph = grouping.Graph(store)
    grouped = {check.code: check for check in CHECKS if not isinstance(check.asked, str)}
    assert grouped.keys() == WITNESS.keys()
    for code, pattern in WITNESS.items():
        prefixes = f"PREFIX skos: <{SKOS}> PREFIX dcterms: <{DCTERMS}> PREFIX schema: <{SCHEMA}> "
        answer = store.query(f"{prefixes}SELECT DISTINCT ?about ?other ?more WHERE {{ {pattern} }}")
        assert isinstance(answer, ox.QuerySolutions)
        joined = {tuple(str(row[name]) for name in ("about", "other", "more")) for row in answer}
        rows = list(grouped[code].rows(graph))
        if code in ("notation_twice", "label_twice"):  # which other is told is the nearest, not every one
            assert {row[0] for row in joined} == {str(row[0]) for row in rows}, code
        else:
            assert joined == {tuple(map(str, row)) for row in rows}, code
            assert len(rows) == len(joined), code


def steps(codelist: CodeList) -> int:
    """Calls made in looking at a list, of Python and of what it is written in."""
    count = 0

    def counted(*event: Any) -> None:
        nonlocal count
        count += 1

    for remembered in (folding.spelled_key, folding.latin_key):
        remembered.cache_clear()  # every list is looked at as if it were the first: no label is known from another
    sys.setprofile(counted)
    try:
        codelist.check()
        check_list(codelist)
    finally:
        sys.setprofile(None)
    return count


def of(number: int, **also: Any) -> Concept:
    return Concept(str(number), {"ky": f"а{number}", "ru": f"б{number}", "en": f"c{number}"}, **also)


# as far as a list can be from a clean one: n codes, whose faults a join would look for in pairs
TANGLED = {
    "one label": lambda n: [Concept(str(i), {"ky": "а", "ru": "б", "en": "c"}) for i in range(n)],
    "one chain": lambda n: [
        of(i, broader=str(i - 1) if i else None, related=(str((i + n // 2) % n),)) for i in range(n)
    ],
    "many parents": lambda n: [
        of(
            i,
            broader=str(i - 1) if i else None,
            also_broader=(str(i // 2),) if i > 3 else (),
            related=(str(n - 1 - i),),
        )
        for i in range(n)
    ],
    "one loop": lambda n: [of(i, broader=str((i + 1) % n)) for i in range(n)],
    "all under one": lambda n: [of(i, broader="0" if i else None, related=("0",)) for i in range(n)],
}


@pytest.mark.parametrize("kind", TANGLED)
def test_what_a_list_costs_grows_with_its_length_and_not_with_the_square_of_it(kind: str) -> None:
    small, large = (CodeList("t:l", tuple(TANGLED[kind](n)), {"en": "x"}, "1") for n in (100, 400))
    assert steps(large) < 5 * steps(small)  # the square would be sixteen


def test_a_loop_is_told_once_in_words_that_are_bounded() -> None:
    ring = CodeList("t:l", tuple(TANGLED["one loop"](5_000)), {"en": "x"}, "1")
    for found in (ring.check(), check_list(ring)):
        told = [f.message for f in found if f.code == "cycle"]
        assert len(set(map(id, told))) == 1
        assert len(told[0]) < 1_000
        assert "... (5000)" in told[0]
    assert len(told) == MOST


def test_what_joins_itself_is_not_left_to_sparql() -> None:
    """These go from concept to concept, each with few others; a question that needs two free concepts is to be grouped."""
    assert {c.code for c in CHECKS if isinstance(c.asked, str)} == {
        *("class_clash", "label_both_kinds", "mapping_clash", "notation_missing", "replaced_in_force")
    }


@given(
    st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6),
    st.lists(st.tuples(NAMES, NAMES), max_size=8),
    st.sampled_from([1, 4096]),
)
def test_lines_are_what_a_walk_upwards_meets(
    above: dict[str, list[str]], asked: list[tuple[str, str]], at_once: int
) -> None:
    def over(start: str) -> set[str]:
        seen: set[str] = set()
        edge = [start]
        while edge:
            fresh = [n for n in above.get(edge.pop(), ()) if n not in seen]
            seen.update(fresh)
            edge += fresh
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_AT_ONCE", at_once)
        found = lines.Lines(above)
        assert found.reached(asked) == {(low, high) for low, high in asked if high in over(low)}
        twice = {
            (node, one)
            for node, ups in above.items()
            for one in ups
            if any(one in over(way) for way in ups if way not in (one, node))
        }
        assert sorted(found.doubled()) == sorted(twice)
