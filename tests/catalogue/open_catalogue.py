"""A small catalogue for the tests of what others see: two datasets of two organisations, one published, with all kinds of attributes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kerege.catalogue.exports.dcat_graph import Addresses
from kerege.catalogue.models import ConceptLink, Dataset, Field, LifecycleAction, Owner
from kerege.membership.models import Member

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SOURCE = "postgresql://db.internal:5432/schools"

ADDRESSES = Addresses(
    dataset=lambda dataset: f"https://hub.test/datasets/{dataset}",
    reference=lambda ref_id: f"https://hub.test/reference/{ref_id}",
    file=lambda ref_id, version, name: f"https://hub.test/files/{ref_id}/{version}/{name}",
    contract=lambda mapping: f"https://hub.test/contracts/{mapping}",
)


def organisation(code: str, name: str) -> Member:
    return Member.objects.get_or_create(
        code=code,
        defaults={"name_ky": f"{name} ky", "name_ru": f"{name} ru", "name_en": name, "registered_at": NOW},
    )[0]


def profile(name: str, position: int, personal: bool) -> dict[str, Any]:
    return {
        "name": name, "position": position, "declared_type": "text", "description": "", "rows": 10, "nulls": 0, "distinct": 5,
        "min_length": 1, "max_length": 9, "type": "text", "date_format": "", "identifier": "", "personal": personal,
        "masks": [["99999", 1000]], "codes": [["SECRET-CODE", 5]], "codes_withheld": 0, "frequency": [],
    }  # fmt: skip


def dataset(
    source: str, table: str, member: str, fields: list[tuple[str, bool, str, bool]], *, published: bool, **more: Any
) -> Dataset:
    """Fields are (name, personal, concept, owned)."""
    made = Dataset.objects.create(
        source=source, kind="postgresql", table=table, organisation=member, rows=10, harvested_at=NOW,
        profile={"name": table, "total_rows": 10, "rows": 10, "sampled": False}, **more,
    )  # fmt: skip
    for position, (name, personal, concept, owned) in enumerate(fields):
        field = Field.objects.create(
            dataset=made, name=name, position=position, profile=profile(name, position, personal), personal=personal
        )
        if concept:
            ConceptLink.objects.create(field=field, concept=concept, said_by="test", linked_at=NOW)
        if owned:
            Owner.objects.create(
                field=field, organisation=member, unit="Schools unit", legal_basis="Education act, article 9", since=NOW
            )
    if published:
        publish(made)
    return made


def publish(made: Dataset) -> None:
    for number, (action, by) in enumerate(
        (("submit", "steward"), ("approve", "head"), ("publish", "steward")), start=1
    ):
        LifecycleAction.objects.create(
            kind="dataset", subject=str(made), version="1", number=number, action=action, by=by, reason="test", evidence={}, at=NOW,
            digest="0" * 64,
        )  # fmt: skip


def fill() -> tuple[Dataset, Dataset]:
    """(published schools, pupils that nobody published)."""
    organisation("KG/GOV/70000003", "Ministry of Education")
    organisation("KG/GOV/70000002", "Population Agency")
    schools = dataset(
        SOURCE, "school", "KG/GOV/70000003",
        [
            ("code", False, "school.code", True), ("name", False, "school.name", True), ("director_pin", True, "person.pin", True),
            ("budget", False, "", False), ("shift", False, "", True),
        ],
        published=True,
    )  # fmt: skip
    people = dataset(
        SOURCE, "citizen", "KG/GOV/70000002",
        [("pin", True, "person.pin", True), ("fio", True, "person.name", True), ("status", False, "enrolment.status", True)],
        published=False, description="жарандардын реестри",
    )  # fmt: skip
    return schools, people


def reference(ref_id: str, codelist: str, version: str, folder: Any = None) -> Any:
    """A code list of the pack, approved and published as a reference dataset."""
    from kerege.catalogue.lifecycle import doings as lifecycle
    from kerege.catalogue.lifecycle.rules import Subject
    from kerege.catalogue.packs import current_pack
    from kerege.catalogue.reference import doings as published
    from kerege.catalogue.reference import make as reference_make
    from kerege.catalogue.reference import proposals as reference_proposals

    content = reference_make.of_codelist(current_pack(), codelist)
    owned = published.Owned(ref_id, "KG/GOV/70000003", "Statistics unit", "Statistics act, article 4")
    reference_proposals.propose(owned, content, version, "a", "ready", NOW)
    for action, by in (("submit", "a"), ("approve", "b")):
        lifecycle.act(Subject("reference", ref_id, version), action, by, "ready", NOW)
    return published.publish(owned, content, version, "a", "ready", NOW, folder=folder)
