"""The durable log: appending, reading, proving, and what crashes and several processes do to it."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.ground.ids import canonical_json
from kerege.ledger import Ledger, SigningKey, audit, merkle, storage
from kerege.ledger.errors import IndexOutOfRange, LogDamaged, RecordInvalid, RolledBack

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
ORIGIN = "kerege.example/ledger"


def filled(folder: Path, count: int) -> Ledger:
    ledger = Ledger.open(folder)
    ledger.append_many([("permit", {"n": n}) for n in range(count)], NOW)
    return ledger


def test_an_entry_knows_its_index_and_the_hash_of_its_canonical_bytes(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        first = ledger.append("permit", {"service": "grade1-admission", "open": True}, NOW)
        second = ledger.append("read", {"by": "officer-1"}, NOW)
        assert (first.index, second.index, ledger.size) == (0, 1, 2)
        record = {"kind": "permit", "at": "2026-11-22T04:10:07Z", "body": {"service": "grade1-admission", "open": True}}
        assert first.leaf_hash == merkle.leaf_hash(canonical_json(record))
        assert [e.kind for e in ledger.entries()] == ["permit", "read"]
        assert ledger.entry(1) == second


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    with filled(tmp_path, 11) as ledger:
        root = ledger.root()
    with Ledger.open(tmp_path) as again:
        assert again.size == 11
        assert again.root() == root
        assert [e.body["n"] for e in again.entries(3, 6)] == [3, 4, 5]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6), st.data())
def test_root_and_proofs_are_those_of_the_pure_tree_however_the_appends_were_batched(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], draw: Any
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    leaves: list[bytes] = []
    with Ledger.open(folder) as ledger:
        for batch, count in enumerate(batches):
            added = ledger.append_many([("x", {"batch": batch, "n": n}) for n in range(count)], NOW)
            leaves += [e.leaf_hash for e in added]
        assert ledger.size == len(leaves)
        assert ledger.root() == merkle.root(leaves)
        if leaves:
            size = draw.draw(st.integers(1, len(leaves)))
            index = draw.draw(st.integers(0, size - 1))
            root = merkle.root(leaves[:size])
            assert ledger.root(size) == root
            assert merkle.inclusion_holds(index, size, leaves[index], root, ledger.inclusion(index, size))
            proof = ledger.consistency(size)
            assert merkle.consistency_holds(size, len(leaves), root, ledger.root(), proof)
    assert audit(folder).sound


def test_asking_outside_the_log_names_its_size(tmp_path: Path) -> None:
    with filled(tmp_path, 3) as ledger:
        for ask in (
            lambda: ledger.entries(0, 4),
            lambda: ledger.inclusion(3),
            lambda: ledger.root(4),
            lambda: ledger.consistency(0),
            lambda: ledger.entry(-1),
        ):
            with pytest.raises(IndexOutOfRange, match="holds 3 records"):
                ask()


@pytest.mark.parametrize("body", [{"amount": 1.5}, {"when": NOW}, {1: "x"}])
def test_a_body_that_has_no_canonical_form_is_refused_and_nothing_is_written(tmp_path: Path, body: Any) -> None:
    with filled(tmp_path, 2) as ledger:
        with pytest.raises(RecordInvalid):
            ledger.append_many([("good", {}), ("bad", body)], NOW)
        with pytest.raises(RecordInvalid):
            ledger.append("", {}, NOW)
        with pytest.raises(RecordInvalid, match="time zone"):
            ledger.append("x", {}, datetime(2026, 1, 1))
        assert ledger.size == 2


@pytest.mark.parametrize("left", [1, 10, 40])
def test_half_a_line_left_by_a_crash_is_set_aside_and_the_log_goes_on(tmp_path: Path, left: int) -> None:
    with filled(tmp_path, 5) as ledger:
        root = ledger.root()
    torn = canonical_json({"kind": "x", "at": "2026-11-22T04:10:07Z", "body": {"n": 5}})[:left]
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(torn)
    with Ledger.open(tmp_path) as again:
        assert (again.size, again.root()) == (5, root)
        assert again.append("permit", {"n": 5}, NOW).index == 5
    assert (tmp_path / "torn.bin").read_bytes() == torn
    assert audit(tmp_path).sound


def test_a_record_that_reached_the_disk_without_its_hashes_is_taken_in(tmp_path: Path) -> None:
    with filled(tmp_path, 5) as ledger:
        line = canonical_json({"kind": "x", "at": "2026-11-22T04:10:07Z", "body": {}})
        with (tmp_path / "records.jsonl").open("ab") as file:
            file.write(line + b"\n")
        assert ledger.append("y", {}, NOW).index == 6  # the running process notices too
        assert ledger.entry(5).leaf_hash == merkle.leaf_hash(line)
    assert audit(tmp_path).sound


@pytest.mark.parametrize("lost", ["level-00", "ends", "level-02"])
def test_hashes_lost_in_a_power_cut_are_computed_again_from_the_records(tmp_path: Path, lost: str) -> None:
    with filled(tmp_path, 20) as ledger:
        root = ledger.root()
    path = tmp_path / lost
    path.write_bytes(bytes(path.stat().st_size))  # the length reached the disk, the bytes did not
    with Ledger.open(tmp_path) as again:
        assert again.root() == root
        assert [e.body["n"] for e in again.entries()] == list(range(20))


def test_all_caches_may_be_deleted(tmp_path: Path) -> None:
    with filled(tmp_path, 20) as ledger:
        root = ledger.root()
    for path in [*tmp_path.glob("level-*"), tmp_path / "ends", tmp_path / "synced.json"]:
        path.unlink()
    with Ledger.open(tmp_path) as again:
        assert (again.size, again.root()) == (20, root)


def test_records_cut_off_at_the_end_are_noticed_on_opening(tmp_path: Path) -> None:
    filled(tmp_path, 5).close()
    records = (tmp_path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "records.jsonl").write_bytes(b"".join(records[:4]))
    with pytest.raises(LogDamaged, match="record 4"):
        Ledger.open(tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == b"".join(records[:4])


def test_a_changed_record_is_not_handed_out(tmp_path: Path) -> None:
    with filled(tmp_path, 5) as ledger:
        path = tmp_path / "records.jsonl"
        path.write_bytes(path.read_bytes().replace(b'{"n":3}', b'{"n":9}'))
        with pytest.raises(LogDamaged, match="record 3"):
            list(ledger.entries())


def test_the_caches_reach_the_disk_every_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SYNC_EVERY", 8)
    with Ledger.open(tmp_path) as ledger:
        for n in range(17):
            ledger.append("x", {"n": n}, NOW)
    assert json.loads((tmp_path / "synced.json").read_text()) == {"size": 16}


def append_some(folder: Path, name: str, count: int) -> None:
    with Ledger.open(folder) as ledger:
        for n in range(count):
            ledger.append(name, {"n": n}, NOW)


def test_two_processes_appending_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_some, args=(tmp_path, name, 40)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    with Ledger.open(tmp_path) as ledger:
        seen: dict[str, list[int]] = {"a": [], "b": []}
        for entry in ledger.entries():
            seen[entry.kind].append(entry.body["n"])
        assert seen == {"a": list(range(40)), "b": list(range(40))}
    assert audit(tmp_path).sound


def test_threads_sharing_one_ledger_lose_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        threads = [threading.Thread(target=lambda: [ledger.append("x", {}, NOW) for _ in range(25)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.size == 100
    assert audit(tmp_path).sound


def test_a_killed_writer_leaves_every_acknowledged_record(tmp_path: Path) -> None:
    ready, report = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child writes until it is killed, telling what was acknowledged
        ledger = Ledger.open(tmp_path)
        while True:
            os.write(report, ledger.append("x", {"fill": "y" * 300}, NOW).index.to_bytes(4, "big"))
    acknowledged = -1
    while acknowledged < 25:
        acknowledged = int.from_bytes(os.read(ready, 4), "big")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(report)
    while last := os.read(ready, 4):
        acknowledged = int.from_bytes(last, "big")
    with Ledger.open(tmp_path) as ledger:
        assert ledger.size > acknowledged
    assert audit(tmp_path).sound


def test_a_restored_backup_does_not_sign(tmp_path: Path) -> None:
    key = SigningKey.generate(ORIGIN)
    with filled(tmp_path, 5) as ledger:
        ledger.checkpoint(key, ORIGIN, NOW)
    kept = (tmp_path / "checkpoints.jsonl").read_bytes()
    for path in tmp_path.iterdir():
        path.unlink()
    with filled(tmp_path, 3) as rolled_back:
        (tmp_path / "checkpoints.jsonl").write_bytes(kept)
        with pytest.raises(RolledBack, match="only 3 records"):
            rolled_back.checkpoint(key, ORIGIN, NOW)
        rolled_back.append_many([("other", {})] * 4, NOW)
        with pytest.raises(RolledBack, match="root at that size is another"):
            rolled_back.checkpoint(key, ORIGIN, NOW)
    assert (tmp_path / "checkpoints.jsonl").read_bytes() == kept


def test_checkpoints_are_kept_in_order(tmp_path: Path) -> None:
    key = SigningKey.generate(ORIGIN)
    with filled(tmp_path, 2) as ledger:
        notes = [ledger.checkpoint(key, ORIGIN, NOW)]
        ledger.append("x", {}, NOW)
        notes.append(ledger.checkpoint(key, ORIGIN, NOW + timedelta(seconds=10)))
        assert ledger.checkpoints() == notes


def test_a_ledgers_files_are_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    key, before = SigningKey.generate("log.example"), os.umask(0o022)
    try:
        with Ledger.open(tmp_path / "log") as ledger:
            ledger.append("x", {}, NOW)
            ledger.checkpoint(key, key.name, NOW)
            with (ledger.folder / "records.jsonl").open("ab") as file:
                file.write(b'{"at":"2026')
        Ledger.open(tmp_path / "log").close()
    finally:
        os.umask(before)
    assert (tmp_path / "log" / "torn.bin").is_file()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "log").iterdir()} == {0o600}
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
