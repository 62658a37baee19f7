"""Results of several engines held against each other, cell by cell: every value, the problems in their order, the verdict.

Aggregates hide what this finds: six engines once agreed on every count over a million rows while one of them gave another street in 150,070
cells. A result is a Polars frame with `_row`, the canonical fields, `_problems` and `_verdict` (`engines.run` gives such frames); one of them
is the law, the Python function where it is there. What differs is told by engine, row and field; the values themselves only when asked for,
because they may be a person's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kerege.ground.text import worded
from kerege.semantics.mappings.documents import RESERVED

if TYPE_CHECKING:
    import polars as pl

ROW, ISSUES, VERDICT = RESERVED
LAW: Final = "python"
ROWS: Final = "(rows)"  # the field named when an engine has other rows than the law
_PARTS: Final = ("field", "code", "source_code", "severity")


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell of one engine that is not what the law says. `expected` and `found` are None unless values were asked for, or are null."""

    engine: str
    row: int
    field: str
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        return f"{self.engine}: row {self.row}, {self.field}"


@dataclass(frozen=True)
class EngineDiff:
    """How one engine compares with the law: cells looked at, cells that differ, where the first ones are."""

    engine: str
    cells: int
    by_field: Counter[str]
    first: tuple[Difference, ...]

    @property
    def different(self) -> int:
        return sum(self.by_field.values())


@dataclass(frozen=True)
class Comparison:
    """All engines against the law."""

    law: str
    rows: int
    engines: tuple[EngineDiff, ...]

    @property
    def different(self) -> int:
        """Cells that differ, over all engines; 0 is the standing promise."""
        return sum(engine.different for engine in self.engines)

    def lines(self) -> list[str]:
        """For people: a line per engine, then the first differences, with values if they were kept."""
        out = []
        for engine in self.engines:
            told = ", ".join(f"{field} {count}" for field, count in engine.by_field.most_common(5))
            out.append(
                f"{engine.engine:<12} {engine.cells:>12,} {worded(engine.cells, 'cell')}, {engine.different:,} "
                f"{'differs' if engine.different == 1 else 'differ'} from {self.law}" + (f": {told}" if told else "")
            )
            for one in engine.first:
                values = (
                    f": {one.expected!r} was expected, {one.found!r} came"
                    if (one.expected, one.found) != (None, None)
                    else ""
                )
                out.append(f"    row {one.row}, {one.field}{values}")
        return out


def compare(frames: Mapping[str, pl.DataFrame], *, law: str = LAW, first: int = 5, values: bool = False) -> Comparison:
    """Hold every frame against that of `law` (or, where it is not there, the first one).

    first    how many differences to name per engine
    values   whether to keep the values that differ; they may be personal
    """
    law = law if law in frames else next(iter(frames))
    expected = _sorted(frames[law])
    diffs = tuple(_diff(name, expected, _sorted(frame), first, values) for name, frame in frames.items() if name != law)
    return Comparison(law, len(expected), diffs)


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort(ROW)


def _diff(name: str, expected: pl.DataFrame, found: pl.DataFrame, first: int, values: bool) -> EngineDiff:
    cells = len(expected) * (len(expected.columns) - 1)
    if list(expected.columns) != list(found.columns):
        missing = sorted(set(expected.columns) ^ set(found.columns)) or ["(order of columns)"]
        by_field = Counter(dict.fromkeys(missing, max(len(expected), 1)))
        return EngineDiff(name, cells, by_field, tuple(Difference(name, 0, field) for field in missing[:first]))
    if not expected.get_column(ROW).equals(found.get_column(ROW)):
        here, there = set(expected.get_column(ROW)), set(found.get_column(ROW))
        rows = sorted(here ^ there) or [0]
        more = abs(len(found) - len(expected))
        return EngineDiff(
            name,
            cells,
            Counter({ROWS: max(len(rows), more, 1)}),
            tuple(Difference(name, row, ROWS) for row in rows[:first]),
        )
    by_field: Counter[str] = Counter()  # type: ignore[no-redef]
    named: list[Difference] = []
    for field in expected.columns[1:]:
        mine, theirs = expected.get_column(field), found.get_column(field)
        if field == ISSUES:
            mine, theirs = _written(mine), _written(theirs)
        places = mine.ne_missing(theirs).arg_true().to_list()
        if not places:
            continue
        by_field[field] = len(places)
        for place in places[: max(first - len(named), 0)]:
            shown = (mine[place], theirs[place]) if values else (None, None)
            named.append(Difference(name, int(expected.get_column(ROW)[place]), field, *shown))
    return EngineDiff(name, cells, by_field, tuple(named))


def _written(issues: pl.Series) -> pl.Series:
    """Each row's problems in their order as one text; rows without any give null. Every part is quoted, so no two lists give one text."""
    import polars as pl

    kind: Any = pl.List(pl.Struct(dict.fromkeys(_PARTS, pl.String)))
    parts = [pl.element().struct.field(part) for part in _PARTS]
    quoted = [
        pl.when(p.is_null())
        .then(pl.lit("-"))
        .otherwise('"' + p.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True) + '"')
        for p in parts
    ]
    frame = issues.cast(kind).alias("i").to_frame().with_row_index("n")
    some = frame.filter(pl.col("i").list.len() > 0)
    told = some.select("n", pl.col("i").list.eval(pl.concat_str(quoted, separator=" ")).list.join("; ").alias("t"))
    return frame.select("n").join(told, on="n", how="left", maintain_order="left").get_column("t")
