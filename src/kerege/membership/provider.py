"""The way to the management services: what a request may not shut, because no request could come through a node to open it again."""

from __future__ import annotations

from typing import Final

from kerege.exchange.management import Kind, ManagementRequest
from kerege.membership import central
from kerege.membership.models import SecurityServer

_SHUTS_SERVER: Final = {Kind.MAINTENANCE_ENABLE}
_SHUTS_CLIENT: Final = {Kind.CLIENT_DISABLE, Kind.CLIENT_DELETION}


def shuts(request: ManagementRequest, server: SecurityServer) -> str:
    """Why the management services could be called through no node once `request` is applied to `server`; nothing when they could.

    An operator may do it all the same, by hand (`kerege network set`).
    """
    provider = central.setting("management_provider")
    here = request.kind in _SHUTS_SERVER or (request.kind in _SHUTS_CLIENT and str(request.client) == provider)
    if not provider or not here or not _carries(server, provider):
        return ""
    others = SecurityServer.objects.filter(clients__code=provider, maintenance=None).exclude(pk=server.pk)
    if any(_carries(other, provider) for other in others):
        return ""
    return (
        f"the management services ({provider}) are reached through this server alone, and no request could take it back; "
        "an operator of the central services sets it by hand"
    )


def _carries(server: SecurityServer, provider: str) -> bool:
    return provider not in server.disabled and server.clients.filter(code=provider).exists()
