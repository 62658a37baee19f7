"""Which server to ask: those registered for the provider, narrowed to the one the caller names, without those in maintenance.

Several are connected to at once and the first to answer is kept for an hour, as X-Road's servers choose (UG-SYSPAR client-proxy).
"""

from __future__ import annotations

import time
from typing import Final

from kerege.exchange.errors import MaintenanceMode, MemberUnknown, ServerUnknown
from kerege.exchange.globalconf import SecurityServer, SharedParameters
from kerege.exchange.ids import ClientId, ServerId, SubsystemId
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import Address, NodeConfig
from kerege.node.message import Asked

_REMEMBERED_SECONDS: Final = 3600.0


class Routes:
    """The servers to try, and which of them answered last."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._preferred: dict[ClientId, tuple[ServerId, float]] = {}

    def servers(self, asked: Asked, picture: Picture) -> list[SecurityServer]:
        """The servers to ask, the one that answered first of late in front. Raises MemberUnknown, ServerUnknown or MaintenanceMode."""
        provider = asked.service.provider_client
        registered = registered_servers(picture.shared, provider)
        if asked.server is not None:
            named = tuple(s for s in registered if s.id == asked.server)
            if registered and not named:
                raise ServerUnknown(server=asked.server, provider=provider)
            registered = named
        if len(registered) == 1 and registered[0].maintenance is None:
            return list(registered)
        if not registered:
            raise MemberUnknown(subsystem=provider)
        servers = [s for s in registered if s.maintenance is None]
        if not servers:
            raise MaintenanceMode(server=registered[0].id, notice=registered[0].maintenance or "no notice given")
        preferred = self._preferred.get(provider)
        if preferred is not None and time.monotonic() - preferred[1] < _REMEMBERED_SECONDS:
            for server in servers:
                if server.id == preferred[0]:
                    return [server, *(other for other in servers if other is not server)]
        return servers

    def known(self, provider: ClientId, server: ServerId) -> bool:
        """Whether `server` answered for this provider within the hour: then it is asked alone first, the others only if it fails."""
        found = self._preferred.get(provider)
        return found is not None and found[0] == server and time.monotonic() - found[1] < _REMEMBERED_SECONDS

    def answered(self, provider: ClientId, server: ServerId) -> None:
        known = self._preferred.get(provider)
        if known is None or known[0] != server:
            self._preferred[provider] = (server, time.monotonic())

    def use(self, config: NodeConfig) -> None:
        """Another configuration from now on."""
        self._config = config

    def ocsp_address(self, server: SecurityServer) -> Address | None:
        """Where the server itself answers for its certificates; None when nothing says where it is."""
        known = self._config.peers.get(server.id)
        if known is not None:
            return known.ocsp
        return Address(server.address, self._config.peer_ocsp_port) if server.address else None

    def address(self, server: SecurityServer) -> Address:
        known = self._config.peers.get(server.id)
        return known.address if known else Address(server.address or "", self._config.peer_port)


def registered_servers(shared: SharedParameters, provider: ClientId) -> tuple[SecurityServer, ...]:
    """Servers where `provider` is a client; of a member itself, those it owns."""
    if provider.subsystem is None:
        return tuple(server for server in shared.servers if server.id.owner == provider.member)
    return shared.servers_of(
        SubsystemId(provider.instance, provider.member_class, provider.member_code, provider.subsystem)
    )
