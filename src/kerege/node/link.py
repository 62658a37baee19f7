"""The Kerege link: many messages in flight over one mutually authenticated connection, under X-Road's own signatures.

Two Kerege nodes agree on it when they connect (TLS ALPN); with anybody else X-Road's wire is spoken. What was signed together is written
as one frame and logged as one batch at both ends; signatures, hash chains, log records and containers are the ones X-Road's wire would
have given (`exchange.linkframes`). Here is what both ends share: the connection, greeting, OCSP answers, large bodies in pieces.
Calling is `link_client`'s, answering `link_server`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from kerege.exchange import linkframes as lf
from kerege.exchange import linkmessages as lm
from kerege.exchange.bodies import Attachment, Body, BodyWriter, Spool, body_chunks, close_body
from kerege.exchange.errors import LinkMalformed, MessageMalformed, MessageTooLarge
from kerege.ground.errors import KeregeError
from kerege.node.config_types import LimitSettings
from kerege.node.message import Extras, Message

_LOG: Final = logging.getLogger("kerege.node.link")
ALPN: Final = "kerege-link/1"
INLINE: Final = 64 * 1024  # a larger body goes in pieces, so that it does not hold up the messages behind it
PIECE: Final = 64 * 1024
CREDIT: Final = 1024 * 1024
_MOST_BODIES: Final = 256  # large bodies arriving at once on one link
_CONTENT_TYPE: Final = b"x-original-content-type"
_SOAP_ACTION: Final = b"x-original-soapaction"
_REQUEST_ID: Final = b"x-road-request-id"
_OF_PART: Final = b"part-"  # a header of a SOAP message's own MIME part


class LinkRefused(Exception):
    """The other side speaks X-Road's wire only."""


class _Arriving:
    """A message whose large bodies are still on their way."""

    __slots__ = ("group", "left", "message", "writers")

    def __init__(self, group: lm.Group, message: lm.LinkMessage, writers: dict[int, BodyWriter]) -> None:
        self.group, self.message, self.writers, self.left = group, message, writers, len(writers)


class LinkProtocol(asyncio.Protocol):
    """One end of a link. Subclasses take whole messages (`take`) and what else ends a stream."""

    def __init__(self, node: str, limits: LimitSettings) -> None:
        self._node, self._limits = node, limits
        self._loop = asyncio.get_running_loop()
        self._decoder = lf.Decoder()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._arriving: dict[int, _Arriving] = {}
        self._credit: dict[int, int] = {}  # of streams whose bodies are being sent
        self._credited: dict[int, asyncio.Event] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._told_ocsp: tuple[bytes, ...] = ()
        self.peer_ocsp: tuple[bytes, ...] = ()
        self.peer_hello: lm.Hello | None = None
        self.greeted: asyncio.Future[lm.Hello] = self._loop.create_future()
        self.certificate: bytes | None = None
        self.peer_address = ""
        self.alive = False
        self.quiet_since = self._loop.time()

    # --- connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(True)
        name = transport.get_extra_info("peername")
        self.peer_address = str(name[0]) if name else ""
        self.alive = True
        self.write(lf.encode(lm.Hello(self._node, credit=CREDIT)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        self._writable.set()
        for task in self._sending:
            task.cancel()
        for event in self._credited.values():
            event.set()
        for arriving in self._arriving.values():
            for writer in arriving.writers.values():
                writer.discard()
        self._arriving.clear()
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("the connection closed before the greeting"))
            self.greeted.exception()  # whoever waits is told; nobody waiting is no error
        self.ended()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self.alive = False
        if self._transport is not None:
            self._transport.abort()

    # --- frames in ---

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._decoder.feed(data):
                self._frame(frame)
        except KeregeError as problem:
            _LOG.warning("the link with %s is closed: %s", self.peer_address, problem.text)
            self.close()
        except Exception:  # noqa: BLE001 - logged with its trace; calls under way are told by the closing
            _LOG.exception("the link with %s is closed", self.peer_address)
            self.close()

    def _frame(self, frame: lm.Frame) -> None:
        if isinstance(frame, lm.Messages):
            self._messages(frame)
        elif isinstance(frame, lm.BodyData):
            self._body(frame)
        elif isinstance(frame, lm.Credit):
            self._more_credit(frame)
        elif isinstance(frame, lm.FaultFrame):
            self._drop_arriving(frame.stream)
            self.fault(frame)
        elif isinstance(frame, lm.Cancel):
            self._drop_arriving(frame.stream)
            self.cancelled(frame.stream)
        elif isinstance(frame, lm.OcspAnswers):
            self.peer_ocsp = tuple(der for about, der in frame.answers if about == lf.AUTH)
        elif isinstance(frame, lm.Hello):
            if self.peer_hello is not None:
                raise LinkMalformed(where="hello", reason="it came twice")
            self.peer_hello = frame
            if not self.greeted.done():
                self.greeted.set_result(frame)
        elif isinstance(frame, lm.Ping):
            if not frame.answer:
                self.write(lf.encode(lm.Ping(frame.token, answer=True)))
        else:
            self.leaving(frame)

    def _messages(self, frame: lm.Messages) -> None:
        for group in frame.groups:
            whole = True
            for message in group.messages:
                for attachment in message.attachments:
                    if isinstance(attachment, lm.Announced):
                        whole = False
            if whole:
                self.take(group, list(group.messages))
                continue
            now = []
            for message in group.messages:
                if any(isinstance(attachment, lm.Announced) for attachment in message.attachments):
                    self._expect(group, message)
                else:
                    now.append(message)
            if now:
                self.take(group, now)

    # --- large bodies ---

    def _expect(self, group: lm.Group, message: lm.LinkMessage) -> None:
        if len(self._arriving) >= _MOST_BODIES or message.stream in self._arriving:
            raise LinkMalformed(where="bodies", reason="too many are announced, or one stream announces twice")
        limits = self._limits
        group.batch()  # while the digests are as they were announced
        writers = {
            number: BodyWriter(limits.body, memory=limits.memory, folder=Path(limits.spool))
            for number, attachment in enumerate(message.attachments, 1)
            if isinstance(attachment, lm.Announced)
        }
        if any(isinstance(a, lm.Announced) and a.size > limits.body for a in message.attachments):
            self.refuse(message.stream, MessageTooLarge(what="body", limit=limits.body))
            return
        self._arriving[message.stream] = _Arriving(group, message, writers)

    def _body(self, frame: lm.BodyData) -> None:
        arriving = self._arriving.get(frame.stream)
        if arriving is None:
            return  # refused or cancelled; its pieces were on their way
        writer = arriving.writers.get(frame.part)
        if writer is None:
            raise LinkMalformed(where="body", reason="a piece of a body came that was not announced")
        try:
            writer.write(frame.data)
        except KeregeError as problem:
            self._drop_arriving(frame.stream)
            self.refuse(frame.stream, problem)
            return
        if not frame.last:
            if frame.data:
                self.write(lf.encode(lm.Credit(frame.stream, len(frame.data))))
            return
        attachment = arriving.message.attachments[frame.part - 1]
        assert isinstance(attachment, lm.Announced)
        body = writer.finish()
        del arriving.writers[frame.part]
        came = Attachment(attachment.headers, body)
        if len(body) != attachment.size or came.sha512 != attachment.sha512:
            close_body(body)
            raise LinkMalformed(where="body", reason="it is not the body that was announced")
        attachments = list(arriving.message.attachments)
        attachments[frame.part - 1] = came
        arriving.message.attachments = tuple(attachments)
        if not arriving.writers:
            del self._arriving[frame.stream]
            self.take(arriving.group, [arriving.message])

    def _drop_arriving(self, stream: int) -> None:
        arriving = self._arriving.pop(stream, None)
        if arriving is not None:
            for writer in arriving.writers.values():
                writer.discard()

    def _more_credit(self, frame: lm.Credit) -> None:
        if frame.stream in self._credit:
            self._credit[frame.stream] += frame.size
            self._credited[frame.stream].set()

    def send_bodies(self, stream: int, bodies: Sequence[tuple[int, Body]]) -> None:
        """Send announced bodies piece by piece, as the other end takes them."""
        task = self._loop.create_task(self._send_bodies(stream, bodies))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_bodies(self, stream: int, bodies: Sequence[tuple[int, Body]]) -> None:
        self._credit[stream] = self.peer_hello.credit if self.peer_hello else CREDIT
        event = self._credited[stream] = asyncio.Event()
        try:
            for number, body in bodies:
                left = len(body)
                for piece in body_chunks(body, PIECE):
                    left -= len(piece)
                    while self._credit[stream] < len(piece) and self.alive:
                        event.clear()
                        await event.wait()
                    await self._writable.wait()
                    if not self.alive:
                        return
                    self._credit[stream] -= len(piece)
                    self.write(lf.encode(lm.BodyData(stream, number, piece, not left)))
                if not len(body):
                    self.write(lf.encode(lm.BodyData(stream, number, b"", True)))
        except KeregeError as problem:
            _LOG.error("a body could not be sent: %s", problem.text)
            self.write(lf.encode(lm.Cancel(stream)))
        finally:
            self._credit.pop(stream, None)
            self._credited.pop(stream, None)

    def tell_ocsp(self, answers: tuple[bytes, ...]) -> None:
        """Say our OCSP answers when they are others than last time."""
        if answers is not self._told_ocsp and answers:
            self._told_ocsp = answers
            self.write(lf.encode(lm.OcspAnswers(tuple((lf.AUTH, der) for der in answers))))

    # --- what an end does ---

    def take(self, group: lm.Group, messages: list[lm.LinkMessage]) -> None:
        """Messages of one signature that are whole."""
        raise NotImplementedError

    def refuse(self, stream: int, problem: KeregeError) -> None:
        """What comes on this stream cannot be taken."""
        raise NotImplementedError

    def fault(self, frame: lm.FaultFrame) -> None:
        raise NotImplementedError

    def cancelled(self, stream: int) -> None:
        """The other side no longer answers, or waits for, this stream."""

    def leaving(self, frame: lm.Goaway) -> None:
        """The other side takes no new streams."""

    def ended(self) -> None:
        """The connection is gone."""


def outgoing(stream: int, message: Message, extras: Extras, leaf: int) -> tuple[lm.LinkMessage, list[tuple[int, Body]]]:
    """A message as the link carries it, and its bodies that go in pieces."""
    large: list[tuple[int, Body]] = []
    attachments: tuple[Attachment | lm.Announced, ...] = message.attachments
    for number, attachment in enumerate(message.attachments, 1):
        body = attachment.body
        if isinstance(body, Spool) or len(body) > INLINE:
            large.append((number, body))
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


def incoming(message: lm.LinkMessage) -> tuple[Message, Extras]:
    """A message that came whole."""
    attachments = []
    for attachment in message.attachments:
        if isinstance(attachment, lm.Announced):
            raise MessageMalformed(where="link", reason="a body is missing")
        attachments.append(attachment)
    out = Message(message.kind, message.content, tuple(attachments))
    out._digests = message.digests[0], tuple(message.digests[1])
    extras = Extras()
    for name, value in message.headers:
        if name == _CONTENT_TYPE:
            extras.content_type = value.decode("latin-1")
        elif name == _SOAP_ACTION:
            extras.soap_action = value.decode("latin-1")
        elif name == _REQUEST_ID:
            extras.request_id = value.decode("latin-1")
        elif name.startswith(_OF_PART):
            out.headers = (*out.headers, (name[len(_OF_PART) :], value))
    out.content_type = extras.content_type
    return out, extras
