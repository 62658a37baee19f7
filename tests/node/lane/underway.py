"""What the tests of calls under way share: the two nodes' settings, messages with names, what is waited for, what a node kept and said."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from traffic import Office, log_of, request

from box import PERSONS, Box, base_rules

NODES = ("node-edu", "node-reg")
RULES = replace(base_rules(), contracts=())
LIMITS: dict[str, Any] = {"body_megabytes": 1, "bodies_megabytes": 0.5, "connections_per_address": 40}


def service(office: Office, **changes: object) -> dict[str, Any]:
    return {str(PERSONS): {"url": office.url, "timeout_seconds": 5.0, **changes}}


def seen(office: Office, name: str, count: int) -> None:
    """Wait until the agency was asked so often."""
    deadline = time.monotonic() + 10
    while sum(name in target for target, _ in office.seen) < count:
        assert time.monotonic() < deadline, office.seen
        time.sleep(0.005)


def kept(box: Box, code: str, name: str) -> list[tuple[str, str]]:
    return sorted((one.message_id, one.direction) for one in log_of(box, code) if one.message_id.startswith(name))


def eventually(what: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def both(name: str, count: int) -> list[tuple[str, str]]:
    """Request and response of so many messages."""
    return sorted((f"{name}-{n}", way) for n in range(count) for way in ("request", "response"))


def wires(name: str, path: str, count: int, **changes: Any) -> list[bytes]:
    return [request(path, message_id=f"{name}-{n}", **changes) for n in range(count)]


def told(box: Box, code: str) -> str:
    return (box.laid.nodes[code].folder / "output.txt").read_text()


def hang_up(box: Box, code: str) -> None:
    before = told(box, code).count("the configuration file was read again")
    box.processes[code].send_signal(signal.SIGHUP)
    eventually(lambda: told(box, code).count("the configuration file was read again") > before)


def nothing_left(box: Box) -> None:
    """Whatever was done to the nodes, they said nothing of a failure of their own, and stop at once."""
    for code in NODES:
        assert "Traceback" not in told(box, code), told(box, code)
        assert "never retrieved" not in told(box, code)
    for code in list(box.processes):
        begun = time.monotonic()
        box.stop(code)
        assert time.monotonic() - begun < 3, "something was still under way"
