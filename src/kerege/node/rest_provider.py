"""REST on the provider's side: a verified request is made of the agency's own system, its HTTP answer becomes the message to sign."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Final
from urllib.parse import urlsplit

from kerege.exchange import multipart, rest
from kerege.exchange.bodies import Attachment, Body
from kerege.exchange.errors import MessageMalformed, MessageTooLarge, ProviderFailed
from kerege.exchange.opmon import OPENAPI, Exchange
from kerege.exchange.rest import RestRequest
from kerege.exchange.resttarget import decision_path
from kerege.exchange.rules import WireContract
from kerege.node.config_types import Service
from kerege.node.contracts.contracting import asked_plainly
from kerege.node.core import Core
from kerege.node.http.client import AnswerTooLarge, ClientResponse, Connection, HttpFailed, NotConnected, encode_request
from kerege.node.message import Asked, Extras, Message
from kerege.node.rest_consumer import asked_of

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Place:
    """A data service's address taken apart."""

    __slots__ = ("host", "netloc", "path", "port", "secure")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.secure else 80)
        self.host, self.netloc, self.path = parts.hostname or "", parts.netloc, parts.path


class Agency:
    """Calls agencies' systems over HTTP(S); a request is repeated only where that harms nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._places: dict[str, Place] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    def forget(self) -> None:
        """The configuration changed: certificates and addresses are read anew."""
        self._places.clear()
        self._contexts.clear()
        self._core.agencies.close()
        if self._core.lane is not None:
            self._core.lane.agencies.forget()

    def place(self, service: Service) -> Place:
        found = self._places.get(service.url)
        if found is None:
            found = self._places[service.url] = Place(service.url)
        return found

    async def call(
        self, service: Service, verb: str, target: str, headers: rest.Headers, body: Body | list[Body] | None
    ) -> ClientResponse:
        """The agency's answer. Raises ProviderFailed or MessageTooLarge."""
        place = self.place(service)
        secure, host, port = place.secure, place.host, place.port
        data = encode_request(verb, target, place.netloc, headers, body)
        for attempt in (1, 2):
            context = self._context(service) if secure else None
            connection = await self._acquire(service, host, port, context)
            kept = connection.used
            try:
                answer = await connection.exchange(data, head=verb == "HEAD", timeout=service.timeout_seconds)
            except HttpFailed as problem:
                # a kept connection the agency closed meanwhile; asking again harms nothing for these methods
                if attempt == 1 and kept and problem.unanswered and verb in SAFE:
                    continue
                raise self.problem(service, problem) from None
            if secure and self._contexts.get(str(service.id)) is not context:
                connection.close()  # made before the configuration changed; nobody will ask for it again
            else:
                self._core.agencies.release(host, port, connection, context)
            return answer
        raise self.failed(service, "closed the connection twice")

    def problem(self, service: Service, problem: HttpFailed) -> MessageTooLarge | ProviderFailed:
        if isinstance(problem, AnswerTooLarge):
            return MessageTooLarge(what="agency's answer", limit=self._core.config.limits.body)
        return self.failed(service, problem.reason)

    def failed(self, service: Service, reason: str, **more: str) -> ProviderFailed:
        """What is told of a system that gave no answer to pass on; `reason` goes on after its name."""
        return ProviderFailed(service=service.id, server=self._core.config.server, reason=reason, **more)

    def ask(
        self, service: Service, verb: str, target: str, headers: rest.Headers, body: bytes | None
    ) -> tuple[Connection, asyncio.Future[ClientResponse]] | None:
        """The same without waiting, over a kept connection with plain HTTP; None when there is none. See `Asking`."""
        place = self.place(service)
        if place.secure:
            return None
        connection = self._core.agencies.idle(place.host, place.port)
        if connection is None:
            return None
        data = encode_request(verb, target, place.netloc, headers, body)
        return connection, connection.ask(data, head=verb == "HEAD", timeout=service.timeout_seconds)

    def kept(self, service: Service, connection: Connection) -> None:
        """An answer was taken from a connection that `ask` gave."""
        place = self.place(service)
        connection.answered()
        self._core.agencies.release(place.host, place.port, connection)

    def _context(self, service: Service) -> ssl.SSLContext:
        context = self._contexts.get(str(service.id))
        if context is None:
            context = self._contexts[str(service.id)] = self._core.connections.service_context(service)
        return context

    async def _acquire(self, service: Service, host: str, port: int, context: ssl.SSLContext | None) -> Connection:
        try:
            return await self._core.agencies.acquire(host, port, context)
        except NotConnected as problem:
            raise self.failed(service, f"could not be reached ({problem.reason})") from None


class RestProvider:
    """Reads REST requests and carries them out."""

    def __init__(self, agency: Agency, core: Core) -> None:
        self._agency, self._core = agency, core
        self._again: set[asyncio.Task[None]] = set()

    def read(self, message: Message, extras: Extras, exchange: Exchange) -> Asked:
        """Who asks for what. Raises MessageMalformed and the like."""
        request = rest.decode_request(message.content)
        exchange.request = request
        return asked_of(request, decision_path(request.path))

    async def call(
        self, asked: Asked, message: Message, extras: Extras, service: Service, exchange: Exchange
    ) -> Message:
        request = asked.detail
        assert isinstance(request, RestRequest)
        if service.kind == "openapi":
            exchange.service_type = OPENAPI
        contract = self._contract(asked)
        if contract is not None:
            return await self._under(contract, asked, message, service, exchange)
        answer = await self._agency.call(service, *self._asked(request, service), message.body)
        return reply(asked, message, answer.status, answer.reason, answer.headers, answer.body, exchange)

    def _contract(self, asked: Asked) -> WireContract | None:
        picture = self._core.keeper.picture
        return self._core.contracting.at_provider(asked, None if picture is None else picture.rules)

    async def _under(
        self, contract: WireContract, asked: Asked, message: Message, service: Service, exchange: Exchange
    ) -> Message:
        """As `call`, with the answer held against its contract before anyone signs it."""
        request = asked.detail
        verb, target, headers = self._asked(request, service)
        accept = (rest.header(request.headers, b"accept") or b"").decode("latin-1")
        answer = await self._agency.call(service, verb, target, asked_plainly(headers), message.body)
        given, body = await self._core.contracting.of_agency(
            contract, asked, accept, answer.status, answer.headers, answer.body
        )
        return reply(asked, message, answer.status, answer.reason, given, body, exchange)

    def _asked(self, request: RestRequest, service: Service) -> tuple[str, str, rest.Headers]:
        base = self._agency.place(service).path
        path = base.rstrip("/") + "/" + request.path.lstrip("/") if request.path else base or "/"
        target = path if request.query is None else f"{path}?{request.query}"
        return request.verb, target, rest.for_the_agency(request.headers)

    def begin(
        self,
        asked: Asked,
        message: Message,
        service: Service,
        exchange: Exchange,
        done: Callable[[Message], None],
        failed: Callable[[Exception], None],
    ) -> bool:
        """As `call` where a kept connection is at hand: `done` or `failed` is told, once. False: nothing was begun."""
        request, body = asked.detail, message.body
        assert isinstance(request, RestRequest)
        if body is not None and not isinstance(body, bytes):
            return False
        if self._contract(asked) is not None:
            return False
        begun = self._agency.ask(service, *self._asked(request, service), body)
        if begun is None:
            return False
        if service.kind == "openapi":
            exchange.service_type = OPENAPI
        connection, waiter = begun

        def answered(waiter: asyncio.Future[ClientResponse]) -> None:
            try:
                answer = waiter.result()
                self._agency.kept(service, connection)
                made = reply(asked, message, answer.status, answer.reason, answer.headers, answer.body, exchange)
            except HttpFailed as problem:
                if problem.unanswered and request.verb in SAFE:  # as `Agency.call`: the agency closed it meanwhile
                    self._begin_again(self.call(asked, message, Extras(), service, exchange), done, failed)
                else:
                    failed(self._agency.problem(service, problem))
            except Exception as problem:  # noqa: BLE001 - whoever waits is told
                failed(problem)
            else:
                done(made)

        waiter.add_done_callback(answered)
        return True

    def _begin_again(
        self,
        call: Coroutine[None, None, Message],
        done: Callable[[Message], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """The long way after all, in a task of its own."""

        async def whole() -> None:
            try:
                answer = await call
            except Exception as problem:  # noqa: BLE001 - whoever waits is told
                failed(problem)
            else:
                done(answer)

        task = asyncio.get_running_loop().create_task(whole())
        self._again.add(task)
        task.add_done_callback(self._again.discard)


def reply(
    asked: Asked,
    message: Message,
    status: int,
    reason: str,
    headers: rest.Headers,
    body: Body | None,
    exchange: Exchange,
) -> Message:
    """The message that answers `asked` with an HTTP answer; also of metaservices, which have no agency behind them."""
    request = asked.detail
    assert isinstance(request, RestRequest)
    exchange.status = status
    content, attached = message.digests
    expected = rest.request_hash(content, attached[0] if attached else None)
    response = rest.response_from_provider(status, reason, headers, request, expected)
    if not 200 <= status <= 599:  # an interim status would leave the consumer waiting for another answer
        raise MessageMalformed(where="agency's answer", reason=f"its status {status} is not a final one")
    attachments = () if body is None else (Attachment((), body),)
    return Message(multipart.REST_RESPONSE, response.encode(), attachments)
