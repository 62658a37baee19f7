"""What a payload of the message log says of its records without taking them apart: for an index, which reads every frame once.

Of a batch in the present format the head, the rows of numbers and the identifiers are read and not one signed byte; whatever else there is
is decoded by `logrecord`, which also defines the format. What stands here is no check: the log's frames are chained, and who shows a
record decodes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logframes1 import COUNT
from kerege.exchange.logrecord import COLUMNS, DIGEST, ROW, LogRecord, StampRecord, decode

_CLIENT: Final = "client"


class Outline(NamedTuple):
    """One message record: its identifier, whose copy it is, "request" or "response", and bytes of message, body and signature."""

    message_id: str
    own: ClientId
    direction: str
    size: int


def own_of(side: str, client: ClientId, service: DataServiceId) -> ClientId:
    """Whose copy a record is: of who asked on the client's side, of who was asked on the provider's."""
    return client if side == _CLIENT else service.provider_client


def outlines(payload: bytes) -> list[Outline | StampRecord]:
    """The records of one frame in outline, of any format. Raises what a malformed payload raises: ValueError, KeyError, struct.error..."""
    (size,) = COUNT.unpack_from(payload)
    head = orjson.loads(payload[COUNT.size : COUNT.size + size])
    if head.get("v") == COLUMNS:
        return list(_columns(head, payload, COUNT.size + size))
    return [one if isinstance(one, StampRecord) else _of(one) for one in decode(payload)]


def _of(one: LogRecord) -> Outline:
    size = len(one.message) + len(one.body or b"") + len(one.signature)
    return Outline(one.message_id, own_of(one.side, one.client, one.service), one.direction, size)


def _columns(head: Mapping[str, Any], payload: bytes, at: int) -> Iterator[Outline]:
    files = head["f"]
    at += sum(files) + sum(head["l"]) * DIGEST
    middle = at + head["n"] * ROW.size
    end = middle + head["x"]
    if end > len(payload):
        raise ValueError("a part reaches beyond its frame")
    text, said = payload[middle:end].decode(), 0
    contexts = [
        (own_of(side, ClientId.parse(client), DataServiceId.parse(service)), direction, files[signature])
        for _, direction, side, client, service, _, signature, _, _ in head["c"]
    ]
    for context, _, id_size, request_size, message_size, body_size, _, _ in ROW.iter_unpack(payload[at:middle]):
        own, direction, signature = contexts[context]
        size = message_size + (body_size - 1 if body_size else 0) + signature
        yield Outline(text[said : said + id_size], own, direction, size)
        said += id_size + request_size
