"""What pages, the command line and JSON show of ownership: plain values, a few queries however many datasets there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.errors import DatasetUnknown
from kerege.catalogue.models import ConceptLink, Dataset, Field, Owner, SourceOfTruth
from kerege.catalogue.ownership.face import Truth, owner_of
from kerege.catalogue.ownership.rows import find_field, tenure
from kerege.catalogue.ownership.rules import AttributeVerdict, Period, Tenure, Verdict, judge
from kerege.ground.text import Text

SOON: Final = timedelta(days=14)  # an interim term that ends within it is told beforehand


@dataclass(frozen=True, slots=True)
class AttributeOwnership:
    """One attribute with its owner at the moment asked for, or why it has none."""

    field_id: int
    column: str
    concept: str
    verdict: AttributeVerdict
    truth_of: tuple[str, ...]

    @property
    def owner(self) -> Tenure | None:
        return self.verdict.owner

    def as_dict(self) -> dict[str, Any]:
        return {**self.verdict.as_dict(), "concept": self.concept, "truth_of": list(self.truth_of)}


@dataclass(frozen=True, slots=True)
class DatasetOwnership:
    """A dataset's attributes with their owners. `verdict` says whether it may be published."""

    dataset_id: int
    dataset: str
    organisation: str
    attributes: tuple[AttributeOwnership, ...]
    verdict: Verdict

    @property
    def owned(self) -> int:
        return sum(a.owner is not None for a in self.attributes)

    @property
    def interim(self) -> int:
        """Attributes owned for the time being; part of `owned`."""
        return sum(a.owner is not None and a.owner.interim for a in self.attributes)

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset_id": self.dataset_id, "dataset": self.dataset, "organisation": self.organisation,
            "attributes": [a.as_dict() for a in self.attributes], "owned": self.owned, "interim": self.interim,
            "may_publish": self.verdict.allowed, "reasons": list(self.verdict.reasons),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TenureView:
    """One owner in an attribute's history, with how the tenure ended."""

    tenure: Tenure
    ended_by: str
    ended_reason: str
    ended_basis: str
    ledger_index: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.tenure.as_dict(), "ended_by": self.ended_by, "ended_reason": self.ended_reason,
            "ended_basis": self.ended_basis, "ledger_index": self.ledger_index,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class InterimView:
    """An attribute whose owner is, or was last, an interim one. `days` until the term ends; negative since it ran out."""

    dataset_id: int
    dataset: str
    column: str
    tenure: Tenure
    state: Literal["running", "ends-soon", "ran-out"]
    days: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset, "column": self.column, **self.tenure.as_dict(), "state": self.state,
            "days": self.days,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConceptTruth:
    """A concept with its wording and its source of truth at the moment asked for."""

    concept: str
    text: Text | None
    truth: Truth | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "concept": self.concept,
            "text": self.text.as_dict() if self.text else None,
            "truth": self.truth.as_dict() if self.truth else None,
        }


def ownership_of(dataset_id: int, as_of: datetime) -> DatasetOwnership:
    """One dataset at `as_of`; DatasetUnknown when there is none."""
    for view in ownership_overview(as_of, dataset_ids=[dataset_id], vanished=True):
        return view
    raise DatasetUnknown(what="dataset", name=str(dataset_id))


def ownership_overview(
    as_of: datetime, *, dataset_ids: Iterable[int] | None = None, vanished: bool = False
) -> list[DatasetOwnership]:
    """Every dataset that is there (with `vanished` also those that are not), by source and table; six queries in all."""
    rows = Dataset.objects.order_by("source", "table")
    rows = rows if dataset_ids is None else rows.filter(pk__in=list(dataset_ids))
    datasets = list(rows if vanished else rows.filter(vanished=False))
    ids = [d.pk for d in datasets]
    tenures: dict[int, list[Tenure]] = {}
    for owner in Owner.objects.filter(field__dataset__in=ids).order_by("number"):
        tenures.setdefault(owner.field_id, []).append(tenure(owner))
    concepts = dict(ConceptLink.objects.filter(field__dataset__in=ids).values_list("field_id", "concept"))
    truths: dict[int, list[str]] = {}
    for truth in SourceOfTruth.objects.filter(field__dataset__in=ids):
        if Period(truth.since, truth.until).covers(as_of):
            truths.setdefault(truth.field_id, []).append(truth.concept)
    fields: dict[int, list[Field]] = {}
    for field in Field.objects.filter(dataset__in=ids, vanished=False).order_by("position", "pk"):
        fields.setdefault(field.dataset_id, []).append(field)
    found = []
    for dataset in datasets:
        there = fields.get(dataset.pk, [])
        verdict = judge(
            str(dataset), [(f.name, tenures.get(f.pk, [])) for f in there], as_of, vanished=dataset.vanished
        )
        attributes = tuple(
            AttributeOwnership(f.pk, f.name, concepts.get(f.pk, ""), v, tuple(sorted(truths.get(f.pk, ()))))
            for f, v in zip(there, verdict.attributes, strict=True)
        )
        found.append(DatasetOwnership(dataset.pk, str(dataset), dataset.organisation, attributes, verdict))
    return found


def owner_history(source: str, table: str, column: str) -> tuple[TenureView, ...]:
    """Every owner an attribute had or will have, in the order of their time."""
    rows = find_field(source, table, column).owners.order_by("since", "number")
    return tuple(TenureView(tenure(r), r.ended_by, r.ended_reason, r.ended_basis, r.ledger_index) for r in rows)


def holdings(organisation: str, as_of: datetime) -> list[tuple[str, AttributeOwnership]]:
    """(dataset, attribute) of everything this organisation owns at `as_of`: an owner's page."""
    return [
        (view.dataset, a)
        for view in ownership_overview(as_of)
        for a in view.attributes
        if a.owner is not None and a.owner.organisation == organisation
    ]


def interims(now: datetime) -> list[InterimView]:
    """Attributes with an interim owner now, or with one whose term ran out and nobody after; the most urgent first."""
    found = []
    for view in ownership_overview(now):
        for attribute in view.attributes:
            held = attribute.owner
            last = held if held is not None else attribute.verdict.last
            if last is None or not last.interim or last.period.until is None:
                continue
            if held is None and attribute.verdict.reason != "interim-ran-out":
                continue
            left = last.period.until - now
            state: Literal["running", "ends-soon", "ran-out"] = (
                "ran-out" if held is None else "ends-soon" if left <= SOON else "running"
            )
            found.append(InterimView(view.dataset_id, view.dataset, attribute.column, last, state, left.days))
    return sorted(found, key=lambda i: (i.days, i.dataset, i.column))


def concept_truths(as_of: datetime) -> list[ConceptTruth]:
    """Every concept of the pack, and any other that was ever declared, with its source of truth at `as_of`."""
    concepts = load_concepts()
    rows = SourceOfTruth.objects.select_related("field__dataset").order_by("number")
    present = {r.concept: r for r in rows if Period(r.since, r.until).covers(as_of)}
    found = []
    for name in sorted({*concepts, *present}):
        row = present.get(name)
        known = concepts.get(name)
        found.append(ConceptTruth(name, known.text if known else None, _truth(row, as_of) if row else None))
    return found


def _truth(row: SourceOfTruth, as_of: datetime) -> Truth:
    field, dataset = row.field, row.field.dataset
    return Truth(
        row.concept, field.pk, dataset.pk, dataset.source, dataset.table, field.name, dataset.organisation,
        row.legal_basis, Period(row.since, row.until), owner_of(field.pk, as_of), field.vanished or dataset.vanished,
    )  # fmt: skip
