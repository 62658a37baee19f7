"""What breaks is told before it does: each thing once, with the heaviest way it is hit, why, and over what."""

from __future__ import annotations

from kerege.semantics import CodeList, Concept, Crosswalk, Policy
from kerege.semantics.crosswalks.sssom import Row
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.mappings.impact import Change, Graph, Impact, Link, Node, field_node, graph_of_pack, impact

from .support import country_pack
from .test_two_engines import mapping_of

SEX = CodeList("t:sex", (Concept("1"), Concept("2"), Concept("9")))


def graph(policy: str = "quarantine", required: str | None = None) -> Graph:
    walk = Crosswalk(
        "t:walk",
        (Row("М", "1"), Row("Ж", "2")),
        subject_source="t:old",
        object_source="t:sex",
        policy=Policy.parse(policy),
    )
    sex = TargetField("sex", ir.Recode(ir.Field("a"), "t:walk"), required)  # type: ignore[arg-type]
    mapping = mapping_of([sex, TargetField("copy", ir.Target("sex")), TargetField("other", ir.Field("b"))])
    return graph_of_pack([SEX], [walk], [mapping])


def severities(found: Impact) -> dict[str, str]:
    return {str(hit.node): hit.severity for hit in found.hits}


def test_removing_a_code_that_a_crosswalk_leads_to_breaks_the_fields_made_with_it() -> None:
    found = impact(graph(), Change(Node("code", "t:sex 1"), "remove"))
    assert severities(found)["crosswalk t:walk"] == "breaks"
    assert severities(found)["field t:m sex"] == "breaks"
    assert not found.publishable
    (hit,) = found.of("crosswalk")
    assert hit.reason == "row 1 leads to it"


def test_a_policy_that_flags_softens_what_comes_after() -> None:
    hard = impact(graph("quarantine"), Change(Node("crosswalk", "t:walk"), "remove"))
    soft = impact(graph("null-and-flag"), Change(Node("crosswalk", "t:walk"), "remove"))
    assert (severities(hard)["field t:m sex"], severities(soft)["field t:m sex"]) == ("breaks", "changes")
    required = impact(graph("null-and-flag", "reject"), Change(Node("crosswalk", "t:walk"), "remove"))
    assert severities(required)["field t:m sex"] == "breaks", "a record without a required value is refused"


def test_what_does_not_rest_on_the_change_is_not_named() -> None:
    found = impact(graph(), Change(Node("code", "t:sex 1"), "remove"))
    assert "field t:m other" not in severities(found)
    assert impact(graph(), Change(Node("code", "t:sex 9"), "remove")).of("crosswalk")[0].severity == "changes"


def test_others_hang_their_contracts_services_and_consumers_on_the_graph() -> None:
    sex = field_node("t:m", "sex")
    service, consumer = Node("service", "grade1"), Node("consumer", "KG/GOV/1/school")
    more = [Link(sex, service, "decides from it"), Link(service, consumer, "calls it", "notice")]
    found = impact(graph().add(more), Change(Node("code", "t:sex 2"), "remove"))
    assert severities(found)["service grade1"] == "breaks"
    assert severities(found)["consumer KG/GOV/1/school"] == "notice"
    (hit,) = found.of("consumer")
    assert [str(n) for n in hit.path] == [
        "code t:sex 2",
        "crosswalk t:walk",
        "field t:m sex",
        "service grade1",
        "consumer KG/GOV/1/school",
    ]


def test_adding_a_code_gives_notice_and_breaks_nothing() -> None:
    found = impact(graph(), Change(Node("codelist", "t:sex"), "add"))
    assert found.publishable
    assert set(severities(found).values()) == {"notice"}


def test_a_cycle_of_links_ends() -> None:
    a, b = Node("dataset", "a"), Node("dataset", "b")
    found = impact(Graph().add([Link(a, b, "made of it"), Link(b, a, "made of it")]), Change(a))
    assert [str(hit.node) for hit in found.hits] == ["dataset b"]


def test_the_country_pack_answers_for_each_of_its_crosswalks() -> None:
    pack = country_pack()
    country = graph_of_pack(pack.codelists.values(), pack.crosswalks.values(), pack.mappings.values())
    for walk in pack.crosswalks.values():
        users = {m.id for m in pack.mappings.values() if walk.id in m.crosswalks}
        found = impact(country, Change(Node("crosswalk", walk.id), "remove"))
        assert {hit.node.key for hit in found.of("mapping")} == users
