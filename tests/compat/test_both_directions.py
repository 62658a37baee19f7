"""Our node and the stand-in for X-Road 7.3.2 call each other: REST and SOAP, with TLS and without, and every refusal."""

from __future__ import annotations

import json
import re

import pytest
from bench732 import Bench
from peer732 import RestMessage
from pki732 import Authority
from signature732 import Refused
from wire732 import decode

CLIENT = {"X-Road-Client": "EE/BUSINESS/consumer/sub", "Accept": "*/*"}
AS_PRODUCER = [("Accept", "*/*"), ("X-Road-Client", "EE/BUSINESS/producer/sub"), ("X-Road-Id", "rest-1")]
THEIR_SERVICE, OUR_SERVICE = "/r1/EE/BUSINESS/producer/sub/", "/r1/EE/BUSINESS/consumer/sub/"


def envelope(client: str, provider: str, code: str = "getData", query: str = "plain", version: str = "v1") -> bytes:
    def who(tag: str, kind: str, member: str, more: str = "") -> str:
        return (
            f'<xroad:{tag} id:objectType="{kind}"><id:xRoadInstance>EE</id:xRoadInstance><id:memberClass>BUSINESS</id:memberClass>'
            f"<id:memberCode>{member}</id:memberCode><id:subsystemCode>sub</id:subsystemCode>{more}</xroad:{tag}>"
        )

    service = f"<id:serviceCode>{code}</id:serviceCode>" + (
        f"<id:serviceVersion>{version}</id:serviceVersion>" if version else ""
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xroad="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers"><soapenv:Header>'
        f"{who('client', 'SUBSYSTEM', client)}{who('service', 'SERVICE', provider, service)}"
        "<xroad:id>soap-1</xroad:id><xroad:userId>EE123</xroad:userId><xroad:protocolVersion>4.0</xroad:protocolVersion>"
        f'</soapenv:Header><soapenv:Body><p:{code} xmlns:p="urn:p"><q>{query}</q></p:{code}></soapenv:Body></soapenv:Envelope>'
    ).encode()


# --- our node as consumer, theirs as provider ---


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("GET", "svc/a%20b?q=1&z=%C3%A4", None, 200, b"got /r1/EE/BUSINESS/producer/sub/svc/a%20b?q=1&z=%C3%A4"),
        ("POST", "svc/x", b'{"a":1}', 200, b'got {"a":1}'),
        ("PUT", "svc/x", b"\x00" * 300_000, 200, b"got " + b"\x00" * 300_000),
        ("DELETE", "svc/nobody", None, 204, b""),
        ("GET", "svc/e404", None, 404, b""),
        ("GET", "svc/empty", None, 200, b""),
    ],
)
def test_rest_calls_to_their_server(
    live: Bench, method: str, path: str, body: bytes | None, status: int, answer: bytes
) -> None:
    headers = CLIENT | ({"Content-Type": "application/json"} if body else {}) | {"X-Road-Id": f"rest-{method}"}
    got = live.call(method, THEIR_SERVICE + path, headers, body)
    assert got[0] == status, (got, live.peer.problems)
    assert got[2] == answer
    assert got[1]["x-road-service"] == "EE/BUSINESS/producer/sub/svc"
    assert got[1]["x-road-id"] == f"rest-{method}"
    if status == 200:
        assert (got[1]["X-Custom"], got[1]["Set-Cookie"]) == ("v1", "a=b")


@pytest.mark.parametrize(
    ("service", "status", "code"),
    [
        ("denied", 500, "Server.ServerProxy.AccessDenied"),
        ("nothing", 500, "Server.ServerProxy.UnknownService"),
        ("down", 500, "Server.ServerProxy.ServiceFailed.NetworkError"),
    ],
)
def test_refusals_of_their_server_reach_the_caller_under_their_own_code(
    live: Bench, service: str, status: int, code: str
) -> None:
    for method, body in (("GET", None), ("POST", b"x")):
        got = live.call(method, THEIR_SERVICE + service + "/x", CLIENT, body)
        assert (got[0], json.loads(got[2])["type"]) == (status, code)
        assert got[1]["X-Road-Error"] == code


def test_soap_to_their_server(live: Bench) -> None:
    message = envelope("consumer", "producer")
    status, headers, body = live.call("POST", "/", {"Content-Type": "text/xml; charset=UTF-8"}, message)
    assert status == 200
    assert b"getDataResponse" in body, (body, live.peer.problems)
    assert b"requestHash" in body
    assert headers["Content-Type"] == "text/xml;charset=utf-8"


def test_soap_with_attachments_to_their_server_and_back(live: Bench) -> None:
    message = envelope("consumer", "producer", query="attach")
    parts = [b"Content-Type: text/xml; charset=UTF-8\r\n\r\n" + message]
    parts.append(b"Content-Type: application/octet-stream\r\nContent-ID: <one>\r\n\r\n\x01\x02\r\n\r\n")
    parts.append(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=")
    sent = b"".join(b"--mine\r\n" + part + b"\r\n" for part in parts) + b"--mine--\r\n"
    kind = 'multipart/related; type="text/xml"; start-info="text/xml"; boundary="mine"'
    status, headers, body = live.call("POST", "/", {"Content-Type": kind, "SOAPAction": '""'}, sent)
    assert status == 200
    assert b"getDataResponse" in body, (body, live.peer.problems)
    assert 'boundary="theirs"' in headers["Content-Type"]
    assert b"\r\n\r\n\x00\r\n--x\r\n--theirs" in body
    assert b"aGVsbG8=\r\n\r\n--theirs" in body
    assert b"\x01\x02\r\n\r\n\r\n--theirs" in body
    request = live.peer.seen[-1]
    assert request.header("x-original-content-type") == kind
    assert request.header("x-original-soapaction") == '""'


@pytest.mark.parametrize(
    ("code", "query", "expected"),
    [
        ("getData", "fault", "s:Server.Own"),
        ("denied", "x", "Server.ServerProxy.AccessDenied"),
        ("nothing", "x", "Server.ServerProxy.UnknownService"),
        ("down", "x", "Server.ServerProxy.ServiceFailed.NetworkError"),
    ],
)
def test_soap_faults_of_their_server_reach_the_caller(live: Bench, code: str, query: str, expected: str) -> None:
    message = envelope("consumer", "producer", code, query)
    status, _, body = live.call("POST", "/", {"Content-Type": "text/xml"}, message)
    assert status == 200
    assert re.search(rb"<faultcode>(.*?)</", body)[1].decode() == expected


# --- theirs as consumer, our node as provider ---


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("GET", "svc/a%20b?q=1&z=%C3%A4", None, 200, b"/base/a%20b?q=1&z=%C3%A4"),
        ("POST", "svc/x", b'{"a":1}', 200, b'{"a":1}'),
        ("PUT", "svc/x", b"\x00" * 300_000, 200, b"\x00" * 300_000),
        ("DELETE", "svc/nobody", None, 204, None),
        ("GET", "svc/e404", None, 404, b""),
        ("GET", "svc/empty", None, 200, b""),
    ],
)
def test_rest_calls_from_their_server(
    live: Bench, method: str, path: str, body: bytes | None, status: int, answer: bytes | None
) -> None:
    headers = [*AS_PRODUCER, *([("Content-Type", "application/json")] if body else [])]
    got, content = live.peer.call_rest(live.address, live.ocsp, method, OUR_SERVICE + path, headers, body)
    assert (int(got.first), content) == (status, answer)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("closed/x", "Server.ServerProxy.AccessDenied"),
        ("nothing", "Server.ServerProxy.UnknownService"),
        ("down", "Server.ServerProxy.ServiceFailed"),
    ],
)
def test_our_refusals_are_faults_they_read(live: Bench, path: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + path, AS_PRODUCER)
    assert refused.value.code == code


def test_soap_from_their_server(live: Bench) -> None:
    message = envelope("producer", "consumer")
    http, parts = live.peer.call_soap(
        live.address, live.ocsp, message, "EE/BUSINESS/consumer", "text/xml; charset=UTF-8", []
    )
    assert b"getDataResponse" in parts.message
    assert http.header("x-original-content-type") == "text/xml; charset=UTF-8"


def test_soap_with_attachments_from_their_server_and_back(live: Bench) -> None:
    message = envelope("producer", "consumer", query="attach")
    attachments = [("application/octet-stream", [("Content-ID", "<one>")], b"\x01\r\n\x02"), ("text/plain", [], b"")]
    kind = 'multipart/related; type="text/xml"; boundary="mine"'
    http, parts = live.peer.call_soap(live.address, live.ocsp, message, "EE/BUSINESS/consumer", kind, attachments)
    # the agency echoes the whole multipart, so the attachments come back as they went
    assert [body for _, body in parts.attachments] == [b"\x01\r\n\x02", b""]
    assert http.header("x-original-content-type") == kind


def test_a_fault_of_our_agency_reaches_their_client(live: Bench) -> None:
    message = envelope("producer", "consumer", query="fault")
    with pytest.raises(Refused) as refused:
        live.peer.call_soap(live.address, live.ocsp, message, "EE/BUSINESS/consumer", "text/xml", [])
    assert (refused.value.code, refused.value.why) == ("s:Server.Own", "no such person")


def test_a_message_they_tampered_with_is_refused_and_not_carried_out(live: Bench) -> None:
    original = live.peer._signed
    live.peer._signed = lambda *a: original(*a).replace(
        b"\r\nx-road-request-id:", b"\r\nX-More:1\r\nx-road-request-id:"
    )
    try:
        with pytest.raises(Refused) as refused:
            live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "svc/x", AS_PRODUCER)
    finally:
        live.peer._signed = original
    assert refused.value.code == "Server.ServerProxy.InvalidSignatureValue"


def test_an_answer_ends_where_its_last_boundary_is_however_the_connection_ends(live: Bench) -> None:
    live.peer.abrupt = True
    try:
        for _ in range(3):
            assert live.call("GET", THEIR_SERVICE + "svc/x", CLIENT)[0] == 200, live.output()[-2000:]
        assert json.loads(live.call("GET", THEIR_SERVICE + "denied/x", CLIENT)[2])["type"].endswith(".AccessDenied")
        live.peer.cut = 40
        for service in ("svc", "denied"):
            status, _, body = live.call("GET", THEIR_SERVICE + service + "/x", CLIENT)
            assert (status, json.loads(body)["type"]) == (500, "Server.ClientProxy.InvalidMessage")
    finally:
        live.peer.abrupt, live.peer.cut = False, 0


def test_a_server_that_shows_a_strange_certificate_is_sent_nothing(live: Bench) -> None:
    if not live.peer.tls:
        pytest.skip("without TLS nobody is told apart")
    seen, unregistered = len(live.peer.seen), live.peer.authority.authentication("other")
    for pair in (unregistered, Authority().authentication("proxytest")):
        pair.save(live.peer.folder, "auth")
        try:
            status, _, body = live.call("GET", THEIR_SERVICE + "svc/x", CLIENT)
        finally:
            live.peer.auth.save(live.peer.folder, "auth")
        assert (status, json.loads(body)["type"]) == (500, "Server.ClientProxy.SslAuthenticationFailed")
    assert len(live.peer.seen) == seen


def test_their_ocsp_port_was_asked_by_sha_1_and_nothing_was_wrong_with_ours(live: Bench) -> None:
    live.call("GET", THEIR_SERVICE + "svc/x", CLIENT)
    if live.peer.tls:
        assert set(live.peer.asked_hashes) == {live.peer.auth.sha1.hex()}
    assert not [one for one in live.peer.problems if not one.startswith(("AccessDenied", "UnknownService"))]
    assert (
        RestMessage.read(decode(live.peer.seen[-1].header("content-type"), live.peer.seen[-1].body).message).first
        == "GET"
    )


def test_metaservices_are_answered_to_their_server_without_any_right(live: Bench) -> None:
    got, body = live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "listMethods", AS_PRODUCER)
    assert got.first == "200"
    listed = {one["service_code"] for one in json.loads(body or b"")["service"]}
    assert {"svc", "closed", "down"} <= listed
    got, body = live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "allowedMethods", AS_PRODUCER)
    assert {one["service_code"] for one in json.loads(body or b"")["service"]} == {"svc", "down"}
    message = envelope("producer", "consumer", "listMethods", version="")
    _, parts = live.peer.call_soap(live.address, live.ocsp, message, "EE/BUSINESS/consumer", "text/xml", [])
    assert b"listMethodsResponse" in parts.message
    assert b">getData</" in parts.message


def test_a_message_for_another_server_of_ours_or_of_a_stranger_is_refused(live: Bench) -> None:
    named = ("X-Road-Security-Server", "EE/BUSINESS/producer/proxytest")
    with pytest.raises(Refused) as refused:
        live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "svc/x", [*AS_PRODUCER, named])
    assert refused.value.code.startswith("Server.ServerProxy.Invalid")
    right = ("X-Road-Security-Server", "EE/BUSINESS/consumer/node")
    assert (
        live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "svc/x", [*AS_PRODUCER, right])[1]
        == b"/base/x"
    )
    theirs = {"X-Road-Security-Server": "EE/BUSINESS/producer/proxytest"}
    assert live.call("GET", THEIR_SERVICE + "svc/x", CLIENT | theirs)[0] == 200


def test_what_is_signed_by_another_member_than_the_one_named_is_refused(live: Bench) -> None:
    as_another = [("X-Road-Client", "EE/BUSINESS/consumer/sub"), ("X-Road-Id", "rest-9")]
    with pytest.raises(Refused) as refused:
        live.peer.call_rest(live.address, live.ocsp, "GET", OUR_SERVICE + "svc/x", as_another)
    # with TLS already the server is not the client's; without, the signature's certificate is not
    expected = "SslAuthenticationFailed" if live.peer.tls else "IncorrectCertificate"
    assert refused.value.code == f"Server.ServerProxy.{expected}"
