"""The rows of owners and of sources of truth, below the doings: found and held, written, ended, and entered in the ledger at the end.

Only `ownership.doings` changes anything through these; each of its doings is one transaction around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from kerege.catalogue.errors import (
    DatasetUnknown,
    HandOverRefused,
    InterimInvalid,
    LegalBasisMissing,
    OwnershipIncomplete,
    OwnerTaken,
    UnownedAlready,
)
from kerege.catalogue.models import Dataset, Field, Finding, Owner
from kerege.catalogue.ownership.roles import load_roles
from kerege.catalogue.ownership.rules import (
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
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import iso, require_utc
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter

_LONGEST: Final = {"organisation": 20, "unit": 200, "legal_basis": 500, "by": 200, "reason": 500, "names_lasting": 200}


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
    return _field(dataset_named(source, table).fields.all(), source, table, column)


def named(
    source: str, table: str, column: str, organisation: str, unit: str, legal_basis: str, now: datetime,
    since: datetime | None, by: str,
) -> Owner:  # fmt: skip
    field = locked(source, table, column)
    return _name(field, LASTING, organisation, unit, legal_basis, Period(since or now), now, by, "")


def named_interim(
    source: str, table: str, column: str, organisation: str, unit: str, legal_basis: str, now: datetime,
    until: datetime, names_lasting: str, by: str,
) -> Owner:  # fmt: skip
    longest = load_roles().interim_days
    field = locked(source, table, column)
    if not now < until <= now + timedelta(days=longest):
        raise InterimInvalid(attribute=str(field), what=f"its end {iso(until)}", expected=f"within {longest} days")
    if not names_lasting.strip():
        raise InterimInvalid(attribute=str(field), what="no one", expected="who must name the lasting owner")
    return _name(field, INTERIM, organisation, unit, legal_basis, Period(now, until), now, by, names_lasting)


def handed_over(
    source: str, table: str, column: str, organisation: str, unit: str, legal_basis: str, now: datetime, by: str, reason: str
) -> tuple[Owner, str]:  # fmt: skip
    """The next owner, and the one before."""
    field = locked(source, table, column)
    row = present_owner(field, now)
    if not may_hand_over(tenure(row), by):
        raise HandOverRefused(
            attribute=str(field), by=by, owner=str(row), may=row.names_lasting if row.kind == INTERIM else row.organisation
        )  # fmt: skip
    basis = filled("legal_basis", legal_basis, "an owner")
    end(row, now, by, reason, basis)
    return _name(field, LASTING, organisation, unit, basis, Period(now), now, by, ""), str(row)


def entered(done: Sequence[tuple[Owner, str]], now: datetime, by: str, ledger: LedgerWriter | None) -> list[Owner]:
    """The new owners, each with its entry in the ledger; with the one before, where there was one."""
    for row, after in done:
        row.ledger_index = enter(ledger, "owner", row.field, row, now, {"by": by, "after": after})
        if row.ledger_index is not None:
            row.save(update_fields=["ledger_index"])
    return [row for row, _ in done]


def _name(
    field: Field, kind: str, organisation: str, unit: str, legal_basis: str, period: Period, now: datetime, by: str,
    names_lasting: str,
) -> Owner:  # fmt: skip
    require_utc(now)
    basis = filled("legal_basis", legal_basis, "an owner")
    rows = list(field.owners.order_by("number"))
    taken = clash((tenure(r) for r in rows), period)
    if taken is not None:
        raise _taken(field, taken)
    row = Owner(
        field=field, number=len(rows) + 1, kind=kind, organisation=filled("organisation", organisation),
        unit=filled("unit", unit), legal_basis=basis, since=period.since, until=period.until,
        names_lasting=names_lasting.strip(), named_by=filled("by", by),
    )  # fmt: skip
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


def end(row: Owner, now: datetime, by: str, reason: str, basis: str) -> None:
    row.until = Period(row.since, row.until).ended(now).until
    row.ended_by, row.ended_reason, row.ended_basis = by.strip(), reason.strip(), basis
    row.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    search_index.changed(f"dataset:{row.field.dataset_id}")


def enter(
    ledger: LedgerWriter | None, kind: str, field: Field, row: Owner, now: datetime, more: dict[str, str]
) -> int | None:
    if ledger is None:
        return None
    body = {"attribute": str(field), "number": row.number, **tenure(row).as_dict(), **more}
    return receipts.write(ledger, kind, body, now).index


def present_owner(field: Field, now: datetime) -> Owner:
    require_utc(now)
    for row in field.owners.order_by("-number"):
        if Period(row.since, row.until).covers(now):
            return row
    raise UnownedAlready(what=f"attribute {field}", thing="owner")


def dataset_named(source: str, table: str) -> Dataset:
    found = Dataset.objects.filter(source=source, table=table).first()
    if found is None:
        raise DatasetUnknown(what="dataset", name=f"{source}#{table}")
    return found


def locked(source: str, table: str, column: str) -> Field:
    """The attribute's row, held until the transaction ends."""
    return _field(dataset_named(source, table).fields.select_for_update(), source, table, column)


def _field(fields: QuerySet[Field], source: str, table: str, column: str) -> Field:
    found = fields.filter(name=column).first()
    if found is None:
        raise DatasetUnknown(what="attribute", name=f"{source}#{table}.{column}")
    return found


def filled(field: str, text: str, what: str = "") -> str:
    """`text` without blanks around it. LegalBasisMissing for a legal basis that is none, OwnershipIncomplete for the rest."""
    found = text.strip()
    if not found and field == "legal_basis":
        raise LegalBasisMissing(what=what)
    if not found or len(found) > _LONGEST[field]:
        raise OwnershipIncomplete(field=field, most=_LONGEST[field])
    return found
