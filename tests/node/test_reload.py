"""A running node reads its file again (SIGHUP): what changed is taken up, nothing is dropped, and a bad file changes nothing."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from box import ADMISSION, EDU, PERSONS, Box, base_rules, free_ports, http, make_box
from kerege.exchange import messagelog
from kerege.exchange.pki import TestAuthority, save_pair
from kerege.exchange.rules import Rules
from kerege.exchange.xades_read import certificate_from_base64
from kerege.node.config import load
from kerege.node.network import sign_key_name
from kerege.node.reloading import RESTART, needs_restart

NODES = ("node-edu", "node-reg")
pytestmark = pytest.mark.journey


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Box]:
    box = make_box(tmp_path / "network", valid_for=timedelta(hours=1))
    try:
        for code in NODES:
            box.start(code)
        for code in NODES:
            box.wait(code)
        yield box
    finally:
        box.close()


def said(box: Box, code: str) -> str:
    return (box.laid.nodes[code].folder / "output.txt").read_text()


def change(box: Box, code: str, edit: Callable[[dict[str, Any]], None]) -> None:
    file = box.laid.nodes[code].config
    content = yaml.safe_load(file.read_text())
    edit(content)
    new = file.with_name("node.yaml.new")
    new.write_text(yaml.safe_dump(content))
    new.replace(file)


def hang_up(box: Box, code: str, expected: str = "was read again") -> str:
    """Send SIGHUP and wait for the node to say `expected`; what it said since."""
    before = len(said(box, code))
    box.processes[code].send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        told = said(box, code)[before:]
        if expected in told:
            return told
        time.sleep(0.02)
    raise AssertionError(f"{expected!r} is not in: {said(box, code)[before:]}")


@dataclass
class Load:
    """Calls one after the other from several threads, each over a connection of its own, until told to end."""

    box: Box
    problems: list[str] = field(default_factory=list)
    done: int = 0

    def __enter__(self) -> Load:
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(3)]
        for thread in self._threads:
            thread.start()
        self.more(10)
        return self

    def _call(self) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            try:
                answer = self.box.call(f"/n{number}")
                if answer.status != 200:
                    self.problems.append(f"{answer.status} {answer.body[:300]!r}")
            except OSError as problem:
                self.problems.append(repr(problem))
            self.done += 1

    def more(self, count: int) -> None:
        """Wait for that many further calls."""
        wanted, deadline = self.done + count, time.monotonic() + 20
        while self.done < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.done >= wanted

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(20)


def test_reloads_under_load_drop_no_message(running: Box) -> None:
    with Load(running) as calls:
        for number in range(4):
            for code in NODES:
                change(
                    running,
                    code,
                    lambda c, n=number: c.update(limits={"connections": 500 + n, "body_megabytes": 5 + n}),
                )
                hang_up(running, code)
                calls.more(10)
    assert calls.problems == []
    assert calls.done > 80


def test_a_right_in_the_file_counts_from_the_reload_on_and_no_longer_after_it_is_taken_out(running: Box) -> None:
    running.publish(Rules("KG", 0, bindings=base_rules().bindings, permits=base_rules().permits))
    assert running.call("/x").status == 500

    def grant(content: dict[str, Any]) -> None:
        content["services"][str(PERSONS)]["rights"] = [{"to": str(ADMISSION), "method": "GET"}]

    change(running, "node-reg", grant)
    hang_up(running, "node-reg")
    assert running.call("/x").status == 200
    change(running, "node-reg", lambda c: c["services"][str(PERSONS)].pop("rights"))
    hang_up(running, "node-reg")
    time.sleep(1.1)
    assert running.call("/x").status == 500


def test_a_client_port_moves_and_calls_at_the_old_one_still_end(running: Box) -> None:
    (port,) = free_ports(1)
    node, running.agency.delay = running.laid.nodes["node-edu"], 1.0
    under_way: list[int] = []
    one = threading.Thread(target=lambda: under_way.append(running.call("/slow").status))
    one.start()
    deadline = time.monotonic() + 10
    while not running.agency.seen and time.monotonic() < deadline:
        time.sleep(0.01)
    change(running, "node-edu", lambda c: c["listen"].update(clients=f"127.0.0.1:{port}"))
    hang_up(running, "node-edu")
    one.join(10)
    assert under_way == [200]
    running.agency.delay = 0.0
    moved = http("GET", f"http://127.0.0.1:{port}/r1/{PERSONS}/x", {"X-Road-Client": str(ADMISSION)})
    assert moved.status == 200
    with pytest.raises(OSError, match="refused"):
        http("GET", f"{node.client_url}/r1/{PERSONS}/x", {"X-Road-Client": str(ADMISSION)})


def test_an_address_that_cannot_be_had_changes_nothing_not_even_what_could_be_taken_up(running: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        def edit(content: dict[str, Any]) -> None:
            content["listen"]["clients"] = address
            content["services"] = {}

        change(running, "node-reg", edit)
        told = hang_up(running, "node-reg", "was not taken up")
    assert "cannot listen on" in told
    assert running.call("/x").status == 200


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        (lambda c: c.update(surprise=1), "surprise"),
        (lambda c: c.update(state="elsewhere"), "state"),
        (lambda c: c["keys"]["auth"].update(key="keys/gone.key"), "gone.key"),
        (lambda c: c.update(translation={"pack": "no/such/pack"}), "translation"),
    ],
    ids=["unknown key", "needs a restart", "key gone", "no pack"],
)
def test_a_file_that_cannot_be_taken_up_is_told_and_the_node_goes_on_as_it_was(
    running: Box, edit: Callable[[dict[str, Any]], None], names: str
) -> None:
    change(running, "node-reg", edit)
    assert names in hang_up(running, "node-reg", "was not taken up")
    assert running.call("/x").status == 200


def test_keys_replaced_under_their_old_names_are_in_use_after_a_reload(running: Box) -> None:
    assert running.call("/before").status == 200
    authority = TestAuthority.load(running.folder / "authority")
    node = running.laid.nodes["node-edu"]
    keys, now, name = node.folder / "keys", datetime.now(UTC), running.plan.member_name(EDU)
    signing = authority.sign_certificate(EDU, name, node.id.server, now, "ec")
    auth = authority.auth_certificate(node.id, name, now, "ec")
    save_pair(signing, keys, sign_key_name(EDU))
    running.publish(refresh=False)  # OCSP answers for the new one
    hang_up(running, "node-edu")
    assert running.call("/after").status == 200
    old, new = (
        certificate_from_base64(record.signature.split(b"X509Certificate>")[1].removesuffix(b"</ds:"))
        for _, _, record in messagelog.read(node.folder / "log")
        if record.direction == "request"
    )
    assert old != new == signing.certificate

    save_pair(auth, keys, "auth")
    told = hang_up(running, "node-edu", "was not taken up")  # nobody would believe it yet
    assert "not registered for this server" in told
    assert running.call("/still").status == 200
    running.publish()
    hang_up(running, "node-edu")
    assert running.call("/registered").status == 200


@pytest.mark.parametrize("link", [True, False], ids=["link", "wire"])
def test_a_provider_that_shows_another_certificate_is_called_on_without_a_fault(running: Box, link: bool) -> None:
    """The consumer's node has connections that showed the old one, which the new configuration no longer lists."""
    for code in NODES:
        change(running, code, lambda c: c.update(link=link))
        hang_up(running, code)
    assert running.call("/before").status == 200
    authority, node = TestAuthority.load(running.folder / "authority"), running.laid.nodes["node-reg"]
    save_pair(authority.auth_certificate(node.id, "Register", datetime.now(UTC), "ec"), node.folder / "keys", "auth")
    running.publish()
    hang_up(running, "node-reg")
    answer = running.call("/renewed")
    assert answer.status == 200, answer.body


def test_the_logs_policy_and_the_link_change_while_calls_go_on(running: Box) -> None:
    with Load(running) as calls:
        change(running, "node-reg", lambda c: c.update(log={"bodies": "hash"}))
        hang_up(running, "node-reg")
        answer = running.call("/hashed", method="POST", body=b"kept by digest only")
        for link in (False, True):
            for code in NODES:
                change(running, code, lambda c, link=link: c.update(link=link))
                hang_up(running, code)
                calls.more(10)
    assert calls.problems == []
    folder = running.laid.nodes["node-reg"].folder / "log"
    bodies = [r.body for _, _, r in messagelog.read(folder) if r.request_id == answer.headers["x-road-request-id"]]
    assert bodies == [None, None]


def test_what_needs_a_restart_is_named_by_its_key(running: Box) -> None:
    config = running.laid.nodes["node-reg"].config
    before = load(config)
    change(running, "node-reg", lambda c: c.update(tls=False, monitoring_days=3, log={"folder": "other"}))
    assert needs_restart(before, load(config)) == ["tls", "log.folder", "monitoring, monitoring_days or traces"]
    assert len({key for key, _ in RESTART}) == len(RESTART)
