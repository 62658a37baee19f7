"""Files as tables for `kerege reconcile`: read as texts, mapped, joined, written whole or not at all; nothing of them is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kerege.ground import settings

if TYPE_CHECKING:
    import duckdb

    from kerege.semantics import Pack


def two(text: str, option: str) -> tuple[str, str]:
    left, mark, right = text.partition("~")
    if not mark or not left or not right:
        raise click.BadParameter("two names with ~ between them are needed", param_hint=option)
    return left, right


def pack() -> Pack:
    import kerege
    from kerege.semantics import load_pack

    return load_pack(Path(kerege.__file__).parent / "country" / settings.get("country"))


def read(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> None:
    """A CSV or Parquet file as a table of texts. Raises TableUnreadable."""
    import duckdb as engine

    from kerege.reconcile.errors import TableUnreadable
    from kerege.semantics.engines import duck_words as sql

    path = sql.literal(str(file))
    read = (
        f"read_parquet({path})" if file.suffix == ".parquet" else f"read_csv({path}, all_varchar = true, header = true)"
    )
    try:
        connection.execute(f"CREATE TABLE {name} AS SELECT COLUMNS(*)::VARCHAR FROM {read}")  # noqa: S608  quoted; `name` is ours
    except engine.Error as error:
        # DuckDB shows the faulty line, which may be a person's; only its kind is told
        raise TableUnreadable(file=file.name, reason=type(error).__name__) from None


def join(connection: duckdb.DuckDBPyConnection, ids: tuple[str, str], by: tuple[str, str]) -> None:
    """Links by equal columns, those that are equal in one record on each side only."""
    import duckdb as engine

    from kerege.reconcile.bulk import what_failed
    from kerege.reconcile.errors import BulkTableInvalid
    from kerege.semantics.engines import duck_words as sql

    sides = [
        f"SELECT any_value({sql.quoted(number)}) AS id, {sql.trim(sql.quoted(column))} AS k FROM {table} "  # noqa: S608  quoted
        f"WHERE {sql.trim(sql.quoted(column))} <> '' GROUP BY 2 HAVING count(*) = 1"
        for table, number, column in zip(("left_table", "right_table"), ids, by, strict=True)
    ]
    try:
        joined = f"({sides[0]}) l JOIN ({sides[1]}) r USING (k)"
        query = f"CREATE TABLE links AS SELECT l.id AS left_id, r.id AS right_id FROM {joined}"  # noqa: S608  quoted
        connection.execute(query)
    except engine.Error as error:
        raise BulkTableInvalid(left="the left", right="the right file", reason=what_failed(error)) from None


def mapped(
    connection: duckdb.DuckDBPyConnection, table: str, number: str, mapping: str, fields: tuple[str, ...]
) -> str:
    """The table as its mapping makes it, with the columns a definition looks at (empty where the mapping has none)."""
    from kerege.semantics import compile_duckdb
    from kerege.semantics.engines import duck_words as sql

    loaded = pack()
    result = compile_duckdb(loaded.mapping(mapping), loaded).run(connection, table).table
    known = {f.name for f in loaded.mapping(mapping).fields}
    chosen = ", ".join(
        f"m.{sql.quoted(f)}" if f in known else f"CAST(NULL AS VARCHAR) AS {sql.quoted(f)}" for f in fields
    )
    numbered = f"SELECT rowid AS _row, {sql.quoted(number)} AS id FROM {table}"  # noqa: S608  quoted
    query = f"SELECT s.id, {chosen} FROM ({numbered}) s JOIN {sql.identifier(result)} m USING (_row)"  # noqa: S608  quoted
    connection.execute(f"CREATE TABLE {table}_mapped AS {query}")
    return f"{table}_mapped"


def write(connection: duckdb.DuckDBPyConnection, query: str, out: Path) -> None:
    """A result as CSV, whole or not at all."""
    from kerege.semantics.engines import duck_words as sql

    aside = out.with_name(f".{out.name}.new")
    connection.execute(f"COPY ({query}) TO {sql.literal(str(aside))} (FORMAT csv, HEADER)")
    aside.replace(out)
