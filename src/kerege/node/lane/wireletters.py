"""Messages that came over X-Road's wire and were read natively: what signs them, and how the Python path and the log take them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from kerege.exchange.batch import Batch, HashChain
from kerege.exchange.bodies import Attachment
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.ids import MemberId
from kerege.exchange.lane.call import Call
from kerege.exchange.lane.multiparts import Envelope
from kerege.exchange.lane.records import RecordGroup
from kerege.exchange.trust import Trust
from kerege.node import wire
from kerege.node.link.bodies import INLINE
from kerege.node.message import Message, Signature

LARGEST: Final = 2 * INLINE + 128 * 1024  # bytes of a message with all its parts
_MOST_TREES: Final = 64


class _Tree:
    """What a signature over a hash chain is held against, as `trust.Trust.check_batch` takes a tree: of it the result file is known,
    and that the messages lead to it (`chains.hold`)."""

    __slots__ = ("held", "plain", "result")

    def __init__(self, result: bytes) -> None:
        self.result, self.plain = result, False
        self.held: tuple[bytes, object] | None = None


class Signatures:
    """Checks signatures, and remembers with a tree which one held over it."""

    def __init__(self) -> None:
        self._trees: dict[bytes, _Tree] = {}

    def check(self, trust: Trust, found: Envelope, member: MemberId, now: datetime) -> None:
        """`wire.verify` of a message whose chain files were found to hold, or that has none. Raises what does not hold."""
        if found.result is None:
            part = found.part
            parts = () if part.body_digest is None else (Digest(SHA512, part.body_digest),)
            trust.check_signature(found.signature, Digest(SHA512, part.digest or b""), parts, None, member, now)
            return
        tree = self._trees.get(found.result)
        if tree is None:
            if len(self._trees) >= _MOST_TREES:
                self._trees.clear()
            tree = self._trees[found.result] = _Tree(found.result)
        trust.check_batch(found.signature, cast(Batch, tree), member, now)


def chain_of(found: Envelope) -> HashChain | None:
    return None if found.result is None or found.chain is None else HashChain(found.result, found.chain)


def incoming_of(found: Envelope, kind: bytes) -> wire.Incoming:
    """A message that was read natively, for the Python path."""
    part = found.part
    attachments = () if part.body is None else (Attachment((), part.body),)
    message = Message(kind, part.content, attachments)
    if part.digest is not None:
        message._digests = part.digests
    return wire.Incoming(message, Signature(found.signature, chain_of(found)), found.ocsp)


def group_of(now: datetime, direction: str, side: str, group: list[tuple[Call, Envelope]]) -> RecordGroup:
    """The records of messages under one signature and one chain result, or of one message without a chain."""
    first = group[0][1]
    calls, found = [call for call, _ in group], [one for _, one in group]
    parts = [one.part for one in found]
    files = None if first.result is None else [one.chain or b"" for one in found]
    return RecordGroup(now, direction, side, first.signature, None, parts, calls, first.result, files)
