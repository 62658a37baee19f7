"""PostgreSQL registers: one read-only connection, `COPY` of a `TABLESAMPLE`, and the CPU it cost the server.

A session with a statement time-out, no parallel workers and ISO dates; a table larger than the limit is sampled by blocks
(`TABLESAMPLE SYSTEM ... REPEATABLE`, a fixed seed: the same data gives the same sample). The planner's own estimate decides what is
large, so not even a count is asked of a large table. `COPY` in CSV is the cheapest way out of a server: no row is made into a
message of its own protocol objects there, and it is taken apart here in C. All profiling is done here (`profile`).
The cost is the backend's own CPU time where it runs on this machine, else the time its answers took (`cost`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, Connection, Engine

from kerege.catalogue.errors import CellTooLarge, EncodingWrong
from kerege.catalogue.inventory.profile import Binary, Cell, ColumnHead
from kerege.catalogue.sources.base import Reading
from kerege.catalogue.sources.cost import process_cpu, started
from kerege.catalogue.sources.databases import SEED, Database, about, watched
from kerege.catalogue.sources.encodings import likely_encoding

_SYSTEM_SCHEMAS: Final = {"information_schema", "pg_catalog", "pg_toast"}
_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")
_BLOCK: Final = 4_000_000
# names in which a % or : stands are written as they are: nothing is filled in afterwards
_DIALECT: Final = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_SHORT: Final = (
    "INTEGER",
    "BIGINT",
    "SMALLINT",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "TIME",
    "UUID",
    "REAL",
    "DOUBLE",
    "MONEY",
)


class PostgreSQL(Database):
    """Build with `Database.at_url`."""

    kind = "postgresql"
    _backend: int | None = None

    def __init__(self, name: str, engine: Engine, reading: Reading) -> None:
        super().__init__(name, engine, reading)
        self._small: set[tuple[str | None, str]] = set()  # tables without a value stored out of line

    @classmethod
    def at(cls, url: URL, reading: Reading) -> PostgreSQL:
        """The register at `url`; nothing is connected to yet."""
        seconds = reading.limits.seconds
        settings = {
            "default_transaction_read_only": "on",
            "statement_timeout": seconds * 1000,
            "lock_timeout": 2000,
            "idle_in_transaction_session_timeout": max(60, seconds) * 1000,
            "max_parallel_workers_per_gather": 0,  # whoever asks for a sample takes one process, not three
            "jit": "off",
            "datestyle": "ISO",
            "client_encoding": "UTF8",
        }
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": min(seconds, 10),
                "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
                "application_name": "kerege-harvest",
            },
            poolclass=sa.pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=seconds,
        )  # fmt: skip
        name = f"postgresql://{url.host or 'local'}:{url.port or 5432}/{url.database or ''}"
        source = cls(name, engine, reading)
        watched(engine, source.cost, source._opened)
        return source

    def _opened(self, driver: Any) -> None:
        """Find the backend, when it is a process of this machine that can be looked at."""
        host = driver.info.host
        if not (host in _LOOPBACK or host.startswith("/")):
            return
        row = driver.execute(
            "SELECT pid, extract(epoch FROM backend_start)::float8 FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        driver.rollback()
        begun = started(row[0]) if row else None
        if begun is not None and abs(begun - row[1]) < 2.0:  # not a process of another machine with the same number
            self._backend = row[0]

    def close(self) -> None:
        if self._backend is not None:
            self.cost.cpu_seconds = process_cpu(self._backend, name="postgres")
        super().close()

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        return [s for s in inspector.get_schema_names() if s not in _SYSTEM_SCHEMAS and not s.startswith("pg_")]

    def _shown(self, schema: str | None, name: str) -> str:
        return name if schema in (None, "public") else f"{schema}.{name}"

    def _count(self, connection: Connection, schema: str | None, name: str) -> int:
        """Also learns whether any value is stored out of line; where none is, a row is a page at most and needs no cutting there."""
        row = connection.execute(
            sa.text(
                "SELECT reltuples::bigint, reltoastrelid <> 0 AND pg_relation_size(reltoastrelid) = 0, "
                "relkind = 'r' AND reltoastrelid = 0 FROM pg_class WHERE oid = to_regclass(:name)"
            ),
            {"name": f"{_quoted(schema)}.{_quoted(name)}"},
        ).one_or_none()
        if row is not None:
            if row[1] or row[2]:
                self._small.add((schema, name))
            if int(row[0]) > 2 * self._reading.limits.rows:
                return about(int(row[0]))
        return super()._count(connection, schema, name)

    def _rows(
        self, schema: str | None, name: str, shown: str, heads: Sequence[ColumnHead], total: int
    ) -> Iterator[tuple[int, Sequence[Cell]]]:
        where = f"{self.name}#{shown}"
        binary = [i for i, head in enumerate(heads) if head.declared_type == "BYTEA"]
        with self._connected(shown) as connection:
            driver: Any = connection.connection.driver_connection
            # a database without an encoding holds whatever it was given: as it is, or the server refuses without saying where
            bare = driver.info.parameter_status("server_encoding") == "SQL_ASCII"
            raw = "(FORMAT csv, ENCODING 'SQL_ASCII')" if bare else "(FORMAT csv)"
            try:
                with driver.cursor() as cursor, cursor.copy(self._copy(schema, name, heads, total) + raw) as copy:
                    self.cost.queries += 1
                    csv.field_size_limit(max(131_072, 2 * self._reading.limits.cell))
                    number = 0
                    for number, cells in enumerate(csv.reader(self._lines(copy, where, heads), strict=True), start=1):
                        for i in binary:
                            size, _, content = cells[i].partition(":")
                            cells[i] = Binary.of(int(size), content.encode()) if size else ""
                        yield number, cells
                    self.cost.rows += number
            except psycopg.Error as error:
                ended = isinstance(error, psycopg.OperationalError) and driver.broken
                raise sa.exc.DBAPIError("COPY", None, error, connection_invalidated=ended) from error

    def _lines(self, copy: Any, where: str, heads: Sequence[ColumnHead]) -> Iterator[str]:
        """One CSV record each; an empty cell and NULL are the same to a profile."""
        number, limit = 0, self._reading.limits.cell
        while block := self._block(copy):
            for chunk in block:
                number += 1
                try:
                    line = str(chunk, "utf-8")
                except UnicodeDecodeError as error:  # a database in SQL_ASCII keeps whatever it was given
                    cells = next(csv.reader([bytes(chunk).decode("latin-1")]))
                    at = next(i for i, c in enumerate(cells) if not _is_utf8(c.encode("latin-1")))
                    guess = likely_encoding(cells[at].encode("latin-1"))
                    raise EncodingWrong(
                        source=where, row=number, column=heads[at].name, encoding="utf-8", guess=guess
                    ) from error
                if len(line) > limit:
                    _refuse_large(line, where, number, heads, limit)
                yield line

    def _block(self, copy: Any) -> list[bytes]:
        """Some megabytes of rows at once: taking them one by one between other work costs the driver ten times as much."""
        block, size = [], 0
        with self.cost.waiting():
            while size < _BLOCK and (chunk := copy.read()):
                block.append(bytes(chunk))
                size += len(chunk)
        self.cost.bytes += size
        return block

    def _copy(self, schema: str | None, name: str, heads: Sequence[ColumnHead], total: int) -> str:
        limits = self._reading.limits
        table = sa.table(name, *(sa.column(h.name) for h in heads), schema=schema)
        source: Any = table
        most = limits.rows
        if total > limits.rows:
            most = limits.taken
            percent = min(100.0, 110.0 * most / total)  # a little more, then LIMIT: blocks are not equally full
            source = sa.tablesample(table, sa.func.system(percent), seed=sa.literal(SEED), name="sample")
        small = (schema, name) in self._small
        cells = [_cut(source.c[h.name], h.declared_type, limits.cell, small).label(h.name) for h in heads]
        query = sa.select(*cells).select_from(source).limit(most)
        told = query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})
        return f"COPY ({told}) TO STDOUT "


def _refuse_large(line: str, where: str, number: int, heads: Sequence[ColumnHead], limit: int) -> None:
    for head, cell in zip(heads, next(csv.reader([line])), strict=True):
        if len(cell) > limit:
            raise CellTooLarge(source=where, row=number, column=head.name, limit=limit)


def _cut(column: Any, declared: str, most: int, small: bool) -> Any:
    """A column as it may leave the server; what cannot be long is left alone, because cutting costs there too."""
    if declared == "BYTEA":
        return sa.cast(sa.func.octet_length(column), sa.Text) + ":" + sa.func.md5(column)
    if small or declared.startswith(_SHORT):
        return column
    if declared.startswith(("VARCHAR(", "CHAR(")) and int(declared.partition("(")[2].rstrip(")")) <= most:
        return column
    return sa.func.left(sa.cast(column, sa.Text), most + 1)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _quoted(name: str | None) -> str:
    return '"' + (name or "public").replace('"', '""') + '"'
