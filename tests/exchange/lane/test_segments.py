"""Frames found natively are those of the Python module, whatever befell the segment."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import logframes
from kerege.exchange.logframes import FIRST_FRAME, SECTOR, Frame, Start, Stopped

native = pytest.importorskip(
    "kerege.exchange.lane.segments", reason="not there: make setup compiles the native modules where a C compiler is"
)
pytestmark = pytest.mark.skipif(not native.ABLE, reason="this processor has no instructions for SHA-256")

START = Start(b"\1" * 32, 0, bytes(16), b"s" * 32)


def segment(payloads: list[bytes], start: Start = START) -> bytes:
    made, link = [start.pack()], start.link
    for number, payload in enumerate(payloads):
        block, link = logframes.frame_bytes(start, link, number, number % 7, payload)
        made.append(block)
    return b"".join(made)


def expected(data: bytes, at: int = FIRST_FRAME, link: bytes | None = None, number: int = 0) -> list[Frame]:
    found: list[Frame] = []
    try:
        for frame in logframes.frames(data, START, at, link, number):
            found.append(frame)
    except Stopped:
        pass
    return found


def walked(data: bytes, at: int = FIRST_FRAME, link: bytes = START.link, number: int = 0) -> list[Frame]:
    found = []
    for begin, end, after, records, payload in native.walk(data, at, link, number, START.marker):
        found.append(Frame(begin, end, after, link, records, number, payload))
        link, number = after, number + 1
    return found


PAYLOADS = st.lists(
    st.integers(1, 700).map(lambda size: random.Random(size).randbytes(size)) | st.binary(min_size=1, max_size=40),
    max_size=6,
)


@settings(max_examples=120, deadline=None)
@given(PAYLOADS, st.integers(0, 3), st.data())
def test_frames_are_those_of_the_python_module(payloads: list[bytes], zeros: int, data: st.DataObject) -> None:
    sound = segment(payloads) + bytes(zeros * SECTOR)
    assert walked(sound) == expected(sound)
    assert len(walked(sound)) == len(payloads)
    cut = sound[: data.draw(st.integers(0, len(sound)))]
    assert walked(cut) == expected(cut)
    changed = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    assert walked(bytes(changed)) == expected(bytes(changed))


def test_payloads_of_every_length_are_hashed_rightly() -> None:
    chance = random.Random(4)
    sound = segment([chance.randbytes(size) for size in (*range(1, 300), 447, 448, 449, 5000, 100_000)])
    assert len(walked(sound)) == 304
    assert walked(sound) == expected(sound)


def test_a_change_of_any_byte_of_a_frame_ends_it_there() -> None:
    sound = segment([b"one", b"payload of the second" * 3, b"three"])
    assert len(walked(sound)) == 3
    for at in range(FIRST_FRAME, len(sound)):
        changed = bytearray(sound)
        changed[at] ^= 1 << (at & 7)
        assert walked(bytes(changed)) == expected(bytes(changed))
        assert len(walked(bytes(changed))) == at // SECTOR - 1


def test_from_the_middle_on_only_the_right_link_and_number_go_on() -> None:
    sound = segment([b"a" * 600, b"b", b"c"])
    first, second, _ = walked(sound)
    assert walked(sound, second.offset, first.link, 1) == expected(sound, second.offset, first.link, 1)
    assert len(walked(sound, second.offset, first.link, 1)) == 2
    assert walked(sound, second.offset, first.link, 2) == []
    assert walked(sound, second.offset, START.link, 1) == []
    assert walked(sound, first.offset + 1, START.link, 0) == []


def test_lengths_that_lead_out_of_the_data_and_places_outside_are_not_followed() -> None:
    sound = segment([b"payload"])
    for at in (-1, len(sound), len(sound) + 1, 2**62):
        assert native.walk(sound, at, START.link, 0, START.marker) == []
    assert native.walk(b"", 0, START.link, 0, START.marker) == []
    assert native.walk(sound, FIRST_FRAME, START.link[1:], 0, START.marker) == []
    assert native.walk(sound, FIRST_FRAME, START.link, 0, START.marker[1:]) == []
    assert native.walk(sound, FIRST_FRAME, START.link, 2**64 - 1, START.marker) == []
    for length in (0, 8, 441, 2**31, 2**32 - 1):
        fixed = logframes._FRAME.pack(START.marker, length, 1, bytes(32), 0)
        head = fixed + logframes._CRC.pack(zlib.crc32(fixed))
        changed = sound[:FIRST_FRAME] + head + sound[FIRST_FRAME + len(head) :]
        assert walked(changed) == expected(changed) == []
