"""A member calls in its own name: its own server's monitoring, as X-Road's owners do; and only where the file and the configuration say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from box import Answer, Box, http, make_box
from kerege.exchange.ids import MemberId, SubsystemId
from kerege.node.config import load
from kerege.node.errors import NodeConfigInvalid

pytestmark = pytest.mark.journey
EDU = MemberId.parse("KG/GOV/70000003")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The education node serves its owner, and wrongly claims to serve another member that is registered elsewhere."""
    box = make_box(tmp_path_factory.mktemp("members"))
    config = box.laid.nodes["node-edu"].config
    content = yaml.safe_load(config.read_text())
    content["clients"] += [str(EDU), "KG/GOV/70000002"]
    config.write_text(yaml.safe_dump(content))
    try:
        for code in ("node-edu", "node-reg"):
            box.start(code)
        for code in ("node-edu", "node-reg"):
            box.wait(code)
        yield box
    finally:
        box.close()


def metrics(box: Box, client: str, *, of: tuple[str, str] = ("70000003", "node-edu"), at: str = "node-edu") -> Answer:
    """getSecurityServerMetrics of a server, asked by a member in its own name."""
    member = "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>"
    content = f"""<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd"
 xmlns:i="http://x-road.eu/xsd/identifiers"><e:Header>
<x:client i:objectType="MEMBER">{member}<i:memberCode>{client}</i:memberCode></x:client>
<x:service i:objectType="SERVICE">{member}<i:memberCode>{of[0]}</i:memberCode>
<i:serviceCode>getSecurityServerMetrics</i:serviceCode></x:service>
<x:securityServer i:objectType="SERVER">{member}<i:memberCode>{of[0]}</i:memberCode>
<i:serverCode>{of[1]}</i:serverCode></x:securityServer>
<x:id>one</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header>
<e:Body><q:getSecurityServerMetrics xmlns:q="http://x-road.eu/xsd/monitoring"/></e:Body></e:Envelope>"""
    url = box.laid.nodes[at].client_url + "/"
    return http("POST", url, {"Content-Type": "text/xml; charset=utf-8"}, content.encode())


def test_the_owner_reads_its_own_servers_metrics_in_its_own_name(network: Box) -> None:
    answer = metrics(network, "70000003")
    assert b"getSecurityServerMetricsResponse" in answer.body, answer.body
    assert b"Fault" not in answer.body


def test_another_servers_metrics_are_not_for_it(network: Box) -> None:
    assert b"access_denied" in metrics(network, "70000003", of=("70000002", "node-reg")).body


def test_a_member_that_is_registered_elsewhere_is_no_client_here_whatever_the_file_says(network: Box) -> None:
    assert b"unknown_member" in metrics(network, "70000002").body


def test_a_member_that_the_file_does_not_name_is_no_client_although_the_server_is_its_own(network: Box) -> None:
    answer = metrics(network, "70000002", of=("70000002", "node-reg"), at="node-reg")
    assert b"unknown_member" in answer.body


def test_members_and_subsystems_stand_in_one_list_each_once(network: Box, tmp_path: Path) -> None:
    file = network.laid.nodes["node-edu"].config
    config = load(file)
    assert set(config.members) == {EDU, MemberId.parse("KG/GOV/70000002")}
    assert SubsystemId.parse("KG/GOV/70000003/admission") in config.clients
    twice = tmp_path / "node.yaml"
    content = yaml.safe_load(file.read_text())
    content["clients"].append(str(EDU))
    twice.write_text(yaml.safe_dump(content))
    with pytest.raises(NodeConfigInvalid, match="there already"):
        load(twice)
