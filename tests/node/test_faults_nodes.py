"""Two running nodes, and what befalls them: halted, restarted, reloaded, given other keys, taken out of the configuration.

Every test runs over both wires: the Kerege link, and X-Road's own.
"""

import hashlib
import http.client
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hostile import resident

from box import ADMISSION, PERSONS, Answer, Box, free_ports, make_box
from kerege.exchange import messagelog
from kerege.exchange.pki import TestAuthority, save_pair

pytestmark = pytest.mark.journey
CODES = ("node-edu", "node-reg")


@pytest.fixture(params=[True, False], ids=["kerege-link", "x-road-wire"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    made = make_box(tmp_path / "network")
    for code in CODES:
        made.change(code, link=request.param, limits={"peer_seconds": 10, "connect_seconds": 2})
    with made.running():
        yield made


@dataclass
class Load:
    """A few clients that call without pause."""

    box: Box
    clients: int = 4
    statuses: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    pause: float = 0.002

    def __enter__(self) -> "Load":
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self.box.call("/x", method="POST", body=b"body")
            except (OSError, http.client.HTTPException) as problem:
                self.problems.append(repr(problem))
                continue
            self.statuses.append(answer.status)
            if answer.status != 200:
                self.problems.append(answer.body.decode())
            time.sleep(self.pause)

    def until(self, more: int, seconds: float = 20) -> None:
        """Wait for so many more answers."""
        goal, deadline = len(self.statuses) + more, time.monotonic() + seconds
        while len(self.statuses) < goal:
            assert time.monotonic() < deadline, self.problems[:3]
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def reload(box: Box, code: str) -> None:
    """SIGHUP, and wait until the node says that it was taken up."""
    output = box.laid.nodes[code].folder / "output.txt"
    before = output.read_text().count("was read again")
    box.processes[code].send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while output.read_text().count("was read again") == before:
        assert time.monotonic() < deadline, output.read_text()[-2000:]
        time.sleep(0.02)


def impatient(box: Box, code: str) -> None:
    """Three seconds for others from now on, not ten."""
    box.change(code, limits={"peer_seconds": 3, "connect_seconds": 2})
    reload(box, code)


def records(box: Box, code: str) -> list[tuple[str, str]]:
    return [(r.message_id, r.direction) for _, _, r in messagelog.read(box.laid.nodes[code].folder / "log")]


# --- reload ---


def test_reloads_under_load_drop_nothing_and_a_right_taken_away_is_gone(box: Box) -> None:
    right = {"to": "KG/GOV/70000003/emis", "method": "*", "path": "/**"}
    service = {"url": box.agency.url + "/persons", "timeout_seconds": 2.0}
    box.change("node-reg", services={str(PERSONS): {**service, "rights": [right]}})
    reload(box, "node-reg")

    def as_emis() -> Answer:
        return box.call("/x", client="KG/GOV/70000003/emis")

    assert as_emis().status == 200
    with Load(box) as load:
        for code in (*CODES, *CODES):
            load.until(30)
            reload(box, code)
        box.change("node-reg", services={str(PERSONS): service})
        reload(box, "node-reg")
        denied = as_emis()
        load.until(30)
    assert "access_denied" in str(denied.json["type"])
    assert load.problems == []


def test_a_listen_address_moved_under_load_drops_nothing(box: Box) -> None:
    """The provider's server address moves: the consumer is told by its own file; calls under way end where they began."""
    (port,) = free_ports(1)
    listen = yaml.safe_load(box.laid.nodes["node-reg"].config.read_text())["listen"]
    with Load(box) as load:
        load.until(50)
        box.change("node-reg", listen={**listen, "servers": f"127.0.0.1:{port}"})
        box.change("node-edu", peers={"KG/GOV/70000002/node-reg": f"127.0.0.1:{port}"})
        box.processes["node-edu"].send_signal(signal.SIGSTOP)  # nothing is sent while the address is nowhere
        try:
            reload(box, "node-reg")
        finally:
            box.processes["node-edu"].send_signal(signal.SIGHUP)
            box.processes["node-edu"].send_signal(signal.SIGCONT)
        load.until(100)
    refused = [p for p in load.problems if "could not be reached" not in p]
    assert refused == [], "calls that had begun are answered"
    assert len(load.problems) <= 2 * load.clients, "only calls between the two reloads may find nobody"
    assert box.call().status == 200


def test_another_authentication_key_with_connections_up_loses_no_call(box: Box) -> None:
    authority = TestAuthority.load(box.folder / "authority")
    now = datetime.now(UTC)
    keys = box.laid.nodes["node-edu"].folder / "keys"
    old = {name: (keys / name).read_bytes() for name in ("auth.pem", "auth.key")}
    server = box.plan.servers[0].id
    with Load(box) as load:
        load.until(50)
        # both certificates are registered while the key changes, as the rules of registration have it
        save_pair(authority.auth_certificate(server, "Ministry of Education", now), keys, "auth")
        box.publish()
        new = {name: (keys / name).read_bytes() for name in old}
        assert new["auth.pem"] != old["auth.pem"]
        reload(box, "node-edu")
        load.until(100)
    # the published configuration knows only the new certificate: calls between publication and reload were refused
    late = load.statuses[-50:]
    assert late == [200] * 50, load.problems[-3:]
    assert all("not registered" in problem or "revocation" in problem for problem in load.problems), load.problems[-3:]
    assert box.call().status == 200


# --- configuration ---


@pytest.mark.parametrize("code", CODES)
def test_a_server_taken_out_of_the_configuration_gets_no_more_answers_within_two_seconds(box: Box, code: str) -> None:
    """Its authentication certificate is no longer registered; the connections of before are still up."""
    assert box.call().status == 200
    authority = TestAuthority.load(box.folder / "authority")
    home = box.folder / "nodes" / code / "keys"
    kept = {name: (home / name).read_bytes() for name in ("auth.pem", "auth.key")}
    number = 0 if code == "node-edu" else 1
    save_pair(authority.auth_certificate(box.plan.servers[number].id, "Other", datetime.now(UTC)), home, "auth")
    box.publish()  # registers the other certificate in its place
    for name, content in kept.items():
        (home / name).write_bytes(content)
    time.sleep(1.5)
    box.agency.seen.clear()
    for _ in range(3):
        answer = box.call()
        assert answer.status == 500
        assert "peer_untrusted" in answer.body.decode(), answer.body
    assert box.agency.seen == []


# --- halted, gone, back ---


def test_a_provider_that_is_halted_is_given_up_in_time_and_used_again_when_it_is_back(box: Box) -> None:
    impatient(box, "node-edu")
    assert box.call().status == 200
    box.processes["node-reg"].send_signal(signal.SIGSTOP)
    started = time.monotonic()
    try:
        answer = box.call()
    finally:
        box.processes["node-reg"].send_signal(signal.SIGCONT)
    assert answer.status == 500
    assert time.monotonic() - started < 9
    deadline = time.monotonic() + 10
    while box.call().status != 200:
        assert time.monotonic() < deadline


def test_calls_under_way_when_the_provider_is_killed_fail_clearly_and_the_next_is_carried(box: Box) -> None:
    box.agency.delay = 0.8
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(box.call, f"/{n}", headers={"X-Road-Id": f"killed-{n}"}) for n in range(4)]
        deadline = time.monotonic() + 5
        while len(box.agency.seen) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        box.stop("node-reg", signal.SIGKILL)
        started = time.monotonic()
        answers = [one.result() for one in work]
    assert time.monotonic() - started < 2, "nobody waits for a node that is gone"
    for answer in answers:
        assert answer.status == 500
        assert "exchange.peer_unreachable" in answer.body.decode()
    box.agency.delay = 0.0
    box.start("node-reg")
    box.wait("node-reg")
    assert box.call(headers={"X-Road-Id": "after"}).status == 200
    for n in range(4):
        assert records(box, "node-edu").count((f"killed-{n}", "request")) == 1
        assert (f"killed-{n}", "response") not in records(box, "node-edu")


def test_calls_under_way_when_the_provider_is_stopped_are_answered(box: Box) -> None:
    box.agency.delay = 0.5
    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(box.call, f"/{n}") for n in range(4)]
        deadline = time.monotonic() + 5
        while len(box.agency.seen) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        box.stop("node-reg")
        answers = [one.result() for one in work]
    assert [answer.status for answer in answers] == [200] * 4, answers
    box.agency.delay = 0.0
    box.start("node-reg")
    box.wait("node-reg")
    assert box.call().status == 200


# --- replay ---


def test_a_message_is_carried_out_once_within_the_replay_window(box: Box) -> None:
    """The second time a genuine signed request comes, a node with a window refuses it; see also test_replay."""
    box.change("node-reg", replay_window_seconds=60)
    box.stop("node-reg")
    box.start("node-reg")
    box.wait("node-reg")
    from hostile import Caller, fault_of, is_messages, of_stream

    from kerege.exchange import linkmessages as lm

    if not yaml.safe_load(box.laid.nodes["node-reg"].config.read_text())["link"]:
        pytest.skip("by hand over the link only; X-Road's wire is test_replay's and test_provider's")
    caller = Caller(box)
    wire = caller.connect()
    group = caller.group([caller.request(1, b"once")])
    wire.send(lm.Messages((group,)))
    assert wire.read(is_messages) is not None
    (again,) = group.messages
    again.stream = 2
    wire.send(lm.Messages((group,)))
    assert "carried out already" in fault_of(wire.read(of_stream(2))).message
    assert len(box.agency.seen) == 1
    # for another server: what names one is refused by every other
    named = caller.request(3, also=((b"X-Road-Security-Server", b"KG/GOV/70000003/node-edu"),))
    wire.send(lm.Messages((caller.group([named]),)))
    assert "for another server" in fault_of(wire.read(of_stream(3))).message
    # and one signed for a provider that is not here finds no service
    elsewhere = caller.request(4, service="KG/GOV/70000003/emis/students")
    wire.send(lm.Messages((caller.group([elsewhere]),)))
    assert "unknown_service" in fault_of(wire.read(of_stream(4))).code
    caller.close()


# --- slow-loris ---


def test_connections_that_say_nothing_or_little_hinder_nobody(box: Box) -> None:
    """On clients', servers' and admin's listener: silent ones, half a request line, half a handshake, half a frame."""
    from hostile import context

    ports = [box.plan.servers[1].client_port, box.plan.servers[1].server_port, box.plan.servers[1].admin_port]
    idle: list[socket.socket] = []
    for port in ports:
        for data in (
            b"",
            b"POST / HT",
            b"\x16\x03\x01\x02",
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nab",
        ):
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(data)
            idle.append(one)
    keys = box.laid.nodes["node-edu"].folder / "keys"
    for _ in range(8):
        plain = socket.create_connection(("127.0.0.1", ports[1]))
        tls = context(keys, server=False).wrap_socket(plain)
        tls.sendall(b"KL\x01\x01\x00")
        idle.append(tls)
    assert [box.call(f"/{n}").status for n in range(5)] == [200] * 5
    deadline = time.monotonic() + 14
    one = idle[-1]
    one.settimeout(14)
    try:
        while one.recv(4096):
            assert time.monotonic() < deadline
    except (ConnectionError, ssl.SSLError):
        pass
    except TimeoutError:
        pytest.fail("a link that never greets is closed")
    for one in idle:
        one.close()


# --- what an answer may be ---


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("status", "content"), [(200, b""), (200, b"x"), (204, b""), (304, b""), (200, bytes(70_000)), (404, b"none")]
)
def test_answers_without_and_with_body_travel_on_both_wires(
    nodes: Box, method: str, status: int, content: bytes
) -> None:
    nodes.agency.answer = (status, {"Content-Type": "text/plain", "ETag": '"1"'}, content)
    url = nodes.laid.nodes["node-edu"].client_url.removeprefix("http://")
    connection = http.client.HTTPConnection(url, timeout=10)
    for _ in range(2):  # the connection stays whole
        connection.request(method, f"/r1/{PERSONS}/x", headers={"X-Road-Client": str(ADMISSION)})
        answer = connection.getresponse()
        assert answer.status == status
        assert answer.headers["ETag"] == '"1"'
        assert answer.read() == (b"" if method == "HEAD" else content)
    connection.close()


def test_an_empty_body_is_not_no_body(nodes: Box) -> None:
    """An empty body is signed as a part of its own: two leaves."""
    nodes.agency.answer = None
    for body in (b"", None):
        answer = nodes.call("/x", method="POST", body=body, headers={"X-Road-Id": f"empty-{body is None}"})
        assert answer.status == 200
        found = [
            r
            for _, _, r in messagelog.read(nodes.laid.nodes["node-reg"].folder / "log")
            if r.message_id == f"empty-{body is None}" and r.direction == "request"
        ]
        assert len(found) == 1
        digest = hashlib.sha512(b"").digest()
        assert found[0].attachment_digests in ((digest,), ()), body


@pytest.fixture(scope="module", params=[True, False], ids=["kerege-link", "x-road-wire"])
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made = make_box(tmp_path_factory.mktemp("nodes"))
    for code in CODES:
        made.change(code, link=request.param)
    with made.running():
        yield made


def test_memory_stays_where_it_is_under_bounded_load(nodes: Box) -> None:
    pids = [nodes.processes[code].pid for code in CODES]
    nodes.agency.answer = None
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: nodes.call(f"/{n}"), range(900)))  # until the allocator has what it needs
        before = [resident(pid) for pid in pids]
        assert {a.status for a in pool.map(lambda n: nodes.call(f"/{n}"), range(900))} == {200}
    for pid, was in zip(pids, before, strict=True):
        assert resident(pid) - was < 16 * 2**20
