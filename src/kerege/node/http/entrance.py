"""The first moment of a connection from another server: whether it speaks the Kerege link or X-Road's wire, settled by TLS (ALPN)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

from kerege.node.link.ends import ALPN


class Connection(Protocol):
    """What a listener asks of whatever speaks on a connection."""

    @property
    def busy(self) -> bool: ...
    @property
    def idle(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    @property
    def quiet_since(self) -> float: ...
    def stop(self) -> None: ...
    def drop(self) -> None: ...


Lost = Callable[[Any], None]
Factory = Callable[[Lost], asyncio.Protocol]


class Entrance(asyncio.Protocol):
    """Stands in the listener for one connection; what was agreed on speaks behind it."""

    def __init__(self, http: Factory, link: Factory, lost: Lost) -> None:
        self._http, self._link, self._lost = http, link, lost
        self._inner: Connection | None = None
        self.quiet_since_start = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        linked = tls is not None and tls.selected_alpn_protocol() == ALPN
        inner = (self._link if linked else self._http)(lambda _: self._lost(self))
        self._inner = cast(Connection, inner)
        cast(asyncio.Transport, transport).set_protocol(inner)
        inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Before anything was agreed on."""
        self._lost(self)

    @property
    def busy(self) -> bool:
        return self._inner is not None and self._inner.busy

    @property
    def idle(self) -> bool:
        return self._inner is not None and self._inner.idle

    @property
    def connected(self) -> bool:
        return self._inner is not None and self._inner.connected

    @property
    def quiet_since(self) -> float:
        return self._inner.quiet_since if self._inner is not None else self.quiet_since_start

    def stop(self) -> None:
        if self._inner is not None:
            self._inner.stop()

    def drop(self) -> None:
        if self._inner is not None:
            self._inner.drop()
