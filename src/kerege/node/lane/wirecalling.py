"""Calls of the native path over X-Road's wire: sealed a batch at a time, each on a kept connection of its own, answers checked together.

What is decided about an answer is the same as in `carry`: it is a REST answer, its provider's member signed it, it answers what was asked.
Whatever does not pass here, or is not in the plainest form, is `carry`'s functions', which word the refusal. Calls go by plans (`plans`)
that the long way made; one that finds no kept connection whose other end was found trusted goes the long way as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kerege.exchange import multipart
from kerege.exchange.batch import Batch
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.lane import chains, digest, multiparts, restlines
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.multiparts import Envelope
from kerege.exchange.opmon import VERSION
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node import carry, wire
from kerege.node.conf.picture import Picture
from kerege.node.conf.under import UnderOne
from kerege.node.config_types import Address, NodeConfig
from kerege.node.http.connection import ClientResponse, HttpFailed
from kerege.node.lane.clients import Clients
from kerege.node.lane.wireletters import LARGEST, Signatures, group_of, incoming_of
from kerege.node.link.bodies import INLINE
from kerege.node.link.pace import Pace
from kerege.node.log import records
from kerege.node.message import Asked, Message
from kerege.node.peers import Reached
from kerege.node.plans import Plans
from kerege.node.sealing import Parcel

if TYPE_CHECKING:
    from kerege.node.core import Core

_LOG: Final = logging.getLogger("kerege.node.wire")
_MESSAGE: Final = b"HTTP/1.1 200 "  # what an answer with a message begins with
_MOST_ROUTES: Final = 1024
_MOST_CALLS: Final = 2**32 - 1


class Route:
    """A server that is called over X-Road's wire; stands in a plan where another has its link."""

    def __init__(self, calling: WireCalling, server: SecurityServer, address: Address) -> None:
        self._calling, self.server, self.address = calling, server, address
        self.front = multiparts.front_of(str(address).encode("ascii"), VERSION.encode())
        self.alive = True
        self.checked: tuple[object, object, float] | None = None

    @property
    def takes_calls(self) -> bool:
        return True

    def begin_calls(self, calls: list[Call], signer: Signer) -> None:
        """Send calls whose requests are hashed; each is answered to its client, once."""
        self._calling.begin(self, calls, signer)


class _Waiting:
    """One call on its connection: what `http.connection` tells of its answer."""

    __slots__ = ("call", "calling", "reached")

    def __init__(self, calling: WireCalling, call: Call, reached: Reached) -> None:
        self.calling, self.call, self.reached = calling, call, reached

    def done(self) -> bool:
        return False

    def take(self, data: bytes, ended: bool) -> int:
        return self.calling.came(self, data, ended)

    def set_result(self, answer: ClientResponse) -> None:
        self.calling.read(self, answer)

    def set_exception(self, problem: HttpFailed) -> None:
        self.calling.failed(self, problem)


class WireCalling:
    """One per node; made in its loop."""

    def __init__(self, core: Core, clients: Clients) -> None:
        self._core, self._clients = core, clients
        self._loop = asyncio.get_running_loop()
        self._routes: UnderOne[tuple[int, Address], Route] = UnderOne(_MOST_ROUTES)
        self.plans: Plans[Route] = Plans()
        self._seen, self._signatures = multiparts.Seen(), Signatures()
        self._arrived: list[tuple[Call, Envelope]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sinks = lambda _, headers: wire.sink_of(headers, wire.decoder_limits(core.config.limits))
        self._under_way: dict[int, None] = {}  # calls by their number (`Call.stream`), in its order
        self._last = 0
        self._pace = Pace()

    # --- plans ---

    def remember(
        self,
        asked: Asked,
        picture: Picture,
        config: NodeConfig,
        signer: Signer,
        reached: Reached,
        signs_until: datetime,
    ) -> None:
        """A call went the long way, and its server could be reached: those like it may follow natively.

        picture, config   under which it was decided on
        """
        core, connection = self._core, reached.connection
        if connection is None or signer.style != "chain" or not core.sealing.together:
            return
        key = id(reached.server), reached.address
        route = self._routes.kept.get(key)
        if route is None or route.server is not reached.server:
            route = Route(self, reached.server, reached.address)
            self._routes.put(picture, key, route)
        route.checked = connection.checked if config.peer_tls else (picture, reached.server, 0.0)
        self.plans.remember(asked, picture, config, signer, reached.server, route, core.clock(), signs_until)

    # --- out ---

    @property
    def under_way_count(self) -> int:
        return self._pace.quick(self._under_way, self._loop.time())

    def begin(self, route: Route, calls: list[Call], signer: Signer) -> None:
        core = self._core
        picture, some = core.keeper.picture, []
        for call in calls:
            reached = None if picture is None else core.peers.kept(route.server, picture)
            if reached is None or reached.address != route.address:
                if reached is not None:
                    core.peers.release(reached)
                self._clients.long(call)
                continue
            call.more = reached
            some.append(call)
        if not some:
            return
        for call in some:
            call.stream = self._last = self._last % _MOST_CALLS + 1
            self._under_way[call.stream] = None
        parts = [call.request for call in some]
        core.sealing.submit_parcel(Parcel(signer, self, records.REQUEST, records.CLIENT, some, parts))

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None:
        """Signed and durable: each goes on its own connection."""
        core = self._core
        chain = None if tree.plain else chains.Tree(tree)
        moment, seconds = core.milliseconds(), core.config.limits.peer_seconds
        for call in parcel.calls:
            call.request_out = moment
            try:
                reached = self._alive(call)
                connection = reached.connection
                assert connection is not None
                data = multiparts.request(call, call.way.decided.link.front, reached.ocsp, signature, chain)
                waiting = _Waiting(self, call, reached)
                connection.ask_whole(data, waiting, waiting.take, timeout=seconds, sinks=self._sinks)
            except Exception as problem:  # noqa: BLE001 - this call's trouble is not the others'
                if call.more is not None and call.more.connection is not None:
                    call.more.connection.close()  # what of it was sent is not known: it carries no other call
                self._fail(call, problem)

    def _alive(self, call: Call) -> Reached:
        """A connection for a sealed call: the one it had, or another where that was closed meanwhile: nothing was sent yet."""
        reached: Reached = call.more
        if reached.connection is not None and reached.connection.alive:
            return reached
        picture = self._core.keeper.picture
        other = None if picture is None else self._core.peers.kept(reached.server, picture)
        if other is not None:
            if other.address == reached.address:
                call.more = other
                return other
            self._core.peers.release(other)  # the server has another address now
        raise carry.failed(HttpFailed("closed the connection before anything was sent", cut=True), reached, self._core)

    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None:
        for call in parcel.calls:
            self._core.peers.release(call.more)  # nothing was sent
            self._fail(call, problem)

    def _fail(self, call: Call, problem: Exception) -> None:
        self._under_way.pop(call.stream, None)
        call.more = None
        self._clients.fail(call, problem)

    # --- in ---

    def came(self, waiting: _Waiting, data: bytes, ended: bool) -> int:
        """An answer in the plainest form is looked at with the others of this turn of the loop: see `Connection.ask_whole`."""
        if self._core.config.limits.body < INLINE:
            return -1
        if not data.startswith(_MESSAGE):
            return -1  # others may be whole without the body their head announces (RFC 9112 6.3)
        found = multiparts.read_answer(data, LARGEST, self._seen, ended)
        if found is None:
            return multiparts.missing(data, LARGEST) or -1
        if not found.kept and waiting.reached.connection is not None:
            waiting.reached.connection.close()
        self._core.peers.release(waiting.reached)
        if not self._arrived:
            self._loop.call_soon(self._look)
        self._arrived.append((waiting.call, found))
        return 0

    def _look(self) -> None:
        """Answers that came together."""
        arrived, self._arrived = self._arrived, []
        try:
            self._look_at(arrived)
        except Exception:  # noqa: BLE001 - nobody may be left waiting
            _LOG.exception("answers could not be looked at together")
            for call, found in arrived:
                if not call.answered:
                    self._slow(call, found)

    def _look_at(self, arrived: list[tuple[Call, Envelope]]) -> None:
        core = self._core
        now, moment = core.clock(), core.milliseconds()
        parts = [found.part for _, found in arrived]
        digest.digest_parts(parts)
        digest.request_hashes([call for call, _ in arrived])
        held = chains.hold(parts, [found.chain for _, found in arrived], [found.result for _, found in arrived])
        groups: dict[tuple[int, int, int, int], list[tuple[Call, Envelope]]] = {}
        for one, holds in zip(arrived, held, strict=True):
            call, found = one
            call.response_in = moment
            # a signature over one message alone has no chain: it is checked by itself
            alone = 0 if found.chain is not None else id(found)
            if not (holds or alone) or not restlines.read_answer(found.part, call):
                self._slow(call, found)
                continue
            groups.setdefault((id(found.signature), id(found.result), id(call.way.service), alone), []).append(one)
        for group in groups.values():
            self._signed(group, now)

    def _signed(self, group: list[tuple[Call, Envelope]], now: datetime) -> None:
        """Answers under one signature and one chain result, which each of them was found to lead to."""
        core, (first, found) = self._core, group[0]
        try:
            trust = core.keeper.current(now).trust
            self._signatures.check(trust, found, first.way.service.member, now)
        except Exception:  # noqa: BLE001 - the long way finds the same, and says it
            for call, one in group:
                self._slow(call, one)
            return
        calls = [call for call, _ in group]
        for call in calls:
            call.answered = True
        try:
            made = group_of(now, records.RESPONSE, records.CLIENT, group)
            core.log.append_group(made, partial(self._kept, calls))
        except Exception as problem:  # noqa: BLE001 - no answer without its record
            self._kept(calls, problem)

    def _kept(self, calls: list[Call], problem: Exception | None) -> None:
        if problem is not None:
            for call in calls:
                self._fail(call, problem)
            return
        for call in calls:
            self._under_way.pop(call.stream, None)
            call.more = None
        self._clients.answer(calls)

    # --- the long way ---

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def failed(self, waiting: _Waiting, problem: HttpFailed) -> None:
        """No answer."""
        if waiting.reached.connection is not None:
            waiting.reached.connection.answered()
        self._fail(waiting.call, carry.failed(problem, waiting.reached, self._core))

    def read(self, waiting: _Waiting, answer: ClientResponse) -> None:
        """An answer that is not in the plainest form, or did not come in one piece."""
        if waiting.reached.connection is not None:
            waiting.reached.connection.answered()
        self._core.peers.release(waiting.reached)
        call, core = waiting.call, self._core
        part = call.request
        request = Message(multipart.REST_REQUEST, part.content)
        try:
            incoming = carry.received(answer, request, waiting.reached, core.config.limits)
        except Exception as problem:  # noqa: BLE001 - whoever waits is told
            answer.close()
            self._fail(call, problem)
        else:
            call.response_in = core.milliseconds()
            self._do(self._believed(call, incoming))

    def _slow(self, call: Call, found: Envelope) -> None:
        call.answered = True  # from now on it is nobody else's
        self._do(self._believed(call, incoming_of(found, multipart.REST_RESPONSE)))

    async def _believed(self, call: Call, incoming: wire.Incoming) -> None:
        """As `Carrier.carry` ends, for a call of the native path."""
        core = self._core
        made = self._clients.python(call)
        try:
            answer = incoming.message
            made.exchange.response_in, made.exchange.response_size = call.response_in, answer.size
            now = core.clock()
            carry.verify_answer(core, made.asked, incoming, now, core.keeper.current(now))
            result = made.check(answer)
            signature = incoming.signature
            await core.log.append(
                core.recorder.record(
                    *(records.RESPONSE, records.CLIENT, made.asked, answer),
                    *(signature.xml, signature.chain, core.clock()),
                )
            )
        except Exception as problem:  # noqa: BLE001 - whoever waits is told
            end = partial(made.fail, problem)
        else:
            end = partial(made.finish, answer, result)
        self._under_way.pop(call.stream, None)
        try:
            end()
        except Exception:  # noqa: BLE001 - nobody may be left waiting
            _LOG.exception("an answer could not be given")
            call.end.drop()
