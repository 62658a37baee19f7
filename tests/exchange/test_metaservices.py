"""The server's own services about services: lists in both forms, what a caller may use, which codes are taken."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kerege.exchange import metaservices as m
from kerege.exchange.access import decide
from kerege.exchange.errors import MetaserviceInvalid
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.exchange.rules import Right, Rules
from kerege.exchange.safexml import parse_xml

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADMISSION = ClientId.parse("KG/GOV/70000003/admission")
PERSONS = DataServiceId("KG", "GOV", "70000002", "population", "persons")
BIRTHS = DataServiceId("KG", "GOV", "70000002", "population", "births")
GET_PERSON = DataServiceId("KG", "GOV", "70000002", "population", "getPerson", "v1")
OFFERED = (
    m.Offered(BIRTHS, "openapi", (("GET", "/births"), ("GET", "/births/*"), ("POST", "/births"))),
    m.Offered(PERSONS, "rest"),
    m.Offered(GET_PERSON, "wsdl"),
)
ID = f"{{{m.ID_NS}}}"


def schema(vectors: Path) -> etree.XMLSchema:
    text = (vectors / "xsd/service-metainfo.xsd").read_bytes()
    text = text.replace(b'"identifiers.xsd"', f'"{(vectors / "xsd/identifiers.xsd").as_uri()}"'.encode())
    return etree.XMLSchema(etree.fromstring(text))


def rules(*rights: Right) -> Rules:
    return Rules("KG", 1, rights)


def right(service: DataServiceId, method: str = "*", path: str = "/**", until: datetime | None = None) -> Right:
    holder = SubsystemId.parse(str(ADMISSION))
    return Right(f"r-{service.service}-{method}-{path}", holder, service, method, path, until)


def may(*rights: Right) -> list[m.Offered]:
    return m.allowed(OFFERED, ADMISSION, rules(*rights), frozenset(), NOW)


@pytest.mark.vectors
def test_the_list_of_clients_validates_against_the_schema(vectors: Path, shared: SharedParameters) -> None:
    data = m.clients_xml(m.clients_of(shared))
    schema(vectors).assertValid(parse_xml(data))


def test_the_list_of_clients_says_the_same_in_both_forms(shared: SharedParameters) -> None:
    clients = m.clients_of(shared)
    told = orjson.loads(m.clients_json(clients))["member"]
    assert len(told) == sum(1 + len(member.subsystems) for member in shared.members)
    root = parse_xml(m.clients_xml(clients))
    for entry, node in zip(told, root, strict=True):
        identifier = node[0]
        assert entry["id"]["object_type"] == identifier.get(f"{ID}objectType")
        assert entry["id"]["member_code"] == identifier.findtext(f"{ID}memberCode")
        assert entry["id"].get("subsystem_code") == identifier.findtext(f"{ID}subsystemCode")
        assert entry["name"] == node.findtext(f"{{{m.NS}}}name")
        assert None not in entry.values()


@pytest.mark.vectors
def test_soap_lists_validate_against_the_schema_and_hold_soap_services_only(vectors: Path) -> None:
    for code in (m.LIST_METHODS, m.ALLOWED_METHODS):
        element = m.methods_element(code, OFFERED)
        schema(vectors).assertValid(element)
        assert [node.findtext(f"{ID}serviceCode") for node in element] == ["getPerson"]
        assert element[0].findtext(f"{ID}serviceVersion") == "v1"


def test_rest_lists_hold_rest_services_only_with_their_endpoints() -> None:
    told = orjson.loads(m.methods_json(OFFERED))["service"]
    assert [(one["service_code"], one["service_type"]) for one in told] == [("births", "OPENAPI"), ("persons", "REST")]
    assert {"method": "GET", "path": "/births/*"} in told[0]["endpoint_list"]
    assert told[1]["object_type"] == "SERVICE"


def test_without_a_right_nothing_is_allowed_and_an_ended_right_is_none() -> None:
    assert may() == []
    assert may(right(BIRTHS, until=NOW - timedelta(seconds=1))) == []
    assert [one.service for one in may(right(BIRTHS, until=NOW))] == [BIRTHS]


def test_a_right_to_a_whole_service_lists_it_as_it_is_offered() -> None:
    assert may(right(BIRTHS), right(GET_PERSON.unversioned)) == [OFFERED[0], OFFERED[2]]


def test_a_right_to_some_endpoints_lists_those() -> None:
    (found,) = may(right(BIRTHS, "GET", "/births/**"))
    assert found.endpoints == (("GET", "/births/*"), ("GET", "/births/**"))
    (found,) = may(right(BIRTHS, "POST", "/births"))
    assert found.endpoints == (("POST", "/births"),)


segments = st.sampled_from(["births", "*", "**", "x"])
patterns = st.lists(segments, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=80)
@given(method=st.sampled_from(["*", "GET", "POST"]), path=patterns)
def test_what_is_listed_as_allowed_is_allowed(method: str, path: str) -> None:
    granted = rules(right(BIRTHS, method, path))
    for one in m.allowed(OFFERED[:1], ADMISSION, granted, frozenset(), NOW):
        for verb, pattern in one.endpoints:
            asked = "GET" if verb == "*" else verb
            concrete = pattern.replace("**", "deep/er").replace("*", "one")
            assert decide(ADMISSION, BIRTHS, asked, concrete, granted, frozenset(), NOW).allowed


@pytest.mark.parametrize("code", ["listMethods", "LISTMETHODS", "getopenapi", "getSecurityServerMetrics", "getWsdl"])
def test_a_provider_cannot_take_the_code_of_a_metaservice(code: str) -> None:
    assert m.is_reserved(code)


def test_other_codes_are_free_and_each_protocol_has_its_own_metaservices() -> None:
    assert not m.is_reserved("persons")
    wsdl, openapi = replace(PERSONS, service=m.GET_WSDL), replace(PERSONS, service=m.GET_OPENAPI)
    assert (m.is_metaservice(wsdl, "SOAP"), m.is_metaservice(wsdl, "REST")) == (True, False)
    assert (m.is_metaservice(openapi, "SOAP"), m.is_metaservice(openapi, "REST")) == (False, True)
    assert not m.is_metaservice(PERSONS, "REST")


@pytest.mark.vectors
def test_x_roads_own_question_for_a_wsdl_is_understood(vectors: Path) -> None:
    root = parse_xml((vectors / "soap/metaservice/getWsdl.query").read_bytes())
    body = root.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")
    assert body is not None
    assert m.read_get_wsdl(body[0]) == ("getRandom", None)
    answer = m.wsdl_element("getRandom", "v1")
    assert [child.text for child in answer] == ["getRandom", "v1"]


@pytest.mark.parametrize(
    "inside",
    ["", "<x:serviceCode/>", "<x:serviceCode>a</x:serviceCode><x:serviceCode>b</x:serviceCode>", "<x:url>a</x:url>"],
)
def test_a_question_for_a_wsdl_that_names_no_service_is_refused(inside: str) -> None:
    with pytest.raises(MetaserviceInvalid):
        m.read_get_wsdl(parse_xml(f'<x:getWsdl xmlns:x="{m.NS}">{inside}</x:getWsdl>'.encode()))
