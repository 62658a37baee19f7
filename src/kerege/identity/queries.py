"""What others may ask this room, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

from kerege.identity.access import Access, GrantFacts, may
from kerege.identity.errors import AccessRefused
from kerege.identity.models import Grant, PersonalDataRead
from kerege.identity.reads import Channel, Read
from kerege.ledger.commitment import opens


@dataclass(frozen=True, slots=True)
class ReadView:
    """One line of "who read my child's data". `intact` is False when the row no longer matches its commitment."""

    member: str
    reader: str
    purpose: str
    legal_basis: str
    data_service: str
    message_id: str
    at: datetime
    channel: str
    ledger_index: int
    ledger_leaf: str
    commitment: str
    intact: bool


def reads_about(pseudonym: str, limit: int = 500) -> tuple[ReadView, ...]:
    """Every read of this person's data, newest first."""
    rows = PersonalDataRead.objects.filter(about=pseudonym).order_by("-at", "-pk")[:limit]
    return tuple(_view(row) for row in rows)


def read_messages(message_ids: set[str]) -> set[str]:
    """Which of these exchange messages have at least one recorded read (with purpose and legal basis)."""
    found: set[str] = set()
    listed = sorted(message_ids)
    for start in range(0, len(listed), 500):
        chunk = listed[start : start + 500]
        found.update(PersonalDataRead.objects.filter(message_id__in=chunk).values_list("message_id", flat=True))
    return found


class LedgerRecord(Protocol):
    """What the gap check needs of a ledger's entry."""

    @property
    def index(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class ReadGaps:
    """Where table and ledger disagree: ledger entries whose reads were taken out, and rows no entry speaks for."""

    entries_with_missing_reads: tuple[int, ...]
    reads_without_entry: int

    @property
    def none(self) -> bool:
        return not self.entries_with_missing_reads and not self.reads_without_entry


def read_gaps(entries: Iterable[LedgerRecord]) -> ReadGaps:
    """Compare every recorded read with the ledger: a read deleted from the table, or slipped into it, shows here."""
    listed = {e.index: set(e.body["commitments"]) for e in entries if e.kind == "personal-data-reads"}
    held: dict[int, set[str]] = {}
    for index, commitment in PersonalDataRead.objects.values_list("ledger_index", "commitment").iterator():
        held.setdefault(index, set()).add(commitment)
    missing = tuple(sorted(index for index, marks in listed.items() if marks - held.get(index, set())))
    return ReadGaps(missing, sum(len(marks - listed.get(index, set())) for index, marks in held.items()))


def grants_of(person: str) -> tuple[GrantFacts, ...]:
    """Every grant the person ever had, ended ones too."""
    rows = Grant.objects.filter(person__person_id=person, person__left_at=None).select_related("person", "role")
    return tuple(
        GrantFacts(
            grant_id=row.grant_id,
            person=row.person.person_id,
            role=row.role.code,
            actions=frozenset(row.role.actions),
            scope=row.scope,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            revoked_at=row.revoked_at,
        )
        for row in rows
    )


def access(person: str, action: str, scope: str, now: datetime) -> Access:
    """`access.may` over the person's grants; someone who left holds none."""
    return may(person, action, scope, grants_of(person), now)


def require(person: str, action: str, scope: str, now: datetime) -> Access:
    """The same, raising AccessRefused when it is no."""
    answer = access(person, action, scope, now)
    if not answer.allowed:
        raise AccessRefused(person=person, action=action, scope=scope, reason=answer.reason)
    return answer


def _view(row: PersonalDataRead) -> ReadView:
    read = Read(
        member=row.member,
        reader=row.reader,
        about=row.about,
        purpose=row.purpose,
        legal_basis=row.legal_basis,
        data_service=row.data_service,
        message_id=row.message_id,
        at=row.at,
        channel=cast(
            Channel, row.channel
        ),  # whatever stands there now: another value breaks the commitment, as it should
    )
    return ReadView(
        member=row.member,
        reader=row.reader,
        purpose=row.purpose,
        legal_basis=row.legal_basis,
        data_service=row.data_service,
        message_id=row.message_id,
        at=row.at,
        channel=row.channel,
        ledger_index=row.ledger_index,
        ledger_leaf=row.ledger_leaf,
        commitment=row.commitment,
        intact=opens(row.commitment, read.as_value(), bytes.fromhex(row.salt)),
    )
