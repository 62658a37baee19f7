"""Keyed pseudonyms: made once, kept private, not joinable."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.identity.errors import KeyDamaged, KeyExposed
from kerege.identity.pseudonyms import KEY_FILE, PseudonymKey, open_key

PIN = "20101198500001"


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = open_key(tmp_path)
    path = tmp_path / "keys" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_key(tmp_path).of(PIN) == first.of(PIN)
    assert [p.name for p in path.parent.iterdir()] == [KEY_FILE]


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: open_key(tmp_path), range(8)))
    assert len({key.of(PIN) for key in keys}) == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_key(tmp_path)
    (tmp_path / "keys" / KEY_FILE).chmod(0o640)
    with pytest.raises(KeyExposed, match="0640"):
        open_key(tmp_path)


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31, "ключ"])
def test_a_damaged_key_is_never_replaced_in_silence(tmp_path: Path, content: str) -> None:
    open_key(tmp_path)
    path = tmp_path / "keys" / KEY_FILE
    path.write_text(content, encoding="utf-8")
    with pytest.raises(KeyDamaged):
        open_key(tmp_path)
    assert path.read_text(encoding="utf-8") == content


def test_the_secret_shows_neither_in_repr_nor_in_the_pseudonym() -> None:
    key = PseudonymKey(b"k" * 32)
    assert "kkk" not in repr(key)
    assert PIN not in key.of(PIN)


def test_two_uses_give_pseudonyms_that_cannot_be_joined() -> None:
    key = PseudonymKey(b"k" * 32)
    assert len({key.of(PIN), key.for_use("case/a").of(PIN), key.for_use("case/b").of(PIN)}) == 3


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1).filter(str.strip))
def test_a_pseudonym_is_a_function_of_key_and_number(secret: bytes, number: str) -> None:
    assert PseudonymKey(secret).of(number) == PseudonymKey(secret).of(f"  {number} ")


def test_an_empty_number_has_no_pseudonym() -> None:
    with pytest.raises(ValueError, match="needs a number"):
        PseudonymKey(b"k" * 32).of("  ")
