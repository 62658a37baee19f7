"""The central services' addresses: a node asks to be registered, an operator approves, the published configuration says so."""

import base64
import hashlib
from datetime import timedelta

import pytest
from web_management import EDU, EMIS, PROVIDER, SERVER, Answers, answering, fault, node_to_be_registered, post

from kerege.exchange import certs, confdir, faults, globalconf, management, management_read, management_wire
from kerege.exchange.ids import ClientId
from kerege.exchange.management import Kind, ManagementRequest
from kerege.ground import clock
from kerege.ledger import open_signing
from kerege.membership import central, central_picture, doings, requests, signing
from kerege.membership.models import ManagementRequestRow
from kerege.node.asking import registration, submitting
from kerege.node.errors import RegistrationUnreachable
from kerege.web import settings as web_settings


@pytest.fixture
def ask(home, db):
    """A way to make the requests of a node that registers itself, anew every time."""
    papers, _ = node_to_be_registered(home)
    return lambda: list(registration.requests_of(papers, "node.edu.kg"))


@pytest.fixture
def asked(ask):
    return ask()


def test_a_node_is_registered_by_its_own_requests_once_an_operator_approves(visitor, ask, asked, home):
    assert [one.request.kind for one in asked] == [Kind.AUTH_CERT_REG, Kind.CLIENT_REG, Kind.CLIENT_REG]
    first, second, _ = asked
    number = management_read.parse_reply(post(visitor, first).content)
    assert "is not registered" in fault(post(visitor, second)).message
    now = clock.now()
    with open_signing(home) as ledger:
        requests.approve(number, by="operator", reason="known", ledger=ledger, now=now)
        assert "received before" in fault(post(visitor, second)).message
        number = management_read.parse_reply(post(visitor, ask()[1]).content)
        requests.approve(number, by="operator", reason="known", ledger=ledger, now=now)
        signing.make_keys(home / "keys" / "configuration", "KG", now)
        keys = central_picture.signing_keys(home / "keys" / "configuration")
        doings.publish_configuration(home / "globalconf", now, central_picture.central_publisher(keys), ledger)
    for version in globalconf.VERSIONS:
        body = visitor.get(f"/internalconf?version={version}").content
        directory = confdir.verify_directory(body, [keys.internal.certificate], "hub")
        assert directory.version == version
        part = directory.part(confdir.SHARED)
        shared = globalconf.parse_shared(confdir.check_file(part, visitor.get(part.location).content, "hub"))
        (server,) = shared.servers_of(EMIS)
        assert server.address == "node.edu.kg"
        wanted = certs.auth_hashes(first.request.certificate)[version == 2]
        assert server.auth_cert_hashes == {wanted}
    external = confdir.verify_directory(visitor.get("/externalconf").content, [keys.external.certificate], "hub")
    assert [part.identifier for part in external.parts] == [confdir.SHARED]
    for version in ("1", "7", "x", "06", "../6"):
        assert visitor.get("/internalconf", {"version": version}).status_code == 404


def test_a_version_that_was_not_published_is_not_offered(visitor, home):
    (home / "globalconf").mkdir()
    (home / "globalconf" / "internalconf").write_bytes(b"six")
    assert visitor.get("/internalconf?version=6").content == visitor.get("/internalconf").content == b"six"
    assert visitor.get("/internalconf?version=5").status_code == 404


def test_a_request_that_waits_is_told_in_the_hubs_log_with_the_command_that_shows_it(visitor, asked, caplog):
    assert web_settings.LOGGING["loggers"]["kerege.web.management"]["level"] == "INFO"
    with caplog.at_level("INFO", "kerege.web.management"):
        number = management_read.parse_reply(post(visitor, asked[0]).content)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "kerege.web.management"]
    assert line.startswith(f"management request {number}, authCertReg, 20")
    assert line.endswith("Z: waiting for a decision: kerege network requests --waiting")


def test_the_same_request_a_second_time_is_refused(visitor, asked):
    management_read.parse_reply(post(visitor, asked[0]).content)
    assert "received before" in fault(post(visitor, asked[0])).message
    assert ManagementRequestRow.objects.count() == 1


def test_a_signed_request_sent_to_the_wrong_address_is_used_up_by_it(visitor, asked):
    kind, body = management_wire.join(asked[0].submission)
    visitor.generic("POST", submitting.MANAGE_PATH, body, kind)
    assert "received before" in fault(post(visitor, asked[0])).message


def test_a_signed_request_that_ended_in_a_failure_of_the_hub_is_used_up(visitor, asked, monkeypatch):
    def busy(_):
        raise OSError("the ledger is in use")

    with monkeypatch.context() as patched:
        patched.setattr("kerege.web.api.management.open_signing", busy)
        assert fault(post(visitor, asked[0])).code.endswith("internal_error")
    assert "received before" in fault(post(visitor, asked[0])).message


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("", ""),
    ],
)
def test_an_unsigned_request_is_noted_with_the_address_it_came_from_as_far_as_it_tells_senders_apart(
    visitor, asked, home, address, origin
):
    soap = unsigned_deletion(home)
    visitor.generic("POST", submitting.MANAGE_PATH, soap, "text/xml", REMOTE_ADDR=address)
    assert ManagementRequestRow.objects.get().origin == origin


def test_a_changed_request_is_refused_with_the_check_that_failed(visitor, asked):
    kind, body = management_wire.join(asked[0].submission)
    changed = body.replace(b"node.edu.kg", b"evil.edu.kg")
    answer = visitor.generic("POST", asked[0].path, changed, kind)
    assert "signature does not hold" in fault(answer).message
    assert not ManagementRequestRow.objects.exists()


def test_each_address_serves_its_own_kinds_only(visitor, asked):
    kind, body = management_wire.join(asked[0].submission)
    assert "not served at this address" in fault(visitor.generic("POST", submitting.MANAGE_PATH, body, kind)).message
    kind, body = management_wire.join(asked[1].submission)
    assert "not served at this address" in fault(visitor.generic("POST", submitting.AUTH_CERT_PATH, body, kind)).message


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"x"),
        ("text/xml", b""),
        ("text/xml", b"<a/>"),
        ("text/xml", b"x" * 300_000),
        ("multipart/related; boundary=x", b"--x\r\n\r\n--x--"),
        ("multipart/related", b"x"),
        ("text/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ],
)
def test_what_is_no_management_request_is_refused_with_a_fault(visitor, kind, body):
    found = fault(visitor.generic("POST", submitting.MANAGE_PATH, body, kind))
    assert found.code == "server.managementservice.invalid_request"


def test_only_posts_are_taken(visitor):
    assert visitor.get(submitting.MANAGE_PATH).status_code == 405
    assert visitor.get(submitting.AUTH_CERT_PATH).status_code == 405


def unsigned_deletion(home):
    now = clock.now()
    with open_signing(home) as ledger:
        for kind, name, entry in (
            ("subsystem", str(EMIS), {"name": ""}),
            ("server", str(SERVER), {"address": "x"}),
            ("client", f"{SERVER} {EMIS}", {"enabled": True}),
        ):
            central.put(kind, name, entry, ledger=ledger, now=now, by="operator")
    request = ManagementRequest(Kind.CLIENT_DELETION, SERVER, EMIS.client)
    return management.build(request, ClientId.parse(str(EDU)), PROVIDER)


def test_an_unsigned_deletion_waits(visitor, asked, home):
    soap = unsigned_deletion(home)
    answer = visitor.generic("POST", submitting.MANAGE_PATH, soap, "text/xml")
    assert ManagementRequestRow.objects.get(pk=management_read.parse_reply(answer.content)).state == "waiting"
    assert ("client", f"{SERVER} {EMIS}") in central.entries("KG")


def test_an_expired_proof_is_refused(visitor, asked, monkeypatch):
    later = clock.now() + timedelta(hours=3)
    monkeypatch.setattr("kerege.web.api.management.clock.now", lambda: later)
    assert "too old" in fault(post(visitor, asked[0])).message


@pytest.fixture
def central_services():
    with answering() as url:
        yield url


def test_asking_again_for_what_waits_or_is_registered_is_no_failure(visitor, ask, home, central_services):
    def send(which):
        one = ask()[which]
        Answers.answer = (200, post(visitor, one).content)
        return submitting.send(central_services, one)

    outcome = send(1)
    assert not outcome.good
    assert "management_request_server_not_found" in outcome.refused
    assert f"The server {SERVER} is not registered" in outcome.refused
    assert "authCertReg comes first" in outcome.refused
    for which in (0, 1):
        number = send(which).number
        waiting = send(which)
        assert waiting.good
        assert waiting.number is None
        assert "asked for already" in waiting.already
        with open_signing(home) as ledger:
            requests.approve(number, by="operator", reason="known", ledger=ledger, now=clock.now())
        registered = send(which)
        assert (registered.good, registered.number, registered.already) == (True, None, "registered already")


def test_a_certificate_of_another_server_is_not_told_as_registered_already(visitor, asked, home):
    now = clock.now()
    other = f"{EDU}/node-two"
    der = asked[0].request.certificate
    with open_signing(home) as ledger:
        for kind, name, entry in (
            ("server", other, {"address": "two.kg"}),
            ("certificate", hashlib.sha256(der).hexdigest(), {"server": other, "der": base64.b64encode(der).decode()}),
        ):
            central.put(kind, name, entry, ledger=ledger, now=now, by="operator")
    found = fault(post(visitor, asked[0]))
    assert found.code == "server.managementservice.invalid_request"
    assert "another server" in found.message


def test_a_fault_that_comes_with_a_status_of_500_is_read(asked, central_services):
    Answers.answer = (500, faults.to_soap(faults.Fault("Server.Busy", "Come back later", "ref-1")))
    outcome = submitting.send(central_services, asked[0])
    assert "(Server.Busy): Come back later" in outcome.refused
    assert "ref-1" in outcome.refused


def test_the_node_tells_what_the_central_services_answered(asked, central_services):
    reply = management_read.build_reply(asked[0].submission.soap, 12)
    for answer, number, words in (
        ((200, reply), 12, ""),
        ((200, b"<html/>"), None, "Nobody knows whether it was taken"),
    ):
        Answers.answer = answer
        outcome = submitting.send(central_services, asked[0])
        assert outcome.number == number
        assert words in outcome.refused
    Answers.answer = (503, b"")
    with pytest.raises(RegistrationUnreachable, match="503"):
        submitting.send(central_services, asked[0])
    with pytest.raises(RegistrationUnreachable, match="not http"):
        submitting.send("file:///etc", asked[0])
