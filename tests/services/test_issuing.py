import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from kerege.credentials import TrustList, status_from_texts, verify
from kerege.ground.text import Text
from kerege.services.issuing import DocumentOffice

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KIND = "urn:kg:admission"


@pytest.fixture
def office(tmp_path):
    return DocumentOffice(
        tmp_path, "https://edu.example.kg", Text(ky="Министрлик", ru="Министерство", en="Ministry"), NOW
    )


def check(home, text, now=NOW):
    trust = TrustList.load(home / "credentials/public/trust.json")
    lists = [p.read_text() for p in (home / "credentials/public/status").glob("*.jwt")]
    return verify(text, trust, status_from_texts(lists), now)


def issue(office):
    return office.issue(KIND, {"a": ({"given_name": "Нурбек", "school": "12"}, {"school": "12"})}, NOW)["a"]


def test_an_issued_document_verifies_in_both_forms_from_the_public_files_alone(office, tmp_path):
    issued = issue(office)
    for text in (issued.sd_jwt, issued.paper):
        assert check(tmp_path, text).state == "valid"


def test_a_tampered_document_is_refused(office, tmp_path):
    paper = issue(office).paper
    changed = paper[:-9] + ("A" if paper[-9] != "A" else "B") + paper[-8:]
    assert check(tmp_path, changed).state == "refused"


def test_a_revoked_document_is_revoked_in_both_forms_at_once_and_others_are_not(office, tmp_path):
    first, second = issue(office), issue(office)
    office.revoke(first.status, NOW + timedelta(minutes=1))
    later = NOW + timedelta(minutes=2)
    assert check(tmp_path, first.paper, later).state == "revoked"
    assert check(tmp_path, first.sd_jwt, later).state == "revoked"
    assert check(tmp_path, second.paper, later).state == "valid"


def test_an_office_opened_again_knows_what_it_gave_out_and_revoked(office, tmp_path):
    issued = issue(office)
    office.revoke(issued.status, NOW)
    again = DocumentOffice(tmp_path, "https://edu.example.kg", Text(ky="М", ru="М", en="Ministry"), NOW)
    assert check(tmp_path, issued.paper).state == "revoked"
    assert issue(again).status.index != issued.status.index


def test_documents_and_keys_are_for_their_owner_only(office, tmp_path):
    issued = issue(office)
    document = tmp_path / "documents" / f"{issued.reference}.json"
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert json.loads(document.read_text())["paper"] == issued.paper
    assert stat.S_IMODE((tmp_path / "keys/credentials/issuer.key").stat().st_mode) == 0o600
