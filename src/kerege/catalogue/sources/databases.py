"""SQLite and PostgreSQL registers, read-only and cheap for their owners.

PostgreSQL: a read-only session with a statement time-out, one pass per table, `TABLESAMPLE SYSTEM ... REPEATABLE` where a table is larger
than the limit (the planner's own estimate decides, so not even a count is asked of a large table). The sample's seed is fixed: the same
data gives the same sample, and a plan can be checked against it. Cells are cut at the register, not after they crossed the wire.
SQLite: opened with `mode=ro`; larger tables are read every n-th row by rowid. Names are quoted by SQLAlchemy, never pasted.
A binary cell (BLOB, bytea) is read as its size and something to tell it from others; its content is not taken over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError, ProgrammingError

from kerege.catalogue.errors import (
    CellTooLarge,
    EncodingWrong,
    FileTruncated,
    SourceDown,
    SourceMissing,
    SourceRefused,
    SourceSlow,
)
from kerege.catalogue.profile import Binary, Cell, ColumnHead
from kerege.catalogue.sources.base import Reading, Table, likely_encoding

_SEED: Final = 7
_FETCH: Final = 5000
_BLOB_START: Final = 65_536
_SYSTEM_SCHEMAS: Final = {"information_schema", "pg_catalog", "pg_toast"}


class Database:
    """A database as a source. Build with `at_path` or `at_url`."""

    def __init__(self, name: str, kind: str, engine: Engine, reading: Reading) -> None:
        self.name, self.kind = name, kind
        self._engine, self._reading = engine, reading
        self.cut: set[str] = set()  # a database says beforehand which tables it samples
        self.remarks: dict[str, str] = {}

    @classmethod
    def at_path(cls, path: Path, reading: Reading) -> Database:
        """A SQLite file, opened so that nothing can be written."""
        address = path.absolute().as_uri() + "?mode=ro"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(address, uri=True, timeout=reading.limits.seconds, check_same_thread=False)
            connection.execute("PRAGMA query_only = ON")
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)
        return cls(path.name, "sqlite", engine, reading)

    @classmethod
    def at_url(cls, text: str, reading: Reading) -> Database:
        """A PostgreSQL URL (or `sqlite:///path`). The password stays out of `name`."""
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            shape = "Write it as postgresql://ACCOUNT@HOST:PORT/DATABASE."
            raise SourceMissing(source="postgresql://…", known=shape) from error
        if url.get_backend_name() == "sqlite":
            path = Path(url.database or "")
            if not path.is_file():
                raise SourceMissing(source=str(path), known="")
            return cls.at_path(path, reading)
        seconds = reading.limits.seconds
        options = f"-c default_transaction_read_only=on -c statement_timeout={seconds * 1000} -c lock_timeout=2000"
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": min(seconds, 10),
                "options": options,
                "application_name": "kerege-harvest",
            },
            poolclass=sa.pool.NullPool,
        )
        return cls(_public_name(url), "postgresql", engine, reading)

    def fingerprint(self) -> str:
        return ""  # a database has no bytes to compare; the plan compares the profile

    def tables(self) -> list[Table]:
        with self._connected("?") as connection:
            inspector = sa.inspect(connection)
            found = []
            for schema in self._schemas(inspector):
                names = [*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)]
                for name in sorted(n for n in names if not n.startswith("sqlite_")):
                    shown = name if schema in (None, "public") else f"{schema}.{name}"
                    if not self._reading.tables or shown in self._reading.tables:
                        found.append(self._table(connection, inspector, schema, name, shown))
        missing = [t for t in self._reading.tables if t not in {f.name for f in found}]
        if missing:
            raise SourceMissing(source=f"{self.name}#{missing[0]}", known="Leave the table away to see all.")
        return found

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        if self.kind == "sqlite":
            return [None]
        return [s for s in inspector.get_schema_names() if s not in _SYSTEM_SCHEMAS and not s.startswith("pg_")]

    def _table(
        self, connection: Connection, inspector: sa.Inspector, schema: str | None, name: str, shown: str
    ) -> Table:
        columns = inspector.get_columns(name, schema=schema)
        heads = tuple(ColumnHead(c["name"], str(c["type"]), c.get("comment") or "") for c in columns)
        key = tuple(inspector.get_pk_constraint(name, schema=schema).get("constrained_columns") or ())
        description = ""
        if self.kind == "postgresql":
            description = str(inspector.get_table_comment(name, schema=schema).get("text") or "")
        total = self._count(connection, schema, name)
        sampled = total > self._reading.limits.rows
        return Table(
            name=shown, heads=heads, numbered=lambda: self._rows(schema, name, shown, heads, total),
            total_rows=total, sampled=sampled, key=key, description=description,
        )  # fmt: skip

    def _count(self, connection: Connection, schema: str | None, name: str) -> int:
        """Rows of a table: the planner's estimate where it says "large", an exact count where that is cheap."""
        limit = self._reading.limits.rows
        if self.kind == "postgresql":
            estimate = connection.execute(
                sa.text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)"),
                {"name": f"{_quoted(schema)}.{_quoted(name)}"},
            ).scalar()
            if estimate is not None and int(estimate) > 2 * limit:
                return int(estimate)
        table = sa.table(name, schema=schema)
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def _rows(
        self, schema: str | None, name: str, shown: str, heads: Sequence[ColumnHead], total: int
    ) -> Iterator[tuple[int, Sequence[Cell]]]:
        limits = self._reading.limits
        query = self._query(schema, name, heads, total)
        where = f"{self.name}#{shown}"
        with self._connected(shown) as connection:
            if self.kind == "sqlite":  # its texts come as bytes: one that is no UTF-8 is told by its cell
                driver: Any = connection.connection.dbapi_connection
                driver.text_factory = _Bytes
            result = connection.execution_options(stream_results=True, yield_per=_FETCH).execute(query)
            for number, row in enumerate(result, start=1):
                cells: list[Cell] = []
                for value, head in zip(row, heads, strict=True):
                    try:
                        cell = _cell(value)
                    except UnicodeDecodeError as error:
                        raise EncodingWrong(
                            source=where, row=number, column=head.name, encoding="utf-8", guess=likely_encoding(value)
                        ) from error
                    if cell is not None and len(cell) > limits.cell:
                        raise CellTooLarge(source=where, row=number, column=head.name, limit=limits.cell)
                    cells.append(cell)
                yield number, cells

    def _query(self, schema: str | None, name: str, heads: Sequence[ColumnHead], total: int) -> sa.Select[Any]:
        limits = self._reading.limits
        table = sa.table(name, *(sa.column(h.name) for h in heads), schema=schema)
        source: Any = table
        if self.kind == "postgresql" and total > limits.rows:
            percent = min(100.0, 110.0 * limits.rows / total)  # a little more, then LIMIT: blocks are not equally full
            source = sa.tablesample(table, sa.func.system(percent), seed=sa.literal(_SEED), name="sample")
        cells = []
        for head in heads:
            column = source.c[head.name]
            text = sa.cast(column, sa.Text)
            if self.kind == "sqlite":
                cut = _sqlite_cell(column, sa.func.substr(text, 1, limits.cell + 1))
            elif head.declared_type == "BYTEA":
                cut = sa.cast(
                    sa.cast(sa.func.octet_length(column), sa.Text) + ":" + sa.func.md5(column), sa.LargeBinary
                )
            else:
                cut = sa.func.left(text, limits.cell + 1)
            cells.append(cut.label(head.name))
        query = sa.select(*cells).select_from(source)
        if self.kind == "sqlite" and total > limits.rows:
            step = -(-total // limits.rows)
            query = query.where(sa.literal_column("rowid") % step == 0)
        return query.limit(limits.rows)

    @contextmanager
    def _connected(self, table: str) -> Iterator[Connection]:
        """A connection whose failures speak plainly; nothing of the register's message that could hold a value is passed on."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except (OperationalError, ProgrammingError, DatabaseError) as error:
            raise self._translated(error, table) from error

    def _translated(self, error: DBAPIError, table: str) -> Exception:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        said = str(error.orig).casefold()
        if state == "57014" or "statement timeout" in said or "locked" in said or state == "55P03":
            return SourceSlow(source=self.name, table=table, seconds=self._reading.limits.seconds)
        if "could not decode" in said:  # the name of a table or column; a cell's text is read as bytes
            return EncodingWrong(source=self.name, row="?", column="?", encoding="utf-8", guess="cp1251")
        if "malformed" in said or "not a database" in said or "disk i/o" in said:
            return FileTruncated(source=self.name, row="?", reason="the database file is damaged or incomplete")
        if state in ("42501", "28000", "28P01", "3D000") or "password" in said or "does not exist" in said:
            reason = "no right to read" if state == "42501" else "account, password or database name"
            return SourceRefused(source=self.name, reason=reason)
        if "timeout" in said or "timed out" in said:
            return SourceDown(source=self.name, reason="connection timed out")
        if "refused" in said:
            return SourceDown(source=self.name, reason="connection refused")
        return SourceDown(source=self.name, reason=type(error.orig).__name__)


def _public_name(url: URL) -> str:
    """Host, port and database; no account, no password, no options."""
    return f"postgresql://{url.host or 'local'}:{url.port or 5432}/{url.database or ''}"


def _quoted(name: str | None) -> str:
    return '"' + (name or "public").replace('"', '""') + '"'


class _Bytes(bytes):
    """A SQLite text cell as it is stored; a plain `bytes` is what `_sqlite_cell` says of a BLOB."""


def _sqlite_cell(column: Any, text: Any) -> Any:
    """The text, or for a BLOB its size and its beginning (to tell one from another), as bytes."""
    start = sa.func.hex(sa.func.substr(column, 1, _BLOB_START))
    told = (
        sa.type_coerce(sa.func.length(column), sa.Text)
        + sa.literal_column("':'", sa.Text)
        + sa.type_coerce(start, sa.Text)
    )
    blob = sa.type_coerce(sa.cast(told, sa.LargeBinary), sa.types.NULLTYPE)
    is_blob = sa.func.typeof(column) == sa.literal_column("'blob'")
    return sa.case((is_blob, blob), else_=sa.type_coerce(text, sa.types.NULLTYPE))


def _cell(value: Any) -> Cell:
    """A value as text; UnicodeDecodeError for a text that is none."""
    if value is None:
        return None
    if isinstance(value, _Bytes):
        return value.decode("utf-8") or None
    if isinstance(value, bytes | memoryview):
        size, _, content = bytes(value).partition(b":")
        return Binary.of(int(size), content)
    text = str(value)
    return text if text else None
