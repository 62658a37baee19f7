"""What a payload of the message log says of its records without taking them apart: for an index, which reads every frame once.

Of a batch in the present format the head, the rows of numbers and the identifiers are read and not one signed byte; whatever else there is
is decoded by `logrecord`, which also defines the format. What stands here is no check: the log's frames are chained, and who shows a
record decodes it.

An index keeps a *mark* of each message record, 24 bytes: the key of its message identifier (8 bytes of BLAKE2b with the index's own
secret, so that nobody outside can make identifiers that meet), its number in the log, its size, and a number for whose copy it is and
in which direction. Marks in the
order of their bytes are in the order of key and number.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, Final, NamedTuple

import orjson

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.logframes1 import COUNT
from kerege.exchange.logrecord import COLUMNS, DIGEST, ROW, LogRecord, StampRecord, decode

try:
    from kerege.exchange.lane import outlines as native
except NOT_THERE:
    native = None  # type: ignore[assignment]

_CLIENT: Final = "client"
MARK: Final = struct.Struct(">QQII")  # key, number of the record, size (or the most that can be said), copy
SECRET: Final = 32
_MOST: Final = 2**32 - 1
_CONTEXT: Final = struct.Struct(f"<I{ROW.size - 4}x")  # of a row


class Outline(NamedTuple):
    """One message record: its identifier, whose copy it is, "request" or "response", and bytes of message, body and signature."""

    message_id: str
    own: ClientId
    direction: str
    size: int


class Marked(NamedTuple):
    """The records of one frame: how many there are, the marks of the messages in their order, and the time-stamps."""

    records: int
    marks: bytes
    stamps: list[StampRecord]


class Signed(NamedTuple):
    """Neighbouring records, from number `first` to `last`, with the bytes of the one signature they share."""

    first: int
    last: int
    signature: bytes


Copies = dict[tuple[str, str], int]
"""The numbers of copies: whose, and "request" or "response". Grows with what is met."""


class LaidOut(NamedTuple):
    """Where in a payload of the present format the rows and identifiers stand; of each context: whose copy, direction, signature's size."""

    rows: int
    texts: int
    end: int
    contexts: list[tuple[ClientId, str, int]]


def own_of(side: str, client: ClientId, service: DataServiceId) -> ClientId:
    """Whose copy a record is: of who asked on the client's side, of who was asked on the provider's."""
    return client if side == _CLIENT else service.provider_client


@lru_cache(maxsize=4096)
def _own_as_said(side: str, client: str, service: str) -> ClientId:
    return own_of(side, ClientId.parse(client), DataServiceId.parse(service))


@lru_cache(maxsize=1024)
def written(own: ClientId) -> str:
    return str(own)


def outlines(payload: bytes) -> list[Outline | StampRecord]:
    """The records of one frame in outline, of any format. Raises what a malformed payload raises: ValueError, KeyError, struct.error..."""
    head, at = _head(payload)
    if head.get("v") == COLUMNS:
        return list(_columns(payload, _laid_out(head, payload, at)))
    return [one if isinstance(one, StampRecord) else _of(one) for one in decode(payload)]


def signed(payload: bytes, first: int) -> tuple[int, list[Signed]]:
    """How many records a frame has, the first of number `first`, and what signs the messages. Raises as `outlines`."""
    head, at = _head(payload)
    if head.get("v") != COLUMNS:
        found = decode(payload)
        numbered = [(number, one) for number, one in enumerate(found, first) if isinstance(one, LogRecord)]
        return len(found), [Signed(number, number, one.signature) for number, one in numbered]
    place = _laid_out(head, payload, at)
    files = list(accumulate(head["f"], initial=at))
    of = [context[6] for context in head["c"]]
    rows = _CONTEXT.iter_unpack(payload[place.rows : place.texts])
    out, number = [], first
    for signature, same in groupby([of[context] for (context,) in rows]):
        begins, number = number, number + len(list(same))
        out.append(Signed(begins, number - 1, payload[files[signature] : files[signature + 1]]))
    return number - first, out


def marks(payload: bytes, first: int, secret: bytes, copies: Copies) -> Marked:
    """The records of one frame, which begins with number `first`, as an index keeps them. Raises as `outlines`."""
    head, at = _head(payload)
    if head.get("v") != COLUMNS:
        return _marks_of_outlines(outlines(payload), first, secret, copies)
    place = _laid_out(head, payload, at)
    made = None
    if native is not None:
        shared = [(_copy(copies, own, direction), size) for own, direction, size in place.contexts]
        made = native.marks(payload, place.rows, place.texts, place.end, shared, first, secret)
    if made is None:
        made = marks_of_rows(payload, place, first, secret, copies)
    return Marked(len(made) // MARK.size, made, [])


def marks_of_rows(payload: bytes, place: LaidOut, first: int, secret: bytes, copies: Copies) -> bytes:
    """The marks of a payload of the present format, one after the other."""
    for own, direction, _ in place.contexts:
        _copy(copies, own, direction)
    return b"".join([_mark(one, number, secret, copies) for number, one in enumerate(_columns(payload, place), first)])


def _marks_of_outlines(found: list[Outline | StampRecord], first: int, secret: bytes, copies: Copies) -> Marked:
    made = [
        _mark(one, number, secret, copies)
        for number, one in enumerate(found, first)
        if not isinstance(one, StampRecord)
    ]
    return Marked(len(found), b"".join(made), [one for one in found if isinstance(one, StampRecord)])


def _mark(one: Outline, number: int, secret: bytes, copies: Copies) -> bytes:
    key = int.from_bytes(key_of(one.message_id, secret))
    return MARK.pack(key, number, min(one.size, _MOST), _copy(copies, one.own, one.direction))


def _copy(copies: Copies, own: ClientId, direction: str) -> int:
    return copies.setdefault((written(own), direction), len(copies))


def key_of(message_id: str, secret: bytes) -> bytes:
    """The first 8 bytes of the marks of all records with this identifier."""
    data = message_id.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=8, salt=secret[:16], person=secret[16:]).digest()


def in_order(several: bytes) -> bytes:
    """Marks, sorted by key and number."""
    made = None if native is None else native.in_order(several)
    if made is None:
        size = MARK.size
        made = b"".join(sorted([several[at : at + size] for at in range(0, len(several), size)]))
    return made


def _head(payload: bytes) -> tuple[Any, int]:
    """The head and where it ends."""
    (size,) = COUNT.unpack_from(payload)
    head = orjson.loads(payload[COUNT.size : COUNT.size + size])
    if not isinstance(head, dict):
        raise ValueError("a head that is no object")
    return head, COUNT.size + size


def _of(one: LogRecord) -> Outline:
    size = len(one.message) + len(one.body or b"") + len(one.signature)
    return Outline(one.message_id, own_of(one.side, one.client, one.service), one.direction, size)


def _laid_out(head: Mapping[str, Any], payload: bytes, at: int) -> LaidOut:
    files = head["f"]
    at += sum(files) + sum(head["l"]) * DIGEST
    middle = at + head["n"] * ROW.size
    end = middle + head["x"]
    if end > len(payload):
        raise ValueError("a part reaches beyond its frame")
    contexts = [
        (_own_as_said(side, client, service), direction, files[signature])
        for _, direction, side, client, service, _, signature, _, _ in head["c"]
    ]
    return LaidOut(at, middle, end, contexts)


def _columns(payload: bytes, place: LaidOut) -> Iterator[Outline]:
    text, said, contexts = payload[place.texts : place.end].decode(), 0, place.contexts
    rows = payload[place.rows : place.texts]
    for context, _, id_size, request_size, message_size, body_size, _, _ in ROW.iter_unpack(rows):
        own, direction, signature = contexts[context]
        size = message_size + (body_size - 1 if body_size else 0) + signature
        yield Outline(text[said : said + id_size], own, direction, size)
        said += id_size + request_size
