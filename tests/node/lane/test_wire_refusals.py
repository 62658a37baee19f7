"""Calls over X-Road's wire that were logged and cannot be answered: each is told so once, whatever is the matter with another of its batch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.errors import LogFailed
from kerege.exchange.lane import restlines
from kerege.exchange.lane.call import Call, Part
from kerege.node.http.messages import HttpResponse
from kerege.node.lane.wireanswering import WireAnswering, _Came

STREAMS = (1, 2, 3)


class Protocol:
    """The connection that a request came on."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.dropped = fails, False
        self.told: list[bytes] = []

    def answer(self, work: object, response: HttpResponse) -> None:
        if self.fails:
            raise ValueError("it cannot be written")
        assert isinstance(response.body, bytes)
        self.told.append(response.body)

    def give_up(self, work: object) -> None:
        self.dropped = True


def call_of(stream: int) -> Call:
    call = Call()
    head = f"x-road-client:KG/GOV/70000003/admission\r\nx-road-id:{stream}\r\nx-road-request-id:2\r\n"
    assert restlines.read_request(Part(f"GET\r\n/r1/KG/GOV/70000002/a/b\r\n{head}".encode()), call)
    call.stream = stream
    return call


@pytest.mark.parametrize("trouble", ["connection", "wording"])
def test_a_refusal_that_cannot_be_given_ends_its_connection_and_the_others_are_told(
    trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(problem: Exception, exchange: Any) -> HttpResponse:
        if trouble == "wording" and exchange.request.message_id == "2":
            raise ValueError("it cannot be worded")
        return HttpResponse(200, (), f"{exchange.request.message_id}: {type(problem).__name__}".encode())

    async def run() -> list[Protocol]:
        config = SimpleNamespace(servers_address=SimpleNamespace(host="127.0.0.1"))
        core, provider = SimpleNamespace(config=config, registered_address="10.0.0.1"), SimpleNamespace(fault=fault)
        answering = WireAnswering(cast(Any, core), cast(Any, None), cast(Any, provider))
        protocols = [Protocol(trouble == "connection" and stream == 2) for stream in STREAMS]
        for stream, protocol in zip(STREAMS, protocols, strict=True):
            answering._waiting[stream] = _Came(cast(Any, protocol), cast(Any, None), b"", cast(Any, None))
        parcel = cast(Any, SimpleNamespace(calls=[call_of(stream) for stream in STREAMS]))
        for _ in range(2):  # and none of them twice
            answering.parcel_failed(parcel, LogFailed(reason="the disk is full"))
        assert answering._waiting == {}
        return protocols

    first, second, third = asyncio.run(run())
    assert (first.told, third.told) == ([b"1: LogFailed"], [b"3: LogFailed"])
    assert second.told == []
    assert [one.dropped for one in (first, second, third)] == [False, True, False]
    assert [record.message for record in caplog.records] == ["a refusal could not be given"]
