"""Messages as the Kerege link carries them, and back: what is signed, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from kerege.exchange import linkmessages as lm
from kerege.exchange import multipart, soappart
from kerege.exchange.bodies import Attachment, Body, Spool
from kerege.exchange.errors import MessageMalformed
from kerege.node.link.bodies import INLINE
from kerege.node.message import Extras, Message

if TYPE_CHECKING:
    from kerege.node.sealing import Item

_CONTENT_TYPE: Final = b"x-original-content-type"
_SOAP_ACTION: Final = b"x-original-soapaction"
_REQUEST_ID: Final = b"x-road-request-id"
_SOAP_KINDS: Final = frozenset({multipart.SOAP, multipart.XOP})
_OF_PART: Final = b"part-"  # a header of a SOAP message's own MIME part


def outgoing(stream: int, message: Message, extras: Extras, leaf: int) -> tuple[lm.LinkMessage, list[tuple[int, Body]]]:
    """A message as the link carries it, and its bodies that go in pieces."""
    large: list[tuple[int, Body]] = []
    attachments: tuple[Attachment | lm.Announced, ...] = message.attachments
    inline = 0
    for number, attachment in enumerate(message.attachments, 1):
        body = attachment.body
        if isinstance(body, Spool) or inline + len(body) > INLINE:  # many small ones are as large
            large.append((number, body))
        else:
            inline += len(body)
    if large:
        numbers = {number for number, _ in large}
        attachments = tuple(
            lm.Announced(a.headers, len(a.body), a.sha512) if number in numbers else a
            for number, a in enumerate(message.attachments, 1)
        )
    headers: list[tuple[bytes, bytes]] = []
    if extras.content_type or message.content_type:
        content_type = extras.content_type or message.content_type
        headers.append((_CONTENT_TYPE, content_type.encode("latin-1", "replace")))
    if extras.request_id:
        headers.append((_REQUEST_ID, extras.request_id.encode("latin-1", "replace")))
    headers += [(_OF_PART + name, value) for name, value in message.headers]
    if extras.soap_action is not None:
        headers.append((_SOAP_ACTION, extras.soap_action.encode("latin-1", "replace")))
    return lm.LinkMessage(
        stream, message.kind, message.content, attachments, tuple(headers), leaf, message.digests
    ), large


def groups_of(items: Sequence[Item]) -> tuple[list[lm.Group], list[tuple[int, list[tuple[int, Body]]]]]:
    """Items sealed together as frames carry them: those of one tree in one group. And the bodies that go in pieces."""
    large: list[tuple[int, list[tuple[int, Body]]]] = []
    messages: list[lm.LinkMessage] = []
    for item in items:
        signed, call = item.signed, item.tag
        assert signed is not None
        message, bodies = outgoing(call.stream, item.message, call.extras, signed.index)  # type: ignore[attr-defined]
        messages.append(message)
        if bodies:
            large.append((message.stream, bodies))
    first = items[0].signed
    assert first is not None
    if first.batch is not None:
        return [lm.Group.of(first.xml, messages, first.batch, chained=True)], large
    groups = []
    for item, message in zip(items, messages, strict=True):
        assert item.signed is not None
        groups.append(lm.Group.of(item.signed.xml, (message,), None, chained=item.signed.chain is not None))
    return groups, large


def incoming(message: lm.LinkMessage) -> tuple[Message, Extras]:
    """A message that came whole. Raises what is wrong with what stands beside it."""
    attachments = []
    for attachment in message.attachments:
        if isinstance(attachment, lm.Announced):
            raise MessageMalformed(where="link", reason="a body is missing")
        attachments.append(attachment)
    out = Message(message.kind, message.content, tuple(attachments))
    out._digests = message.digests[0], tuple(message.digests[1])
    extras, of_part = Extras(), []
    for name, value in message.headers:
        if name == _CONTENT_TYPE:
            extras.content_type = value.decode("latin-1")
        elif name == _SOAP_ACTION:
            extras.soap_action = value.decode("latin-1")
        elif name == _REQUEST_ID:
            extras.request_id = value.decode("latin-1")
        elif name.startswith(_OF_PART):
            of_part.append((name[len(_OF_PART) :], value))
    if of_part and out.kind in _SOAP_KINDS:
        out.headers = soappart.kept(out.kind, of_part)
    out.content_type = extras.content_type
    return out, extras
