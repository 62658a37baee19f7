"""Witnesses against forks, roll-backs and their own forgetfulness."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.ledger import Ledger, SigningKey, Witness, verify_checkpoint
from kerege.ledger.errors import KeyInvalid, NoteInvalid, WitnessRefused

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
ORIGIN = "kerege.example/ledger"
KEY = SigningKey.generate(ORIGIN)


def log_of(folder: Path, *bodies: int) -> Ledger:
    ledger = Ledger.open(folder)
    ledger.append_many([("x", {"n": n}) for n in bodies], NOW)
    return ledger


def witness(folder: Path) -> Witness:
    return Witness(SigningKey.generate("chamber.example"), (KEY.verifier,), folder / "witness.json")


def test_a_witness_follows_a_growing_log(tmp_path: Path) -> None:
    chamber = witness(tmp_path)
    with log_of(tmp_path / "log", 1, 2, 3) as ledger:
        signed = chamber.countersign(ledger.checkpoint(KEY, ORIGIN, NOW), (), NOW)
        found = verify_checkpoint(signed, KEY.verifier, witnesses=[chamber.key.verifier], quorum=1)
        assert found.witnesses == {"chamber.example": NOW}
        ledger.append_many([("x", {"n": 4}), ("x", {"n": 5})], NOW)
        chamber.countersign(ledger.checkpoint(KEY, ORIGIN, NOW), ledger.consistency(3, 5), NOW)
        seen = chamber.seen(ORIGIN)
        assert seen is not None
        assert seen.size == 5


def test_two_views_of_one_log_cannot_both_be_witnessed(tmp_path: Path) -> None:
    chamber = witness(tmp_path)
    with log_of(tmp_path / "shown", 1, 2, 3) as shown, log_of(tmp_path / "hidden", 1, 2, 4, 5) as hidden:
        chamber.countersign(shown.checkpoint(KEY, ORIGIN, NOW), (), NOW)
        fork = hidden.checkpoint(KEY, ORIGIN, NOW)
        for proof in ((), hidden.consistency(3, 4)):
            with pytest.raises(WitnessRefused, match="consistency proof does not hold"):
                chamber.countersign(fork, proof, NOW)
        seen = chamber.seen(ORIGIN)
        assert seen is not None
        assert seen.root == shown.root()


def test_a_witness_does_not_follow_a_log_back(tmp_path: Path) -> None:
    chamber = witness(tmp_path)
    with log_of(tmp_path / "a", 1, 2, 3) as long, log_of(tmp_path / "b", 1, 2) as short:
        chamber.countersign(long.checkpoint(KEY, ORIGIN, NOW), (), NOW)
        with pytest.raises(WitnessRefused, match="became shorter"):
            chamber.countersign(short.checkpoint(KEY, ORIGIN, NOW), (), NOW)
    with log_of(tmp_path / "c", 1, 2, 9) as other, pytest.raises(WitnessRefused, match="same size"):
        chamber.countersign(other.checkpoint(KEY, ORIGIN, NOW), (), NOW)


def test_a_witness_signs_only_for_logs_it_watches_and_what_they_signed(tmp_path: Path) -> None:
    chamber = witness(tmp_path)
    stranger = SigningKey.generate("stranger.example/log")
    impostor = SigningKey.generate(ORIGIN)
    with log_of(tmp_path / "log", 1) as ledger:
        with pytest.raises(WitnessRefused, match="does not watch"):
            chamber.countersign(ledger.checkpoint(stranger, "stranger.example/log", NOW), (), NOW)
        with pytest.raises(NoteInvalid):
            chamber.countersign(ledger.checkpoint(impostor, ORIGIN, NOW), (), NOW)
    assert chamber.seen(ORIGIN) is None


def test_a_log_cannot_be_its_own_witness(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalid):
        Witness(SigningKey("other.example", KEY.private), (KEY.verifier,), tmp_path / "state.json")
