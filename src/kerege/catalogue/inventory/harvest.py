"""One reading of a whole source: every table profiled, nothing copied, nothing changed.

The result has canonical bytes and a digest; two readings of the same data with the same options give the same digest, which is what lets
a plan be checked before it is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kerege.catalogue.inventory.profile import K_THRESHOLD, TableProfile, profile_table
from kerege.catalogue.inventory.tables import require_columns
from kerege.catalogue.sources import Limits, Reading, Source, Table, open_source
from kerege.catalogue.sources.base import Traffic
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.traffic import Use
from kerege.ground.ids import digest


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who harvests decides; kept with the plan, so that its check reads the same way.

    share   "table.column" or "column" names whose values the owner allows into the catalogue
    key     columns that name a record, for sources that do not say so themselves
    sample  what is given is itself a sample of the register, as answers of a data service are
    """

    reading: Reading = field(default_factory=Reading)
    k: int = K_THRESHOLD
    share: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    sample: bool = False

    def as_dict(self) -> dict[str, Any]:
        r = self.reading
        return {
            "rows": r.limits.rows, "cell": r.limits.cell, "seconds": r.limits.seconds, "encoding": r.encoding,
            "delimiter": r.delimiter, "header_row": r.header_row, "tables": list(r.tables), "k": self.k,
            "share": list(self.share), "key": list(self.key), "is_sample": self.sample, "counted": r.counted,
            "since": r.since, "until": r.until, "sample": r.limits.sample,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Options:
        older = isinstance(raw["sample"], bool)  # a plan made before tables were sampled by less than --rows
        limits = Limits(raw["rows"], raw["cell"], raw["seconds"], raw["rows"] if older else raw["sample"])
        reading = Reading(
            limits, raw["encoding"], raw["delimiter"], raw["header_row"], tuple(raw["tables"]), raw["counted"],
            raw["k"], raw.get("since", ""), raw.get("until", ""),
        )  # fmt: skip
        return cls(
            reading,
            raw["k"],
            tuple(raw["share"]),
            tuple(raw["key"]),
            bool(raw["sample"] if older else raw["is_sample"]),
        )


@dataclass(frozen=True, slots=True)
class Harvest:
    """What one reading found. `fingerprint` is the file's digest, "" for databases; `remarks` (table, sentence) are no part of `digest`."""

    source: str
    kind: str
    fingerprint: str
    tables: tuple[TableProfile, ...]
    remarks: tuple[tuple[str, str], ...] = ()
    cost: Cost = field(default_factory=Cost, compare=False)
    usage: tuple[Use, ...] = ()  # of an exchange node: who called what; no part of `digest`, because traffic goes on

    @property
    def digest(self) -> str:
        return digest([t.as_dict() for t in self.tables])

    @property
    def columns(self) -> int:
        return sum(len(t.fields) for t in self.tables)

    @property
    def values_told(self) -> int:
        """Distinct values that are in this profile: codes only, 0 where nothing looks like a code list."""
        return sum(len(f.codes) for t in self.tables for f in t.fields)


def named_and_marked(text: str, options: Options) -> tuple[str, str]:
    """The name of the source at `text` and its fingerprint, with nothing of it parsed."""
    source = open_source(text, options.reading)
    try:
        return source.name, source.fingerprint()
    finally:
        source.close()


def harvest_source(text: str, options: Options | None = None, progress: Callable[[str], None] | None = None) -> Harvest:
    """Read the source at `text` (path or URL) and profile every table. Raises a SourceError naming the place of any trouble.

    A column that `options` name and no table has is ColumnVanished: a key that is not there would check nothing.
    """
    options = options or Options()
    if options.reading.k != options.k:
        options = replace(options, reading=replace(options.reading, k=options.k))
    source = open_source(text, options.reading)
    try:
        before = source.fingerprint()
        tables = []
        there = source.tables()
        for wanted in (options.key, options.share):
            require_columns(source.name, there, wanted)
        for table in there:
            if progress:
                progress(table.name)
            tables.append(_profiled(source, table, options))
        usage = source.usage() if isinstance(source, Traffic) else ()
    finally:
        source.close()
    found = tuple(sorted(tables, key=lambda t: t.name))
    source.cost.rows = source.cost.rows or sum(t.rows for t in found)
    return Harvest(source.name, source.kind, before, found, tuple(sorted(source.remarks.items())), source.cost, usage)


def _profiled(source: Source, table: Table, options: Options) -> TableProfile:
    if table.described is not None:
        return table.described
    key = tuple(k for k in options.key if k in table.columns) or table.key
    share = [s.removeprefix(f"{table.name}.") for s in options.share]
    found = profile_table(
        table.name, table.heads, table.numbered(), total_rows=table.total_rows, sampled=table.sampled, key=key,
        description=table.description, k=options.k, share=share, source=source.name, most=options.reading.limits.rows,
        key_kept=table.key_kept and key == table.key,
    )  # fmt: skip
    return replace(found, sampled=True) if options.sample or table.name in source.cut else found
