"""Impact over everything the installation knows: the pack's folder, contracts, public services, routes, use, reference data."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from kerege.catalogue.board.facts import crosswalks_reading
from kerege.catalogue.errors import ImpactUnknown
from kerege.catalogue.mappings.impact import Affected, asked, gather, reach
from kerege.catalogue.models import (
    ConceptLink,
    ContractRoute,
    ContractVersion,
    Dataset,
    Field,
    ReferenceDataset,
    ServiceUse,
)
from kerege.cli import main
from kerege.semantics.contracts import odcs
from kerege.semantics.mappings.impact import Link, Node
from kerege.semantics.pack import Pack

from ..semantics.support import country_pack


def test_removing_a_code_of_sex_reaches_contracts_and_the_public_service() -> None:
    found = asked(country_pack(), "code", "kg:sex 1", "remove", database=False)
    assert not found.publishable
    assert {hit.node.key for hit in found.of("crosswalk")} >= {"kg:civil-sex--sex", "kg:population-sex--sex"}
    assert "kg:population.person" in {hit.node.key for hit in found.of("contract")}
    assert [hit.node.key for hit in found.of("service")] == ["grade1-admission"]


def test_a_thing_nobody_knows_is_refused_with_what_comes_near() -> None:
    with pytest.raises(ImpactUnknown, match=r"kg:population\.person sex"):
        asked(country_pack(), "field", "kg:population.person sexx", database=False)


@pytest.mark.django_db
def test_consumers_that_were_seen_and_published_reference_data_are_named() -> None:
    day = datetime(2026, 11, 20, 8, tzinfo=UTC)
    ServiceUse.objects.create(
        source="n",
        side="provider",
        consumer="KG/GOV/3/school",
        service="grade1-admission",
        calls=7,
        first_at=day,
        last_at=day,
    )
    ReferenceDataset.objects.create(
        ref_id="kg-sex",
        kind="codelist",
        subject="kg:sex",
        title={},
        description={},
        organisation="1",
        unit="u",
        legal_basis="l",
        created_at=day,
    )
    found = asked(country_pack(), "code", "kg:sex 1", "remove")
    assert [(h.node.key, h.reason) for h in found.of("consumer")] == [
        ("KG/GOV/3/school", "called it 7 times, last on 2026-11-20")
    ]
    assert [(h.node.key, h.severity) for h in found.of("dataset")] == [("kg-sex", "changes")]


DAY = datetime(2026, 11, 20, 8, tzinfo=UTC)


def _used(service: str, dataset: Dataset | None = None) -> None:
    ServiceUse.objects.create(
        source="n",
        side="provider",
        consumer="KG/GOV/3/school",
        service=service,
        dataset=dataset,
        calls=7,
        first_at=DAY,
        last_at=DAY,
    )


def _dataset(**fields: dict[str, object]) -> Dataset:
    made = Dataset.objects.create(source="persons.csv", kind="csv", table="persons", profile={}, harvested_at=DAY)
    for position, (name, profile) in enumerate(fields.items()):
        Field.objects.create(dataset=made, name=name, position=position, profile=profile, codelist="kg:sex")
    return made


@pytest.mark.django_db
def test_a_measured_data_service_belongs_to_the_public_service_its_contract_brings_evidence_to() -> None:
    contract = odcs.read(country_pack().folder / "contracts" / "population.person.odcs.yaml")
    version = ContractVersion.objects.create(
        contract=contract.id,
        version=contract.version,
        document=contract.document,
        fingerprint="f",
        added_at=DAY,
        added_by="x",
    )
    ContractRoute.objects.create(
        contract=version, data_service="KG/GOV/1/pop/person", path="/", at="provider", translate="never", since=DAY
    )
    _used("KG/GOV/1/pop/person")
    links = gather(country_pack()).users(Node("service", "KG/GOV/1/pop/person"))
    assert {str(link.user) for link in links} == {"service grade1-admission", "consumer KG/GOV/3/school"}
    assert any("under the contract kg:population.person" in link.why for link in links)


@pytest.mark.django_db
def test_records_are_counted_where_a_profile_knows_the_code_and_said_to_be_unknown_elsewhere() -> None:
    _dataset(
        sex={"codes": [["1", 40], ["2", 60]]}, pol={"codes": [], "codes_withheld": 2}, gender={"codes": [["2", 9]]}
    )
    _used("KG/GOV/9/x/y")
    told = reach(asked(country_pack(), "code", "kg:sex 1", "remove"))
    assert told.affected == (Affected("persons.csv#persons", "sex", 40, sampled=False),)
    assert told.unseen == (
        "persons.csv#persons.pol: its profile keeps no count of this code",
        "data services in use that no contract and no dataset describes: KG/GOV/9/x/y",
    )
    assert "not asked" in reach(asked(country_pack(), "code", "kg:sex 1", database=False), database=False).unseen[0]


@pytest.mark.django_db
def test_records_of_a_registers_own_codes_are_counted_back_through_the_crosswalks_that_lead_to_the_code() -> None:
    pack = country_pack()
    walk = pack.crosswalk("kg:civil-sex--sex")
    one, two = (next(r.subject for r in walk.rows if r.object == code) for code in ("1", "2"))
    read = next(iter(_columns(pack, walk.id)))
    made = _dataset(
        **{
            read: {"codes": [[one, 30], [two, 5]]},
            "coded": {"codes": [["1", 7], [one, 2]]},
            "other": {"codes": [[two, 9]]},
        }
    )
    Field.objects.filter(dataset=made, name="other").update(codelist="kg:civil-sex")
    told = reach(asked(pack, "code", "kg:sex 1", "remove"), pack=pack)
    assert [(a.field, a.records) for a in told.affected] == [(read, 30), ("coded", 9)]
    assert told.affected[0].by == (walk.id,)
    assert walk.id in told.affected[1].by
    assert told.unseen == ()
    source = reach(asked(pack, "code", f"kg:civil-sex {two}", "remove"), pack=pack)
    assert [(a.field, a.records, a.by) for a in source.affected] == [("other", 9, ()), (read, 5, ())]


def _columns(pack: Pack, crosswalk_id: str) -> list[str]:
    """Columns that a mapping reads with the crosswalk and no other mapping reads at all."""
    return [
        column
        for mapping in pack.mappings.values()
        if crosswalk_id in mapping.crosswalks
        for field in mapping.fields
        if field.name == "sex"
        for cell in mapping.sources_of("sex")
        if (column := mapping.source.cells.get(cell, cell).rsplit(".", 1)[-1])
        and crosswalks_reading(column, pack) == frozenset(mapping.crosswalks)
    ]


@pytest.mark.django_db
def test_a_service_whose_dataset_holds_the_concept_is_told_to_notice() -> None:
    dataset = _dataset(pol={"codes": []})
    ConceptLink.objects.create(field=dataset.fields.get(), concept="person.sex", said_by="x", linked_at=DAY)
    _used("KG/GOV/9/x/y", dataset)
    hits = asked(country_pack(), "field", "kg:population.person sex").of("service")
    assert [(h.severity) for h in hits if h.node.key == "KG/GOV/9/x/y"] == ["notice"]


def test_more_links_can_be_hung_on() -> None:
    graph = gather(country_pack(), database=False).add(
        [Link(Node("contract", "kg:population.person"), Node("consumer", "x"), "has signed it")]
    )
    assert Node("consumer", "x") in graph


def test_the_command_tells_what_breaks_and_ends_with_status_1() -> None:
    told = CliRunner().invoke(main, ["impact", "code", "kg:sex", "1", "--action", "remove", "--pack-only", "--json"])
    assert told.exit_code == 1, told.output
    assert json.loads(told.output)["publishable"] is False
    fine = CliRunner().invoke(main, ["impact", "codelist", "kg:sex", "--action", "add", "--pack-only"])
    assert fine.exit_code == 0, fine.output
    assert "Nothing breaks" in fine.output


def test_map_explain_masks_values_unless_asked(tmp_path) -> None:
    file = tmp_path / "one.json"
    body = {
        "items": [
            {
                "pin": "1",
                "lastName": "АСАНОВ",
                "firstName": "А",
                "dob": "2015-01-01",
                "gender": "M",
                "address": {"soate": "1", "text": "x"},
            }
        ]
    }
    file.write_text(json.dumps(body), "utf-8")
    asked_for = ["map", "explain", str(file), "kg:population.person", "--field", "surname"]
    masked, open_ = (CliRunner().invoke(main, [*asked_for, *more]) for more in ([], ["--values"]))
    assert masked.exit_code == open_.exit_code == 0, masked.output
    assert "name_case" in masked.output
    assert ("сан" in masked.output.lower(), "Асанов" in open_.output) == (False, True)
    beyond = CliRunner().invoke(main, [*asked_for, "--row", "2"])
    assert "has 1 record; record 2 was asked for" in beyond.output
    whole = CliRunner().invoke(main, ["map", "kg:population.person", str(file)])
    assert whole.exit_code == 0, whole.output
