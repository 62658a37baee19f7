"""Findings with who answers for them: the attribute's owner, else the organisation that runs the dataset, else nobody yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kerege.catalogue.models import Finding
from kerege.catalogue.ownership import owners_by_field
from kerege.ground.text import Text

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


def findings(now: datetime, *, source: str = "", owner: str = "", settled: bool = False) -> list[FindingTold]:
    """Open findings (with `settled`, those that were closed instead), newest first; of one source, of one owner."""
    rows = Finding.objects.filter(settled_at__isnull=not settled).select_related("dataset", "field")
    if source:
        rows = rows.filter(dataset__source=source)
    rows = rows.order_by("-found_at", "dataset__source", "dataset__table", "kind")
    owners = owners_by_field(sorted({r.dataset_id for r in rows}), now)
    out = []
    for row in rows:
        held = owners.get(row.field_id) if row.field_id else None
        organisation = row.dataset.organisation
        who, unit, by = ("", "", "nobody")
        if held is not None:
            who, unit, by = held.organisation, held.unit, "attribute"
        elif organisation:
            who, unit, by = organisation, "", "dataset"
        if owner and who != owner:
            continue
        out.append(
            FindingTold(
                row.pk, row.dataset.source, row.dataset.table, row.field.name if row.field else "", row.kind, row.detail,
                row.records, row.found_by, row.found_at, row.settled_at, row.evidence, who, unit, by,
            )
        )  # fmt: skip
    return out
