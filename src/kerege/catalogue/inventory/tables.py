"""Columns by name: finding one, saying what is there when it is not, and names that are still free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from kerege.catalogue.errors import ColumnVanished
from kerege.catalogue.sources.base import Table


def column_index(source: str, table: Table, column: str) -> int:
    """Position of `column`; ColumnVanished lists the columns that are there."""
    try:
        return table.columns.index(column)
    except ValueError as error:
        raise ColumnVanished(source=source, column=column, columns=", ".join(table.columns)) from error


def require_columns(source: str, tables: Sequence[Table], wanted: Iterable[str]) -> None:
    """Each of `wanted` ("column" or "table.column") stands in one of `tables`; else ColumnVanished lists what there is."""
    known = {c for t in tables for c in t.columns} | {f"{t.name}.{c}" for t in tables for c in t.columns}
    for column in wanted:
        if column not in known:
            there = [", ".join(t.columns) if len(tables) == 1 else f"{t.name}: {', '.join(t.columns)}" for t in tables]
            raise ColumnVanished(source=source, column=column, columns="; ".join(there))


def free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or with the first number from 2 that makes it one nobody has (small and capital letters are the same here)."""
    known = {t.casefold() for t in taken}
    if name.casefold() not in known:
        return name
    return next(f"{name}_{n}" for n in count(2) if f"{name}_{n}".casefold() not in known)
