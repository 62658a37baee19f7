"""The registers whose records the hub itself may read, to place persons and to show a clerk two records: tables or files through their mappings.

    <home>/reconcile/registers.yaml
        registers:
          civil:  {source: /data/civil.csv, mapping: "kg:civil.birth-record", id: ActNo}
          health: {source: "postgresql://reader@host/health", table: certificates, mapping: "kg:health.vaccination", id: N_SPR}

`source` is what `catalogue.sources` reads, read-only and within its limits; a relative path is from the home folder. A record is named by a keyed
pseudonym of its number (`ref_of`), so going back from one is looking through the table's numbers, up to `most` rows: nothing here keeps a list that
leads from pseudonyms to numbers. Values leave this module only to the caller; errors name register and kind of fault, never a cell.
Leaves to `desk_doings` the trace of what is shown, to `placing` what is placed.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.catalogue.errors import CatalogueError
from kerege.catalogue.sources import Limits, Reading, open_source
from kerege.catalogue.sources.base import pick
from kerege.identity.pseudonyms import PseudonymKey, open_key
from kerege.reconcile.bulk import cells_of
from kerege.reconcile.compare import RecordView, view_of
from kerege.reconcile.desk_doings import AboutOf, Values, ValuesOf
from kerege.reconcile.errors import RecordUnavailable, RegistersInvalid
from kerege.reconcile.fields import of_country
from kerege.reconcile.link import Entry
from kerege.reconcile.persons import RecordRef
from kerege.semantics import Pack
from kerege.semantics.normalise import folding

FILE: Final = Path("reconcile") / "registers.yaml"
MOST: Final = 500_000  # rows of one register that are looked through
_KEYS: Final = frozenset({"source", "table", "mapping", "id"})
_NOT_SHOWN: Final = ("_key",)  # what only an engine compares
Written = Callable[[str, Mapping[str, str | None] | None, Values], Mapping[str, str | None] | None]


@dataclass(frozen=True, slots=True)
class RegisterTable:
    """Where a register's records stand. `id`: the column that numbers them; `table`: of a source that has several."""

    register: str
    source: str
    mapping: str
    id: str
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as its mapping made it. `ref` is None where it has no number; `aside`: its mapping put it aside, so it stands for nobody."""

    ref: RecordRef | None
    entry: Entry
    aside: bool = False


def configured(home: Path) -> dict[str, RegisterTable]:
    """The registers this installation may read; none without the file. Raises RegistersInvalid with all faults."""
    path = home / FILE
    if not path.is_file():
        return {}
    faults: list[str] = []
    if stat.S_IMODE(path.stat().st_mode) & 0o007:
        faults.append("others may read it, and it may hold passwords (chmod o= it)")
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RegistersInvalid(file=path.name, count=1, faults=f"no YAML ({type(error).__name__})") from None
    listed = raw.get("registers") if isinstance(raw, dict) else None
    if not isinstance(listed, dict) or not listed:
        raise RegistersInvalid(file=path.name, count=1, faults="expected `registers`: name -> source, mapping, id")
    found = {}
    for name, item in listed.items():
        given = item if isinstance(item, dict) else {}
        missing = sorted(key for key in ("source", "mapping", "id") if not str(given.get(key) or "").strip())
        if missing or set(given) - _KEYS:
            told = f"needs {', '.join(missing)}" if missing else "takes source, table, mapping, id only"
            faults.append(f"registers.{name}: {told}")
            continue
        source = str(given["source"])
        if "://" not in source and not Path(source).is_absolute():
            source = str(home / source)
        table = str(given["table"]) if given.get("table") else None
        found[str(name)] = RegisterTable(str(name), source, str(given["mapping"]), str(given["id"]), table)
    if faults:
        raise RegistersInvalid(file=path.name, count=len(faults), faults="; ".join(faults))
    return found


def ref_of(key: PseudonymKey, register: str, number: str) -> RecordRef:
    """A record's name here: its register, and the pseudonym of its number there."""
    return register, key.for_use(f"record/{register}").of(folding.trim(number))


def records(
    table: RegisterTable, pack: Pack, key: PseudonymKey, *, most: int = MOST, only: Collection[RecordRef] | None = None
) -> Iterator[Record]:
    """Every record of a register, through its mapping, in the order it stands there.

    only   just these: of every other row nothing but its number is looked at, and reading ends with the last of them

    Raises RecordUnavailable when the source, the table, a column or the mapping is not there, or when it has more than `most` rows: part of a
    register would be taken for all of it.
    """
    own = key.for_use(f"record/{table.register}")
    # one more than may be there, so that a table that was cut is seen
    reading = Reading(Limits(rows=most + 1, sample=most + 1))
    try:
        mapping, mapper = pack.mapping(table.mapping), pack.mapper(table.mapping)
    except (KeyError, ValueError):
        raise RecordUnavailable(register=table.register, reason=f"there is no mapping {table.mapping}") from None
    try:
        source = open_source(table.source, reading)
    except CatalogueError as error:
        raise RecordUnavailable(register=table.register, reason=f"its source cannot be opened ({error.code})") from None
    try:
        read = pick(source, table.table)
        if read.sampled:
            raise RecordUnavailable(register=table.register, reason=f"its table has more than {most} rows")
        at = {name: n for n, name in enumerate(read.columns)}
        optional = mapping.source.optional
        absent = [col for cell, col in mapping.source.cells.items() if cell not in optional and col not in at]
        absent += [table.id] if table.id not in at else []
        if absent:
            told = f"its table has no column {', '.join(sorted(set(absent)))[:200]}"
            raise RecordUnavailable(register=table.register, reason=told)
        places = {cell: at.get(column) for cell, column in mapping.source.cells.items()}
        wanted = set(only) if only is not None else None
        for n, cells in enumerate(read.rows()):
            if wanted is not None and not wanted:
                return
            if n >= most:
                raise RecordUnavailable(register=table.register, reason=f"its table has more than {most} rows")
            number = folding.trim(cells[at[table.id]] or "")
            ref = (table.register, own.of(number)) if number else None
            if wanted is not None:
                if ref not in wanted:
                    continue
                wanted.discard(ref)
            row = {cell: None if place is None else cells[place] for cell, place in places.items()}
            mapped = mapper(row)
            entry = Entry(mapped.values, frozenset((p.field, p.code) for p in mapped.problems), row)
            yield Record(ref, entry, mapped.verdict in ("quarantined", "rejected"))
    except CatalogueError as error:
        raise RecordUnavailable(register=table.register, reason=f"its table cannot be read ({error.code})") from None
    finally:
        source.close()


class Fetched:
    """What `desk_doings.open_task` fetches records with: called with register and pseudonym it gives the canonical values that are compared, and the
    document. `views` has the same records as `compare.compare_views` takes them, with what the register wrote, in the order they were asked for; for
    one page, kept nowhere else.

    wanted    records that will be asked for: those of one register are found in one look through it
    written   what a register wrote (register, row, canonical values), by the names of the compared fields; without it, cell by cell

    Raises RecordUnavailable where the register is not configured, cannot be read, or has no such record any more.
    """

    def __init__(
        self, home: Path, pack: Pack, *, wanted: Collection[RecordRef] = (), written: Written | None = None, most: int = MOST
    ) -> None:  # fmt: skip
        self._tables, self._key, self._compared = configured(home), open_key(home), of_country()
        self._pack, self._most, self._written = pack, most, written
        self._wanted, self._found = frozenset(wanted), dict[RecordRef, Entry]()
        self.views: dict[RecordRef, RecordView] = {}

    def can_show(self, *names: str) -> bool:
        """Whether all these registers are configured."""
        return set(names) <= set(self._tables)

    def __call__(self, register: str, ref: str) -> Values:
        table = self._tables.get(register)
        if table is None:
            raise RecordUnavailable(register=register, reason=f"it is not in {FILE}")
        if (register, ref) not in self._found:
            only = {(register, ref), *(one for one in self._wanted if one[0] == register)}
            for record in records(table, self._pack, self._key, most=self._most, only=only):
                if record.ref is not None:
                    self._found[record.ref] = record.entry
        entry = self._found.get((register, ref))
        if entry is None:
            raise RecordUnavailable(register=register, reason="no record has that number any more")
        specs = tuple(self._compared.fields.values())
        if self._written is not None:
            raw = self._written(register, entry.source, entry.values)
        else:
            cells = cells_of(self._pack.mapping(table.mapping), specs, register)
            raw = {name: (entry.source or {}).get(cell) for name, cell in cells.items()}
        self.views[register, ref] = view_of(register, ref, raw, entry.values, entry.flagged)
        shown = {name for spec in specs for name in (spec.name, spec.key_of(register))} | {"document"}
        return {n: v for n, v in entry.values.items() if n in shown and not n.endswith(_NOT_SHOWN)}


def values_of(home: Path, pack: Pack, *, most: int = MOST) -> ValuesOf:
    """The same as a plain function."""
    return Fetched(home, pack, most=most)


def about_of(home: Path) -> AboutOf:
    """The pseudonym under which a person finds who read about them: of the PIN, where the record has one."""
    key = open_key(home)

    def about(values: Mapping[str, str | None]) -> str | None:
        pin = folding.trim(values.get("pin") or "")
        return key.of(pin) if pin else None

    return about
