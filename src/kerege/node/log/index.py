"""An index of the message log, made aside in an SQLite file: message identifier, whose copy -> where the record stands and how large it is.

The log is the truth and the index a convenience: it may be deleted at any time and is made again from the segments, and a record
that the index does not point to rightly is found missing, never mistaken. Used from one thread at a time.

Of a record nothing is kept but its mark (`logoutline`). A segment's marks stand in a few sorted runs, each cut into pages that a row of
SQLite holds: what is taken up at once is a run, joined with the newest ones of its segment as long as they are not larger, and all of a
segment's are one run when the next segment begins. So a record costs no row of its own, and however large the index has grown, what is
added is written in order.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from kerege.exchange import logfolder, logoutline
from kerege.exchange.asic import BatchStamp
from kerege.exchange.errors import LogDamaged
from kerege.exchange.ids import ClientId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logoutline import MARK, SECRET, Copies, in_order, key_of
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.messagelog import Entry, entries_of, marks_of
from kerege.exchange.tschain import Tree

_VERSION: Final = 3
_SCHEMA: Final = """
CREATE TABLE secret (value BLOB);
CREATE TABLE frame (first INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, number INTEGER, before BLOB,
  size INTEGER);
CREATE TABLE copy (number INTEGER PRIMARY KEY, own TEXT, direction TEXT);
CREATE TABLE run (number INTEGER PRIMARY KEY, segment INTEGER, marks INTEGER);
CREATE TABLE page (run INTEGER, least BLOB, marks BLOB, PRIMARY KEY (run, least)) WITHOUT ROWID;
CREATE TABLE stamp (first INTEGER PRIMARY KEY, last INTEGER, frame INTEGER);
CREATE TABLE place (segment INTEGER, at INTEGER, link BLOB, number INTEGER, records INTEGER);
"""
_OF_LOG: Final = ("frame", "copy", "run", "page", "stamp", "place")
_STEP: Final = 500  # frames between two commits
_PAGE: Final = 160 * MARK.size  # about a page of the file
_PLACE: Final = 16  # bytes a mark is ordered by: key and number
# of every run the pages in which marks from `least` to `most` may stand, oldest first
_LOOK: Final = """
SELECT page.marks FROM run CROSS JOIN page WHERE page.run = run.number AND page.least BETWEEN
  ifnull((SELECT max(p.least) FROM page AS p WHERE p.run = run.number AND p.least <= :least), :least) AND :most
ORDER BY run.number, page.least
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A record found, and its time-stamp when it has one by now."""

    number: int
    record: LogRecord
    stamp: BatchStamp | None


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
                database.execute("INSERT INTO secret VALUES (?)", (os.urandom(SECRET),))
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
        for table in _OF_LOG:
            database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        database.commit()

    def _take(self, database: sqlite3.Connection, place: logfolder.Place | None) -> int:
        taken, step = 0, _Step(database)
        for placed in logfolder.follow(self._folder, [], place):
            if len(step.frames) >= _STEP or placed.path is not step.path:
                step.keep()
            taken += step.take(placed, self._key)
        step.keep()
        self._drop_cleaned(database)
        database.commit()
        return taken

    def _drop_cleaned(self, database: sqlite3.Connection) -> None:
        anchor = logfolder.read_anchor(self._folder)
        gone = [run for (run,) in database.execute("SELECT number FROM run WHERE segment < ?", (anchor.segment,))]
        _drop_runs(database, gone)
        database.execute("DELETE FROM frame WHERE first < ?", (anchor.records,))

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
        with self._using, closing(self._open()) as database:
            of = "SELECT number, own, direction FROM copy"
            wanted = {
                number
                for number, whose, direction in database.execute(of)
                if (own is None or whose == str(own)) and (directions is None or direction in directions)
            }
            numbers, total = [], 0
            for number, size, copy in _marked(database, message_id):
                if copy not in wanted:
                    continue
                numbers.append(number)
                total += size
                if (most is not None and len(numbers) > most) or (most_bytes is not None and total > most_bytes):
                    raise TooMuch
            found = self._load(database, [(number, self._frame_of(database, number)) for number in numbers])
        return [  # the log is the truth: what the index says otherwise does not count
            one
            for one in found
            if one.record.message_id == message_id
            and (own is None or own_of(one.record) == own)
            and (directions is None or one.record.direction in directions)
        ]

    def _frame_of(self, database: sqlite3.Connection, number: int) -> int:
        """The first record of the frame in which this one stands; -1 where none is known."""
        row = database.execute("SELECT max(first) FROM frame WHERE first <= ?", (number,)).fetchone()
        return -1 if row[0] is None else int(row[0])

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


class _Step:
    """What is taken up between two commits: frames of one segment."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        (self._secret,) = database.execute("SELECT value FROM secret").fetchone()
        known = database.execute("SELECT own, direction, number FROM copy")
        self._copies: Copies = {(own, direction): number for own, direction, number in known}
        self._known = len(self._copies)  # of them, in the file
        self._marks: list[bytes] = []
        self._stamps: list[tuple[int, int, int]] = []
        self._last: logfolder.Placed | None = None
        self._segment = self._settled = 0
        self.path: Path | None = None
        self.frames: list[tuple[int, int, int, int, bytes, int]] = []

    def take(self, placed: logfolder.Placed, key: LogKey | None) -> int:
        """The number of message records in it."""
        if placed.path is not self.path:
            self.path, self._segment = placed.path, logfolder.number_of(placed.path)
        _, marks, stamps = marks_of(placed, key, self._secret, self._copies)
        frame, first = placed.frame, placed.first
        self.frames.append((first, self._segment, frame.offset, frame.number, frame.before, frame.end - frame.offset))
        self._marks.append(marks)
        self._stamps += [(one.first, one.last, first) for one in stamps]
        self._last = placed
        return len(marks) // MARK.size

    def keep(self) -> None:
        """Into the file, and no more of it."""
        if self._last is None or not self.frames:
            return
        database = self._database
        database.executemany("INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?)", self.frames)
        database.executemany("INSERT OR REPLACE INTO stamp VALUES (?, ?, ?)", self._stamps)
        new = list(self._copies.items())[self._known :]
        database.executemany("INSERT INTO copy VALUES (?, ?, ?)", [(number, *whose) for whose, number in new])
        self._known += len(new)
        self._keep_marks()
        after = self._last.after
        database.execute("DELETE FROM place")
        database.execute(
            "INSERT INTO place VALUES (?, ?, ?, ?, ?)",
            (after.segment, after.offset, after.link, after.number, after.records),
        )
        database.commit()
        self.frames.clear()
        self._marks.clear()
        self._stamps.clear()

    def _keep_marks(self) -> None:
        """As a run, together with those runs of the segment that are not larger; of earlier segments one run is left."""
        database, marks, joined = self._database, b"".join(self._marks), []
        runs = "SELECT number, marks FROM run WHERE segment = ? ORDER BY number DESC"
        for run, count in database.execute(runs, (self._segment,)).fetchall():
            if count * MARK.size > len(marks):
                break
            marks = _marks_of(database, run) + marks
            joined.append(run)
        self._put_run(self._segment, marks, joined)
        if self._settled == self._segment:
            return
        several = "SELECT segment FROM run WHERE segment < ? GROUP BY segment HAVING count(*) > 1"
        for (segment,) in database.execute(several, (self._segment,)).fetchall():
            joined = [run for run, _ in database.execute(runs, (segment,))]
            self._put_run(segment, b"".join([_marks_of(database, run) for run in reversed(joined)]), joined)
        self._settled = self._segment

    def _put_run(self, segment: int, marks: bytes, instead_of: Sequence[int]) -> None:
        """A run of these marks, not sorted yet, in place of those it was joined with."""
        database = self._database
        _drop_runs(database, instead_of)
        if not marks:
            return
        ordered = in_order(marks)
        count = len(ordered) // MARK.size
        # in the place of the newest run: what `find` brings is in the order of runs
        run = instead_of[0] if instead_of else None
        run = database.execute("INSERT INTO run VALUES (?, ?, ?)", (run, segment, count)).lastrowid
        pages = [ordered[at : at + _PAGE] for at in range(0, len(ordered), _PAGE)]
        database.executemany("INSERT INTO page VALUES (?, ?, ?)", [(run, page[:_PLACE], page) for page in pages])


def _marks_of(database: sqlite3.Connection, run: int) -> bytes:
    return b"".join(
        [page for (page,) in database.execute("SELECT marks FROM page WHERE run = ? ORDER BY least", (run,))]
    )


def _drop_runs(database: sqlite3.Connection, runs: Sequence[int]) -> None:
    which = [(run,) for run in runs]
    database.executemany("DELETE FROM page WHERE run = ?", which)
    database.executemany("DELETE FROM run WHERE number = ?", which)


def _marked(database: sqlite3.Connection, message_id: str) -> Iterator[tuple[int, int, int]]:
    """Number, size and copy of each record that seems to have this identifier, oldest first."""
    (secret,) = database.execute("SELECT value FROM secret").fetchone()
    key = key_of(message_id, secret)
    wanted = int.from_bytes(key)
    least, most = key.ljust(_PLACE, b"\0"), key.ljust(_PLACE, b"\xff")
    for (page,) in database.execute(_LOOK, {"least": least, "most": most}):
        for found, number, size, copy in MARK.iter_unpack(page):
            if found == wanted:
                yield number, size, copy


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
