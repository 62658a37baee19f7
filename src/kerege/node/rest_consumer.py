"""REST on the consumer's side: an information system's HTTP request becomes a signed message, the verified answer its HTTP answer.

Implements X-Road PR-REST; what the protocol says of headers and hashes is `exchange.rest`'s, carrying and logging are `carry`'s.
What a contract does to the answer (checks, canonical records in its place) is `contracting`'s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kerege.exchange import faults, multipart, rest
from kerege.exchange.bodies import Attachment, Body
from kerege.exchange.opmon import CLIENT, Exchange
from kerege.exchange.rest import RestRequest, RestResponse
from kerege.exchange.resttarget import decision_path
from kerege.exchange.rules import CONSUMER, PROVIDER
from kerege.ground.errors import KeregeError
from kerege.node.carry import Carrier, check_client
from kerege.node.contracts.contracting import asked_plainly, check_translated
from kerege.node.contracts.translate import mapping_of, wants_canonical
from kerege.node.core import Core, new_uuid
from kerege.node.errors import TranslationMissing
from kerege.node.http.messages import HttpRequest, HttpResponse, Later
from kerege.node.link.bodies import INLINE
from kerege.node.link.client import Call
from kerege.node.message import REST, Asked, Extras, Message
from kerege.node.rights import check_permit
from kerege.node.wire import rest_content_type

_JSON: Final = b"application/json; charset=utf-8"


class Quick(Call):
    """A call that goes by a plan: its answer is made where it ends, no task waits for it."""

    __slots__ = ("accept", "core", "expected", "request")

    def __init__(
        self,
        core: Core,
        asked: Asked,
        message: Message,
        extras: Extras,
        exchange: Exchange,
        later: Later,
        accept: str,
    ) -> None:
        super().__init__(asked, message, extras, exchange, None, later)  # `check` is its own: no reference to itself
        digests = message.digests
        self.core, self.request, self.accept = core, asked.detail, accept
        self.expected = rest.request_hash(digests[0], digests[1][0] if digests[1] else None)

    def check(self, answer: Message) -> RestResponse:
        response = rest.decode_response(answer.content)
        rest.check_consistent(self.request, self.expected, response)
        return response

    def finish(self, answer: Message, result: RestResponse) -> None:
        self.exchange.status = result.status
        self._end(http_answer(result, answer.body))

    def fail(self, problem: Exception) -> None:
        fault = self.core.fault(problem, faults.CLIENT_PROXY, self.exchange)
        self.exchange.fault_code, self.exchange.fault_string = fault.code, fault.message
        self._end(fault_response(fault, self.accept, problem))

    def _end(self, response: HttpResponse) -> None:
        self.exchange.response_out = self.core.milliseconds()
        self.core.monitor.note(self.exchange)
        self.future.give(response)


class RestConsumer:
    """Answers `/r1/...` on the client listener."""

    def __init__(self, core: Core, carrier: Carrier) -> None:
        self._core, self._carrier = core, carrier

    def quick(self, http: HttpRequest) -> Later | None:
        """The answer to come, where a plan says how the call goes; None for the long way, which also words every refusal."""
        core, body = self._core, http.body
        if not core.plans:
            return None
        if body.__class__ is not bytes or len(body) > INLINE:
            return None
        started, headers = core.milliseconds(), http.headers
        try:
            shape = rest.shape_of(headers)
            accept = "" if shape.accept < 0 else headers[shape.accept][1].decode("latin-1")
            if wants_canonical(accept):
                return None
            request = rest.request_from_client(
                http.method, http.target, headers, new_message_id=new_uuid(), request_id=new_uuid(), shape=shape
            )
            plan = core.plans.of(request.client, request.service, core.keeper.picture, core.config)
            if plan is None or request.server is not None:
                return None
            path = decision_path(request.path)
            core.connections.check(plan.local, http)
            asked, picture = asked_of(request, path), core.keeper.picture
            if picture is None or core.contracting.at_consumer(asked, picture.rules) is not None:
                return None
            core.log.check_open_now()
        except KeregeError:
            return None
        config = core.config
        exchange = Exchange(CLIENT, started, own_address=config.clients_address.host)
        exchange.client_address = core.registered_address
        exchange.service_address = plan.server.address or plan.link.address.host
        exchange.request = request
        message = Message(multipart.REST_REQUEST, request.encode(), (Attachment((), body),) if body else ())
        exchange.request_size = message.size
        later = Later()
        # the content type is one of the headers that go on; so it is not looked for among those that stay
        extras = Extras("" if shape.content_type < 0 else headers[shape.content_type][1].decode("latin-1"))
        plan.link.begin(Quick(core, asked, message, extras, exchange, later, accept), plan.signer)
        return later

    async def answer(self, http: HttpRequest, exchange: Exchange) -> HttpResponse:
        """Raises whatever kept the call from being carried out."""
        core, now = self._core, self._core.clock()
        accept = http.header(b"accept")
        request = rest.request_from_client(
            http.method, http.target, http.headers, new_message_id=new_uuid(), request_id=new_uuid()
        )
        exchange.request = request
        picture = core.keeper.current(now)
        path = decision_path(request.path)
        core.connections.check(check_client(core, request.client, picture), http)
        check_permit(request.client, picture, now)
        contract = core.contracting.contracts.find(request.service, request.verb, path, picture.rules)
        canonical = wants_canonical(accept)
        if canonical:
            mapping_of(contract, request.service, path)
        if contract is not None and contract.at == CONSUMER:
            request = exchange.request = replace(request, headers=asked_plainly(request.headers))

        body = http.body or None
        message = Message(multipart.REST_REQUEST, request.encode(), () if body is None else (Attachment((), body),))
        asked = asked_of(request, path)
        digests = message.digests
        expected = rest.request_hash(digests[0], digests[1][0] if digests[1] else None)

        def check(answer: Message) -> RestResponse:
            response = rest.decode_response(answer.content)
            rest.check_consistent(request, expected, response)
            return response

        answer, response = await self._carrier.carry(
            asked, message, Extras(rest_content_type(request.headers)), exchange, picture, check
        )
        exchange.status = response.status
        if contract is None:
            return http_answer(response, answer.body)
        if contract.at == PROVIDER:
            if canonical:
                check_translated(contract, asked, response.status, response.headers, answer.body)
            return http_answer(response, answer.body)
        given, body = await core.contracting.of_provider(
            contract, asked, accept, response.status, rest.for_the_client(response.headers), answer.body
        )
        return HttpResponse(response.status, given, body or b"", response.reason.encode("latin-1", "replace"))


def http_answer(response: RestResponse, body: Body | None) -> HttpResponse:
    """A provider's verified answer as the client gets it."""
    reason = response.reason.encode("latin-1", "replace")
    return HttpResponse(response.status, rest.for_the_client(response.headers, response.shape), body or b"", reason)


def asked_of(request: RestRequest, path: str) -> Asked:
    return Asked(
        REST,
        request.client,
        request.service,
        request.server,
        request.message_id,
        request.request_id,
        request.verb,
        path,
        request,
    )


def fault_response(fault: faults.Fault, accept: str, problem: Exception) -> HttpResponse:
    """A fault as a REST client gets it: JSON, or XML when it asked for that."""
    status = 406 if isinstance(problem, TranslationMissing) else fault.http_status
    xml = faults.wants_xml(accept)
    body = faults.to_xml(fault) if xml else faults.to_json(fault)
    media_type = b"application/xml; charset=utf-8" if xml else _JSON
    headers = [(b"Content-Type", media_type), (b"X-Road-Error", _latin(fault.code))]
    if fault.reference:
        headers.append((b"X-Kerege-Fault", _latin(fault.reference)))
    return HttpResponse(status, tuple(headers), body)


def _latin(text: str) -> bytes:
    """A fault code from elsewhere as a header value that cannot be two headers."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")[:200]
