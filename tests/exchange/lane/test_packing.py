"""Lines compressed natively: whatever they are, zlib gives them back; lines that are alike become as small as zlib makes them."""

import random
import uuid
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "kerege.exchange.lane.packing", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import packing

LABELS = ("ts", "messageId", "xRequestId", "userId", "status", "client", "service", "path", "a", "ab")
CHANCE = random.Random(3)


def identifier() -> str:
    return str(uuid.UUID(int=CHANCE.getrandbits(128)))


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """Lines with labels in about the same order, some left out, and values that are often the same."""
    value = st.one_of(st.sampled_from(("1", "200", "persons", "KG")), st.text('0123456789abcdef-,"é', max_size=40))
    made = []
    for _ in range(draw(st.integers(0, 12))):
        labels = [label for label in LABELS if draw(st.integers(0, 9))]
        made.append("{" + ",".join(f'"{label}":{draw(value)}' for label in labels) + "}")
    return "\n".join(made).encode()


@settings(max_examples=150, deadline=None)
@given(st.one_of(records(), st.binary(max_size=600), st.lists(st.binary(max_size=9), max_size=40).map(b"\n".join)))
def test_whatever_was_compressed_comes_back(data: bytes) -> None:
    assert zlib.decompress(packing.pack(data)) == data


def test_lines_of_every_length_come_back() -> None:
    """Matches of every length, at every distance near the bounds of their codes."""
    line = bytes(CHANCE.choices(b"0123456789abcdef", k=2200))
    for length in (*range(300), 514, 515, 516, 517, 518, 519, 774, 775, 776, 1032, 1033, 2199):
        data = line[:length] + b"\n" + line[:length] + b"," + line[5:50] + b"\n"
        assert zlib.decompress(packing.pack(data)) == data, length
    for back in (255, 256, 257, 384, 385, 4095, 4096, 4097, 8192, 16384, 24577, 32766, 32767, 32768, 32769, 40000):
        filling = CHANCE.randbytes(back).replace(b"\n", b"x")
        data = filling[: back - 1] + b"\n" + filling[: back - 1] + b"\n"
        assert zlib.decompress(packing.pack(data)) == data, back
        many = b"".join(b"%d,line\n" % (number % 7) for number in range(back // 7)) + data
        assert zlib.decompress(packing.pack(many)) == many, back


def test_every_byte_comes_back() -> None:
    data = bytes(range(256)) * 3 + b"\n" + bytes(range(255, -1, -1)) * 3
    assert zlib.decompress(packing.pack(data)) == data


def test_what_does_not_repeat_stays_below_the_room_that_was_made_for_it() -> None:
    data = b"\x00\xff\x01" * 100_000  # the rarest bytes, with the longest codes
    data = bytes(CHANCE.choices(data, k=300_000))
    packed = packing.pack(data)
    assert len(packed) < 2 * len(data)
    assert zlib.decompress(packed) == data


def record_of(number: int) -> bytes:
    kind, second = number % 3, 1_795_000_000 + number // 500
    user = b',"messageUserId":"officer-%d"' % number if number % 5 == 0 else b""
    return b"".join(
        (
            b'{"monitoringDataTs":%d,"requestInTs":%d%03d,"responseOutTs":%d%03d'
            % (second, second, number % 500, second, 7),
            b',"requestSize":%d,"messageId":"%b","xRequestId":"%b"%b' % (900 + kind, *ids(), user),
            b',"securityServerType":"Producer","requestAttachmentCount":0,"succeeded":true,"serviceType":"REST"',
            b',"securityServerInternalIp":"127.0.0.1","serviceCode":"service%d","restPath":"/x"}\n' % kind,
        )
    )


def ids() -> tuple[bytes, bytes]:
    return identifier().encode(), identifier().encode()


def test_records_become_as_small_as_zlib_makes_them() -> None:
    data = b"".join(record_of(number) for number in range(1000))
    packed = packing.pack(data)
    assert zlib.decompress(packed) == data
    assert len(packed) < 1.1 * len(zlib.compress(data, 1))


def test_lines_with_more_labels_than_are_sought_come_back() -> None:
    data = b"".join(b",%d" % number * 4000 + b"\n" for number in range(200))
    assert zlib.decompress(packing.pack(data)) == data


# --- the span of seconds ---


def test_the_span_of_lines_is_that_of_their_seconds() -> None:
    made = [b'{"monitoringDataTs":%d,"x":1}\n' % second for second in (1_795_000_007, 1_795_000_001, 9, 1_795_000_009)]
    assert packing.span(made[:1]) == (1_795_000_007, 1_795_000_007)
    assert packing.span(made[:2]) == (1_795_000_001, 1_795_000_007)
    assert packing.span(made) == (9, 1_795_000_009)


@pytest.mark.parametrize("other", [b"", b"{}", b'{"monitoringDataTs":', b'{"monitoringDataTs":12', b'{"monitoringDataTs":,',
                                   b'{"monitoringDataTs":-1,', b'{"monitoringDataTs":1.5,', b'{"monitoringdataTs":15,',
                                   b'{"monitoringDataTs":99999999999999999,', None])  # fmt: skip
def test_lines_that_begin_otherwise_have_no_span_here(other: bytes | None) -> None:
    good = b'{"monitoringDataTs":12,'
    assert packing.span([good, other, good]) is None  # type: ignore[list-item]
    assert packing.span([]) is None
