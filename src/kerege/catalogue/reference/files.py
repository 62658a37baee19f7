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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.reference.make import Content, property_url

LEFT_SECONDS: Final = 3600  # what lies aside for longer belongs to nobody any more
CSVW_TYPE: Final = "application/csvm+json"
_FORMATS: Final = {
    ".csv": ("text/csv", "CSV"),
    ".parquet": ("application/vnd.apache.parquet", "PARQUET"),
    ".json": ("application/json", "JSON"),
}


@dataclass(slots=True)
class Prepared:
    """Every file of a version, written aside; `told` is the list of them as `ReferenceVersion.files` keeps it."""

    aside: Path
    target: Path
    told: list[dict[str, Any]]
    standing: bool = False

    def put(self) -> None:
        """Give the files their place, whole, in the transaction that holds the version's row and before it ends.

        What lies there already nobody refers to, for the row is ours and new: it is left over from somebody who was cut off before the end.
        """
        left = self.target.with_name(f"{self.aside.name}.left")
        if self.target.exists():
            os.rename(self.target, left)
        os.rename(self.aside, self.target)
        self.standing = True
        _synced(self.target.parent)
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def prepared(
    folder: Path, ref_id: str, version: str, content: Content, described: dict[str, Any]
) -> Iterator[Prepared]:
    """Write every file of a version aside, beside its place `folder`/ref_id/version; gone again when what it is for fails."""
    home = folder / ref_id
    home.mkdir(parents=True, exist_ok=True)
    _swept(home)
    aside = Path(tempfile.mkdtemp(prefix=f".{version}.", dir=home))
    files = Prepared(aside, home / version, [])
    try:
        (aside / f"{ref_id}.csv").write_bytes(csv_bytes(content))
        (aside / f"{ref_id}.csv-metadata.json").write_bytes(_json(csvw(ref_id, version, content, described)))
        (aside / f"{ref_id}.json").write_bytes(_json(as_json(ref_id, version, content, described)))
        _parquet(aside / f"{ref_id}.parquet", content)
        files.told = [_described(path) for path in sorted(aside.iterdir())]
        for path in aside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        _synced(aside)
        yield files
    except BaseException:
        shutil.rmtree(files.target if files.standing else aside, ignore_errors=True)
        raise


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swept(home: Path) -> None:
    """What was written aside and never put, by somebody who was cut off: gone once it is older than any run takes."""
    for path in home.iterdir():
        if path.name.startswith(".") and time.time() - path.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


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
