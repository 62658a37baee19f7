"""The native path of one node: both its ports and what stands beside its links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerege.node.lane.agencies import Agencies
from kerege.node.lane.answering import Answering
from kerege.node.lane.calling import Calling
from kerege.node.lane.clients import Clients
from kerege.node.lane.wireanswering import WireAnswering
from kerege.node.lane.wirecalling import WireCalling

if TYPE_CHECKING:
    from kerege.node.consumer import Consumer
    from kerege.node.core import Core
    from kerege.node.link.client import Link
    from kerege.node.link.server import LinkServer
    from kerege.node.provider import Provider
    from kerege.node.rest_provider import Agency


class Lane:
    """Made in the node's loop, closed with the node."""

    def __init__(self, core: Core, consumer: Consumer, provider: Provider, agency: Agency) -> None:
        self._core, self._provider = core, provider
        self.clients, self.agencies = Clients(core, consumer), Agencies(core, provider, agency)
        self.wire = WireCalling(core, self.clients)
        self.clients.wire_plans = self.wire.plans
        self.wired = WireAnswering(core, self.agencies, provider)

    def calling(self, link: Link) -> Calling:
        return Calling(self._core, self.clients, link)

    def answering(self, link: LinkServer) -> Answering:
        return Answering(self._core, self.agencies, self._provider, link)

    def close(self) -> None:
        try:
            self.clients.close()
        finally:
            self.agencies.close()
