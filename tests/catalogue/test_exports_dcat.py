"""The catalogue as DCAT-AP 3: valid by the official shapes, in three languages, and nothing in it that may not leave."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from pathlib import Path

import pyoxigraph as ox
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue import errors
from kerege.catalogue.exports import dcat, dcat_check, dcat_shapes, publication
from kerege.catalogue.exports.vocabulary import CSVW, DCAT, DCATAP, DCT, FORMATS, authority
from kerege.catalogue.models import Dataset, ReferenceDataset, ReferenceVersion
from kerege.membership.models import Contract, Subsystem

pytestmark = pytest.mark.django_db

SHAPES = Path(__file__).parents[2].parent / "shared/vectors/dcat-ap-3.0.1/html/shacl"


@pytest.fixture
def filled() -> tuple[Dataset, Dataset]:
    made = world.fill()
    member = world.organisation("KG/GOV/70000003", "Ministry of Education")
    subsystem = Subsystem.objects.create(code="KG/GOV/70000003/education", member=member, registered_at=world.NOW)
    Contract.objects.create(
        provider=subsystem, data_service="KG/GOV/70000003/education/schools", path="/schools", mapping="kg:education.school", at="provider",
        owner="KG/GOV/70000003", legal_basis="Education act, article 9", set_at=world.NOW,
    )  # fmt: skip
    series = ReferenceDataset.objects.create(
        ref_id="kg-sex", kind="codelist", subject="kg:sex", title={"ky": "Жыныс", "ru": "Пол", "en": "Sex"},
        description={"ky": "Коддор", "ru": "Коды", "en": "Codes"}, organisation="KG/GOV/70000002", unit="Standards unit",
        legal_basis="Statistics act, article 3", frequency="AS_NEEDED", theme="SOCI", created_at=world.NOW,
    )  # fmt: skip
    ReferenceVersion.objects.create(
        dataset=series, version="2022", digest="ab" * 32, rows=4, columns=[], key_columns=["code"], published_at=world.NOW, published_by="steward",
        files=[{"name": "kg-sex.csv", "media_type": "text/csv", "format": "CSV", "bytes": 120, "sha256": "cd" * 32}],
        provenance={"codelists": {"kg:sex": "2022"}},
    )  # fmt: skip
    return made


def objects(graph: dcat.Graph, predicate: str) -> list[str]:
    return [str(getattr(t.object, "value", t.object)) for t in graph.triples if t.predicate.value == predicate]


def test_a_dataset_of_which_nobody_said_who_runs_it_is_published_by_the_owner_of_its_attributes(
    filled: tuple[Dataset, Dataset],
) -> None:
    Dataset.objects.filter(pk=filled[0].pk).update(organisation="")
    graph = dcat.export(addresses=world.ADDRESSES)
    assert "Ministry of Education" in objects(graph, "http://xmlns.com/foaf/0.1/name")
    assert not any(one.endswith("organisation/unknown") for one in objects(graph, DCT + "publisher"))


@pytest.mark.usefixtures("filled")
def test_only_published_datasets_leave_and_of_them_only_attributes_that_may() -> None:
    graph = dcat.export(addresses=world.ADDRESSES)
    titles = objects(graph, DCT + "title")
    assert any(t.startswith("school (") for t in titles)
    assert not any("citizen" in t for t in titles)
    assert sorted(objects(graph, CSVW + "name")) == ["code", "name", "shift"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("form", list(FORMATS))
def test_no_personal_unowned_or_unpublished_attribute_no_source_and_no_value_leaves(form: str) -> None:
    text = " ".join(dcat.names_in(dcat.serialise(dcat.export(addresses=world.ADDRESSES), form), form))
    assert "school.code" in text
    for secret in (
        "director_pin",
        "person.pin",
        "budget",
        "citizen",
        "жарандардын",
        "db.internal",
        "5432",
        "SECRET",
        "99999",
    ):
        assert secret not in text, secret


def test_the_reason_why_an_attribute_stays_is_told_and_counted(filled: tuple[Dataset, Dataset]) -> None:
    schools, people = filled
    leaving = publication.outgoing()
    assert [o.view.id for o in leaving] == [schools.pk]
    assert leaving[0].withheld == {"personal": 1, "no-owner": 1}
    assert leaving[0].personal
    world.publish(people)
    assert {o.view.id for o in publication.outgoing()} == {schools.pk, people.pk}
    Dataset.objects.filter(pk=schools.pk).update(vanished=True)
    assert {o.view.id for o in publication.outgoing()} == {people.pk}


@pytest.mark.usefixtures("filled")
def test_owners_law_themes_services_and_versions_are_told() -> None:
    graph = dcat.export(addresses=world.ADDRESSES)
    assert objects(graph, DCATAP + "applicableLegislation")
    assert authority("data-theme", "EDUC") in objects(graph, DCAT + "theme")
    assert authority("data-theme", "SOCI") in objects(graph, DCAT + "theme")
    assert authority("frequency", "AS_NEEDED") in objects(graph, DCT + "accrualPeriodicity")
    assert len(objects(graph, DCAT + "service")) == 1
    assert objects(graph, DCAT + "version") == ["2022"]
    assert objects(graph, DCAT + "hasVersion") == ["https://kerege.kg/id/reference/kg-sex/2022"]
    catalogue = {
        t.object.language
        for t in graph.triples
        if t.subject.value.endswith("/national") and isinstance(t.object, ox.Literal)
    }
    assert {"ky", "ru", "en"} <= catalogue


@pytest.mark.usefixtures("filled")
def test_what_nobody_could_say_where_to_get_is_left_out_and_told() -> None:
    told, silent = dcat.export(addresses=world.ADDRESSES), dcat.export()
    for place in ("accessURL", "downloadURL", "endpointURL", "landingPage"):
        assert objects(told, DCAT + place)
        assert all(a.startswith("https://hub.test/") for a in objects(told, DCAT + place))
        assert not objects(silent, DCAT + place)
    assert told.unreachable == set()
    assert silent.unreachable == {"file kg-sex/2022/kg-sex.csv", "data service KG/GOV/70000003/education/schools"}
    assert len(objects(silent, DCAT + "dataset")) == len(objects(told, DCAT + "dataset"))


@pytest.mark.usefixtures("filled")
def test_themes_are_those_of_attributes_that_leave() -> None:
    kept = {f.concept.partition(".")[0] for o in publication.outgoing() for f in o.fields}
    stays = {f.concept.partition(".")[0] for o in publication.outgoing() for f in o.view.fields if f.personal}
    assert stays - kept == {"person"}
    themes = dcat.read_profile().themes
    (schools,) = (o.key for o in publication.outgoing())
    graph = dcat.export(addresses=world.ADDRESSES)
    told = [
        t.object.value
        for t in graph.triples
        if t.subject.value.endswith(schools) and t.predicate.value == DCAT + "theme"
    ]
    assert told == [authority("data-theme", themes["school"])]
    assert themes["school"] != themes.get("person", themes["default"])


@pytest.mark.vectors
@pytest.mark.usefixtures("filled")
def test_the_export_has_no_violation_of_the_official_shapes() -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    found = dcat_check.check(dcat.serialise(dcat.export(addresses=world.ADDRESSES)), SHAPES)
    assert found.violations == ()
    assert found.shapes >= 280


@pytest.mark.vectors
@pytest.mark.usefixtures("filled")
def test_a_broken_export_is_noticed() -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    graph = dcat.export(addresses=world.ADDRESSES)
    graph.triples = [t for t in graph.triples if t.predicate.value not in (DCT + "publisher", DCAT + "endpointURL")]
    graph.add("https://kerege.kg/id/dataset/x", DCAT + "theme", ox.Literal("not a concept"))
    found = dcat_check.check(dcat.serialise(graph, "jsonld"), SHAPES, "jsonld")
    assert found.violation_count >= 2
    assert any("endpointURL" in v for v in found.violations)


def spoiled(data: bytes, seed: int) -> bytes:
    """An export with a dozen or two things wrong with it, of every kind the shapes look for."""
    dice = random.Random(seed)
    quads = sorted((q for q in ox.parse(data, format=ox.RdfFormat.TURTLE)), key=str)
    xsd = "http://www.w3.org/2001/XMLSchema#"
    wrong = [
        ox.Literal("x"), ox.Literal("2026-13-45", datatype=ox.NamedNode(f"{xsd}date")), ox.Literal("2026", datatype=ox.NamedNode(f"{xsd}gYear")),
        ox.Literal("zz", datatype=ox.NamedNode(f"{xsd}hexBinary")), ox.Literal("слово", language="ru"), ox.NamedNode("https://example.org/nothing"),
        ox.BlankNode("b"), ox.NamedNode(f"{DCT}Standard"),
    ]  # fmt: skip
    typed = ox.NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
    below = ox.NamedNode("http://www.w3.org/2000/01/rdf-schema#subClassOf")
    out = [
        ox.Triple(ox.NamedNode("https://example.org/Office"), below, ox.NamedNode("http://xmlns.com/foaf/0.1/Agent"))
    ]
    for quad in quads:
        chance, value = dice.random(), quad.object
        if chance < 0.06:
            continue
        if chance < 0.14 and quad.predicate != typed:
            value = dice.choice(wrong)
        if chance > 0.97:
            out.append(ox.Triple(quad.subject, quad.predicate, dice.choice(wrong)))
        if quad.predicate == typed and value.value.endswith("/Agent") and chance > 0.5:
            value = ox.NamedNode("https://example.org/Office")  # which is one by its class
        out.append(ox.Triple(quad.subject, quad.predicate, value))
    series = ox.NamedNode("https://example.org/series")
    out += [ox.Triple(series, typed, ox.NamedNode(f"{DCAT}DatasetSeries"))]
    out += [ox.Triple(quads[0].subject, ox.NamedNode(f"{DCAT}inSeries"), series)] * dice.randrange(2)
    return ox.serialize(out, format=ox.RdfFormat.TURTLE) or b""


@pytest.mark.vectors
@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("seed", range(3))
def test_our_validator_finds_in_a_broken_export_what_pyshacl_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    monkeypatch.setattr(dcat_check, "MOST", 10_000)
    data = dcat.serialise(dcat.export(addresses=world.ADDRESSES))
    data = spoiled(data, seed) if seed else data  # the export as it is, too
    ours, theirs = dcat_check.check(data, SHAPES), dcat_check.check_by_pyshacl(data, SHAPES)

    def places(found: dcat_check.Checked) -> Counter[str]:  # without wordings, and what has no lasting name
        return Counter(
            " ".join(re.sub(r"(_:|\bn?[0-9a-f]{16,}|\^).*", "?", w) for w in v.split(": ")[0].split(" "))
            for v in found.violations
        )

    assert places(ours) == places(theirs)
    assert ours.violation_count == theirs.violation_count
    assert (ours.violation_count > 10) == bool(seed)
    assert sum(ours.warnings.values()) == sum(theirs.warnings.values())
    named = {k: n for k, n in theirs.warnings.items() if k in ours.warnings}
    assert named == {k: n for k, n in ours.warnings.items() if not k.startswith("^") and k in theirs.warnings}
    assert ours.shapes == theirs.shapes


def test_shapes_with_more_of_shacl_than_we_know_are_given_to_pyshacl(tmp_path: Path) -> None:
    prefixes = "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix e: <https://example.org/> ."
    for name in dcat_check.FILES:
        (tmp_path / name).write_text(prefixes, encoding="utf-8")
    shape = "e:S a sh:NodeShape ; sh:targetClass e:C ; sh:property [ sh:path e:p ; sh:uniqueLang true ] ."
    (tmp_path / dcat_check.FILES[0]).write_text(f"{prefixes} {shape}", encoding="utf-8")
    found = dcat_check.check(f'{prefixes} e:x a e:C ; e:p "a"@ru, "b"@ru .'.encode(), tmp_path)
    assert found.violation_count == 1
    assert "https://example.org/x https://example.org/p" in found.violations[0]
    read = dcat_shapes.read(ox.parse(f"{prefixes} {shape}".encode(), format=ox.RdfFormat.TURTLE))
    with pytest.raises(dcat_shapes.Unknown, match="uniqueLang"):
        dcat_shapes.compile_shapes(read)


def test_shapes_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ShapesMissing, match=r"shapes\.ttl"):
        dcat_check.check(b"", tmp_path)


@pytest.mark.usefixtures("filled")
def test_the_three_serialisations_say_the_same() -> None:
    graph = dcat.export(addresses=world.ADDRESSES)
    plain = [set(map(str, ox.parse(dcat.serialise(graph, f), format=FORMATS[f]))) for f in FORMATS]
    assert plain[0] == plain[1] == plain[2]
    assert len(plain[0]) > 100
