"""What is left of a group of calls where something raises half way through: each is told, and nothing of it is held."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.errors import LogFailed
from kerege.exchange.lane.call import Call, Way
from kerege.node.http.messages import BodyBudget, ServerLimits
from kerege.node.http.server import HttpProtocol
from kerege.node.lane.agencies import Agencies
from kerege.node.lane.answering import Answering
from kerege.node.lane.wireanswering import WireAnswering, _Came
from kerege.node.lane.wirecalling import WireCalling


class End:
    def __init__(self, *, fails: bool) -> None:
        self.fails, self.answers, self.refusals = fails, list[Call](), list[Call]()

    def answered(self, calls: list[Call]) -> None:
        if self.fails:
            raise ValueError("this end's trouble")
        self.answers += calls

    def refused(self, call: Call, _: Exception) -> None:
        self.refusals.append(call)


def call_of(end: object = None, stream: int = 0, way: Way | None = None) -> Call:
    call = Call()
    call.end, call.stream, call.way = end, stream, way
    return call


def test_one_end_that_cannot_take_its_answers_leaves_the_others_theirs() -> None:
    agencies: Any = object.__new__(Agencies)
    agencies._core = SimpleNamespace(config=SimpleNamespace(limits=SimpleNamespace(body=10**9)))
    first, second = End(fails=True), End(fails=False)
    calls = [call_of(first), call_of(second), call_of(first)]
    agencies._answered(calls)
    assert (first.refusals, second.answers, second.refusals) == ([calls[0], calls[2]], [calls[1]], [])


def test_calls_that_cannot_be_asked_are_refused_and_the_others_are_asked() -> None:
    agencies: Any = object.__new__(Agencies)
    asked: list[Call] = []
    agencies._port = SimpleNamespace(ask=lambda _, calls, *__: asked.extend(calls) or [])
    ways = []
    for number in range(2):
        way = Way(None, None, b"", b"")
        way.decided = SimpleNamespace(service=SimpleNamespace(number=number, timeout_seconds=1.0))
        ways.append(way)

    def place(service: Any) -> Any:
        if service.number == 0:
            raise ValueError("it is nowhere")
        return SimpleNamespace(host="127.0.0.1", port=80)

    agencies._agency = SimpleNamespace(place=place)
    end = End(fails=False)
    lost, sent = call_of(end, way=ways[0]), call_of(end, way=ways[1])
    agencies.ask([lost, sent])
    assert (asked, end.refusals) == ([sent], [lost])


def test_a_refusal_that_cannot_be_worded_ends_the_link_and_the_others_are_told_and_hold_nothing() -> None:
    told: list[int] = []
    held, dropped = {1: 10, 2: 10, 3: 10}, []

    def refuse(stream: int, *_: object) -> None:
        if stream == 2:
            raise ValueError("it cannot be worded")
        told.append(stream)

    answering: Any = object.__new__(Answering)
    answering._link = SimpleNamespace(let_go=held.pop, refuse_call=refuse, drop=lambda: dropped.append(1))
    answering.exchange = lambda _: None
    parcel = SimpleNamespace(calls=[call_of(stream=stream) for stream in (1, 2, 3)])
    answering.parcel_failed(parcel, LogFailed(reason="the disk is full"))
    assert (told, held, dropped) == ([1, 3], {}, [1])


def test_answers_whose_records_cannot_be_made_are_refusals() -> None:
    async def run() -> None:
        calling: Any = object.__new__(WireCalling)
        calling._core = SimpleNamespace(keeper=SimpleNamespace(current=lambda _: SimpleNamespace(trust=None)))
        calling._signatures = SimpleNamespace(check=lambda *_: None)
        failed: list[Call] = []
        calling._under_way, calling._clients = {}, SimpleNamespace(fail=lambda call, _: failed.append(call))
        way = Way(None, SimpleNamespace(member=None), b"", b"")
        call = call_of(way=way)
        envelope = SimpleNamespace(part=None, chain=None, result=None, signature=b"")
        calling._signed([(call, envelope)], None)
        assert failed == [call]

    asyncio.run(run())


def test_a_request_over_x_roads_wire_that_nobody_answers_holds_nothing() -> None:
    class Transport:
        closing = False

        def get_extra_info(self, _: str) -> None:
            return None

        def is_closing(self) -> bool:
            return self.closing

        def abort(self) -> None:
            self.closing = True
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)

        close = abort

    async def run() -> int:
        work = protocol.begin_whole(5000)
        assert work is not None
        assert budget.used == 5000
        answering: Any = object.__new__(WireAnswering)

        def fault(*_: object) -> None:
            raise ValueError("it cannot be worded")

        answering._provider, answering.exchange = SimpleNamespace(fault=fault), lambda _: None
        answering._waiting = {1: _Came(protocol, work, b"", None)}  # type: ignore[arg-type]
        answering.refused(call_of(stream=1), LogFailed(reason="the disk is full"))
        await asyncio.sleep(0.01)
        return budget.used

    async def begun() -> int:
        nonlocal protocol
        protocol = HttpProtocol(lambda _: None, ServerLimits(body=10**6), budget, whole=lambda *_: -1)
        protocol.connection_made(Transport())  # type: ignore[arg-type]
        return await run()

    budget = BodyBudget(10**6)
    protocol: Any = None
    assert asyncio.run(begun()) == 0
