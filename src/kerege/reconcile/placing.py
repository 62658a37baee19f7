"""Placing the records of registers, one by one, against the persons known so far: what is sure gets its key, what is not goes to the clerks.

    placed = place_registers([civil, health], pack, definition, key, ledger=ledger, now=now, model=model)

Every record meets the known ones that agree with it on a rule of the linkage definition, or on a PIN; `persons.place` decides; nothing known is
moved. Records are placed in the order given, those that have a key already are what the others meet, so a run that was broken off goes on where it
was and a second run changes nothing. A rule whose value stands in more than `CROWD` records says nothing about one of them and is passed over, and
counted. That a process read a person's record is written down for each record it placed. What clerks settled as one person and is not joined yet is
joined at the end. One placing runs at a time.
Leaves to `registers` the reading, to `desk_doings` keys and questions, to `linkage.bulk` weights for whole tables.
"""

from __future__ import annotations

import fcntl
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from django.db import connection, transaction

from kerege.ground.clock import require_utc
from kerege.identity import doings as identity
from kerege.identity import receipts
from kerege.identity.pseudonyms import PseudonymKey
from kerege.identity.reads import Read
from kerege.reconcile import desk_doings, persons
from kerege.reconcile.errors import PlacingRuns
from kerege.reconcile.link import Entry
from kerege.reconcile.linkage.definition import LinkageDefinition, bare, prefix
from kerege.reconcile.linkage.model import Model
from kerege.reconcile.linkage.weights import told
from kerege.reconcile.persons import RecordRef
from kerege.reconcile.registers import MOST, RegisterTable, records
from kerege.semantics import Pack
from kerege.semantics.engines import duck_words as sql

CROWD: Final = 200  # records that share a rule's value: more is no clue to a person
PIN_RULE: Final = ("pin",)  # always looked at: only a PIN makes a placement sure
_TOGETHER: Final = 200  # records in one transaction
_LOCK: Final = 0x6B657265  # PostgreSQL's advisory lock of this doing
PROCESS: Final = "process:reconcile-link"
PURPOSE: Final = "linkage"


@dataclass
class Placed:
    """A run in figures; read = existing + new + unsure + known + aside + unnumbered + twice. `joined`: pairs clerks had settled as one person."""

    read: int = 0
    existing: int = 0
    new: int = 0
    unsure: int = 0
    known: int = 0
    aside: int = 0
    unnumbered: int = 0
    twice: int = 0
    crowded: int = 0
    joined: int = 0

    def as_dict(self) -> dict[str, int]:
        return {name: int(getattr(self, name)) for name in self.__dataclass_fields__}


class Blocks:
    """Known records by what they agree on."""

    def __init__(self, rules: Sequence[tuple[str, ...]]) -> None:
        self.rules = tuple(dict.fromkeys((PIN_RULE, *rules)))
        self.index: dict[tuple[int, tuple[str, ...]], list[int]] = defaultdict(list)
        self.entries: list[Entry] = []
        self.refs: list[RecordRef] = []
        self.keys: list[str] = []
        self.of_key: dict[str, list[int]] = defaultdict(list)

    def values(self, entry: Entry) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(rule, its values) of every rule for which the record has them all."""
        for number, rule in enumerate(self.rules):
            found = []
            for part in rule:
                value = told(entry.values, bare(part))
                if value is None:
                    break
                found.append(value[: prefix(part)])
            else:
                yield number, tuple(found)

    def add(self, ref: RecordRef, entry: Entry, key: str) -> None:
        place = len(self.entries)
        self.entries.append(entry)
        self.refs.append(ref)
        self.keys.append(key)
        self.of_key[key].append(place)
        for found in self.values(entry):
            self.index[found].append(place)

    def meet(self, entry: Entry) -> tuple[dict[str, list[Entry]], dict[str, list[RecordRef]], int]:
        """Every person of whom a record meets this one, with all their records; and how many rules were too crowded to say anything."""
        met: set[str] = set()
        crowded = 0
        for found in self.values(entry):
            places = self.index.get(found, ())
            if len(places) > CROWD and self.rules[found[0]] != PIN_RULE:
                crowded += 1
                continue
            met.update(self.keys[place] for place in places[:CROWD])
        known = {key: [self.entries[n] for n in self.of_key[key]] for key in sorted(met)}
        return known, {key: [self.refs[n] for n in self.of_key[key]] for key in known}, crowded


def place_registers(
    tables: Sequence[RegisterTable], pack: Pack, definition: LinkageDefinition, key: PseudonymKey, *,
    home: Path, ledger: receipts.LedgerWriter, now: datetime, member: str, model: Model | None = None, most: int = MOST,
) -> Placed:  # fmt: skip
    """Place every record of the tables. Raises RecordUnavailable before anything is placed, PlacingRuns while another placing runs.

    member  the subsystem in whose name the records are read, for the trace; the legal basis is the definition's
    model   with one, the clerks' questions carry a weight and how it came about
    """
    require_utc(now)
    with _alone(home):
        placed, fresh, blocks = _gathered(tables, pack, key, definition, most)
        for start in range(0, len(fresh), _TOGETHER):
            with transaction.atomic():
                some = fresh[start : start + _TOGETHER]
                _traced(some, key, definition, member, ledger, now)
                for ref, entry in some:
                    _place(ref, entry, blocks, definition, model, placed, now)
        # a pair that was settled before both its records had keys, or without being joined, is joined now
        placed.joined = desk_doings.join_waiting(by=PROCESS, ledger=ledger, now=now)
    return placed


def train(
    left: RegisterTable, right: RegisterTable, pack: Pack, definition: LinkageDefinition, key: PseudonymKey, *,
    trained_at: str = "", most: int = MOST,
) -> Model:  # fmt: skip
    """Learn the weights from two registers, without labels. Raises RecordUnavailable, TrainingImpossible."""
    import duckdb

    from kerege.reconcile.linkage.bulk import Linkage, Side

    engine = duckdb.connect()
    heads = ", ".join(f"{sql.quoted(name)} VARCHAR" for name in ("id", *definition.fields))
    for name, table in (("left_side", left), ("right_side", right)):
        rows: dict[str, list[str | None]] = {}
        for record in records(table, pack, key, most=most):
            if record.ref is not None and not record.aside:
                rows.setdefault(record.ref[1], [told(record.entry.values, field) for field in definition.fields])
        columns = [list(rows), *map(list, zip(*rows.values(), strict=True))] if rows else []
        engine.execute(f"CREATE TABLE {name} ({heads})")
        if columns:
            engine.execute(f"INSERT INTO {name} SELECT {', '.join(['unnest(?::VARCHAR[])'] * len(columns))}", columns)
    run = Linkage(engine, definition, Side("left_side", "id"), Side("right_side", "id"))
    try:
        return run.train(trained_at)
    finally:
        run.close()
        engine.close()


def _gathered(
    tables: Sequence[RegisterTable], pack: Pack, key: PseudonymKey, definition: LinkageDefinition, most: int
) -> tuple[Placed, list[tuple[RecordRef, Entry]], Blocks]:
    """All records read: those that have a key, in their blocks; and those to place, in their order."""
    placed, book, blocks = Placed(), desk_doings.key_book(), Blocks(definition.block)
    fresh: list[tuple[RecordRef, Entry]] = []
    seen: set[RecordRef] = set()
    for table in tables:
        for record in records(table, pack, key, most=most):
            placed.read += 1
            if record.ref is None:
                placed.unnumbered += 1
            elif record.aside:
                placed.aside += 1
            elif record.ref in seen:
                placed.twice += 1
            else:
                seen.add(record.ref)
                present = book.of(record.ref)
                if present is None:
                    fresh.append((record.ref, record.entry))
                else:
                    placed.known += 1
                    blocks.add(record.ref, record.entry, present)
    return placed, fresh, blocks


def _place(
    ref: RecordRef, entry: Entry, blocks: Blocks, definition: LinkageDefinition, model: Model | None, placed: Placed,
    now: datetime,
) -> None:  # fmt: skip
    known, refs, crowded = blocks.meet(entry)
    placed.crowded += crowded
    said = desk_doings.place_and_ask(ref, entry, known, definition, model=model, refs=refs, now=now)
    blocks.add(ref, entry, said.key)
    placed.existing += said.kind == persons.EXISTING
    placed.new += said.kind == persons.NEW
    placed.unsure += said.kind == persons.UNSURE


def _traced(
    some: Sequence[tuple[RecordRef, Entry]], key: PseudonymKey, definition: LinkageDefinition, member: str,
    ledger: receipts.LedgerWriter, now: datetime,
) -> None:  # fmt: skip
    """Write down that a process read these: about the person where the PIN is known, else about the record."""
    reads = []
    for (register, ref), entry in some:
        pin = told(entry.values, "pin")
        reads.append(
            Read(
                member=member, reader=PROCESS, about=key.of(pin) if pin else ref, purpose=PURPOSE, legal_basis=definition.legal_basis,
                data_service=f"reconcile/link/{register}", message_id="", at=now, channel="job",
            )
        )  # fmt: skip
    identity.record_reads(reads, ledger, now)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One placing at a time: two at once would each give the same person a key."""
    path = home / "reconcile" / "placing.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PlacingRuns(where=str(path)) from None
        shared = connection.vendor == "postgresql"  # hubs on several machines share the database, not the folder
        if shared and not _asked("SELECT pg_try_advisory_lock(%s)"):
            raise PlacingRuns(where="the hub's database")
        try:
            yield
        finally:
            if shared:
                _asked("SELECT pg_advisory_unlock(%s)")


def _asked(query: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])
