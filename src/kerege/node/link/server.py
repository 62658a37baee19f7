"""The answering end of a Kerege link: requests that came together are verified and logged together, their answers leave together.

Every decision is the provider's (`provider.Provider`), the same as on X-Road's wire and in the same order; only that the records of
many messages become durable in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kerege.exchange import faults
from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange.errors import LinkMalformed, MessageTooLarge
from kerege.exchange.ids import ClientId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.opmon import Exchange
from kerege.ground.errors import KeregeError
from kerege.node import wire
from kerege.node.conf.picture import Picture
from kerege.node.link.ends import LinkProtocol
from kerege.node.link.letters import groups_of, incoming
from kerege.node.log import records
from kerege.node.message import Extras, Message, Signature
from kerege.node.provider import Accepted, Peer, Provider
from kerege.node.sealing import Item

if TYPE_CHECKING:
    from kerege.node.core import Core

_MOST_UNDER_WAY: Final = 4096
_MOST_TOGETHER: Final = 1024  # messages of one frame
_ALL: Final = 2**32 - 1
_GRACE_SECONDS: Final = 1.0  # after the farewell: what was sent before it was heard is carried out
_LEAVE_SECONDS: Final = 0.1
_STRANGERS: Final = ""  # whose part of the room is one for all of them


class _Stream:
    """One call being carried out; the tag of its answer's item."""

    __slots__ = ("accepted", "exchange", "extras", "stream")

    def __init__(self, stream: int, accepted: Accepted, exchange: Exchange) -> None:
        self.stream, self.accepted, self.exchange, self.extras = stream, accepted, exchange, Extras()


class LinkServer(LinkProtocol):
    """A link another node made. Stands where an HTTP connection stands in its listener."""

    def __init__(self, core: Core, provider: Provider, lost: Callable[[LinkServer], None]) -> None:
        super().__init__(str(core.config.server), core.config.limits, core.requests_room)
        self._core, self._provider, self._lost = core, provider, lost
        self._under_way: dict[int, asyncio.Task[None] | None] = {}
        self._held: dict[int, int] = {}  # bytes of requests under way, by stream
        self._unwanted: set[int] = set()  # streams under way whose caller gave up
        self._stopping = False
        self._grace = 0.0
        # small REST messages by the native path, where the node has one
        self._answering = None if core.lane is None else core.lane.answering(self)
        if self._answering is not None:
            self.use_lane(self._answering)

    def whose(self) -> object:
        """The server's that is registered with the certificate, whichever of its certificates that is; strangers have one part together."""
        picture = self._core.keeper.picture
        if picture is None:
            return _STRANGERS
        try:
            server = self._provider.peer(self.certificate, self.peer_address, picture).server
        except KeregeError:
            return _STRANGERS
        return super().whose() if server is None else server.id

    # --- requests in ---

    def take(self, group: lm.Group, messages: list[lm.LinkMessage]) -> None:
        core, provider = self._core, self._provider
        now, moment = core.clock(), core.milliseconds()
        good: list[_Stream] = []
        made: list[LogRecord] = []
        under_way, recorder = self._under_way, core.recorder
        signed_by: ClientId | None = None
        try:
            picture = core.keeper.current(now)
            peer = self.peer_now(picture, now)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            for came in messages:
                self._refuse(came.stream, provider.new_exchange(self.peer_address), problem)
            return
        for came in messages:
            exchange = provider.new_exchange(self.peer_address, moment)
            stream = came.stream
            try:
                if stream in under_way:
                    raise LinkMalformed(where="messages", reason="a stream is used for two calls at once")
                if self._closed_to_calls or len(under_way) >= _MOST_UNDER_WAY:
                    self.write(lf.encode(lm.Cancel(stream)))
                    continue
                message, extras = incoming(came)
                size = _in_memory(message)
                self._room.take(size, self._limits)
                self._held[stream] = size
                arrived = wire.Incoming(message, Signature(group.signature, None))
                accepted = provider.accept(arrived, extras, peer, exchange, picture, now)
                asked = accepted.asked
                if signed_by is not asked.client:  # one signature: the next message of the same client is under it too
                    picture.trust.check_group(group, asked.client.member, now)
                    signed_by = asked.client if group.chained else None
                provider.check_first_time(message)
                made.append(recorder.received(records.REQUEST, records.PROVIDER, asked, message, group, came, now))
            except LinkMalformed:  # the link ends; nothing of this frame is carried out
                for one in good:
                    self._let_go(one.stream)
                raise
            except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
                self._let_go(stream)
                self._refuse(stream, exchange, problem)
            else:
                good.append(_Stream(stream, accepted, exchange))
                under_way[stream] = None
        if good:
            self.keep(self._carry_out(good, made))

    # --- what the native path asks of it ---

    @property
    def under_way(self) -> dict[int, Any]:
        return self._under_way

    @property
    def takes_calls(self) -> bool:
        """Whether a call that comes now is carried out."""
        return not self._closed_to_calls and len(self._under_way) < _MOST_UNDER_WAY - _MOST_TOGETHER

    @property
    def under_way_count(self) -> int:
        return self._pace.quick(self._under_way, self._loop.time())

    def room_for(self, stream: int, size: int) -> None:
        """Raises MessageTooLarge where a request of this size does not go into memory beside the others."""
        self._room.take(size, self._limits)
        self._held[stream] = size

    def let_go(self, stream: int) -> None:
        self._let_go(stream)

    def room_for_all(self, size: int) -> bool:
        """Take memory for requests of this size together; False, and nothing taken, where there is not enough."""
        try:
            self._room.take(size, self._limits)
        except MessageTooLarge:
            return False
        return True

    @property
    def held(self) -> dict[int, int]:
        return self._held

    @property
    def unwanted(self) -> set[int]:
        return self._unwanted

    def release(self, size: int) -> None:
        """Bytes that calls held which are under way no more."""
        self._room.give_back(size)

    def refuse_call(self, stream: int, exchange: Exchange, problem: Exception) -> None:
        self._refuse(stream, exchange, problem)

    def answer_call(self, stream: int, accepted: Accepted, exchange: Exchange, answer: Message) -> None:
        """Seal and send an answer by the Python way to a call that came by the native one."""
        self._answer(_Stream(stream, accepted, exchange), answer)

    def rest(self) -> None:
        self._rest()

    # ---

    def wants(self, message: lm.LinkMessage) -> bool:
        """Nobody but a server that may call at all fills the disk."""
        core = self._core
        now = core.clock()
        self.peer_now(core.keeper.current(now), now)
        if self._closed_to_calls:
            self.write(lf.encode(lm.Cancel(message.stream)))
        return not self._closed_to_calls

    @property
    def _closed_to_calls(self) -> bool:
        return self._stopping and self._loop.time() > self._grace

    def peer_now(self, picture: Picture, now: datetime) -> Peer:
        """Who the other end is, looked at anew for every frame: its certificate may have been taken out of the configuration."""
        peer = self._provider.peer(self.certificate, self.peer_address, picture)
        self._provider.check_peer(peer, self.peer_ocsp, picture.trust, now)
        return peer

    async def _carry_out(self, good: list[_Stream], made: list[LogRecord]) -> None:
        try:
            await self._core.log.append_many(made)
        except Exception as problem:  # noqa: BLE001 - nothing is carried out without its record
            for one in good:
                self._let_go(one.stream)
                self._refuse(one.stream, one.exchange, problem)
            return
        for one in good:
            if one.stream in self._under_way and not self._begin(one):
                self._under_way[one.stream] = self._loop.create_task(self._call(one))

    def _begin(self, one: _Stream) -> bool:
        """Without a task of its own, where the protocol can. False: nothing was begun."""
        try:
            return self._provider.begin(
                one.accepted, lambda answer: self._answer(one, answer), lambda problem: self._fail(one, problem)
            )
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            self._fail(one, problem)
            return True

    async def _call(self, one: _Stream) -> None:
        try:
            answer = await self._provider.call(one.accepted)
        except Exception as problem:  # noqa: BLE001 - every failure is answered as a fault
            self._fail(one, problem)
        else:
            self._answer(one, answer)

    def _answer(self, one: _Stream, answer: Message) -> None:
        accepted = one.accepted
        self._core.sealing.submit(Item(accepted.signer, answer, accepted.asked, self._record, self, one))

    def _fail(self, one: _Stream, problem: Exception) -> None:
        self._let_go(one.stream)
        self._refuse(one.stream, one.exchange, problem)

    def _let_go(self, stream: int) -> None:
        """The call has ended, or never began."""
        self._under_way.pop(stream, None)
        self._room.give_back(self._held.pop(stream, 0))

    def _record(self, item: Item, now: datetime) -> LogRecord:
        signed = item.signed
        assert signed is not None
        return self._core.recorder.sealed(records.RESPONSE, records.PROVIDER, item.asked, item.message, signed, now)

    # --- answers out ---

    def sealed(self, items: Sequence[Item]) -> None:
        core = self._core
        groups, large = groups_of(items)
        for data in lf.encode_messages(groups, self.frame_limits):
            self.write(data)
        for stream, bodies in large:
            if stream in self._unwanted or not self.open:
                continue  # nobody would give credit for it
            self.send_bodies(stream, bodies)
        moment = core.milliseconds()
        for item in items:
            one = item.tag
            assert isinstance(one, _Stream)
            self._let_go(one.stream)
            self._unwanted.discard(one.stream)
            one.exchange.response_out = moment
            core.monitor.note(one.exchange)
        self._rest()

    def failed(self, items: Sequence[Item], problem: KeregeError) -> None:
        for item in items:
            one = item.tag
            assert isinstance(one, _Stream)
            self._let_go(one.stream)
            self._refuse(one.stream, one.exchange, problem)

    def refuse(self, stream: int, problem: KeregeError) -> None:
        self._refuse(stream, self._provider.new_exchange(self.peer_address), problem)

    def _refuse(self, stream: int, exchange: Exchange, problem: Exception) -> None:
        core = self._core
        self._unwanted.discard(stream)
        fault = core.fault(problem, faults.SERVER_PROXY, exchange)
        exchange.fault_code, exchange.fault_string = fault.code, fault.message
        exchange.response_out = core.milliseconds()
        core.monitor.note(exchange)
        self.write(lf.encode(lm.FaultFrame(stream, faults.to_soap(fault))))
        self._rest()

    def fault(self, frame: lm.FaultFrame) -> None:
        """A caller sends no faults."""

    def cancelled(self, stream: int) -> None:
        """The call goes on, its request is logged; its answer is not waited for."""
        if stream in self._under_way:
            self._unwanted.add(stream)

    # a caller that does not take its answers is not read: what it asks waits with it, and no memory grows

    def pause_writing(self) -> None:
        super().pause_writing()
        self._pause_reading("writing")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume_reading("writing")

    # --- as a connection of its listener ---

    @property
    def busy(self) -> bool:
        leaving = self._stopping and self.open  # what is on its way to here is still carried out
        return bool(self._todo or self._under_way or self._sending or self._departures or self._arrivals or leaving)

    @property
    def idle(self) -> bool:
        return self.alive and not self.busy

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def _rest(self) -> None:
        if not self._under_way:
            self.quiet_since = self._loop.time()

    def stop(self) -> None:
        """Say so: the caller sends what it has begun and closes. One that does not is closed when its calls are answered."""
        if self._stopping:
            return
        self._stopping = True
        self._grace = self._loop.time() + _GRACE_SECONDS
        if self.open:
            self.write(lf.encode(lm.Goaway(_ALL, "this node is stopping")))
            self._loop.call_later(_GRACE_SECONDS, self._leave)

    def _leave(self) -> None:
        if not self.open or self._transport is None:
            return
        if self._todo or self._under_way or self._sending or self._departures or self._arrivals:
            self._loop.call_later(_LEAVE_SECONDS, self._leave)
        else:
            self._transport.close()

    def drop(self) -> None:
        self.close()

    def ended(self) -> None:
        """The other node is gone. Calls under way go on: their requests are logged, and the agency was asked."""
        self._lost(self)


def _in_memory(message: Message) -> int:
    """Bytes that a request holds in memory while it is carried out."""
    size = len(message.content)
    for attachment in message.attachments:
        if isinstance(attachment.body, bytes):
            size += len(attachment.body)
    return size
