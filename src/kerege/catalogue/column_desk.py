"""What columns mean, at the steward's desk: candidates from the country's concepts with what speaks for each, and decisions kept as truth.

Candidates compare the column's name and description with the concepts' identifiers and wordings (`semantics.suggest_columns`). A decision
is kept like one on a code (`decisions`), under the name `COLUMNS`, the attribute as the code and the concept as the target; only accepting also
links (`doings.link_concept`). So suggesting for columns is measured by the same function as suggesting for codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Count, Q

from kerege.catalogue import decisions
from kerege.catalogue.concepts import Concept, load_concepts
from kerege.catalogue.doings import link_concept
from kerege.catalogue.errors import DecisionRefused
from kerege.catalogue.models import CodeDecision, CodeSuggestion, Dataset, Field
from kerege.catalogue.plans import describe
from kerege.catalogue.profile import FieldProfile, as_column
from kerege.ground.text import Text
from kerege.semantics.suggest_columns import ColumnProfile, suggest_columns
from kerege.semantics.suggest_evidence import CandidateSet, Evidenced

COLUMNS: Final = "columns:concepts"  # the name under which decisions on columns are kept
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
    """A dataset with how many of its columns have a meaning, an owner not asked."""

    dataset_id: int
    source: str
    table: str
    description: str
    columns: int
    linked: int

    @property
    def open(self) -> int:
        return self.columns - self.linked


def attribute(source: str, table: str, column: str) -> str:
    """The name under which decisions on an attribute are kept."""
    return f"{source}#{table}.{column}"[-200:]


def progress(*, only_open: bool = True, start: int = 0, most: int = 25) -> tuple[list[DatasetProgress], int]:
    """Datasets with columns that wait, most first, and how many such datasets there are; two queries."""
    there = Q(fields__vanished=False)
    rows = Dataset.objects.filter(vanished=False).annotate(
        n=Count("fields", filter=there, distinct=True),
        linked=Count("fields", filter=there & Q(fields__concept_link__isnull=False), distinct=True),
    )
    rows = rows.defer("profile").order_by("linked", "source", "table")
    if only_open:
        from django.db.models import F

        rows = rows.filter(n__gt=F("linked"))
    found = [DatasetProgress(d.pk, d.source, d.table, d.description, d.n, d.linked) for d in rows[start : start + most]]
    return found, rows.count()


def waiting(dataset_id: int) -> list[ColumnTask]:
    """The columns of a dataset without a meaning, in their order, each with at most `TOP` candidates; four queries."""
    concepts = load_concepts()
    fields = list(
        Field.objects.filter(dataset_id=dataset_id, vanished=False, concept_link=None)
        .select_related("dataset")
        .order_by("position", "pk")
    )
    profiles = {f.name: FieldProfile.from_dict(f.profile) for f in fields}
    ranked = _ranked([as_column(p, fields[0].dataset.table, frozenset()) for p in profiles.values()], concepts)
    refused = set(
        CodeDecision.objects.filter(
            crosswalk=COLUMNS, verdict=decisions.REFUSED,
            code__in=[attribute(f.dataset.source, f.dataset.table, f.name) for f in fields],
        ).values_list("code", "target")
    ) if fields else set()  # fmt: skip
    out = []
    for field in fields:
        name = attribute(field.dataset.source, field.dataset.table, field.name)
        found = tuple(
            ConceptCandidate(rank, c, concepts[c].text, score, witnesses, (name, c) in refused)
            for rank, (c, score, witnesses) in enumerate(ranked.get(field.name, ()), start=1)
        )
        profile = profiles[field.name]
        out.append(ColumnTask(field.name, describe(profile), field.personal, tuple(profile.codes[:12]), found))
    return out


def _ranked(
    columns: Sequence[ColumnProfile], concepts: Mapping[str, Concept]
) -> dict[str, list[tuple[str, float, tuple[tuple[str, float], ...]]]]:
    wordings = [
        ColumnProfile(name, table=concept.id)
        for concept in concepts.values()
        for name in dict.fromkeys((concept.id.rsplit(".", 1)[-1], *concept.text.as_dict().values()))
    ]
    bare = [ColumnProfile(c.name, table=c.table, description=c.description) for c in columns]
    out: dict[str, list[tuple[str, float, tuple[tuple[str, float], ...]]]] = {}
    for found in suggest_columns(bare, wordings, top=TOP * 4) if bare and wordings else ():
        best: dict[str, tuple[str, float, tuple[tuple[str, float], ...]]] = {}
        for c in found.candidates:  # several wordings lead to one concept: the best of them stands
            if c.score >= SHOWN:
                best.setdefault(c.table, (c.table, c.score, c.witnesses))
        out[found.column] = list(best.values())[:TOP]
    return out


@transaction.atomic
def decide_column(
    dataset: Dataset, column: str, verdict: str, by: str, now: datetime, *, concept: str = "", codelist: str = "", reason: str = "",
) -> CodeDecision:  # fmt: skip
    """Keep a steward's decision on what a column means, with what had been suggested; accepting also links the concept.

    Raises DecisionRefused, ConceptUnknown, DatasetUnknown; then nothing is kept.
    """
    name = attribute(dataset.source, dataset.table, column)
    if verdict == decisions.NO_COUNTERPART and not reason.strip():
        raise DecisionRefused(code_given=repr(column[:40]), crosswalk=COLUMNS, reason="no concept fits: say why")
    if not CodeSuggestion.objects.filter(crosswalk=COLUMNS, code=name).exists():
        _keep(dataset, column, name, now)
    made = decisions.decide(COLUMNS, name, verdict, by, now, target=concept, reason=reason)
    if verdict == decisions.ACCEPTED:
        known = load_concepts().get(concept)
        link_concept(
            dataset.source, dataset.table, column, concept, by, now, codelist or (known.codelist if known else "")
        )
    return made


def _keep(dataset: Dataset, column: str, name: str, now: datetime) -> None:
    """What was suggested, before it is decided on."""
    for task in waiting(dataset.pk):
        if task.column == column:
            found = tuple(Evidenced(c.concept, c.score, c.score, 0, 0.0) for c in task.candidates)
            said = CandidateSet(name, found, "unsure" if found else "none", "names")
            labels = {c.concept: c.text.en for c in task.candidates}
            decisions.keep_suggestions(COLUMNS, decisions.new_run(), [said], {name: column}, labels, now)


@transaction.atomic
def take_back_column(dataset: Dataset, decision_id: int, column: str, by: str, now: datetime) -> None:
    """Undo one's own decision of a moment ago, with the link it made. Raises DecisionRefused."""
    row = decisions.take_back(decision_id, by, now)
    if row.verdict == decisions.ACCEPTED:
        from kerege.catalogue.models import ConceptLink

        ConceptLink.objects.filter(field__dataset=dataset, field__name=column, concept=row.target).delete()
