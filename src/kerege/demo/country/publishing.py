"""What the stewards put in force: code lists, crosswalks, contracts, entries of datasets, a reference dataset; each by two people.

The steward submits, the reviewer approves, the steward publishes (`catalogue.lifecycle.doings`); what its own condition forbids stays where it
is, with the reasons, and some things wait for the reviewer on purpose, so that whoever opens the desks finds something to decide.
Contracts reach the nodes by being published: the demo sets none by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.contracts import checks as contract_checks
from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import runs as contract_runs
from kerege.catalogue.contracts.words import codes
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.reference import doings as reference
from kerege.catalogue.reference import make as reference_make
from kerege.catalogue.reference import proposals as reference_proposals
from kerege.demo.country.harmonise import AREA_CROSSWALK
from kerege.demo.country.inventory import TABLES
from kerege.demo.country.network import CONTRACTS, contract_file
from kerege.demo.country.registers import APPLICATION, FORMS
from kerege.demo.country.stewards import REVIEWER, STEWARD
from kerege.identity.receipts import LedgerWriter
from kerege.semantics.contracts import odcs
from kerege.semantics.contracts.contract import Route
from kerege.semantics.pack import Pack

FIRST: Final = "1"
WAITING: Final = frozenset({"institution_students"})  # an entry that is submitted and waits for the reviewer
APPLICATIONS: Final = f"{FORMS}.csv#{FORMS}"
PLACES: Final = "kg:soate"
SCHOOLS: Final = "schools"


@dataclass(frozen=True, slots=True)
class Put:
    """What became of the things of one kind: in force, waiting for the reviewer, and approved but held back, with the reasons."""

    kind: str
    published: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    held_back: Mapping[str, Sequence[str]] | None = None


def act(subject: Subject, action: str, reason: str, ledger: LedgerWriter, now: datetime) -> None:
    """One action by whoever's it is: the reviewer approves, the steward does the rest."""
    lifecycle.act(subject, action, REVIEWER if action == "approve" else STEWARD, reason, now, ledger=ledger)


def _through(
    kind: str, things: Iterable[tuple[str, str]], ledger: LedgerWriter, now: datetime, *, wait: Iterable[str] = ()
) -> Put:
    """Submit, approve and publish (id, version); what is in `wait` is submitted only."""
    published, waiting, held = [], [], {}
    for thing, version in things:
        subject = Subject(kind, thing, version)
        act(
            subject,
            "submit",
            "өлкө топтомунда келген калыбында" if kind != "dataset" else "ээлери дайындалды",
            ledger,
            now,
        )
        if thing in wait:
            waiting.append(thing)
            continue
        act(subject, "approve", "өзү сүрөттөгөн реестр менен салыштырылды", ledger, now)
        against = lifecycle.reasons_against(subject, "publish", now)
        if against:
            held[thing] = against
            continue
        act(subject, "publish", "бүгүндөн тартып күчүндө", ledger, now)
        published.append(thing)
    return Put(kind, tuple(published), tuple(waiting), held)


def publish_codes(pack: Pack, ledger: LedgerWriter, now: datetime) -> tuple[Put, Put]:
    """The country pack's code lists and crosswalks as versions.

    The list of places is published where each has its name in three languages: its top levels, which the pack ships, have. With the country's
    full list (villages known by their Russian names only) it stays a draft. The areas' crosswalk is this installation's own and waits for
    the reviewer.
    """
    lists = [codelists.import_codelist(c, STEWARD, now, origin="country pack") for c in pack.codelists.values()]
    walks = []
    for walk in pack.crosswalks.values():
        codelists.import_crosswalk(walk, STEWARD, now)
        walks.append((walk.id, walk.version or codelists.UNVERSIONED))
    places = [Subject(codelists.CODELIST, done.id, done.version) for done in lists if done.id == PLACES]
    drafts = {PLACES} if any(codelists.codelist_reasons(one, now) for one in places) else set()
    named = [(done.id, done.version) for done in lists if done.id not in drafts]
    return (
        _through(codelists.CODELIST, named, ledger, now),
        _through(codelists.CROSSWALK, walks, ledger, now, wait=[AREA_CROSSWALK]),
    )


def publish_contracts(ledger: LedgerWriter, now: datetime) -> Put:
    """The country's contracts in force; the nodes obey those with a data service from the next configuration on."""
    routes: dict[str, list[Route]] = {APPLICATION: []}
    for service, path, mapping in CONTRACTS:
        routes.setdefault(mapping, []).append(Route(str(service), path))
    about = {table.mapping: f"{name}.csv#{name}" for name, table in TABLES.items()} | {APPLICATION: APPLICATIONS}
    done = []
    for mapping, places in routes.items():
        contract = odcs.read(contract_file(mapping))
        contracts.add(contract, STEWARD, now, dataset=about[mapping])
        subject = contracts.subject(contract.id, contract.version)
        act(subject, "submit", "өлкө топтомунан", ledger, now)
        act(subject, "approve", "эрежелери жана укуктук негизи каралды", ledger, now)
        contracts.publish(
            contract.id, contract.version, STEWARD, "бүгүндөн тартып күчүндө", now, ledger=ledger, routes=places
        )
        done.append(contract.id)
    return Put(contracts.KIND, tuple(done))


def publish_entries(ledger: LedgerWriter, now: datetime) -> Put:
    """The entries of what the agencies answer; one waits for the reviewer."""
    names = [f"{name}.csv#{name}" for name in TABLES]
    wait = [f"{name}.csv#{name}" for name in WAITING]
    return _through("dataset", [(name, FIRST) for name in names], ledger, now, wait=wait)


def publish_schools(
    schools: Sequence[Mapping[str, str | None]], pack: Pack, folder: Path, ledger: LedgerWriter, now: datetime
) -> reference.VersionView:
    """The list of schools in the country's own codes, held against its contract at rest and published for everybody to use."""
    table, mapping = TABLES["institutions"], "kg:education.school"
    file = folder / "schools.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    names = [f.name for f in pack.mapping(mapping).fields]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(schools)
    contract = odcs.read(contract_file(mapping))
    contract_runs.keep(contract, contract_checks.check(contract, str(file), codes, now), now)
    content = reference_make.of_table(pack, SCHOOLS, mapping, file, ("school_code",), source="institutions")
    owned = reference.Owned(SCHOOLS, table.organisation, table.unit, table.legal_basis, theme="EDUC")
    reference_proposals.propose(owned, content, FIRST, STEWARD, "мектептер министрликтин жазуусу боюнча", now)
    subject = Subject(reference.KIND, SCHOOLS, FIRST)
    act(subject, "submit", "бирдиктүү калыпка келтирилди, келишими боюнча текшерилди", ledger, now)
    act(subject, "approve", "министрликтин өз тизмеси менен салыштырылды", ledger, now)
    return reference.publish(owned, content, FIRST, STEWARD, "биринчи версия", now, ledger=ledger)
