"""A payload's records in outline are what decoding it gives, for every format, and a broken payload is never read past its end."""

import hashlib
import struct
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange.batch import batch
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logoutline import Outline, outlines, signed
from kerege.exchange.logrecord import LogRecord, StampRecord, decode, encode_records

CLIENTS = [ClientId.parse(f"KG/GOV/70000003/{name}") for name in ("admission", "emis")]
SERVICES = [DataServiceId.parse(f"KG/GOV/7000000{n}/register/persons") for n in (1, 2)]
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
plain = st.builds(
    LogRecord,
    st.just(NOW),
    st.sampled_from(["request", "response"]),
    st.sampled_from(["client", "provider"]),
    texts,
    texts,
    st.sampled_from(CLIENTS),
    st.sampled_from(SERVICES),
    st.binary(max_size=20),
    st.none() | st.binary(max_size=20),
    st.sampled_from([b"<signature/>", b"<other signature/>"]),
    st.none(),
)


def of(one: LogRecord) -> Outline:
    own = one.client if one.side == "client" else one.service.provider_client
    size = len(one.message) + len(one.body or b"") + len(one.signature)
    return Outline(one.message_id, own, one.direction, size)


@settings(max_examples=80, deadline=None)
@given(records=st.lists(plain, min_size=1, max_size=12), together=st.booleans())
def test_outlines_are_what_decoding_gives(records: list[LogRecord], together: bool) -> None:
    records = [
        replace(r, attachment_digests=() if r.body is None else (hashlib.sha512(r.body).digest(),)) for r in records
    ]
    if together:
        tree = batch([(hashlib.sha512(r.message).digest(), r.attachment_digests) for r in records])
        records = [replace(r, chain=tree.hash_chain(at)) for at, r in enumerate(records)]
    payload = encode_records(records)
    assert outlines(payload) == [of(r) for r in decode(payload) if isinstance(r, LogRecord)] == [of(r) for r in records]


@settings(max_examples=60, deadline=None)
@given(records=st.lists(plain, min_size=1, max_size=12), first=st.integers(0, 2**40))
def test_what_signs_the_records_is_what_decoding_gives(records: list[LogRecord], first: int) -> None:
    payload = encode_records(records)
    count, found = signed(payload, first)
    assert count == len(records)
    each = [(number, one.signature) for one in found for number in range(one.first, one.last + 1)]
    assert each == [(n, r.signature) for n, r in enumerate(decode(payload), first) if isinstance(r, LogRecord)]
    shared = sum(one.signature is not other.signature for one, other in pairwise(records))
    assert len(found) <= 1 + shared


def test_a_time_stamp_is_signed_by_nobody_here() -> None:
    stamp = StampRecord(NOW, "tsa", 0, 3, b"token", b"<result/>", (bytes(64),))
    assert signed(stamp.encode(), 7) == (1, [])


def test_a_time_stamp_is_itself() -> None:
    stamp = StampRecord(NOW, "tsa", 0, 3, b"token", b"<result/>", (bytes(64),))
    assert outlines(stamp.encode()) == [stamp]


@settings(max_examples=60, deadline=None)
@given(records=st.lists(plain, min_size=1, max_size=4), cut=st.integers(1, 200))
def test_a_payload_that_ends_early_is_refused_or_its_identifiers_are_all_there(
    records: list[LogRecord], cut: int
) -> None:
    payload = encode_records(records)
    try:
        found = outlines(payload[:-cut])
    except (ValueError, KeyError, IndexError, struct.error):
        return
    assert found == outlines(payload)


def test_rows_that_name_no_context_are_refused() -> None:
    payload = bytearray(
        encode_records([LogRecord(NOW, "request", "client", "", "", CLIENTS[0], SERVICES[0], b"", None, b"s", None)])
    )
    payload[-32:-28] = struct.pack("<I", 7)
    with pytest.raises(IndexError):
        outlines(bytes(payload))
