"""Every file of X-Road's own SOAP queries: read, or refused with the fault that X-Road's tests name for it."""

import zipfile
from pathlib import Path

import pytest

from kerege.exchange import mime, soap
from kerege.exchange.errors import ExchangeError
from kerege.exchange.faults import CLIENT_PROXY, Fault, Spelling, fault_of, snake
from kerege.exchange.multipart import Part
from kerege.exchange.soap import SoapMessage

NORMAL, FAULT = "normal", "a SOAP fault"

# What X-Road's test suite (proxy testsuite, common-message) expects of a file sent by a client, "normal" or the fault's suffix;
# where a file is used there only as an agency's answer or at another stage, what its first reader must make of it.
EXPECTED = {
    "allowedMethods.query": NORMAL,
    "attachm-faulty-soap.query": "missing_header_field",  # AttachmentFaultySoap
    "attachm-no-soap.query": "invalid_content_type",  # AttachmentNoSoap: the first part is no SOAP
    "attachm.answer": NORMAL,
    "attachm.query": NORMAL,  # Attachment: a multipart inside, whose parts are the attachments
    "attachm2-utf8bom-inside.answer": NORMAL,
    "attachm2-utf8bom-inside.query": "mime_parsing_failed",  # the file is cut off inside its SOAP part
    "attachments.answer": NORMAL,
    "attachments.query": NORMAL,  # SeveralAttachments
    "cdata.answer": NORMAL,
    "cdata.query": NORMAL,  # CDATAMessage
    "customsoapenv.answer": FAULT,
    "fault.query": "invalid_soap",  # SoapFaultToClientProxy: a client cannot send a fault
    "faulty-header.query": "missing_header_field",  # missingRequiredHeaderField
    "faulty-multipart.query": "missing_soap",  # ServiceFaultyMultipart: the boundary named occurs nowhere
    "getstate-defaultnamespace.query": NORMAL,  # DefaultNamespaceMessage
    "getstate-subsystem.answer": NORMAL,
    "getstate-subsystem.query": NORMAL,  # NormalSubsystem
    "invalid-service-address.query": NORMAL,  # refused later: its service has no address
    "malformed-body1.query": "invalid_body",  # MalformedBody1
    "malformed-body3.query": "inconsistent_headers",  # MalformedBody3
    "mimesoap.answer": NORMAL,
    "mimesoap.query": NORMAL,  # MimeSoap
    "missing-org.query": NORMAL,  # MissingOrg: refused later, unknown_member
    "missing-userId.answer": NORMAL,
    "missing-userId.query": NORMAL,  # optionalUserIdField
    "no-header.query": "missing_header",  # MissingHeader
    "no-soap.query": "invalid_soap",  # NoSoapToServerProxy: the SOAP part is empty
    "nowhitespace.answer": NORMAL,
    "nowhitespace.query": NORMAL,  # NoWhitespaceMessage
    "request-suffix.query": NORMAL,  # removeRequestSuffixFromResponse
    "response-with-requestId.answer": NORMAL,
    "signing-error-request.query": NORMAL,  # refused later, cannot_create_signature
    "simple-representedparty.query": NORMAL,
    "simple.answer": NORMAL,
    "simple.query": NORMAL,
    "simplesoap.xml": NORMAL,
    "soapfault-mtom.answer": FAULT,  # SoapFaultAsMTOM: a fault whose last boundary is left open
    "soapfault-mtom.query": NORMAL,
    "split-header.answer": NORMAL,
    "split-header.query": NORMAL,  # SplitHeaderMessage: fields in another order
    "wrong-protocolVersion.query": "invalid_protocol_version",
    "xml.query": NORMAL,
    "xop.answer": NORMAL,
}
ATTACHMENTS = {
    "attachm.query": [b"blaah"],
    "attachm2-utf8bom-inside.answer": [b"blaah"],
    "attachments.query": [b"blaah\n", b"blaah1\n", b"blaah2\n"],
    "attachments.answer": [b"blaah\n", b"blaah1\n", b"blaah2\n"],
    "soapfault-mtom.query": [b"foobar"],
}
QUERY_OF = {
    "attachm.answer": "attachm.query",
    "attachments.answer": "attachments.query",
    "cdata.answer": "cdata.query",
    "getstate-subsystem.answer": "getstate-subsystem.query",
    "mimesoap.answer": "mimesoap.query",
    "missing-userId.answer": "missing-userId.query",
    "nowhitespace.answer": "nowhitespace.query",
    "simple.answer": "simple.query",
    "split-header.answer": "split-header.query",
}


def queries(vectors: Path) -> Path:
    return vectors / "soap" / "proxy-queries"


def content_type_of(name: str, data: bytes) -> str:
    if not data.startswith(b"--"):
        return "text/xml; charset=UTF-8"
    first = data[2:].split(b"\n")[0].decode()
    boundary = "jetty771207119h3h10dty" if first.startswith("jetty") else first  # as X-Road's tests name it
    return f'Multipart/Related; start-info="application/soap+xml"; type="text/xml"; boundary="{boundary}"'


def read(folder: Path, name: str) -> tuple[SoapMessage | Fault, mime.SoapParts]:
    data = (folder / name).read_bytes()
    parts = mime.read(content_type_of(name, data), data)
    message = soap.parse(parts.soap, charset=parts.charset)
    return (soap.check_request(message) if name.endswith((".query", ".xml")) else message), parts


def test_every_file_has_an_expectation(vectors: Path) -> None:
    assert {path.name for path in queries(vectors).iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_query_of_x_roads_own_is_read_or_refused_as_there(vectors: Path, name: str) -> None:
    if EXPECTED[name] not in {NORMAL, FAULT}:
        with pytest.raises(ExchangeError) as refused:
            read(queries(vectors), name)
        fault = fault_of(refused.value, CLIENT_PROXY)
        assert (fault.code, fault.http_status) == (f"client.{EXPECTED[name]}", 400)
        assert snake(fault_of(refused.value, CLIENT_PROXY, Spelling.CAMEL).code) == fault.code
        return
    message, parts = read(queries(vectors), name)
    assert EXPECTED[name] == (FAULT if isinstance(message, Fault) else NORMAL)
    if name in ATTACHMENTS:
        assert [attachment.body for attachment in parts.attachments] == ATTACHMENTS[name]
    assert parts.unfinished == (name == "soapfault-mtom.answer")


def test_values_survive_white_space_cdata_and_other_orders(vectors: Path) -> None:
    message, _ = read(queries(vectors), "split-header.query")
    assert isinstance(message, SoapMessage)
    assert (message.header.issue, message.header.user_id) == ("w\naa\nww\n", "12345")
    message, _ = read(queries(vectors), "simple-representedparty.query")
    assert isinstance(message, SoapMessage)
    assert message.header.party is not None
    assert (message.header.party.party_class, message.header.party.party_code) == ("COM", "MEMBER3")
    fault, _ = read(queries(vectors), "customsoapenv.answer")
    assert fault == Fault("soapenv:Server.CODE", "STRING", "DETAIL", "ACTOR")


@pytest.mark.parametrize("name", sorted(QUERY_OF))
def test_an_answer_with_the_hash_put_in_answers_its_query_and_no_other(vectors: Path, name: str) -> None:
    folder = queries(vectors)
    request, asked = read(folder, QUERY_OF[name])
    _, answered = read(folder, name)
    assert isinstance(request, SoapMessage)
    digest = mime.Attachment((), asked.soap).sha512
    done = soap.with_request_hash(answered.soap, digest)
    soap.check_answer(request.header, digest, soap.parse(done))
    assert done.replace(done[_start(done) : _end(done)], b"") == answered.soap
    with pytest.raises(ExchangeError, match="requestHash differs"):
        soap.check_answer(request.header, digest[::-1], soap.parse(done))


def _start(data: bytes) -> int:
    at = data.index(b"<xroad:requestHash")
    return len(data[:at].rstrip())


def _end(data: bytes) -> int:
    return data.index(b"</xroad:requestHash>") + len(b"</xroad:requestHash>")


def test_a_hash_that_an_answer_brings_is_replaced(vectors: Path) -> None:
    _, answered = read(queries(vectors), "response-with-requestId.answer")
    done = soap.with_request_hash(answered.soap, bytes(64))
    found = soap.parse(done)
    assert isinstance(found, SoapMessage)
    assert found.header.request_hash == soap.request_hash(bytes(64))
    assert done.count(b"requestHash") == 2


def test_headers_of_parts_come_with_them_unfolded(vectors: Path) -> None:
    _, parts = read(queries(vectors), "xop.answer")
    assert parts.kind == b"application/xop+xml"
    assert parts.headers[2] == (b"content-id", b"<0.urn:uuid:0FE43E4D025F0BF3DC11582467646813@apache.org>")
    attachment = parts.attachments[0]
    assert attachment.headers[1] == (b"content-transfer-encoding", b"binary")
    assert isinstance(attachment.body, bytes)
    assert attachment.body.startswith(b"77+9UE5HDQoaCgAAAA1J")
    assert attachment.body.endswith(b"77+9QmDvv70=\n")  # the line end before the boundary's own is the body's


def test_the_nested_part_between_servers_is_read_as_x_road_wrote_it(vectors: Path) -> None:
    data = (vectors / "transport" / "attachment.request").read_bytes()
    start = data.index(b"boundary=xatt")
    boundary = data[start + 9 : data.index(b"\n", start)]
    body = data[data.index(b"\n\n", start) + 2 : data.index(b"\n--xtop", start)]
    part = Part(b"multipart/mixed", {b"content-type": b"multipart/mixed; charset=UTF-8; boundary=" + boundary}, body)
    assert [(a.headers, a.body) for a in mime.decode_nested(part)] == [(((b"Content-Type", b"text/plain"),), b"blaah")]


@pytest.mark.parametrize("name", ["020-soap-1-request-client.asice", "021-soap-1-request-server.asice"])
def test_messages_of_a_live_pair_are_read(vectors: Path, name: str) -> None:
    with zipfile.ZipFile(vectors / "live-7.3.2" / "asice" / name) as container:
        found = soap.check_request(soap.parse(container.read("message.xml")))
    assert str(found.header.service) == "EE/BUSINESS/producer/sub/getPerson/v1"


def test_an_answer_signed_by_x_road_8_names_the_algorithm_another_way(vectors: Path) -> None:
    with zipfile.ZipFile(vectors / "asic" / "verifier-cli" / "valid-non-batch-soap-attachments.asice") as container:
        found = soap.parse(container.read("message.xml"))
    assert isinstance(found, SoapMessage)
    assert found.header.hash_algorithm in soap.SHA512_ALGORITHMS
    soap.check_answer_root(found)


@pytest.mark.parametrize("folder", ["metaservice", "proxymonitor"])
def test_metaservice_and_monitoring_queries_are_read(vectors: Path, folder: str) -> None:
    found = {path.name: soap.parse(path.read_bytes()) for path in sorted((vectors / "soap" / folder).iterdir())}
    assert found
    for name, message in found.items():
        assert isinstance(message, SoapMessage), name
        if name.endswith(".query"):
            soap.check_request(message)
