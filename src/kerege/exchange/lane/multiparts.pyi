"""Types of the native module `multiparts`."""

from kerege.exchange.lane.call import Call, Part
from kerege.exchange.lane.chains import Tree

class Seen: ...

class Envelope:
    part: Part
    signature: bytes
    result: bytes | None
    chain: bytes | None
    ocsp: tuple[bytes, ...]
    request_id: bytes | None
    size: int

def read_request(data: bytes, largest: int, seen: Seen) -> Envelope | None: ...
def read_answer(data: bytes, largest: int, seen: Seen) -> Envelope | None: ...
def front_of(address: bytes, version: bytes) -> bytes: ...
def request(call: Call, front: bytes, ocsp: tuple[bytes, ...], signature: bytes, tree: Tree | None) -> bytes: ...
def answer(call: Call, signature: bytes, tree: Tree | None) -> bytes: ...
