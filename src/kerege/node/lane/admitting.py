"""What was decided a moment ago about calls that other servers send, for the native path of either wire.

The decisions are `provider.Provider`'s; an admission is what they came to. Where there is none that holds, the Python way decides anew
and words the refusal.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from kerege.exchange import rest
from kerege.exchange.lane.call import Call, Way
from kerege.exchange.opmon import OPENAPI, PRODUCER, Exchange, exchange_of
from kerege.exchange.rules import PROVIDER
from kerege.exchange.xades import Signer
from kerege.node.conf.under import UnderOne
from kerege.node.config_types import Service
from kerege.node.message import Asked
from kerege.node.provider import Admission, Peer

if TYPE_CHECKING:
    from kerege.node.conf.picture import Picture
    from kerege.node.core import Core
    from kerege.node.lane.agencies import Agencies
    from kerege.node.provider import Provider

_MOST_WAYS: Final = 4096
_MOST_PATHS: Final = 512  # of one way
# bytes of one that is remembered: they are a stranger's choice, no signature is looked at yet
_LONGEST_PATH: Final = 512
_LONGEST_WAY: Final = timedelta(seconds=2)  # more than an admission holds


def signer_of(way: Way) -> Signer:
    admission: Admission = way.decided
    return admission.signer


def service_of(way: Way) -> Service:
    admission: Admission = way.decided
    assert admission.service is not None
    return admission.service


class Admitting:
    """The ways of calls that came to one end."""

    def __init__(self, core: Core, agencies: Agencies, provider: Provider) -> None:
        self._core, self._agencies, self._provider = core, agencies, provider
        self._ways: UnderOne[Hashable, Way] = UnderOne(_MOST_WAYS)

    def way(self, key: Hashable, call: Call, peer: Peer, picture: Picture, now: datetime) -> Way | None:
        """What was decided about calls of this client to this service with this method; None: nothing that holds.

        key   client, service and method as they are written, and whatever tells one `peer` from another at this end
        """
        core = self._core
        ways = self._ways.of(picture)
        way = ways.get(key)
        if way is not None:
            admission: Admission = way.decided
            if admission.holds(admission.asked, peer.server, picture, core.config):
                return way
            del ways[key]
        try:
            made = self._provider.admission(self._asked(call), peer, picture, now)
        except Exception:  # noqa: BLE001 - the Python way finds the same, and says it
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
        self._ways.put(picture, key, way)
        return way

    def _asked(self, call: Call) -> Asked:
        """Without what the protocol itself says: what decisions need."""
        client = rest.client_of(call.client_raw)
        service = rest.service_of(call.service_raw)
        path = call.path.decode("ascii") or "/"
        return Asked("REST", client, service, None, call.message_id.decode(), call.request_id.decode(), call.verb, path)

    def may(self, way: Way, call: Call, picture: Picture, now: datetime) -> bool:
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
            if len(call.path) <= _LONGEST_PATH:
                if len(way.more) >= _MOST_PATHS:
                    way.more.clear()
                way.more[call.path] = known
        return known

    def exchange(self, call: Call) -> Exchange:
        """What was noted of the call so far."""
        core = self._core
        made = exchange_of(call, PRODUCER, core.config.servers_address.host, call.more or "", core.registered_address)
        if call.way is not None and call.way.decided.service.kind == "openapi":
            made.service_type = OPENAPI
        return made
