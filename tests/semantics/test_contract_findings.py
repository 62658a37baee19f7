"""What is wrong with a contract before any data is held against it."""

from __future__ import annotations

from typing import Any

import pytest

from kerege.semantics.contracts.contract import Contract
from kerege.semantics.contracts.findings import CODES, findings
from kerege.semantics.contracts.odcs import parse

from .contract_support import contract, custom, lists, quality


def owned(made: Contract) -> Contract:
    told = dict(made.document)
    told["team"] = {"name": "Unit"}
    told["customProperties"] = custom(legalBasis="Law")
    return parse(told)


def found(properties: list[dict[str, Any]], **more: Any) -> list[tuple[str, str]]:
    return [(f.code, f.where) for f in findings(owned(contract(properties, **more)), lists)]


@pytest.mark.parametrize("one", [
    {"required": True, "quality": [quality("invalidValues", arguments={"validValues": ["a", None]})]},
    {"required": True, "quality": [quality("nullValues", "mustBeLessOrEqualTo", 5, unit="percent")]},
    {"primaryKey": True, "quality": [quality("missingValues", "mustBeBetween", [0, 3])]},
    {"required": False, "quality": [quality("nullValues")]},
])  # fmt: skip
def test_a_contract_that_says_two_things_about_null_is_found(one: dict[str, Any]) -> None:
    assert ("null_twice", "t.a") in found([{"name": "a", "logicalType": "string", **one}])


def test_a_contract_that_says_one_thing_about_null_is_not() -> None:
    one = {
        "name": "a",
        "logicalType": "string",
        "required": True,
        "quality": [quality("nullValues"), quality("missingValues", "mustBeLessThan", 1)],
    }
    assert found([one]) == []


@pytest.mark.parametrize(("one", "code"), [
    ({"logicalType": "integer", "logicalTypeOptions": {"minimum": 5, "maximum": 4}}, "bounds_crossed"),
    ({"logicalType": "date", "logicalTypeOptions": {"minimum": "2026-01-01", "exclusiveMaximum": "2026-01-01"}}, "bounds_crossed"),
    ({"logicalType": "string", "logicalTypeOptions": {"minLength": 5, "maxLength": 4}}, "bounds_crossed"),
    ({"logicalType": "string", "logicalTypeOptions": {"pattern": r"\bword"}}, "not_run"),
    ({"logicalType": "string", "logicalTypeOptions": {"format": "email"}}, "not_run"),
    ({"logicalType": "number", "logicalTypeOptions": {"multipleOf": 0.1}}, "not_run"),
    ({"logicalType": "date", "logicalTypeOptions": {"format": "dd.MM.yyyy"}}, "not_run"),
    ({"quality": [{"type": "sql", "query": "SELECT 1", "mustBe": 1}]}, "not_run"),
    ({"primaryKey": True, "required": False, "logicalType": "string"}, "key_optional"),
])  # fmt: skip
def test_what_cannot_hold_or_cannot_be_asked_is_found(one: dict[str, Any], code: str) -> None:
    assert (code, "t.a") in found([{"name": "a", **one}])


def test_a_pattern_that_is_not_read_keeps_a_contract_from_being_published_and_a_rule_of_another_tool_does_not() -> None:
    severities = {
        f.code: f.severity
        for f in findings(
            owned(contract([{"name": "a", "logicalType": "string", "logicalTypeOptions": {"pattern": "(?=a)"}}])), lists
        )
    }
    assert severities == {"not_run": "error", "nothing_asked": "warning"} or severities == {"not_run": "error"}


def test_the_whole_document_is_looked_at_and_every_code_is_explained() -> None:
    bare = contract([{"name": "a"}, {"name": "b", "physicalName": "A"}], version="1", status="alive")
    told = findings(bare, lists)
    assert {f.code for f in told} == {
        "version_not_semantic", "status_unknown", "owner_missing", "legal_basis_missing", "nothing_asked", "twice_the_same_column",
    }  # fmt: skip
    assert [f.severity for f in told] == sorted((f.severity for f in told), key=lambda s: s != "error")
    assert {f.code for f in told} <= set(CODES)


def test_a_code_list_of_another_version_is_noticed() -> None:
    made = owned(
        contract(
            [{"name": "a", "logicalType": "string", "customProperties": custom(codeList="kg:sex", codeListVersion="1")}]
        )
    )
    assert [f.code for f in findings(made, lists, {"kg:sex": "2"})] == ["codelist_version"]
