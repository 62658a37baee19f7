"""The admin listener: whom it answers, and when a node is not well."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from box import Box, make_box
from kerege.node.config import load
from kerege.node.http.messages import HttpRequest
from kerege.node.listening import addresses
from kerege.node.serve import Node

NO_AUTHORITY = "time-stamps: the global configuration approves no authority; messages are logged without"


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[Box]:
    box = make_box(tmp_path, poll_seconds=60.0, valid_for=timedelta(days=1))
    yield box
    box.close()


async def health(node: Node, **headers: str) -> tuple[int, dict[str, object]]:
    pairs = tuple((name.encode(), value.encode()) for name, value in ({"host": "127.0.0.1:1"} | headers).items())
    answer = await node.admin.handle(HttpRequest("GET", "/health", pairs, b"", None, "127.0.0.1"))
    return answer.status, orjson.loads(answer.body)


def test_a_node_is_not_well_when_its_background_task_ended_or_nothing_was_checked_or_its_answers_are_old(
    own_box: Box,
) -> None:
    async def main() -> None:
        clock = Clock(datetime.now(UTC))
        node = Node(load(own_box.laid.nodes["node-edu"].config), clock=clock)
        await node.start()
        try:
            begun = clock.now
            status, told = await health(node)
            assert (status, told["problems"]) == (200, [NO_AUTHORITY])
            clock.now = begun + timedelta(minutes=4)
            status, told = await health(node)
            assert status == 503
            assert "last checked" in str(told["problems"])
            clock.now = begun + timedelta(minutes=61)
            told = (await health(node))[1]
            assert "signing certificates" in str(told["problems"])
            assert "authentication certificate" in str(told["problems"])
            clock.now = begun
            assert (await health(node))[0] == 200
            task = node.core.background["configuration"]
            task.cancel()
            await asyncio.wait([task])
            status, told = await health(node)
            assert status == 503
            assert "background task configuration has ended" in str(told["problems"])
        finally:
            await node.stop()

    asyncio.run(main())


def test_it_answers_by_loopback_names_only_and_no_web_page(own_box: Box) -> None:
    async def main() -> dict[str, int]:
        node = Node(load(own_box.laid.nodes["node-edu"].config))
        await node.start()
        try:
            hosts = (
                "localhost",
                "127.0.0.2:80",
                "[::1]:8081",
                "evil.example",
                "127.0.0.1.evil.example",
                "",
                "[::1",
                "10.0.0.1",
            )
            out = {host: (await health(node, host=host))[0] for host in hosts}
            out["page"] = (await health(node, origin="http://evil.example"))[0]
            return out
        finally:
            await node.stop()

    answers = asyncio.run(main())
    assert [host for host, status in answers.items() if status == 200] == ["localhost", "127.0.0.2:80", "[::1]:8081"]
    assert {status for status in answers.values() if status != 200} == {403}


def test_what_a_node_writes_is_for_its_own_user_even_where_an_older_file_was_readable(own_box: Box) -> None:
    home = own_box.laid.nodes["node-edu"].folder
    (home / "monitoring.jsonl").touch(0o644)
    (home / "log").mkdir(0o755)

    async def main() -> None:
        node = Node(load(own_box.laid.nodes["node-edu"].config))
        await node.start()
        await node.stop()

    asyncio.run(main())
    modes = {name: (home / name).stat().st_mode & 0o777 for name in ("monitoring.jsonl", "log", "state")}
    assert modes == {"monitoring.jsonl": 0o600, "log": 0o700, "state": 0o700}


def test_a_call_that_the_admin_listener_does_not_answer_is_told_as_that_with_what_it_does_answer(own_box: Box) -> None:
    async def main() -> list[tuple[int, dict[str, str]]]:
        node = Node(load(own_box.laid.nodes["node-edu"].config))
        await node.start()
        try:
            host = ((b"host", b"127.0.0.1"),)
            asked = [HttpRequest(*call, host, b"", None, "127.0.0.1") for call in (("GET", "/r1"), ("GET", "/refresh"))]
            answers = [await node.admin.handle(one) for one in asked]
            return [(one.status, orjson.loads(one.body)) for one in answers]
        finally:
            await node.stop()

    (path, told), (method, other) = asyncio.run(main())
    assert (path, method) == (404, 405)
    assert told["code"] == "node.admin_call_unknown"
    assert told["message"] == "GET /r1 is none of the calls that the admin listener answers."
    assert other["message"].startswith("GET /refresh is none")
    assert "POST /refresh" in told["hint"]
    assert "listen.clients" in told["hint"]


def test_the_line_at_the_start_names_every_listener(own_box: Box, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="kerege.node")
    config = load(own_box.laid.nodes["node-edu"].config)

    async def main() -> None:
        node = Node(config)
        await node.start()
        await node.stop()

    asyncio.run(main())
    (line,) = [one.message for one in caplog.records if " listens: " in one.message]
    assert line == f"{config.server} listens: " + ", ".join(
        f"{purpose} on {address}" for purpose, address in addresses(config).items()
    )
    assert f"admin on {config.admin_address}" in line
