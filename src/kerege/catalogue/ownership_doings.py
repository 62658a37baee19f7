"""Naming, handing over and ending owners and sources of truth, one transaction each, entered in the ledger that is handed in.

Two who name an owner at the same moment: on PostgreSQL the second waits for the attribute's row and then sees the first; on SQLite writers
take turns anyway; and should both still come to write, the number of the row is unique, so the database refuses one. In each case the
second one is told who owns the attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from kerege.catalogue import search_index
from kerege.catalogue.concepts import load_concepts
from kerege.catalogue.errors import (
    ConceptUnknown,
    DatasetUnknown,
    HandOverRefused,
    InterimInvalid,
    LegalBasisMissing,
    OwnershipIncomplete,
    OwnerTaken,
    SourceOfTruthTaken,
    UnownedAlready,
)
from kerege.catalogue.models import Dataset, Field, Finding, Owner, SourceOfTruth
from kerege.catalogue.ownership_roles import load_roles
from kerege.catalogue.ownership_rules import (
    INTERIM,
    LASTING,
    PUBLISHED_UNOWNED,
    RAN_OUT,
    Period,
    Tenure,
    clash,
    holder,
    may_hand_over,
)
from kerege.ground.clock import iso, require_utc
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter

_LONGEST = {"organisation": 20, "unit": 200, "legal_basis": 500, "by": 200, "reason": 500, "names_lasting": 200}


@transaction.atomic
def name_owner(
    source: str,
    table: str,
    column: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    since: datetime | None = None,
    by: str = "",
    ledger: LedgerWriter | None = None,
) -> Owner:
    """Name the one data owner of an attribute, from `since` (now) on. A second one is refused with OwnerTaken; `hand_over` ends the first."""
    field = _locked(source, table, column)
    return _name(field, LASTING, organisation, unit, legal_basis, Period(since or now), now, by, "", ledger)


@transaction.atomic
def name_interim(
    source: str,
    table: str,
    column: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    until: datetime,
    names_lasting: str,
    by: str = "",
    ledger: LedgerWriter | None = None,
) -> Owner:
    """Name an owner for the time being, up to `until`, and who must name the lasting one. Raises InterimInvalid for a term too long or over."""
    longest = load_roles().interim_days
    field = _locked(source, table, column)
    if not now < until <= now + timedelta(days=longest):
        raise InterimInvalid(attribute=str(field), what=f"its end {iso(until)}", expected=f"within {longest} days")
    if not names_lasting.strip():
        raise InterimInvalid(attribute=str(field), what="no one", expected="who must name the lasting owner")
    return _name(field, INTERIM, organisation, unit, legal_basis, Period(now, until), now, by, names_lasting, ledger)


@transaction.atomic
def hand_over(
    source: str,
    table: str,
    column: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    by: str,
    reason: str = "handed over",
    ledger: LedgerWriter | None = None,
) -> Owner:
    """End the present owner's tenure and name the next in one step: no instant without an owner, none with two.

    `by` is the present owner's organisation, or, for an interim owner, who must name the lasting one; HandOverRefused names who may.
    """
    field = _locked(source, table, column)
    row = _present(field, now)
    if not may_hand_over(tenure(row), by):
        raise HandOverRefused(
            attribute=str(field), by=by, owner=str(row), may=row.names_lasting if row.kind == INTERIM else row.organisation
        )  # fmt: skip
    basis = _filled("legal_basis", legal_basis, "an owner")
    _end(row, now, by, reason, basis)
    return _name(field, LASTING, organisation, unit, basis, Period(now), now, by, "", ledger, after=str(row))


@transaction.atomic
def end_owner(
    source: str,
    table: str,
    column: str,
    legal_basis: str,
    reason: str,
    now: datetime,
    *,
    by: str,
    ledger: LedgerWriter | None = None,
) -> Owner:
    """End the present owner's tenure without a next one: the attribute is unowned from now on and cannot be published."""
    field = _locked(source, table, column)
    row = _present(field, now)
    basis = _filled("legal_basis", legal_basis, "the end of an ownership")
    _end(row, now, _filled("by", by), _filled("reason", reason), basis)
    _enter(ledger, "owner-ended", field, row, now, {"by": by, "reason": reason, "ended_basis": basis})
    return row


@transaction.atomic
def name_owners(
    source: str,
    table: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    columns: Sequence[str] = (),
    since: datetime | None = None,
    by: str = "",
    ledger: LedgerWriter | None = None,
) -> list[Owner]:
    """Name one owner for several attributes, all or none; without `columns` for every attribute of the table that nobody owns now."""
    wanted = list(columns) or [f.name for f in unowned_fields(_dataset(source, table), now)]
    return [
        name_owner(source, table, c, organisation, unit, legal_basis, now, since=since, by=by, ledger=ledger)
        for c in wanted
    ]


@transaction.atomic
def name_interims(
    source: str,
    table: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    until: datetime,
    names_lasting: str,
    columns: Sequence[str] = (),
    by: str = "",
    ledger: LedgerWriter | None = None,
) -> list[Owner]:
    """The same for an interim owner."""
    wanted = list(columns) or [f.name for f in unowned_fields(_dataset(source, table), now)]
    return [
        name_interim(
            source,
            table,
            c,
            organisation,
            unit,
            legal_basis,
            now,
            until=until,
            names_lasting=names_lasting,
            by=by,
            ledger=ledger,
        )
        for c in wanted
    ]


@transaction.atomic
def hand_over_several(
    source: str,
    table: str,
    organisation: str,
    unit: str,
    legal_basis: str,
    now: datetime,
    *,
    by: str,
    columns: Sequence[str] = (),
    ledger: LedgerWriter | None = None,
) -> list[Owner]:
    """Hand over several attributes, all or none; without `columns` every one of the table that `by` may hand over now."""
    wanted = list(columns)
    if not wanted:
        for field in _dataset(source, table).fields.order_by("position", "pk").prefetch_related("owners"):
            present = holder((tenure(o) for o in field.owners.all()), now)
            if present is not None and may_hand_over(present, by):
                wanted.append(field.name)
    if not wanted:
        raise UnownedAlready(what=f"dataset {source}#{table}", thing=f"attribute that {by} may hand over")
    return [hand_over(source, table, c, organisation, unit, legal_basis, now, by=by, ledger=ledger) for c in wanted]


@transaction.atomic
def declare_source_of_truth(
    concept: str,
    source: str,
    table: str,
    column: str,
    legal_basis: str,
    now: datetime,
    *,
    replace: bool = False,
    since: datetime | None = None,
    by: str = "",
    ledger: LedgerWriter | None = None,
) -> SourceOfTruth:
    """Declare which attribute decides for a concept from `since` (now) on, by what law. One at a time; `replace` ends the former one."""
    concepts = load_concepts()
    if concepts and concept not in concepts:
        raise ConceptUnknown(concept=concept)
    basis = _filled("legal_basis", legal_basis, "a source of truth")
    field = _locked(source, table, column)
    wanted = Period(since or require_utc(now))
    list(SourceOfTruth.objects.select_for_update().filter(concept=concept, number=1))  # one at a time per concept
    former = list(SourceOfTruth.objects.filter(concept=concept).select_related("field__dataset").order_by("number"))
    for row in [r for r in former if Period(r.since, r.until).overlaps(wanted)]:
        if not replace or row.since > wanted.since:
            raise SourceOfTruthTaken(concept=concept, dataset=str(row.field.dataset), column=row.field.name)
        row.until, row.ended_by, row.ended_reason, row.ended_basis = wanted.since, by, "replaced", basis
        row.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    new = SourceOfTruth(
        concept=concept, number=len(former) + 1, field=field, legal_basis=basis, since=wanted.since, declared_by=by
    )
    if ledger is not None:
        body = {"concept": concept, "attribute": str(field), "legal_basis": basis, "since": iso(new.since), "by": by}
        new.ledger_index = receipts.write(ledger, "source-of-truth", body, now).index
    try:
        with transaction.atomic():
            new.save()
    except IntegrityError as error:  # two at the same moment: the database keeps one
        kept = SourceOfTruth.objects.filter(concept=concept).select_related("field__dataset").latest("number")
        raise SourceOfTruthTaken(concept=concept, dataset=str(kept.field.dataset), column=kept.field.name) from error
    return new


@transaction.atomic
def end_source_of_truth(
    concept: str, legal_basis: str, reason: str, now: datetime, *, by: str, ledger: LedgerWriter | None = None
) -> SourceOfTruth:
    """End the present declaration for a concept without a next one."""
    rows = SourceOfTruth.objects.select_for_update().filter(concept=concept).order_by("number")
    present = next((r for r in rows if Period(r.since, r.until).covers(now)), None)
    if present is None:
        raise UnownedAlready(what=f"concept {concept}", thing="source of truth")
    basis = _filled("legal_basis", legal_basis, "the end of a source of truth")
    present.until, present.ended_by = now, _filled("by", by)
    present.ended_reason, present.ended_basis = _filled("reason", reason), basis
    present.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    if ledger is not None:
        body = {"concept": concept, "legal_basis": basis, "by": by, "reason": reason}
        receipts.write(ledger, "source-of-truth-ended", body, now)
    return present


def tenure(row: Owner) -> Tenure:
    """A row as the rules take it."""
    return Tenure(
        row.organisation, row.unit, row.legal_basis, Period(row.since, row.until), row.kind, row.names_lasting, row.named_by
    )  # fmt: skip


def unowned_fields(dataset: Dataset, now: datetime) -> list[Field]:
    """The attributes that are there and that nobody owns at `now`, in their order."""
    fields = dataset.fields.filter(vanished=False).order_by("position", "pk").prefetch_related("owners")
    return [f for f in fields if holder((tenure(o) for o in f.owners.all()), now) is None]


def find_field(source: str, table: str, column: str) -> Field:
    """The attribute, or DatasetUnknown saying what of its name is not there."""
    return _field(_dataset(source, table).fields.all(), source, table, column)


def _name(
    field: Field, kind: str, organisation: str, unit: str, legal_basis: str, period: Period, now: datetime, by: str,
    names_lasting: str, ledger: LedgerWriter | None, *, after: str = "",
) -> Owner:  # fmt: skip
    require_utc(now)
    basis = _filled("legal_basis", legal_basis, "an owner")
    rows = list(field.owners.order_by("number"))
    taken = clash((tenure(r) for r in rows), period)
    if taken is not None:
        raise _taken(field, taken)
    row = Owner(
        field=field, number=len(rows) + 1, kind=kind, organisation=_filled("organisation", organisation),
        unit=_filled("unit", unit), legal_basis=basis, since=period.since, until=period.until,
        names_lasting=names_lasting.strip(), named_by=by.strip(),
    )  # fmt: skip
    row.ledger_index = _enter(ledger, "owner", field, row, now, {"by": by, "after": after})
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # two at the same moment: the database keeps one
        kept = field.owners.order_by("number").last()
        if kept is None:
            raise
        raise _taken(field, tenure(kept)) from error
    if period.covers(now):
        showed = f"{field.name}: owned by {row}"
        waiting = Finding.objects.filter(field=field, kind__in=(RAN_OUT, PUBLISHED_UNOWNED), settled_at=None)
        waiting.update(settled_at=now, evidence=showed)
    search_index.changed(f"dataset:{field.dataset_id}")
    return row


def _taken(field: Field, by: Tenure) -> OwnerTaken:
    term = "" if not by.interim else f" (in the interim, until {iso(by.period.until)})" if by.period.until else ""
    return OwnerTaken(attribute=str(field), owner=f"{by.who}, since {iso(by.period.since)}{term}")


def _end(row: Owner, now: datetime, by: str, reason: str, basis: str) -> None:
    row.until = Period(row.since, row.until).ended(now).until
    row.ended_by, row.ended_reason, row.ended_basis = by.strip(), reason.strip(), basis
    row.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    search_index.changed(f"dataset:{row.field.dataset_id}")


def _enter(
    ledger: LedgerWriter | None, kind: str, field: Field, row: Owner, now: datetime, more: dict[str, str]
) -> int | None:
    if ledger is None:
        return None
    body = {"attribute": str(field), "number": row.number, **tenure(row).as_dict(), **more}
    return receipts.write(ledger, kind, body, now).index


def _present(field: Field, now: datetime) -> Owner:
    require_utc(now)
    for row in field.owners.order_by("-number"):
        if Period(row.since, row.until).covers(now):
            return row
    raise UnownedAlready(what=f"attribute {field}", thing="owner")


def _dataset(source: str, table: str) -> Dataset:
    found = Dataset.objects.filter(source=source, table=table).first()
    if found is None:
        raise DatasetUnknown(what="dataset", name=f"{source}#{table}")
    return found


def _locked(source: str, table: str, column: str) -> Field:
    """The attribute's row, held until the transaction ends."""
    return _field(_dataset(source, table).fields.select_for_update(), source, table, column)


def _field(fields: QuerySet[Field], source: str, table: str, column: str) -> Field:
    found = fields.filter(name=column).first()
    if found is None:
        raise DatasetUnknown(what="attribute", name=f"{source}#{table}.{column}")
    return found


def _filled(field: str, text: str, what: str = "") -> str:
    """`text` without blanks around it. LegalBasisMissing for a legal basis that is none, OwnershipIncomplete for the rest."""
    found = text.strip()
    if not found and field == "legal_basis":
        raise LegalBasisMissing(what=what)
    if not found or len(found) > _LONGEST[field]:
        raise OwnershipIncomplete(field=field, most=_LONGEST[field])
    return found
