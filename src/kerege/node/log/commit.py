"""Group commit: all records that wait while one sync runs are written and synced together; each waits until its own is durable.

What comes in one turn of the event loop is handed to the writer's thread at once, and the thread is woken only when it sleeps. A batch
given with `append_many` is in one frame of the log, all or nothing. New requests are refused, before anything is signed for
them, while a guard objects (disk nearly full, time-stamps overdue: `keeping`); answers to requests under way are still logged.

Where the kernel syncs without a thread (`disksync`), a batch is placed in the log by the loop itself, and the thread has only what takes
long: a new segment, zeros ahead, large batches, what a failure left.

Where messages come one at a time, waking a thread and being woken by it costs as much as the disk. So when `_LONE` writes one after the
other had one record each and nothing came while they ran, the following ones are made in the loop itself, which has nothing else to do;
every `_PROBE`th goes by the thread all the same, to see whether that is still so, and a disk that is slow once ends it for long.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from kerege.exchange.errors import ExchangeError, LogFailed
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.messagelog import LogWriter
from kerege.node.log.disksync import DiskSync, synced
from kerege.node.log.items import Item, Outcome, RecordGroup, Told, for_writer, groups_of, records_of

_LONE: Final = 16
_PROBE: Final = 32
_SLOW_SECONDS: Final = 0.03  # longer than this the loop is not held up again soon
_AFTER_SLOW: Final = 1000
Guard = Callable[[], ExchangeError | None]


class CommitLog:
    """The message log of a running node. `append` returns when the record is on disk, or raises LogFailed.

    noted   called in the loop with (number of the first record, how many) of every message batch that became durable
    """

    def __init__(self, writer: LogWriter, sync: DiskSync | None = None) -> None:
        self._writer, self._sync = writer, sync
        self._flying: tuple[list[Item], int] | None = (
            None  # placed by the loop and being synced; the number of its first record
        )
        self._fill = False  # the thread is to fill zeros ahead
        self._wake = threading.Condition()
        self._gathered: list[Item] = []
        self._waiting: list[Item] = []
        self._idle = self._stopping = self._closed = False
        self._using = threading.Lock()  # who holds it uses the writer
        self._lone = 0  # writes of one record during which nothing else came, in a row
        self._inline = 0  # of those made in the loop since the last probe
        self._open = 0  # what was given to the thread and is not settled
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._found_open = -1.0
        self.records = 0
        self.batches = 0
        self.failure: str | None = None
        self.guards: list[Guard] = []
        self.noted: Callable[[int, Sequence[LogRecord]], None] | None = None
        self._thread = threading.Thread(target=self._run, name="message-log", daemon=True)
        self._thread.start()

    @property
    def writer(self) -> LogWriter:
        return self._writer

    def check_open(self) -> None:
        """Raises what stands against taking a new message: LogFull, TimestampingFailed, LogFailed when stopping."""
        if self._stopping:
            raise LogFailed(reason="the node is stopping")
        for guard in self.guards:
            problem = guard()
            if problem is not None:
                raise problem

    def check_open_now(self) -> None:
        """As `check_open`; the guards are asked once for all that comes in the same instant of the loop."""
        instant = self._loop.time()
        if instant != self._found_open:
            self.check_open()
            self._found_open = instant

    async def append(self, record: LogRecord) -> None:
        await self._commit((record,))

    async def append_many(self, records: Sequence[LogRecord]) -> None:
        """One durable write for all of them, or for none. A `RecordGroup` is written without a record being made."""
        if records:
            await self._commit(records if isinstance(records, RecordGroup) else tuple(records))

    def append_group(self, records: RecordGroup, told: Callable[[Exception | None], None]) -> None:
        """As `append_many`, for whoever does not wait: `told` is called in the loop, once, with None or what the writing raised.

        Raises what `check_open` raises; `told` is not called then.
        """
        if self.guards and records.direction == "request":
            self.check_open_now()
        once = Told(told)  # what it raises is not this writing's: nobody is told of one twice
        if self._lone >= _LONE and len(records) == 1:
            try:
                written = self._write_here(records)
            except ExchangeError as problem:
                once.set_exception(problem)
                return
            if written:
                once.set_result(None)
                return
        self._put(records, once)

    async def append_stamp(self, stamp: StampRecord) -> None:
        await self._put(stamp)

    async def _commit(self, records: Sequence[LogRecord]) -> None:
        # an answer to a request under way is logged whatever the guards say, and so is a batch in which one stands
        if self.guards:
            for record in (records,) if isinstance(records, RecordGroup) else records:
                if record.direction != "request":
                    break
            else:
                self.check_open()
        if self._lone < _LONE or len(records) > 1 or not self._write_here(records):
            await self._put(records)

    def _write_here(self, records: Sequence[LogRecord]) -> bool:
        """Write in the loop; False when the thread is to do it. Raises what the writing did."""
        if self._inline >= _PROBE or not self._idle or self._waiting or self._gathered or self._writer.low:
            return False
        if not self._using.acquire(blocking=False):
            return False
        begun = time.monotonic()
        try:
            if self._stopping:
                return False
            ((_, first, problem),) = self._write([(records, None)])
        finally:
            self._using.release()
        self._inline += 1
        if time.monotonic() - begun > _SLOW_SECONDS:
            self._lone = -_AFTER_SLOW
        if problem is not None:
            self.failure = problem.text
            raise problem
        self.batches += 1
        self._durable(records, first)
        return True

    def _put(self, what: Sequence[LogRecord] | StampRecord, told: Told | None = None) -> Any:
        if self._stopping:
            raise LogFailed(reason="the node is stopping")
        future: Any = told or self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((what, future))
        self._open += 1
        return future

    def _hand_over(self) -> None:
        if not self._gathered or self._flying is not None or self._take_off():
            return  # what gathers while a sync runs is taken when it ends
        self._waiting.extend(self._gathered)
        self._gathered.clear()
        if self._idle:  # set before the thread looks for work, so a thread that saw none is woken
            with self._wake:
                self._wake.notify()

    # --- without the thread ---

    def _take_off(self) -> bool:
        """Place what gathered and begin its sync. False when the thread is to do it."""
        if self._sync is None or not self._idle or self._waiting or self._stopping:
            return False
        groups = groups_of(self._gathered)
        if len(groups) != 1 or isinstance(groups[0][0][0], StampRecord) or not self._using.acquire(blocking=False):
            return False
        group = groups[0]
        try:
            placed = self._writer.place([one for what, _ in group for one in for_writer(what)])
        except ExchangeError as refused:
            self._using.release()
            self._gathered = []
            self._settle([(item, 0, refused) for item in group])
            return True
        except Exception:  # noqa: BLE001 - a record that cannot be encoded; the thread finds out which
            placed = None
        if placed is None:
            self._using.release()
            return False
        self._gathered, self._flying = [], (group, placed.first)
        if not self._sync.begin(self._writer.descriptor, self._landed):
            self._sync.close()  # it will not take the next one either: from now on the thread waits for the disk
            self._sync = None
            self._landed(synced(self._writer.descriptor))
        return True

    def _landed(self, code: int) -> None:
        """What was placed is durable, or could not be made so: an error's number."""
        assert self._flying is not None
        (group, first), self._flying = self._flying, None
        problem = None
        if code:
            problem = self._writer.not_durable(code)
        else:
            self._writer.durable()
        low = self._writer.low
        self._using.release()
        if low and self._idle:
            with self._wake:
                self._fill = True
                self._wake.notify()
        outcome: list[Outcome] = []
        for item in group:
            outcome.append((item, first, problem))
            first += len(records_of(item[0]))
        if self._gathered and not self._stopping:
            self._hand_over()  # the disk has something to do again; then whoever waited goes on
        if not self._loop.is_closed():
            self._settle(outcome)

    # --- in the writer's thread ---

    def _run(self) -> None:
        while True:
            if not self._waiting:
                with self._using:
                    filled = not self._stopping and self._writer.fill_ahead()
                if filled:
                    continue  # a step at a time: what came meanwhile goes first
                with self._wake:
                    self._idle = True
                    while not (self._waiting or self._stopping or self._fill):
                        self._wake.wait()
                    self._idle = self._fill = False
                if not self._waiting:
                    if self._stopping:
                        return
                    continue
            batch = self._take()
            for group in groups_of(batch):
                with self._using:
                    outcome = self._write(group)
                try:
                    self._loop.call_soon_threadsafe(self._settle, outcome)
                except RuntimeError:  # the loop is gone; nobody waits any more
                    return

    def _take(self) -> list[Item]:
        """What waits now; the list is emptied in place, because the loop may be adding to it."""
        count = len(self._waiting)
        batch = self._waiting[:count]
        del self._waiting[:count]
        return batch

    def _write(self, group: list[Item]) -> list[Outcome]:
        stamps = [what for what, _ in group if isinstance(what, StampRecord)]
        try:
            if stamps:
                first = self._writer.append_stamp(stamps[0]).first
                return [(group[0], first, None)]
            first = self._writer.append_records([one for what, _ in group for one in for_writer(what)]).first
        except ExchangeError as refused:
            return [(item, 0, refused) for item in group]
        except Exception as unexpected:  # noqa: BLE001 - a waiting message must be answered whatever happened
            if len(group) > 1:  # one record that cannot be encoded must not take the others with it
                return [outcome for item in group for outcome in self._write([item])]
            return [(group[0], 0, LogFailed(reason=type(unexpected).__name__))]
        out: list[Outcome] = []
        for item in group:
            out.append((item, first, None))
            first += len(records_of(item[0]))
        return out

    # --- in the loop ---

    def _durable(self, records: Sequence[LogRecord], first: int) -> None:
        self.failure = None
        self.records += len(records)
        if self.noted is not None and records:
            self.noted(first, records)

    def _settle(self, outcome: Sequence[Outcome]) -> None:
        if self._open == 1 == len(outcome) and len(records_of(outcome[0][0][0])) == 1:
            self._lone += 1
        else:
            self._lone = min(self._lone, 0)
        self._open -= len(outcome)
        self._inline = 0
        if any(problem is None for _, _, problem in outcome):
            self.batches += 1
        for (what, future), first, problem in outcome:
            if problem is None:
                self._durable(records_of(what), first)
            else:
                self.failure = problem.text
            if future is None or future.done():
                continue
            if problem is None:
                future.set_result(None)
            else:
                future.set_exception(problem)

    @property
    def waiting(self) -> int:
        """How many writes wait for the one under way."""
        return len(self._gathered) + len(self._waiting)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what waits, then stop the thread and close the log. In the loop, or from another thread while the loop runs."""
        if self._closed:
            return
        self._closed = True
        if threading.get_ident() == self._loop_thread or not self._loop.is_running():
            self._stop()
        else:
            # what the loop gathers is the loop's alone: only the waiting is done here
            stopped = threading.Event()

            def stop() -> None:
                self._stop()
                stopped.set()

            self._loop.call_soon_threadsafe(stop)
            while not stopped.wait(0.1) and self._loop.is_running():
                pass
            if not stopped.is_set():  # the loop ended meanwhile, and gathers no more
                self._stop()
        self._thread.join()
        late = [(item, 0, LogFailed(reason="the node is stopping")) for item in (*self._waiting, *self._gathered)]
        if late and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, late)
        with self._using:
            self._writer.close()

    def _stop(self) -> None:
        """Take nothing more, and hand over what is there. In the loop."""
        self._stopping = True
        if self._sync is not None:
            if self._flying is not None:
                self._sync.wait()
            self._sync.close()
            self._sync = None
        with self._wake:
            self._waiting.extend(self._gathered)
            self._gathered.clear()
            self._wake.notify()
