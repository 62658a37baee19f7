"""The consumer's side of the native path: clients' calls by plans that hold, a batch at a time; every other call goes the long way.

What a plan is, and when it ends, is `plans`'; here calls are matched with theirs. A request that has none, or that is no small REST call,
is handed to `consumer` as the HTTP server would hand it over, and its answer written on the same connection. Connections that
do not speak the simplest HTTP are given to the HTTP server for good.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from kerege.exchange import multipart, rest
from kerege.exchange.bodies import Attachment
from kerege.exchange.lane import digest, passes
from kerege.exchange.lane.call import Call, Way
from kerege.exchange.opmon import CLIENT, exchange_of
from kerege.exchange.resttarget import decision_path
from kerege.exchange.rules import CONSUMER
from kerege.ground.errors import KeregeError
from kerege.node.conf.under import UnderOne
from kerege.node.http.bodies import PROGRESS, close_all
from kerege.node.http.messages import BodyBudget, HttpRequest, HttpResponse, Later, checked, encode_head, has_body
from kerege.node.http.reading import Work
from kerege.node.lane.clientport import ClientConnection, ClientPort
from kerege.node.link.bodies import INLINE
from kerege.node.message import Extras, Message
from kerege.node.rest_consumer import Quick, asked_of

if TYPE_CHECKING:
    from kerege.node.consumer import Consumer
    from kerege.node.core import Core
    from kerege.node.lane.wirecalling import Route
    from kerege.node.plans import Plan, Plans

_LOG: Final = logging.getLogger("kerege.node.http")
_MOST_WAYS: Final = 4096
_SWEEP_SECONDS: Final = 0.5
_HEAD: Final = 16 * 1024  # of a request of the native path


class Guest(Protocol):
    """A listener that gave its connections to the port, as far as the port's affairs need it."""

    budget: BodyBudget

    def forget_connection(self, connection: ClientConnection) -> None: ...
    def hand_over(self, connection: ClientConnection, descriptor: int, data: bytes) -> None: ...
    def carry_on(
        self, connection: ClientConnection, descriptor: int, work: Work, response: HttpResponse, ahead: bytes
    ) -> None: ...


class Clients:
    """One per node; `open` in its loop."""

    def __init__(self, core: Core, consumer: Consumer) -> None:
        self._core, self._consumer = core, consumer
        self._loop = asyncio.get_running_loop()
        self._port = ClientPort(self._take, self._odd, INLINE + _HEAD)
        self._ways: UnderOne[tuple[bytes, bytes], Way] = UnderOne(_MOST_WAYS)
        self._guests: dict[ClientConnection, Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._budget: BodyBudget | None = None  # of the listener that came last
        self._counted = 0  # bytes of it that stand for what the port holds
        self.wire_plans: Plans[Route] | None = None  # of calls over X-Road's wire
        self.calls = self.batches = 0  # answered by the native path, and in how many goes
        self._loop.add_reader(self._port.fileno(), self._port.drain)
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def adopt(self, descriptor: int, address: str, guest: Guest) -> ClientConnection:
        """Take over a connected socket of a plain HTTP client."""
        self._share(guest.budget)
        connection = self._port.adopt(descriptor, address, self._lost)
        self._guests[connection] = guest
        return connection

    def _share(self, budget: BodyBudget | None) -> None:
        """What the port holds and what the HTTP server holds of bodies come out of one budget."""
        if budget is not self._budget:
            if self._budget is not None:
                self._budget.used -= self._counted
            self._budget, self._counted = budget, 0
        if budget is not None:
            held = self._port.held
            others = budget.used - self._counted
            budget.used, self._counted = others + held, held
            self._port.most_held = budget.limit - others

    def close(self) -> None:
        self._sweeper.cancel()
        self._loop.remove_reader(self._port.fileno())
        self._port.close()
        self._share(None)

    def _sweep(self) -> None:
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self._share(self._budget)
        self._port.sweep(time.monotonic())

    def _lost(self, connection: ClientConnection) -> None:
        guest = self._guests.pop(connection, None)
        if guest is not None:
            guest.forget_connection(connection)

    def _odd(self, connection: ClientConnection, descriptor: int, data: bytes) -> None:
        """Not the simplest HTTP: the HTTP server reads on."""
        self._share(self._budget)
        self._guests.pop(connection).hand_over(connection, descriptor, data)

    # --- calls ---

    def long(self, call: Call) -> None:
        """Every step for this call alone."""
        self._long(call, self._consumer.long)

    def _take(self, calls: list[Call], others: list[Call]) -> None:
        most = self._core.config.limits.body
        if most < self._port.largest:
            calls = [call for call in calls if self._within(call, call.request.body, most)]
            others = [call for call in others if self._within(call, call.more, most)]
        for call in others:
            self._long(call, self._consumer.handle)
        if not calls:
            return
        core = self._core
        if not core.sealing.together or not (core.plans or self.wire_plans):
            for call in calls:
                self._long(call, self._consumer.handle)
            return
        core_open = core.keeper.picture is not None
        try:
            core.log.check_open_now()
        except KeregeError:
            core_open = False
        batches: dict[tuple[int, int], list[Call]] = {}
        for key, some in passes.sources(calls):
            way = None
            while some and core_open and (way := self._way(key)) is None:
                self._long(some.pop(0), self._consumer.long)  # it makes the next plan, where this one is about to end
            handler = self._consumer.long if way is None else self._consumer.handle
            if way is None or not self._takes(way.decided):
                for call in some:
                    self._long(call, handler)
                continue
            if way.more:
                some = self._without_contract(way, some)
            digest.digest_parts(passes.go(some, way))
            batches.setdefault((id(way.decided.link), id(way.decided.signer)), []).extend(some)
        for batch in batches.values():
            if batch:
                plan = batch[0].way.decided
                plan.link.begin_calls(batch, plan.signer)

    def _within(self, call: Call, body: bytes | None, most: int) -> bool:
        """Whether a body is within a limit that is lower than what the port takes; told where it is not, as the HTTP server tells it."""
        if body is None or len(body) <= most:
            return True
        reason = f"the body is larger than the limit of {most} bytes"
        headers = () if call.accept is None else ((b"accept", call.accept),)
        self._give(call, self._consumer.refusal(413, reason, call.target.decode("latin-1"), headers), keep=False)
        return False

    def _way(self, key: tuple[bytes, bytes]) -> Way | None:
        """How calls of this client to this service go now; None for the long way, which also makes the next plan."""
        core = self._core
        picture = core.keeper.picture
        ways = self._ways.of(picture)
        way = ways.get(key)
        if way is None:
            way = _new_way(*key)
            if way is None:
                return None
        plan: Plan[Any] | None = core.plans.of(way.client, way.service, picture, core.config)
        if plan is None and self.wire_plans is not None:
            plan = self.wire_plans.of(way.client, way.service, picture, core.config)
        if plan is None or picture is None:
            ways.pop(key, None)
            return None
        if way.decided is not plan:  # another way: calls under way keep the one they began by
            if way.decided is not None:
                way = Way(way.client, way.service, way.client_written, way.service_written)
            self._ways.put(picture, key, way)
            way.decided = plan
            way.kept = core.recorder.policy.largest(way.service, way.client)
        way.more = not core.contracting.contracts.none_for(way.service, picture.rules)
        return way

    def _takes(self, plan: Plan[Any]) -> bool:
        return plan.signer.style == "chain" and plan.link.takes_calls and self._core.connections.plain(plan.local)

    def _without_contract(self, way: Way, calls: list[Call]) -> list[Call]:
        """Those whose answer this node, the consumer's, holds against nothing; the others go the long way."""
        picture, good = self._core.keeper.picture, []
        assert picture is not None
        for call in calls:
            path = call.path.decode("ascii") or "/"
            found = self._core.contracting.contracts.find(way.service, call.verb, path, picture.rules)
            if found is None or found.at != CONSUMER:
                good.append(call)
            else:
                self._long(call, self._consumer.long)
        return good

    # --- answers ---

    def answer(self, calls: list[Call]) -> None:
        """Give the clients answers that are verified and logged."""
        core = self._core
        try:
            self._port.answer(calls)
        except Exception:  # noqa: BLE001 - one connection's trouble; the others' answers are out, and all are noted
            _LOG.exception("an answer could not be given")
        self.calls += len(calls)
        self.batches += 1
        moment = core.milliseconds()
        passes.given(calls, moment)
        own, registered = core.config.clients_address.host, core.registered_address
        for some in passes.by(calls, _asked_server):
            core.monitor.note_calls(some, CLIENT, own, registered, _server_of(some[0]))

    def python(self, call: Call) -> Quick:
        """The same call for the Python path, from here on."""
        core = self._core
        part = call.request
        request = rest.decode_request(part.content)
        attachments = () if part.body is None else (Attachment((), part.body),)
        message = Message(multipart.REST_REQUEST, part.content, attachments)
        message._digests = part.digests
        exchange = exchange_of(
            call, CLIENT, core.config.clients_address.host, core.registered_address, _server_of(call)
        )
        later = Later()
        later.then(lambda response: self._give(call, response))
        accept = (call.accept or b"").decode("latin-1")
        extras = Extras((part.content_type or b"").decode("latin-1"))
        made = Quick(core, asked_of(request, decision_path(request.path)), message, extras, exchange, later, accept)
        made.stream, made.deadline, made.answered = call.stream, call.deadline, call.answered
        return made

    def fail(self, call: Call, problem: Exception) -> None:
        """Give its client the refusal, as the Python path words it; a client that cannot be told loses its connection."""
        try:
            self.python(call).fail(problem)
        except Exception:  # noqa: BLE001 - nobody may be left waiting, and the others are still to be told
            _LOG.exception("a refusal could not be given")
            call.end.drop()

    def _long(self, call: Call, handler: Callable[[HttpRequest], Any]) -> None:
        """As the HTTP server would hand the request over."""
        body = call.more if call.request is None else call.request.body
        lines = call.head[:-4].split(b"\r\n")[1:]
        pairs = [line.split(b":", 1) for line in lines]
        # white space after a value is part of it, as the HTTP server reads it
        headers = tuple([(name, value.lstrip(b" \t")) for name, value in pairs])
        http = HttpRequest(call.verb, call.target.decode("latin-1"), headers, body or b"", None, call.end.address)
        try:
            result = handler(http)
        except Exception:  # noqa: BLE001 - logged with its trace; the connection must not die with it
            self._give(call, _failed())
            return
        if isinstance(result, HttpResponse):
            self._give(call, result)
        elif isinstance(result, Later):
            result.then(lambda response: self._give(call, response))
        else:
            task = self._loop.create_task(self._wait(call, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait(self, call: Call, result: Awaitable[HttpResponse]) -> None:
        try:
            response = await result
        except asyncio.CancelledError:
            self._give(call, _failed())
            raise
        except Exception:  # noqa: BLE001 - as above
            response = _failed()
        self._give(call, response)

    def _give(self, call: Call, response: HttpResponse, *, keep: bool = True) -> None:
        connection, head = call.end, call.verb == "HEAD"
        if not self._port.waits(call):  # the client is gone
            close_all(response.body)
            return
        keep = keep and not connection.stopping
        body = response.body
        if not isinstance(body, bytes) or len(body) > PROGRESS:
            self._give_large(call, response)
            return
        try:
            data = encode_head(response, keep=keep, head=head)
        except ValueError:
            response = checked()
            data = encode_head(response, keep=keep, head=head)
        if has_body(response, head):
            assert isinstance(response.body, bytes)
            data += response.body
        self._port.respond(connection, data, keep)

    def _give_large(self, call: Call, response: HttpResponse) -> None:
        """The HTTP server sends it piece by piece, and keeps the connection."""
        connection: ClientConnection = call.end
        try:
            ahead, descriptor = connection.ahead, connection.take_over()
        except ValueError:  # it is gone
            close_all(response.body)
            return
        work = Work(call.verb, call.target.decode("latin-1"), (), b"", None, connection.address)
        self._guests.pop(connection).carry_on(connection, descriptor, work, response, ahead)


def _new_way(service_raw: bytes, client_raw: bytes) -> Way | None:
    try:
        service, client = rest.service_of(service_raw), rest.client_of(client_raw)
    except (KeregeError, UnicodeDecodeError):
        return None
    return Way(client, service, rest.written(client), rest.written(service))


def _asked_server(way: Way) -> object:
    return way.decided.server


def _server_of(call: Call) -> str:
    plan = call.way.decided
    address: str = plan.server.address or plan.link.address.host
    return address


def _failed() -> HttpResponse:
    _LOG.exception("a handler failed")
    return HttpResponse(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"internal error\n")
