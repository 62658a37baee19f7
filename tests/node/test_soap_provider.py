"""SOAP on the provider's side, with a stand-in for the agency's connection."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))

from soap_samples import answer, envelope

from kerege.exchange import faults, multipart, soap
from kerege.exchange.bodies import Attachment, Spool, body_bytes
from kerege.exchange.errors import ExchangeError, ProviderFailed
from kerege.exchange.faults import SERVER_PROXY, Fault, fault_of
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.exchange.soap_errors import (
    ContentTypeInvalid,
    MimeMalformed,
    ServiceAnswerInvalid,
    SoapActionInvalid,
    SoapHeadersInconsistent,
)
from kerege.node.config_types import LimitSettings
from kerege.node.http.client import ClientResponse
from kerege.node.message import Extras, Message
from kerege.node.soap_provider import SoapProvider


class Agency:
    def __init__(self, answered: ClientResponse | ExchangeError) -> None:
        self.answered = answered
        self.sent: tuple[str, str, dict[bytes, bytes], bytes]

    def failed(self, service: Any, reason: str, **more: str) -> ProviderFailed:
        return ProviderFailed(service=service.id, server="KG/GOV/1/node", reason=reason, **more)

    def place(self, service: Any) -> Any:
        return urlsplit(service.url)

    async def call(self, service: Any, verb: str, target: str, headers: Any, body: Any) -> ClientResponse:
        self.sent = verb, target, dict(headers), b"".join(map(body_bytes, body))
        if isinstance(self.answered, ExchangeError):
            raise self.answered
        return self.answered


def came(body: Any, content_type: str = "text/xml", status: int = 200) -> ClientResponse:
    return ClientResponse(status, "", ((b"Content-Type", content_type.encode()),), body)


def carry_out(
    answered: ClientResponse | ExchangeError,
    tmp_path: Path,
    *,
    extras: Extras | None = None,
    message: Message | None = None,
) -> tuple[Message, Agency, Exchange]:
    agency, exchange = Agency(answered), Exchange(PRODUCER, 0)
    provider = SoapProvider(agency, LimitSettings(tmp_path))  # type: ignore[arg-type]
    message = message or Message(multipart.SOAP, envelope())
    extras = extras or Extras("text/xml; charset=utf-8", '"urn:a"', "r-1")
    asked = provider.read(message, extras, exchange)
    service = SimpleNamespace(id=asked.service, url="http://127.0.0.1:1/ws", kind="wsdl")
    return asyncio.run(provider.call(asked, message, extras, service, exchange)), agency, exchange  # type: ignore[arg-type]


def test_a_request_is_posted_as_it_came_and_the_answer_gets_its_hash(tmp_path: Path) -> None:
    found, agency, exchange = carry_out(came(answer()), tmp_path)
    assert agency.sent == (
        "POST",
        "/ws",
        {b"Content-Type": b"text/xml; charset=utf-8", b"SOAPAction": b'"urn:a"'},
        envelope(),
    )
    assert found.content == soap.with_request_hash(answer(), Message(multipart.SOAP, envelope()).digests[0])
    assert (found.kind, found.content_type) == (multipart.SOAP, "text/xml")
    assert exchange.soap is not None
    assert exchange.soap.request_id == "r-1"


def test_a_fault_of_the_agency_is_an_answer_byte_for_byte(tmp_path: Path) -> None:
    content = b"\n" + faults.to_soap(Fault("soap:Server", "closed", "")).split(b"?>")[1]
    for status in (200, 500):
        found, _, exchange = carry_out(came(content, status=status), tmp_path)
        assert (found.content, exchange.fault_code) == (content, "soap:Server")


def test_a_fault_whose_last_boundary_is_left_open_is_taken_but_an_answer_is_not(tmp_path: Path) -> None:
    outer, head = "multipart/related; boundary=b", b"--b\r\nContent-Type: text/xml\r\n\r\n"
    fault = faults.to_soap(Fault("soap:Server", "closed", ""))
    found, _, _ = carry_out(came(head + fault + b"\r\n--b", outer), tmp_path)
    assert found.content == fault
    with pytest.raises(ServiceAnswerInvalid, match="closing boundary"):
        carry_out(came(head + answer() + b"\r\n--b", outer), tmp_path)


def test_an_agencys_body_on_disk_is_given_back_when_it_was_read(tmp_path: Path) -> None:
    body = Spool.of([answer()], tmp_path)
    carry_out(came(body), tmp_path)
    assert body.closed
    broken = Spool.of([b"<html/>"], tmp_path)
    with pytest.raises(ServiceAnswerInvalid):
        carry_out(came(broken, "text/html"), tmp_path)
    assert broken.closed


@pytest.mark.parametrize(
    ("answered", "code"),
    [
        (came(b"x", status=404), "service_failed.http_error"),
        (came(b"x", "text/html", 500), "service_failed.http_error"),
        (came(answer(), status=500), "service_failed.http_error"),
        (came(None, status=204), "service_failed.invalid_soap"),
        (came(b"<a/>", ""), "service_failed.invalid_content_type"),
        (ProviderFailed(service="s", server="r", reason="could not be reached"), "service_failed.network_error"),
    ],
)
def test_what_went_wrong_at_the_agency_is_told_by_x_roads_name(answered: Any, code: str, tmp_path: Path) -> None:
    with pytest.raises((ProviderFailed, ServiceAnswerInvalid)) as refused:
        carry_out(answered, tmp_path)
    assert fault_of(refused.value, SERVER_PROXY).code == f"server.serverproxy.{code}"


def test_what_another_server_sends_is_checked_before_rights_are(tmp_path: Path) -> None:
    with pytest.raises(SoapHeadersInconsistent):
        carry_out(came(answer()), tmp_path, message=Message(multipart.SOAP, envelope(body="<getPersonSecret/>")))
    with pytest.raises(SoapActionInvalid):
        carry_out(came(answer()), tmp_path, extras=Extras("text/xml", 'a"\r\nX: y'))


def test_what_a_server_says_around_the_envelope_cannot_make_it_another_one(tmp_path: Path) -> None:
    part = ((b"Content-Type", b"text/xml; charset=utf-7"),)
    for message, content_type in (
        (Message(multipart.SOAP, envelope()), "text/xml; charset=utf-7"),
        (Message(multipart.SOAP, envelope(), headers=part), "multipart/related; boundary=b"),
        (Message(multipart.SOAP, envelope(), headers=part), ""),
    ):
        with pytest.raises(ContentTypeInvalid, match="charset"):
            carry_out(came(answer()), tmp_path, message=message, extras=Extras(content_type))
    other = Attachment(((b"Content-Type", b"text/xml"), (b"Content-ID", b"<other>")), envelope())
    with pytest.raises(MimeMalformed, match="start"):
        carry_out(
            came(answer()),
            tmp_path,
            message=Message(multipart.SOAP, envelope(), (other,)),
            extras=Extras('multipart/related; boundary=b; start="<other>"'),
        )


def test_an_unsigned_boundary_cannot_smuggle_a_part_to_the_agency(tmp_path: Path) -> None:
    inner = Attachment(((b"Content-Type", b"a/b"),), b"1\r\n--b\r\nContent-Type: a/b\r\n\r\n2")
    with pytest.raises(MimeMalformed, match="inside a part"):
        carry_out(
            came(answer()),
            tmp_path,
            message=Message(multipart.SOAP, envelope(), (inner,)),
            extras=Extras("multipart/related; boundary=b"),
        )
