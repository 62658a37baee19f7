"""Commands on a node's log, typed against what a real node wrote: log, containers, archives; also where bodies are kept by digest only."""

from __future__ import annotations

import base64
import io
import json
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from click.testing import CliRunner, Result

from box import Box, make_box
from kerege.cli import main
from kerege.cli.node import node
from kerege.exchange import messagelog
from kerege.exchange.errors import LogKeyWrong
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.messagelog import LogWriter

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Both nodes archive every second; the provider's keeps no bodies. One call was made, and archived."""
    box = make_box(tmp_path_factory.mktemp("logs"))
    for code in ("node-edu", "node-reg"):
        config = box.laid.nodes[code].config
        content = yaml.safe_load(config.read_text())
        archive = {"folder": "archive", "every_seconds": 1, "grouping": "member"}
        content["log"] = {"bodies": "hash" if code == "node-reg" else "keep", "archive": archive}
        content["timestamps"] = {"off": True}
        config.write_text(yaml.safe_dump(content))
    try:
        for code in ("node-edu", "node-reg"):
            box.start(code)
        for code in ("node-edu", "node-reg"):
            box.wait(code)
        box.answer = box.call("/x", method="POST", body=b"asked")  # type: ignore[attr-defined]
        url = box.laid.nodes["node-edu"].client_url + "/verificationconf"
        box.unpacked = box.folder / "unpacked"  # type: ignore[attr-defined]
        with urlopen(url) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as packed:
            packed.extractall(box.unpacked)  # type: ignore[attr-defined]
        deadline = time.monotonic() + 20
        folders = [box.laid.nodes[code].folder / "archive" for code in ("node-edu", "node-reg")]
        while time.monotonic() < deadline and not all(list(folder.glob("mlog-*.zip")) for folder in folders):
            time.sleep(0.1)
        time.sleep(1.2)
        for code in ("node-edu", "node-reg"):
            box.stop(code)
        yield box
    finally:
        box.close()


def typed(box: Box, code: str, *words: str) -> Result:
    return CliRunner().invoke(node, ["--config", str(box.laid.nodes[code].config), *words])


def test_the_log_is_verified(network: Box) -> None:
    for code in ("node-edu", "node-reg"):
        done = typed(network, code, "verify-log")
        assert (done.exit_code, done.output) == (0, "2 records (1 request, 1 response), 2 verified\n")


def test_archives_are_verified_and_a_changed_one_is_told(network: Box, tmp_path: Path) -> None:
    done = typed(network, "node-edu", "verify-archive")
    assert done.exit_code == 0, done.output
    assert "2 containers: all hold\n" in done.output
    (archive,) = (network.laid.nodes["node-edu"].folder / "archive").glob("mlog-*.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / archive.name, "w") as forged:
        for name in source.namelist():
            data = source.read(name)
            forged.writestr(name, data[:-1] + b"!" if name.endswith(".asice") else data)
    done = typed(network, "node-edu", "verify-archive", str(tmp_path))
    assert done.exit_code == 1
    assert "differs" in done.output


def test_bodies_that_were_logged_by_digest_count_where_that_is_said(network: Box) -> None:
    assert typed(network, "node-reg", "verify-archive").exit_code == 1
    done = typed(network, "node-reg", "verify-archive", "--without-bodies")
    assert done.exit_code == 0, done.output


def test_containers_are_written_and_verified(network: Box, tmp_path: Path) -> None:
    request = network.answer.headers["x-road-request-id"]  # type: ignore[attr-defined]
    for code, more in (("node-edu", ()), ("node-reg", ("--without-bodies",))):
        done = typed(network, code, "asic", request, "--out", str(tmp_path / code))
        assert done.exit_code == 0
        files = sorted(map(str, (tmp_path / code).iterdir()))
        assert len(files) == 2
        assert {stat.S_IMODE(Path(file).stat().st_mode) for file in files} == {0o600}
        done = typed(network, code, "verify-container", *files, *more)
        assert done.exit_code == 0, done.output
        assert done.output.count("holds; signed by KG/GOV/7000000") == 2
    done = CliRunner().invoke(
        main, ["node", "--config", str(network.laid.nodes["node-edu"].config), "asic", "no-such-id"]
    )
    assert done.exit_code == 2
    assert "node.record_missing" in done.output
    assert "not by the message id (x-road-id)" in done.output


def test_a_folder_must_be_known_to_be_verified(network: Box, tmp_path: Path) -> None:
    config = network.laid.nodes["node-edu"].config
    content = yaml.safe_load(config.read_text())
    del content["log"]["archive"]
    other = config.with_name("other.yaml")
    other.write_text(yaml.safe_dump(content))
    done = CliRunner().invoke(main, ["node", "--config", str(other), "verify-archive"])
    assert (done.exit_code, "node.config_invalid" in done.output) == (2, True)
    assert "log.archive: it is not there, and no folder is named" in done.output
    assert "Name the folder: verify-archive FOLDER." in done.output


def test_a_folder_without_archives_is_not_verified(network: Box, tmp_path: Path) -> None:
    done = typed(network, "node-edu", "verify-archive", str(tmp_path))
    assert (done.exit_code, "no archive (mlog-*.zip) was found" in done.output) == (1, True)


def test_a_log_whose_key_is_missing_or_another_is_told_as_that_and_not_as_damage(network: Box, tmp_path: Path) -> None:
    config = network.laid.nodes["node-edu"].config
    content = yaml.safe_load(config.read_text())
    key = LogKey(bytes(32))
    writer = LogWriter(tmp_path / "log", key=key)
    (written, *_) = (one for _, _, one in messagelog.read(network.laid.nodes["node-edu"].folder / "log"))
    writer.append_records([written])
    writer.close()
    other, right = config.with_name("sealed.yaml"), tmp_path / "other.key"
    right.write_text(base64.b64encode(b"1" * 32).decode())
    right.chmod(0o600)
    for more in ({}, {"key_file": str(right)}):
        content["log"] = {"folder": str(tmp_path / "log"), **more}
        other.write_text(yaml.safe_dump(content))
        done = CliRunner().invoke(node, ["--config", str(other), "verify-log"])
        assert isinstance(done.exception, LogKeyWrong)
        assert key.id.hex() in done.exception.next_step


def test_a_log_that_is_not_there_is_not_said_to_be_whole(network: Box, tmp_path: Path) -> None:
    config = network.laid.nodes["node-edu"].config
    content = yaml.safe_load(config.read_text())
    other = config.with_name("elsewhere.yaml")
    (tmp_path / "empty").mkdir()
    for folder in ("nowhere", "empty"):
        content["log"] = {"folder": str(tmp_path / folder)}
        other.write_text(yaml.safe_dump(content))
        done = CliRunner().invoke(node, ["--config", str(other), "verify-log"])
        assert done.exit_code == 1
        assert done.output == (
            f"no message log (segment-*.log) was found in {tmp_path / folder} (log.folder); nothing was verified\n"
        )
    assert json.loads(CliRunner().invoke(node, ["--config", str(other), "verify-log", "--json"]).output)["ok"] is False
    LogWriter(tmp_path / "empty").close()  # of a node that was started and carried nothing yet
    done = CliRunner().invoke(node, ["--config", str(other), "verify-log"])
    assert (done.exit_code, done.output) == (0, "0 records (0 requests, 0 responses), 0 verified\n")


def test_an_auditor_verifies_with_an_unpacked_configuration_and_no_node(network: Box, tmp_path: Path) -> None:
    (found,) = network.unpacked.rglob("instance-identifier")  # type: ignore[attr-defined]
    trusted = ["--configuration", str(found.parent)]
    archive = network.laid.nodes["node-edu"].folder / "archive"
    done = CliRunner().invoke(node, ["verify-archive", str(archive), *trusted])
    assert (done.exit_code, done.output.endswith("2 containers: all hold\n")) == (0, True), done.output
    with zipfile.ZipFile(next(archive.glob("mlog-*.zip"))) as packed:
        name = next(one for one in packed.namelist() if one.endswith(".asice"))
        packed.extract(name, tmp_path)
    done = CliRunner().invoke(node, ["verify-container", str(tmp_path / name), *trusted, "--json"])
    said = json.loads(done.output)
    assert (said["ok"], said["containers"][0]["member"][:9]) == (True, "KG/GOV/70")
    other = network.laid.nodes["node-edu"].config.with_name("fresh.yaml")  # a copied file, whose node never ran here
    content = yaml.safe_load(network.laid.nodes["node-edu"].config.read_text())
    log = str(network.laid.nodes["node-edu"].folder / "log")
    other.write_text(yaml.safe_dump(content | {"state": str(tmp_path / "state"), "log": {"folder": log}}))
    done = CliRunner().invoke(main, ["node", "--config", str(other), "verify-log"])
    assert (done.exit_code, "node.no_configuration_kept" in done.output) == (2, True), done.output
    assert "--configuration FOLDER" in done.output
    done = CliRunner().invoke(node, ["--config", str(other), "verify-log", *trusted])
    assert (done.exit_code, "2 verified" in done.output) == (0, True), done.output


def test_an_auditor_without_file_and_configuration_is_told_of_both(network: Box, tmp_path: Path) -> None:
    archive = network.laid.nodes["node-edu"].folder / "archive"
    for words in (["verify-archive", str(archive)], ["verify-container", str(next(archive.glob("mlog-*.zip")))]):
        done = CliRunner().invoke(node, words)
        assert (done.exit_code, "--config FILE" in done.output, "--configuration FOLDER" in done.output) == (
            2,
            True,
            True,
        )


def test_what_is_no_container_and_what_was_changed_are_told_in_words_for_an_auditor(
    network: Box, tmp_path: Path
) -> None:
    archive = next((network.laid.nodes["node-edu"].folder / "archive").glob("mlog-*.zip"))
    (tmp_path / "none.asice").write_text("no ZIP at all")
    with zipfile.ZipFile(archive) as packed:
        name = next(one for one in packed.namelist() if one.endswith(".asice"))
        whole = zipfile.ZipFile(io.BytesIO(packed.read(name)))
    with zipfile.ZipFile(tmp_path / "forged.asice", "w") as forged:
        for one in whole.namelist():
            forged.writestr(one, whole.read(one) + (b"!" if one == "message.xml" else b""))
    files = [str(tmp_path / one) for one in ("none.asice", "forged.asice")]
    done = typed(network, "node-edu", "verify-container", *files)
    assert done.exit_code == 1
    assert "none.asice: does not hold. The signature cannot be read: " in done.output
    assert "[exchange.signature_malformed]" in done.output
    assert "kerege node asic writes them" in done.output
    assert "forged.asice: does not hold. " in done.output
    assert "Compare it with the archives of both servers" in done.output
    for word in ("nothing was carried out", "The message is refused", "sending server"):
        assert word not in done.output
