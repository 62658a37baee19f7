"""The files of a reference dataset's version: CSV with its CSVW metadata, Parquet and JSON, written whole or not at all.

CSVW: "Metadata Vocabulary for Tabular Data" and "Model for Tabular Data" (W3C Recommendations, 2015): `<name>.csv` in RFC 4180 with a
header, and `<name>.csv-metadata.json`, where CSVW's standard path looks for it. The same content gives the same bytes of CSV and JSON.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.errors import OutputExists
from kerege.catalogue.reference_make import Content, property_url

CSVW_TYPE: Final = "application/csvm+json"
_FORMATS: Final = {
    ".csv": ("text/csv", "CSV"),
    ".parquet": ("application/vnd.apache.parquet", "PARQUET"),
    ".json": ("application/json", "JSON"),
}


def write(folder: Path, ref_id: str, version: str, content: Content, described: dict[str, Any]) -> list[dict[str, Any]]:
    """Write every file of a version into `folder`/ref_id/version; the list of files as `ReferenceVersion.files` keeps it.

    Raises OutputExists when the version's folder is there: a published version is never written again.
    """
    home = folder / ref_id
    home.mkdir(parents=True, exist_ok=True)
    target = home / version
    if target.exists():
        raise OutputExists(path=str(target))
    aside = Path(tempfile.mkdtemp(prefix=f".{version}.", dir=home))
    try:
        data = csv_bytes(content)
        (aside / f"{ref_id}.csv").write_bytes(data)
        (aside / f"{ref_id}.csv-metadata.json").write_bytes(_json(csvw(ref_id, version, content, described)))
        (aside / f"{ref_id}.json").write_bytes(_json(as_json(ref_id, version, content, described)))
        _parquet(aside / f"{ref_id}.parquet", content)
        files = [_described(path) for path in sorted(aside.iterdir())]
        for path in aside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        os.rename(aside, target)  # onto a folder that is not there: of two who publish at once, one fails
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if target.exists():
            raise OutputExists(path=str(target)) from error
        raise
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return files


def csv_bytes(content: Content) -> bytes:
    """The rows as CSV; nothing is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([c.name for c in content.columns])
    writer.writerows([["" if v is None else v for v in row] for row in content.rows])
    return out.getvalue().encode()


def csvw(ref_id: str, version: str, content: Content, described: dict[str, Any]) -> dict[str, Any]:
    """The CSVW metadata of the CSV."""
    columns = []
    for column in content.columns:
        told: dict[str, Any] = {"name": column.name, "titles": column.name, "datatype": column.datatype, "null": ""}
        told["dc:title"] = [{"@value": w, "@language": lang} for lang, w in column.titles.items()]
        if url := property_url(column):
            told["propertyUrl"] = url
        if column.name in content.key:
            told["required"] = True
        columns.append(told)
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": f"{ref_id}.csv",
        "dc:title": [{"@value": w, "@language": lang} for lang, w in described["title"].items()],
        "dc:description": [{"@value": w, "@language": lang} for lang, w in described["description"].items()],
        "dc:publisher": described["organisation"],
        "dc:identifier": f"{ref_id}/{version}",
        "dialect": {"encoding": "utf-8", "delimiter": ",", "header": True, "lineTerminators": ["\r\n", "\n"]},
        "tableSchema": {"columns": columns, "primaryKey": list(content.key)},
    }


def as_json(ref_id: str, version: str, content: Content, described: dict[str, Any]) -> dict[str, Any]:
    """What a data service over the exchange answers."""
    names = [c.name for c in content.columns]
    return {
        "id": ref_id, "version": version, "digest": content.digest, "title": described["title"], "key": list(content.key),
        "columns": [c.as_dict() for c in content.columns], "provenance": content.provenance,
        "items": [dict(zip(names, row, strict=True)) for row in content.rows],
    }  # fmt: skip


def _parquet(path: Path, content: Content) -> None:
    import polars as pl

    named = {c.name: [row[n] for row in content.rows] for n, c in enumerate(content.columns)}
    pl.DataFrame(named, schema={c.name: pl.String for c in content.columns}).write_parquet(path, compression="zstd")


def _described(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    if path.name.endswith(".csv-metadata.json"):
        media, kind = CSVW_TYPE, "JSON_LD"
    else:
        media, kind = _FORMATS[path.suffix]
    return {
        "name": path.name,
        "media_type": media,
        "format": kind,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"
