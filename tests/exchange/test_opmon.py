from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import opmon, rest
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.opmon import Exchange, SoapNames
from kerege.exchange.opmon_query import FIELDS

REQUEST = rest.request_from_client(
    "GET",
    "/r1/KG/GOV/70000002/population/persons/21203198000017?part=name",
    (
        (b"X-Road-Client", b"KG/GOV/70000003/admission"),
        (b"X-Road-UserId", b"officer-1"),
        (b"X-Road-Issue", b"case-1"),
        (b"X-Road-Represented-Party", b"COM/42"),
    ),
    new_message_id="m",
    request_id="r",
)


def exchange(side: str = opmon.PRODUCER, **changes: object) -> Exchange:
    made = Exchange(side, 1_000, REQUEST, 1_001, 1_002, 1_003, 10, 20, "127.0.0.1", "127.0.0.2", 200)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


SOAP = SoapNames(
    ClientId.parse("KG/GOV/70000003/admission"),
    DataServiceId("KG", "GOV", "70000002", "population", "getPerson", "v1"),
    "id-1",
    "r-1",
    "officer-1",
    None,
    None,
    "42",
)


def test_a_soap_exchange_has_the_protocols_fields_and_no_status() -> None:
    noted = Exchange(opmon.PRODUCER, 1_000, None, 1_001, 1_002, 1_003, 10, 20, soap=SOAP, request_mime_size=99)
    noted.request_attachments = 2
    record = opmon.record(noted)
    assert (record["serviceCode"], record["serviceVersion"], record["serviceType"]) == ("getPerson", "v1", "WSDL")
    assert (record["messageProtocolVersion"], record["messageId"], record["xRequestId"]) == ("4.0", "id-1", "r-1")
    assert (record["requestSize"], record["requestMimeSize"], record["requestAttachmentCount"]) == (10, 99, 2)
    assert (record["representedPartyCode"], record["succeeded"]) == ("42", True)
    assert not {"statusCode", "restMethod", "restPath", "messageIssue", "responseMimeSize"} & set(record)


def test_a_soap_exchange_without_answer_or_with_a_fault_failed() -> None:
    assert opmon.record(Exchange(opmon.CLIENT, 1, soap=SOAP))["succeeded"] is False
    assert opmon.record(Exchange(opmon.CLIENT, 1, soap=SOAP, response_size=5, fault_code="x"))["succeeded"] is False


def test_every_field_is_one_of_the_protocols() -> None:
    soap = Exchange(opmon.CLIENT, 1, None, 1, 1, 1, 1, 1, "a", "b", None, "c", "d", "e", SOAP, None, 1, 1, 1, 1)
    assert set(opmon.record(soap)) | set(opmon.record(exchange())) <= FIELDS


def test_the_query_and_segments_that_name_a_person_stay_out() -> None:
    record = opmon.record(exchange())
    assert record["restPath"] == "/*"
    assert b"21203198000017" not in orjson.dumps(record)


def test_the_path_stands_in_the_producers_record_only() -> None:
    assert "restPath" not in opmon.record(exchange(opmon.CLIENT))


def test_unknown_fields_are_absent() -> None:
    record = opmon.record(Exchange(opmon.CLIENT, 1_000, response_out=1_001, fault_code="x", fault_string="y" * 5000))
    assert None not in record.values()
    assert "statusCode" not in record
    assert record["succeeded"] is False
    assert len(record["faultString"]) == 2048


@pytest.mark.parametrize(("status", "succeeded"), [(200, True), (302, True), (404, False), (500, False)])
def test_a_providers_error_status_is_no_success_and_no_fault(status: int, succeeded: bool) -> None:
    record = opmon.record(exchange(status=status))
    assert record["succeeded"] is succeeded
    assert "faultCode" not in record


@pytest.mark.vectors
def test_the_fields_are_those_a_live_pair_writes(vectors: Path) -> None:
    lines = (vectors / "live-7.3.2/opmon/records.jsonl").read_bytes().splitlines()
    theirs = {name for line in lines for name in orjson.loads(line)}
    ours = set(opmon.record(exchange())) | {"faultCode", "faultString"}
    assert theirs - ours <= {"requestMimeSize", "responseMimeSize", "serviceVersion"}, "SOAP's fields come with SOAP"


def as_live(theirs: dict[str, object]) -> Exchange:
    """The exchange that a live server wrote this record of."""
    headers = [(b"X-Road-Client", b"EE/BUSINESS/consumer/sub"), (b"X-Road-Id", str(theirs["messageId"]).encode())]
    for name, key in ((b"X-Road-UserId", "messageUserId"), (b"X-Road-Issue", "messageIssue")):
        if key in theirs:
            headers.append((name, str(theirs[key]).encode()))
    request = rest.request_from_client(
        "GET",
        "/r1/EE/BUSINESS/producer/sub/svc",
        tuple(headers),
        new_message_id="",
        request_id=str(theirs["xRequestId"]),
    )
    numbers = {
        name: theirs[key]
        for name, key in (
            ("request_in", "requestInTs"),
            ("request_out", "requestOutTs"),
            ("response_in", "responseInTs"),
            ("response_out", "responseOutTs"),
            ("request_size", "requestSize"),
            ("response_size", "responseSize"),
            ("status", "statusCode"),
        )
    }
    return Exchange(
        str(theirs["securityServerType"]),
        request=request,
        client_address=str(theirs["clientSecurityServerAddress"]),
        service_address=str(theirs["serviceSecurityServerAddress"]),
        **numbers,  # type: ignore[arg-type]
    )


@pytest.mark.vectors
def test_what_a_live_server_wrote_of_an_exchange_is_written_of_it_here(vectors: Path) -> None:
    lines = (vectors / "live-7.3.2/opmon/records.jsonl").read_bytes().splitlines()
    assert lines
    for line in lines:
        theirs = orjson.loads(line)
        ours = opmon.record(as_live(theirs))
        assert {key: ours[key] for key in theirs} == theirs
        assert set(ours) - set(theirs) <= {"monitoringDataTs", "restMethod", "restPath", "xRoadVersion"}


@pytest.mark.vectors
def test_records_have_the_types_and_lengths_of_the_protocols_schema(vectors: Path) -> None:
    text = (vectors / "opmonitor/query_operational_data_response_payload_schema.yaml").read_text()
    fields = yaml.safe_load(text)["properties"]["records"]["items"]["properties"]
    kinds = {"integer": int, "string": str, "boolean": bool}
    long = "ө" * 5000
    soap = Exchange(opmon.CLIENT, 1, None, 1, 1, 1, 1, 1, "a", "b", None, long, long, "127.0.0.1", request_mime_size=1)
    soap.soap = SoapNames(SOAP.client, SOAP.service, long, "r", long, long, long, long)
    for record in (opmon.record(soap), opmon.record(exchange())):
        for name, value in record.items():
            if name != "xRequestId":
                stated = fields[name]
                assert type(value) is kinds[stated["type"]], name
                assert not isinstance(value, str) or len(value) <= stated.get("maxLength", 255), name
                assert value in stated.get("enum", [value]), name


# --- the record as a line, written from a template ---

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.integers(0, 2**43)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_line_says_field_for_field_what_the_record_says(data: st.DataObject) -> None:
    def maybe(strategy: st.SearchStrategy[object], usual: object) -> object:
        return data.draw(st.one_of(st.just(usual), st.none(), strategy))

    headers = st.sampled_from([b"X-Road-UserId", b"x-road-issue", b"X-Road-Represented-Party", b"Accept"])
    request = replace(
        REQUEST,
        verb=data.draw(st.sampled_from(["GET", "POST", 'X"', "%d"])),
        path=data.draw(st.sampled_from(["/persons/17", "", "/a%20b", '/"q"', "/name/Aygul"])),
        message_id=data.draw(st.text(st.characters(codec="utf-8"), max_size=300)),
        request_id=data.draw(TEXT),
        headers=tuple(data.draw(st.lists(st.tuples(headers, st.binary(max_size=300)), max_size=4))),
        client=ClientId("KG", "GOV", "70000003", data.draw(st.sampled_from(["a", "б%d", '"']))),
    )
    made = exchange(
        data.draw(st.sampled_from([opmon.CLIENT, opmon.PRODUCER])),
        request=maybe(st.none(), request),
        request_in=data.draw(NUMBER),
        request_out=maybe(NUMBER, 7),
        response_in=maybe(NUMBER, 8),
        response_out=maybe(NUMBER, 9),
        request_size=maybe(NUMBER, 10),
        response_size=maybe(NUMBER, 11),
        status=maybe(st.sampled_from([200, 404, 500]), 200),
        client_address=data.draw(TEXT),
        own_address=data.draw(TEXT),
        fault_code=data.draw(st.one_of(st.none(), TEXT)),
        fault_string=data.draw(st.one_of(st.none(), TEXT)),
        service_type=data.draw(st.sampled_from([None, opmon.OPENAPI])),
        request_mime_size=data.draw(st.one_of(st.none(), NUMBER)),
        response_attachments=data.draw(st.integers(0, 3)),
        soap=data.draw(st.sampled_from([None, None, SOAP])),
    )
    expected = opmon.record(made)
    for _ in range(2):  # the second time its kind is known
        line = opmon.line(made)
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
        assert orjson.loads(line) == expected
        assert line.startswith(b'{"monitoringDataTs":'), "readers find the second without parsing"


def test_lines_of_exchanges_that_differ_in_any_field_of_their_kind_differ() -> None:
    one = exchange()
    changes: dict[str, object] = {
        "status": 404, "service_type": opmon.OPENAPI, "own_address": "a", "client_address": "b", "service_address": "c",
        "request_attachments": 5, "response_attachments": 6, "side": opmon.CLIENT, "request": replace(REQUEST, verb="PUT"),
    }  # fmt: skip
    for name, value in changes.items():
        opmon.line(one)
        other = exchange()
        setattr(other, name, value)
        assert orjson.loads(opmon.line(other)) == opmon.record(other) != opmon.record(one), name


def test_the_kinds_of_lines_that_are_remembered_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opmon, "_MOST_KINDS", 5)
    for number in range(50):
        opmon.line(exchange(request=replace(REQUEST, path=f"/p{number}")))
    assert len(opmon._KINDS) <= 5
