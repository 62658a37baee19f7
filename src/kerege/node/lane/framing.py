"""Frames of the Kerege link for messages of the native path; where it does not make them, the Python writer does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange.batch import Batch
from kerege.exchange.bodies import Attachment
from kerege.exchange.lane import frames
from kerege.exchange.lane.call import Part

REQUESTS: Final = 0  # as `linkframes.KINDS` numbers them
ANSWERS: Final = 1
_CONTENT_TYPE: Final = b"x-original-content-type"


def encoded(signature: bytes, parts: list[Part], kind: int, tree: Batch, limits: lm.LinkLimits) -> list[bytes]:
    """The frames of messages that were signed together, all of the tree's leaves among them; in the order of their leaves."""
    most = min(limits.frame, lf.TOGETHER)
    made = frames.encode(signature, parts, kind, len(tree), b"", not tree.plain, most, limits.messages)
    if made is not None:
        return made
    group = lm.Group.of(signature, [_message(part, kind) for part in parts], tree, chained=not tree.plain)
    return lf.encode_messages([group], limits)


def _message(part: Part, kind: int) -> lm.LinkMessage:
    attachments: Sequence[Attachment] = () if part.body is None else (Attachment((), part.body),)
    headers = () if part.content_type is None else ((_CONTENT_TYPE, part.content_type),)
    return lm.LinkMessage(
        part.stream, lf.KINDS[kind], part.content, tuple(attachments), headers, part.index, part.digests
    )
