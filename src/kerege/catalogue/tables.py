"""Finding a column in a table by name, and saying what is there when it is not."""

from __future__ import annotations

from kerege.catalogue.errors import ColumnVanished
from kerege.catalogue.sources.base import Table


def column_index(source: str, table: Table, column: str) -> int:
    """Position of `column`; ColumnVanished lists the columns that are there."""
    try:
        return table.columns.index(column)
    except ValueError as error:
        raise ColumnVanished(source=source, column=column, columns=", ".join(table.columns)) from error
