"""What is put forward to be published as reference data: its content is bound to the version before anybody approves it.

    propose(Owned("kg-sex", ...), content, "2022", by, reason, now)     an action of the life cycle, with the content's digest as evidence
    lifecycle.act(Subject("reference", "kg-sex", "2022"), "submit" ...)  refused while nothing is put forward
    reference.publish(...)                                               refused when it is not what was approved

The life cycle lets nobody put something else forward between submission and approval, so the last proposal is what was approved. Its digest is
over everything that will be published: columns, key, rows, what they were made of, title, description, owner and legal basis.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from kerege.catalogue.errors import LegalBasisMissing, ReferenceDiffers, ReferenceIncomplete, ReferenceTaken
from kerege.catalogue.exports.vocabulary import FREQUENCIES, THEMES
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.lifecycle.rules import Action, Subject
from kerege.catalogue.models import ReferenceDataset, ReferenceVersion
from kerege.catalogue.reference.make import Content
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.ground.text import Said

KIND: Final = "reference"
LATEST: Final = "latest"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,98}[a-z0-9]\Z")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,38}\Z")
_FIXED: Final = (
    "kind",
    "subject",
    "organisation",
    "unit",
    "legal_basis",
)  # of a dataset, whatever is published under it


@dataclass(frozen=True, slots=True)
class Owned:
    """Who answers for a reference dataset and by what law; told with its first version, and for a later one where it is left empty as it was."""

    ref_id: str
    organisation: str
    unit: str
    legal_basis: str
    description: dict[str, str] | None = None
    frequency: str = "AS_NEEDED"
    theme: str = "GOVE"


def is_id(text: str) -> bool:
    """Whether a reference dataset can be called so."""
    return _ID.match(text) is not None


def is_version(text: str) -> bool:
    """Whether a version can be numbered so."""
    return _VERSION.match(text) is not None and text != LATEST


def propose(owned: Owned, content: Content, version: str, by: str, reason: str, now: datetime) -> str:
    """Put `content` forward as `version`; returns the digest that is approved with it.

    Again, and with something else, only while it is a draft or was returned (LifecycleRefused). Raises ReferenceTaken, ReferenceDiffers,
    ReferenceIncomplete, LegalBasisMissing.
    """
    owned = checked(owned, content, version)
    if ReferenceVersion.objects.filter(dataset__ref_id=owned.ref_id, version=version).exists():
        raise ReferenceTaken(ref_id=owned.ref_id, version=version)
    bound = whole_digest(owned, content)
    evidence = {
        "digest": bound, "content": content.digest, "rows": len(content.rows), "kind": content.kind, "subject": content.subject,
        "organisation": owned.organisation, "unit": owned.unit[:200], "legal_basis": owned.legal_basis[:500],
    }  # fmt: skip
    lifecycle.act(Subject(KIND, owned.ref_id, version), Action.DRAFT, by, reason, now, evidence=evidence)
    return bound


def checked(owned: Owned, content: Content, version: str) -> Owned:
    """`owned` with what the dataset has already where nothing is said; refused when it says something else than the dataset, or too little.

    Another owner, kind or source under a name that is taken is another dataset: an owner is changed by handing over, not by publishing.
    """
    reasons = []
    if not is_id(owned.ref_id):
        reasons.append("its id should be small letters, digits and hyphens")
    if not is_version(version):
        reasons.append(f"{version!r} is no version")
    row = ReferenceDataset.objects.filter(ref_id=owned.ref_id).first() if not reasons else None
    if row is not None:
        owned = replace(
            owned, organisation=owned.organisation.strip() or row.organisation, unit=owned.unit.strip() or row.unit,
            legal_basis=owned.legal_basis.strip() or row.legal_basis,
        )  # fmt: skip
        given = {"kind": content.kind, "subject": content.subject} | {n: getattr(owned, n) for n in _FIXED[2:]}
        for name in _FIXED:
            if (there := getattr(row, name)) != given[name]:
                raise ReferenceDiffers(ref_id=owned.ref_id, what=name.replace("_", " "), there=there, given=given[name])
    if not owned.organisation.strip() or not owned.unit.strip():
        reasons.append("it has no owner")
    if owned.frequency not in FREQUENCIES or owned.theme not in THEMES:
        reasons.append(f"the frequency is one of {', '.join(FREQUENCIES)}, the theme one of {', '.join(THEMES)}")
    if len({*map(len, content.rows), len(content.columns)}) > 1 or len(content.keyed()) != len(content.rows):
        reasons.append(f"{', '.join(content.key) or 'no column'} does not name each row once")
    if reasons:
        raise ReferenceIncomplete(ref_id=owned.ref_id, reason="; ".join(reasons))
    if not owned.legal_basis.strip():
        raise LegalBasisMissing(what="a reference dataset")
    return owned


def described(owned: Owned, content: Content) -> dict[str, Any]:
    """What is told of the dataset beside its rows."""
    return {
        "title": content.title, "description": owned.description or content.title, "organisation": owned.organisation, "unit": owned.unit,
        "legal_basis": owned.legal_basis, "frequency": owned.frequency, "theme": owned.theme,
    }  # fmt: skip


def whole_digest(owned: Owned, content: Content) -> str:
    """Over everything that is published."""
    return digest([content.kind, content.subject, content.digest, content.provenance, described(owned, content)])


def proposed(subject: Subject) -> Mapping[str, Any] | None:
    """The evidence of the last proposal; None when nothing was put forward."""
    told = [a.evidence for a in lifecycle.history(subject) if a.action is Action.DRAFT and a.evidence.get("digest")]
    return told[-1] if told else None


# --- what the life cycle asks and does (`lifecycle.kinds`) ---


def submission_reasons(subject: Subject, now: datetime) -> tuple[str, ...]:
    """Why a version can't be submitted: nobody put its content forward, so an approval would be one of whatever comes later."""
    return (
        ()
        if proposed(subject)
        else (Said("nothing_proposed", "nobody put its content forward: kerege reference propose"),)
    )


def publication_reasons(subject: Subject, now: datetime) -> tuple[str, ...]:
    """Why a version can't be published by an action alone: its files are published with it, and they are those that were approved."""
    row = ReferenceVersion.objects.filter(dataset__ref_id=subject.id, version=subject.version).first()
    if row is None:
        words = "its files are not there: publish it with kerege reference publish, which does both"
        return (Said("files_not_there", words),)
    told = proposed(subject)
    approved = told is not None and told["content"] == row.digest
    words = "its content (digest {digest}) is not what was approved"
    return () if approved else (Said("content_other", words, digest=row.digest[:12]),)


def authors(subject: Subject) -> tuple[str, ...]:
    """Who put a version's content forward, and so may not approve it."""
    return tuple(dict.fromkeys(a.by for a in lifecycle.history(subject) if a.action is Action.DRAFT))


def withdrawn(subject: Subject, by: str, reason: str, now: datetime) -> None:
    """What follows from deprecating a version: it is no longer offered as the latest; it stays listed with the reason."""
    _of(subject).update(withdrawn_at=require_utc(now), withdrawn_reason=reason[:500])
    search_index.changed("references")


def offered_again(subject: Subject, by: str, reason: str, now: datetime) -> None:
    """What follows from taking a deprecation back."""
    _of(subject).update(withdrawn_at=None, withdrawn_reason="")
    search_index.changed("references")


def _of(subject: Subject) -> Any:
    return ReferenceVersion.objects.filter(dataset__ref_id=subject.id, version=subject.version)
