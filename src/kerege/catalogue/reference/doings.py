"""Reference datasets: harmonised, versioned, owned, approved, then published as files and to the exchange.

    content = reference_make.of_codelist(pack_in_force(), "kg:sex")
    plan("kg-sex", content)                     what would change against the version in force; nothing is written
    reference_proposals.propose(owned, content, "2022", ...)
    lifecycle.act(Subject("reference", "kg-sex", "2022"), "submit" ... "approve" ...)
    publish(owned, content, "2022", by, now, folder)

A version is published once, as it was approved (`reference.proposals`), and never changed afterwards. The hub serves its files
(`/api/v1/reference/...`), and an exchange node gives them to consumers as a data service whose address is the hub's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from kerege.catalogue.errors import (
    ReferenceNotApproved,
    ReferenceNotAsApproved,
    ReferenceTaken,
    ReferenceUnchanged,
    ReferenceUnknown,
)
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import State, Subject
from kerege.catalogue.models import ReferenceDataset, ReferenceVersion
from kerege.catalogue.reference import files as reference_files
from kerege.catalogue.reference.make import Content
from kerege.catalogue.reference.proposals import KIND as KIND
from kerege.catalogue.reference.proposals import LATEST as LATEST
from kerege.catalogue.reference.proposals import Owned as Owned
from kerege.catalogue.reference.proposals import checked, described, is_id, is_version, proposed, whole_digest
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import iso, require_utc
from kerege.identity.receipts import LedgerWriter


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows by key: only in the new, only in the old, in both with other cells; and columns that came or went."""

    added: tuple[tuple[str | None, ...], ...]
    removed: tuple[tuple[str | None, ...], ...]
    changed: tuple[tuple[tuple[str | None, ...], tuple[str, ...]], ...]  # key, columns that differ
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed or self.columns_added or self.columns_removed)

    def as_dict(self) -> dict[str, Any]:
        return {
            "added": [list(k) for k in self.added], "removed": [list(k) for k in self.removed],
            "changed": [{"key": list(k), "columns": list(c)} for k, c in self.changed],
            "columns_added": list(self.columns_added), "columns_removed": list(self.columns_removed),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class VersionView:
    """A published version as pages and JSON have it. Why it was withdrawn was typed for the stewards, and is not told to everybody."""

    version: str
    digest: str
    rows: int
    files: tuple[dict[str, Any], ...]
    provenance: dict[str, Any]
    published_at: datetime
    published_by: str
    note: str
    withdrawn_at: datetime | None
    withdrawn_reason: str

    @property
    def withdrawn(self) -> bool:
        return self.withdrawn_at is not None

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.version, "digest": self.digest, "rows": self.rows, "files": list(self.files), "provenance": self.provenance,
            "published_at": iso(self.published_at), "note": self.note, "withdrawn": iso(self.withdrawn_at) if self.withdrawn_at else "",
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """A reference dataset with its versions, newest first."""

    ref_id: str
    kind: str
    subject: str
    title: dict[str, str]
    description: dict[str, str]
    organisation: str
    unit: str
    legal_basis: str
    frequency: str
    theme: str
    versions: tuple[VersionView, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.ref_id, "kind": self.kind, "subject": self.subject, "title": self.title, "description": self.description,
            "organisation": self.organisation, "unit": self.unit, "legal_basis": self.legal_basis, "frequency": self.frequency,
            "theme": self.theme, "versions": [v.as_dict() for v in self.versions],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version, its bytes checked against the checksum it was published with."""

    name: str
    media_type: str
    data: bytes
    version: str

    @property
    def sha256_base64(self) -> str:
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()


def default_folder() -> Path:
    """Where the hub keeps what it serves."""
    return Path(settings.HOME) / "reference"


def plan(ref_id: str, content: Content, folder: Path | None = None) -> Difference:
    """What publishing `content` would change against the version in force; everything is added when there is none."""
    newest = _newest(ref_id)
    if newest is None:
        return Difference(tuple(content.keyed()), (), (), tuple(c.name for c in content.columns))
    return _difference(_stored(newest, folder), content)


def publish(
    owned: Owned, content: Content, version: str, by: str, reason: str, now: datetime, *, folder: Path | None = None, note: str = "",
    ledger: LedgerWriter | None = None,
) -> VersionView:  # fmt: skip
    """Publish a version that was approved: files, checksums, provenance, and the life cycle's own action, or nothing of it.

    Raises ReferenceNotApproved, ReferenceNotAsApproved, ReferenceTaken, ReferenceUnchanged, ReferenceDiffers, ReferenceIncomplete,
    LegalBasisMissing.
    """
    owned = checked(owned, content, version)
    ref_id = owned.ref_id
    if ReferenceVersion.objects.filter(dataset__ref_id=ref_id, version=version).exists():
        raise ReferenceTaken(ref_id=ref_id, version=version)
    newest = _newest(ref_id)
    if newest is not None and _same(newest, content):
        raise ReferenceUnchanged(ref_id=ref_id, version=newest.version)
    subject = Subject(KIND, ref_id, version)
    state, told, bound = lifecycle.status(subject).state, proposed(subject), whole_digest(owned, content)
    if state is not State.APPROVED:
        raise ReferenceNotApproved(ref_id=ref_id, version=version, state=state.value)
    if told is None or told["digest"] != bound:
        approved = str(told["digest"])[:12] if told is not None else "none"
        raise ReferenceNotAsApproved(ref_id=ref_id, version=version, approved=approved, given=bound[:12])
    tells = described(owned, content)
    home = folder or default_folder()
    with reference_files.prepared(home, ref_id, version, content, tells) as files:
        try:
            with transaction.atomic():
                # what a dataset is and whose is told once; how it is described may change with a version
                words = {name: tells[name] for name in ("title", "description", "frequency", "theme")}
                fixed = {name: tells[name] for name in ("organisation", "unit", "legal_basis")}
                fixed |= {"kind": content.kind, "subject": content.subject, "created_at": require_utc(now)}
                row, _ = ReferenceDataset.objects.update_or_create(
                    ref_id=ref_id, defaults=words, create_defaults=words | fixed
                )
                checked(owned, content, version)  # whose it is, now that nobody else makes it at this moment
                made = ReferenceVersion.objects.create(
                    dataset=row, version=version, digest=content.digest, rows=len(content.rows), columns=[c.as_dict() for c in content.columns],
                    key_columns=list(content.key), files=files.told, provenance=content.provenance, published_at=require_utc(now),
                    published_by=by, note=note[:500],
                )  # fmt: skip
                lifecycle.act(
                    subject,
                    "publish",
                    by,
                    reason,
                    now,
                    evidence={"digest": bound, "content": content.digest},
                    ledger=ledger,
                )
                search_index.changed("references")
                files.put()  # the last step: this version is ours alone by now, and without its files nothing of it stands
        except IntegrityError as error:
            raise ReferenceTaken(ref_id=ref_id, version=version) from error
    return _view(made)


def withdraw(
    ref_id: str, version: str, by: str, reason: str, now: datetime, *, ledger: LedgerWriter | None = None
) -> None:
    """Take a wrong version out of what is offered; it stays listed with the reason, its files stay for those who hold its checksum."""
    _row(ref_id, version)
    lifecycle.act(Subject(KIND, ref_id, version), "deprecate", by, reason, now, ledger=ledger)


def diff(ref_id: str, old: str, new: str, folder: Path | None = None) -> Difference:
    """What differs between two published versions."""
    return _difference(_stored(_row(ref_id, old), folder), _stored(_row(ref_id, new), folder))


def datasets() -> list[ReferenceView]:
    """Every reference dataset."""
    rows = ReferenceDataset.objects.prefetch_related("versions").order_by("ref_id")
    return [_dataset_view(row) for row in rows]


def dataset(ref_id: str) -> ReferenceView:
    """One; ReferenceUnknown when there is none."""
    row = ReferenceDataset.objects.prefetch_related("versions").filter(ref_id=ref_id).first() if is_id(ref_id) else None
    if row is None:
        raise ReferenceUnknown(ref_id=ref_id, version="")
    return _dataset_view(row)


def open_file(ref_id: str, version: str, name: str, folder: Path | None = None) -> File:
    """A file of a version (or of the `latest`); ReferenceUnknown when there is none, or when its bytes are not those that were published."""
    row = _newest(ref_id) if version == LATEST else _row(ref_id, version)
    told = next((f for f in row.files if f["name"] == name), None) if row is not None else None
    if row is None or told is None:
        raise ReferenceUnknown(ref_id=ref_id, version=f" with a file {name[:100]}")
    path = (folder or default_folder()) / ref_id / row.version / told["name"]  # names as published, never as asked
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReferenceUnknown(ref_id=ref_id, version=f" whose file {name[:100]} can be read") from error
    if hashlib.sha256(data).hexdigest() != told["sha256"]:
        raise ReferenceUnknown(ref_id=ref_id, version=f" whose file {name[:100]} has the bytes it was published with")
    return File(told["name"], told["media_type"], data, row.version)


def _same(newest: ReferenceVersion, content: Content) -> bool:
    """The same rows, and of a crosswalk the same policy for codes that no row knows."""
    policies = (told.get("unmapped_policy") for told in (newest.provenance, content.provenance))
    return newest.digest == content.digest and len(set(policies)) == 1


def _newest(ref_id: str) -> ReferenceVersion | None:
    if not is_id(ref_id):
        return None
    return (
        ReferenceVersion.objects.filter(dataset__ref_id=ref_id, withdrawn_at=None)
        .order_by("-published_at", "-pk")
        .first()
    )


def _row(ref_id: str, version: str) -> ReferenceVersion:
    named = is_id(ref_id) and is_version(version)  # what cannot be one is not asked of the database
    row = ReferenceVersion.objects.filter(dataset__ref_id=ref_id, version=version).first() if named else None
    if row is None:
        raise ReferenceUnknown(ref_id=ref_id, version=f" with a version {version[:40]}")
    return row


def _stored(row: ReferenceVersion, folder: Path | None) -> Content:
    from kerege.catalogue.reference.make import Column

    ref_id = row.dataset.ref_id
    body = json.loads(open_file(ref_id, row.version, f"{ref_id}.json", folder).data)
    columns = tuple(Column(**c) for c in row.columns)
    rows = tuple(tuple(item[c.name] for c in columns) for item in body["items"])
    kind: Any = row.dataset.kind
    return Content(kind, row.dataset.subject, columns, tuple(row.key_columns), rows, row.provenance, row.dataset.title)


def _difference(old: Content, new: Content) -> Difference:
    before, after = old.keyed(), new.keyed()
    was, now = [c.name for c in old.columns], [c.name for c in new.columns]
    both = [n for n in now if n in was]
    changed = []
    for key, row in after.items():
        if key in before:
            other = before[key]
            columns = tuple(n for n in both if row[now.index(n)] != other[was.index(n)])
            if columns:
                changed.append((key, columns))
    found = Difference(
        tuple(k for k in after if k not in before), tuple(k for k in before if k not in after), tuple(changed)
    )
    return replace(
        found,
        columns_added=tuple(n for n in now if n not in was),
        columns_removed=tuple(n for n in was if n not in now),
    )


def _view(row: ReferenceVersion) -> VersionView:
    return VersionView(
        row.version, row.digest, row.rows, tuple(row.files), row.provenance, row.published_at, row.published_by, row.note, row.withdrawn_at,
        row.withdrawn_reason,
    )  # fmt: skip


def _dataset_view(row: ReferenceDataset) -> ReferenceView:
    versions = sorted(row.versions.all(), key=lambda v: (v.published_at, v.pk), reverse=True)
    return ReferenceView(
        row.ref_id, row.kind, row.subject, row.title, row.description, row.organisation, row.unit, row.legal_basis, row.frequency, row.theme,
        tuple(_view(v) for v in versions),
    )  # fmt: skip
