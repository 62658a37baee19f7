import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kerege.cli.node import node
from kerege.exchange import confdir
from kerege.exchange.faults import Spelling
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.rules import Rules
from kerege.node.conf.keeper import Keeper
from kerege.node.config import Address, load
from kerege.node.errors import NodeConfigInvalid, NodeKeyInvalid
from kerege.node.keys.pairs import load_keys
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, PlannedService, lay_out, publish

EDU = MemberId("KG", "GOV", "70000003")
EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
REGISTER = DataServiceId.parse("KG/GOV/70000003/emis/register")
NOW = datetime.now(UTC)

PLAN = NetworkPlan(
    "KG",
    "http://127.0.0.1:8000/internalconf",
    (PlannedMember(EDU, "Билим берүү министрлиги", ("emis",)),),
    (
        PlannedServer(
            ServerId.parse("KG/GOV/70000003/node-edu"),
            (EMIS,),
            (PlannedService(REGISTER, "http://127.0.0.1:9003/api/v5", 3.5),),
            8080,
            5500,
            8081,
        ),
    ),
)
LISTEN = {"clients": "127.0.0.1:8080", "servers": "0.0.0.0:5500", "admin": "127.0.0.1:8081"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lay_out(tmp_path, PLAN, NOW).nodes["node-edu"].config


def test_what_is_laid_out_loads_whole(file: Path) -> None:
    config = load(file)
    assert config.server == ServerId.parse("KG/GOV/70000003/node-edu")
    assert config.servers_address == Address("127.0.0.1", 5500)
    assert set(config.clients) == {EMIS}
    assert config.services[REGISTER].url == "http://127.0.0.1:9003/api/v5"
    assert config.services[REGISTER].timeout_seconds == 3.5
    assert config.fault_spelling is Spelling.SNAKE
    assert config.log.folder == file.parent / "log"
    assert list(load_keys(config).signers) == [EDU]


def test_private_keys_are_readable_by_their_owner_only(file: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in (file.parent / "keys").glob("*.key")} == {0o600}


def test_laying_out_again_keeps_keys_and_adds_what_is_new(tmp_path: Path, file: Path) -> None:
    before = {path.name: path.read_bytes() for path in (file.parent / "keys").iterdir()}
    lay_out(tmp_path, PLAN, NOW)
    assert {path.name: path.read_bytes() for path in (file.parent / "keys").iterdir()} == before


def test_a_publication_verifies_under_the_anchor_and_its_files_are_those_it_names(tmp_path: Path, file: Path) -> None:
    done = publish(tmp_path, PLAN, Rules("KG", 0), NOW, 41)
    anchor = confdir.parse_anchor((file.parent / "anchor.xml").read_bytes())
    directory = confdir.verify_directory(done.directory, [certificate for _, certificate in anchor.sources], "test")
    assert {part.identifier for part in directory.parts} == {confdir.SHARED, confdir.PRIVATE, confdir.RULES}
    for part in directory.parts:
        confdir.check_file(part, done.files[part.location.lstrip("/")], "test")
    assert b'"version":41' in next(content for name, content in done.files.items() if name.endswith(".json"))
    assert sum(name.startswith("ocsp/") for name in done.files) == 2
    assert not any("/" in name[5:] for name in done.files if name.startswith("ocsp/"))


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"server": None}, "server", "expected a text"),
        ({"server": "KG/GOV"}, "server", "parts"),
        ({"listen": {"clients": "8080"}}, "listen.clients", "host:port"),
        ({"listen": {"clients": "127.0.0.1:99999"}}, "listen.clients", "host:port"),
        ({"listen": {**LISTEN, "admin": "0.0.0.0:8081"}}, "listen.admin", "loopback"),
        ({"listen": {**LISTEN, "clients": "0.0.0.0:8080"}}, "listen.clients", "clients_without_tls"),
        (
            {"listen": {**LISTEN, "clients": "10.0.0.1:8080", "clients_without_tls": "yes"}},
            "clients_without_tls",
            "true",
        ),
        ({"keys": {"auth": {"key": "a"}}}, "keys.auth.certificate", "required"),
        ({"clients": "KG/GOV/1/a"}, "clients", "list"),
        ({"clients": []}, "services", "not among clients"),
        ({"services": {"KG/GOV/70000003//register": {"url": "http://x"}}}, "services", "offered by subsystems"),
        ({"services": {str(REGISTER): {"url": "ftp://x"}}}, "url", "http"),
        ({"services": {str(REGISTER): {"url": "http://x/?q"}}}, "url", "without query"),
        ({"services": {str(REGISTER): {"url": "http://x", "timeout_seconds": 0}}}, "timeout_seconds", "at least"),
        ({"services": {str(REGISTER): {"url": "http://x", "timeot": 1}}}, "timeot", "not known"),
        ({"colour": "red"}, "colour", "not known"),
        ({"fault_spelling": "7.9"}, "fault_spelling", "7.8"),
        ({"limits": {"body_megabytes": "lots"}}, "limits.body_megabytes", "number"),
    ],
)
def test_a_mistake_is_named_by_its_key(file: Path, change: dict[str, object], key: str, words: str) -> None:
    data = {**yaml.safe_load(file.read_text(encoding="utf-8")), **change}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(NodeConfigInvalid) as refused:
        load(file)
    assert key in str(refused.value.params["key"])
    assert words in refused.value.text


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "a: \t b"])
def test_what_is_not_a_mapping_or_not_yaml_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(NodeConfigInvalid):
        load(file)


def test_a_file_that_is_not_there_or_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NodeConfigInvalid, match="No such file") as told:
        load(tmp_path / "none.yaml")
    assert told.value.next_step == (
        "Name the node's own file with --config FILE, as UTF-8, readable by the node's user."
    )
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(NodeConfigInvalid, match="UTF-8"):
        load(tmp_path / "bad.yaml")


def test_a_key_of_another_certificate_is_refused_by_file(file: Path) -> None:
    keys = file.parent / "keys"
    (keys / "auth.key").write_bytes((keys / "sign-GOV-70000003.key").read_bytes())
    with pytest.raises(NodeKeyInvalid, match=r"auth\.key.*another key"):
        load_keys(load(file))
    (keys / "auth.key").unlink()
    with pytest.raises(NodeKeyInvalid, match=r"auth\.key"):
        load_keys(load(file))


def test_clients_from_elsewhere_are_let_in_only_by_name_and_check_warns(file: Path) -> None:
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    data["listen"] = {**LISTEN, "clients": "0.0.0.0:8080", "clients_without_tls": True}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert load(file).clients_address == Address("0.0.0.0", 8080)
    done = CliRunner().invoke(node, ["--config", str(file), "check"])
    assert "check.clients_without_tls" in done.output


def test_a_server_on_another_address_keeps_clients_and_admin_on_the_machine_itself(tmp_path: Path) -> None:
    away = replace(PLAN, servers=(replace(PLAN.servers[0], host="10.0.0.7"),))
    laid = lay_out(tmp_path, away, NOW).nodes["node-edu"]
    config = load(laid.config)
    assert str(config.servers_address) == "10.0.0.7:5500"
    assert (str(config.clients_address), str(config.admin_address)) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert (laid.client_url, laid.admin_url) == ("http://127.0.0.1:8080", "http://127.0.0.1:8081")


@pytest.mark.parametrize("name", ["auth.key", "sign-GOV-70000003.key"])
def test_a_private_key_others_may_read_is_refused_at_start_and_by_check(file: Path, name: str) -> None:
    (file.parent / "keys" / name).chmod(0o640)
    with pytest.raises(NodeKeyInvalid, match=f"{name}.*0600"):
        load_keys(load(file))
    done = CliRunner().invoke(node, ["--config", str(file), "check"])
    assert done.exit_code == 1
    assert name in done.output
    assert "check.key_unusable" in done.output


def test_what_a_command_writes_is_for_the_nodes_user_alone_whatever_the_shell_allows(file: Path) -> None:
    config = load(file)
    before = os.umask(0o022)
    try:
        CliRunner().invoke(node, ["--config", str(file), "expiry", "--ics", str(file.parent / "ends.ics")])
        assert os.umask(0o022) == 0o022, "the caller's own mask stays"
    finally:
        os.umask(before)
    written = [path for path in file.parent.rglob("*") if path.name == "ends.ics" or config.state in path.parents]
    assert written
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)


@pytest.mark.parametrize("command", sorted(node.commands))
def test_the_help_of_every_command_is_given_without_a_file(command: str) -> None:
    done = CliRunner().invoke(node, [command, "--help"])
    assert (done.exit_code, done.output.startswith(f"Usage: node {command}")) == (0, True), done.output


def test_a_command_itself_still_asks_for_the_file() -> None:
    done = CliRunner().invoke(node, ["verify-log"])
    assert (done.exit_code, "--config" in done.output) == (2, True)


def test_a_certificate_request_is_made_only_for_a_key_on_a_token(file: Path) -> None:
    words = ["--config", str(file), "csr", str(EDU), "--subject", "CN=x", "--out", str(file.parent / "sign.csr")]
    done = CliRunner().invoke(node, words)
    assert (done.exit_code, "no key on a token" in done.output) == (2, True)
    assert not (file.parent / "sign.csr").exists()


@pytest.mark.parametrize(("content", "words"), [(None, "No such file or directory"), (b"no XML", "")])
def test_an_anchor_that_is_missing_or_none_is_told_with_its_own_name_and_the_file_that_names_it(
    file: Path, content: bytes | None, words: str
) -> None:
    config = load(file)
    assert config.anchor is not None
    if content is None:
        config.anchor.unlink()
    else:
        config.anchor.write_bytes(content)
    with pytest.raises(NodeConfigInvalid) as told:
        Keeper.of(config, lambda: NOW)
    assert told.value.text.startswith(f"{file}: configuration.anchor: {config.anchor}: ")
    assert words in told.value.text
    assert told.value.next_step == "Put there the anchor that the central services give."
