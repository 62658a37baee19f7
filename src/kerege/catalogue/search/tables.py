"""The tables behind the search index that models cannot describe: FTS5 on SQLite, stored vectors and trigram indexes on PostgreSQL.

SQLite: two external-content FTS5 tables over the rows of `models.search`: entries by word (`unicode61`), words by letter triples
(`trigram`). PostgreSQL: one stored `tsvector` per part that is searched, with a GIN index each, and over words one by `pg_trgm` where the server has
that extension and lets this account create it; where not, words are compared within their first two letters (`search.engines`).
Called by migrations: `create` by the one that made the tables, `renew` by the one that gave them their columns of today.
"""

from __future__ import annotations

from typing import Any, Final

ENTRIES: Final = "catalogue_search_entries"
WORDS: Final = "catalogue_search_words"
_ENTRY: Final = "catalogue_searchentry"

_SQLITE_ENTRIES: Final = (
    f"CREATE VIRTUAL TABLE {ENTRIES} USING fts5(head, whole, body, content='{_ENTRY}', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 0')"
)
_SQLITE_WORDS: Final = f"CREATE VIRTUAL TABLE {WORDS} USING fts5(word, content='catalogue_searchword', content_rowid='id', tokenize='trigram')"
_VECTORS: Final = {"whole": "whole", "head": "head", "any": "head || ' ' || body"}
_TRIGRAMS: Final = (
    "CREATE INDEX IF NOT EXISTS catalogue_search_trigrams ON catalogue_searchword USING gin (word gin_trgm_ops)"
)


def create(connection: Any) -> None:
    """Make what words are found by; entries get theirs from `renew`, when they have all their columns."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(_SQLITE_WORDS)
        elif connection.vendor == "postgresql":
            cursor.execute("CREATE INDEX catalogue_search_start ON catalogue_searchword (word text_pattern_ops)")
            trigrams(connection)


def drop(connection: Any) -> None:
    """Undo `create`; PostgreSQL's indexes go with their tables, and an extension stays: others may use it."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {WORDS}")


def renew(connection: Any) -> None:
    """Make what entries are found by anew. The index is empty afterwards, and is made again from the catalogue."""
    with connection.cursor() as cursor:
        for table in (_ENTRY, "catalogue_searchword", "catalogue_searchfacet"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        if connection.vendor == "sqlite":
            cursor.execute(f"DROP TABLE IF EXISTS {ENTRIES}")
            cursor.execute(_SQLITE_ENTRIES)
            cursor.execute(f"INSERT INTO {WORDS}({WORDS}) VALUES ('delete-all')")  # noqa: S608
        elif connection.vendor == "postgresql":
            cursor.execute("DROP INDEX IF EXISTS catalogue_search_vector")
            for part, text in _VECTORS.items():
                cursor.execute(
                    f"ALTER TABLE {_ENTRY} ADD COLUMN {part}_vector tsvector"
                    f" GENERATED ALWAYS AS (array_to_tsvector(array_remove(string_to_array({text}, ' '), ''))) STORED"
                )
                cursor.execute(f"CREATE INDEX catalogue_search_{part} ON {_ENTRY} USING gin ({part}_vector)")


def unrenew(connection: Any) -> None:
    """Undo `renew`."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"DROP TABLE IF EXISTS {ENTRIES}")
        elif connection.vendor == "postgresql":
            for part in _VECTORS:
                cursor.execute(f"ALTER TABLE {_ENTRY} DROP COLUMN {part}_vector")


def trigrams(connection: Any) -> bool:
    """Make PostgreSQL's index on letter triples if it is not there and can be made; whether it is there."""
    if not trigrams_offered(connection):
        return False
    with connection.cursor() as cursor:
        cursor.execute(_TRIGRAMS)
    return True


def trigrams_there(connection: Any) -> bool:
    """Whether `pg_trgm` is created; cheap, and creates nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")
        return cursor.fetchone() is not None


def trigrams_offered(connection: Any) -> bool:
    """Whether `pg_trgm` is there, created now where this account may."""
    from django.db import DatabaseError, transaction

    with connection.cursor() as cursor:
        cursor.execute("SELECT installed_version FROM pg_available_extensions WHERE name = 'pg_trgm'")
        row = cursor.fetchone()
        if row is None:
            return False
        if row[0] is not None:
            return True
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute("CREATE EXTENSION pg_trgm")
        except DatabaseError:  # not this account's right: the administrator may create it and rebuild
            return False
    return True
