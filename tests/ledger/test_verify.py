"""The audit finds every way to tamper with a ledger folder, and names the first bad record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.ledger import Ledger, SigningKey, audit

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
ORIGIN = "kerege.example/ledger"
KEY = SigningKey.generate(ORIGIN)
CACHES = ("level-*", "ends", "synced.json")


def build(folder: Path, bodies: range | list[int]) -> list[str]:
    """A ledger with a checkpoint after every fifth record."""
    with Ledger.open(folder) as ledger:
        for place, n in enumerate(bodies, start=1):
            ledger.append("x", {"n": n}, NOW + timedelta(seconds=place))
            if place % 5 == 0:
                ledger.checkpoint(KEY, ORIGIN, NOW + timedelta(seconds=place))
        return ledger.checkpoints()


def lines(folder: Path) -> list[bytes]:
    return (folder / "records.jsonl").read_bytes().splitlines(keepends=True)


def put(folder: Path, records: list[bytes]) -> None:
    (folder / "records.jsonl").write_bytes(b"".join(records))


def drop_caches(folder: Path) -> None:
    for pattern in CACHES:
        for path in folder.glob(pattern):
            path.unlink()


def flip(folder: Path) -> None:
    put(folder, [r.replace(b'"n":7', b'"n":6') for r in lines(folder)])


def drop(folder: Path) -> None:
    records = lines(folder)
    put(folder, records[:7] + records[8:])


def swap(folder: Path) -> None:
    records = lines(folder)
    records[7], records[8] = records[8], records[7]
    put(folder, records)


def truncate(folder: Path) -> None:
    put(folder, lines(folder)[:7])


def test_an_honest_ledger_is_sound(tmp_path: Path) -> None:
    build(tmp_path, range(12))
    found = audit(tmp_path, KEY.verifier)
    assert found.sound
    assert (found.size, found.checkpoints, found.signatures_checked, found.notices) == (12, 2, True, ())
    with Ledger.open(tmp_path) as ledger:
        assert found.root == ledger.root()


def test_an_empty_folder_is_an_empty_ledger(tmp_path: Path) -> None:
    assert audit(tmp_path).sound
    assert audit(tmp_path).size == 0


@pytest.mark.parametrize("tamper", [flip, drop, swap, truncate])
def test_tampering_is_found_at_the_first_bad_record(tmp_path: Path, tamper: Callable[[Path], None]) -> None:
    build(tmp_path, range(12))
    tamper(tmp_path)
    found = audit(tmp_path, KEY.verifier)
    assert not found.sound
    assert found.first_bad is not None
    record_findings = [f.index for f in found.findings if f.code in {"ledger.record_changed", "ledger.records_missing"}]
    assert record_findings[0] == 7


@pytest.mark.parametrize("tamper", [flip, drop, swap, truncate])
def test_tampering_with_the_caches_rebuilt_is_found_between_two_checkpoints(
    tmp_path: Path, tamper: Callable[[Path], None]
) -> None:
    build(tmp_path, range(12))
    tamper(tmp_path)
    drop_caches(tmp_path)
    with Ledger.open(tmp_path):
        pass  # rebuilds every cache from the tampered records
    found = audit(tmp_path, KEY.verifier)
    codes = {f.code for f in found.findings}
    assert codes <= {"ledger.checkpoint_differs", "ledger.rolled_back"}
    assert found.first_bad in {5, 7}  # the checkpoint of size 5 agrees, that of size 10 does not


def test_a_folder_rewritten_as_a_whole_is_found_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    outside = build(tmp_path / "true", range(12))
    build(tmp_path / "rewritten", [*range(7), 99, *range(8, 12)])
    assert audit(tmp_path / "rewritten", KEY.verifier).sound, "on its own it looks right: hence witnesses"
    found = audit(tmp_path / "rewritten", KEY.verifier, also=outside)
    assert [f.code for f in found.findings] == ["ledger.checkpoint_differs"]
    assert found.first_bad == 5


def test_a_rolled_back_folder_is_found_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    outside = build(tmp_path / "now", range(12))
    build(tmp_path / "backup", range(6))
    found = audit(tmp_path / "backup", KEY.verifier, also=outside)
    assert [(f.code, f.index) for f in found.findings] == [("ledger.rolled_back", 6)]


def test_a_checkpoint_under_another_key_is_false(tmp_path: Path) -> None:
    build(tmp_path, range(12))
    other = SigningKey.generate(ORIGIN)
    assert {f.code for f in audit(tmp_path, other.verifier).findings} == {"ledger.checkpoint_false"}
    found = audit(tmp_path)
    assert found.sound
    assert not found.signatures_checked


def test_a_torn_tail_is_a_notice_not_a_finding(tmp_path: Path) -> None:
    build(tmp_path, range(3))
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'{"at":"2026')
    found = audit(tmp_path)
    assert found.sound
    assert [n.code for n in found.notices] == ["ledger.torn_tail"]


def test_a_clock_set_back_is_noticed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.append("x", {}, NOW)
        ledger.append("x", {}, NOW - timedelta(hours=1))
    assert [(n.code, n.index) for n in audit(tmp_path).notices] == [("ledger.clock_back", 1)]


def test_writers_who_waited_for_each_other_are_not_a_clock_set_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        for place in range(40):
            ledger.append("x", {}, NOW - timedelta(seconds=place % 7, microseconds=place))
    assert audit(tmp_path).notices == ()


def test_of_many_records_with_a_clock_set_back_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.append("x", {}, NOW)
        ledger.append_many([("x", {}) for _ in range(500)], NOW - timedelta(hours=1))
    found = audit(tmp_path)
    assert found.sound
    assert [n.index for n in found.notices] == [*range(1, 21), None]
    assert "480 more" in found.notices[-1].text


def test_a_record_not_in_canonical_form_is_found(tmp_path: Path) -> None:
    build(tmp_path, range(3))
    drop_caches(tmp_path)
    put(tmp_path, [*lines(tmp_path)[:2], b'{"kind": "x", "at": "2026-11-22T04:10:07Z", "body": {}}\n'])
    found = audit(tmp_path)
    assert [(f.code, f.index) for f in found.findings] == [("ledger.record_malformed", 2)]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_flipped_bit_in_the_records_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    build(folder, range(10))
    raw = bytearray((folder / "records.jsonl").read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    (folder / "records.jsonl").write_bytes(raw)
    assert not audit(folder, KEY.verifier).sound
