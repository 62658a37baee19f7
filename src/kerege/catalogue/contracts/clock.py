"""The deprecation clock of a contract's version: how long it still holds, and whether it may be retired. Pure.

A version that is deprecated stays in force up to the last second of its term, inclusive; it may be retired after that, or earlier when nobody
uses it. *Nobody* must be known: traffic that was not read lately says nothing. Source: issue 4, part 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kerege.ground.clock import iso, require_utc
from kerege.ground.text import Said

QUIET: Final = timedelta(days=30)  # without a call of a consumer's it is not counted as using
FRESH: Final = timedelta(days=1)  # traffic read longer ago says nothing of now


@dataclass(frozen=True, slots=True)
class Clock:
    """Announced at, ends at. Raises ValueError when it would end before it is announced."""

    announced: datetime
    ends: datetime

    def __post_init__(self) -> None:
        require_utc(self.announced, "announced")
        if require_utc(self.ends, "ends") < self.announced:
            raise ValueError("a deprecation ends after it is announced")

    def holds(self, now: datetime) -> bool:
        """Whether the version is still in force: up to the last second, inclusive of all of it."""
        return require_utc(now).replace(microsecond=0) <= self.ends

    def left(self, now: datetime) -> timedelta:
        """What is left of the term; nothing once it is over."""
        return max(self.ends - now, timedelta(0)) if self.holds(now) else timedelta(0)


@dataclass(frozen=True, slots=True)
class Use:
    """A consumer of the contract's data services, with its last call."""

    consumer: str
    data_service: str
    calls: int
    last_call: datetime


@dataclass(frozen=True, slots=True)
class Retirement:
    """`allowed`, and one sentence of why or why not."""

    allowed: bool
    reason: str


def may_retire(
    clock: Clock | None,
    now: datetime,
    uses: Sequence[Use] = (),
    read_until: datetime | None = None,
    on_the_wire: bool = True,
) -> Retirement:
    """Whether a version may be retired at `now`.

    clock        None where it was never deprecated; a version that was never in force needs none (the caller asks for others only)
    uses         of its data services, as read from the nodes' traffic up to `read_until` (None: it never was)
    on_the_wire  whether it is held at any data service at all
    """
    if clock is None:
        return Retirement(False, Said("never_deprecated", "it was never deprecated: announce its end first"))
    if not clock.holds(now):
        return Retirement(True, Said("term_ended", "its term ended {ends_at}", ends_at=iso(clock.ends)))
    term = Said("term_ends", "its term ends {ends_at}", ends_at=iso(clock.ends))
    if not on_the_wire:
        return Retirement(True, Said("held_nowhere", "no data service is held against it, so nobody can use it"))
    recent = [use for use in uses if use.last_call > now - QUIET]
    if recent:
        consumers = sorted({use.consumer for use in recent})
        words, told = "{term}, and {n} use it: {consumers}", ", ".join(consumers[:5])
        return Retirement(False, Said("still_used", words, term=term, n=len(consumers), consumers=told))
    if read_until is None or read_until < now - FRESH:
        told = (
            Said("never_read", "was never read")
            if read_until is None
            else Said("last_read", "was last read {read_at}", read_at=iso(read_until))
        )
        words = "{term}, and whether somebody uses it is not known: traffic {reading}"
        return Retirement(False, Said("use_unknown", words, term=term, reading=told))
    return Retirement(True, Said("nobody_called", "nobody called its data services in {n:# day}", n=QUIET.days))
