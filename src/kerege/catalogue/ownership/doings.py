"""Naming, handing over and ending owners and sources of truth, one transaction each, entered in the ledger that is handed in.

Two who name an owner at the same moment: on PostgreSQL the second waits for the attribute's row and then sees the first; on SQLite writers
take turns anyway; and should both still come to write, the number of the row is unique, so the database refuses one. In each case the
second one is told who owns the attribute. Whoever names or declares something is named: an empty `by` is refused. The ledger, which forgets
nothing, is written last: what was refused, for one attribute of many too, never stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from kerege.catalogue.codes.concepts import load_concepts
from kerege.catalogue.errors import ConceptUnknown, SourceOfTruthTaken, UnownedAlready
from kerege.catalogue.models import Owner, SourceOfTruth
from kerege.catalogue.ownership.rows import (
    dataset_named,
    end,
    enter,
    entered,
    filled,
    handed_over,
    locked,
    named,
    named_interim,
    present_owner,
)
from kerege.catalogue.ownership.rows import (
    tenure as tenure,
)
from kerege.catalogue.ownership.rows import (
    unowned_fields as unowned_fields,
)
from kerege.catalogue.ownership.rules import Period, holder, may_hand_over
from kerege.catalogue.revision import touched
from kerege.catalogue.search import index as search_index
from kerege.ground.clock import iso, require_utc
from kerege.identity import receipts
from kerege.identity.receipts import LedgerWriter


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
    by: str,
    ledger: LedgerWriter | None = None,
) -> Owner:
    """Name the one data owner of an attribute, from `since` (now) on. A second one is refused with OwnerTaken; `hand_over` ends the first."""
    row = named(source, table, column, organisation, unit, legal_basis, now, since, by)
    return entered([(row, "")], now, by, ledger)[0]


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
    by: str,
    ledger: LedgerWriter | None = None,
) -> Owner:
    """Name an owner for the time being, up to `until`, and who must name the lasting one. Raises InterimInvalid for a term too long or over."""
    row = named_interim(source, table, column, organisation, unit, legal_basis, now, until, names_lasting, by)
    return entered([(row, "")], now, by, ledger)[0]


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
    done = handed_over(source, table, column, organisation, unit, legal_basis, now, by, reason)
    return entered([done], now, by, ledger)[0]


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
    field = locked(source, table, column)
    row = present_owner(field, now)
    basis = filled("legal_basis", legal_basis, "the end of an ownership")
    end(row, now, filled("by", by), filled("reason", reason), basis)
    enter(ledger, "owner-ended", field, row, now, {"by": by, "reason": reason, "ended_basis": basis})
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
    by: str,
    ledger: LedgerWriter | None = None,
) -> list[Owner]:
    """Name one owner for several attributes, all or none; without `columns` for every attribute of the table that nobody owns now."""
    wanted = list(columns) or [f.name for f in unowned_fields(dataset_named(source, table), now)]
    with search_index.together():  # one index of the dataset, not one for each of its attributes
        rows = [named(source, table, c, organisation, unit, legal_basis, now, since, by) for c in wanted]
    return entered([(row, "") for row in rows], now, by, ledger)


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
    by: str,
    ledger: LedgerWriter | None = None,
) -> list[Owner]:
    """The same for an interim owner."""
    wanted = list(columns) or [f.name for f in unowned_fields(dataset_named(source, table), now)]
    with search_index.together():
        rows = [
            named_interim(source, table, c, organisation, unit, legal_basis, now, until, names_lasting, by)
            for c in wanted
        ]
    return entered([(row, "") for row in rows], now, by, ledger)


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
        for field in dataset_named(source, table).fields.order_by("position", "pk").prefetch_related("owners"):
            present = holder((tenure(o) for o in field.owners.all()), now)
            if present is not None and may_hand_over(present, by):
                wanted.append(field.name)
    if not wanted:
        raise UnownedAlready(what=f"dataset {source}#{table}", thing=f"attribute that {by} may hand over")
    with search_index.together():
        done = [handed_over(source, table, c, organisation, unit, legal_basis, now, by, "handed over") for c in wanted]
    return entered(done, now, by, ledger)


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
    by: str,
    ledger: LedgerWriter | None = None,
) -> SourceOfTruth:
    """Declare which attribute decides for a concept from `since` (now) on, by what law. One at a time; `replace` ends the former one."""
    concepts = load_concepts()
    if concepts and concept not in concepts:
        raise ConceptUnknown(concept=concept)
    basis, by = filled("legal_basis", legal_basis, "a source of truth"), filled("by", by)
    field = locked(source, table, column)
    wanted = Period(since or require_utc(now))
    list(SourceOfTruth.objects.select_for_update().filter(concept=concept, number=1))  # one at a time per concept
    former = list(SourceOfTruth.objects.filter(concept=concept).select_related("field__dataset").order_by("number"))
    ended = [r for r in former if Period(r.since, r.until).overlaps(wanted)]
    for row in ended:
        if not replace or row.since > wanted.since:
            raise SourceOfTruthTaken(concept=concept, dataset=str(row.field.dataset), column=row.field.name)
        row.until, row.ended_by, row.ended_reason, row.ended_basis = wanted.since, by, "replaced", basis
        row.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    new = SourceOfTruth(
        concept=concept, number=len(former) + 1, field=field, legal_basis=basis, since=wanted.since, declared_by=by
    )
    try:
        with transaction.atomic():
            new.save()
    except IntegrityError as error:  # two at the same moment: the database keeps one
        kept = SourceOfTruth.objects.filter(concept=concept).select_related("field__dataset").latest("number")
        raise SourceOfTruthTaken(concept=concept, dataset=str(kept.field.dataset), column=kept.field.name) from error
    touched()
    if ledger is not None:
        body = {"concept": concept, "attribute": str(field), "legal_basis": basis, "since": iso(new.since), "by": by}
        body |= {"instead_of": ", ".join(str(row.field) for row in ended)}
        new.ledger_index = receipts.write(ledger, "source-of-truth", body, now).index
        new.save(update_fields=["ledger_index"])
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
    basis = filled("legal_basis", legal_basis, "the end of a source of truth")
    present.until, present.ended_by = now, filled("by", by)
    present.ended_reason, present.ended_basis = filled("reason", reason), basis
    present.save(update_fields=["until", "ended_by", "ended_reason", "ended_basis"])
    touched()
    if ledger is not None:
        body = {"concept": concept, "legal_basis": basis, "by": by, "reason": reason}
        receipts.write(ledger, "source-of-truth-ended", body, now)
    return present
