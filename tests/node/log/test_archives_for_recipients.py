"""A node whose archives are encrypted: what its file may say, what becomes of keys that do not do, and a real one from end to end."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pysequoia
import pytest
import yaml
from click.testing import CliRunner

from box import Box, make_box
from kerege.cli.node import node
from kerege.exchange import messagelog
from kerege.exchange.errors import RecipientUnusable
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.node import config
from kerege.node.check.checking import Report
from kerege.node.check.keys import look
from kerege.node.config_types import ArchiveSettings, LogSettings, TimestampSettings
from kerege.node.contracts.originals import FOLDER, Originals
from kerege.node.errors import NodeConfigInvalid
from kerege.node.log.commit import CommitLog
from kerege.node.log.keeping import KeepingSettings, LogKeeping

ROOT = Path(__file__).parents[3]
NOW = datetime.now(UTC)
EDU = ClientId.parse("KG/GOV/70000003")


def public(path: Path, pair: pysequoia.Tsk | None = None, **more: Any) -> pysequoia.Tsk:
    pair = pair or pysequoia.Tsk.generate("Archives", **more)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(pair.extract_certificate()))
    return pair


def record(number: int) -> LogRecord:
    body = b"body"
    return LogRecord(
        NOW, "request", "client", f"m-{number}", f"r-{number}", ClientId.parse("KG/GOV/70000003/admission"),
        DataServiceId.parse("KG/GOV/70000002/population/persons"), b"GET", body, b"<s>%d</s>" % number, None,
        attachment_digests=(hashlib.sha512(body).digest(),),
    )  # fmt: skip


# --- the file ---


def read(tmp_path: Path, **archive: object) -> ArchiveSettings:
    content = config.content_of(ROOT / "docs/node.example.yaml")
    assert isinstance(content, dict)
    content["log"] = {"archive": archive}
    found = config.read(content, tmp_path / "node.yaml").log.archive
    assert found is not None
    return found


def test_recipients_are_files_beside_the_nodes_own_for_all_or_for_single_groups(tmp_path: Path) -> None:
    assert read(tmp_path).recipients == ()
    found = read(
        tmp_path, grouping="subsystem", recipients=["a.asc", "/keys/b.asc"],
        recipients_of={"KG/GOV/70000003": ["c.asc"], "KG/GOV/70000003/emis": ["d.asc"]},
    )  # fmt: skip
    assert found.recipients == (tmp_path / "a.asc", Path("/keys/b.asc"))
    assert found.recipients_of == {
        EDU: (tmp_path / "c.asc",),
        ClientId.parse("KG/GOV/70000003/emis"): (tmp_path / "d.asc",),
    }


@pytest.mark.parametrize(
    ("archive", "key", "words"),
    [
        ({"recipients": []}, "log.archive.recipients", "at least one"),
        ({"recipients": None}, "log.archive.recipients", "list"),
        ({"recipients": "a.asc"}, "log.archive.recipients", "list"),
        ({"grouping": "member", "recipients_of": {str(EDU): ["a"]}}, "log.archive.recipients", "would be in clear"),
        ({"recipients": ["a"], "recipients_of": {str(EDU): ["b"]}}, f"recipients_of.{EDU}", "grouping"),
        ({"grouping": "member", "recipients": ["a"], "recipients_of": {f"{EDU}/emis": ["b"]}}, "emis", "grouping"),
        ({"grouping": "member", "recipients": ["a"], "recipients_of": {str(EDU): []}}, str(EDU), "at least one"),
        ({"grouping": "member", "recipients": ["a"], "recipients_of": {"KG": ["b"]}}, "recipients_of.KG", "parts"),
        ({"recipiants": ["a"]}, "log.archive.recipiants", "is recipients"),
    ],
)  # fmt: skip
def test_what_could_leave_an_archive_in_clear_unawares_is_refused(
    tmp_path: Path, archive: dict[str, object], key: str, words: str
) -> None:
    with pytest.raises(NodeConfigInvalid) as refused:
        read(tmp_path, **archive)
    assert key in str(refused.value.params["key"])
    assert words in refused.value.text


def test_check_tells_of_keys_that_cannot_be_encrypted_for_and_of_those_that_soon_cannot(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    public(keys / "good.asc")
    public(keys / "ends.asc", validity_seconds=10 * 86400)
    public(keys / "over.asc", validity_seconds=86400)
    file = tmp_path / "node.yaml"
    content = config.content_of(ROOT / "docs/node.example.yaml")
    assert isinstance(content, dict)
    content["log"]["archive"].update(
        recipients=["keys/good.asc", "keys/ends.asc", "keys/over.asc"], recipients_of={str(EDU): ["keys/none.asc"]}
    )
    report = Report(file)
    look(report, config.read(content, file), None, NOW + timedelta(days=2))
    told = {(one.level, one.code, one.key, Path(one.file).name) for one in report.findings if "recipients" in one.key}
    assert told == {
        ("ok", "", "log.archive.recipients", "node.yaml"),
        ("warning", "check.recipient_ends", "log.archive.recipients", "ends.asc"),
        ("error", "check.recipient_unusable", "log.archive.recipients", "over.asc"),
        ("error", "check.recipient_unusable", f"log.archive.recipients_of ({EDU})", "none.asc"),
    }


# --- the work beside traffic ---


def keeping(tmp_path: Path, recipients: tuple[Path, ...], work: Callable[[LogKeeping], Any]) -> None:
    """`work` beside a log with two records and nobody to stamp them; what is archived is archived every 50 ms."""
    archive = ArchiveSettings(tmp_path / "archive", every_seconds=0.05, recipients=recipients)
    settings = KeepingSettings(
        LogSettings(tmp_path / "log", archive=archive, least_free=0, retention_days=0),
        TimestampSettings(enabled=False),
        tmp_path / "index.sqlite",
    )

    async def whole() -> None:
        log = CommitLog(LogWriter(tmp_path / "log"))
        kept = LogKeeping(log, settings, clock=lambda: NOW)
        task = asyncio.create_task(kept.run())
        try:
            await log.append_many([record(0), record(1)])
            async with asyncio.timeout(20):
                await work(kept)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await kept.close()
            await asyncio.to_thread(log.close)

    asyncio.run(whole())


def test_without_a_key_that_does_nothing_is_archived_the_log_keeps_its_records_and_the_status_says_so(
    tmp_path: Path,
) -> None:
    key = tmp_path / "archives.asc"

    async def work(kept: LogKeeping) -> None:
        while "archive" not in kept.problems:
            await asyncio.sleep(0.02)
        assert str(key) in kept.status()["problems"]["archive"]
        assert not list((tmp_path / "archive").glob("*"))
        assert len(list(messagelog.read(tmp_path / "log"))) == 2
        with pytest.raises(RecipientUnusable):
            await kept.archive_now()
        public(key)  # put there while the node runs: the next run reads it
        while "archive" in kept.problems or not list((tmp_path / "archive").glob("*")):
            await asyncio.sleep(0.02)
        assert [path.suffix for path in (tmp_path / "archive").iterdir()] == [".gpg"]

    keeping(tmp_path, (key,), work)


def test_a_key_that_is_revoked_while_the_node_runs_is_used_no_more(tmp_path: Path) -> None:
    key = tmp_path / "archives.asc"
    pair = public(key)

    async def work(kept: LogKeeping) -> None:
        while not list((tmp_path / "archive").glob("*.gpg")):
            await asyncio.sleep(0.02)
        cert = pair.extract_certificate()
        key.write_bytes(bytes(cert) + bytes(cert.revoke(pair.certifier())))
        while "revoked" not in kept.problems.get("archive", ""):
            await asyncio.sleep(0.02)

    keeping(tmp_path, (key,), work)


def test_originals_are_copied_encrypted_beside_encrypted_archives(tmp_path: Path) -> None:
    pair = public(tmp_path / "archives.asc")
    log, folder = tmp_path / "log", tmp_path / "log" / FOLDER
    writer = LogWriter(folder, segment_bytes=2000)
    for number in range(4):
        writer.append_records([replace(record(number), body=b"an original %d " % number * 100)])
    writer.close()
    segments = {path.name: path.read_bytes() for path in folder.glob("segment-*")}
    archive = ArchiveSettings(tmp_path / "archive", recipients=(tmp_path / "none.asc",))
    settings = [LogSettings(log, retention_days=-1, archive=archive)]
    originals = Originals(lambda: settings[0], log, None, lambda: NOW)

    async def run(until: Callable[[], bool]) -> None:
        task = asyncio.create_task(originals.run())
        async with asyncio.timeout(20):
            while not until():
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run(lambda: originals.problem is not None))
    assert originals.problem is not None
    assert "none.asc" in originals.problem
    assert not (tmp_path / "archive").exists()
    assert {path.name for path in folder.glob("segment-*")} == set(segments)

    settings[0] = replace(settings[0], archive=replace(archive, recipients=(tmp_path / "archives.asc",)))
    asyncio.run(run(lambda: originals.problem is None))
    copies = sorted((tmp_path / "archive" / FOLDER).iterdir())
    assert len(copies) == len(segments) - 1
    for copy in copies:
        assert copy.name.endswith(".log.gpg")
        assert b"an original" not in copy.read_bytes()
        assert pysequoia.decrypt(copy.read_bytes(), decryptor=pair.decryptor()).bytes == segments[copy.stem]


# --- a real node ---


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Box]:
    """The consumer's node archives every second, in clear."""
    box = make_box(tmp_path / "network")
    file = box.laid.nodes["node-edu"].config
    content = yaml.safe_load(file.read_text())
    content["log"] = {"archive": {"folder": "archive", "every_seconds": 1}}
    content["timestamps"] = {"off": True}
    file.write_text(yaml.safe_dump(content))
    try:
        for code in ("node-edu", "node-reg"):
            box.start(code)
        for code in ("node-edu", "node-reg"):
            box.wait(code)
        yield box
    finally:
        box.close()


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.mark.journey
def test_a_running_node_takes_recipients_up_and_what_it_archives_is_verified_after_decryption(
    network: Box, tmp_path: Path
) -> None:
    file = network.laid.nodes["node-edu"].config
    folder, output = file.parent / "archive", network.laid.nodes["node-edu"].folder / "output.txt"

    def reload(recipients: list[str], said: str) -> str:
        content = yaml.safe_load(file.read_text())
        content["log"]["archive"]["recipients"] = recipients
        file.write_text(yaml.safe_dump(content))
        before = len(output.read_text())
        network.processes["node-edu"].send_signal(signal.SIGHUP)
        return str(until(lambda: said in output.read_text()[before:] and output.read_text()[before:]))

    assert network.call("/before").status == 200
    until(lambda: list(folder.glob("mlog-*.zip")))
    assert "no-such.asc" in reload(["keys/no-such.asc"], "was not taken up")
    pair = public(file.parent / "keys" / "archives.asc")
    reload(["keys/archives.asc"], "was read again")
    assert network.call("/after").status == 200
    sealed = until(lambda: sorted(folder.glob("mlog-*.zip.gpg")))[0]
    for code in ("node-edu", "node-reg"):
        network.stop(code)

    done = CliRunner().invoke(node, ["--config", str(file), "verify-archive"])
    assert done.exit_code == 1
    assert f"encrypted, {sealed.name} the first: decrypt with gpg into a folder" in done.output
    opened = tmp_path / "opened"
    opened.mkdir()
    for path in folder.iterdir():
        data = path.read_bytes()
        if path.suffix == ".gpg":
            data = pysequoia.decrypt(data, decryptor=pair.decryptor()).bytes or b""
        (opened / path.name.removesuffix(".gpg")).write_bytes(data)
    done = CliRunner().invoke(node, ["--config", str(file), "verify-archive", str(opened)])
    assert done.exit_code == 0, done.output
    assert "4 containers" in done.output
