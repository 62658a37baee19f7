"""What travels on the Kerege link, as values: messages under their signatures, and what a link needs besides. Bytes are `linkframes`.

A group holds the messages of one signature (X-Road's batch signature, xroad.md 2.5) without any hash chain: the receiver grows the tree
from the messages themselves, and has for each exactly what X-Road's wire would have carried (signature, chain result, its own chain),
for its log and its containers. Whether the signature holds is `trust.Trust.check_group`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kerege.exchange.batch import Batch, HashChain, Parts, batch, of_message, parts_digest
from kerege.exchange.bodies import Attachment

if TYPE_CHECKING:
    from kerege.exchange.lane.frames import LaneGroup

VERSION: Final = 1
SHA512_SIZE: Final = 64
Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How much one frame may hold. Both sides say theirs in the greeting; a sender keeps to the smaller."""

    frame: int = 12 * 1024 * 1024  # the largest SOAP envelope is in one piece, and something stands around it
    messages: int = 1024


@dataclass(frozen=True, slots=True)
class Announced:
    """An attachment whose body follows in BODY frames: how long it is and its digest, which is what the signature covers."""

    headers: Fields
    size: int
    sha512: bytes


class LinkMessage:
    """One message on the link.

    stream        the number of its exchange on this connection; request and response have the same
    kind          multipart.REST_REQUEST, REST_RESPONSE, SOAP or XOP
    leaf          which leaf of its signature's tree it is
    headers       what goes beside the signed bytes on X-Road's wire (original content type, SOAPAction, ...)
    """

    __slots__ = ("_digests", "attachments", "content", "headers", "kind", "leaf", "stream")

    def __init__(
        self,
        stream: int,
        kind: bytes,
        content: bytes,
        attachments: tuple[Attachment | Announced, ...] = (),
        headers: Fields = (),
        leaf: int = 0,
        digests: Parts | None = None,
    ) -> None:
        self.stream, self.kind, self.content, self.attachments = stream, kind, content, attachments
        self.headers, self.leaf, self._digests = headers, leaf, digests

    @property
    def digests(self) -> Parts:
        """SHA-512 of the content, and of every attachment's body (of one that is announced: as it was announced)."""
        if self._digests is None:
            content = hashlib.sha512(self.content).digest()
            self._digests = (content, tuple([attachment.sha512 for attachment in self.attachments]))
        return self._digests

    def __eq__(self, other: object) -> bool:
        names = ("stream", "kind", "content", "attachments", "headers", "leaf")
        return isinstance(other, LinkMessage) and all(getattr(self, n) == getattr(other, n) for n in names)

    __hash__ = None  # type: ignore[assignment]


class Group:
    """Messages under one signature.

    size      leaves of the signature's tree; 1 for a signature of its own
    others    the leaf digests of the messages that are not here, in order, one after the other
    chained   whether the signature is over a hash chain result (else over the message, or its parts, directly)
    """

    __slots__ = ("_batch", "chained", "messages", "others", "signature", "size")

    def __init__(
        self, signature: bytes, messages: tuple[LinkMessage, ...], size: int, others: bytes, *, chained: bool
    ) -> None:
        self.signature, self.messages, self.size, self.others, self.chained = signature, messages, size, others, chained
        self._batch: Batch | None = None

    @classmethod
    def of(cls, signature: bytes, messages: Sequence[LinkMessage], tree: Batch | None, *, chained: bool) -> Group:
        """The group of messages that share `signature`; `tree` is the signature's batch (`xades.Signed.batch`), if it has one."""
        if tree is None or len(tree) == len(messages):
            return cls(signature, tuple(messages), len(messages), b"", chained=chained)
        here = {message.leaf for message in messages}
        others = b"".join([leaf for at, leaf in enumerate(tree.leaves) if at not in here])
        return cls(signature, tuple(messages), len(tree), others, chained=chained)

    def batch(self) -> Batch:
        """The signature's tree, grown from the messages that came. Whether the signature is over it is for `xades_verify`."""
        if self._batch is None:
            if not self.others:
                self._batch = batch([message.digests for message in self.messages])
            else:
                self._batch = self._grown()
        return self._batch

    def alone(self, message: LinkMessage) -> Group:
        """The same signature and tree, with this one of the messages: who keeps it keeps none of the others."""
        made = Group(self.signature, (message,), self.size, self.others, chained=self.chained)
        made._batch = self.batch()
        return made

    def _grown(self) -> Batch:
        leaves: list[bytes] = [b""] * self.size
        parts: list[Sequence[bytes] | None] = [None] * self.size
        for message in self.messages:
            content, attachments = message.digests
            own = (content, *attachments)
            parts[message.leaf] = own
            leaves[message.leaf] = parts_digest(own) if attachments else content
        at = 0
        for index, known in enumerate(parts):
            if known is None:
                leaves[index] = self.others[at : at + SHA512_SIZE]
                at += SHA512_SIZE
        return Batch(leaves, parts)

    def hash_chain(self, message: LinkMessage) -> HashChain | None:
        """The two files that X-Road's wire would have carried with `message`, None when its signature has none."""
        if not self.chained:
            return None
        if self.size == 1:
            return of_message(*message.digests)
        return self.batch().hash_chain(message.leaf)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of each side."""

    node: str
    versions: tuple[int, ...] = (VERSION,)
    limits: LinkLimits = field(default_factory=LinkLimits)
    credit: int = 1024 * 1024  # bytes of one announced body that may be on their way before more is allowed
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Messages:
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class LaneMessages:
    """`Messages` of which all are small REST messages, read natively; only from a decoder that was asked for them."""

    groups: tuple[LaneGroup, ...]


@dataclass(frozen=True, slots=True)
class FaultFrame:
    """What ends a stream instead of a response: a SOAP fault, as on X-Road's wire."""

    stream: int
    fault: bytes


@dataclass(frozen=True, slots=True)
class BodyData:
    """A piece of an announced body; `part` counts attachments from 1."""

    stream: int
    part: int
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Credit:
    """So many more bytes of announced bodies may be sent on this stream."""

    stream: int
    size: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The sender no longer waits for this stream, or cannot complete its bodies."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    token: bytes  # eight bytes, sent back unchanged
    answer: bool = False


@dataclass(frozen=True, slots=True)
class Goaway:
    """No new streams after `last`; those under way are finished."""

    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class OcspAnswers:
    """The sender's current OCSP answers: (AUTH or SIGN, DER)."""

    answers: tuple[tuple[int, bytes], ...]


Frame = Hello | Messages | LaneMessages | FaultFrame | BodyData | Credit | Cancel | Ping | Goaway | OcspAnswers
