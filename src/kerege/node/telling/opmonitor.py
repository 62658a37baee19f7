"""Keeps operational monitoring records for `monitoring_days`, and answers questions about them.

Records come in batches (`monitoring.Monitor`) and are written by a thread of its own to SQLite, many records to a row: a block is the
records of about a second, compressed, with the first and last second it covers. An exchange waits for none of it. When the
disk refuses, records wait in memory up to a limit, then the newest are dropped and counted; the message log is not concerned.
What a question means and who may see what is `exchange.opmon_query`; docs/decisions/0096 says why blocks.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from kerege.exchange.lane import NOT_THERE
from kerege.exchange.opmon_health import Health
from kerege.exchange.opmon_query import MOST_RECORDS, WITHHELD_SECONDS, OperationalQuery, Sight
from kerege.node.telling.monitoring import Noted, NotedCalls, lines_of

try:
    from kerege.exchange.lane import packing
except NOT_THERE:
    packing = None  # type: ignore[assignment]

_LOG: Final = logging.getLogger("kerege.node.monitoring")
_WRITE_SECONDS: Final = 1.0
_BLOCK: Final = 1_000
_FEW: Final = 32  # so few lines are compressed by zlib itself: there the codes' own size counts
_ALIKE: Final = 8  # zlib compresses records to about a twelfth; natively they shall not become much larger
_PAUSE: Final = 20
_MOST_WAITING: Final = 200_000
_MOST_EXAMINED: Final = 300_000  # records one question may read through; it goes on with nextRecordsFrom
_CLEAN_SECONDS: Final = 3600.0
_CLEAN_AT_ONCE: Final = 500
_DAY: Final = 86_400
_TIMESTAMP: Final = b'{"monitoringDataTs":'
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,   -- seconds since 1970 of its oldest record
    last INTEGER NOT NULL,
    records INTEGER NOT NULL,
    lines BLOB NOT NULL       -- zlib of JSON lines
);
CREATE INDEX IF NOT EXISTS blocks_first ON blocks (first);
CREATE INDEX IF NOT EXISTS blocks_last ON blocks (last);
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Records as JSON lines, oldest first, and where the next question begins when there is more, or will be."""

    lines: list[bytes]
    next_from: int | None


def _second(line: bytes) -> int:
    """When a record was taken; its first field, so that no record is parsed for it."""
    if line.startswith(_TIMESTAMP):
        return int(line[len(_TIMESTAMP) : line.index(b",")])
    return int(orjson.loads(line)["monitoringDataTs"])


def _seconds(lines: list[bytes]) -> tuple[int, int]:
    """When the oldest and the newest of some records were taken."""
    found = None if packing is None else packing.span(lines)
    if found is not None:
        return found
    seconds = [_second(line) for line in lines]
    return min(seconds), max(seconds)


class Packer:
    """Makes zlib streams of blocks of lines: natively where lines are much alike, as they are in a busy node."""

    def __init__(self) -> None:
        self._pause = 0  # blocks until it is tried again, after one that was not so alike

    def pack(self, lines: list[bytes]) -> bytes:
        data = b"".join(lines)
        if packing is not None and len(lines) >= _FEW:
            if self._pause:
                self._pause -= 1
            else:
                packed = packing.pack(data)
                if len(packed) * _ALIKE < len(data):
                    return packed
                self._pause = _PAUSE
        return zlib.compress(data, 1)


class Store:
    """The records of one node. `keep` may be called from the event loop; `find` blocks and belongs in a thread."""

    def __init__(self, file: Path, days: float, clock: Callable[[], float] = time.time) -> None:
        self._file, self._days, self._clock = file, days, clock
        self.health = Health(int(clock() * 1000))
        self.dropped = 0
        self._packer = Packer()
        self.failure: str | None = None
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open_or_set_aside()
        self._lock = threading.Condition()
        self._waiting: list[bytes] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="operational-monitoring", daemon=True)
        self._thread.start()

    # --- on the event loop ---

    def keep(self, noted: Sequence[Noted | NotedCalls]) -> None:
        """Take a batch of records; they are on disk about a second later."""
        for one in noted:
            if isinstance(one, NotedCalls):
                self.health.add_sums(one.taken.sums, one.service_type)
            else:
                self.health.add((one.exchange,))
        lines = lines_of(noted)
        with self._lock:
            room = max(0, _MOST_WAITING - len(self._waiting))
            self._waiting += lines[:room]
            self.dropped += max(0, len(lines) - room)

    # --- in the thread ---

    def _open_or_set_aside(self) -> None:
        """Make sure that there is a readable file; one that is damaged is moved aside, never deleted."""
        try:
            with self._connect() as database:
                database.executescript(_SCHEMA)
                database.execute("SELECT COUNT(*) FROM blocks").fetchone()
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.OperationalError) and "malformed" not in str(problem):
                raise
            aside = self._file.with_name(f"{self._file.name}.damaged-{int(self._clock())}")
            _LOG.warning("the monitoring records %s cannot be read (%s); moved to %s", self._file, problem, aside.name)
            self._file.rename(aside)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self._file.with_name(self._file.name + suffix).rename(aside.with_name(aside.name + suffix))
            with self._connect() as database:
                database.executescript(_SCHEMA)

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        self._file.touch(0o600)
        self._file.chmod(0o600)
        database = sqlite3.connect(self._file, timeout=10.0, isolation_level=None)
        try:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            yield database
        finally:
            database.close()

    def _run(self) -> None:
        cleaned = float("-inf")
        while True:
            with self._lock:
                if not self._stopping:
                    self._lock.wait(_WRITE_SECONDS)
                stopping, waiting, self._waiting = self._stopping, self._waiting, []
            cleaning = time.monotonic() - cleaned >= _CLEAN_SECONDS
            if not (waiting or cleaning):
                if stopping:
                    return
                continue
            try:
                with self._connect() as database:
                    self._write(database, waiting)
                    self.failure, waiting = None, []
                    if cleaning:
                        cleaned = time.monotonic()
                        self._clean(database)
            except (sqlite3.Error, OSError) as problem:
                if self.failure is None:
                    _LOG.warning("monitoring records could not be written: %s", problem)
                self.failure = str(problem)
                with self._lock:  # what was waiting waits on, before what came meanwhile
                    self._waiting = (waiting + self._waiting)[:_MOST_WAITING]
                    if self._stopping and stopping:
                        self.dropped += len(self._waiting)
            except Exception:  # noqa: BLE001 - whatever a record is like, the next ones are kept
                _LOG.exception("monitoring records were lost")
                self.dropped += len(waiting)
            if stopping:
                return

    def _write(self, database: sqlite3.Connection, lines: list[bytes]) -> None:
        if not lines:
            return
        database.execute("BEGIN IMMEDIATE")
        try:
            for begin in range(0, len(lines), _BLOCK):
                block = lines[begin : begin + _BLOCK]
                oldest, newest = _seconds(block)
                database.execute(
                    "INSERT INTO blocks (first, last, records, lines) VALUES (?, ?, ?, ?)",
                    (oldest, newest, len(block), self._packer.pack(block)),
                )
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise

    def _clean(self, database: sqlite3.Connection) -> None:
        """Delete what is past its days, a little at a time so that writing goes on."""
        oldest = int(self._clock() - self._days * _DAY)
        statement = "DELETE FROM blocks WHERE id IN (SELECT id FROM blocks WHERE last < ? LIMIT ?)"
        while database.execute(statement, (oldest, _CLEAN_AT_ONCE)).rowcount >= _CLEAN_AT_ONCE:
            if self._stopping:
                return
        database.execute("PRAGMA incremental_vacuum(1000)").fetchall()

    # --- questions ---

    def find(self, query: OperationalQuery, sight: Sight, most: int = MOST_RECORDS) -> Found:
        """The records of `query` that `sight` covers.

        A second is answered whole or not at all, because the next question can only begin at a second; one that holds more than
        `most` records alone is given nevertheless, or it could never be read.
        """
        available = int(self._clock()) - WITHHELD_SECONDS
        begin, end = query.records_from, min(query.records_to, available)
        later = max(begin, available + 1) if query.records_to > available else None
        found: list[tuple[int, bytes]] = []
        stopped: int | None = None  # nothing from this second on was read
        examined = 0
        with self._connect() as database:
            rows = database.execute(
                "SELECT first, records, lines FROM blocks WHERE last >= ? AND first <= ? ORDER BY first, id",
                (begin, end),
            )
            highest = begin - 1
            for first, records, packed in rows:
                full = len(found) > most or examined >= _MOST_EXAMINED
                if full and first > highest:
                    stopped = first
                    break
                examined += records
                for line in zlib.decompress(packed).splitlines():
                    second = _second(line)
                    if begin <= second <= end:
                        highest = max(highest, second)
                        if sight.everything or sight.covers(orjson.loads(line)):
                            found.append((second, line))
        found.sort(key=lambda one: one[0])
        if len(found) > most:
            cut = found[most][0]
            if found[0][0] == cut:
                cut += 1
            if any(second >= cut for second, _ in found) or stopped is not None:
                return Found([line for second, line in found if second < cut], cut)
        return Found([line for _, line in found], later if stopped is None else stopped)

    def close(self) -> None:
        """Write what waits, then stop."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        self._thread.join()
