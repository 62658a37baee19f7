"""The network's register: nothing is granted to strangers, nothing published by halves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.rules import Rules, build, parse
from kerege.ground.text import Text
from kerege.identity.errors import HistoryFixed
from kerege.identity.receipts import Receipt
from kerege.ledger import newest_head, open_signing
from kerege.ledger.checkpoint import parse_note
from kerege.membership import doings, queries
from kerege.membership.errors import (
    ContractInvalid,
    NotRegistered,
    OtherOwner,
    PermitInvalid,
    PublishFailed,
    RightInvalid,
)
from kerege.membership.models import Permit, Publication
from kerege.membership.picture import Picture
from kerege.membership.states import PermitState

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
SOON = NOW + timedelta(days=30)
NAME = Text(ky="Мүчө", ru="Участник", en="Member")
POPULATION = SubsystemId("KG", "GOV", "70000002", "population")
ADMISSION = SubsystemId("KG", "GOV", "70000003", "admission")
PERSONS = DataServiceId("KG", "GOV", "70000002", "population", "persons")
NODE = ServerId("KG", "GOV", "70000003", "node-edu")
GROUND = Receipt(7, "ab" * 32)


@pytest.fixture
def network() -> None:
    for subsystem in (POPULATION, ADMISSION):
        doings.register_member(subsystem.member, NAME, NOW)
        doings.register_subsystem(subsystem, NOW)
    doings.register_server(NODE, "127.0.0.1", NOW, ["aa" * 32])
    doings.host_client(NODE, ADMISSION)
    doings.register_public_service("grade1-admission", ADMISSION)


def test_registering_twice_changes_nothing(network: None) -> None:
    before = queries.network_view(NOW).picture
    doings.register_member(ADMISSION.member, NAME, SOON)
    doings.register_subsystem(ADMISSION, SOON)
    doings.register_public_service("grade1-admission", ADMISSION)
    assert queries.network_view(NOW).picture == before


def test_a_subsystem_of_a_stranger_is_refused() -> None:
    with pytest.raises(NotRegistered, match="KG/GOV/70000009"):
        doings.register_subsystem(SubsystemId("KG", "GOV", "70000009", "x"), NOW)


def test_a_server_is_named_by_its_owner_so_two_owners_may_use_one_code(network: None) -> None:
    doings.register_server(ServerId("KG", "GOV", "70000002", "node-edu"), "127.0.0.2", NOW)
    assert len(queries.network_view(NOW).picture.servers) == 2
    with pytest.raises(NotRegistered):
        doings.register_server(ServerId("KG", "GOV", "70000009", "node"), "127.0.0.2", NOW)


def test_a_granted_right_stands_in_the_rules_until_it_is_revoked(network: None, ledger: Any) -> None:
    right = doings.grant_right(ADMISSION, PERSONS, SOON, ledger=ledger, now=NOW, method="GET", path="/api/persons/*")
    [rule] = queries.network_view(NOW).picture.rules().rights
    assert (rule.holder, rule.service, rule.method, rule.id) == (ADMISSION, PERSONS, "GET", right.right_id)
    doings.revoke_right(right.right_id, ledger=ledger, now=NOW)
    doings.revoke_right(right.right_id, ledger=ledger, now=SOON)
    assert queries.network_view(NOW).picture.rights == ()
    assert ledger.kinds() == ["right", "right-revoked"]


def test_a_right_leaves_the_picture_only_after_its_last_moment(network: None, ledger: Any) -> None:
    doings.grant_right(ADMISSION, PERSONS, SOON, ledger=ledger, now=NOW)
    assert len(queries.network_view(SOON).picture.rights) == 1
    assert queries.network_view(SOON + timedelta(microseconds=1)).picture.rights == ()


@pytest.mark.parametrize(
    "change",
    [{"until": NOW}, {"method": "READ"}, {"path": "api"}, {"path": "/a/../b"}, {"path": "/a?b=c"}],
)
def test_a_malformed_right_is_refused_and_leaves_no_trace(network: None, ledger: Any, change: dict[str, Any]) -> None:
    call: dict[str, Any] = {"until": SOON, "ledger": ledger, "now": NOW} | change
    with pytest.raises(RightInvalid):
        doings.grant_right(ADMISSION, PERSONS, **call)
    assert not ledger.entries


def test_a_stranger_gets_no_right(network: None, ledger: Any) -> None:
    with pytest.raises(NotRegistered):
        doings.grant_right(SubsystemId("KG", "GOV", "70000003", "other"), PERSONS, SOON, ledger=ledger, now=NOW)
    assert not ledger.entries


def test_a_contract_without_owner_or_legal_basis_is_refused(network: None) -> None:
    with pytest.raises(ContractInvalid, match="legal basis"):
        doings.set_contract(PERSONS, "/", "kg:population.person", owner="aida", legal_basis=" ", now=NOW)
    doings.set_contract(PERSONS, "/", "kg:population.person", owner="aida", legal_basis="law-1", now=NOW)
    assert queries.network_view(NOW).picture.rules().contracts[0].mapping == "kg:population.person"


def test_a_contracts_terms_reach_the_nodes_at_the_provider_too(network: None) -> None:
    basis = {"owner": "aida", "legal_basis": "law-1", "now": NOW}
    schema = {"type": "object", "required": ["pin"]}
    doings.set_contract(PERSONS, "/", "kg:population.person", at="provider", mode="warn", translate="always", **basis)
    doings.set_contract(PERSONS, "/", "", method="POST", mode="refuse", schema=schema, **basis)
    posted, every = queries.network_view(NOW).picture.rules().contracts
    assert (every.at, every.mode, every.translate, every.method) == ("provider", "warn", "always", "*")
    assert (posted.mapping, posted.mode, posted.method) == ("", "refuse", "POST")
    assert posted.schema == '{"required":["pin"],"type":"object"}'
    doings.set_contract(PERSONS, "/", "kg:population.person", **basis)  # one per path and method
    assert [c.mode for c in queries.network_view(NOW).picture.rules().contracts] == ["refuse", "observe"]


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"mode": "off"}, "mode is one of"),
        ({"mapping": "", "translate": "always", "schema": {}}, "needs a mapping"),
        ({"mapping": ""}, "no mapping and no schema"),
        ({"schema": {"type": "no such type"}}, "JSON Schema cannot be used"),
        ({"schema": {"$ref": "http://127.0.0.1:9/x"}}, "JSON Schema cannot be used"),
        ({"schema": {"minimum": 0.5}}, "floats"),
    ],
)
def test_a_contract_no_node_could_apply_is_refused(network: None, terms: dict[str, Any], words: str) -> None:
    whole = {"mapping": "kg:population.person", "owner": "aida", "legal_basis": "law-1", "now": NOW, **terms}
    with pytest.raises(ContractInvalid, match=words):
        doings.set_contract(PERSONS, "/", **whole)


def test_the_newest_permit_is_in_force_and_the_history_stays(network: None) -> None:
    for state in (PermitState.PILOT, PermitState.CLOSED):
        doings.set_permit("grade1-admission", ADMISSION, state, [PERSONS], SOON, GROUND, NOW)
    permit = queries.current_permit("grade1-admission")
    assert permit is not None
    assert permit.state is PermitState.CLOSED
    assert [p.state.value for p in queries.permit_history("grade1-admission")] == ["pilot", "closed"]
    assert [p.state for p in queries.network_view(NOW).picture.rules().permits] == ["closed"]
    with pytest.raises(HistoryFixed):
        Permit.objects.update(state="national")


@pytest.mark.parametrize(
    ("service", "data_services", "until", "reason"),
    [
        ("other-service", [PERSONS], SOON, "not registered as its client"),
        ("grade1-admission", [], SOON, "names no data service"),
        ("grade1-admission", [PERSONS], NOW, "end before it begins"),
    ],
)
def test_a_permit_that_says_too_little_is_refused(
    network: None, service: str, data_services: list[DataServiceId], until: datetime, reason: str
) -> None:
    with pytest.raises(PermitInvalid, match=reason):
        doings.set_permit(service, ADMISSION, PermitState.PILOT, data_services, until, GROUND, NOW)
    assert not Permit.objects.exists()


def test_closing_needs_no_formality(network: None) -> None:
    doings.set_permit("grade1-admission", ADMISSION, PermitState.CLOSED, [], NOW, GROUND, NOW)
    permit = queries.current_permit("grade1-admission")
    assert permit is not None
    assert not permit.state.carries


def test_one_subsystem_serves_one_public_service(network: None) -> None:
    with pytest.raises(PermitInvalid, match="already acts for grade1-admission"):
        doings.register_public_service("school-transfer", ADMISSION)


def _write(picture: Picture, rules: Rules, folder: Path, now: datetime) -> None:
    (folder / "rules.json").write_bytes(build(rules))


def test_publishing_hands_the_rules_over_and_notes_version_and_digest(
    network: None, ledger: Any, tmp_path: Path
) -> None:
    doings.grant_right(ADMISSION, PERSONS, SOON, ledger=ledger, now=NOW)
    assert queries.network_view(NOW).unpublished_changes
    doings.publish_configuration(tmp_path, NOW, _write, ledger)
    assert len(parse((tmp_path / "rules.json").read_bytes()).rights) == 1
    view = queries.network_view(NOW)
    assert (view.version, view.unpublished_changes) == (1, False)


def test_a_signed_head_covers_every_publication_and_signing_the_same_again_leaves_none(
    network: None, tmp_path: Path
) -> None:
    with open_signing(tmp_path / "home") as log:
        for sizes in (
            1,
            1,
        ):  # the second picture is the same: signed again, not entered again, and no row or head for every minute of a year
            doings.publish_configuration(tmp_path, NOW, _write, log)
            note = newest_head(tmp_path / "home")
            assert note is not None
            assert parse_note(note).checkpoint.size == log.size == sizes
        assert len(log.checkpoints()) == Publication.objects.count() == 1


def test_an_unchanged_picture_is_published_again_without_a_new_ledger_entry(
    network: None, ledger: Any, tmp_path: Path
) -> None:
    doings.publish_configuration(tmp_path, NOW, _write, ledger)
    doings.publish_configuration(tmp_path, SOON, _write, ledger)
    assert ledger.kinds() == ["configuration"]
    doings.set_permit("grade1-admission", ADMISSION, PermitState.PILOT, [PERSONS], SOON, GROUND, NOW)
    third = doings.publish_configuration(tmp_path, SOON, _write, ledger)
    assert (third.version, ledger.kinds()) == (2, ["configuration", "configuration"])


def test_when_publishing_fails_nothing_is_noted(network: None, ledger: Any, tmp_path: Path) -> None:
    with pytest.raises(PublishFailed, match="No such file"):
        doings.publish_configuration(tmp_path / "missing", NOW, _write, ledger)
    assert not Publication.objects.exists()
    assert not ledger.entries


def test_a_server_never_changes_hands(network: None) -> None:
    from kerege.membership.models import Member, SecurityServer

    other = Member.objects.get(code=str(MemberId("KG", "GOV", "70000002")))
    SecurityServer.objects.filter(code=str(NODE)).update(owner=other)
    with pytest.raises(OtherOwner):
        doings.register_server(NODE, "127.0.0.1", NOW)
