import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.exchange import tschain
from kerege.exchange.errors import HashChainInvalid, TimestampInvalid
from kerege.exchange.logrecord import StampRecord

from .conftest import NOW


def leaves_of(count: int) -> list[bytes]:
    return [hashlib.sha512(b"<signature %d/>" % i).digest() for i in range(count)]


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 70), data=st.data())
def test_every_leafs_chain_leads_to_the_result_and_no_other_signatures_does(count: int, data: st.DataObject) -> None:
    leaves = leaves_of(count)
    tree = tschain.Tree(leaves)
    index = data.draw(st.integers(0, count - 1))
    chain = tree.chain_of(leaves[index])
    tschain.check_chain(chain, b"<signature %d/>" % index)
    with pytest.raises(HashChainInvalid):
        tschain.check_chain(chain, b"<signature %d/>" % (index + 1))
    assert chain.result == tree.result


def test_another_set_of_signatures_has_another_result() -> None:
    leaves = leaves_of(5)
    results = {tschain.Tree(leaves).result, tschain.Tree(leaves[:4]).result, tschain.Tree(leaves[::-1]).result}
    assert len(results) == 3


def test_nothing_and_too_much_are_refused() -> None:
    for leaves in ([], [bytes(64)] * (tschain.MOST_LEAVES + 1)):
        with pytest.raises(ValueError, match="1 to 10000"):
            tschain.Tree(leaves)


def test_a_stamps_leaves_must_give_its_result_and_be_its_records() -> None:
    leaves = tuple(leaves_of(3))
    stamp = StampRecord(NOW, "TSA", 0, 3, b"token", tschain.Tree(leaves).result, leaves)
    tschain.check_leaves(stamp, [leaves[0], leaves[0], leaves[1], leaves[2]])
    tschain.check_leaves(stamp, [leaves[1], leaves[2]], whole=False)
    with pytest.raises(TimestampInvalid, match="records"):
        tschain.check_leaves(stamp, [leaves[0], leaves[2]])
    with pytest.raises(TimestampInvalid, match="records"):
        tschain.check_leaves(stamp, [hashlib.sha512(b"x").digest()], whole=False)
    changed = StampRecord(NOW, "TSA", 0, 3, b"token", tschain.Tree(leaves[:2]).result, leaves)
    with pytest.raises(TimestampInvalid, match="tree"):
        tschain.check_leaves(changed, list(leaves))
