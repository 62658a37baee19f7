"""The answering end of a Kerege link, for small REST requests: decided on by admissions that hold, logged, carried out and answered together.

The decisions are `provider.Provider`'s, in its order; an admission is what they came to a moment ago. Whatever has none, is no small
REST request, or fails at anything, goes the link's own way, which decides anew and words the refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart, rest
from kerege.exchange.batch import Batch
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import MessageMalformed
from kerege.exchange.lane import digest, passes
from kerege.exchange.lane.call import Call, Way
from kerege.exchange.lane.frames import LaneGroup
from kerege.exchange.lane.records import RecordGroup
from kerege.exchange.opmon import OPENAPI, PRODUCER, Exchange, exchange_of
from kerege.exchange.rules import PROVIDER
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node import records
from kerege.node.config_types import Service
from kerege.node.lane.framing import ANSWERS, REQUESTS, encoded
from kerege.node.link import incoming
from kerege.node.message import Asked, Message
from kerege.node.provider import Accepted, Admission, Peer
from kerege.node.sealing import Parcel

if TYPE_CHECKING:
    from kerege.node.core import Core
    from kerege.node.lane.agencies import Agencies
    from kerege.node.link_server import LinkServer
    from kerege.node.picture import Picture
    from kerege.node.provider import Provider

_LOG: Final = logging.getLogger("kerege.node.link")
_MOST_WAYS: Final = 4096
_LONGEST_WAY: Final = timedelta(seconds=2)  # more than an admission holds


def _signer(way: Way) -> Signer:
    admission: Admission = way.decided
    return admission.signer


def _service(way: Way) -> Service:
    admission: Admission = way.decided
    assert admission.service is not None
    return admission.service


class Answering:
    """Stands beside one `LinkServer`; its calls are among those under way there, by stream."""

    def __init__(self, core: Core, agencies: Agencies, provider: Provider, link: LinkServer) -> None:
        self._core, self._agencies, self._provider, self._link = core, agencies, provider, link
        self._ways: dict[tuple[bytes, bytes, str], Way] = {}

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
            lambda key, call: self._way(key, call, peer, picture, now),
            lambda way, call: self._may(way, call, picture, now),
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

    # --- decisions ---

    def _way(
        self, key: tuple[bytes, bytes, str], call: Call, peer: Peer, picture: Picture, now: datetime
    ) -> Way | None:
        """What was decided about calls of this client to this service with this method; None: nothing that holds."""
        core = self._core
        way = self._ways.get(key)
        if way is not None:
            admission: Admission = way.decided
            if admission.holds(admission.asked, peer.server, picture, core.config):
                return way
            del self._ways[key]
        try:
            made = self._provider.admission(self._asked(call), peer, picture, now)
        except Exception:  # noqa: BLE001 - the link's own way finds the same, and says it
            return None
        service = made.service
        if service is None or made.signer.style != "chain" or not core.sealing.together:
            return None
        place = self._agencies.place(service)
        if place is None:
            return None
        asked = made.asked
        way = Way(asked.client, asked.service, rest.written(asked.client), rest.written(asked.service))
        way.decided, way.base, way.netloc = made, place.path.encode("ascii"), place.netloc.encode("ascii")
        way.kept = core.recorder.policy.largest(asked.service, asked.client)
        contracts = picture.rules.has_contracts(asked.service)
        way.more = None if made.any_path and not contracts else {}
        if len(self._ways) >= _MOST_WAYS:
            self._ways.clear()
        self._ways[key] = way
        return way

    def _asked(self, call: Call) -> Asked:
        """Without what the protocol itself says: what decisions need."""
        client = rest.client_of(call.client_raw)
        service = rest.service_of(call.service_raw)
        path = call.path.decode("ascii") or "/"
        return Asked("REST", client, service, None, call.message_id.decode(), call.request_id.decode(), call.verb, path)

    def _may(self, way: Way, call: Call, picture: Picture, now: datetime) -> bool:
        """Where access is decided path by path, or a path may be under a contract; remembered as long as the way."""
        known: bool | None = way.more.get(call.path)
        if known is None:
            asked = self._asked(call)
            contract = picture.rules.contract_for(asked.service, asked.path, asked.method)
            known = contract is None or contract.at != PROVIDER
            if known and not way.decided.any_path:
                decision = self._core.rights.decide(asked, picture, now)
                known = decision.allowed
                ends = None if decision.right is None else decision.right.valid_until
                if ends is not None and ends - now < _LONGEST_WAY:
                    return known
            if len(way.more) >= _MOST_WAYS:
                way.more.clear()
            way.more[call.path] = known
        return known

    def _accepted(self, group: LaneGroup, calls: list[Call], picture: Picture, now: datetime) -> None:
        """Signed by whom they name, asked for the first time, logged, then carried out."""
        core, link = self._core, self._link
        held = self._signed(group, calls, picture, now)
        if held or self._provider.watches_replays or not link.room_for_all(passes.size_of(calls)):
            calls = self._one_by_one(calls, held)
            if not calls:
                return
        made = RecordGroup(
            now,
            records.REQUEST,
            records.PROVIDER,
            group.signature,
            group.batch() if group.chained else None,
            passes.accepted(calls, link.under_way, link.held),
            calls,
        )
        try:
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
        for client in {id(call.way.client): call.way.client for call in calls}.values():
            try:
                picture.trust.check_group(cast(lm.Group, group), client.member, now)
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
        waiting = [call for call in calls if call.stream in link.under_way]
        digest.request_hashes(waiting)
        self._agencies.ask(waiting)

    def answered(self, calls: list[Call]) -> None:
        """The agencies' answers are there: sign and log them, send them back."""
        for some in passes.by(calls, _signer):
            parts = passes.replies(some)
            digest.digest_parts(parts)
            self._core.sealing.submit_parcel(
                Parcel(_signer(some[0].way), self._link, records.RESPONSE, records.PROVIDER, some, parts)
            )

    def answered_python(self, call: Call, accepted: Accepted, answer: Message) -> None:
        """An answer that the Python path read."""
        self._link.answer_call(call.stream, accepted, accepted.exchange, answer)

    def refused(self, call: Call, problem: Exception) -> None:
        self._link.let_go(call.stream)
        self._link.refuse_call(call.stream, self.exchange(call), problem)

    # --- answers out ---

    def sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None:
        link, core = self._link, self._core
        self._agencies.calls += len(parcel.calls)
        self._agencies.batches += 1
        for data in encoded(signature, parcel.parts, ANSWERS, tree, link.frame_limits):
            link.write(data)
        link.release(passes.done(parcel.calls, link.under_way, link.held, link.unwanted, core.milliseconds()))
        own, registered = core.config.servers_address.host, core.registered_address
        for calls in passes.by(parcel.calls, _service):
            kind = OPENAPI if _service(calls[0].way).kind == "openapi" else None
            core.monitor.note_calls(calls, PRODUCER, own, calls[0].more, registered, kind)
        link.rest()

    def failed(self, parcel: Parcel, problem: KeregeError) -> None:
        for call in parcel.calls:
            self.refused(call, problem)

    # --- for the Python path ---

    def _client_address(self, peer: Peer) -> str:
        if peer.server is not None and peer.server.address:
            return peer.server.address  # as the other side's own record names it
        return self._link.peer_address

    def exchange(self, call: Call) -> Exchange:
        """What was noted of the call so far."""
        core = self._core
        made = exchange_of(call, PRODUCER, core.config.servers_address.host, call.more or "", core.registered_address)
        if call.way is not None and call.way.decided.service.kind == "openapi":
            made.service_type = OPENAPI
        return made

    def accepted(self, call: Call) -> Accepted:
        """The call as the Python path carries it out."""
        part, admission = call.request, call.way.decided
        attachments = () if part.body is None else (Attachment((), part.body),)
        came = lm.LinkMessage(call.stream, multipart.REST_REQUEST, part.content, attachments, digests=part.digests)
        message, extras = incoming(came)
        exchange = self.exchange(call)
        handler, asked = self._provider.read(message, extras, exchange)
        return Accepted(asked, message, extras, handler, admission.service, admission.signer, exchange)
