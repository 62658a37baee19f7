"""What was decided about a client's calls of a data service, remembered for at most a second.

A node decides for every call who may call, whose traffic is open, which server is asked, whether that server is who it should be, and
with which key is signed. While the configurations are the same, the answer a moment later is the same: a plan is the answer, and ends
with the second, with any change of either configuration, with the permit, the keys' OCSP answers or the link. Only calls over a Kerege
link that is up have plans; everything else, and every refusal, goes the long way (`carry`). Shortly before a plan ends one call goes the long
way and makes the next plan, so that not all of a busy moment's calls do.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.exchange.xades import Signer
from kerege.node.conf.picture import Picture
from kerege.node.conf.under import UnderOne
from kerege.node.config_types import Address, NodeConfig
from kerege.node.message import Asked
from kerege.node.rights import permits_end

_SECONDS: Final = 1.0
_RENEWED_AT: Final = 0.75  # of a plan's time
_MOST: Final = 4096


class Carrier(Protocol):
    """What calls go by: a Kerege link, or the kept connections of X-Road's wire to one server (`node.lane`).

    checked   under which configuration it was found to be which server's
    """

    @property
    def alive(self) -> bool: ...
    @property
    def address(self) -> Address: ...
    @property
    def checked(self) -> tuple[object, object, float] | None: ...


L = TypeVar("L", bound=Carrier)


class Plan(Generic[L]):
    """How calls of `client` to `service` go just now."""

    __slots__ = ("client", "config", "link", "local", "picture", "renew", "server", "service", "signer", "until")

    def __init__(
        self,
        client: ClientId,
        service: DataServiceId,
        picture: Picture,
        config: NodeConfig,
        signer: Signer,
        server: SecurityServer,
        link: L,
        until: float,
        renew: float,
    ) -> None:
        self.renew = renew
        self.client, self.service, self.picture, self.config = client, service, picture, config
        self.signer, self.server, self.link, self.until = signer, server, link, until
        assert client.subsystem is not None
        self.local = SubsystemId(client.instance, client.member_class, client.member_code, client.subsystem)


class Plans(Generic[L]):
    """The plans of one node, by the identifiers a message names (those are the same objects from one message to the next)."""

    def __init__(self) -> None:
        self._plans: UnderOne[tuple[int, int], Plan[L]] = UnderOne(_MOST)

    def __bool__(self) -> bool:
        """Whether there are any: a node without links never reads a request twice to find that it has none."""
        return bool(self._plans.kept)

    def of(
        self, client: ClientId, service: DataServiceId, picture: Picture | None, config: NodeConfig
    ) -> Plan[L] | None:
        """The plan that holds now, or None."""
        plan, moment = self._plans.kept.get((id(client), id(service))), time.monotonic()
        if (
            plan is None
            or plan.until < moment
            or plan.client is not client
            or plan.service is not service
            or plan.picture is not picture
            or plan.config is not config
            or not plan.link.alive
        ):
            return None
        if plan.renew < moment:
            plan.renew = plan.until  # this call is enough
            return None
        return plan

    def remember(
        self,
        asked: Asked,
        picture: Picture,
        config: NodeConfig,
        signer: Signer,
        server: SecurityServer,
        link: L,
        now: datetime,
        signs_until: datetime,
    ) -> None:
        """After every check of the long way has passed."""
        if asked.client.subsystem is None or asked.server is not None:
            return
        if link.checked is None or link.checked[0] is not picture or link.checked[1] is not server:
            return  # it was found good for another server, or under another configuration
        ends = [picture.directory.expires, signs_until]
        if picture.partner_ends is not None:
            ends.append(picture.partner_ends)
        ends += permits_end(asked.client, picture, now)
        seconds = min(_SECONDS, (min(ends) - now).total_seconds())
        moment = time.monotonic()
        until, renew = moment + seconds, moment + seconds * _RENEWED_AT
        plan = Plan(asked.client, asked.service, picture, config, signer, server, link, until, renew)
        self._plans.put(picture, (id(asked.client), id(asked.service)), plan)
