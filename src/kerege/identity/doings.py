"""What changes in this room, one transaction each.

Where an act also enters the ledger, the entry is written inside the transaction and before the rows: if the database then
fails, the ledger holds one commitment too many, which is harmless; a row that the ledger does not know would not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import new_id
from kerege.ground.text import Text
from kerege.identity import receipts
from kerege.identity.errors import GrantRefused, NotKnown, ReadIncomplete
from kerege.identity.models import Grant, Organisation, Person, PersonalDataRead, Role
from kerege.identity.reads import Read
from kerege.ledger.commitment import commit, new_salt


def register_organisation(code: str, name: Text) -> Organisation:
    """The organisation `code` with its name as given now; the same code twice is one organisation."""
    row, _ = Organisation.objects.update_or_create(
        code=code, defaults={"name_ky": name.ky, "name_ru": name.ru, "name_en": name.en}
    )
    return row


@transaction.atomic
def register_person(display_name: str, organisation: str, person_id: str | None = None) -> Person:
    """An officer of `organisation`; with a `person_id` the same officer is not registered twice."""
    home = Organisation.objects.filter(code=organisation).first()
    if home is None:
        raise NotKnown(kind="organisation", name=organisation)
    row, _ = Person.objects.get_or_create(
        person_id=person_id or new_id("person"), defaults={"display_name": display_name, "organisation": home}
    )
    return row


def define_role(code: str, name: Text, actions: Iterable[str]) -> Role:
    """A role as a named, closed set of actions; wildcards are refused."""
    listed = sorted(set(actions))
    if not listed or any("*" in action for action in listed):
        raise ValueError(f"the role {code} needs at least one action, each named in full (no wildcard)")
    row, _ = Role.objects.update_or_create(
        code=code, defaults={"name_ky": name.ky, "name_ru": name.ru, "name_en": name.en, "actions": listed}
    )
    return row


@transaction.atomic
def grant_role(
    person: str,
    role: str,
    scope: str,
    valid_until: datetime,
    *,
    granted_by: str | None,
    ledger: receipts.LedgerWriter,
    now: datetime,
) -> Grant:
    """Give `person` the `role` on `scope` until `valid_until`.

    `granted_by` None is only the installation itself setting up its first people. Nobody grants to themselves.
    """
    require_utc(now)
    if granted_by == person:
        raise GrantRefused(role=role, person=person, reason="nobody grants a role to themselves")
    if not scope or "*" in scope:
        raise GrantRefused(role=role, person=person, reason="a grant needs exactly one scope")
    if valid_until <= now:
        raise GrantRefused(role=role, person=person, reason="it would end before it begins")
    holder, giver, kind = _person(person), _person(granted_by) if granted_by else None, _role(role)
    if holder.left_at is not None:
        raise GrantRefused(role=role, person=person, reason="the person has left")
    body = {
        "person": person,
        "role": role,
        "actions": kind.actions,
        "scope": scope,
        "until": iso(valid_until),
        "by": granted_by,
    }
    receipt = receipts.write(ledger, "grant", body, now)
    return Grant.objects.create(
        grant_id=new_id("grant"),
        person=holder,
        role=kind,
        scope=scope,
        valid_from=now,
        valid_until=valid_until,
        granted_by=giver,
        ledger_index=receipt.index,
        ledger_leaf=receipt.leaf,
    )


@transaction.atomic
def revoke_grant(grant_id: str, *, by: str, ledger: receipts.LedgerWriter, now: datetime) -> Grant:
    """End a grant at once; revoking one that already ended changes nothing."""
    grant = Grant.objects.select_for_update().filter(grant_id=grant_id).first()
    if grant is None:
        raise NotKnown(kind="grant", name=grant_id)
    if grant.revoked_at is None:
        receipts.write(ledger, "grant-revoked", {"grant": grant.ledger_index, "by": by}, now)
        grant.revoked_at = now
        grant.save(update_fields=["revoked_at"])
    return grant


@transaction.atomic
def record_reads(reads: Sequence[Read], ledger: receipts.LedgerWriter, now: datetime) -> receipts.Receipt | None:
    """Write down `reads` and append one ledger entry with their commitments; all of them or none.

    An empty batch writes nothing and gives None. Raises ReadIncomplete naming the first faulty read's position and field.
    """
    for position, read in enumerate(reads, start=1):
        for field, expected in read.faults():
            raise ReadIncomplete(position=position, field=field, expected=expected)
    if not reads:
        return None
    salts = [new_salt() for _ in reads]
    commitments = [commit(read.as_value(), salt) for read, salt in zip(reads, salts, strict=True)]
    body = {"count": len(reads), "commitments": commitments}
    receipt = receipts.write(ledger, "personal-data-reads", body, now)
    PersonalDataRead.objects.bulk_create(
        [
            PersonalDataRead(
                member=read.member,
                reader=read.reader,
                about=read.about,
                purpose=read.purpose,
                legal_basis=read.legal_basis,
                data_service=read.data_service,
                message_id=read.message_id,
                at=read.at,
                channel=read.channel,
                salt=salt.hex(),
                commitment=commitment,
                ledger_index=receipt.index,
                ledger_leaf=receipt.leaf,
            )
            for read, salt, commitment in zip(reads, salts, commitments, strict=True)
        ],
        batch_size=500,
    )
    return receipt


def _person(person_id: str) -> Person:
    row = Person.objects.filter(person_id=person_id).first()
    if row is None:
        raise NotKnown(kind="person", name=person_id)
    return row


def _role(code: str) -> Role:
    row = Role.objects.filter(code=code).first()
    if row is None:
        raise NotKnown(kind="role", name=code)
    return row
