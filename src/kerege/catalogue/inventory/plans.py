"""Plans: the difference between what the catalogue knows of a source and what a harvest found, each change with its reason.

Pure: two profiles in, changes out. A column that vanished keeps its owner and concept and is only marked; an empty delivery of a table
that had rows is refused here, before there is a plan at all. Storing and applying is `doings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerege.catalogue.errors import TableEmpty
from kerege.catalogue.inventory.profile import FieldProfile, TableProfile
from kerege.catalogue.inventory.suspicions import suspicions
from kerege.ground.text import counted


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. `sign` is + (new), - (vanished) or ~ (changed); `kind` is stable; `reason` is for people."""

    sign: str
    kind: str
    table: str
    column: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"sign": self.sign, "kind": self.kind, "table": self.table, "column": self.column, "reason": self.reason}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Change:
        return cls(**{k: str(v) for k, v in raw.items()})


def diff(
    source: str, known: Sequence[TableProfile], found: Sequence[TableProfile], *, accept_empty: bool = False
) -> list[Change]:
    """Changes from `known` to `found`, in a steady order. No change in the register: an empty list.

    Raises TableEmpty when a table that had rows has none now, unless `accept_empty`.
    """
    before = {t.name: t for t in known}
    after = {t.name: t for t in found}
    changes: list[Change] = []
    for name, table in sorted(after.items()):
        old = before.get(name)
        if not table.rows and old is not None and old.rows and not accept_empty:
            raise TableEmpty(source=source, table=name, before=f", but had {old.rows} when last harvested")
        if old is None:
            changes.append(Change("+", "table-new", name, "", _many(table)))
            changes += [_new_column(name, f) for f in table.fields]
        else:
            changes += _table_changes(old, table)
        changes += _suspicious(old, table)
    for name in sorted(before.keys() - after.keys()):
        changes.append(
            Change("-", "table-vanished", name, "", "the source has no such table any more; owners and links are kept")
        )
    return changes


def _many(table: TableProfile) -> str:
    columns = counted(len(table.fields), "column")
    if table.described:
        return f"{columns}, as described; no record was read"
    many = f"{columns}, {counted(table.total_rows, 'row')}"
    return many if table.rows else f"{many}: empty, nothing to profile"


def _suspicious(old: TableProfile | None, new: TableProfile) -> list[Change]:
    """What looks like a spreadsheet's doing, where it did not before."""
    before = {f.name: {kind for kind, _ in suspicions(f)} for f in (old.fields if old else ())}
    return [
        Change("~", kind, new.name, field.name, reason)
        for field in new.fields
        for kind, reason in suspicions(field)
        if kind not in before.get(field.name, set())
    ]


def _new_column(table: str, field: FieldProfile) -> Change:
    return Change("+", "column-new", table, field.name, describe(field))


def describe(field: FieldProfile) -> str:
    """A column in a few words: "date dd.mm.yyyy, 93 % empty, likely personal"."""
    words = [field.identifier or field.type]
    if field.date_format:
        words[0] += " " + field.masks[0][0] if field.masks else ""
    if field.rows and field.nulls:
        words.append(f"{field.nulls * 100 // field.rows} % empty")
    if field.codes:
        words.append(f"looks like a code list of {len(field.codes) + field.codes_withheld}")
    if field.personal:
        words.append("likely personal data")
    return ", ".join(words)


def _table_changes(old: TableProfile, new: TableProfile) -> list[Change]:
    changes: list[Change] = []
    before = {f.name: f for f in old.fields}
    after = {f.name: f for f in new.fields}
    for name, field in after.items():
        if name not in before:
            changes.append(_new_column(new.name, field))
        else:
            changes += _column_changes(new.name, before[name], field)
    for name, field in before.items():
        if name not in after:
            reason = f"the source has no such column any more (it was: {describe(field)}); its owner and links are kept"
            changes.append(Change("-", "column-vanished", new.name, name, reason))
    if old.key != new.key:
        changes.append(
            Change(
                "~",
                "key-changed",
                new.name,
                "",
                f"key was {', '.join(old.key) or 'none'}, is {', '.join(new.key) or 'none'}",
            )
        )
    if old.total_rows != new.total_rows:
        reason = f"rows {old.total_rows} -> {new.total_rows}"
        if new.total_rows * 2 < old.total_rows:
            reason += ": more than half are gone, look before applying"
        changes.append(Change("~", "rows-changed", new.name, "", reason))
    if not changes and old != new:
        changes.append(Change("~", "counts-changed", new.name, "", "the same columns and codes, other counts"))
    return changes


def _column_changes(table: str, old: FieldProfile, new: FieldProfile) -> list[Change]:
    changes = []
    for kind, was, now in (
        ("type-changed", old.type, new.type),
        ("declared-type-changed", old.declared_type, new.declared_type),
        ("date-format-changed", old.date_format, new.date_format),
        ("identifier-changed", old.identifier, new.identifier),
    ):
        if was != now:
            changes.append(Change("~", kind, table, new.name, f"{was or 'none'} -> {now or 'none'}"))
    if old.personal != new.personal:
        changes.append(
            Change(
                "~",
                "personal-changed",
                table,
                new.name,
                "likely personal data now" if new.personal else "not likely personal any more",
            )
        )
    had, has = {c for c, _ in old.codes}, {c for c, _ in new.codes}
    if had and has:
        if appeared := sorted(has - had):
            changes.append(
                Change("~", "codes-new", table, new.name, f"{counted(len(appeared), 'new code')}: {_few(appeared)}")
            )
        if gone := sorted(had - has):
            changes.append(
                Change("~", "codes-gone", table, new.name, f"{counted(len(gone), 'code')} no longer seen: {_few(gone)}")
            )
    unseen = {m for m, n in new.masks if n >= 50} - {m for m, _ in old.masks}
    if unseen and old.masks:
        changes.append(Change("~", "shape-changed", table, new.name, f"values of a new shape: {_few(sorted(unseen))}"))
    if _emptied(old, new):
        changes.append(Change("~", "emptied", table, new.name, f"{new.nulls * 100 // new.rows} % empty now"))
    return changes


def _emptied(old: FieldProfile, new: FieldProfile) -> bool:
    if not old.rows or not new.rows:
        return False
    return new.nulls / new.rows > old.nulls / old.rows + 0.2


def _few(items: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def what_moved(then: Sequence[TableProfile], now: Sequence[TableProfile]) -> str:
    """What changed between a plan and its applying, in words that name the columns: for PlanStale."""
    before, after = {t.name: t for t in then}, {t.name: t for t in now}
    said = [f"the table {name} (gone)" for name in sorted(before.keys() - after.keys())]
    said += [f"the table {name} (new)" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        had, has = ({f.name for f in t[name].fields} for t in (before, after))
        left, came = sorted(had - has), sorted(has - had)
        if len(left) == 1 and len(came) == 1:
            said.append(f"{name}.{left[0]} (not there any more; {came[0]} is new: was it renamed?)")
        else:
            said += [f"{name}.{c} (not there any more)" for c in left] + [f"{name}.{c} (new)" for c in came]
    if not said:
        for name in sorted(before.keys() & after.keys()):
            old = {f.name: f for f in before[name].fields}
            moved = [f.name for f in after[name].fields if f != old.get(f.name)]
            if moved or before[name].total_rows != after[name].total_rows:
                said.append(f"{name}'s counts" + (f" (in {_few(moved, 5)})" if moved else ""))
    return "the register's tables or counts: " + (_few(said, 6) or "their order")
