"""REST on the provider's side, with an agency that closes the connections it kept."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kerege.exchange import multipart, rest
from kerege.exchange.errors import ProviderFailed
from kerege.exchange.opmon import PRODUCER, Exchange
from kerege.node.http.client import Pool
from kerege.node.message import Extras, Message
from kerege.node.rest_provider import Agency, RestProvider

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLIENT = (b"X-Road-Client", b"KG/GOV/70000003/admission")


class Closing:
    """Answers the first request on every connection and closes at the second, before or within its answer."""

    def __init__(self, last: bytes = b"") -> None:
        self.last, self.requests, self.server = last, 0, cast(asyncio.Server, None)

    async def __aenter__(self) -> "Closing":
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in (OK, self.last):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


async def quickly(agency: Closing, method: str, *, slow: float = 5) -> tuple[Message, int]:
    """One call the long way, then one over the connection that was kept; its answer and how often the agency was asked for it."""
    limits = SimpleNamespace(body=10**6)
    core = cast(Any, SimpleNamespace(
        agencies=Pool(10**6, 5), keeper=SimpleNamespace(picture=None),
        contracting=SimpleNamespace(at_provider=lambda *_: None), config=SimpleNamespace(limits=limits, server="KG/GOV/70000002/node-reg"),
    ))  # fmt: skip
    provider = RestProvider(Agency(core), core)
    host, port = agency.server.sockets[0].getsockname()
    service = cast(Any, SimpleNamespace(kind="rest", url=f"http://{host}:{port}/", id="s", timeout_seconds=slow))
    request = rest.request_from_client(
        method, "/r1/KG/GOV/70000002/population/persons", (CLIENT,), new_message_id="m", request_id="r"
    )
    message, exchange = Message(multipart.REST_REQUEST, request.encode()), Exchange(PRODUCER, 0)
    asked = provider.read(message, Extras(), exchange)
    await provider.call(asked, message, Extras(), service, exchange)
    assert agency.requests == 1
    told: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    try:
        assert provider.begin(asked, message, service, exchange, told.set_result, told.set_exception)
        return await told, agency.requests - 1
    finally:
        core.agencies.close()


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_safe_request_on_a_connection_the_agency_closed_meanwhile_is_asked_again(method: str) -> None:
    async def run() -> None:
        async with Closing() as agency:
            answer, times = await asyncio.wait_for(quickly(agency, method), 10)
            assert rest.decode_response(answer.content).status == 200
            assert times == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "last"), [("POST", b""), ("DELETE", b""), ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")]
)
def test_what_could_be_carried_out_twice_or_was_half_answered_is_asked_once(method: str, last: bytes) -> None:
    async def run() -> None:
        async with Closing(last) as agency:
            with pytest.raises(ProviderFailed, match="; the server KG/GOV/70000002/node-reg asked it\\."):
                await asyncio.wait_for(quickly(agency, method), 10)
            assert agency.requests == 2

    asyncio.run(run())
