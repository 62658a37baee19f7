"""Hash chains, the making: over one message with its parts, and over a batch of messages that share one signature.

Implements X-Road's hash chain and batch tree (UG-SIGDOC, PR-MESSTRANSP section 4 and the behaviour of its signer): the leaves are the
messages' own digests, or the digest of a step over the parts of a message that has attachments; a node without a right neighbour is
carried up as it is; every message gets the steps from the root (STEP0) down to its leaf, with the siblings as HashValue. All files equal,
byte for byte, what X-Road's servers write, so most of a check is an equality (`hashchain.quick`). A step does not say whether a digest
under it is of a message, a body or a node; what follows from that is docs/decisions/0109.

No XML library: a file is a template with the digests put in, one template per way down the tree. SHA-512 only, as it is produced here;
reading whatever others made is `hashchain`.
"""

from __future__ import annotations

import base64
import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kerege.exchange.lane import NOT_THERE

_native_grow: Callable[[Sequence[bytes]], list[bytes] | None] | None
try:
    from kerege.exchange.lane.digest import grow as _native_grow
except NOT_THERE:
    _native_grow = None

SHA512: Final = "http://www.w3.org/2001/04/xmlenc#sha512"
MOST_LEAVES: Final = 1024  # messages under one signature; ten steps deep
Parts = tuple[bytes, Sequence[bytes]]  # SHA-512 of a message, SHA-512 of each of its attachments


class HashChain:
    """The two files that go with a signature over a chain."""

    __slots__ = ("_chain", "_result")

    def __init__(self, result: bytes, chain: bytes) -> None:
        self._result, self._chain = result, chain

    @property
    def result(self) -> bytes:
        return self._result

    @property
    def chain(self) -> bytes:
        return self._chain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HashChain) and (self.result, self.chain) == (other.result, other.chain)

    def __hash__(self) -> int:
        return hash((self.result, self.chain))

    def __repr__(self) -> str:
        return f"HashChain({self.result!r}, {self.chain!r})"


# --- digests of steps: H(DER(SEQUENCE OF SEQUENCE {OCTET STRING, UTF8String, SEQUENCE {}})), for SHA-512 a fixed frame ---

ITEM_HEAD: Final = b"\x30\x6d\x04\x40"
ITEM_TAIL: Final = b"\x0c\x27" + SHA512.encode() + b"\x30\x00"
LEFT: Final = b"\x30\x81\xde" + ITEM_HEAD
BETWEEN: Final = ITEM_TAIL + ITEM_HEAD


def der(tag: int, content: bytes) -> bytes:
    """One DER value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def pair_digest(left: bytes, right: bytes) -> bytes:
    """The digest of a step over two SHA-512 digests: a node of the tree."""
    return hashlib.sha512(LEFT + left + BETWEEN + right + ITEM_TAIL).digest()


def parts_digest(digests: Sequence[bytes]) -> bytes:
    """The digest of a step over the SHA-512 digests of a message and its attachments, in order."""
    if len(digests) == 2:
        return pair_digest(digests[0], digests[1])
    return hashlib.sha512(der(0x30, b"".join([ITEM_HEAD + digest + ITEM_TAIL for digest in digests]))).digest()


# --- files ---

_HEAD: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<ns2:HashChain xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain">\n'
    b'    <ns2:DefaultDigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
)
_STEP: Final = b'    <ns2:HashStep id="STEP%d">\n'
_STEP_END: Final = b"    </ns2:HashStep>\n"
_TAIL: Final = b"</ns2:HashChain>\n"
_DOWN: Final = b'        <ns2:StepRef URI="#STEP%d"/>\n'
_VALUE: Final = b"        <ns2:HashValue>\n            <DigestValue>%b</DigestValue>\n        </ns2:HashValue>\n"
_DATA: Final = b'        <ns2:DataRef URI="%b">\n            <DigestValue>%%b</DigestValue>\n        </ns2:DataRef>\n'
_RESULT: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<ns2:HashChainResult URI="/sig-hashchain.xml#STEP0" xmlns="http://www.w3.org/2000/09/xmldsig#"'
    b' xmlns:ns2="http://cyber.ee/hashchain">\n'
    b'    <DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>\n'
    b"    <DigestValue>%b</DigestValue>\n"
    b"</ns2:HashChainResult>\n"
)


def part_uri(number: int) -> bytes:
    """How part `number` of a message is named: 0 the message, then its attachments."""
    return b"/attachment%d" % number if number else b"/message.xml"


def template(way: tuple[bool, ...], parts: int) -> bytes:
    """The chain file of a message with `parts` parts at the end of `way` (True: to the right), a %b wherever a digest stands."""
    return _template(way, parts) if parts <= _MOST_REMEMBERED_PARTS else _make_template(way, parts)


def _make_template(way: tuple[bool, ...], parts: int) -> bytes:
    out = [_HEAD]
    last = len(way) - 1
    for depth, right in enumerate(way):
        own = _DATA % part_uri(0) if depth == last and parts == 1 else _DOWN % (depth + 1)
        out += (_STEP % depth, *((_VALUE, own) if right else (own, _VALUE)), _STEP_END)
    if parts > 1 or not way:
        out += (_STEP % len(way), *(_DATA % part_uri(number) for number in range(parts)), _STEP_END)
    out.append(_TAIL)
    return b"".join(out)


_MOST_REMEMBERED_PARTS: Final = 8
_template: Final = lru_cache(maxsize=2048)(_make_template)


def result_file(root: bytes) -> bytes:
    """The result file that names `root`."""
    return _RESULT % b2a_base64(root, newline=False)


def of_message(message_digest: bytes, attachment_digests: Sequence[bytes]) -> HashChain:
    """The chain over one message and its attachments, from their SHA-512 digests."""
    digests = [message_digest, *attachment_digests]
    chain = template((), len(digests)) % tuple(map(base64.b64encode, digests))
    return HashChain(result_file(parts_digest(digests)), chain)


# --- trees ---


@dataclass(frozen=True, slots=True)
class _Way:
    """How one leaf is reached: the directions from the root, and its siblings as positions in `Batch`'s list of nodes."""

    right: tuple[bool, ...]
    siblings: tuple[int, ...]


@lru_cache(maxsize=256)
def _ways(size: int) -> tuple[_Way, ...]:
    """For a tree of `size` leaves, whose nodes are listed level by level from the leaves up, a carried node not again."""
    levels, count = [list(range(size))], size
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = list(range(count, count + len(below) // 2))
        count += len(above)
        levels.append(above + below[len(below) // 2 * 2 :])
    ways = []
    for leaf in range(size):
        right: list[bool] = []
        siblings: list[int] = []
        at = leaf
        for level in levels[:-1]:
            if at ^ 1 < len(level):  # else it is carried up, and no step is made
                right.append(bool(at & 1))
                siblings.append(level[at ^ 1])
            at >>= 1
        ways.append(_Way(tuple(reversed(right)), tuple(reversed(siblings))))
    return tuple(ways)


def _grow(leaves: Sequence[bytes]) -> list[bytes]:
    """All nodes of the tree, level by level from the leaves up; the root is the last of them."""
    nodes = list(leaves)
    level: list[bytes] = nodes.copy()
    sha512 = hashlib.sha512
    while len(level) > 1:
        pairs = iter(level)
        above = [sha512(LEFT + a + BETWEEN + b + ITEM_TAIL).digest() for a, b in zip(pairs, pairs, strict=False)]
        nodes += above
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return nodes


class Batch:
    """Messages under one signature: their tree, the one result file, and each message's own chain file when it is asked for.

    The tree is grown, and a file made, when first looked at: on the way of a message most never are. A batch of one message without
    attachments has no chain at all: its signature is over the message itself (`plain`).
    """

    __slots__ = ("_encoded", "_leaves", "_nodes", "_parts", "_result", "held", "plain")

    def __init__(self, leaves: Sequence[bytes], parts: Sequence[Sequence[bytes] | None]) -> None:
        """leaves   the digest of each message (of the step over its parts, when it has several), in the tree's order
        parts    the digests of each message's parts; None for one that is known by its leaf only
        """
        if not 0 < len(leaves) <= MOST_LEAVES or len(parts) != len(leaves):
            raise ValueError(f"a batch is 1 to {MOST_LEAVES} messages, each with its parts, not {len(leaves)}")
        self._leaves, self._parts = leaves, parts
        self._nodes: list[bytes] | None = None
        self._result: bytes | None = None
        self._encoded: list[bytes] | None = None
        self.held: tuple[bytes, object] | None = (
            None  # a signature seen to hold over this tree, and what it says: `xades_verify`'s
        )
        self.plain = len(leaves) == 1 and parts[0] is not None and len(parts[0]) == 1

    @classmethod
    def of_leaves(cls, leaves: Sequence[bytes]) -> Batch:
        """A tree of which nothing but the leaves is known; a message's parts are given when its files are asked for."""
        return cls(leaves, (None,) * len(leaves))

    def __len__(self) -> int:
        return len(self._leaves)

    @property
    def leaves(self) -> Sequence[bytes]:
        return self._leaves

    @property
    def _all(self) -> list[bytes]:
        if self._nodes is None:
            nodes = None if _native_grow is None else _native_grow(self._leaves)
            self._nodes = _grow(self._leaves) if nodes is None else nodes
        return self._nodes

    @property
    def root(self) -> bytes:
        return self._all[-1]

    @property
    def result(self) -> bytes:
        if self._result is None:
            self._result = b"" if self.plain else result_file(self.root)
        return self._result

    def chain(self, index: int, parts: Sequence[bytes] | None = None) -> bytes:
        """The chain file of message `index`, whose parts have these digests when the batch does not know them itself.

        Raises LookupError for one of which only the leaf is known, or that has none.
        """
        parts = self._parts[index] or parts
        if parts is None or self.plain:
            raise LookupError(f"message {index} of the batch has no chain here")
        encoded = self._encoded
        if encoded is None:
            encoded = self._encoded = [b2a_base64(node, newline=False) for node in self._all]
        way = _ways(len(self._leaves))[index]
        siblings = [encoded[at] for at in way.siblings]
        if len(parts) > 1 or not way.right:
            own_parts = [b2a_base64(part, newline=False) for part in parts]
            return template(way.right, len(parts)) % (*siblings, *own_parts)
        own = b2a_base64(parts[0], newline=False)
        if way.right[-1]:
            return template(way.right, 1) % (*siblings, own)
        *above, last = siblings
        return template(way.right, 1) % (*above, own, last)

    def hash_chain(self, index: int) -> HashChain | None:
        """The two files that go with message `index`, or None when its signature is over the message itself.

        Raises LookupError for a message of which only the leaf is known.
        """
        if self.plain:
            return None
        if self._parts[index] is None:
            raise LookupError(f"message {index} of the batch has no chain here")
        return TreeChain(self, index)


class TreeChain(HashChain):
    """The two files of one message of a batch, made from its tree when they are looked at.

    parts   gives the digests of the message's parts, where the tree knows its leaf only
    """

    __slots__ = ("_parts", "index", "tree")

    def __init__(self, tree: Batch, index: int, parts: Callable[[], Sequence[bytes]] | None = None) -> None:
        self.tree, self.index, self._parts = tree, index, parts

    @property
    def result(self) -> bytes:
        return self.tree.result

    @property
    def chain(self) -> bytes:
        return self.tree.chain(self.index, None if self._parts is None else self._parts())


def batch(messages: Sequence[Parts]) -> Batch:
    """The batch over `messages`, each given by the SHA-512 digests of its bytes and of its attachments' bytes."""
    leaves: list[bytes] = []
    parts: list[Sequence[bytes]] = []
    for message, attachments in messages:
        if attachments:
            all_parts = (message, *attachments)
            leaves.append(parts_digest(all_parts))
            parts.append(all_parts)
        else:
            leaves.append(message)
            parts.append((message,))
    return Batch(leaves, parts)
