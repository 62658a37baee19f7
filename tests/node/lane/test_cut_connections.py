"""Connections between two nodes cut at random moments under load: every call is answered, and nothing that was is missing in a log."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from traffic import Asked, Crowd, Office, lane_calls, log_of, request

from box import PERSONS, Box, base_rules, make_box

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]
SECONDS = 4.0


class Between:
    """Passes bytes on between the nodes, in pieces of its own, until it cuts."""

    def __init__(self, to: int) -> None:
        self._to, self._pairs = to, list[tuple[socket.socket, socket.socket]]()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one: socket.socket, other: socket.socket) -> None:
        dice = random.Random()
        with contextlib.suppress(OSError):
            while data := one.recv(dice.choice((100, 1500, 65536))):
                other.sendall(data)
        _shut(one, other)

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _shut(*pair)

    def close(self) -> None:
        self._listening.close()
        self.cut()


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def box_of(folder: Path, office: Office, *, link: bool) -> tuple[Box, Between]:
    box = make_box(folder)
    between = Between(box.plan.servers[1].server_port)
    peers = yaml.safe_load(box.laid.nodes["node-edu"].config.read_text())["peers"]
    box.change("node-edu", link=link, peers={**peers, "KG/GOV/70000002/node-reg": f"127.0.0.1:{between.port}"})
    box.change("node-reg", link=link, services={str(PERSONS): {"url": office.url, "timeout_seconds": 2.0}})
    box.publish(replace(base_rules(), contracts=()))
    return box, between


def ask(box: Box, number: int, until: float, answers: list[Asked]) -> None:
    with Crowd(box, timeout=15) as crowd:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            names = [f"cut-{number}-{turn}-{n}" for n in range(5)]
            paths = ("/a", "/nothing", "/missing", "/large", "/a")
            answers += crowd.ask(*[request(p, message_id=name) for p, name in zip(paths, names, strict=True)])


@pytest.mark.parametrize("link", [True, False], ids=["kerege-link", "x-road-wire"])
def test_every_call_is_answered_and_logged_though_connections_are_cut(tmp_path: Path, link: bool) -> None:
    office, dice, answers = Office(), random.Random(7), list[Asked]()
    box, between = box_of(tmp_path, office, link=link)
    with box.running():
        with Crowd(box) as crowd:
            crowd.warm()
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=ask, args=(box, n, until, answers)) for n in range(4)]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            time.sleep(dice.uniform(0.05, 0.5))
            between.cut()
        for thread in threads:
            thread.join(40)
        assert Counter(one.status for one in answers if one.status not in (200, 204, 404, 500)) == {}
        good = [one.headers["x-road-id"] for one in answers if one.status in (200, 204, 404)]
        assert len(good) > 50
        assert lane_calls(box, "node-edu")[0] > 20
        for code in box.laid.nodes:
            keys = [(one.message_id, one.direction) for one in log_of(box, code)]
            assert len(keys) == len(set(keys)), "each message is logged once"
            assert {(one, way) for one in good for way in ("request", "response")} <= set(keys)
            assert "Traceback" not in (box.laid.nodes[code].folder / "output.txt").read_text()
        for code in list(box.processes):
            begun = time.monotonic()
            box.stop(code)
            assert time.monotonic() - begun < 4, "something was still under way"
    between.close()
    office.close()
