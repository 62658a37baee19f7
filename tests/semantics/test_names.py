"""People's names: parts, keys, and a comparison that is sure only when it may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.normalise import names
from kerege.semantics.normalise.names import NameMatch

WHOLE = ("Асанов", "Азамат", "Бакытович")


def key_of(text: str) -> dict[str, str | None]:
    return names.person_name(text).keys()


def compared(a: str, b: str) -> NameMatch:
    return names.compare(key_of(a), key_of(b))


@pytest.mark.parametrize(
    "text",
    [
        "Асанов Азамат Бакытович",
        "Азамат Бакытович Асанов",
        "Азамат Асанов Бакытович",
        "АСАНОВ АЗАМАТ БАКЫТ УУЛУ",
        "Азамат Бакыт уулу Асанов",
        "Бакыт уулу Азамат Асанов",
        "Asanov Azamat Bakytovich",
        "Azamat Bakyt uulu Asanov",
        "  асанов,  азамат бакытович ",
    ],
)
def test_a_name_in_any_order_and_style_gives_the_same_keys(text: str) -> None:
    assert key_of(text) == {"surname_key": "asanov", "given_name_key": "azamat", "patronymic_key": "bakit"}
    assert names.person_name(text).certain


def test_a_name_of_two_words_goes_by_the_ending_of_the_surname() -> None:
    for text in ("Айгерим Асанова", "АСАНОВА АЙГЕРИМ"):
        found = names.person_name(text)
        assert (found.surname, found.given_name, found.patronymic, found.certain) == ("Асанова", "Айгерим", None, True)


def test_a_patronymic_in_the_surnames_place_leaves_the_surname_unknown() -> None:
    found = names.person_name("Бакыт уулу Азамат")
    assert (found.surname, found.given_name, found.patronymic) == (None, "Азамат", "Бакыт уулу")
    assert names.keys("БАКЫТ УУЛУ", "АЗАМАТ", None) == {
        "surname_key": None,
        "given_name_key": "azamat",
        "patronymic_key": "bakit",
    }


def test_an_order_that_had_to_be_assumed_is_said_to_be() -> None:
    assert not names.person_name("Эсен Айдай").certain
    assert not names.person_name("Асанов А. Б.").certain
    assert not names.person_name("").certain


@pytest.mark.parametrize(
    "forms",
    [
        ["Бакытович", "Бакытовна", "Бакыт уулу", "Бакыт кызы", "Bakytovich", "Bakyt uulu", "Bakyt kyzy", "Бакыткызы"],
        ["Токтобаевич", "Токтобай уулу", "Toktobai kyzy", "Токтобаевна"],
        ["Мамбеталиевич", "Мамбетали уулу", "Mambetalievich"],
        ["Өмүрбекович", "Омурбек уулу", "Omurbekovna"],
        ["Жолдошбаевна", "Джолдошбай кызы", "Joldoshbaevich"],
        ["Яковлевич", "Яков уулу"],
        ["Алексеевич", "Алексеевна", "Alekseevich"],
        ["Ильич", "Ильинична"],
        ["Кеңешович", "Кенеш уулу", "Keneshovna"],
    ],
)
def test_the_fathers_name_is_the_same_in_every_style(forms: list[str]) -> None:
    roots = {form: names.father_root(form) for form in forms}
    assert len(set(roots.values())) == 1, roots


def test_equal_parts_in_other_spelling_and_style_are_the_same_name() -> None:
    assert compared("Өмүрбекова Айгүл Кеңешбек кызы", "OMURBEKOVA AIGUL KENESHBEKOVNA").verdict == "same"
    assert compared("Асанов Азамат Бакытович", "Азамат Асанов").verdict == "same"


def test_twins_are_different_although_all_but_the_given_name_agrees() -> None:
    for one, other in (("Асан", "Үсөн"), ("Хасан", "Хусен"), ("Айгерим", "Айпери"), ("Нурлан", "Нурбек")):
        found = compared(f"Асанов {one} Бакытович", f"Асанов {other} Бакытович")
        assert found.verdict == "different", (one, other, found)


def test_given_names_one_letter_apart_are_never_the_same() -> None:
    for one, other in (("Айдай", "Айдар"), ("Нурлан", "Нурдан"), ("Айгерим", "Айгерм")):
        assert compared(f"Асанов {one} Бакытович", f"Асанов {other} Бакытович").verdict == "similar"


def test_two_children_of_one_name_with_other_fathers_are_not_the_same() -> None:
    assert compared("Асанов Азамат Бакытович", "Асанов Азамат Эркинович").verdict == "similar"


def test_an_unknown_surname_on_one_side_leaves_a_doubt() -> None:
    assert compared("Бакыт уулу Азамат", "Асанов Азамат Бакытович").verdict == "similar"
    assert compared("Бакыт уулу Азамат", "Азамат Бакытович").verdict == "same"


def test_swapped_fields_are_known_and_sure_only_with_the_same_father() -> None:
    a = {"surname_key": "asanov", "given_name_key": "azamat", "patronymic_key": "bakit"}
    swapped = {"surname_key": "azamat", "given_name_key": "asanov", "patronymic_key": "bakit"}
    assert names.compare(a, swapped).verdict == "same"
    assert names.compare(a, swapped | {"patronymic_key": None}).verdict == "similar"


def test_a_surname_in_the_other_gender_is_near() -> None:
    found = compared("Асанова Айгерим Бакытовна", "Асанов Айгерим Бакытовна")
    assert found.verdict == "similar"
    assert "surname near" in found.reasons


def test_nothing_in_common_is_different() -> None:
    assert compared("Асанов Азамат Бакытович", "Мамбетова Бегимай Эркиновна").verdict == "different"


KEYS = st.fixed_dictionaries(
    {
        part: st.none() | st.text("abeiknortuz", min_size=1, max_size=9)
        for part in ("surname_key", "given_name_key", "patronymic_key")
    }
)


@given(KEYS, KEYS)
def test_comparing_is_symmetric_and_its_score_lies_between_none_and_one(
    a: dict[str, str | None], b: dict[str, str | None]
) -> None:
    there, back = names.compare(a, b), names.compare(b, a)
    assert there.verdict == back.verdict
    assert there.score == pytest.approx(back.score)
    assert 0.0 <= there.score <= 1.0


@given(KEYS, KEYS)
def test_same_needs_the_given_name_or_a_swap(a: dict[str, str | None], b: dict[str, str | None]) -> None:
    if names.compare(a, b).verdict == "same":
        assert a["given_name_key"] == b["given_name_key"] or a["given_name_key"] == b["surname_key"]


@given(KEYS)
def test_a_name_without_a_given_name_is_never_sure(a: dict[str, str | None]) -> None:
    assert names.compare(a | {"given_name_key": None}, a).verdict != "same" or a["given_name_key"] == a["surname_key"]


@given(st.text(max_size=60))
def test_any_text_can_be_taken_apart(text: str) -> None:
    found = names.person_name(text)
    for value in found.keys().values():
        assert value is None or value
    assert names.proper(names.proper(text)) == names.proper(text)


def test_names_are_written_as_proper_names_are() -> None:
    assert names.proper("САРЫ-БАЙ") == "Сары-Бай"
    assert names.proper("БАКЫТ  УУЛУ") == "Бакыт уулу"
    assert names.proper("ӨМҮРЗАКОВА") == "Өмүрзакова"
