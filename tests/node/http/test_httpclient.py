"""Connections kept for the next call: under the TLS context they were made with, and no other."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

from kerege.node import tls
from kerege.node.config import Address
from kerege.node.connections import self_signed
from kerege.node.http.client import Pool
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits


def test_a_kept_connection_serves_the_context_it_was_made_with_only() -> None:
    async def main() -> None:
        async def handle(_: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), b"ok")

        server = tls.modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        tls.use_key(server, self_signed("system", ["localhost"], datetime.now(UTC)))
        listener = Listener(handle, ServerLimits(1000), server)
        await listener.open(Address("127.0.0.1", 0))
        port = listener.ports[0]
        lenient, other = (ssl._create_unverified_context() for _ in range(2))
        pool = Pool(1000, 5.0)
        try:
            first = await pool.acquire("127.0.0.1", port, lenient)
            await first.exchange([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], head=False, timeout=5.0)
            pool.release("127.0.0.1", port, first, lenient)
            assert pool.idle("127.0.0.1", port, other) is None
            assert pool.idle("127.0.0.1", port) is None
            assert await pool.acquire("127.0.0.1", port, lenient) is first
            pool.release("127.0.0.1", port, first, lenient)
            second = await pool.acquire("127.0.0.1", port, other)
            assert second is not first
            second.close()
        finally:
            pool.close()
            listener.close()

    asyncio.run(main())
