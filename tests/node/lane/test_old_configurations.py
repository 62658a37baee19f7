"""What two nodes decided under configurations that are no more is not kept: each of them is as large as the country's register."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from traffic import Crowd, Office, request

from box import ADMISSION, PERSONS, Box, base_rules, far, make_box
from kerege.exchange.ids import DataServiceId
from kerege.exchange.rules import Right
from kerege.node.conf.picture import Picture
from kerege.node.config import load
from kerege.node.serve import Node

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.journey

# each is called under one configuration alone: what is remembered of it, no later call replaces
SERVICES = [DataServiceId.parse(f"{PERSONS}-{n}") for n in range(6)]


@pytest.fixture(params=[True, False], ids=["lane", "no-lane"])
def lane(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def box(office: Office, link: bool, lane: bool, tmp_path: Path) -> Box:
    made = make_box(tmp_path / "network")
    for code in ("node-edu", "node-reg"):
        made.change(code, link=link, lane=lane)
    made.change("node-reg", services={str(one): {"url": office.url} for one in SERVICES})
    return made


async def alive_after(box: Box) -> list[list[int]]:
    """Of each node, which of the configurations it had are in memory at the end."""
    nodes = [Node(load(box.laid.nodes[code].config)) for code in ("node-edu", "node-reg")]
    had: list[list[weakref.ref[Picture]]] = [[] for _ in nodes]
    rights = tuple(Right(f"right-{n}", ADMISSION, one, "*", "/**", far()) for n, one in enumerate(SERVICES))
    try:
        for node in nodes:
            await node.start()
        with Crowd(box) as crowd:
            for service in SERVICES:
                await asyncio.to_thread(box.publish, replace(base_rules(), contracts=(), rights=rights))
                for node, some in zip(nodes, had, strict=True):
                    await node.refresh()
                    picture = node.core.keeper.picture
                    assert picture is not None
                    some.append(weakref.ref(picture))
                    del picture
                for _ in range(3):
                    (answer,) = await asyncio.to_thread(crowd.ask, request("/a", service=str(service)))
                    assert answer.status == 200, answer.body
        gc.collect()
        return [[n for n, one in enumerate(some) if one() is not None] for some in had]
    finally:
        for node in nodes:
            await node.stop()


def test_nodes_keep_nothing_of_configurations_that_are_no_more(box: Box) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(alive_after(box))
    finally:
        box.close()
    last = len(SERVICES) - 1
    assert [last in some for some in found] == [True, True]
    consumers, providers = ([n for n in some if n < last - 1] for some in found)
    assert providers == []
    assert consumers == []
