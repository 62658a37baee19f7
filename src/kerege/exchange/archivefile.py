"""One archive of the message log while it is written: a ZIP file of containers, then its linking information, and the name it gets.

`archive` says when and of what one is made. Where recipients are given, the same ZIP file goes through `openpgp` into a file whose name
ends with `.gpg` besides: digests and linking information are of what is in it, so the chain is the same before and after decryption,
and names the file before as it is in the folder, as X-Road's does.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from kerege.exchange import asic, logfolder, openpgp
from kerege.exchange.errors import ArchiveFailed
from kerege.exchange.logrecord import LogRecord

LINKING_INFO: Final = "linkinginfo"
ALGORITHM: Final = "SHA-512"
PART: Final = ".mlog-part-"  # how temporary names begin


def hex_digest(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


class _Clear:
    """A new file for its owner only, as `openpgp.EncryptedFile` is one."""

    def __init__(self, path: Path) -> None:
        self.file: IO[bytes] = logfolder.create_own(path)

    def finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def close(self) -> None:
        self.file.close()


class ArchiveFile:
    """One archive being written, under a temporary name; `last` is the digest and the file that the group ended with."""

    def __init__(self, folder: Path, group: str, last: tuple[str, str], keys: Sequence[openpgp.Key] | None) -> None:
        self.group, self._before = group, last
        self.digest = last[0]
        self.path = (
            folder / f"{PART}{os.getpid()}-{hashlib.sha256(group.encode()).hexdigest()[:16]}-{os.urandom(4).hex()}"
        )
        self._file = _Clear(self.path) if keys is None else openpgp.EncryptedFile(self.path, keys)
        self._suffix = "" if keys is None else openpgp.SUFFIX
        target = self._file.file if isinstance(self._file, _Clear) else self._file
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
        self._lines: list[str] = []
        self._names: set[str] = set()
        self._first = self._last = datetime(1980, 1, 1, tzinfo=UTC)
        self.size = 0

    def add(self, record: LogRecord, container: bytes) -> None:
        name = stem = asic.name_of(record)
        number = 0
        while name in self._names:
            number += 1
            name = f"{stem.removesuffix('.asice')}-{number}.asice"
        self._first = record.time if not self._names else min(self._first, record.time)
        self._last = max(self._last, record.time)
        self._names.add(name)
        self._put(name, container, record.time)
        self.digest = hex_digest((self.digest + hex_digest(container)).encode())
        self._lines.append(f"{self.digest} {name}\n")
        self.size += len(container) + len(name)

    def _put(self, name: str, data: bytes, time: datetime) -> None:
        info = zipfile.ZipInfo(name, time.astimezone(UTC).timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, data)

    def finish(self) -> str:
        """Complete and on disk; the name it shall have."""
        digest, file = (part or "-" for part in self._before)
        self._put(LINKING_INFO, "".join((f"{digest} {file} {ALGORITHM}\n", *self._lines)).encode(), self._last)
        self._zip.close()
        self._file.finish()
        group = f"-{self.group}" if self.group else ""
        name = f"mlog{group}-{self._first:%Y%m%d%H%M%S}-{self._last:%Y%m%d%H%M%S}-{self.digest[:16]}.zip"
        return name + self._suffix

    def discard(self) -> None:
        try:
            self._file.close()
            with suppress(OSError, ValueError, ArchiveFailed):  # it would end the file, and that is closed
                self._zip.close()
        finally:
            self.path.unlink(missing_ok=True)
