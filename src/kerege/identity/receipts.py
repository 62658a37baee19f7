"""The one shape in which rooms write what binds to the ledger, and what they keep of it: index and leaf hash.

The ledger is an engine (`kerege.ledger.log`) and is handed in; this module names only what rooms need of it, so a test can
hand in a list and an installation its Merkle log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable


class LedgerEntry(Protocol):
    """What an append gives back."""

    @property
    def index(self) -> int: ...

    @property
    def leaf_hash(self) -> Any: ...  # hex text or bytes, as the engine likes


class LedgerWriter(Protocol):
    """The one thing rooms ask of the ledger."""

    def append(self, kind: str, body: dict[str, Any], now: datetime) -> LedgerEntry: ...


@runtime_checkable
class HeadSigner(Protocol):
    """A ledger that can sign how far it has come, so that a cut at its end is seen."""

    def sign_head(self, now: datetime) -> object: ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an act stands in the ledger."""

    index: int
    leaf: str


def write(ledger: LedgerWriter, kind: str, body: dict[str, Any], now: datetime) -> Receipt:
    """Append one entry and keep its receipt; `body` holds digests, codes and public names, never a person's data."""
    entry = ledger.append(kind, body, now)
    leaf = entry.leaf_hash
    return Receipt(index=int(entry.index), leaf=leaf.hex() if isinstance(leaf, bytes) else str(leaf))
