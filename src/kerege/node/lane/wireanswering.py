"""Requests of the native path over X-Road's wire: those that came in one turn of the loop are checked, logged and carried out together.

The decisions are `provider.Provider`'s, in its order: who is connected, the OCSP answers that came along, right and permit (an admission
that holds), the signature, whether it came before. A request that anything stands against, or that is not in the plainest form, is
given back to its connection, which reads it as if it had just come: the Python way decides anew and words the refusal.
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
from kerege.exchange.lane import chains, digest, multiparts, passes, restlines
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.multiparts import Envelope
from kerege.exchange.opmon import OPENAPI, PRODUCER
from kerege.ground.errors import KeregeError
from kerege.node.http.messages import HttpResponse
from kerege.node.http.reading import Work
from kerege.node.http.server import HttpProtocol
from kerege.node.http.whole import WholeRequests
from kerege.node.lane.admitting import Admitting, service_of, signer_of
from kerege.node.lane.wireletters import LARGEST, Signatures, group_of, incoming_of
from kerege.node.link.bodies import INLINE
from kerege.node.link.pace import Pace
from kerege.node.log import records
from kerege.node.message import Extras, Message
from kerege.node.provider import Accepted, Peer
from kerege.node.sealing import Parcel

if TYPE_CHECKING:
    from kerege.node.conf.picture import Picture
    from kerege.node.core import Core
    from kerege.node.lane.agencies import Agencies
    from kerege.node.provider import Provider

_LOG: Final = logging.getLogger("kerege.node.wire")
_MESSAGE: Final = b"POST / HTTP/1.1\r\n"  # what a request with a message begins with
_MOST_STREAMS: Final = 2**32 - 1


class _Came:
    """One request, and the connection that waits for its answer."""

    __slots__ = ("data", "envelope", "protocol", "work")

    def __init__(self, protocol: HttpProtocol, work: Work, data: bytes, envelope: Envelope) -> None:
        self.protocol, self.work, self.data, self.envelope = protocol, work, data, envelope

    def give_back(self) -> None:
        """The connection reads it again."""
        self.protocol.read_again(self.work, self.data)


class WireAnswering(Admitting):
    """One per node; made in its loop."""

    def __init__(self, core: Core, agencies: Agencies, provider: Provider) -> None:
        super().__init__(core, agencies, provider)
        self._loop = asyncio.get_running_loop()
        self._seen, self._signatures = multiparts.Seen(), Signatures()
        self._arrived: list[_Came] = []
        self._waiting: dict[int, _Came] = {}  # calls under way, by their number
        self._pace = Pace()
        self._next = 1
        self._tasks: set[asyncio.Task[None]] = set()

    # --- in ---

    def take(self, protocol: WholeRequests, data: bytes) -> int:
        """Of one whole request in the plainest form its connection waits for the answer: see `http.whole`."""
        core = self._core
        if core.config.limits.body < INLINE or not core.sealing.together:
            return -1
        if not data.startswith(_MESSAGE):
            return -1
        found = multiparts.read_request(data, LARGEST, self._seen)
        if found is None:
            return multiparts.missing(data, LARGEST) or -1
        assert isinstance(protocol, HttpProtocol)
        work = protocol.begin_whole(len(data))
        if work is None:
            return -1
        if not self._arrived:
            self._loop.call_soon(self._look)
        self._arrived.append(_Came(protocol, work, data, found))
        return 0

    def _look(self) -> None:
        """Requests that came together."""
        arrived, self._arrived = self._arrived, []
        left = set(arrived)
        try:
            self._look_at(arrived, left)
        except Exception:  # noqa: BLE001 - nobody may be left waiting
            _LOG.exception("requests could not be looked at together")
        for came in arrived:
            if came in left:
                came.give_back()

    def _look_at(self, arrived: list[_Came], left: set[_Came]) -> None:
        """`left`: those that are not taken yet; what is left at the end is given back."""
        core = self._core
        now, moment = core.clock(), core.milliseconds()
        try:
            core.log.check_open_now()
            picture = core.keeper.current(now)
        except KeregeError:
            return
        found = [came.envelope for came in arrived]
        parts = [one.part for one in found]
        digest.digest_parts(parts)
        held = chains.hold(parts, [one.chain for one in found], [one.result for one in found])
        peers: dict[tuple[bytes | None, str, tuple[bytes, ...]], Peer | None] = {}
        groups: dict[tuple[int, int, int, int], list[tuple[Call, _Came]]] = {}
        for came, holds in zip(arrived, held, strict=True):
            envelope, protocol, call = came.envelope, came.protocol, Call()
            alone = 0 if envelope.chain is not None else id(envelope)  # its signature is over the message itself
            if not (holds or alone) or not restlines.read_request(envelope.part, call):
                continue
            if call.request_id != envelope.request_id:
                continue
            who = protocol.certificate, protocol.peer_address, envelope.ocsp
            peer = peers[who] if who in peers else peers.setdefault(who, self._peer(*who, picture, now))
            if peer is None:
                continue
            key = call.service_raw, call.client_raw, call.verb, id(peer.server)
            way = self.way(key, call, peer, picture, now)
            if way is None or (way.more is not None and not self.may(way, call, picture, now)):
                continue
            call.way, call.end, call.request_in, call.more = way, self, moment, self._client_address(peer)
            of = id(envelope.signature), id(envelope.result), id(way.client), alone
            groups.setdefault(of, []).append((call, came))
        for group in groups.values():
            self._signed(group, left, picture, now)

    def _peer(
        self, certificate: bytes | None, address: str, ocsp: tuple[bytes, ...], picture: Picture, now: datetime
    ) -> Peer | None:
        """Who is connected, good by the OCSP answers that came along; None where something stands against it."""
        try:
            peer = self._provider.peer(certificate, address, picture)
            self._provider.check_peer(peer, ocsp, picture.trust, now)
        except Exception:  # noqa: BLE001 - the Python way finds the same, and says it
            return None
        return peer

    @staticmethod
    def _client_address(peer: Peer) -> str:
        if peer.server is not None and peer.server.address:
            return peer.server.address  # as the other side's own record names it
        return peer.address

    def _signed(self, group: list[tuple[Call, _Came]], left: set[_Came], picture: Picture, now: datetime) -> None:
        """Requests of one client under one signature and one chain result, which each was found to lead to."""
        call, came = group[0]
        try:
            self._signatures.check(picture.trust, came.envelope, call.way.client.member, now)
        except Exception:  # noqa: BLE001 - as above
            return
        first_time = self._provider.first_time
        good = [one for one in group if first_time(one[1].envelope.part.digest or b"")]
        if not good:
            return
        for call, came in good:
            left.discard(came)
            call.stream = self._number()
            self._waiting[call.stream] = came
        calls = [call for call, _ in good]
        try:
            made = group_of(now, records.REQUEST, records.PROVIDER, [(call, came.envelope) for call, came in good])
            self._core.log.append_group(made, partial(self._carry_out, calls))
        except Exception as refused:  # noqa: BLE001 - nothing is carried out without its record
            self._carry_out(calls, refused)

    def _number(self) -> int:
        while self._next in self._waiting or self._next >= _MOST_STREAMS:
            self._next = 1 if self._next >= _MOST_STREAMS else self._next + 1
        number, self._next = self._next, self._next + 1
        return number

    # --- carrying out ---

    def _carry_out(self, calls: list[Call], problem: Exception | None) -> None:
        if problem is not None:  # nothing is carried out without its record
            for call in calls:
                self.refused(call, problem)
            return
        digest.request_hashes(calls)
        self._agencies.ask(calls)

    @property
    def under_way_count(self) -> int:
        return self._pace.quick(self._waiting, self._loop.time())

    def answered(self, calls: list[Call]) -> None:
        """The agencies' answers are there: sign and log them, send them back."""
        for some in passes.by(calls, signer_of):
            parts = passes.replies(some)
            digest.digest_parts(parts)
            self._core.sealing.submit_parcel(
                Parcel(signer_of(some[0].way), self, records.RESPONSE, records.PROVIDER, some, parts)
            )

    # --- answers out ---

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None:
        core, calls = self._core, parcel.calls
        self._agencies.calls += len(calls)
        self._agencies.batches += 1
        chain = None if tree.plain else chains.Tree(tree)
        moment = core.milliseconds()
        for call in calls:
            call.response_out = moment
            came = self._waiting.pop(call.stream, None)
            if came is None:
                continue  # it was refused
            try:
                came.protocol.answer_whole(came.work, multiparts.answer(call, signature, chain))
            except Exception:  # noqa: BLE001 - this connection's trouble is not the others'
                _LOG.exception("an answer could not be given")
                came.protocol.give_up(came.work)
        own, registered = core.config.servers_address.host, core.registered_address
        for some in passes.by(calls, service_of):
            kind = OPENAPI if service_of(some[0].way).kind == "openapi" else None
            by_client: dict[str, list[Call]] = {}
            for call in some:
                by_client.setdefault(call.more, []).append(call)
            for address, few in by_client.items():
                core.monitor.note_calls(few, PRODUCER, own, address, registered, kind)

    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None:
        for call in parcel.calls:
            self.refused(call, problem)

    def refused(self, call: Call, problem: Exception) -> None:
        """The call was logged and cannot be answered: a fault; whoever cannot be told it loses its connection."""
        came = self._waiting.pop(call.stream, None)
        if came is None:
            return
        try:
            self._give(came, self._provider.fault(problem, self.exchange(call)))
        except Exception:  # noqa: BLE001 - this connection's trouble is not the others': they are still to be told
            _LOG.exception("a refusal could not be given")
            came.protocol.give_up(came.work)

    @staticmethod
    def _give(came: _Came, response: HttpResponse) -> None:
        came.protocol.answer(came.work, response)

    # --- for the Python path ---

    def answered_python(self, call: Call, accepted: Accepted, answer: Message) -> None:
        """An answer that the Python path read."""
        self._do(self._answer(call, accepted, answer))

    async def _answer(self, call: Call, accepted: Accepted, answer: Message) -> None:
        provider, exchange = self._provider, accepted.exchange
        try:
            response = await provider.sealed(accepted, answer)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            response = provider.fault(problem, exchange)
        else:
            provider.note(exchange)
        came = self._waiting.pop(call.stream, None)
        if came is not None:
            self._give(came, response)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def accepted(self, call: Call) -> Accepted:
        """The call as the Python path carries it out."""
        came, admission = self._waiting[call.stream], call.way.decided
        message = incoming_of(came.envelope, multipart.REST_REQUEST).message
        extras, exchange = Extras(request_id=call.request_id.decode("ascii")), self.exchange(call)
        handler, asked = self._provider.read(message, extras, exchange)
        return Accepted(asked, message, extras, handler, admission.service, admission.signer, exchange)
