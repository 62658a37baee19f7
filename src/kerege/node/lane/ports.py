"""The native path's connections: of clients (`clientport`) and to agencies (`agencyport`)."""

from __future__ import annotations

from kerege.node.lane.agencyport import AgencyPort
from kerege.node.lane.clientport import ClientConnection, ClientPort

__all__ = ["AgencyPort", "ClientConnection", "ClientPort"]
