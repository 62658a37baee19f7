"""Versions of code lists and crosswalks in the catalogue: imported whole, compared with the version before, published by the life cycle.

A version is checked before it is kept (`semantics.integrity`, `Crosswalk.require_single`) and never changes afterwards: another content under the
same number is refused. Importing binds nobody; publishing does, and is `lifecycle.act` on the kinds "codelist" and "crosswalk" with the
conditions below (`CONDITIONS` names them). What a version would break is `impact`'s question, asked with `changes_to`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from kerege.catalogue.errors import CodeListRefused, CodeListVersionTaken, CodeListVersionUnknown
from kerege.catalogue.lifecycle_rules import Subject
from kerege.catalogue.models import CodeListVersion, CrosswalkVersion
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.semantics.codelist import CodeList, Finding
from kerege.semantics.codelists_diff import CodeChange, diff_codelists
from kerege.semantics.codelists_skos import read_rdf, write_turtle
from kerege.semantics.crosswalk import Crosswalk, parse_sssom, write_sssom
from kerege.semantics.integrity import check_list

CODELIST, CROSSWALK = "codelist", "crosswalk"
UNVERSIONED: Final = "1"
_MOST_REASONS: Final = 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `new` False when this very content was there already; `changes` against the version before (`follows`)."""

    id: str
    version: str
    new: bool
    codes: int
    follows: str
    changes: tuple[CodeChange, ...]
    warnings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "version": self.version, "new": self.new, "codes": self.codes, "follows": self.follows,
            "changes": [c.as_dict() for c in self.changes], "warnings": [w.as_dict() for w in self.warnings],
        }  # fmt: skip


@transaction.atomic
def import_codelist(
    codelist: CodeList, by: str, now: datetime, *, origin: str = "", findings: Sequence[Finding] = ()
) -> Imported:
    """Keep `codelist` as a version; returns what it changes against the newest one before.

    by       post or unit that imports
    origin   file name and format, for the record
    findings what the file itself shows (`codelists_files.file_findings`): reading a graph may lose it

    Raises CodeListRefused for a list with errors (the loop, the repeated notation, ...) and CodeListVersionTaken for another content under
    a number that is taken. The same content again is no error and writes nothing.
    """
    version = codelist.version or UNVERSIONED
    kept = replace(codelist, version=version)
    told = {(f.code, f.notation) for f in findings}
    found = [*findings, *(replace(f, iri="") for f in check_list(kept) if (f.code, f.notation) not in told)]
    errors = [f for f in found if f.severity == "error"]
    if errors:
        raise CodeListRefused(list=codelist.id, version=version, errors=len(errors), first=str(errors[0]))
    newest = _newest(CodeListVersion, list_id=codelist.id)
    before = load_codelist(codelist.id, newest.version) if newest is not None else None
    if not kept.follows and newest is not None and newest.version != version:
        kept = replace(kept, follows=newest.version)
    content = write_turtle(kept)
    there = CodeListVersion.objects.filter(list_id=codelist.id, version=version).first()
    changes = diff_codelists(before, kept) if before is not None else ()
    warnings = tuple(f for f in found if f.severity == "warning")
    if there is not None:
        differing = diff_codelists(load_codelist(codelist.id, version), kept)
        if differing:
            raise CodeListVersionTaken(list=codelist.id, version=version, changes=len({c.notation for c in differing}))
        return Imported(codelist.id, version, False, len(kept), there.follows, (), warnings)
    try:
        with transaction.atomic():
            CodeListVersion.objects.create(
                list_id=codelist.id, version=version, follows=kept.follows, title=kept.title, codes=len(kept),
                digest=digest(content.decode()), content=content.decode(), origin=origin[:300], imported_by=by,
                imported_at=require_utc(now),
            )  # fmt: skip
    except IntegrityError as error:  # somebody imported this number at the same moment
        raise CodeListVersionTaken(list=codelist.id, version=version, changes="?") from error
    return Imported(codelist.id, version, True, len(kept), kept.follows, changes, warnings)


@transaction.atomic
def import_crosswalk(crosswalk: Crosswalk, by: str, now: datetime) -> bool:
    """Keep `crosswalk` as a version; False when this very content is there already.

    Raises CrosswalkTwice (a code mapped twice on one date, with both rows) and CodeListVersionTaken.
    """
    crosswalk.require_single()
    version = crosswalk.version or UNVERSIONED
    content = write_sssom(replace(crosswalk, version=version)).decode()
    there = CrosswalkVersion.objects.filter(crosswalk=crosswalk.id, version=version).first()
    if there is not None:
        if there.digest != digest(content):
            raise CodeListVersionTaken(list=crosswalk.id, version=version, changes="some")
        return False
    CrosswalkVersion.objects.create(
        crosswalk=crosswalk.id, version=version, subject_source=crosswalk.subject_source[:300],
        object_source=crosswalk.object_source[:300], policy=str(crosswalk.policy), rows=len(crosswalk.rows),
        digest=digest(content), content=content, imported_by=by, imported_at=require_utc(now),
    )  # fmt: skip
    return True


def _newest(model: Any, **which: str) -> Any:
    return model.objects.filter(**which).order_by("-imported_at", "-id").first()


def load_codelist(list_id: str, version: str = "") -> CodeList:
    """A version of a list as it was imported; without `version` the newest. CodeListVersionUnknown lists what is there."""
    rows = CodeListVersion.objects.filter(list_id=list_id)
    row = rows.filter(version=version).first() if version else _newest(CodeListVersion, list_id=list_id)
    if row is None:
        known = ", ".join(rows.order_by("id").values_list("version", flat=True)) or "no version of it"
        raise CodeListVersionUnknown(kind=CODELIST, id=list_id, version=version or "(any)", known=known)
    return read_rdf(row.content.encode(), f"{list_id}@{row.version}")


def load_crosswalk(crosswalk: str, version: str = "") -> Crosswalk:
    """A version of a crosswalk as it was imported; without `version` the newest."""
    rows = CrosswalkVersion.objects.filter(crosswalk=crosswalk)
    row = rows.filter(version=version).first() if version else _newest(CrosswalkVersion, crosswalk=crosswalk)
    if row is None:
        known = ", ".join(rows.order_by("id").values_list("version", flat=True)) or "no version of it"
        raise CodeListVersionUnknown(kind=CROSSWALK, id=crosswalk, version=version or "(any)", known=known)
    return parse_sssom(row.content, f"{crosswalk}@{row.version}")


def changes_to(list_id: str, version: str) -> tuple[CodeChange, ...]:
    """What `version` changes against the version it follows, for `impact`; nothing for a first version."""
    new = load_codelist(list_id, version)
    return diff_codelists(load_codelist(list_id, new.follows), new) if new.follows else ()


def codelist_missing(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a code list can't be submitted: it is not there."""
    return _missing(lambda: load_codelist(subject.id, subject.version))


def crosswalk_missing(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a crosswalk can't be submitted: it is not there."""
    return _missing(lambda: load_crosswalk(subject.id, subject.version))


def _missing(load: Callable[[], object]) -> Sequence[str]:
    try:
        load()
    except CodeListVersionUnknown as error:
        return (error.text,)
    return ()


def codelist_reasons(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a code list can't be published: it is not there, has errors, or a code lacks a label in ky, ru or en."""
    try:
        found = load_codelist(subject.id, subject.version)
    except CodeListVersionUnknown as error:
        return (error.text,)
    against = [f for f in check_list(found) if f.severity == "error" or f.code == "label_missing"]
    told = [f"{f.code} {f.notation}: {f.message}" for f in against[:_MOST_REASONS]]
    return (*told, f"and {len(against) - _MOST_REASONS} more") if len(against) > _MOST_REASONS else told


def crosswalk_reasons(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a crosswalk can't be published: it is not there, maps a code twice, leaves codes undecided, or leads out of its list."""
    from kerege.catalogue.crosswalks import open_codes

    try:
        found = load_crosswalk(subject.id, subject.version)
    except CodeListVersionUnknown as error:
        return (error.text,)
    told = [f"{f.code} {f.notation}: {f.message}" for f in found.check() if f.severity == "error"]
    if waiting := len(open_codes(found)):
        told.append(f"{waiting} codes are still open: kerege crosswalk open")
    if CodeListVersion.objects.filter(list_id=found.object_source).exists():
        target = load_codelist(found.object_source)
        led = {rule.target for rules in found.compiled.rules.values() for rule in rules}
        gone = sorted(code for code in led if code not in target)
        told += [
            f"it leads to {code}, which {target.id} {target.version} does not have" for code in gone[:_MOST_REASONS]
        ]
    return told[: _MOST_REASONS + 1]
