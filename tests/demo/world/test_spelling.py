import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.demo.world.spelling import HABITS, can_lose_letters, latin, lose_letters

KYRGYZ = st.text(alphabet="абвгдеёжзийклмнңоөпрстуүфхцчшщъыьэюяАБЖҢӨҮШ- ", max_size=30)


@given(KYRGYZ)
def test_a_russian_keyboard_loses_exactly_three_letters(word):
    lost = lose_letters(word)
    assert not set(lost) & set("ңөүҢӨҮ")
    assert len(lost) == len(word)
    assert lose_letters(lost) == lost
    assert can_lose_letters(word) == bool(set(word) & set("ңөүҢӨҮ"))


@given(KYRGYZ, st.sampled_from(HABITS))
def test_no_cyrillic_letter_is_left_in_latin(word, habit):
    assert not any("Ѐ" <= letter <= "ӿ" for letter in latin(word, habit))


@pytest.mark.parametrize(
    ("habit", "written"),
    [("passport", "Zhenish Omur uulu"), ("bgn", "Jengish Ömür uulu"), ("sloppy", "Jenish Omur uulu")],
)
def test_one_name_is_written_in_three_latin_habits(habit, written):
    assert latin("Жеңиш Өмүр уулу", habit) == written


def test_capitals_stay_capitals_in_latin():
    assert latin("ЖЕҢИШ", "passport") == "ZHENISH"
    assert latin("Жеңиш", "passport") == "Zhenish"
    assert latin("ЧҮЙ обл.", "bgn") == "CHÜY obl."
