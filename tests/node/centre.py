"""A central server for the keeper's tests: serves what it is given, version by version, and counts; and one that misbehaves."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from kerege.exchange import certs, confdir, confwrite
from kerege.exchange.globalconf import Anchor, Member, PrivateParameters, SecurityServer, SharedParameters, Subsystem
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.pki import TestAuthority


class Central:
    """One instance's central server with its authority; `publish` signs, the rest is HTTP."""

    def __init__(self, instance: str, now: datetime, versions: tuple[int, ...] = (2, 3, 4, 5, 6)) -> None:
        self.instance, self.versions = instance, versions
        self.authority = TestAuthority.create(instance, now)
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        central = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                central.asked.append(self.path)
                parts = urlsplit(self.path)
                content = central.files.get((parts.path, parse_qs(parts.query).get("version", [""])[0]))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/internalconf"

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.instance, ((self.url, self.authority.configuration.certificate),))

    @property
    def subsystem(self) -> ClientId:
        return ClientId(self.instance, "GOV", "1", "sub")

    def shared(self) -> SharedParameters:
        member = MemberId(self.instance, "GOV", "1")
        server = SecurityServer(
            ServerId(self.instance, "GOV", "1", "node"),
            "127.0.0.1",
            frozenset(certs.auth_hashes(self.authority.ca.certificate)),
            (self.subsystem,),
        )
        return SharedParameters(
            self.instance,
            (self.authority.approved("http://127.0.0.1:1/ocsp"),),
            (Member(member, "One", (Subsystem("sub"),)),),
            (server,),
            member_classes=(("GOV", "Government"),),
        )

    def publish(
        self,
        now: datetime,
        valid: timedelta = timedelta(minutes=10),
        shared: SharedParameters | None = None,
        partners: tuple[Anchor, ...] = (),
    ) -> None:
        self.files.clear()
        pair = self.authority.configuration
        for version in self.versions:
            contents = (
                (confdir.SHARED, confwrite.build_shared(shared or self.shared(), version)),
                (confdir.PRIVATE, confwrite.build_private(PrivateParameters(self.instance, anchors=partners))),
            )
            body, located = confdir.build_directory(
                contents, self.instance, now + valid, confdir.generation(now), pair.key, pair.certificate, version
            )
            self.files["/internalconf", str(version)] = body
            self.files.update({(location, ""): content for location, content in located.items()})

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Misbehaving:
    """Answers every connection by `behave`, in a thread of its own."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/internalconf"

        def one(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(9999)
                behave(connection)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(self._socket.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
