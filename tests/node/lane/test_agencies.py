"""Agencies asked for many calls at once: every data service has its own time, whoever else is at its address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip(
    "kerege.node.lane.agencyport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.lane.call import Call, Way
from kerege.node.lane.agencies import Agencies


def call_of(way: Way) -> Call:
    call = Call()
    call.way = way
    return call


def test_services_at_one_address_are_waited_for_as_long_as_each_says() -> None:
    asked: list[tuple[object, list[Call], float]] = []

    def ask(where: object, calls: list[Call], deadline: float, seconds: float) -> list[Call]:
        asked.append((where, calls, seconds))
        return []

    agencies: Any = object.__new__(Agencies)
    agencies._port = SimpleNamespace(ask=ask)
    agencies._agency = SimpleNamespace(place=lambda service: SimpleNamespace(host="127.0.0.1", port=80))
    ways = []
    for seconds in (1.0, 30.0):
        way = Way(None, None, b"", b"")
        way.decided = SimpleNamespace(service=SimpleNamespace(url="http://127.0.0.1/api", timeout_seconds=seconds))
        ways.append(way)
    quick, slow, again = call_of(ways[0]), call_of(ways[1]), call_of(ways[0])
    agencies.ask([quick, slow, again])
    assert asked == [(("127.0.0.1", 80), [quick, again], 1.0), (("127.0.0.1", 80), [slow], 30.0)]
