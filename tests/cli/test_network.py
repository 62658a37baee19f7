"""`kerege network` and its commands: a network built, published and decided on from the command line."""

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
