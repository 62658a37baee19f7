"""The registers behind the data services, harvested as they lie: databases by an account that may only read, descriptions as files, nodes.

`inventory` looks at what agencies answer over the exchange; here the country's stewards look at what those answers are made from
(SQLite, PostgreSQL), at what the makers of an interface say of it (WSDL, OpenAPI), and at what passed the two exchange nodes: who called
what, and with which fields. Nothing of a register's values is kept but code lists; a table is sampled by a few thousand rows.
A column means what the answer's column made from it means; what no answer shows stays without a meaning, for a steward.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import urllib3

from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source
from kerege.catalogue.ownership import doings as ownership_doings
from kerege.catalogue.sources import Limits, Reading
from kerege.demo.agencies import civil, education, health, population
from kerege.demo.agencies.running import Agency
from kerege.demo.country.inventory import TABLES, Table, meanings, meanings_of
from kerege.demo.country.network import BIRTHS, NODE_EDU, NODE_REG, PERSONS
from kerege.demo.country.stewards import STEWARD
from kerege.ground.clock import iso
from kerege.identity.receipts import LedgerWriter
from kerege.node.network import LaidOut
from kerege.semantics.pack import Pack

APPLICATION: Final = "kg:application"
FORMS: Final = "applications"
ROWS: Final = 2000  # of a table; more would tell no more of its shape
INTERIM_DAYS: Final = 60
SAMPLE: Final = Options(Reading(Limits(rows=ROWS, sample=ROWS)))

# The agencies' own names of columns -> the column of the answer made from it.
_CIVIL: Final = {own: tag for tag, own in civil.COLUMNS}
_POPULATION: Final = {
    "familiyasy": "lastName", "aty": "firstName", "atasynyn_aty": "middleName", "tuulgan_kunu": "dob", "jynysy": "gender",
    "tekst": "text", "kattalgan": "registeredSince",
}  # fmt: skip
_FORM: Final = {"child_name": "person.name", "address_text": "person.registered_address"}
_HEALTH: Final = {name.lower(): name for name in health.HEADER}

# table of a database, description or node -> the table of `inventory.TABLES` its columns are answered from
_ANSWERS: Final = {
    "akt_rozhd": "births", "ListBirths": "births", str(BIRTHS): "births",
    "jaran": "persons", "darek": "persons", str(PERSONS): "persons", "spravki": "vaccinations",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Looked:
    """What was harvested: sources by kind, tables, columns, and how many of them got a meaning and an owner."""

    sources: tuple[str, ...]
    tables: int
    columns: int
    meant: int
    owned: int


@dataclass(frozen=True, slots=True)
class Uses:
    """What the nodes told of their traffic."""

    consumers: int
    services: int
    calls: int
    fields: int


def harvest_registers(
    agencies: Mapping[str, Agency], descriptions: Path, pack: Pack, ledger: LedgerWriter, now: datetime
) -> Looked:
    """Harvest the agencies' databases and descriptions, say what columns mean and whose they are."""
    places = {name: agency.harvest or str(_file(agency)) for name, agency in agencies.items()}
    found = [_harvested(place, SAMPLE, now) for place in places.values()]
    found += [_harvested(str(file), Options(), now) for file in _described(agencies, descriptions)]
    meant = owned = columns = tables = 0
    for harvest in found:
        for table in harvest.tables:
            tables, columns = tables + 1, columns + len(table.fields)
            meant += _mean(harvest.source, table.name, [f.name for f in table.fields], pack, now)
            owned += _own(harvest.source, table.name, ledger, now)
    return Looked(tuple(h.source for h in found), tables, columns, meant, owned)


def _file(agency: Agency) -> Path:
    names = {"civil": civil.DATABASE, "population": population.DATABASE, "education": education.DATABASE}
    return agency.folder / names.get(agency.name, health.DATABASE)


def _described(agencies: Mapping[str, Agency], folder: Path) -> Iterator[Path]:
    """The descriptions two agencies give out, as files: a description is never fetched by a harvest."""
    folder.mkdir(parents=True, exist_ok=True)
    for agency, address, name in (
        ("civil", "/ws?wsdl", "birth-records.wsdl"),
        ("education", education.DESCRIPTION, "education.openapi.json"),
    ):
        answer = urllib3.request("GET", agencies[agency].url.rstrip("/") + address, timeout=30.0, retries=False)
        if answer.status != 200:
            raise RuntimeError(f"{agency} does not give out its description: {answer.status}")
        file = folder / name
        file.write_bytes(answer.data)
        yield file


def _harvested(place: str, options: Options, now: datetime) -> Harvest:
    harvest = harvest_source(place, options)
    plan = doings.make_plan(harvest, options, now)
    doings.apply_plan(plan.plan_id, now, source=place)
    return harvest


def _answered(table: str) -> str:
    """The answer's table that a table of a database, an operation or a data service gives; "" for none."""
    bare = table.rsplit("/", 1)[-1] if table.startswith("GET ") else table.removeprefix("kalk.")
    return _ANSWERS.get(bare, bare if bare in TABLES else "")


def meaning_of(table: str, column: str, pack: Pack, concepts: Mapping[str, Concept]) -> str | None:
    """The concept of an agency's own column, or None: the meaning of the answer's column made from it."""
    answered = _answered(table)
    if not answered:
        return None
    name = column.rsplit(".", 1)[-1]
    own = {"births": _CIVIL, "persons": _POPULATION, "vaccinations": _HEALTH}.get(answered, {})
    return meanings(answered, pack, concepts).get(own.get(name, name))


def _mean(source: str, table: str, columns: Iterable[str], pack: Pack, now: datetime) -> int:
    concepts, count = load_concepts(), 0
    for column in columns:
        concept = meaning_of(table, column, pack, concepts)
        if concept is not None:
            doings.link_concept(source, table, column, concept, STEWARD, now, codelist=concepts[concept].codelist)
            count += 1
    return count


def _own(source: str, table: str, ledger: LedgerWriter, now: datetime) -> int:
    """Owners of every column: lasting ones, but for the health service's office programme, whose owner is to be named within two months.

    What nobody answers for (a second area tree that no answer shows) stays unowned, and the board says so.
    """
    answered = _answered(table)
    if not answered:
        return 0
    told: Table = TABLES[answered]
    doings.set_organisation(source, told.organisation)
    by = told.organisation
    if answered != "vaccinations":
        rows = ownership_doings.name_owners(
            source, table, told.organisation, told.unit, told.legal_basis, now, by=by, ledger=ledger
        )
    else:
        rows = ownership_doings.name_interims(
            source, table, told.organisation, told.unit, told.legal_basis, now, by=by, ledger=ledger,
            until=now + timedelta(days=INTERIM_DAYS), names_lasting=told.organisation,
        )  # fmt: skip
    return len(rows)


def harvest_forms(forms: Iterable[Mapping[str, str]], pack: Pack, ledger: LedgerWriter, now: datetime) -> None:
    """The forms of applications as parents filled them: the ministry's own, no register answers them."""
    cells = pack.mapping(APPLICATION).source.cells
    with tempfile.TemporaryDirectory(prefix="kerege-forms-") as folder:
        file = Path(folder) / f"{FORMS}.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(cells), restval="")
            writer.writeheader()
            writer.writerows(forms)
        source = _harvested(str(file), SAMPLE, now).source
    concepts = load_concepts()
    told: Table = TABLES["institution_places"]
    doings.set_organisation(source, told.organisation)
    ownership_doings.name_owners(
        source, FORMS, told.organisation, "admissions", "admission-order", now, by=told.organisation, ledger=ledger
    )
    for column, concept in meanings_of(APPLICATION, pack, concepts, _FORM).items():
        doings.link_concept(source, FORMS, column, concept, STEWARD, now, codelist=concepts[concept].codelist)


def harvest_nodes(laid_out: LaidOut, pack: Pack, now: datetime) -> Uses:
    """What passed the two nodes up to `now`: their services as datasets, and who called what with which fields."""
    uses = []
    for server, member in ((NODE_EDU.server, NODE_EDU.owner), (NODE_REG.server, NODE_REG.owner)):
        options = replace(SAMPLE, reading=replace(SAMPLE.reading, until=iso(now)))
        harvest = _harvested(f"node://{laid_out.nodes[server].config}", options, now)
        doings.set_organisation(harvest.source, str(member))
        for table in harvest.tables:
            _mean(harvest.source, table.name, [f.name for f in table.fields], pack, now)
        uses += list(harvest.usage)
    seen = [u for u in uses if u.side == "provider"]
    names = {(u.service, name) for u in seen for name, _ in u.fields}
    return Uses(len({u.consumer for u in seen}), len({u.service for u in seen}), sum(u.calls for u in seen), len(names))
