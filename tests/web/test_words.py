"""Every line of the interface is there in three languages, and every key that a page asks for exists."""

import re
import string
from pathlib import Path

import pytest
from django.utils import translation

import kerege.web
from kerege.ground.text import Text
from kerege.services import definitions
from kerege.web import told, words
from kerege.web.desks import desk_findings_words

ROOM = Path(kerege.web.__file__).parent
TEMPLATES = sorted((ROOM / "templates").rglob("*.html"))
KYRGYZ = set("ңөүҢӨҮ")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda p: p.name)
def test_every_key_in_a_template_is_worded(template):
    asked = set(re.findall(r'\{%\s*t\s+"([^"]+)"', template.read_text(encoding="utf-8")))
    assert sorted(asked - set(words.catalogue())) == []


def test_every_key_in_the_code_is_worded():
    asked = set()
    for file in ROOM.rglob("*.py"):
        asked |= set(re.findall(r'(?<![\w.])word\(\s*"([^"{]+)"', file.read_text(encoding="utf-8")))
    assert len(asked) > 10
    assert sorted(asked - set(words.catalogue())) == []


def test_every_line_is_asked_for_by_a_page_or_the_code():
    """By its whole key, by a group of coded values (`{% term "state" x %}`), or by a beginning that the code fills (`f"rule.{kind}"`)."""
    written = "\n".join(
        file.read_text(encoding="utf-8") for kind in ("*.py", "*.html", "*.js") for file in sorted(ROOM.rglob(kind))
    )
    whole = set(re.findall(r"""["']([\w.:/-]+)["']""", written))
    groups = set(re.findall(r'(?:%\s*term|\bterm\(|_from_english\()\s*"([^"]+)"', written)) | {
        *desk_findings_words.NAMES,
        *told.GROUPS.values(),
    }
    begun = {f"{group}." for group in groups} | set(re.findall(r'f"([\w-]+(?:[.][\w-]+)*[.-])\{', written))
    left = [key for key in words.catalogue() if key not in whole and not key.startswith(tuple(begun))]
    assert left == []


def test_the_same_places_are_filled_in_all_three_languages():
    def places(line):
        return {name for _, name, _, _ in string.Formatter().parse(line) if name}

    for key, text in words.catalogue().items():
        assert places(text.ky) == places(text.ru) == places(text.en), key


def test_no_line_was_left_in_another_language():
    cyrillic = re.compile("[а-яА-ЯёЁңөүҢӨҮ]")
    about_letters = {
        "dirt.spelling_loss",
        "dirt.patronymic_style",
        "signin.demo_warning",
    }  # these name Cyrillic on purpose
    for key, text in words.catalogue().items():
        if key not in about_letters:
            assert not cyrillic.search(text.en), key
            assert not KYRGYZ & set(text.ru), key
        if len(KYRGYZ & set(text.ky)) or len(text.ky.split()) > 3:
            assert text.ky != text.ru, key


def test_a_word_comes_in_the_language_of_the_page():
    seen = set()
    for language in ("ky", "ru", "en"):
        with translation.override(language):
            seen.add(words.word("home.title"))
    assert len(seen) == 3


def test_a_key_nobody_worded_is_a_programming_error():
    with pytest.raises(KeyError):
        words.word("home.no_such_line")


def test_a_code_without_wording_is_shown_readable():
    with translation.override("en"):
        assert words.term("outcome", "admit") == "Admitted"
        assert words.term("outcome", "sent_back") == "sent back"


def test_texts_of_the_data_speak_the_language_of_the_page():
    text = Text(ky="бала", ru="ребёнок", en="child")
    with translation.override("ru"):
        assert words.say(text) == "ребёнок"
        assert words.say(text.as_dict()) == "ребёнок"
        assert words.say("as it is") == "as it is"
        assert words.say(None) == ""


@pytest.mark.parametrize(
    ("count", "russian", "english"),
    [(1, "поле", "field"), (2, "поля", "fields"), (5, "полей", "fields"), (11, "полей", "fields"), (12, "полей", "fields"),
     (21, "поле", "fields"), (84, "поля", "fields"), (100, "полей", "fields"), (112, "полей", "fields")],
)  # fmt: skip
def test_a_word_takes_the_form_of_its_number(count, russian, english):
    for language, form in (("ru", russian), ("en", english), ("ky", "талаа")):
        with translation.override(language):
            assert words.counted("catalogue.fields_lower", count) == form


def test_a_line_with_forms_has_those_its_language_needs_and_is_asked_for_with_a_number():
    """Russian has three, English two, Kyrgyz one; a line asked for without a number would show all of them with bars between."""
    forms = {key for key, text in words.catalogue().items() if "|" in text.ru}
    assert len(forms) > 10
    for key in forms:
        text = words.catalogue()[key]
        assert [len(text.in_(one).split("|")) for one in ("ky", "ru", "en")] in ([1, 3, 2], [1, 3, 1]), key
    for template in TEMPLATES:
        plain = set(re.findall(r'\{%\s*t\s+"([^"]+)"', template.read_text(encoding="utf-8")))
        assert sorted(plain & forms) == [], template.name


@pytest.mark.parametrize(
    ("one", "other"),
    [("lifecycle", "state"), ("finding", "change"), ("reg-request", "request"), ("reach", "severity"),
     ("cmode.line", "mode"), ("thing", "node")],
)  # fmt: skip
def test_the_same_code_reads_the_same_at_the_desks_and_in_the_catalogue(one, other):
    def group(name):
        return {
            key.removeprefix(f"{name}."): text for key, text in words.catalogue().items() if key.startswith(f"{name}.")
        }

    left, right = group(one), group(other)
    shared = sorted(set(left) & set(right))
    assert shared
    for code in shared:
        for language in ("ky", "ru", "en"):
            assert left[code].in_(language).casefold() == right[code].in_(language).casefold(), (one, other, code)


def test_an_officer_is_told_what_to_look_at_for_every_open_reason():
    reasons = definitions.of("grade1-admission").open_reasons
    assert sorted(code for code in reasons if not words.has(f"to-do.{code}")) == []
