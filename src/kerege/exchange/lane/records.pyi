"""Types of the native module `records`."""

from collections.abc import Sequence
from datetime import datetime
from typing import overload

from kerege.exchange.batch import Batch
from kerege.exchange.lane.call import Call, Part
from kerege.exchange.logrecord import LogRecord

class RecordGroup(Sequence[LogRecord]):
    time: datetime
    direction: str
    side: str
    signature: bytes
    tree: Batch | None
    parts: tuple[Part, ...]
    calls: tuple[Call, ...]
    weight: int
    result: bytes | None
    chains: tuple[bytes, ...] | None
    def __init__(
        self,
        time: datetime,
        direction: str,
        side: str,
        signature: bytes,
        tree: Batch | None,
        parts: Sequence[Part],
        calls: Sequence[Call],
        result: bytes | None = None,
        chains: Sequence[bytes] | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> LogRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[LogRecord]: ...

def encode_groups(groups: list[RecordGroup]) -> bytes: ...
def encode_mixed(records: Sequence[LogRecord | RecordGroup]) -> tuple[bytes, int]: ...
