"""Hash chains of batch time-stamps: one token stands for the signatures of many records.

Implements X-Road's batch time-stamping (UG-SIGDOC, DM-ML): a binary tree over the digests of the signatures' XML, whose root is
the value in ts-hashchainresult.xml; the token stamps the bytes of that file; each container carries the steps from its
`/META-INF/signatures.xml` to the root. A node without a sibling goes up unchanged. Digests and steps are `hashchain`'s.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from kerege.exchange import hashchain
from kerege.exchange.errors import TimestampInvalid
from kerege.exchange.hashchain import SHA512, HashChain
from kerege.exchange.logrecord import StampRecord

RESULT_FILE: Final = "ts-hashchainresult.xml"
CHAIN_FILE: Final = "ts-hashchain.xml"
SIGNATURES_URI: Final = "/META-INF/signatures.xml"
MOST_LEAVES: Final = 10_000  # X-Road's limit for one token
_NAMESPACES: Final = b'xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain"'
_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_RESULT: Final = (
    _DECLARATION + b'<ns2:HashChainResult URI="/ts-hashchain.xml#STEP0" ' + _NAMESPACES + b">\n"
    b'    <DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
    b"    <DigestValue>%b</DigestValue>\n</ns2:HashChainResult>\n"
)
_HEAD: Final = (
    _DECLARATION + b"<ns2:HashChain " + _NAMESPACES + b">\n"
    b'    <ns2:DefaultDigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
)
_STEP: Final = b'    <ns2:HashStep id="STEP%d">\n%b    </ns2:HashStep>\n'
_VALUE: Final = b"        <ns2:HashValue>\n            <DigestValue>%b</DigestValue>\n        </ns2:HashValue>\n"
_NEXT: Final = b'        <ns2:StepRef URI="#STEP%d"/>\n'
_DATA: Final = (
    b'        <ns2:DataRef URI="/META-INF/signatures.xml">\n            <DigestValue>%b</DigestValue>\n'
    b"        </ns2:DataRef>\n"
)


class Tree:
    """The tree over the SHA-512 digests of distinct signatures, in order."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not 0 < len(leaves) <= MOST_LEAVES:
            raise ValueError(f"a time-stamp covers 1 to {MOST_LEAVES} signatures, not {len(leaves)}")
        self._levels: list[list[bytes]] = [list(leaves)]
        while len(level := self._levels[-1]) > 1:
            above = [_step(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            self._levels.append(above + level[len(level) & ~1 :])
        root = self._levels[-1][0] if len(leaves) > 1 else hashchain.step_digest([(leaves[0], SHA512)])
        self.result = _RESULT % base64.b64encode(root)
        self._place = {leaf: index for index, leaf in enumerate(leaves)}

    def chain_of(self, leaf: bytes) -> HashChain:
        """The two files for the signature with this digest. Raises KeyError when the tree does not hold it."""
        index = self._place[leaf]
        data = _DATA % base64.b64encode(leaf)
        siblings: list[tuple[bytes, bool]] = []  # from the leaf upwards; whether we stand on its right
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append((_VALUE % base64.b64encode(level[index ^ 1]), bool(index & 1)))
            index >>= 1
        if not siblings:
            return HashChain(self.result, _HEAD + _STEP % (0, data) + b"</ns2:HashChain>\n")
        steps = []
        for number, (value, right) in enumerate(reversed(siblings)):
            own = data if number == len(siblings) - 1 else _NEXT % (number + 1)
            steps.append(_STEP % (number, value + own if right else own + value))
        return HashChain(self.result, _HEAD + b"".join(steps) + b"</ns2:HashChain>\n")


def _step(left: bytes, right: bytes) -> bytes:
    return hashchain.step_digest([(left, SHA512), (right, SHA512)])


def check_leaves(stamp: StampRecord, signatures: Sequence[bytes], *, whole: bool = True) -> None:
    """Check that a stamp's leaves give its result and are the signatures of the records it says. Raises TimestampInvalid.

    signatures   digests of the signatures of the records first to last, in order
    whole        False when earlier records of the range have been cleaned away
    """
    if not 0 < len(stamp.leaves) <= MOST_LEAVES or Tree(stamp.leaves).result != stamp.result:
        raise TimestampInvalid(check="tree", reason="the digests kept with it do not give the value it stamps")
    distinct = tuple(dict.fromkeys(signatures))
    held = distinct == stamp.leaves if whole else set(distinct) <= set(stamp.leaves)
    if not held:
        raise TimestampInvalid(check="records", reason="it covers other signatures than those of the records it names")


def check_chain(chain: HashChain, signatures_xml: bytes) -> None:
    """Check that a container's chain leads from its signatures.xml to the result. Raises HashChainInvalid or -Malformed."""
    files = {"/" + CHAIN_FILE: chain.chain}
    hashchain.verify(chain.result, {SIGNATURES_URI: signatures_xml}, files.get)
