"""A data contract's rules on the wire: counted by field and rule, and in mode quarantine the record set aside, the others passed on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from kerege.exchange import rules
from kerege.exchange.ids import ClientId, DataServiceId, ServerId
from kerege.exchange.rules import ALWAYS, ASKED, CONSUMER, PROVIDER, QUARANTINE, REFUSE, WARN, Rules, WireContract
from kerege.ground.ids import canonical_json
from kerege.node.config import Translation
from kerege.node.contracts import which as module
from kerege.node.contracts.contracting import Contracting
from kerege.node.contracts.counts import ContractCounts
from kerege.node.contracts.translate import CANONICAL, WireTranslation
from kerege.node.contracts.which import Contracts
from kerege.node.errors import ContractBreached, ContractUnchecked
from kerege.node.message import REST, Asked
from kerege.semantics.contracts.builder import rules_of
from kerege.semantics.contracts.odcs import parse
from kerege.semantics.contracts.wire import to_wire

SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SERVER = ServerId.parse("KG/GOV/70000002/node-reg")
ASKED_FOR = Asked(REST, ClientId.parse("KG/GOV/70000003/admission"), SERVICE, None, "m-1", "r-1", "GET", "/x")
PACK = Path(module.__file__).parents[2] / "country" / "kg"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
JSON = ((b"Content-Type", b"application/json"),)
GOOD: dict[str, Any] = {
    "pin": "21203198000017", "lastName": "Асанов", "firstName": "Бакыт", "dob": "1980-03-12", "gender": "M",
    "address": {"soate": "41703000000000", "text": "г. Бишкек, ул. Токтогула, д. 5, кв. 7"}, "registeredSince": "2001-05-01",
}  # fmt: skip
EARLY = {**GOOD, "registeredSince": "1979-01-01"}  # registered before birth: the mapping has no word against it
NAMELESS = {**GOOD, "lastName": None}


def made(**change: Any) -> dict[str, Any]:
    return to_wire(
        rules_of(
            parse({
                "kind": "DataContract", "apiVersion": "v3.1.0", "id": "kg:person", "version": "1.0.0", "status": "active",
                "schema": [{"name": "person", "properties": [
                    {"name": "pin", "logicalType": "string", "required": True},
                    {"name": "birth_date", "logicalType": "date", "logicalTypeOptions": {"minimum": "1900-01-01"}},
                    {"name": "registered_since", "logicalType": "date"},
                    {"name": "surname", "logicalType": "string", "quality": [
                        {"metric": "nullValues", "mustBe": 0, "severity": "warning"}]},
                    {"name": "sex", "logicalType": "string", "customProperties": [{"property": "codeList", "value": "kg:sex"}]},
                ], "quality": [{"type": "custom", "engine": "kerege", "implementation": {
                    "rule": "compare", "left": "birth_date", "operator": "lessOrEqual", "right": "registered_since"}}],
                    **change}],
            })
        )
    )  # fmt: skip


CHECK = canonical_json(made()).decode()
PERSON = WireContract(SERVICE, "/", "kg:population.person", CONSUMER, QUARANTINE, ASKED, check=CHECK)


class Kept:
    problem = None

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, str]] = []

    async def keep(self, asked: Asked, body: bytes, why: str, content_type: str, about: dict[str, Any]) -> str:
        self.kept.append((body, why))
        return "digest"


@pytest.fixture(scope="module")
def translation() -> WireTranslation:
    found = WireTranslation(Translation(PACK, None, None))
    found.reload()
    assert found.problem is None
    return found


@pytest.fixture
def desk(tmp_path: Path, translation: WireTranslation) -> Contracting:
    counts = ContractCounts(tmp_path, lambda: NOW)
    return Contracting(SERVER, Contracts(lambda: translation, counts.note), Kept(), counts)  # type: ignore[arg-type]


def answered(
    desk: Contracting, contract: WireContract, people: list[Any], accept: str = CANONICAL
) -> tuple[dict[bytes, bytes], Any]:
    call = desk.of_agency if contract.at == PROVIDER else desk.of_provider
    headers, body = asyncio.run(call(contract, ASKED_FOR, accept, 200, JSON, orjson.dumps({"items": people})))
    return dict(headers), orjson.loads(body)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
def test_a_record_that_breaks_the_contract_is_set_aside_and_the_message_passes_without_it(
    desk: Contracting, at: str
) -> None:
    headers, told = answered(desk, replace(PERSON, at=at), [GOOD, EARLY, GOOD])
    assert len(told["records"]) == 2
    assert told["withheld"] == [{"record": 1, "verdict": "quarantined"}]
    assert headers[b"X-Kerege-Contract"] == b"aside=1; breaches=1; fields=birth_date compare 1"
    report = desk.counts.report()["contracts"][0]  # type: ignore[union-attr]
    assert (report["aside"], report["broken"], report["refused"]) == (1, 1, 0)
    assert report["fields"] == [{"field": "birth_date", "kind": "compare", "values": 1, "answers": 1}]


def test_what_was_answered_is_kept_before_a_record_is_set_aside(desk: Contracting) -> None:
    answered(desk, replace(PERSON, at=PROVIDER), [EARLY])
    assert desk.originals.kept == [(orjson.dumps({"items": [EARLY]}), "translated")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
def test_an_answer_that_goes_on_as_it_is_cannot_be_taken_apart_and_is_refused_whole(desk: Contracting, at: str) -> None:
    with pytest.raises(ContractBreached, match="birth_date compare 1"):
        answered(desk, replace(PERSON, at=at), [GOOD, EARLY], "application/json")
    assert answered(desk, replace(PERSON, at=at), [GOOD], "application/json")[1] == {"items": [GOOD]}


def test_a_breach_that_is_of_no_single_record_refuses_the_answer(desk: Contracting) -> None:
    closed = {"type": "object", "required": ["total"]}
    with pytest.raises(ContractBreached, match="total required 1"):
        answered(desk, replace(PERSON, schema=orjson.dumps(closed).decode()), [GOOD])


def test_a_record_the_mapping_flags_is_set_aside_too(desk: Contracting) -> None:
    _, told = answered(desk, PERSON, [{**GOOD, "gender": "Q"}, GOOD])
    assert [one["record"] for one in told["withheld"]] == [0]


def test_a_rule_that_only_warns_is_counted_and_nothing_else(desk: Contracting) -> None:
    _, told = answered(desk, replace(PERSON, mode=REFUSE), [NAMELESS])
    assert len(told["records"]) == 1
    fields = desk.counts.report()["contracts"][0]["fields"]  # type: ignore[union-attr]
    assert {"field": "surname", "kind": "required", "values": 1, "answers": 1} in fields


def test_the_modes_differ_in_what_they_do_and_not_in_what_they_count(desk: Contracting, tmp_path: Path) -> None:
    counted = []
    for mode in ("observe", WARN, QUARANTINE, REFUSE):
        contract = replace(PERSON, mode=mode)
        try:
            answered(desk, contract, [GOOD, EARLY])
        except ContractBreached:
            assert mode == REFUSE
        counted.append(next(r["fields"] for r in desk.counts.report()["contracts"] if r["mode"] == mode))  # type: ignore[union-attr]
    assert all(one == counted[0] for one in counted)
    assert counted[0] == [{"field": "birth_date", "kind": "compare", "values": 1, "answers": 1}]


def test_rules_this_node_does_not_know_are_not_passed_over(desk: Contracting) -> None:
    newer = orjson.loads(CHECK)
    newer["rules"].append({"field": "pin", "kind": "astrology"})
    contract = replace(PERSON, check=canonical_json(newer).decode())
    with pytest.raises(ContractUnchecked, match="not of this version"):
        answered(desk, contract, [GOOD])
    assert answered(desk, replace(contract, mode="observe"), [GOOD])[1]["records"]
    missing = canonical_json(
        {**orjson.loads(CHECK), "rules": [{"field": "sex", "kind": "codes", "value": {"list": "kg:none"}}]}
    ).decode()
    with pytest.raises(ContractUnchecked, match="kg:none"):
        answered(desk, replace(PERSON, check=missing), [GOOD])


@pytest.mark.parametrize("rule", [
    {"field": "birth_date", "kind": "minimum", "value": "long ago"},
    {"field": "pin", "kind": "pattern", "value": "(?<=a)b"},
    {"field": "pin", "kind": "multipleOf", "value": 7},
    {"field": "surname", "kind": "multipleOf", "value": 7},
    {"field": "sex", "kind": "compare", "value": {"other": "surname", "operator": "near"}},
])  # fmt: skip
def test_a_rule_that_cannot_be_asked_leaves_the_answer_unchecked_and_the_node_up(
    desk: Contracting, rule: dict[str, Any]
) -> None:
    told = orjson.loads(CHECK)
    contract = replace(
        PERSON, check=canonical_json({**told, "types": {"birth_date": "date"}, "rules": [rule]}).decode()
    )
    if rule["field"] != "pin" or rule["kind"] != "multipleOf":
        with pytest.raises(ContractUnchecked):
            answered(desk, contract, [GOOD])
    assert answered(desk, replace(contract, mode="observe"), [GOOD])[1]["records"]


def test_a_check_survives_the_configuration_and_needs_a_mapping() -> None:
    told = Rules("KG", 1, contracts=(replace(PERSON, translate=ALWAYS),))
    assert rules.parse(rules.build(told)) == told
    with pytest.raises(ValueError, match="needs a mapping"):
        WireContract(SERVICE, "/", "", check=CHECK)
    with pytest.raises(ValueError, match="bytes"):
        WireContract(SERVICE, "/", "kg:m", check="{" + " " * 70_000 + "}")


def test_counts_written_before_there_was_a_quarantine_are_read(tmp_path: Path) -> None:
    counts = ContractCounts(tmp_path, lambda: NOW)
    counts.note_aside(PERSON, 3)
    asyncio.run(counts.save())
    file = tmp_path / "contracts.json"
    told = orjson.loads(file.read_bytes())
    assert told["contracts"][0].pop("aside") == 3
    file.write_bytes(orjson.dumps(told))
    again = ContractCounts(tmp_path, lambda: NOW)
    assert (again.problem, again.totals()["aside"]) == (None, 0)
