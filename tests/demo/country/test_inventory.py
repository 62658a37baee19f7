"""What the demo's columns mean: every column carries a concept the country pack has, and every concept has at most one register that decides."""

from pathlib import Path

import pytest

import kerege
from kerege.catalogue.codes.concepts import load_concepts
from kerege.demo.country.inventory import COLUMNS, SAMPLED, TABLES, TRUTH, meanings
from kerege.demo.world import generate, load_dirt
from kerege.semantics.pack import load_pack
from kerege.services import definitions
from kerege.web.words import has

COUNTRY = Path(kerege.__file__).parent / "country" / "kg"
CONCEPTS = load_concepts(COUNTRY)
IN_THE_WORLD = {
    "births": "civil.births",
    "persons": "population.persons",
    "vaccinations": "health.certificates",
    **{t: f"education.{t}" for t in TABLES if t.startswith(("institution", "area"))},
}


@pytest.fixture(scope="module")
def pack():
    return load_pack(COUNTRY)


@pytest.fixture(scope="module")
def world():
    return generate(3, load_dirt(), soate_csv=None, persons=800, applications=10)


def test_every_concept_of_the_tables_is_in_the_pack():
    named = {*COLUMNS.values(), *(concept for decided in TRUTH.values() for concept in decided)}
    assert sorted(named - set(CONCEPTS)) == []


def test_every_table_named_is_a_table():
    assert set(TRUTH) == set(TABLES)
    assert set(SAMPLED) <= set(TABLES)
    assert {table for table, _ in COLUMNS} <= set(TABLES)


@pytest.mark.parametrize("table", list(TABLES))
def test_every_column_an_agency_gives_has_a_concept(table, pack, world):
    columns = list(world.registers[IN_THE_WORLD[table]][0].row)
    meant = meanings(table, pack, CONCEPTS)
    assert [column for column in columns if column not in meant] == []
    assert set(meant.values()) <= set(CONCEPTS)


@pytest.mark.parametrize("table", list(TABLES))
def test_a_table_decides_only_concepts_its_own_columns_carry(table, pack):
    assert sorted(set(TRUTH[table]) - set(meanings(table, pack, CONCEPTS).values())) == []


def test_no_concept_is_decided_by_two_registers():
    decided = [concept for concepts in TRUTH.values() for concept in concepts]
    assert len(decided) == len(set(decided))


def test_every_concept_of_a_column_but_the_undivided_name_has_a_register_that_decides(pack):
    carried = {concept for table in TABLES for concept in meanings(table, pack, CONCEPTS).values()}
    assert carried - {concept for decided in TRUTH.values() for concept in decided} == {"person.name"}


@pytest.mark.parametrize(
    ("table", "column", "concept"),
    [
        ("births", "Fam", "person.surname"),
        ("births", "MatPin", "birth.mother_pin"),
        ("persons", "soate", "person.registered_place"),
        ("persons", "text", "person.registered_address"),
        ("institution_students", "institution_code", "enrolment.school"),
        ("institutions", "code", "school.code"),
        ("institution_places", "grade", "school.grade"),
        ("vaccinations", "FIO", "person.name"),
        ("vaccinations", "PIN", "person.pin"),
    ],
)
def test_a_column_means_what_a_steward_would_say(table, column, concept, pack):
    assert meanings(table, pack, CONCEPTS)[column] == concept


def test_owners_stand_on_acts_of_the_pack_and_units_have_words():
    acts = definitions.of("grade1-admission", "kg").legal_basis
    for table in TABLES.values():
        assert table.legal_basis in acts
        assert has(f"unit.{table.unit}")
