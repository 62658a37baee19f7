"""Contracts through two real node processes, over the Kerege link and over X-Road's own wire: both sides, every mode."""

from __future__ import annotations

import hashlib
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "exchange"))

from soap_samples import FIELDS, envelope

from box import ADMISSION, PERSONS, Answer, Box, base_rules, far, http, make_box
from kerege.exchange import faults, messagelog, rest
from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import ALWAYS, CONSUMER, OBSERVE, PROVIDER, REFUSE, WARN, Right, WireContract
from kerege.node import config
from kerege.node.contracts import originals
from kerege.node.contracts.translate import CANONICAL
from kerege.node.network import TranslationPlan

pytestmark = pytest.mark.journey

GET_PERSON = DataServiceId.parse("KG/GOV/70000002/population/getPerson/v1")
SOAP_AT_CONSUMER = DataServiceId.parse("KG/GOV/70000002/population/getPerson/v2")
MAPPING = "kg:population.person"
PIN = "21203198000017"
GOOD: dict[str, Any] = {
    "pin": PIN,
    "lastName": "Асанов",
    "firstName": "Бакыт",
    "dob": "1980-03-12",
    "gender": "M",
    "address": {"soate": "41703000000000", "text": "г. Бишкек, ул. Токтогула, д. 5, кв. 7"},
}
BAD = {**GOOD, "gender": "Q", "dob": "12 march of 1980"}
FIELDS_BROKEN = {("birth_date", "date_unreadable"), ("birth_date", "required_missing"), ("sex", "unmapped_code")}
SCHEMA = '{"properties":{"pin":{"pattern":"^[0-9]{14}$","type":"string"}},"required":["pin","dob"],"type":"object"}'
CSV_HEAD = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS"
BIRTH = {
    "ActNo": "17", "ActDate": "05.05.2019", "Fam": "АСАНОВ", "Imya": "БАКЫТ", "Otch": "ТОКТОГУЛОВИЧ", "DataRozhd": "12.03.2019",
    "Pol": "М", "Pin": "", "MatPin": "", "MatFio": "", "OtPin": "", "OtFio": "", "Oblast": "",
}  # fmt: skip


def contracts() -> tuple[WireContract, ...]:
    out = [
        WireContract(PERSONS, f"/{at}/{mode}", MAPPING, at, mode)
        for at in (CONSUMER, PROVIDER)
        for mode in (OBSERVE, WARN, REFUSE)
    ]
    out += [
        WireContract(PERSONS, "/provider/always", MAPPING, PROVIDER, OBSERVE, ALWAYS),
        WireContract(PERSONS, "/provider/schema", "", PROVIDER, REFUSE, schema=SCHEMA),
        WireContract(PERSONS, "/provider/csv", "kg:health.vaccination", PROVIDER, WARN),
        WireContract(PERSONS, "/provider/unknown", "kg:no.such", PROVIDER, REFUSE),
        WireContract(GET_PERSON, "/", "kg:civil.birth-record", PROVIDER, REFUSE),
        WireContract(SOAP_AT_CONSUMER, "/", "kg:civil.birth-record", CONSUMER, WARN),
    ]
    return tuple(out)


@pytest.fixture(scope="module", params=["link", "wire"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = make_box(tmp_path_factory.mktemp("contracts"), translation=TranslationPlan("kg"))
    soap = {"url": box.agency.url + "/soap", "timeout_seconds": 5, "kind": "wsdl"}
    for code, node in box.laid.nodes.items():
        written = yaml.safe_load(node.config.read_text())
        written["link"] = request.param == "link"
        if code == "node-reg":
            written["services"].update({str(GET_PERSON): soap, str(SOAP_AT_CONSUMER): soap})
        node.config.write_text(yaml.safe_dump(written))
    rules = base_rules()
    right = Right("soap", ADMISSION, GET_PERSON.unversioned, "*", "/**", far())
    box.publish(replace(rules, rights=(*rules.rights, right), contracts=contracts()))
    with box.running():
        yield box


@pytest.fixture
def box(network: Box) -> Box:
    network.agency.seen.clear()
    give(network, GOOD)
    return network


def give(box: Box, document: object) -> bytes:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    box.agency.answer = (200, {"Content-Type": "application/json", "X-Agency": "yes", "ETag": '"1"'}, body)
    return body


def counted(box: Box, code: str, path: str, service: DataServiceId = PERSONS) -> dict[str, Any]:
    """What a node's report says of the contract of a path; zeros when it never looked."""
    report = box.admin(code, "GET", "/contracts").json
    empty = {"answers": 0, "broken": 0, "refused": 0, "unchecked": 0, "fields": []}
    rows: Any = report["contracts"]
    return next((row for row in rows if (row["service"], row["path"]) == (str(service), path)), empty)


def broken_fields(row: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(one["field"], one["kind"]): one["values"] for one in row["fields"]}


def node_of(at: str) -> str:
    return {CONSUMER: "node-edu", PROVIDER: "node-reg"}[at]


def logged(box: Box, code: str, message_id: str) -> list[Any]:
    folder = box.laid.nodes[code].folder / "log"
    return [record for _, _, record in messagelog.read(folder) if record.message_id == message_id]


def kept(box: Box, message_id: str) -> list[originals.Original]:
    found = config.load(box.laid.nodes["node-reg"].config)
    return originals.find(found.log, found.state, None, message_id)


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
@pytest.mark.parametrize("mode", [OBSERVE, WARN, REFUSE])
def test_an_answer_that_fits_passes_unchanged_in_every_mode(box: Box, at: str, mode: str) -> None:
    body = give(box, GOOD)
    before = counted(box, node_of(at), f"/{at}/{mode}")
    found = box.call(f"/{at}/{mode}")
    assert (found.status, found.body) == (200, body)
    assert "X-Kerege-Contract" not in found.headers
    after = counted(box, node_of(at), f"/{at}/{mode}")
    assert (after["answers"], after["broken"]) == (before["answers"] + 1, before["broken"])
    other = node_of(CONSUMER if at == PROVIDER else PROVIDER)
    assert counted(box, other, f"/{at}/{mode}")["answers"] == 0  # held against where the contract says, and only there


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
def test_observed_breaches_are_counted_per_field_and_the_answer_passes_as_it_was(box: Box, at: str) -> None:
    body = give(box, BAD)
    before = broken_fields(counted(box, node_of(at), f"/{at}/observe"))
    found = box.call(f"/{at}/observe")
    assert (found.status, found.body) == (200, body)
    assert "X-Kerege-Contract" not in found.headers
    after = broken_fields(counted(box, node_of(at), f"/{at}/observe"))
    assert {key for key in after if after[key] == before.get(key, 0) + 1} >= FIELDS_BROKEN


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
def test_a_warning_names_fields_and_counts_and_never_a_value(box: Box, at: str) -> None:
    body = give(box, BAD)
    found = box.call(f"/{at}/warn")
    assert (found.status, found.body) == (200, body)
    told = found.headers["X-Kerege-Contract"]
    assert told.startswith("breaches=")
    assert "sex unmapped_code 1" in told
    assert "birth_date date_unreadable 1" in told
    for value in (PIN, "Q", "march", "1980"):
        assert not re.search(rf"\b{value}\b", told)
    health = box.admin(node_of(at), "GET", "/health").json
    assert health["ok"] is True
    assert any("break their contract (mode warn)" in problem for problem in health["problems"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("at", [CONSUMER, PROVIDER])
def test_refused_only_where_the_contract_says_so_and_what_was_answered_is_kept(box: Box, at: str) -> None:
    body = give(box, BAD)
    message_id = f"KG-refused-{at}-{box.version}"
    found = box.call(f"/{at}/refuse", headers={"X-Road-Id": message_id})
    assert found.status == 500
    place = {CONSUMER: "clientproxy", PROVIDER: "serverproxy"}[at]
    assert found.json["type"] == f"server.{place}.service_failed.contract_breach"
    said = str(found.json)
    assert "node.contract_breached" in said
    assert "sex unmapped_code 1" in said
    assert PIN not in said
    assert "march" not in said
    assert counted(box, node_of(at), f"/{at}/refuse")["refused"] >= 1
    if at == CONSUMER:  # the signed answer is in this node's log, whole
        assert [r.body for r in logged(box, "node-edu", message_id) if r.direction == "response"] == [body]
    else:  # nothing was signed, and what the agency answered is kept
        assert not [r for r in logged(box, "node-reg", message_id) if r.direction == "response"]
        (original,) = kept(box, message_id)
        assert (original.body, original.head["why"]) == (body, "refused")
        assert original.head["sha256"] == hashlib.sha256(body).hexdigest()


def test_what_the_provider_translates_is_what_is_signed_and_the_original_is_found_by_the_message_id(box: Box) -> None:
    body = give(box, GOOD)
    message_id = f"KG-translated-{box.version}"
    found = box.call("/provider/observe", headers={"Accept": CANONICAL, "X-Road-Id": message_id})
    assert (found.status, found.headers["Content-Type"]) == (200, CANONICAL), found.body
    (record,) = found.json["records"]  # type: ignore[misc]
    assert (record["surname"], record["birth_date"], record["sex"]) == ("Асанов", "1980-03-12", "1")
    told: Any = found.json
    assert told["mapping"]["id"] == MAPPING
    assert told["original"] == {
        "sha256": hashlib.sha256(body).hexdigest(),
        "content_type": "application/json",
        "message_id": message_id,
        "request_id": told["original"]["request_id"],
    }
    assert (found.headers["X-Agency"], "ETag" in found.headers) == ("yes", False)
    for code in box.laid.nodes:  # both nodes' logs hold the translated answer, signed
        (answer,) = [r for r in logged(box, code, message_id) if r.direction == "response"]
        assert answer.body == found.body
        assert rest.header(rest.decode_response(answer.message).headers, b"content-type") == CANONICAL.encode()
    (original,) = kept(box, message_id)
    assert (original.body, original.head["why"], original.head["mapping"]) == (body, "translated", told["mapping"])
    assert original.head["sha256"] == told["original"]["sha256"]
    (seen,) = box.agency.seen
    assert seen.headers["Accept"] == "*/*"


def test_a_contract_that_always_translates_gives_no_register_cells_and_no_original(box: Box) -> None:
    give(box, GOOD)
    for accept in ("application/json", f"{CANONICAL}; sources=1"):
        found = box.call("/provider/always", headers={"Accept": accept})
        assert (found.status, found.headers["Content-Type"]) == (200, CANONICAL)
        assert "sources" not in found.json
        assert len(found.json["records"]) == 1  # type: ignore[arg-type]


def test_the_consumer_translates_when_asked_and_breaches_are_counted_all_the_same(box: Box) -> None:
    body = give(box, BAD)
    before = counted(box, "node-edu", "/consumer/observe")
    found = box.call("/consumer/observe", headers={"Accept": CANONICAL})
    assert found.status == 200, found.body
    told: Any = found.json
    assert {(p["field"], p["code"].rpartition(".")[2]) for p in told["problems"]} >= FIELDS_BROKEN
    assert told["original"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert counted(box, "node-edu", "/consumer/observe")["broken"] == before["broken"] + 1


def test_an_answer_that_is_no_answer_of_the_contract_is_a_breach_of_the_whole(box: Box) -> None:
    give(box, b'{"items": [{"pi')
    found = box.call("/provider/refuse")
    assert found.status == 500
    assert "(answer) payload_incomplete 1" in str(found.json)
    give(box, {"items": [{"name": "x"}]})
    found = box.call("/provider/refuse")
    assert "gender column_missing 1" in str(found.json)


def test_a_schema_alone_is_a_contract(box: Box) -> None:
    give(box, GOOD)
    assert box.call("/provider/schema").status == 200
    give(box, {"pin": "not a number"})
    found = box.call("/provider/schema")
    assert found.status == 500
    assert "dob required 1" in str(found.json)
    assert "pin pattern 1" in str(found.json)
    assert "not a number" not in str(found.json)
    refused = box.call("/provider/schema", headers={"Accept": CANONICAL})
    assert refused.status == 406  # there is no mapping to translate by


def test_csv_is_held_against_its_contract_too(box: Box) -> None:
    rows = "1;Асанов Бакыт;2019-03-12;9;;;2024-01-01;?"
    box.agency.answer = (200, {"Content-Type": "text/csv; charset=utf-8"}, f"{CSV_HEAD}\n{rows}\n#ROWS;1\n".encode())
    found = box.call("/provider/csv")
    assert found.status == 200
    assert "status unmapped_code 1" in found.headers["X-Kerege-Contract"]
    box.agency.answer = (200, {"Content-Type": "text/csv"}, f"{CSV_HEAD}\n{rows}\n".encode())
    assert "(answer) payload_incomplete 1" in box.call("/provider/csv").headers["X-Kerege-Contract"]


def test_what_cannot_be_looked_into_is_refused_where_breaches_are(box: Box) -> None:
    found = box.call("/provider/unknown")
    assert found.status == 500
    assert "node.contract_unchecked" in str(found.json)
    assert counted(box, "node-reg", "/provider/unknown")["unchecked"] >= 1
    box.agency.answer = (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b")
    packed = box.call("/provider/refuse", headers={"Accept-Encoding": "gzip"})
    assert "it is packed" in str(packed.json)
    assert (
        "Accept-Encoding" not in box.agency.seen[-1].headers
        or "gzip" not in box.agency.seen[-1].headers["Accept-Encoding"]
    )


def test_errors_of_the_agency_and_answers_without_a_body_are_not_held_against_anything(box: Box) -> None:
    before = counted(box, "node-reg", "/provider/refuse")["answers"]
    box.agency.answer = (404, {"Content-Type": "text/plain"}, b"no such person")
    assert (box.call("/provider/refuse").status, box.call("/consumer/refuse").status) == (404, 404)
    box.agency.answer = (204, {}, b"")
    assert box.call("/provider/refuse", method="DELETE").status == 204
    assert counted(box, "node-reg", "/provider/refuse")["answers"] == before


def test_metrics_count_by_contract_field_and_kind(box: Box) -> None:
    give(box, BAD)
    box.call("/provider/observe")
    text = box.admin("node-reg", "GET", "/metrics").body.decode()
    label = f'contract="{PERSONS} /provider/observe",field="sex",kind="unmapped_code"'
    assert re.search(rf"kerege_contract_breaches_total{{{re.escape(label)}}} [1-9]", text)
    label = f'at="provider",contract="{PERSONS} /provider/observe",outcome="broken"'
    assert re.search(rf"kerege_contract_answers_total{{{re.escape(label)}}} [1-9]", text)
    assert PIN not in text


def births(**changes: str) -> bytes:
    cells = "".join(f"<{name}>{value}</{name}>" for name, value in {**BIRTH, **changes}.items())
    inner = f'<ListBirthsResponse xmlns="urn:kg:zags:v2"><Birth>{cells}</Birth></ListBirthsResponse>'
    return f'<p:getPersonResponse xmlns:p="urn:p">{inner}</p:getPersonResponse>'.encode()


def soap_call(box: Box, version: str, body: bytes, **headers: str) -> Answer:
    fields = FIELDS.replace("<id:serviceVersion>v1<", f"<id:serviceVersion>{version}<")
    box.agency.answer = (200, {"Content-Type": "text/xml; charset=utf-8"}, envelope(fields, body.decode()))
    url = box.laid.nodes["node-edu"].client_url + "/"
    return http("POST", url, {"Content-Type": "text/xml", **headers}, envelope(fields))


def test_a_soap_answer_is_refused_at_the_provider_where_its_contract_says_so(box: Box) -> None:
    assert b"<Fam>" in soap_call(box, "v1", births()).body
    found = soap_call(box, "v1", births(Pol="Q", DataRozhd="some day"))
    fault = faults.from_soap(found.body)
    assert fault is not None
    assert fault.code == "server.serverproxy.service_failed.contract_breach"
    assert "sex unmapped_code 1" in fault.message
    assert "some day" not in found.body.decode()
    original = kept(box, "m-1")[-1]  # as it came, without the request's hash
    assert original.body == (box.agency.answer or (0, {}, b""))[2]
    assert (original.head["why"], original.head["content_type"]) == ("refused", "text/xml; charset=utf-8")
    row = counted(box, "node-reg", "/", GET_PERSON)
    assert broken_fields(row)["birth_date", "date_unreadable"] >= 1


def test_a_soap_answer_is_told_of_at_the_consumer_and_comes_canonical_when_asked(box: Box) -> None:
    found = soap_call(box, "v2", births(Pol="Q"))
    assert b"<Fam>" in found.body
    assert "sex unmapped_code 1" in found.headers["X-Kerege-Contract"]
    canonical = soap_call(box, "v2", births(), Accept=CANONICAL)
    assert canonical.headers["Content-Type"] == CANONICAL, canonical.body
    (record,) = canonical.json["records"]  # type: ignore[misc]
    assert (record["surname"], record["birth_date"]) == ("Асанов", "2019-03-12")
    unagreed = faults.from_soap(soap_call(box, "v1", births(), Accept=CANONICAL).body)
    assert unagreed is not None  # held against at the provider, which keeps SOAP what it is
    assert "node.translation_missing" in unagreed.detail


def test_no_translated_answer_without_its_original_when_the_providers_node_is_killed_under_load(network: Box) -> None:
    give(network, GOOD)
    answered: list[str] = []

    def call(worker: int) -> None:
        for number in range(12):
            message_id = f"KG-kill-{worker}-{number}"
            found = network.call("/provider/always", headers={"X-Road-Id": message_id})
            if found.status == 200:
                answered.append(message_id)

    workers = [threading.Thread(target=call, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    deadline = time.monotonic() + 10
    while len(answered) < 8 and time.monotonic() < deadline:
        time.sleep(0.005)
    network.stop("node-reg", signal.SIGKILL)
    for worker in workers:
        worker.join()
    network.start("node-reg")
    network.wait("node-reg")
    assert len(answered) >= 8
    signed = {
        r.message_id: r.body
        for _, _, r in messagelog.read(network.laid.nodes["node-reg"].folder / "log")
        if r.direction == "response"
    }
    for message_id in answered:
        original = kept(network, message_id)[-1]
        assert original.body == orjson.dumps(GOOD)
        assert orjson.loads(signed[message_id] or b"")["original"]["sha256"] == original.head["sha256"]
    assert network.call("/provider/always").status == 200  # and it goes on
