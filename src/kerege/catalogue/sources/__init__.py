"""Reading registers as they are: files and databases, read-only, bounded, with errors that name the place.

`open_source(text)` gives a `Source`; a source hands out `Table`s; a table streams its rows as text. Nothing here writes anywhere.
Files: `delimited` (CSV, TSV), `sheets` (XLSX, ODS). Databases: `databases` (SQLite, PostgreSQL).
"""

from __future__ import annotations

from pathlib import Path

from kerege.catalogue.errors import FormatUnknown, SourceMissing
from kerege.catalogue.sources.base import Limits, Reading, Source, Table

__all__ = ["Limits", "Reading", "Source", "Table", "open_source"]

_DELIMITED = {".csv", ".tsv", ".txt", ".tab"}
_SHEETS = {".xlsx", ".ods", ".xlsm", ".xls", ".xlsb"}
_SERVERS = {"postgresql", "postgres", "mysql", "mariadb", "sqlite"}
_SQLITE = {".sqlite", ".sqlite3", ".db"}


def open_source(text: str, reading: Reading | None = None) -> Source:
    """The source named by a path or a `postgresql://` URL.

    Raises SourceMissing or FormatUnknown. A database is not connected to before its tables are asked for.
    """
    reading = reading or Reading()
    if "://" in text:
        from kerege.catalogue.sources.databases import Database

        if text.split("://", 1)[0].split("+")[0] not in _SERVERS:
            raise FormatUnknown(source=text.split("://", 1)[0] + "://…")
        return Database.at_url(text, reading)
    path = Path(text)
    if not path.is_file():
        raise SourceMissing(source=text, known="")
    ending = path.suffix.casefold()
    if ending in _DELIMITED:
        from kerege.catalogue.sources.delimited import DelimitedFile

        return DelimitedFile(path, reading)
    if ending in _SHEETS:
        from kerege.catalogue.sources.sheets import Workbook

        return Workbook(path, reading)
    with path.open("rb") as file:
        start = file.read(16)
    if ending in _SQLITE or start.startswith(b"SQLite format 3"):
        from kerege.catalogue.sources.databases import Database

        return Database.at_path(path, reading)
    raise FormatUnknown(source=text)
