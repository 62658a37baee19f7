"""Taking inventory of the four registers through the nodes: what is in them, what each column means, who owns it.

Rows come over the exchange as the contract-test runner may read them, lie in a private temporary folder while they are profiled, and are
deleted; the catalogue keeps masks, counts and code lists. What a column means follows from the country pack: its mapping says which
canonical fields the column feeds, `concepts.yaml` which concept such a field carries. Columns that hold more than one canonical field, or
none, are told here. The source of truth of a concept is one attribute of one register.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.ownership import doings as ownership_doings
from kerege.demo.country.measuring import searching
from kerege.demo.country.network import BIRTHS, EMIS, PERSONS, VACCINATIONS
from kerege.exchange.ids import DataServiceId
from kerege.identity.receipts import LedgerWriter
from kerege.semantics.pack import Pack
from kerege.services import raw
from kerege.services.evidence import Answer, Call, ExchangeClient, soap_request

Row = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of an agency: how it is asked for, which mapping reads it, who answers for it on what legal ground (a code of the pack)."""

    service: DataServiceId
    mapping: str
    key: tuple[str, ...]
    organisation: str
    unit: str
    legal_basis: str


_CIVIL, _POPULATION = "KG/GOV/70000001", "KG/GOV/70000002"
_EDUCATION, _HEALTH = "KG/GOV/70000003", "KG/GOV/70000004"


def _school(table: str, *key: str) -> Table:
    return Table(EMIS, f"kg:education.{table}", key, _EDUCATION, "school-network", "education-law")


TABLES: Final[dict[str, Table]] = {
    "births": Table(BIRTHS, "kg:civil.birth-record", ("ActNo",), _CIVIL, "civil-acts", "civil-acts"),
    "persons": Table(PERSONS, "kg:population.person", ("pin",), _POPULATION, "registration", "population-registration"),
    "institutions": _school("school", "code"),
    "institution_students": Table(EMIS, "kg:education.pupil", ("student_id",), _EDUCATION, "pupils", "education-law"),
    "institution_places": _school("places"),
    "institution_catchments": _school("catchment"),
    "area_administratives": _school("area", "code"),
    "vaccinations": Table(VACCINATIONS, "kg:health.vaccination", ("N_SPR",), _HEALTH, "immunisation", "public-health"),
}

SAMPLED: Final = frozenset({"births", "persons", "institution_students"})  # asked for by some birth dates only

# Code lists whose codes the owners allow into the catalogue, whatever a column is about: a code names nobody.
SHARED: Final = frozenset(
    {"kg:sex", "kg:soate", "kg:grade", "kg:language", "kg:parity", "kg:enrolment-status", "kg:vaccination-status"}
)

# Columns that the mappings do not tell: several canonical fields in one cell, or a code nothing is made of.
COLUMNS: Final[dict[tuple[str, str], str]] = {
    ("persons", "text"): "person.registered_address",
    ("institution_students", "address"): "person.registered_address",
    ("vaccinations", "FIO"): "person.name",
    ("institutions", "area_code"): "school.education_area",
}

# table -> the concepts it decides, each by the first column that carries it
TRUTH: Final[dict[str, tuple[str, ...]]] = {
    "births": (
        *("person.surname", "person.given_name", "person.patronymic", "person.birth_date", "person.sex"),
        *("birth.act_number", "birth.act_date", "birth.region"),
        *("birth.mother_pin", "birth.mother_name", "birth.father_pin", "birth.father_name"),
    ),
    "persons": (*("person.pin", "person.registered_place", "person.registered_address", "person.registered_since"),),
    "institutions": ("school.code", "school.name", "school.place", "school.language", "school.education_area"),
    "institution_students": ("enrolment.pupil_id", "enrolment.school", "enrolment.grade", "enrolment.status"),
    "institution_places": ("school.grade", "school.capacity", "school.taken"),
    "institution_catchments": (
        *("catchment.place", "catchment.street", "catchment.parity", "catchment.house_from", "catchment.house_to"),
    ),
    "area_administratives": ("area.code", "area.name", "area.parent", "area.level"),
    "vaccinations": (*("vaccination.certificate", "vaccination.status", "vaccination.region", "vaccination.issued"),),
}


def take_inventory(
    client: ExchangeClient, pack: Pack, first: date, ledger: LedgerWriter, now: datetime
) -> tuple[int, int]:
    """Harvest, plan, apply, say what columns mean and whose they are. Returns (datasets, columns)."""
    concepts = load_concepts()
    columns = 0
    with tempfile.TemporaryDirectory(prefix="kerege-inventory-") as folder:
        for name, table in TABLES.items():
            rows = list(rows_of(client, table.service, name, first))
            if not rows:
                continue
            path = Path(folder) / f"{name}.csv"
            write_rows(path, rows)
            meant = meanings(name, pack, concepts)
            codes = tuple(column for column, concept in meant.items() if concepts[concept].codelist in SHARED)
            options = Options(key=table.key, sample=name in SAMPLED, share=codes)
            harvest = harvest_source(str(path), options)
            plan = doings.make_plan(harvest, options, now, location=str(path))
            doings.apply_plan(plan.plan_id, now)
            doings.set_organisation(harvest.source, table.organisation)
            columns += harvest.columns
            ownership_doings.name_owners(
                harvest.source, name, table.organisation, table.unit, table.legal_basis, now, by=table.organisation, ledger=ledger
            )  # fmt: skip
            _describe(harvest.source, name, list(rows[0]), meant, concepts, ledger, now)
    return len(TABLES), columns


def _describe(
    source: str,
    name: str,
    columns: Sequence[str],
    meant: Mapping[str, str],
    concepts: Mapping[str, Concept],
    ledger: LedgerWriter,
    now: datetime,
) -> None:
    """Link the concept every column carries, and declare what this table decides."""
    table, undecided = TABLES[name], set(TRUTH[name])
    for column in columns:
        concept = meant.get(column)
        if concept is None:
            continue
        codelist = concepts[concept].codelist
        doings.link_concept(source, name, column, concept, "mapping", now, codelist=codelist)
        if concept in undecided:
            ownership_doings.declare_source_of_truth(
                concept, source, name, column, table.legal_basis, now, by=table.organisation, ledger=ledger
            )
            undecided.discard(concept)


def meanings(name: str, pack: Pack, concepts: Mapping[str, Concept]) -> dict[str, str]:
    """Column of the table -> concept: told in `COLUMNS`, else of the first canonical field it feeds that carries one."""
    told = {column: concept for (table, column), concept in COLUMNS.items() if table == name and concept in concepts}
    return meanings_of(TABLES[name].mapping, pack, concepts, told)


def meanings_of(
    mapping_id: str, pack: Pack, concepts: Mapping[str, Concept], told: Mapping[str, str]
) -> dict[str, str]:
    """Column of what a mapping reads -> concept: as `told`, else of the first canonical field it feeds that carries one."""
    mapping = pack.mapping(mapping_id)
    carried = {field: concept.id for concept in concepts.values() for field in concept.fields}
    found = dict(told)
    for target in mapping.fields:
        concept = carried.get(f"{mapping.id}#{target.name}")
        for cell in mapping.sources_of(target.name) if concept else ():
            column = mapping.source.cells.get(cell, cell).rsplit(".", 1)[-1]  # rows come flat
            found.setdefault(column, str(concept))
    return found


def rows_of(client: ExchangeClient, service: DataServiceId, table: str, first: date) -> Iterator[Row]:
    """Rows as the agency writes them: whole lists where the agency gives them, some birth dates where it does not."""
    if service == EMIS and table != "institution_students":
        yield from raw.json_rows(_body(client.send(Call(str(service), path=table, canonical=False))))
        return
    if service == VACCINATIONS:
        yield from raw.nightly_list(_body(client.send(Call(str(service), canonical=False))))
        return
    for number in range(24):
        day = first + timedelta(days=37 * number)
        if service == BIRTHS:
            soap = soap_request("urn:kg:zags:v2", "ListBirths", "BirthDate", day.strftime("%d.%m.%Y"))
            call = Call(str(service), "POST", body=soap, content_type="text/xml; charset=utf-8", canonical=False)
            yield from raw.births(_body(client.send(call)))
        elif service == PERSONS:
            call = searching(service, "search", dob=day.isoformat(), canonical=False)
            yield from raw.json_rows(_body(client.send(call)))
        else:
            call = searching(service, f"{table}/search", date_of_birth=day.isoformat(), canonical=False)
            yield from raw.json_rows(_body(client.send(call)))


def _body(answer: Answer) -> bytes:
    if not answer.ok:
        raise RuntimeError(f"the exchange did not answer: {answer.fault or answer.status}")
    return answer.body


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Rows as CSV, with the columns of the first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
