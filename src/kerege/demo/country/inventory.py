"""Taking inventory of the four registers through the nodes: what is in them, what each column means, who owns it.

Rows come over the exchange as the contract-test runner may read them, lie in a private temporary folder while they are profiled, and are
deleted; the catalogue keeps masks, counts and code lists. What a column means follows from the mappings: the canonical field it
feeds has a concept. The source of truth of a concept is the register the country's law names, one attribute each.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from kerege.catalogue import doings
from kerege.catalogue.concepts import load_concepts
from kerege.catalogue.harvest import Options, harvest_source
from kerege.demo.country.measuring import searching
from kerege.demo.country.network import BIRTHS, EMIS, PERSONS, VACCINATIONS
from kerege.exchange.ids import DataServiceId
from kerege.semantics import ir
from kerege.semantics.pack import Pack
from kerege.services import raw
from kerege.services.evidence import Answer, Call, ExchangeClient, soap_request

Row = Mapping[str, str | None]

# table -> (data service, mapping, key columns, the agency, its unit that answers for the data, on what legal ground)
TABLES: Final[dict[str, tuple[DataServiceId, str, tuple[str, ...], str, str, str]]] = {
    "births": (
        BIRTHS,
        "kg:civil.birth-record",
        ("ActNo",),
        "KG/GOV/70000001",
        "civil acts",
        "Law on acts of civil status",
    ),
    "persons": (
        PERSONS,
        "kg:population.person",
        ("pin",),
        "KG/GOV/70000002",
        "registration",
        "Law on registration of the population",
    ),
    "institutions": (EMIS, "kg:education.school", ("code",), "KG/GOV/70000003", "school network", "Law on education"),
    "institution_students": (
        EMIS,
        "kg:education.pupil",
        ("student_id",),
        "KG/GOV/70000003",
        "pupils",
        "Law on education",
    ),
    "institution_places": (EMIS, "kg:education.places", (), "KG/GOV/70000003", "school network", "Law on education"),
    "institution_catchments": (
        EMIS,
        "kg:education.catchment",
        (),
        "KG/GOV/70000003",
        "school network",
        "Law on education",
    ),
    "area_administratives": (
        EMIS,
        "kg:education.area",
        ("code",),
        "KG/GOV/70000003",
        "school network",
        "Law on education",
    ),
    "vaccinations": (
        VACCINATIONS,
        "kg:health.vaccination",
        ("N_SPR",),
        "KG/GOV/70000004",
        "immunisation",
        "Law on public health",
    ),
}

SAMPLED: Final = frozenset({"births", "persons", "institution_students"})  # asked for by some birth dates only

# canonical field -> concept, by mapping where the same name means different things
CONCEPTS: Final[dict[str, str]] = {
    "pin": "person.pin",
    "surname": "person.surname",
    "given_name": "person.given_name",
    "patronymic": "person.patronymic",
    "birth_date": "person.birth_date",
    "sex": "person.sex",
    "soate": "person.registered_area",
    "street": "person.registered_address",
    "act_number": "birth.act_number",
    "act_date": "birth.act_date",
    "mother_pin": "birth.mother",
    "father_pin": "birth.father",
    "region_soate": "birth.region",
    "registered_since": "person.registered_since",
    "pupil_id": "enrolment.pupil_id",
    "school_code": "school.code",
    "grade": "enrolment.grade",
    "status": "enrolment.status",
    "area_soate": "school.area",
    "name": "school.name",
    "language": "school.language",
    "capacity": "school.capacity",
    "taken": "school.taken",
    "parity": "catchment.houses",
    "street_key": "catchment.street",
    "code": "area.code",
    "parent_code": "area.parent",
    "certificate_no": "vaccination.certificate",
    "issued": "vaccination.issued",
}
OWN: Final[dict[tuple[str, str], str]] = {
    ("kg:health.vaccination", "status"): "vaccination.status",
    ("kg:health.vaccination", "region_soate"): "vaccination.region",
    ("kg:education.pupil", "area_soate"): "person.registered_area",
    ("kg:education.pupil", "street_key"): "person.registered_address",
    ("kg:education.catchment", "soate"): "catchment.area",
    ("kg:education.catchment", "street"): "catchment.street",
    ("kg:education.area", "name"): "area.name",
}
# concept -> the table whose column decides
TRUTH: Final[dict[str, str]] = {
    "person.pin": "persons",
    "person.surname": "births",
    "person.given_name": "births",
    "person.patronymic": "births",
    "person.birth_date": "births",
    "person.sex": "births",
    "person.registered_area": "persons",
    "person.registered_address": "persons",
    "birth.act_number": "births",
    "birth.mother": "births",
    "birth.father": "births",
    "school.code": "institutions",
    "school.capacity": "institution_places",
    "school.taken": "institution_places",
    "enrolment.status": "institution_students",
    "enrolment.grade": "institution_students",
    "catchment.street": "institution_catchments",
    "catchment.area": "institution_catchments",
    "vaccination.status": "vaccinations",
    "vaccination.certificate": "vaccinations",
}


def take_inventory(client: ExchangeClient, pack: Pack, first: date, now: datetime) -> tuple[int, int]:
    """Harvest, plan, apply, say what columns mean and whose they are. Returns (datasets, columns)."""
    concepts = load_concepts()
    columns = 0
    told: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="kerege-inventory-") as folder:
        for table, (service, mapping, key, organisation, unit, basis) in TABLES.items():
            rows = list(_rows(client, service, table, first))
            if not rows:
                continue
            path = Path(folder) / f"{table}.csv"
            _write(path, rows)
            options = Options(key=key, sample=table in SAMPLED)
            harvest = harvest_source(str(path), options)
            plan = doings.make_plan(harvest, options, now, location=str(path))
            doings.apply_plan(plan.plan_id, now)
            doings.set_organisation(harvest.source, organisation)
            columns += harvest.columns
            told_now = _meanings(pack, mapping)
            for column in rows[0]:
                doings.name_owner(harvest.source, table, column, organisation, unit, basis, now)
                found = told_now.get(column)
                if found is None or (concepts and found[0] not in concepts):
                    continue
                concept, codelist = found
                doings.link_concept(harvest.source, table, column, concept, "mapping", now, codelist=codelist)
                if TRUTH.get(concept) == table and concept not in told:
                    doings.declare_source_of_truth(concept, harvest.source, table, column, basis, now)
                    told.add(concept)
    return len(TABLES), columns


def _meanings(pack: Pack, mapping_id: str) -> dict[str, tuple[str, str]]:
    """Source column -> (concept, code list), from the canonical fields it feeds; the first field that has a concept wins."""
    mapping = pack.mapping(mapping_id)
    found: dict[str, tuple[str, str]] = {}
    for target in mapping.fields:
        concept = OWN.get((mapping_id, target.name)) or CONCEPTS.get(target.name)
        if concept is None:
            continue
        codelist = ""
        if isinstance(target.expr, ir.Recode):
            codelist = pack.crosswalk(target.expr.crosswalk).object_source
        for cell in mapping.sources_of(target.name):
            column = mapping.source.cells.get(cell, cell)
            found.setdefault(column, (concept, codelist))
    return found


def _rows(client: ExchangeClient, service: DataServiceId, table: str, first: date) -> Iterator[Row]:
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


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
