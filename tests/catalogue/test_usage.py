"""An exchange node as a source: who called what with which fields, counted once, and never a value."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Harvest, Options, harvest_source
from kerege.catalogue.inventory.usage import counted_until, who_uses
from kerege.catalogue.models import ServiceUse
from kerege.catalogue.sources import Reading
from kerege.catalogue.sources.nodes import window
from kerege.catalogue.sources.structure import fields_of, is_name
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.node.telling.monitoring import Noted
from kerege.node.telling.opmonitor import Store

BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
EMIS = "KG/GOV/70000003/emis"
PUPILS, MARKS, WSDL = (f"{EMIS}/{name}" for name in ("pupils", "marks", "getPerson"))
SCHOOL, HEALTH = "KG/GOV/70000002/school", "KG/GOV/70000004/health"
API = {
    "openapi": "3.1.0",
    "paths": {"/pupils": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {
        "type": "object", "properties": {"pin": {"type": "string"}, "grade": {"type": "integer"}, "rare": {"type": "string"}},
    }}}}}}}},
}  # fmt: skip
SOAP = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body><getPersonResponse xmlns="urn:c">'
    "<person><pin>20101199012345</pin><name>Асанов</name></person></getPersonResponse></s:Body></s:Envelope>"
)


@dataclass
class NodeFolder:
    """A node's file, log and monitoring records, as a node leaves them; nothing runs."""

    path: Path
    state: Path
    writer: LogWriter
    number: int = 0

    def exchange(
        self, consumer: str, service: str, answer: bytes | None, *, at: datetime = BEGIN, kind: str = "REST", path: str = "/pupils/20101199012345"
    ) -> None:  # fmt: skip
        self.number += 1
        client, target = ClientId.parse(consumer), DataServiceId.parse(service)
        head = (
            f"GET /r1/{service}{path} HTTP/1.1\r\nx-road-client:{consumer}\r\nx-road-id:m{self.number}\r\n"
            f"x-road-request-id:r{self.number}\r\n\r\n"
        ).encode()
        for direction, body in (("request", b""), ("response", answer)):
            message = head if kind == "REST" else (answer or b"")
            self.writer.append_records(
                [
                    LogRecord(
                        at, direction, "provider", f"m{self.number}", f"r{self.number}", client, target, message,
                        body if kind == "REST" else None, b"<s/>", None, kind,
                    )
                ]
            )  # fmt: skip

    def monitored(
        self, consumer: str, service: str, count: int, *, at: datetime = BEGIN, ok: bool = True, path: str = "/pupils/*"
    ) -> None:
        client, target = ClientId.parse(consumer), DataServiceId.parse(service)
        store = Store(self.state / "monitoring.sqlite", 3650)
        record = {
            "monitoringDataTs": int(at.timestamp()), "securityServerType": "Producer", "succeeded": ok, "restMethod": "GET", "restPath": path,
            "messageId": "m", "messageUserId": "somebody", "clientXRoadInstance": "KG", "clientMemberClass": "GOV",
            "clientMemberCode": client.member_code, "clientSubsystemCode": client.subsystem, "serviceXRoadInstance": "KG",
            "serviceMemberClass": "GOV", "serviceMemberCode": target.member_code, "serviceSubsystemCode": target.subsystem,
            "serviceCode": target.service,
        }  # fmt: skip
        store.keep([Noted(Exchange(PRODUCER, 1), ok, orjson.dumps(record) + b"\n")] * count)
        store.close()

    def harvested(self, since: datetime | None = None, until: datetime = NOW, k: int = 5) -> Harvest:
        begin, end = window(since, until)
        return harvest_source(f"node://{self.path}", Options(Reading(since=begin, until=end), k))


@pytest.fixture
def node(tmp_path: Path) -> NodeFolder:
    (tmp_path / "pupils.json").write_text(json.dumps(API))
    content = {
        "server": "KG/GOV/70000003/node-edu",
        "listen": {"clients": "127.0.0.1:8080", "servers": "127.0.0.1:5500", "admin": "127.0.0.1:9090"},
        "keys": {"auth": {"key": "a.key", "certificate": "a.pem"}, "sign": [{"member": "KG/GOV/70000003", "key": "s.key", "certificate": "s.pem"}]},
        "configuration": {"folder": "conf"}, "state": "state", "clients": [EMIS], "log": {"folder": "log"},
        "services": {
            PUPILS: {"url": "http://127.0.0.1:1/a", "kind": "openapi", "description": "pupils.json"},
            MARKS: {"url": "http://127.0.0.1:1/b"},
            WSDL: {"url": "http://127.0.0.1:1/c", "kind": "wsdl", "description": "https://example.org/c.wsdl"},
        },
    }  # fmt: skip
    path = tmp_path / "node.yaml"
    path.write_text(yaml.safe_dump(content))
    return NodeFolder(path, tmp_path / "state", LogWriter(tmp_path / "log"))


def answer(**more: object) -> bytes:
    return json.dumps({"pin": "20101199012345", "grade": 4, **more}).encode()


def test_services_are_datasets_of_their_description_or_of_the_fields_seen(node: NodeFolder) -> None:
    for _ in range(6):
        node.exchange(SCHOOL, MARKS, json.dumps({"marks": [{"subject": "maths", "mark": 4.5, "day": None}]}).encode())
    found = node.harvested()
    tables = {t.name: {f.name: f for f in t.fields} for t in found.tables}
    assert (found.kind, found.source) == ("node", "node://KG/GOV/70000003/node-edu")
    assert list(tables) == [MARKS, f"{PUPILS} GET /pupils"]
    assert list(tables[f"{PUPILS} GET /pupils"]) == ["pin", "grade", "rare"]
    assert tables[MARKS]["marks[].mark"].declared_type == "number, seen in answers"
    assert tables[MARKS]["marks[].mark"].type == "decimal"
    assert dict(found.remarks)[WSDL].startswith("its description is at an address, which is not fetched")


def test_calls_are_counted_per_consumer_service_and_endpoint_with_first_and_last_time(node: NodeFolder) -> None:
    node.monitored(SCHOOL, PUPILS, 3)
    node.monitored(SCHOOL, PUPILS, 2, at=BEGIN + timedelta(days=2), ok=False)
    node.monitored(HEALTH, PUPILS, 7, path="/pupils")
    uses = {(u.consumer, u.endpoint): u for u in node.harvested().usage}
    school = uses[SCHOOL, "GET /pupils/*"]
    assert (school.side, school.service, school.calls, school.failed) == ("provider", PUPILS, 5, 2)
    assert (school.first_at, school.last_at) == (BEGIN, BEGIN + timedelta(days=2))
    assert uses[HEALTH, "GET /pupils"].calls == 7
    assert school.table == f"{PUPILS} GET /pupils"


def test_fields_are_counted_by_name_and_no_value_comes_along(node: NodeFolder) -> None:
    for i in range(6):
        node.exchange(
            SCHOOL, PUPILS, answer(**{"note": "Асанова Айгүл", f"2010119901234{i}": 1}, by_day={"2026-11-01": 4})
        )
    node.exchange(SCHOOL, PUPILS, answer(rare="x", secretKeyOfOne="x"))
    (use,) = node.harvested().usage
    assert (use.calls, use.answers) == (7, 7)
    assert use.fields == (("grade", 7), ("pin", 7), ("*", 6), ("by_day.*", 6), ("note", 6), ("rare", 1))
    assert use.withheld == 1  # too few answers had it, and no description names it; `rare` is in the description
    told = json.dumps([use.as_dict(), [t.as_dict() for t in node.harvested().tables]], ensure_ascii=False)
    for value in ("20101199012345", "2010119901234", "Асанова", "2026-11-01:", "secretKeyOfOne"):
        assert value not in told


def test_soap_answers_give_their_elements(node: NodeFolder) -> None:
    for _ in range(5):
        node.exchange(HEALTH, WSDL, SOAP.encode(), kind="SOAP")
    (use,) = node.harvested().usage
    assert use.fields == (("person.name", 5), ("person.pin", 5))
    assert use.endpoint == ""


def test_an_encrypted_log_is_read_with_its_key_and_refused_without(
    node: NodeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = base64.b64encode(b"k" * 32).decode()
    content = yaml.safe_load(node.path.read_text())
    content["log"] = {"folder": "log2", "key_env": "KEREGE_TEST_LOG_KEY"}
    node.path.write_text(yaml.safe_dump(content))
    node.writer = LogWriter(tmp_path / "log2", key=LogKey.parse(secret))
    node.exchange(SCHOOL, PUPILS, answer())
    with pytest.raises(errors.NodeUnreadable, match="key"):
        node.harvested()
    monkeypatch.setenv("KEREGE_TEST_LOG_KEY", secret)
    (use,) = node.harvested().usage
    assert use.fields == (("grade", 1), ("pin", 1))


def test_bodies_that_are_not_kept_still_count_as_calls(node: NodeFolder) -> None:
    node.exchange(SCHOOL, PUPILS, None)
    (use,) = node.harvested().usage
    assert (use.calls, use.answers, use.fields) == (1, 0, ())


@pytest.mark.django_db
def test_of_two_plans_that_counted_the_same_calls_one_is_applied(node: NodeFolder) -> None:
    node.monitored(SCHOOL, PUPILS, 3)
    begin, end = window(None, NOW)
    options = Options(Reading(since=begin, until=end))
    found = harvest_source(f"node://{node.path}", options)
    doings.apply_plan(doings.make_plan(found, options, NOW, location=f"node://{node.path}").plan_id, NOW)
    plans = [doings.make_plan(found, options, NOW, location=f"node://{node.path}") for _ in range(2)]
    for plan in plans:
        with pytest.raises(errors.PlanStale, match="how far its traffic was counted"):
            doings.apply_plan(plan.plan_id, NOW)
    assert ServiceUse.objects.get().calls == 3


@pytest.mark.django_db
def test_no_call_counts_twice_however_often_a_node_is_harvested(node: NodeFolder) -> None:
    def learn(until: datetime) -> None:
        since = counted_until("node://KG/GOV/70000003/node-edu")
        begin, end = window(since, until)
        options = Options(Reading(since=begin, until=end))
        found = harvest_source(f"node://{node.path}", options)
        plan = doings.make_plan(found, options, until, location=f"node://{node.path}")
        node.monitored(SCHOOL, PUPILS, 1, at=until + timedelta(seconds=5))  # traffic goes on between plan and apply
        doings.apply_plan(plan.plan_id, until)

    node.monitored(SCHOOL, PUPILS, 3)
    learn(BEGIN + timedelta(days=1))
    assert ServiceUse.objects.get().calls == 3
    learn(BEGIN + timedelta(days=2))
    assert ServiceUse.objects.get().calls == 4
    learn(BEGIN + timedelta(days=3))
    (use,) = who_uses(service=EMIS)
    assert (use.calls, use.consumer, use.seen_by) == (5, SCHOOL, "node://KG/GOV/70000003/node-edu, as provider")
    assert use.dataset_id is not None
    assert who_uses(dataset_id=use.dataset_id) == [use]
    assert who_uses(consumer=HEALTH) == []


@pytest.mark.django_db
def test_who_uses_a_field_is_answered(node: NodeFolder) -> None:
    for _ in range(5):
        node.exchange(SCHOOL, PUPILS, answer())
        node.exchange(HEALTH, PUPILS, json.dumps({"grade": 1}).encode())
    options = Options(Reading(until=window(None, NOW)[1]))
    plan = doings.make_plan(
        harvest_source(f"node://{node.path}", options), options, NOW, location=f"node://{node.path}"
    )
    doings.apply_plan(plan.plan_id, NOW)
    assert [u.consumer for u in who_uses(field="pin")] == [SCHOOL]
    assert {u.consumer for u in who_uses(field="grade")} == {SCHOOL, HEALTH}


def test_a_node_that_cannot_be_read_is_told(tmp_path: Path, node: NodeFolder) -> None:
    with pytest.raises(errors.SourceMissing):
        harvest_source(f"node://{tmp_path}/none.yaml")
    node.state.mkdir()
    (node.state / "monitoring.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(errors.NodeUnreadable, match="monitoring"):
        node.harvested()
    node.path.write_text("server: nonsense\n")
    with pytest.raises(errors.NodeUnreadable, match="in its file"):
        node.harvested()


@given(
    st.dictionaries(
        st.text(st.characters(categories=("Nd", "Ll", "Lu", "Pd")), min_size=1, max_size=20), st.integers(), max_size=8
    )
)
@settings(max_examples=60, deadline=None)
def test_a_key_that_is_written_like_a_number_or_day_is_never_a_name(keys: dict[str, int]) -> None:
    found = fields_of(json.dumps(keys).encode())
    assert found is not None
    for name in found:
        assert name in ("*", "(value)") or sum(c.isdigit() for c in name) <= 2
    assert not is_name("20101199012345")
    assert not is_name("2026-11-01")


def test_answers_that_are_hostile_are_left_alone() -> None:
    assert fields_of(b"[" * 100_000) is None
    assert fields_of(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>') is None
    assert fields_of(b"{" + b" " * 3_000_000 + b"}") is None
    assert fields_of(b"no data") is None
    deep = fields_of(b'{"a":' * 60 + b"1" + b"}" * 60)
    assert deep is not None
    assert max(path.count(".") for path in deep) < 12
