"""What a comparison of whole tables found, kept in the hub record by record: settled by the rules, told to owners, closed by evidence.

    record_table(connection, "compared", result, ("civil", "health"), compared, key, course, run=run, now=now)

The table of `bulk` is read some hundreds of links at a time, so memory stays the same however many there are, and each batch is one transaction: a
run that was broken off has recorded what it had read, and the next one goes on from there. A link is named by the pseudonyms of its two records
(`case_of`), the same in every run, which lead nowhere without the installation's key; no value and no number of a record is kept. Records are the
ones `placing` names, so clerks can be asked about them.
"""

# ruff: noqa: S608  every name that goes into SQL here is quoted by `semantics.engines.duck_words`

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from kerege.identity.pseudonyms import PseudonymKey
from kerege.reconcile import doings
from kerege.reconcile.bulk import BulkResult
from kerege.reconcile.compare import AGREE, TO_SETTLE, FieldComparison
from kerege.reconcile.fields import ComparedFields
from kerege.reconcile.models import Discrepancy
from kerege.reconcile.persons import RecordRef
from kerege.reconcile.recording import BATCH, WAITS, Course, Linked, Recorded, record_batch
from kerege.reconcile.registers import ref_of
from kerege.semantics.engines import duck_words as sql

if TYPE_CHECKING:
    import duckdb

Named = Callable[[str, str, str], None]
_PARTS: Final = "csu"  # class, how a copy was known to be stale, whose value is unread


def case_of(key: PseudonymKey, left: RecordRef, right: RecordRef) -> str:
    """The name of a link between two records (64 hex digits), whichever stands left."""
    (a, one), (b, other) = sorted((left, right))
    return key.for_use(f"linked/{a}~{b}").of(one + other)


def record_table(
    connection: duckdb.DuckDBPyConnection, result: BulkResult, registers: tuple[str, str], compared: ComparedFields,
    key: PseudonymKey, course: Course, *, run: str, now: datetime, named: Named | None = None,
) -> Recorded:  # fmt: skip
    """Record every linked pair of the table.

    registers  which stand left and right in it; they are kept in the order of the country's list
    named      told the name of each link in which something is to be settled, and the numbers of its two records
    """
    left, right = registers
    pair = compared.pair(left, right)
    turned = pair is not None and (pair.left, pair.right) != (left, right)
    doings.keep_tallies({(f, *_order(left, right, turned), cls): n for (f, cls), n in result.tallies.items()}, run=run)
    columns = ", ".join(sql.quoted(f"{part}_{name}") for name in result.fields for part in _PARTS)
    reader = connection.execute(f"SELECT left_id, right_id, {columns} FROM {sql.identifier(result.table)}")
    done = Recorded()
    while rows := reader.fetchmany(BATCH):
        cases: dict[str, list[FieldComparison]] = {}
        refs: dict[str, Linked] = {}
        for left_id, right_id, *cells in rows:
            sides = ref_of(key, left, str(left_id)), ref_of(key, right, str(right_id))
            case = case_of(key, *sides)
            refs[case] = sides
            cases[case] = [
                _comparison(name, left, right, turned, *cells[n * len(_PARTS) : (n + 1) * len(_PARTS)])
                for n, name in enumerate(result.fields)
                if cells[n * len(_PARTS)] in AGREE or cells[n * len(_PARTS)] in TO_SETTLE
            ]
            if named is not None and any(one.cls in TO_SETTLE for one in cases[case]):
                named(case, str(left_id), str(right_id))
        done.add(record_batch(cases, compared, run=run, now=now, course=course, refs=refs))
    return done


def waiting(registers: tuple[str, str], compared: ComparedFields) -> int:
    """How many discrepancies between two registers are not settled."""
    pair = compared.pair(*registers)
    left, right = (pair.left, pair.right) if pair is not None else registers
    return Discrepancy.objects.filter(left_register=left, right_register=right, status__in=WAITS).count()


def _order(left: str, right: str, turned: bool) -> tuple[str, str]:
    return (right, left) if turned else (left, right)


def _comparison(name: str, left: str, right: str, turned: bool, cls: str, stale: str, unread: str) -> FieldComparison:
    if turned:
        unread = {"left": "right", "right": "left"}.get(unread, unread)
    return FieldComparison(name, *_order(left, right, turned), cls, stale, "", unread)
