"""Reading registers as they are: files, databases, descriptions and exchange nodes; read-only, bounded, errors that name the place.

`open_source(text)` gives a `Source`; a source hands out `Table`s; a table streams its rows as text, or is described without any. Nothing here
writes anywhere. Files: `delimited` (CSV, TSV), `sheets` (XLSX, ODS), `lake` (DuckDB, Parquet). Databases: `databases` (SQLite), `postgres`,
`mysql`. Descriptions: `openapi`, `wsdl`. Exchange nodes: `nodes`. What a reading cost its source: `cost`.
"""

from __future__ import annotations

from pathlib import Path

from kerege.catalogue.errors import FormatUnknown, SourceMissing
from kerege.catalogue.sources.base import Limits, Reading, Source, Table

__all__ = ["Limits", "Reading", "Source", "Table", "open_source"]

_DELIMITED = {".csv", ".tsv", ".txt", ".tab"}
_SHEETS = {".xlsx", ".ods", ".xlsm", ".xls", ".xla", ".xlsb"}  # the last three are refused there, with what to do
_SERVERS = {"postgresql", "postgres", "mysql", "mariadb", "sqlite"}
_SQLITE = {".sqlite", ".sqlite3", ".db"}
_DUCKDB = {".duckdb", ".ddb"}
_DOCUMENTS = {".json", ".yaml", ".yml"}
_XML = {".wsdl", ".xml"}


def open_source(text: str, reading: Reading | None = None) -> Source:
    """The source named by a path, a `postgresql://` or `mysql://` URL, or `node://` and the path of a node's file.

    Raises SourceMissing or FormatUnknown. A database is not connected to before its tables are asked for.
    """
    reading = reading or Reading()
    scheme = text.partition("://")[0].partition("+")[0] if "://" in text else ""
    if scheme == "node":
        from kerege.catalogue.sources.nodes import Node

        return Node(Path(text.partition("://")[2]), reading)
    if scheme:
        from kerege.catalogue.sources.databases import Database

        if scheme not in _SERVERS:
            raise FormatUnknown(source=f"{scheme}://…")
        return Database.at_url(text, reading)
    path = Path(text)
    if path.is_dir():
        from kerege.catalogue.sources.lake import ParquetFiles

        return ParquetFiles(path, reading)
    if not path.is_file():
        raise SourceMissing(source=text, known="")
    return _file(path, path.suffix.casefold(), reading)


def _file(path: Path, ending: str, reading: Reading) -> Source:
    if ending in _DELIMITED:
        from kerege.catalogue.sources.delimited import DelimitedFile

        return DelimitedFile(path, reading)
    if ending in _SHEETS:
        from kerege.catalogue.sources.sheets import Workbook

        return Workbook(path, reading)
    if ending in _DOCUMENTS:
        from kerege.catalogue.sources.openapi import OpenApi

        return OpenApi(path, reading)
    if ending in _XML:
        from kerege.catalogue.sources.wsdl import Wsdl

        return Wsdl(path, reading)
    with path.open("rb") as file:
        start = file.read(16)
    if ending in _DUCKDB or start[8:12] == b"DUCK":
        from kerege.catalogue.sources.lake import DuckFile

        return DuckFile(path, reading)
    if ending == ".parquet" or start.startswith(b"PAR1"):
        from kerege.catalogue.sources.lake import ParquetFiles

        return ParquetFiles(path, reading)
    if ending in _SQLITE or start.startswith(b"SQLite format 3"):
        from kerege.catalogue.sources.databases import Database

        return Database.at_path(path, reading)
    raise FormatUnknown(source=str(path))
