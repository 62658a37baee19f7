"""A network in a box: two real node processes, an agency's HTTP server and a configuration server, on free loopback ports."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.rules import Binding, Permit, Right, Rules, WireContract
from kerege.node.network import (
    LaidOut,
    NetworkPlan,
    PlannedMember,
    PlannedServer,
    PlannedService,
    lay_out,
    publish,
)

EDU, POP, CIVIL = (MemberId("KG", "GOV", code) for code in ("70000003", "70000002", "70000001"))
ADMISSION = SubsystemId.parse("KG/GOV/70000003/admission")
EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
POPULATION = SubsystemId.parse("KG/GOV/70000002/population")
PERSONS = DataServiceId.parse("KG/GOV/70000002/population/persons")


# each worker of a run has ports of its own, and gives none away twice: between a choice and its server's start nobody holds it
_WORKER = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 8
_PORTS = range(12_000 + 2_500 * _WORKER, 12_000 + 2_500 * (_WORKER + 1))
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the system gives to outgoing connections: none is taken before its server starts."""
    found: list[int] = []
    while len(found) < count:
        if len(_given) > len(_PORTS) // 2:
            _given.clear()
            _given.update(found)
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    """Quiet about callers that went away, and rid of kept connections when closed."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, *_: object) -> None:
        pass

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Agency:
    """An agency's own system: answers with what it was asked, or as told."""

    def __init__(self, port: int = 0) -> None:
        agency = self
        self.seen: list[Seen] = []
        self.delay = 0.0
        self.answer: tuple[int, dict[str, str], bytes] | None = None

        class Handler(_Quiet):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                agency.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
                if agency.delay:
                    time.sleep(agency.delay)
                status, headers, content = agency.answer or (
                    200,
                    {"Content-Type": "application/json", "X-Agency": "yes"},
                    json.dumps({"path": self.path, "method": self.command, "got": len(body)}).encode(),
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status not in (204, 304):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if status not in (204, 304) and self.command != "HEAD":
                    self.wfile.write(content)

            do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET

        self.server = _Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api"

    def close(self) -> None:
        self.server.end()


class Publisher:
    """Serves /internalconf and what lies below it, from memory."""

    def __init__(self) -> None:
        publisher = self
        self.files: dict[str, bytes] = {}

        class Handler(_Quiet):
            def do_GET(self) -> None:
                content = publisher.files.get(self.path.partition("?")[0])
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

        self.server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/internalconf"

    def close(self) -> None:
        self.server.end()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


def http(method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, dict(answer.headers.items()), answer.read())
    except urllib.error.HTTPError as answer:
        return Answer(answer.code, dict(answer.headers.items()), answer.read())


@dataclass
class Box:
    """The network. Start nodes by server code; publish new rules; call as the admission subsystem."""

    folder: Path
    plan: NetworkPlan
    laid: LaidOut
    agency: Agency
    publisher: Publisher
    rules: Rules
    version: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def publish(
        self,
        rules: Rules | None = None,
        *,
        now: datetime | None = None,
        version: int | None = None,
        refresh: bool = True,
    ) -> None:
        """Publish (the same or new rules) and have running nodes take it up."""
        self.rules = rules or self.rules
        self.version = self.version + 1 if version is None else version
        done = publish(self.folder, self.plan, self.rules, now or datetime.now(UTC), self.version)
        files = {f"/internalconf/{path}": content for path, content in done.files.items()}
        self.publisher.files = {**files, "/internalconf": done.directory}
        if refresh:
            for code in self.processes:
                answer = self.admin(code, "POST", "/refresh")
                assert answer.status == 200, answer.body

    def start(self, code: str) -> None:
        node = self.laid.nodes[code]
        log = (node.folder / "output.txt").open("ab")
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        command = [sys.executable, "-m", "kerege", "node", "--config", str(node.config)]
        self.processes[code] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        log.close()

    def wait(self, code: str, *, ok: bool = True) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.processes[code].poll() is None, (self.laid.nodes[code].folder / "output.txt").read_text()
            try:
                answer = self.admin(code, "GET", "/health")
            except OSError:
                time.sleep(0.05)
                continue
            if answer.json["ok"] or not ok:
                return
            time.sleep(0.05)
        raise AssertionError((self.laid.nodes[code].folder / "output.txt").read_text())

    def stop(self, code: str, how: int = signal.SIGTERM) -> None:
        process = self.processes.pop(code)
        process.send_signal(how)
        process.wait(20)

    def admin(self, code: str, method: str, path: str) -> Answer:
        return http(method, self.laid.nodes[code].admin_url + path, body=b"" if method == "POST" else None)

    def call(
        self,
        path: str = "/12345?part=name",
        *,
        method: str = "GET",
        body: bytes | None = None,
        client: str = str(ADMISSION),
        service: str = str(PERSONS),
        headers: dict[str, str] | None = None,
    ) -> Answer:
        url = f"{self.laid.nodes['node-edu'].client_url}/r1/{service}{path}"
        return http(method, url, {"X-Road-Client": client, "Accept": "application/json", **(headers or {})}, body)

    def change(self, code: str, **settings: object) -> None:
        """Write keys of a node's file anew; None takes one out."""
        config = self.laid.nodes[code].config
        found = yaml.safe_load(config.read_text())
        for key, value in settings.items():
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        new = config.with_name("node.yaml.new")
        new.write_text(yaml.safe_dump(found, sort_keys=False))
        new.replace(config)

    @contextlib.contextmanager
    def running(self) -> Iterator[Box]:
        """With every node up; at the end all is ended, and the folder with its logs is gone."""
        try:
            for code in self.laid.nodes:
                self.start(code)
            for code in self.laid.nodes:
                self.wait(code)
            yield self
        finally:
            self.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        for code in list(self.processes):
            self.stop(code)
        self.agency.close()
        self.publisher.close()


def far() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


def open_permit(number: int = 1) -> Permit:
    return Permit(f"permit-{number}", ADMISSION, "grade1-admission", "open", far())


def closed_permit(number: int = 2) -> Permit:
    return Permit(f"permit-{number}", ADMISSION, "grade1-admission", "closed", far(), "criterion C4 fails")


def base_rules() -> Rules:
    return Rules(
        "KG",
        0,
        rights=(Right("right-1", ADMISSION, PERSONS, "*", "/**", far()),),
        bindings=(Binding(ADMISSION, "grade1-admission"),),
        permits=(open_permit(),),
        contracts=(WireContract(PERSONS, "/12345", "kg:population.person"),),
    )


def make_box(folder: Path, **changes: object) -> Box:
    agency, publisher = Agency(), Publisher()
    ports = free_ports(6)
    plan = NetworkPlan(
        instance="KG",
        configuration_url=publisher.url,
        members=(
            PlannedMember(EDU, "Ministry of Education", ("emis", "admission")),
            PlannedMember(POP, "Population register", ("population",)),
            PlannedMember(CIVIL, "Civil registry", ("civil",)),
        ),
        servers=(
            PlannedServer(ServerId.parse("KG/GOV/70000003/node-edu"), (EMIS, ADMISSION), (), *ports[:3]),
            PlannedServer(
                ServerId.parse("KG/GOV/70000002/node-reg"),
                (POPULATION, SubsystemId.parse("KG/GOV/70000001/civil")),
                (PlannedService(PERSONS, agency.url + "/persons", 2.0),),
                *ports[3:],
            ),
        ),
        poll_seconds=3600.0,
    )
    plan = replace(plan, **changes)  # type: ignore[arg-type]
    laid = lay_out(folder, plan, datetime.now(UTC))
    box = Box(folder, plan, laid, agency, publisher, base_rules())
    box.publish()
    return box
