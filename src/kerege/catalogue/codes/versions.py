"""Versions of code lists and crosswalks in the catalogue: imported whole, compared with the version before, published by the life cycle.

A version is checked before it is kept (`semantics.codelists.integrity`, `Crosswalk.require_single`) and never changes afterwards: another content
under the same number is refused. Importing binds nobody; publishing does, and is `lifecycle.act` on the kinds "codelist" and "crosswalk" with the
conditions below (`lifecycle.kinds` names them). What a version would break is `impact`'s question, asked with `changes_to`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from kerege.catalogue.errors import CodeListRefused, CodeListVersionTaken, CodeListVersionUnknown, CrosswalkBroken
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import CodeDecision, CodeListVersion, CrosswalkVersion
from kerege.catalogue.packs import codelist_in_force, crosswalk_in_force, has_full_places, read_crosswalk
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.ground.text import Said, counted
from kerege.semantics.codelists.codelist import CodeList, Finding
from kerege.semantics.codelists.diff import CodeChange, diff_codelists
from kerege.semantics.codelists.integrity import check_list
from kerege.semantics.codelists.skos import read_rdf, write_turtle
from kerege.semantics.crosswalks.sssom import Crosswalk, Row, parse_sssom, write_sssom
from kerege.semantics.pack import SOATE

CODELIST, CROSSWALK = "codelist", "crosswalk"
UNVERSIONED: Final = "1"
LONGEST_VERSION: Final = 60
_LONGEST_ID: Final = 200
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


def import_codelist(
    codelist: CodeList, by: str, now: datetime, *, origin: str = "", findings: Sequence[Finding] = ()
) -> Imported:
    """Keep `codelist` as a version; returns what it changes against the newest one before.

    by       post or unit that imports
    origin   file name and format, for the record
    findings what the file itself shows (`codelists_files.file_findings`): reading a graph may lose it

    Raises CodeListRefused for a list with errors (the loop, the repeated notation, versions that follow each other in a circle, ...) and
    CodeListVersionTaken for another content under a number that is taken: other codes, another title, licence or publisher. The same content
    again is no error and writes nothing.
    """
    version = codelist.version or UNVERSIONED
    kept = replace(codelist, version=version)
    told = {(f.code, f.notation) for f in findings}
    found = [*findings, *(replace(f, iri="") for f in check_list(kept) if (f.code, f.notation) not in told)]
    errors = [f for f in found if f.severity == "error"]
    if errors:
        raise CodeListRefused(list=codelist.id, version=version, errors=len(errors), first=str(errors[0]))
    warnings = tuple(f for f in found if f.severity == "warning")
    with transaction.atomic():
        return _keep(kept, warnings, by, now, origin)


def _keep(kept: CodeList, warnings: tuple[Finding, ...], by: str, now: datetime, origin: str) -> Imported:
    """The version written, inside a transaction: nothing that takes as long as the list is wrong."""
    followed = _chain(kept)
    version = kept.version
    there = CodeListVersion.objects.filter(list_id=kept.id, version=version).first()
    if there is not None:
        if differing := _differing(load_codelist(kept.id, version), kept):
            raise CodeListVersionTaken(list=kept.id, version=version, changes=differing)
        return Imported(kept.id, version, False, len(kept), there.follows, (), warnings)
    newest = _newest(CodeListVersion, list_id=kept.id)
    if not kept.follows and newest is not None:
        kept, followed = replace(kept, follows=newest.version), True
    changes = diff_codelists(load_codelist(kept.id, kept.follows), kept) if followed else ()
    content = write_turtle(kept)
    try:
        with transaction.atomic():
            CodeListVersion.objects.create(
                list_id=kept.id, version=version, follows=kept.follows, title=kept.title, codes=len(kept),
                digest=digest(content.decode()), content=content.decode(), origin=origin[:300], imported_by=by,
                imported_at=require_utc(now),
            )  # fmt: skip
    except IntegrityError as error:  # somebody imported this number at the same moment
        raise CodeListVersionTaken(list=kept.id, version=version, changes="unknown parts") from error
    return Imported(kept.id, version, True, len(kept), kept.follows, changes, warnings)


def _chain(codelist: CodeList) -> bool:
    """Whether the version that `codelist` says it follows is kept here; a number too long to keep, or a way round, is refused."""

    def refuse(why: str) -> CodeListRefused:
        return CodeListRefused(
            list=codelist.id[:_LONGEST_ID], version=codelist.version[:LONGEST_VERSION], errors=1, first=why
        )

    if len(codelist.id) > _LONGEST_ID:
        raise refuse(f"its id has {len(codelist.id)} characters, at most {_LONGEST_ID} are kept")
    for name, number in (("version", codelist.version), ("version it follows", codelist.follows)):
        if len(number) > LONGEST_VERSION:
            raise refuse(f"the {name} has {len(number)} characters, at most {LONGEST_VERSION} are kept")
    before = dict(CodeListVersion.objects.filter(list_id=codelist.id).values_list("version", "follows"))
    way = [codelist.version]
    at = codelist.follows
    while at:
        if at in way:
            raise refuse(
                f"the versions follow each other in a circle: {' -> '.join([*way[way.index(at) :], at][:_MOST_REASONS])}"
            )
        way.append(at)
        at = before.get(at, "")
    return codelist.follows in before


def _differing(there: CodeList, given: CodeList) -> str:
    """In words, in what `given` says something else than the version that is kept; a format that cannot say a thing says nothing else."""
    codes = len({c.notation for c in diff_codelists(there, given)})
    told = [counted(codes, "code")] if codes else []
    for name in ("title", "description", "publisher", "license", "follows", "replaced_by", "valid_from", "valid_to"):
        said = getattr(given, name)
        if said and said != getattr(there, name):
            told.append(name)
    return ", ".join(told)


@transaction.atomic
def import_crosswalk(
    crosswalk: Crosswalk, by: str, now: datetime, *, decided: Collection[int] | None = None, origin: str = ""
) -> bool:
    """Keep `crosswalk` as a version; False when this very content is there already.

    decided   ids of the decisions that stand in it, for a version made of them; a file that came from elsewhere answers all there are

    Raises CrosswalkTwice (a code mapped twice on one date, or to what a row denies, with both rows), CrosswalkBroken and CodeListVersionTaken.
    """
    crosswalk.require_single(origin)
    version = crosswalk.version or UNVERSIONED
    for name, text, most in (("id", crosswalk.id, _LONGEST_ID), ("version", version, LONGEST_VERSION)):
        if len(text) > most:
            reason = f"its {name} has {len(text)} characters, at most {most} are kept"
            raise CrosswalkBroken(file=crosswalk.id[:_LONGEST_ID], row="?", column=name, reason=reason)
    content = write_sssom(replace(crosswalk, version=version)).decode()
    there = CrosswalkVersion.objects.filter(crosswalk=crosswalk.id, version=version).first()
    if there is not None:
        if there.digest != digest(content):
            raise CodeListVersionTaken(list=crosswalk.id, version=version, changes="rows or header")
        return False
    try:
        with transaction.atomic():
            row = CrosswalkVersion.objects.create(
                crosswalk=crosswalk.id, version=version, subject_source=crosswalk.subject_source[:300],
                object_source=crosswalk.object_source[:300], policy=str(crosswalk.policy), rows=len(crosswalk.rows),
                digest=digest(content), content=content, imported_by=by, imported_at=require_utc(now),
            )  # fmt: skip
    except IntegrityError as error:  # somebody kept this number at the same moment
        raise CodeListVersionTaken(list=crosswalk.id, version=version, changes="unknown parts") from error
    waiting = CodeDecision.objects.filter(crosswalk=crosswalk.id, written_in=None)
    (waiting if decided is None else waiting.filter(pk__in=decided)).update(written_in=row)
    return True


def _newest(model: Any, **which: str) -> Any:
    return model.objects.filter(**which).order_by("-pk").first()  # as they were written, whatever the clocks said


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
    """What `version` changes against the version it follows, for `impact`; nothing for a first version, or one whose former is not kept here."""
    new = load_codelist(list_id, version)
    there = bool(new.follows) and CodeListVersion.objects.filter(list_id=list_id, version=new.follows).exists()
    return diff_codelists(load_codelist(list_id, new.follows), new) if there else ()


def codelist_missing(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a code list can't be submitted: it is not there."""
    return _missing(lambda: load_codelist(subject.id, subject.version))


def crosswalk_missing(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a crosswalk can't be submitted: it is not there."""
    return _missing(lambda: load_crosswalk(subject.id, subject.version))


def codelist_authors(subject: Subject) -> Sequence[str]:
    """Who made this version of a code list: who imported it."""
    rows = CodeListVersion.objects.filter(list_id=subject.id, version=subject.version)
    return tuple(rows.values_list("imported_by", flat=True))


def crosswalk_authors(subject: Subject) -> Sequence[str]:
    """Who made this version of a crosswalk: who imported or wrote it, and whose decisions stand in rows that the one in force does not have."""
    rows = CrosswalkVersion.objects.filter(crosswalk=subject.id, version=subject.version)
    made = rows.values_list("imported_by", "digest").first()
    if made is None:
        return ()
    known = crosswalk_in_force(subject.id)
    old = {_said(row) for row in known.rows} if known is not None else set()
    fresh = [row for row in read_crosswalk(subject.id, subject.version, made[1]).rows if _said(row) not in old]
    return (made[0], *dict.fromkeys(name for row in fresh for name in (row.author, row.reviewer) if name))


def _said(row: Row) -> tuple[object, ...]:
    return row.subject, row.object, row.predicate, row.predicate_modifier, row.when


def _missing(load: Callable[[], object]) -> Sequence[str]:
    try:
        load()
    except CodeListVersionUnknown as error:
        return (error.said,)
    return ()


def codelist_reasons(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a code list can't be published: it is not there, has errors, or a code lacks a label in ky, ru or en."""
    try:
        found = load_codelist(subject.id, subject.version)
    except CodeListVersionUnknown as error:
        return (error.said,)
    against = [f for f in check_list(found) if f.severity == "error" or f.code == "label_missing"]
    told = [_about(f) for f in against[:_MOST_REASONS]]
    more = len(against) - _MOST_REASONS
    return (*told, Said("and_more", "and {n} more", n=more)) if more > 0 else told


def _about(found: Finding) -> Said:
    return Said("of_code", "{code} {notation}: {what}", code=found.code, notation=found.notation, what=found.message)


def crosswalk_reasons(subject: Subject, now: datetime) -> Sequence[str]:
    """Why this version of a crosswalk can't be published: it is not there, maps a code twice, leaves codes undecided, or leads out of its list."""
    from kerege.catalogue.codes.crosswalks import open_codes

    try:
        found = load_crosswalk(subject.id, subject.version)
    except CodeListVersionUnknown as error:
        return (error.said,)
    told = [_about(f) for f in found.check() if f.severity == "error"]
    if waiting := len(open_codes(found)):
        told.append(Said("codes_open", "{n:# code} {n:is|are} still open: kerege crosswalk open", n=waiting))
    target = codelist_in_force(found.object_source)
    drafts = CodeListVersion.objects.filter(list_id=found.object_source)
    if target is None and drafts.exists():
        words = "no version of the list it leads to, {codelist}, is in force: publish that one first"
        told.append(Said("list_not_in_force", words, codelist=found.object_source))
    # of SOATE, an installation without the country's whole list has the top levels only
    elif target is not None and (target.id != SOATE or drafts.exists() or has_full_places()):
        led = {rule.target for rules in found.compiled.rules.values() for rule in rules}
        led |= {found.policy.default} if found.policy.default else set()
        gone = sorted(code for code in led if code not in target)
        told += [
            Said(
                "leads_nowhere",
                "it leads to {code}, which {codelist} {version}, in force, does not have",
                code=code,
                codelist=target.id,
                version=target.version,
            )
            for code in gone[:_MOST_REASONS]
        ]
    return told[: _MOST_REASONS + 1]
