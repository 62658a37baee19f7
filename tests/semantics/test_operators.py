"""The laws each operator declares, held on generated dirt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.semantics.engines.emit_python import compile_record, pin_contradicts, source_of
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.operators import function_of
from kerege.semantics.mappings.problems import MEANINGS

from .patterns_support import ADDRESS
from .support import CELLS, PROJECT, country_pack, small_pack

CELL = ir.Field("a")
# One way of setting each one-input operator, and where its laws depend on the setting, several.
MADE: list[ir.Expr] = [
    *(
        make(CELL)
        for make in (ir.Trim, ir.Collapse, ir.Upper, ir.Lower, ir.Fold, ir.Number, ir.Pin, ir.NameCase, ir.StreetKey)
    ),
    ir.Remove(CELL, "аa- .'"),
    ir.Split(CELL, "-", 1),
    *(ir.Extract(CELL, ADDRESS, part) for part in ("locality", "flat")),
    ir.Take(CELL, 2, 3),
    *(ir.Pad(CELL, 9, fill) for fill in ("0", "ж")),
    ir.ParseDate(CELL, ("yyyy-mm-dd", "d.m.yyyy", "timestamp")),
    *(ir.Code(CELL, alphabet, length) for alphabet in ("digits", "latin", "cyrillic") for length in (None, 2)),
    ir.Phone(CELL),
    *(
        ir.Recode(CELL, f"t:{policy}-folded")
        for policy in ("reject", "quarantine", "pass-and-flag", "null-and-flag", "default")
    ),
    ir.Lookup(CELL, "t:list", "wording", "notation"),
    ir.RecodeAsOf(ir.Together((CELL, CELL, CELL)), "t:dated-folded", ("b",)),
    ir.LookupAsOf(ir.Together((CELL, CELL)), "t:list", "wording", "en"),
    ir.Member(CELL, "t:list"),
    *(ir.NamePart(CELL, part) for part in ("surname", "given_name", "patronymic")),
    *(ir.NameKey(CELL, kind) for kind in ("surname", "given_name", "patronymic", "father_in_surname", "full")),
    *(ir.AddressPart(CELL, part) for part in ("street_key", "house", "soate")),
    *(ir.PlaceCode(CELL, by) for by in ("name", "code")),
]
TEXT = CELLS.filter(lambda c: c is not None and bool(c.strip())).map(str)
LIGHT = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def test_every_one_input_operator_is_among_those_tried() -> None:
    alone = {name for name, kind in ir.OPERATORS.items() if "of" in kind.__dataclass_fields__}
    assert {expr.name for expr in MADE} == alone


@pytest.mark.parametrize("expr", MADE, ids=lambda e: str(ir.describe(e)[2:])[:80] + e.name)
@given(text=TEXT)
@LIGHT
def test_an_operator_keeps_its_laws(expr: ir.Expr, text: str) -> None:
    function = function_of(expr, small_pack())
    value, issue = function(text)
    assert value != "", "the empty string is not a value"
    if expr.laws.total:
        assert issue is None
    if issue is not None:
        assert issue[0] in MEANINGS
    if expr.laws.idempotent and value is not None and issue is None:
        assert function(value) == (value, None)
    assert function(text) == (value, issue), "the same input gives the same output"


def test_a_date_and_a_recoding_can_be_had_back() -> None:
    pack = small_pack()
    for expr in (ir.ParseDate(CELL, ("dd.mm.yyyy",)), ir.Recode(CELL, "t:reject-exact")):
        assert expr.laws.reversible != "no"
    assert function_of(ir.ParseDate(CELL, ("dd.mm.yyyy",)), pack)("31.12.2019") == ("2019-12-31", None)
    table = pack.crosswalk("t:reject-exact").table
    assert len(set(table.values())) == len(table), "reversible by table: no two codes share a target here"


@pytest.mark.parametrize(
    ("pin", "birth_date", "sex", "contradicts"),
    [
        ("20101201500001", "2015-01-01", "1", False),
        ("20101201500001", "2015-01-02", "1", True),
        ("20101201500001", "2015-01-01", "2", True),
        ("10101201500001", "2015-01-01", "2", False),
        ("20101201500001", None, None, False),
        ("20101201500001", None, "0", False),
        ("20101201500001", None, "9", False),
    ],
)
def test_only_what_both_sides_know_can_contradict(
    pin: str, birth_date: str | None, sex: str | None, contradicts: bool
) -> None:
    assert pin_contradicts(pin, birth_date, sex) is contradicts


def test_the_generated_function_is_straight_code_without_interpretation() -> None:
    pack = country_pack()
    source = source_of(pack.mapping("kg:civil.birth-record"), pack)
    assert source.startswith("def mapper(record):")
    assert "for " not in source.replace("[p for p in", "")


def test_a_record_without_any_cell_gives_nulls_and_says_what_is_required() -> None:
    pack = country_pack()
    for mapping in pack.mappings.values():
        mapped = compile_record(mapping, pack)({})
        assert set(mapped.values.values()) == {None}
        told = [p.field for p in mapped.problems]
        assert told == [field.name for field in mapping.fields if field.required]


@given(st.data())
@LIGHT
def test_any_record_is_mapped_by_every_mapping_of_the_country(data: st.DataObject) -> None:
    pack = country_pack()
    for mapping in pack.mappings.values():
        record = {cell: data.draw(CELLS) for cell in mapping.cells[:4]}
        mapped = pack.mapper(mapping.id)(record)
        assert list(mapped.values) == [field.name for field in mapping.fields]
        assert all(value != "" for value in mapped.values.values())


def _reference() -> str:
    return Path(PROJECT / "docs" / "reference" / "semantics.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(ir.OPERATORS))
def test_the_reference_tells_each_operators_laws_as_declared(name: str) -> None:
    laws = ir.OPERATORS[name].laws
    said = f"| `{name}` |"
    row = next(line for line in _reference().splitlines() if line.startswith(said))
    yes: Callable[[bool], str] = lambda flag: "yes" if flag else "no"  # noqa: E731
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[-4:] == [
        yes(laws.idempotent),
        yes(laws.total),
        laws.reversible,
        "SQL" if laws.sql else "per distinct value",
    ]


def test_the_reference_tells_every_problem_and_date_format() -> None:
    from kerege.semantics.normalise.dates import FORMATS

    text: Any = _reference()
    for code in MEANINGS:
        assert f"`{code}`" in text
    for name in FORMATS:
        assert f"`{name}`" in text
