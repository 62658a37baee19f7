"""CBOR from strangers: what is read, what is refused, and that refusing costs no more than reading the bytes."""

from __future__ import annotations

import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.credentials import cbor
from kerege.credentials.errors import CredentialRefused

whole = st.integers(-(1 << 53), (1 << 53) - 1)
plain = st.recursive(
    st.none() | st.booleans() | whole | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | whole, inner, max_size=4),
    max_leaves=20,
)


def shared(depth: int) -> bytes:
    """An array whose every item holds the one before it twice: 2^depth values in some six bytes each."""
    head = b"\x98" + bytes([depth])
    items = [b"\xd8\x1c\x81\x00"] + [
        b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + cbor2.dumps(before)) for before in range(depth - 1)
    ]
    return head + b"".join(items)


def refusal(raw: bytes, tags: tuple[int, ...] = ()) -> str:
    with pytest.raises(CredentialRefused) as refused:
        cbor.read(raw, tags)
    return refused.value.reason


@given(plain)
def test_what_paper_writes_is_read_back(value: Any) -> None:
    assert cbor.read(cbor2.dumps(value, canonical=True)) == value


@given(st.binary(max_size=200))
def test_other_bytes_are_read_as_the_one_value_they_say_or_refused(raw: bytes) -> None:
    try:
        found = cbor.read(raw)
    except CredentialRefused:
        return
    assert cbor2.dumps(found, canonical=True) == raw


def test_shared_values_are_refused_before_they_grow() -> None:
    started = time.monotonic()
    assert refusal(shared(200)) == "credentials.malformed"
    assert refusal(b"\xd8\x3d\xd2" + shared(200), (61, 18)) == "credentials.malformed"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("tag", [0, 2, 4, 18, 24, 25, 28, 29, 61, 256, 258, 55799])
def test_a_tag_stands_only_where_the_reader_names_it(tag: int) -> None:
    tagged = cbor2.dumps(cbor2.CBORTag(tag, b"x"))
    assert refusal(tagged) == "credentials.malformed"
    assert refusal(b"\x81" + tagged) == "credentials.malformed"
    assert refusal(b"\xa1" + tagged + b"\x00") == "credentials.malformed"
    assert refusal(b"\xd8\x3d\xd2" + tagged, (61, 18)) == "credentials.malformed"


def test_the_named_tags_must_be_there_in_their_order() -> None:
    message = cbor2.CBORTag(61, cbor2.CBORTag(18, [b"", {}, b"", b""]))
    assert list(cbor.read(cbor2.dumps(message), (61, 18)).value.value) == [b"", {}, b"", b""]
    assert refusal(cbor2.dumps(message), (18, 61)) == "credentials.malformed"
    assert refusal(cbor2.dumps([1]), (61, 18)) == "credentials.malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x81" * (cbor.DEPTH_MAX + 1) + b"\x00",
        b"\x99\x20\x00" + bytes(8192),
        b"\x9b" + b"\x00" * 3 + b"\xff" * 5,
        b"\xbf\x61a\x00\xff",
        b"\xf9\x3c\x00",
        b"\xf7",
        b"\x18\x05",
        b"\x1b\x00\x20\x00\x00\x00\x00\x00\x00",
        b"\xa2\x01\x00\x01\x00",
        b"\x61\xff",
        b"\x42x",
        b"\x00\x00",
    ],
    ids=[
        "nothing",
        "too deep",
        "too many",
        "an array of 2^40",
        "indefinite",
        "a float",
        "undefined",
        "longer than need be",
        "past 2^53",
        "a name twice",
        "not UTF-8",
        "cut short",
        "two values",
    ],
)
def test_what_is_outside_the_subset_is_refused(raw: bytes) -> None:
    assert refusal(raw) == "credentials.malformed"


def test_more_bytes_than_any_document_has_are_too_large() -> None:
    assert refusal(cbor2.dumps(bytes(cbor.SIZE_MAX))) == "credentials.too_large"
