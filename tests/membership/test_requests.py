"""Management requests in the register: applied at once only when the owner signed what may pass, else decided by an operator."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from kerege.exchange import certs, management
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.management import Envelope, Kind, ManagementRequest
from kerege.exchange.management_proof import Proof
from kerege.exchange.pki import TestAuthority
from kerege.membership import central, requests
from kerege.membership.errors import RequestNeedless, RequestUnfit, RequestUnknown
from kerege.membership.models import ManagementRequestRow, SeenRequest

NOW = datetime.now(UTC).replace(microsecond=0)
OWNER = MemberId("KG", "GOV", "70000003")
OTHER = MemberId("KG", "GOV", "70000002")
SERVER = ServerId("KG", "GOV", "70000003", "node-edu")
EMIS = ClientId("KG", "GOV", "70000003", "emis")
POPULATION = ClientId("KG", "GOV", "70000002", "population")
PROVIDER = ClientId("KG", "GOV", "70000000", "management")
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def certificate() -> bytes:
    authority = TestAuthority.create("KG", NOW)
    return certs.der(authority.auth_certificate(SERVER, "Edu", NOW).certificate)


@pytest.fixture(autouse=True)
def network(ledger: Any) -> None:
    names = {"name_ky": "a", "name_ru": "a", "name_en": "a"}
    for kind, name, body in (
        ("member", str(OWNER), names),
        ("member", str(OTHER), names),
        ("subsystem", str(EMIS), {"name": ""}),
        ("server", str(SERVER), {"address": "old"}),
        ("client", f"{SERVER} {EMIS}", {"enabled": True}),
    ):
        central.put(kind, name, body, ledger=ledger, now=NOW, by="operator")
    ledger.entries.clear()


def send(ledger: Any, kind: Kind, *, signer: MemberId | None = OWNER, **fields: Any) -> requests.Received:
    request = ManagementRequest(kind, SERVER, **fields)
    soap = management.build(request, ClientId.parse(str(SERVER.owner)), PROVIDER)
    proof = Proof(Envelope(request, ClientId.parse(str(SERVER.owner)), PROVIDER, "1"), signer)
    return take(proof, soap, ledger)


def take(proof: Proof, soap: bytes, ledger: Any, origin: str = "") -> requests.Received:
    return requests.receive(requests.remember(proof, soap, now=NOW, origin=origin), ledger=ledger, now=NOW)


def made(
    kind: Kind, *, signer: MemberId | None = OWNER, server: ServerId = SERVER, **fields: Any
) -> tuple[Proof, bytes]:
    """A request of the server's owner: its proof and its bytes."""
    request, owner = ManagementRequest(kind, server, **fields), ClientId.parse(str(server.owner))
    return Proof(Envelope(request, owner, PROVIDER, "1"), signer), management.build(request, owner, PROVIDER)


def entry(kind: str, name: str) -> dict[str, Any] | None:
    return central.entries("KG").get((kind, name))


def approve(ledger: Any, number: int) -> None:
    requests.approve(number, by="operator", reason="checked by telephone", ledger=ledger, now=NOW)


def test_what_the_owner_signed_and_may_pass_is_applied_at_once(ledger: Any) -> None:
    assert send(ledger, Kind.ADDRESS_CHANGE, address="new").state == "approved"
    assert entry("server", str(SERVER)) == {"address": "new", "maintenance": None}
    assert ledger.kinds() == ["management-request", "network-set", "management-decision"]
    send(ledger, Kind.MAINTENANCE_ENABLE, message="back at noon")
    assert entry("server", str(SERVER)) == {"address": "new", "maintenance": "back at noon"}
    send(ledger, Kind.MAINTENANCE_DISABLE)
    assert entry("server", str(SERVER)) == {"address": "new", "maintenance": None}
    send(ledger, Kind.CLIENT_DISABLE, client=EMIS)
    assert entry("client", f"{SERVER} {EMIS}") == {"enabled": False}
    send(ledger, Kind.CLIENT_ENABLE, client=EMIS)
    assert entry("client", f"{SERVER} {EMIS}") == {"enabled": True}
    send(ledger, Kind.CLIENT_RENAME, client=EMIS, name="EMIS 2")
    assert entry("subsystem", str(EMIS)) == {"name": "EMIS 2"}
    send(ledger, Kind.CLIENT_DELETION, client=EMIS)
    assert entry("client", f"{SERVER} {EMIS}") is None


def test_a_registration_waits_until_an_operator_approves_it_with_a_reason(ledger: Any, certificate: bytes) -> None:
    received = send(ledger, Kind.AUTH_CERT_REG, certificate=certificate)
    assert received.state == "waiting"
    name = hashlib.sha256(certificate).hexdigest()
    assert entry("certificate", name) is None
    with pytest.raises(RequestUnfit, match="who decides and why"):
        requests.approve(received.number, by="operator", reason=" ", ledger=ledger, now=NOW)
    approve(ledger, received.number)
    assert entry("certificate", name) == {"server": str(SERVER), "der": base64.b64encode(certificate).decode()}
    row = ManagementRequestRow.objects.get(pk=received.number)
    assert (row.state, row.decided_by, row.reason) == ("approved", "operator", "checked by telephone")
    with pytest.raises(RequestUnfit, match="approved already"):
        approve(ledger, received.number)
    assert send(ledger, Kind.AUTH_CERT_DELETION, certificate=certificate).state == "waiting"


def test_a_new_server_comes_with_its_address_and_is_registered_on_approval(ledger: Any, certificate: bytes) -> None:
    new = replace(SERVER, server="node-two")

    def ask(address: str | None) -> requests.Received:
        request = ManagementRequest(Kind.AUTH_CERT_REG, new, certificate=certificate, address=address)
        owner = ClientId.parse(str(OWNER))
        proof = Proof(Envelope(request, owner, PROVIDER, "1"), OWNER)
        return take(proof, management.build(request, owner, PROVIDER), ledger)

    with pytest.raises(RequestUnfit, match="comes with its address"):
        ask(None)
    approve(ledger, ask("two.kg").number)
    assert entry("server", str(new)) == {"address": "two.kg", "maintenance": None}


def test_a_client_of_another_member_waits_and_the_setting_lets_own_ones_pass(ledger: Any) -> None:
    received = send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER)
    assert received.state == "waiting"
    central.put("setting", "auto_approve", {"value": ["clientReg"]}, ledger=ledger, now=NOW, by="operator")
    own = ClientId.parse(f"{OWNER}/admission")
    assert send(ledger, Kind.CLIENT_REG, client=own, name="Admission").state == "approved"
    assert entry("subsystem", str(own)) == {"name": "Admission"}
    assert entry("client", f"{SERVER} {own}") == {"enabled": True}
    approve(ledger, received.number)
    assert entry("client", f"{SERVER} {POPULATION}") == {"enabled": True}


def test_an_unsigned_request_never_passes_by_itself(ledger: Any) -> None:
    assert send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None).state == "waiting"
    assert entry("client", f"{SERVER} {EMIS}") is not None


def test_a_declined_request_changes_nothing_and_may_be_asked_anew(ledger: Any) -> None:
    received = send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER)
    requests.decline(received.number, by="operator", reason="no agreement", ledger=ledger, now=NOW)
    assert entry("client", f"{SERVER} {POPULATION}") is None
    assert send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER).number > received.number
    with pytest.raises(RequestUnknown, match="no management request 999"):
        approve(ledger, 999)


def test_a_new_owner_takes_the_server_over_with_its_clients(ledger: Any) -> None:
    approve(ledger, send(ledger, Kind.OWNER_CHANGE, client=ClientId.parse(str(OTHER)), signer=OTHER).number)
    assert entry("server", str(SERVER)) is None
    assert entry("server", f"{OTHER}/node-edu") == {"address": "old", "maintenance": None}
    assert entry("client", f"{OTHER}/node-edu {EMIS}") == {"enabled": True}


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (Kind.CLIENT_REG, {"client": EMIS}, "asks for is there: .* at the server"),
        (Kind.CLIENT_REG, {"client": ClientId.parse("KG/GOV/9/x")}, "member of KG/GOV/9/x is not registered"),
        (Kind.CLIENT_REG, {"client": ClientId.parse(str(OWNER))}, "only subsystems"),
        (Kind.CLIENT_DELETION, {"client": POPULATION}, "not registered at the server"),
        (Kind.CLIENT_ENABLE, {"client": EMIS}, "not disabled"),
        (Kind.CLIENT_RENAME, {"client": POPULATION, "name": "x"}, "not registered"),
        (Kind.MAINTENANCE_DISABLE, {}, "not in maintenance"),
        (Kind.OWNER_CHANGE, {"client": ClientId.parse(str(OWNER))}, "owns the server already"),
        (Kind.AUTH_CERT_DELETION, {"certificate": b"x"}, "not registered for the server"),
    ],
)
def test_a_request_that_contradicts_the_register_is_refused_and_not_noted(
    ledger: Any, kind: Kind, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RequestUnfit, match=reason):
        send(ledger, kind, **fields)
    assert not ManagementRequestRow.objects.exists()
    assert not ledger.entries


def test_a_second_request_about_the_same_waits_for_the_first(ledger: Any) -> None:
    send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER)
    with pytest.raises(RequestUnfit, match="waits for a decision"):
        send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER)


def test_a_request_that_became_needless_while_it_waited_is_to_be_declined(ledger: Any) -> None:
    """Told as that when it is approved: left waiting, it would keep out what the owner asks for next."""
    received = send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER)
    central.put("subsystem", str(POPULATION), {"name": "Register"}, ledger=ledger, now=NOW, by="operator")
    central.put("client", f"{SERVER} {POPULATION}", {"enabled": True}, ledger=ledger, now=NOW, by="operator")
    with pytest.raises(
        RequestNeedless, match=f"request {received.number} asks for is so already: .* at the server"
    ) as told:
        approve(ledger, received.number)
    assert f"kerege network decline {received.number} --by" in told.value.next_step
    with pytest.raises(RequestUnfit, match="about the same waits"):
        send(ledger, Kind.CLIENT_DELETION, client=POPULATION, signer=OTHER)
    requests.decline(received.number, by="operator", reason="so already", ledger=ledger, now=NOW)
    assert send(ledger, Kind.CLIENT_DELETION, client=POPULATION, signer=OTHER).state == "waiting"
    leaving = send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None)
    assert send(ledger, Kind.CLIENT_DELETION, client=EMIS).state == "approved"
    with pytest.raises(RequestNeedless, match="is not registered at the server"):
        approve(ledger, leaving.number)


def test_what_nobody_signed_stands_in_no_owners_way(ledger: Any) -> None:
    send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None)
    with pytest.raises(RequestUnfit, match="waits for a decision"):
        send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None)
    assert send(ledger, Kind.CLIENT_DELETION, client=EMIS).state == "approved"
    with pytest.raises(RequestUnfit, match="not registered at the server"):
        approve(ledger, ManagementRequestRow.objects.get(state="waiting").pk)


def test_the_same_bytes_are_never_taken_twice(ledger: Any) -> None:
    proof, soap = made(Kind.ADDRESS_CHANGE, address="new")
    take(proof, soap, ledger)
    with pytest.raises(RequestUnfit, match="received before"):
        take(proof, soap, ledger)


def test_a_signed_request_that_was_refused_is_not_taken_later_when_it_would_fit(ledger: Any) -> None:
    send(ledger, Kind.MAINTENANCE_ENABLE, message="until noon")
    proof, soap = made(Kind.MAINTENANCE_ENABLE, message="again")
    with pytest.raises(RequestUnfit, match="in maintenance already"):
        take(proof, soap, ledger)
    send(ledger, Kind.MAINTENANCE_DISABLE)
    with pytest.raises(RequestUnfit, match="received before"):
        take(proof, soap, ledger)
    assert entry("server", str(SERVER)) == {"address": "old", "maintenance": None}
    send(ledger, Kind.MAINTENANCE_ENABLE, message="again")  # asked anew it is another message
    assert entry("server", str(SERVER)) == {"address": "old", "maintenance": "again"}


def test_a_signed_request_that_failed_in_the_ledger_is_not_taken_again(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, soap = made(Kind.ADDRESS_CHANGE, address="new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(requests.receipts, "write", full)
        with pytest.raises(OSError, match="No space"):
            take(proof, soap, ledger)
    with pytest.raises(RequestUnfit, match="received before"):
        take(proof, soap, ledger)
    assert entry("server", str(SERVER)) == {"address": "old", "maintenance": None}


def test_a_dry_run_is_not_taken_twice_either(ledger: Any, certificate: bytes) -> None:
    proof, soap = made(Kind.AUTH_CERT_REG, certificate=certificate, dry_run=True)
    take(proof, soap, ledger)
    noted = len(ledger.entries)
    with pytest.raises(RequestUnfit, match="received before"):
        take(proof, soap, ledger)
    assert len(ledger.entries) == noted


def test_the_signed_message_sent_ahead_without_its_signature_does_not_use_it_up(ledger: Any) -> None:
    signed, soap = made(Kind.CLIENT_DELETION, client=EMIS)
    stripped = replace(signed, signer=None)
    assert take(stripped, soap, ledger).state == "waiting"
    assert take(signed, soap, ledger).state == "approved"
    with pytest.raises(RequestUnfit, match="received before"):
        take(stripped, soap, ledger)


def test_a_request_is_remembered_also_when_its_own_transaction_is_undone(ledger: Any) -> None:
    proof, soap = made(Kind.ADDRESS_CHANGE, address="new")
    seen = requests.remember(proof, soap, now=NOW)
    with contextlib.suppress(RuntimeError), transaction.atomic():
        requests.receive(seen, ledger=ledger, now=NOW)
        raise RuntimeError
    assert not ManagementRequestRow.objects.exists()
    with pytest.raises(RequestUnfit, match="received before"):
        requests.remember(proof, soap, now=NOW)


def test_what_was_received_before_messages_were_remembered_is_remembered(ledger: Any) -> None:
    proof, soap = made(Kind.ADDRESS_CHANGE, address="new")
    take(proof, soap, ledger)
    send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None)
    SeenRequest.objects.all().delete()
    migration = importlib.import_module("kerege.membership.migrations.0004_seen_requests")
    migration.remember_received(apps, None)
    assert [str(row) for row in SeenRequest.objects.all()] == [f"{hashlib.sha256(soap).hexdigest()} {OWNER}"]


# --- how many may wait -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("_OF_SIGNER", 2), ("_PLAIN", 6), ("_PLAIN_OF_SERVER", 2), ("_PLAIN_OF_ORIGIN", 3)):
        monkeypatch.setattr(requests, f"_MOST{name}", most)


def hosted(ledger: Any, count: int, server: ServerId = SERVER) -> list[ClientId]:
    """So many further clients of a server."""
    out = []
    central.put("server", str(server), {"address": "x"}, ledger=ledger, now=NOW, by="operator")
    for number in range(count):
        client = ClientId.parse(f"{OWNER}/{server.server}-{number}")
        central.put("subsystem", str(client), {"name": ""}, ledger=ledger, now=NOW, by="operator")
        central.put("client", f"{server} {client}", {"enabled": True}, ledger=ledger, now=NOW, by="operator")
        out.append(client)
    return out


def plain(ledger: Any, client: ClientId, server: ServerId = SERVER, origin: str = "") -> requests.Received:
    return take(*made(Kind.CLIENT_DELETION, client=client, signer=None, server=server), ledger, origin)


@pytest.mark.usefixtures("small")
def test_unsigned_requests_have_a_room_of_their_own_by_server_and_stand_in_no_signed_ones_way(ledger: Any) -> None:
    first, second, third = hosted(ledger, 3)
    plain(ledger, first)
    plain(ledger, second)
    with pytest.raises(RequestUnfit, match=f"2 unsigned requests for {SERVER} wait already"):
        plain(ledger, third)
    assert send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER).state == "waiting"
    assert send(ledger, Kind.CLIENT_DELETION, client=third).state == "approved"
    requests.decline(ManagementRequestRow.objects.filter(signer="")[0].pk, by="o", reason="no", ledger=ledger, now=NOW)
    assert plain(ledger, first).state == "waiting"


@pytest.mark.usefixtures("small")
def test_one_address_cannot_fill_the_room_of_unsigned_requests_and_all_together_fill_theirs_only(ledger: Any) -> None:
    servers = [replace(SERVER, server=f"s{number}") for number in range(4)]
    clients = {server: hosted(ledger, 2, server) for server in servers}
    plain(ledger, clients[servers[0]][0], servers[0], "10.0.0.1")
    plain(ledger, clients[servers[0]][1], servers[0], "10.0.0.1")
    plain(ledger, clients[servers[1]][0], servers[1], "10.0.0.1")
    with pytest.raises(RequestUnfit, match="3 unsigned requests from this address wait"):
        plain(ledger, clients[servers[1]][1], servers[1], "10.0.0.1")
    plain(ledger, clients[servers[1]][1], servers[1], "10.0.0.2")
    plain(ledger, clients[servers[2]][0], servers[2], "10.0.0.2")
    plain(ledger, clients[servers[2]][1], servers[2], "10.0.0.3")
    with pytest.raises(RequestUnfit, match="6 unsigned requests wait"):
        plain(ledger, clients[servers[3]][0], servers[3], "10.0.0.4")
    assert send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER).state == "waiting"


@pytest.mark.usefixtures("small")
def test_a_member_whose_requests_wait_stands_in_its_own_way_only_and_not_of_what_passes_at_once(ledger: Any) -> None:
    for number in range(2):
        send(ledger, Kind.CLIENT_REG, client=ClientId.parse(f"{OWNER}/more-{number}"))
    with pytest.raises(RequestUnfit, match=f"2 requests signed by {OWNER} wait already"):
        send(ledger, Kind.CLIENT_REG, client=ClientId.parse(f"{OWNER}/more-2"))
    assert send(ledger, Kind.CLIENT_REG, client=POPULATION, signer=OTHER).state == "waiting"
    assert send(ledger, Kind.ADDRESS_CHANGE, address="new").state == "approved"


def test_somebody_elses_server_is_not_spoken_for(ledger: Any) -> None:
    request = ManagementRequest(Kind.ADDRESS_CHANGE, SERVER, address="new")
    stranger = ClientId.parse(str(OTHER))
    proof = Proof(Envelope(request, stranger, PROVIDER, "1"), OTHER)
    with pytest.raises(RequestUnfit, match="the server belongs to"):
        take(proof, management.build(request, stranger, PROVIDER), ledger)


def test_a_dry_run_is_checked_and_not_kept(ledger: Any, certificate: bytes) -> None:
    send(ledger, Kind.AUTH_CERT_REG, certificate=certificate, dry_run=True)
    assert not ManagementRequestRow.objects.exists()


def test_the_server_that_alone_carries_the_management_services_is_not_shut_by_a_request(ledger: Any) -> None:
    def put(kind: str, name: str, **body: Any) -> None:
        central.put(kind, name, body, ledger=ledger, now=NOW, by="operator")

    send(ledger, Kind.MAINTENANCE_ENABLE)  # no provider is named yet: there is nothing to be shut
    send(ledger, Kind.MAINTENANCE_DISABLE)
    put("setting", "management_provider", value=str(EMIS))
    for kind, fields in (
        (Kind.MAINTENANCE_ENABLE, {"message": "back at noon"}),
        (Kind.CLIENT_DISABLE, {"client": EMIS}),
        (Kind.CLIENT_DELETION, {"client": EMIS}),
    ):
        for signer in (OWNER, None):
            with pytest.raises(RequestUnfit, match=f"{EMIS}.* through this server alone.* by hand"):
                send(ledger, kind, signer=signer, **fields)
    assert not ManagementRequestRow.objects.filter(state="waiting").exists()
    other = f"{OWNER}/node-two"
    put("server", other, address="two.kg")
    put("client", f"{other} {EMIS}", enabled=False)
    with pytest.raises(RequestUnfit, match="through this server alone"):
        send(ledger, Kind.MAINTENANCE_ENABLE, message="a disabled client carries nothing")
    put("client", f"{other} {EMIS}", enabled=True)
    put("server", other, address="two.kg", maintenance="")
    with pytest.raises(RequestUnfit, match="through this server alone"):
        send(ledger, Kind.MAINTENANCE_ENABLE, message="nor does a server in maintenance")
    put("server", other, address="two.kg")
    assert send(ledger, Kind.MAINTENANCE_ENABLE, message="the other carries it").state == "approved"
    send(ledger, Kind.MAINTENANCE_DISABLE)
    put("client", f"{other} {EMIS}", enabled=False)
    put("server", str(SERVER), address="old", maintenance="by hand")
    assert entry("server", str(SERVER)) == {"address": "old", "maintenance": "by hand"}
    send(ledger, Kind.MAINTENANCE_DISABLE)


def test_an_unsigned_request_that_waits_keeps_only_unsigned_ones_about_the_same_out(ledger: Any) -> None:
    unsigned = send(ledger, Kind.CLIENT_DELETION, client=EMIS, signer=None)
    with pytest.raises(RequestUnfit, match=f"request {unsigned.number} .* about the same waits"):
        send(ledger, Kind.CLIENT_DISABLE, client=EMIS, signer=None)
    assert send(ledger, Kind.CLIENT_DISABLE, client=EMIS).state == "approved"
