"""The answering end of a Kerege link, for small REST requests: decided on by admissions that hold, logged, carried out and answered together.

The decisions are `provider.Provider`'s, in its order; an admission is what they came to a moment ago. Whatever has none, is no small
REST request, or fails at anything, goes the link's own way, which decides anew and words the refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.batch import Batch
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import MessageMalformed
from kerege.exchange.lane import digest, passes
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.frames import LaneGroup
from kerege.exchange.lane.records import RecordGroup
from kerege.exchange.opmon import OPENAPI, PRODUCER
from kerege.ground.errors import KeregeError
from kerege.node.lane.admitting import Admitting, service_of, signer_of
from kerege.node.lane.framing import ANSWERS, REQUESTS, encoded
from kerege.node.link.letters import incoming
from kerege.node.log import records
from kerege.node.message import Message
from kerege.node.provider import Accepted, Peer
from kerege.node.sealing import Parcel

if TYPE_CHECKING:
    from kerege.node.conf.picture import Picture
    from kerege.node.core import Core
    from kerege.node.lane.agencies import Agencies
    from kerege.node.link.server import LinkServer
    from kerege.node.provider import Provider

_LOG: Final = logging.getLogger("kerege.node.link")


class Answering(Admitting):
    """Stands beside one `LinkServer`; its calls are among those under way there, by stream."""

    def __init__(self, core: Core, agencies: Agencies, provider: Provider, link: LinkServer) -> None:
        super().__init__(core, agencies, provider)
        self._link = link

    # --- in ---

    def take(self, group: LaneGroup) -> None:
        """Requests under one signature."""
        core, link = self._core, self._link
        now, moment = core.clock(), core.milliseconds()
        picture, peer = self._peer(now)
        if picture is None or peer is None or group.kind != REQUESTS or not link.takes_calls:
            self._slowly(group, [part.stream for part in group.parts])
            return
        digest.digest_parts(group.parts)
        calls, others = passes.requests(
            group.parts,
            link.under_way,
            self,
            self._client_address(peer),
            moment,
            lambda key, call: self.way(key, call, peer, picture, now),
            lambda way, call: self.may(way, call, picture, now),
        )
        if others:
            self._slowly(group, others)
        if calls and link.open:  # the others may have ended it
            self._accepted(group, calls, picture, now)

    def _peer(self, now: datetime) -> tuple[Picture | None, Peer | None]:
        try:
            self._core.log.check_open_now()
            picture = self._core.keeper.current(now)
            return picture, self._link.peer_now(picture, now)
        except Exception:  # noqa: BLE001 - the link's own way finds the same, and says it
            return None, None

    def _slowly(self, group: LaneGroup, streams: Sequence[int]) -> None:
        wanted, whole = set(streams), group.python()
        self._link.take_messages(whole, [message for message in whole.messages if message.stream in wanted])

    def _accepted(self, group: LaneGroup, calls: list[Call], picture: Picture, now: datetime) -> None:
        """Signed by whom they name, asked for the first time, logged, then carried out."""
        core, link = self._core, self._link
        held = self._signed(group, calls, picture, now)
        if held or self._provider.watches_replays or not link.room_for_all(passes.size_of(calls)):
            calls = self._one_by_one(calls, held)
            if not calls:
                return
        parts = passes.accepted(calls, link.under_way, link.held)
        try:
            made = RecordGroup(
                now,
                records.REQUEST,
                records.PROVIDER,
                group.signature,
                group.batch() if group.chained else None,
                parts,
                calls,
            )
            core.log.append_group(made, partial(self._carry_out, calls))
        except Exception as refused:  # noqa: BLE001 - nothing is carried out without its record
            self._carry_out(calls, refused)

    def _one_by_one(self, calls: list[Call], held: dict[int, Exception]) -> list[Call]:
        """Those that nothing stands against; the others are refused."""
        link, good = self._link, []
        for call in calls:
            problem = held.get(id(call.way.client)) if held else None
            try:
                if problem is not None:
                    raise problem
                link.room_for(call.stream, call.request.size)
                if not self._provider.first_time(call.request.digest):
                    raise MessageMalformed(where="message", reason="this very message was carried out already")
            except Exception as refused:  # noqa: BLE001 - every failure is answered as a fault
                link.let_go(call.stream)
                link.refuse_call(call.stream, self.exchange(call), refused)
            else:
                good.append(call)
        return good

    def _signed(self, group: LaneGroup, calls: list[Call], picture: Picture, now: datetime) -> dict[int, Exception]:
        """What stands against the signature, by client."""
        held: dict[int, Exception] = {}
        for client in {id(way.client): way.client for way in passes.ways(calls)}.values():
            try:
                picture.trust.check_group(group.python_signed(), client.member, now)
            except Exception as problem:  # noqa: BLE001 - the affair of this client's calls
                held[id(client)] = problem
        return held

    # --- carrying out ---

    def _carry_out(self, calls: list[Call], problem: Exception | None) -> None:
        link = self._link
        if problem is not None:  # nothing is carried out without its record
            for call in calls:
                self.refused(call, problem)
            return
        waiting = passes.still(calls, link.under_way)
        digest.request_hashes(waiting)
        self._agencies.ask(waiting)

    def answered(self, calls: list[Call]) -> None:
        """The agencies' answers are there: sign and log them, send them back."""
        for some in passes.by(calls, signer_of):
            parts = passes.replies(some)
            digest.digest_parts(parts)
            self._core.sealing.submit_parcel(
                Parcel(signer_of(some[0].way), self, records.RESPONSE, records.PROVIDER, some, parts)
            )

    def answered_python(self, call: Call, accepted: Accepted, answer: Message) -> None:
        """An answer that the Python path read."""
        self._link.answer_call(call.stream, accepted, accepted.exchange, answer)

    def refused(self, call: Call, problem: Exception) -> None:
        """The call ends without an answer; a link on which that cannot be told is closed."""
        self._link.let_go(call.stream)
        try:
            self._link.refuse_call(call.stream, self.exchange(call), problem)
        except Exception:  # noqa: BLE001 - this call's trouble is not the others': they are still to be told
            _LOG.exception("a refusal could not be given")
            self._link.drop()

    @property
    def under_way_count(self) -> int:
        return self._link.under_way_count

    # --- answers out ---

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None:
        link, core = self._link, self._core
        self._agencies.calls += len(parcel.calls)
        self._agencies.batches += 1
        for data in encoded(signature, parcel.parts, ANSWERS, tree, link.frame_limits):
            link.write(data)
        link.release(passes.done(parcel.calls, link.under_way, link.held, link.unwanted, core.milliseconds()))
        own, registered = core.config.servers_address.host, core.registered_address
        for calls in passes.by(parcel.calls, service_of):
            kind = OPENAPI if service_of(calls[0].way).kind == "openapi" else None
            core.monitor.note_calls(calls, PRODUCER, own, calls[0].more, registered, kind)
        link.rest()

    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None:
        for call in parcel.calls:
            self.refused(call, problem)

    # --- for the Python path ---

    def _client_address(self, peer: Peer) -> str:
        if peer.server is not None and peer.server.address:
            return peer.server.address  # as the other side's own record names it
        return self._link.peer_address

    def accepted(self, call: Call) -> Accepted:
        """The call as the Python path carries it out."""
        part, admission = call.request, call.way.decided
        attachments = () if part.body is None else (Attachment((), part.body),)
        came = lm.LinkMessage(call.stream, multipart.REST_REQUEST, part.content, attachments, digests=part.digests)
        message, extras = incoming(came)
        exchange = self.exchange(call)
        handler, asked = self._provider.read(message, extras, exchange)
        return Accepted(asked, message, extras, handler, admission.service, admission.signer, exchange)
