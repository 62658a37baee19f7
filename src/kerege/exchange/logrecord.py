"""The records of the message log and their bytes: messages with what signs them, and time-stamps over their signatures.

Data model after X-Road's DM-ML (message records and time-stamp records). A batch is what one frame holds: a head in JSON, then the
parts as they were sent and signed; a part that several records share (the signature and the hash chain result of a batch signature)
is there once. `messagelog` and `logwriter` keep the frames, `asic` makes containers of the records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from kerege.exchange.hashchain import SHA512, Digest, HashChain
from kerege.exchange.ids import ClientId, DataServiceId, SubsystemId
from kerege.exchange.logframes1 import COUNT, HEAD_STARTS

REST: Final = "REST"
SOAP: Final = "SOAP"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGEST: Final = 64
_BATCH: Final = 2  # version of a batch's head; the first format's heads have none


def microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def _moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One signed message as it was sent or received.

    direction            "request" or "response"
    side                 "client" or "provider": the role of the server that logged it
    body                 the REST body when it is kept; SOAP attachments never are
    attachment_digests   SHA-512 of every attachment (a REST body is one), kept or not
    """

    time: datetime
    direction: str
    side: str
    message_id: str
    request_id: str
    client: ClientId
    service: DataServiceId
    message: bytes
    body: bytes | None
    signature: bytes
    chain: HashChain | None
    kind: str = REST
    attachment_digests: tuple[bytes, ...] = ()

    @property
    def parts(self) -> tuple[bytes | Digest, ...]:
        """The attachments as a signature check takes them: bytes that are kept, digests of those that are not."""
        if self.body is not None:
            return (self.body,)
        return tuple(Digest(SHA512, digest) for digest in self.attachment_digests)

    def encode(self) -> bytes:
        """This record as a batch of one."""
        return encode_records((self,))


@dataclass(frozen=True, slots=True)
class StampRecord:
    """A time-stamp over the signatures of the message records `first` to `last` (numbers in the log, from 0).

    leaves   SHA-512 of each distinct signature in the order of the log; `tschain` makes the tree and its chains of them
    result   the bytes of ts-hashchainresult.xml that the token stamps
    """

    time: datetime
    authority: str
    first: int
    last: int
    token: bytes
    result: bytes
    leaves: tuple[bytes, ...] = field(repr=False)

    def encode(self) -> bytes:
        head = {
            "v": _BATCH,
            "k": "stamp",
            "t": microseconds(self.time),
            "a": self.authority,
            "f": [self.first, self.last],
            "n": [len(self.token), len(self.result), len(self.leaves) * _DIGEST],
        }
        return _join(head, [self.token, self.result, *self.leaves])


Record = LogRecord | StampRecord


@dataclass(frozen=True, slots=True)
class BodyPolicy:
    """Whether bodies are kept: by default, and for subsystems named apart; never beyond `largest` bytes."""

    keep: bool = True
    of: Mapping[SubsystemId, bool] = field(default_factory=dict)
    largest: int = 10 * 1024 * 1024


def keeps_body(policy: BodyPolicy, client: ClientId, service: DataServiceId, size: int) -> bool:
    """Whether a body of `size` bytes between these two is kept in the log; its digest always is.

    A subsystem whose bodies are by hash only is heeded on either side of the exchange: what the owner of the data does not want
    in a log must not stand there because the other side's entry says so.
    """
    if size > policy.largest:
        return False
    named = [policy.of[service.provider]] if service.provider in policy.of else []
    if client.subsystem is not None:
        own = SubsystemId(client.instance, client.member_class, client.member_code, client.subsystem)
        if own in policy.of:
            named.append(policy.of[own])
    return all(named) if named else policy.keep


def _join(head: object, blobs: Sequence[bytes]) -> bytes:
    raw = orjson.dumps(head)
    return b"".join((COUNT.pack(len(raw)), raw, *blobs))


def encode_records(records: Sequence[LogRecord]) -> bytes:
    """A batch. A signature and a hash chain result that are the same object in several records are stored once."""
    blobs: list[bytes] = []
    lengths: list[int] = []
    shared: dict[int, int] = {}
    names: dict[int, str] = {}

    def put(blob: bytes) -> int:
        blobs.append(blob)
        lengths.append(len(blob))
        return len(lengths) - 1

    rows = []
    for one in records:
        client, service, chain, signature = one.client, one.service, one.chain, one.signature
        if (caller := names.get(id(client))) is None:
            caller = names[id(client)] = str(client)
        if (called := names.get(id(service))) is None:
            called = names[id(service)] = str(service)
        if (signed := shared.get(id(signature))) is None:
            signed = shared[id(signature)] = put(signature)
        result = steps = -1
        if chain is not None:
            if (known := shared.get(id(chain.result))) is None:
                known = shared[id(chain.result)] = put(chain.result)
            result, steps = known, put(chain.chain)
        digests = one.attachment_digests
        rows.append(
            (
                microseconds(one.time), one.direction, one.side, one.message_id, one.request_id, caller, called, one.kind,
                put(one.message), -1 if one.body is None else put(one.body), signed, result, steps,
                put(digests[0] if len(digests) == 1 else b"".join(digests)) if digests else -1,
            )
        )  # fmt: skip
    return _join({"v": _BATCH, "n": lengths, "r": rows}, blobs)


def count_records(payload: bytes) -> int:
    """How many records a payload of either format holds."""
    return len(decode(payload))


def decode(payload: bytes) -> list[Record]:
    """The records of one frame, of either format. Raises what a malformed payload raises: ValueError, KeyError, struct.error..."""
    (size,) = COUNT.unpack_from(payload)
    raw = payload[COUNT.size : COUNT.size + size]
    head = orjson.loads(raw)
    blobs = list(_blobs(payload, COUNT.size + size, head["n"]))
    if raw.startswith(HEAD_STARTS):
        return [_first_format(head, blobs)]
    if head["v"] != _BATCH:
        raise ValueError("a batch of a version that is not known")
    if head.get("k") == "stamp":
        token, stamped, leaves = (blob or b"" for blob in blobs)
        first, last = head["f"]
        return [StampRecord(_moment(head["t"]), head["a"], first, last, token, stamped, _split(leaves))]
    clients: dict[str, ClientId] = {}
    services: dict[str, DataServiceId] = {}
    out: list[Record] = []
    for when, direction, side, message_id, request_id, client, service, kind, *at in head["r"]:
        message, body, signature, result, chain, digests = (None if i < 0 else blobs[i] for i in at)
        if client not in clients:
            clients[client] = ClientId.parse(client)
        if service not in services:
            services[service] = DataServiceId.parse(service)
        both = None if result is None or chain is None else HashChain(result, chain)
        out.append(
            LogRecord(
                _moment(when), direction, side, message_id, request_id, clients[client], services[service],
                message or b"", body, signature or b"", both, kind, _split(digests),
            )
        )  # fmt: skip
    return out


def _split(digests: bytes | None) -> tuple[bytes, ...]:
    return tuple(digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST)) if digests else ()


def _blobs(payload: bytes, at: int, lengths: Sequence[int]) -> Iterator[bytes | None]:
    for length in lengths:
        if at + max(0, length) > len(payload):
            raise ValueError("a part reaches beyond its frame")
        yield None if length < 0 else payload[at : at + length]
        at += max(0, length)


def _first_format(head: Mapping[str, object], blobs: Sequence[bytes | None]) -> LogRecord:
    message, body, signature, result, chain = blobs
    when = head["t"]
    if not isinstance(when, int):
        raise ValueError("a record without a time")
    return LogRecord(
        _moment(when),
        str(head["d"]),
        str(head["s"]),
        str(head["id"]),
        str(head["rid"]),
        ClientId.parse(str(head["c"])),
        DataServiceId.parse(str(head["sv"])),
        message or b"",
        body,
        signature or b"",
        None if result is None or chain is None else HashChain(result, chain),
        attachment_digests=() if body is None else (hashlib.sha512(body).digest(),),
    )
