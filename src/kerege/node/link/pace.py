"""Which calls of one end are waited for, so as to seal more of them together."""

from __future__ import annotations

from typing import Any, Final

_LONG_SECONDS: Final = 0.1


class Pace:
    """Which calls of one end take long (an agency is slow): nobody waits for them so as to seal more together."""

    __slots__ = ("_before", "_long", "_newest", "_until")

    def __init__(self) -> None:
        self._before = self._newest = 0  # the last stream at the beginning of the span before, and of the present one
        self._until = 0.0
        self._long = 0

    def quick(self, calls: dict[int, Any], now: float) -> int:
        """How many there are but for those that take long, counted anew for each span; they are in the order of their streams."""
        if now >= self._until:
            self._before, self._newest, self._until = (
                self._newest,
                next(reversed(calls), self._newest),
                now + _LONG_SECONDS,
            )
            self._long = 0
            for stream in calls:
                if stream > self._before:
                    break
                self._long += 1
        return max(0, len(calls) - self._long)
