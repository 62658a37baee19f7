"""An index of the message log, made aside in an SQLite file: message identifier, members, time -> where the record stands.

The log is the truth and the index a convenience: it may be deleted at any time and is made again from the segments, and a record
that the index does not point to rightly is found missing, never mistaken. Used from one thread at a time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kerege.exchange import logfolder
from kerege.exchange.asic import BatchStamp
from kerege.exchange.errors import LogDamaged
from kerege.exchange.ids import ClientId, MemberId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord, StampRecord, microseconds
from kerege.exchange.messagelog import Entry, entries_of
from kerege.exchange.tschain import Tree

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE frame (first INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, number INTEGER, before BLOB);
CREATE TABLE record (number INTEGER PRIMARY KEY, frame INTEGER, message_id TEXT, request_id TEXT, client TEXT, service TEXT,
  time INTEGER, direction TEXT);
CREATE INDEX record_by_message ON record (message_id);
CREATE INDEX record_by_time ON record (time);
CREATE TABLE stamp (first INTEGER PRIMARY KEY, last INTEGER, frame INTEGER);
CREATE TABLE place (segment INTEGER, at INTEGER, link BLOB, number INTEGER, records INTEGER);
"""
_STEP: Final = 500  # frames between two commits


@dataclass(frozen=True, slots=True)
class Found:
    """A record found, and its time-stamp when it has one by now."""

    number: int
    record: LogRecord
    stamp: BatchStamp | None


class LogIndex:
    """The index of one log folder."""

    def __init__(self, file: Path, folder: Path, key: LogKey | None = None) -> None:
        self._file, self._folder, self._key = file, folder, key
        self._using = threading.Lock()

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return self._prepared()
        except sqlite3.DatabaseError:
            self._file.unlink(missing_ok=True)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600, exist_ok=True)
        database = sqlite3.connect(self._file)
        try:
            database.execute("PRAGMA synchronous = OFF")  # made again when it is lost
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    database.execute(f'DROP TABLE "{name}"')
                database.executescript(_SCHEMA)
                database.execute(f"PRAGMA user_version = {_VERSION}")
                database.commit()
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def catch_up(self) -> int:
        """Take up what was logged since the last time; the number of records taken. Raises LogDamaged, LogKeyWrong."""
        with self._using, closing(self._open()) as database:
            place = self._place(database)
            try:
                return self._take(database, place)
            except LogDamaged:
                if place is None:
                    raise
                # the index may be of another log than this one: once more from the beginning
                self._forget(database)
                return self._take(database, None)

    def _place(self, database: sqlite3.Connection) -> logfolder.Place | None:
        """Where to go on, when the last frame taken stands in this log as it was taken; else the index is of another one."""
        row = database.execute("SELECT segment, at, link, number, records FROM place").fetchone()
        last = database.execute("SELECT first, segment, offset, number, before FROM frame ORDER BY first DESC LIMIT 1")
        frame = last.fetchone()
        if row is not None and frame is not None:
            place = logfolder.Place(*row)
            first, segment, offset, number, before = frame
            try:
                path = self._folder / logfolder.name(segment)
                if logfolder.frame_at(path, offset, number, before, first).after == place:
                    return place
            except LogDamaged:
                pass
        self._forget(database)
        return None

    def _forget(self, database: sqlite3.Connection) -> None:
        for table in ("frame", "record", "stamp", "place"):
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        database.commit()

    def _take(self, database: sqlite3.Connection, place: logfolder.Place | None) -> int:
        taken = 0
        for count, placed in enumerate(logfolder.follow(self._folder, [], place), 1):
            frame = placed.frame
            segment = logfolder.number_of(placed.path)
            database.execute(
                "INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?)",
                (placed.first, segment, frame.offset, frame.number, frame.before),
            )
            for entry in entries_of(placed, self._key):
                one = entry.record
                if isinstance(one, StampRecord):
                    database.execute(
                        "INSERT OR REPLACE INTO stamp VALUES (?, ?, ?)", (one.first, one.last, placed.first)
                    )
                    continue
                database.execute(
                    "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        entry.number, placed.first, one.message_id, one.request_id, str(one.client), str(one.service),
                        microseconds(one.time), one.direction,
                    ),
                )  # fmt: skip
                taken += 1
            database.execute("DELETE FROM place")
            after = placed.after
            database.execute(
                "INSERT INTO place VALUES (?, ?, ?, ?, ?)",
                (after.segment, after.offset, after.link, after.number, after.records),
            )
            if count % _STEP == 0:
                database.commit()
        self._drop_cleaned(database)
        database.commit()
        return taken

    def _drop_cleaned(self, database: sqlite3.Connection) -> None:
        begins = logfolder.read_anchor(self._folder).records
        database.execute("DELETE FROM record WHERE number < ?", (begins,))
        database.execute("DELETE FROM frame WHERE first < ?", (begins,))

    def find(
        self,
        message_id: str,
        *,
        client: ClientId | None = None,
        member: MemberId | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Found]:
        """The records of one message identifier, oldest first, after catching up.

        client   only messages that this client asked for
        member   only messages whose client or provider is of this member
        """
        self.catch_up()
        with self._using, closing(self._open()) as database:
            rows = database.execute(
                "SELECT number, frame, time FROM record WHERE message_id = ? ORDER BY number", (message_id,)
            ).fetchall()
            found = [
                one
                for number, frame, time in rows
                if (since is None or time >= microseconds(since)) and (until is None or time <= microseconds(until))
                for one in self._one(database, number, frame)
            ]
        return [
            one
            for one in found
            if one.record.message_id == message_id
            and (client is None or one.record.client == client)
            and (member is None or member in (one.record.client.member, one.record.service.member))
        ]

    def _one(self, database: sqlite3.Connection, number: int, frame: int) -> Iterator[Found]:
        for entry in self._entries(database, frame):
            if entry.number == number and isinstance(entry.record, LogRecord):
                yield Found(number, entry.record, self._stamp(database, number, entry.record))

    def _entries(self, database: sqlite3.Connection, first: int) -> Iterator[Entry]:
        row = database.execute("SELECT segment, offset, number, before FROM frame WHERE first = ?", (first,)).fetchone()
        if row is not None:
            segment, offset, number, before = row
            path = self._folder / logfolder.name(segment)
            yield from entries_of(logfolder.frame_at(path, offset, number, before, first), self._key)

    def _stamp(self, database: sqlite3.Connection, number: int, record: LogRecord) -> BatchStamp | None:
        row = database.execute(
            "SELECT frame FROM stamp WHERE first <= ? AND last >= ? ORDER BY first DESC LIMIT 1", (number, number)
        ).fetchone()
        if row is None:
            return None
        for entry in self._entries(database, row[0]):
            if isinstance(entry.record, StampRecord):
                try:
                    chain = Tree(entry.record.leaves).chain_of(hashlib.sha512(record.signature).digest())
                except (KeyError, ValueError):
                    return None
                return BatchStamp(entry.record.token, chain)
        return None
