import pytest

from kerege.ground.text import Text


def test_a_text_speaks_each_of_the_three_languages():
    text = Text(ky="Мектеп", ru="Школа", en="School")
    assert [text.in_(language) for language in ("ky", "ru", "en")] == ["Мектеп", "Школа", "School"]


def test_a_missing_language_is_refused():
    with pytest.raises(ValueError, match="lacks its ky"):
        Text(ky=" ", ru="Школа", en="School")


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="unknown language"):
        Text(ky="а", ru="б", en="c").in_("de")
