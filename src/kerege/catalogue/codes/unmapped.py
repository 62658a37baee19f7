"""Codes that a crosswalk did not know, counted per code and place and kept; the count becomes a finding for the owner of the column.

The engines count in memory (`Crosswalk.unmapped`, `harmonise`'s report, a mapping's problems); whoever holds such a count hands it in here with
the place it came from. Only what has the shape of a code is kept as it is, and what fewer than k records share only where it is too short to be
anybody's; everything else, and everything of a column that is about people and holds no codes, stands here as its mask: a crosswalk laid on the
wrong column, or a row whose cells have shifted, must not fill the catalogue with people (docs/decisions/0122).

A kept code ends, and with it the finding, by evidence: a version in force answers it for every record (`settle_unmapped`), or a whole run of the
crosswalk in force over the column no longer meets it (`keep_unmapped`, whole). What only has a mask here ends by the second alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
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
from kerege.catalogue.inventory.profile import K_THRESHOLD
from kerege.catalogue.inventory.tally import reads_like_a_person
from kerege.catalogue.lifecycle.doings import Subject, in_force
from kerege.catalogue.models import Dataset, Field, Finding, Owner, UnmappedCode
from kerege.catalogue.packs import crosswalk_in_force
from kerege.ground import clock
from kerege.ground.clock import require_utc
from kerege.semantics.crosswalks.sssom import OTHERS, Crosswalk

LONGEST: Final = 40
LETTERS: Final = 12  # a code has no more
MOST_CODES: Final = 1000  # kept per crosswalk, version and place; the rest are counted together
KIND: Final = "code-unknown"
_NO_TARGET: Final = " has no target in "
# a few digits, or letters that stand alone: nobody's, however few records have it
_NOBODYS: Final = re.compile(r"(?!.*[^\W\d_]{2})\S{1,6}\Z")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the codes of one crosswalk look like, so that a wording is a code where wordings are what is translated.

    said   the codes that somebody placed in it, or found to have no counterpart: no secret of a register
    """

    blanks: bool = False
    letters: int = LETTERS
    said: frozenset[str] = frozenset()

    @classmethod
    def of(cls, crosswalk: Crosswalk | None) -> Shape:
        rows = crosswalk.rows if crosswalk is not None else ()
        codes = frozenset(row.subject for row in rows if row.subject and (row.translates or row.denies))
        blanks = any(" " in c for c in codes)
        return cls(blanks, LONGEST if blanks else max((LETTERS, *map(_letters, codes))), codes)


CODES: Final = Shape()


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def shown_code(code: str, masked: bool = False, *, records: int = K_THRESHOLD, shape: Shape = CODES) -> str:
    """The code as it may be kept: itself, or its mask when it has not the shape of a code or could be a person's; always so if `masked`.

    records   that share it, of those looked at now: fewer than k are told only where the code is too short to be anybody's
    """
    named = names_a_person(code) or (reads_like_a_person(code, fewest=1) and code not in shape.said)
    whole = (
        len(code) <= LONGEST and _letters(code) <= shape.letters and (shape.blanks or not any(map(str.isspace, code)))
    )
    shared = records >= K_THRESHOLD or code in shape.said or _NOBODYS.match(code) is not None
    if code == OTHERS or (whole and shared and not named and not masked):
        return code
    return f"({mask(code)[: LONGEST - 2]})"


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
        return field.personal and not (link is not None and field.codelist)  # a list without a meaning says nothing
    return concept.personal and not concept.codelist


@transaction.atomic
def keep_unmapped(
    crosswalk: str, version: str, place: str, counts: Mapping[str, int], now: datetime, *, finding: bool = True, found_by: str = "harmonise",
    whole: str = "", ran: Crosswalk | None = None, undecided: bool = False,
) -> int:  # fmt: skip
    """Add `counts` (code to records) to what is kept for `crosswalk` at `place`; returns how many codes were touched.

    place     a dataset's column as `source#table.column`, or any other name of where it was seen (`service:...`, `node:...`)
    finding   also record a finding on that column, for its owner, when the catalogue knows it
    whole     in words, what was looked at, where it was all of `place` by the crosswalk in force (`speaks`): what is kept here and was not met is
              settled with it as evidence. "" where a part was looked at, or by something else
    ran       the crosswalk that did not know them, where it is at hand; else the one in force tells which shape its codes have
    undecided the run met codes that it knows, but not for such records, and did not say which: none of those is shown to be gone

    A code that comes again after it was settled is open again: somebody took the row away, or the source changed.
    """
    safe: Counter[str] = Counter()
    masked = about_people(place)
    here = UnmappedCode.objects.filter(crosswalk=crosswalk, place=place)
    told = frozenset(here.values_list("code", flat=True))
    doubtful = not masked and any(shown_code(code, records=records) != code for code, records in counts.items())
    shape = Shape.of(ran or crosswalk_in_force(crosswalk)) if doubtful else CODES
    for code, records in counts.items():
        # what stands here already is told already
        safe[shown_code(code, masked, records=K_THRESHOLD if code in told else records, shape=shape)] += records
    known = set(here.filter(version=version).values_list("code", flat=True))
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
    if whole and OTHERS not in counts:  # those may be any
        met, walk = {*counts, *touched}, (ran or crosswalk_in_force(crosswalk)) if undecided else None

        def evidence(code: str) -> str:
            return "" if code in met or (walk is not None and walk.key(code) in walk.compiled.rules) else whole

        gone = [row.pk for row in here.filter(settled_at=None) if evidence(row.code)]
        UnmappedCode.objects.filter(pk__in=gone).update(settled_at=now)
        _close(crosswalk, evidence, now, place=place)
    return len(touched)


def speaks(crosswalk: Crosswalk) -> bool:
    """Whether a run of `crosswalk` translates as the one in force does: only such a run shows that a code is no longer there unmapped."""
    there = crosswalk_in_force(crosswalk.id)
    return there is not None and _meaning(there) == _meaning(crosswalk)


def _meaning(crosswalk: Crosswalk) -> tuple[object, ...]:
    return crosswalk.match, frozenset(crosswalk.compiled.relation()), crosswalk.ambiguous


def _tell_owner(crosswalk: str, place: str, counts: Mapping[str, int], now: datetime, found_by: str) -> None:
    named = _column(place)
    if named is None:
        return
    source, table, column = named
    new = [
        NewFinding(KIND, n, column, f"{code}{_NO_TARGET}{crosswalk}"[:500], {"crosswalk": crosswalk, "code": code})
        for code, n in counts.items()
    ]
    record_findings(source, table, new, now, found_by=found_by)


def _close(crosswalk: str, evidence: Callable[[str], str], now: datetime, *, place: str = "") -> None:
    """Settle the findings about codes of `crosswalk` (at one place, or wherever they are) for which there is evidence."""
    said = Q(facts__crosswalk=crosswalk) | Q(facts={}, detail__endswith=f"{_NO_TARGET}{crosswalk}")
    rows = Finding.objects.select_for_update(of=("self",)).filter(said, kind=KIND, settled_at=None)
    for row in rows.select_related("dataset", "field"):
        if place and (row.field is None or f"{row.dataset}.{row.field.name}" != place):
            continue
        showed = evidence(str(row.facts.get("code", row.detail.removesuffix(f"{_NO_TARGET}{crosswalk}"))))
        if showed:
            row.settled_at, row.evidence = now, showed[:500]
            row.save(update_fields=["settled_at", "evidence"])


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


def answers(crosswalk: Crosswalk) -> Callable[[str], str]:
    """What `crosswalk` says of a code whatever the record's day and other cells, in words; "" when it says nothing, or only of some records.

    A count does not tell the days of its records, so a row that holds for some of them is no answer to it.
    """
    absent = {
        crosswalk.key(r.subject) for r in crosswalk.rows if r.subject and r.object is None and r.denies and not r.when
    }
    rules = crosswalk.compiled.rules

    def answer(code: str) -> str:
        key = crosswalk.key(code)
        for rule in rules.get(key, ()):
            if not (rule.valid_from or rule.valid_to or any(rule.conditions)):
                return f"{code} is {rule.target}"
        return f"{code} has no counterpart" if key in absent else ""

    return answer


def answered(crosswalk: Crosswalk) -> list[UnmappedCode]:
    """The open kept codes that `crosswalk` has an answer for: a target or a decided absence."""
    answer = answers(crosswalk)
    rows = UnmappedCode.objects.filter(crosswalk=crosswalk.id, settled_at=None)
    return [row for row in rows if answer(row.code)]


@transaction.atomic
def settle_unmapped(subject: Subject, now: datetime) -> int:
    """Settle every kept code that this version of a crosswalk answers, and the findings about them with that as evidence; returns how many codes.

    Raises CrosswalkNotInForce for a draft, or a version that another took the place of: what nobody approved settles nothing.
    """
    number = in_force(subject.kind, subject.id)
    if number != subject.version:
        raise CrosswalkNotInForce(crosswalk=subject.id, version=subject.version, in_force=number or "none")
    walk, now = load_crosswalk(subject.id, subject.version), require_utc(now)
    found = answered(walk)
    UnmappedCode.objects.filter(pk__in=[row.pk for row in found]).update(settled_at=now)
    answer = answers(walk)
    _close(subject.id, lambda code: f"{subject.id} {subject.version}: {said}" if (said := answer(code)) else "", now)
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
