"""Who owns what, who decides for what, and may it be published: the face of this part for other rooms and parts.

    may_publish(dataset_id, now)          a verdict with a reason per attribute
    source_of_truth("person.pin", as_of)  which attribute of which dataset decides, by what law; None when none does
    owner_of(field_id, as_of)             who owns an attribute

The rules are `ownership.rules` (pure), what changes things is `ownership.doings` (named here as well), what pages and JSON show is
`ownership.queries`, what goes wrong by itself is found by `ownership.findings`, the country's words for the roles are `ownership.roles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import Dataset, Owner, SourceOfTruth
from kerege.catalogue.ownership.doings import (
    declare_source_of_truth,
    end_owner,
    end_source_of_truth,
    hand_over,
    hand_over_several,
    name_interim,
    name_interims,
    name_owner,
    name_owners,
)
from kerege.catalogue.ownership.rows import tenure
from kerege.catalogue.ownership.rules import AttributeVerdict, Period, Tenure, Verdict, holder, judge
from kerege.ground.clock import require_utc

__all__ = [
    "AttributeVerdict",
    "Period",
    "Tenure",
    "Truth",
    "Verdict",
    "dataset_subject",
    "declare_source_of_truth",
    "end_owner",
    "end_source_of_truth",
    "hand_over",
    "hand_over_several",
    "may_publish",
    "name_interim",
    "name_interims",
    "name_owner",
    "name_owners",
    "owner_of",
    "owners_by_field",
    "publication_reasons",
    "source_of_truth",
]


@dataclass(frozen=True, slots=True)
class Truth:
    """The source of truth of a concept as of a moment. `owner` is the attribute's owner then; `organisation` runs the register."""

    concept: str
    field_id: int
    dataset_id: int
    source: str
    table: str
    column: str
    organisation: str
    legal_basis: str
    period: Period
    owner: Tenure | None
    vanished: bool

    @property
    def dataset(self) -> str:
        return f"{self.source}#{self.table}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "concept": self.concept, "dataset": self.dataset, "column": self.column, "organisation": self.organisation,
            "legal_basis": self.legal_basis, **self.period.as_dict(), "vanished": self.vanished,
            "owner": self.owner.as_dict() if self.owner else None,
        }  # fmt: skip


def may_publish(dataset_id: int, now: datetime) -> Verdict:
    """Say whether the dataset may be published at `now`: every attribute that is there has an owner. DatasetUnknown when there is none."""
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None:
        raise DatasetUnknown(what="dataset", name=str(dataset_id))
    fields = dataset.fields.filter(vanished=False).order_by("position", "pk").prefetch_related("owners")
    attributes = [(f.name, [tenure(o) for o in f.owners.all()]) for f in fields]
    return judge(str(dataset), attributes, now, vanished=dataset.vanished)


def publication_reasons(subject: Subject, now: datetime) -> tuple[str, ...]:
    """Why a dataset's entry cannot be published now, for the life cycle (`lifecycle.kinds.CONDITIONS`); empty when it can."""
    source, _, table = subject.id.rpartition("#")
    dataset = Dataset.objects.filter(source=source, table=table).first()
    if dataset is None:
        raise DatasetUnknown(what="dataset", name=subject.id)
    return may_publish(dataset.pk, now).reasons


def dataset_subject(dataset: Dataset, version: str) -> Subject:
    """A dataset's entry as the life cycle names it."""
    return Subject("dataset", str(dataset), version)


def source_of_truth(concept: str, as_of: datetime) -> Truth | None:
    """Ask for a concept: which attribute decided for it at `as_of`. None when no declaration was valid then."""
    require_utc(as_of, "as_of")
    rows = SourceOfTruth.objects.filter(concept=concept).select_related("field__dataset").order_by("-number")
    row = next((r for r in rows if Period(r.since, r.until).covers(as_of)), None)
    if row is None:
        return None
    field, dataset = row.field, row.field.dataset
    return Truth(
        concept, field.pk, dataset.pk, dataset.source, dataset.table, field.name, dataset.organisation, row.legal_basis,
        Period(row.since, row.until), owner_of(field.pk, as_of), field.vanished or dataset.vanished,
    )  # fmt: skip


def owner_of(field_id: int, as_of: datetime) -> Tenure | None:
    """Who owned the attribute at `as_of`."""
    return holder((tenure(o) for o in Owner.objects.filter(field=field_id)), require_utc(as_of, "as_of"))


def owners_by_field(dataset_ids: list[int], as_of: datetime) -> dict[int, Tenure]:
    """Field id -> its owner at `as_of`, for all attributes of these datasets that have one; one query."""
    found: dict[int, list[Tenure]] = {}
    for row in Owner.objects.filter(field__dataset__in=dataset_ids):
        found.setdefault(row.field_id, []).append(tenure(row))
    held = {field: holder(tenures, as_of) for field, tenures in found.items()}
    return {field: owner for field, owner in held.items() if owner is not None}
