"""Types of the native module `lines`."""

from kerege.exchange.ids import DataServiceId
from kerege.exchange.lane.call import Call

class Spread:
    count: int
    total: int
    squares: int
    least: int
    greatest: int

class Sum:
    service: DataServiceId
    slot: int
    succeeded: int
    failed: int
    last_good: int
    last_bad: int
    durations: Spread
    requests: Spread
    responses: Spread

class Taken:
    lines: list[bytes]
    ended: list[tuple[int, bytes]]
    sums: list[Sum]
    succeeded: int
    failed: int
    def __len__(self) -> int: ...
    def total(self, succeeded: bool) -> tuple[list[int], int, int, int]: ...

def line(
    call: Call, side: str, own_address: str, client_address: str, service_address: str, service_type: str | None
) -> bytes: ...
def take(
    calls: list[Call],
    at: int,
    side: str,
    own_address: str,
    client_address: str,
    service_address: str,
    service_type: str | None,
    bounds: tuple[int, ...],
) -> Taken: ...
