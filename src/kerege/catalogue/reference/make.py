"""What a reference dataset consists of: made from a code list, a crosswalk or a harmonised table, with where it came from.

The content is text in rows and columns whatever the file format, so its digest is the same for everybody who makes it from the same
sources. A table may hold only columns whose canonical field has a concept that is not about people. Publishing it is `reference`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.errors import ReferenceIncomplete, ReferencePersonal
from kerege.ground.ids import digest
from kerege.semantics.codelists.codelist import BASE
from kerege.semantics.crosswalks.rows import conditions_text
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.pack import Pack

Kind = Literal["codelist", "crosswalk", "table"]
ALWAYS: Final = "always"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `datatype` after CSVW (string, date, boolean, decimal)."""

    name: str
    titles: dict[str, str]
    datatype: str = "string"
    concept: str = ""
    codelist: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "titles": self.titles,
            "datatype": self.datatype,
            "concept": self.concept,
            "codelist": self.codelist,
        }


@dataclass(frozen=True, slots=True)
class Content:
    """Rows of text or nothing, in a fixed order, with the columns that name a row and what all of it was made from."""

    kind: Kind
    subject: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    provenance: dict[str, Any]
    title: dict[str, str]

    @property
    def digest(self) -> str:
        """Of columns, key and rows."""
        return digest([[c.as_dict() for c in self.columns], list(self.key), [list(r) for r in self.rows]])

    def keyed(self) -> dict[tuple[str | None, ...], tuple[str | None, ...]]:
        """Rows by their key."""
        at = [[c.name for c in self.columns].index(k) for k in self.key]
        return {tuple(row[i] for i in at): row for row in self.rows}


def _column(name: str, ky: str, ru: str, en: str, datatype: str = "string", codelist: str = "") -> Column:
    return Column(name, {"ky": ky, "ru": ru, "en": en}, datatype, "", codelist)


def of_codelist(pack: Pack, list_id: str) -> Content:
    """A code list as a table: one row per code. CodeListUnknown when the pack has none of this id."""
    found = pack.codelist(list_id)
    columns = (
        _column("code", "Коду", "Код", "Code", codelist=list_id), _column("ky", "Кыргызча", "На кыргызском", "In Kyrgyz"),
        _column("ru", "Орусча", "На русском", "In Russian"), _column("en", "Англисче", "На английском", "In English"),
        _column("broader", "Жогорку код", "Вышестоящий код", "Broader code", codelist=list_id),
        _column("valid_from", "Күчүнө кирген күнү", "Действует с", "Valid from", "date"),
        _column("valid_to", "Күчү аяктаган күнү", "Действует по", "Valid to", "date"),
    )  # fmt: skip
    rows = tuple(
        (
            c.notation, c.labels.get("ky"), c.labels.get("ru"), c.labels.get("en"), c.broader,
            c.valid_from.isoformat() if c.valid_from else None, c.valid_to.isoformat() if c.valid_to else None,
        )
        for c in sorted(found, key=lambda c: c.notation)
    )  # fmt: skip
    told = {"codelists": {list_id: found.version or digest([c.notation for c in found])[:12]}}
    return Content("codelist", list_id, columns, ("code",), rows, told, _three(found.title, list_id))


def of_crosswalk(pack: Pack, crosswalk_id: str) -> Content:
    """A crosswalk as a table: one row per mapping that translates, with the days and conditions of the record under which it holds.

    `match` says how a record's code is compared with the source's: `exact`, or `folded`, where "m" and " M " are "M" too. `holds` says days and
    conditions in words, `always` without any, so that the same two codes may stand in several rows. CrosswalkUnknown when the pack has none of
    this id.
    """
    found = pack.crosswalk(crosswalk_id)
    columns = (
        _column("source", "Баштапкы код", "Исходный код", "Source code"),
        _column("target", "Максаттуу код", "Целевой код", "Target code", codelist=found.object_source),
        _column("source_label", "Баштапкы аталыш", "Исходное название", "Source label"),
        _column("target_label", "Максаттуу аталыш", "Целевое название", "Target label"),
        _column("predicate", "Байланыш", "Отношение", "Predicate"),
        _column("match", "Кодду салыштыруу", "Сравнение кодов", "How codes are compared"),
        _column("holds", "Качан колдонулат", "Когда действует", "When it holds"),
        _column("valid_from", "Жазуунун күнү: баштап", "Дата записи: с", "Record's day: from", "date"),
        _column("valid_to", "Жазуунун күнү: чейин", "Дата записи: по", "Record's day: to", "date"),
        _column("conditions", "Жазуунун башка маанилери", "Другие значения записи", "Other cells of the record"),
    )
    made: dict[tuple[str, ...], tuple[str | None, ...]] = {}
    for r in found.rows:
        if r.translates and r.object is not None:
            row = (
                r.subject, r.object, r.subject_label or None, r.object_label or None, r.predicate, found.match, r.when or ALWAYS,
                r.valid_from.isoformat() if r.valid_from else None, r.valid_to.isoformat() if r.valid_to else None,
                conditions_text(r.conditions) or None,
            )  # fmt: skip
            key = (r.subject, r.object, r.predicate, r.when)
            made[key] = min(
                made.get(key, row), row, key=lambda r: tuple(x or "" for x in r)
            )  # said twice, with other labels
    rows = tuple(made[key] for key in sorted(made))
    told = {
        "crosswalks": {crosswalk_id: found.version or digest([list(r) for r in rows])[:12]},
        "match": found.match,
        "unmapped_policy": str(found.policy),
    }
    title = {"": found.title or crosswalk_id}
    return Content(
        "crosswalk",
        crosswalk_id,
        columns,
        ("source", "target", "predicate", "holds"),
        rows,
        told,
        _three(title, found.title or crosswalk_id),
    )


def of_table(
    pack: Pack,
    ref_id: str,
    mapping_id: str,
    mapped: Path,
    key: Sequence[str],
    only: Sequence[str] = (),
    source: str = "",
) -> Content:
    """A harmonised table, as `kerege harmonise --mapping` wrote it to `mapped`.

    only   canonical fields to publish; all without it
    Raises ReferencePersonal for a field that is about people or of which nobody says that it is not; ReferenceIncomplete for a key that does
    not name rows.
    """
    mapping = pack.mapping(mapping_id)
    known = {field: concept for concept in load_concepts().values() for field in concept.fields}
    names = [f.name for f in mapping.fields if not only or f.name in only]
    if missing := [n for n in (*only, *key) if n not in names]:
        raise ReferenceIncomplete(ref_id=ref_id, reason=f"the mapping {mapping_id} has no field {', '.join(missing)}")
    columns = []
    for name in names:
        concept = known.get(f"{mapping_id}#{name}")
        if concept is None or concept.personal is not False:
            why = (
                "is about people"
                if concept is not None and concept.personal
                else "has no concept that says it is not about people"
            )
            raise ReferencePersonal(ref_id=ref_id, column=name, why=why)
        columns.append(Column(name, concept.text.as_dict(), "string", concept.id, concept.codelist))
    with mapped.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    rows = tuple(
        sorted((tuple(r.get(n) or None for n in names) for r in read), key=lambda r: tuple(x or "" for x in r))
    )
    at = [names.index(k) for k in key]
    keys = [tuple(r[i] for i in at) for r in rows]
    if not key or len(set(keys)) != len(keys) or any(None in k for k in keys):
        raise ReferenceIncomplete(ref_id=ref_id, reason=f"{', '.join(key) or 'no column'} does not name each row once")
    told = {
        "mapping": {mapping_id: pack.version(mapping_id)}, "source": source,
        "crosswalks": {c: fingerprint(pack.crosswalk(c)) for c in mapping.crosswalks},
        "codelists": {c: pack.codelist(c).version or "unversioned" for c in mapping.codelists},
    }  # fmt: skip
    return Content("table", mapping_id, tuple(columns), tuple(key), rows, told, mapping.title.as_dict())


def fingerprint(walk: Crosswalk) -> str:
    """Of everything that decides what the crosswalk gives: its rules with days and conditions, how codes are compared, and its policy."""
    return digest([walk.compiled.relation(), walk.compiled.cells, walk.match, str(walk.policy)])[:12]


def property_url(column: Column) -> str:
    """What a column means, as an IRI."""
    return f"{BASE}concept/{column.concept}" if column.concept else ""


def _three(found: dict[str, str], otherwise: str) -> dict[str, str]:
    return {lang: found.get(lang) or found.get("") or otherwise for lang in ("ky", "ru", "en")}
