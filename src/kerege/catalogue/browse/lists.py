"""The catalogue in pages: what a screen lists of datasets, attributes and holdings, a page at a time, however many there are.

`queries` gives datasets whole; a list of five thousand needs less of each. Every function here asks the tables a fixed number of times, whatever
it lists, and cuts in the database. Traffic and dependants are `browse.use`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Length
from rapidfuzz import process
from rapidfuzz.distance import OSA

from kerege.catalogue.browse.organisations import spellings
from kerege.catalogue.lifecycle.rules import IN_FORCE, Action, Step, state_after
from kerege.catalogue.models import (
    CodeDecision,
    ConceptLink,
    ContractVersion,
    Dataset,
    Field,
    Finding,
    LifecycleAction,
    Owner,
    Plan,
    RegisterRequest,
    SearchWord,
    SourceOfTruth,
    UnmappedCode,
)

PER_PAGE: Final = 20
_WORDS: Final = 20_000  # of the index that one mistyped word is compared with


@dataclass(frozen=True, slots=True)
class Card:
    """A dataset in a list. `fields`, `owned` and `meant` count attributes that are there; `state` is "" for one nobody acted on."""

    id: int
    table: str
    kind: str
    organisation: str
    description: str
    rows: int
    sampled: bool
    fields: int
    owned: int
    meant: int
    personal: bool
    findings: int
    state: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute in a list, with its dataset. `owner` is a member code, "" for none at that moment."""

    id: int
    name: str
    dataset_id: int
    table: str
    description: str
    organisation: str
    concept: str
    codelist: str
    owner: str
    unit: str
    legal_basis: str
    interim_until: datetime | None
    is_truth: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the catalogue is: datasets and attributes that are there, and by organisation the datasets it runs."""

    datasets: int
    attributes: int
    owned: int
    meant: int
    findings: int
    organisations: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One harvest of a source: when, whether it was applied, how many changes it showed of one table, what it cost the source."""

    plan_id: str
    made_at: datetime
    applied_at: datetime | None
    changes: tuple[tuple[str, int], ...]  # sign, how many
    cost: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """How many codes of a crosswalk were decided so, and when the last was. Which ones, by whom and why is told at the desk."""

    verdict: str
    number: int
    last: datetime


def _present() -> QuerySet[Dataset]:
    return Dataset.objects.filter(vanished=False)


def _owned(now: datetime, **which: Any) -> QuerySet[Owner]:
    return Owner.objects.valid_at(now).filter(field__vanished=False, field__dataset__vanished=False, **which)


def shape(now: datetime) -> Shape:
    """The catalogue's size in seven counts."""
    fields = Field.objects.filter(vanished=False, dataset__vanished=False)
    by = (
        _present()
        .exclude(organisation="")
        .values_list("organisation")
        .annotate(n=Count("pk"))
        .order_by("-n", "organisation")
    )
    return Shape(
        _present().count(), fields.count(), _owned(now).count(),
        ConceptLink.objects.filter(field__vanished=False, field__dataset__vanished=False).count(),
        Finding.objects.filter(settled_at=None, ended_at=None).count(), tuple((str(code), int(n)) for code, n in by),
    )  # fmt: skip


def cards(
    now: datetime, *, organisation: str = "", ids: list[int] | None = None, offset: int = 0, limit: int = PER_PAGE
) -> tuple[list[Card], int]:
    """Datasets that are there, by organisation and table, and how many there are in all; of one organisation, or those with `ids`."""
    rows = _present()
    rows = rows.filter(organisation__in=spellings(organisation)) if organisation else rows
    rows = rows.filter(pk__in=ids) if ids is not None else rows
    total = rows.count()
    page = list(rows.order_by("organisation", "table", "pk")[offset : offset + limit])
    return _cards(page, now), total


def tables_named(tables: list[str], limit: int = PER_PAGE) -> list[int]:
    """Datasets whose table has one of these names."""
    return list(_present().filter(table__in=tables).order_by("table", "pk").values_list("pk", flat=True)[:limit])


def _cards(page: list[Dataset], now: datetime) -> list[Card]:
    ids = [d.pk for d in page]
    fields = Field.objects.filter(dataset__in=ids, vanished=False)
    sums = fields.values_list("dataset").annotate(n=Count("pk"), p=Count("pk", filter=Q(personal=True)))
    counts: dict[int, tuple[int, int]] = {pk: (n, p) for pk, n, p in sums}
    owned = Counter(_owned(now, field__dataset__in=ids).values_list("field__dataset", flat=True))
    meant = Counter(fields.exclude(concept_link=None).values_list("dataset", flat=True))
    findings = Counter(
        Finding.objects.filter(settled_at=None, ended_at=None, dataset__in=ids).values_list("dataset", flat=True)
    )
    states = states_of("dataset", [str(d) for d in page])
    return [
        Card(
            d.pk, d.table, d.kind, d.organisation, d.description, d.rows, bool(d.profile.get("sampled")), counts.get(d.pk, (0, 0))[0],
            owned[d.pk], meant[d.pk], counts.get(d.pk, (0, 0))[1] > 0, findings[d.pk], states.get(str(d), ("", ""))[0],
        )
        for d in page
    ]  # fmt: skip


def states_of(kind: str, things: list[str]) -> dict[str, tuple[str, str]]:
    """Thing -> (state, version): the version in force before the one acted on last. One query."""
    done: dict[tuple[str, str], list[Step]] = {}
    for row in LifecycleAction.objects.filter(kind=kind, subject__in=things).order_by("pk"):
        steps = done.setdefault((row.subject, row.version), [])
        steps.append(Step(Action(row.action), row.by))
    found: dict[str, tuple[str, str]] = {}
    for (thing, version), steps in done.items():
        state = state_after(steps)
        before = found.get(thing)
        if before is None or before[0] not in IN_FORCE or state in IN_FORCE:
            found[thing] = (state.value, version)
    return found


def attributes(
    now: datetime, *, concept: str = "", codelist: str = "", owner: str = "", ids: list[int] | None = None, offset: int = 0,
    limit: int = PER_PAGE,
) -> tuple[list[Attribute], int]:  # fmt: skip
    """Attributes that are there and carry a concept, take their codes from a list, or are owned by an organisation; how many in all.

    Sources of truth come first, then by dataset and name.
    """
    rows = Field.objects.filter(vanished=False, dataset__vanished=False)
    rows = rows.filter(concept_link__concept=concept) if concept else rows
    rows = rows.filter(codelist=codelist) if codelist else rows
    rows = rows.filter(pk__in=ids) if ids is not None else rows
    held = Owner.objects.valid_at(now)
    if owner:
        rows = rows.filter(Exists(held.filter(field=OuterRef("pk"), organisation__in=spellings(owner))))
    total = rows.count()
    truth = SourceOfTruth.objects.valid_at(now).filter(field=OuterRef("pk"))
    page = list(
        rows.annotate(decides=Exists(truth)).select_related("dataset", "concept_link")
        .order_by("-decides", "dataset__organisation", "dataset__table", "position", "pk")[offset : offset + limit]
    )  # fmt: skip
    owners = {o.field_id: o for o in held.filter(field__in=[f.pk for f in page])}
    return [_attribute(row, owners.get(row.pk)) for row in page], total


def _attribute(row: Any, owner: Owner | None) -> Attribute:
    link = getattr(row, "concept_link", None)
    return Attribute(
        row.pk, row.name, row.dataset_id, row.dataset.table, row.dataset.description, row.dataset.organisation, link.concept if link else "",
        row.codelist, owner.organisation if owner else "", owner.unit if owner else "", owner.legal_basis if owner else "",
        owner.until if owner and owner.kind == Owner.INTERIM else None, bool(row.decides),
    )  # fmt: skip


def dataset_of_field(field_id: int) -> int | None:
    """The dataset an attribute belongs to; None when there is no such attribute."""
    return Field.objects.filter(pk=field_id).values_list("dataset_id", flat=True).first()


def named(dataset_ids: list[int]) -> dict[int, tuple[str, str]]:
    """Dataset -> (table, description), for the line below a hit."""
    return {
        pk: (table, text)
        for pk, table, text in Dataset.objects.filter(pk__in=dataset_ids).values_list("pk", "table", "description")
    }


def readings(source: str, table: str, limit: int = 8) -> list[Reading]:
    """The last harvests of a source, newest first, with what they changed of one table."""
    found = []
    for plan in Plan.objects.filter(source=source).order_by("-made_at").defer("profile", "usage")[:limit]:
        signs = Counter(c["sign"] for c in plan.changes if c["table"] == table)
        found.append(Reading(plan.plan_id, plan.made_at, plan.applied_at, tuple(sorted(signs.items())), plan.cost))
    return found


def decided(crosswalk: str) -> list[Decided]:
    """Decisions on a crosswalk's codes, counted by verdict."""
    rows = CodeDecision.objects.filter(crosswalk=crosswalk).order_by().values_list("verdict")
    return [Decided(*row) for row in rows.annotate(n=Count("pk"), last=Max("at")).order_by("verdict")]


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an organisation has and what waits for it."""

    datasets: int
    attributes: int
    interim: int
    truths: int
    findings: int


def holdings(organisation: str, now: datetime) -> Holdings:
    """Counts of an organisation: datasets it runs, attributes it owns, concepts it decides, findings that are its own to settle."""
    names = spellings(organisation)
    owned = _owned(now, organisation__in=names)
    mine = Owner.objects.valid_at(now).filter(field=OuterRef("field"))
    open_ones = Finding.objects.filter(settled_at=None, ended_at=None).filter(
        Q(Exists(mine.filter(organisation__in=names))) | Q(~Exists(mine), dataset__organisation__in=names)
    )
    truths = SourceOfTruth.objects.valid_at(now).filter(Exists(owned.filter(field=OuterRef("field"))))
    return Holdings(
        _present().filter(organisation__in=names).count(), owned.count(), owned.filter(kind=Owner.INTERIM).count(), truths.count(),
        open_ones.count(),
    )  # fmt: skip


def owners_with_counts(now: datetime) -> dict[str, int]:
    """Member code -> attributes it owns."""
    rows = _owned(now).values_list("organisation").annotate(n=Count("pk"))
    return {str(code): int(n) for code, n in rows}


def datasets_of_contracts() -> dict[str, int]:
    """Contract -> the dataset its newest version is about."""
    rows = ContractVersion.objects.exclude(dataset=None).order_by("added_at").values_list("contract", "dataset_id")
    return {contract: int(pk) for contract, pk in rows if pk is not None}


def concepts_in_use() -> dict[str, int]:
    """Concept -> attributes that carry it."""
    rows = ConceptLink.objects.filter(field__vanished=False, field__dataset__vanished=False)
    return {str(c): int(n) for c, n in rows.values_list("concept").annotate(n=Count("pk"))}


def codelists_in_use() -> dict[str, int]:
    """Code list -> attributes whose codes are of it."""
    rows = Field.objects.filter(vanished=False, dataset__vanished=False).exclude(codelist="")
    return {str(c): int(n) for c, n in rows.values_list("codelist").annotate(n=Count("pk"))}


def unmapped_by_crosswalk() -> dict[str, tuple[int, int]]:
    """Crosswalk -> (codes nobody mapped, records that had them)."""
    rows = (
        UnmappedCode.objects.filter(settled_at=None).values_list("crosswalk").annotate(n=Count("pk"), r=Sum("records"))
    )
    return {str(c): (int(n), int(r)) for c, n, r in rows}


def unmapped_at(crosswalks: list[str], place: str) -> tuple[int, int]:
    """Of a column (`source#table.column`): codes that these crosswalks do not map, and records that have them."""
    rows = UnmappedCode.objects.filter(settled_at=None, crosswalk__in=crosswalks, place=place)
    told = rows.aggregate(n=Count("pk"), r=Sum("records"))
    return told["n"], told["r"] or 0


def requests_of(organisation: str, limit: int = PER_PAGE) -> list[tuple[str, str, datetime]]:
    """The requests an organisation made for its registers, newest first: (register, kind, when)."""
    rows = RegisterRequest.objects.filter(organisation__in=spellings(organisation)).order_by("-at", "-pk")
    return list(rows.values_list("register", "kind", "at")[:limit])


def nearest_word(key: str) -> str:
    """The word of the search index that is one slip of the finger away from `key` (two in a long word); "" when there is none.

    For a question that found nothing: letters that changed places have no three letters in common, by which the index looks otherwise.
    """
    if len(key) < 4 or key.isdecimal():
        return ""
    reach = 2 if len(key) >= 8 else 1
    starts = Q(word__startswith=key[0]) | Q(word__startswith=key[1])
    rows = SearchWord.objects.annotate(size=Length("word")).filter(
        starts, size__gte=len(key) - reach, size__lte=len(key) + reach
    )
    found = process.extractOne(
        key, rows.values_list("word", flat=True)[:_WORDS], scorer=OSA.distance, score_cutoff=reach
    )
    return str(found[0]) if found is not None and found[1] else ""


def concepts_of(field_ids: list[int]) -> dict[int, str]:
    """Attribute -> the concept it carries."""
    return dict(ConceptLink.objects.filter(field__in=field_ids).values_list("field_id", "concept"))
