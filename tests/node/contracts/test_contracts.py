"""Answers held against contracts: by mapping, by schema, and what is never told of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import WireContract
from kerege.node.config import Translation
from kerege.node.contracts import which as module
from kerege.node.contracts.translate import WireTranslation
from kerege.node.contracts.which import Contracts, Examined, compiled, field_of

SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
PACK = Path(module.__file__).parents[2] / "country" / "kg"
PERSON = WireContract(SERVICE, "/", "kg:population.person")
GOOD: dict[str, Any] = {
    "pin": "21203198000017",
    "lastName": "Асанов",
    "firstName": "Бакыт",
    "dob": "1980-03-12",
    "gender": "M",
    "address": {"soate": "41703000000000", "text": "г. Бишкек, ул. Токтогула, д. 5, кв. 7"},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {"$ref": "#/$defs/person"},
        },
        "by_pin": {"additionalProperties": {"type": "integer"}},
        "marks": {"patternProperties": {"^m": {"enum": [1, 2]}}},
    },
    "$defs": {
        "person": {
            "type": "object",
            "required": ["pin"],
            "additionalProperties": False,
            "properties": {
                "pin": {"pattern": "^[0-9]{14}$"},
                "properties": {"type": "string"},
                "born": {"format": "date"},
            },
        }
    },
}


@pytest.fixture(scope="module")
def translation() -> WireTranslation:
    made = WireTranslation(Translation(PACK, None, None))
    made.reload()
    assert made.problem is None
    return made


@pytest.fixture
def held(translation: WireTranslation) -> Contracts:
    return Contracts(lambda: translation)


def by_schema(document: object, schema: dict[str, Any] = SCHEMA) -> dict[tuple[str, str], int]:
    contract = WireContract(SERVICE, "/", "", schema=orjson.dumps(schema).decode())
    return dict(
        Contracts(lambda: WireTranslation(None)).look(contract, orjson.dumps(document), "application/json").breaches
    )


def test_a_record_that_fits_breaks_nothing_and_is_translated_in_the_same_look(held: Contracts) -> None:
    found = held.look(PERSON, orjson.dumps(GOOD), "application/json")
    assert (found.broken, found.problem, found.unchecked) == ({}, None, None)
    assert found.done is not None
    assert found.done.records[0]["surname"] == "Асанов"


def test_every_record_is_counted_by_canonical_field_and_kind(held: Contracts) -> None:
    bad = [{**GOOD, "gender": "Q"}, {**GOOD, "gender": "Z", "dob": "soon"}, GOOD]
    found = held.look(PERSON, orjson.dumps({"items": bad}), "application/json")
    assert found.breaches["sex", "unmapped_code"] == 2
    assert found.breaches["birth_date", "date_unreadable"] == 1
    assert found.breaches["birth_date", "required_missing"] == 1
    assert found.summary().startswith("sex unmapped_code 2, birth_date date_unreadable 1")


@pytest.mark.parametrize(
    ("payload", "content_type", "breach"),
    [
        (b'{"items": [', "application/json", ("(answer)", "payload_incomplete")),
        (b"<html>", "text/html", ("(answer)", "payload_broken")),
        (b'{"items": [{"pin": ["1"]}]}', "application/json", ("(answer)", "payload_refused")),
        (b"\xff\xfe", "application/json", ("(answer)", "payload_encoding")),
        (b'{"items": [{"pin": "1"}]}', "application/json", ("gender", "column_missing")),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_breach_and_its_reason_is_kept_for_who_asked_for_a_translation(
    held: Contracts, payload: bytes, content_type: str, breach: tuple[str, str]
) -> None:
    found = held.look(PERSON, payload, content_type)
    assert found.breaches[breach] == 1
    assert found.done is None
    assert found.problem is not None
    assert found.unchecked is None


def test_a_mapping_this_node_does_not_have_is_nobodys_breach(held: Contracts, translation: WireTranslation) -> None:
    found = held.look(replace(PERSON, mapping="kg:none"), b"{}", "application/json")
    assert (found.breaches, found.unchecked is not None) == ({}, True)
    bare = Contracts(lambda: WireTranslation(None)).look(PERSON, b"{}", "application/json")
    assert "no translation in its configuration" in str(bare.unchecked)


def test_a_mapping_that_fails_by_itself_is_nobodys_breach_and_tells_no_value(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(WireTranslation):
        def translate(self, mapping: str, payload: bytes, content_type: str) -> Any:
            raise RuntimeError(payload.decode())

    found = Contracts(lambda: Broken(None)).look(PERSON, b"21203198000017", "")
    assert (found.breaches, found.unchecked) == ({}, "the mapping failed (RuntimeError)")
    assert "21203198000017" not in caplog.text


def test_an_assumption_of_the_mapping_is_counted_and_breaks_nothing() -> None:
    found = Examined({("surname", "name_unsure"): 3, ("sex", "unmapped_code"): 1})
    assert (found.total, found.summary()) == (1, "sex unmapped_code 1")


def test_fields_are_named_by_the_schema_wherever_the_value_stands() -> None:
    person = {"pin": "x", "properties": 5, "born": "never", "Асанов Бакыт": 1}
    document = {"items": [person, {}], "by_pin": {"21203198000017": "x"}, "marks": {"m21203198000017": 9}}
    assert by_schema(document) == {
        ("items[].pin", "pattern"): 1,
        ("items[].properties", "type"): 1,
        ("items[].born", "format"): 1,
        ("items[].*", "additionalProperties"): 1,
        ("items[].pin", "required"): 1,
        ("by_pin.*", "type"): 1,
        ("marks.*", "enum"): 1,
    }


def test_what_fits_the_schema_or_is_no_json_at_all() -> None:
    assert by_schema({"items": [{"pin": "21203198000017"}]}) == {}
    contract = WireContract(SERVICE, "/", "", schema='{"type":"object"}')
    found = Contracts(lambda: WireTranslation(None)).look(contract, b"<a/>", "text/xml")
    assert found.breaches == {("(answer)", "not_json"): 1}
    assert by_schema([], {"type": "object"}) == {("(answer)", "type"): 1}


def test_a_flood_of_errors_is_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ERRORS", 5)
    found = by_schema([0] * 100, {"items": {"type": "string"}})
    assert found == {("[]", "type"): 5, ("(answer)", "more"): 1}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/other"},
        {"$ref": "file:///etc/hostname"},
        {"type": "no such type"},
        {"pattern": "(?=a)b"},  # look-around needs an engine that can be made to hang
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_used_says_so_and_fetches_nothing(schema: dict[str, Any]) -> None:
    said = compiled(orjson.dumps(schema).decode())
    assert isinstance(said, str)
    contract = WireContract(SERVICE, "/", "", schema=orjson.dumps(schema).decode())
    found = Contracts(lambda: WireTranslation(None)).look(contract, b"{}", "application/json")
    assert (found.breaches, found.unchecked) == ({}, said)


def test_a_schema_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = compiled
    monkeypatch.setattr(module, "compiled", lambda text: made.append(text) or whole(text))
    held = Contracts(lambda: WireTranslation(None))
    contract = WireContract(SERVICE, "/", "", schema='{"type":"object"}')
    for _ in range(3):
        held.look(contract, b"{}", "application/json")
    assert made == ['{"type":"object"}']


def test_a_pattern_made_to_hang_others_takes_no_time() -> None:
    assert by_schema("a" * 50_000 + "!", {"pattern": "^(a+)+$"}) == {("(answer)", "pattern"): 1}


def test_what_is_too_large_is_not_looked_into_and_large_answers_are_looked_into_in_a_thread(
    held: Contracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(body: bytes) -> Examined:
        return await held.examine(PERSON, body, "application/json")

    many = orjson.dumps({"items": [{**GOOD, "gender": "Q"}] * 400})
    assert len(many) > 64 * 1024
    assert asyncio.run(look(many)).breaches["sex", "unmapped_code"] == 400
    monkeypatch.setattr(module, "LARGEST", 100)
    found = asyncio.run(look(many))
    assert found.breaches == {}
    assert "at most 100" in str(found.unchecked)


def test_every_look_is_counted_also_one_that_saw_nothing(translation: WireTranslation) -> None:
    told: list[Examined] = []
    held = Contracts(lambda: translation, lambda contract, examined: told.append(examined))
    asyncio.run(held.examine(PERSON, orjson.dumps(GOOD), "application/json"))
    held.unseen(PERSON, "packed")
    assert [one.unchecked for one in told] == [None, "packed"]


NAMES = st.sampled_from(["a", "b", "properties", "items", "required", "$defs"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("SECRET", min_size=6, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.just("SECRETKEY"), inner, max_size=3),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.sampled_from([{"type": "integer"}, {"enum": [1]}, {"minLength": 99}, {"const": 5}, {"maxItems": 0}, {}]),
    lambda inner: st.builds(
        lambda props, rest, every, some: {"properties": props, "additionalProperties": rest, "items": every, "required": some},
        st.dictionaries(NAMES, inner, max_size=3), inner | st.just(False), inner, st.lists(NAMES, max_size=2, unique=True),
    ),
    max_leaves=6,
)  # fmt: skip


@given(VALUES, SCHEMAS)
@settings(max_examples=200, deadline=None)
def test_no_key_or_value_of_an_answer_ever_names_a_field(document: object, schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(schema)
    found = by_schema(document, schema)
    assert bool(found) is not validator.is_valid(document)
    for name, kind in found:
        assert "SECRET" not in name
        assert kind.isidentifier()
    assert sum(found.values()) == len(list(validator.iter_errors(document)))
    assert {field_of(error) for error in validator.iter_errors(document)} == set(found)


@given(
    st.dictionaries(st.tuples(st.text(max_size=200), st.sampled_from(["a", "b"])), st.integers(1, 10**6), max_size=40)
)
@settings(max_examples=100, deadline=None)
def test_a_summary_is_one_short_printable_line(breaches: dict[tuple[str, str], int]) -> None:
    told = Examined(breaches).summary()
    assert told.isprintable()
    assert len(told) < 3000
