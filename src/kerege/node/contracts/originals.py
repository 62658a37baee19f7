"""What an agency's system really answered, where something else was signed: the originals' log, beside the message log.

When the provider's node translates an answer, or refuses one for its contract, the agency's bytes are in no signed message. They are kept in a log
of their own in `originals/` below the message log's folder, of the same format (segments, group commit, encryption, recovery), one
record each: who asked whom under which message id, a head in JSON (why, content type, size, SHA-256 and SHA-512, mapping), and the
bytes where the body policy keeps them. It is durable before the answer is signed. What makes it evidence is the signed answer, which
names the SHA-256; an auditor finds both by the message id (`kerege node original`). These records are in no ASiC container and carry
no signature, which is why they stand apart from the log that is stamped and archived for X-Road's verifier.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from kerege.exchange import archive, logfolder, openpgp
from kerege.exchange.bodies import Body, body_bytes, body_chunks, body_sha512, body_size
from kerege.exchange.errors import ExchangeError, LogFailed
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord
from kerege.exchange.messagelog import LogWriter
from kerege.ground.errors import KeregeError
from kerege.node.config_types import ArchiveSettings, LogSettings
from kerege.node.log.commit import CommitLog
from kerege.node.log.index import LogIndex
from kerege.node.log.keeping import read_recipients
from kerege.node.log.records import Policy
from kerege.node.message import Asked

FOLDER: Final = "originals"
KIND: Final = "ORIGINAL"
TRANSLATED: Final = "translated"
REFUSED: Final = "refused"
_SMALL: Final = 256 * 1024
_COPIED: Final = 1024 * 1024  # at once
_EVERY: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Original:
    """One answer as the agency's system gave it; `body` None where the policy keeps digests only."""

    record: LogRecord
    head: dict[str, Any]

    @property
    def body(self) -> bytes | None:
        return self.record.body

    @classmethod
    def of(cls, record: LogRecord) -> Original:
        return cls(record, orjson.loads(record.message))


class Originals:
    """Keeps originals by the log settings in use now, below the message log's `folder`; their log is opened by the first of them."""

    def __init__(
        self, settings: Callable[[], LogSettings], folder: Path, key: LogKey | None, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._key, self._clock = settings, key, clock
        self._folder = folder / FOLDER
        self._log: CommitLog | None = None
        self._opening = asyncio.Lock()
        self.problem: str | None = None

    async def keep(self, asked: Asked, body: Body, why: str, content_type: str, about: dict[str, Any]) -> str:
        """The SHA-256 of `body`, once it is durable. Raises LogFailed: nothing may be made of an answer that is not kept."""
        log = await self._opened()
        sha256 = await sha256_of(body)
        head = {
            "why": why,
            "content_type": content_type,
            "size": body_size(body),
            "sha256": sha256,
            "sha512": body_sha512(body).hex(),
            **about,
        }
        kept = Policy(self._settings()).keeps(asked, body_size(body))
        record = LogRecord(
            self._clock(), "original", "provider", asked.message_id, asked.request_id, asked.client, asked.service,
            orjson.dumps(head), body_bytes(body) if kept else None, b"", None, KIND, (body_sha512(body),),
        )  # fmt: skip
        await log.append(record)
        return sha256

    async def _opened(self) -> CommitLog:
        async with self._opening:
            if self._log is None:
                try:
                    writer = await asyncio.to_thread(self._open)
                except ExchangeError as problem:
                    raise LogFailed(reason=f"the originals' log cannot be opened: {problem.text}") from None
                except OSError as problem:
                    reason = problem.strerror or "refused"
                    raise LogFailed(reason=f"the originals' log cannot be opened: {reason}") from None
                self._log = CommitLog(writer)
            return self._log

    def _open(self) -> LogWriter:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LogWriter(self._folder, self._settings().segment_bytes, self._key)

    async def run(self) -> None:
        """Archive what is old, where the message log is archived, until cancelled."""
        while True:
            settings = self._settings()
            try:
                if settings.archive is not None:
                    await asyncio.to_thread(self._put_aside, settings, settings.archive)
                self.problem = None
            except Exception as problem:  # noqa: BLE001 - tried again; nothing is removed before its copy is on disk
                text = problem.text if isinstance(problem, KeregeError) else type(problem).__name__
                self.problem = f"originals could not be archived ({text})"
            await asyncio.sleep(_EVERY)

    def _put_aside(self, settings: LogSettings, into: ArchiveSettings) -> None:
        now = self._clock()
        recipients = read_recipients(into, now)
        keys = None if recipients is None else recipients.default
        put_aside(self._folder, into.folder / FOLDER, now - timedelta(days=settings.retention_days), self._key, keys)

    async def close(self) -> None:
        if self._log is not None:
            await asyncio.to_thread(self._log.close)


async def sha256_of(body: Body) -> str:
    return await asyncio.to_thread(_sha256, body) if body_size(body) > _SMALL else _sha256(body)


def _sha256(body: Body) -> str:
    digest = hashlib.sha256()
    for piece in body_chunks(body):
        digest.update(piece)
    return digest.hexdigest()


def find(settings: LogSettings, state: Path, key: LogKey | None, message_id: str) -> list[Original]:
    """The originals of one message identifier, oldest first. Also while the node runs. Raises LogDamaged, LogKeyWrong."""
    folder = settings.folder / FOLDER
    if not folder.is_dir():
        return []
    index = LogIndex(state / "originals-index.sqlite", folder, key)
    return [Original.of(found.record) for found in index.find(message_id)]


def put_aside(
    folder: Path, into: Path, before: datetime, key: LogKey | None, keys: Sequence[openpgp.Key] | None = None
) -> int:
    """Copy finished segments into the archive, then remove those whose every record is older; how many were removed.

    keys   of OpenPGP recipients: copies are encrypted for them, as archives are; None: they are as the segments are
    """
    if not folder.is_dir():
        return 0
    logfolder.own_folder(into)
    finished = logfolder.segments(folder)[:-1]
    for path in finished:
        final = into / (path.name if keys is None else path.name + openpgp.SUFFIX)
        if not final.exists():
            temporary = into / f".{path.name}.part"
            temporary.unlink(missing_ok=True)  # what a crash left
            _copy(path, temporary, keys)
            temporary.replace(final)
    if not finished:
        return 0
    logfolder.sync(into)
    count = logfolder.end_of(finished, logfolder.read_anchor(folder))[1]
    state = archive.ArchiveState(count)
    logfolder.write_durable(folder / "archived.json", orjson.dumps(state.as_json()))
    return archive.clean(folder, before, key)


def _copy(path: Path, into: Path, keys: Sequence[openpgp.Key] | None) -> None:
    with path.open("rb") as source:
        if keys is None:
            with logfolder.create_own(into) as copy:
                shutil.copyfileobj(source, copy, _COPIED)
                copy.flush()
                os.fsync(copy.fileno())
            return
        encrypted = openpgp.EncryptedFile(into, keys)
        try:
            while piece := source.read(_COPIED):
                encrypted.write(piece)
            encrypted.finish()
        except BaseException:
            encrypted.close()
            raise
