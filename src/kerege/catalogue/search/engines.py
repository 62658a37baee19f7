"""Looking up the search index in the hub's database: one interface, SQLite with FTS5 and PostgreSQL with `pg_trgm` behind it.

Three questions each: which words of the index may a typed word mean (letter triples), which entries have such words, likeliest first
(full text, in the order of `search.ids`), and how many of each facet there are. Scores are not the databases' business: they give candidates,
`search` ranks them the same way whatever the database. Tables: `search.tables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal

from django.db import connection

from kerege.catalogue.search.ids import FACET_SHIFT, FACETS, NUMBERS
from kerege.catalogue.search.tables import ENTRIES, WORDS, trigrams_there
from kerege.catalogue.search.words import triples

KIN_WORDS: Final = 60  # words of the index compared closely with one typed word
_ENTRY: Final = "catalogue_searchentry"
_WORD: Final = "catalogue_searchword"
_FACET: Final = f">> {FACET_SHIFT} & {FACETS - 1}"  # of an id; both databases read it from the left

Part = Literal[
    "whole", "head", "any"
]  # what a text is looked for in: all of a name, words of names, words of names and the rest
Groups = Sequence[Sequence[str]]  # per typed word, words of the index it may mean


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entries that have a word of each of `least` of the groups, all by default, within `part`."""

    groups: Groups
    part: Part = "any"
    least: int | None = None

    def choices(self) -> list[Groups]:
        """Groups that are enough together, each as good as another."""
        size = len(self.groups) if self.least is None else self.least
        return [list(some) for some in combinations(self.groups, size)]


class Engine(ABC):
    """The index as one kind of database keeps it. Words are keys of `search.words`: Latin letters and digits, nothing a query language reads."""

    @abstractmethod
    def kin(self, typed: str) -> list[str]:
        """Words of the index that `typed` may mean: itself, longer and shorter ones, ones with letters in common."""

    @abstractmethod
    def entries(self, wanted: Wanted, facets: Collection[int] | None, limit: int) -> list[int]:
        """Ids of entries, in their order, of these facets only (None: any)."""

    @abstractmethod
    def counts(self, wanted: Wanted, facets: Collection[int] | None) -> dict[int, int]:
        """Facet -> how many entries, of what `entries` would give without a limit."""

    def texts(self, ids: Sequence[int]) -> list[tuple[int, str, str, str]]:
        """(id, head, whole, body) of entries, for ranking."""
        sql = f"SELECT id, head, whole, body FROM {_ENTRY} WHERE id IN ({', '.join(map(str, ids))})"  # noqa: S608 - numbers
        return self._ask(sql, []) if ids else []

    def facets(self) -> dict[int, str]:
        """Number -> facet as it is told; empty when there is no index."""
        return dict(self._ask("SELECT id, told FROM catalogue_searchfacet", []))

    def facets_used(self) -> list[int]:
        """Numbers of the facets that entries have."""
        return [n for (n,) in self._ask(f"SELECT DISTINCT id {_FACET} FROM {_ENTRY}", [])]  # noqa: S608 - our own names

    @abstractmethod
    def numbered(self, prefixes: Sequence[int]) -> list[int]:
        """A new id with each of these upper bits."""

    def forget(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        """Before entries (id, head, whole, body) are removed or changed."""
        del rows

    def learn(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        """After entries (id, head, whole, body) were written."""
        del rows

    def learn_words(self, rows: Sequence[tuple[int, str]]) -> None:
        """After words (id, word) were written."""
        del rows

    def clear(self) -> None:
        """Before everything is removed."""
        return None

    def learn_all(self) -> None:
        """After everything was written, instead of `learn` and `learn_words` for each."""
        return None

    @staticmethod
    def _ask(sql: str, values: Sequence[Any]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())


def _among(column: str, facets: Collection[int] | None) -> str:
    return "" if facets is None else f" AND ({column} {_FACET}) IN ({', '.join(map(str, sorted(facets)))})"


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

    def _match(self, wanted: Wanted) -> str:
        within = "" if wanted.part == "any" else f"{wanted.part} : "
        each = [
            " AND ".join("(" + " OR ".join(f'"{w}"' for w in group) + ")" for group in groups)
            for groups in wanted.choices()
        ]
        return f"{within}({' OR '.join(f'({one})' for one in each)})"

    def entries(self, wanted: Wanted, facets: Collection[int] | None, limit: int) -> list[int]:
        # FTS5 walks its rows in the order of their ids by itself, and stops at the limit
        sql = f"SELECT rowid FROM {ENTRIES} WHERE {ENTRIES} MATCH %s{_among('rowid', facets)} ORDER BY rowid LIMIT %s"  # noqa: S608 - our own names
        return [i for (i,) in self._ask(sql, [self._match(wanted), limit])]

    def counts(self, wanted: Wanted, facets: Collection[int] | None) -> dict[int, int]:
        # one text of numbers counted here takes a third of what GROUP BY takes, which sorts them
        sql = f"SELECT group_concat(rowid {_FACET}) FROM {ENTRIES} WHERE {ENTRIES} MATCH %s{_among('rowid', facets)}"  # noqa: S608
        told = self._ask(sql, [self._match(wanted)])[0][0]
        return {int(facet): n for facet, n in Counter(told.split(",")).items()} if told else {}

    def numbered(self, prefixes: Sequence[int]) -> list[int]:
        # one writer at a time (transactions begin IMMEDIATE), so the next free number is the last one's neighbour
        following: dict[int, int] = {}
        for one in set(prefixes):
            sql = f"SELECT max(id) FROM {_ENTRY} WHERE id BETWEEN %s AND %s"  # noqa: S608
            last = self._ask(sql, [one, one + NUMBERS - 1])[0][0]
            following[one] = one if last is None else last + 1
        given = []
        for one in prefixes:
            given.append(following[one])
            following[one] += 1
        return given

    def forget(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        with connection.cursor() as cursor:
            sql = f"INSERT INTO {ENTRIES}({ENTRIES}, rowid, head, whole, body) VALUES ('delete', %s, %s, %s, %s)"  # noqa: S608
            cursor.executemany(sql, sorted(rows))

    def learn(self, rows: Sequence[tuple[int, str, str, str]]) -> None:
        with connection.cursor() as cursor:
            sql = f"INSERT INTO {ENTRIES}(rowid, head, whole, body) VALUES (%s, %s, %s, %s)"  # noqa: S608
            cursor.executemany(sql, sorted(rows))  # FTS5 writes rising ids together, and each falling one apart

    def learn_words(self, rows: Sequence[tuple[int, str]]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {WORDS}(rowid, word) VALUES (%s, %s)", rows)  # noqa: S608

    def clear(self) -> None:
        self._both("delete-all")

    def learn_all(self) -> None:
        self._both("rebuild")

    @staticmethod
    def _both(command: str) -> None:
        with connection.cursor() as cursor:
            for table in (ENTRIES, WORDS):
                cursor.execute(f"INSERT INTO {table}({table}) VALUES (%s)", [command])  # noqa: S608


class Postgresql(Engine):
    """Stored `tsvector`s over entries; `pg_trgm` over words where the server has it."""

    def kin(self, typed: str) -> list[str]:
        sql = f"SELECT word FROM {_WORD} WHERE word = ANY(%s)"  # noqa: S608 - names of our own tables
        found = [w for (w,) in self._ask(sql, [_beginnings(typed)])]
        if len(typed) >= 2:
            sql = f"SELECT word FROM {_WORD} WHERE word LIKE %s ORDER BY word LIMIT {KIN_WORDS}"  # noqa: S608
            found += [w for (w,) in self._ask(sql, [typed + "%"])]
        if len(typed) >= 4 and typed not in found:
            if trigrams_there(connection):
                sql = f"SELECT word FROM {_WORD} WHERE word %% %s ORDER BY similarity(word, %s) DESC, word LIMIT {KIN_WORDS}"  # noqa: S608
                found += [w for (w,) in self._ask(sql, [typed, typed])]
            else:
                sql = f"SELECT word FROM {_WORD} WHERE word LIKE %s LIMIT 2000"  # noqa: S608
                found += [w for (w,) in self._ask(sql, [typed[:2] + "%"])]
        return list(dict.fromkeys(found))

    def _query(self, wanted: Wanted) -> str:
        each = [
            " & ".join("(" + " | ".join(f"'{w}'" for w in group) + ")" for group in groups)
            for groups in wanted.choices()
        ]
        return " | ".join(f"({one})" for one in each)

    def _where(self, wanted: Wanted, facets: Collection[int] | None) -> str:
        return f"FROM {_ENTRY} WHERE {wanted.part}_vector @@ %s::tsquery{_among('id', facets)}"

    def entries(self, wanted: Wanted, facets: Collection[int] | None, limit: int) -> list[int]:
        # `+ 0`: without it the server may walk the key's index and read every entry on its way
        sql = f"SELECT id {self._where(wanted, facets)} ORDER BY id + 0 LIMIT %s"
        return [i for (i,) in self._ask(sql, [self._query(wanted), limit])]

    def counts(self, wanted: Wanted, facets: Collection[int] | None) -> dict[int, int]:
        sql = f"SELECT id {_FACET}, count(*) {self._where(wanted, facets)} GROUP BY 1"
        return dict(self._ask(sql, [self._query(wanted)]))

    def numbered(self, prefixes: Sequence[int]) -> list[int]:
        # the table's own sequence: two who write at once never get the same
        sql = f"SELECT nextval(pg_get_serial_sequence('{_ENTRY}', 'id')) FROM generate_series(1, %s)"  # noqa: S608
        return [
            one | number % NUMBERS for one, (number,) in zip(prefixes, self._ask(sql, [len(prefixes)]), strict=True)
        ]


def engine() -> Engine:
    """The engine of the hub's database."""
    return Postgresql() if connection.vendor == "postgresql" else Sqlite()
