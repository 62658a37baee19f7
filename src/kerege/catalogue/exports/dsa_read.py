"""Reading a DSA manifest: what another country's tool knows of a register becomes models, code lists and crosswalks of ours.

Tabular CSV as Spinta and data.gov.lt write it, in bounds and with the line of what cannot be read. Access is inherited downwards as DSA has it
(a property's own, else its model's, dataset's, `protected`). Nothing goes into the catalogue by this; the steward decides what to take over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kerege.catalogue.errors import ManifestInvalid
from kerege.catalogue.files import written_whole

MOST_BYTES: Final = 50_000_000
MOST_ROWS: Final = 500_000
_ACCESS: Final = ("private", "protected", "public", "open")


@dataclass(frozen=True, slots=True)
class Item:
    """One value of an enum: the register's code, what it means, its wording."""

    source: str
    prepare: str
    title: str


@dataclass(slots=True)
class Property:
    name: str
    type: str
    ref: str
    source: str
    access: str
    level: str
    uri: str
    title: str
    prepare: str = ""  # a formula that makes the value; it is kept as it stands and never run
    enum: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """A model with the dataset and resource it stands in."""

    name: str
    source: str
    title: str
    resource: str
    properties: list[Property] = field(default_factory=list)


@dataclass(slots=True)
class Manifest:
    models: list[Model] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "name": m.name, "source": m.source, "title": m.title, "resource": m.resource,
                    "properties": [
                        {
                            "name": p.name, "type": p.type, "ref": p.ref, "source": p.source, "access": p.access, "level": p.level, "uri": p.uri,
                            "title": p.title, "enum": [{"source": i.source, "prepare": i.prepare, "title": i.title} for i in p.enum],
                        }
                        for p in m.properties
                    ],
                }
                for m in self.models
            ]
        }  # fmt: skip


def read(path: Path) -> Manifest:
    """The manifest in a CSV file; ManifestInvalid names the file, line and reason."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestInvalid(file=path.name, line="-", reason="there is no such file") from error
    if len(data) > MOST_BYTES:
        raise ManifestInvalid(file=path.name, line="-", reason=f"it has more than {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestInvalid(file=path.name, line="-", reason=f"byte {error.start} is not UTF-8") from error
    return parse(text, path.name)


def parse(text: str, name: str = "(manifest)") -> Manifest:
    """The manifest in a text."""
    found, at = Manifest(), _Place()
    for number, row in _lines(text, name):
        if row["dataset"]:
            at = _Place(dataset=row["dataset"], access=row["access"])
        elif row["resource"]:
            at.resource = row["resource"]
        elif row["model"]:
            model = row["model"] if "/" in row["model"] or not at.dataset else f"{at.dataset}/{row['model']}"
            at.model = Model(model, row["source"], row["title"], at.resource)
            at.model_access, at.property, at.enum = row["access"] or at.access, None, False
            found.models.append(at.model)
        elif row["property"]:
            if at.model is None:
                raise ManifestInvalid(
                    file=name, line=number, reason=f"the property {row['property']} stands before any model"
                )
            access = row["access"] or at.model_access or "protected"
            if access not in _ACCESS:
                raise ManifestInvalid(
                    file=name, line=number, reason=f"access is one of {', '.join(_ACCESS)}, not {access!r}"
                )
            at.property = Property(
                row["property"],
                row["type"],
                row["ref"],
                row["source"],
                access,
                row["level"],
                row["uri"],
                row["title"],
                row["prepare"],
            )
            at.model.properties.append(at.property)
            at.enum = False
        elif row["type"] == "enum" or (at.enum and not row["type"] and (row["source"] or row["prepare"])):
            at.enum = True
            if at.property is not None:
                at.property.enum.append(Item(row["source"], _value(row["prepare"], name, number), row["title"]))
        elif row["type"]:
            at.enum = False
    return found


@dataclass(slots=True)
class _Place:
    dataset: str = ""
    access: str = ""
    resource: str = ""
    model: Model | None = None
    model_access: str = ""
    property: Property | None = None
    enum: bool = False


def _lines(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text))
    needed = {"dataset", "resource", "model", "property", "type", "ref", "source", "prepare", "access", "title"}
    heads = set(reader.fieldnames or ())
    if missing := needed - heads:
        raise ManifestInvalid(file=name, line=1, reason=f"columns are missing: {', '.join(sorted(missing))}")
    try:
        for count, row in enumerate(reader):
            if count >= MOST_ROWS:
                raise ManifestInvalid(file=name, line=reader.line_num, reason=f"it has more than {MOST_ROWS} rows")
            if None in row or None in row.values():
                raise ManifestInvalid(file=name, line=reader.line_num, reason="it has not as many cells as the header")
            filled = {k: (row.get(k) or "").strip() for k in (*needed, "level", "uri")}
            yield reader.line_num, filled
    except csv.Error as error:
        raise ManifestInvalid(file=name, line=reader.line_num, reason=f"it is not CSV ({error})") from error


def _value(prepare: str, name: str, number: int) -> str:
    """An enum's meaning: a quoted text, a number or a truth value; formulas are not run."""
    raw = prepare.strip()
    if len(raw) >= 2 and raw[0] == raw[-1] and raw[0] in "\"'":
        return raw[1:-1]
    if any(c in raw for c in "()|&"):
        raise ManifestInvalid(file=name, line=number, reason="an enum's prepare is a value, formulas are not run")
    return raw


def write_codelists(manifest: Manifest, folder: Path) -> list[Path]:
    """One CSV per enum (notation, en), as `kerege codelist` reads it; its crosswalk's codes in `alt`. Existing files are left as they are."""
    written = []
    for model in manifest.models:
        for one in model.properties:
            if not one.enum:
                continue
            path = folder / f"{model.name.replace('/', '-').lower()}-{one.name}.csv"
            meanings: dict[str, list[Item]] = {}
            for item in one.enum:
                meanings.setdefault(item.prepare or item.source, []).append(item)
            with written_whole(path) as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["notation", "en", "alt"])
                for notation, items in meanings.items():
                    writer.writerow(
                        [
                            notation,
                            items[0].title or notation,
                            "|".join(i.source for i in items if i.source and i.source != notation),
                        ]
                    )
            written.append(path)
    return written
