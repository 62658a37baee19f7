"""Questions to operational monitoring: X-Road's own samples, strict reading, who sees what, answers under the schema."""

import gzip
from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import opmon_query as q
from kerege.exchange.errors import MetaserviceInvalid
from kerege.exchange.ids import ClientId, MemberId
from kerege.exchange.safexml import parse_xml

SOAP_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
OWNER = MemberId("KG", "GOV", "70000003")
ADMISSION = ClientId.parse("KG/GOV/70000003/admission")
POPULATION = ClientId.parse("KG/GOV/70000002/population")
CENTRAL = ClientId.parse("KG/GOV/70000001/monitoring")


def question(inside: str, name: str = q.OPERATIONAL) -> etree._Element:
    return parse_xml(f'<om:{name} xmlns:om="{q.NS}" xmlns:id="{q.ID_NS}">{inside}</om:{name}>'.encode())


def criteria(begin: str = "0", end: str = "10", more: str = "", after: str = "") -> etree._Element:
    return question(
        f"<om:searchCriteria><om:recordsFrom>{begin}</om:recordsFrom><om:recordsTo>{end}</om:recordsTo>{more}"
        f"</om:searchCriteria>{after}"
    )


def record(client: ClientId, service: ClientId) -> dict[str, str]:
    out = {}
    for role, who in (("client", client), ("service", service)):
        out |= {f"{role}XRoadInstance": who.instance, f"{role}MemberClass": who.member_class}
        out[f"{role}MemberCode"] = who.member_code
        if who.subsystem is not None:
            out[f"{role}SubsystemCode"] = who.subsystem
    return out


def schema(vectors: Path) -> etree.XMLSchema:
    """The vectors' op-monitoring.xsd with its imports put beside it."""
    text = (vectors / "opmonitor/op-monitoring.xsd").read_bytes()
    text = text.replace(b'"identifiers.xsd"', f'"{(vectors / "xsd/identifiers.xsd").as_uri()}"'.encode())
    text = text.replace(b'"swaref.xsd"', f'"{(vectors / "opmonitor/swaref.xsd").as_uri()}"'.encode())
    return etree.XMLSchema(etree.fromstring(text))


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["operational-data.request", "operationaldata.request"])
def test_x_roads_own_questions_for_records_are_understood(vectors: Path, name: str) -> None:
    body = parse_xml((vectors / "opmonitor" / name).read_bytes()).find(SOAP_BODY)
    assert body is not None
    asked = q.read_operational(body[0])
    assert asked.records_from <= asked.records_to


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "whose"),
    [("health-data.request", "DEV/COM/1234"), ("healthdata.request", "XTEE-CI-XM/GOV/00000001/System1")],
)
def test_x_roads_own_questions_for_health_are_understood(vectors: Path, name: str, whose: str) -> None:
    body = parse_xml((vectors / "opmonitor" / name).read_bytes()).find(SOAP_BODY)
    assert body is not None
    assert str(q.read_health(body[0])) == whose


@pytest.mark.vectors
def test_the_fields_are_those_of_the_protocols_schema(vectors: Path) -> None:
    text = (vectors / "opmonitor/query_operational_data_response_payload_schema.yaml").read_text()
    theirs = set(yaml.safe_load(text)["properties"]["records"]["items"]["properties"])
    assert theirs - q.FIELDS == set()
    assert q.FIELDS - theirs == {"xRequestId"}, "as live servers write it, though the schema forgets it"


@pytest.mark.vectors
def test_answers_validate_against_the_schema(vectors: Path) -> None:
    valid = schema(vectors)
    valid.assertValid(q.operational_response(0, None))
    valid.assertValid(q.operational_response(10_000, 1_795_320_347))


def test_a_collector_that_searches_the_bytes_finds_where_to_go_on() -> None:
    assert b"<om:nextRecordsFrom>77</om:nextRecordsFrom>" in etree.tostring(q.operational_response(1, 77))
    assert q.attachment_headers()[-1] == (b"content-id", b"<operational-monitoring-data.json.gz>")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (question(""), "searchCriteria is missing"),
        (criteria("-1"), "recordsFrom is not a number"),
        (criteria("1e3"), "recordsFrom is not a number"),
        (criteria("9" * 19), "recordsFrom is not a number"),
        (criteria("11", "10"), "later than"),
        (criteria(more="<om:records/>"), "does not belong"),
        (criteria(after="<om:outputSpec><om:outputField>pin</om:outputField></om:outputSpec>"), "does not exist"),
        (criteria(after="<om:outputSpec><om:field/></om:outputSpec>"), "something else"),
        (
            criteria(more='<om:client id:objectType="MEMBER"><id:xRoadInstance>KG</id:xRoadInstance></om:client>'),
            "neither",
        ),
        (
            criteria(
                more='<om:client id:objectType="SERVICE"><id:xRoadInstance>KG</id:xRoadInstance>'
                "<id:memberClass>GOV</id:memberClass><id:memberCode>1</id:memberCode></om:client>"
            ),
            "neither",
        ),
    ],
)
def test_a_question_that_is_not_the_protocols_is_refused_with_the_reason(body: etree._Element, why: str) -> None:
    with pytest.raises(MetaserviceInvalid, match=why):
        q.read_operational(body)


def test_the_owner_and_the_monitoring_client_see_all_and_anyone_else_what_it_took_part_in() -> None:
    other = record(POPULATION, CENTRAL)
    own = record(ADMISSION, POPULATION)
    owner = ClientId(OWNER.instance, OWNER.member_class, OWNER.member_code)
    for asking in (owner, CENTRAL):
        assert q.sight(asking, None, OWNER, CENTRAL).everything
    seen = q.sight(ADMISSION, None, OWNER, CENTRAL)
    assert seen.covers(own)
    assert not seen.covers(other), "a subsystem of the owner is not the owner"
    assert not q.sight(CENTRAL, None, OWNER, None).covers(own), "without a monitoring client nobody is it"


def test_a_partner_named_narrows_what_is_seen_and_never_widens_it() -> None:
    own = record(ADMISSION, POPULATION)
    assert q.sight(ADMISSION, POPULATION, OWNER, None).covers(own)
    assert not q.sight(ADMISSION, CENTRAL, OWNER, None).covers(own)
    assert not q.sight(CENTRAL, POPULATION, OWNER, None).covers(own)
    assert not q.sight(ADMISSION, None, OWNER, None).covers({"securityServerType": "Producer"})


parties = st.sampled_from([ADMISSION, POPULATION, CENTRAL, ClientId("KG", "GOV", "70000002")])


@settings(max_examples=60)
@given(client=parties, service=parties, asking=parties, partner=st.one_of(st.none(), parties))
def test_nobody_but_owner_and_monitoring_client_sees_an_exchange_of_others(
    client: ClientId, service: ClientId, asking: ClientId, partner: ClientId | None
) -> None:
    seen = q.sight(asking, partner, OWNER, None).covers(record(client, service))
    assert not seen or asking in (client, service)
    assert not seen or partner is None or partner in (client, service)


def test_the_attachment_holds_the_records_or_the_fields_asked_for() -> None:
    lines = [orjson.dumps({"monitoringDataTs": n, "messageId": f"m-{n}", "succeeded": True}) + b"\n" for n in range(3)]
    whole = orjson.loads(gzip.decompress(q.payload(lines)))
    assert [r["messageId"] for r in whole["records"]] == ["m-0", "m-1", "m-2"]
    picked = orjson.loads(gzip.decompress(q.payload(lines, ("messageId", "faultCode"))))
    assert picked == {"records": [{"messageId": f"m-{n}"} for n in range(3)]}
    assert orjson.loads(gzip.decompress(q.payload([]))) == {"records": []}
