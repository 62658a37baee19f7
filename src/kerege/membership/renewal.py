"""When the configuration is due to be signed again, and one publication at a time. What the hub's own publishing goes by.

When what stands was made, and until when it holds, is read from the folder the hub serves and nowhere else: the signed directory says so. The
version nodes were given is besides kept in the home folder (`Given`): a database that does not know of it is not the one they were given it from.
The decisions are pure; `alone` holds the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
from django.db import DatabaseError, connection

from kerege.exchange import confdir
from kerege.exchange.errors import ExchangeError
from kerege.membership.errors import PublishedElsewhere, PublishHeld
from kerege.membership.publish import DIRECTORY, replace_file

GAP: Final = timedelta(
    seconds=10
)  # between publications of changes: readers of the last but two must find their files still
_SHARE: Final = 3  # renewed before a third of the time it holds is over, however rarely it is asked for
_FIRST: Final = 2.0  # seconds to the second try
_LONGEST: Final = 60.0
_AGAIN: Final = 0.1
_GIVEN: Final = "published-version.json"
_LOCK: Final = 0x6B657063  # PostgreSQL's advisory lock of this doing


@dataclass(frozen=True, slots=True)
class Standing:
    """What the nodes are given now. `version` is that of its rules; None when they cannot be read."""

    instance: str
    published: datetime
    expires: datetime
    version: int | None

    def renew_at(self, every: timedelta) -> datetime:
        """When it is to be signed again."""
        return self.published + min(every, (self.expires - self.published) / _SHARE)


@dataclass(frozen=True, slots=True)
class Register:
    """What of the register decides: has it members, which version was noted last, is its picture another than the one noted."""

    members: int
    version: int | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Given:
    """The version a home gave the nodes of `instance` last, or is about to give. `noted`: the database has noted it since."""

    instance: str
    version: int
    noted: bool


def given(home: Path, instance: str) -> Given | None:
    """What the home keeps of it; None when nothing, of another instance or nothing that can be read."""
    try:
        kept = Given(**orjson.loads((home / _GIVEN).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    sound = isinstance(kept.version, int) and isinstance(kept.noted, bool)
    return kept if sound and kept.instance == instance else None


def keep_given(home: Path, now_given: Given) -> None:
    """Keep it where it is not kept so already."""
    if given(home, now_given.instance) != now_given:
        replace_file(home / _GIVEN, orjson.dumps(now_given))


def last_version(stands: Standing | None, kept: Given | None) -> int:
    """The highest version nodes may have taken; 0: none. They take no lower one."""
    return max((stands.version or 0) if stands else 0, kept.version if kept else 0)


def is_known(noted: int, last: int, kept: Given | None) -> bool:
    """Whether a database that notes version `noted` as its last is the one from which nodes were given version `last`.

    It may be one behind where the last publication was interrupted before it was noted, which what is kept says; else it is an older copy.
    """
    interrupted = kept is not None and not kept.noted and kept.version == last == noted + 1
    return last <= noted or interrupted


def standing(folder: Path) -> Standing | None:
    """What stands in the folder the hub serves; None when nothing does, or nothing that can be read."""
    try:
        found = confdir.unverified_directory((folder / DIRECTORY).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ExchangeError):
        return None
    published = confdir.generated_at(found.generation)
    if published is None:
        return None
    return Standing(found.parts[0].instance, published, found.expires, _version(folder, found.part(confdir.RULES)))


def _version(folder: Path, part: confdir.ConfigurationPart | None) -> int | None:
    if part is None:
        return None
    try:
        rules = orjson.loads(
            (folder / part.location.lstrip("/")).read_bytes()
        )  # not every right of it: health asks this
    except (OSError, ValueError):
        return None
    version = rules.get("version") if isinstance(rules, dict) else None
    return version if isinstance(version, int) else None


def why_now(
    now: datetime, stands: Standing | None, every: timedelta, register: Register, kept: Given | None = None
) -> str | None:
    """Why to publish at `now`: "first", "renewal", "change"; None when it is not due. Raises PublishHeld where a person must.

    A database that is not the one the configuration was made from (empty, another, an older copy of it) would shut everybody out, or let in who was
    shut out: such a one is not published unasked.
    """
    if stands is None and not register.members:
        return None
    last, noted = last_version(stands, kept), register.version or 0
    if not is_known(noted, last, kept):
        told = f"version {noted}" if noted else "no version"
        raise PublishHeld(reason=f"nodes were given version {last}, and this database notes {told} as the last")
    if stands is None:
        return "first"
    if not register.members and register.changed:
        raise PublishHeld(
            reason="the register has no members, and the configuration that stands was made from one that has"
        )
    if not last:
        raise PublishHeld(reason="which version stands cannot be read, so nothing says that the database is as new")
    put_back = now < stands.published  # the clock was; what it says now is true
    if put_back or now >= stands.renew_at(every):
        return "renewal"
    changed = register.changed or stands.version != register.version
    return "change" if changed and now - stands.published >= GAP else None


def wait_after(tries: int, every: timedelta, chance: float) -> float:
    """Seconds until the next try when so many failed in a row: twice as long each time up to a minute, less up to half by `chance` (0 to 1)."""
    longest = min(_LONGEST, every.total_seconds(), _FIRST * 2.0 ** min(max(tries - 1, 0), 16))
    return longest * (1 - chance / 2)


@contextmanager
def alone(home: Path, patience: float = 0.0) -> Iterator[None]:
    """One publication at a time over a home folder and over a database. Both locks end with the process that holds them.

    Waits `patience` seconds for another to end. Raises PublishedElsewhere.
    """
    until = time.monotonic() + patience
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / "publishing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _flocked(descriptor):
            _wait(until, "this home folder")
        shared = connection.vendor == "postgresql"  # hubs on several machines share the database, not the folder
        while shared and not _asked("SELECT pg_try_advisory_lock(%s)"):
            _wait(until, "another hub of this database")
        try:
            yield
        finally:
            if shared:
                with contextlib.suppress(DatabaseError):  # a session that is gone took its lock with it
                    _asked("SELECT pg_advisory_unlock(%s)")
    finally:
        os.close(descriptor)


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(until: float, where: str) -> None:
    if time.monotonic() >= until:
        raise PublishedElsewhere(where=where)
    time.sleep(_AGAIN)


def _asked(query: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])
