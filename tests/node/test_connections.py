"""Information systems: which connection each client must come over, certificates pinned by their bytes, both ways."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange import faults
from kerege.exchange.certs import der
from kerege.exchange.errors import ClientConnectionRefused
from kerege.exchange.ids import DataServiceId, ServerId, SubsystemId
from kerege.exchange.pki import KeyPair, TestAuthority, save_pair
from kerege.node import tls
from kerege.node.config_types import Address, ClientSettings, KeySource, Service
from kerege.node.connections import Connections, Rule, check_connection, self_signed
from kerege.node.errors import NodeKeyInvalid
from kerege.node.http.client import NotConnected, Pool
from kerege.node.http.listener import Listener
from kerege.node.http.messages import HttpRequest, HttpResponse, ServerLimits

NOW = datetime.now(UTC).replace(microsecond=0)
EMIS = SubsystemId.parse("KG/GOV/70000003/emis")
PERSONS = DataServiceId.parse("KG/GOV/70000002/population/persons")
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def asked(*, secure: bool, certificate: bytes | None = None) -> HttpRequest:
    request = HttpRequest("GET", "/r1", (), b"", certificate, "127.0.0.1")
    request.secure = secure
    return request


@pytest.mark.parametrize(
    ("connection", "secure", "shown", "refused"),
    [
        ("http", False, None, None),
        ("http", True, b"any", None),
        ("https", False, None, "plain HTTP"),
        ("https", True, None, None),
        ("https", True, b"any", None),
        ("https-certificate", False, b"own", "plain HTTP"),
        ("https-certificate", True, None, "no client certificate"),
        ("https-certificate", True, b"own", None),
        ("https-certificate", True, b"owN", "not one of this client's"),
    ],
)
def test_a_client_comes_over_its_own_connection_type_or_not_at_all(
    connection: str, secure: bool, shown: bytes | None, refused: str | None
) -> None:
    rule = Rule(connection, frozenset({b"own", b"older"}))
    if refused is None:
        check_connection(rule, asked(secure=secure, certificate=shown), EMIS)
        return
    with pytest.raises(ClientConnectionRefused, match=refused) as told:
        check_connection(rule, asked(secure=secure, certificate=shown), EMIS)
    fault = faults.fault_of(told.value, faults.CLIENT_PROXY)
    assert (fault.code, fault.http_status) == ("client.ssl_authentication_failed", 400)
    old = faults.fault_of(told.value, faults.CLIENT_PROXY, faults.Spelling.CAMEL)
    assert old.code == "Client.SslAuthenticationFailed"


@dataclass
class Bench:
    """A configuration, as far as connections look at it."""

    folder: Path
    clients: dict[SubsystemId, ClientSettings] = field(default_factory=dict)
    services: dict[DataServiceId, Service] = field(default_factory=dict)
    internal: KeySource | None = None

    def load(self, now: datetime = NOW) -> Connections:
        config = SimpleNamespace(
            server=ServerId.parse("KG/GOV/70000003/node-edu"),
            clients=self.clients,
            members={},
            services=self.services,
            internal=self.internal,
            state=self.folder / "state",
            clients_address=Address("127.0.0.1", 1),
            clients_tls_address=None,
        )
        return Connections.load(config, now)  # type: ignore[arg-type]

    def pem(self, name: str, pair: KeyPair) -> Path:
        save_pair(pair, self.folder, name)
        return self.folder / f"{name}.pem"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param  # type: ignore[no-any-return]


def system(pair: KeyPair | None) -> ssl.SSLContext:
    """An information system's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        tls.use_key(context, pair)
    return context


async def call(context: ssl.SSLContext, server: ssl.SSLContext) -> HttpRequest:
    """One request over TLS to a listener: what the node sees of it. Raises what the handshake raises."""
    seen: list[HttpRequest] = []

    async def handle(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse(200, (), b"ok")

    listener = Listener(handle, ServerLimits(1000), server)
    await listener.open(Address("127.0.0.1", 0))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0], ssl=context, server_hostname="x")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"200" in await asyncio.wait_for(reader.read(1000), 5)
        writer.close()
    finally:
        listener.close()
    return seen[0]


def test_a_listed_certificate_of_any_making_is_seen_and_believed(bench: Bench, run: Run) -> None:
    now = datetime.now(UTC)
    own = self_signed("emis", ["localhost"], now)
    of_an_authority = TestAuthority.create("XX", now).auth_certificate(ServerId.parse("KG/GOV/1/is"), "IS", now)
    files = (bench.pem("own", own), bench.pem("issued", of_an_authority))
    bench.clients[EMIS] = ClientSettings("https-certificate", files)
    connections = bench.load(now)
    for pair in (own, of_an_authority):
        request = run(call(system(pair), connections.clients_context()))
        assert request.secure
        assert request.peer_certificate == der(pair.certificate)
        connections.check(EMIS, request)


def test_a_certificate_that_is_not_listed_ends_the_handshake_and_none_at_all_does_not(
    bench: Bench, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    own, stranger = self_signed("emis", ["localhost"], now), self_signed("emis", ["localhost"], now)
    bench.clients[EMIS] = ClientSettings("https-certificate", (bench.pem("own", own),))
    connections = bench.load(now)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        run(call(system(stranger), connections.clients_context()))
    (line,) = [one.getMessage() for one in caplog.records if one.name == "kerege.node.listener"]
    assert "a TLS certificate shown by 127.0.0.1 is not accepted" in line
    request = run(call(system(None), connections.clients_context()))
    assert request.peer_certificate is None
    with pytest.raises(ClientConnectionRefused, match="no client certificate"):
        connections.check(EMIS, request)


def test_an_expired_certificate_ends_the_handshake_although_it_is_listed(bench: Bench, run: Run) -> None:
    old = self_signed("emis", ["localhost"], datetime.now(UTC) - timedelta(days=4000))
    bench.clients[EMIS] = ClientSettings("https-certificate", (bench.pem("old", old),))
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        run(call(system(old), bench.load().clients_context()))


def test_a_listed_authority_vouches_for_nobody(bench: Bench, run: Run) -> None:
    """A certificate of a listed authority gets through the handshake, and is not the client's."""
    now = datetime.now(UTC)
    authority = TestAuthority.create("XX", now)
    issued = authority.auth_certificate(ServerId.parse("KG/GOV/1/is"), "IS", now)
    bench.clients[EMIS] = ClientSettings("https-certificate", (bench.pem("ca", authority.ca),))
    connections = bench.load(now)
    request = run(call(system(issued), connections.clients_context()))
    with pytest.raises(ClientConnectionRefused, match="not one of"):
        connections.check(EMIS, request)


def test_a_client_of_certificates_without_any_is_a_mistake_in_the_configuration(bench: Bench) -> None:
    bench.clients[EMIS] = ClientSettings("https-certificate", ())
    with pytest.raises(NodeKeyInvalid, match="lists no certificates"):
        bench.load()


def test_the_internal_certificate_is_made_once_kept_and_replaced_when_over(bench: Bench) -> None:
    first = bench.load().internal.certificate
    assert bench.load().internal.certificate == first
    later = bench.load(NOW + timedelta(days=5 * 365 + 1)).internal.certificate
    assert later != first
    key = next((bench.folder / "state/keys/internal").glob("*.key"))
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_configured_internal_certificate_is_the_one_shown(bench: Bench, run: Run) -> None:
    pair = self_signed("own", ["localhost"], NOW)
    bench.pem("internal", pair)
    bench.internal = KeySource(key=bench.folder / "internal.key", certificate=bench.folder / "internal.pem")
    context = system(None)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pair.certificate.public_bytes(Encoding.PEM).decode())
    assert run(call(context, bench.load().clients_context())).secure


async def agency(pair: KeyPair, context: ssl.SSLContext) -> tuple[bytes | None, bytes | None]:
    """The node calls an agency's HTTPS system: the certificates each saw of the other. Raises NotConnected."""
    server = tls.modern(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    tls.use_key(server, pair)
    seen: list[bytes | None] = []

    async def handle(request: HttpRequest) -> HttpResponse:
        seen.append(request.peer_certificate)
        return HttpResponse(200, (), b"ok")

    listener = Listener(handle, ServerLimits(1000), server)
    await listener.open(Address("127.0.0.1", 0))
    pool = Pool(1000, 5.0)
    try:
        connection = await pool.acquire("127.0.0.1", listener.ports[0], context)
        answer = await connection.exchange([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], head=False, timeout=5.0)
        assert answer.status == 200
        return connection.certificate, seen[0]
    finally:
        pool.close()
        listener.close()


def test_behind_a_service_with_listed_certificates_only_they_are_believed(bench: Bench, run: Run) -> None:
    now = datetime.now(UTC)
    authority = TestAuthority.create("XX", now)
    listed = authority.auth_certificate(ServerId.parse("KG/GOV/1/is"), "IS", now)
    other = authority.auth_certificate(ServerId.parse("KG/GOV/1/is"), "IS", now)
    pins = (bench.pem("listed", listed), bench.pem("ca", authority.ca))
    service = Service(PERSONS, "https://127.0.0.1/api", 5.0, certificates=pins)
    bench.services[PERSONS] = service
    connections = bench.load(now)
    shown, _ = run(agency(listed, connections.service_context(service)))
    assert shown == der(listed.certificate)
    with pytest.raises(NotConnected):  # although a listed authority issued it
        run(agency(other, connections.service_context(service)))
    with pytest.raises(NotConnected):
        run(agency(self_signed("is", ["localhost"], now), connections.service_context(service)))


def test_a_service_without_listed_certificates_is_held_to_the_systems_authorities(bench: Bench, run: Run) -> None:
    service = Service(PERSONS, "https://127.0.0.1/api", 5.0)
    with pytest.raises(NotConnected):
        run(agency(self_signed("is", ["127.0.0.1"], datetime.now(UTC)), bench.load().service_context(service)))
