"""Commands on a node's log, typed against what a real node wrote: log, containers, archives; also where bodies are kept by digest only."""

from __future__ import annotations

import base64
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from box import Box, make_box
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
    assert "2 containers" in done.output
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
    assert typed(network, "node-edu", "asic", "no-such-id", "--out", str(tmp_path)).exit_code == 1


def test_a_folder_must_be_known_to_be_verified(network: Box, tmp_path: Path) -> None:
    config = network.laid.nodes["node-edu"].config
    content = yaml.safe_load(config.read_text())
    del content["log"]["archive"]
    other = config.with_name("other.yaml")
    other.write_text(yaml.safe_dump(content))
    done = CliRunner().invoke(node, ["--config", str(other), "verify-archive"])
    assert (done.exit_code, "log.archive" in done.output) == (2, True)


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
