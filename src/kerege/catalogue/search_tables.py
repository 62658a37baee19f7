"""The tables behind the search index that models cannot describe: FTS5 on SQLite, expression and trigram indexes on PostgreSQL.

SQLite: two external-content FTS5 tables over the rows of `models.search`: entries by word (`unicode61`), words by letter triples
(`trigram`). PostgreSQL: a GIN index over `to_tsvector('simple', ...)`, and over words by `pg_trgm` where the server has that extension and
lets this account create it; where not, words are compared within their first two letters (`search_engines`). Called by the migration.
"""

from __future__ import annotations

from typing import Any, Final

ENTRIES: Final = "catalogue_search_entries"
WORDS: Final = "catalogue_search_words"

_SQLITE: Final = (
    f"CREATE VIRTUAL TABLE {ENTRIES} USING fts5(head, body, content='catalogue_searchentry', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 0', prefix='2 3')",
    f"CREATE VIRTUAL TABLE {WORDS} USING fts5(word, content='catalogue_searchword', content_rowid='id', tokenize='trigram')",
)
VECTOR: Final = "setweight(to_tsvector('simple', head), 'A') || setweight(to_tsvector('simple', body), 'C')"
_POSTGRESQL: Final = (
    f"CREATE INDEX catalogue_search_vector ON catalogue_searchentry USING gin (({VECTOR}))",
    "CREATE INDEX catalogue_search_start ON catalogue_searchword (word text_pattern_ops)",
)


def create(connection: Any) -> None:
    """Make the tables and indexes of this database's kind."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for statement in _SQLITE:
                cursor.execute(statement)
        elif connection.vendor == "postgresql":
            for statement in _POSTGRESQL:
                cursor.execute(statement)
            if trigrams_offered(connection):
                cursor.execute(
                    "CREATE INDEX catalogue_search_trigrams ON catalogue_searchword USING gin (word gin_trgm_ops)"
                )


def drop(connection: Any) -> None:
    """Undo `create`; PostgreSQL's indexes go with their tables, and an extension stays: others may use it."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for table in (ENTRIES, WORDS):
                cursor.execute(f"DROP TABLE IF EXISTS {table}")


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
