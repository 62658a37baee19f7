"""MySQL and MariaDB registers: one read-only connection, a bounded sample, rows streamed and never held by the server for us.

There is no `TABLESAMPLE`: of a table larger than the limit, pieces of rows are read at evenly spaced places of its primary key when that is one
whole number, which costs the server as much as the sample is large. A table without such a key gives its first rows, and that is said
in a remark. Large tables are not counted: InnoDB's own estimate decides, asked for fresh where MySQL would give yesterday's. What the families
say differently (time-outs, threads) is said in both families' words, and a type that only one of them has is known by its name.
The cost is the CPU time of the server's thread where it runs on this machine and tells its number, else the time answers took.
Connections use TLS where the server offers it; `ssl_ca` in the URL makes it a condition and checks who answers, `ssl_cert` and `ssl_key` beside it
say who asks. An address with these but without `ssl_ca`, or with anything else it would be held to and is not, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pymysql  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy.dialects.mysql import INTEGER
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from kerege.catalogue.errors import OptionRefused, SourceDown, SourceRefused, SourceSlow
from kerege.catalogue.inventory.profile import ColumnHead
from kerege.catalogue.sources.base import Reading
from kerege.catalogue.sources.cost import process_cpu, process_of_thread
from kerege.catalogue.sources.databases import Database, about, watched

_SYSTEM_SCHEMAS: Final = {"information_schema", "performance_schema", "mysql", "sys"}
_PIECES: Final = 100
# MariaDB's question, and MySQL's
_THREAD: Final = (
    "SELECT TID FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()",
    "SELECT THREAD_OS_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID()",
)
_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key")
_KNOWN: Final = (*_TLS, "unix_socket")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# numbers as both families have them, MySQL's from the server error reference of its manual
_SLOW: Final = {1205, 1969, 3024}  # lock wait, MariaDB's and MySQL's statement time-out
_ENDED: Final = {
    2006,
    2013,
    1053,
    1927,
    3169,
    4031,
}  # gone, lost, shutting down, killed in either's words, waited too long
_FULL: Final = {1040, 1203, 1226}  # connections of the server, of the account, what the account may use
_DOWN: Final = {2002, 2003, 2005, *_FULL, *_ENDED}
_NO_RIGHT: Final = {1142, 1143, 1227, 1370}
_EXPIRED: Final = {1820, 1862, 3118, 4151}  # a password past its day, a locked account
_TLS_ASKED: Final = {3159}
_REFUSED: Final = {1044, 1045, 1049, 1129, 1130, 1251, 1524, 1698, 2059, 2061, *_NO_RIGHT, *_EXPIRED, *_TLS_ASKED}
_BINARY: Final = (
    *("BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY", "VECTOR"),
    *("GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOM"),
)
_WHOLE: Final = ("INTEGER", "BIGINT", "SMALLINT", "MEDIUMINT", "TINYINT")


class _Types(dict[str, Any]):
    """SQLAlchemy's types by name, and for every other name a type that is called so: one that it does not know would be nameless, or break it off
    where it has arguments (MySQL's VECTOR(3))."""

    def __missing__(self, name: str) -> type[sa.types.UserDefinedType[Any]]:
        shown = name.upper()

        class Other(sa.types.UserDefinedType[Any]):
            cache_ok = True

            def __init__(self, *_: object, **__: object) -> None:
                """What stands in brackets after its name is not kept."""

            def get_col_spec(self, **_: object) -> str:
                return shown

        return Other


class MySQL(Database):
    """Build with `Database.at_url`."""

    kind = "mysql"
    _near = False  # the server is on this machine
    _thread: tuple[int, int] | None = None
    _thread_began: float = 0.0  # a server's thread serves one connection after another

    @classmethod
    def at(cls, url: URL, reading: Reading) -> MySQL:
        """The register at `url`; nothing is connected to yet."""
        seconds = reading.limits.seconds
        name = f"mysql://{url.host or 'local'}:{url.port or 3306}/{url.database or ''}"
        for option, value in url.query.items():
            if option not in _KNOWN or not isinstance(value, str) or not value:
                why = "stands twice or is empty" if option in _KNOWN else "is not known here"
                raise OptionRefused(source=name, option=option, why=why, known=", ".join(_KNOWN))
            if option in _TLS and "ssl_ca" not in url.query:
                why = "checks nobody without ssl_ca, the authority that the server's certificate is held to"
                raise OptionRefused(source=name, option=option, why=why, known=", ".join(_KNOWN))
        socket = url.query.get("unix_socket")
        tls: dict[str, Any] = {part: str(url.query[part]) for part in _TLS if part in url.query}
        tls |= {"ssl_verify_cert": True, "ssl_verify_identity": True} if "ssl_ca" in tls else {}

        def connect() -> Any:
            return pymysql.connect(
                host=url.host or "localhost", port=url.port or 3306, user=url.username, password=url.password or "",
                database=url.database, unix_socket=str(socket) if socket else None, charset="utf8mb4",
                connect_timeout=min(seconds, 10), read_timeout=seconds + 5, local_infile=False, program_name="kerege-harvest", **tls,
            )  # fmt: skip

        engine = sa.create_engine(
            "mysql+pymysql://", creator=connect, poolclass=sa.pool.QueuePool, pool_size=1, max_overflow=0,
            pool_timeout=seconds,
        )  # fmt: skip
        dialect: Any = engine.dialect
        dialect.ischema_names = _Types(dialect.ischema_names)
        source = cls(name, engine, reading)
        source._near = socket is not None or (url.host or "localhost") in _LOOPBACK
        watched(engine, source.cost, source._opened)
        return source

    def _opened(self, driver: Any) -> None:
        seconds = self._reading.limits.seconds
        with driver.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")
            cursor.execute("SET SESSION lock_wait_timeout = 2")
            # each family knows some of these; MySQL keeps what it estimates of a table for a day
            for statement in (
                f"SET SESSION max_statement_time = {seconds}",
                f"SET SESSION max_execution_time = {seconds * 1000}",
                "SET SESSION information_schema_stats_expiry = 0",
            ):
                try:
                    cursor.execute(statement)
                except pymysql.err.DatabaseError:
                    continue
            if self._near:
                self._thread = _server_thread(cursor)
        if self._thread is not None:
            self._thread_began = process_cpu(*self._thread) or 0.0

    def close(self) -> None:
        if self._thread is not None:
            now = process_cpu(*self._thread)
            self.cost.cpu_seconds = None if now is None else max(0.0, now - self._thread_began)
        super().close()

    def _schemas(self, inspector: sa.Inspector) -> list[str | None]:
        if self._engine.url.database or self.name.rpartition("/")[2]:
            return [None]
        return [s for s in inspector.get_schema_names() if s not in _SYSTEM_SCHEMAS]

    def _count(self, connection: Connection, schema: str | None, name: str) -> int:
        limit = self._reading.limits.rows
        estimate = connection.execute(
            sa.text(
                "SELECT table_rows FROM information_schema.tables "
                "WHERE table_schema = coalesce(:schema, database()) AND table_name = :name"
            ),
            {"schema": schema, "name": name},
        ).scalar()
        if estimate is not None and int(estimate) > 2 * limit:
            return about(int(estimate))
        return super()._count(connection, schema, name)

    def _prepare(self, connection: Connection) -> None:
        """Rows come as they are read there: nothing waits in anybody's memory."""

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
        cells = [_cut(table.c[h.name], h.declared_type, limits.cell).label(h.name) for h in heads]
        query = sa.select(*cells).select_from(table)
        if total <= limits.rows:
            return query.limit(limits.rows)
        key = self._whole_key(connection, schema, name, heads)
        if key is None:
            self.remarks[shown] = (
                f"the first {'row' if limits.taken == 1 else f'{limits.taken} rows'} of about {total}, not a sample: "
                "the table has no primary key of one whole number to take pieces by"
            )
            return query.limit(limits.taken)
        low, high = connection.execute(
            sa.select(sa.func.min(table.c[key]), sa.func.max(table.c[key])).select_from(table)
        ).one()
        if low is None:  # the estimate was of rows that are gone
            return query.limit(limits.taken)
        pieces = min(_PIECES, limits.taken)
        step = max(1, (int(high) - int(low) + 1) // pieces)
        most = limits.taken // pieces
        parts = []
        for i in range(pieces):
            start = int(low) + i * step
            part = query.where(table.c[key] >= start)
            if i < pieces - 1:
                part = part.where(table.c[key] < start + step)
            parts.append(sa.select(part.order_by(table.c[key]).limit(most).subquery(f"piece_{i}")))
        return sa.union_all(*parts)

    def _whole_key(
        self, connection: Connection, schema: str | None, name: str, heads: Sequence[ColumnHead]
    ) -> str | None:
        key = sa.inspect(connection).get_pk_constraint(name, schema=schema).get("constrained_columns") or []
        declared = {h.name: h.declared_type for h in heads}
        return key[0] if len(key) == 1 and declared[key[0]].startswith(_WHOLE) else None

    def _translated(self, error: DBAPIError, table: str) -> Exception:
        number = error.orig.args[0] if error.orig is not None and error.orig.args else 0
        if number in _SLOW:
            return SourceSlow(source=self.name, table=table, seconds=self._reading.limits.seconds)
        if number in _REFUSED:
            reason = "account, password or database name"
            reason = "no right to read" if number in _NO_RIGHT else reason
            reason = "the account is locked or its password has expired" if number in _EXPIRED else reason
            reason = "the server wants a connection over TLS" if number in _TLS_ASKED else reason
            return SourceRefused(source=self.name, reason=reason)
        if number in _DOWN:
            reason = (
                "the connection ended in the middle of reading"
                if number in _ENDED
                else "connection refused or timed out"
            )
            reason = "the server or the account has no connection left" if number in _FULL else reason
            return SourceDown(source=self.name, reason=reason)
        return super()._translated(error, table)


def _cut(column: Any, declared: str, most: int) -> Any:
    """A column as it may leave the server: text as UTF-8, binary as size and digest."""
    if declared.startswith(_BINARY):
        told = sa.func.concat(sa.func.length(column), sa.literal_column("':'"), sa.func.md5(column))
        return sa.type_coerce(sa.cast(told, sa.BINARY), sa.types.NULLTYPE)
    if declared.startswith("BIT"):
        return sa.type_coerce(sa.cast(sa.cast(column, INTEGER(unsigned=True)), sa.CHAR), sa.types.NULLTYPE)
    if declared.startswith((*_WHOLE, "DATE", "TIME", "YEAR", "DECIMAL", "DOUBLE", "FLOAT")):
        return sa.type_coerce(sa.cast(column, sa.CHAR), sa.types.NULLTYPE)
    return sa.type_coerce(sa.func.left(column, most + 1), sa.types.NULLTYPE)


def _server_thread(cursor: Any) -> tuple[int, int] | None:
    """(process, thread) of the server that answers this connection, when it is one of this machine's and tells."""
    for question in _THREAD:
        try:
            cursor.execute(question)
            row = cursor.fetchone()
        except pymysql.err.DatabaseError:  # the other family, or an account that may not ask
            continue
        process = process_of_thread(int(row[0])) if row and row[0] else None
        if process is not None and any(process_cpu(process, name=name) is not None for name in ("maria", "mysql")):
            return process, int(row[0])
    return None
