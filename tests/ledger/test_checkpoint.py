"""Signed notes and checkpoints, against the format's own example and against forgeries."""

from __future__ import annotations

import string
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.ledger import Checkpoint, SigningKey, VerifierKey, merkle, verify_checkpoint
from kerege.ledger.checkpoint import cosignature, parse_note, sign_checkpoint
from kerege.ledger.errors import KeyInvalid, NoteInvalid

NOW = datetime(2026, 11, 22, 4, 10, 7, tzinfo=UTC)
ORIGIN = "kerege.example/ledger"
KEY = SigningKey.generate(ORIGIN)
ROOT = merkle.leaf_hash(b"x")
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), KEY, NOW)


def test_a_checkpoint_reads_as_origin_size_root() -> None:
    assert NOTE.startswith(f"{ORIGIN}\n7\n")
    assert NOTE.count("\n— ") == 2
    found = verify_checkpoint(NOTE, KEY.verifier)
    assert found.checkpoint == Checkpoint(ORIGIN, 7, ROOT)
    assert found.signed_at == NOW


def test_the_key_of_the_go_checksum_database_reads_and_writes_back() -> None:
    # the published verifier key of sum.golang.org, the oldest log in this format
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert VerifierKey.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000+AAAA", "name+zz+!!", "a b+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"],
)
def test_a_verifier_key_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(KeyInvalid):
        VerifierKey.parse(text)


def test_a_key_id_belongs_to_its_name() -> None:
    with pytest.raises(KeyInvalid, match="key id"):
        VerifierKey.parse(KEY.verifier.text.replace("kerege.example", "other.example"))


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, len(NOTE) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_no_character_of_a_note_can_be_changed(place: int, character: str) -> None:
    changed = NOTE[:place] + character + NOTE[place + 1 :]
    if changed == NOTE:
        return
    try:
        found = verify_checkpoint(changed, KEY.verifier)
    except NoteInvalid:
        return
    # a changed name or key id only turns the time-stamped line into an unknown one, which readers must ignore
    assert found.checkpoint == Checkpoint(ORIGIN, 7, ROOT)
    assert found.signed_at is None


def test_a_note_has_one_spelling_so_bits_that_stand_for_nothing_are_refused() -> None:
    lines = NOTE.splitlines()
    of = [at for at, text in enumerate(lines) if text.endswith("=")]
    assert of
    for at in of:
        padding = len(lines[at]) - len(lines[at].rstrip("="))
        last = lines[at][-padding - 1]
        other = ALPHABET[ALPHABET.index(last) ^ 1]  # the lowest bit of it is not of the value
        changed = [*lines[:at], lines[at][: -padding - 1] + other + "=" * padding, *lines[at + 1 :]]
        with pytest.raises(NoteInvalid, match="base64"):
            verify_checkpoint("\n".join(changed) + "\n", KEY.verifier)


def test_another_logs_note_or_an_unsigned_one_is_refused() -> None:
    other = SigningKey.generate("other.example/log")
    with pytest.raises(NoteInvalid, match="another log"):
        verify_checkpoint(sign_checkpoint(Checkpoint("other.example/log", 7, ROOT), other, NOW), KEY.verifier)
    with pytest.raises(NoteInvalid, match="signature is missing"):
        verify_checkpoint(sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), other, NOW), KEY.verifier)


def test_the_same_name_with_another_key_is_not_the_log() -> None:
    impostor = SigningKey.generate(ORIGIN)
    with pytest.raises(NoteInvalid, match="missing"):
        verify_checkpoint(sign_checkpoint(Checkpoint(ORIGIN, 7, ROOT), impostor, NOW), KEY.verifier)


def test_a_time_stamped_signature_alone_does_not_stand_for_the_logs_own() -> None:
    text = Checkpoint(ORIGIN, 7, ROOT).text
    with pytest.raises(NoteInvalid, match="missing"):
        verify_checkpoint(f"{text}\n{cosignature(text, KEY, NOW)}", KEY.verifier)


def test_a_quorum_counts_known_witnesses_once_and_never_the_log_itself() -> None:
    chamber, university = SigningKey.generate("chamber.example"), SigningKey.generate("university.example")
    text = Checkpoint(ORIGIN, 7, ROOT).text
    note = NOTE + cosignature(text, chamber, NOW) * 2
    keys = [chamber.verifier, university.verifier, VerifierKey("me.example", KEY.verifier.public)]
    assert verify_checkpoint(note, KEY.verifier, witnesses=keys, quorum=1).witnesses == {"chamber.example": NOW}
    with pytest.raises(NoteInvalid, match="1 known witness signed, 2 are asked for"):
        verify_checkpoint(note, KEY.verifier, witnesses=keys, quorum=2)
    both = note + cosignature(text, university, NOW)
    assert len(verify_checkpoint(both, KEY.verifier, witnesses=keys, quorum=2).witnesses) == 2


@pytest.mark.parametrize(
    "note",
    [
        "",
        "a\n1\n",
        NOTE[:-1],
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\n7\n", "\n٧\n"),
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("\n7\n", "\r\n7\n"),
        NOTE + "— x AAAA\n",
        NOTE + "— x y z\n",
        NOTE * 300,
    ],
)
def test_what_is_not_a_note_is_refused_not_crashed_on(note: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_note(note)


def test_an_origin_that_would_read_as_a_cosignature_is_refused() -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint("cosignature/v1", 1, ROOT)
