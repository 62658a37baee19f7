"""Patterns read a text in one way only, and every way of running them is that way."""

from __future__ import annotations

import re
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.errors import MappingInvalid
from kerege.semantics.normalise.folding import WHITESPACE
from kerege.semantics.patterns.documents import read_patterns
from kerege.semantics.patterns.pattern import Pattern, Reader, expression, names_of, scan, stops_of

from .patterns_support import ADDRESS, HOUSE

_PIECES = [
    "г.",
    "ГОР.",
    "с.",
    " ",
    ",",
    ", ",
    "ул.",
    "Бишкек",
    "Кара Суу",
    " ш.",
    " шш",
    " айылы",
    "Токтогул",
    " көч.",
    " көчөсү",
    " көч",
    "12",
    "7",
    "а",
]
_TEXTS = st.one_of(
    st.lists(
        st.sampled_from([*_PIECES, "-батир", "-", ", кв. ", "д.", "үй", "/", "\u2003", "\n", "?"]), max_size=12
    ).map("".join),
    st.text(max_size=8),
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "г. Бишкек, ул. Токтогула, д. 125а, кв. 14",
            {"locality": "Бишкек", "street": "Токтогула", "house": "125а", "flat": "14"},
        ),
        ("С.Кара Суу ,УЛ.Ленина 12-5", {"locality": "Кара Суу", "street": "Ленина", "house": "12", "flat": "5"}),
        ("Ош ш., Исанова көч. 12", {"locality": "Ош", "street": "Исанова", "house": "12"}),
        ("Талас айылы Манаса көчөсү 7, 5-батир", {"locality": "Талас", "street": "Манаса", "house": "7", "flat": "5"}),
        ("Ош", None),
        ("Ош ш., Исанова көч. 12 эмнедир", None),
    ],
)
def test_an_address_is_read_whole_or_not_at_all(text: str, parts: dict[str, str] | None) -> None:
    assert Reader(ADDRESS).read(text) == parts


@pytest.mark.parametrize("pattern", [ADDRESS, HOUSE])
@given(text=_TEXTS)
@settings(max_examples=300, deadline=None)
def test_the_compiled_reader_gives_what_the_definition_says(pattern: Pattern, text: str) -> None:
    assert Reader(pattern).read(text) == scan(pattern, text)


@pytest.mark.parametrize("pattern", [ADDRESS, HOUSE])
@given(text=_TEXTS)
@settings(max_examples=300, deadline=None)
def test_an_engine_that_goes_back_finds_nothing_else(pattern: Pattern, text: str) -> None:
    found = None
    for line in pattern.lines:
        match = re.compile(expression(line)).fullmatch(text)
        if match and not any(re.search(stops, match.group(at + 1)) for at, stops in stops_of(line)):
            pairs = zip(names_of(line), match.groups(), strict=True)
            found = {name: bare for name, value in pairs if value and (bare := value.strip(WHITESPACE))}
            break
    assert found == scan(pattern, text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[{as: a, of: digits}, digits]", "nothing says where it ends"),
        ("[{as: a, of: {not: ','}}, letters]", "nothing says where it ends"),
        ("[{as: a, of: digits}, {optional: [',']}, {optional: [', ', letters]}]", "nothing says whether it is there"),
        ("[{as: a, of: digits}, {any: [ул, ул.]}, '.']", "may stand what makes it"),
        ("[{as: a, upto: [' а', 'а б']}, digits]", "may overlap another stop"),
        ("[{optional: [{as: a, of: digits}]}]", "always there and never empty"),
        ("[{as: a, of: digits}, {as: a, of: letters}]", "a part is named twice"),
        ("[{as: a, of: [{as: b, upto: [х]}]}]", "`upto` stands in a line itself"),
        ("[{as: a, of: [digits, {as: b, of: letters}]}]", "holds another part"),
        ("[{as: a, of: digits}, {optional: [blanks]}]", "may be empty anyway"),
        ("[{as: a, of: {digits: [3, 1]}}]", "a run is of at least"),
        ("[{as: a, of: digits, more: 1}]", "unknown keys more"),
        ("[{regex: '.*'}]", "an element is a literal"),
    ],
)
def test_a_line_that_leaves_a_choice_is_refused_with_the_reason(line: str, reason: str) -> None:
    with pytest.raises(MappingInvalid, match=re.escape(reason)):
        read_patterns({"p": [yaml.safe_load(line)]}, "m.yaml")


def test_a_hostile_text_takes_time_in_proportion_to_its_length() -> None:
    reader = Reader(ADDRESS)
    begun = time.process_time()
    assert reader.read("а" + " ш. көч." * 20_000) is None
    assert reader.read("1" * 200_000) is None
    assert time.process_time() - begun < 1
