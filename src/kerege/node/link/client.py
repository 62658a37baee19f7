"""The calling end of a Kerege link: many calls in flight, each answered when its answer is verified, consistent and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange.errors import MessageMalformed, PeerUnreachable
from kerege.exchange.ids import DataServiceId
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.opmon import Exchange
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node.config_types import Address
from kerege.node.link.ends import LinkProtocol
from kerege.node.link.letters import groups_of, incoming
from kerege.node.log import records
from kerege.node.message import Asked, Extras, Message
from kerege.node.sealing import Item
from kerege.node.wire import check_kind, raise_fault

if TYPE_CHECKING:
    from kerege.exchange.lane.call import Call as NativeCall
    from kerege.node.core import Core

_LOG: Final = logging.getLogger("kerege.node.link")
_SWEEP_SECONDS: Final = 1.0
_PING_AFTER: Final = 5  # sweeps
_SILENT: Final = 15
_MOST_STREAMS: Final = 2**32 - 1
_MOST_AT_ONCE: Final = 65536  # streams taken together


class Call:
    """One call on its way. `finish` and `fail` end it, once; here they complete a future for whoever awaits it."""

    __slots__ = ("_check", "answered", "asked", "deadline", "exchange", "extras", "future", "message", "stream")

    def __init__(
        self,
        asked: Asked,
        message: Message,
        extras: Extras,
        exchange: Exchange,
        check: Callable[[Message], Any] | None,
        future: Any,  # an asyncio.Future, or what an heir completes in its place
    ) -> None:
        self.asked, self.message, self.extras = asked, message, extras
        self.exchange, self._check, self.future = exchange, check, future
        self.stream, self.deadline = 0, 0.0
        self.answered = False  # verified, and being logged

    def check(self, answer: Message) -> Any:
        """Hold an answer against what was asked. Raises what is wrong with it."""
        return None if self._check is None else self._check(answer)

    def finish(self, answer: Message, result: Any) -> None:
        if not self.future.done():
            self.future.set_result((answer, result))

    def fail(self, problem: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(problem)


class Link(LinkProtocol):
    """A link this node made. `call` as often as wanted; when it is no longer `alive`, dial another."""

    def __init__(self, core: Core, address: Address) -> None:
        super().__init__(str(core.config.server), core.config.limits, core.answers_room)
        self._core, self.address = core, address
        self._calls: dict[int, Any] = {}  # Call, or one of the native path
        self._next = 1
        self._silent = 0
        self._sweeper: asyncio.TimerHandle | None = None
        # small REST messages by the native path, where the node has one
        self._calling = None if core.lane is None else core.lane.calling(self)
        if self._calling is not None:
            self.use_lane(self._calling)
        # under which picture it was found to be which server's, until when it need not be checked again: a note of `peers`
        self.checked: tuple[object, object, float] | None = None

    async def call(
        self,
        asked: Asked,
        message: Message,
        extras: Extras,
        signer: Signer,
        exchange: Exchange,
        check: Callable[[Message], Any],
    ) -> tuple[Message, Any]:
        """The verified, logged answer and what `check` made of it. Raises the check that failed."""
        call = Call(asked, message, extras, exchange, check, self._loop.create_future())
        self.begin(call, signer)
        try:
            found: tuple[Message, Any] = await call.future
            return found
        finally:
            if self._calls.pop(call.stream, None) is not None:  # given up by whoever waited
                self._give_up(call.stream)

    def begin(self, call: Call, signer: Signer) -> None:
        """Send a call; it is told how it ends, once."""
        stream = self._next
        self._next = stream + 1
        if stream >= _MOST_STREAMS:
            self.alive = False  # the next call makes a new link; those under way are finished on this one
        call.stream = stream
        call.deadline = self._loop.time() + self._core.config.limits.peer_seconds
        self._calls[stream] = call
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self._core.sealing.submit(Item(signer, call.message, call.asked, self._record, self, call))

    # --- what the native path asks of it ---

    @property
    def calls(self) -> dict[int, Any]:
        return self._calls

    @property
    def takes_calls(self) -> bool:
        """Whether calls of the native path may go by this link."""
        return self._calling is not None

    def begin_calls(self, calls: list[NativeCall], signer: Signer) -> None:
        """As `begin`, for calls of the native path."""
        assert self._calling is not None
        self._calling.begin(calls, signer)

    def streams(self, count: int) -> int:
        """The first of so many streams, now taken."""
        first = self._next
        self._next = first + count
        if self._next >= _MOST_STREAMS - _MOST_AT_ONCE:
            self.alive = False
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        return first

    def deadline(self) -> float:
        """Until when a call that begins now must be answered."""
        return self._loop.time() + self._core.config.limits.peer_seconds

    @property
    def under_way_count(self) -> int:
        return self._pace.quick(self._calls, self._loop.time())

    def fail_call(self, call: Any, problem: Exception) -> None:
        self._fail(call, problem)

    def unreachable(self, reason: str) -> PeerUnreachable:
        return self._unreachable(reason)

    def perhaps_drained(self) -> None:
        if not self.alive:
            self._drained()

    def say_ocsp(self) -> None:
        if self.alive:  # of a link that is left the certificate may be an older one than the answers are about
            self.tell_ocsp(self._core.revocation.auth_answer)

    # --- records ---

    def _record(self, item: Item, now: datetime) -> LogRecord:
        signed = item.signed
        assert signed is not None
        return self._core.recorder.sealed(records.REQUEST, records.CLIENT, item.asked, item.message, signed, now)

    # --- out ---

    def sealed(self, items: Sequence[Item]) -> None:
        """Signed and durable: one frame for all of them."""
        core = self._core
        if not self.open:
            self.failed(items, self._unreachable("the connection closed before anything was sent"))
            return
        self.say_ocsp()
        groups, large = groups_of(items)
        moment = core.milliseconds()
        for item in items:
            item.tag.exchange.request_out = moment  # type: ignore[attr-defined]
        for data in lf.encode_messages(groups, self.frame_limits):
            self.write(data)
        for stream, bodies in large:
            self.send_bodies(stream, bodies)

    def failed(self, items: Sequence[Item], problem: KeregeError) -> None:
        for item in items:
            call = item.tag
            assert isinstance(call, Call)
            self._fail(call, problem)

    # --- in ---

    def take(self, group: lm.Group, messages: list[lm.LinkMessage]) -> None:
        core = self._core
        now, moment = core.clock(), core.milliseconds()
        good: list[tuple[Call, Message, Any]] = []
        made: list[LogRecord] = []
        calls, recorder = self._calls, core.recorder
        signed_by: DataServiceId | None = None
        for came in messages:
            call = calls.get(came.stream)
            if call is None or call.answered:
                continue  # nobody waits for it any more, or it was answered already
            if self._calling is not None and not isinstance(call, Call):
                call = self._calling.python(call)
            try:
                answer, _ = incoming(came)
                exchange, asked = call.exchange, call.asked
                exchange.response_in, exchange.response_size = moment, answer.size
                check_kind(answer, call.message)
                if (
                    signed_by is not asked.service
                ):  # one signature: the next message of the same provider is under it too
                    core.keeper.current(now).trust.check_group(group, asked.service.member, now)
                    signed_by = asked.service if group.chained else None
                result = call.check(answer)
                made.append(recorder.received(records.RESPONSE, records.CLIENT, asked, answer, group, came, now))
            except Exception as problem:  # noqa: BLE001 - the call's own affair
                self._fail(call, problem)
            else:
                call.answered = True
                good.append((call, answer, result))
        if good:
            self.keep(self._keep(good, made))

    async def _keep(self, good: list[tuple[Call, Message, Any]], made: list[LogRecord]) -> None:
        try:
            await self._core.log.append_many(made)
        except Exception as problem:  # noqa: BLE001 - no answer without its record
            for call, _, _ in good:
                self._fail(call, problem)
            return
        calls = self._calls
        for call, answer, result in good:
            if calls.pop(call.stream, None) is not None:
                try:
                    call.finish(answer, result)
                except Exception:  # noqa: BLE001 - one client's answer; the others' are logged as well and are to be given
                    _LOG.exception("an answer could not be given")
        if not self.alive:
            self._drained()

    def _fail(self, call: Any, problem: Exception) -> None:
        if self._calls.pop(call.stream, None) is not None:
            self.drop_bodies(call.stream)
            if self._calling is not None and not isinstance(call, Call):
                self._calling.fail(call, problem)
            else:
                call.fail(problem)
            if not self.alive:
                self._drained()

    def _give_up(self, stream: int) -> None:
        """Nobody waits for the answer any more."""
        self.drop_bodies(stream)
        self.write(lf.encode(lm.Cancel(stream)))
        if not self.alive:
            self._drained()

    def _waiting(self, stream: int) -> Any:
        """The call whose answer has not come yet, or None."""
        call = self._calls.get(stream)
        return None if call is None or call.answered else call

    def wants(self, message: lm.LinkMessage) -> bool:
        return self._waiting(message.stream) is not None

    def moved(self, stream: int) -> None:
        call = self._calls.get(stream)
        if call is not None:
            call.deadline = self._loop.time() + self._core.config.limits.peer_seconds

    def fault(self, frame: lm.FaultFrame) -> None:
        call = self._waiting(frame.stream)
        if call is None:
            return
        try:
            raise_fault(frame.fault)
        except KeregeError as problem:
            self._fail(call, problem)
        except Exception:  # noqa: BLE001 - whatever stands there, it is one call's affair
            self._fail(call, MessageMalformed(where="answer", reason="it is no fault that can be read"))

    def refuse(self, stream: int, problem: KeregeError) -> None:
        call = self._waiting(stream)
        if call is not None:
            self._fail(call, problem)
            self._give_up(stream)

    def cancelled(self, stream: int) -> None:
        call = self._waiting(stream)
        if call is not None:
            self._fail(call, self._unreachable("it did not carry the call out: a body could not be taken or sent"))

    # --- its end ---

    def leaving(self, frame: lm.Goaway) -> None:
        """The other node stops: what is under way is finished, the next call makes a new link."""
        self.alive = False
        for stream, call in list(self._calls.items()):
            if stream > frame.last and not call.answered:
                self._fail(call, self._unreachable("it is stopping"))
        self._drained()

    def retire(self) -> None:
        """Take no new calls; close when those under way are answered."""
        self.alive = False
        self._drained()

    def _drained(self) -> None:
        if not self._calls and self._transport is not None:
            self._transport.close()

    def ended(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for call in list(self._calls.values()):
            if not call.answered:  # an answer that came is logged and given, whatever became of the connection
                self._fail(call, self._unreachable("closed the connection before answering"))

    def _unreachable(self, reason: str) -> PeerUnreachable:
        node = self.peer_hello.node if self.peer_hello else "?"
        return PeerUnreachable(server=node, address=self.address, reason=reason)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._loop.time()
        for stream, call in list(self._calls.items()):
            if call.deadline < now and not call.answered:
                seconds = self._core.config.limits.peer_seconds
                self._fail(call, self._unreachable(f"did not answer within {seconds:g} s"))
                self._give_up(stream)
        if not self._calls or not self.open:
            return
        self._listen()
        self._sweeper = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _listen(self) -> None:
        """While answers are awaited the other end must be heard, if only by answers to pings: it may be gone without a word."""
        self._silent = 0 if self.heard else self._silent + 1
        self.heard = False
        if self._silent >= _SILENT:
            for call in list(self._calls.values()):
                if not call.answered:
                    self._fail(call, self._unreachable(f"nothing was heard from it for {_SILENT} s"))
            self.close()
        elif self._silent >= _PING_AFTER:
            self.write(lf.encode(lm.Ping(b"listen!!")))

    @property
    def busy(self) -> bool:
        return bool(self._calls)
