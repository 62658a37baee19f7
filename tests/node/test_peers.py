"""Which server is reached, and over which connection, when some of a provider's servers are away or no longer trusted."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kerege.exchange.errors import PeerUnreachable, PeerUntrusted, RevocationUnknown
from kerege.exchange.globalconf import SecurityServer
from kerege.exchange.ids import ServerId
from kerege.node.conf.keeper import Picture
from kerege.node.config_types import Address
from kerege.node.http.client import Connection, NotConnected
from kerege.node.link.ends import LinkRefused
from kerege.node.peers import Peers, Reached

PICTURE = cast(Picture, object())


def server(code: str) -> SecurityServer:
    return SecurityServer(ServerId.parse(f"KG/GOV/70000002/{code}"), code, frozenset(), ())


class OneConnection:
    def __init__(self, host: str, *, used: bool = False) -> None:
        self.host, self.used, self.alive, self.closed = host, used, True, False
        self.checked: object = None
        self.certificate = b"certificate"

    def close(self) -> None:
        self.alive, self.closed = False, True


class Pool:
    """Connections by host; a host that is not there refuses."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = set(hosts)
        self.idle: dict[str, list[OneConnection]] = {}
        self.made: list[OneConnection] = []

    async def acquire(self, host: str, port: int) -> OneConnection:
        await asyncio.sleep(0)
        if self.idle.get(host):
            return self.idle[host].pop()
        if host not in self.hosts:
            raise NotConnected("refused", unanswered=True)
        self.made.append(OneConnection(host))
        return self.made[-1]

    def release(self, host: str, port: int, connection: OneConnection) -> None:
        connection.used = True
        self.idle.setdefault(host, []).append(connection)

    def close(self) -> None:
        self.idle.clear()


class Peered(Peers):
    """Peers whose trust is decided by the test."""

    def __init__(self, pool: Pool, *, dial: Any = None) -> None:
        routes = SimpleNamespace(address=lambda one: Address(one.address, 5500), ocsp_address=lambda _: None)
        revocation = SimpleNamespace(auth_answer=(b"answer",))
        super().__init__(cast(Any, pool), cast(Any, routes), cast(Any, revocation), lambda: datetime.now(UTC), dial)
        self.bad: dict[str, Exception] = {}
        self.checks = 0
        self.refuse_used = False

    async def check(self, der: bytes | None, one: SecurityServer, picture: Picture) -> None:
        self.checks += 1
        if one.address in self.bad:
            raise self.bad[one.address]
        if der == b"old":
            raise PeerUntrusted(peer=one.id, reason="its certificate is not registered")


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def host_of(reached: Reached) -> str:
    return cast(OneConnection, reached.connection).host


REVOKED = RevocationUnknown(subject="x", reason="revoked")


@pytest.mark.parametrize("preferred", [True, False])
@pytest.mark.parametrize(
    "problem", [PeerUntrusted(peer="a", reason="not registered"), REVOKED], ids=["untrusted", "revoked"]
)
@on_loop
async def test_a_server_that_is_not_trusted_leaves_the_call_to_another(preferred: bool, problem: Exception) -> None:
    peers = Peered(Pool("a", "b"))
    peers.bad["a"] = problem
    assert host_of(await peers.reach([server("a"), server("b")], PICTURE, preferred=preferred)) == "b"


@pytest.mark.parametrize("preferred", [True, False])
@on_loop
async def test_a_server_that_is_away_leaves_the_call_to_another(preferred: bool) -> None:
    peers = Peered(Pool("b"))
    assert host_of(await peers.reach([server("a"), server("b")], PICTURE, preferred=preferred)) == "b"


@pytest.mark.parametrize("preferred", [True, False])
@on_loop
async def test_when_none_can_be_reached_it_is_said_of_one_of_them(preferred: bool) -> None:
    with pytest.raises(PeerUnreachable, match="refused"):
        await Peered(Pool()).reach([server("a"), server("b")], PICTURE, preferred=preferred)


@on_loop
async def test_a_kept_connection_that_shows_an_old_certificate_gives_way_to_a_new_one() -> None:
    pool = Pool("a")
    peers = Peered(pool)
    kept = [OneConnection("a", used=True) for _ in range(3)]
    for one in kept:
        one.certificate = b"old"
    pool.idle["a"] = list(kept)
    reached = await peers.reach([server("a")], PICTURE, preferred=False)
    assert cast(OneConnection, reached.connection).certificate == b"certificate"
    assert all(one.closed for one in kept)


@on_loop
async def test_a_connection_of_before_another_key_is_not_kept() -> None:
    pool = Pool("a")
    peers = Peered(pool)
    reached = await peers.reach([server("a")], PICTURE, preferred=False)
    peers.renew()
    peers.release(reached)
    assert cast(OneConnection, reached.connection).closed
    assert pool.idle.get("a", []) == []
    again = await peers.reach([server("a")], PICTURE, preferred=False)
    peers.release(again)
    assert pool.idle["a"] == [cast(Connection, again.connection)]


class OneLink:
    def __init__(self) -> None:
        self.alive, self.checked, self.certificate, self.retired = True, None, b"certificate", False

    def retire(self) -> None:
        self.alive, self.retired = False, True

    def close(self) -> None:
        self.alive = False


@on_loop
async def test_a_link_no_longer_trusted_is_left_and_dialled_anew() -> None:
    made: list[OneLink] = []

    async def dial(_: Address) -> OneLink:
        made.append(OneLink())
        return made[-1]

    peers = Peered(Pool(), dial=dial)
    one = server("a")
    await peers.reach([one], PICTURE, preferred=False)
    assert peers.link_to(one) is not None
    made[0].certificate = b"old"
    other = cast(Picture, object())
    reached = await peers.reach([one], other, preferred=False)
    assert made[0].retired
    assert reached.link is cast(Any, made[1])


@on_loop
async def test_a_server_of_x_roads_wire_only_is_asked_for_the_link_once() -> None:
    asked = 0

    async def dial(_: Address) -> OneLink:
        nonlocal asked
        asked += 1
        raise LinkRefused

    peers = Peered(Pool("a"), dial=dial)
    for _ in range(3):
        assert host_of(await peers.reach([server("a")], PICTURE, preferred=False)) == "a"
    assert asked == 1


@on_loop
async def test_many_who_want_a_link_at_once_share_one() -> None:
    made = 0

    async def dial(_: Address) -> OneLink:
        nonlocal made
        made += 1
        await asyncio.sleep(0.01)
        return OneLink()

    peers = Peered(Pool(), dial=dial)
    found = await asyncio.gather(*(peers.reach([server("a")], PICTURE, preferred=False) for _ in range(10)))
    assert made == 1
    assert len({id(one.link) for one in found}) == 1


@on_loop
async def test_a_link_found_good_for_one_server_is_not_believed_for_another_at_the_same_address() -> None:
    made: list[OneLink] = []

    async def dial(_: Address) -> OneLink:
        made.append(OneLink())
        return made[-1]

    peers = Peered(Pool(), dial=dial)
    one = server("a")
    other = SecurityServer(ServerId.parse("KG/GOV/70000001/b"), "a", frozenset(), ())
    good = await peers.reach([one], PICTURE, preferred=False)
    peers.bad = {"a": PeerUntrusted(peer=other.id, reason="its certificate is another server's")}
    assert peers.link_to(other) is None
    with pytest.raises(PeerUntrusted):
        await peers.reach([other], PICTURE, preferred=False)
    assert not await peers.still_good(cast(Any, OneLink()), other, PICTURE)
    assert peers.link_to(one) is good.link  # nor is the link of the one left because it is not the other's
    assert await peers.still_good(cast(Any, good.link), one, PICTURE)
    assert not await peers.still_good(cast(Any, good.link), other, PICTURE)


@on_loop
async def test_one_server_reached_at_two_addresses_has_two_links() -> None:
    async def dial(_: Address) -> OneLink:
        return OneLink()

    peers = Peered(Pool(), dial=dial)
    first, moved = server("a"), SecurityServer(server("a").id, "b", frozenset(), ())
    await peers.reach([first], PICTURE, preferred=False)
    assert peers.link_to(moved) is None
    await peers.reach([moved], PICTURE, preferred=False)
    assert peers.link_to(first) is not peers.link_to(moved)


@pytest.mark.parametrize(
    ("own", "told", "step"),
    [
        ("", "it closed the connection before its greeting, or it refused this node's certificate", "whether its own"),
        (
            "this node's authentication certificate is over (since 2026-01-01T00:00:00Z)",
            "as every server does while this node's authentication certificate is over (since 2026-01-01T00:00:00Z)",
            "Mend this node's authentication certificate",
        ),
    ],
)
def test_a_connection_that_the_other_side_cut_is_not_said_to_be_its_fault_alone(own: str, told: str, step: str) -> None:
    async def dial(_: Address) -> Any:
        raise NotConnected("it closed the connection before its greeting", unanswered=True, cut=True)

    peers = Peered(Pool(), dial=dial)
    peers.own_trouble = lambda: own
    with pytest.raises(PeerUnreachable) as refused:
        asyncio.run(peers.reach([server("one")], PICTURE, preferred=True))
    assert told in refused.value.text
    assert step in refused.value.next_step


def test_a_server_that_is_not_there_is_told_as_that() -> None:
    peers = Peered(Pool())
    peers.own_trouble = lambda: "its own certificate is over"
    with pytest.raises(PeerUnreachable, match="could not be reached: refused\\. See that it runs"):
        asyncio.run(peers.reach([server("one")], PICTURE, preferred=True))
