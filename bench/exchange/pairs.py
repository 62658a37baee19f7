"""Two nodes and what they need around them: keys, signed configuration, OCSP answers, one node.yaml each with the wire chosen.

The network is `kerege.node.network`'s own; the configuration and the OCSP answers are served from this process (they are asked for
when a node starts and then rarely). Nodes run as everybody runs them: `kerege node --config node.yaml`, each a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from processes import NotReady, Processes, free_ports

from kerege.exchange import ocsp
from kerege.exchange.ids import DataServiceId, MemberId, ServerId, SubsystemId
from kerege.exchange.pki import KeyPair, new_key, save_pair
from kerege.exchange.rules import Right, Rules
from kerege.node.config import NodeConfig
from kerege.node.network import NetworkPlan, PlannedMember, PlannedServer, PlannedService, lay_out, publish

PROJECT = Path(__file__).resolve().parents[2]
CONSUMER, PROVIDER = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")
CLIENT = SubsystemId.parse("KG/GOV/70000003/admission")
OFFERED = SubsystemId.parse("KG/GOV/70000002/population")
SERVICE = DataServiceId.parse("KG/GOV/70000002/population/persons")


def link_known() -> bool:
    """Whether this version's nodes know the key `link` at all."""
    return any(one.name == "link" for one in fields(NodeConfig))


class Publisher:
    """The configuration and OCSP answers over HTTP, from memory."""

    def __init__(self) -> None:
        publisher = self
        self.files: dict[str, bytes] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _answer(self, content: bytes | None) -> None:
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def do_GET(self) -> None:
                self._answer(publisher.files.get(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers.get("content-length") or 0))
                self._answer(publisher.files.get(f"{self.path.rstrip('/')}/{ocsp.file_name(asked)}"))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.2,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/internalconf"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Pair:
    """Two running nodes. `link`: what node.yaml says; whether it is used is seen by `links_used`."""

    name: str
    algorithm: str
    link: bool
    folder: Path
    processes: Processes
    publisher: Publisher
    configs: dict[str, Path]
    clients_url: str
    servers_port: int
    admin: dict[str, str]
    python: str = sys.executable

    def pid(self, side: str) -> int:
        return self.processes.running[f"{self.name}-{side}"].pid

    def start(self, side: str, wrap: tuple[str, ...] = ()) -> None:
        """Start one side; `wrap` goes between the interpreter and the module, such as ("-m", "cProfile", "-o", "file")."""
        command = [self.python, *wrap, "-m", "kerege", "node", "--config", str(self.configs[side])]
        path = [str(PROJECT / "src")]
        if self.python != sys.executable:  # another build of the same version, with the same libraries
            path.append(sysconfig.get_paths()["purelib"])
        self.processes.start(f"{self.name}-{side}", command, {"PYTHONPATH": os.pathsep.join(path)})

    def wait(self, side: str, seconds: float = 60) -> None:
        name = f"{self.name}-{side}"
        process, deadline = self.processes.running[name], time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self.health(side)["ok"]:
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.1)
        raise NotReady(f"{name} is not up: {self.processes.log(name).read_text(errors='replace')[-3000:]}")

    def stop(self, side: str, how: int = signal.SIGTERM, seconds: float = 30) -> None:
        self.processes.stop(f"{self.name}-{side}", how, seconds)

    def health(self, side: str) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.admin[side] + "/health", timeout=5) as answer:
                found = json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            found = json.loads(refused.read())
        assert isinstance(found, dict)
        return found

    def records(self) -> dict[str, int]:
        """How many log records each node has made durable since it started."""
        return {side: int(self.health(side)["log"]["records"]) for side in ("consumer", "provider")}

    def close(self) -> None:
        for side in ("consumer", "provider"):
            if f"{self.name}-{side}" in self.processes.running:
                self.stop(side)
        self.publisher.close()


def make_pair(
    name: str,
    folder: Path,
    processes: Processes,
    provider_url: str,
    *,
    algorithm: str,
    link: bool,
    limits: dict[str, Any] | None = None,
    timeout_seconds: float = 60.0,
    also: dict[str, Any] | None = None,
    python: str = sys.executable,
) -> Pair:
    """Lay out a pair and write its files; nothing is started.

    python   the interpreter the nodes run on, of the same version as this one
    """
    publisher = Publisher()
    ports = free_ports(6)
    services = (PlannedService(SERVICE, provider_url, timeout_seconds),)
    plan = NetworkPlan(
        instance="KG",
        configuration_url=publisher.url,
        members=(
            PlannedMember(CONSUMER, "Consumer", ("admission",)),
            PlannedMember(PROVIDER, "Provider", ("population",)),
        ),
        servers=(
            PlannedServer(ServerId.parse("KG/GOV/70000003/consumer"), (CLIENT,), (), ports[0], ports[1], ports[2]),
            PlannedServer(
                ServerId.parse("KG/GOV/70000002/provider"), (OFFERED,), services, ports[3], ports[4], ports[5]
            ),
        ),
        key_algorithm=algorithm,
        valid_for=timedelta(hours=6),
        poll_seconds=3600.0,
        ocsp_freshness_seconds=6 * 3600,
    )
    now = datetime.now(UTC)
    laid = lay_out(folder, plan, now)
    until = now.replace(microsecond=0) + timedelta(days=1)
    rules = Rules("KG", 1, rights=(Right("bench", CLIENT, SERVICE, "*", "/**", until),))
    done = publish(folder, plan, rules, now, 1)
    publisher.files = {f"/internalconf/{path}": content for path, content in done.files.items()}
    publisher.files["/internalconf"] = done.directory
    for node in laid.nodes.values():
        settings = yaml.safe_load(node.config.read_text())
        if link_known():
            settings["link"] = link
        settings["limits"] = {"connections_per_address": 1024, **(limits or {})}
        settings.update(also or {})
        node.config.write_text(yaml.safe_dump(settings, sort_keys=False))
        os.chmod(node.folder, 0o700)
    return Pair(
        name,
        algorithm,
        link,
        folder,
        processes,
        publisher,
        {code: node.config for code, node in laid.nodes.items()},
        laid.nodes["consumer"].client_url,
        ports[4],
        {code: node.admin_url for code, node in laid.nodes.items()},
        python,
    )


def start_pair(pair: Pair) -> None:
    for side in ("provider", "consumer"):
        pair.start(side)
    for side in ("provider", "consumer"):
        pair.wait(side)


def rival_keys(folder: Path, algorithm: str) -> Path:
    """CA, server and client certificates of the same kind as the nodes', for the nginx pair."""
    now = datetime.now(UTC)

    def make(name: str, issuer: KeyPair | None) -> KeyPair:
        key = new_key(algorithm)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
        return KeyPair(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))

    authority = make("rival CA", None)
    save_pair(authority, folder, "ca")
    for name in ("server", "client"):
        save_pair(make(name, authority), folder, name)
    return folder
