"""Personal content beside the tree: committed to, revealed, erased, and the tree none the worse."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.ledger import Ledger, Openings, SigningKey, audit, commit, merkle, new_salt, opens

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
ORIGIN = "kerege.example/ledger"


@given(st.text(), st.text(), st.binary(min_size=16, max_size=40))
def test_only_the_value_and_the_salt_open_a_commitment(value: str, other: str, salt: bytes) -> None:
    commitment = commit(value, salt)
    assert opens(commitment, value, salt)
    assert opens(commitment, other, salt) == (other == value)
    assert not opens(commitment, value, salt + b"!")


def test_a_guessable_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        commit("x", b"short")


def test_one_salt_per_person_links_that_persons_records_and_no_others() -> None:
    mine, theirs = new_salt(), new_salt()
    assert commit("20000000000000", mine) == commit("20000000000000", mine)
    assert commit("20000000000000", mine) != commit("20000000000000", theirs)


def test_a_person_is_erased_and_the_ledger_still_verifies(tmp_path: Path) -> None:
    key = SigningKey.generate(ORIGIN)
    openings = Openings.open(tmp_path / "openings")
    value = {"child": "a made-up child", "pin": "20101201500001"}
    with Ledger.open(tmp_path / "ledger") as ledger:
        subject = openings.keep(value)
        entry = ledger.append("read", {"subject": subject, "by": "officer-1"}, NOW)
        ledger.append("read", {"subject": openings.keep("another"), "by": "officer-1"}, NOW)
        note = ledger.checkpoint(key, ORIGIN, NOW)
        assert openings.reveal(subject) == value

        assert openings.erase(subject)
        assert openings.reveal(subject) is None
        assert not openings.erase(subject)
        left = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert b"20101201500001" not in left
        assert b"made-up" not in left
        assert merkle.inclusion_holds(0, 2, entry.leaf_hash, ledger.root(), ledger.inclusion(0))
    found = audit(tmp_path / "ledger", key.verifier, [note])
    assert found.sound
    assert found.size == 2


def test_openings_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    openings = Openings.open(tmp_path / "openings")
    openings.keep("x")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*.json")}
    assert modes == {0o600}


def test_an_opening_that_was_changed_opens_nothing(tmp_path: Path) -> None:
    openings = Openings.open(tmp_path)
    commitment = openings.keep("x")
    [path] = tmp_path.rglob("*.json")
    path.write_text(path.read_text().replace('"x"', '"y"'))
    assert openings.reveal(commitment) is None


def test_a_crafted_commitment_names_no_file_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Openings.open(tmp_path).erase("hmac-sha256:../../etc/passwd")
