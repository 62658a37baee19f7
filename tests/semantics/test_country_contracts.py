"""The country pack's contracts: they fit the standard's schema, the mappings they are about, and records that are as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

import kerege.country
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.findings import findings
from kerege.semantics.contracts.message import compile_message
from kerege.semantics.contracts.wire import from_wire, to_wire
from kerege.semantics.pack import Pack

from .support import country_pack

FOLDER = Path(next(iter(kerege.country.__path__))) / "kg" / "contracts"
FILES = sorted(FOLDER.glob("*.odcs.yaml"))
SCHEMA = Path(__file__).parents[3] / "shared/vectors/odcs/schema/odcs-json-schema-v3.1.0.json"
PERSON = {
    "pin": "21203198000017", "lastName": "Асанов", "firstName": "Бакыт", "middleName": "Асанович", "dob": "1980-03-12", "gender": "M",
    "soate": "41711000000000", "address": "г. Бишкек, ул. Токтогула, д. 5, кв. 7", "registeredSince": "2001-05-01",
}  # fmt: skip


@pytest.fixture(scope="module")
def pack() -> Pack:
    return country_pack()


def codes(pack: Pack, name: str) -> frozenset[str]:
    return frozenset(concept.notation for concept in pack.codelist(name))


def test_every_mapping_has_a_contract_of_its_name(pack: Pack) -> None:
    assert {file.name.removesuffix(".odcs.yaml") for file in FILES} == {
        name.partition(":")[2] for name in pack.mappings
    }


@pytest.mark.vectors
@pytest.mark.skipif(not SCHEMA.exists(), reason="not there: ../shared/vectors/odcs")
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_contract_of_the_pack_fits_the_standards_schema(file: Path) -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))
    assert [error.message for error in validator.iter_errors(odcs.read(file).document)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_a_contract_of_the_pack_is_about_its_mappings_fields_and_says_the_same_of_missing_ones(
    file: Path, pack: Pack
) -> None:
    contract = odcs.read(file)
    mapping = pack.mapping(contract.id)
    (one,) = contract.objects
    assert one.mapping == mapping.id
    assert [p.name for p in one.properties] == [f.name for f in mapping.fields]
    assert {p.name for p in one.properties if p.required} == {f.name for f in mapping.fields if f.required}
    versions = {name: found.version for name, found in pack.codelists.items()}
    assert findings(contract, lambda name: codes(pack, name), versions) == ()
    assert set(contract.custom["title"]) == {"ky", "ru", "en"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_what_the_nodes_get_of_a_contract_is_the_contract(file: Path) -> None:
    rules = rules_of(odcs.read(file))
    assert from_wire(json.loads(json.dumps(to_wire(rules)))).rules == rules.rules


def test_a_canonical_record_keeps_its_contract_and_one_at_odds_with_itself_does_not(pack: Pack) -> None:
    checker = compile_message(odcs.read(FOLDER / "population.person.odcs.yaml"), lambda name: codes(pack, name))
    record = pack.mapper("kg:population.person")(PERSON).values
    assert checker({**record, "soate": "41711000000000"}) == ()
    assert [
        (b.field, b.rule) for b in checker({**record, "soate": "41711000000000", "registered_since": "1979-01-01"})
    ] == [("birth_date", "compare")]
