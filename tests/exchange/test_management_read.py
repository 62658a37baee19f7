"""Management requests and the answers to them, read: what is malformed is refused for its reason, and a fault is told with its own."""

import pytest

from kerege.exchange import faults, management, management_read
from kerege.exchange.errors import ManagementRefused, ManagementRequestInvalid
from kerege.exchange.management import Kind

from .management_samples import OWNER, PROVIDER, asked


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<x:id>id-1</x:id>", b"", "exactly one <id>"),
        (b"clientReg", b"clientDance", "no management service"),
        (b"<ns2:serviceCode>clientReg", b"<ns2:serviceCode>clientDeletion", "another service"),
        (b"<x:subsystemName>", b"<x:client/><x:subsystemName>", "each once"),
        (b"<ns2:serverCode>node-edu</ns2:serverCode>", b"", "exactly one serverCode"),
        (b"node-edu", b"..", "dot segment"),
        (b"node-edu", b"a/b", "U\\+002F|parts"),
        (b"<?xml", b"<!DOCTYPE a><?xml", "DOCTYPE|well-formed"),
        (b"s:Body", b"s:Bodi", "envelope"),
    ],
)
def test_a_malformed_request_is_refused_for_its_reason(old: bytes, new: bytes, reason: str) -> None:
    soap = management.build(asked(Kind.CLIENT_REG), OWNER, PROVIDER, "id-1")
    with pytest.raises(ManagementRequestInvalid, match=reason):
        management_read.parse(soap.replace(old, new))


def test_a_fault_is_told_with_its_reason() -> None:
    fault = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body><s:Fault>'
        b"<faultcode>Server.X</faultcode><faultstring>No such server.</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    with pytest.raises(ManagementRefused, match=r"\(Server.X\): No such server\."):
        management_read.parse_reply(fault)
    for data in (b"", b"<html/>", b"x" * 9):
        with pytest.raises(ManagementRefused, match="their answer"):
            management_read.parse_reply(data)


def test_a_fault_of_central_services_has_no_header_and_is_told_with_code_words_and_advice() -> None:
    fault = faults.Fault(
        "server.managementservice.invalid_request", "It does\x1b fit.", "membership.x: Mend it.", "", "1"
    )
    with pytest.raises(ManagementRefused) as told:
        management_read.parse_reply(faults.to_soap(fault))
    assert told.value.params["fault_code"] == "server.managementservice.invalid_request"
    assert told.value.text.endswith("(server.managementservice.invalid_request): It does? fit.")
    assert told.value.params["detail"] == "membership.x: Mend it."


def test_a_reply_without_a_number_or_a_fault_is_refused() -> None:
    body = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>'
    with pytest.raises(ManagementRefused, match="no request number"):
        management_read.parse_reply(body)
