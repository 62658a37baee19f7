"""Versions of code lists and crosswalks: looked at, kept whole or refused, told apart, put in force by two people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.db import connection

from kerege.catalogue import errors
from kerege.catalogue.codes import queries as codelists_queries
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import CodeListVersion
from kerege.cli import main
from kerege.semantics.codelists.codelist import CodeList, Concept
from kerege.semantics.codelists.integrity import check_list
from kerege.semantics.crosswalks.sssom import Crosswalk, Policy, Row
from kerege.semantics.errors import CrosswalkTwice

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LABELS = {"ky": "бир", "ru": "один", "en": "one"}
ONE = CodeList("t:l", (Concept("1", LABELS), Concept("2", {"ky": "эки", "ru": "два", "en": "two"})), {"en": "L"}, "1")


def publish(kind: str, thing: str, version: str) -> None:
    for action, by in (("submit", "a"), ("approve", "b"), ("publish", "a")):
        lifecycle.act(lifecycle.Subject(kind, thing, version), action, by, "reason", NOW)


def run(*arguments: object, expect: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == expect, result.output
    return result


def test_a_version_is_kept_whole_and_tells_what_it_changes() -> None:
    first = codelists.import_codelist(ONE, "unit", NOW)
    assert (first.new, first.follows, first.changes) == (True, "", ())
    two = replace(ONE, version="2", concepts=(ONE.concepts[0], Concept("3", LABELS | {"en": "three"})))
    second = codelists.import_codelist(two, "unit", NOW + timedelta(1))
    assert (second.follows, [(c.kind, c.notation) for c in second.changes]) == ("1", [("gone", "2"), ("added", "3")])
    assert codelists.load_codelist("t:l").concepts == two.concepts
    assert codelists.load_codelist("t:l", "1").concepts == ONE.concepts
    assert codelists.changes_to("t:l", "2") == second.changes
    assert codelists.changes_to("t:l", "1") == ()


def test_the_same_content_again_writes_nothing_and_another_under_its_number_is_refused() -> None:
    codelists.import_codelist(ONE, "unit", NOW)
    assert not codelists.import_codelist(ONE, "other", NOW).new
    with pytest.raises(
        errors.CodeListVersionTaken, match=r"t:l 1 is in the catalogue already .* something else in 1 code\b"
    ):
        codelists.import_codelist(replace(ONE, concepts=ONE.concepts[:1]), "unit", NOW)
    assert CodeListVersion.objects.count() == 1


def test_a_code_list_with_cycles_is_refused_whole_naming_the_loop() -> None:
    ring = replace(ONE, concepts=(Concept("a", LABELS, broader="b"), Concept("b", LABELS, broader="a")))
    with pytest.raises(errors.CodeListRefused, match="cycle a: it is above itself: a -> b -> a"):
        codelists.import_codelist(ring, "unit", NOW)
    assert not CodeListVersion.objects.exists()


GRAPH = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix : <http://e.org/s/> .
: a skos:ConceptScheme ; skos:prefLabel "L"@en .
:1 a skos:Concept ; skos:notation "1" ; skos:prefLabel "one"@en .
:2 a skos:Concept ; skos:notation "2" ; skos:prefLabel "two"@en .
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (":1 skos:related <http://e.org/other/2> .", "related_unknown 1 <http://e.org/s/1>: http://e.org/other/2 is not"),
        (":1 skos:broader <http://e.org/other/2> .", "broader_unknown 1 <http://e.org/s/1>: http://e.org/other/2 is not"),
        (":1 skos:broader :2 . :2 skos:broader :1 .", "cycle 1 <http://e.org/s/1>: it is above itself: 1 -> 2 -> 1"),
        (':1 skos:prefLabel "uno"@en .', "label_language_twice 1 <http://e.org/s/1>: it has two preferred labels in en"),
        (":1 a skos:ConceptScheme ; skos:inScheme : . : a skos:Concept .", "one skos:ConceptScheme was expected, there are 2"),
        (":1 skos:exactMatch :2 ; skos:broadMatch :2 .", "mapping_clash 1 <http://e.org/s/1>: it matches 2 exactly"),
        (':3 a skos:Concept ; skos:prefLabel "x"@en .', "notation_missing 3 <http://e.org/s/3>: it has no notation"),
    ],
)  # fmt: skip
def test_what_reading_a_graph_would_lose_is_refused_with_the_concepts_iri(
    fault: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "l.ttl").write_text(GRAPH + fault)
    told = CliRunner().invoke(main, ["codelist", "import", str(tmp_path / "l.ttl"), "--by", "unit"])
    assert told.exit_code
    assert said in " ".join(told.output.split()) + str(told.exception)
    assert not CodeListVersion.objects.exists()


def test_a_list_without_a_label_in_each_language_cannot_be_published() -> None:
    codelists.import_codelist(replace(ONE, concepts=(Concept("1", {"en": "one"}),)), "unit", NOW)
    subject = lifecycle.Subject("codelist", "t:l", "1")
    told = codelists.codelist_reasons(subject, NOW)
    assert [r.partition(":")[0] for r in told] == ["label_missing 1", "label_missing 1"]
    lifecycle.act(subject, "submit", "a", "ready", NOW)
    lifecycle.act(subject, "approve", "b", "read", NOW)
    with pytest.raises(errors.LifecycleBlocked, match="no label in ky"):
        lifecycle.act(subject, "publish", "b", "go", NOW)
    assert "no codelist t:l 9" in codelists.codelist_reasons(lifecycle.Subject("codelist", "t:l", "9"), NOW)[0]


def test_a_published_version_shows_its_state() -> None:
    codelists.import_codelist(ONE, "unit", NOW)
    subject = lifecycle.Subject("codelist", "t:l", "1")
    for action, by in (("submit", "a"), ("approve", "b"), ("publish", "b")):
        lifecycle.act(subject, action, by, "reason", NOW)
    (view,) = codelists_queries.versions()
    assert (view.kind, view.id, view.state, view.size) == ("codelist", "t:l", "published", 2)
    assert [c.labels["ky"] for c in codelists_queries.codes("t:l")] == ["бир", "эки"]


def test_a_crosswalk_that_maps_a_code_twice_is_not_kept() -> None:
    with pytest.raises(CrosswalkTwice, match="'a' is mapped twice"):
        codelists.import_crosswalk(Crosswalk("t:a--l", (Row("a", "1"), Row("a", "2"))), "unit", NOW)


def test_a_crosswalk_is_not_published_while_codes_are_open_or_lead_nowhere() -> None:
    codelists.import_codelist(ONE, "unit", NOW)
    rows = (Row("a", "1"), Row("b", "9"), Row("c", "2", "skos:relatedMatch"))
    walk = Crosswalk("t:a--l", rows, "t:a", "t:l", Policy("default", "X"), version="1")
    assert codelists.import_crosswalk(walk, "unit", NOW)
    assert not codelists.import_crosswalk(walk, "unit", NOW)
    told = codelists.crosswalk_reasons(lifecycle.Subject("crosswalk", "t:a--l", "1"), NOW)
    assert told[0] == "1 code is still open: kerege crosswalk open"
    assert told[1] == "no version of the list it leads to, t:l, is in force: publish that one first"
    publish("codelist", "t:l", "1")
    told = codelists.crosswalk_reasons(lifecycle.Subject("crosswalk", "t:a--l", "1"), NOW)
    assert told[1:] == [f"it leads to {code}, which t:l 1, in force, does not have" for code in ("9", "X")]
    codelists.import_codelist(replace(ONE, version="2", concepts=(*ONE.concepts, Concept("9", LABELS))), "unit", NOW)
    assert codelists.crosswalk_reasons(lifecycle.Subject("crosswalk", "t:a--l", "1"), NOW) == told, (
        "a draft binds nobody"
    )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"title": {"en": "Other"}}, "title"),
        ({"license": "http://example.org/cc0"}, "license"),
        ({"publisher": "Office"}, "publisher"),
    ],
)
def test_another_title_or_licence_under_a_number_that_is_taken_is_not_dropped_in_silence(other: Any, said: str) -> None:
    codelists.import_codelist(ONE, "unit", NOW)
    codelists.import_codelist(replace(ONE, version="2"), "unit", NOW)
    with pytest.raises(errors.CodeListVersionTaken, match=rf"something else in {said}\."):
        codelists.import_codelist(replace(ONE, version="2", **other), "unit", NOW)
    assert not codelists.import_codelist(replace(ONE, version="2"), "unit", NOW).new, (
        "what it follows was told by nobody"
    )
    assert not codelists.import_codelist(replace(ONE, version="2", title={}), "unit", NOW).new, "a table says no title"


def test_versions_follow_each_other_in_no_circle_and_one_that_is_not_kept_is_followed_in_name_only() -> None:
    first = codelists.import_codelist(replace(ONE, follows="2"), "unit", NOW)
    assert (first.follows, first.changes, codelists.changes_to("t:l", "1")) == ("2", (), ())
    with pytest.raises(errors.CodeListRefused, match="in a circle: 2 -> 1 -> 2"):
        codelists.import_codelist(replace(ONE, version="2", follows="1"), "unit", NOW)
    with pytest.raises(errors.CodeListRefused, match="in a circle: 3 -> 3"):
        codelists.import_codelist(replace(ONE, version="3", follows="3"), "unit", NOW)
    with pytest.raises(errors.CodeListRefused, match="the version it follows has 61 characters"):
        codelists.import_codelist(replace(ONE, version="3", follows="9" * 61), "unit", NOW)
    with pytest.raises(errors.CrosswalkBroken, match="its version has 61 characters"):
        codelists.import_crosswalk(Crosswalk("t:w", (Row("a", "1"),), version="9" * 61), "unit", NOW)


def test_changes_are_against_the_version_that_a_list_says_it_follows() -> None:
    codelists.import_codelist(ONE, "unit", NOW)
    codelists.import_codelist(replace(ONE, version="2", concepts=ONE.concepts[:1]), "unit", NOW)
    assert codelists.import_codelist(replace(ONE, version="1.1", follows="1"), "unit", NOW).changes == ()


def test_who_imported_a_version_or_decided_on_its_rows_may_not_approve_it() -> None:
    codelists.import_codelist(ONE, "b.importer", NOW)
    subject = lifecycle.Subject("codelist", "t:l", "1")
    lifecycle.act(subject, "submit", "a.steward", "ready", NOW)
    with pytest.raises(errors.FourEyes, match=r"B\.Importer made it and may not approve it"):
        lifecycle.act(subject, "approve", "B.Importer", "read", NOW)
    assert lifecycle.own(lifecycle.status(subject), "b.importer")
    assert lifecycle.own(lifecycle.status(subject), "a.steward")
    lifecycle.act(subject, "approve", "c.reviewer", "read", NOW)
    lifecycle.act(subject, "publish", "a.steward", "go", NOW)
    rows = (Row("a", "1", reviewer="c.reviewer"),)
    codelists.import_crosswalk(Crosswalk("t:w", rows, object_source="t:l", version="1"), "b.importer", NOW)
    one = lifecycle.Subject("crosswalk", "t:w", "1")
    lifecycle.act(one, "submit", "a.steward", "ready", NOW)
    with pytest.raises(errors.FourEyes, match=r"c\.reviewer made it"):
        lifecycle.act(one, "approve", "c.reviewer", "read", NOW)
    lifecycle.act(one, "approve", "d.reviewer", "read", NOW)
    lifecycle.act(one, "publish", "a.steward", "go", NOW)
    again = Crosswalk("t:w", (*rows, Row("b", "2", author="e.author")), object_source="t:l", version="2")
    codelists.import_crosswalk(again, "b.importer", NOW)
    assert set(codelists.crosswalk_authors(lifecycle.Subject("crosswalk", "t:w", "2"))) == {"b.importer", "e.author"}
    assert codelists.crosswalk_authors(lifecycle.Subject("crosswalk", "t:w", "9")) == ()


def test_all_versions_are_listed_in_four_queries(django_assert_max_num_queries: Any) -> None:
    for number in range(6):
        codelists.import_codelist(replace(ONE, version=str(number)), "unit", NOW)
        codelists.import_crosswalk(Crosswalk("t:w", (Row("a", "1"),), version=str(number)), "unit", NOW)
    publish("codelist", "t:l", "3")
    with django_assert_max_num_queries(4):
        found = codelists_queries.versions()
    assert [(v.version, v.state) for v in found if v.kind == "codelist"][3:5] == [("3", "published"), ("4", "draft")]


def test_a_list_is_looked_at_before_its_transaction_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = []

    def looked(found: CodeList) -> tuple[Any, ...]:
        depth.append(len(connection.savepoint_ids))
        return check_list(found)

    monkeypatch.setattr(codelists, "check_list", looked)
    outside = len(connection.savepoint_ids)
    one = CodeList("t:one", (Concept("1", {"ky": "а", "ru": "б", "en": "c"}),), {"en": "One"}, "1")
    codelists.import_codelist(one, "unit", datetime(2026, 9, 1, tzinfo=UTC))
    assert depth == [outside]
    assert CodeListVersion.objects.get().codes == 1
