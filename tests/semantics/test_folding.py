"""The closed letter tables."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.normalise import folding

from .support import CELLS

TEXT = CELLS.filter(lambda c: c is not None).map(str)


def test_the_case_tables_are_one_to_one() -> None:
    assert len(set(folding.UPPER)) == len(folding.UPPER)
    assert len(set(folding.LOWER)) == len(folding.LOWER)
    assert folding.lower(folding.UPPER) == folding.LOWER
    assert folding.upper(folding.LOWER) == folding.UPPER


def test_no_character_is_folded_twice_over() -> None:
    assert not set(folding.FOLD_FROM) & set(folding.FOLD_DROP)
    assert not set(folding.FOLD_FROM) & set(folding.WHITESPACE)
    assert len(set(folding.FOLD_FROM)) == len(folding.FOLD_FROM) == len(folding.FOLD_TO)
    assert not set(folding.FOLD_TO) & set(folding.FOLD_FROM)


def test_every_blank_python_knows_is_a_blank_of_the_table() -> None:
    known = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    assert known <= set(folding.WHITESPACE)


@given(TEXT)
def test_the_text_operators_are_idempotent(text: str) -> None:
    for function in (folding.upper, folding.lower, folding.trim, folding.collapse, folding.fold):
        once = function(text)
        assert function(once) == once, function.__name__


@given(st.text(st.characters(min_codepoint=0x400, max_codepoint=0x45F), max_size=20))
def test_composed_and_decomposed_letters_fold_together(text: str) -> None:
    text = "".join(c for c in text if c in folding.LOWER + folding.UPPER)
    assert folding.fold(unicodedata.normalize("NFD", text)) == folding.fold(text)


@pytest.mark.parametrize(
    "spellings",
    [
        "Жумабек ЖУМАБЕК Zhumabek Jumabek Джумабек Dzhumabek Djumabek",
        "Өмүрзакова Омурзакова Omurzakova Ömürzakova",
        "Алиев Aliev Aliyev Алыев",
        "Жээнбеков Zheenbekov Jeenbekov Женбеков",
        "Теңиз Тениз Тенгиз Tengiz Teniz",
        "Чыңгыз Чингиз Chynggyz Chyngyz Chingiz",
        "Евгений Evgeny Evgeniy Yevgeniy",
        "Пётр Петр Petr Pyotr",
        "Щербаков Shcherbakov Scherbakov",
        "Айгүл Айгуль Aigul Aygul Ай-Гүл",
        "Асхат Askhat Ashat",
    ],
)
def test_spellings_of_one_name_share_a_key(spellings: str) -> None:
    keys = {word: folding.latin_key(word) for word in spellings.split()}
    assert len(set(keys.values())) == 1, keys


@pytest.mark.parametrize(
    "pair", ["Азамат Азиз", "Нурлан Нурдан", "Асан Үсөн", "Айдай Айдар", "Бакыт Бекет", "Медер Мирлан"]
)
def test_different_names_have_different_keys(pair: str) -> None:
    first, second = pair.split()
    assert folding.latin_key(first) != folding.latin_key(second)


def test_look_alike_letters_of_the_other_script_are_put_right() -> None:
    assert folding.latin_key("Aсaнов") == folding.latin_key("Асанов")  # Latin A and a in a Cyrillic word
    assert folding.latin_key("Аsanov") == folding.latin_key("Asanov")  # a Cyrillic А in a Latin word


@given(TEXT)
def test_keys_have_only_small_latin_letters_and_digits(text: str) -> None:
    key = folding.latin_key(text)
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
