# ruff: noqa: RUF012 - class attributes as Django writes them
"""No instant with two owners of an attribute, or two sources of truth of a concept, whoever writes: the database itself refuses.

PostgreSQL has exclusion constraints; ranges of one number stand for "the same" there, so that no extension is needed. SQLite has triggers.
A later migration that remakes one of the two tables on SQLite must make its triggers again (tests/catalogue/test_ownership.py notices).
"""

from typing import Any

from django.db import migrations

_TABLES = {
    "catalogue_owner": ("field_id", "int8range(field_id, field_id, '[]')"),
    "catalogue_sourceoftruth": (
        "concept",
        "numrange(hashtextextended(concept, 0), hashtextextended(concept, 0), '[]')",
    ),
}


def guard(apps: Any, schema_editor: Any) -> None:
    for table, (key, same) in _TABLES.items():
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_no_overlap"
                f" EXCLUDE USING gist ({same} WITH &&, tstzrange(since, until) WITH &&)"
            )
        elif schema_editor.connection.vendor == "sqlite":
            for when in ("INSERT", "UPDATE OF since, until"):
                name = f"{table}_no_overlap_{when.split()[0].lower()}"
                schema_editor.execute(
                    f"CREATE TRIGGER {name} BEFORE {when} ON {table} WHEN EXISTS ("  # noqa: S608 - names of our own
                    f"SELECT 1 FROM {table} o WHERE o.{key} = NEW.{key} AND o.id IS NOT NEW.id"
                    " AND (o.until IS NULL OR o.until > o.since) AND (NEW.until IS NULL OR NEW.until > NEW.since)"
                    " AND (o.until IS NULL OR NEW.since < o.until) AND (NEW.until IS NULL OR o.since < NEW.until)"
                    f") BEGIN SELECT RAISE(ABORT, '{table}_no_overlap'); END"
                )


def unguard(apps: Any, schema_editor: Any) -> None:
    for table in _TABLES:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_no_overlap")
        elif schema_editor.connection.vendor == "sqlite":
            for when in ("insert", "update"):
                schema_editor.execute(f"DROP TRIGGER {table}_no_overlap_{when}")


class Migration(migrations.Migration):
    dependencies = [("catalogue", "0005_codes_and_decisions")]
    operations = [migrations.RunPython(guard, unguard)]
