"""The same signed message a second time: refused within a window, when the node is told so (X-Road itself carries it again).

A message is known by its own digest, which covers its request id: two calls that ask the same are two messages. What was seen is
in memory, so a restart forgets it. How old a signature may be is `exchange.trust`'s (the OCSP answer in it must be fresh): a window
as long as that freshness leaves no moment for a replay while the node runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_MOST: Final = 1_000_000  # about 150 MB; beyond it the oldest are forgotten


class ReplayWindow:
    """`seconds` of 0 is off."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        self._seconds, self._clock, self._most = seconds, clock, most
        self._seen: dict[bytes, float] = {}

    def first_time(self, message_digest: bytes) -> bool:
        """Whether the message was not seen within the window; it is seen from now on."""
        if not self._seconds:
            return True
        now, key = self._clock(), message_digest[:16]
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest] < self._seconds and len(self._seen) < self._most:
                break
            del self._seen[oldest]
        if key in self._seen:
            return False
        self._seen[key] = now
        return True
