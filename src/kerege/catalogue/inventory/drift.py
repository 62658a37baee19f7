"""Drift: what a re-harvest shows that somebody should look at, and how a later one shows that it is gone.

Pure: profiles in, drifts and evidence out. A drift keeps the facts by which it can be seen to have ended (codes, types, shapes: nothing a
profile would not tell, so no value below the k-threshold). Recording and closing findings is `doings`; who answers for one is `inventory.findings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kerege.catalogue.inventory.plans import Change
from kerege.catalogue.inventory.profile import FieldProfile, TableProfile
from kerege.catalogue.inventory.suspicions import SUSPECTED
from kerege.ground.text import counted

# change -> the word of a profile in which it shows
_WORDS: Final = {
    "type-changed": "type",
    "declared-type-changed": "declared_type",
    "date-format-changed": "date_format",
    "identifier-changed": "identifier",
}
_DECLARED: Final = frozenset({"declared-type-changed"})  # told by the source itself, however few records were read
_SERIAL: Final = 5  # digits of a day as spreadsheets count them
NOTED: Final = frozenset(
    {
        *_WORDS,
        *SUSPECTED,
        "column-new",
        "column-vanished",
        "table-vanished",
        "codes-new",
        "codes-gone",
        "emptied",
        "shape-changed",
    }
)
_SHAPE: Final = 50  # per mille: a shape fewer values have is not told of
_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing to look at. `facts` say what must be so again for it to be gone."""

    kind: str
    table: str
    column: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def drifts(changes: Iterable[Change], known: Sequence[TableProfile], found: Sequence[TableProfile]) -> list[Drift]:
    """What of a plan's changes becomes a finding. Of a table seen for the first time only what is suspicious in itself."""
    before = {t.name: {f.name: f for f in t.fields} for t in known}
    after = {t.name: {f.name: f for f in t.fields} for t in found}
    sampled = {t.name for t in found if t.sampled}
    out = []
    for change in changes:
        if change.kind not in NOTED or (change.table not in before and change.kind not in SUSPECTED):
            continue
        if change.kind == "codes-gone" and change.table in sampled:
            continue  # a sample may miss what is rare
        old = before.get(change.table, {}).get(change.column)
        new = after.get(change.table, {}).get(change.column)
        out.append(Drift(change.kind, change.table, change.column, change.reason[:500], _facts(change.kind, old, new)))
    return out


def _facts(kind: str, old: FieldProfile | None, new: FieldProfile | None) -> dict[str, Any]:
    if old is None or new is None:
        return {}
    if kind in _WORDS:
        return {"was": getattr(old, _WORDS[kind]), "now": getattr(new, _WORDS[kind])}
    had, has = {c for c, _ in old.codes}, {c for c, _ in new.codes}
    if kind == "codes-new":
        return {"codes": sorted(has - had)[:_MOST]}
    if kind == "codes-gone":
        return {"codes": sorted(had - has)[:_MOST]}
    if kind == "shape-changed":
        return {"masks": sorted({m for m, n in new.masks if n >= _SHAPE} - {m for m, _ in old.masks})}
    if kind == "emptied":
        return {"nulls": old.nulls * 1000 // max(1, old.rows)}
    return {}


def gone(kind: str, facts: Mapping[str, Any], table: TableProfile | None, column: str, *, settled: bool = False) -> str:
    """The evidence that a drift is no longer there, "" while it is, or while nobody can tell: an empty or vanished table, a sample, a profile that
    does not tell all.

    settled   a new column has an owner and a meaning by now
    """
    if kind == "table-vanished":
        return "" if table is None else f"the table is there again, with {counted(table.total_rows, 'row')}"
    if table is None or not (table.rows or table.described):
        return ""
    present = next((f for f in table.fields if f.name == column), None)
    if kind == "column-new":
        if present is None:
            return "the column is gone again"
        return "the column has an owner and a concept now" if settled else ""
    if kind == "column-vanished" and present is None:
        return ""
    if present is None:
        return "the column is not there any more; that has a finding of its own"
    if kind == "column-vanished":
        return f"the column is there again, {1000 - present.nulls * 1000 // max(1, present.rows)} per mille filled"
    return _column_gone(kind, facts, present, sampled=table.sampled)


def _column_gone(kind: str, facts: Mapping[str, Any], present: FieldProfile, *, sampled: bool) -> str:
    if kind in _WORDS and "was" in facts:
        now = getattr(present, _WORDS[kind])
        told = kind in _DECLARED or not sampled
        return f"{_WORDS[kind].replace('_', ' ')} is {now or 'none'} again" if told and now == facts["was"] else ""
    codes = {c for c, _ in present.codes}
    wanted = facts.get("codes")
    if kind == "codes-gone" and wanted:  # one record is enough to show that a code is there
        return (
            f"{'the one code is' if len(wanted) == 1 else f'all {len(wanted)} codes are'} seen again"
            if set(wanted) <= codes
            else ""
        )
    if sampled or not present.rows:
        return ""  # what is missing in a sample, or where no record was read, may be there all the same
    if kind == "emptied" and "nulls" in facts:
        now = present.nulls * 1000 // present.rows
        return f"{now} per mille are empty, as before" if now <= facts["nulls"] + 50 else ""
    if present.nulls >= present.rows:
        return ""  # no value is there to look at
    if kind == "codes-new" and wanted:
        # a rare code may hide below k: only a list that is told whole can show that it is gone
        whole = not present.codes_withheld and codes
        return (
            f"{'the one code is not' if len(wanted) == 1 else f'none of {len(wanted)} codes is'} seen any more"
            if whole and not codes & set(wanted)
            else ""
        )
    if kind == "shape-changed" and facts.get("masks"):
        shapes = {m for m, _ in present.masks}
        unseen = present.masks_withheld or present.passed_over or not shapes
        return (
            ""
            if unseen or shapes & set(facts["masks"])
            else f"no value has the new shape any more; {'the one shape was' if len(shapes) == 1 else f'all {len(shapes)} shapes were'} looked at"
        )
    return _unsuspected(kind, present) if kind in SUSPECTED else ""


def _unsuspected(kind: str, present: FieldProfile) -> str:
    """The evidence that a spreadsheet's doing is undone in every value. That fewer look like it than raise the suspicion is none."""
    if present.passed_over:
        return ""
    if kind == "formula-cells":
        return "" if present.formulas else "no cell begins as a formula any more"
    digits = {len(m) for m, _ in present.masks if not m.strip("9")}
    if present.masks_withheld or not present.masks:
        return ""
    if kind == "serial-dates":
        return "" if _SERIAL in digits else "no value is a number of five digits any more"
    return "" if len(digits) > 1 else "all numbers have as many digits again"


_OPPOSITES: Final = {
    "column-new": "column-vanished",
    "column-vanished": "column-new",
    "codes-new": "codes-gone",
    "codes-gone": "codes-new",
}


def undoes(drift: Drift, closed: Iterable[Drift]) -> bool:
    """Whether a drift is only the end of another that closed now: the way back is nothing to look at again."""
    for other in closed:
        if (drift.table, drift.column) == (other.table, other.column) and other.kind == _OPPOSITES.get(
            drift.kind, drift.kind
        ):
            codes = set(drift.facts.get("codes", ()))
            if codes <= set(other.facts.get("codes", ())):
                return True
    return False
