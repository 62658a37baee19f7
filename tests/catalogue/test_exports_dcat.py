"""The catalogue as DCAT-AP 3: valid by the official shapes, in three languages, and nothing in it that may not leave."""

from __future__ import annotations

import sys
from pathlib import Path

import pyoxigraph as ox
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `open_catalogue`, which the tests beside this file share

import open_catalogue as world

from kerege.catalogue import errors
from kerege.catalogue.exports import dcat, dcat_check, publication
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


@pytest.mark.usefixtures("filled")
def test_only_published_datasets_leave_and_of_them_only_attributes_that_may() -> None:
    graph = dcat.export()
    titles = objects(graph, DCT + "title")
    assert any(t.startswith("school (") for t in titles)
    assert not any("citizen" in t for t in titles)
    assert sorted(objects(graph, CSVW + "name")) == ["code", "name", "shift"]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("form", list(FORMATS))
def test_no_personal_unowned_or_unpublished_attribute_no_source_and_no_value_leaves(form: str) -> None:
    text = " ".join(dcat.names_in(dcat.serialise(dcat.export(), form), form))
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
    graph = dcat.export()
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


@pytest.mark.vectors
@pytest.mark.usefixtures("filled")
def test_the_export_has_no_violation_of_the_official_shapes() -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    found = dcat_check.check(dcat.serialise(dcat.export()), SHAPES)
    assert found.violations == ()
    assert found.shapes >= 280


@pytest.mark.vectors
@pytest.mark.usefixtures("filled")
def test_a_broken_export_is_noticed() -> None:
    if not SHAPES.is_dir():
        pytest.skip(f"not there: {SHAPES}")
    graph = dcat.export()
    graph.triples = [t for t in graph.triples if t.predicate.value not in (DCT + "publisher", DCAT + "endpointURL")]
    graph.add("https://kerege.kg/id/dataset/x", DCAT + "theme", ox.Literal("not a concept"))
    found = dcat_check.check(dcat.serialise(graph, "jsonld"), SHAPES, "jsonld")
    assert found.violation_count >= 2
    assert any("endpointURL" in v for v in found.violations)


def test_shapes_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ShapesMissing, match=r"shapes\.ttl"):
        dcat_check.check(b"", tmp_path)


@pytest.mark.usefixtures("filled")
def test_the_three_serialisations_say_the_same() -> None:
    graph = dcat.export()
    plain = [set(map(str, ox.parse(dcat.serialise(graph, f), format=FORMATS[f]))) for f in FORMATS]
    assert plain[0] == plain[1] == plain[2]
    assert len(plain[0]) > 100
