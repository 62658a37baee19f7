"""Native chain files of messages under one signature: the bytes of `batch`, and none held to be good that `hashchain` would not."""

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import hashchain
from kerege.exchange.batch import Batch, HashChain, batch, pair_digest, parts_digest, result_file

pytest.importorskip(
    "kerege.exchange.lane.chains", reason="not there: make setup compiles the native modules where a C compiler is"
)
from kerege.exchange.lane import chains
from kerege.exchange.lane.call import Part


def hashed(content: bytes, body: bytes | None, index: int) -> Part:
    part = Part(content, body, 0, index)
    part.digest = part.leaf = hashlib.sha512(content).digest()
    if body is not None:
        part.body_digest = hashlib.sha512(body).digest()
        part.leaf = parts_digest((part.digest, part.body_digest))
    return part


def messages(bodies: list[bool]) -> tuple[list[Part], Batch]:
    """A message for each, with a body or without, and their tree."""
    parts = [hashed(b"message %d" % at, b"body" if one else None, at) for at, one in enumerate(bodies)]
    return parts, batch([part.digests for part in parts])


def holds(part: Part, chain: bytes | None, result: bytes | None) -> bool:
    return chains.hold([part], [chain], [result])[0]


def quick(part: Part, chain: bytes, result: bytes) -> bool:
    return hashchain.quick(HashChain(result, chain), *part.digests)


def ways(size: int) -> list[bool]:
    """Bodies for so many messages, some with and some without."""
    return [bool((at * 7 + size) % 3) for at in range(size)]


@pytest.mark.parametrize("size", [*range(2, 35), 63, 64, 65, 100, 255, 1023, 1024])
def test_the_files_are_those_of_the_batch_and_hold(size: int) -> None:
    parts, tree = messages(ways(size))
    written = chains.Tree(tree)
    files = [chains.written(written, part) for part in parts]
    assert written.result == tree.result
    assert files == [tree.chain(at) for at in range(size)]
    assert chains.hold(parts, files, [tree.result] * size) == [True] * size


def test_one_message_with_a_body_has_a_chain_of_one_step() -> None:
    (part,), tree = messages([True])
    file = chains.written(chains.Tree(tree), part)
    assert file == tree.chain(0)
    assert holds(part, file, tree.result)


def test_a_signature_over_one_message_alone_has_no_chain() -> None:
    with pytest.raises(ValueError, match="no chain"):
        chains.Tree(messages([False])[1])


def test_a_message_that_is_no_leaf_or_was_not_hashed_is_an_error() -> None:
    parts, tree = messages([True, False])
    parts[0].index = 2
    with pytest.raises(ValueError, match="leaf"):
        chains.written(chains.Tree(tree), parts[0])
    with pytest.raises(ValueError, match="leaf"):
        chains.written(chains.Tree(tree), Part(b"x", None, 0, 0))
    parts[1].body, parts[1].body_digest = b"x", b"short"
    with pytest.raises(ValueError, match="64"):
        chains.written(chains.Tree(tree), parts[1])


def test_lists_of_different_lengths_are_an_error() -> None:
    parts, tree = messages([True, False])
    with pytest.raises(ValueError, match="every part"):
        chains.hold(parts, [b""], [tree.result, tree.result])


def test_without_files_or_digests_nothing_holds() -> None:
    parts, tree = messages([True, False])
    files = [tree.chain(at) for at in range(2)]
    assert chains.hold(parts, [None, files[1]], [tree.result, None]) == [False, False]
    assert not holds(Part(b"message 0", b"body"), files[0], tree.result)
    assert chains.hold([], [], []) == []


def test_another_message_another_body_and_another_leaf_do_not_hold() -> None:
    parts, tree = messages([True, False, True, False, False])
    for at, part in enumerate(parts):
        file = tree.chain(at)
        assert not holds(hashed(b"other", part.body, at), file, tree.result)
        assert not holds(hashed(part.content, b"other", at), file, tree.result)
        assert not holds(hashed(part.content, None if part.body else b"", at), file, tree.result)
        assert not holds(part, tree.chain((at + 1) % 5), tree.result)
        assert not holds(part, file, result_file(bytes(64)))


@pytest.mark.parametrize(("size", "at"), [(1, 0), (2, 0), (2, 1), (5, 4), (6, 2)])
@pytest.mark.parametrize("body", [True, False])
def test_with_any_byte_changed_nothing_holds_that_the_python_reader_refuses(size: int, at: int, body: bool) -> None:
    if size == 1 and not body:
        return
    parts, tree = messages([body] * size)
    part, file, result = parts[at], tree.chain(at), tree.result
    for place in range(len(file)):
        for other in (file[place] ^ 1, 0x41, 0x0A):
            changed = file[:place] + bytes((other,)) + file[place + 1 :]
            assert holds(part, changed, result) <= quick(part, changed, result)
            assert holds(part, changed, result) == (changed == file)
    for place in range(len(result)):
        changed = result[:place] + bytes((result[place] ^ 1,)) + result[place + 1 :]
        assert not holds(part, file, changed)
    for end in range(len(file)):
        assert not holds(part, file[:end], result)
    for more in (b"\n", b" ", file):
        assert not holds(part, file + more, result)
        assert not holds(part, file, result + more)


PIECE = re.compile(rb"        <ns2:(?:HashValue|DataRef|StepRef).*?(?:</ns2:(?:HashValue|DataRef)>|/>)\n", re.DOTALL)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_pieces_moved_about_hold_only_where_the_python_reader_says_so(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 9))
    parts, tree = messages([True, *ways(size)])
    at = data.draw(st.integers(0, size))
    file = tree.chain(at)
    pieces, between = PIECE.findall(file), PIECE.split(file)
    others = [piece for one in range(size + 1) for piece in PIECE.findall(tree.chain(one))]
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(pieces) - 1))
        if data.draw(st.booleans()):
            pieces[place] = data.draw(st.sampled_from(others))
        else:
            to = data.draw(st.integers(0, len(pieces) - 1))
            pieces[place], pieces[to] = pieces[to], pieces[place]
    moved = b"".join(one + piece for one, piece in zip(between, [*pieces, b""], strict=True))
    assert holds(parts[at], moved, tree.result) <= quick(parts[at], moved, tree.result)


TOKEN = re.compile(rb"\s*<[^<>]*>|[A-Za-z0-9+/=]{88}")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_pieces_of_a_line_put_in_or_left_out_hold_only_where_the_python_reader_says_so(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 5))
    parts, tree = messages([data.draw(st.booleans()) for _ in range(size)] + [True])
    at = data.draw(st.integers(0, size))
    pieces = [*TOKEN.findall(tree.chain(at)), b"\n"]
    assert b"".join(pieces) == tree.chain(at)
    for _ in range(data.draw(st.integers(1, 2))):
        begin, to = data.draw(st.integers(0, len(pieces) - 1)), data.draw(st.integers(0, len(pieces) - 1))
        some = pieces[begin : begin + data.draw(st.integers(1, 3))]
        pieces[to:to] = some
        if data.draw(st.booleans()):
            del pieces[to + len(some) : to + len(some) + data.draw(st.integers(1, 3))]
    changed = b"".join(pieces)
    assert holds(parts[at], changed, tree.result) <= quick(parts[at], changed, tree.result)


@pytest.mark.parametrize("bodies", [[True, True, True], [False, False, False]])
def test_the_beginning_of_a_reference_before_another_piece_does_not_hold(bodies: list[bool]) -> None:
    parts, tree = messages(bodies)
    reference = re.search(rb" *<ns2:DataRef URI=\"/message.xml\">\n *<DigestValue>", tree.chain(0))
    assert reference is not None
    for at, part in enumerate(parts):
        file = tree.chain(at)
        for piece in re.finditer(rb" *<ns2:(?:StepRef|HashValue|DataRef)", file):
            changed = file[: piece.start()] + reference[0] + file[piece.start() :]
            assert not holds(part, changed, tree.result)


def deep(steps: int, right: bool) -> tuple[Part, bytes, bytes]:
    """A message with its body at the end of a way that no batch is deep enough for."""
    from base64 import b64encode

    from kerege.exchange.batch import template

    part = hashed(b"m", b"b", 0)
    assert part.leaf is not None
    assert part.digest is not None
    assert part.body_digest is not None
    digest, sibling = part.leaf, bytes(64)
    for _ in range(steps):
        digest = pair_digest(sibling, digest) if right else pair_digest(digest, sibling)
    made = template((right,) * steps, 2) % tuple(map(b64encode, (*(sibling,) * steps, part.digest, part.body_digest)))
    return part, made, result_file(digest)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 9, 10, 11, 15, 16, 17, 40, 70])
def test_ways_deeper_than_any_batch_hold_at_most_where_the_python_reader_says_so(steps: int, right: bool) -> None:
    part, file, result = deep(steps, right)
    assert holds(part, file, result) == (steps <= 16)
    assert holds(part, file, result) <= quick(part, file, result)


def test_a_digest_in_another_base64_of_the_same_bytes_does_not_hold() -> None:
    parts, tree = messages([True, True])
    file = tree.chain(0)
    first = re.search(rb"[A-Za-z0-9+/]==</DigestValue>", file)
    assert first is not None
    before = file[first.start() : first.start() + 1]
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    after = letters[letters.index(before) + 1 : letters.index(before) + 2]
    assert not holds(parts[0], file[: first.start()] + after + file[first.start() + 1 :], tree.result)
