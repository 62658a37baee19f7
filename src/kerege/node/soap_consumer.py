"""SOAP on the consumer's side: an information system's POST becomes a signed message, the verified answer its HTTP answer.

Implements X-Road PR-MESS towards clients: `text/xml` or `multipart/related` posted to any path; of the caller's HTTP headers only
Content-Type and SOAPAction go on; faults come as HTTP 200 `text/xml`. What a SOAP message is, `exchange.soap` says; attachments are
`exchange.mime`'s; carrying and logging are `carry`'s, checks and canonical records `contracting`'s.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from kerege.exchange import faults, mime, rest, soap
from kerege.exchange.bodies import Body, body_size, close_body
from kerege.exchange.faults import Fault
from kerege.exchange.mime import MimeLimits, SoapParts
from kerege.exchange.mimewrite import related
from kerege.exchange.opmon import Exchange, SoapNames
from kerege.exchange.soap import SoapMessage
from kerege.exchange.soap_errors import HttpMethodInvalid, MimeMalformed
from kerege.exchange.soappart import charsets, check_start
from kerege.node.carry import Carrier, check_client
from kerege.node.config_types import LimitSettings
from kerege.node.contracts.translate import mapping_of, wants_canonical
from kerege.node.core import Core
from kerege.node.http.messages import HttpRequest, HttpResponse
from kerege.node.message import SOAP, Asked, Extras, Message
from kerege.node.rights import check_permit

_IN_A_THREAD: Final = 64 * 1024
_FAULT_TYPE: Final = b"text/xml; charset=UTF-8"
_ROOT_PATH: Final = "/"  # what access is decided on: rights on a SOAP service are rights on the whole of it


class SoapConsumer:
    """Answers what is not `/r1/...` on the client listener."""

    def __init__(self, core: Core, carrier: Carrier) -> None:
        self._core, self._carrier = core, carrier

    async def answer(self, http: HttpRequest, exchange: Exchange) -> HttpResponse:
        """Raises whatever kept the call from being carried out."""
        if http.method != "POST":
            raise HttpMethodInvalid(method=http.method if http.method.isalpha() else "(not a word)")
        core, now = self._core, self._core.clock()
        action = soap.check_action(_action(http))
        content_type = http.header(b"content-type")
        parts, request = await read_message(content_type, http.body, core.config.limits)
        soap.check_request(request)
        assert isinstance(request, SoapMessage)
        header = request.header
        request_id = str(uuid.uuid4())
        exchange.soap = names_of(request, request_id)
        picture = core.keeper.current(now)
        core.connections.check(check_client(core, header.client, picture), http)
        check_permit(header.client, picture, now)
        message = Message(parts.kind, parts.soap, parts.attachments, parts.headers, content_type=content_type)
        asked = asked_of(request, request_id)
        digest = message.digests[0]
        contract, accept = core.contracting.at_consumer(asked, picture.rules), http.header(b"accept")
        if wants_canonical(accept):
            mapping_of(contract, asked.service, asked.path)

        def check(answer: Message) -> SoapMessage | Fault:
            found = parse_sent(answer, answer.content_type)
            soap.check_answer(header, digest, found)
            return found

        try:
            answer, found = await self._carrier.carry(
                asked, message, Extras(content_type, action, request_id), exchange, picture, check
            )
        finally:
            note_request(exchange, message)
        note_answer(exchange, answer, found)
        told: rest.Headers = ()
        if contract is not None and isinstance(found, SoapMessage):
            told, records = await core.contracting.of_soap_provider(contract, asked, accept, answer.content)
            if records is not None:
                return HttpResponse(200, told, records)
        outer, pieces = await written(answer, answer.content_type)
        return HttpResponse(200, ((b"Content-Type", outer.encode("ascii")), *told), pieces)

    def fault(self, fault: Fault) -> HttpResponse:
        """A fault as a SOAP client gets it: HTTP 200, whoever made it."""
        return HttpResponse(200, ((b"Content-Type", _FAULT_TYPE),), faults.to_soap(fault))


def _action(http: HttpRequest) -> str | None:
    present = any(name.lower() == b"soapaction" for name, _ in http.headers)
    return http.header(b"soapaction").strip() if present else None


async def read_message(content_type: str, body: Body, limits: LimitSettings) -> tuple[SoapParts, SoapMessage | Fault]:
    """A SOAP message as it came over HTTP; a big one is taken apart in a thread. Raises what is wrong with it."""
    if body_size(body) <= _IN_A_THREAD:
        return _read(content_type, body, limits)
    return await asyncio.to_thread(_read, content_type, body, limits)


def _read(content_type: str, body: Body, limits: LimitSettings) -> tuple[SoapParts, SoapMessage | Fault]:
    parts = mime.read(content_type, body, MimeLimits(memory=limits.memory, spool=limits.spool))
    try:
        found = soap.parse(parts.soap, charset=parts.charset)
        if parts.unfinished and not isinstance(found, Fault):
            raise MimeMalformed(where="end", reason="it ends before its closing boundary")
    except BaseException:
        for attachment in parts.attachments:
            close_body(attachment.body)
        raise
    return parts, found


def parse_sent(message: Message, content_type: str) -> SoapMessage | Fault:
    """What another server sent. What stands around the envelope is not signed, and must not make a reader see another one."""
    check_start(content_type, message.headers, message.attachments)
    return soap.parse(message.content, charset=charsets(content_type, message.headers))


async def written(message: Message, content_type: str) -> tuple[str, list[Body]]:
    """A message as HTTP has it, under the Content-Type it came with; the parts of a big one are searched for the boundary in a thread."""
    given = (content_type, message.kind, message.headers, message.content, message.attachments)
    if message.size <= _IN_A_THREAD:
        return related(*given)
    return await asyncio.to_thread(related, *given)


def asked_of(request: SoapMessage, request_id: str) -> Asked:
    header = request.header
    return Asked(
        SOAP,
        header.client,
        header.service,
        header.server,
        header.message_id,
        request_id,
        "POST",
        _ROOT_PATH,
        request,
    )


def names_of(request: SoapMessage, request_id: str) -> SoapNames:
    """What monitoring notes of a SOAP message."""
    header, party = request.header, request.header.party
    return SoapNames(
        header.client,
        header.service,
        header.message_id,
        request_id,
        header.user_id or None,
        header.issue or None,
        None if party is None else party.party_class,
        None if party is None else party.party_code,
        header.protocol_version,
    )


def note_request(exchange: Exchange, message: Message) -> None:
    """Sizes as X-Road's records have them: the envelope alone, and with its attachments where there are any."""
    exchange.request_size = len(message.content)
    exchange.request_attachments = len(message.attachments)
    exchange.request_mime_size = message.size if message.attachments else None


def note_answer(exchange: Exchange, answer: Message, found: SoapMessage | Fault) -> None:
    exchange.response_size = len(answer.content)
    exchange.response_attachments = len(answer.attachments)
    exchange.response_mime_size = answer.size if answer.attachments else None
    if isinstance(found, Fault):  # the agency's own: its code is told, its words may hold what is nobody's business
        exchange.fault_code = found.code
