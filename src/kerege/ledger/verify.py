"""Audit a ledger folder from outside: recompute everything from the records, trust no cache, and name the first bad record.

Reads only; needs no lock and no private key. With the log's verifier key the checkpoints' signatures are checked as well; and
with a checkpoint kept elsewhere (`also`), such as a witness's, a folder that was rewritten as a whole is found out.

Memory is O(log n): the roots at the sizes of checkpoints are taken on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kerege.ground.ids import canonical_json
from kerege.ground.text import counted
from kerege.ledger.checkpoint import VerifierKey, parse_note, verify_checkpoint
from kerege.ledger.errors import NoteInvalid
from kerege.ledger.log import stored_checkpoints
from kerege.ledger.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash

_FINDINGS_MAX = 100  # one flipped byte makes one finding; a rewritten log would make millions
_CLOCK_NOTICES_MAX = 20
_QUEUED = timedelta(seconds=60)  # writers read the clock, then wait for each other: so far back is no clock set back


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. `index` is the first record it concerns; None when it concerns the folder."""

    code: str
    index: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; `notices` do not make a ledger wrong.

    head   the size of the newest signed head that agrees; records past it, and all of them when it is None, could be
           cut off at the end and the folder would look the same
    """

    folder: Path
    size: int
    root: bytes
    checkpoints: int
    signatures_checked: bool
    head: int | None
    findings: tuple[Finding, ...]
    notices: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not self.findings

    @property
    def first_bad(self) -> int | None:
        """The lowest record number any finding concerns."""
        return min((f.index for f in self.findings if f.index is not None), default=None)


class _Frontier:
    """The roots of the complete subtrees at the right edge of a growing tree."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        width, value = 1, leaf
        while self._stack and self._stack[-1][0] == width:
            value = node_hash(self._stack.pop()[1], value)
            width *= 2
        self._stack.append((width, value))

    def root(self) -> bytes:
        if not self._stack:
            return EMPTY_ROOT
        value = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            value = node_hash(left, value)
        return value


def audit(folder: Path, key: VerifierKey | None = None, also: Iterable[str] = ()) -> Audit:
    """Recompute the ledger in `folder` and compare it with its cached hashes and every checkpoint.

    key    the log's verifier key; without it checkpoints are compared with the tree, but their signatures are not checked
    also   checkpoints from elsewhere, which the tree must agree with as well
    """
    findings: list[Finding] = []
    notices: list[Finding] = []
    heads = _heads(folder, key, also, findings)
    cached = _cached_leaves(folder)
    tree, size, last_at, back = _Frontier(), 0, "", 0
    sizes = {size for size, _ in heads}
    roots, behind = {0: EMPTY_ROOT}, False
    for line, whole in _lines(folder):
        if not whole:
            notices.append(
                Finding("ledger.torn_tail", size, "an append did not finish; opening the ledger sets it aside")
            )
            break
        problem, at = _look(line)
        leaf = leaf_hash(line)
        if problem:
            findings.append(Finding("ledger.record_malformed", size, problem))
        stored = next(cached, None)
        if stored is None:
            if not behind:
                notices.append(
                    Finding("ledger.cache_behind", size, "the hashes end before the records; opening adds them")
                )
            behind = True
        elif stored != leaf:
            findings.append(Finding("ledger.record_changed", size, "the record is not the one that was hashed"))
        if at < last_at and _is_back(at, last_at):
            back += 1
            if back <= _CLOCK_NOTICES_MAX:
                notices.append(
                    Finding("ledger.clock_back", size, "its time is over a minute before an earlier record's")
                )
        tree.add(leaf)
        size, last_at = size + 1, max(at, last_at)
        if size in sizes:
            roots[size] = tree.root()
        if len(findings) > _FINDINGS_MAX:
            findings.append(
                Finding("ledger.too_many", size, "more than a hundred records are bad; the rest was not read")
            )
            break
    else:
        if next(cached, None) is not None:
            findings.append(Finding("ledger.records_missing", size, "records were cut off: there are hashes of more"))
    if back > _CLOCK_NOTICES_MAX:
        more = back - _CLOCK_NOTICES_MAX
        notices.append(Finding("ledger.clock_back", None, f"so it is with {counted(more, 'more record')}"))
    good, head = 0, None
    for head_size, head_root in sorted(heads):
        if head_size > size:
            findings.append(
                Finding(
                    "ledger.rolled_back",
                    size,
                    f"a checkpoint of size {head_size} was signed, {counted(size, 'record')} {'is' if size == 1 else 'are'} here",
                )
            )
        elif roots[head_size] != head_root:
            text = f"a checkpoint of size {head_size} has another root; the last that agrees has size {good}"
            findings.append(Finding("ledger.checkpoint_differs", good, text))
        else:
            good = head = head_size
    signed = key is not None
    return Audit(folder, size, tree.root(), len(heads), signed, head, tuple(findings), tuple(notices))


def _heads(
    folder: Path, key: VerifierKey | None, also: Iterable[str], findings: list[Finding]
) -> list[tuple[int, bytes]]:
    """(size, root) of every checkpoint, those refused being findings. `checkpoint_differs` sorts them by size later."""
    heads = []
    try:
        kept = stored_checkpoints(folder)
    except (ValueError, KeyError, TypeError):
        findings.append(Finding("ledger.checkpoints_unreadable", None, "checkpoints.jsonl cannot be read"))
        kept = []
    for note in [*kept, *also]:
        try:
            head = verify_checkpoint(note, key).checkpoint if key else parse_note(note).checkpoint
        except NoteInvalid as error:
            findings.append(Finding("ledger.checkpoint_false", None, error.text))
            continue
        heads.append((head.size, head.root))
    return heads


def _lines(folder: Path) -> Iterator[tuple[bytes, bool]]:
    """Each line of the records and whether it is whole."""
    path = folder / "records.jsonl"
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n"), line.endswith(b"\n")


def _cached_leaves(folder: Path) -> Iterator[bytes]:
    path = folder / "level-00"
    if not path.exists():
        return
    with path.open("rb") as file:
        while len(leaf := file.read(HASH_SIZE)) == HASH_SIZE:
            yield leaf


def _is_back(at: str, last_at: str) -> bool:
    """Whether `at` is earlier than `last_at` by more than writers in a queue explain; a time that is none counts as earlier."""
    try:
        return datetime.fromisoformat(last_at) - datetime.fromisoformat(at) > _QUEUED
    except (ValueError, TypeError):
        return True


def _look(line: bytes) -> tuple[str, str]:
    """(what is wrong with the record's form, its time)."""
    try:
        record = json.loads(line)
    except ValueError:
        return "the line is not JSON", ""
    if not isinstance(record, dict) or set(record) != {"kind", "at", "body"} or not isinstance(record["at"], str):
        return "the record has not exactly kind, at and body", ""
    try:
        if canonical_json(record) != line:
            return "the record is not in canonical form", record["at"]
    except TypeError:
        return "the record holds values canonical JSON does not take", record["at"]
    return "", record["at"]
