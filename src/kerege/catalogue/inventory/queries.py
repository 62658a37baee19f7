"""What others may read of the catalogue: plain dataclasses, no models, a handful of queries however many datasets there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Sum

from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.inventory.plans import Change, describe
from kerege.catalogue.inventory.profile import FieldProfile
from kerege.catalogue.models import Dataset, Field, Finding, Owner, Plan, SourceOfTruth
from kerege.ground import clock
from kerege.ground.text import Text


@dataclass(frozen=True, slots=True)
class OwnerView:
    organisation: str
    unit: str
    legal_basis: str
    since: datetime


@dataclass(frozen=True, slots=True)
class FieldView:
    """An attribute as a screen shows it. `concept_text` is None where no concept is linked or the pack does not know it; `personal` is
    the concept's word where it has one, else what the column's name and values suggest."""

    id: int
    name: str
    summary: str
    profile: FieldProfile
    personal: bool
    vanished: bool
    concept: str
    concept_text: Text | None
    codelist: str
    owner: OwnerView | None
    truth_of: tuple[str, ...]
    findings: int


@dataclass(frozen=True, slots=True)
class FindingView:
    """The open findings of one kind and column ("" for the whole dataset): how many, in how many records, when one was seen last.
    What was seen is told at the desks (`inventory.findings`)."""

    column: str
    kind: str
    count: int
    records: int
    found_at: datetime


@dataclass(frozen=True, slots=True)
class DatasetView:
    id: int
    source: str
    table: str
    kind: str
    organisation: str
    description: str
    rows: int
    sampled: bool
    vanished: bool
    harvested_at: datetime
    fields: tuple[FieldView, ...]
    findings: tuple[FindingView, ...]

    @property
    def owned(self) -> int:
        """Attributes with an owner."""
        return sum(f.owner is not None for f in self.fields)

    @property
    def finding_count(self) -> int:
        return sum(f.count for f in self.findings)


@dataclass(frozen=True, slots=True)
class TruthView:
    """The source of truth of one concept."""

    concept: str
    concept_text: Text | None
    dataset_id: int
    source: str
    table: str
    column: str
    legal_basis: str
    since: datetime


@dataclass(frozen=True, slots=True)
class PlanView:
    plan_id: str
    source: str
    status: str
    made_at: datetime
    applied_at: datetime | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The catalogue at a glance."""

    datasets: tuple[DatasetView, ...]
    truths: tuple[TruthView, ...]
    open_plans: tuple[PlanView, ...]
    finding_counts: dict[str, int]


def overview() -> Overview:
    """Every dataset with its fields, owners, concepts and open findings; the sources of truth; the plans that wait."""
    return Overview(
        datasets=tuple(_datasets()),
        truths=tuple(sources_of_truth()),
        open_plans=tuple(plan_view(p) for p in Plan.objects.filter(status=Plan.OPEN).order_by("-made_at")),
        finding_counts={
            row["kind"]: row["n"]
            for row in Finding.objects.filter(settled_at=None, ended_at=None)
            .values("kind")
            .annotate(n=Sum("records"))
            .order_by("kind")
        },
    )


def dataset(dataset_id: int) -> DatasetView:
    """One dataset; DatasetUnknown when there is none."""
    for view in _datasets(pk=dataset_id):
        return view
    raise DatasetUnknown(what="dataset", name=str(dataset_id))


def datasets(ids: Sequence[int] | None = None) -> list[DatasetView]:
    """Datasets by source and table, those with `ids` or all; vanished ones are marked, not left out."""
    return _datasets() if ids is None else _datasets(pk__in=list(ids))


def search(words: str) -> list[DatasetView]:
    """Datasets of which every word stands in the source, table, description, a column name or a concept's wording."""
    wanted = words.casefold().split()
    return [v for v in _datasets() if all(w in _text(v) for w in wanted)]


def sources_of_truth() -> list[TruthView]:
    """Present declarations, by concept."""
    concepts = load_concepts()
    rows = SourceOfTruth.objects.valid_at(clock.now()).select_related("field__dataset").order_by("concept")
    return [
        TruthView(
            row.concept, concepts[row.concept].text if row.concept in concepts else None, row.field.dataset_id,
            row.field.dataset.source, row.field.dataset.table, row.field.name, row.legal_basis, row.since,
        )
        for row in rows
    ]  # fmt: skip


def plan_view(plan: Plan) -> PlanView:
    """A plan as a screen shows it."""
    changes = tuple(Change.from_dict(c) for c in plan.changes)
    return PlanView(plan.plan_id, plan.source, plan.status, plan.made_at, plan.applied_at, changes)


def _text(view: DatasetView) -> str:
    words = [view.source, view.table, view.description]
    for field in view.fields:
        words += [field.name, field.concept, *(field.concept_text.as_dict().values() if field.concept_text else ())]
    return " ".join(words).casefold()


def _datasets(**only: Any) -> list[DatasetView]:
    concepts = load_concepts()
    datasets = list(Dataset.objects.filter(**only).order_by("source", "table"))
    ids = [d.pk for d in datasets]
    owners = {o.field_id: o for o in Owner.objects.valid_at(clock.now()).filter(field__dataset__in=ids)}
    truths: dict[int, list[str]] = {}
    for field_id, concept in SourceOfTruth.objects.valid_at(clock.now()).values_list("field_id", "concept"):
        truths.setdefault(field_id, []).append(concept)
    findings: dict[int, list[FindingView]] = {}
    per_field: Counter[int] = Counter()
    for found in _findings(ids):
        told = FindingView(found["field__name"] or "", found["kind"], found["n"], found["seen_in"], found["last"])
        findings.setdefault(found["dataset"], []).append(told)
        if found["field"] is not None:
            per_field[found["field"]] += told.count
    fields: dict[int, list[FieldView]] = {}
    for field in Field.objects.filter(dataset__in=ids).select_related("concept_link").order_by("position", "pk"):
        fields.setdefault(field.dataset_id, []).append(_field_view(field, concepts, owners, truths, per_field))
    return [_dataset_view(d, tuple(fields.get(d.pk, ())), findings.get(d.pk, [])) for d in datasets]


def _findings(ids: Sequence[int]) -> Any:
    """Open findings counted by dataset, column and kind, in the database: a table may have thousands of them. Seen last first."""
    return (
        Finding.objects.filter(settled_at=None, ended_at=None, dataset__in=ids)
        .values("dataset", "field", "field__name", "kind")
        .annotate(n=Count("pk"), seen_in=Sum("records"), last=Max("found_at"))
        .order_by("-last", "field__position", "kind", "field")
    )


def _dataset_view(row: Dataset, fields: tuple[FieldView, ...], findings: list[FindingView]) -> DatasetView:
    return DatasetView(
        row.pk, row.source, row.table, row.kind, row.organisation, row.description, row.rows,
        bool(row.profile.get("sampled")), row.vanished, row.harvested_at, fields, tuple(findings),
    )  # fmt: skip


def _field_view(
    row: Field,
    concepts: dict[str, Concept],
    owners: dict[int, Owner],
    truths: dict[int, list[str]],
    findings: Counter[int],
) -> FieldView:
    profile = FieldProfile.from_dict(row.profile)
    link = getattr(row, "concept_link", None)
    concept = link.concept if link else ""
    known = concepts.get(concept)
    owner = owners.get(row.pk)
    return FieldView(
        id=row.pk, name=row.name, summary=describe(profile), profile=profile, vanished=row.vanished,
        personal=row.personal if known is None or known.personal is None else known.personal,
        concept=concept, concept_text=known.text if known else None, codelist=row.codelist,
        owner=OwnerView(owner.organisation, owner.unit, owner.legal_basis, owner.since) if owner else None,
        truth_of=tuple(sorted(truths.get(row.pk, ()))), findings=findings[row.pk],
    )  # fmt: skip
