"""An index of the message log, made aside in an SQLite file: message identifier, whose copy -> where the record stands and how large it is.

The log is the truth and the index a convenience: it may be deleted at any time and is made again from the segments, and a record
that the index does not point to rightly is found missing, never mistaken. Used from one thread at a time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from kerege.exchange import logfolder, logoutline
from kerege.exchange.asic import BatchStamp
from kerege.exchange.errors import LogDamaged
from kerege.exchange.ids import ClientId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.messagelog import Entry, entries_of, outlines_of
from kerege.exchange.tschain import Tree

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE frame (first INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, number INTEGER, before BLOB,
  size INTEGER);
CREATE TABLE record (number INTEGER PRIMARY KEY, frame INTEGER, message_id TEXT, own TEXT, direction TEXT,
  size INTEGER);
CREATE INDEX record_by_message ON record (message_id, own, direction);
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


@lru_cache(maxsize=1024)
def written(own: ClientId) -> str:
    return str(own)


class TooMuch(Exception):
    """More records, or larger ones, than the search may bring."""


def own_of(record: LogRecord) -> ClientId:
    """Whose copy a record is (`logoutline.own_of`)."""
    return logoutline.own_of(record.side, record.client, record.service)


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
        last = database.execute(
            "SELECT first, segment, offset, number, before, size FROM frame ORDER BY first DESC LIMIT 1"
        )
        frame = last.fetchone()
        if row is not None and frame is not None:
            place = logfolder.Place(*row)
            first, segment, offset, number, before, size = frame
            try:
                path = self._folder / logfolder.name(segment)
                if logfolder.frame_at(path, offset, number, before, first, size).after == place:
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
                "INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?)",
                (placed.first, segment, frame.offset, frame.number, frame.before, frame.end - frame.offset),
            )
            rows: list[tuple[int, int, str, str, str, int]] = []
            for number, one in enumerate(outlines_of(placed, self._key), placed.first):
                if isinstance(one, StampRecord):
                    database.execute(
                        "INSERT OR REPLACE INTO stamp VALUES (?, ?, ?)", (one.first, one.last, placed.first)
                    )
                else:
                    rows.append((number, placed.first, one.message_id, written(one.own), one.direction, one.size))
            database.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
            taken += len(rows)
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
        own: ClientId | None = None,
        directions: Collection[str] | None = None,
        most: int | None = None,
        most_bytes: int | None = None,
    ) -> list[Found]:
        """The records of one message identifier, oldest first, after catching up.

        own          only this client's or provider's copies: what it asked on the client's side, what it was asked on the provider's
        directions   only these, of "request" and "response"
        most, most_bytes   of what there is: raises TooMuch beyond them, before a record is loaded
        """
        self.catch_up()
        condition, values = "message_id = ?", [message_id]
        if own is not None:
            condition, values = f"{condition} AND own = ?", [*values, str(own)]
        if directions is not None:
            condition = f"{condition} AND direction IN ({', '.join('?' * len(directions))})"
            values += directions
        with self._using, closing(self._open()) as database:
            rows = database.execute(
                f"SELECT number, frame, size FROM record WHERE {condition} ORDER BY number LIMIT ?",  # noqa: S608 - of our own words
                (*values, -1 if most is None else most + 1),
            ).fetchall()
            if most is not None and len(rows) > most:
                raise TooMuch
            if most_bytes is not None and sum(size for _, _, size in rows) > most_bytes:
                raise TooMuch
            found = self._load(database, [(number, frame) for number, frame, _ in rows])
        return [  # the log is the truth: what the index says otherwise does not count
            one
            for one in found
            if one.record.message_id == message_id
            and (own is None or own_of(one.record) == own)
            and (directions is None or one.record.direction in directions)
        ]

    def _load(self, database: sqlite3.Connection, places: Sequence[tuple[int, int]]) -> list[Found]:
        """The records with these numbers in these frames, each frame and each time-stamp read once."""
        stamps = _Stamps(self, database)
        found = []
        for frame, group in groupby(places, key=itemgetter(1)):
            numbers = {number for number, _ in group}
            for entry in self.entries(database, frame):
                if entry.number in numbers and isinstance(entry.record, LogRecord):
                    found.append(Found(entry.number, entry.record, stamps.of(entry.number, entry.record)))
        return found

    def entries(self, database: sqlite3.Connection, first: int) -> Iterator[Entry]:
        """Of the frame that begins with this record."""
        row = database.execute(
            "SELECT segment, offset, number, before, size FROM frame WHERE first = ?", (first,)
        ).fetchone()
        if row is not None:
            segment, offset, number, before, size = row
            path = self._folder / logfolder.name(segment)
            yield from entries_of(logfolder.frame_at(path, offset, number, before, first, size), self._key)


class _Stamps:
    """The time-stamps of the records of one search; the tree of the last one is kept, as neighbours share it."""

    def __init__(self, index: LogIndex, database: sqlite3.Connection) -> None:
        self._index, self._database = index, database
        self._frame = -1
        self._last: tuple[bytes, Tree] | None = None

    def of(self, number: int, record: LogRecord) -> BatchStamp | None:
        row = self._database.execute(
            "SELECT frame FROM stamp WHERE first <= ? AND last >= ? ORDER BY first DESC LIMIT 1", (number, number)
        ).fetchone()
        if row is None:
            return None
        if row[0] != self._frame:
            self._frame, self._last = row[0], self._read(row[0])
        if self._last is None:
            return None
        token, tree = self._last
        try:
            return BatchStamp(token, tree.chain_of(hashlib.sha512(record.signature).digest()))
        except KeyError:
            return None

    def _read(self, frame: int) -> tuple[bytes, Tree] | None:
        for entry in self._index.entries(self._database, frame):
            if isinstance(entry.record, StampRecord):
                try:
                    return entry.record.token, Tree(entry.record.leaves)
                except ValueError:
                    return None
        return None
