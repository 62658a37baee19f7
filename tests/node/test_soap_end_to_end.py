"""SOAP through two real node processes, over X-Road's own wire and over the Kerege link."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))

from soap_samples import CLIENT, FIELDS, SERVICE, answer, envelope

from box import ADMISSION, EMIS, Answer, Box, base_rules, far, http, make_box
from kerege.exchange import asic, faults, messagelog, mime, soap
from kerege.exchange.faults import Fault
from kerege.exchange.ids import DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.rules import Right
from kerege.exchange.soap import SoapMessage
from kerege.exchange.trust import Trust
from kerege.node.network import shared_parameters

GET_PERSON = DataServiceId.parse("KG/GOV/70000002/population/getPerson/v1")
DOWN = DataServiceId.parse("KG/GOV/70000002/population/down")
REST_ONLY = DataServiceId.parse("KG/GOV/70000002/population/plain")
TYPE = "text/xml; charset=utf-8"


@pytest.fixture(scope="module", params=["link", "wire"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Two nodes that talk over the link or over X-Road's wire; the population register offers three services."""
    box = make_box(tmp_path_factory.mktemp("soap"))
    services = {
        str(GET_PERSON): {"url": box.agency.url + "/soap", "timeout_seconds": 5, "kind": "wsdl"},
        str(DOWN): {"url": f"http://127.0.0.1:{unused_port()}/", "timeout_seconds": 5, "kind": "wsdl"},
        str(REST_ONLY): {"url": box.agency.url, "timeout_seconds": 5, "kind": "rest"},
    }
    for code, node in box.laid.nodes.items():
        config = yaml.safe_load(node.config.read_text())
        config["link"] = request.param == "link"
        if code == "node-reg":
            config["services"].update(services)
        node.config.write_text(yaml.safe_dump(config))
    rights = tuple(
        Right(f"soap-{n}", ADMISSION, s, "*", "/**", far())
        for n, s in enumerate((GET_PERSON.unversioned, DOWN, REST_ONLY))
    )
    rules = base_rules()
    box.publish(replace(rules, rights=rules.rights + rights))
    with box.running():
        yield box


@pytest.fixture
def box(network: Box) -> Box:
    network.agency.seen.clear()
    network.agency.answer = (200, {"Content-Type": TYPE}, answer())
    return network


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def post(box: Box, body: bytes, content_type: str = TYPE, method: str = "POST", **headers: str) -> Answer:
    url = box.laid.nodes["node-edu"].client_url + "/"
    return http(method, url, {"Content-Type": content_type, **headers}, body if method == "POST" else None)


def fault_in(found: Answer) -> Fault:
    """The fault in an answer that must be one, as X-Road's servers send it."""
    assert (found.status, found.headers["Content-Type"]) == (200, "text/xml; charset=UTF-8")
    fault = faults.from_soap(found.body)
    assert fault is not None, found.body
    return fault


def without_hash(data: bytes) -> bytes:
    return re.sub(rb"<xroad:requestHash [^>]*>[^<]*</xroad:requestHash>", b"", data)


def test_a_request_arrives_as_it_was_sent_and_the_answer_has_its_hash(box: Box) -> None:
    found = post(box, envelope(), SOAPAction='"urn:get"', Authorization="Basic c2VjcmV0", Cookie="a=b")
    assert (found.status, found.headers["Content-Type"]) == (200, TYPE)
    message = soap.parse(found.body)
    request = soap.parse(envelope())
    assert isinstance(request, SoapMessage)
    soap.check_answer(request.header, hashlib.sha512(envelope()).digest(), message)
    assert without_hash(found.body) == answer()
    (seen,) = box.agency.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/soap", envelope())
    sent = {name.lower(): value for name, value in seen.headers.items()}
    assert (sent["content-type"], sent["soapaction"]) == (TYPE, '"urn:get"')
    assert not {"authorization", "cookie", "user-agent", "x-road-client"} & set(sent)


def test_any_path_takes_soap(box: Box) -> None:
    url = box.laid.nodes["node-edu"].client_url + "/some/old/path?x"
    assert without_hash(http("POST", url, {"Content-Type": "text/xml"}, envelope()).body) == answer()


def test_two_attachments_travel_to_the_byte_both_ways_under_the_senders_own_boundaries(box: Box) -> None:
    outgoing = 'multipart/related; type="text/xml"; boundary="=_client"'
    first, second = b"\x00\r\n--=_clien\r\n\r\n", b"QmFzZTY0\r\n" * 3
    sent = (
        b'--=_client\r\nContent-Type: text/xml; charset="utf-8"\r\nX-Part: 1\r\n\r\n' + envelope()
        + b"\r\n--=_client\r\nContent-Type: application/octet-stream\r\nContent-ID: <1@x>\r\n\r\n" + first
        + b"\r\n--=_client\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + second
        + b"\r\n--=_client--\r\n"
    )  # fmt: skip
    incoming = "Multipart/Related; boundary=provider"
    box.agency.answer = (
        200,
        {"Content-Type": incoming},
        b"--provider\r\nContent-Type: text/xml\r\n\r\n"
        + answer()
        + b"\r\n--provider\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--provider--\r\n",
    )
    found = post(box, sent, outgoing)
    (seen,) = box.agency.seen
    assert seen.headers["Content-Type"] == outgoing
    arrived = mime.read(outgoing, seen.body)
    assert [(name.lower(), value) for name, value in arrived.headers] == [
        (b"content-type", b'text/xml; charset="utf-8"')
    ]
    assert arrived.soap == envelope()
    assert [a.body for a in arrived.attachments] == [first, second]
    assert (b"Content-ID", b"<1@x>") in arrived.attachments[0].headers
    assert (b"Content-Transfer-Encoding", b"base64") in arrived.attachments[1].headers
    assert found.headers["Content-Type"] == incoming
    returned = mime.read(incoming, found.body)
    assert without_hash(returned.soap) == answer()
    assert [(a.headers, a.body) for a in returned.attachments] == [(((b"Content-Type", b"image/png"),), b"\x89PNG")]


def test_mtom_keeps_its_content_types_and_an_attachment_beyond_memory(box: Box) -> None:
    outgoing = 'Multipart/Related; start="<root>"; start-info="text/xml"; type="application/xop+xml"; boundary="mtom"'
    part = b'Content-Type: application/xop+xml; type="text/xml"; charset=utf-8\r\nContent-ID: <root>\r\n\r\n'
    big = bytes(range(256)) * 3000
    tail = b"\r\n--mtom\r\nContent-Type: application/pdf\r\nContent-ID: <pdf>\r\n\r\n" + big + b"\r\n--mtom--\r\n"
    box.agency.answer = (200, {"Content-Type": outgoing}, b"--mtom\r\n" + part + answer() + tail)
    found = post(box, b"--mtom\r\n" + part + envelope() + tail, outgoing)
    (seen,) = box.agency.seen
    for content_type, data in ((seen.headers["Content-Type"], seen.body), (found.headers["Content-Type"], found.body)):
        assert content_type == outgoing
        arrived = mime.read(outgoing, data)
        assert arrived.kind == b"application/xop+xml"
        assert mime.header(arrived.headers, b"content-type") == b'application/xop+xml; type="text/xml"; charset=utf-8'
        assert mime.header(arrived.headers, b"content-id") == b"<root>"
        assert [a.body for a in arrived.attachments] == [big]


def test_a_content_id_nobody_refers_to_and_a_big_envelope_travel_as_well(box: Box) -> None:
    outgoing = 'multipart/related; type="text/xml"; boundary="b"'
    part = b"--b\r\nContent-Type: text/xml\r\nContent-ID: <lonely>\r\n\r\n"
    big = envelope(body="<getPerson>" + "x" * 3_000_000 + "</getPerson>")
    assert fault_in_or_none(post(box, part + big + b"\r\n--b--\r\n", outgoing)) is None
    (seen,) = box.agency.seen
    arrived = mime.read(outgoing, seen.body)
    assert arrived.soap == big
    assert mime.header(arrived.headers, b"content-id") == b"<lonely>"


def test_an_envelope_that_a_mime_reader_would_decode_to_another_one_goes_neither_way(box: Box) -> None:
    head = b"--b\r\nContent-Type: text/xml; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    content_type = "multipart/related; boundary=b"
    found = post(box, head + envelope() + b"\r\n--b--\r\n", content_type)
    assert fault_in(found).code == "client.mime_parsing_failed"
    assert box.agency.seen == []
    box.agency.answer = (200, {"Content-Type": content_type}, head + answer() + b"\r\n--b--\r\n")
    assert fault_in(post(box, envelope())).code == "server.serverproxy.service_failed.mime_parsing_failed"


def fault_in_or_none(found: Answer) -> Fault | None:
    return faults.from_soap(found.body)


def test_a_refusal_can_be_found_in_the_log_of_the_server_that_refused(box: Box) -> None:
    fault = fault_in(post(box, envelope(UNKNOWN, "<getNobody/>")))
    assert len(fault.reference) == 36
    output = (box.laid.nodes["node-reg"].folder / "output.txt").read_text()
    assert f"fault {fault.reference}: server.serverproxy.unknown_service" in output


def test_an_agencys_fault_comes_back_as_it_was_and_is_logged_like_any_answer(box: Box) -> None:
    fault = faults.to_soap(Fault("soap:Server", "the register is closed", "back at nine"))
    for status in (500, 200):
        box.agency.answer = (status, {"Content-Type": TYPE}, fault)
        found = post(box, envelope(FIELDS.replace("m-1", f"fault-{status}")))
        assert (found.status, found.body) == (200, fault)
    for code in box.laid.nodes:
        kept = [r.message for r in logged(box, code) if r.message_id.startswith("fault-") and r.direction == "response"]
        assert kept == [fault, fault]


def logged(box: Box, code: str) -> list[LogRecord]:
    return [record for _, _, record in messagelog.read(box.laid.nodes[code].folder / "log")]


UNKNOWN = FIELDS.replace("getPerson", "getNobody")
OTHER_CLIENT = FIELDS.replace("admission", EMIS.subsystem)
STRANGER = FIELDS.replace("admission", "stranger")
ELSEWHERE = FIELDS.replace("70000002", "79999999")
AT = CLIENT.replace("client", "securityServer").replace("SUBSYSTEM", "SERVER").replace("subsystemCode", "serverCode")


def named(service: DataServiceId) -> bytes:
    fields = FIELDS.replace(
        SERVICE, SERVICE.replace("getPerson", service.service).replace("<id:serviceVersion>v1</id:serviceVersion>", "")
    )
    return envelope(fields, f"<{service.service}/>")


def test_a_service_asked_without_its_version_is_told_with_the_versions_there_are(box: Box) -> None:
    fault = fault_in(post(box, envelope(FIELDS.replace("<id:serviceVersion>v1</id:serviceVersion>", ""))))
    assert fault.code == "server.serverproxy.unknown_service"
    assert "the server KG/GOV/70000002/node-reg offers it in other versions only: v1" in fault.message
    assert "Name the version in the call: KG/GOV/70000002/population/getPerson/v1." in fault.detail


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (envelope(UNKNOWN, "<getNobody/>"), "server.serverproxy.unknown_service"),
        (envelope(OTHER_CLIENT), "server.serverproxy.access_denied"),
        (envelope(STRANGER), "server.clientproxy.unknown_member"),
        (envelope(ELSEWHERE), "server.clientproxy.unknown_member"),
        (envelope(FIELDS + AT), "server.clientproxy.invalid_security_server"),
        (named(DOWN), "server.serverproxy.service_failed.network_error"),
        (named(REST_ONLY), "server.serverproxy.service_type"),
        (envelope(body="<other/>"), "client.inconsistent_headers"),
        (envelope(FIELDS.replace(CLIENT, "")), "client.missing_header_field"),
        (envelope(FIELDS + CLIENT), "client.duplicate_header_field"),
        (b"<!DOCTYPE a>" + envelope(start=""), "client.invalid_soap"),
        (b"", "client.invalid_soap"),
    ],
)
def test_what_may_not_be_is_answered_with_x_roads_fault(box: Box, body: bytes, code: str) -> None:
    fault = fault_in(post(box, body))
    assert fault.code == code
    assert box.agency.seen == []


def test_a_rest_call_is_not_carried_out_on_a_soap_service_even_just_after_a_soap_call(box: Box) -> None:
    forged = envelope(FIELDS.replace("admission", "stranger"))
    fault_in(post(box, named(DOWN)))  # what was decided about it is remembered for a second, for SOAP alone
    for method in ("POST", "GET"):
        found = http(
            method,
            f"{box.laid.nodes['node-edu'].client_url}/r1/{DOWN}",
            {"X-Road-Client": str(ADMISSION), "Content-Type": TYPE},
            forged if method == "POST" else None,
        )
        assert (found.status, found.json["type"]) == (500, "server.serverproxy.service_type")
    assert box.agency.seen == []
    for code in box.laid.nodes:  # refused before the provider's log
        asked = [r for r in logged(box, code) if r.message.startswith((b"POST\r\n/r1/", b"GET\r\n/r1/"))]
        assert len(asked) == (2 if code == "node-edu" else 0)


def test_http_around_the_message_is_checked(box: Box) -> None:
    assert fault_in(post(box, b"", method="GET")).code == "client.invalid_http_method"
    assert fault_in(post(box, envelope(), "application/json")).code == "client.invalid_content_type"
    assert fault_in(post(box, envelope(), SOAPAction="urn:unquoted")).code == "client.invalid_soap_action"
    assert (
        fault_in(post(box, b"--b\r\nContent-Type: text/xml\r\n\r\n<a", "multipart/related; boundary=b")).code
        == "client.mime_parsing_failed"
    )


@pytest.mark.parametrize(
    ("status", "content_type", "body", "code"),
    [
        (200, TYPE, answer(FIELDS.replace("m-1", "m-2")), "service_failed.inconsistent_response"),
        (200, TYPE, answer(FIELDS.replace("admission", "emis")), "service_failed.inconsistent_response"),
        (200, TYPE, answer(FIELDS.replace(">v1<", ">v2<")), "service_failed.inconsistent_response"),
        (200, TYPE, envelope(body="<other/>"), "service_failed.inconsistent_headers"),
        (200, TYPE, answer(header=""), "service_failed.missing_header"),
        (200, TYPE, b"", "service_failed.invalid_soap"),
        (200, "text/html", b"<html/>", "service_failed.invalid_content_type"),
        (
            200,
            "multipart/related; boundary=b",
            b"--b\r\nContent-Type: text/xml\r\n\r\n<a/>",
            "service_failed.mime_parsing_failed",
        ),
        (500, "text/html", b"<html/>", "service_failed.http_error"),
        (404, TYPE, answer(), "service_failed.http_error"),
    ],
)
def test_an_agencys_answer_that_is_none_is_not_signed(
    box: Box, status: int, content_type: str, body: bytes, code: str
) -> None:
    box.agency.answer = (status, {"Content-Type": content_type}, body)
    fault = fault_in(post(box, envelope()))
    assert fault.code == f"server.serverproxy.{code}"
    assert len(box.agency.seen) == 1


def test_monitoring_tells_of_soap(box: Box) -> None:
    fields = FIELDS.replace("m-1", "watched")
    box.agency.answer = (200, {"Content-Type": TYPE}, answer(fields))
    post(box, envelope(fields))
    for code in list(box.laid.nodes):
        record = last_record(box, code, "watched")
        assert (record["messageProtocolVersion"], record["serviceType"], record["succeeded"]) == ("4.0", "WSDL", True)
        assert (record["serviceCode"], record["serviceVersion"], record["messageUserId"]) == (
            "getPerson",
            "v1",
            "EE123",
        )
        assert record["requestSize"] == len(envelope(fields))
        assert len(record["xRequestId"]) == 36


def last_record(box: Box, code: str, message_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for file in sorted(box.laid.nodes[code].folder.rglob("monitoring*.jsonl")):
            if file.is_file():
                for line in file.read_text().splitlines():
                    record: dict[str, Any] = json.loads(line)
                    if record.get("messageId") == message_id:
                        return record
        time.sleep(0.1)
    raise AssertionError(f"no record of {message_id} at {code}")


def test_a_register_whose_bodies_are_not_to_be_logged_leaves_no_body_in_any_log_and_its_messages_still_verify(
    box: Box,
) -> None:
    """At both ends: `log.bodies_of` names the register, whichever side a node is on."""
    number = b"20101201500017"
    box.agency.answer = (
        200,
        {"Content-Type": TYPE},
        answer().replace(b"<name>A</name>", b"<name>" + number + b"</name>"),
    )
    asked = envelope(body=f'<p:getPerson xmlns:p="urn:p"><code>{number.decode()}</code></p:getPerson>')
    folders = {code: box.laid.nodes[code].folder for code in box.laid.nodes}
    files = {code: box.laid.nodes[code].config.read_text() for code in folders}
    try:
        for code in folders:
            box.change(code, log={"bodies_of": {str(GET_PERSON.provider): "hash"}})
            box.processes[code].send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while True:
            marks = {code: sum(1 for _ in messagelog.read(folder / "log")) for code, folder in folders.items()}
            assert number in post(box, asked).body
            new = {
                code: [one for _, _, one in messagelog.read(folder / "log")][marks[code] :]
                for code, folder in folders.items()
            }
            if all(one.signed_digest is not None for some in new.values() for one in some):
                break
            assert time.monotonic() < deadline, "the files were not read again"
            time.sleep(0.2)
        trust = Trust(shared_parameters(box.folder, box.plan))
        for code, some in new.items():
            assert [one.direction for one in some] == ["request", "response"]
            for one in some:
                assert number not in one.message
                assert b"getPerson</id:serviceCode>" in one.message
                made = asic.container(one)
                assert asic.read(made).check(trust, bodies=False).member in {
                    ADMISSION.member,
                    GET_PERSON.provider.member,
                }
                assert b"message.xml.sha512" in made
            assert messagelog.verify(folders[code] / "log", trust).ok
        assert new["node-edu"][0].signed_digest == hashlib.sha512(asked).digest()
    finally:
        for code, text in files.items():
            box.laid.nodes[code].config.write_text(text)
            box.processes[code].send_signal(signal.SIGHUP)


@pytest.mark.parametrize("large", ["request", "answer"])
def test_an_envelope_as_large_as_x_roads_may_be_goes_either_way(box: Box, large: str) -> None:
    big = '<p:{} xmlns:p="urn:p"><name>' + "A" * 5_000_000 + "</name></p:{}>"
    asked = envelope(body=big.format("getPerson", "getPerson")) if large == "request" else envelope()
    if large == "answer":
        body = answer().replace(b"<name>A</name>", b"<name>" + b"A" * 5_000_000 + b"</name>")
        box.agency.answer = (200, {"Content-Type": TYPE}, body)
    found = post(box, asked)
    assert without_hash(found.body)[-600:] == box.agency.answer[2][-600:]


def test_many_attachments_that_are_small_alone_go_together(box: Box) -> None:
    head = b"\r\n--=_c\r\nContent-Type: application/octet-stream\r\n\r\n"
    parts = [head + bytes([n]) * 60_000 for n in range(65, 65 + 120)]
    sent = b"--=_c\r\nContent-Type: text/xml; charset=utf-8\r\n\r\n" + envelope() + b"".join(parts) + b"\r\n--=_c--\r\n"
    found = post(box, sent, 'multipart/related; type="text/xml"; boundary="=_c"')
    assert without_hash(found.body) == answer()
    (seen,) = box.agency.seen
    assert all(bytes([n]) * 60_000 in seen.body for n in range(65, 65 + 120))
