"""The clerks' desk filled: persons of two registers placed by their records, and a clerk asked where no rule is sure.

The hub may read an extract of the two registers, some birth dates of acts of birth and the certificates of those days, kept in its home as
`reconcile.registers` reads it; nobody else may open it. Every record that is read leaves its trace; a clerk decides side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import yaml

from kerege.demo.country.inventory import TABLES, rows_of, write_rows
from kerege.demo.country.network import BIRTHS, RUNNER, VACCINATIONS
from kerege.identity.pseudonyms import open_key
from kerege.identity.receipts import LedgerWriter
from kerege.reconcile import desk_queries, placing, registers
from kerege.reconcile.linkage import definition
from kerege.semantics.pack import Pack
from kerege.services.evidence import ExchangeClient

MOST: Final = 150  # records of one register in the extract


@dataclass(frozen=True, slots=True)
class Asked:
    """Records placed, how many of them a clerk is asked about, and the pairs that wait at the desk: several may be asked of one record."""

    records: int
    together: int
    unsure: int
    pairs: int


def ask_clerks(
    client: ExchangeClient, pack: Pack, first: date, home: Path, ledger: LedgerWriter, now: datetime
) -> Asked:
    """Fetch the extract over the exchange, write it where the hub reads it, place its persons."""
    births = list(rows_of(client, BIRTHS, "births", first))[:MOST]
    days = {_iso(row) for row in births}
    certificates = [row for row in rows_of(client, VACCINATIONS, "vaccinations", first) if row.get("DATA_R") in days]
    folder = home / registers.FILE.parent
    folder.mkdir(exist_ok=True)
    told = {}
    for register, table, rows, number in (
        ("civil", "births", births, "ActNo"),
        ("health", "vaccinations", certificates[:MOST], "N_SPR"),
    ):
        if not rows:
            return Asked(0, 0, 0, desk_queries.desk_total())
        file = folder / f"{register}.csv"
        write_rows(file, rows)
        told[register] = {"source": str(file.relative_to(home)), "mapping": TABLES[table].mapping, "id": number}
    (home / registers.FILE).write_text(yaml.safe_dump({"registers": told}), encoding="utf-8")
    tables = list(registers.configured(home).values())
    placed = placing.place_registers(
        tables, pack, definition.of_country("persons"), open_key(home), home=home, ledger=ledger, now=now, member=str(RUNNER)
    )  # fmt: skip
    return Asked(placed.read, placed.existing, placed.unsure, desk_queries.desk_total())


def _iso(row: Mapping[str, str | None]) -> str:
    """The birth date of an act (dd.mm.yyyy) as the certificates write it."""
    return "-".join(reversed(str(row.get("DataRozhd") or "").split(".")))
