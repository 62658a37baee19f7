"""The durable log: append, read, prove, sign the tree head. Several processes may use one folder at once.

A record is `{"at", "body", "kind"}` in canonical JSON; its leaf is SHA-256(0x00 || those bytes). An append has reached the
disk when it returns and costs O(log n); how the files keep that promise is `ledger.storage`.

Personal content does not belong in a body, only a commitment to it (`ledger.commitment`): a record can never be deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from kerege.ground.clock import iso, require_utc
from kerege.ground.ids import canonical_json
from kerege.ground.text import counted
from kerege.ledger import merkle
from kerege.ledger.checkpoint import Checkpoint, SigningKey, parse_note, sign_checkpoint
from kerege.ledger.errors import IndexOutOfRange, LogDamaged, RecordInvalid, RolledBack
from kerege.ledger.storage import Storage, private

_READ_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One record and its place. `at` is RFC 3339 in UTC, as written."""

    index: int
    leaf_hash: bytes
    kind: str
    at: str
    body: Mapping[str, Any]


class Ledger:
    """A log in a folder. Use `Ledger.open`; close it, or use it in a `with`."""

    def __init__(self, storage: Storage, key: SigningKey | None = None) -> None:
        self._storage = storage
        self._key = key

    @classmethod
    def open(cls, folder: Path, key: SigningKey | None = None) -> Ledger:
        """Open the ledger in `folder`, making it when there is none, and finish what a crash left unfinished.

        key   what `sign_head` signs with; who only appends or reads needs none
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        storage = Storage(folder)
        with storage.locked():
            storage.recover(from_synced=True)
            storage.sync()
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # the names of new files are durable only with their folder
            finally:
                os.close(descriptor)
        return cls(storage, key)

    def close(self) -> None:
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        return self._storage.folder

    @property
    def size(self) -> int:
        """How many records are in the log now, all processes' counted."""
        return self._storage.size()

    def append(self, kind: str, body: Mapping[str, Any], now: datetime) -> Entry:
        """Write one record; when this returns it is on disk and in the tree."""
        return self.append_many([(kind, body)], now)[0]

    def append_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], now: datetime) -> list[Entry]:
        """Write many records with one sync, next to each other. A power cut amid the call may leave the first few."""
        written = [(kind, dict(body), _line(kind, body, now)) for kind, body in records]
        if not written:
            return []
        with self._storage.locked():
            first, leaves = self._storage.append([line for _, _, line in written])
        at = iso(now)
        return [
            Entry(first + place, leaf, kind, at, body)
            for place, ((kind, body, _), leaf) in enumerate(zip(written, leaves, strict=True))
        ]

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The records [start, stop), by default all that are there now; read in blocks, so any number may be asked for."""
        size = self.size
        end = size if stop is None else stop
        if not 0 <= start <= end <= size:
            raise IndexOutOfRange(folder=self.folder, size=size, asked=f"[{start}, {end})")
        return self._read(start, end)

    def _read(self, start: int, end: int) -> Iterator[Entry]:
        for block in range(start, end, _READ_AT_ONCE):
            for place, line in enumerate(self._storage.lines(block, min(end, block + _READ_AT_ONCE))):
                index = block + place
                leaf = merkle.leaf_hash(line)
                if leaf != self._storage.leaf(index):
                    raise LogDamaged(folder=self.folder, index=index, reason="its bytes are not those that were hashed")
                record = json.loads(line)
                yield Entry(index, leaf, record["kind"], record["at"], record["body"])

    def entry(self, index: int) -> Entry:
        """Record number `index`."""
        return next(self.entries(index, index + 1))

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` records, by default of all."""
        asked = self._checked(self.size if size is None else size)
        return self._storage.hash_of(0, asked)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The proof that record `index` is in the tree of the first `size` records; check it with `merkle.inclusion_holds`."""
        asked = self._checked(self.size if size is None else size)
        if not 0 <= index < asked:
            raise IndexOutOfRange(folder=self.folder, size=asked, asked=index)
        return merkle.inclusion_proof(index, asked, self._storage.hash_of)

    def consistency(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """The proof that the tree of `second` records extends that of `first`; check it with `merkle.consistency_holds`."""
        asked = self._checked(self.size if second is None else second)
        if not 1 <= first <= asked:
            raise IndexOutOfRange(folder=self.folder, size=asked, asked=first)
        return merkle.consistency_proof(first, asked, self._storage.hash_of)

    def checkpoint(self, key: SigningKey, origin: str, now: datetime) -> str:
        """Sign the tree as it is now and keep the note; returns the C2SP signed note.

        Raises RolledBack when the log does not extend the last note it signed: two signed heads that contradict each
        other are what outsiders take for fraud, so a restored backup must be noticed before it signs.
        """
        with self._storage.locked():
            self._storage.recover()
            size = self.size
            for old in self._last_checkpoint(origin):
                if old.size > size:
                    raise RolledBack(
                        folder=self.folder, signed=old.size, reason=f"it holds only {counted(size, 'record')}"
                    )
                if self._storage.hash_of(0, old.size) != old.root:
                    raise RolledBack(folder=self.folder, signed=old.size, reason="the root at that size is another")
            self._storage.sync()
            note = sign_checkpoint(Checkpoint(origin, size, self._storage.hash_of(0, size)), key, now)
            with private(self.folder / "checkpoints.jsonl") as file:
                file.write(canonical_json({"at": iso(now), "note": note}) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        return note

    def sign_head(self, now: datetime) -> str | None:
        """Sign the tree as it is now under the key's own name; None when the ledger was opened without a key."""
        return None if self._key is None else self.checkpoint(self._key, self._key.name, now)

    def checkpoints(self) -> list[str]:
        """Every note this folder has signed, oldest first."""
        return stored_checkpoints(self.folder)

    def _last_checkpoint(self, origin: str) -> Sequence[Checkpoint]:
        for note in reversed(self.checkpoints()):
            found = parse_note(note).checkpoint
            if found.origin == origin:
                return [found]
        return []

    def _checked(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise IndexOutOfRange(folder=self.folder, size=self.size, asked=size)
        return size


def stored_checkpoints(folder: Path) -> list[str]:
    """The notes kept in a ledger folder; a half-written last line is left out, it was never handed to anyone."""
    try:
        raw = (folder / "checkpoints.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    return [str(json.loads(line)["note"]) for line in raw.split(b"\n")[:-1]]


def _line(kind: str, body: Mapping[str, Any], now: datetime) -> bytes:
    if not kind or not kind.isprintable():
        raise RecordInvalid(kind=repr(kind), reason="the kind is empty or has control characters")
    try:
        return canonical_json({"kind": kind, "at": iso(require_utc(now)), "body": dict(body)})
    except (TypeError, ValueError) as error:
        raise RecordInvalid(kind=kind, reason=str(error).split("\n", 1)[0]) from error
