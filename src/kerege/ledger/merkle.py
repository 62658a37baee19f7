"""Merkle trees: hashes, proofs and their verifiers. Pure.

Implements RFC 6962 section 2.1 (tree hash, audit path, consistency proof), and the subtree proofs that the Merkle Tree
Certificates draft adds to them (draft-ietf-plants-merkle-tree-certs, "Subtrees").

Theory of operation. All four kinds of proof are one kind. A proof that the leaves [start, end) hash to H inside a tree of
`size` leaves is the list of sibling hashes met on the way from that subtree up to the root. Then

- an inclusion proof of leaf i is the subtree proof of [i, i + 1);
- a consistency proof from a tree of m leaves is the subtree proof of [0, m).

So there is one recursion that makes proofs (`_prove`) and one, its mirror image, that checks them (`_recompute`). It walks from
the root down, taking proof items from the end; its depth is the height of the tree.

Storage is someone else's: proofs are made from `hash_of(start, end)`, which `ledger.log` answers from files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

RangeHash = Callable[[int, int], bytes]
"""The tree hash of the leaves [start, end), which is asked only for ranges that are subtrees."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one record. The prefix 0x00 keeps a record from passing for a node (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node, prefix 0x01."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(count: int) -> int:
    """The largest power of two smaller than `count`: where RFC 6962 cuts a tree of `count` > 1 leaves."""
    return 1 << ((count - 1).bit_length() - 1)


def range_hash(leaf_hashes: Sequence[bytes]) -> RangeHash:
    """A `RangeHash` over leaf hashes held in memory. For tests and small trees."""

    def hash_of(start: int, end: int) -> bytes:
        if start == end:
            return EMPTY_ROOT
        if end - start == 1:
            return leaf_hashes[start]
        middle = start + split(end - start)
        return node_hash(hash_of(start, middle), hash_of(middle, end))

    return hash_of


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over `leaf_hashes`."""
    return range_hash(leaf_hashes)(0, len(leaf_hashes))


def is_subtree(start: int, end: int, size: int) -> bool:
    """Whether [start, end) is a subtree of a tree of `size` leaves: `start` falls on a multiple of its width's power of two."""
    width = end - start
    return 0 <= start <= end <= size and (width == 0 or start % (1 << (width - 1).bit_length()) == 0)


def subtree_proof(start: int, end: int, size: int, hash_of: RangeHash) -> tuple[bytes, ...]:
    """The proof that the subtree [start, end) is part of the tree of `size` leaves."""
    if not is_subtree(start, end, size):
        raise ValueError(f"[{start}, {end}) is not a subtree of a tree of {size} leaves")
    if start == end:
        return ()
    proof: list[bytes] = []
    _prove(start, end, 0, size, True, hash_of, proof)
    return tuple(proof)


def inclusion_proof(index: int, size: int, hash_of: RangeHash) -> tuple[bytes, ...]:
    """The audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1)."""
    return subtree_proof(index, index + 1, size, hash_of)


def consistency_proof(first: int, second: int, hash_of: RangeHash) -> tuple[bytes, ...]:
    """The proof that the tree of `second` leaves extends that of `first` leaves (RFC 6962, 2.1.2)."""
    if first < 1:
        raise ValueError("there is nothing to prove from an empty tree")
    return subtree_proof(0, first, second, hash_of)


def inclusion_holds(index: int, size: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` (a leaf hash) is number `index` of the tree of `size` leaves with `root`."""
    return subtree_inclusion_holds(index, 0, size, leaf, root, proof)


def subtree_inclusion_holds(index: int, start: int, end: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `leaf` is number `index` of the whole tree, inside the subtree [start, end) with `root`."""
    if not is_subtree(start, end, end) or not start <= index < end or len(leaf) != HASH_SIZE:
        return False
    place = index - start
    return subtree_holds(place, place + 1, end - start, leaf, root, proof)


def consistency_holds(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree with `second_root` extends the tree with `first_root`.

    An empty first tree is refused: every tree extends it, so such a proof says nothing about anything.
    """
    return first > 0 and subtree_holds(0, first, second, first_root, second_root, proof)


def subtree_holds(start: int, end: int, size: int, subtree: bytes, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the leaves [start, end) of the tree of `size` leaves with `root` hash to `subtree`."""
    if not is_subtree(start, end, size):
        return False
    if start == end:
        return subtree == EMPTY_ROOT and not proof
    if any(len(item) != HASH_SIZE for item in proof):
        return False
    rest = list(proof)
    try:
        small, large = _recompute(start, end, size, True, subtree, rest)
    except IndexError:  # a proof shorter than the way up
        return False
    return not rest and small == subtree and large == root


def _prove(start: int, end: int, base: int, size: int, known: bool, hash_of: RangeHash, proof: list[bytes]) -> None:
    """Add to `proof` what is needed for [start, end), counted from `base`, in the subtree of `size` leaves at `base`.

    known   the verifier has this subtree's hash already (it is the hash being proven), so it need not be sent
    """
    if start == 0 and end == size:
        if not known:
            proof.append(hash_of(base, base + size))
        return
    middle = split(size)
    if end <= middle:
        _prove(start, end, base, middle, known, hash_of, proof)
        proof.append(hash_of(base + middle, base + size))
    elif start >= middle:
        _prove(start - middle, end - middle, base + middle, size - middle, known, hash_of, proof)
        proof.append(hash_of(base, base + middle))
    else:  # the subtree straddles the cut, so it starts at 0 and its left part is whole
        _prove(0, end - middle, base + middle, size - middle, False, hash_of, proof)
        proof.append(hash_of(base, base + middle))


def _recompute(start: int, end: int, size: int, known: bool, subtree: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """(the subtree's hash, the tree's hash) as `proof` has them, taking items from its end."""
    if start == 0 and end == size:
        found = subtree if known else proof.pop()
        return found, found
    middle = split(size)
    sibling = proof.pop()
    if end <= middle:
        small, large = _recompute(start, end, middle, known, subtree, proof)
        return small, node_hash(large, sibling)
    if start >= middle:
        small, large = _recompute(start - middle, end - middle, size - middle, known, subtree, proof)
        return small, node_hash(sibling, large)
    small, large = _recompute(0, end - middle, size - middle, False, subtree, proof)
    return node_hash(sibling, small), node_hash(sibling, large)
