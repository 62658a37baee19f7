"""A link with another node made: TLS, the protocol agreed on, the greeting; or why there is none."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from kerege.node.config_types import Address
from kerege.node.http.client import NotConnected
from kerege.node.link.client import Link
from kerege.node.link.ends import ALPN, LinkRefused

if TYPE_CHECKING:
    from kerege.node.core import Core


async def dial(core: Core, address: Address, tls: ssl.SSLContext, seconds: float) -> Link:
    """A link to the node at `address`. Raises LinkRefused when it speaks X-Road's wire only, NotConnected when it is not there."""
    loop = asyncio.get_running_loop()
    link: Link | None = None
    try:
        async with asyncio.timeout(seconds):
            transport, link = await loop.create_connection(
                lambda: Link(core, address), address.host, address.port, ssl=tls, server_hostname=address.host
            )
            chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
            if chosen != ALPN:
                raise LinkRefused
            await link.greeted
    except BaseException as problem:  # noqa: BLE001 - raised again, in the terms of the caller
        if link is not None:
            link.close()
        raise _not_connected(problem, link is not None, seconds) from None
    return link


def _not_connected(problem: BaseException, connected: bool, seconds: float) -> BaseException:
    cut = False
    if isinstance(problem, TimeoutError):
        reason = f"it did not greet within {seconds:g} s" if connected else f"no connection within {seconds:g} s"
    elif connected and isinstance(problem, ConnectionError):
        reason, cut = "it closed the connection before its greeting", True
    elif isinstance(problem, ssl.SSLError):
        reason, cut = f"the TLS handshake failed ({problem.reason or 'no reason given'})", True
    elif isinstance(problem, OSError):
        reason = problem.strerror or "the connection failed"
    else:
        return problem
    return NotConnected(reason, unanswered=True, cut=cut)
