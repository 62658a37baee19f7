"""`kerege node check`: everything wrong is told at once, each with a code, where, what was found, and what to do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from box import EDU, PERSONS, POP, Box, make_box
from kerege.exchange import confdir, globalconf, logfolder
from kerege.exchange.ids import ServerId
from kerege.exchange.pki import TestAuthority, save_pair
from kerege.node.check import parts as checking_parts
from kerege.node.check.checking import CODES, Report, read_all
from kerege.node.check.everything import check
from kerege.node.network import sign_key_name

ROOT = Path(__file__).parents[3]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A network whose nodes have run once, so that they keep a configuration."""
    box = make_box(tmp_path_factory.mktemp("network"), valid_for=timedelta(days=1))
    try:
        for code in ("node-edu", "node-reg"):
            box.start(code)
        for code in ("node-edu", "node-reg"):
            box.wait(code)
        for code in ("node-edu", "node-reg"):
            box.stop(code)
        yield box
    finally:
        box.close()


@pytest.fixture
def file(network: Box) -> Iterator[Path]:
    """The provider's configuration file, put back afterwards with the keys beside it."""
    config = network.laid.nodes["node-reg"].config
    keys = {path: path.read_bytes() for path in (config.parent / "keys").iterdir()}
    before = config.read_bytes()
    config.chmod(0o600)
    yield config
    config.write_bytes(before)
    for path, content in keys.items():
        path.write_bytes(content)
        path.chmod(0o600 if path.suffix == ".key" else 0o644)


def change(file: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    content = yaml.safe_load(file.read_text())
    edit(content)
    file.write_text(yaml.safe_dump(content))


def found(file: Path, *, online: bool = False, now: datetime = NOW) -> dict[str, list[str]]:
    """Codes of errors and warnings, with the keys they are about."""
    out: dict[str, list[str]] = {}
    for one in check(file, now, online=online).findings:
        if one.level != "ok":
            assert one.code in CODES
            assert one.found
            assert one.do, one
            out.setdefault(one.code, []).append(one.key)
    return out


# A network without time-stamping authorities is told so, everywhere else nothing is wrong.
CLEAN = {"check.timestamps_unknown": ["timestamps"]}


def test_a_configuration_that_is_in_order_has_no_errors_and_says_what_was_looked_at(file: Path) -> None:
    assert found(file) == CLEAN
    report = check(file, NOW)
    assert report.good
    assert {"keys.auth", f"keys.sign ({POP})", "configuration", "clients", "listen", "log.folder", "state"} <= {
        one.key for one in report.of("ok")
    }


def test_every_key_that_cannot_be_read_is_told_and_the_rest_is_looked_at_all_the_same(file: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["surprise"] = 1
        content["listen"].pop("admin")
        content["listen"]["servers"] = "nowhere"
        content["limits"] = {"body_megabytes": "many", "connections": 0}
        content["clients"] += ["not an identifier", {"id": "KG/GOV/70000002/x", "connection": "pigeon"}]
        content["services"]["KG/GOV/70000009/other/s"] = {"url": "http://127.0.0.1:1"}
        content["services"][str(PERSONS)]["rights"] = [{"to": "local:nobody"}, {"to": "group:unheard-of"}]
        content["peers"]["KG/GOV/70000009/none"] = "127.0.0.1:1"

    change(file, edit)
    told = found(file)
    assert sorted(told["check.config_invalid"]) == sorted(
        [
            "surprise",
            "listen.admin",
            "listen.servers",
            "limits.body_megabytes",
            "limits.connections",
            "clients[2]",
            "clients[3].connection",
            "services.KG/GOV/70000009/other/s",
            f"services.{PERSONS}.rights[0].to",
        ]
    )
    assert told["check.right_unknown"] == [f"services.{PERSONS}.rights"]
    assert told["check.peer_unknown"] == ["peers.KG/GOV/70000009/none"]


@pytest.mark.parametrize("misspelt", ["KG/GOV/70000002/popluation", "KG/GOV/70000002"[:-3] + "//population"])
def test_services_of_a_misspelt_client_are_looked_at_all_the_same(network: Box, misspelt: str) -> None:
    file = network.laid.nodes["node-reg"].config
    before = file.read_text()

    def edit(content: dict[str, Any]) -> None:
        content["clients"] = [misspelt]
        service = content["services"][str(PERSONS)]
        service.update(kind="wsdl", description="gone.wsdl", rights=[{"to": "KG/GOV/70000003/nobody"}])

    try:
        change(file, edit)
        told = found(file)
    finally:
        file.write_text(before)
    assert f"services.{PERSONS}" in told["check.config_invalid"]
    assert told["check.description_missing"] == [f"services.{PERSONS}.description"]
    assert told["check.right_unknown"] == [f"services.{PERSONS}.rights"]


def test_what_could_not_be_looked_at_is_said(file: Path) -> None:
    change(file, lambda c: c.update(services={"population/persons": {"url": "http://x", "colour": "red"}}))
    (one,) = [one for one in check(file, NOW, online=False).findings if one.key.startswith("services")]
    assert "was not looked at" in one.found


def test_the_problem_of_broken_yaml_and_the_missing_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("server: [a\nlisten: b\n")
    (broken,) = check(file, NOW, online=False).findings
    assert (broken.key, "it is not YAML: expected" in broken.found) == ("line 2", True)
    (missing,) = check(tmp_path / "none.yaml", NOW, online=False).findings
    assert missing.found == "No such file or directory"
    assert "--config" in missing.do


@pytest.mark.parametrize(
    ("text", "first", "again"),
    [("a: 1\nb: 2\n\na: 3\n", 1, 4), ("b:\n  a: 1\n  c: 2\n\n  a: {c: 1}\n", 2, 5), ("\n\n{a: 1, a: 1}", 3, 3)],
)
def test_a_key_that_stands_twice_is_told_by_the_line_where_it_stands_again(
    tmp_path: Path, text: str, first: int, again: int
) -> None:
    file = tmp_path / "node.yaml"
    file.write_text(text)
    (one,) = check(file, NOW, online=False).findings
    assert one.key == f"line {again}"
    assert one.found == f"the key a stands there again, it stood in line {first} already"


@pytest.mark.parametrize("text", ["", "- a list", "server: [", "a: 1\na: 2\n", "\udcff"])
def test_a_file_that_is_no_configuration_at_all_is_told_and_nothing_is_raised(tmp_path: Path, text: str) -> None:
    file = tmp_path / "node.yaml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    told = found(file)
    assert "check.config_invalid" in told


def test_a_file_with_nothing_but_one_key_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "node.yaml"
    file.write_text("server: KG/GOV/1/node\n")
    report = Report(file)
    assert read_all(report) is not None
    assert {one.key for one in report.of("error")} == {"listen", "keys", "configuration"}


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert found(tmp_path / "none.yaml") == {"check.config_invalid": ["(file)"]}


def _pair(network: Box, **changes: Any) -> Any:
    return TestAuthority.load(network.folder / "authority").sign_certificate(
        changes.get("member", POP), "Register", "node-reg", changes.get("now", NOW), "ec"
    )


def test_keys_that_do_not_belong_to_their_certificate_or_others_may_read_are_told(file: Path, network: Box) -> None:
    keys = file.parent / "keys"
    save_pair(_pair(network), keys, "other")
    (keys / f"{sign_key_name(POP)}.key").write_bytes((keys / "other.key").read_bytes())
    (keys / "auth.key").chmod(0o644)
    assert found(file)["check.key_unusable"] == ["keys.auth", f"keys.sign ({POP})"]


def test_a_certificate_of_another_member_a_wrong_use_and_an_unknown_authority_are_told(
    file: Path, network: Box, tmp_path: Path
) -> None:
    keys = file.parent / "keys"
    save_pair(_pair(network, member=EDU), keys, sign_key_name(POP))
    assert found(file)["check.certificate_of_another"] == [f"keys.sign ({POP})"]
    save_pair(_pair(network), keys, "auth")  # one for signing
    told = found(file)
    assert told["check.certificate_use"] == ["keys.auth"]
    assert told["check.certificate_unregistered"] == ["keys.auth"]
    elsewhere = TestAuthority.create("KG", NOW, "ec")
    save_pair(elsewhere.auth_certificate(ServerId.parse("KG/GOV/70000002/node-reg"), "R", NOW, "ec"), keys, "auth")
    assert "keys.auth" in found(file)["check.certificate_untrusted"]


def test_certificates_that_are_over_or_soon_will_be_are_told(file: Path) -> None:
    ends = max(
        datetime.fromisoformat(one.found.rpartition("valid to ")[2].replace("Z", "+00:00"))
        for one in check(file, NOW).of("ok")
        if "valid to" in one.found
    )
    assert "keys.auth" in found(file, now=ends - timedelta(days=3))["check.certificate_ends"]
    told = found(file, now=ends + timedelta(days=1))
    assert "keys.auth" in told["check.certificate_ended"]
    assert told["check.configuration_ended"] == ["configuration"]


def test_addresses_taken_and_named_twice_are_told(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        change(file, lambda c: c["listen"].update(servers=taken, ocsp=taken))
        told = found(file)
    assert told["check.address_taken"] == ["listen.servers", "listen.ocsp"]
    assert told["check.address_twice"] == ["listen.ocsp"]
    change(file, lambda c: c["listen"].update(servers="192.0.2.1:5500", ocsp="127.0.0.1:5577"))
    assert found(file)["check.address_refused"] == ["listen.servers"]


def test_a_running_node_is_not_taken_for_something_in_its_way(network: Box, file: Path) -> None:
    network.start("node-reg")
    try:
        network.wait("node-reg")
        report = check(file, datetime.now(UTC))
        assert report.good, report.of("error")
        assert [one.key for one in report.of("ok") if one.code == "check.running"] == ["listen"]
    finally:
        network.stop("node-reg")


def test_clients_that_are_not_registered_or_not_served_and_members_without_a_key_are_told(file: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["clients"] = [str(PERSONS.provider), "KG/GOV/70000003/emis"]

    change(file, edit)
    told = found(file)
    assert len(told["check.client_unknown"]) == 1
    assert len(told["check.client_unserved"]) == 1
    assert told["check.client_without_key"] == ["keys.sign"]


def test_a_client_that_is_a_subsystem_at_no_server_is_told_to_be_disabled_perhaps(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is disabled is left out of its server's clients; the subsystem stays."""
    gone = without_clients(monkeypatch)
    report = check(file, NOW)
    told = [one for one in report.of("error") if one.code == "check.client_disabled"]
    assert str(PERSONS.provider) in gone
    assert [one.found.partition(" ")[0] for one in told] == sorted(set(gone))
    assert any(f"request clientEnable --client {PERSONS.provider}" in one.do for one in told)
    assert "check.client_unknown" not in {one.code for one in report.findings}


def without_clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Servers are published without their clients; gives whom that took out at the provider's."""
    real, gone = globalconf._server, list[str]()

    def without(*given: Any) -> globalconf.SecurityServer:
        server = real(*given)
        if server.id.server == "node-reg":
            gone.extend(str(client) for client in server.clients)
        return replace(server, clients=())

    monkeypatch.setattr(globalconf, "_server", without)
    return gone


def test_a_right_for_what_is_no_http_method_is_told(file: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        service = next(iter(content["services"].values()))
        service["rights"] = [{"to": "KG/GOV/70000003/emis", "method": method} for method in ("FETCH", "GET", "*")]

    change(file, edit)
    told = [one.found for one in check(file, NOW, online=False).findings if one.code == "check.method_unknown"]
    assert told == ["FETCH is no HTTP method, the right lets nothing pass"]


def test_a_log_key_that_is_none_and_a_log_that_cannot_be_read_are_told(file: Path, tmp_path: Path) -> None:
    key = file.parent / "log.key"
    key.write_text("short")
    key.chmod(0o600)
    change(file, lambda c: c.update(log={"key_file": "log.key"}))
    assert found(file)["check.key_unusable"] == ["log.key_file"]
    for number in (1, 2):  # damage in the last one alone would be a write that a crash cut short
        (tmp_path / logfolder.name(number)).write_bytes(b"not a segment of a log at all" * 10)
    change(file, lambda c: c.update(log={"folder": str(tmp_path)}))
    assert found(file)["check.log_unreadable"] == ["log.folder"]


def test_a_folder_that_may_not_be_written_is_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, access = tmp_path / "closed", os.access
    closed.mkdir()
    change(file, lambda c: c.update(state=str(closed / "state")))
    # root may write everywhere, so the system's answer is given here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and access(path, mode))
    assert "state" in found(file)["check.folder_unusable"]


def test_what_another_user_left_in_the_state_folder_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners are given here, since only root could make such files."""
    state, owner = file.parent / "state", checking_parts._owner
    assert "check.folder_unusable" not in found(file)
    monkeypatch.setattr(checking_parts, "_owner", lambda path: owner(path) + (path.name == "ocsp"))
    (told,) = [one for one in check(file, NOW).findings if one.code == "check.folder_unusable"]
    assert (told.level, told.key) == ("warning", "state")
    assert told.found == f"{state / 'ocsp'} belongs to another user than {state}"
    assert told.do == f"Give it to the node's user: chown -R --reference={state} {state / 'ocsp'}"


def test_a_kept_configuration_that_may_not_be_read_is_told_with_whose_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, read = file.parent / "state" / "configuration", Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.parent == kept:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    monkeypatch.setattr(os, "geteuid", lambda: kept.stat().st_uid + 1)
    (told,) = [one for one in check(file, NOW).findings if one.code == "check.configuration_missing"]
    assert f"Permission denied; {kept} belongs to another user" in told.found
    assert told.do == f"Let the node's user read {kept}."


def test_a_folder_that_is_a_file_space_a_description_and_modes_are_told(file: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()

    def edit(content: dict[str, Any]) -> None:
        content["log"] = {"folder": str(tmp_path / "plain"), "least_free_megabytes": 10**9}
        content["services"][str(PERSONS)] |= {"kind": "openapi", "description": "gone.yaml"}

    change(file, edit)
    file.chmod(0o666)
    told = found(file)
    assert told["check.folder_unusable"] == ["log.folder"]
    assert told["check.description_missing"] == [f"services.{PERSONS}.description"]
    assert told["check.file_mode"] == ["(file)"]
    change(file, lambda c: c["log"].update(folder="log"))
    (low,) = [one for one in check(file, NOW).findings if one.code == "check.space_low"]
    assert low.key == "log.folder"
    assert " MB (log.least_free_megabytes), below which new messages are refused" in low.found


def test_online_everybody_is_asked(network: Box, file: Path) -> None:
    network.publish()
    report = check(file, datetime.now(UTC), online=True)
    assert {one.code for one in report.of("error")} <= {"check.peer_unreachable"}, report.of("error")
    keys = {one.key for one in report.of("ok")}
    assert {"keys", "(clock)", f"services.{PERSONS}.url", "configuration"} <= keys

    def edit(content: dict[str, Any]) -> None:
        content["services"][str(PERSONS)]["url"] = "http://127.0.0.1:1/x"

    change(file, edit)
    assert found(file, online=True)["check.service_unreachable"] == [f"services.{PERSONS}.url"]


def test_the_command_ends_with_1_on_errors_and_speaks_json(file: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kerege", "node", "--config", str(file), "check", *more]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    good = run()
    assert (good.returncode, good.stderr) == (0, "")
    assert "In order (" in good.stdout
    change(file, lambda c: c.update(surprise=1))
    bad = run()
    assert bad.returncode == 1
    assert "surprise: this key is not known [check.config_invalid]" in bad.stdout
    told = json.loads(run("--json").stdout)
    assert (told["ok"], told["errors"]) == (False, 1)
    assert {"level", "code", "file", "key", "found", "do"} == set(told["findings"][0])


def test_a_source_that_is_away_is_told_once_and_nothing_is_said_of_what_is_told_elsewhere(
    file: Path, tmp_path: Path
) -> None:
    anchor = confdir.parse_anchor((file.parent.parent.parent / "anchor.xml").read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/internalconf"
    away = confdir.Anchor(anchor.instance, tuple((url, certificate) for _, certificate in anchor.sources))
    (tmp_path / "away.xml").write_bytes(confdir.build_anchor(away, NOW))
    change(file, lambda c: c["configuration"].update(anchor=str(tmp_path / "away.xml")))
    command = [sys.executable, "-m", "kerege", "node", "--config", str(file), "check", "--online"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert "[check.configuration_unreachable]" in done.stdout
    assert "See that the central server answers at that address, and that a firewall" in done.stdout
    assert "stays in use until it expires" not in done.stdout
    assert done.stderr == ""


def test_every_code_is_used_and_stands_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/node.md").read_text(encoding="utf-8")
    source = "".join(path.read_text() for path in (ROOT / "src/kerege/node/check").glob("*.py"))
    for code in CODES:
        assert source.count(f'"{code}"') > 1, f"{code} is never told"
        assert f"| `{code}` |" in reference, f"{code} is not in docs/reference/node.md"
