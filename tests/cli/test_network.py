"""`kerege network` and its commands: a network built, published and decided on from the command line."""

import base64
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.exchange import certs, confdir, globalconf
from kerege.exchange.pki import TestAuthority
from kerege.ground import clock
from kerege.membership.models import ManagementRequestRow

pytestmark = pytest.mark.django_db
BY = ("--by", "operator")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEREGE_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["network", *arguments])

    return call


def good(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception, sys.exc_info())
    return result.output


def test_a_network_is_built_from_the_command_line_and_published(run, tmp_path: Path) -> None:
    good(run("set", "class", "GOV", "description=Government", *BY))
    good(run("set", "member", "KG/GOV/1", "name_ky=a", "name_ru=b", "name_en=c", *BY))
    good(run("set", "subsystem", "KG/GOV/1/emis", "name=EMIS", *BY))
    good(run("set", "server", "KG/GOV/1/node", "address=node.kg", *BY))
    assert "set" in good(run("set", "client", "KG/GOV/1/node KG/GOV/1/emis", "enabled=true", *BY))
    assert "so already" in good(run("set", "client", "KG/GOV/1/node KG/GOV/1/emis", "enabled=true", *BY))
    assert "keys made" in good(run("keys", "--url", "http://cs.kg"))
    assert "there already" in good(run("keys", "--url", "http://cs.kg"))
    assert "version 1 of KG" in good(run("publish"))
    home = tmp_path / "home"
    anchor = confdir.parse_anchor((home / "keys/configuration/internal-anchor.xml").read_bytes())
    assert anchor.sources[0][0] == "http://cs.kg/internalconf"
    body = (home / "globalconf/internalconf").read_bytes()
    directory = confdir.verify_directory(body, [anchor.sources[0][1]], "here")
    part = directory.part(confdir.SHARED)
    assert part is not None
    shared = globalconf.parse_shared((home / "globalconf" / part.location.lstrip("/")).read_bytes())
    assert [str(server.id) for server in shared.servers] == ["KG/GOV/1/node"]
    assert (home / "keys/configuration/internal.key").stat().st_mode & 0o077 == 0
    assert "1 member, 1 subsystem, 1 server; version 1" in good(run())
    assert "dropped" in good(run("drop", "client", "KG/GOV/1/node KG/GOV/1/emis", *BY))
    assert "changed since it was published" in good(run())


def test_the_instance_is_that_of_the_keys_and_another_is_neither_signed_nor_written_over_them(run, tmp_path) -> None:
    good(run("set", "member", "EE/GOV/1", "name_ky=a", "name_ru=b", "name_en=c", *BY))
    good(run("keys", "--instance", "EE", "--url", "http://cs.ee"))
    home = tmp_path / "home"
    anchor, served = home / "keys/configuration/internal-anchor.xml", home / "globalconf/internalconf"
    for arguments in (("publish", "--instance", "KG"), ("keys", "--instance", "KG", "--url", "http://cs.kg")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "membership.instance_other" in result.output
        assert "of instance EE, not of KG" in result.output
    assert not served.exists()
    assert "version 1 of EE" in good(run("publish"))
    assert confdir.unverified_directory(served.read_bytes()).parts[0].instance == "EE"
    good(run("keys", "--url", "http://cs2.ee"))  # a new address of the same
    assert confdir.parse_anchor(anchor.read_bytes()).instance == "EE"
    assert "version 8 of EE" in good(run("publish", "--above", "7"))
    assert run("publish", "--above", "-1").exit_code == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("cs.example", "begin with http"),
        ("cs.example:8000", "begin with http"),
        ("ftp://cs.example", "begin with http"),
        ("http://cs.example/internalconf", "more than a host and a port"),
        ("http://cs.example?a=b", "more than a host and a port"),
        ("http://me@cs.example", "more than a host and a port"),
        ("https://cs.example:99999", "1 to 65535"),
        ("https://cs.example:0", "1 to 65535"),
        ("https://cs.example:", "1 to 65535"),
        ("http://x y", "a space"),
        ("http://", "no host"),
        ("http://cs..example", "no host"),
        ("http://10.0.0.999", "no host"),
        ("http://[::1", "cannot be read"),
    ],
)
def test_an_address_that_no_node_could_ask_is_refused_before_keys_or_anchors_are_written(run, tmp_path, url, words):
    folder = tmp_path / "home/keys/configuration"
    result = run("keys", "--url", url)
    assert (result.exit_code, "membership.address_invalid" in result.output) == (2, True), result.output
    assert words in result.output
    assert not folder.exists()
    good(run("keys", "--url", "http://[2001:db8::1]:8000/"))
    anchor = folder / "internal-anchor.xml"
    before = anchor.read_bytes()
    assert confdir.parse_anchor(before).sources[0][0] == "http://[2001:db8::1]:8000/internalconf"
    assert run("keys", "--url", url).exit_code == 2
    assert anchor.read_bytes() == before


def test_keys_that_are_gone_are_put_back_from_the_backup_and_not_made_anew(run) -> None:
    result = run("publish", "--instance", "KG")
    assert result.exit_code == 2
    assert "put them back where the message says, from the backup" in result.output
    assert "Only a new network makes keys" in result.output


def test_a_declared_network_is_planned_then_applied(run, tmp_path: Path) -> None:
    file = tmp_path / "network.yaml"
    file.write_text("instance: KG\nmembers:\n  - {id: KG/GOV/1, name: One, subsystems: [emis]}\n", encoding="utf-8")
    assert "+ member KG/GOV/1\n+ subsystem KG/GOV/1/emis\n2 changes" in good(run("plan", str(file)))
    assert "0 members" in good(run())
    assert "2 changes" in good(run("apply", str(file), *BY))
    assert "0 changes" in good(run("plan", str(file)))


def test_a_mistake_ends_with_status_two_and_says_what_to_do(run) -> None:
    result = run("set", "planet", "x", *BY)
    assert result.exit_code == 2
    assert "membership.entry_invalid" in result.output
    result = run("publish")
    assert result.exit_code == 2
    assert "kerege network keys" in result.output
    result = run("approve", "9", "--reason", "x", *BY)
    assert result.exit_code == 2
    assert "There is no management request 9." in result.output
    assert "--waiting" in result.output


def waits(kind: str, client: str = "", **asked: str) -> ManagementRequestRow:
    """A request about KG/GOV/1/node that nobody signed and that waits."""
    return ManagementRequestRow.objects.create(
        kind=kind,
        server="KG/GOV/1/node",
        client=client,
        body={"certificate": None, "address": None, "name": None, "message": None} | asked,
        digest=f"{ManagementRequestRow.objects.count():064}",
        sender="KG/GOV/1",
        state="waiting",
        origin="192.0.2.7",
        received_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        ledger_index=0,
    )


def test_requests_are_listed_and_declined_with_a_reason(run) -> None:
    row = waits("maintenanceModeEnable")
    assert f"{row.pk} waiting maintenanceModeEnable KG/GOV/1/node\n" in good(run("requests", "--waiting"))
    assert "declined" in good(run("decline", str(row.pk), "--reason", "no agreement", *BY))
    assert good(run("requests", "--waiting")) == ""
    assert "declined" in good(run("requests"))
    assert "by operator: no agreement" in good(run("requests"))


def test_the_register_says_how_many_requests_wait_and_how_to_see_them(run) -> None:
    assert "wait" not in good(run())
    row = waits("maintenanceModeEnable")
    assert "\n  1 request waits for a decision: kerege network requests --waiting\n" in good(run())
    assert json.loads(good(run("--json")))["requests_waiting"] == 1
    waits("maintenanceModeDisable")
    assert "2 requests wait for a decision" in good(run())
    good(run("decline", str(row.pk), "--reason", "no agreement", *BY))
    assert json.loads(good(run("--json")))["requests_waiting"] == 1


def test_a_configuration_that_has_expired_ends_with_status_one_and_the_next_step(run, tmp_path, monkeypatch) -> None:
    good(run("set", "member", "KG/GOV/1", "name_ky=a", "name_ru=b", "name_en=c", *BY))
    good(run("keys", "--url", "http://cs.kg"))
    good(run("publish"))
    assert "+06:00: ok" in good(run())
    later = clock.now() + timedelta(seconds=601)
    monkeypatch.setattr(clock, "now", lambda: later)
    result = run()
    assert result.exit_code == 1
    assert "+06:00: expired\n  No node carries anything: kerege network publish signs it anew" in result.output


def test_what_changes_the_register_says_that_a_running_hub_publishes_it(run) -> None:
    for words in (("set", "class", "GOV", "description=Government"), ("drop", "class", "GOV")):
        assert "A running hub publishes it; or now: kerege network publish" in good(run(*words, *BY))


def test_all_that_is_to_be_compared_before_a_request_is_decided_is_listed(run) -> None:
    certificate = TestAuthority.create("KG", clock.now()).ca.certificate
    der, until = certs.der(certificate), certificate.not_valid_after_utc
    hashed = hashlib.sha256(der).hexdigest()
    shown = ":".join(hashed[at : at + 2] for at in range(0, 64, 2)).upper()
    first = waits("authCertReg", address="node.kg", certificate=base64.b64encode(der).decode())
    second = waits("clientReg", "KG/GOV/1/emis", name="EMIS")
    third = waits("ownerChange", "KG/GOV/2")
    fourth = waits("maintenanceModeEnable", message="back\n  signed by    KG/GOV/1\x9b2J")
    ManagementRequestRow.objects.filter(pk=second.pk).update(signer="KG/GOV/1", origin="")
    assert good(run("requests")).splitlines() == [
        f"{first.pk} waiting authCertReg KG/GOV/1/node",
        "  address      node.kg",
        f"  certificate  SHA-256 {shown}",
        f"  good until   {clock.zoned_text(until)}",
        "  signed by    nobody; it came from 192.0.2.7",
        "  received     2026-11-22 15:30:00+06:00",
        f"{second.pk} waiting clientReg KG/GOV/1/node",
        "  client       KG/GOV/1/emis",
        "  name         EMIS",
        "  signed by    KG/GOV/1",
        "  received     2026-11-22 15:30:00+06:00",
        f"{third.pk} waiting ownerChange KG/GOV/1/node",
        "  new owner    KG/GOV/2",
        "  signed by    nobody; it came from 192.0.2.7",
        "  received     2026-11-22 15:30:00+06:00",
        f"{fourth.pk} waiting maintenanceModeEnable KG/GOV/1/node",
        "  message      back\N{REPLACEMENT CHARACTER}  signed by    KG/GOV/1\N{REPLACEMENT CHARACTER}2J",
        "  signed by    nobody; it came from 192.0.2.7",
        "  received     2026-11-22 15:30:00+06:00",
    ]
    good(run("decline", str(second.pk), "--reason", "no agreement", *BY))
    told, other = json.loads(good(run("requests", "--json")))[:2]
    assert (told["address"], told["certificate_sha256"], told["signer"]) == ("node.kg", hashed, "")
    assert (told["received_at"], told["decided_at"]) == ("2026-11-22T09:30:00Z", None)
    assert (told["good_until"], other["good_until"]) == (clock.iso(until), None)
    assert (other["state"], other["client"], other["name"]) == ("declined", "KG/GOV/1/emis", "EMIS")
    assert [one["number"] for one in json.loads(good(run("requests", "--waiting", "--json")))] == [
        first.pk,
        third.pk,
        fourth.pk,
    ]


def test_the_register_shows_disabled_clients_maintenance_and_the_certificates_by_the_name_drop_takes(run) -> None:
    certificate = TestAuthority.create("KG", clock.now()).ca.certificate
    der, until = certs.der(certificate), certificate.not_valid_after_utc
    hashed = hashlib.sha256(der).hexdigest()
    for kind, name, *fields in (
        ("member", "KG/GOV/1", "name_ky=a", "name_ru=b", "name_en=c"),
        ("subsystem", "KG/GOV/1/emis", "name="),
        ("subsystem", "KG/GOV/1/registry", "name="),
        ("server", "KG/GOV/1/node", "address=node.kg", "maintenance=back at noon"),
        ("server", "KG/GOV/1/other", "address=other.kg", 'maintenance=""'),
        ("client", "KG/GOV/1/node KG/GOV/1/emis", "enabled=false"),
        ("client", "KG/GOV/1/node KG/GOV/1/registry", "enabled=true"),
        ("certificate", hashed, "server=KG/GOV/1/node", f"der={base64.b64encode(der).decode()}"),
    ):
        good(run("set", kind, name, *fields, *BY))
    shown = ":".join(hashed[at : at + 2] for at in range(0, 64, 2)).upper()
    node = "  server KG/GOV/1/node at node.kg for KG/GOV/1/emis (disabled), KG/GOV/1/registry, in maintenance: back at noon"
    assert good(run()).splitlines()[1:] == [
        node,
        f"    certificate SHA-256 {shown} good until {clock.zoned_text(until)}",
        "  server KG/GOV/1/other at other.kg for nobody, in maintenance",
    ]
    server, _ = json.loads(good(run("--json")))["servers"]
    assert (server["disabled"], server["maintenance"], server["certificates"]) == (
        ["KG/GOV/1/emis"],
        "back at noon",
        [hashed],
    )
    assert server["good_until"] == [clock.iso(until)]
    assert "dropped" in good(run("drop", "certificate", shown, *BY))
    assert "SHA-256" not in good(run())


@pytest.fixture
def two_subsystems(run) -> None:
    for kind, name, *fields in (
        ("member", "KG/GOV/1", "name_ky=a", "name_ru=b", "name_en=c"),
        ("subsystem", "KG/GOV/1/emis", "name="),
        ("subsystem", "KG/GOV/1/registry", "name="),
    ):
        good(run("set", kind, name, *fields, *BY))


PERSONS = "KG/GOV/1/registry/persons"


def test_a_right_is_granted_listed_published_and_revoked(run, two_subsystems, tmp_path: Path) -> None:
    from kerege.ledger import open_signing

    told = good(
        run("grant", "KG/GOV/1/emis", PERSONS, "--until", "2099-12-31", "--method", "get", "--path", "/p/*", *BY)
    )
    right = told.split()[0]
    assert f"{right} KG/GOV/1/emis -> {PERSONS} GET /p/* until 2099-12-31 23:59:59+06:00" in told
    assert "kerege network publish" in told
    assert good(run("rights")).splitlines() == [told.splitlines()[0] + ": in force", "1 right in force"]
    (rule,) = json.loads(good(run("--json")))["rights"]
    assert (rule["holder"], rule["service"]) == ("KG/GOV/1/emis", PERSONS)
    assert f"{right} revoked" in good(run("revoke", right, *BY))
    assert "was revoked already" in good(run("revoke", right, *BY))
    assert good(run("rights")) == "0 rights in force\n"
    (row,) = json.loads(good(run("rights", "--all", "--json")))
    assert (row["right"], row["state"], row["until"]) == (right, "revoked", "2099-12-31T17:59:59Z")
    assert json.loads(good(run("--json")))["rights"] == []
    with open_signing(tmp_path / "home") as ledger:
        written = [entry for entry in ledger.entries() if entry.kind.startswith("right")]
    assert [(entry.kind, entry.body["by"]) for entry in written] == [
        ("right", "operator"),
        ("right-revoked", "operator"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("KG/GOV/1/emis", PERSONS, "--until", "2001-01-01"), "end before it begins"),
        (("KG/GOV/1/emis", PERSONS, "--until", "2099-12-31T10:00:00"), "no zone"),
        (("KG/GOV/1/emis", PERSONS, "--until", "soon"), "neither a day"),
        (("KG/GOV/1/emis", PERSONS), "--until"),
        (("KG/GOV/1/emis", PERSONS, "--until", "2099-12-31", "--method", "STEAL"), "method STEAL"),
        (("KG/GOV/1/emis", PERSONS, "--until", "2099-12-31", "--path", "p"), "does not begin with /"),
        (("KG/GOV/1/nobody", PERSONS, "--until", "2099-12-31"), "KG/GOV/1/nobody is not registered"),
        (("KG/GOV/1", PERSONS, "--until", "2099-12-31"), "subsystem identifier"),
    ],
)
def test_a_right_that_cannot_be_given_is_refused_with_the_reason(run, two_subsystems, arguments, words) -> None:
    result = run("grant", *arguments, *BY)
    assert result.exit_code == 2
    assert words in result.output
    assert good(run("rights", "--all")) == "0 rights\n"


def test_a_right_that_is_not_there_cannot_be_revoked(run) -> None:
    result = run("revoke", "right-x", *BY)
    assert result.exit_code == 2
    assert "There is no right right-x." in result.output


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (("name_en=c",), " is missing"),
        (("name_ky=a", "name_ru=b", "name_en=c", "colour=red"), "unknown fields colour"),
        (("name_ky=[]", "name_ru=b", "name_en=c"), "plain text"),
        (("name_ky",), "not of the form field=value"),
    ],
)
def test_fields_that_are_missing_strange_or_misspelt_are_named(run, fields, words) -> None:
    result = run("set", "member", "KG/GOV/1", *fields, *BY)
    assert result.exit_code == 2
    assert words in result.output
    assert "KeyError" not in result.output


def test_a_client_bound_to_a_public_service_needs_its_permit_and_serves_no_other(run, two_subsystems, tmp_path) -> None:
    from kerege.ledger import open_signing

    for _ in range(2):
        assert "without an open permit" in good(run("bind", "grade1-admission", "KG/GOV/1/emis", *BY))
    bindings = json.loads(good(run("--json")))["bindings"]
    assert bindings == [{"client": "KG/GOV/1/emis", "public_service": "grade1-admission"}]
    with open_signing(tmp_path / "home") as ledger:
        (bound,) = [entry.body for entry in ledger.entries() if entry.kind == "public-service-client"]
    assert bound == {"public_service": "grade1-admission", "client": "KG/GOV/1/emis", "by": "operator"}
    result = run("bind", "pensions", "KG/GOV/1/emis", *BY)
    assert result.exit_code == 2
    assert "already acts for grade1-admission" in result.output


def test_nothing_is_decided_by_nobody(run) -> None:
    result = run("set", "class", "GOV", "description=Government", "--by", " ")
    assert result.exit_code == 2
    assert "say who decides" in result.output
    assert run("drop", "class", "GOV").exit_code == 2
