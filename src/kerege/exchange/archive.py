"""Archives of the message log: ZIP files of ASiC containers with linking information, in X-Road's format.

Implements UG-SS 11.1 and the archive verifier's rules: `mlog[-group]-<start>-<end>-<16 characters of the last digest>.zip` with one
`.asice` a record and `linkinginfo`, whose first line is `<digest before> <file before> SHA-512` ("-" where there is none) and then
`<digest> <name>` a container, digest n = hex(H(hex of digest n-1 + hex(H(container)))). The chain of a group goes on from archive
to archive. `verify_archive` checks it.

A record is archived once it is time-stamped (or at once where stamping is off). What a run made is put in place by a plan on disk:
whatever a crash interrupts is either made again whole, or finished; no record twice, none missing. Folder and files are their owner's
only. Where recipients are given, files are encrypted for them (`openpgp`) as they are written and their names end with `.zip.gpg`; the
linking information in them is that of the ZIP file, and `verify_archive` checks what was decrypted.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from kerege.exchange import asic, logfolder, messagelog
from kerege.exchange.archivefile import ALGORITHM, LINKING_INFO, PART, ArchiveFile, hex_digest
from kerege.exchange.asic import BatchStamp
from kerege.exchange.errors import ArchiveFailed, ExchangeError
from kerege.exchange.ids import ClientId
from kerege.exchange.logcrypt import LogKey
from kerege.exchange.logrecord import LogRecord, StampRecord
from kerege.exchange.openpgp import SUFFIX, Recipients
from kerege.exchange.tschain import Tree
from kerege.ground.text import counted

GROUPINGS: Final = ("none", "member", "subsystem")
_STATE: Final = "archived.json"
_PLAN: Final = "archive-plan.json"
_CHUNK: Final = 50_000  # records between two plans: bounds what stamps are held in memory
_MOST_OPEN: Final = 64
_MOST_ENCRYPTED: Final = 16  # each has a process of its own


@dataclass
class ArchiveState:
    """What has been archived: all records below `next`, and of each group the last digest and file."""

    next: int = 0
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, log: Path) -> ArchiveState:
        try:
            return cls.of(orjson.loads((log / _STATE).read_bytes()))
        except FileNotFoundError:
            return cls(logfolder.read_anchor(log).records)
        except (OSError, ValueError, TypeError, KeyError):
            raise ArchiveFailed(reason=f"{_STATE} in the log folder cannot be read") from None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> ArchiveState:
        return cls(int(fields["next"]), {str(k): (str(v[0]), str(v[1])) for k, v in fields["groups"].items()})

    def as_json(self) -> dict[str, Any]:
        return {"next": self.next, "groups": {group: list(last) for group, last in self.groups.items()}}


def own_client(record: LogRecord) -> ClientId:
    """The member or subsystem at this server that a record is of."""
    return record.client if record.side == "client" else record.service.provider_client


def group_of(record: LogRecord, grouping: str) -> str:
    """The group of a record: its member or subsystem at this server."""
    own = own_client(record)
    parts = [own.instance, own.member_class, own.member_code]
    if grouping == "subsystem" and own.subsystem is not None:
        parts.append(own.subsystem)
    return "" if grouping == "none" else "-".join(quote(part, safe="") for part in parts)


class _Interrupted(Exception):
    """The process is to end; what was not planned is made another time."""


class Archiver:
    """Archives one log folder into one archive folder; used from one thread at a time. Raises ArchiveFailed, LogDamaged...

    recipients   for whom archives are encrypted, by member or subsystem where records are grouped so; None: they are in clear
    """

    def __init__(
        self,
        log: Path,
        archive: Path,
        *,
        key: LogKey | None = None,
        grouping: str = "none",
        largest: int = 32 * 1024 * 1024,
        stamped_only: bool = True,
        recipients: Recipients | None = None,
    ) -> None:
        if grouping not in GROUPINGS:
            raise ValueError(f"grouping is one of {', '.join(GROUPINGS)}, not {grouping!r}")
        self._log, self._archive, self._key, self._recipients = log, archive, key, recipients
        self._grouping, self._largest, self._stamped_only = grouping, largest, stamped_only

    def run(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Archive everything that may be; the number of containers made. `stop` ends it soon: what no plan holds is left out."""
        made = 0
        try:
            logfolder.own_folder(self._archive)
            state = self._resume()
            while not stop():
                count = self._chunk(state, stop)
                if count < 0:
                    break
                made += count
        except _Interrupted:
            return made
        except OSError as problem:
            raise ArchiveFailed(reason=os.strerror(problem.errno) if problem.errno else "the system refused") from None
        return made

    def _resume(self) -> ArchiveState:
        """Finish the plan a crash left, and take away what was never planned."""
        plan = self._log / _PLAN
        if plan.exists():
            self._carry_out(orjson.loads(plan.read_bytes()))
        for left in self._archive.glob(f"{PART}*"):
            left.unlink()
        return ArchiveState.read(self._log)

    def _carry_out(self, plan: dict[str, Any]) -> None:
        for temporary, final in plan["files"]:
            source = self._archive / temporary
            if source.exists():  # else it was renamed before the crash
                source.replace(self._archive / final)
        logfolder.sync(self._archive)
        logfolder.write_durable(self._log / _STATE, orjson.dumps(plan["state"]))
        (self._log / _PLAN).unlink()
        logfolder.sync(self._log)

    def _chunk(self, state: ArchiveState, stop: Callable[[], bool]) -> int:
        """One plan's worth; the number of containers, -1 when nothing waits."""
        end, stamps = self._reach(state.next)
        if end <= state.next:
            return -1
        groups = dict(state.groups)
        done: list[tuple[str, str]] = []
        being: dict[str, ArchiveFile] = {}
        count = 0
        most = _MOST_OPEN if self._recipients is None else _MOST_ENCRYPTED

        def finish(one: ArchiveFile) -> None:
            name = one.finish()
            done.append((one.path.name, name))
            groups[one.group] = (one.digest, name)
            del being[one.group]

        try:
            for record, stamp in self._stamped(state.next, end, stamps):
                if stop():
                    raise _Interrupted
                group = group_of(record, self._grouping)
                if group not in being:
                    if len(being) >= most:
                        finish(max(being.values(), key=lambda one: one.size))
                    keys = None if self._recipients is None else self._recipients.keys(own_client(record))
                    being[group] = ArchiveFile(self._archive, group, groups.get(group, ("", "")), keys)
                being[group].add(record, asic.container(record, stamp))
                count += 1
                if being[group].size >= self._largest:
                    finish(being[group])
            for one in list(being.values()):
                finish(one)
        except BaseException:
            for one in being.values():
                one.discard()
            for temporary, _ in done:
                (self._archive / temporary).unlink(missing_ok=True)
            raise
        logfolder.sync(self._archive)
        state.next, state.groups = end, groups
        plan = {"files": done, "state": state.as_json()}
        logfolder.write_durable(self._log / _PLAN, orjson.dumps(plan))
        self._carry_out(plan)
        return count

    def _reach(self, begin: int) -> tuple[int, list[StampRecord]]:
        """Up to which record (not included) may be archived now, and the stamps of those from `begin`."""
        stamps: list[StampRecord] = []
        end = begin
        for entry in messagelog.entries(self._log, self._key, begin):
            if isinstance(entry.record, StampRecord):
                if entry.record.last >= begin:
                    stamps.append(entry.record)
                    end = max(end, entry.record.last + 1)
            elif not self._stamped_only:
                end = entry.number + 1
            if end - begin >= _CHUNK:
                break
        return end, stamps

    def _stamped(
        self, begin: int, end: int, stamps: list[StampRecord]
    ) -> Iterator[tuple[LogRecord, BatchStamp | None]]:
        waiting = sorted(stamps, key=lambda stamp: stamp.first)
        current: StampRecord | None = None
        tree: Tree | None = None
        for entry in messagelog.entries(self._log, self._key, begin):
            if entry.number >= end:
                return
            record = entry.record
            if not isinstance(record, LogRecord):
                continue
            while waiting and (current is None or entry.number > current.last):
                current, tree = waiting.pop(0), None
            if current is None or not current.first <= entry.number <= current.last:
                if self._stamped_only:
                    raise ArchiveFailed(reason=f"record {entry.number} stands between time-stamps and has none")
                yield record, None
                continue
            tree = tree or Tree(current.leaves)
            leaf = hashlib.sha512(record.signature).digest()
            try:
                yield record, BatchStamp(current.token, tree.chain_of(leaf))
            except KeyError:
                raise ArchiveFailed(reason=f"the time-stamp of record {entry.number} does not hold it") from None


# --- cleaning --------------------------------------------------------------------------------------------------------


def clean(log: Path, before: datetime, key: LogKey | None = None) -> int:
    """Remove whole segments whose every record is archived and older than `before`; how many. The last segment always stays.

    The anchor, with the link and the count to go on from, is on disk before anything is removed.
    """
    archived = ArchiveState.read(log).next
    paths = logfolder.segments(log)
    anchor = logfolder.read_anchor(log)
    link, count, keep = anchor.link, anchor.records, anchor.segment
    for path in paths[:-1]:
        link_after, count_after = logfolder.end_of([path], logfolder.Anchor(logfolder.number_of(path), count, link))
        if count_after > archived or not _all_older(log, path, count, count_after, before, key):
            break
        link, count, keep = link_after, count_after, logfolder.number_of(path) + 1
    if keep == anchor.segment:
        _unlink_before(log, keep)
        return 0
    logfolder.write_anchor(log, logfolder.Anchor(keep, count, link))
    _unlink_before(log, keep)
    return keep - anchor.segment


def _all_older(log: Path, path: Path, begin: int, end: int, before: datetime, key: LogKey | None) -> bool:
    for entry in messagelog.entries(log, key, begin):
        if entry.number >= end or entry.path != path:
            return True
        if entry.record.time >= before:
            return False
    return True


def _unlink_before(log: Path, keep: int) -> None:
    """Also what a crash between the anchor and the removal left."""
    gone = [path for path in log.glob("segment-*.log") if 0 < logfolder.number_of(path) < keep]
    for path in gone:
        path.unlink()
    if gone:
        logfolder.sync(log)


# --- verifying -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What `verify_archive` found; `ok` when every file's chain holds and follows from the one before it."""

    archives: int
    containers: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_archive(folder: Path, check: Callable[[asic.Container], object] | None = None) -> ArchiveReport:
    """Check the linking information of every archive in `folder`, and that each but a group's first follows from another.

    Of encrypted ones (`.zip.gpg`) that were not decrypted beside it nothing can be said but that, which is a problem.

    check   also called with every container read, e.g. `lambda c: c.check(trust)`; what it raises is a problem
    """
    problems: list[str] = []
    ends: dict[str, str] = {}
    begins: dict[str, tuple[str, str]] = {}
    containers = 0
    paths = sorted(folder.glob("mlog-*.zip"))
    for path in paths:
        try:
            before, after, count = _verify_one(path, check)
        except (
            ValueError,
            OSError,
            zipfile.BadZipFile,
            KeyError,
            IndexError,
            EOFError,
            NotImplementedError,  # how zipfile refuses a compression or a version it does not know
        ) as problem:
            reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
            problems.append(f"{path.name}: {reason}")
            continue
        ends[path.name], begins[path.name] = after, before
        containers += count
    closed = sorted(
        {path.name for path in folder.glob(f"mlog-*.zip{SUFFIX}")} - {f"{path.name}{SUFFIX}" for path in paths}
    )
    if closed:
        problems.append(
            f"{counted(len(closed), 'archive')} {'is' if len(closed) == 1 else 'are'} encrypted, {closed[0]} the first: decrypt with gpg into a "
            f"folder, each under its name without {SUFFIX}, and verify that folder (docs/how-to/archives.md)"
        )
    for name, (digest, named) in begins.items():
        file = named.removesuffix(SUFFIX)  # as it is after decryption
        if file == "-":
            if digest != "-":
                problems.append(f"{name}: it follows from a digest of no file")
        elif f"{file}{SUFFIX}" in closed:
            continue  # told of already
        elif file not in ends:
            problems.append(f"{name}: {file}, from which it follows, is not here")
        elif ends[file] != digest:
            problems.append(f"{name}: it does not follow from {file}")
    followed = [file.removesuffix(SUFFIX) for _, file in begins.values() if file != "-"]
    problems += [f"{name}: more than one archive follows from it" for name in ends if followed.count(name) > 1]
    return ArchiveReport(len(paths), containers, tuple(problems))


def _verify_one(path: Path, check: Callable[[asic.Container], object] | None) -> tuple[tuple[str, str], str, int]:
    with zipfile.ZipFile(path) as archive:
        first, *lines = archive.read(LINKING_INFO).decode().splitlines()
        digest, file, algorithm = first.split(" ")
        if algorithm != ALGORITHM:
            raise ValueError(f"its digest algorithm is not {ALGORITHM}")
        listed = [line.split(" ", 1) for line in lines]
        if sorted(name for _, name in listed) != sorted(set(archive.namelist()) - {LINKING_INFO}):
            raise ValueError("its linking information names other files than it holds")
        last = "" if digest == "-" else digest
        for stated, name in listed:
            data = archive.read(name)
            last = hex_digest((last + hex_digest(data)).encode())
            if last != stated:
                raise ValueError(f"the digest of {name} differs")
            if check is not None:
                try:
                    check(asic.read(data))
                except Exception as problem:  # noqa: BLE001 - the caller's check says what is wrong in its own way
                    reason = f"{problem.text} [{problem.code}]" if isinstance(problem, ExchangeError) else problem
                    raise ValueError(f"{name}: {reason}") from None
    if f"-{last[:16]}.zip" not in path.name:
        raise ValueError("its name does not carry its last digest")
    return (digest, file), last, len(listed)
