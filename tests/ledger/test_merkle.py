"""The Merkle functions against the public vectors and against a second, naive definition of the tree."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.ledger import merkle

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "rfc6962"

LEAVES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]


def naive_root(records: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word; knows nothing of `merkle`."""
    if not records:
        return hashlib.sha256(b"").digest()
    if len(records) == 1:
        return hashlib.sha256(b"\x00" + records[0]).digest()
    cut = 1
    while cut * 2 < len(records):
        cut *= 2
    return hashlib.sha256(b"\x01" + naive_root(records[:cut]) + naive_root(records[cut:])).digest()


def vectors(kind: str, expected: int) -> list[dict[str, Any]]:
    folder = VECTORS / kind
    if not folder.is_dir():
        pytest.skip(f"not there: {folder}")
    found = [json.loads(path.read_text()) | {"path": str(path)} for path in sorted(folder.rglob("*.json"))]
    assert len(found) == expected, "the set of vectors changed: look before trusting this test"
    return found


def b64(text: str) -> bytes:
    return base64.b64decode(text)


def proof_of(vector: dict[str, Any]) -> list[bytes]:
    return [b64(item) for item in vector["proof"] or []]


def assert_all(found: list[tuple[dict[str, Any], bool]]) -> None:
    wrong = [v["path"] for v, holds in found if holds == v["wantErr"]]
    assert wrong == []
    assert {v["wantErr"] for v, _ in found} == {True, False}, "both good and forged proofs must be among the vectors"


@pytest.mark.vectors
def test_all_inclusion_vectors_good_and_forged() -> None:
    assert_all(
        [
            (v, merkle.inclusion_holds(v["leafIdx"], v["treeSize"], b64(v["leafHash"]), b64(v["root"]), proof_of(v)))
            for v in vectors("inclusion", 98)
        ]
    )


@pytest.mark.vectors
def test_all_consistency_vectors_good_and_forged() -> None:
    assert_all(
        [
            (v, merkle.consistency_holds(v["size1"], v["size2"], b64(v["root1"]), b64(v["root2"]), proof_of(v)))
            for v in vectors("consistency", 98)
        ]
    )


@pytest.mark.vectors
def test_all_subtree_inclusion_vectors_good_and_forged() -> None:
    assert_all(
        [
            (
                v,
                merkle.subtree_inclusion_holds(
                    v["leafIdx"], v["start"], v["end"], b64(v["leafHash"]), b64(v["root"]), proof_of(v)
                ),
            )
            for v in vectors("subtreeinclusion", 204)
        ]
    )


@pytest.mark.vectors
def test_all_subtree_consistency_vectors_good_and_forged() -> None:
    assert_all(
        [
            (v, merkle.subtree_holds(v["start"], v["end"], v["size"], b64(v["root1"]), b64(v["root2"]), proof_of(v)))
            for v in vectors("subtreeconsistency", 118)
        ]
    )


def test_the_empty_tree_hashes_to_the_hash_of_nothing() -> None:
    assert merkle.root([]) == merkle.EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_a_record_cannot_pass_for_a_node() -> None:
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_the_root_is_the_rfcs_definition(size: int) -> None:
    assert merkle.root([merkle.leaf_hash(r) for r in LEAVES[:size]]) == naive_root(LEAVES[:size])


records = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


@settings(max_examples=60, deadline=None)
@given(records, st.data())
def test_every_leaf_of_every_tree_can_be_proven_and_no_other_leaf_in_its_place(data: list[bytes], draw: Any) -> None:
    leaves = [merkle.leaf_hash(r) for r in data]
    index = draw.draw(st.integers(0, len(data) - 1))
    proof = merkle.inclusion_proof(index, len(data), merkle.range_hash(leaves))
    root = naive_root(data)
    assert merkle.inclusion_holds(index, len(data), leaves[index], root, proof)
    assert not merkle.inclusion_holds(index, len(data), merkle.leaf_hash(b"something else"), root, proof)
    for other in range(len(data)):
        if leaves[other] != leaves[index]:
            assert not merkle.inclusion_holds(other, len(data), leaves[index], root, proof) or other == index


@settings(max_examples=60, deadline=None)
@given(records, st.data())
def test_every_tree_extends_each_of_its_beginnings_and_no_rewritten_one(data: list[bytes], draw: Any) -> None:
    leaves = [merkle.leaf_hash(r) for r in data]
    first = draw.draw(st.integers(1, len(data)))
    proof = merkle.consistency_proof(first, len(data), merkle.range_hash(leaves))
    old, new = naive_root(data[:first]), naive_root(data)
    assert merkle.consistency_holds(first, len(data), old, new, proof)
    changed = draw.draw(st.integers(0, first - 1))
    rewritten = [*data[:changed], data[changed] + b"!", *data[changed + 1 :]]
    assert not merkle.consistency_holds(first, len(data), old, naive_root(rewritten), proof)
    honest_for_rewritten = merkle.consistency_proof(
        first, len(data), merkle.range_hash([merkle.leaf_hash(r) for r in rewritten])
    )
    assert not merkle.consistency_holds(first, len(data), old, naive_root(rewritten), honest_for_rewritten)


@settings(max_examples=60, deadline=None)
@given(records, st.data())
def test_any_change_to_a_proof_breaks_it(data: list[bytes], draw: Any) -> None:
    leaves = [merkle.leaf_hash(r) for r in data]
    index = draw.draw(st.integers(0, len(data) - 1))
    root = merkle.root(leaves)
    proof = list(merkle.inclusion_proof(index, len(data), merkle.range_hash(leaves)))
    holds = lambda p: merkle.inclusion_holds(index, len(data), leaves[index], root, p)  # noqa: E731
    assert not holds([*proof, root])
    if proof:
        place = draw.draw(st.integers(0, len(proof) - 1))
        assert not holds(proof[:place] + proof[place + 1 :])
        bit = draw.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[place], "big") ^ (1 << bit)).to_bytes(32, "big")
        assert not holds([*proof[:place], flipped, *proof[place + 1 :]])


def test_asking_for_a_proof_that_cannot_be_is_refused() -> None:
    hash_of = merkle.range_hash([merkle.leaf_hash(b"x")] * 4)
    with pytest.raises(ValueError):
        merkle.inclusion_proof(4, 4, hash_of)
    with pytest.raises(ValueError):
        merkle.consistency_proof(0, 4, hash_of)
    with pytest.raises(ValueError):
        merkle.consistency_proof(5, 4, hash_of)
    with pytest.raises(ValueError):
        merkle.subtree_proof(1, 3, 4, hash_of)
