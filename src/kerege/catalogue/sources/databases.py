"""Databases as sources, read-only and cheap for their owners; SQLite here, PostgreSQL and MySQL in modules of their own.

What they share: reflection through SQLAlchemy's inspector, names quoted and never pasted, one connection that is kept until `close`,
every query counted and timed (`cost`), cells cut at the register and not after they crossed the wire, failures in plain words.
SQLite: opened with `mode=ro`, and as immutable where it keeps a write-ahead log and nobody writes, because a reader would leave that log's files
beside it; a query that takes longer than it may is stopped. Of larger tables a part is read by rowid, spread by arithmetic and not every n-th,
because registers number by twos and tens; what has no rowid (a view) gives its first rows, with a remark.
A binary cell (BLOB, bytea) is read as its size and something to tell it from others; its content is not taken over.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from kerege.catalogue.errors import (
    CellTooLarge,
    EncodingWrong,
    FileTruncated,
    SourceDown,
    SourceMissing,
    SourceRefused,
    SourceSlow,
)
from kerege.catalogue.inventory.profile import Binary, Cell, ColumnHead
from kerege.catalogue.sources.base import Reading, Table, told_comment, told_type
from kerege.catalogue.sources.cost import Cost
from kerege.catalogue.sources.encodings import likely_encoding

SEED: Final = 7  # of every sample: the same data gives the same sample, and a plan can be checked against it
_FETCH: Final = 5000
_BLOB_START: Final = 65_536
_STEPS: Final = 20_000  # of SQLite's machine between two looks at the clock: some milliseconds


class _Patience:
    """How long SQLite may be busy with one answer; asked by SQLite itself."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic()

    def start(self, *_: object) -> None:
        self._began = time.monotonic()

    def over(self) -> bool:
        return time.monotonic() - self._began > self._seconds


class Database:
    """A database as a source. Build with `at_path` or `at_url`."""

    kind = "sqlite"

    def __init__(self, name: str, engine: Engine, reading: Reading) -> None:
        self.name = name
        self._engine, self._reading = engine, reading
        self.cut: set[str] = set()  # a database says beforehand which tables it samples
        self.remarks: dict[str, str] = {}
        self.cost = Cost()
        self._patience = _Patience(reading.limits.seconds)

    @classmethod
    def at_path(cls, path: Path, reading: Reading) -> Database:
        """A SQLite file, opened so that nothing can be written."""
        address = path.absolute().as_uri() + ("?mode=ro&immutable=1" if _logged_and_quiet(path) else "?mode=ro")
        patience = _Patience(reading.limits.seconds)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(address, uri=True, timeout=reading.limits.seconds, check_same_thread=False)
            connection.set_progress_handler(patience.over, _STEPS)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")  # a stranger's view calls nothing that could do something
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool, hide_parameters=True)
        sa.event.listen(engine, "before_cursor_execute", patience.start)
        source = Database(path.name, engine, reading)
        source._patience = patience
        return source

    @staticmethod
    def at_url(text: str, reading: Reading) -> Database:
        """A `postgresql://`, `mysql://` or `mariadb://` URL (or `sqlite:///path`). The password stays out of `name`."""
        scheme = text.split("://", 1)[0].split("+")[0]
        family = {"postgres": "postgresql", "mariadb": "mysql"}.get(scheme, scheme)
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            shape = f"Write it as {family}://ACCOUNT@HOST:PORT/DATABASE."
            raise SourceMissing(source=f"{family}://…", known=shape) from error
        if family == "sqlite":
            path = Path(url.database or "")
            if not path.is_file():
                raise SourceMissing(source=str(path), known="")
            return Database.at_path(path, reading)
        if family == "mysql":
            from kerege.catalogue.sources.mysql import MySQL

            return MySQL.at(url, reading)
        from kerege.catalogue.sources.postgres import PostgreSQL

        return PostgreSQL.at(url, reading)

    def fingerprint(self) -> str:
        return ""  # a database has no bytes to compare; the plan compares the profile

    def close(self) -> None:
        """End the connection, after its cost was read."""
        self._engine.dispose()

    def tables(self) -> list[Table]:
        with self._connected("?") as connection:
            inspector = sa.inspect(connection)
            found = []
            for schema in self._schemas(inspector):
                names = [*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)]
                for name in sorted(n for n in names if not n.startswith("sqlite_")):
                    shown = self._shown(schema, name)
                    if not self._reading.tables or shown in self._reading.tables:
                        found.append(self._table(connection, inspector, schema, name, shown))
        missing = [t for t in self._reading.tables if t not in {f.name for f in found}]
        if missing:
            raise SourceMissing(source=f"{self.name}#{missing[0]}", known="Leave the table away to see all.")
        return found

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        return [None]

    def _shown(self, schema: str | None, name: str) -> str:
        """What people call a table."""
        return name if schema is None else f"{schema}.{name}"

    def _table(
        self, connection: Connection, inspector: sa.Inspector, schema: str | None, name: str, shown: str
    ) -> Table:
        columns = inspector.get_columns(name, schema=schema)
        heads = tuple(ColumnHead(c["name"], told_type(str(c["type"])), told_comment(c.get("comment"))) for c in columns)
        key = tuple(inspector.get_pk_constraint(name, schema=schema).get("constrained_columns") or ())
        description = ""
        with contextlib.suppress(NotImplementedError):  # how SQLAlchemy says that a dialect has no comments on tables
            description = told_comment(inspector.get_table_comment(name, schema=schema).get("text"))
        total = self._count(connection, schema, name)
        return Table(
            name=shown, heads=heads, numbered=lambda: self._rows(schema, name, shown, heads, total),
            total_rows=total, sampled=total > self._reading.limits.rows, key=key, key_kept=True, description=description,
        )  # fmt: skip

    def _count(self, connection: Connection, schema: str | None, name: str) -> int:
        """Rows of a table: the planner's estimate where there is one and it says "large", an exact count where that is cheap."""
        table = sa.table(name, schema=schema)
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def _rows(
        self, schema: str | None, name: str, shown: str, heads: Sequence[ColumnHead], total: int
    ) -> Iterator[tuple[int, Sequence[Cell]]]:
        limits = self._reading.limits
        where = f"{self.name}#{shown}"
        with self._connected(shown) as connection:
            self._prepare(connection)
            query = self._query(connection, schema, name, shown, heads, total)
            result = connection.execution_options(stream_results=True, yield_per=_FETCH).execute(query)
            for number, row in enumerate(self._waited(result), start=1):
                cells: list[Cell] = []
                for value, head in zip(row, heads, strict=True):
                    try:
                        cell = cell_of(value)
                    except UnicodeDecodeError as error:
                        raise EncodingWrong(
                            source=where, row=number, column=head.name, encoding="utf-8", guess=likely_encoding(value)
                        ) from error
                    if cell is not None:
                        if len(cell) > limits.cell:
                            raise CellTooLarge(source=where, row=number, column=head.name, limit=limits.cell)
                        self.cost.bytes += len(cell)
                    cells.append(cell)
                self.cost.rows += 1
                yield number, cells

    def _waited(self, result: sa.CursorResult[Any]) -> Iterator[Any]:
        """The rows, the time until each piece of them came counted."""
        pieces = result.partitions(_FETCH)
        while True:
            self._patience.start()
            with self.cost.waiting():
                piece = next(pieces, None)
            if piece is None:
                return
            yield from piece

    def _prepare(self, connection: Connection) -> None:
        """SQLite's texts come as bytes: one that is no UTF-8 is told by its cell."""
        driver: Any = connection.connection.dbapi_connection
        driver.text_factory = _Bytes

    def _query(
        self,
        connection: Connection,
        schema: str | None,
        name: str,
        shown: str,
        heads: Sequence[ColumnHead],
        total: int,
    ) -> sa.Select[Any] | sa.CompoundSelect[Any]:
        limits = self._reading.limits
        table = sa.table(name, *(sa.column(h.name) for h in heads), schema=schema)
        cells = []
        for head in heads:
            column = table.c[head.name]
            cut = _sqlite_cell(column, sa.func.substr(sa.cast(column, sa.Text), 1, limits.cell + 1))
            cells.append(cut.label(head.name))
        query = sa.select(*cells).select_from(table)
        if total <= limits.rows:
            return query.limit(limits.rows)
        number = _row_number(connection, name, heads)
        if number is None:
            self.remarks[shown] = (
                f"the first {'row' if limits.taken == 1 else f'{limits.taken} rows'} of {total}, not a sample: "
                "it has no row numbers to take some of them by"
            )
            return query.limit(limits.taken)
        step = -(-total // limits.taken)
        spread = f"abs(({number} % 65521) * 40503 / 256 + {number} / 65521)"
        return query.where(sa.literal_column(f"{spread} % {step}") == 0).limit(limits.rows)

    @contextmanager
    def _connected(self, table: str) -> Iterator[Connection]:
        """A connection whose failures speak plainly; nothing of the register's message that could hold a value is passed on."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise self._translated(error, table) from None  # the driver's words may hold a value

    def _translated(self, error: DBAPIError, table: str) -> Exception:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        said = str(error.orig).casefold()
        if (
            state == "57014"
            or "statement timeout" in said
            or "locked" in said
            or said == "interrupted"
            or state == "55P03"
        ):
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
        if error.connection_invalidated or "closed" in said or "lost connection" in said or "terminat" in said:
            return SourceDown(source=self.name, reason="the connection ended in the middle of reading")
        return SourceDown(source=self.name, reason=type(error.orig).__name__)


def _logged_and_quiet(path: Path) -> bool:
    """Whether a SQLite file keeps a write-ahead log and nothing is in it: nobody has it open."""
    log = path.with_name(path.name + "-wal")
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02" and not (log.exists() and log.stat().st_size)


def _row_number(connection: Connection, name: str, heads: Sequence[ColumnHead]) -> str | None:
    """A name of SQLite's own row number that no column has taken; None for what has none."""
    kind = connection.execute(
        sa.text("SELECT type = 'view' OR wr FROM pragma_table_list WHERE schema = 'main' AND name = :name"),
        {"name": name},
    ).scalar()
    if kind is None or kind:
        return None
    taken = {h.name.casefold() for h in heads}
    return next((n for n in ("rowid", "_rowid_", "oid") if n not in taken), None)


def watched(engine: Engine, cost: Cost, opened: Callable[[Any], None] | None = None) -> None:
    """Count every connection and query of `engine`, and the time its answers take; `opened` gets each new driver connection."""
    began: list[float] = []

    def connected(driver: Any, _: Any) -> None:
        cost.connections += 1
        if opened is not None:
            opened(driver)

    def before(*_: Any) -> None:
        began.append(time.perf_counter())

    def after(*_: Any) -> None:
        cost.queries += 1
        cost.seconds += time.perf_counter() - began.pop()

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "after_cursor_execute", after)


def about(estimate: int) -> int:
    """A planner's estimate to two figures: it wavers, and a register that did not change should look unchanged."""
    return int(float(f"{estimate:.2g}"))


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


def cell_of(value: Any) -> Cell:
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
