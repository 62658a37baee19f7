"""Looking up the search index in the hub's database: one interface, SQLite with FTS5 and PostgreSQL with `pg_trgm` behind it.

Two questions each: which words of the index may a typed word mean (letter triples), and which entries have such words (full text). Scores are
not the databases' business: they give candidates, `search` ranks them the same way whatever the database. Tables: `search_tables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from kerege.catalogue.search_tables import ENTRIES, VECTOR, WORDS, trigrams_offered
from kerege.catalogue.search_words import triples

KIN_WORDS: Final = 60  # words of the index compared closely with one typed word
_ENTRY: Final = "catalogue_searchentry"
_WORD: Final = "catalogue_searchword"


@dataclass(frozen=True, slots=True)
class Filters:
    """What hits are narrowed to; empty means any."""

    kinds: tuple[str, ...] = ()
    organisation: str = ""
    personal: bool | None = None
    owned: bool | None = None
    public: bool = False  # only what may leave

    def where(self) -> tuple[str, list[Any]]:
        """An SQL condition on entries `e` with its parameters."""
        parts: list[str] = []
        values: list[Any] = []
        if self.kinds:
            parts.append(f"e.kind IN ({', '.join(['%s'] * len(self.kinds))})")
            values += self.kinds
        for column, value in (
            ("organisation", self.organisation or None),
            ("personal", self.personal),
            ("owned", self.owned),
            ("public", True if self.public else None),
        ):
            if value is not None:
                parts.append(f"e.{column} = %s")
                values.append(value)
        return " AND ".join(parts) or "1 = 1", values


class Engine(ABC):
    """The index as one kind of database keeps it."""

    @abstractmethod
    def kin(self, typed: str) -> list[str]:
        """Words of the index that `typed` may mean: itself, longer and shorter ones, ones with letters in common."""

    @abstractmethod
    def entries(self, groups: Sequence[Sequence[str]], every: bool, filters: Filters, limit: int) -> list[int]:
        """Ids of entries that have a word of each group (`every`) or of any group, likeliest first."""

    @abstractmethod
    def counts(
        self, groups: Sequence[Sequence[str]], every: bool, filters: Filters
    ) -> list[tuple[str, str, bool | None, bool | None, int]]:
        """(kind, organisation, personal, owned, how many) of what `entries` would give without a limit."""

    def forget(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Before entries (id, head, body) are removed or changed."""
        del rows

    def learn(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """After entries (id, head, body) were written."""
        del rows

    def learn_words(self, rows: Sequence[tuple[int, str]]) -> None:
        """After words (id, word) were written."""
        del rows

    def clear(self) -> None:
        """Before everything is removed."""
        return None

    @staticmethod
    def _ask(sql: str, values: Sequence[Any]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())


def _beginnings(typed: str) -> list[str]:
    """`typed` and what it begins with, four letters at least: a word with its endings taken off."""
    return [typed, *(typed[:n] for n in range(4, len(typed)))]


class Sqlite(Engine):
    """FTS5: `unicode61` over entries, `trigram` over words."""

    def kin(self, typed: str) -> list[str]:
        marks = _beginnings(typed)
        sql = f"SELECT word FROM {_WORD} WHERE word IN ({', '.join(['%s'] * len(marks))})"  # noqa: S608 - only marks
        found = [w for (w,) in self._ask(sql, marks)]
        if len(typed) >= 2:
            upper = typed[:-1] + chr(ord(typed[-1]) + 1)  # a range, which the index on words answers; LIKE would not
            sql = f"SELECT word FROM {_WORD} WHERE word >= %s AND word < %s ORDER BY word LIMIT {KIN_WORDS}"  # noqa: S608
            found += [w for (w,) in self._ask(sql, [typed, upper])]
        grams = triples(typed)
        if len(typed) >= 4 and typed not in found and grams:
            match = " OR ".join(f'"{g}"' for g in grams)
            sql = f"SELECT word FROM {WORDS} WHERE {WORDS} MATCH %s ORDER BY rank LIMIT {KIN_WORDS}"  # noqa: S608
            found += [w for (w,) in self._ask(sql, [match])]
        return list(dict.fromkeys(found))

    def _match(self, groups: Sequence[Sequence[str]], every: bool) -> str:
        joined = " AND " if every else " OR "
        return joined.join("(" + " OR ".join(f'"{w}"' for w in group) + ")" for group in groups)

    def entries(self, groups: Sequence[Sequence[str]], every: bool, filters: Filters, limit: int) -> list[int]:
        where, values = filters.where()
        match = self._match(groups, every)
        if where == "1 = 1":
            sql = f"SELECT rowid FROM {ENTRIES} WHERE {ENTRIES} MATCH %s ORDER BY bm25({ENTRIES}, 10.0, 1.0) LIMIT %s"  # noqa: S608
            return [i for (i,) in self._ask(sql, [match, limit])]
        sql = (
            f"SELECT e.id FROM {ENTRIES} JOIN {_ENTRY} e ON e.id = {ENTRIES}.rowid"  # noqa: S608 - names of our own tables
            f" WHERE {ENTRIES} MATCH %s AND {where} ORDER BY bm25({ENTRIES}, 10.0, 1.0) LIMIT %s"
        )
        return [i for (i,) in self._ask(sql, [match, *values, limit])]

    def counts(
        self, groups: Sequence[Sequence[str]], every: bool, filters: Filters
    ) -> list[tuple[str, str, bool | None, bool | None, int]]:
        where, values = filters.where()
        sql = (
            f"SELECT e.kind, e.organisation, e.personal, e.owned, count(*) FROM {_ENTRY} e"  # noqa: S608 - as above
            f" WHERE e.id IN (SELECT rowid FROM {ENTRIES} WHERE {ENTRIES} MATCH %s) AND {where} GROUP BY 1, 2, 3, 4"
        )
        return [
            (kind, organisation, None if p is None else bool(p), None if o is None else bool(o), n)
            for kind, organisation, p, o, n in self._ask(sql, [self._match(groups, every), *values])
        ]

    def forget(self, rows: Sequence[tuple[int, str, str]]) -> None:
        with connection.cursor() as cursor:
            sql = f"INSERT INTO {ENTRIES}({ENTRIES}, rowid, head, body) VALUES ('delete', %s, %s, %s)"  # noqa: S608
            cursor.executemany(sql, rows)

    def learn(self, rows: Sequence[tuple[int, str, str]]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {ENTRIES}(rowid, head, body) VALUES (%s, %s, %s)", rows)  # noqa: S608

    def learn_words(self, rows: Sequence[tuple[int, str]]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {WORDS}(rowid, word) VALUES (%s, %s)", rows)  # noqa: S608

    def clear(self) -> None:
        with connection.cursor() as cursor:
            for table in (ENTRIES, WORDS):
                cursor.execute(f"INSERT INTO {table}({table}) VALUES ('delete-all')")  # noqa: S608


class Postgresql(Engine):
    """`tsvector` over entries; `pg_trgm` over words where the server has it."""

    def kin(self, typed: str) -> list[str]:
        sql = f"SELECT word FROM {_WORD} WHERE word = ANY(%s)"  # noqa: S608 - names of our own tables
        found = [w for (w,) in self._ask(sql, [_beginnings(typed)])]
        if len(typed) >= 2:
            sql = f"SELECT word FROM {_WORD} WHERE word LIKE %s ORDER BY word LIMIT {KIN_WORDS}"  # noqa: S608
            found += [w for (w,) in self._ask(sql, [typed + "%"])]
        if len(typed) >= 4 and typed not in found:
            if trigrams_offered(connection):
                sql = f"SELECT word FROM {_WORD} WHERE word %% %s ORDER BY similarity(word, %s) DESC LIMIT {KIN_WORDS}"  # noqa: S608
                found += [w for (w,) in self._ask(sql, [typed, typed])]
            else:
                sql = f"SELECT word FROM {_WORD} WHERE word LIKE %s LIMIT 2000"  # noqa: S608
                found += [w for (w,) in self._ask(sql, [typed[:2] + "%"])]
        return list(dict.fromkeys(found))

    def _query(self, groups: Sequence[Sequence[str]], every: bool) -> str:
        joined = " & " if every else " | "
        return joined.join("(" + " | ".join(f"'{w}'" for w in group) + ")" for group in groups)

    def entries(self, groups: Sequence[Sequence[str]], every: bool, filters: Filters, limit: int) -> list[int]:
        where, values = filters.where()
        query = self._query(groups, every)
        sql = (
            f"SELECT e.id FROM {_ENTRY} e, to_tsquery('simple', %s) q WHERE ({VECTOR}) @@ q AND {where}"  # noqa: S608
            f" ORDER BY ts_rank({VECTOR}, q) DESC, e.id LIMIT %s"
        )
        return [i for (i,) in self._ask(sql, [query, *values, limit])]

    def counts(
        self, groups: Sequence[Sequence[str]], every: bool, filters: Filters
    ) -> list[tuple[str, str, bool | None, bool | None, int]]:
        where, values = filters.where()
        sql = (
            f"SELECT e.kind, e.organisation, e.personal, e.owned, count(*) FROM {_ENTRY} e"  # noqa: S608 - as above
            f" WHERE ({VECTOR}) @@ to_tsquery('simple', %s) AND {where} GROUP BY 1, 2, 3, 4"
        )
        return [tuple(row) for row in self._ask(sql, [self._query(groups, every), *values])]


def engine() -> Engine:
    """The engine of the hub's database."""
    return Postgresql() if connection.vendor == "postgresql" else Sqlite()
