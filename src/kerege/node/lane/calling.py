"""The calling end of a Kerege link, for calls of the native path: begun, sealed, sent, answered and logged a batch at a time.

What is decided about an answer is the same as in `link.client`, and in the same order: it is somebody's that waits, it answers what was
asked, its signature is the provider's member's. Whatever does not pass here, or is not a small REST answer, is given to the link's own
way, which words the refusal; a call that goes there becomes a Python one (`python`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kerege.exchange.batch import Batch
from kerege.exchange.lane import digest, passes
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.frames import LaneGroup
from kerege.exchange.lane.records import RecordGroup
from kerege.exchange.xades import Signer
from kerege.ground.errors import KeregeError
from kerege.node.lane.framing import ANSWERS, REQUESTS, encoded
from kerege.node.log import records
from kerege.node.sealing import Parcel

if TYPE_CHECKING:
    from kerege.node.core import Core
    from kerege.node.lane.clients import Clients
    from kerege.node.link.client import Link

_LOG: Final = logging.getLogger("kerege.node.link")


class Calling:
    """Stands beside one `Link`; its calls are among the link's own, by stream."""

    def __init__(self, core: Core, clients: Clients, link: Link) -> None:
        self._core, self._clients, self._link = core, clients, link

    # --- out ---

    def begin(self, calls: list[Call], signer: Signer) -> None:
        """Send calls whose requests are hashed; each is answered to its client, once."""
        link = self._link
        first, deadline, waiting = link.streams(len(calls)), link.deadline(), link.calls
        parts = passes.begin(calls, waiting, first, deadline)
        self._core.sealing.submit_parcel(Parcel(signer, self, records.REQUEST, records.CLIENT, calls, parts))

    @property
    def under_way_count(self) -> int:
        return self._link.under_way_count

    def parcel_sealed(self, parcel: Parcel, signature: bytes, tree: Batch) -> None:
        """Signed and durable: one frame for all of them."""
        link, core = self._link, self._core
        if not link.open:
            self.parcel_failed(parcel, link.unreachable("the connection closed before anything was sent"))
            return
        link.say_ocsp()
        passes.sent(parcel.calls, core.milliseconds())
        for data in encoded(signature, parcel.parts, REQUESTS, tree, link.frame_limits):
            link.write(data)

    def parcel_failed(self, parcel: Parcel, problem: KeregeError) -> None:
        for call in parcel.calls:
            self._link.fail_call(call, problem)

    def fail(self, call: Call, problem: Exception) -> None:
        """A call of the link's that is no longer among them."""
        self._clients.fail(call, problem)

    # --- in ---

    def take(self, group: LaneGroup) -> None:
        """Answers under one signature."""
        link, core = self._link, self._core
        if group.kind != ANSWERS:
            self._slowly(group, [part.stream for part in group.parts])
            return
        digest.digest_parts(group.parts)
        good, others = passes.answers(link.calls, group.parts)
        if others:
            self._slowly(group, others)
        if good:
            self._answered(group, self._signed(group, good, core.clock()))

    def _slowly(self, group: LaneGroup, streams: Sequence[int]) -> None:
        """These of its messages go the link's own way."""
        wanted, whole = set(streams), group.python()
        self._link.take_messages(whole, [message for message in whole.messages if message.stream in wanted])

    def _signed(self, group: LaneGroup, calls: list[Call], now: datetime) -> list[Call]:
        """Those whose provider's member signed the group; the others have failed."""
        core, held = self._core, {}
        for service in {id(way.service): way.service for way in passes.ways(calls)}.values():
            try:
                core.keeper.current(now).trust.check_group(group.python_signed(), service.member, now)
            except Exception as problem:  # noqa: BLE001 - the affair of the calls of this service
                held[id(service)] = problem
        if not held:
            return calls
        good = []
        for call in calls:
            against = held.get(id(call.way.service))
            if against is None:
                good.append(call)
            else:
                self._link.fail_call(call, against)
        return good

    def _answered(self, group: LaneGroup, calls: list[Call]) -> None:
        if not calls:
            return
        core = self._core
        now, moment = core.clock(), core.milliseconds()
        parts = passes.answered(calls, moment)
        try:
            made = RecordGroup(
                now,
                records.RESPONSE,
                records.CLIENT,
                group.signature,
                group.batch() if group.chained else None,
                parts,
                calls,
            )
            core.log.append_group(made, partial(self._kept, calls))
        except Exception as problem:  # noqa: BLE001 - no answer without its record
            self._kept(calls, problem)

    def _kept(self, calls: list[Call], problem: Exception | None) -> None:
        link = self._link
        if problem is not None:  # no answer without its record
            for call in calls:
                link.fail_call(call, problem)
            return
        self._clients.answer(passes.drop(link.calls, calls))
        link.perhaps_drained()

    # --- out of the native path ---

    def python(self, call: Call) -> Any:
        """The same call as a Python one, in its place among the link's calls."""
        made = self._clients.python(call)
        if self._link.calls.get(call.stream) is call:
            self._link.calls[call.stream] = made
        return made
