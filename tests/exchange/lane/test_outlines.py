"""Marks made natively are, byte for byte, the Python module's; what is out of bounds is not taken."""

import hashlib
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import logoutline
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logoutline import MARK, LaidOut, key_of, marks_of_rows
from kerege.exchange.logrecord import ROW, LogRecord, StampRecord, encode_records

native = pytest.importorskip(
    "kerege.exchange.lane.outlines", reason="not there: make setup compiles the native modules where a C compiler is"
)

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CLIENTS = [ClientId.parse(f"KG/GOV/70000003/{name}") for name in ("admission", "emis")]
SERVICES = [DataServiceId.parse(f"KG/GOV/7000000{n}/register/persons") for n in (1, 2)]
SECRET = bytes(range(100, 132))
RECORDS = st.lists(
    st.builds(
        LogRecord,
        st.just(NOW),
        st.sampled_from(["request", "response"]),
        st.sampled_from(["client", "provider"]),
        st.text(st.characters(codec="ascii"), max_size=300) | st.just("m-é"),
        st.text(st.characters(codec="ascii"), max_size=12),
        st.sampled_from(CLIENTS),
        st.sampled_from(SERVICES),
        st.binary(max_size=20),
        st.none() | st.binary(max_size=20),
        st.sampled_from([b"<signature/>", b"<other signature/>"]),
        st.none(),
    ),
    min_size=1,
    max_size=12,
)


def laid_out(payload: bytes) -> LaidOut:
    return logoutline._laid_out(*_head_of(payload))


def _head_of(payload: bytes) -> tuple[Any, bytes, int]:
    head, at = logoutline._head(payload)
    return head, payload, at


def natively(payload: bytes, place: LaidOut, first: int = 5) -> tuple[bytes | None, logoutline.Copies]:
    copies: logoutline.Copies = {}
    shared = [(logoutline._copy(copies, own, direction), size) for own, direction, size in place.contexts]
    return native.marks(payload, place.rows, place.texts, place.end, shared, first, SECRET), copies


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.integers(0, 2**40))
def test_native_marks_are_the_python_modules(records: list[LogRecord], first: int) -> None:
    payload = encode_records(records)
    copies: logoutline.Copies = {}
    made, native_copies = natively(payload, laid_out(payload), first)
    assert (made is not None) == all(one.message_id.isascii() for one in records)
    expected = marks_of_rows(payload, laid_out(payload), first, SECRET, copies)
    assert made in {None, expected}
    assert native_copies == copies
    assert logoutline.marks(payload, first, SECRET, {}) == (len(records), expected, [])


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_without_the_native_module_an_index_keeps_the_same(records: list[LogRecord]) -> None:
    payload = encode_records(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logoutline, "native", None)
        alone = logoutline.marks(payload, 9, SECRET, {}), logoutline.in_order(payload[: len(payload) // 24 * 24])
    assert alone == (logoutline.marks(payload, 9, SECRET, {}), logoutline.in_order(payload[: len(payload) // 24 * 24]))


@pytest.mark.parametrize("size", [0, 1, 36, 127, 128, 129, 255, 256, 257, 1000])
def test_a_key_is_blake2b_of_identifiers_of_every_length(size: int) -> None:
    record = LogRecord(
        NOW, "request", "client", "i" * size, "r", CLIENTS[0], SERVICES[0], b"m", None, b"s", None
    )  # fmt: skip
    payload = encode_records([record])
    made, _ = natively(payload, laid_out(payload))
    assert made is not None
    digest = hashlib.blake2b(b"i" * size, digest_size=8, salt=SECRET[:16], person=SECRET[16:]).digest()
    assert made[:8] == digest == key_of("i" * size, SECRET)
    assert MARK.unpack(made)[1:] == (5, 2, 0)


def test_a_size_beyond_what_a_mark_can_say_is_the_most_it_can() -> None:
    row = ROW.pack(0, 0, 0, 0, 2**32 - 1, 2**32 - 1, 0, 0)
    place = LaidOut(0, 32, 32, [(CLIENTS[0], "request", 2**32 - 1)])
    made, _ = natively(row, place)
    assert made == marks_of_rows(row, place, 5, SECRET, {})
    assert made is not None
    assert MARK.unpack(made)[2] == 2**32 - 1


def test_a_time_stamp_has_no_mark() -> None:
    stamp = StampRecord(NOW, "tsa", 0, 3, b"token", b"<result/>", (bytes(64),))
    assert logoutline.marks(stamp.encode(), 9, SECRET, {}) == (1, b"", [stamp])


def test_whatever_a_byte_of_the_rows_or_identifiers_is_changed_to_nothing_else_is_said_than_in_python() -> None:
    chance = random.Random(11)
    one = LogRecord(NOW, "request", "client", "m-1", "r-1", CLIENTS[0], SERVICES[0], b"GET", b"body", b"<s/>", None)
    payload = encode_records([replace(one, message_id=f"m-{n}", client=CLIENTS[n & 1]) for n in range(5)])
    place = laid_out(payload)
    taken = 0
    for at in range(place.rows, place.end):
        for value in (0, 1, 4, 127, 128, 255, chance.randrange(256)):
            changed = bytearray(payload)
            changed[at] = value
            made, _ = natively(bytes(changed), place)
            if made is not None:
                taken += 1
                assert made == marks_of_rows(bytes(changed), place, 5, SECRET, {})
    assert taken > 500


def test_places_that_are_not_there_are_not_taken() -> None:
    one = LogRecord(NOW, "request", "client", "m-1", "r-1", CLIENTS[0], SERVICES[0], b"GET", None, b"<s/>", None)
    payload = encode_records([one])
    place, shared = laid_out(payload), [(0, 4)]
    rows, texts, end, _ = place
    assert native.marks(payload, rows, texts, end, shared, 0, SECRET) is not None
    for wrong in (
        (-32, texts, end), (rows, rows - 32, end), (rows, texts, texts - 1), (rows, texts, len(payload) + 1),
        (rows, texts, 2**62), (rows + 1, texts, end), (texts, rows, end), (rows, texts, texts + 5),
    ):  # fmt: skip
        assert native.marks(payload, *wrong, shared, 0, SECRET) is None
    assert native.marks(payload, rows, texts, end, [], 0, SECRET) is None
    assert native.marks(payload, rows, texts, end, [(0, 2**40)], 0, SECRET) is None
    assert native.marks(payload, rows, texts, end, shared, 0, SECRET[1:]) is None
    assert native.marks(b"", 0, 0, 0, shared, 0, SECRET) == b""


def sample(count: int, keys: int, chance: random.Random) -> bytes:
    known = [chance.getrandbits(64) for _ in range(keys)]
    return b"".join(MARK.pack(chance.choice(known), chance.getrandbits(40), number, 7) for number in range(count))


@pytest.mark.parametrize(
    ("count", "keys"), [(0, 1), (1, 1), (5, 5), (300, 1), (300, 3), (5000, 5000), (40_000, 30_000)]
)
def test_marks_are_sorted_as_python_sorts_them(count: int, keys: int) -> None:
    marks = sample(count, keys, random.Random(count))
    ordered = native.in_order(marks)
    assert ordered == b"".join(sorted(marks[at : at + 24] for at in range(0, len(marks), 24)))
    assert native.in_order(ordered) == ordered


def test_marks_of_few_first_bits_are_sorted_too() -> None:
    marks = b"".join(MARK.pack(number * 7919 % 1009, number, 0, 0) for number in range(3000))
    assert native.in_order(marks) == b"".join(sorted(marks[at : at + 24] for at in range(0, len(marks), 24)))


def test_what_is_not_whole_marks_is_not_sorted() -> None:
    assert native.in_order(bytes(25)) is None
