"""What waits to be written to the message log, who is told when it is durable, and which of it goes into one frame."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from kerege.exchange.errors import ExchangeError
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.logrecord import LogRecord, StampRecord

if TYPE_CHECKING:
    from kerege.exchange.lane.records import RecordGroup
else:
    try:
        from kerege.exchange.lane.records import RecordGroup
    except NOT_THERE:

        class RecordGroup:
            """Nobody makes one."""


__all__ = ["Item", "Outcome", "RecordGroup", "Told", "for_writer", "groups_of", "records_of"]

_LOG: Final = logging.getLogger("kerege.node.log")
_MOST_BYTES: Final = 16 * 1024 * 1024  # of one frame, beyond its first item
Item = tuple[Sequence[LogRecord] | StampRecord, "asyncio.Future[None] | Told | None"]
Outcome = tuple[Item, int, ExchangeError | None]  # an item, the number of its first record, and what the writing raised


class Told:
    """Stands where a future stands, and calls somebody at once when it is done."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[Exception | None], None]) -> None:
        self._call = call

    def done(self) -> bool:
        return False

    def set_result(self, _: None) -> None:
        self._tell(None)

    def set_exception(self, problem: Exception) -> None:
        self._tell(problem)

    def _tell(self, problem: Exception | None) -> None:
        try:
            self._call(problem)
        except Exception:  # noqa: BLE001 - the others of the frame are still to be told
            _LOG.exception("what was logged could not be gone on with")


def records_of(what: Sequence[LogRecord] | StampRecord) -> Sequence[LogRecord]:
    return () if isinstance(what, StampRecord) else what


def for_writer(what: Sequence[LogRecord] | StampRecord) -> Sequence[LogRecord | RecordGroup]:
    """What the writer is given for an item."""
    return (what,) if isinstance(what, RecordGroup) else records_of(what)


def _weight(what: Sequence[LogRecord]) -> int:
    if isinstance(what, RecordGroup):
        return what.weight
    return sum(len(one.message) + len(one.body or b"") + len(one.signature) for one in what)


def groups_of(batch: list[Item]) -> list[list[Item]]:
    """Items that go into one frame each: a stamp alone, messages together up to a size."""
    if len(batch) == 1:
        return [batch]
    groups: list[list[Item]] = []
    size, alone = 0, True
    for item in batch:
        what = item[0]
        if isinstance(what, StampRecord):
            groups.append([item])
            alone = True
            continue
        weight = _weight(what)
        if alone or size + weight > _MOST_BYTES:
            groups.append([])
            size, alone = 0, False
        groups[-1].append(item)
        size += weight
    return groups
