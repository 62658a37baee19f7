"""Metaservices, monitoring and containers through two real node processes, over the Kerege link and over X-Road's own wire."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lxml import etree
from prometheus_client.parser import text_string_to_metric_families

from box import ADMISSION, Answer, Box, base_rules, far, http, make_box
from kerege.exchange import asic, conflayout, opmon_query
from kerege.exchange.ids import DataServiceId, MemberId
from kerege.exchange.rules import Right
from kerege.exchange.trust import Trust

BIRTHS = DataServiceId.parse("KG/GOV/70000002/population/births")
GET_PERSON = DataServiceId.parse("KG/GOV/70000002/population/getPerson/v1")
OPENAPI = "openapi: 3.0.0\nservers: [{url: 'http://10.1.2.3/inner'}]\npaths: {/births: {get: {}, post: {}}}\n"
WSDL = (
    '<d:definitions xmlns:d="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">'
    '<d:service name="p"><d:port name="p" binding="b"><s:address location="http://10.1.2.3/in"/></d:port></d:service>'
    "</d:definitions>"
)
OWN = "xRoadInstance=KG&memberClass=GOV&memberCode=70000003&subsystemCode=admission"


@pytest.fixture(scope="module", params=["link", "wire"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = make_box(tmp_path_factory.mktemp("meta"))
    for code, node in box.laid.nodes.items():
        config = yaml.safe_load(node.config.read_text())
        config["link"] = request.param == "link"
        if code == "node-reg":
            (node.config.parent / "births.yaml").write_text(OPENAPI)
            (node.config.parent / "person.wsdl").write_text(WSDL)
            one = {"url": box.agency.url, "timeout_seconds": 5}
            config["services"][str(BIRTHS)] = {**one, "kind": "openapi", "description": "births.yaml"}
            config["services"][str(GET_PERSON)] = {**one, "kind": "wsdl", "description": "person.wsdl"}
        node.config.write_text(yaml.safe_dump(config))
    rules = base_rules()
    box.publish(replace(rules, rights=(*rules.rights, Right("b", ADMISSION, BIRTHS, "GET", "/births", far()))))
    with box.running():
        yield box


def ask(box: Box, code: str, inside: str = "", *, subsystem: str = "", server: bool = True, ns: str = "") -> Answer:
    """A SOAP metaservice of the register's node, asked by the admission system."""
    of = f"<i:subsystemCode>{subsystem}</i:subsystemCode>" if subsystem else ""
    member = "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>"
    target = (
        f'<x:securityServer i:objectType="SERVER">{member}<i:memberCode>70000002</i:memberCode>'
        "<i:serverCode>node-reg</i:serverCode></x:securityServer>"
    )
    content = f"""<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd"
 xmlns:i="http://x-road.eu/xsd/identifiers"><e:Header>
<x:client i:objectType="SUBSYSTEM">{member}<i:memberCode>70000003</i:memberCode>
<i:subsystemCode>admission</i:subsystemCode></x:client>
<x:service i:objectType="SERVICE">{member}<i:memberCode>70000002</i:memberCode>{of}
<i:serviceCode>{code}</i:serviceCode></x:service>
{target if server else ""}<x:id>soap-{code}</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header>
<e:Body><q:{code} xmlns:q="{ns or "http://x-road.eu/xsd/xroad.xsd"}">{inside}</q:{code}></e:Body></e:Envelope>"""
    url = box.laid.nodes["node-edu"].client_url + "/"
    return http("POST", url, {"Content-Type": "text/xml; charset=utf-8"}, content.encode())


def test_rest_metaservices_answer_without_a_right_and_list_rights_as_they_are(network: Box) -> None:
    listed = network.call("", service="KG/GOV/70000002/population/listMethods")
    assert listed.status == 200, listed.body
    services = {one["service_code"] for one in json.loads(listed.body)["service"]}
    assert services == {"persons", "births"}
    told = json.loads(network.call("", service="KG/GOV/70000002/population/allowedMethods").body)["service"]
    endpoints = {one["service_code"]: one["endpoint_list"] for one in told}
    assert endpoints == {"persons": [], "births": [{"method": "GET", "path": "/births"}]}
    described = network.call("?serviceCode=births", service="KG/GOV/70000002/population/getOpenAPI")
    assert described.status == 200
    assert b"10.1.2.3" not in described.body


def test_a_wsdl_arrives_as_an_attachment(network: Box) -> None:
    answer = ask(network, "getWsdl", "<q:serviceCode>getPerson</q:serviceCode>", subsystem="population")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("multipart/related"), answer.body
    assert b"wsdl/" in answer.body
    assert b"10.1.2.3" not in answer.body


def test_operational_data_is_collected_as_collectors_do(network: Box) -> None:
    assert network.call().status == 200
    inside = f"<q:searchCriteria><q:recordsFrom>0</q:recordsFrom><q:recordsTo>{int(time.time())}</q:recordsTo></q:searchCriteria>"
    answer = ask(network, opmon_query.OPERATIONAL, inside, ns=opmon_query.NS)
    found = re.search(
        rb"content-id: <operational-monitoring-data\.json\.gz>\r\n\r\n(.+)\r\n--xroad", answer.body, re.DOTALL
    )
    assert found is not None, answer.body[:2000]
    assert isinstance(json.loads(gzip.decompress(found[1]))["records"], list)
    assert re.search(rb"<om:nextRecordsFrom>\d+</om:nextRecordsFrom>", answer.body)


def test_metrics_of_the_server_are_not_for_everyone(network: Box) -> None:
    answer = ask(network, "getSecurityServerMetrics")
    assert answer.status == 200
    code = etree.fromstring(answer.body).findtext(".//faultcode")
    assert code == "server.serverproxy.access_denied"


def test_a_container_from_the_client_port_holds_under_the_configuration_from_there(
    network: Box, tmp_path: Path
) -> None:
    assert network.call(headers={"X-Road-Id": "proof-1"}).status == 200
    port = network.laid.nodes["node-edu"].client_url
    deadline = time.monotonic() + 15
    while True:
        answer = http("GET", f"{port}/asic?queryId=proof-1&{OWN}&force")
        if answer.status == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert answer.status == 200, answer.body
    configuration = http("GET", f"{port}/verificationconf")
    zipfile.ZipFile(io.BytesIO(configuration.body)).extractall(tmp_path)
    trust = Trust(conflayout.read(tmp_path / "verificationconf").own.shared)
    archive = zipfile.ZipFile(io.BytesIO(answer.body))
    members = {asic.read(archive.read(name)).check(trust).member for name in archive.namelist()}
    assert members == {MemberId.parse("KG/GOV/70000003"), MemberId.parse("KG/GOV/70000002")}


def test_the_client_port_lists_who_is_there_and_the_admin_port_has_metrics(network: Box) -> None:
    listed = http("GET", network.laid.nodes["node-edu"].client_url + "/listClients", {"Accept": "application/json"})
    assert len(json.loads(listed.body)["member"]) == 7
    assert network.call().status == 200
    scraped = network.admin("node-reg", "GET", "/metrics")
    counts = {
        (sample.name, sample.labels.get("side")): sample.value
        for family in text_string_to_metric_families(scraped.body.decode())
        for sample in family.samples
        if sample.labels.get("outcome") == "succeeded"
    }
    assert counts[("kerege_exchange_seconds_count", "producer")] >= 1
