"""An installation's ledger: its key is made once and kept to its owner, and heads signed with it are there to publish."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kerege.ledger import Ledger, VerifierKey, audit, newest_head, open_signing, verifier_key, verify_checkpoint
from kerege.ledger.installation import key_file, ledger_folder

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)


def test_heads_are_signed_with_one_key_made_once(tmp_path: Path) -> None:
    for expected in (1, 2):
        with open_signing(tmp_path) as log:
            log.append("x", {}, NOW)
            log.sign_head(NOW)
        note, key = newest_head(tmp_path), verifier_key(tmp_path)
        assert note is not None
        assert key is not None
        assert verify_checkpoint(note, VerifierKey.parse(key)).checkpoint.size == expected
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o600
    found = audit(ledger_folder(tmp_path), VerifierKey.parse(key))
    assert (found.sound, found.checkpoints, found.head) == (True, 2, 2)


def test_before_the_first_head_there_is_nothing_to_publish(tmp_path: Path) -> None:
    assert (newest_head(tmp_path), verifier_key(tmp_path)) == (None, None)


def test_who_opens_the_ledger_without_the_key_signs_nothing(tmp_path: Path) -> None:
    with Ledger.open(ledger_folder(tmp_path)) as log:
        log.append("x", {}, NOW)
        assert log.sign_head(NOW) is None
    assert newest_head(tmp_path) is None


def test_a_verifier_key_lost_in_a_crash_is_written_again(tmp_path: Path) -> None:
    open_signing(tmp_path).close()
    before = verifier_key(tmp_path)
    key_file(tmp_path).with_name("ledger.key.pub").unlink()
    open_signing(tmp_path).close()
    assert verifier_key(tmp_path) == before
