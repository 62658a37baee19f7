"""`kerege network` and its commands: a network built, published and decided on from the command line."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kerege.cli import main
from kerege.exchange import confdir, globalconf
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
    assert "1 members, 1 subsystems, 1 servers; version 1" in good(run())
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


def test_requests_are_listed_and_declined_with_a_reason(run) -> None:
    from kerege.ground import clock

    row = ManagementRequestRow.objects.create(
        kind="maintenanceModeEnable",
        server="KG/GOV/1/node",
        body={},
        digest="0" * 64,
        sender="KG/GOV/1",
        state="waiting",
        received_at=clock.now(),
        ledger_index=0,
    )
    assert f"{row.pk} waiting maintenanceModeEnable KG/GOV/1/node" in good(run("requests", "--waiting"))
    assert "declined" in good(run("decline", str(row.pk), "--reason", "no agreement", *BY))
    assert good(run("requests", "--waiting")) == ""
    assert "declined" in good(run("requests"))
    assert "by operator: no agreement" in good(run("requests"))


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
    assert f"{right} KG/GOV/1/emis -> {PERSONS} GET /p/* until 2099-12-31T23:59:59Z" in told
    assert "kerege network publish" in told
    assert good(run("rights")).splitlines() == [told.splitlines()[0] + ": in force", "1 rights in force"]
    (rule,) = json.loads(good(run("--json")))["rights"]
    assert (rule["holder"], rule["service"]) == ("KG/GOV/1/emis", PERSONS)
    assert f"{right} revoked" in good(run("revoke", right, *BY))
    assert "was revoked already" in good(run("revoke", right, *BY))
    assert good(run("rights")) == "0 rights in force\n"
    (row,) = json.loads(good(run("rights", "--all", "--json")))
    assert (row["right"], row["state"], row["until"]) == (right, "revoked", "2099-12-31T23:59:59Z")
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
