"""DuckDB files and Parquet (a file, or a folder of files), read through DuckDB in this process.

A DuckDB file is opened read-only and shut off from everything outside it: a view in a stranger's file may not read another file or call
an address; a query that takes longer than it may is stopped; nothing is spilled beside the source. While it is read, nobody else can open
it for writing. Larger tables are sampled (a reservoir with a fixed seed on one thread: the same data gives the same sample). A folder of
Parquet files that agree in their columns is one table, called like the folder; one whose files differ is one table per file.
"""

from __future__ import annotations

import hashlib
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from kerege.catalogue.errors import (
    CellTooLarge,
    FileTruncated,
    HeaderTwice,
    ReferenceRefused,
    SourceDown,
    SourceError,
    SourceMissing,
    SourceSlow,
    TableEmpty,
)
from kerege.catalogue.inventory.profile import Binary, Cell, ColumnHead
from kerege.catalogue.inventory.tables import free_name
from kerege.catalogue.sources.base import Reading, Table, file_digest, told_comment, told_type
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.databases import SEED

_FETCH: Final = 5_000
_MOST_FILES: Final = 10_000
_GLOB: Final = re.compile(r"[*?\[]")  # what DuckDB would take for a pattern in a file's name
CLOSED: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
}  # fmt: skip
_SETTINGS: Final = {**CLOSED, "threads": 1, "memory_limit": "1GB", "temp_directory": ""}


class _Duck(ABC):
    """What both have in common: tables as relations of one DuckDB connection."""

    kind = ""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path, self._reading = path, reading
        self.name = path.name
        self.cut: set[str] = set()
        self.remarks: dict[str, str] = {}
        self.cost = Cost()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def fingerprint(self) -> str:
        return file_digest(self._path)

    @abstractmethod
    def _open(self) -> duckdb.DuckDBPyConnection:
        """A connection that can read the source and nothing else."""

    @abstractmethod
    def _relations(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """(name people see, SQL that stands for it, description, key) of every table."""

    @property
    def _db(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            try:
                self._connection = self._open()
            except duckdb.Error as error:
                raise self._translated(error, "?") from None
        return self._connection

    def tables(self) -> list[Table]:
        found, name = [], "?"
        try:
            for shown, relation, description, key in self._relations(self._db):
                if not self._reading.tables or shown in self._reading.tables:
                    name = shown
                    found.append(self._table(shown, relation, description, key))
        except duckdb.Error as error:
            raise self._translated(error, name) from None
        for wanted in self._reading.tables:
            if wanted not in {t.name for t in found}:
                raise SourceMissing(source=f"{self.name}#{wanted}", known="Leave the table away to see all.")
        if not found:
            raise TableEmpty(source=self.name, table="any", before=" and no columns")
        return found

    def _table(self, shown: str, relation: str, description: str, key: tuple[str, ...]) -> Table:
        comments = self._comments(shown)
        with self._patience(self._db):
            columns = self._db.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608 - quoted below
            row = self._db.execute(f"SELECT count(*) FROM {relation}").fetchone()  # noqa: S608
        heads = tuple(
            ColumnHead(str(c[0]), told_type(str(c[1])), told_comment(comments.get(str(c[0])))) for c in columns
        )
        total = int(row[0]) if row else 0
        return Table(
            shown, heads, lambda: self._rows(shown, relation, heads, total), total, total > self._reading.limits.rows,
            key, told_comment(description), key_kept=True,
        )  # fmt: skip

    @contextmanager
    def _patience(self, asked: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Stops what `asked` is doing once it takes too long; DuckDB has no time limit of its own."""
        timer = threading.Timer(self._reading.limits.seconds, asked.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _comments(self, shown: str) -> dict[str, str]:
        return {}

    def _rows(
        self, shown: str, relation: str, heads: Sequence[ColumnHead], total: int
    ) -> Iterator[tuple[int, Sequence[Cell]]]:
        limits = self._reading.limits
        cells = ", ".join(_cut(h, limits.cell) for h in heads)
        sql = f"SELECT {cells} FROM {relation}"  # noqa: S608 - names quoted in `_cut` and by whoever gave the relation
        if total > limits.rows:
            sql = f"SELECT {cells} FROM (SELECT * FROM {relation} USING SAMPLE reservoir({limits.taken} ROWS) REPEATABLE ({SEED}))"  # noqa: S608
        binary = [i for i, h in enumerate(heads) if h.declared_type == "BLOB"]
        number = 0
        try:
            result = self._db.cursor()
            with self._patience(result):
                result.execute(sql)
            while piece := self._piece(result):
                for row in piece:
                    number += 1
                    out: list[Cell] = list(row)
                    for i in binary:
                        cell = out[i]
                        if cell is not None:
                            size, _, content = cell.partition(":")
                            out[i] = Binary.of(int(size), content.encode())
                    for i, cell in enumerate(out):
                        if cell is not None and len(cell) > limits.cell:
                            raise CellTooLarge(
                                source=f"{self.name}#{shown}", row=number, column=heads[i].name, limit=limits.cell
                            )
                    yield number, out
        except duckdb.Error as error:
            raise self._translated(error, shown) from None
        finally:
            self.cost.rows += number

    def _piece(self, result: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        with self._patience(result):
            return result.fetchmany(_FETCH)

    def _translated(self, error: duckdb.Error, table: str) -> SourceError:
        """In plain words; DuckDB's own may hold a value and are not passed on."""
        if isinstance(error, duckdb.OutOfMemoryException):
            return SourceDown(source=self.name, reason="its rows are too large for the memory a reading may take")
        if isinstance(error, duckdb.IOException) and "Could not set lock" in str(error):
            return SourceDown(source=self.name, reason="another process has it open for writing")
        if isinstance(error, duckdb.ConversionException | duckdb.InvalidInputException | duckdb.BinderException):
            return SourceDown(source=self.name, reason=f"a view of it cannot be read: {table}")
        if isinstance(error, duckdb.InterruptException):
            return SourceSlow(source=self.name, table=table, seconds=self._reading.limits.seconds)
        if isinstance(error, duckdb.PermissionException):
            return ReferenceRefused(
                source=self.name, place=f"table {table}", kind="a view that reads a file or address"
            )
        reason = "it is damaged, incomplete, or written by a newer version"
        return FileTruncated(source=self.name, row="?", reason=reason)


class DuckFile(_Duck):
    """A DuckDB database file."""

    kind = "duckdb"

    def _open(self) -> duckdb.DuckDBPyConnection:
        self.cost.bytes = self._path.stat().st_size
        connection = duckdb.connect(str(self._path), read_only=True, config=_SETTINGS)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _relations(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, tuple[str, ...]]]:
        keys = {
            (schema, name): tuple(columns)
            for schema, name, columns in connection.execute(
                "SELECT schema_name, table_name, constraint_column_names FROM duckdb_constraints() "
                "WHERE constraint_type = 'PRIMARY KEY'"
            ).fetchall()
        }
        found = connection.execute(
            "SELECT schema_name, table_name, coalesce(comment, '') FROM duckdb_tables() WHERE NOT internal "
            "UNION ALL SELECT schema_name, view_name, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal "
            "ORDER BY 1, 2"
        ).fetchall()
        return [
            (
                name if schema == "main" else f"{schema}.{name}", f"{_quoted(schema)}.{_quoted(name)}", comment,
                keys.get((schema, name), ()),
            )
            for schema, name, comment in found
        ]  # fmt: skip

    def _comments(self, shown: str) -> dict[str, str]:
        schema, _, name = shown.rpartition(".")
        found = self._db.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? AND comment IS NOT NULL",
            [schema or "main", name],
        ).fetchall()
        return {str(c): str(text) for c, text in found}


class ParquetFiles(_Duck):
    """One Parquet file, or every one below a folder."""

    kind = "parquet"

    def __init__(self, path: Path, reading: Reading) -> None:
        super().__init__(path, reading)
        self.name = path.resolve().name
        self._files = [path] if path.is_file() else parquet_below(path)
        if not self._files:
            raise SourceMissing(source=str(path), known="It holds no Parquet file.")
        if len(self._files) > _MOST_FILES:
            raise SourceMissing(
                source=str(path), known=f"It holds more than {_MOST_FILES} Parquet files: name a folder in it."
            )
        self.cost.bytes = sum(f.stat().st_size for f in self._files)

    def fingerprint(self) -> str:
        if self._path.is_file():
            return super().fingerprint()
        whole = hashlib.sha256()
        for file in self._files:
            whole.update(f"{file.relative_to(self._path)}\0{file_digest(file)}\n".encode())
        return whole.hexdigest()

    def _open(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(config=_SETTINGS)

    def _relations(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, tuple[str, ...]]]:
        shapes = {}
        for file in self._files:
            try:
                shape = connection.execute(f"DESCRIBE SELECT * FROM {_parquet([file])}").fetchall()  # noqa: S608
            except duckdb.Error:
                reason = "it is no Parquet file, or damaged"
                raise FileTruncated(source=self._shown(file), row="?", reason=reason) from None
            names = [str(c[0]).casefold() for c in shape]
            if len(set(names)) < len(names):
                twice = next(n for i, n in enumerate(names) if n in names[:i])
                raise HeaderTwice(source=self._shown(file), row=0, column=twice)
            shapes[file] = tuple((str(c[0]), str(c[1])) for c in shape)
        if len(set(shapes.values())) == 1:
            return [(self._path.resolve().stem, _parquet(self._files), "", ())]
        found: list[tuple[str, str, str, tuple[str, ...]]] = []
        for file in self._files:
            name = _without_values(file.relative_to(self._path).with_suffix(""))
            found.append((free_name(name, [f[0] for f in found]), _parquet([file]), "", ()))
        return found

    def _shown(self, file: Path) -> str:
        return self.name if file == self._path else f"{self.name}/{_without_values(file.relative_to(self._path))}"


def _without_values(file: Path) -> str:
    """A path whose partitions (`pin=123/`) are named without their values, which are the register's."""
    return str(Path(*map(_partition, file.parts[:-1]), file.name))


def _partition(folder: str) -> str:
    column, mark, _ = folder.partition("=")
    return f"{column}=*" if mark else folder


def parquet_below(folder: Path) -> list[Path]:
    """The Parquet files of a folder, its subfolders too; hidden ones, markers (`_SUCCESS`) and links are not followed."""
    found = []
    for file in sorted(folder.rglob("*.parquet")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not file.is_symlink() and not any(p.startswith((".", "_")) for p in parts):
            found.append(file)
    return found


def plain_name(file: Path) -> str:
    """A file's name as DuckDB takes it for that file alone, whatever signs of a pattern are in it."""
    return _GLOB.sub(r"[\g<0>]", str(file))


def _parquet(files: Sequence[Path]) -> str:
    names = ", ".join("'" + plain_name(f).replace("'", "''") + "'" for f in files)
    return f"read_parquet([{names}], hive_partitioning = true)"


def _cut(head: ColumnHead, most: int) -> str:
    column = _quoted(head.name)
    if head.declared_type == "BLOB":
        return f"octet_length({column}) || ':' || md5({column})"
    if head.declared_type == "VARCHAR":
        return f"left({column}, {most + 1})"
    return f"left(CAST({column} AS VARCHAR), {most + 1})"


def _quoted(name: Any) -> str:
    return '"' + str(name).replace('"', '""') + '"'
