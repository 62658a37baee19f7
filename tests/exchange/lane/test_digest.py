"""The native digests equal hashlib's and the Python modules', whatever the processor does them with."""

import base64
import hashlib
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

digest = pytest.importorskip(
    "kerege.exchange.lane.digest", reason="not there: make setup compiles the native modules where a C compiler is"
)

from kerege.exchange import batch, rest  # noqa: E402
from kerege.exchange.lane.call import Call, Part  # noqa: E402

HOWS = ["avx512", "avx2", "plain"]


@pytest.fixture(params=HOWS)
def how(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in digest.implementations():
        pytest.skip(f"this processor has no {name}")
    return name


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def several(number: int, size: int = 64) -> list[bytes]:
    made = random.Random(number * 1000 + size)
    return [made.randbytes(size) for _ in range(number)]


def test_every_length_around_the_blocks_ends_is_hashed_right(how: str) -> None:
    made = random.Random(1)
    inputs = [made.randbytes(size) for size in range(301)]
    assert digest.digest_many(inputs, how) == [sha512(one) for one in inputs]
    for one in inputs:
        assert digest.digest_many([one], how) == [sha512(one)]


def test_any_number_of_inputs_of_any_lengths_comes_out_in_order(how: str) -> None:
    made = random.Random(2)
    for _ in range(150):
        sizes = [
            made.choice((0, 1, 110, 111, 112, 127, 128, 129, 239, 240, 700, made.randrange(3000)))
            for _ in range(made.randrange(40))
        ]
        inputs = [made.randbytes(size) for size in sizes]
        assert digest.digest_many(inputs, how) == [sha512(one) for one in inputs]


def test_one_long_input_among_short_ones_keeps_its_lane_to_the_end(how: str) -> None:
    for place in range(9):
        inputs = several(9, 200)
        inputs[place] = bytes(20_000) + b"x"
        inputs[8 - place] += bytes(5_000)
        assert digest.digest_many(inputs, how) == [sha512(one) for one in inputs]


def test_large_totals_are_hashed_while_other_threads_run(how: str) -> None:
    inputs = several(12, 100_000)
    expected = [sha512(one) for one in inputs]
    results: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: results.append(digest.digest_many(inputs, how))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 3


def test_the_best_way_is_one_this_machine_has_and_another_is_refused() -> None:
    there = digest.implementations()
    assert there == [name for name in HOWS if name in there]
    assert there[-1] == "plain"
    for name in {*HOWS, "neon", ""} - set(there):
        with pytest.raises(ValueError, match="no such way"):
            digest.digest_many([b""], name)


def test_only_bytes_are_hashed() -> None:
    for wrong in (None, "text", bytearray(b"b"), 1):
        with pytest.raises(TypeError):
            digest.digest_many([b"right", wrong])
    with pytest.raises(TypeError):
        digest.digest_parts([Part(None, b"a body")])
    for nothing in (None, b"bytes", Call()):
        with pytest.raises((TypeError, AttributeError)):
            digest.digest_parts([Part(b"content"), nothing])
        with pytest.raises((TypeError, AttributeError)):
            digest.request_hashes([call(b"content", None), nothing])
    for strange in (None, b"bytes", (), 1):
        for function in (digest.digest_parts, digest.request_hashes, digest.digest_many):
            with pytest.raises((TypeError, AttributeError)):
                function(strange)


BYTES = st.binary(max_size=400)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(BYTES, st.none() | BYTES), max_size=20), st.sampled_from(HOWS))
def test_the_parts_of_messages_get_the_digests_and_leaves_that_batches_have(
    messages: list[tuple[bytes, bytes | None]], name: str
) -> None:
    if name not in digest.implementations():
        return
    parts = [Part(content, body) for content, body in messages]
    digest.digest_parts(parts, name)
    for part, (content, body) in zip(parts, messages, strict=True):
        assert part.digest == sha512(content)
        assert part.body_digest == (None if body is None else sha512(body))
        assert part.leaf == (sha512(content) if body is None else batch.parts_digest([sha512(content), sha512(body)]))
    if parts:
        assert [part.leaf for part in parts] == list(batch.batch([part.digests for part in parts]).leaves)


def test_what_a_part_has_already_is_left(how: str) -> None:
    part = Part(b"content", b"body")
    part.digest, part.body_digest = b"d" * 64, b"b" * 64
    whole = Part(b"content", b"body")
    whole.leaf = b"l" * 64
    digest.digest_parts([part, whole, Part(b"")], how)
    assert (part.digest, part.body_digest) == (b"d" * 64, b"b" * 64)
    assert part.leaf == batch.pair_digest(b"d" * 64, b"b" * 64)
    assert (whole.digest, whole.leaf) == (sha512(b"content"), b"l" * 64)


def test_a_step_is_made_of_whole_digests_only(how: str) -> None:
    part = Part(b"content", b"body")
    part.digest = b"d" * 63
    with pytest.raises(ValueError, match="64 bytes"):
        digest.digest_parts([part], how)
    assert part.leaf is None


def call(content: bytes, body: bytes | None) -> Call:
    made = Call()
    made.request = Part(content, body)
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(BYTES, st.none() | BYTES), max_size=20), st.booleans(), st.sampled_from(HOWS))
def test_request_hashes_are_what_x_road_request_hash_says(
    messages: list[tuple[bytes, bytes | None]], before: bool, name: str
) -> None:
    if name not in digest.implementations():
        return
    calls = [call(*message) for message in messages]
    if before:
        digest.digest_parts([one.request for one in calls], name)
    digest.request_hashes(calls, name)
    for one, (content, body) in zip(calls, messages, strict=True):
        assert one.request_hash == rest.request_hash(sha512(content), None if body is None else sha512(body)).encode()


def test_a_request_hash_is_written_as_base64_writes_every_byte(how: str) -> None:
    for first in range(0, 256, 4):
        one = call(b"", None)
        one.request.digest = bytes((first + at) % 256 for at in range(64))
        digest.request_hashes([one], how)
        assert one.request_hash == base64.b64encode(one.request.digest)


def test_a_tree_grows_the_same_nodes_as_in_python(how: str) -> None:
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 23, 24, 33, 64, 100, 1024):
        leaves = several(size)
        assert digest.grow(leaves, how) == batch._grow(leaves)
        assert digest.grow(tuple(leaves), how) == batch._grow(leaves)


def test_a_tree_over_something_else_than_digests_is_left_to_python() -> None:
    for strange in (b"", b"x" * 63, b"x" * 65, bytearray(64), None, "x" * 64):
        for place in range(3):
            leaves: list[object] = [*several(3)]
            leaves[place] = strange
            assert digest.grow(leaves) is None
    short = [b"a", b"b", b"c"]
    assert batch.Batch.of_leaves(short).root == batch._grow(short)[-1]


def test_a_batch_without_the_native_module_has_the_same_root(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = several(13)
    root = batch.Batch.of_leaves(leaves).root
    monkeypatch.setattr(batch, "_native_grow", None)
    assert batch.Batch.of_leaves(leaves).root == root


def test_more_inputs_than_a_call_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        digest.digest_many([b""] * (2**20 + 1))
