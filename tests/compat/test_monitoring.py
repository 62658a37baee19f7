"""Monitoring as X-Road-Metrics reads it: its collector's expressions over our answer, its corrector's pairing over our records.

What the collector looks for and which fields the corrector holds against each other are facts of its code (release 1.4); nothing of
it is used here.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from pathlib import Path

import pytest
from bench732 import Bench
from test_both_directions import CLIENT, OUR_SERVICE, THEIR_SERVICE, envelope

# equal in the records of the client's and of the producer's server, or they are taken for two exchanges
# fmt: off
PAIRED = (
    "clientMemberClass", "requestMimeSize", "serviceSubsystemCode", "requestAttachmentCount",
    "serviceSecurityServerAddress", "messageProtocolVersion", "responseSize", "succeeded", "clientSubsystemCode",
    "responseAttachmentCount", "serviceMemberClass", "messageUserId", "serviceMemberCode", "serviceXRoadInstance",
    "clientSecurityServerAddress", "clientMemberCode", "clientXRoadInstance", "messageIssue", "serviceVersion",
    "requestSize", "serviceCode", "representedPartyClass", "representedPartyCode", "faultCode", "faultString",
    "responseMimeSize", "messageId", "xRequestId", "serviceType", "statusCode",
)
# fmt: on


def question(since: int, until: int) -> bytes:
    def ids(**values: str) -> str:
        return "".join(f"<id:{name}>{value}</id:{name}>\n" for name, value in values.items())

    member = {"xRoadInstance": "EE", "memberClass": "BUSINESS", "memberCode": "consumer"}
    return f"""<SOAP-ENV:Envelope
                   xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"
                   xmlns:id="http://x-road.eu/xsd/identifiers"
                   xmlns:xrd="http://x-road.eu/xsd/xroad.xsd"
                   xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd">
                <SOAP-ENV:Header>
            <xrd:client id:objectType="SUBSYSTEM">{ids(**member, subsystemCode="sub")}</xrd:client>
            <xrd:service id:objectType="SERVICE">{ids(**member, serviceCode="getSecurityServerOperationalData")}</xrd:service>
            <xrd:securityServer id:objectType="SERVER">{ids(**member, serverCode="node")}</xrd:securityServer>
            <xrd:id>{uuid.uuid4()}</xrd:id>
            <xrd:protocolVersion>4.0</xrd:protocolVersion>
                </SOAP-ENV:Header>
                <SOAP-ENV:Body>
                    <om:getSecurityServerOperationalData>
                        <om:searchCriteria>
                            <om:recordsFrom>{since}</om:recordsFrom>
                            <om:recordsTo>{until}</om:recordsTo>
                        </om:searchCriteria>
                    </om:getSecurityServerOperationalData>
                </SOAP-ENV:Body>
            </SOAP-ENV:Envelope>
            """.encode()


def test_the_collectors_question_is_answered_in_the_bytes_it_looks_for(live: Bench) -> None:
    now = int(time.time())
    status, _, body = live.call(
        "POST", "/", {"Content-type": "text/xml;charset=UTF-8"}, question(now - 3600, now - 120)
    )
    assert status == 200
    found = re.search(rb"content-id: <operational-monitoring-data\.json\.gz>\r\n\r\n(.+)\r\n--xroad", body, re.DOTALL)
    assert found is not None, body
    assert json.loads(gzip.decompress(found[1])) == {"records": []}
    assert b"<om:nextRecordsFrom>" not in body
    # the last minute is withheld: asked up to now, the collector is told where to go on
    _, _, body = live.call("POST", "/", {"Content-type": "text/xml;charset=UTF-8"}, question(now - 3600, now + 5))
    following = re.search(rb"<om:nextRecordsFrom>(\d+)</om:nextRecordsFrom>", body)
    assert following is not None, body
    assert now - 75 <= int(following[1]) <= now + 5


def test_both_servers_records_of_an_exchange_are_paired(live: Bench) -> None:
    calls = {
        "ok": lambda i: live.call(
            "POST", OUR_SERVICE + "svc/x", CLIENT | {"X-Road-Id": i, "X-Road-UserId": "u"}, b"body"
        ),
        "missing": lambda i: live.call("GET", OUR_SERVICE + "svc/e404", CLIENT | {"X-Road-Id": i}),
        "refused": lambda i: live.call("GET", OUR_SERVICE + "closed/x", CLIENT | {"X-Road-Id": i}),
        "soap": lambda i: live.call("POST", "/", {"Content-Type": "text/xml"}, soap(i)),
        "attached": lambda i: live.call("POST", "/", {"Content-Type": RELATED}, related(soap(i))),
        "fault": lambda i: live.call("POST", "/", {"Content-Type": "text/xml"}, soap(i, "fault")),
    }
    for name, call in calls.items():
        call(f"pair-{name}")
    records = live.records()
    for name in calls:
        mine = [one for one in records if one["messageId"] == f"pair-{name}"]
        assert [one["securityServerType"] for one in sorted(mine, key=lambda r: str(r["securityServerType"]))] == [
            "Client",
            "Producer",
        ]
        client, producer = sorted(mine, key=lambda r: str(r["securityServerType"]))
        differing = {key for key in PAIRED if client.get(key) != producer.get(key)}
        assert not differing, (name, client, producer)
        assert client["clientSecurityServerAddress"] == "127.0.0.1"
        assert client["succeeded"] is (name in {"ok", "soap", "attached"})


RELATED = 'multipart/related; type="text/xml"; boundary="mine"'


def soap(message_id: str, query: str = "x") -> bytes:
    return envelope("consumer", "consumer", query=query).replace(b"soap-1", message_id.encode())


def related(message: bytes) -> bytes:
    parts = (b"Content-Type: text/xml\r\n\r\n" + message, b"Content-Type: text/plain\r\n\r\n1234")
    return b"".join(b"--mine\r\n" + part + b"\r\n" for part in parts) + b"--mine--\r\n"


@pytest.mark.vectors
def test_our_records_have_the_fields_of_the_live_ones_with_the_same_meaning(live: Bench, captures: Path) -> None:
    theirs = [json.loads(line) for line in (captures / "opmon" / "records.jsonl").read_text().splitlines()]
    sent = {"X-Road-Id": "rest-2", "X-Road-UserId": "EE123", "X-Road-Issue": "I1", "Content-Type": "application/json"}
    live.call("POST", THEIR_SERVICE + "svc/x", CLIENT | sent, b'{"a":1}')
    live.call("DELETE", THEIR_SERVICE + "svc/nobody", CLIENT | {"X-Road-Id": "rest-3"})
    live.call("GET", THEIR_SERVICE + "svc/e404", CLIENT | {"X-Road-Id": "rest-4"})
    records = {str(one["messageId"]): one for one in live.records() if one["securityServerType"] == "Client"}
    only_ours = {"monitoringDataTs", "securityServerInternalIp", "restMethod", "xRoadVersion"}
    for record in theirs:
        if record["securityServerType"] != "Client" or record["messageId"] not in {"rest-2", "rest-3", "rest-4"}:
            continue
        ours = records[record["messageId"]]
        assert set(ours) == set(record) | only_ours
        varying = ("Ts", "Size", "xRequestId", "serviceSecurityServerAddress")
        for key, value in record.items():
            assert type(ours[key]) is type(value)
            if not key.endswith(varying):
                assert ours[key] == value, key
