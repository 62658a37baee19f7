"""A witness: someone outside the log's administration who counter-signs its checkpoints and sees hashes only.

It remembers, per log, the largest tree it has seen, and signs nothing that does not extend it. Two views of one log (a fork)
then cannot both gather the signatures of a shared set of witnesses. Implements the meaning of C2SP `tlog-cosignature`; the
HTTP protocol around it (`tlog-witness`) is left to an edge.

State is one JSON file, replaced before the signature is given out: a witness that forgets would sign both views.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kerege.ledger import merkle
from kerege.ledger.checkpoint import Checkpoint, SigningKey, VerifierKey, cosignature, parse_note, verify_checkpoint
from kerege.ledger.errors import KeyInvalid, WitnessRefused


@dataclass(frozen=True, slots=True)
class Witness:
    """`key` signs; `logs` are the keys of the logs it watches; `state` is its memory."""

    key: SigningKey
    logs: tuple[VerifierKey, ...]
    state: Path

    def __post_init__(self) -> None:
        if any(self.key.verifier.public == log.public for log in self.logs):
            raise KeyInvalid(name=self.key.name, reason="a witness does not share a log's key")

    def seen(self, origin: str) -> Checkpoint | None:
        """The largest tree of `origin` this witness has signed."""
        row = self._memory().get(origin)
        return None if row is None else Checkpoint(origin, int(row["size"]), base64.b64decode(row["root"]))

    def countersign(self, note: str, proof: Sequence[bytes], now: datetime) -> str:
        """`note` with this witness's signature added.

        proof   from the size last seen to the note's size; empty the first time and when the size is the same

        Raises NoteInvalid when the log did not sign it, WitnessRefused when it does not extend what was seen.
        """
        origin = parse_note(note).checkpoint.origin
        log = next((key for key in self.logs if key.name == origin), None)
        if log is None:
            raise WitnessRefused(
                witness=self.key.name, size="?", origin=origin, seen=0, reason="it does not watch that log"
            )
        new = verify_checkpoint(note, log).checkpoint
        with self._locked():
            old = self.seen(origin)
            reason = _objection(old, new, proof)
            if reason:
                raise WitnessRefused(
                    witness=self.key.name, size=new.size, origin=origin, seen=old.size if old else 0, reason=reason
                )
            self._remember(new)
        return note + cosignature(new.text, self.key, now)

    def _memory(self) -> dict[str, Any]:
        try:
            memory = json.loads(self.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if not isinstance(memory, dict):
            raise ValueError(f"{self.state}: this is not a witness's state")
        return memory

    def _remember(self, seen: Checkpoint) -> None:
        memory = self._memory() | {seen.origin: {"size": seen.size, "root": base64.b64encode(seen.root).decode()}}
        beside = self.state.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(memory, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.state)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.state.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _objection(old: Checkpoint | None, new: Checkpoint, proof: Iterable[bytes]) -> str:
    """Why `new` may not be signed after `old`; empty when it may."""
    if old is None or old.size == 0:
        return ""
    if new.size < old.size:
        return "the log became shorter"
    if new.size == old.size:
        return "" if new.root == old.root else "another tree of the same size was shown before"
    if not merkle.consistency_holds(old.size, new.size, old.root, new.root, list(proof)):
        return "the consistency proof does not hold"
    return ""
