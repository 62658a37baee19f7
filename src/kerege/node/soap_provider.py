"""SOAP on the provider's side: a verified request is posted to the agency's own system, its answer gets the request's hash.

Implements X-Road PR-MESS towards agencies: the SOAP bytes and attachments go on as the caller sent them, under the caller's own
Content-Type and SOAPAction; `requestHash` is put straight after `id` of the answer, every other byte stays; a SOAP fault of the agency
is an answer like any other and is signed as it came.
"""

from __future__ import annotations

from typing import Final

from kerege.exchange import soap
from kerege.exchange.bodies import close_body
from kerege.exchange.errors import ExchangeError, ProviderFailed
from kerege.exchange.faults import Fault, suffix_of
from kerege.exchange.opmon import Exchange
from kerege.exchange.soap import SoapMessage
from kerege.exchange.soap_errors import ServiceAnswerInvalid, SoapInvalid
from kerege.node.config_types import LimitSettings, Service
from kerege.node.core import Core
from kerege.node.http.client import ClientResponse
from kerege.node.message import Asked, Extras, Message
from kerege.node.rest_provider import Agency
from kerege.node.soap_consumer import asked_of, names_of, note_answer, note_request, parse_sent, read_message, written

_OF_A_FAULT: Final = 500  # SOAP 1.1, 6.2: a fault comes with 500


class SoapProvider:
    """Reads SOAP requests and carries them out."""

    def __init__(self, agency: Agency, limits: LimitSettings, core: Core | None = None) -> None:
        self._agency, self._limits, self._core = agency, limits, core

    def read(self, message: Message, extras: Extras, exchange: Exchange) -> Asked:
        """Who asks for what. The request id is no part of the signed message."""
        request = soap.check_request(parse_sent(message, extras.content_type))
        extras.soap_action = soap.check_action(extras.soap_action)
        exchange.soap = names_of(request, extras.request_id)
        note_request(exchange, message)
        return asked_of(request, extras.request_id)

    async def call(
        self, asked: Asked, message: Message, extras: Extras, service: Service, exchange: Exchange
    ) -> Message:
        """The agency's answer, not signed yet. Raises ProviderFailed or ServiceAnswerInvalid."""
        request = asked.detail
        assert isinstance(request, SoapMessage)
        if exchange.soap is not None:
            exchange.soap.request_id = asked.request_id
        outer, pieces = await written(message, extras.content_type)
        headers = [(b"Content-Type", outer.encode("ascii"))]
        if extras.soap_action is not None:
            headers.append((b"SOAPAction", extras.soap_action.encode("ascii")))
        target = self._agency.place(service).path or "/"
        try:
            came = await self._agency.call(service, "POST", target, tuple(headers), pieces)
        except ProviderFailed as problem:
            raise ProviderFailed(**{"cause": "network_error", **problem.params}) from None
        try:
            answer, found = await self._answer(asked, request, message, service, came)
            if isinstance(found, SoapMessage):
                await self._hold(asked, answer, came)
        finally:
            close_body(came.body)
        note_answer(exchange, answer, found)
        return answer

    async def _hold(self, asked: Asked, answer: Message, came: ClientResponse) -> None:
        """Against its contract, where one is held against at the provider. Raises ContractBreached, ContractUnchecked."""
        picture = None if self._core is None else self._core.keeper.picture
        if self._core is None or picture is None:
            return
        contract = self._core.contracting.at_provider(asked, picture.rules)
        if contract is not None:
            kept = came.body or b"", came.header(b"content-type")
            await self._core.contracting.of_soap_agency(contract, asked, answer.content, *kept)

    async def _answer(
        self, asked: Asked, request: SoapMessage, message: Message, service: Service, came: ClientResponse
    ) -> tuple[Message, SoapMessage | Fault]:
        content_type = came.header(b"content-type")
        if not 200 <= came.status < 300 and came.status != _OF_A_FAULT:
            raise self._agency.failed(service, f"answered HTTP {came.status}", cause="http_error")
        try:
            parts, found = await read_message(content_type, came.body or b"", self._limits)
            if isinstance(found, SoapMessage):
                if came.status == _OF_A_FAULT:
                    raise SoapInvalid(reason="it came with HTTP 500 and is no fault")
                soap.check_same_call(request.header, found.header)
                soap.check_answer_root(found)
                content = soap.with_request_hash(parts.soap, message.digests[0], found)
            else:
                content = parts.soap
        except ExchangeError as problem:
            if came.status == _OF_A_FAULT:
                raise self._agency.failed(service, "answered HTTP 500", cause="http_error") from None
            raise ServiceAnswerInvalid(service=service.id, problem=problem.text, cause=suffix_of(problem)) from None
        return Message(parts.kind, content, parts.attachments, parts.headers, content_type=content_type), found
