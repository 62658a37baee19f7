"""The Kerege link: many messages in flight over one mutually authenticated connection."""

from __future__ import annotations

import ssl

from kerege.node.config_types import Address


class LinkRefused(Exception):
    """The other side speaks X-Road's wire only."""


class Link:
    alive = False
    address: Address
    certificate: bytes | None = None

    def close(self) -> None: ...

    async def call(self, *args: object) -> object: ...


async def dial(address: Address, tls: ssl.SSLContext, seconds: float) -> Link:
    raise LinkRefused
