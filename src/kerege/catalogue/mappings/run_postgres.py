"""Run a mapping inside an agency's PostgreSQL: the driver's side of `semantics.engines.emit_postgres`.

The account needs CONNECT and TEMPORARY on the database and SELECT on the table, nothing else. What reads the table runs in READ ONLY
transactions with a time limit per statement; a connection that dies takes its temporary tables with it, and nothing of the source was ever
writable. Values reach this process only where a grammar needs the distinct ones, and where the caller asks for the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import sql as compose

from kerege.semantics.engines.emit_postgres import SETTINGS, SideRow
from kerege.semantics.errors import TableInvalid

SECONDS: Final = 3600  # per statement
MEMORY_MB: Final = 64  # work_mem: for hashing lists and distinct values


class PsycopgSession:
    """A `Session` over one psycopg connection, which must have no transaction open and be used by nobody else meanwhile."""

    def __init__(
        self, connection: psycopg.Connection[Any], *, seconds: int = SECONDS, memory_mb: int = MEMORY_MB
    ) -> None:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raise ValueError("the connection is in the middle of a transaction")
        self.connection, self.seconds, self.memory_mb = connection, int(seconds), int(memory_mb)
        self.connection.autocommit = True  # transactions are begun and ended by name below

    def columns(self, relation: str) -> Sequence[str]:
        try:
            cursor = self.connection.execute(_query(f"SELECT * FROM {relation} LIMIT 0"))  # noqa: S608 - quoted by the caller
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise TableInvalid(table=relation, mapping="a mapping", reason="there is no such table") from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise TableInvalid(
                table=relation, mapping="a mapping", reason="the account may not SELECT from it"
            ) from error
        return [column.name for column in cursor.description or ()]

    def define(self, statements: Sequence[str]) -> None:
        self._begin("BEGIN")
        try:
            for statement in statements:
                self.execute(statement)
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def begin(self) -> None:
        self._begin("BEGIN READ ONLY")

    def _begin(self, how: str) -> None:
        self.execute(how)
        limits = (f"statement_timeout = '{self.seconds}s'", f"work_mem = '{self.memory_mb}MB'")
        for setting in (*SETTINGS, *limits):
            self.execute(f"SET LOCAL {setting}")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if not self.connection.closed:
            self.execute("ROLLBACK")

    def execute(self, statement: str) -> None:
        self.connection.execute(_query(statement))

    def rows(self, query: str) -> list[tuple[str | int | None, ...]]:
        return self.connection.execute(_query(query)).fetchall()

    def csv(self, query: str) -> bytes:
        """The rows of a query as CSV with a header, every value but null quoted."""
        copy_out = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *, ENCODING 'UTF8')"
        with self.connection.cursor() as cursor, cursor.copy(_query(copy_out)) as copy:
            return b"".join(copy)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[SideRow]) -> None:
        if not columns:
            return
        statement = compose.SQL("COPY pg_temp.{} ({}) FROM STDIN").format(
            compose.Identifier(table), compose.SQL(", ").join(map(compose.Identifier, columns))
        )
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def _query(text: str) -> compose.SQL:
    """Our own SQL as psycopg takes it. `%` needs no doubling: no parameters are ever given."""
    return compose.SQL(text)  # every name and text in it is quoted by `semantics.engines.duck_words`


@contextmanager
def session_at(url: str, *, seconds: int = SECONDS, memory_mb: int = MEMORY_MB) -> Iterator[PsycopgSession]:
    """A session of its own to the database at `url` (postgresql://...); its temporary tables end with it."""
    with psycopg.connect(url, autocommit=True, client_encoding="utf8") as connection:
        yield PsycopgSession(connection, seconds=seconds, memory_mb=memory_mb)
