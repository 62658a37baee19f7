"""What keeps a node's message log in order, aside from the messages: time-stamps, archives, cleaning, index, free space.

Each kind of work is a loop of its own that no failure ends; what fails stands in `status` and is tried again with jitter. Two guards
stand before new messages (`CommitLog.guards`): too little free space, and records that have waited too long for a time-stamp.
Both open again by themselves. Where the signed configuration approves no time-stamping authority nothing is stamped and nothing
refused for it, unless the node's file names the ones it wants. Addresses and the clock come in, so nothing here knows the rest of the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
import random
import secrets
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kerege.exchange import archive, messagelog, openpgp, stamping, timestamps
from kerege.exchange.errors import LogFull, TimestampingFailed, TimestampInvalid
from kerege.exchange.globalconf import TimestampAuthority
from kerege.exchange.ids import ClientId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logfolder import read_anchor, write_durable
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.stamping import StampBatch, StampingClock
from kerege.ground.errors import KeregeError
from kerege.node.config_types import ArchiveSettings, LogSettings, TimestampSettings
from kerege.node.log.commit import CommitLog
from kerege.node.log.index import Found, LogIndex
from kerege.node.ocsp import fetch as ocspfetch

_LOG: Final = logging.getLogger("kerege.node.log")
_MEGABYTE: Final = 1024 * 1024
_STAMPED: Final = "stamped.json"
_RETRY: Final = 60.0
_WATCH: Final = 1.0
_INDEX: Final = 10.0
_TIMEOUT: Final = 10.0

Send = Callable[[str, bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class KeepingSettings:
    """What is kept how, as the node's file says. Without an archive nothing is cleaned either."""

    log: LogSettings
    stamps: TimestampSettings
    index: Path
    key: LogKey | None = field(default=None, repr=False)


async def post(url: str, body: bytes) -> bytes:
    """Ask a time-stamping authority over HTTP. Raises OSError, ValueError or HTTPException."""
    return await asyncio.to_thread(_post, url, body)


def _post(url: str, body: bytes) -> bytes:
    """One deadline over all of it: an authority that sends a byte now and then must not hold the stamping up."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("its address is not http(s)")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"content-type": timestamps.REQUEST_TYPE}
    _, answer = ocspfetch.exchange(
        parts.scheme, parts.hostname, parts.port, "POST", target, body, headers, _TIMEOUT, timestamps.LARGEST_ANSWER
    )
    return answer


class LogKeeping:
    """The background work of one message log. `start` before traffic, `run` as long as the node runs, `close` at the end.

    authorities   the approved time-stamping authorities now (of the global configuration in force); None when none is in force
    interval      seconds between stamps as the global configuration says
    """

    def __init__(
        self,
        log: CommitLog,
        settings: KeepingSettings,
        *,
        clock: Callable[[], datetime],
        authorities: Callable[[], Sequence[TimestampAuthority] | None] = tuple,
        interval: Callable[[], float] = lambda: _RETRY,
        send: Send = post,
    ) -> None:
        self._log, self._settings, self._clock = log, settings, clock
        self._authorities, self._interval, self._send = authorities, interval, send
        self._index = LogIndex(settings.index, settings.log.folder, settings.key)
        self._fail_safe = StampingClock(settings.stamps.acceptable_seconds if settings.stamps.enabled else float(2**31))
        self._approved: tuple[TimestampAuthority, ...] | None = None  # in the last configuration that was in force
        self._stamped = 0  # the first record that may not have a stamp yet
        self._stamping = asyncio.Lock()
        self._archiving = asyncio.Lock()
        self._stopping = threading.Event()
        self._started = False
        self.free: int | None = None
        self.last_stamp: datetime | None = None
        self.last_archive: datetime | None = None
        self.problems: dict[str, str] = {}
        log.guards.append(self._room)
        if settings.stamps.enabled:
            log.guards.append(self._waited)

    # --- guards and status ---

    def _room(self) -> LogFull | None:
        if self.free is None or self.free >= self._settings.log.least_free:
            return None
        return LogFull(free=self.free // _MEGABYTE, least=self._settings.log.least_free // _MEGABYTE)

    def _waited(self) -> TimestampingFailed | None:
        now = self._clock()
        self._fail_safe.expect(self._stamps(), now)
        return self._fail_safe.refusal(now)

    def _stamps(self) -> bool:
        """Whether records are to be stamped: somebody is approved for it, or the node's file names who is to do it."""
        if not self._settings.stamps.enabled:
            return False
        approved = self._authorities()
        if approved is not None:
            self._approved = tuple(approved)
        return self._approved != () or bool(self._settings.stamps.services)

    def status(self) -> dict[str, Any]:
        """For GET /health; times in ISO 8601, None when there is none."""

        def text(moment: datetime | None) -> str | None:
            return None if moment is None else moment.isoformat()

        stamped = self._stamps()
        refusal = self._room() or (self._waited() if stamped else None)
        return {
            "stamping": "off" if not self._settings.stamps.enabled else "on" if stamped else "no authority",
            "oldest_unstamped": text(self._fail_safe.oldest) if stamped else None,
            "last_stamp": text(self.last_stamp),
            "last_archive": text(self.last_archive),
            "free_bytes": self.free,
            "refusing": None if refusal is None else refusal.text,
            "problems": dict(self.problems),
        }

    # --- life ---

    async def start(self) -> None:
        """See what waits for a stamp from earlier runs, and how much space there is. Raises LogDamaged, LogKeyWrong."""
        if self._started:
            return
        self._started = True
        await self._watch_once()
        if not self._settings.stamps.enabled:
            return
        meanwhile: list[tuple[int, datetime]] = []
        self._log.noted = lambda first, records: meanwhile.append((first + len(records) - 1, records[0].time))
        end = await asyncio.to_thread(self._scan)
        for last, time in meanwhile:
            if last >= end:
                self._fail_safe.note(last, time)
        self._log.noted = self._note

    def _note(self, first: int, records: Sequence[LogRecord]) -> None:
        time = getattr(records, "time", None)  # of a group: no record is made for it
        self._fail_safe.note(first + len(records) - 1, records[0].time if time is None else time)

    def _scan(self) -> int:
        folder = self._settings.log.folder
        self._stamped = max(_read_stamped(folder), read_anchor(folder).records)
        end = self._stamped
        for entry in messagelog.entries(folder, self._settings.key, self._stamped):
            end = entry.number + 1
            if isinstance(entry.record, StampRecord):
                self._fail_safe.stamped(entry.record.last)
                self._stamped = max(self._stamped, entry.record.last + 1)
                self.last_stamp = entry.record.time
            else:
                self._fail_safe.note(entry.number, entry.record.time)
        return end

    async def run(self) -> None:
        """All the work, until cancelled or closed."""
        await self.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop("space", self._watch_once, lambda: _WATCH))
            group.create_task(self._loop("index", self._index_once, lambda: _INDEX))
            if self._settings.stamps.enabled:
                group.create_task(self._loop("stamping", self._stamp_all, self._stamp_interval))
            if self._settings.log.archive is not None:
                group.create_task(self._loop("archive", self.archive_now, self._archive_interval))

    def _archive_interval(self) -> float:
        settings = self._settings.log.archive
        return settings.every_seconds if settings is not None else _RETRY

    def use(self, settings: KeepingSettings) -> None:
        """Other settings from now on; folder, key, and whether there are stamps and archives at all stay as they were."""
        self._settings = settings

    async def close(self) -> None:
        """Let a thread that is at work end at its next border."""
        self._stopping.set()
        async with self._archiving:
            pass

    async def _loop(self, name: str, work: Callable[[], Awaitable[object]], seconds: Callable[[], float]) -> None:
        while not self._stopping.is_set():
            wait = seconds()
            try:
                await work()
                self.problems.pop(name, None)
            except Exception as problem:  # noqa: BLE001 - one failure must not end the work
                self._failed(name, problem)
                wait = min(wait, _RETRY)
            await asyncio.sleep(wait * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret

    def _failed(self, name: str, problem: Exception) -> None:
        text = problem.text if isinstance(problem, KeregeError) else type(problem).__name__
        if self.problems.get(name) != text:
            _LOG.warning(
                "message log, %s: %s", name, text, exc_info=None if isinstance(problem, KeregeError) else problem
            )
        self.problems[name] = text

    # --- free space and index ---

    async def _watch_once(self) -> None:
        found = await asyncio.to_thread(os.statvfs, self._settings.log.folder)
        self.free = found.f_bavail * found.f_frsize

    async def _index_once(self) -> None:
        await asyncio.to_thread(self._index.catch_up)

    async def find(
        self,
        message_id: str,
        *,
        own: ClientId | None = None,
        directions: Collection[str] | None = None,
        most: int | None = None,
        most_bytes: int | None = None,
    ) -> list[Found]:
        """Records of one message identifier with their stamps, for GET /asic; as `LogIndex.find` says."""
        return await asyncio.to_thread(
            lambda: self._index.find(message_id, own=own, directions=directions, most=most, most_bytes=most_bytes)
        )

    # --- time-stamps ---

    def _stamp_interval(self) -> float:
        own = self._settings.stamps.every_seconds
        return float(own if own is not None else self._interval())

    async def stamp_now(self) -> None:
        """Stamp everything that waits. Raises TimestampInvalid when no authority did."""
        await self._stamp_all()

    async def _stamp_all(self) -> None:
        await self.start()
        self._fail_safe.expect(self._stamps(), self._clock())
        if not self._stamps():
            return
        async with self._stamping:
            while not self._stopping.is_set():
                batch = await asyncio.to_thread(self._next_batch)
                if batch is None:
                    return
                await self._stamp(batch)

    def _next_batch(self) -> StampBatch | None:
        folder = self._settings.log.folder
        begin = max(self._stamped, read_anchor(folder).records)  # without an authority, records are cleaned unstamped
        return stamping.next_batch(messagelog.signed(folder, self._settings.key, begin))

    async def _stamp(self, batch: StampBatch) -> None:
        stamp = await self._ask(batch)
        await self._log.append_stamp(stamp)
        self._stamped = batch.last + 1
        self._fail_safe.stamped(batch.last)
        self.last_stamp = stamp.time
        with contextlib.suppress(OSError):  # only where the next start begins to look
            await asyncio.to_thread(write_durable, self._settings.log.folder / _STAMPED, str(self._stamped).encode())

    async def _ask(self, batch: StampBatch) -> StampRecord:
        """The authorities in order, until one gives a token that holds."""
        approved = tuple(self._authorities() or ())
        names = self._settings.stamps.services
        chosen = [one for name in names for one in approved if one.name == name] if names else approved
        problem = TimestampInvalid(check="authority", reason="the global configuration approves none that may be used")
        for authority in chosen:
            nonce = secrets.randbits(63)
            try:
                answer = await self._send(authority.url, timestamps.request(batch.result, nonce))
                token, stamp = timestamps.check_answer(answer, batch.result, nonce, approved)
            except TimestampInvalid as refused:
                problem = refused
            except (OSError, ValueError, http.client.HTTPException) as trouble:
                reason = f"{authority.name} did not answer ({type(trouble).__name__})"
                problem = TimestampInvalid(check="answer", reason=reason)
            else:
                return batch.record(token, stamp)
        self._fail_safe.problem = problem.text
        raise problem

    # --- archives ---

    async def archive_now(self) -> int:
        """Archive what may be and clean what is old; the number of containers made. Raises ArchiveFailed, LogDamaged, RecipientUnusable."""
        async with self._archiving:
            return await asyncio.to_thread(self._archive)

    def _archive(self) -> int:
        log, key = self._settings.log, self._settings.key
        if log.archive is None:
            return 0
        recipients = read_recipients(log.archive, self._clock())
        archiver = archive.Archiver(
            log.folder,
            log.archive.folder,
            key=key,
            grouping=log.archive.grouping,
            largest=log.archive.file_bytes,
            stamped_only=self._stamps(),
            recipients=recipients,
        )
        made = archiver.run(self._stopping.is_set)
        now = self._clock()
        self.last_archive = now
        archive.clean(log.folder, now - timedelta(days=log.retention_days), key)
        return made


def read_recipients(settings: ArchiveSettings, now: datetime) -> openpgp.Recipients | None:
    """For whom archives are encrypted, as their keys are on disk now; None where they are in clear. Raises RecipientUnusable."""
    if not settings.recipients:
        return None
    return openpgp.read_recipients(settings.recipients, settings.recipients_of, now)


def _read_stamped(folder: Path) -> int:
    try:
        return int((folder / _STAMPED).read_text())
    except (OSError, ValueError):
        return 0
