"""How a node says it is: what ends soon, and what could not be ordered, with what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from box import Box, make_box
from kerege.node.config import load
from kerege.node.errors import CertificateOrderFailed
from kerege.node.local.health import OK, WARNING, Part
from kerege.node.serve import Node


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[Box]:
    box = make_box(tmp_path, valid_for=timedelta(days=60))
    yield box
    box.close()


def test_what_ends_soon_and_what_could_not_be_ordered_is_a_warning_that_says_what_to_do(own_box: Box) -> None:
    async def main() -> None:
        clock = Clock(datetime.now(UTC))
        node = Node(load(own_box.laid.nodes["node-edu"].config), clock=clock)
        await node.start()

        def part(name: str) -> Part:
            return next(one for one in node.parts.health.parts(clock.now) if one.name == name)

        try:
            assert (part("expiry").state, part("renewals").state) == (OK, OK)
            clock.now += timedelta(days=20)
            soon = part("expiry")
            assert soon.state == WARNING
            assert any("right-1" in problem and "ends" in problem for problem in soon.problems)
            assert any("permit-1" in problem for problem in soon.problems)
            assert "kerege node expiry" in soon.do
            clock.now += timedelta(days=11)
            assert any("right-1" in problem and "ended" in problem for problem in part("expiry").problems)

            failed = CertificateOrderFailed(purpose="auth", authority="https://ca.example", reason="it said no")
            node.parts.health.renewals = SimpleNamespace(problems={"auth": failed})  # type: ignore[assignment]
            told = part("renewals")
            assert (told.state, told.problems) == (WARNING, (f"auth: {failed.text}",))
            assert told.do == failed.next_step
        finally:
            await node.stop()

    asyncio.run(main())


def test_what_ends_is_reckoned_once_in_half_a_minute(own_box: Box) -> None:
    async def main() -> None:
        clock = Clock(datetime.now(UTC))
        node = Node(load(own_box.laid.nodes["node-edu"].config), clock=clock)
        await node.start()
        try:
            health = node.parts.health
            first = health.expiry(clock.now)
            assert health.expiry(clock.now + timedelta(seconds=20)) is first
            assert health.expiry(clock.now + timedelta(seconds=31)) is not first
            health.use(node.core.config)
            assert health.expiry(clock.now) is not first
        finally:
            await node.stop()

    asyncio.run(main())
