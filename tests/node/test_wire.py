"""X-Road's wire: messages into multipart bodies and back, and what is refused there."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import multipart
from kerege.exchange.bodies import Attachment, body_bytes
from kerege.exchange.errors import KeregeError, MessageMalformed, PeerFault
from kerege.exchange.faults import Fault, to_soap
from kerege.exchange.soap_errors import MimeMalformed
from kerege.node import wire
from kerege.node.config_types import LimitSettings
from kerege.node.message import Message, Signature

LIMITS = LimitSettings(Path("/tmp"))
TYPE = multipart.content_type("xtopTEST")


def sent(message: Message) -> bytes:
    return b"".join(body_bytes(piece) for piece in wire.encode("xtopTEST", message, Signature(b"<s/>", None)))


@settings(max_examples=40, deadline=None)
@given(content=st.binary(min_size=1, max_size=300), body=st.none() | st.binary(max_size=300))
def test_what_is_encoded_is_decoded(content: bytes, body: bytes | None) -> None:
    attachments = () if body is None else (Attachment((), body),)
    message = Message(multipart.REST_REQUEST, content, attachments)
    came = wire.decode(TYPE, sent(message), LIMITS).message
    assert (came.kind, came.content, came.digests) == (message.kind, message.content, message.digests)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=0, max_value=400))
def test_a_body_cut_anywhere_is_refused(cut: int) -> None:
    data = sent(Message(multipart.REST_REQUEST, b"GET /", (Attachment((), b"body"),)))
    if cut < len(data) - 2:  # the last line break may be missing
        with pytest.raises(KeregeError):
            wire.decode(TYPE, data[:cut], LIMITS)


@pytest.mark.parametrize("bomb", [
    b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
    b"<x/>", b"", b"\x00", b"<a>" * 10_000,
])  # fmt: skip
def test_xml_in_a_faults_place_that_is_no_fault_is_refused_without_being_expanded(bomb: bytes) -> None:
    with pytest.raises(KeregeError) as raised:
        wire.decode("text/xml", bomb, LIMITS)
    assert not isinstance(raised.value, PeerFault)


def test_a_fault_is_carried_on_as_it_came() -> None:
    fault = Fault("server.serverproxy.access_denied", "Request is not allowed", "why")
    with pytest.raises(PeerFault) as raised:
        wire.decode("text/xml; charset=utf-8", to_soap(fault), LIMITS)
    assert raised.value.params["fault_code"] == fault.code


@pytest.mark.parametrize("kind", [multipart.SOAP, multipart.XOP, multipart.REST_REQUEST])
def test_a_rest_call_is_not_answered_with_anything_else(kind: bytes) -> None:
    request = Message(multipart.REST_REQUEST, b"GET /")
    with pytest.raises(MessageMalformed):
        wire.check_kind(Message(kind, b""), request)
    wire.check_kind(Message(multipart.REST_RESPONSE, b""), request)


def test_a_soap_call_is_not_answered_with_rest() -> None:
    with pytest.raises(MessageMalformed):
        wire.check_kind(Message(multipart.REST_RESPONSE, b""), Message(multipart.SOAP, b""))


@pytest.mark.parametrize("text", ["text/xml\r\nX-Smuggled: 1", "text/xml\x00", "text/\xe4", ""])
def test_an_answers_own_content_type_is_no_way_to_smuggle_a_header(text: str) -> None:
    answer = Message(multipart.SOAP, b"", content_type=text)
    assert wire.original_content_type(answer) == ()


def soap_with(*headers: tuple[bytes, bytes]) -> Message:
    return Message(multipart.SOAP, b"<x/>", headers=((b"content-type", b"text/xml; charset=UTF-8"), *headers))


def test_a_server_cannot_say_that_the_envelope_is_encoded() -> None:
    for value in (b"quoted-printable", b"base64"):
        with pytest.raises(MimeMalformed, match="7bit, 8bit or binary"):
            wire.decode(TYPE, sent(soap_with((b"content-transfer-encoding", value))), LIMITS)
    came = wire.decode(TYPE, sent(soap_with((b"content-transfer-encoding", b"binary"), (b"x-own", b"1"))), LIMITS)
    assert came.message.headers == soap_with((b"content-transfer-encoding", b"binary")).headers
