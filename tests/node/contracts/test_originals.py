"""The originals' log: durable, found by message id, by the body policy, archived before it is cleaned."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kerege.cli.node_original import original as command
from kerege.exchange import logfolder, messagelog
from kerege.exchange.bodies import BodyWriter
from kerege.exchange.errors import LogFailed
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.exchange.logcrypt import LogKey
from kerege.node.config_types import ArchiveSettings, LogSettings
from kerege.node.contracts.originals import FOLDER, TRANSLATED, Originals, find, put_aside
from kerege.node.message import REST, Asked

SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
CLIENT = ClientId.parse("KG/GOV/70000003/admission")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BODY = b'{"pin": "21203198000017"}'


def asked(message_id: str = "m-1") -> Asked:
    return Asked(REST, CLIENT, SERVICE, None, message_id, "r-" + message_id, "GET", "/x")


def keep(settings: LogSettings, *bodies: Any, key: LogKey | None = None, now: datetime = NOW) -> list[str]:
    async def work() -> list[str]:
        kept = Originals(lambda: settings, settings.folder, key, lambda: now)
        try:
            return [
                await kept.keep(asked(f"m-{n}"), body, TRANSLATED, "application/json", {"status": 200})
                for n, body in enumerate(bodies, 1)
            ]
        finally:
            await kept.close()

    return asyncio.run(work())


def test_an_original_is_found_by_its_message_id_with_its_digests(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log")
    (sha256,) = keep(settings, BODY)
    (found,) = find(settings, tmp_path / "state", None, "m-1")
    assert sha256 == hashlib.sha256(BODY).hexdigest()
    assert found.body == BODY
    assert found.head == {
        "why": "translated", "content_type": "application/json", "size": len(BODY), "sha256": sha256,
        "sha512": hashlib.sha512(BODY).hexdigest(), "status": 200,
    }  # fmt: skip
    assert (found.record.client, found.record.service, found.record.request_id) == (CLIENT, SERVICE, "r-m-1")
    assert find(settings, tmp_path / "state", None, "m-2") == []


def test_nothing_is_opened_before_there_is_an_original(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log")
    keep(settings)
    assert not (tmp_path / "log" / FOLDER).exists()
    assert find(settings, tmp_path / "state", None, "m-1") == []


@pytest.mark.parametrize(
    "terms",
    [
        {"bodies": "hash"},
        {"bodies_of": {SubsystemId.parse("KG/GOV/70000002/population"): "hash"}},
        {"bodies_of": {SubsystemId.parse("KG/GOV/70000003/admission"): "hash"}},
        {"largest_kept": len(BODY) - 1},
    ],
)
def test_bodies_are_kept_by_the_policy_of_the_message_log_and_digests_always(
    tmp_path: Path, terms: dict[str, Any]
) -> None:
    settings = replace(LogSettings(tmp_path / "log"), **terms)
    keep(settings, BODY)
    (found,) = find(settings, tmp_path / "state", None, "m-1")
    assert found.body is None
    assert found.head["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert found.record.attachment_digests == (hashlib.sha512(BODY).digest(),)
    for segment in (tmp_path / "log" / FOLDER).glob("segment-*"):
        assert BODY not in segment.read_bytes()


def test_a_body_that_lies_on_disk_is_kept_like_any_other(tmp_path: Path) -> None:
    writer = BodyWriter(1 << 20, memory=1024, folder=tmp_path)
    writer.write(b"x" * 400_000)
    body = writer.finish()
    settings = LogSettings(tmp_path / "log")
    (sha256,) = keep(settings, body)
    (found,) = find(settings, tmp_path / "state", None, "m-1")
    assert (sha256, found.body) == (hashlib.sha256(b"x" * 400_000).hexdigest(), b"x" * 400_000)


def test_originals_are_encrypted_with_the_logs_key(tmp_path: Path) -> None:
    key = LogKey.parse("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    settings = LogSettings(tmp_path / "log")
    keep(settings, BODY, key=key)
    assert all(BODY not in segment.read_bytes() for segment in (tmp_path / "log" / FOLDER).glob("segment-*"))
    (found,) = find(settings, tmp_path / "state", key, "m-1")
    assert found.body == BODY


def test_what_cannot_be_kept_stops_the_answer(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log")
    settings.folder.mkdir()
    (settings.folder / FOLDER).write_text("in the way")
    with pytest.raises(LogFailed, match="originals' log cannot be opened"):
        keep(settings, BODY)


def test_originals_go_on_after_a_restart_and_stand_apart_from_the_message_log(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log")
    keep(settings, BODY)
    keep(settings, BODY + b" ")
    assert len(find(settings, tmp_path / "state", None, "m-1")) == 2
    messagelog.LogWriter(settings.folder).close()
    assert list(messagelog.read(settings.folder)) == []


def test_finished_segments_are_archived_before_the_old_are_removed(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log", segment_bytes=64 * 1024)
    old, new = (b"%06d" % n + b"o" * 30_000 for n in range(2)), NOW + timedelta(days=40)
    keep(settings, *old, *(b"%06d" % n + b"o" * 30_000 for n in range(2, 8)))
    folder, into = tmp_path / "log" / FOLDER, tmp_path / "archive" / FOLDER
    before = len(list(folder.glob("segment-*")))
    assert before > 2
    assert put_aside(folder, into, NOW - timedelta(days=1), None) == 0  # archived, and young
    assert len(list(into.glob("segment-*"))) == before - 1
    assert len(list(folder.glob("segment-*"))) == before
    assert put_aside(folder, into, NOW + timedelta(days=1), None) == before - 1
    keep(settings, BODY, now=new)  # the log goes on where it was
    assert [found.body for found in find(settings, tmp_path / "state", None, "m-1")] == [BODY]
    archived = [record.message_id for _, _, record in messagelog.read(into)]
    assert archived == [f"m-{n}" for n in range(1, len(archived) + 1)]
    assert len(archived) >= 2


def test_what_is_put_aside_is_for_its_owner_only_also_over_what_a_crash_left(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log", segment_bytes=2000)
    keep(settings, *[b"old %d" % number * 100 for number in range(5)], now=NOW - timedelta(days=60))
    folder, into = tmp_path / "log" / FOLDER, tmp_path / "archive" / FOLDER
    (first, *_) = logfolder.segments(folder)
    data = first.read_bytes()
    into.mkdir(parents=True)
    left = into / f".{first.name}.part"
    left.write_bytes(b"half of it")
    left.chmod(0o644)
    umask = os.umask(0)
    try:
        assert put_aside(folder, into, NOW - timedelta(days=30), None) > 0
    finally:
        os.umask(umask)
    assert (into / first.name).read_bytes() == data
    assert {stat.S_IMODE(path.stat().st_mode) for path in into.iterdir()} == {0o600}
    assert stat.S_IMODE(into.stat().st_mode) == 0o700


def test_an_archive_that_cannot_be_written_is_said_and_nothing_is_removed(tmp_path: Path) -> None:
    settings = LogSettings(tmp_path / "log", segment_bytes=64 * 1024, retention_days=0.001)
    settings = replace(settings, archive=ArchiveSettings(tmp_path / "archive"))
    keep(settings, *(b"%06d" % n + b"o" * 30_000 for n in range(6)))
    before = sorted((tmp_path / "log" / FOLDER).glob("segment-*"))
    (tmp_path / "archive").write_text("in the way")

    async def work() -> str | None:
        kept = Originals(lambda: settings, settings.folder, None, lambda: NOW + timedelta(days=1))
        running = asyncio.create_task(kept.run())
        for _ in range(200):
            await asyncio.sleep(0.01)
            if kept.problem is not None:
                break
        running.cancel()
        return kept.problem

    assert "could not be archived" in str(asyncio.run(work()))
    assert sorted((tmp_path / "log" / FOLDER).glob("segment-*")) == before


def test_the_auditors_command_shows_the_digests_and_writes_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kerege.node import config as configuration

    settings = LogSettings(tmp_path / "log")
    keep(settings, BODY)
    made = object.__new__(configuration.NodeConfig)
    for name, value in (("log", settings), ("state", tmp_path / "state")):
        object.__setattr__(made, name, value)
    out = CliRunner().invoke(command, ["m-1", "--out", str(tmp_path / "out")], obj=made)
    assert out.exit_code == 0, out.output
    assert hashlib.sha256(BODY).hexdigest() in out.output
    assert "21203198000017" not in out.output
    (written,) = (tmp_path / "out").iterdir()
    assert written.read_bytes() == BODY
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert CliRunner().invoke(command, ["m-9"], obj=made).exit_code == 1
