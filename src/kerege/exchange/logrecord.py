"""The records of the message log and their bytes: messages with what signs them, and time-stamps over their signatures.

Data model after X-Road's DM-ML (message records and time-stamp records). A batch is what one frame holds: a head in JSON with all that
several records share, a row of numbers per record, then the parts as they were sent and signed. Of a batch signature the leaves of its
tree are kept instead of every message's hash chain files, which are made again, byte for byte, when somebody looks at them. Earlier
formats are read. `messagelog` and `logwriter` keep the frames, `asic` makes containers of the records.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import orjson

from kerege.exchange.batch import Batch, TreeChain
from kerege.exchange.hashchain import SHA512, Digest, HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logframes1 import COUNT, HEAD_STARTS

REST: Final = "REST"
SOAP: Final = "SOAP"
_HEADER_ONLY: Final = "SOAP header"  # as a context says that of these messages the envelope is kept without its body; the first digest is the whole's
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DIGEST: Final = 64
_BATCH: Final = 2  # version of a batch's head, as time-stamps still have it; the first format's heads have none
COLUMNS: Final = 3  # the present version of a batch of messages
# of one record: context, leaf, lengths of message id and request id (in characters), of message, body (+ 1) and chain file, digests
ROW: Final = struct.Struct("<8I")
_LEAVES_PER_CHAIN: Final = 24  # as many leaves take the room of one chain file


def microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def _moment(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


@dataclass(slots=True)  # not frozen: that would cost a message more than all of its encoding
class LogRecord:
    """One signed message as it was sent or received; nobody changes it.

    direction            "request" or "response"
    side                 "client" or "provider": the role of the server that logged it
    body                 the REST body when it is kept; SOAP attachments never are
    attachment_digests   SHA-512 of every attachment (a REST body is one), kept or not
    signed_digest        SHA-512 of the message as it was signed, where `message` is less than that: a SOAP envelope without its body
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
    signed_digest: bytes | None = None

    @property
    def signed(self) -> bytes | Digest:
        """The message as a signature check takes it: the bytes, or the digest of those that are not kept."""
        return self.message if self.signed_digest is None else Digest(SHA512, self.signed_digest)

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
            "n": [len(self.token), len(self.result), len(self.leaves) * DIGEST],
        }
        return _join(head, [self.token, self.result, *self.leaves])


Record = LogRecord | StampRecord


def _join(head: object, blobs: Sequence[bytes]) -> bytes:
    raw = orjson.dumps(head)
    return b"".join((COUNT.pack(len(raw)), raw, *blobs))


def encode_records(records: Sequence[LogRecord]) -> bytes:
    """A batch, in the present format.

    What records share is there once: a context (time, who asks whom for what, the signature) per kind of record, a signature or hash chain
    result that is the same object, and of a signature's tree its leaves, from which every record's chain files are made again.
    """
    sparse: frozenset[int] = frozenset()
    while True:
        batch = _Encoding(sparse)
        for one in records:
            batch.put(one)
        # of a large tree few of whose messages are here, the chains are smaller than the leaves
        few = [key for key, (_, tree, here) in batch.trees.items() if len(tree) > _LEAVES_PER_CHAIN * here[0]]
        if not few:
            return batch.bytes(len(records))
        sparse = sparse.union(few)


class _Encoding:
    """A batch being encoded. `sparse`: identities of trees whose chains are stored as files."""

    def __init__(self, sparse: frozenset[int]) -> None:
        self.sparse = sparse
        self.trees: dict[int, tuple[int, Batch, list[int]]] = {}
        self._contexts: dict[tuple[int, ...], int] = {}
        self._said: list[tuple[object, ...]] = []
        self._shared: dict[int, int] = {}
        self._files: list[bytes] = []
        self._rows: list[int] = []
        self._texts: list[str] = []
        self._blobs: list[bytes] = []
        self._last: LogRecord | None = None
        self._last_of: object = None
        self._context = 0

    def put(self, one: LogRecord) -> None:
        chain, body, blobs, digests = one.chain, one.body, self._blobs, one.attachment_digests
        if one.signed_digest is not None:
            digests = (one.signed_digest, *digests)
        shared: object = None  # what of the chain belongs to the context
        leaf, file = 0, b""
        if chain is not None:
            if type(chain) is TreeChain and id(chain.tree) not in self.sparse:
                shared, leaf = chain.tree, chain.index
            else:
                shared, file = chain.result, chain.chain
        last = self._last
        if (
            last is None
            or last.signature is not one.signature
            or self._last_of is not shared
            or last.service is not one.service
            or last.client is not one.client
            or last.time is not one.time
            or last.direction != one.direction
            or last.side != one.side
            or last.kind != one.kind
            or (last.signed_digest is None) is not (one.signed_digest is None)
        ):
            self._context = self._context_of(one, shared)
            self._last, self._last_of = one, shared
        if type(shared) is Batch:
            self.trees[id(shared)][2][0] += 1
        message, message_id, request_id = one.message, one.message_id, one.request_id
        self._rows += (
            self._context, leaf, len(message_id), len(request_id), len(message),
            0 if body is None else len(body) + 1, len(file), len(digests),
        )  # fmt: skip
        self._texts += (message_id, request_id)
        blobs.append(message)
        if body:
            blobs.append(body)
        if file:
            blobs.append(file)
        blobs += digests

    def _context_of(self, one: LogRecord, shared: object) -> int:
        # identities: whatever they are of lives as long as the records do
        key = (
            id(one.signature), id(shared), id(one.service), id(one.client), id(one.time),
            hash(one.direction), hash(one.side), hash(_written_kind(one)),
        )  # fmt: skip
        known = self._contexts.get(key)
        if known is not None:
            return known
        tree = result = -1
        if isinstance(shared, Batch):
            tree = self.trees.setdefault(id(shared), (len(self.trees), shared, [0]))[0]
        elif isinstance(shared, bytes):
            result = self._file(shared)
        self._said.append(
            (
                microseconds(one.time), one.direction, one.side, str(one.client), str(one.service), _written_kind(one),
                self._file(one.signature), result, tree,
            )
        )  # fmt: skip
        self._contexts[key] = len(self._said) - 1
        return len(self._said) - 1

    def _file(self, file: bytes) -> int:
        known = self._shared.get(id(file))
        if known is None:
            known = self._shared[id(file)] = len(self._files)
            self._files.append(file)
        return known

    def bytes(self, records: int) -> bytes:
        text = "".join(self._texts).encode()
        trees = [tree for _, tree, _ in self.trees.values()]
        head = {
            "v": COLUMNS,
            "n": records,
            "c": self._said,
            "f": [len(file) for file in self._files],
            "l": [len(tree) for tree in trees],
            "x": len(text),
        }
        leaves = [leaf for tree in trees for leaf in tree.leaves]
        rows = struct.pack(f"<{len(self._rows)}I", *self._rows)
        return _join(head, [*self._files, *leaves, rows, text, *self._blobs])


def count_records(payload: bytes) -> int:
    """How many records a payload of either format holds."""
    return len(decode(payload))


def decode(payload: bytes) -> list[Record]:
    """The records of one frame, of either format. Raises what a malformed payload raises: ValueError, KeyError, struct.error..."""
    (size,) = COUNT.unpack_from(payload)
    raw = payload[COUNT.size : COUNT.size + size]
    head = orjson.loads(raw)
    if not isinstance(head, dict):
        raise ValueError("a head that is no object")
    if head.get("v") == COLUMNS:
        return _columns(head, payload, COUNT.size + size)
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


class _Reader:
    """Takes a payload apart, from the front. Raises ValueError where it ends early."""

    def __init__(self, payload: bytes, at: int) -> None:
        self._payload, self._at = payload, at

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if size < 0 or self._at > len(self._payload):
            raise ValueError("a part reaches beyond its frame")
        return self._payload[start : self._at]

    def end(self) -> None:
        if self._at != len(self._payload):
            raise ValueError("something follows the last part")


def _columns(head: Mapping[str, Any], payload: bytes, at: int) -> list[Record]:
    """The records of a batch of the present format."""
    reader = _Reader(payload, at)
    files = [reader.take(length) for length in head["f"]]
    trees = [Batch.of_leaves(_split(reader.take(count * DIGEST))) for count in head["l"]]
    count = head["n"]
    if type(count) is not int or count < 1:
        raise ValueError("a batch without records")
    rows = ROW.iter_unpack(reader.take(count * ROW.size))
    text, said = reader.take(head["x"]).decode(), 0
    contexts = [
        (
            _moment(when), direction, side, ClientId.parse(client), DataServiceId.parse(service), kind, files[signature],
            None if result < 0 else files[result], None if tree < 0 else trees[tree],
        )
        for when, direction, side, client, service, kind, signature, result, tree in head["c"]
    ]  # fmt: skip
    out: list[Record] = []
    for context, leaf, id_size, request_size, message_size, body_size, file_size, digests_count in rows:
        when, direction, side, client, service, kind, signature, result, tree = contexts[context]
        middle = said + id_size
        end = middle + request_size
        if end > len(text):
            raise ValueError("a part reaches beyond its frame")
        message = reader.take(message_size)
        body = reader.take(body_size - 1) if body_size else None
        file = reader.take(file_size)
        digests = _split(reader.take(digests_count * DIGEST))
        signed: bytes | None = None
        if kind == _HEADER_ONLY:
            if not digests:
                raise ValueError("a message that is not whole, without the digest of it")
            kind, signed, digests = SOAP, digests[0], digests[1:]
        chain: HashChain | None = None
        if tree is not None:
            if leaf >= len(tree):
                raise ValueError("a leaf that its tree has not")
            chain = TreeChain(tree, leaf, partial(_parts, message, body, digests, signed))
        elif result is not None:
            chain = HashChain(result, file)
        out.append(
            LogRecord(
                when, direction, side, text[said:middle], text[middle:end], client, service,
                message, body, signature, chain, kind, digests, signed,
            )
        )  # fmt: skip
        said = end
    reader.end()
    return out


def _written_kind(one: LogRecord) -> str:
    return one.kind if one.signed_digest is None else _HEADER_ONLY


def _parts(message: bytes, body: bytes | None, digests: Sequence[bytes], signed: bytes | None) -> Sequence[bytes]:
    """The digests of a message's parts, as they were signed."""
    if body is not None and not digests:
        digests = (hashlib.sha512(body).digest(),)
    return (signed or hashlib.sha512(message).digest(), *digests)


def _split(digests: bytes | None) -> tuple[bytes, ...]:
    return tuple(digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST)) if digests else ()


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
