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
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority, save_pair
from kerege.node.config import load
from kerege.node.errors import CertificateOrderFailed
from kerege.node.http.messages import HttpRequest
from kerege.node.local.health import FAILED, OK, WARNING, Part
from kerege.node.network import sign_key_name
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


def test_a_node_whose_messages_others_would_refuse_runs_and_is_not_ready_and_its_log_says_why_once(
    own_box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    laid = own_box.laid.nodes["node-edu"]
    authority, now = TestAuthority.load(own_box.folder / "authority"), datetime.now(UTC)
    config = load(laid.config)
    (member,) = config.sign
    other = MemberId("KG", "GOV", "70000099")
    save_pair(
        authority.sign_certificate(other, "Another", "node-edu", now, "ec"), laid.folder / "keys", sign_key_name(member)
    )
    save_pair(authority.auth_certificate(config.server, "Education", now, "ec"), laid.folder / "keys", "auth")

    async def main() -> None:
        node = Node(config)
        await node.start()
        try:
            part = next(one for one in node.parts.health.parts(now) if one.name == "keys")
            assert part.state == FAILED
            assert part.problems == (
                f"the global configuration does not list the authentication certificate for {config.server}",
                f"signing certificate of {member}: expected a certificate of {member}, and this one names {other}",
            )
            assert "kerege node register" in part.do
            host = ((b"host", b"127.0.0.1"),)
            ready = await node.admin.handle(HttpRequest("GET", "/ready", host, b"", None, "127.0.0.1"))
            assert (ready.status, b'"keys"' in bytes(ready.body)) == (503, True)
            await node.refresh()
            (told,) = [one.message for one in caplog.records if "others refuse this node's messages" in one.message]
            assert all(problem in told for problem in part.problems)
        finally:
            await node.stop()

    asyncio.run(main())
