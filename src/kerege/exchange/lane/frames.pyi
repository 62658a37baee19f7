"""Types of the native module `frames`."""

from typing import Final

from kerege.exchange.batch import Batch
from kerege.exchange.lane.call import Part
from kerege.exchange.linkmessages import Group

REQUESTS: Final = 0
ANSWERS: Final = 1

class LaneGroup:
    signature: bytes
    others: bytes
    parts: list[Part]
    size: int
    kind: int
    chained: bool
    @property
    def messages(self) -> list[Part]: ...
    def batch(self) -> Batch: ...
    def python_signed(self) -> Group: ...
    def python(self) -> Group: ...

def encode(
    signature: bytes,
    parts: list[Part],
    kind: int,
    size: int,
    others: bytes,
    chained: bool,
    most_bytes: int,
    most_messages: int,
) -> list[bytes] | None: ...
def decode(data: bytes, at: int, end: int, count: int, most_messages: int) -> list[LaneGroup] | None: ...
