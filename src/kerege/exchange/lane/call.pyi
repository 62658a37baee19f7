"""Types of the native module `call`."""

from typing import Any

class Part:
    content: bytes
    body: bytes | None
    digest: bytes
    body_digest: bytes | None
    leaf: bytes
    content_type: bytes | None
    stream: int
    index: int
    def __init__(
        self, content: bytes | None = None, body: bytes | None = None, stream: int = 0, index: int = 0
    ) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def digests(self) -> tuple[bytes, tuple[bytes, ...]]: ...

class Way:
    client: Any
    service: Any
    client_written: bytes
    service_written: bytes
    kept: int
    base: bytes
    netloc: bytes
    decided: Any
    more: Any
    lines: dict[Any, bytes]
    until: float
    def __init__(self, client: Any, service: Any, client_written: bytes, service_written: bytes) -> None: ...

class Call:
    end: Any
    way: Way
    request: Part
    answer: Part
    head: bytes
    verb: str
    target: bytes
    service_raw: bytes
    path: bytes
    query: bytes | None
    client_raw: bytes
    accept: bytes | None
    message_id: bytes
    request_id: bytes
    request_hash: bytes
    status: int
    stream: int
    answered: bool
    deadline: float
    request_in: int
    request_out: int
    response_in: int
    response_out: int
    exchange: Any
    more: Any
