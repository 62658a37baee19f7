"""OCSP between nodes and with openssl at the other end, and new keys taken into use under way."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange import certs
from kerege.exchange.errors import RevocationUnknown
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId, ServerId, SubsystemId
from kerege.exchange.pki import KeyPair, TestAuthority, save_pair
from kerege.exchange.trust import Trust
from kerege.node import serve, tls
from kerege.node.config_types import Address, ClientSettings, KeySource, SignatureSettings
from kerege.node.contexts import Contexts
from kerege.node.errors import NodeKeyInvalid
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits
from kerege.node.keys import pairs as keys
from kerege.node.ocsp.revocation import Revocation
from kerege.node.ocsp.server import OcspServer

EDU = MemberId("KG", "GOV", "70000003")
EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
SERVER = ServerId.parse("KG/GOV/70000003/node-edu")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Node:
    """One node's keys, as `serve` holds them. The responder is `fetch`, unless a test puts a real one there."""

    folder: Path
    authority: TestAuthority
    responder: str = "http://127.0.0.1:1/ocsp"
    clients: dict[SubsystemId, ClientSettings] = field(default_factory=dict)
    real: bool = False
    refuse: bool = False

    def start(self) -> "Node":
        self.folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        save_pair(self.authority.auth_certificate(SERVER, "Education", now), self.folder, "auth")
        save_pair(self.authority.sign_certificate(EDU, "Education", "node-edu", now), self.folder, "sign")
        self.config: Any = SimpleNamespace(
            file=self.folder / "node.yaml",
            server=SERVER,
            state=self.folder / "state",
            acme=None,
            internal=None,
            auth=KeySource(key=self.folder / "auth.key", certificate=self.folder / "auth.pem"),
            sign={EDU: KeySource(key=self.folder / "sign.key", certificate=self.folder / "sign.pem")},
            signatures=SignatureSettings(),
            clients=self.clients,
            services={},
            ocsp_address=Address("127.0.0.1", free_port()),
            clients_address=Address("127.0.0.1", 1),
            clients_tls_address=None,
        )
        self.keys = keys.load_keys(self.config)
        self.revocation = Revocation(self.keys, self.config.state, lambda: datetime.now(UTC))
        if not self.real:
            self.revocation._fetch = self.fetch  # type: ignore[method-assign]
        shared = SharedParameters("KG", (self.authority.approved(self.responder),), (), (), ocsp_freshness_seconds=600)
        self.trust = Trust(shared)
        return self

    def fetch(self, trust: Trust, certificate: Any, role: str, now: datetime) -> bytes:
        if self.refuse:
            return self.authority.ocsp_response(certificate, now, now)
        return self.authority.ocsp_response(certificate, now)


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority.create("KG", datetime.now(UTC))


@pytest.fixture
def node(authority: TestAuthority, tmp_path: Path) -> Node:
    return Node(tmp_path / "one", authority).start()


async def opened(node: Node) -> Listener:
    listener = Listener(OcspServer(node.revocation.own_answers).handle, ServerLimits(4096))
    await listener.open(Address("127.0.0.1", 0))
    return listener


def test_a_node_gets_its_peers_answer_from_the_peers_own_port_without_any_responder(
    node: Node, authority: TestAuthority, tmp_path: Path
) -> None:
    other = Node(tmp_path / "two", authority, real=True).start()  # whose responder is away

    async def main() -> bytes:
        await node.revocation.refresh_own(node.trust)
        listener = await opened(node)
        try:
            der = certs.der(node.keys.auth.certificate)
            now = datetime.now(UTC)
            at = Address("127.0.0.1", listener.ports[0])
            return (await other.revocation.of_peer(other.trust, der, now, at))[1]
        finally:
            listener.close()

    assert asyncio.run(main()) == node.revocation.auth_answer[0]
    other.trust.check_auth(node.keys.auth.certificate, node.revocation.auth_answer, datetime.now(UTC))


async def shown(node: Node, server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[bytes | None, bytes | None]:
    """What client and server see of each other's certificates on a new connection."""
    seen: list[bytes | None] = []

    async def handle(request: HttpRequest) -> HttpResponse:
        seen.append(request.peer_certificate)
        return HttpResponse(200, (), b"ok")

    listener = Listener(handle, ServerLimits(1000), server)
    await listener.open(Address("127.0.0.1", 0))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0], ssl=client, server_hostname="x")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200" in await asyncio.wait_for(reader.read(1000), 5)
        found = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return found, seen[0]
    finally:
        listener.close()


async def reload(node: Node, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """As `serve` does it."""
    auth, signers = keys.newer(node.config, node.keys)
    for member, signer in signers.items():
        await node.revocation.adopt_signer(node.trust, member, signer)
    if auth is not None:
        await node.revocation.adopt_auth(node.trust, auth)
        for context in (server, client):
            tls.use_key(context, auth)


def contexts(node: Node) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    both = tls.server_context(node.keys.auth), tls.client_context(node.keys.auth)
    for one in both:
        tls.add_authorities(one, [node.authority.ca.certificate])
    return both


def test_keys_put_in_the_place_of_the_old_ones_are_taken_into_use_under_way(
    node: Node, authority: TestAuthority
) -> None:
    server, client = contexts(node)
    new_auth = authority.auth_certificate(SERVER, "Education", datetime.now(UTC))
    new_sign = authority.sign_certificate(EDU, "Education", "node-edu", datetime.now(UTC), "rsa")
    old = certs.der(node.keys.auth.certificate)

    async def main() -> None:
        await node.revocation.refresh_own(node.trust)
        assert keys.newer(node.config, node.keys) == (None, {})
        assert await shown(node, server, client) == (old, old)
        save_pair(new_auth, node.folder, "auth")
        save_pair(new_sign, node.folder, "sign")
        await reload(node, server, client)
        new = certs.der(new_auth.certificate)
        assert await shown(node, server, client) == (new, new)

    asyncio.run(main())
    assert node.keys.signers[EDU].certificate == new_sign.certificate
    assert node.keys.ready(EDU, datetime.now(UTC))
    assert len(node.revocation.own_answers()) == 4, "answers about the old keys are given to nobody any more"


def test_a_new_key_that_is_revoked_or_broken_leaves_the_old_ones_in_use(node: Node, authority: TestAuthority) -> None:
    before = node.keys.signers[EDU]

    async def main() -> None:
        await node.revocation.refresh_own(node.trust)
        save_pair(authority.sign_certificate(EDU, "Education", "node-edu", datetime.now(UTC)), node.folder, "sign")
        node.refuse = True
        with pytest.raises(RevocationUnknown, match="revoked"):
            await reload(node, *contexts(node))
        node.refuse = False
        (node.folder / "sign.pem").write_bytes(b"junk")
        with pytest.raises(NodeKeyInvalid):
            await reload(node, *contexts(node))

    asyncio.run(main())
    assert node.keys.signers[EDU] is before
    assert node.keys.ready(EDU, datetime.now(UTC))


def test_a_tls_key_of_another_kind_is_told_to_need_a_restart(node: Node, authority: TestAuthority) -> None:
    before = node.keys.auth
    save_pair(authority.auth_certificate(SERVER, "Education", datetime.now(UTC), "rsa"), node.folder, "auth")
    with pytest.raises(NodeKeyInvalid, match="restart"):
        asyncio.run(reload(node, *contexts(node)))
    assert node.keys.auth is before


def serve_by_openssl(authority: TestAuthority, folder: Path, pairs: list[KeyPair], revoked: list[KeyPair]) -> Any:
    """`openssl ocsp` as the responder: a process and its address."""
    save_pair(authority.ca, folder, "ca")
    save_pair(authority.responder, folder, "ocsp")
    ends = (datetime.now(UTC) + timedelta(days=300)).strftime("%y%m%d%H%M%SZ")
    lines = []
    for pair in (*pairs, *revoked):
        when = datetime.now(UTC).strftime("%y%m%d%H%M%SZ") if pair in revoked else ""
        serial = f"{pair.certificate.serial_number:X}"
        serial = serial if len(serial) % 2 == 0 else f"0{serial}"
        lines.append(f"{'R' if pair in revoked else 'V'}\t{ends}\t{when}\t{serial}\tunknown\t/CN=x\n")
    (folder / "index.txt").write_text("".join(lines))
    port = free_port()
    command = [
        "openssl",
        "ocsp",
        "-index",
        "index.txt",
        "-port",
        str(port),
        "-rsigner",
        "ocsp.pem",
        "-rkey",
        "ocsp.key",
    ]
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [*command, "-CA", "ca.pem", "-nmin", "30", "-rmd", "sha256"], cwd=folder, stdout=out, stderr=out
        )
    for _ in range(100):  # a knock without a question would hold it
        if b"waiting" in said.read_bytes():
            break
        time.sleep(0.05)
    return process, f"http://127.0.0.1:{port}/"


def test_a_real_responder_is_understood_and_its_no_as_well(authority: TestAuthority, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("not there: openssl")
    now = datetime.now(UTC)
    good, revoked, unknown = (authority.auth_certificate(SERVER, "Education", now) for _ in range(3))
    folder = tmp_path / "responder"
    folder.mkdir()
    process, url = serve_by_openssl(authority, folder, [good], [revoked])
    try:
        node = Node(tmp_path / "node", authority, responder=url, real=True).start()

        def ask(pair: KeyPair) -> bytes:
            moment = datetime.now(UTC)
            return asyncio.run(node.revocation.of_peer(node.trust, certs.der(pair.certificate), moment))[1]

        node.trust.check_auth(good.certificate, (ask(good),), datetime.now(UTC) + timedelta(seconds=1))
        with pytest.raises(RevocationUnknown, match="revoked"):
            ask(revoked)
        with pytest.raises(RevocationUnknown, match="does not know"):
            ask(unknown)
    finally:
        process.terminate()
        process.wait(10)


def test_openssl_accepts_the_answers_a_node_hands_out(node: Node, authority: TestAuthority, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("not there: openssl")
    asyncio.run(node.revocation.refresh_own(node.trust))
    save_pair(authority.ca, tmp_path, "ca")
    (tmp_path / "answer.der").write_bytes(node.revocation.auth_answer[0])
    command = ["openssl", "ocsp", "-issuer", "ca.pem", "-cert", str(node.folder / "auth.pem"), "-respin", "answer.der"]
    done = subprocess.run([*command, "-CAfile", "ca.pem"], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert "Response verify OK" in done.stderr
    assert "auth.pem: good" in done.stdout


def test_a_new_key_that_cannot_be_shown_leaves_the_old_one_and_the_answers_about_it(
    node: Node, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key passes through a file on its way to the TLS library: a full disk must not part what is shown from what is said of it."""
    server, client = contexts(node)
    running: Any = object.__new__(serve.Node)
    core = SimpleNamespace(
        keys=node.keys,
        revocation=node.revocation,
        keeper=SimpleNamespace(picture=SimpleNamespace(trust=node.trust)),
        peers=SimpleNamespace(renew=lambda: None),
    )
    held = Contexts(server, client, tls.client_context(node.keys.auth))
    running.parts = SimpleNamespace(core=core, contexts=held)
    old, made = certs.der(node.keys.auth.certificate), [0]
    new_auth = authority.auth_certificate(SERVER, "Education", datetime.now(UTC))

    def full(*_: object, **__: object) -> Any:
        made[0] += 1
        raise OSError(28, "No space left on device")

    async def main() -> None:
        await node.revocation.refresh_own(node.trust)
        with monkeypatch.context() as patched:
            patched.setattr(tls.tempfile, "TemporaryDirectory", full)
            with pytest.raises(OSError, match="No space"):
                await running._use_auth(new_auth)
        assert made == [1]
        assert await shown(node, server, client) == (old, old)
        assert certs.der(node.keys.auth.certificate) == old
        node.trust.check_auth(certs.load(old), node.revocation.auth_answer, datetime.now(UTC))
        await running._use_auth(new_auth)
        new = certs.der(new_auth.certificate)
        assert await shown(node, server, client) == (new, new)
        node.trust.check_auth(new_auth.certificate, node.revocation.auth_answer, datetime.now(UTC))

    asyncio.run(main())
