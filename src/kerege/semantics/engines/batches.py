"""Records mapped one after another by any engine: a stream in, a stream of `Mapped` out, batch by batch, so that memory is bounded.

For commands that read a file and write a file. Without an engine named, few records are mapped by the Python function and many by Polars; where
the one begins to cost less than the other was measured, with the way from records to a frame and back (`FEW`). The cells are the same either
way, so nothing hangs on the choice but time; `used` tells it. A record no table engine can hold (half of a surrogate pair) is mapped by the
Python function when nobody named an engine, and refused with its place when somebody did.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from kerege.semantics.engines import door as engines
from kerege.semantics.engines.door import CsvSession, Engine
from kerege.semantics.engines.emit_python import Mapped, compile_record
from kerege.semantics.errors import EngineMissing, TableInvalid
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.operators import Lists

BATCH_CELLS: Final = 2_000_000  # cells of one batch: about 200 MB while they are Python texts
FEW: Final = 100_000  # records up to which the Python function costs no more, or hardly
MANY: Final[Engine] = "polars"
Record = Mapping[str, str | None]
Asked = Literal["auto", "python", "duckdb", "polars", "postgresql"]


@dataclass
class Batches:
    """The records of one mapping by one engine; call it with the records, in order. `used` counts what it mapped by which engine.

    session   for postgresql: where the rows are copied, into temporary tables only. EngineMissing without one, before anything is read.
    """

    mapping: FieldMapping
    pack: Lists
    asked: Asked = "auto"
    session: CsvSession | None = None
    used: Counter[Engine] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.asked == "postgresql" and self.session is None:
            raise EngineMissing(engine=self.asked, needs="a connection to a PostgreSQL database")
        self._mapper = compile_record(self.mapping, self.pack)

    def __call__(self, records: Iterable[Record]) -> Iterator[Mapped]:
        """One `Mapped` for each record, as the Python function answers."""
        left = iter(records)
        if self.asked == "python":
            yield from self._python(left)
            return
        size = max(BATCH_CELLS // max(len(self.mapping.cells), 1), FEW + 1)
        place, engine = 0, MANY if self.asked == "auto" else self.asked
        while batch := list(itertools.islice(left, size)):
            few = self.asked == "auto" and place == 0 and len(batch) <= FEW
            yield from self._python(batch) if few else self._table(engine, batch, place)
            place += len(batch)

    def _python(self, records: Iterable[Record]) -> Iterator[Mapped]:
        for record in records:
            self.used["python"] += 1
            yield self._mapper(record)

    def _table(self, engine: Engine, batch: list[Record], place: int) -> Iterator[Mapped]:
        try:
            frame = engines.frame_of(batch, self.mapping, first=place)
        except TableInvalid:
            if self.asked != "auto":
                raise
            return self._python(batch)
        self.used[engine] += len(batch)
        return engines.run(engine, self.mapping, self.pack, frame, session=self.session, first=place).mapped()

    def told(self) -> str:
        """For people: what mapped how many records, and what was the choice."""
        by = ", ".join(f"{n:,} by {engine}" for engine, n in self.used.most_common()) or "no records"
        if self.asked != "auto":
            return by
        return f"{by} (chosen by size: python up to {FEW:,} records, {MANY} beyond; --engine names one)"
