"""Drafts of contracts, made from what is described of a dataset."""

from __future__ import annotations

from typing import Any

import pytest
from contract_births import ME, NOW

from kerege.catalogue.contracts import doings as contracts
from kerege.catalogue.contracts import drafts as contract_drafts
from kerege.catalogue.contracts import queries as contract_queries
from kerege.catalogue.models import Dataset
from kerege.catalogue.sources.described import Leaf, described_table
from kerege.semantics.contracts.message import compile_message
from kerege.semantics.errors import ContractInvalid

pytestmark = pytest.mark.django_db


def described(source: str, kind: str, paths: dict[str, str], **profile: Any) -> Dataset:
    row = Dataset.objects.create(source=source, kind=kind, table="t", rows=0, profile=profile, harvested_at=NOW)
    # a type and perhaps a format
    leaves = [Leaf(path, *declared.partition(" ")[::2]) for path, declared in paths.items()]
    table = described_table("t", "", leaves).described
    assert table is not None
    for one in table.fields:
        row.fields.create(name=one.name, position=one.position, profile=one.as_dict())
    return row


def test_a_draft_of_a_described_dataset_nests_its_paths_and_can_be_opened_and_checked() -> None:
    api = described("api.yaml", "openapi", {
        "[].pin": "string", "[].data[].code": "string", "[].data[].day": "string date", "[].Birth[]": "integer", "[].mentor": "object",
        "[].marks.*": "number", "[].pair[0]": "string", "[].x": "any",
    }, described=True)  # fmt: skip
    row = contract_drafts.draft(api.pk, "kg:births", "1.0.0", ME, NOW)
    told = contract_queries.show("kg:births", NOW)
    assert not [f for f in told.findings if f.code == "uncompilable"]
    properties = {p["name"]: p for p in row.document["schema"][0]["properties"]}
    assert [p["name"] for p in properties["data"]["items"]["properties"]] == ["code", "day"]
    assert {n: p.get("logicalType") for n, p in properties.items()} == {
        "pin": "string", "data": "array", "Birth": "array", "mentor": "object", "marks": "object", "pair": "array", "x": None,
    }  # fmt: skip
    checker = compile_message(contracts.contract_of(row))
    assert (
        checker(
            {"pin": "1", "data": [{"code": "a", "day": "2026-01-01"}], "Birth": [1], "mentor": {}, "marks": {"m": 5}}
        )
        == ()
    )
    assert [b.field for b in checker({"data": [{"code": 5}]})] == ["data[].code"]


def test_a_column_with_a_dot_in_its_name_is_one_property_of_its_own_column() -> None:
    table = described("a.csv", "csv", {"born.day": "string", "born_day": "string", "[]": "string"})
    row = contract_drafts.draft(table.pk, "kg:a", "1.0.0", ME, NOW)
    found = [(p["name"], p.get("physicalName")) for p in row.document["schema"][0]["properties"]]
    assert found == [("born_day_2", "born.day"), ("born_day", None), ("column", "[]")]


@pytest.mark.parametrize(
    ("contract", "version"), [("!! \u043c\u043e\u0439", "1.0.0"), ("kg:", "1.0.0"), ("kg:a", "abc")]
)
def test_a_draft_that_nobody_could_name_is_not_kept(contract: str, version: str) -> None:
    with pytest.raises(ContractInvalid, match="expected"):
        contract_drafts.draft(described("a.csv", "csv", {"code": "string"}).pk, contract, version, ME, NOW)
    assert contract_queries.contracts(NOW) == []
