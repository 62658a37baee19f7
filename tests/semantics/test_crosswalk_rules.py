"""Crosswalks whose rows depend on the record's day and its other cells: what they come to, and what contradicts itself."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics.crosswalks.rows import TRANSLATING, conditions_text, parse_conditions
from kerege.semantics.crosswalks.rules import cardinalities, compile_rows
from kerege.semantics.crosswalks.sssom import (
    NOT,
    Condition,
    Crosswalk,
    Policy,
    Row,
    parse_sssom,
    read_sssom,
    write_sssom,
)
from kerege.semantics.errors import CrosswalkInvalid, CrosswalkTwice

from .support import SHARED

D1, D2, D3 = date(2020, 1, 1), date(2021, 12, 31), date(2022, 1, 1)
HEADER = "#mapping_set_id: https://e.org/x\n"
COLUMNS = "subject_id\tpredicate_id\tobject_id\tmapping_justification"


def test_a_code_is_mapped_as_of_the_records_date() -> None:
    walk = Crosswalk("x", (Row("a", "old", valid_to=D2), Row("a", "new", valid_from=D3)))
    assert walk.translate("a", D2) == ("old", True)
    assert walk.translate("a", D3) == ("new", True)
    walk.require_single()


def test_a_row_ends_at_its_last_day_inclusive() -> None:
    walk = Crosswalk("x", (Row("a", "1", valid_from=D1, valid_to=D2),))
    assert [walk.translate("a", day)[1] for day in (D1, D2, D1 - timedelta(1), D2 + timedelta(1))] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_record_without_a_date_meets_no_dated_row_and_is_counted() -> None:
    walk = Crosswalk("x", (Row("a", "1", valid_from=D1),), policy=Policy("reject"))
    assert walk.translate("a") == (None, False)
    assert walk.unmapped["a"] == 1
    assert "a" not in walk.table, "an engine that knows no dates must not take the row for one that always holds"


def test_other_cells_of_the_record_decide() -> None:
    town = Row("17", "urban", conditions=(Condition("kind", ("town", "city")),))
    village = Row("17", "rural", conditions=(Condition("kind", ("village",)),))
    walk = Crosswalk("x", (town, village))
    assert walk.translate("17", cells={"kind": "city"}) == ("urban", True)
    assert walk.translate("17", cells={"kind": "village"}) == ("rural", True)
    assert walk.translate("17", cells={"kind": None})[1] is False
    assert walk.translate("17")[1] is False


def test_the_narrower_condition_wins_over_the_wider() -> None:
    rows = (
        Row("a", "any"),
        Row("a", "one", conditions=(Condition("k", ("1", "2")),)),
        Row("a", "both", conditions=(Condition("k", ("1",)), Condition("m", ("9",)))),
    )
    walk = Crosswalk("x", rows)
    walk.require_single()
    cells = [{}, {"k": "2"}, {"k": "1"}, {"k": "1", "m": "9"}, {"m": "9"}]
    assert [walk.translate("a", cells=c)[0] for c in cells] == ["any", "one", "one", "both", "any"]


def test_conditions_are_compared_folded_where_codes_are() -> None:
    walk = Crosswalk("x", (Row("ЧҮЙ", "3", conditions=(Condition("вид", ("Область",)),)),), match="folded")
    assert walk.translate("чуй", cells={"вид": " ОБЛАСТЬ "}) == ("3", True)


def test_a_crosswalk_that_maps_one_code_twice_on_one_date_is_refused_with_both_rows() -> None:
    text = (
        HEADER + COLUMNS + "\tkerege_valid_from\tkerege_valid_to\n"
        "a:1\tskos:exactMatch\tb:1\tx\t2020-01-01\t\n"
        "a:1\tskos:exactMatch\tb:2\tx\t\t2020-01-01\n"
        "a:2\tskos:exactMatch\tb:2\tx\t\t\n"
    )
    walk = parse_sssom(text, "x.sssom.tsv")
    with pytest.raises(CrosswalkTwice) as caught:
        walk.require_single("x.sssom.tsv")
    said = str(caught.value)
    assert "'1' is mapped twice: row 1 says '1' (2020-01-01 to ...), row 2 says '2' (... to 2020-01-01)" in said
    assert walk.translate("1", D1)[1] is False, "never guess"
    assert walk.translate("2", D1) == ("2", True)


def test_conditions_neither_inside_the_other_are_a_contradiction_too() -> None:
    walk = Crosswalk(
        "x", (Row("a", "1", conditions=(Condition("k", ("1",)),)), Row("a", "2", conditions=(Condition("m", ("1",)),)))
    )
    assert walk.compiled.twice[0].overlap
    assert walk.translate("a", cells={"k": "1"})[1] is False
    apart = Crosswalk(
        "x", (Row("a", "1", conditions=(Condition("k", ("1",)),)), Row("a", "2", conditions=(Condition("k", ("2",)),)))
    )
    assert not apart.compiled.twice


@pytest.mark.parametrize(
    ("against", "said"),
    [
        (Row("a", "1", predicate_modifier=NOT), "not '1'"),
        (Row("a", None), "that it has no counterpart"),
        (Row("", "1"), "that nothing is '1'"),
        (Row("a", "1", "skos:closeMatch", predicate_modifier=NOT), "not '1'"),
    ],
)
def test_a_target_that_somebody_denied_is_not_used_because_another_row_says_it(against: Row, said: str) -> None:
    walk = Crosswalk("x", (Row("a", "1"), Row("b", "2"), against))
    assert (walk.table, walk.ambiguous) == ({"b": "2"}, {"a"})
    assert walk.translate("a") == (None, False)
    with pytest.raises(CrosswalkTwice, match=f"row 1 says '1' .* row 3 says {said}"):
        walk.require_single()
    (finding,) = walk.check()
    assert (finding.code, finding.notation, finding.severity) == ("denied", "a", "error")
    assert parse_sssom(write_sssom(walk).decode(), "x").ambiguous == {"a"}


@pytest.mark.parametrize(
    ("said", "against"),
    [
        (
            Row("a", "1", "skos:broadMatch"),
            Row("a", "1", predicate_modifier=NOT),
        ),  # wider, and for that reason not the same
        (Row("a", "1", "skos:broadMatch"), Row("a", None)),
        (Row("a", "1"), Row("a", "2", predicate_modifier=NOT)),
        (Row("a", "1", valid_from=D3), Row("a", "1", predicate_modifier=NOT, valid_to=D2)),
        (Row("a", "1"), Row("a", None, "skos:relatedMatch")),  # nobody has decided
    ],
)
def test_a_denial_speaks_against_the_contrary_only(said: Row, against: Row) -> None:
    walk = Crosswalk("x", (said, against))
    walk.require_single()
    assert walk.translate("a", D3) == ("1", True)


def test_an_installations_own_row_takes_the_place_of_what_said_that_nothing_is_its_target() -> None:
    below = Crosswalk("x", (Row("b", "2"), Row("", "1")))
    assert below.merged(Crosswalk("x", (Row("a", "1"),))).table == {"a": "1", "b": "2"}


def test_an_exact_row_speaks_on_its_days_and_a_close_one_on_the_others() -> None:
    walk = Crosswalk("x", (Row("a", "close", TRANSLATING[1]), Row("a", "exact", valid_from=D1, valid_to=D2)))
    days = [D1 - timedelta(1), D1, D2, D3]
    assert [walk.translate("a", day)[0] for day in days] == ["close", "exact", "exact", "close"]
    stretches = [(r.valid_from, r.valid_to, r.target) for r in walk.compiled.rules["a"]]
    assert stretches == [(None, D1 - timedelta(1), "close"), (D1, D2, "exact"), (D3, None, "close")]


def test_rows_that_agree_do_not_take_days_from_each_other() -> None:
    walk = Crosswalk("x", (Row("a", "1", valid_from=D1), Row("a", "1", TRANSLATING[1]), Row("b", "1"), Row("b", "1")))
    assert walk.translate("a") == ("1", True), "the undated row holds whatever the day is"
    assert len(walk.compiled.rules["b"]) == 1
    assert walk.table == {"b": "1"}


KEYS, TARGETS = st.sampled_from("ab"), st.sampled_from("123")
DAYS = st.none() | st.integers(0, 6).map(lambda n: D1 + timedelta(n))
CONDITIONS = st.dictionaries(
    st.sampled_from("km"), st.lists(st.sampled_from("xyz"), min_size=1, max_size=3), max_size=2
).map(lambda found: tuple(Condition(c, tuple(found[c])) for c in sorted(found)))


@st.composite
def dated_rows(draw: st.DrawFn) -> Row:
    first, last = draw(DAYS), draw(DAYS)
    if first and last and last < first:
        first, last = last, first
    predicate = draw(st.sampled_from(TRANSLATING[:2]))
    conditions = draw(CONDITIONS)
    return Row(
        draw(KEYS), draw(TARGETS), predicate, valid_from=first, valid_to=last, conditions=conditions
    )  # fmt: skip


def _narrower(a: Row, b: Row) -> bool:
    sets = {c.cell: set(c.values) for c in a.conditions}
    return all(c.cell in sets and sets[c.cell] <= set(c.values) for c in b.conditions)


def _by_definition(rows: list[Row], code: str, day: date | None, cells: dict[str, str]) -> set[str]:
    """Targets of the rows that hold and that no row speaks before, straight from the rules in words."""
    holding = [
        r
        for r in rows
        if r.subject == code
        and (r.valid_from is None or (day is not None and day >= r.valid_from))
        and (r.valid_to is None or (day is not None and day <= r.valid_to))
        and all(cells.get(c.cell) in c.values for c in r.conditions)
    ]

    def before(a: Row, b: Row) -> bool:
        if a.conditions == b.conditions:
            return TRANSLATING.index(a.predicate) < TRANSLATING.index(b.predicate)
        return _narrower(a, b)

    return {str(r.object) for r in holding if not any(before(o, r) for o in holding if o is not r)}


@given(st.lists(dated_rows(), max_size=5))
@settings(max_examples=60)
def test_the_compiled_form_says_what_the_rows_say(rows: list[Row]) -> None:
    compiled = compile_rows(rows, lambda code: code)
    days = [None, *(D1 + timedelta(n) for n in range(-1, 8))]
    for code, day, k, m in itertools.product("ab", days, ("x", "y", None), ("x", "z", None)):
        cells = {name: value for name, value in (("k", k), ("m", m)) if value is not None}
        rule = compiled.find(code, day, [cells.get(cell) for cell in compiled.cells])
        if any(twice.key == code for twice in compiled.twice):
            assert rule is None
        else:
            expected = _by_definition(rows, code, day, cells)
            assert len(expected) <= 1
            # a dateless record meets only what never ends or begins; pieces cut by a dated rival count as dated
            if day is not None or not any(r.valid_from or r.valid_to for r in rows):
                assert ({rule.target} if rule else set()) == expected


@given(st.lists(dated_rows(), max_size=5))
@settings(max_examples=60)
def test_what_is_said_without_a_day_is_so_on_every_day(rows: list[Row]) -> None:
    compiled = compile_rows(rows, lambda code: code)
    for code, k, m in itertools.product(compiled.rules, ("x", "y", None), ("x", "z", None)):
        cells = {"k": k, "m": m}
        given_values = [cells.get(cell) for cell in compiled.cells]
        rule = compiled.find(code, None, given_values)
        found = [compiled.find(code, D1 + timedelta(n), given_values) for n in range(-1, 8)]
        if rule is not None:
            assert {r.target if r else None for r in found} == {rule.target}


def test_a_wider_rule_does_not_speak_for_a_record_whose_missing_day_would_decide() -> None:
    narrow = Row("1", "X", valid_from=D1, valid_to=D2, conditions=(Condition("region", ("KG",)),))
    walk = Crosswalk("x", (Row("1", "M"), narrow), policy=Policy("quarantine"))
    walk.require_single()
    kg, ru = {"region": "KG"}, {"region": "RU"}
    assert [walk.translate("1", day, kg)[0] for day in (D1, D3)] == ["X", "M"]
    assert walk.translate("1", None, kg) == (None, False), "it needs the day"
    assert walk.unmapped["1"] == 1
    assert [walk.translate("1", None, cells) for cells in (ru, {})] == [("M", True)] * 2
    agreeing = Crosswalk("x", (Row("1", "M"), replace(narrow, object="M")))
    assert agreeing.translate("1", None, kg) == ("M", True), "whatever the day was"


@given(st.lists(dated_rows(), max_size=5))
@settings(max_examples=40)
def test_the_flat_relation_joined_as_sql_would_gives_the_same(rows: list[Row]) -> None:
    compiled = compile_rows(rows, lambda code: code)
    for day, k in itertools.product([D1 + timedelta(n) for n in range(0, 7, 2)], ("x", "y")):
        cells = {"k": k, "m": "z"}
        given_values = [cells.get(c) for c in compiled.cells]
        for code in compiled.rules:
            met = [
                (line[1], line[-1])
                for line in compiled.relation()
                if line[0] == code
                and (line[2] is None or str(line[2]) <= day.isoformat())
                and (line[3] is None or day.isoformat() <= str(line[3]))
                and all(w is None or w == g for w, g in zip(line[4:-1], given_values, strict=True))
            ]
            rule = compiled.find(code, day, given_values)
            assert (min(met)[1] if met else None) == (rule.target if rule else None)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=6)


@given(st.dictionaries(NAMES.filter(lambda n: n == n.strip()), st.lists(NAMES, min_size=1, max_size=3), max_size=3))
def test_conditions_written_are_read_back_the_same(found: dict[str, list[str]]) -> None:
    conditions = tuple(Condition(cell, tuple(found[cell])) for cell in sorted(found))
    assert parse_conditions(conditions_text(conditions)) == conditions


@given(st.lists(dated_rows(), max_size=4))
@settings(max_examples=30)
def test_rows_with_days_and_conditions_survive_the_file(rows: list[Row]) -> None:
    walk = Crosswalk("kg:a--b", tuple(rows))
    assert parse_sssom(write_sssom(walk).decode(), "x").rows == walk.rows


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("2020-13-01\t\t", "yyyy-mm-dd"),
        ("2022-01-01\t2021-01-01\t", "ends before it begins"),
        ("\t\tkind", "not written cell=value"),
        ("\t\tkind=", "none of them empty"),
        ("\t\tkind=a; kind=b", "stands twice"),
    ],
)
def test_a_validity_or_condition_that_cannot_be_read_names_its_line(cells: str, reason: str) -> None:
    head = HEADER + COLUMNS + "\tkerege_valid_from\tkerege_valid_to\tkerege_conditions\n"
    with pytest.raises(CrosswalkInvalid, match=reason) as caught:
        parse_sssom(head + "a:1\tskos:exactMatch\tb:1\tx\t" + cells + "\n", "x.sssom.tsv")
    assert "line 3" in str(caught.value)


def test_conditions_with_more_combinations_than_anyone_means_are_refused() -> None:
    many = tuple(Condition(c, tuple(str(n) for n in range(40))) for c in "abc")
    with pytest.raises(CrosswalkInvalid, match="more than 1000 combinations"):
        Crosswalk("x", (Row("a", "1", conditions=many),))


@pytest.mark.vectors
@pytest.mark.parametrize(
    "name",
    [
        "cardinality", "cardinality-scope-empty", "cardinality-scope-predicate",
        "cardinality-scope-predicate+object_source", "cardinality-with-unmapped-entities",
    ],
)  # fmt: skip
def test_cardinality_is_computed_as_the_official_examples_declare_it(name: str) -> None:
    path = SHARED / "vectors" / "sssom" / "examples" / "schema" / f"{name}.sssom.tsv"
    if not path.is_file():
        pytest.skip("not there: ../shared/vectors/sssom")
    walk = read_sssom(path)
    assert walk.cardinalities() == [row.other["mapping_cardinality"] for row in walk.rows]
    assert "cardinality_wrong" not in {finding.code for finding in walk.check()}


def test_a_declared_cardinality_that_is_not_true_is_found() -> None:
    rows = (Row("a", "1", other={"mapping_cardinality": "1:1"}), Row("b", "1", other={"mapping_cardinality": "n:1"}))
    (finding,) = Crosswalk("x", rows).check()
    assert (finding.code, finding.notation) == ("cardinality_wrong", "a")
    assert "says 1:1, the rows make it n:1" in finding.message


def test_cardinality_counts_within_the_scope_named() -> None:
    rows = [Row("a", "1", "p"), Row("a", "2", "q")]
    slot = lambda row, name: row.predicate  # noqa: E731
    assert cardinalities(rows, (), slot) == ["1:n", "1:n"]
    assert cardinalities(rows, ("predicate_id",), slot) == ["1:1", "1:1"]


WHOLE = write_sssom(
    Crosswalk(
        "kg:a--b",
        (Row("1", "2", confidence=0.5, valid_from=D1, conditions=(Condition("k", ("x", "y")),)), Row("w", None, literal=True)),
        "kg:a", "kg:b", header={"cardinality_scope": ["predicate_id"]},
    )
).decode()  # fmt: skip


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_crosswalk_is_read_or_refused_and_never_crashes(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    pieces = [
        "\x00",
        '"',
        "[",
        ": 5",
        "\t",
        "\n#",
        "\n",
        "- a",
        "2020-99-99",
        "curie_map: 3\n#",
        "extension_definitions: 7\n#",
        "license: [a]\n#",
    ]
    piece = data.draw(st.sampled_from(pieces) | st.text(max_size=3))
    bad = data.draw(
        st.sampled_from(
            [
                WHOLE[:at],
                WHOLE[:at] + piece + WHOLE[at:],
                WHOLE[:at] + piece + WHOLE[at + len(piece) :],
                "#" + piece + "\n" + WHOLE,
            ]
        )
    )
    try:
        walk = parse_sssom(bad, "x.sssom.tsv")
    except CrosswalkInvalid:
        return
    walk.check()
    assert isinstance(walk, Crosswalk)


@pytest.mark.parametrize(
    "header", ["curie_map: 3", "curie_map: [a]", "extension_definitions: 7", "cardinality_scope: 3"]
)
def test_a_header_of_another_shape_is_refused_with_its_slot(header: str) -> None:
    with pytest.raises(CrosswalkInvalid, match=header.partition(":")[0]):
        parse_sssom(f"#{header}\n" + HEADER + COLUMNS + "\na:1\tskos:exactMatch\tb:1\tx\n", "x.sssom.tsv")
