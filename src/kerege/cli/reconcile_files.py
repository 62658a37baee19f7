"""Files as tables for `kerege reconcile`: read as texts, mapped, joined, written whole or not at all; nothing of them is printed."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kerege.ground import settings
from kerege.reconcile.errors import ColumnMissing, TableUnreadable

if TYPE_CHECKING:
    import duckdb

    from kerege.semantics import Pack

_ALL: Final = 1 << 40  # a register is compared whole
_BATCH: Final = 50_000  # rows on their way into the engine
_SHOWN: Final = 40  # columns named in an error
_ASIDE: Final = "kerege_rows_read"


def two(text: str, option: str) -> tuple[str, str]:
    left, mark, right = text.partition("~")
    if not mark or not left or not right:
        raise click.BadParameter("two names with ~ between them are needed", param_hint=option)
    return left, right


def pack() -> Pack:
    import kerege
    from kerege.semantics import load_pack

    return load_pack(Path(kerege.__file__).parent / "country" / settings.get("country"))


def read(
    connection: duckdb.DuckDBPyConnection, name: str, file: Path, needed: Sequence[str] = (), encoding: str = "utf-8"
) -> None:
    """A file as a table of texts, read as a harvest reads it (Parquet by DuckDB), with the columns `needed`.

    Raises TableUnreadable, ColumnMissing, and what the catalogue's readers raise, with row and column.
    """
    if file.suffix == ".parquet":
        _parquet(connection, name, file)
    else:
        _rows(connection, name, file, encoding)
    there = [str(row[0]) for row in connection.execute(f"DESCRIBE {name}").fetchall()]
    folded = {column.casefold() for column in there}  # the engine takes names in either case
    for column in needed:
        if column.casefold() not in folded:
            raise ColumnMissing(
                file=file.name, column=column, known=", ".join(there[:_SHOWN]) + ("…" if len(there) > _SHOWN else "")
            )


def _parquet(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> None:
    import duckdb as engine

    from kerege.semantics.engines import duck_words as sql

    try:
        query = f"SELECT COLUMNS(*)::VARCHAR FROM read_parquet({sql.literal(str(file))})"  # noqa: S608  quoted
        connection.execute(f"CREATE TABLE {name} AS {query}")
    except engine.Error as error:
        # DuckDB shows the faulty line, which may be a person's; only its kind is told
        raise TableUnreadable(file=file.name, reason=type(error).__name__) from None


def _rows(connection: duckdb.DuckDBPyConnection, name: str, file: Path, encoding: str) -> None:
    import duckdb as engine
    import pyarrow as arrow  # type: ignore[import-untyped]

    from kerege.catalogue.sources import Limits, Reading, open_source
    from kerege.catalogue.sources.base import pick
    from kerege.semantics.engines import duck_words as sql

    source = open_source(str(file), Reading(Limits(rows=_ALL), encoding))
    try:
        table = pick(source)
        if table.described is not None:
            raise TableUnreadable(file=file.name, reason="it describes a table and holds no rows")
        columns = ", ".join(f"{sql.quoted(column)} VARCHAR" for column in table.columns)
        try:
            connection.execute(f"CREATE TABLE {name} ({columns})")
        except engine.Error as error:
            raise TableUnreadable(
                file=file.name, reason=f"{type(error).__name__}: two columns differ by case only?"
            ) from None
        rows = table.rows()
        while batch := list(itertools.islice(rows, _BATCH)):
            told = [
                arrow.array([None if c is None else str(c) for c in cells], arrow.string())
                for cells in zip(*batch, strict=True)
            ]
            connection.register(_ASIDE, arrow.table(told, names=[f"c{n}" for n in range(len(told))]))
            connection.execute(f"INSERT INTO {name} SELECT * FROM {_ASIDE}")  # noqa: S608  both names are ours
            connection.unregister(_ASIDE)
    finally:
        source.close()


def accepted_only(connection: duckdb.DuckDBPyConnection) -> int:
    """Takes links out that nobody decided (those whose `region` is not `accept`); how many they were. Links without a region all stay."""
    columns = {str(row[0]) for row in connection.execute("DESCRIBE links").fetchall()}
    if "region" not in columns:
        return 0
    [(left,)] = connection.execute("SELECT count(*) FROM links WHERE region IS DISTINCT FROM 'accept'").fetchall()
    connection.execute("DELETE FROM links WHERE region IS DISTINCT FROM 'accept'")
    return int(left)


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


@contextmanager
def cases(out: Path | None) -> Iterator[Callable[[str, str, str], None] | None]:
    """Where the names of links and the numbers of their records go, whole or not at all, for its owner alone; None where nobody asked."""
    if out is None:
        yield None
        return
    aside = out.with_name(f".{out.name}.new")
    aside.unlink(missing_ok=True)
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("case", "left_id", "right_id"))

            def named(case: str, left: str, right: str) -> None:
                rows.writerow((case, left, right))

            yield named
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
