"""A DSA manifest as drafts for a country pack: code lists, crosswalks and mappings in a new folder, and a list of what was left out.

    codelists/rc-street-kind.csv          what a property's enum can mean
    crosswalks/street-kind--kind.sssom.tsv   the register's codes to those
    mappings/rc.street.yaml               the model: every property that has a column
    left-out.txt                          what DSA says and a mapping cannot, property by property

A draft is where a steward begins: wordings are English only, codes nobody listed are put aside (`quarantine`), a list that is the same as one of the
pack's is not recognised. Every file was read back by its own reader before the folder appears; it appears whole or not at all.
Source: DSA specification 1.1 (ivpk, data.gov.lt), types and enums.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from kerege.catalogue.errors import OutputExists
from kerege.catalogue.exports.dsa_read import Item, Manifest, Model, Property
from kerege.ground.errors import KeregeError
from kerege.semantics.codelists.tables import read_csv
from kerege.semantics.crosswalks.mapping_set import Crosswalk
from kerege.semantics.crosswalks.rows import Row
from kerege.semantics.crosswalks.sssom import parse_sssom, write_sssom
from kerege.semantics.mappings.documents import RESERVED, read_mapping

UNSPECIFIED: Final = "semapv:UnspecifiedMatching"  # a manifest does not say how its enums were found
_AS_IS: Final = frozenset(
    {"string", "text", "url", "uri", "ref", "boolean", "datetime", "time", "temporal", "any", "uuid", "number", ""}
)
_STEPS: Final[dict[str, Any]] = {"integer": "number", "date": {"parse_date": "yyyy-mm-dd"}}
_TOLD: Final = {
    "ref": "a reference to {ref} stays the register's own key",
    "boolean": "truth values stay as the register writes them",
    "datetime": "moments stay as the register writes them",
    "time": "moments stay as the register writes them",
    "temporal": "moments stay as the register writes them",
}


@dataclass(slots=True)
class Draft:
    """Files by their path in the folder, and what was left out, a line each."""

    files: dict[str, bytes] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> None:
        if path in self.files:
            self.left.append(f"{path}: another model or property comes to the same name; the first one was kept")
        else:
            self.files[path] = data


def draft(manifest: Manifest) -> Draft:
    """The files that `manifest` comes to; nothing is written."""
    found = Draft()
    for model in manifest.models:
        _model(found, model)
    return found


def write(manifest: Manifest, folder: Path) -> Draft:
    """Write the drafts into `folder`, which must not be there yet (OutputExists), together with `left-out.txt`."""
    if folder.exists():
        raise OutputExists(path=str(folder))
    found = draft(manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for path, data in found.files.items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_bytes(data)
        for made in sorted(aside.glob("*/*")):
            try:
                _read_back(made)
            except KeregeError as error:
                name = str(made.relative_to(aside))
                found.left.append(f"{name}: {error.text}")
                del found.files[name]
                made.unlink()
        (aside / "left-out.txt").write_text("".join(f"{line}\n" for line in found.left), encoding="utf-8")
        aside.chmod(0o755)
        try:
            os.rename(aside, folder)
        except OSError as error:
            if folder.exists():  # somebody made it meanwhile
                raise OutputExists(path=str(folder)) from error
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _read_back(path: Path) -> None:
    if path.suffix == ".yaml":
        read_mapping(path)
    elif path.suffix == ".csv":
        prefix, _, name = path.stem.partition("-")
        read_csv(path, f"{prefix}:{name}")
    else:
        parse_sssom(path.read_text("utf-8"), path.name)


def mapping_id(model: str) -> str:
    """The id a model's mapping gets; `exports.dsa` goes the other way.

    >>> mapping_id("datasets/gov/kg/education/Pupil"), mapping_id("datasets/gov/kg/application/Application"), mapping_id("City")
    ('kg:education.pupil', 'kg:application', 'dsa:city')
    """
    parts = [_plain(p) for p in model.removeprefix("datasets/").removeprefix("gov/").split("/")]
    prefix, *rest = parts if len(parts) > 1 else ["dsa", *parts]
    if len(rest) > 1 and rest[-1] == rest[-2]:
        rest.pop()
    return f"{prefix.replace('_', '')}:{'.'.join(rest)}"


def _plain(name: str) -> str:
    small = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return re.sub(r"[^a-z0-9]+", "_", small).strip("_") or "x"


def _model(found: Draft, model: Model) -> None:
    this = mapping_id(model.name)
    names = Counter(p.name.lower() for p in model.properties)
    cells: dict[str, str] = {}
    fields: dict[str, Any] = {}
    for one in model.properties:
        why = _unsaid(one, names)
        if why:
            found.left.append(f"{model.name}/{one.name}: {why}")
            continue
        steps: list[Any] = [{"field": one.name}]
        if one.enum:
            crosswalk = _enum(found, this, model, one)
            steps += ["trim", {"recode": crosswalk}] if crosswalk else []
        elif one.type in _STEPS:
            steps.append(_STEPS[one.type])
        elif one.type in _TOLD:
            found.left.append(f"{model.name}/{one.name}: {_TOLD[one.type].format(ref=one.ref or 'another model')}")
        cells[one.name], fields[one.name] = one.source, steps
    if not fields:
        found.left.append(f"{model.name}: no property of it has a column that can be read, so there is no mapping")
        return
    title = model.title or model.name.rsplit("/", 1)[-1]
    document = {
        "id": this, "version": "draft", "title": {"ky": title, "ru": title, "en": title},
        "source": {"format": "csv", "cells": cells}, "fields": fields,
    }  # fmt: skip
    told = f"# A draft out of a DSA manifest: {model.name}, read from {model.source or 'no table'}. Check it, translate it, then move it.\n"
    body = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=140)
    found.add(f"mappings/{this.partition(':')[2]}.yaml", (_one_line(told) + "\n" + body).encode())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unsaid(one: Property, names: Counter[str]) -> str:
    """Why a property is not in the mapping; "" when it is."""
    if one.prepare and not one.enum:
        return "it is computed by a formula, and formulas are not taken over"
    if not one.source:
        return "it has no column of its own"
    if one.type not in _AS_IS and one.type not in _STEPS:
        return f"there is no counterpart to the type {one.type}"
    if names[one.name.lower()] > 1:
        return "another property has the same name but for its capitals"
    if one.name.lower() in RESERVED:
        return "the name is kept for a result's own columns"
    return ""


def _enum(found: Draft, this: str, model: Model, one: Property) -> str:
    """Write an enum's code list and crosswalk; the crosswalk's id, or "" when it could not be made."""
    where = f"{model.name}/{one.name}"
    prefix, _, short = this.partition(":")
    stem = f"{short.replace('.', '-')}-{_plain(one.name)}".replace("_", "-")
    list_id, source = f"{prefix}:{stem}", f"{prefix}:{stem}-source"
    meanings: dict[str, list[Item]] = {}
    rows: list[Row] = []
    for item in one.enum:
        target = item.prepare or item.source
        if not item.source.strip():
            found.left.append(
                f"{where}: what an empty cell means ({target or 'nothing'}) is for a rule, not for a code"
            )
            continue
        meanings.setdefault(target, []).append(item)
        rows.append(Row(item.source, target, justification=UNSPECIFIED, object_label=_one_line(item.title)))
    try:
        crosswalk = Crosswalk(
            f"{prefix}:{stem}--{stem}", tuple(_once(rows)), source, list_id, title=_one_line(one.title or where), version="draft"
        )  # fmt: skip
        crosswalk.require_single()
        data = write_sssom(crosswalk, f"{_plain(one.name)}-source", _plain(one.name))
    except KeregeError as error:
        found.left.append(f"{where}: its enum makes no crosswalk: {error.text}")
        return ""
    found.add(f"codelists/{prefix}-{stem}.csv", _codelist(meanings))
    found.add(f"crosswalks/{stem}.sssom.tsv", data)
    return crosswalk.id


def _codelist(meanings: dict[str, list[Item]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["notation", "en"])
    for notation, items in meanings.items():
        writer.writerow([notation, next((i.title for i in items if i.title), notation)])
    return out.getvalue().encode()


def _once(rows: list[Row]) -> Iterator[Row]:
    """A code that is told twice with the same meaning is told once."""
    seen: set[tuple[str, str | None]] = set()
    for row in rows:
        if (row.subject, row.object) not in seen:
            seen.add((row.subject, row.object))
            yield row
