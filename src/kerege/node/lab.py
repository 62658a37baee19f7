"""A TEST network on one machine, to learn on: a provider's and a consumer's node laid out, their configuration signed and served.

What a network's central services, certificate authority and OCSP responder do is done here by one small HTTP server with keys of its
own (`exchange.pki`'s TEST authority). Nothing of it is for real traffic: whoever has the folder can sign as anybody in it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from kerege.exchange.ids import MemberId, ServerId, SubsystemId
from kerege.exchange.rules import Rules
from kerege.ground.clock import now as utc_now
from kerege.node.config_types import Address
from kerege.node.errors import AddressInUse
from kerege.node.network import LaidOut, NetworkPlan, PlannedMember, PlannedServer, lay_out, publish

INSTANCE: Final = "TEST"
REGISTER: Final = SubsystemId(INSTANCE, "GOV", "1", "register")
OFFICE: Final = SubsystemId(INSTANCE, "GOV", "2", "office")
_VALID: Final = timedelta(minutes=15)
_AGAIN: Final = 300.0


def plan(port: int) -> NetworkPlan:
    """Two organisations with a node each, on the seven ports from `port` on."""
    provider, consumer = REGISTER.member, OFFICE.member
    return NetworkPlan(
        instance=INSTANCE,
        configuration_url=f"http://127.0.0.1:{port}/internalconf",
        members=(
            PlannedMember(provider, "The agency that keeps a register", (REGISTER.subsystem,)),
            PlannedMember(consumer, "The office that asks it", (OFFICE.subsystem,)),
        ),
        servers=(
            PlannedServer(_server(provider, "provider"), (REGISTER,), (), port + 1, port + 2, port + 3),
            PlannedServer(_server(consumer, "consumer"), (OFFICE,), (), port + 4, port + 5, port + 6),
        ),
        valid_for=_VALID,
        poll_seconds=30.0,
    )


def _server(owner: MemberId, code: str) -> ServerId:
    return ServerId(owner.instance, owner.member_class, owner.member_code, code)


class Lab:
    """`lay` writes what is not there yet; `serve` answers until `stop`, signing anew in time."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._plan, self._port = folder, plan(port), port
        self._files: Mapping[str, bytes] = {}
        self._ends = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def lay(self, now: datetime) -> LaidOut:
        """Keys, certificates and a node.yaml for each node; what is there already stays, an edited node.yaml too."""
        edited = {path: path.read_bytes() for path in self._folder.glob("nodes/*/node.yaml")}
        laid = lay_out(self._folder, self._plan, now)
        for path, content in edited.items():
            path.write_bytes(content)
        self._sign(now)
        return laid

    def _sign(self, now: datetime) -> None:
        done = publish(self._folder, self._plan, Rules(INSTANCE, 0), now, 1)
        self._files = {
            **{f"/internalconf/{path}": data for path, data in done.files.items()},
            "/internalconf": done.directory,
        }

    def listen(self) -> None:
        """Take the port, before anything is laid out. Raises AddressInUse."""
        lab = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = lab._files.get(self.path.partition("?")[0])
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content or b"")

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        except OSError as problem:
            address, reason = Address("127.0.0.1", self._port), problem.strerror or "refused"
            do = "Stop what listens there, or give --port another: that one and the six after it are used."
            raise AddressInUse(address=address, purpose="the lab", reason=reason, do=do) from None
        self._server.daemon_threads = True

    def serve(self) -> None:
        """Serve configuration and OCSP answers until `stop`. Raises AddressInUse where `listen` was not called and cannot."""
        if self._server is None:
            self.listen()
        server = self._server
        assert server is not None
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            while not self._ends.wait(_AGAIN):
                self._sign(utc_now())
        finally:
            server.shutdown()
            server.server_close()

    def stop(self) -> None:
        self._ends.set()
