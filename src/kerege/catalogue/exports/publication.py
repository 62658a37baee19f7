"""What of the catalogue may leave it: decided here once, for every export and for everybody who may read without signing in.

A dataset leaves when its life cycle says published (or deprecated), an attribute when besides it is not about an identifiable person and has an
owner today; a description, a name of a unit and a legal basis leave with what they belong to. Addresses of sources, profiles, masks, counts and
codes seen in data never do. Pure decision `may_leave`; `outgoing` asks the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kerege.catalogue.browse.organisations import spellings
from kerege.catalogue.inventory import queries
from kerege.catalogue.inventory.queries import DatasetView, FieldView
from kerege.catalogue.lifecycle.rules import IN_FORCE, Action, Step, state_after
from kerege.catalogue.models import Dataset, LifecycleAction
from kerege.ground.ids import digest

LIFECYCLE_KIND: Final = "dataset"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something may leave, and a stable reason: published, vanished, not-published, personal, no-owner."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A dataset that leaves, and its attributes that leave with it.

    key        lasting id that tells nothing of the source: 16 hex digits
    withheld   attributes that stay, by reason
    """

    key: str
    view: DatasetView
    fields: tuple[FieldView, ...]
    withheld: dict[str, int]
    published_at: datetime | None

    @property
    def personal(self) -> bool:
        """Whether the dataset holds attributes about identifiable people (which are not among `fields`)."""
        return "personal" in self.withheld


def dataset_key(source: str, table: str) -> str:
    """The lasting id of a dataset, the same in every installation that harvested the same source."""
    return digest([source, table])[:16]


def subject_id(view: DatasetView) -> str:
    """Under which id the life cycle knows a dataset."""
    return f"{view.source}#{view.table}"


def may_leave(field: FieldView, dataset: Verdict) -> Verdict:
    """Whether an attribute of a dataset may leave."""
    if not dataset.allowed:
        return dataset
    if field.vanished:
        return Verdict(False, "vanished")
    if field.personal:
        return Verdict(False, "personal")
    if field.owner is None:
        return Verdict(False, "no-owner")
    return Verdict(True, "published")


def dataset_verdict(view: DatasetView, published: Collection[str]) -> Verdict:
    """Whether a dataset may leave; `published` are the life cycle's ids of those in force."""
    if view.vanished:
        return Verdict(False, "vanished")
    if subject_id(view) not in published:
        return Verdict(False, "not-published")
    return Verdict(True, "published")


def published_since() -> dict[str, datetime | None]:
    """Life-cycle ids of the datasets in force, with the moment of the newest action on a version of them that is."""
    steps: dict[tuple[str, str], list[Step]] = {}
    last: dict[tuple[str, str], datetime] = {}
    rows = LifecycleAction.objects.filter(kind=LIFECYCLE_KIND).order_by("number", "pk")
    for subject, version, action, by, at in rows.values_list("subject", "version", "action", "by", "at"):
        steps.setdefault((subject, version), []).append(Step(Action(action), by))
        last[subject, version] = at
    found: dict[str, datetime | None] = {}
    for (subject, version), done in steps.items():
        if state_after(done) in IN_FORCE:
            known = found.get(subject)
            found[subject] = last[subject, version] if known is None else max(known, last[subject, version])
    return found


def outgoing(
    views: Iterable[DatasetView] | None = None, *, published: Mapping[str, datetime | None] | None = None
) -> list[Outgoing]:
    """Every dataset that may leave, with what may leave of it. `published`: `published_since`, for those who have asked it already."""
    published = published_since() if published is None else published
    out = []
    for view in queries.datasets() if views is None else views:
        verdict = dataset_verdict(view, published)
        if not verdict.allowed:
            continue
        withheld: dict[str, int] = {}
        fields = []
        for field in view.fields:
            answer = may_leave(field, verdict)
            if answer.allowed:
                fields.append(field)
            else:
                withheld[answer.reason] = withheld.get(answer.reason, 0) + 1
        key = dataset_key(view.source, view.table)
        out.append(Outgoing(key, view, tuple(fields), withheld, published.get(subject_id(view))))
    return out


def leaving(
    *, organisation: str = "", concept: str = "", codelist: str = "", key: str = "",
    published: Mapping[str, datetime | None] | None = None,
) -> list[int]:  # fmt: skip
    """Ids of the datasets that may leave, in their order, narrowed; cheap, for those who then load a page of them through `outgoing`.

    concept, codelist   datasets with an attribute that means it, or takes its codes from it; whether that attribute may leave is `outgoing`'s to say
    key                 the one with this lasting id
    published           `published_since`, for those who have asked it already
    """
    rows = Dataset.objects.filter(vanished=False)
    if organisation:
        rows = rows.filter(organisation__in=spellings(organisation))
    if concept:
        rows = rows.filter(fields__concept_link__concept=concept).distinct()
    if codelist:
        rows = rows.filter(fields__codelist=codelist).distinct()
    published = published_since() if published is None else published
    return [
        pk
        for pk, source, table in rows.order_by("source", "table").values_list("pk", "source", "table")
        if f"{source}#{table}" in published and (not key or dataset_key(source, table) == key)
    ]
