"""Large bodies on a link: the pace they must keep, and what is given back when they do not."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart
from kerege.exchange.bodies import Attachment, Spool
from kerege.exchange.errors import LinkMalformed, MessageMalformed, MessageTooLarge
from kerege.ground.errors import KeregeError
from kerege.node.config_types import LimitSettings
from kerege.node.link import bodies as link_bodies
from kerege.node.link.bodies import CREDIT, MOST, Arrivals, Departures, kept_of

DATA = bytes(range(256)) * 1024


class Ends:
    """What a link would do with what `Arrivals` says."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.written: list[lm.Frame] = []
        self.whole: list[lm.LinkMessage] = []
        self.refused: list[tuple[int, KeregeError]] = []
        self.moved: list[int] = []
        self.decoder = lf.Decoder()
        self.arrivals = Arrivals(
            LimitSettings(folder, **limits),  # type: ignore[arg-type]
            lambda data: self.written.extend(self.decoder.feed(data)),
            lambda _, message: self.whole.append(message),
            lambda stream, problem: self.refused.append((stream, problem)),
            self.moved.append,
        )

    def expect(self, stream: int, *sizes: int, data: bytes = b"") -> int:
        """How many bytes wait for the bodies."""
        digest = hashlib.sha512(data).digest()
        announced = tuple(lm.Announced((), size, digest) for size in sizes)
        message = lm.LinkMessage(stream, multipart.REST_REQUEST, b"x", announced)
        group = lm.Group(b"<s/>", (message,), 1, b"", chained=True)
        self.arrivals.expect(group, message)
        return kept_of(group, message)


def looped(test: Callable[[Path], object]) -> Callable[[Path], None]:
    def run(tmp_path: Path) -> None:
        async def inner() -> None:
            result = test(tmp_path)
            if asyncio.iscoroutine(result):
                await result

        asyncio.run(inner())

    run.__name__ = test.__name__
    return run


@looped
def test_a_body_is_whole_when_its_last_piece_came_and_credit_covers_what_came(tmp_path: Path) -> None:
    ends = Ends(tmp_path)
    big = DATA * 8
    ends.expect(1, len(big), data=big)
    for at in range(0, len(big), 65536):
        assert ends.whole == []
        ends.arrivals.piece(lm.BodyData(1, 1, big[at : at + 65536], at + 65536 == len(big)))
    (message,) = ends.whole
    assert message.digests[1] == (hashlib.sha512(big).digest(),)
    granted = sum(frame.size for frame in ends.written if isinstance(frame, lm.Credit))
    assert len(big) - CREDIT <= granted <= len(big)
    assert len(ends.written) < 16, "credit is given in portions"
    assert len(ends.moved) == 2
    assert len(ends.arrivals) == 0


@looped
def test_pieces_of_bodies_that_were_not_announced_end_the_link(tmp_path: Path) -> None:
    ends = Ends(tmp_path)
    ends.arrivals.piece(lm.BodyData(9, 1, b"x", True))  # of a stream that was refused: nothing
    ends.expect(1, 5, data=b"12345")
    with pytest.raises(LinkMalformed):
        ends.arrivals.piece(lm.BodyData(1, 2, b"x", True))
    with pytest.raises(LinkMalformed):
        ends.expect(1, 5)


@looped
def test_what_there_is_no_room_for_is_refused_before_it_comes(tmp_path: Path) -> None:
    ends = Ends(tmp_path, body=1000, bodies=1000)
    with pytest.raises(MessageTooLarge):
        ends.expect(1, 1001)
    for stream in range(4):
        ends.expect(stream, 1000)
    with pytest.raises(MessageTooLarge):
        ends.expect(5, 1)
    ends.arrivals.drop(0)
    ends.expect(5, 1)
    ends.arrivals.clear()
    for stream in range(MOST):
        ends.expect(stream, 1)
    with pytest.raises(MessageTooLarge):
        ends.expect(MOST, 1)
    ends.arrivals.clear()
    assert len(ends.arrivals) == 0


@looped
def test_what_lies_in_memory_counts_until_the_body_is_whole_or_dropped(tmp_path: Path) -> None:
    ends = Ends(tmp_path, bodies=310_000, memory=300_000)
    room = ends.arrivals._room
    kept = ends.expect(1, 100_000, data=bytes(100_000))
    assert kept == ends.expect(2, 250_000)
    ends.arrivals.piece(lm.BodyData(1, 1, bytes(60_000), False))
    ends.arrivals.piece(lm.BodyData(2, 1, bytes(60_000), False))
    assert (room.held, room.announced) == (120_000 + 2 * kept, 350_000)
    ends.arrivals.piece(lm.BodyData(1, 1, bytes(40_000), True))
    assert (len(ends.whole), room.held, room.announced) == (1, 60_000 + kept, 250_000)
    ends.arrivals.drop(2)
    assert (room.held, room.announced) == (0, 0)
    ends.expect(3, 400_000)
    for _ in range(5):
        ends.arrivals.piece(lm.BodyData(3, 1, bytes(60_000), False))
    assert room.held == 300_000 + kept
    ends.arrivals.piece(lm.BodyData(3, 1, bytes(60_000), False))
    assert (room.held, room.announced, ends.refused) == (kept, 400_000, [])  # on disk from here on
    ends.arrivals.clear()
    assert (room.held, room.announced) == (0, 0)


@looped
def test_a_message_that_waits_for_its_bodies_counts_itself_and_keeps_no_other_of_its_frame(tmp_path: Path) -> None:
    ends = Ends(tmp_path, bodies=1_000_000, memory=1_000_000)
    room = ends.arrivals._room
    large = [lm.LinkMessage(n, multipart.REST_REQUEST, bytes(300_000), (), leaf=n) for n in range(2)]
    inline = Attachment(((b"a", b"b"),), bytes(60_000))
    waits = lm.LinkMessage(9, multipart.REST_REQUEST, bytes(300_000), (inline, lm.Announced((), 1, bytes(64))), leaf=2)
    group = lm.Group(bytes(1000), (*large, waits), 3, b"", chained=True)
    ends.arrivals.expect(group, waits)
    (arriving,) = ends.arrivals._arriving.values()
    assert (arriving.group.messages, arriving.group.batch()) == ((waits,), group.batch())
    assert 361_000 < room.held < 365_000
    for stream in (10, 11):
        waits.stream = stream
        if stream == 11:
            with pytest.raises(MessageTooLarge):
                ends.arrivals.expect(group, waits)
        else:
            ends.arrivals.expect(group, waits)
    assert len(ends.arrivals) == 2
    ends.arrivals.clear()
    assert (room.held, room.announced) == (0, 0)


@looped
async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    ends = Ends(tmp_path)
    ends.arrivals.patience = 0.05
    link_bodies_look = link_bodies._LOOK
    ends.expect(1, len(DATA) * 2)
    ends.arrivals.piece(lm.BodyData(1, 1, DATA, False))
    async with asyncio.timeout(link_bodies_look * 3):
        while not ends.refused:
            await asyncio.sleep(0.02)
    ((stream, problem),) = ends.refused
    assert (stream, type(problem)) == (1, MessageMalformed)
    assert len(ends.arrivals) == 0


def departures() -> tuple[Departures, list[lm.Frame]]:
    written: list[lm.Frame] = []
    decoder, writable = lf.Decoder(), asyncio.Event()
    writable.set()
    return Departures(lambda data: written.extend(decoder.feed(data)), writable, lambda _: None), written


@looped
async def test_no_more_is_sent_than_credit_was_given_for_and_an_end_without_credit_is_left(tmp_path: Path) -> None:
    out, written = departures()
    out.window, out.patience = 100_000, 0.1
    out.send(1, [(1, DATA)])
    await asyncio.sleep(0.02)
    assert sum(len(frame.data) for frame in written if isinstance(frame, lm.BodyData)) <= 100_000
    out.credit(lm.Credit(1, 65536))
    out.credit(lm.Credit(2, 65536))
    await asyncio.sleep(0.02)
    assert len(written) == 2
    await asyncio.sleep(0.15)
    assert written[-1] == lm.Cancel(1)
    assert len(out) == 0


@looped
async def test_a_window_smaller_than_a_piece_is_kept_to(tmp_path: Path) -> None:
    out, written = departures()
    out.window = 1000
    out.send(1, [(1, b"x" * 2500)])
    for _ in range(3):
        await asyncio.sleep(0.01)
        out.credit(lm.Credit(1, 1000))
    await asyncio.sleep(0.01)
    assert [len(frame.data) for frame in written if isinstance(frame, lm.BodyData)] == [1000, 1000, 500]


@looped
async def test_a_body_closed_under_its_sender_is_cancelled_not_left_hanging(tmp_path: Path) -> None:
    out, written = departures()
    spool = Spool.of([DATA * 8], tmp_path)
    out.window = 65536
    out.send(1, [(1, spool)])
    await asyncio.sleep(0.01)
    spool.close()
    out.credit(lm.Credit(1, 10 * 2**20))
    await asyncio.sleep(0.02)
    assert written[-1] == lm.Cancel(1)
    assert len(out) == 0


@looped
async def test_one_that_is_stopped_sends_nothing_more(tmp_path: Path) -> None:
    out, written = departures()
    out.window = 65536
    out.send(1, [(1, DATA)])
    await asyncio.sleep(0.01)
    out.stop(1)
    out.credit(lm.Credit(1, 2**20))
    await asyncio.sleep(0.01)
    assert len(written) == 1
    assert len(out) == 0
