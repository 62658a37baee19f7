"""People, grants and reads as they are written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from kerege.ground.text import Text
from kerege.identity import doings, queries
from kerege.identity.errors import AccessRefused, GrantRefused, HistoryFixed, NotKnown, ReadIncomplete
from kerege.identity.models import PersonalDataRead
from kerege.identity.pseudonyms import PseudonymKey
from kerege.identity.reads import Read
from kerege.ledger.log import Ledger

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
KEY = PseudonymKey(b"k" * 32)
PIN = "20101198500001"
NAME = Text(ky="Билим министрлиги", ru="Министерство образования", en="Ministry of Education")
READ = Read(
    member="KG/GOV/70000003/admission",
    reader="process:admission-worker",
    about=KEY.of(PIN),
    purpose="grade1-admission",
    legal_basis="kg:law-education/art-16",
    data_service="KG/GOV/70000002/population/persons",
    message_id="msg-1",
    at=NOW,
)


@pytest.fixture
def people() -> None:
    doings.register_organisation("KG/GOV/70000003", NAME)
    for person in ("aida", "bermet"):
        doings.register_person(person.title(), "KG/GOV/70000003", person)
    doings.define_role("signer", NAME, ["delivery.sign"])


def test_a_parent_sees_every_read_of_the_child_newest_first(ledger: Any) -> None:
    later = replace(READ, message_id="msg-2", at=NOW + timedelta(minutes=1))
    other = replace(READ, message_id="msg-3", about=KEY.of("10202199000002"))
    receipt = doings.record_reads([READ, later, other], ledger, NOW)
    lines = queries.reads_about(KEY.of(PIN))
    assert [line.message_id for line in lines] == ["msg-2", "msg-1"]
    assert receipt is not None
    assert all(line.intact and line.ledger_leaf == receipt.leaf for line in lines)


def test_the_ledger_gets_one_entry_per_batch_with_a_commitment_per_read_and_nothing_personal(ledger: Any) -> None:
    doings.record_reads([READ, replace(READ, message_id="msg-2")], ledger, NOW)
    [entry] = ledger.entries
    assert entry.kind == "personal-data-reads"
    assert set(entry.body) == {"count", "commitments"}
    listed = {row.commitment for row in PersonalDataRead.objects.all()}
    assert set(entry.body["commitments"]) == listed
    assert READ.about not in str(entry.body)


def test_the_same_read_twice_gives_two_different_commitments(ledger: Any) -> None:
    doings.record_reads([READ, READ], ledger, NOW)
    assert len(set(ledger.entries[0].body["commitments"])) == 2


def test_a_changed_row_no_longer_matches_its_commitment(ledger: Any) -> None:
    doings.record_reads([READ], ledger, NOW)
    with connection.cursor() as cursor:  # past the model, as someone with the database's password would
        cursor.execute("UPDATE identity_personaldataread SET purpose = 'curiosity'")
    [line] = queries.reads_about(READ.about)
    assert line.intact is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("about", PIN),
        ("purpose", ""),
        ("legal_basis", " "),
        ("member", "admission"),
        ("message_id", ""),
        ("reader", ""),
    ],
)
def test_a_read_without_its_reasons_is_refused_and_nothing_of_the_batch_is_written(
    ledger: Any, field: str, value: str
) -> None:
    with pytest.raises(ReadIncomplete) as caught:
        doings.record_reads([READ, replace(READ, **{field: value})], ledger, NOW)  # type: ignore[arg-type]
    assert caught.value.params["field"] == field
    assert caught.value.params["position"] == 2
    assert PIN not in str(caught.value)
    assert not ledger.entries
    assert not PersonalDataRead.objects.exists()


def test_an_empty_batch_writes_nothing(ledger: Any) -> None:
    assert doings.record_reads([], ledger, NOW) is None
    assert not ledger.entries


def test_when_the_ledger_fails_no_read_is_recorded() -> None:
    class Full:
        def append(self, kind: str, body: dict[str, Any], now: datetime) -> Any:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        doings.record_reads([READ], Full(), NOW)
    assert not PersonalDataRead.objects.exists()


def test_a_recorded_read_is_neither_changed_nor_deleted(ledger: Any) -> None:
    doings.record_reads([READ], ledger, NOW)
    row = PersonalDataRead.objects.get()
    row.purpose = "other"
    for act in (
        row.save,
        row.delete,
        PersonalDataRead.objects.all().delete,
        lambda: PersonalDataRead.objects.update(purpose="x"),
    ):
        with pytest.raises(HistoryFixed):
            act()
    assert PersonalDataRead.objects.get().purpose == READ.purpose


def test_a_read_taken_out_of_the_table_or_slipped_in_shows_against_the_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as log:
        doings.record_reads([READ, replace(READ, message_id="msg-2")], log, NOW)
        doings.record_reads([replace(READ, message_id="msg-3")], log, NOW)
        assert queries.read_gaps(log.entries()).none
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM identity_personaldataread WHERE message_id = 'msg-2'")
        assert queries.read_gaps(log.entries()).entries_with_missing_reads == (0,)
        row = PersonalDataRead.objects.get(message_id="msg-3")
        row.pk, row._state.adding, row.commitment = None, True, "hmac-sha256:" + "0" * 64
        row.save()
        assert queries.read_gaps(log.entries()).reads_without_entry == 1


def test_which_messages_have_a_recorded_read(ledger: Any) -> None:
    doings.record_reads([READ], ledger, NOW)
    assert queries.read_messages({"msg-1", "msg-9"}) == {"msg-1"}


def test_a_granted_role_allows_and_a_revoked_one_does_not(people: None, ledger: Any) -> None:
    until = NOW + timedelta(days=30)
    grant = doings.grant_role("aida", "signer", "public-service:a", until, granted_by="bermet", ledger=ledger, now=NOW)
    assert queries.require("aida", "delivery.sign", "public-service:a", NOW).grant == grant.grant_id
    doings.revoke_grant(grant.grant_id, by="bermet", ledger=ledger, now=NOW + timedelta(hours=1))
    with pytest.raises(AccessRefused, match="revoked"):
        queries.require("aida", "delivery.sign", "public-service:a", NOW + timedelta(hours=2))
    assert ledger.kinds() == ["grant", "grant-revoked"]


def test_nobody_grants_to_themselves(people: None, ledger: Any) -> None:
    with pytest.raises(GrantRefused, match="themselves"):
        doings.grant_role("aida", "signer", "s", NOW + timedelta(days=1), granted_by="aida", ledger=ledger, now=NOW)


@pytest.mark.parametrize("scope", ["", "*", "public-service:*"])
def test_a_grant_without_exactly_one_scope_is_refused(people: None, ledger: Any, scope: str) -> None:
    with pytest.raises(GrantRefused, match="one scope"):
        doings.grant_role("aida", "signer", scope, NOW + timedelta(days=1), granted_by="bermet", ledger=ledger, now=NOW)
    assert not ledger.entries


def test_a_role_with_a_wildcard_cannot_be_defined() -> None:
    with pytest.raises(ValueError, match="no wildcard"):
        doings.define_role("admin", NAME, ["delivery.*"])


def test_an_unknown_person_gets_no_grant(people: None, ledger: Any) -> None:
    with pytest.raises(NotKnown, match="person cholpon"):
        doings.grant_role("cholpon", "signer", "s", NOW + timedelta(days=1), granted_by="aida", ledger=ledger, now=NOW)
