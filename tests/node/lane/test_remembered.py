"""What the native path remembers of what was decided: of one configuration, of so many paths and no long ones; and a connection that it got
and may not use is given back."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip(
    "kerege.node.lane.clientport", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange.errors import PeerUnreachable, PeerUntrusted
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import DataServiceId, ServerId, SubsystemId
from kerege.exchange.lane import restlines
from kerege.exchange.lane.call import Call, Part, Way
from kerege.exchange.rules import empty
from kerege.node.config_types import Address
from kerege.node.lane.admitting import Admitting
from kerege.node.lane.wirecalling import Route, WireCalling
from kerege.node.message import Asked
from kerege.node.peers import Reached
from kerege.node.provider import Provider

NOW = datetime.now(UTC)
CLIENT = SubsystemId.parse("KG/GOV/70000003/admission").client
ADDRESS = Address("127.0.0.1", 5500)


class Picture(SimpleNamespace):
    """Of a configuration what is asked here; a weak reference may lead to it."""


def picture(**more: Any) -> Any:
    directory, rules = SimpleNamespace(expires=NOW + timedelta(hours=1)), empty("KG")
    return Picture(directory=directory, rules=rules, partner_ends=None, **more)


def server(code: str = "node-reg") -> SecurityServer:
    return SecurityServer(ServerId.parse(f"KG/GOV/70000002/{code}"), "10.0.0.1", frozenset(), ())


# --- of configurations that are no more ---


def left_of(count: int, use: Callable[[int, Any], None]) -> list[int]:
    """Which of so many configurations are left after each was used in its time."""

    def used(n: int) -> weakref.ref[Any]:
        made = picture(shared=SimpleNamespace(server_by_auth_hash=lambda _: server()))
        use(n, made)
        return weakref.ref(made)

    found = [used(n) for n in range(count)]
    return [n for n, one in enumerate(found) if one() is not None]


def test_whose_a_certificate_is_is_known_under_one_configuration_alone() -> None:
    core = cast(Any, SimpleNamespace(config=SimpleNamespace(peer_tls=True, replay_window_seconds=0)))
    provider = Provider(core, {})

    def use(n: int, under: Any) -> None:
        first = provider.peer(b"certificate %d" % n, "10.0.0.1", under)
        assert provider.peer(b"certificate %d" % n, "10.0.0.1", under).server is first.server

    assert left_of(5, use) == [4]
    with pytest.raises(PeerUntrusted):
        provider.peer(b"certificate 0", "10.0.0.1", picture(shared=SimpleNamespace(server_by_auth_hash=lambda _: None)))


def calling_with(kept: Reached | None = None) -> tuple[WireCalling, list[Reached], list[Exception]]:
    """With what is given back to the pool, and what clients are told. In a loop."""
    released: list[Reached] = []
    told: list[Exception] = []
    core = SimpleNamespace(
        config=SimpleNamespace(peer_tls=True, limits=SimpleNamespace(body=10**6, peer_seconds=1)),
        sealing=SimpleNamespace(together=True),
        keeper=SimpleNamespace(picture=object()),
        peers=SimpleNamespace(
            kept=lambda *_: kept,
            release=released.append,
            unreachable=lambda server, address, problem: PeerUnreachable(
                server=server, address=address, reason=problem.reason
            ),
        ),
        clock=lambda: NOW,
        milliseconds=lambda: 1,
    )
    clients = SimpleNamespace(fail=lambda _, problem: told.append(problem))
    return WireCalling(cast(Any, core), cast(Any, clients)), released, told


def test_servers_called_over_x_roads_wire_are_known_under_one_configuration_alone() -> None:
    async def run() -> None:
        calling, _, _ = calling_with()
        config, signer = cast(Any, calling._core.config), cast(Any, SimpleNamespace(style="chain"))
        service = DataServiceId.parse("KG/GOV/70000002/population/persons")
        routes: list[Route] = []

        def use(n: int, under: Any) -> None:
            one = server(f"node-{n}")
            connection = SimpleNamespace(checked=(under, one, 0.0))
            for again in range(2):
                asked = Asked("REST", CLIENT, service, None, "m", "r", "GET", "/")
                reached = Reached(one, ADDRESS, cast(Any, connection), None)
                calling.remember(asked, under, config, signer, reached, NOW + timedelta(hours=1))
                plan = calling.plans.of(CLIENT, service, under, config)
                assert plan is not None
                assert again == 0 or routes.pop() is plan.link
                routes.append(plan.link)
            routes.clear()

        assert left_of(5, use) == [4]

    asyncio.run(run())


# --- of paths ---


def call_of(path: str) -> Call:
    call = Call()
    head = "\r\nx-road-client:KG/GOV/70000003/admission\r\nx-road-id:1\r\nx-road-request-id:2\r\n"
    content = f"GET\r\n/r1/KG/GOV/70000002/population/persons{path}{head}"
    assert restlines.read_request(Part(content.encode()), call)
    return call


def test_paths_are_decided_on_each_and_remembered_up_to_a_size_and_a_number() -> None:
    asked: list[str] = []

    def decide(one: Asked, *_: object) -> SimpleNamespace:
        asked.append(one.path)
        return SimpleNamespace(allowed=not one.path.startswith("/no"), right=None)

    core = cast(Any, SimpleNamespace(rights=SimpleNamespace(decide=decide)))
    admitting = Admitting(core, cast(Any, None), cast(Any, None))
    way = Way(None, None, b"", b"")
    way.decided, way.more, under = SimpleNamespace(any_path=False), {}, picture()

    def may(path: str) -> bool:
        return admitting.may(way, call_of(path), under, NOW)

    for _ in range(2):
        assert [may("/yes"), may("/no")] == [True, False]
    assert asked == ["/yes", "/no"], "the second time it is remembered"
    for n in range(1500):
        assert may(f"/{n}")
    assert len(way.more) <= 512
    before, many = sum(map(len, way.more)), len(asked)
    for _ in range(2):
        assert may("/yes/" + "a" * 60_000)
        assert not may("/no/" + "a" * 60_000)
    assert len(asked) == many + 4, "nothing is remembered of it"
    assert sum(map(len, way.more)) == before


# --- a connection that may not be used ---


class Idle:
    """A kept connection, as far as it is used here."""

    def __init__(self, *, alive: bool) -> None:
        self.alive, self.closed = alive, False

    def close(self) -> None:
        self.alive, self.closed = False, True


def test_a_kept_connection_to_another_address_of_the_server_is_given_back() -> None:
    async def run() -> None:
        one, old, new = server(), Idle(alive=False), Idle(alive=True)
        moved = Reached(one, Address("127.0.0.1", 5501), cast(Any, new), None)
        calling, released, told = calling_with(moved)
        calls = []
        for n in (1, 2):
            call = call_of("/a")
            call.more, call.stream = Reached(one, ADDRESS, cast(Any, old), None), n
            calls.append(call)
        parcel = SimpleNamespace(calls=calls)
        calling.parcel_sealed(cast(Any, parcel), b"signature", cast(Any, SimpleNamespace(plain=True)))
        assert released == [moved, moved]
        assert not new.closed, "it is as good as before"
        assert [type(problem) for problem in told] == [PeerUnreachable] * 2
        assert all("before anything was sent" in str(problem) for problem in told)

    asyncio.run(run())
