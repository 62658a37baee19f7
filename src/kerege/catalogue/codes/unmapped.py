"""Codes that a crosswalk did not know, counted per code and place and kept; the count becomes a finding for the owner of the column.

The engines count in memory (`Crosswalk.unmapped`, `harmonise`'s report, a node's problems); whoever holds such a count hands it in here with
the place it came from. Only codes are kept, at most 40 characters; what looks like a person's number, telephone or address, what is longer than a
code, and everything of a column that is about people and holds no codes, stands here as its mask: a crosswalk laid on the wrong column must not fill
the catalogue with people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.codes.versions import load_crosswalk
from kerege.catalogue.errors import CrosswalkNotInForce
from kerege.catalogue.inventory.doings import NewFinding, record_findings
from kerege.catalogue.inventory.masks import mask, name_suggests_person
from kerege.catalogue.inventory.masks import personal as names_a_person
from kerege.catalogue.lifecycle.doings import Subject, in_force
from kerege.catalogue.models import Dataset, Field, Owner, UnmappedCode
from kerege.ground import clock
from kerege.ground.clock import require_utc
from kerege.semantics.crosswalks.sssom import OTHERS, Crosswalk

LONGEST: Final = 40
MOST_CODES: Final = 1000  # kept per crosswalk, version and place; the rest are counted together
KIND: Final = "code-unknown"


def shown_code(code: str, masked: bool = False) -> str:
    """The code as it may be kept: itself, or its mask when it looks like a person's data or is too long to be a code; always so if `masked`."""
    if masked or len(code) > LONGEST or names_a_person(code):
        return f"({mask(code)[: LONGEST - 2]})"
    return code


def about_people(place: str) -> bool:
    """Whether what stands at `place` is about people and no code of a list, so that only its mask is kept.

    What the catalogue says of the column decides: its concept, where one is linked (a person's sex is personal, and a code), else what the profile
    saw; of a column that the catalogue does not know, its name.
    """
    named = _parts(place)
    if named is None:
        return False
    source, table, column = named
    field = (
        Field.objects.filter(dataset__source=source, dataset__table=table, name=column)
        .select_related("concept_link")
        .first()
    )
    if field is None:
        return name_suggests_person(column)
    link = getattr(field, "concept_link", None)
    concept = load_concepts().get(link.concept) if link is not None else None
    if concept is None or concept.personal is None:
        return field.personal and not field.codelist
    return concept.personal and not concept.codelist


@transaction.atomic
def keep_unmapped(
    crosswalk: str, version: str, place: str, counts: Mapping[str, int], now: datetime, *, finding: bool = True, found_by: str = "harmonise",
) -> int:  # fmt: skip
    """Add `counts` (code to records) to what is kept for `crosswalk` at `place`; returns how many codes were touched.

    place     a dataset's column as `source#table.column`, or any other name of where it was seen (`service:...`, `node:...`)
    finding   also record a finding on that column, for its owner, when the catalogue knows it

    A code that comes again after it was settled is open again: somebody took the row away, or the source changed.
    """
    safe: Counter[str] = Counter()
    masked = about_people(place)
    for code, records in counts.items():
        safe[shown_code(code, masked)] += records
    known = set(
        UnmappedCode.objects.filter(crosswalk=crosswalk, version=version, place=place).values_list("code", flat=True)
    )
    now = require_utc(now)
    touched: Counter[str] = Counter()
    for code, records in safe.most_common():
        kept = code if code in known or len(known) < MOST_CODES else OTHERS
        known.add(kept)
        touched[kept] += records
    for code, records in sorted(touched.items()):
        row, made = UnmappedCode.objects.get_or_create(
            crosswalk=crosswalk, version=version, code=code, place=place,
            defaults={"records": records, "first_seen": now, "last_seen": now},
        )  # fmt: skip
        if not made:
            UnmappedCode.objects.filter(pk=row.pk).update(
                records=F("records") + records, last_seen=max(now, row.last_seen), settled_at=None
            )
    if finding:
        _tell_owner(crosswalk, place, touched, now, found_by)
    return len(touched)


def _tell_owner(crosswalk: str, place: str, counts: Mapping[str, int], now: datetime, found_by: str) -> None:
    named = _column(place)
    if named is None:
        return
    source, table, column = named
    new = [NewFinding(KIND, n, column, f"{code} has no target in {crosswalk}"[:500]) for code, n in counts.items()]
    record_findings(source, table, new, now, found_by=found_by)


def _column(place: str) -> tuple[str, str, str] | None:
    """(source, table, column) when the catalogue has the dataset that `place` names."""
    named = _parts(place)
    if named is None:
        return None
    return named if Dataset.objects.filter(source=named[0], table=named[1]).exists() else None


def _parts(place: str) -> tuple[str, str, str] | None:
    """(source, table, column) of a place that is a column."""
    source, hash_, rest = place.rpartition("#")
    table, dot, column = rest.rpartition(".")
    return (source, table, column) if hash_ and dot and column else None


def answered(crosswalk: Crosswalk) -> list[UnmappedCode]:
    """The open kept codes that `crosswalk` has a row for: a target or a decided absence."""
    known = set(crosswalk.compiled.rules) | {
        crosswalk.key(r.subject) for r in crosswalk.rows if r.subject and r.object is None and r.denies
    }
    rows = UnmappedCode.objects.filter(crosswalk=crosswalk.id, settled_at=None)
    return [row for row in rows if crosswalk.key(row.code) in known]


@transaction.atomic
def settle_unmapped(subject: Subject, now: datetime) -> int:
    """Mark as settled every kept code that this version of a crosswalk answers; returns how many.

    Raises CrosswalkNotInForce for a draft, or a version that another took the place of: what nobody approved settles nothing.
    """
    number = in_force(subject.kind, subject.id)
    if number != subject.version:
        raise CrosswalkNotInForce(crosswalk=subject.id, version=subject.version, in_force=number or "none")
    found = answered(load_crosswalk(subject.id, subject.version))
    UnmappedCode.objects.filter(pk__in=[row.pk for row in found]).update(settled_at=require_utc(now))
    return len(found)


def settle_published(subject: Subject, by: str, reason: str, now: datetime) -> None:
    """What follows from publishing a crosswalk, or from taking its deprecation back (`lifecycle.kinds.EFFECTS`)."""
    if in_force(subject.kind, subject.id) == subject.version:
        settle_unmapped(subject, now)


@dataclass(frozen=True, slots=True)
class UnmappedView:
    """One kept code as a desk shows it. `owner` is the unit that owns the column, "" where nobody does or the place is no column."""

    crosswalk: str
    version: str
    code: str
    place: str
    records: int
    first_seen: datetime
    last_seen: datetime
    settled: bool
    owner: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "crosswalk": self.crosswalk, "version": self.version, "code": self.code, "place": self.place, "records": self.records,
            "first_seen": self.first_seen.isoformat(), "last_seen": self.last_seen.isoformat(), "settled": self.settled,
            "owner": self.owner,
        }  # fmt: skip


def unmapped(
    crosswalk: str = "", *, settled: bool = False, most: int = 500, now: datetime | None = None
) -> list[UnmappedView]:
    """The kept codes, the most records first; with `settled` those that were taken care of too. Two queries for any number of rows.

    now   whose owners are told, lasting or interim; the present when not given
    """
    at = require_utc(now) if now is not None else clock.now()
    rows = UnmappedCode.objects.order_by("-records", "crosswalk", "code", "place")
    rows = rows.filter(crosswalk=crosswalk) if crosswalk else rows
    found = list((rows if settled else rows.filter(settled_at=None))[:most])
    owners = {
        f"{o.field.dataset.source}#{o.field.dataset.table}.{o.field.name}": f"{o.organisation} {o.unit}".strip()
        for o in Owner.objects.filter(
            Q(until=None) | Q(until__gt=at), since__lte=at, field__dataset__in=_datasets(found)
        ).select_related("field__dataset")
    }
    return [
        UnmappedView(
            r.crosswalk, r.version, r.code, r.place, r.records, r.first_seen, r.last_seen, r.settled_at is not None,
            owners.get(r.place, ""),
        )
        for r in found
    ]  # fmt: skip


def _datasets(rows: list[UnmappedCode]) -> Any:
    sources = {row.place.rpartition("#")[0] for row in rows} - {""}
    return Dataset.objects.filter(source__in=sources)
