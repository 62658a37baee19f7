"""What a consumer's node makes of answers that another node signed but should not have; the provider's side here is a stand-in."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))

from soap_samples import FIELDS, answer, envelope

from kerege.exchange import faults, multipart, soap
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import ExchangeError, ResponseInconsistent
from kerege.exchange.faults import Fault
from kerege.exchange.opmon import CLIENT, Exchange
from kerege.exchange.soap_errors import HttpMethodInvalid, SoapInvalid
from kerege.node import soap_consumer
from kerege.node.config_types import LimitSettings
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.message import Asked, Extras, Message
from kerege.node.soap_consumer import SoapConsumer

DIGEST = hashlib.sha512(envelope()).digest()
GOOD = soap.with_request_hash(answer(), DIGEST)


class Carrier:
    """Carries nothing: notes what it was given and answers as told, after the check that the protocol's module hands in."""

    def __init__(self, given: Message) -> None:
        self.given = given
        self.asked: Asked
        self.message: Message
        self.extras: Extras

    async def carry(
        self, asked: Asked, message: Message, extras: Extras, exchange: Exchange, picture: Any, check: Any
    ) -> Any:
        self.asked, self.message, self.extras = asked, message, extras
        return self.given, check(self.given)


@pytest.fixture(autouse=True)
def _known_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soap_consumer, "check_client", lambda core, client, picture: client)
    monkeypatch.setattr(soap_consumer, "check_permit", lambda client, picture, now: None)


def ask(
    given: Message, tmp_path: Path, body: bytes | None = None, method: str = "POST", **headers: str
) -> tuple[HttpResponse, Carrier, Exchange]:
    now = datetime.now(UTC)
    core = SimpleNamespace(
        clock=lambda: now,
        config=SimpleNamespace(limits=LimitSettings(tmp_path)),
        keeper=SimpleNamespace(current=lambda _: SimpleNamespace(rules=None)),
        contracting=SimpleNamespace(at_consumer=lambda *_: None),
        connections=SimpleNamespace(check=lambda *_: None),
    )
    carrier, exchange = Carrier(given), Exchange(CLIENT, 0)
    named = {"content-type": "text/xml", **headers}
    http = HttpRequest(
        method,
        "/",
        tuple((k.encode(), v.encode()) for k, v in named.items()),
        envelope() if body is None else body,
        None,
        "127.0.0.1",
    )
    consumer = SoapConsumer(core, carrier)  # type: ignore[arg-type]
    return asyncio.run(consumer.answer(http, exchange)), carrier, exchange


def test_the_bytes_that_came_are_the_bytes_that_are_signed(tmp_path: Path) -> None:
    odd = b"\xef\xbb\xbf" + envelope().replace(b"><", b">\r\n<")
    given = Message(multipart.SOAP, soap.with_request_hash(answer(), hashlib.sha512(odd).digest()))
    _, carrier, exchange = ask(given, tmp_path, odd, soapaction='"urn:x"')
    assert (carrier.message.content, carrier.message.kind) == (odd, multipart.SOAP)
    assert (carrier.asked.protocol, carrier.asked.method, carrier.asked.path) == ("SOAP", "POST", "/")
    assert carrier.extras == Extras("text/xml", '"urn:x"', carrier.asked.request_id)
    assert (exchange.request_size, exchange.request_mime_size, exchange.response_size) == (
        len(odd),
        None,
        len(given.content),
    )


def test_an_answer_comes_out_with_the_content_type_it_had_or_one_that_fits(tmp_path: Path) -> None:
    plain, _, _ = ask(Message(multipart.SOAP, GOOD), tmp_path)
    assert (plain.headers, plain.body) == (((b"Content-Type", b"text/xml; charset=UTF-8"),), [GOOD])
    attached = Message(multipart.SOAP, GOOD, (Attachment(((b"Content-Type", b"a/b"),), b"x"),))
    made, _, exchange = ask(attached, tmp_path)
    assert made.headers[0][1].startswith(b'multipart/related; type="text/xml"; boundary="xrel')
    assert (exchange.response_attachments, exchange.response_mime_size) == (1, len(GOOD) + 1)


@pytest.mark.parametrize(
    "content",
    [
        answer(),
        soap.with_request_hash(answer(), bytes(64)),
        soap.with_request_hash(answer(FIELDS.replace("m-1", "m-2")), DIGEST),
        soap.with_request_hash(answer(FIELDS.replace("admission", "emis")), DIGEST),
    ],
)
def test_a_signed_answer_that_does_not_answer_this_request_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ResponseInconsistent):
        ask(Message(multipart.SOAP, content), tmp_path)


@pytest.mark.parametrize("content", [b"", b"<a/>", b"<!DOCTYPE a>" + GOOD])
def test_a_signed_answer_that_is_no_soap_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SoapInvalid):
        ask(Message(multipart.SOAP, content), tmp_path)


def test_a_boundary_that_would_open_another_part_is_refused(tmp_path: Path) -> None:
    smuggled = Attachment(((b"Content-Type", b"a/b"),), b"x\r\n--b\r\nContent-Type: text/xml\r\n\r\n<evil/>")
    given = Message(multipart.SOAP, GOOD, (smuggled,), content_type="multipart/related; boundary=b")
    with pytest.raises(ExchangeError, match="inside a part"):
        ask(given, tmp_path)


def test_of_an_agencys_fault_monitoring_knows_the_code_and_not_the_words(tmp_path: Path) -> None:
    content = faults.to_soap(Fault("soap:Server", "Bakyt Asanov is unknown", ""))
    found, _, exchange = ask(Message(multipart.SOAP, content), tmp_path)
    assert found.body == [content]
    assert (exchange.fault_code, exchange.fault_string) == ("soap:Server", None)


def test_only_post_is_taken_and_the_method_is_not_repeated_unless_it_is_a_word(tmp_path: Path) -> None:
    for method, told in (("GET", "GET"), ("<x>", "not a word")):
        with pytest.raises(HttpMethodInvalid, match=told):
            ask(Message(multipart.SOAP, GOOD), tmp_path, method=method)


def test_a_fault_of_the_nodes_own_comes_with_http_200() -> None:
    found = SoapConsumer(None, None).fault(Fault("client.invalid_soap", "m", "d"))  # type: ignore[arg-type]
    assert (found.status, found.headers) == (200, ((b"Content-Type", b"text/xml; charset=UTF-8"),))
    assert isinstance(found.body, bytes)
    assert faults.from_soap(found.body) == Fault("client.invalid_soap", "m", "d")
