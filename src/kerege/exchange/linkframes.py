"""The Kerege link's frames: many signed messages on one connection between two nodes, as bytes and back.

Between two Kerege nodes messages that were signed together travel together: a frame holds, per signature, the signature once, how large
its tree is, the leaves of the messages that are not in the frame, and then the messages (`linkmessages.Group`). Everything else a link
needs has a frame of its own: greeting, faults, large bodies in pieces with credit, OCSP answers, ping, farewell.

A frame is a head of 12 bytes (magic "KL", version, kind, flags, count, length), then `length` bytes; numbers are big-endian. Every
count and length is held against a limit, and against the bytes that are there, before anything is made of it. Pure: no sockets, no
state but `Decoder`'s half frame; which stream may do what is `node`'s, docs/decisions/0105 says why it looks like this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct, error
from typing import Final

import orjson

from kerege.exchange import multipart
from kerege.exchange.batch import MOST_LEAVES
from kerege.exchange.bodies import Attachment
from kerege.exchange.errors import LinkMalformed
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.linkmessages import (
    SHA512_SIZE,
    VERSION,
    Announced,
    BodyData,
    Cancel,
    Credit,
    FaultFrame,
    Fields,
    Frame,
    Goaway,
    Group,
    Hello,
    LaneMessages,
    LinkLimits,
    LinkMessage,
    Messages,
    OcspAnswers,
    Ping,
)

try:
    from kerege.exchange.lane import frames as lane_frames
except NOT_THERE:
    lane_frames = None  # type: ignore[assignment]

MAGIC: Final = b"KL"
_HEAD: Final = Struct(">2sBBHHI")  # magic, version, kind, flags (none yet), count, length
_GROUP: Final = Struct(">IHHB")  # signature, leaves of its tree, messages here, flags
_MESSAGE: Final = Struct(">IBHIHH")  # stream, kind, leaf, content, headers, attachments
_ATTACHMENT: Final = Struct(">BHQ")  # flags, headers, body
_FIELD: Final = Struct(">HI")  # name, value
_BODY: Final = Struct(">IHB")  # stream, attachment (from 1), flags
_PAIR: Final = Struct(">II")
_ANSWER: Final = Struct(">BI")

HELLO, MESSAGES, FAULT, BODY, CREDIT, CANCEL, PING, PONG, GOAWAY, OCSP = range(1, 11)
_CHAINED, _ANNOUNCED, _LAST = 1, 1, 1

KINDS: Final = (multipart.REST_REQUEST, multipart.REST_RESPONSE, multipart.SOAP, multipart.XOP)
_NUMBER_OF_KIND: Final = {kind: number for number, kind in enumerate(KINDS)}
AUTH, SIGN = 0, 1  # what an OCSP answer is about: the sender's certificate for TLS, or one it signs with

HEAD_SIZE: Final = _HEAD.size
# bytes of several messages in one frame; only one that is larger alone has a larger frame
TOGETHER: Final = 4 * 1024 * 1024
_MOST_FIELDS: Final = 64
_MOST_ATTACHMENTS: Final = 256
_MOST_ANSWERS: Final = 256
_LARGEST_ANSWERS: Final = 64 * 1024  # all together: they are kept as long as the link is
_LARGEST_SIGNATURE: Final = 256 * 1024
_LARGEST_HELLO: Final = 16 * 1024
# --- writing ---


def _frame(kind: int, count: int, *pieces: bytes) -> bytes:
    return b"".join((_HEAD.pack(MAGIC, VERSION, kind, 0, count, sum(map(len, pieces))), *pieces))


def encode(frame: Hello | FaultFrame | BodyData | Credit | Cancel | Ping | Goaway | OcspAnswers) -> bytes:
    """Any frame but messages, which are `encode_messages`'."""
    if isinstance(frame, BodyData):
        return _frame(BODY, 1, _BODY.pack(frame.stream, frame.part, _LAST if frame.last else 0), frame.data)
    if isinstance(frame, Credit):
        return _frame(CREDIT, 1, _PAIR.pack(frame.stream, frame.size))
    if isinstance(frame, FaultFrame):
        return _frame(FAULT, 1, frame.stream.to_bytes(4, "big"), frame.fault)
    if isinstance(frame, Cancel):
        return _frame(CANCEL, 1, frame.stream.to_bytes(4, "big"))
    if isinstance(frame, Ping):
        return _frame(PONG if frame.answer else PING, 1, frame.token)
    if isinstance(frame, Goaway):
        return _frame(GOAWAY, 1, frame.last.to_bytes(4, "big"), frame.reason.encode()[:1024])
    if isinstance(frame, OcspAnswers):
        pieces = [piece for about, der in frame.answers for piece in (_ANSWER.pack(about, len(der)), der)]
        return _frame(OCSP, len(frame.answers), *pieces)
    said = {
        "node": frame.node,
        "versions": frame.versions,
        "frame": frame.limits.frame,
        "messages": frame.limits.messages,
        "credit": frame.credit,
        "features": frame.features,
    }
    return _frame(HELLO, 1, orjson.dumps(said))


def _fields(headers: Fields) -> bytes:
    return b"".join([piece for n, v in headers for piece in (_FIELD.pack(len(n), len(v)), n, v)])


def _put_message(out: list[bytes], message: LinkMessage) -> None:
    headers = _fields(message.headers) if message.headers else b""
    content = message.content
    out.append(
        _MESSAGE.pack(
            message.stream,
            _NUMBER_OF_KIND[message.kind],
            message.leaf,
            len(content),
            len(headers),
            len(message.attachments),
        )
    )
    if headers:
        out.append(headers)
    out.append(content)
    for attachment in message.attachments:
        own = _fields(attachment.headers) if attachment.headers else b""
        if isinstance(attachment, Announced):
            out += (_ATTACHMENT.pack(_ANNOUNCED, len(own), attachment.size), own, attachment.sha512)
        elif isinstance(attachment.body, bytes):
            body = attachment.body
            out += (_ATTACHMENT.pack(0, len(own), len(body)), own, body)
        else:
            raise ValueError("a body that is not in memory is announced, and follows in pieces")


def encode_messages(groups: Iterable[Group], limits: LinkLimits | None = None) -> list[bytes]:
    """As few frames as `limits` allow; a group that does not fit is divided, each part with the leaves of the others.

    Raises ValueError for a message that fits into no frame (its large bodies are to be announced).
    """
    limits = limits or LinkLimits()
    most = min(limits.frame, TOGETHER)
    frames: list[bytes] = []
    pieces: list[bytes] = []
    length = count = messages = 0
    waiting = list(groups)[::-1]
    while waiting:
        group = waiting.pop()
        out = [_GROUP.pack(len(group.signature), group.size, len(group.messages), _CHAINED if group.chained else 0)]
        out += (group.signature, group.others)
        for message in group.messages:
            _put_message(out, message)
        size = sum(map(len, out))
        if length + size > most or messages + len(group.messages) > limits.messages:
            if pieces:
                frames.append(_frame(MESSAGES, count, *pieces))
                pieces, length, count, messages = [], 0, 0, 0
                waiting.append(group)
            elif len(group.messages) == 1 and size <= limits.frame:
                frames.append(_frame(MESSAGES, 1, *out))
            else:
                waiting += reversed(_halves(group))
            continue
        pieces += out
        length, count, messages = length + size, count + 1, messages + len(group.messages)
    if pieces:
        frames.append(_frame(MESSAGES, count, *pieces))
    return frames


def _halves(group: Group) -> list[Group]:
    if len(group.messages) < 2:
        raise ValueError("a message is larger than a frame: its bodies are to be announced")
    middle, tree = len(group.messages) // 2, group.batch()
    parts = (group.messages[:middle], group.messages[middle:])
    return [Group.of(group.signature, part, tree, chained=group.chained) for part in parts]


# --- reading ---


class Decoder:
    """Takes a connection's bytes as they come; gives the frames that are complete. Raises LinkMalformed, and is of no use after it.

    lane   messages frames that hold nothing but small REST messages are read natively, and come out as `LaneMessages`; may be
           changed between two pieces. Without effect where nothing is compiled.
    """

    def __init__(self, limits: LinkLimits | None = None, *, lane: bool = False) -> None:
        self._limits = limits or LinkLimits()
        self.lane = lane
        # of a frame; not a list of pieces: of very small ones that would be many times as large
        self._came = bytearray()
        self._need = 0

    @property
    def kept(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._came)

    def feed(self, data: bytes) -> list[Frame]:
        if self._came:
            self._came += data
            if len(self._came) < self._need:
                return []
            data = bytes(self._came)
            self._came = bytearray()
        at, size, frames = 0, len(data), []
        self._need = HEAD_SIZE
        while size - at >= HEAD_SIZE:
            magic, version, kind, flags, count, length = _HEAD.unpack_from(data, at)
            if magic != MAGIC or version != VERSION or flags:
                raise LinkMalformed(where="frame head", reason="it is not the head of a frame of this version")
            if length > self._limits.frame or not count:
                raise LinkMalformed(where="frame head", reason=f"it is {length} bytes long, or holds nothing")
            start, end = at + HEAD_SIZE, at + HEAD_SIZE + length
            if end > size:
                self._need = end - at
                break
            if kind == MESSAGES and self.lane and lane_frames is not None:
                simple = lane_frames.decode(data, start, end, count, self._limits.messages)
            else:
                simple = None
            if simple is None:
                frames.append(_read(kind, count, data, start, end, self._limits))
            else:
                frames.append(LaneMessages(tuple(simple)))
            at = end
        if at < size:
            self._came += memoryview(data)[at:]
        return frames


def _read(kind: int, count: int, data: bytes, at: int, end: int, limits: LinkLimits) -> Frame:
    try:
        if kind == MESSAGES:
            return Messages(tuple(_read_groups(count, data, at, end, limits)))
        if kind == OCSP:
            return OcspAnswers(tuple(_read_answers(count, data, at, end)))
        if count != 1:
            raise LinkMalformed(where="frame head", reason="only messages and OCSP answers come several at a time")
        return _read_small(kind, data[at:end])
    except (error, KeyError, TypeError, ValueError):
        raise LinkMalformed(where=f"frame of kind {kind}", reason="it ends early or holds what it may not") from None


def _read_small(kind: int, data: bytes) -> Frame:
    if kind == BODY:
        stream, part, flags = _BODY.unpack_from(data)
        if flags > _LAST or not part:
            raise LinkMalformed(where="body", reason="its flags or its number are not known")
        return BodyData(stream, part, data[_BODY.size :], flags == _LAST)
    if kind == CREDIT:
        return Credit(*_PAIR.unpack(data))
    if kind == FAULT:
        return FaultFrame(int.from_bytes(_exactly(data[:4], 4), "big"), data[4:])
    if kind == CANCEL:
        return Cancel(int.from_bytes(_exactly(data, 4), "big"))
    if kind in (PING, PONG):
        return Ping(_exactly(data, 8), kind == PONG)
    if kind == GOAWAY:
        if len(data) > 4 + 1024:
            raise LinkMalformed(where="goaway", reason="its reason is too long")
        return Goaway(int.from_bytes(_exactly(data[:4], 4), "big"), data[4:].decode())
    if kind == HELLO:
        return _read_hello(data)
    raise LinkMalformed(where="frame head", reason=f"frames of kind {kind} are not known")


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise LinkMalformed(where="frame", reason=f"{size} bytes were expected")
    return data


def _read_hello(data: bytes) -> Hello:
    if len(data) > _LARGEST_HELLO:
        raise LinkMalformed(where="hello", reason="it is too long")
    said = orjson.loads(data)
    numbers = (said["frame"], said["messages"], said["credit"], *said["versions"])
    words = (said["node"], *said["features"])
    if not all(type(n) is int and 0 < n < 2**32 for n in numbers) or not all(type(w) is str for w in words):
        raise LinkMalformed(where="hello", reason="a number or a word in it is none")
    limits = LinkLimits(said["frame"], said["messages"])
    return Hello(said["node"], tuple(said["versions"]), limits, said["credit"], tuple(said["features"]))


def _read_answers(count: int, data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    if count > _MOST_ANSWERS:
        raise LinkMalformed(where="OCSP answers", reason=f"there are more than {_MOST_ANSWERS}")
    if end - at > _LARGEST_ANSWERS:
        raise LinkMalformed(where="OCSP answers", reason=f"they are more than {_LARGEST_ANSWERS} bytes")
    for _ in range(count):
        about, size = _ANSWER.unpack_from(data, at)
        at += _ANSWER.size
        if about not in (AUTH, SIGN) or at + size > end:
            raise LinkMalformed(where="OCSP answers", reason="one ends early, or is about nothing known")
        yield about, data[at : at + size]
        at += size
    if at != end:
        raise LinkMalformed(where="OCSP answers", reason="something follows them")


def _read_fields(data: bytes, at: int, end: int) -> Fields:
    found: list[tuple[bytes, bytes]] = []
    while at < end:
        name, value = _FIELD.unpack_from(data, at)
        at += _FIELD.size
        middle = at + name
        if middle + value > end or len(found) == _MOST_FIELDS:
            raise LinkMalformed(where="headers", reason="they end early, or there are too many")
        found.append((data[at:middle], data[middle : middle + value]))
        at = middle + value
    return tuple(found)


def _read_groups(count: int, data: bytes, at: int, end: int, limits: LinkLimits) -> Iterator[Group]:
    left = limits.messages
    for _ in range(count):
        signature_size, size, here, flags = _GROUP.unpack_from(data, at)
        at += _GROUP.size
        others_at = at + signature_size
        messages_at = others_at + SHA512_SIZE * (size - here)
        left -= here
        if not 0 < here <= size <= MOST_LEAVES or left < 0 or messages_at + here * _MESSAGE.size > end or flags > 1:
            raise LinkMalformed(where="group", reason="its counts do not fit the frame or the limits")
        if signature_size > _LARGEST_SIGNATURE:
            raise LinkMalformed(where="group", reason="its signature is too long")
        if size > 1 and flags != _CHAINED:
            raise LinkMalformed(where="group", reason="several messages under one signature have a hash chain")
        signature, others = data[at:others_at], data[others_at:messages_at]
        messages, at = _read_messages(here, size, data, messages_at, end)
        yield Group(signature, messages, size, others, chained=flags == _CHAINED)
    if at != end:
        raise LinkMalformed(where="messages", reason="something follows them")


def _read_messages(here: int, size: int, data: bytes, at: int, end: int) -> tuple[tuple[LinkMessage, ...], int]:
    messages: list[LinkMessage] = []
    unpack, head_size, before = _MESSAGE.unpack_from, _MESSAGE.size, -1
    for _ in range(here):
        stream, kind, leaf, content_size, headers_size, count = unpack(data, at)
        content_at = at + head_size + headers_size
        headers = _read_fields(data, at + head_size, content_at) if headers_size else ()
        at = content_at + content_size
        # leaves ascend, so that none stands twice and a whole batch comes in the order of its tree
        if at > end or not before < leaf < size or kind >= len(KINDS) or count > _MOST_ATTACHMENTS:
            raise LinkMalformed(where="message", reason="it ends early, or its leaf or kind is not possible")
        before = leaf
        attachments: tuple[Attachment | Announced, ...] = ()
        if count:
            attachments, end_of = _read_attachments(count, data, at, end)
            messages.append(LinkMessage(stream, KINDS[kind], data[content_at:at], attachments, headers, leaf))
            at = end_of
        else:
            messages.append(LinkMessage(stream, KINDS[kind], data[content_at:at], attachments, headers, leaf))
    return tuple(messages), at


def _read_attachments(count: int, data: bytes, at: int, end: int) -> tuple[tuple[Attachment | Announced, ...], int]:
    if count == 1:  # a REST body, without headers of its own: nearly all there are
        flags, headers_size, size = _ATTACHMENT.unpack_from(data, at)
        if not flags and not headers_size:
            at += _ATTACHMENT.size
            if at + size <= end:
                return (Attachment((), data[at : at + size]),), at + size
            raise LinkMalformed(where="attachment", reason="it ends early, or its flags are not known")
    found: list[Attachment | Announced] = []
    for _ in range(count):
        flags, headers_size, size = _ATTACHMENT.unpack_from(data, at)
        at += _ATTACHMENT.size
        body_at = at + headers_size
        body_end = body_at + (SHA512_SIZE if flags else size)
        if body_end > end or flags > _ANNOUNCED:
            raise LinkMalformed(where="attachment", reason="it ends early, or its flags are not known")
        headers = _read_fields(data, at, body_at) if headers_size else ()
        body = data[body_at:body_end]
        found.append(Announced(headers, size, body) if flags else Attachment(headers, body))
        at = body_end
    return tuple(found), at
