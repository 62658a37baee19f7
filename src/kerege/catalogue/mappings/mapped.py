"""Running a mapping of the country pack over a file: canonical records out, every problem counted, the original untouched.

The mapping is the same that translates messages on the wire (`semantics.engines.emit_python`), by whichever engine (`semantics.engines.batches`).
Records it quarantines or rejects go to a second file with their row number, the source's own cells and what was wrong; flagged ones are
written with their problems named.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerege.catalogue.errors import OutputExists, TableEmpty
from kerege.catalogue.files import SafeWriter, written_whole
from kerege.catalogue.inventory.tables import column_index, free_name
from kerege.catalogue.mappings.harmonise import PROBLEMS, ROW, quarantine_path
from kerege.catalogue.sources import Source, Table
from kerege.semantics.engines.batches import Batches
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.pack import Pack


@dataclass(slots=True)
class MappedReport:
    """The run in figures: read = ok + flagged + quarantined + rejected."""

    mapping: str
    version: str
    read: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)  # (field, problem code)
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)  # (field, the source's code)
    engines: Counter[str] = field(default_factory=Counter)  # records by the engine that mapped them
    recoded: dict[tuple[str, str], Counter[str]] = field(
        default_factory=dict
    )  # (crosswalk, the source's column) -> code it does not know; empty for one that knew all
    filled: Counter[str] = field(default_factory=Counter)  # values by such a column

    def as_dict(self) -> dict[str, Any]:
        return {
            "mapping": self.mapping, "version": self.version, "read": self.read, "verdicts": dict(sorted(self.verdicts.items())),
            "engines": dict(sorted(self.engines.items())),
            "problems": [{"field": f, "code": c, "records": n} for (f, c), n in sorted(self.problems.items())],
            "unmapped": [{"field": f, "source_code": c, "records": n} for (f, c), n in self.unmapped.most_common()],
        }  # fmt: skip


def map_table(
    source: Source, table: Table, pack: Pack, mapping_id: str, out: Path, batches: Batches | None = None
) -> MappedReport:
    """Write the canonical records of `table` to `out` (CSV, UTF-8), those put aside beside it.

    batches   the engine; without it, one chosen by size. What mapped how many is in the report.
    Raises ColumnVanished when the table lacks a cell the mapping names, OutputExists, TableEmpty or a SourceError; then no file appears.
    """
    aside_path = quarantine_path(out)
    for path in (out, aside_path):
        if path.exists():
            raise OutputExists(path=str(path))
    mapping = pack.mapping(mapping_id)
    at: dict[str, int | None] = {}
    for cell, column in mapping.source.cells.items():
        absent = cell in mapping.source.optional and column not in table.columns
        at[cell] = None if absent else column_index(source.name, table, column)
    batches = batches or Batches(mapping, pack)
    report = MappedReport(mapping_id, pack.version(mapping_id))
    asked: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, crosswalk, cell in recodes(mapping):
        if at.get(cell) is not None:
            asked[name].append((crosswalk, mapping.source.cells[cell]))
            report.recoded[asked[name][-1]] = Counter()
    looked = {column: column_index(source.name, table, column) for _, column in report.recoded}
    columns = [f.name for f in mapping.fields]
    with ExitStack() as files:
        main = SafeWriter(files.enter_context(written_whole(out)))
        main.writerow([*columns, free_name(PROBLEMS, columns)])
        aside: Any = None
        rows, given = itertools.tee(table.numbered())  # what is between the two is one batch
        records = ({cell: None if i is None else cells[i] for cell, i in at.items()} for _, cells in given)
        for (number, cells), mapped in zip(rows, batches(records), strict=True):
            report.read += 1
            report.verdicts[mapped.verdict] += 1
            for column, i in looked.items():
                report.filled[column] += bool((cells[i] or "").strip())
            for problem in mapped.problems:
                report.problems[problem.field, problem.code] += 1
                if problem.source_code is not None:
                    report.unmapped[problem.field, problem.source_code] += 1
            told = "; ".join(f"{p.field}: {p.code}" for p in mapped.problems)
            if mapped.verdict in ("quarantined", "rejected"):
                if aside is None:
                    aside = SafeWriter(files.enter_context(written_whole(aside_path)))
                    aside.writerow([free_name(ROW, table.columns), *table.columns, free_name(PROBLEMS, table.columns)])
                aside.writerow([number, *("" if c is None else c for c in cells), told])
                continue
            main.writerow([*(mapped.values[c] or "" for c in columns), told])
        if not report.read:
            raise TableEmpty(source=source.name, table=table.name, before="")
    for (name, code), times in report.unmapped.items():
        unknown = [a for a in asked[name] if pack.crosswalk(a[0]).key(code) not in pack.crosswalk(a[0]).table]
        for made in (unknown or asked[name])[:1]:
            report.recoded[made][code] += times
    report.engines.update(batches.used)
    return report


def recodes(mapping: Mapping) -> Iterator[tuple[str, str, str]]:
    """(canonical field, crosswalk, the source's cell whose codes it translates) of every crosswalk that the mapping asks."""
    for target in mapping.fields:
        for expr in target.expr.walk():
            if isinstance(expr, ir.Recode | ir.RecodeAsOf):
                of = expr.of.parts[0] if isinstance(expr, ir.RecodeAsOf) else expr.of
                for cell in _cells(of, mapping)[:1]:
                    yield target.name, expr.crosswalk, cell


def _cells(expr: ir.Expr, mapping: Mapping) -> list[str]:
    found: list[str] = []
    for part in expr.walk():
        if isinstance(part, ir.Field):
            found.append(part.cell)
        elif isinstance(part, ir.Target):
            found.extend(mapping.sources_of(part.field))
    return found
