import pytest

from kerege.exchange import errors, faults
from kerege.exchange.errors import AccessDenied, HeaderMissing, PeerFault
from kerege.exchange.faults import CLIENT_PROXY, SERVER_PROXY, Fault, Spelling, camel, fault_of, snake
from kerege.ground.errors import KeregeError

DENIED = AccessDenied(client="KG/GOV/1/a", service="KG/GOV/2/b/c", reason="no right was granted")


def test_both_spellings_of_a_fault_code() -> None:
    assert fault_of(DENIED, SERVER_PROXY).code == "server.serverproxy.access_denied"
    assert fault_of(DENIED, SERVER_PROXY, Spelling.CAMEL).code == "Server.ServerProxy.AccessDenied"


@pytest.mark.parametrize(
    "code",
    ["server.clientproxy.network_error", "client.missing_header", "server.serverproxy.ssl_authentication_failed"],
)
def test_spellings_translate_both_ways(code: str) -> None:
    assert snake(camel(code)) == code


def test_the_detail_says_which_check_failed_and_what_to_do() -> None:
    detail = fault_of(DENIED, SERVER_PROXY).detail
    assert detail.startswith("exchange.access_denied: ")
    assert "grants a right" in detail


def test_a_callers_mistake_is_400_and_a_servers_500() -> None:
    assert fault_of(HeaderMissing(header="X-Road-Client"), CLIENT_PROXY).http_status == 400
    assert fault_of(DENIED, SERVER_PROXY, Spelling.CAMEL).http_status == 500


def test_a_peers_fault_is_passed_on_in_our_spelling() -> None:
    peer = PeerFault(fault_code="Server.ServerProxy.UnknownService", fault_string="no such", detail="abc")
    fault = fault_of(peer, CLIENT_PROXY)
    assert (fault.code, fault.message, fault.detail) == ("server.serverproxy.unknown_service", "no such", "abc")


def test_a_fault_travels_as_soap_and_back() -> None:
    fault = Fault("server.serverproxy.x", 'a < b & "c"', "detail {braces}")
    assert faults.from_soap(faults.to_soap(fault)) == fault
    assert faults.from_soap(b"<a/>") is None
    with pytest.raises(errors.MessageMalformed):
        faults.from_soap(b"<a")


def test_errors_are_xml_only_when_asked_for() -> None:
    assert not faults.wants_xml("application/json")
    assert not faults.wants_xml("*/*")
    assert faults.wants_xml("text/html;q=0.5, application/xml")
    assert faults.wants_xml("text/*")
    assert b"<type>a&amp;b</type>" in faults.to_xml(Fault("a&b", "m", "d"))


def test_every_error_of_the_engine_that_can_reach_a_caller_has_a_fault() -> None:
    own = {c for c, cls in KeregeError.catalogue().items() if cls.__module__ == "kerege.exchange.errors"}
    assert own - set(faults.SUFFIX_OF) == {"exchange.peer_fault", "exchange.log_damaged", "exchange.log_busy"}
