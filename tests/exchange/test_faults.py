import uuid

import pytest

from kerege.exchange import errors, faults, soap_errors
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
    own = {c for c, cls in KeregeError.catalogue().items() if cls.__module__.startswith("kerege.exchange.")}
    assert own - set(faults.SUFFIX_OF) == {"exchange.peer_fault", "exchange.log_damaged", "exchange.log_busy"}


@pytest.mark.parametrize(
    ("error", "where", "snake_code", "camel_code"),
    [
        (
            soap_errors.SoapFieldMissing(field="id", reason="x"),
            CLIENT_PROXY,
            "client.missing_header_field",
            "Client.MissingHeaderField",
        ),
        (
            soap_errors.SoapFieldMissing(field="id", reason="x"),
            SERVER_PROXY,
            "server.serverproxy.missing_header_field",
            "Server.ServerProxy.MissingHeaderField",
        ),
        (
            soap_errors.ServiceAnswerInvalid(service="s", problem="p", cause="invalid_soap"),
            SERVER_PROXY,
            "server.serverproxy.service_failed.invalid_soap",
            "Server.ServerProxy.ServiceFailed.InvalidSoap",
        ),
        (
            errors.SignatureInvalid(check="signature value", reason="x"),
            SERVER_PROXY,
            "server.serverproxy.invalid_signature_value",
            "Server.ServerProxy.InvalidSignatureValue",
        ),
        (
            errors.HashChainInvalid(check="unused inputs", reason="x"),
            CLIENT_PROXY,
            "server.clientproxy.hashchain_unused_inputs",
            "Server.ClientProxy.HashchainUnusedInputs",
        ),
        (
            soap_errors.SoapIdentifierInvalid(field="client", reason="x"),
            CLIENT_PROXY,
            "client.invalid_client_identifier",
            "Client.InvalidClientIdentifier",
        ),
        (
            soap_errors.HttpMethodInvalid(method="GET"),
            CLIENT_PROXY,
            "client.invalid_http_method",
            "Client.InvalidHttpMethod",
        ),
    ],
)
def test_a_soap_problem_is_the_clients_or_the_other_servers_by_where_it_was_seen(
    error: KeregeError, where: str, snake_code: str, camel_code: str
) -> None:
    assert fault_of(error, where).code == snake_code
    assert fault_of(error, where, Spelling.CAMEL).code == camel_code


def test_a_fault_that_an_agencys_system_made_up_keeps_its_code() -> None:
    made_up = PeerFault(fault_code="soap:Server", fault_string="no", detail="")
    assert fault_of(made_up, CLIENT_PROXY, Spelling.CAMEL).code == "soap:Server"
    assert fault_of(PeerFault(fault_code="CODE", fault_string="no", detail=""), CLIENT_PROXY).code == "CODE"


def test_a_fault_detail_is_a_uuid_as_x_road_has_it_and_says_beside_it_what_to_do() -> None:
    fault = fault_of(DENIED, SERVER_PROXY)
    sent = faults.to_soap(fault)
    assert f"<detail><faultDetail>{fault.reference}</faultDetail>".encode() in sent
    assert str(uuid.UUID(fault.reference)) == fault.reference
    found = faults.from_soap(sent)
    assert found == fault
    assert found is not None
    assert found.reference == fault.reference


def test_an_actor_and_a_detail_in_any_namespace_are_read() -> None:
    data = b"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>CODE</faultcode>
    <faultstring> STRING </faultstring><faultactor>ACTOR</faultactor><detail><x:faultDetail xmlns:x="urn:x">DETAIL</x:faultDetail></detail>
    </s:Fault></s:Body></s:Envelope>"""
    assert faults.from_soap(data) == Fault("CODE", "STRING", "DETAIL", "ACTOR")
    assert b"<faultactor>ACTOR</faultactor>" in faults.to_soap(Fault("CODE", "STRING", "DETAIL", "ACTOR"))


def test_what_xml_cannot_hold_does_not_break_a_fault() -> None:
    assert faults.from_soap(faults.to_soap(Fault("c", "a\x00b\ud800", "\x1b"))) == Fault("c", "a?b?", "?")


def test_every_suffix_of_the_table_is_one_x_road_knows() -> None:
    """The names of xroad.md 2.2, those of X-Road's error codes that it leaves out, and four the central services add."""
    known = """
        invalid_request bad_request not_found http_error network_error unknown_host io_error internal_error
        database_error invalid_http_method invalid_content_type invalid_soap_action invalid_message
        mime_parsing_failed missing_header missing_header_field duplicate_header_field missing_body
        invalid_body inconsistent_headers inconsistent_response missing_soap invalid_soap missing_rest
        missing_signature invalid_protocol_version invalid_client_identifier invalid_security_server
        unknown_member unknown_service service_type service_disabled service_missing_url
        service_malformed_url service_failed access_denied maintenance_mode
        client_proxy_version_not_supported ssl_authentication_failed cannot_create_signature
        signature_verification invalid_signature_value malformed_signature invalid_reference
        invalid_hash_chain malformed_hash_chain invalid_hash_chain_ref hashchain_unused_inputs
        cert_validation incorrect_validation_info incorrect_certificate invalid_cert_path
        cannot_create_cert_path logging_failed timestamping_failed global_conf_outdated malformed_global_conf
        malformed_server_conf token_not_active token_not_initialized key_not_found cert_not_found
        hsm_non_operational management_request_already_registered management_request_exists
        management_request_server_not_found management_request_already_so invalid_xml
    """
    assert set(faults.SUFFIX_OF.values()) | set(faults._FINER.values()) <= set(known.split())
