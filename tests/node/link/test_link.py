"""What both ends of a Kerege link share: messages put on it and taken off it, and what there is room for."""

import asyncio
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import LinkMalformed, MessageTooLarge
from kerege.exchange.soap_errors import ContentTypeInvalid, MimeMalformed
from kerege.ground.errors import KeregeError
from kerege.node.config_types import LimitSettings
from kerege.node.link import bodies as link_bodies
from kerege.node.link import ends as link
from kerege.node.link.bodies import INLINE, Room
from kerege.node.link.ends import LinkProtocol
from kerege.node.link.letters import incoming, outgoing
from kerege.node.link.pace import Pace
from kerege.node.message import Extras, Message

TYPE = (b"content-type", b"text/xml; charset=UTF-8")


def test_a_soap_message_comes_off_the_link_as_it_was_put_on_it() -> None:
    message = Message(multipart.SOAP, b"<x/>", headers=(TYPE, (b"content-id", b"<root>")))
    extras = Extras("multipart/related; boundary=b", '"urn:a"', "r-1")
    put, large = outgoing(3, message, extras, 0)
    came, beside = incoming(put)
    assert (large, came.content, came.headers, beside) == ([], message.content, message.headers, extras)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (b"part-content-transfer-encoding", b"quoted-printable", MimeMalformed),
        (b"part-Content-Transfer-Encoding", b"base64", MimeMalformed),
        (b"part-content-type", b"multipart/mixed; boundary=x", ContentTypeInvalid),
        (b"part-content-id", b"<a>\r\ncontent-transfer-encoding: base64", MimeMalformed),
    ],
)
def test_a_node_cannot_say_that_the_envelope_is_read_otherwise(name: bytes, value: bytes, error: type) -> None:
    with pytest.raises(error):
        incoming(lm.LinkMessage(1, multipart.SOAP, b"<x/>", (), ((name, value),)))


def test_headers_of_the_part_that_mean_nothing_go_no_further() -> None:
    headers = ((b"part-x-own", b"1"), (b"part-" + TYPE[0], TYPE[1]), (b"unknown", b"2"))
    assert incoming(lm.LinkMessage(1, multipart.SOAP, b"<x/>", (), headers))[0].headers == (TYPE,)
    assert incoming(lm.LinkMessage(1, multipart.REST_REQUEST, b"GET", (), headers))[0].headers == ()


# --- what there is room for ---


class Transport:
    def __init__(self, address: str = "") -> None:
        self.aborted, self.paused, self._address = False, False, address

    def get_extra_info(self, what: str) -> tuple[str, int] | None:
        return (self._address, 5500) if what == "peername" else None

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def write(self, _: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


class End(LinkProtocol):
    """Collects what came whole and what was refused."""

    def __init__(self, limits: LimitSettings, room: Room | None = None, address: str = "") -> None:
        super().__init__("KG/GOV/70000002/node-reg", limits, room)
        self.taken: list[int] = []
        self.refused: dict[int, KeregeError] = {}
        self.connection_made(Transport(address))  # type: ignore[arg-type]
        self.data_received(lf.encode(lm.Hello("KG/GOV/70000003/node-edu")))

    def take(self, group: lm.Group, messages: list[lm.LinkMessage]) -> None:
        self.taken += [message.stream for message in messages]

    def refuse(self, stream: int, problem: KeregeError) -> None:
        self.refused[stream] = problem

    def fault(self, frame: lm.FaultFrame) -> None:
        raise AssertionError("no fault is sent in these tests")

    def came(self, *messages: lm.LinkMessage) -> None:
        group = lm.Group(b"<s/>", messages, len(messages), b"", chained=True)
        for data in lf.encode_messages([group]):
            self.data_received(data)


def message(stream: int, *sizes: int, content: bytes = b"GET", leaf: int = 0) -> lm.LinkMessage:
    bodies = tuple(Attachment((), bytes(size)) for size in sizes)
    return lm.LinkMessage(stream, multipart.REST_REQUEST, content, bodies, leaf=leaf)


def test_a_body_that_should_have_been_announced_is_refused_alone(tmp_path: Path) -> None:
    async def run() -> None:
        end = End(LimitSettings(tmp_path))
        end.came(message(1, INLINE), message(2, INLINE + 1, leaf=1), message(3, leaf=2))
        assert (end.taken, list(end.refused), end.open) == ([1, 3], [2], True)
        assert isinstance(end.refused[2], MessageTooLarge)

    asyncio.run(run())


def test_what_is_beyond_the_limit_of_bodies_is_refused_however_it_comes(tmp_path: Path) -> None:
    async def run() -> None:
        end = End(LimitSettings(tmp_path, body=1000, bodies=1000))
        end.came(message(1, 1000), message(2, 1001, leaf=1), message(3, 500, 501, leaf=2))
        end.came(message(4, content=bytes(1001)))
        digest = Attachment((), b"").sha512
        parts = (Attachment((), bytes(600)), lm.Announced((), 401, digest))
        end.came(lm.LinkMessage(5, multipart.REST_REQUEST, b"GET", parts))
        assert (end.taken, sorted(end.refused)) == ([1], [2, 3, 4, 5])
        assert all(isinstance(problem, MessageTooLarge) for problem in end.refused.values())

    asyncio.run(run())


def test_links_share_the_room_for_bodies_on_their_way(tmp_path: Path) -> None:
    async def run() -> None:
        limits, room = LimitSettings(tmp_path, body=100_000, bodies=100_000, memory=100_000), Room()
        first, second = End(limits, room), End(limits, room)

        def announced(stream: int) -> lm.LinkMessage:
            return lm.LinkMessage(stream, multipart.REST_REQUEST, b"GET", (lm.Announced((), 90_000, b"x" * 64),))

        for end in (first, second):
            end.came(*(announced(stream) for stream in (1,)))
        kept = room.held // 2
        assert 0 < kept < 5_000
        piece = lf.encode(lm.BodyData(1, 1, bytes(60_000), False))
        first.data_received(piece)
        assert room.held == 60_000 + 2 * kept
        second.data_received(piece)  # in memory, both would be more than limits.bodies
        assert list(second.refused) == [1]
        assert (room.held, room.announced) == (60_000 + kept, 90_000)
        first.close()
        first.connection_lost(None)
        assert (room.held, room.announced) == (0, 0)
        for stream in range(2, 6):
            second.came(announced(stream))
        assert (room.announced, list(second.refused)) == (270_000, [1, 5])
        third = End(limits, room)  # of the same server
        third.came(announced(1))
        assert isinstance(third.refused[1], MessageTooLarge)
        another = End(limits, room, "192.0.2.2")
        another.came(announced(1))
        assert (room.announced, another.refused) == (360_000, {})

    asyncio.run(run())


def filled(take: Callable[[int, LimitSettings], None], limits: LimitSettings) -> int:
    """How much was taken until no more was given."""
    for taken in range(0, 10**6, 500):
        try:
            take(500, limits)
        except MessageTooLarge:
            return taken
    raise AssertionError("there is no end to it")


def test_a_server_that_fills_its_part_keeps_nobody_out(tmp_path: Path) -> None:
    limits, room = LimitSettings(tmp_path, body=1000, bodies=100_000, memory=1000), Room()
    greedy, modest = room.of("greedy"), room.of("modest")
    for take in (greedy.take, greedy.expect):
        filled(take, limits)
    assert (greedy.held, greedy.announced) == (75_000, 300_000)
    for take in (Room.take, Room.expect):
        for _ in range(37):
            take(modest, 500, limits)
        with pytest.raises(MessageTooLarge):
            take(greedy, 1, limits)
    assert (room.held, room.announced) == (75_000 + 37 * 500, 300_000 + 37 * 500)
    greedy.give_back(75_000)
    greedy.came(300_000)
    modest.give_back(37 * 500)
    modest.came(37 * 500)
    assert (room.held, room.announced, greedy.held, modest.announced) == (0, 0, 0, 0)
    assert room.of("greedy") is greedy
    del greedy
    assert room.of("greedy").held == 0


def test_whoever_comes_when_little_is_left_has_a_body_as_long_as_there_is_room(tmp_path: Path) -> None:
    limits, room = LimitSettings(tmp_path, body=1000, bodies=4000, memory=1000), Room()
    parts = [room.of(n) for n in range(5)]
    for part, most in zip(parts, (3000, 1000, 0, 0, 0), strict=True):
        assert filled(part.take, limits) == most
    parts[0].take(-500, limits)  # what went to disk
    parts[4].take(500, limits)
    assert room.held == 4000


# --- whose turn it is ---


@pytest.mark.parametrize("ends", ["in time", "lost", "closed", "malformed"])
def test_what_takes_long_is_done_a_part_at_a_time_and_others_have_theirs(
    tmp_path: Path, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One link's messages must not keep the loop from everybody else's: a server that is refused all of them can send ten thousand a second."""
    monkeypatch.setattr(link, "_TURN_SECONDS", -1.0)

    async def run() -> None:
        end = End(LimitSettings(tmp_path))
        transport = cast(Transport, end._transport)
        groups = [lm.Group(b"<s/>", (message(n),), 1, b"", chained=True) for n in range(1, 6)]
        if ends == "malformed":
            take = end.take

            def raises(group: lm.Group, messages: list[lm.LinkMessage]) -> None:
                if messages[0].stream == 3:
                    raise LinkMalformed(where="messages", reason="x")
                take(group, messages)

            end.take = raises  # type: ignore[method-assign]
        (data,) = lf.encode_messages(groups)
        end.data_received(data)
        assert (end.taken, transport.paused) == ([1], True), "one a turn"
        end.data_received(lf.encode_messages([lm.Group(b"<s/>", (message(6),), 1, b"", chained=True)])[0])
        assert end.taken == [1], "what came later waits"
        await asyncio.sleep(0)
        assert end.taken == [1, 2]
        if ends == "lost":
            end.connection_lost(None)
        if ends == "closed":
            end.close()
        for _ in range(10):
            await asyncio.sleep(0)
        wanted = {"in time": 6, "lost": 6, "closed": 2, "malformed": 2}[ends]
        assert end.taken == list(range(1, wanted + 1))
        assert (transport.paused, transport.aborted) == (ends != "in time", ends in {"closed", "malformed"})

    asyncio.run(run())


@pytest.mark.parametrize("ends", ["in time", "lost", "closed"])
def test_many_messages_of_one_signature_are_taken_a_part_at_a_time_too(
    tmp_path: Path, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_TURN_SECONDS", -1.0)

    async def run() -> None:
        end = End(LimitSettings(tmp_path))
        group = lm.Group(b"<s/>", tuple(message(n, leaf=n - 1) for n in range(1, 151)), 150, b"", chained=True)
        for data in lf.encode_messages([group]):
            end.data_received(data)
        assert len(end.taken) == 64
        if ends == "lost":
            end.connection_lost(None)
        if ends == "closed":
            end.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert end.taken == list(range(1, 65 if ends == "closed" else 151))

    asyncio.run(run())


# --- who is waited for ---


def test_calls_that_take_long_are_not_among_those_that_others_wait_for() -> None:
    pace, calls = Pace(), dict.fromkeys(range(1, 9))
    assert pace.quick({}, 0.0) == 0
    assert pace.quick(calls, 1.0) == 8, "nothing is known of them yet"
    calls |= dict.fromkeys((9, 10))
    assert pace.quick(calls, 1.05) == 10
    assert pace.quick(calls, 1.2) == 2, "the eight of the span before are still there"
    del calls[1]
    assert pace.quick(calls, 1.21) == 1, "counted once for each span"
    assert pace.quick({11: None}, 1.22) == 0
    assert pace.quick(dict.fromkeys((9, 10, 11)), 1.4) == 1
    assert pace.quick({12: None}, 1.6) == 1
    assert pace.quick({}, 1.8) == 0


def test_what_came_of_a_large_frame_counts_until_it_is_whole_and_must_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(link_bodies, "_FRAME", 500_000)
        limits, room = LimitSettings(tmp_path, body=10**6, bodies=10**6, memory=10**5), Room()
        first, second = End(limits, room, "192.0.2.1"), End(limits, room, "192.0.2.2")
        frame = lf.encode(lm.FaultFrame(1, bytes(700_000)))
        first.fault = lambda _: None  # type: ignore[method-assign]
        first.data_received(frame[:60_000])
        assert room.held == 0, "as little as every connection may have"
        first.data_received(frame[60_000:600_000])
        assert (room.held, first.open) == (600_000, True)
        second.data_received(frame[:600_000])
        assert (room.held, second.open) == (600_000, False), "there is no room for it"
        first.data_received(frame[600_000:])
        assert (room.held, first.open, first._late) == (0, True, None)
        monkeypatch.setattr(link, "PATIENCE", 0.01)
        third = End(limits, room, "192.0.2.3")
        third.data_received(frame[:100_000])
        assert room.held == 100_000
        second.connection_lost(None)
        assert room.held == 100_000, "what was refused was not taken"
        await asyncio.sleep(0.05)
        assert not third.open
        third.connection_lost(None)
        assert room.held == 0

    asyncio.run(run())


def test_a_server_whose_part_is_full_is_read_on_and_refused_message_by_message(tmp_path: Path) -> None:
    """Many calls wait for a slow agency: the next frame must not end the link with all of them, whatever pieces it comes in."""

    async def run() -> None:
        limits, room = LimitSettings(tmp_path, body=10**6, bodies=10**6, memory=10**5), Room()
        end = End(limits, room, "192.0.2.1")
        under_way = filled(end._room.take, limits)
        group = lm.Group(b"<s/>", (message(1, 60_000), message(2, 60_000, leaf=1)), 2, b"", chained=True)
        (frame,) = lf.encode_messages([group])
        end.data_received(frame[:100_000])
        assert (end.open, room.held) == (True, under_way + 100_000)
        end.data_received(frame[100_000:])
        assert (end.open, end.taken, room.held) == (True, [1, 2], under_way)
        with pytest.raises(MessageTooLarge):
            end._room.take(500, limits)
        another = End(limits, room, "192.0.2.1")
        large = lf.encode(lm.FaultFrame(1, bytes(link_bodies._FRAME - 100)))
        end.data_received(large[:-100_000])
        assert end.open
        another.data_received(large[:200_000])
        assert (end.open, another.open) == (True, False), "one frame of all its links together"
        for one in (end, another):
            one.connection_lost(None)
        assert room.held == under_way

    asyncio.run(run())


def test_a_frame_in_very_small_pieces_takes_no_more_memory_than_it_has_bytes() -> None:
    decoder, frame = lf.Decoder(), lf.encode(lm.FaultFrame(1, bytes(200_000)))
    tracemalloc.start()
    try:
        for at in range(0, len(frame) - 2, 2):
            assert decoder.feed(frame[at : at + 2]) == []
        assert tracemalloc.get_traced_memory()[0] < 400_000
    finally:
        tracemalloc.stop()
    assert len(frame) - 2 <= decoder.kept < len(frame)
    (found,) = decoder.feed(frame[decoder.kept :])
    assert found == lm.FaultFrame(1, bytes(200_000))
