"""What a dataset's entry says, in a digest: an approval is one of what was looked at, and of no column, owner or meaning that came after it.

How many rows a harvest counted, and its masks, are not part of it: they are other ones every day and bind nobody.
"""

from __future__ import annotations

from typing import Any

from kerege.catalogue.lifecycle.rules import Subject
from kerege.catalogue.models import ConceptLink, Dataset, Field, Owner, SourceOfTruth
from kerege.ground.clock import iso
from kerege.ground.ids import digest


def content(subject: Subject, hold: bool) -> tuple[str, str]:
    """(digest of columns, what they mean, who owns them and by what law, nobody); ("", "") for a dataset that the catalogue does not have.

    hold   a harvest that is applied, and whoever names an owner, waits until the transaction ends
    """
    source, _, table = subject.id.rpartition("#")
    datasets, fields = Dataset.objects.filter(source=source, table=table), Field.objects.filter(vanished=False)
    if hold:
        datasets, fields = datasets.select_for_update(), fields.select_for_update()
    dataset = datasets.first()
    if dataset is None:
        return "", ""
    columns = {f.pk: _column(f) for f in fields.filter(dataset=dataset).order_by("pk")}
    for link in ConceptLink.objects.filter(field__in=columns):
        columns[link.field_id]["concept"] = link.concept
    for owner in Owner.objects.filter(field__in=columns).order_by("field", "number"):
        told = [owner.organisation, owner.unit, owner.legal_basis, owner.kind, *_period(owner)]
        columns[owner.field_id]["owners"].append(told)
    for truth in SourceOfTruth.objects.filter(field__in=columns).order_by("concept", "number"):
        columns[truth.field_id]["decides"].append([truth.concept, truth.legal_basis, *_period(truth)])
    said = [dataset.organisation, dataset.description, dataset.vanished, sorted(columns.values(), key=_name)]
    return digest(said), ""


def _column(field: Field) -> dict[str, Any]:
    told = {"name": field.name, "type": field.profile.get("type", ""), "personal": field.personal}
    return told | {"codelist": field.codelist, "concept": "", "owners": [], "decides": []}


def _period(row: Owner | SourceOfTruth) -> tuple[str, str]:
    return iso(row.since), iso(row.until) if row.until is not None else ""


def _name(column: dict[str, Any]) -> str:
    return str(column["name"])
