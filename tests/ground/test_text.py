import pytest

from kerege.ground.text import Said, Text, counted, filled


def test_a_text_speaks_each_of_the_three_languages():
    text = Text(ky="Мектеп", ru="Школа", en="School")
    assert [text.in_(language) for language in ("ky", "ru", "en")] == ["Мектеп", "Школа", "School"]


def test_a_missing_language_is_refused():
    with pytest.raises(ValueError, match="lacks its ky"):
        Text(ky=" ", ru="Школа", en="School")


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="unknown language"):
        Text(ky="а", ru="б", en="c").in_("de")


@pytest.mark.parametrize(
    ("number", "what", "told"),
    [
        (0, "row", "0 rows"), (1, "row", "1 row"), (2, "row", "2 rows"), (1, "entry", "1 entry"), (3, "entry", "3 entries"),
        (2, "day", "2 days"), (2, "match", "2 matches"), (2, "code list", "2 code lists"), (-1, "day", "-1 days"),
    ],
)  # fmt: skip
def test_a_thing_takes_the_form_of_its_number(number, what, told):
    assert counted(number, what) == told


def test_a_template_asks_for_the_form_that_goes_with_a_number():
    template = "{list}: {n:# open code} {n:is|are} left, of {all:,}"
    assert filled(template, {"list": "a", "n": 1, "all": 1200}) == "a: 1 open code is left, of 1,200"
    assert filled(template, {"list": "a", "n": 2, "all": 1200}) == "a: 2 open codes are left, of 1,200"
    assert filled("{a} | {{b}}", {"a": "as it is"}) == "as it is | {b}"


def test_a_sentence_counts_in_english_and_keeps_its_numbers_for_other_languages():
    told = Said("codes_open", "{n:# code} {n:is|are} open", n=1)
    assert (told, told.facts) == ("1 code is open", {"n": 1})
