"""Findings with who answers for them: the attribute's owner, else the organisation that runs the dataset, else nobody yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from kerege.catalogue.browse.organisations import spellings
from kerege.catalogue.models import Finding, Owner
from kerege.catalogue.ownership.rows import tenure
from kerege.catalogue.ownership.rules import Tenure
from kerege.ground.text import Text

_AT_ONCE: Final = 500
NOBODY = Text(
    ky="азырынча эч ким", ru="пока никто", en="nobody yet"
)  # said in words: an empty place would look like a fault of the page


@dataclass(frozen=True, slots=True)
class FindingTold:
    """A finding as a desk shows it. `owner` is a member code, "" for nobody yet; `owner_by` says whose word that is."""

    id: int
    source: str
    table: str
    column: str
    kind: str
    detail: str
    records: int
    found_by: str
    found_at: datetime
    settled_at: datetime | None
    evidence: str
    owner: str
    owner_unit: str
    owner_by: str  # attribute, dataset, nobody

    @property
    def answers(self) -> Text:
        """Who answers for it, in words."""
        if self.owner_by == "nobody":
            return NOBODY
        words = f"{self.owner} {self.owner_unit}".strip()
        return Text(ky=words, ru=words, en=words)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id, "source": self.source, "table": self.table, "column": self.column, "kind": self.kind,
            "detail": self.detail, "records": self.records, "found_by": self.found_by, "found_at": self.found_at.isoformat(),
            "settled_at": self.settled_at.isoformat() if self.settled_at else None, "evidence": self.evidence,
            "owner": self.owner, "owner_unit": self.owner_unit, "owner_by": self.owner_by,
        }  # fmt: skip


def findings(
    now: datetime, *, source: str = "", owner: str = "", settled: bool = False, offset: int = 0, limit: int | None = None
) -> list[FindingTold]:  # fmt: skip
    """Open findings (with `settled`, those that were closed instead), newest first; of one source, of one owner. A fixed number of queries a page.

    What was refused or withdrawn is neither: it waits for nobody, and nothing showed that it is gone.

    limit   how many at most, from `offset` on; all of them without it
    """
    rows = Finding.objects.filter(settled_at__isnull=not settled).select_related("dataset", "field")
    if not settled:
        rows = rows.filter(ended_at=None)
    if source:
        rows = rows.filter(dataset__source=source)
    if owner:
        held_now = Owner.objects.valid_at(now).filter(field=OuterRef("field")).values("organisation")[:1]
        rows = rows.annotate(answers=Coalesce(Subquery(held_now), F("dataset__organisation"))).filter(
            answers__in=spellings(owner)
        )
    rows = rows.order_by("-found_at", "dataset__source", "dataset__table", "kind", "pk")
    page = list(rows[offset:] if limit is None else rows[offset : offset + limit])
    owners = _owners({r.field_id for r in page if r.field_id}, now)
    out = []
    for row in page:
        held = owners.get(row.field_id) if row.field_id else None
        organisation = row.dataset.organisation
        who, unit, by = ("", "", "nobody")
        if held is not None:
            who, unit, by = held.organisation, held.unit, "attribute"
        elif organisation:
            who, unit, by = organisation, "", "dataset"
        out.append(
            FindingTold(
                row.pk, row.dataset.source, row.dataset.table, row.field.name if row.field else "", row.kind, row.detail,
                row.records, row.found_by, row.found_at, row.settled_at, row.evidence, who, unit, by,
            )
        )  # fmt: skip
    return out


def _owners(fields: set[int], now: datetime) -> dict[int, Tenure]:
    """Attribute -> its owner at `now`; asked in bounded pieces, because a database takes only so many parameters."""
    found: dict[int, Tenure] = {}
    every = sorted(fields)
    for start in range(0, len(every), _AT_ONCE):
        for row in Owner.objects.valid_at(now).filter(field__in=every[start : start + _AT_ONCE]):
            found[row.field_id] = tenure(row)
    return found
