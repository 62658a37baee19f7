"""Types of the native module `signatures`."""

from collections.abc import Callable
from datetime import datetime

Span = tuple[int, int]

class Layout:
    def __init__(
        self,
        xml: bytes,
        digest: Span,
        over: Span,
        value: Span,
        time: Span,
        info: Span,
        properties: Span,
        info_start: bytes,
        properties_start: bytes,
    ) -> None: ...
    def matches(self, xml: bytes) -> bool: ...
    def fields(self, xml: bytes) -> tuple[bytes, bytes, bytes, str, bytes, bytes] | None: ...

class Pieces:
    def __init__(
        self,
        info: bytes,
        between: bytes,
        info_end: bytes,
        properties: bytes,
        properties_end: bytes,
        head: bytes,
        to_value: bytes,
        to_time: bytes,
        tail: bytes,
    ) -> None: ...
    def document(self, digest: bytes, now: datetime, sign: Callable[[bytes], bytes]) -> bytes: ...
