"""What columns mean, at the steward's desk: candidates from the country's concepts with what speaks for each, and decisions kept as truth.

Candidates compare the column's name and description with the concepts' identifiers and wordings (`semantics.suggest.columns`). A decision
is kept like one on a code (`decisions`), under the name `COLUMNS`, the attribute as the code and the concept as the target; only accepting also
links (`doings.link_concept`). So suggesting for columns is measured by the same function as suggesting for codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import CharField, Count, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Right

from kerege.catalogue.codes import decisions
from kerege.catalogue.codes.concepts import Concept, load_concepts
from kerege.catalogue.errors import DatasetUnknown, DecisionNeedsReason, DecisionNeedsTarget
from kerege.catalogue.inventory.doings import link_concept
from kerege.catalogue.inventory.plans import describe
from kerege.catalogue.inventory.profile import FieldProfile, as_column
from kerege.catalogue.models import CodeDecision, CodeSuggestion, ConceptLink, Dataset, Field
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import iso
from kerege.ground.text import Text
from kerege.semantics.suggest.columns import ColumnProfile, suggest_columns
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced

COLUMNS: Final = "columns:concepts"  # the name under which decisions on columns are kept
LONGEST: Final = 200  # characters of an attribute's name that are kept, from its end
TOP: Final = 5
SHOWN: Final = 0.15  # below this a candidate is noise


@dataclass(frozen=True, slots=True)
class ConceptCandidate:
    """One concept that a column may mean: its score and what each witness said (name, spelling, ...), 0 to 1."""

    rank: int
    concept: str
    text: Text
    score: float
    witnesses: tuple[tuple[str, float], ...]
    refused: bool


@dataclass(frozen=True, slots=True)
class ColumnTask:
    """A column that nobody has given a meaning yet, with its profile in words and its candidates, best first."""

    column: str
    summary: str
    personal: bool
    codes: tuple[tuple[str, int], ...]
    candidates: tuple[ConceptCandidate, ...]


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """A dataset with how many columns it has and how many of them wait: without a meaning, and nobody said that no concept fits."""

    dataset_id: int
    source: str
    table: str
    description: str
    columns: int
    open: int


def attribute(source: str, table: str, column: str) -> str:
    """The name under which decisions on an attribute are kept."""
    return f"{source}#{table}.{column}"[-LONGEST:]


def _open() -> QuerySet[Field]:
    """Columns that wait: without a meaning, and nobody said that no concept fits."""
    name = Concat(
        F("dataset__source"), Value("#"), F("dataset__table"), Value("."), F("name"), output_field=CharField()
    )
    none = CodeDecision.objects.filter(crosswalk=COLUMNS, verdict=decisions.NO_COUNTERPART, code=OuterRef("kept_as"))
    rows = Field.objects.filter(vanished=False, concept_link=None)
    return rows.annotate(kept_as=Right(name, LONGEST)).filter(~Exists(none))


def progress(*, start: int = 0, most: int = 25) -> tuple[list[DatasetProgress], int]:
    """Datasets with columns that wait, most first, and how many such datasets there are; three queries."""
    rows = (
        _open().filter(dataset__vanished=False).values("dataset_id", "dataset__source", "dataset__table")
        .annotate(n=Count("pk")).order_by("-n", "dataset__source", "dataset__table")
    )  # fmt: skip
    total = _open().filter(dataset__vanished=False).aggregate(n=Count("dataset_id", distinct=True))["n"]
    page = {row["dataset_id"]: row["n"] for row in rows[start : start + most]}
    columns = Count("fields", filter=Q(fields__vanished=False))
    there = Dataset.objects.defer("profile").filter(pk__in=page).annotate(columns=columns).in_bulk()
    found = [
        DatasetProgress(pk, there[pk].source, there[pk].table, there[pk].description, there[pk].columns, n)
        for pk, n in page.items()
    ]
    return found, total


def waiting(dataset_id: int, *, start: int = 0, most: int = 10, column: str = "") -> tuple[list[ColumnTask], int]:
    """A page of the columns of a dataset that wait, in their order, each with at most `TOP` candidates; and how many wait. Four queries.

    column   this one only, whether it waits or not

    A column's candidates do not depend on which others stand beside it, so what is kept on a decision is what was shown.
    """
    concepts = load_concepts()
    rows = Field.objects.filter(name=column, vanished=False) if column else _open()
    rows = rows.filter(dataset_id=dataset_id)
    fields = list(rows.select_related("dataset").order_by("position", "pk")[start : start + most])
    names = {f.pk: attribute(f.dataset.source, f.dataset.table, f.name) for f in fields}
    refused = set(
        CodeDecision.objects.filter(
            crosswalk=COLUMNS, verdict=decisions.REFUSED, code__in=names.values()
        ).values_list("code", "target")
    )  # fmt: skip
    out = []
    for field in fields:
        profile = FieldProfile.from_dict(field.profile)
        ranked = _ranked(as_column(profile, field.dataset.table, frozenset()), concepts)
        found = tuple(
            ConceptCandidate(rank, c, concepts[c].text, score, witnesses, (names[field.pk], c) in refused)
            for rank, (c, score, witnesses) in enumerate(ranked, start=1)
        )
        out.append(ColumnTask(field.name, describe(profile), field.personal, tuple(profile.codes[:12]), found))
    return out, rows.count()


def _ranked(
    column: ColumnProfile, concepts: Mapping[str, Concept]
) -> list[tuple[str, float, tuple[tuple[str, float], ...]]]:
    wordings = [
        ColumnProfile(name, table=concept.id)
        for concept in concepts.values()
        for name in dict.fromkeys((concept.id.rsplit(".", 1)[-1], *concept.text.as_dict().values()))
    ]
    bare = ColumnProfile(column.name, table=column.table, description=column.description)
    best: dict[str, tuple[str, float, tuple[tuple[str, float], ...]]] = {}
    for found in suggest_columns([bare], wordings, top=TOP * 4) if wordings else ():
        for c in found.candidates:  # several wordings lead to one concept: the best of them stands
            if c.score >= SHOWN:
                best.setdefault(c.table, (c.table, c.score, c.witnesses))
    return list(best.values())[:TOP]


@transaction.atomic
def decide_column(
    dataset: Dataset, column: str, verdict: str, by: str, now: datetime, *, concept: str = "", codelist: str = "", reason: str = "",
) -> CodeDecision:  # fmt: skip
    """Keep a steward's decision on what a column means, with what had been suggested; accepting also links the concept.

    A decision against the link that stands (another concept, that one refused, no concept fits) takes it away, and its code list with it: a list
    without a meaning would have the column taken for codes. The decision remembers both.

    Raises DecisionRefused, ConceptUnknown, DatasetUnknown; then nothing is kept.
    """
    name = attribute(dataset.source, dataset.table, column)
    if verdict == decisions.NO_COUNTERPART and not reason.strip():
        raise DecisionNeedsReason(
            code_given=repr(column[:40]), crosswalk=COLUMNS, why="where no concept fits, others need to know why"
        )
    if verdict != decisions.NO_COUNTERPART and not concept:
        raise DecisionNeedsTarget(code_given=repr(column[:40]), crosswalk=COLUMNS)
    field = Field.objects.select_for_update().filter(dataset=dataset, name=column).first()
    if field is None:
        raise DatasetUnknown(what="attribute", name=f"{dataset}.{column[:40]}")
    if not CodeSuggestion.objects.filter(crosswalk=COLUMNS, code=name).exists():
        _keep(dataset, column, name, now)
    link = ConceptLink.objects.filter(field=field).first()
    against = link is not None and (verdict != decisions.REFUSED or link.concept == concept)
    made = decisions.decide(
        COLUMNS, name, verdict, by, now, target=concept, reason=reason, replaced=_meaning(field, link if against else None)
    )  # fmt: skip
    if verdict == decisions.ACCEPTED:
        known = load_concepts().get(concept)
        link_concept(
            dataset.source, dataset.table, column, concept, by, now, codelist or (known.codelist if known else "")
        )
    elif link is not None and against:
        link.delete()
        _lay(field, "")
        search_index.changed(f"dataset:{dataset.pk}")
    return made


def _lay(field: Field, codelist: str) -> None:
    field.codelist = codelist
    field.save(update_fields=["codelist"])


def _meaning(field: Field, link: ConceptLink | None) -> dict[str, str]:
    told = {} if link is None else {"concept": link.concept, "said_by": link.said_by, "linked_at": iso(link.linked_at)}
    return {"codelist": field.codelist, **told}


def _keep(dataset: Dataset, column: str, name: str, now: datetime) -> None:
    """What was suggested, before it is decided on."""
    for task in waiting(dataset.pk, column=column)[0]:
        found = tuple(Evidenced(c.concept, c.score, c.score, 0, 0.0) for c in task.candidates)
        said = CandidateSet(name, found, "unsure" if found else "none", "names")
        labels = {c.concept: c.text.en for c in task.candidates}
        decisions.keep_suggestions(COLUMNS, decisions.new_run(), [said], {name: column}, labels, now)


@transaction.atomic
def take_back_column(dataset: Dataset, decision_id: int, column: str, by: str, now: datetime) -> None:
    """Undo one's own decision of a moment ago on this column; the meaning it made is gone, the one it took away is back.

    A meaning that somebody gave the column since stays. Raises DecisionRefused.
    """
    name = attribute(dataset.source, dataset.table, column)
    row = decisions.take_back(decision_id, by, now, crosswalk=COLUMNS, code=name)
    field = Field.objects.select_for_update().get(dataset=dataset, name=column)
    link, before = ConceptLink.objects.filter(field=field).first(), row.replaced
    accepted = row.verdict == decisions.ACCEPTED
    if not accepted and not before.get("concept"):
        return
    made = (row.target, row.by, row.at) if accepted else None
    if made != ((link.concept, link.said_by, link.linked_at) if link is not None else None):
        return
    if before.get("concept"):
        ConceptLink.objects.update_or_create(
            field=field,
            defaults={
                "concept": before["concept"], "said_by": before["said_by"], "linked_at": datetime.fromisoformat(before["linked_at"])
            },
        )  # fmt: skip
    elif link is not None:
        link.delete()
    if "codelist" in before:
        _lay(field, before["codelist"])
    search_index.changed(f"dataset:{dataset.pk}")
