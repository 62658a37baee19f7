"""The answering end of a link, with a provider that decides as the test says: what requests hold in memory is given back."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import AccessDenied, LinkMalformed, LogFailed, PeerUntrusted
from kerege.exchange.faults import Fault
from kerege.node.config_types import LimitSettings
from kerege.node.core import utc_now
from kerege.node.link.bodies import Room
from kerege.node.link.server import LinkServer
from kerege.node.message import Message

SIZE = 1000
ANSWER = Message(multipart.REST_RESPONSE, b"HTTP/1.1 200 OK")


class Node:
    """A link server and what it needs around it."""

    def __init__(self, folder: Path, *, bodies: int = 10**6) -> None:
        self.room, self.answers, self.refused = Room(), list[Callable[..., None]](), list[Exception]()
        self.denied, self.log_fails = False, False
        picture = SimpleNamespace(trust=SimpleNamespace(check_group=lambda *_: None))
        exchange = SimpleNamespace()
        core = SimpleNamespace(
            config=SimpleNamespace(server="KG/GOV/70000002/node-reg", limits=LimitSettings(folder, bodies=bodies, memory=SIZE)),
            lane=None, requests_room=self.room, clock=utc_now, keeper=SimpleNamespace(current=lambda _: picture),
            recorder=SimpleNamespace(received=lambda *_: None), log=SimpleNamespace(append_many=self.append),
            monitor=SimpleNamespace(note=lambda _: None), milliseconds=lambda: 0, fault=self.fault,
            sealing=SimpleNamespace(submit=lambda item: self.link.failed([item], LogFailed(reason="x"))),
        )  # fmt: skip
        provider = SimpleNamespace(
            peer=lambda *_: None, check_peer=lambda *_: None, new_exchange=lambda *_: exchange,
            accept=self.accept, check_first_time=lambda _: None, begin=self.begin,
        )  # fmt: skip
        self.link: Any = LinkServer(core, provider, lambda _: None)  # type: ignore[arg-type]

    async def append(self, _: object) -> None:
        if self.log_fails:
            raise LogFailed(reason="x")

    def fault(self, problem: Exception, *_: object) -> Any:
        self.refused.append(problem)
        return Fault("a", "b", "c")

    def accept(self, *_: object) -> Any:
        if self.denied:
            raise AccessDenied(client="c", service="s", reason="r")
        client = SimpleNamespace(member="m")
        return SimpleNamespace(asked=SimpleNamespace(client=client), signer=None)

    def begin(self, _: object, done: Callable[..., None], __: object) -> bool:
        self.answers.append(done)
        return True

    async def take(self, *streams: int) -> None:
        body = (Attachment((), bytes(SIZE - 3)),)
        messages = [lm.LinkMessage(n, multipart.REST_REQUEST, b"GET", body, leaf=at) for at, n in enumerate(streams)]
        self.link.take(lm.Group(b"<s/>", tuple(messages), len(messages), b"", chained=True), messages)
        await asyncio.sleep(0.01)


def test_requests_count_while_they_are_under_way_and_no_longer(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(tmp_path, bodies=2 * SIZE)
        await node.take(1, 2, 3)
        assert (node.room.held, len(node.answers), len(node.refused)) == (2 * SIZE, 2, 1)  # no room for the third
        node.answers[0](ANSWER)
        assert node.room.held == SIZE
        await node.take(4)
        assert node.room.held == 2 * SIZE
        for done in node.answers[1:]:
            done(ANSWER)
        assert node.room.held == 0

    asyncio.run(run())


@pytest.mark.parametrize("how", ["denied", "log_fails"])
def test_what_is_refused_holds_nothing(tmp_path: Path, how: str) -> None:
    async def run() -> None:
        node = Node(tmp_path)
        setattr(node, how, True)
        await node.take(1, 2)
        assert (node.room.held, len(node.refused), node.answers) == (0, 2, [])

    asyncio.run(run())


def test_a_frame_that_ends_the_link_holds_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        node = Node(tmp_path)
        with pytest.raises(LinkMalformed):
            await node.take(1, 1)
        assert (node.room.held, node.answers) == (0, [])

    asyncio.run(run())


def test_a_server_has_one_part_of_the_room_with_all_its_certificates_and_strangers_have_one_together() -> None:
    """Else whoever is given many certificates has as many parts, registered or not."""
    registered = {b"old": "KG/GOV/1/a", b"new": "KG/GOV/1/a", b"other": "KG/GOV/2/b"}

    def peer(certificate: bytes | None, address: str, _: object) -> Any:
        if address == "without TLS":
            return SimpleNamespace(server=None)
        if certificate not in registered:
            raise PeerUntrusted(peer=address, reason="its authentication certificate is not registered")
        return SimpleNamespace(server=SimpleNamespace(id=registered[certificate]))

    def part(certificate: bytes | None, address: str = "192.0.2.1", picture: object = "one") -> object:
        link: Any = object.__new__(LinkServer)
        link._core, link._provider = (
            SimpleNamespace(keeper=SimpleNamespace(picture=picture)),
            SimpleNamespace(peer=peer),
        )
        link.certificate, link.peer_address = certificate, address
        return link.whose()

    assert part(b"old") == part(b"new") == "KG/GOV/1/a"
    assert part(b"other") == "KG/GOV/2/b"
    assert part(b"x") == part(b"y", "192.0.2.2") == part(b"old", picture=None) == ""
    assert part(None, "without TLS") == "without TLS"
