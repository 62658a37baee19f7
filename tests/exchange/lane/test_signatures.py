"""The native layout and pieces of a signer's documents, held to the Python ones; in use both are tried by test_xades_forms."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import xades, xades_forms

native = pytest.importorskip(
    "kerege.exchange.lane.signatures",
    reason="not there: make setup compiles the native modules where a C compiler is",
)

Span = tuple[int, int]
_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def spans(value: int) -> dict[str, Span]:
    """Of a document h*40, digest, b*10, digest, v*6, value, t*20, time, e*30."""
    at, found = 40, {}
    for name, size, gap in (("digest", 88, 10), ("over", 88, 6), ("value", value, 20), ("time", 24, 30)):
        found[name] = (at, at + size)
        at += size + gap
    found["info"] = (8, found["over"][1] + 4)
    found["properties"] = (found["value"][1] + 11, found["time"][1] + 13)
    return found


def document(digest: bytes, over: bytes, value: bytes, time: bytes) -> bytes:
    return b"h" * 40 + digest + b"b" * 10 + over + b"v" * 6 + value + b"t" * 20 + time + b"e" * 30


def both(xml: bytes, value: int) -> tuple[xades_forms.Layout, "native.Layout"]:
    places = spans(value)
    order = ("digest", "over", "value", "time", "info", "properties")
    given_ = [places[name] for name in order]
    return xades_forms.Layout(xml, *given_, b"<info", b"<prop"), native.Layout(xml, *given_, b"<info", b"<prop")


A, T = b"A" * 86 + b"==", b"2026-11-22T18:45:01.123Z"


def base64_of(size: int) -> st.SearchStrategy[bytes]:
    """Base64 of `size` signs, or nearly."""
    whole = st.binary(min_size=size, max_size=size).map(lambda raw: bytes(_SIGNS.encode()[byte & 63] for byte in raw))
    spoilt = st.tuples(
        whole, st.integers(0, size - 1), st.sampled_from([b"=", b"\n", b"-", b"_", b" ", b"\x00", b"\xff"])
    )
    return st.one_of(
        whole,
        whole.map(lambda text: text[:-1] + b"="),
        whole.map(lambda text: text[:-2] + b"=="),
        whole.map(lambda text: text[:-3] + b"==="),
        whole.map(lambda text: text[:-4] + b"===="),
        spoilt.map(lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]),
    )


@settings(max_examples=200, deadline=None)
@given(data=st.data(), size=st.integers(1, 90))
def test_fields_are_taken_out_as_python_takes_them_out(data: st.DataObject, size: int) -> None:
    digest = data.draw(st.one_of(st.just(A), base64_of(88)))
    over = data.draw(st.one_of(st.just(A), base64_of(88)))
    value = data.draw(base64_of(size) if size > 3 else st.binary(min_size=size, max_size=size))
    time = data.draw(st.one_of(st.just(T), st.binary(min_size=24, max_size=24)))
    xml = document(digest, over, value, time)
    python, ours = both(xml, size)
    assert ours.matches(xml)
    assert python.matches(xml)
    assert ours.fields(xml) == python.fields(xml)


def test_good_fields_are_taken_out() -> None:
    value = b"YWJjZGU="
    xml = document(A, A, value, T)
    _, ours = both(xml, len(value))
    assert ours.fields(xml) == (
        bytes(64), bytes(64), b"abcde", T.decode(),
        b"<info" + b"h" * 32 + A + b"b" * 10 + A + b"v" * 4, b"<prop" + b"t" * 9 + T + b"e" * 13,
    )  # fmt: skip


@pytest.mark.parametrize("at", range(24))
def test_a_time_of_other_signs_is_not_mine(at: int) -> None:
    for byte in range(256):
        xml = document(A, A, b"AAAA", T[:at] + bytes((byte,)) + T[at + 1 :])
        python, ours = both(xml, 4)
        assert (ours.fields(xml) is None) == (python.fields(xml) is None)


def test_every_changed_byte_matches_as_in_python() -> None:
    xml = document(A, A, b"AAAA", T)
    python, ours = both(xml, 4)
    for at in range(len(xml)):
        for changed in (
            xml[:at] + bytes((xml[at] ^ 1,)) + xml[at + 1 :],
            xml[:at],
            xml[:at] + xml[at + 1 :],
            xml[:at] + b"A" + xml[at:],
        ):
            assert ours.matches(changed) == python.matches(changed)
            if python.matches(changed):
                assert ours.fields(changed) == python.fields(changed)
            elif len(changed) != len(xml):
                assert ours.fields(changed) is None


def test_places_outside_the_document_are_refused() -> None:
    xml = document(A, A, b"AAAA", T)
    good = spans(4)
    order = ("digest", "over", "value", "time", "info", "properties")
    native.Layout(xml, *[good[name] for name in order], b"", b"")
    for name in order:
        for wrong in ((-1, good[name][1]), (good[name][0], len(xml) + 1), (good[name][1], good[name][0]), (0, 2**62)):
            with pytest.raises((ValueError, OverflowError)):
                native.Layout(xml, *[wrong if one == name else good[one] for one in order], b"", b"")
        with pytest.raises(ValueError, match="places"):
            native.Layout(xml[:280], *[good[one] for one in order], b"", b"")
    for kind in (native.Layout, native.Pieces):  # none without its pieces
        with pytest.raises(TypeError):
            kind.__new__(kind)
    with pytest.raises(TypeError):
        native.Layout(None, *[good[one] for one in order], b"", b"")


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=40), min_size=9, max_size=9),
    digest=st.binary(max_size=70),
    value=st.binary(max_size=300),
    now=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    zone=st.sampled_from([None, UTC, timezone(timedelta(hours=6))]),
)
def test_documents_are_put_together_as_in_python(
    pieces: list[bytes], digest: bytes, value: bytes, now: datetime, zone: timezone | None
) -> None:
    moment = now.replace(tzinfo=zone)
    over: list[bytes] = []

    def sign(data: bytes) -> bytes:
        over.append(data)
        return value

    made = [kind(*pieces).document(digest, moment, sign) for kind in (xades.Pieces, native.Pieces)]
    assert made[0] == made[1]
    assert over[0] == over[1]


def test_what_a_key_raises_or_gives_is_not_hidden() -> None:
    pieces = native.Pieces(*[b"x"] * 9)

    def broken(data: bytes) -> bytes:
        raise RuntimeError(hashlib.sha512(data).hexdigest())

    with pytest.raises(RuntimeError):
        pieces.document(b"", datetime.now(UTC), broken)
    with pytest.raises(ValueError, match="value"):
        pieces.document(b"", datetime.now(UTC), lambda _: None)
    with pytest.raises(TypeError):
        pieces.document(b"", datetime.now(UTC), lambda _: "text")
    with pytest.raises(TypeError):
        pieces.document(b"", None, lambda _: b"")
