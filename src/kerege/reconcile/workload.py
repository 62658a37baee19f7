"""How much work comparing two registers makes, before harmonising and after: flagged, true, missed, not comparable. Pure.

*Before* is what a careful script over the raw values flags (`compare.as_written`): whatever is written differently. *After* is what the
classes flag: stale copies and conflicts; code gaps and what cannot be read are *not comparable*, a number of their own, because a missing
mapping would else look like success. Where the truth is known, *true* are the flagged that really differ and *missed* the really
different that are not flagged (whether not comparable, missing or taken for equal); where it is not known they are None, never 0.
Source: reference datafirst 3.6 and its point 10. `of_comparisons` counts values in memory, `of_table` a table of `bulk`.
"""

# ruff: noqa: S608  every name that goes into SQL here is quoted by `semantics.engines.duck_words`; classes are constants

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kerege.reconcile.compare import DIFFER, DIFFERENT, UNTOLD, FieldComparison
from kerege.reconcile.errors import BulkTableInvalid
from kerege.semantics.engines import duck_words as sql

if TYPE_CHECKING:
    import duckdb

WHOLE: Final = ""  # the field of a count over whole records


@dataclass(frozen=True, slots=True)
class Count:
    """One way's figures. `true` and `missed` are None where nobody knows the truth."""

    flagged: int
    not_comparable: int
    true: int | None = None
    missed: int | None = None

    def __post_init__(self) -> None:
        if (self.true is None) != (self.missed is None):
            raise ValueError("true and missed are known together or not at all")
        if self.true is not None and self.true > self.flagged:
            raise ValueError("no more can be truly flagged than are flagged")

    @property
    def precision(self) -> float | None:
        """The share of the flagged that is worth a person's time."""
        return self.true / self.flagged if self.true is not None and self.flagged else None

    def as_dict(self) -> dict[str, int | None]:
        return {
            "flagged": self.flagged,
            "true": self.true,
            "missed": self.missed,
            "not_comparable": self.not_comparable,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """The workload of one pair of registers, in one field or in whole records (`field` empty). A record is flagged if a field of it is."""

    left: str
    right: str
    field: str
    compared: int
    before: Count
    after: Count

    def as_dict(self) -> dict[str, object]:
        return {
            "left": self.left, "right": self.right, "field": self.field, "compared": self.compared,
            "before": self.before.as_dict(), "after": self.after.as_dict(),
        }  # fmt: skip


Truth = Mapping[str, Collection[str]]  # record -> the fields in which the two registers really differ


@dataclass(slots=True)
class _Sum:
    compared: int = 0
    flagged: int = 0
    untold: int = 0
    true: int = 0
    missed: int = 0

    def add(self, flagged: bool, untold: bool, true: bool) -> None:
        self.compared += 1
        self.flagged += flagged
        self.untold += untold
        self.true += flagged and true
        self.missed += true and not flagged

    def count(self, known: bool) -> Count:
        return Count(self.flagged, self.untold, self.true if known else None, self.missed if known else None)


def of_comparisons(
    comparisons: Mapping[str, Iterable[FieldComparison]], truth: Truth | None = None
) -> tuple[Measured, ...]:
    """The workload of comparisons by record (a case, a link); a comparison whose raw side was not looked at is left out of both ways.

    truth  of every record that was compared: one that is not there is not known, and then true and missed are not told at all. It is the
           truth of one pair of registers. Raises ValueError when comparisons of several pairs are held against it.
    """
    comparisons = {record: tuple(items) for record, items in comparisons.items()}
    if (
        truth is not None
        and len({(c.left_register, c.right_register) for items in comparisons.values() for c in items}) > 1
    ):
        raise ValueError("a truth is of one pair of registers: measure each pair with its own")
    known = truth is not None and all(record in truth for record, items in comparisons.items() if items)
    sums: dict[tuple[str, str, str], tuple[_Sum, _Sum]] = defaultdict(lambda: (_Sum(), _Sum()))
    for record, items in comparisons.items():
        real = set(truth.get(record, ())) if truth is not None else set()
        wholes: dict[tuple[str, str], list[tuple[bool, bool, bool, bool]]] = defaultdict(list)
        for item in items:
            if not item.written:
                continue
            pair = item.left_register, item.right_register
            one = (item.written == DIFFERENT, item.cls in DIFFER, item.cls in UNTOLD, item.field in real)
            wholes[pair].append(one)
            before, after = sums[*pair, item.field]
            before.add(one[0], False, one[3])
            after.add(one[1], one[2], one[3])
        for pair, found in wholes.items():
            raw, meant, untold, true = (any(row[n] for row in found) for n in range(4))
            before, after = sums[*pair, WHOLE]
            before.add(raw, False, true)
            after.add(meant, untold, true)
    return tuple(
        Measured(left, right, field, before.compared, before.count(known), after.count(known))
        for (left, right, field), (before, after) in sorted(sums.items())
    )


def of_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    left: str,
    right: str,
    fields: Sequence[str],
    truth: str | None = None,
) -> tuple[Measured, ...]:
    """The workload of a table that `bulk.compare_tables` made.

    truth  a relation (`left_id`, `field`) of every field in which the two registers really differ; None where nobody knows
    Raises BulkTableInvalid when it names a field that was not compared: its differences would be neither true nor missed.
    """
    if truth is not None:
        said = connection.execute(f"SELECT DISTINCT field FROM {sql.identifier(truth)} ORDER BY 1").fetchall()
        if strange := [str(name) for (name,) in said if name not in fields]:
            reason = f"the truth names fields that were not compared ({', '.join(strange[:5])[:200]})"
            raise BulkTableInvalid(left=left, right=right, reason=reason)
    joins, real = "", dict.fromkeys(fields, "false")
    if truth is not None:
        joins = (
            f"LEFT JOIN (SELECT CAST(left_id AS VARCHAR) AS id, list(DISTINCT field) AS v FROM {sql.identifier(truth)} GROUP BY 1) AS t "
            f"ON t.id = c.left_id"
        )
        real = {name: f"coalesce(list_contains(t.v, {sql.literal(name)}), false)" for name in fields}
    parts = {
        name: (
            f"c.{sql.quoted('w_' + name)} = '{DIFFERENT}'", _in(f"c.{sql.quoted('c_' + name)}", DIFFER),
            _in(f"c.{sql.quoted('c_' + name)}", UNTOLD), real[name],
        )
        for name in fields
    }  # fmt: skip
    whole = tuple("(" + " OR ".join(parts[name][n] for name in fields) + ")" for n in range(4))
    wanted = [(WHOLE, whole), *parts.items()]
    columns = ", ".join(_sums(*conditions) for _, conditions in wanted)
    found = connection.execute(f"SELECT count(*), {columns} FROM {sql.identifier(table)} AS c {joins}").fetchone()
    assert found is not None
    compared, numbers = int(found[0]), [int(n) for n in found[1:]]
    known = truth is not None
    result = []
    for place, (name, _) in enumerate(wanted):
        raw, raw_true, meant, meant_true, untold, true = numbers[6 * place : 6 * place + 6]
        before = Count(raw, 0, raw_true if known else None, true - raw_true if known else None)
        after = Count(meant, untold, meant_true if known else None, true - meant_true if known else None)
        result.append(Measured(left, right, name, compared, before, after))
    return tuple(result)


def truth_elsewhere(connection: duckdb.DuckDBPyConnection, table: str, truth: str) -> int:
    """How many real differences are of records that no link brought into the comparison: neither true nor missed there, and not nought."""
    found = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT CAST(left_id AS VARCHAR) AS id, field FROM {sql.identifier(truth)}) AS t "
        f"WHERE NOT EXISTS (SELECT 1 FROM {sql.identifier(table)} AS c WHERE c.left_id = t.id)"
    ).fetchone()
    return int(found[0]) if found else 0


def _in(column: str, classes: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(sql.literal, classes))})"


def _sums(raw: str, meant: str, untold: str, true: str) -> str:
    conditions = (raw, f"{raw} AND {true}", meant, f"{meant} AND {true}", untold, true)
    return ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
