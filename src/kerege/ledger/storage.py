"""The files of a ledger folder, and the order in which they are written.

    records.jsonl   one record a line, canonical JSON; the truth, only ever appended to, synced before an append returns
    ends            8 bytes per record: where its line ends; a cache
    level-00 ...    32 bytes per complete subtree of 2^level leaves; a cache, level-00 being the leaf hashes
    synced.json     how much of the caches is known to be on disk
    torn.bin        bytes of appends that never finished, moved here instead of thrown away
    lock            the writers' lock (flock)
    checkpoints.jsonl   every checkpoint signed (`ledger.log`)

Rules
- Writers hold the lock. Readers do not: a record counts once its leaf hash stands in level-00, which is written last.
- A crash can leave records without caches (they are added) or half a line (it is moved to torn.bin). Both are seen because
  the last end in `ends` is not the length of records.jsonl.
- A power cut can leave caches whose bytes never reached the disk. So when a folder is opened, everything past
  synced.json is computed again from the records: at most `SYNC_EVERY` of them.
- Files are made with mode 0600: who may read a record is not for the file system to widen.
- Caches are rewritten in place with the same bytes, never truncated first, so a reader never sees them shrink.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from kerege.ledger.errors import LogDamaged
from kerege.ledger.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash, split

SYNC_EVERY: Final = 1024
_END: Final = 8


class Storage:
    """Files of one ledger folder. Knows bytes and hashes; what a record says is `ledger.log`'s."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = folder / "records.jsonl"
        self._ends = folder / "ends"
        self._synced = folder / "synced.json"
        self._files: dict[str, int] = {}
        self._mutex = threading.Lock()

    def close(self) -> None:
        with self._mutex:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude every other writer: other processes and, as each lock opens the file anew, other threads."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def size(self) -> int:
        """How many records are complete."""
        return os.fstat(self._file("level-00")).st_size // HASH_SIZE

    def leaf(self, index: int) -> bytes:
        return self._read("level-00", index * HASH_SIZE, HASH_SIZE)

    def lines(self, start: int, stop: int) -> list[bytes]:
        """The records [start, stop) as written, without their newlines."""
        if start >= stop:
            return []
        ends = self._read("ends", start * _END, (stop - start) * _END)
        limits = [self._end(start)] + [int.from_bytes(ends[i : i + _END], "big") for i in range(0, len(ends), _END)]
        block = self._read("records.jsonl", limits[0], limits[-1] - limits[0])
        base = limits[0]
        return [block[a - base : b - base - 1] for a, b in itertools.pairwise(limits)]

    def hash_of(self, start: int, end: int) -> bytes:
        """The tree hash of the leaves [start, end): one read for a complete subtree, O(log n) otherwise."""
        width = end - start
        if width == 0:
            return EMPTY_ROOT
        if width & (width - 1) == 0 and start % width == 0:
            level = width.bit_length() - 1
            return self._read(_level(level), (start >> level) * HASH_SIZE, HASH_SIZE)
        middle = start + split(width)
        return node_hash(self.hash_of(start, middle), self.hash_of(middle, end))

    def append(self, lines: Sequence[bytes]) -> tuple[int, list[bytes]]:
        """Add `lines` durably; the lock must be held. Returns the first new index and the new leaf hashes."""
        self.recover()
        size = self.size()
        block = b"".join(line + b"\n" for line in lines)
        records = self._file("records.jsonl")
        _write_all(records, block, os.fstat(records).st_size)
        os.fsync(records)
        leaves = self._extend(size, lines)
        if (size + len(lines)) // SYNC_EVERY > size // SYNC_EVERY:
            self.sync()
        return size, leaves

    def recover(self, from_synced: bool = False) -> None:
        """Bring the caches up to the records; the lock must be held. Cheap when there is nothing to do."""
        size = self._synced_size() if from_synced else self.size()
        start = self._end(size)
        length = os.fstat(self._file("records.jsonl")).st_size
        if length < start:
            raise LogDamaged(folder=self.folder, index=size, reason="records.jsonl is shorter than what was written")
        if length == start and size == self.size():
            return
        tail = self._read("records.jsonl", start, length - start)
        whole = tail.rfind(b"\n") + 1
        lines = tail[:whole].split(b"\n")[:-1]
        for offset, line in enumerate(lines):
            try:
                json.loads(line)
            except ValueError:
                raise LogDamaged(folder=self.folder, index=size + offset, reason="the line is not JSON") from None
        if size + len(lines) < self.size():  # records reach the disk before their hashes do, so they were cut off later
            raise LogDamaged(folder=self.folder, index=size + len(lines), reason="records are missing at the end")
        if whole < len(tail):
            with private(self.folder / "torn.bin") as torn:
                torn.write(tail[whole:])
                torn.flush()
                os.fsync(torn.fileno())
            os.ftruncate(self._file("records.jsonl"), start + whole)
        self._extend(size, lines)

    def sync(self) -> None:
        """Put the caches on disk and note how far they go; the lock must be held."""
        size = self.size()
        for name in ["ends", *(path.name for path in self.folder.glob("level-*"))]:  # other processes' writes too
            os.fsync(self._file(name))
        beside = self._synced.with_suffix(".new")
        with private(beside, os.O_TRUNC) as file:
            file.write(json.dumps({"size": size}).encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._synced)

    def _synced_size(self) -> int:
        try:
            noted = int(json.loads(self._synced.read_text(encoding="utf-8"))["size"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0
        return min(noted, self.size())

    def _extend(self, size: int, lines: Sequence[bytes]) -> list[bytes]:
        leaves = [leaf_hash(line) for line in lines]
        position, ends = self._end(size), bytearray()
        for line in lines:
            position += len(line) + 1
            ends += position.to_bytes(_END, "big")
        self._write("ends", size * _END, bytes(ends))
        start, nodes = size, leaves
        rows: list[tuple[int, int, list[bytes]]] = [(0, start, nodes)]
        while nodes:  # each pass pairs the new nodes of one level, the left one perhaps older, into the next level
            if start % 2:
                level = rows[-1][0]
                nodes = [self._read(_level(level), (start - 1) * HASH_SIZE, HASH_SIZE), *nodes]
                start -= 1
            nodes = [node_hash(nodes[i], nodes[i + 1]) for i in range(0, len(nodes) - 1, 2)]
            start //= 2
            rows.append((rows[-1][0] + 1, start, nodes))
        for level, first, hashes in reversed(rows):  # level-00 last: it is what makes the records count
            if hashes:
                self._write(_level(level), first * HASH_SIZE, b"".join(hashes))
        return leaves

    def _end(self, count: int) -> int:
        """Where the first `count` records end in records.jsonl."""
        return int.from_bytes(self._read("ends", (count - 1) * _END, _END), "big") if count else 0

    def _file(self, name: str) -> int:
        with self._mutex:
            if name not in self._files:
                self._files[name] = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
            return self._files[name]

    def _read(self, name: str, start: int, count: int) -> bytes:
        data = os.pread(self._file(name), count, start)
        if len(data) != count:
            raise LogDamaged(folder=self.folder, index=start // HASH_SIZE, reason=f"the file {name} is too short")
        return data

    def _write(self, name: str, start: int, data: bytes) -> None:
        _write_all(self._file(name), data, start)


def private(path: Path, how: int = os.O_APPEND) -> BinaryIO:
    """Open `path` for writing, by default at its end; made for its owner alone, whatever the process's umask."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb")


def _level(level: int) -> str:
    return f"level-{level:02d}"


def _write_all(descriptor: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
