"""One of our nodes (member consumer, 127.0.0.1) beside the stand-in for X-Road 7.3.2 (member producer, 127.0.0.2), with TLS and without."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from around732 import Small, ocsp_port, reply, responder
from peer732 import Peer, Service
from pki732 import Authority, Pair, Server, lay_out, shared_params

OURS, THEIRS = "127.0.0.1", "127.0.0.2"
PROJECT = Path(__file__).parents[2]


def free_ports(*hosts: str) -> list[int]:
    """One port per host, each free at all of them."""
    out = []
    kept = []
    for host in hosts:
        one = socket.socket()
        one.bind((host, 0))
        kept.append(one)
        out.append(one.getsockname()[1])
    for one in kept:
        one.close()
    return out


@dataclass
class Bench:
    folder: Path
    peer: Peer
    process: subprocess.Popen[bytes]
    clients: int
    servers: int
    ocsp: int
    admin: int
    signing: Pair
    configuration: Path

    def call(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A call of an information system to our node."""
        url = f"http://{OURS}:{self.clients}{target}"
        request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=15) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, dict(answer.headers.items()), answer.read()

    def refresh(self) -> None:
        """Have the node read its configuration folder now."""
        request = urllib.request.Request(f"http://{OURS}:{self.admin}/refresh", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    @property
    def address(self) -> tuple[str, int]:
        return OURS, self.servers

    def records(self) -> list[dict[str, object]]:
        """What monitoring has noted, as far as it is written."""
        time.sleep(1.2)
        path = self.folder / "monitoring.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()


def their_rest(message, body):
    headers = [("Date", "Sun, 22 Nov 2026 04:06:06 GMT"), ("Content-Type", "text/plain")]
    headers += [("X-Custom", "v1"), ("Set-Cookie", "a=b")]
    if message.first == "DELETE":
        return 204, "No Content", headers[:1], None
    if "/e404" in message.second:
        return 404, "Not Found", headers, b""
    if "/empty" in message.second:
        return 200, "OK", headers, b""
    return 200, "OK", headers, b"got " + (message.second.encode() if body is None else body)


def their_soap(content: bytes, bodies: list[bytes]):
    answer = content.replace(b"getData>", b"getDataResponse>").replace(b":getData ", b":getDataResponse ")
    if b"<q>attach" in content:
        more = [
            (
                "application/octet-stream",
                [("Content-ID", "<a1>"), ("Content-Transfer-Encoding", "binary")],
                b"\x00\r\n--x",
            )
        ]
        more.append(("text/plain", [("Content-Transfer-Encoding", "base64")], b"aGVsbG8=\r\n"))
        return answer, more + [("application/octet-stream", [], body) for body in bodies]
    if b"<q>fault" in content:
        return (
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server.Own</faultcode>'
            b"<faultstring>no such person</faultstring></s:Fault></s:Body></s:Envelope>",
            [],
        )
    return answer, []


def agency() -> Small:
    """What stands behind our node."""

    def handle(handler, body: bytes) -> None:
        if handler.path.startswith("/soap"):
            answer = body.replace(b"getData>", b"getDataResponse>").replace(b":getData ", b":getDataResponse ")
            kind = handler.headers["content-type"]
            if b"<q>fault" in body:
                answer = their_soap(b"<q>fault", [])[0]
            reply(handler, 500 if b"<q>fault" in body else 200, [("Content-Type", kind)], answer)
        elif handler.command == "DELETE":
            reply(handler, 204, [], b"")
        elif "/e404" in handler.path:
            reply(handler, 404, [("Content-Type", "text/plain")], b"")
        elif "/empty" in handler.path:
            reply(handler, 200, [("Content-Type", "text/plain")], b"")
        else:
            reply(handler, 200, [("Content-Type", "text/plain"), ("X-Custom", "v1")], body or handler.path.encode())

    return Small((OURS, 0), handle)


SERVICE, OWN = {"to": "EE/BUSINESS/producer/sub"}, {"to": "EE/BUSINESS/consumer/sub"}


def bench(folder: Path, *, tls: bool, style: str = "chain", lane: bool = True) -> Iterator[Bench]:
    authority = Authority()
    ours, theirs = authority.authentication("node"), authority.authentication("proxytest")
    signing, their_signing = authority.signing("consumer"), authority.signing("producer")
    servers = [Server("consumer", "node", OURS, ours), Server("producer", "proxytest", THEIRS, theirs)]
    peer = Peer(authority, theirs, their_signing, servers, folder / "peer", tls)
    peer.services |= {
        "svc": Service(rest=their_rest),
        "getData": Service(soap=their_soap),
        "denied": Service(rest=their_rest, soap=their_soap, allowed=False),
        "down": Service(rest=their_rest, soap=their_soap, unreachable=True),
    }
    status = responder(authority, [ours, signing, theirs, their_signing])
    own_system = agency()
    clients, server_port, admin, ocsp = free_ports(OURS, OURS, OURS, THEIRS)
    theirs_ocsp = ocsp_port(peer, ocsp)
    url = f"http://{OURS}:{status.server_address[1]}/"
    configuration = lay_out(folder / "globalconf", shared_params(authority, url, servers))
    for name, pair in (("auth", ours), ("sign", signing)):
        pair.save(folder / "keys", name)
    behind = f"http://{OURS}:{own_system.server_address[1]}"
    config = {
        "server": "EE/BUSINESS/consumer/node",
        "listen": {
            "clients": f"{OURS}:{clients}",
            "servers": f"{OURS}:{server_port}",
            "ocsp": f"{OURS}:{ocsp}",
            "admin": f"{OURS}:{admin}",
        },
        "tls": tls,
        "peer_port": peer.port,
        "peer_ocsp_port": ocsp,
        "peers": {"EE/BUSINESS/consumer/node": {"address": f"localhost:{server_port}", "ocsp": f"{OURS}:{ocsp}"}},
        "fault_spelling": "7.7",
        "signatures": {"style": style},
        "lane": lane,
        "keys": {
            "auth": {"key": "keys/auth.key", "certificate": "keys/auth.pem"},
            "sign": [
                {"member": "EE/BUSINESS/consumer", "key": "keys/sign.key", "certificate": "keys/sign.pem"},
            ],
        },
        "configuration": {"folder": str(configuration), "poll_seconds": 1},
        "clients": ["EE/BUSINESS/consumer/sub"],
        "services": {
            "EE/BUSINESS/consumer/sub/svc": {"url": f"{behind}/base", "kind": "rest", "rights": [SERVICE, OWN]},
            "EE/BUSINESS/consumer/sub/closed": {"url": f"{behind}/base", "kind": "rest"},
            "EE/BUSINESS/consumer/sub/down": {"url": "http://127.0.0.1:9/", "kind": "rest", "rights": [SERVICE]},
            "EE/BUSINESS/consumer/sub/getData/v1": {"url": f"{behind}/soap", "kind": "wsdl", "rights": [SERVICE, OWN]},
        },
    }
    (folder / "node.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "src")}
    with (folder / "output.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "kerege", "node", "--config", str(folder / "node.yaml")],
            stdout=log,
            stderr=log,
            env=environment,
        )
    made = Bench(folder, peer, process, clients, server_port, ocsp, admin, signing, configuration)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, made.output()
            try:
                with urllib.request.urlopen(f"http://{OURS}:{admin}/health", timeout=5) as answer:
                    if json.loads(answer.read())["ok"]:
                        break
            except OSError:
                pass
            assert time.monotonic() < deadline, made.output()
            time.sleep(0.05)
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        peer.close()
        for one in (status, own_system, theirs_ocsp):
            one.end()
