"""Patterns of the closed dialect: one meaning in every engine, and nothing that could hang one."""

from __future__ import annotations

import re

import duckdb
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.contracts.patterns import PatternUnusable, read


@pytest.mark.parametrize(("text", "written"), [
    (r"^\d{14}$", "^[0-9]{14}$"), ("ACC[0-9]{8}", "ACC[0-9]{8}"), ("a.b", "a[^\n]b"), (r"\.\-", r"\.-"), ("(ab)?c", "(?:ab)?c"),
    ("^(a|b)$", "^(?:a|b)$"), ("[а-яөүң]+", "[а-яңүө]+"), (r"a\$", r"a\$"), ("", ""), (r"[\d.]", "[.0-9]"), ("[a-]", r"[\-a]"),
    ("[^a]", "[^a]"), ("a{2,}", "a{2,}"), ("a{0,1}", "a?"),
])  # fmt: skip
def test_a_pattern_is_written_anew_with_its_classes_spelled_out(text: str, written: str) -> None:
    assert read(text).written == written


@pytest.mark.parametrize("text", [
    r"(?=a)", r"(?!a)", r"(?i)a", r"(?P<n>a)", r"(a)\1", r"\bword\b", r"\w+", r"\s", r"\p{L}", "a*?", "a++", "a{2}{3}", "a{300}", "(a{50}){50}",
    "a|b$", "^a|b", "a^b", "a$b", "[]a]", "[a", "(a", "a)", "*a", "a{", "a{2,1}", "[z-a]", "[[:alpha:]]", "[a&&b]", "a\\", "x" * 1001,
    "(" * 30 + "a" + ")" * 30,
])  # fmt: skip
def test_what_engines_read_differently_or_could_hang_in_is_not_read(text: str) -> None:
    with pytest.raises(PatternUnusable):
        read(text)


_ATOMS = st.sampled_from(["a", "б", r"\d", ".", "[a-c]", "[^b]", r"\.", "(a|бб)", "(ab)", "[ү-ө]", r"[\]\-]", " "])
_PIECES = st.tuples(_ATOMS, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}"])).map("".join)
_PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.lists(_PIECES, max_size=4).map("".join), st.sampled_from(["", "$"])
)
_VALUES = st.lists(st.text(alphabet="abcбөү0٣.\n -]", max_size=6), min_size=1, max_size=12)


@given(_PATTERNS.map("".join), _VALUES)
@settings(max_examples=50, deadline=None)
def test_python_rust_and_duckdb_match_the_same_values(text: str, values: list[str]) -> None:
    found = read(text)
    rust = jsonschema_rs.validator_for(
        {"pattern": found.written}, pattern_options=jsonschema_rs.RegexOptions()
    ).is_valid
    python = re.compile(found.written.removesuffix("$") + r"\Z" if found.to_end else found.written)
    asked = "SELECT regexp_matches(v, ?) FROM unnest(CAST(? AS VARCHAR[])) AS u(v)"
    assert [rust(v) for v in values] == [python.search(v) is not None for v in values]
    with duckdb.connect() as db:
        rows = db.execute(asked, [found.written, values]).fetchall()
    assert [row[0] for row in rows] == [rust(v) for v in values]


def test_a_pattern_that_would_hang_a_backtracking_engine_takes_no_time() -> None:
    fits = jsonschema_rs.validator_for(
        {"pattern": read("^(a+)+$").written}, pattern_options=jsonschema_rs.RegexOptions()
    ).is_valid
    assert not fits("a" * 50_000 + "b")
