"""What changed between two versions, whom it breaks, and the version number it asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.diff import diff, judge, parts, step
from kerege.semantics.contracts.odcs import parse

from .contract_support import contract, custom, quality

FIELD: dict[str, Any] = {"name": "a", "logicalType": "integer"}


def pair(old: dict[str, Any] | None, new: dict[str, Any] | None) -> tuple[Contract, Contract]:
    rest = [{"name": "z", "logicalType": "string"}]
    return contract([*([{**FIELD, **old}] if old is not None else []), *rest]), contract(
        [*([{**FIELD, **new}] if new is not None else []), *rest], version="2.0.0"
    )


def valid(*values: int) -> dict[str, Any]:
    return {"quality": [quality("invalidValues", arguments={"validValues": list(values)})]}


C, P = {"consumers"}, {"providers"}


@pytest.mark.parametrize(("old", "new", "code", "breaks"), [
    ({}, None, "field_removed", C),
    (None, {}, "field_added", set()),
    (None, {"required": True}, "required_field_added", P),
    ({}, {"required": True}, "required_added", P),
    ({"required": True}, {}, "required_removed", C),
    ({}, {"logicalType": "number"}, "type_widened", C),
    ({"logicalType": "number"}, {}, "type_narrowed", P),
    ({}, {"logicalType": "string"}, "type_changed", C | P),
    ({"logicalTypeOptions": {"maximum": 5}}, {"logicalTypeOptions": {"maximum": 4}}, "maximum_tightened", P),
    ({"logicalTypeOptions": {"maximum": 5}}, {"logicalTypeOptions": {"maximum": 6}}, "maximum_loosened", C),
    ({"logicalTypeOptions": {"minimum": 5}}, {"logicalTypeOptions": {"minimum": 6}}, "minimum_tightened", P),
    ({"logicalTypeOptions": {"minimum": 10}}, {"logicalTypeOptions": {"minimum": 9}}, "minimum_loosened", C),
    ({}, {"logicalTypeOptions": {"minimum": 0}}, "minimum_added", P),
    ({"unique": True}, {}, "unique_removed", C),
    ({"logicalType": "string", "logicalTypeOptions": {"pattern": "^a$"}}, {"logicalType": "string", "logicalTypeOptions": {"pattern": "^b$"}},
     "pattern_changed", C | P),
    (valid(1, 2), valid(1), "validValues_values_removed", P),
    (valid(1), valid(1, 2), "validValues_values_added", C),
    ({"customProperties": custom(codeList="kg:sex", codeListVersion="1")}, {"customProperties": custom(codeList="kg:sex", codeListVersion="2")},
     "codeListVersion_changed", C | P),
    ({"customProperties": custom(unit="som")}, {"customProperties": custom(unit="tyiyn")}, "unit_changed", C | P),
    ({"customProperties": custom(concept="person.sex")}, {"customProperties": custom(concept="person.gender")}, "concept_changed", C | P),
    ({}, {"customProperties": custom(unit="som")}, "unit_changed", set()),
    ({}, {"physicalName": "b"}, "column_renamed", C),
    ({"description": "x"}, {"description": "y"}, "described", set()),
    ({}, {"quality": [quality("nullValues", severity="warning")]}, "required_added", set()),
    ({"required": True}, {"quality": [quality("nullValues", severity="info")]}, "severity_changed", C),
])  # fmt: skip
def test_a_change_is_named_and_says_whom_it_breaks(
    old: dict[str, Any] | None, new: dict[str, Any] | None, code: str, breaks: set[str]
) -> None:
    found = {change.code: change for change in diff(*pair(old, new))}
    assert code in found
    assert set(found[code].breaks) == breaks


def test_a_pattern_written_otherwise_and_meaning_the_same_is_no_change() -> None:
    def of(pattern: str) -> dict[str, Any]:
        return {"logicalType": "string", "logicalTypeOptions": {"pattern": pattern}}

    assert list(diff(*pair(of(r"^\d{14}$"), of("^[0-9]{14}$")))) == []


@pytest.mark.parametrize(("old", "new", "needs", "enough"), [
    ("1.2.3", "2.0.0", "major", True), ("1.2.3", "1.3.0", "major", False), ("0.1.0", "0.2.0", "major", True), ("0.1.0", "0.1.1", "major", False),
    ("1.2.3", "1.2.3", "none", True), ("1.2.3", "1.2.2", "none", False), ("1.2.3", "1.3.0", "minor", True), ("1.2.3", "1.2.4", "minor", False),
    ("1.2.3", "1.2.4", "patch", True), ("1.2", "1.3.0", "patch", False),
])  # fmt: skip
def test_the_version_number_must_be_enough_for_the_changes(old: str, new: str, needs: str, enough: bool) -> None:
    change = {
        "major": {"required": True},
        "minor": {"customProperties": custom(unit="m")},
        "patch": {"description": "x"},
        "none": {},
    }[needs]
    a = parse({**contract([FIELD]).document, "version": old})
    b = parse({**contract([{**FIELD, **change}]).document, "version": new})
    found = judge(a, b)
    assert (found.needed, found.enough) == (needs, enough)
    assert bool(found.reason) is not enough


def test_a_stricter_mode_breaks_who_delivers() -> None:
    calm, strict = contract([FIELD]), contract([FIELD], customProperties=custom(mode="reject"))
    assert {c.code: set(c.breaks) for c in diff(calm, strict)} == {"mode_changed": P}
    assert {c.code: set(c.breaks) for c in diff(strict, calm)} == {"mode_changed": set()}


_PROPERTY = st.fixed_dictionaries(
    {"name": st.sampled_from("abc"), "logicalType": st.sampled_from(["string", "integer", "date"])},
    optional={"required": st.booleans(), "unique": st.booleans(), "description": st.sampled_from("xy")},
)
_CONTRACT = st.lists(_PROPERTY, max_size=3, unique_by=lambda p: p["name"]).map(contract)


@given(_CONTRACT, _CONTRACT)
def test_nothing_changes_from_a_contract_to_itself_and_something_breaks_one_way_or_the_other(
    a: Contract, b: Contract
) -> None:
    assert list(diff(a, a)) == []
    there, back = list(diff(a, b)), list(diff(b, a))
    assert bool(there) == bool(back), "what is a change is one in either direction"
    assert json.dumps([change.as_dict() for change in there])
    hard = any(c.level != "patch" for c in there)
    assert not hard or any(c.breaking for c in [*there, *back])


def test_versions_are_read_strictly() -> None:
    assert [parts(v) for v in ("1.2.3", "1.2.3-rc.1", "01.2.3", "1.2", "v1.2.3")] == [
        (1, 2, 3),
        (1, 2, 3),
        None,
        None,
        None,
    ]
    assert [step((1, 2, 3), v) for v in ((2, 0, 0), (1, 3, 0), (1, 2, 4), (1, 2, 3), (1, 2, 2))] == [
        "major", "minor", "patch", "none", None,
    ]  # fmt: skip
