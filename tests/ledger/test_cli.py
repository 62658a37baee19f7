"""`kerege ledger verify` and `kerege ledger prove`."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from kerege.cli.ledger import ledger as command
from kerege.ground.ids import canonical_json
from kerege.ledger import Ledger, SigningKey, merkle
from kerege.ledger.errors import IndexOutOfRange

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
KEY = SigningKey.generate("kerege.example/ledger")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Ledger.open(tmp_path) as log:
        log.append_many([("x", {"n": n}) for n in range(9)], NOW)
        log.checkpoint(KEY, KEY.name, NOW)
    return tmp_path


def test_a_sound_ledger_ends_with_status_0(folder: Path) -> None:
    result = CliRunner().invoke(command, ["verify", str(folder), "--key", KEY.verifier.text])
    assert result.exit_code == 0, result.output
    assert "9 records" in result.output
    assert "1 checkpoint, signed by the log and agree with the tree" in result.output


def test_without_a_signed_head_no_ledger_is_called_sound(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as log:
        log.append_many([("x", {"n": n}) for n in range(9)], NOW)
    result = CliRunner().invoke(command, ["verify", str(tmp_path)])
    assert result.exit_code == 3
    assert "no signed head: a cut at the end cannot be seen" in result.output
    assert "sound" not in result.output
    facts = json.loads(CliRunner().invoke(command, ["verify", str(tmp_path), "--json"]).output)
    assert (facts["sound"], facts["head"]) == (False, None)


def test_records_past_the_newest_head_are_told_apart(folder: Path) -> None:
    with Ledger.open(folder) as log:
        log.append_many([("x", {"n": n}) for n in range(3)], NOW)
    result = CliRunner().invoke(command, ["verify", str(folder), "--key", KEY.verifier.text])
    assert result.exit_code == 0
    assert "of the 3 records after it a cut cannot be seen" in result.output


def test_a_cut_behind_a_signed_head_is_found(folder: Path) -> None:
    kept = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)[:-2]
    (folder / "records.jsonl").write_bytes(b"".join(kept))
    for cache in ("level-*", "ends", "synced.json"):
        for path in folder.glob(cache):
            path.unlink()
    result = CliRunner().invoke(command, ["verify", str(folder), "--key", KEY.verifier.text])
    assert result.exit_code == 1
    assert "ledger.rolled_back" in result.output


def test_a_changed_ledger_ends_with_status_1_and_names_the_record(folder: Path) -> None:
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n":4', b'"n":5'))
    result = CliRunner().invoke(command, ["verify", str(folder), "--json"])
    assert result.exit_code == 1
    facts = json.loads(result.output)
    assert facts["sound"] is False
    assert {k: facts["findings"][0][k] for k in ("code", "index")} == {"code": "ledger.record_changed", "index": 4}
    assert "record 4" in CliRunner().invoke(command, ["verify", str(folder)]).output


def test_a_checkpoint_from_elsewhere_is_compared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("other")
    with Ledger.open(elsewhere) as log:
        log.append_many([("x", {"n": n + 1}) for n in range(9)], NOW)
        note = log.checkpoint(KEY, KEY.name, NOW)
    (elsewhere / "note").write_text(note)
    result = CliRunner().invoke(command, ["verify", str(folder), "--also", str(elsewhere / "note")])
    assert result.exit_code == 1
    assert "ledger.checkpoint_differs" in result.output


def test_a_proof_can_be_checked_from_its_json_alone(folder: Path) -> None:
    result = CliRunner().invoke(command, ["prove", str(folder), "5"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)
    b64 = base64.b64decode
    leaf = merkle.leaf_hash(canonical_json(facts["record"]))
    assert leaf == b64(facts["leaf_hash"])
    assert merkle.inclusion_holds(5, facts["size"], leaf, b64(facts["root"]), [b64(p) for p in facts["proof"]])


def test_proving_a_record_that_is_not_there_is_an_error(folder: Path) -> None:
    result = CliRunner().invoke(command, ["prove", str(folder), "9"])
    assert isinstance(result.exception, IndexOutOfRange)
