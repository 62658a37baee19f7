"""One record of the message log, and its bytes: a head in JSON with the lengths, then the parts as they were sent and signed.

Data model after X-Road's DM-ML. `messagelog` keeps the records, `asic` makes containers of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from kerege.exchange.hashchain import HashChain
from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.logframes import COUNT


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One signed message as it was sent or received.

    direction   "request" or "response"
    side        "client" or "provider": the role of the server that logged it
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

    def encode(self) -> bytes:
        blobs = (
            self.message,
            self.body,
            self.signature,
            self.chain.result if self.chain else None,
            self.chain.chain if self.chain else None,
        )
        head = orjson.dumps(
            {
                "t": int(self.time.timestamp() * 1_000_000),
                "d": self.direction,
                "s": self.side,
                "id": self.message_id,
                "rid": self.request_id,
                "c": str(self.client),
                "sv": str(self.service),
                "n": [-1 if blob is None else len(blob) for blob in blobs],
            }
        )
        return b"".join((COUNT.pack(len(head)), head, *(blob for blob in blobs if blob is not None)))

    @classmethod
    def decode(cls, payload: bytes) -> LogRecord:
        (size,) = COUNT.unpack_from(payload)
        head = orjson.loads(payload[4 : 4 + size])
        at, blobs = 4 + size, []
        for length in head["n"]:
            blobs.append(None if length < 0 else payload[at : at + length])
            at += max(0, length)
        message, body, signature, result, chain = blobs
        return cls(
            datetime.fromtimestamp(head["t"] / 1_000_000, UTC),
            head["d"],
            head["s"],
            head["id"],
            head["rid"],
            ClientId.parse(head["c"]),
            DataServiceId.parse(head["sv"]),
            message or b"",
            body,
            signature or b"",
            None if result is None or chain is None else HashChain(result, chain),
        )
