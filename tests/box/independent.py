"""Two real nodes under trust services that are not Kerege's: keys and certificates by certomancer, the configuration signed by a key of
its own, an information system behind the provider's node. Every process and port is this machine's own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from outside_pki import Holder, OutsidePki

from kerege.exchange import certs, confdir, confwrite, globalconf
from kerege.exchange import rules as rules_format
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import read
from kerege.exchange.pki import PROFILE, new_key
from kerege.exchange.rules import Right, Rules

ASKER, OWNER = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")
CLIENT = SubsystemId.parse("KG/GOV/70000003/admission")
OFFERED = SubsystemId.parse("KG/GOV/70000002/population")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")
SIDES = {"asker": ASKER, "owner": OWNER}

HOLDERS = {
    "asker-auth": Holder("KG/asker/GOV", "asker", "Ministry of Education", signing=False),
    "asker-sign": Holder("KG/asker/GOV", "70000003", "Ministry of Education", signing=True),
    "owner-auth": Holder("KG/owner/GOV", "owner", "Population register", signing=False, algorithm="ec"),
    "owner-sign": Holder("KG/owner/GOV", "70000002", "Population register", signing=True, algorithm="ec"),
}


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the system gives to outgoing connections: none is taken before its server starts."""
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found += [port] * (port not in found)
    return found


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str, url: str, headers: dict[str, str] | None = None, body: bytes | None = None, timeout: float = 20
) -> Answer:
    """One HTTP request on a connection of its own. Raises OSError and http.client's own when there is no whole answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class QuietServer(ThreadingHTTPServer):
    """An HTTP server that says nothing about callers that went away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        pass


class System:
    """The provider's information system: answers with what it was asked, remembers the message ids it saw."""

    def __init__(self) -> None:
        system = self
        self.seen: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                system.seen.append(self.headers.get("x-road-id", ""))
                content = json.dumps(
                    {"path": self.path, "id": self.headers.get("x-road-id"), "got": len(body)}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Central:
    """Serves the signed configuration."""

    def __init__(self) -> None:
        central = self
        self.files: dict[str, bytes] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                content = central.files.get(self.path.partition("?")[0])
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/internalconf"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Network:
    """The network in a box. `node.yaml` of each side may be changed by `also` before it is started."""

    folder: Path
    freshness_seconds: int = 3600
    poll_seconds: float = 3600.0
    stamping_seconds: int = 60
    also: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Any] | None = None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        self.pki = OutsidePki(self.folder / "pki", HOLDERS)
        self.system, self.central = System(), _Central()
        ports = free_ports(6)
        self.ports = {"asker": ports[:3], "owner": ports[3:]}
        self.servers = {side: ServerId.parse(f"{member}/{side}") for side, member in SIDES.items()}
        now = datetime.now(UTC)
        self._signing_key = new_key("ec")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "configuration of the box")])
        self._signing_certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._signing_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self._signing_key, hashes.SHA256())
        )
        for side in SIDES:
            self._write(side)
        self.publish()

    # --- what it is made of ---

    def _write(self, side: str) -> None:
        home = self.folder / side
        home.mkdir()
        source = (self.central.url, self._signing_certificate)
        (home / "anchor.xml").write_bytes(confdir.build_anchor(confdir.Anchor("KG", (source,)), datetime.now(UTC)))
        clients, servers, admin = (f"127.0.0.1:{port}" for port in self.ports[side])
        pair = {
            use: {"key": str(self.pki.key(f"{side}-{use}")), "certificate": str(self.pki.pem(f"{side}-{use}"))}
            for use in ("auth", "sign")
        }
        config: dict[str, Any] = {
            "server": str(self.servers[side]),
            "listen": {"clients": clients, "servers": servers, "admin": admin},
            "keys": {"auth": pair["auth"], "sign": [{"member": str(SIDES[side]), **pair["sign"]}]},
            "configuration": {"anchor": "anchor.xml", "poll_seconds": self.poll_seconds},
            "clients": [str(CLIENT if side == "asker" else OFFERED)],
            "peers": {str(self.servers[one]): f"127.0.0.1:{ports[1]}" for one, ports in self.ports.items()},
            **self.also,
        }
        if side == "owner":
            config["services"] = self.services or {str(SERVICE): {"url": self.system.url, "timeout_seconds": 10}}
        (home / "node.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def shared(self) -> globalconf.SharedParameters:
        responder = globalconf.OcspResponder(f"{self.pki.url}/ocsp", self.pki.certificate("responder"))
        top = globalconf.Authority(self.pki.certificate("root"), (responder,))
        return globalconf.SharedParameters(
            instance="KG",
            authorities=(globalconf.ApprovedAuthority("Independent", top, PROFILE),),
            members=(
                globalconf.Member(ASKER, "Ministry of Education", (globalconf.Subsystem("admission"),)),
                globalconf.Member(OWNER, "Population register", (globalconf.Subsystem("population"),)),
            ),
            servers=tuple(
                globalconf.SecurityServer(
                    self.servers[side],
                    "127.0.0.1",
                    frozenset({certs.auth_hashes(self.pki.certificate(f"{side}-auth"))[0]}),
                    (CLIENT.client if side == "asker" else OFFERED.client,),
                )
                for side in SIDES
            ),
            groups=(),
            timestamping=(
                globalconf.TimestampAuthority("Independent", f"{self.pki.url}/tsa", self.pki.certificate("stamper")),
            ),
            member_classes=(("GOV", "Governmental organisations"),),
            ocsp_freshness_seconds=self.freshness_seconds,
            sources=(globalconf.Source("127.0.0.1", (self._signing_certificate,)),),
        )

    def publish(self) -> None:
        self.version += 1
        now = datetime.now(UTC)
        until = now.replace(microsecond=0) + timedelta(days=1)
        rules = Rules("KG", self.version, rights=(Right("box", CLIENT, SERVICE, "*", "/**", until),))
        private = globalconf.PrivateParameters("KG", timestamping_interval_seconds=self.stamping_seconds)
        contents = (
            (confdir.SHARED, confwrite.build_shared(self.shared())),
            (confdir.PRIVATE, confwrite.build_private(private, self.pki.certificate("root"))),
            (confdir.RULES, rules_format.build(rules)),
        )
        directory, located = confdir.build_directory(
            contents,
            "KG",
            now + timedelta(hours=6),
            confdir.generation(now),
            self._signing_key,
            self._signing_certificate,
        )
        files = {f"/internalconf/{path.lstrip('/')}": content for path, content in located.items()}
        self.central.files = {**files, "/internalconf": directory}

    # --- running it ---

    def start(self, *sides: str) -> None:
        for side in sides or tuple(SIDES):
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
            with (self.folder / side / "output.txt").open("ab") as out:
                command = [sys.executable, "-m", "kerege", "node", "--config", str(self.config(side))]
                self.processes[side] = subprocess.Popen(command, stdout=out, stderr=out, env=environment)

    def wait(self, *sides: str, seconds: float = 30) -> None:
        for side in sides or tuple(SIDES):
            deadline = time.monotonic() + seconds
            while True:
                assert self.processes[side].poll() is None, self.output(side)
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    if self.health(side)["ok"]:
                        break
                assert time.monotonic() < deadline, self.output(side)
                time.sleep(0.05)

    def stop(self, side: str, how: int = signal.SIGTERM) -> None:
        process = self.processes.pop(side)
        process.send_signal(how)
        process.wait(30)

    def close(self) -> None:
        for side in list(self.processes):
            self.stop(side)
        self.pki.close()
        self.system.close()
        self.central.close()

    def config(self, side: str) -> Path:
        return self.folder / side / "node.yaml"

    def output(self, side: str) -> str:
        return (self.folder / side / "output.txt").read_text()

    def health(self, side: str) -> Any:
        return ask("GET", f"http://127.0.0.1:{self.ports[side][2]}/health").json

    def native(self, side: str) -> tuple[int, int]:
        """Calls that the native path answered at a node since it was started, and in how many batches; zeros where it has none."""
        text = ask("GET", f"http://127.0.0.1:{self.ports[side][2]}/metrics").body.decode()
        name = {"asker": "client", "owner": "producer"}[side]
        found = [re.search(rf'kerege_lane_{what}_total{{side="{name}"}} (\S+)', text) for what in ("calls", "batches")]
        calls, batches = (0 if one is None else int(float(one[1])) for one in found)
        return calls, batches

    def refresh(self, *sides: str) -> None:
        for side in sides or tuple(SIDES):
            ask("POST", f"http://127.0.0.1:{self.ports[side][2]}/refresh")

    def call(
        self, path: str = "/12345", *, method: str = "GET", body: bytes | None = None, message_id: str = ""
    ) -> Answer:
        headers = {"X-Road-Client": str(CLIENT), "Accept": "application/json"}
        if message_id:
            headers["X-Road-Id"] = message_id
        return ask(method, f"http://127.0.0.1:{self.ports['asker'][0]}/r1/{SERVICE}{path}", headers, body)

    def records(self, side: str) -> list[LogRecord]:
        """All message records of a node's log, in order. The node may be running."""
        log = self.also.get("log") or {}
        key = LogKey.parse(Path(log["key_file"]).read_text()) if "key_file" in log else None
        return [found[2] for found in read(self.folder / side / "log", key)]

    def command(self, side: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        command = [sys.executable, "-m", "kerege", "node", "--config", str(self.config(side)), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
