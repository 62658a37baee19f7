"""A ledger that is a list: what rooms write to it can be read back, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from kerege.ground.clock import iso
from kerege.ground.ids import digest


@dataclass(frozen=True)
class ListEntry:
    index: int
    leaf_hash: str
    kind: str
    body: dict[str, Any]


@dataclass
class ListLedger:
    entries: list[ListEntry] = field(default_factory=list)

    def append(self, kind: str, body: dict[str, Any], now: datetime) -> ListEntry:
        leaf = digest({"kind": kind, "body": body, "at": iso(now)})  # refuses what is not canonical JSON
        entry = ListEntry(len(self.entries), leaf, kind, body)
        self.entries.append(entry)
        return entry

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


@pytest.fixture
def ledger() -> ListLedger:
    return ListLedger()
