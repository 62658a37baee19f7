"""Contracts read and written: the standard's own examples, its JSON Schema, and files made to do harm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from contract_support import contract

from kerege.semantics.contracts import odcs, odcs_yaml
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.message import Checker, json_schema
from kerege.semantics.errors import ContractInvalid, ContractRefused

VECTORS = Path(__file__).parents[3] / "shared/vectors/odcs"
EXAMPLES = sorted((VECTORS / "docs/examples").rglob("*.yaml"))
MINIMAL = {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "c", "version": "1.0.0", "status": "draft"}
needs_vectors = pytest.mark.skipif(not EXAMPLES, reason="not there: ../shared/vectors/odcs")


@pytest.fixture(scope="module")
def standard() -> Any:
    return jsonschema_rs.validator_for(json.loads((VECTORS / "schema/odcs-json-schema-v3.1.0.json").read_text("utf-8")))


@needs_vectors
def test_there_are_eighteen_examples_of_the_standard() -> None:
    assert len(EXAMPLES) == 18


@pytest.mark.vectors
@needs_vectors
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_an_example_of_the_standard_is_read_and_written_without_loss_and_fits_the_schema(
    file: Path, standard: Any
) -> None:
    contract = odcs.read(file)
    written = odcs.dumps(contract)
    assert odcs.loads(written) == contract
    assert yaml.safe_load(written) == contract.document, "a reader of YAML 1.1 sees the same"
    assert standard.is_valid(odcs_yaml.load(written))


def test_what_the_standard_does_not_know_is_kept_where_it_stood() -> None:
    told = {
        **MINIMAL,
        "x-other-tool": {"deep": [1, {"two": None}]},
        "schema": [{"name": "a", "x": 1, "properties": []}],
    }
    assert odcs_yaml.load(odcs.dumps(odcs.parse(told))) == told


_TEXTS = st.text(max_size=20).filter(lambda t: all(c.isprintable() or c in "\n\t" for c in t))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
    | st.sampled_from(["no", "NO", "on", "010", "2026-01-01", "12:30:45", "1_000", "0x1F", "~", "null", "1e3", ".5", "=", "<<"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS.filter(bool), inner, max_size=3), max_leaves=8,
)  # fmt: skip


@given(_VALUES)
@settings(max_examples=80, deadline=None)
def test_whatever_value_is_written_comes_back_as_it_was(value: Any) -> None:
    document = {**MINIMAL, "customProperties": [{"property": "p", "value": value}]}
    assert odcs.loads(odcs.dumps(odcs.parse(document))).document == document


def test_codes_stay_texts() -> None:
    told = odcs_yaml.load("codes: [no, 010, 2026-01-01, 12:30:45, 1_000]\nnumbers: [10, 1.5, true, null]")
    assert told["codes"] == ["no", "010", "2026-01-01", "12:30:45", "1_000"]
    assert told["numbers"] == [10, 1.5, True, None]


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join([*lines, *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))])


@pytest.mark.parametrize(("text", "told"), [
    (_bomb(), "aliases grow"),
    ("\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000))]), "levels"),
    ("a: &a [*a]", "contains itself"),
    ("a: " + "[" * 5000, "deep"),
    ("a: [" + "1," * 300_000 + "]", "values"),
    ("x" * (odcs_yaml.LARGEST + 1), "bytes"),
    ("a: !!python/object/apply:os.system [id]", "not read"),
    ("a: !!binary aGk=", "not read"),
    ("- a", "not one mapping"),
    ("a: [", "not YAML"),
    ("a: 1\n---\nb: 2", "not YAML"),
    (b"\xff\xfe", "not UTF-8"),
])  # fmt: skip
def test_a_file_made_to_do_harm_is_refused_before_it_does(text: str | bytes, told: str) -> None:
    with pytest.raises(ContractRefused, match=told) as refused:
        odcs_yaml.load(text, "harm.yaml")
    assert "harm.yaml" in refused.value.text


def test_a_key_that_stands_twice_is_two_words_and_names_its_line() -> None:
    with pytest.raises(ContractInvalid, match=r"line 3.*required.*twice"):
        odcs_yaml.load("name: a\nrequired: true\nrequired: false")


@pytest.mark.parametrize(("change", "where"), [
    ({"kind": "Other"}, "kind"), ({"apiVersion": "v2.2.2"}, "apiVersion"), ({"id": ""}, "id"), ({"version": 1.0}, "version"),
    ({"schema": {"name": "a"}}, "schema"), ({"schema": [{"name": "a"}, {"name": "a"}]}, "schema"),
    ({"schema": [{"name": "a", "properties": [{"name": "b", "required": "yes"}]}]}, r"schema\[0\].properties\[0\].required"),
    ({"schema": [{"name": "a", "properties": [{"name": "b", "logicalType": "blob"}]}]}, "logicalType"),
    ({"schema": [{"name": "a", "quality": [{"metric": "rowCount"}]}]}, "needs an operator"),
    ({"schema": [{"name": "a", "quality": [{"metric": "rowCount", "mustBe": 1, "mustNotBe": 2}]}]}, "two operators"),
    ({"schema": [{"name": "a", "quality": [{"metric": "rowCount", "mustBeBetween": [5, 1]}]}]}, "smaller first"),
    ({"customProperties": [{"property": "mode", "value": "shout"}]}, "mode is one of"),
    ({"customProperties": [{"property": "mode", "value": "warn"}, {"property": "mode", "value": "reject"}]}, "twice"),
])  # fmt: skip
def test_a_contract_that_is_none_says_where(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ContractInvalid, match=where):
        odcs.parse({**MINIMAL, **change}, "c.yaml")


@pytest.mark.parametrize("change", [
    {"id": "!! \u043c\u043e\u0439"}, {"id": "kg:"}, {"id": "kg:a b"}, {"id": "kg:a/b"}, {"id": "k" * 201},
    {"version": "abc"}, {"version": "1.0"}, {"version": "v1.0.0"},
])  # fmt: skip
def test_an_identifier_and_a_version_nobody_could_name_are_refused_with_what_is_expected(
    change: dict[str, str],
) -> None:
    with pytest.raises(ContractInvalid, match=rf"contract: {next(iter(change))}: .* expected, such as"):
        odcs.loads(json.dumps(MINIMAL | change), "a.yaml")
    assert odcs.parse(MINIMAL | change), "what was kept before is read as it is"


def test_a_property_that_is_a_path_has_a_place_in_the_schema_though_nothing_stands_above_it() -> None:
    """As contracts drafted by an earlier release have them."""
    kept = contract(
        [{"name": name, "logicalType": "string", "required": True} for name in ("data[].code", "Birth[]", "a.b.c")]
    )
    made = json_schema(rules_of(kept))
    assert made["properties"]["data"]["items"]["properties"]["code"]["type"] == ["string", "null"]
    checker = Checker(rules_of(kept))
    assert checker({"data": [{"code": "1"}], "Birth": ["x"], "a": {"b": {"c": "1"}}}) == ()
    assert [b.field for b in checker({"data": [{"code": None}], "Birth": ["x"], "a": {"b": {"c": "1"}}})] == [
        "data[].code"
    ]
